//! The command line of local runs.

use super::ask::{self, Suppose};
use super::choose::Wish;
use super::{enter, includes, session, shell};
use crate::variables::{Variable, is_name};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use cli::{Command, Context};
use kernel::{Error, Lang, Result, Text, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The noun `run` without a verb, and the verbs of local runs.
pub(crate) const COMMAND: Command =
    Command { name: "run", build, run: |context, matches| Box::pin(run(context, matches)) };

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub wish: Wish,
    pub suppose: Suppose,
    pub committed: bool,
    /// Directories that stand for repositories of the server: `project/repository` to where it lies.
    pub includes: BTreeMap<String, PathBuf>,
    /// Hosts whose files `include:remote` may read.
    pub hosts: Vec<String>,
    /// What is included from elsewhere comes from what was kept of it.
    pub offline: bool,
    pub secrets: Option<PathBuf>,
    pub jobs: Option<usize>,
    pub timeout: Option<Duration>,
    pub dry: bool,
    pub grouped: bool,
    pub artifacts: Option<PathBuf>,
    pub watch: bool,
    /// Into the place of a job that failed.
    pub shell: bool,
    pub upload: bool,
    pub with_artifacts: bool,
    /// Where to; the one that the repository's remote names, if left out.
    pub project: Option<String>,
}

fn build(lang: Lang) -> clap::Command {
    clap::Command::new("run")
        .about(lang.pick(
            "Run jobs of the pipeline here and now, on what lies in the working tree; with a verb: runs of the server",
            "파이프라인 작업을 지금 여기, 작업 트리 그대로 실행합니다. 동사를 쓰면 서버의 실행을 다룹니다",
        ))
        .after_help(lang.pick(
            "Examples:\n  naru run                    what a push would run\n  naru run test               one job, and what it takes from others\n  naru run --watch test       again whenever a file changes\n  naru run -- list            a job that is called as a verb",
            "예:\n  naru run                    푸시하면 실행될 것 전부\n  naru run test               작업 하나와 그것이 받아 쓰는 작업\n  naru run --watch test       파일이 바뀔 때마다 다시\n  naru run -- list            동사와 이름이 같은 작업",
        ))
        .arg(
            Arg::new("job")
                .value_name("JOB")
                .num_args(0..)
                .help(lang.pick("jobs, and what they take from others; none: the whole pipeline", "작업과 그것이 받아 쓰는 작업. 없으면 파이프라인 전체")),
        )
        .args(choosing(lang))
        .args(supposing(lang))
        .args(running(lang))
        .subcommand(
            clap::Command::new("attach")
                .about(lang.pick("A terminal in a running job of the server", "서버에서 실행 중인 작업 안의 터미널"))
                .arg(Arg::new("run").required(true).value_name("RUN").help(lang.pick("the run's id", "실행 id")))
                .arg(Arg::new("step").required(true).value_name("JOB").help(lang.pick("the job's name", "작업 이름"))),
        )
        .subcommand(
            clap::Command::new("shell")
                .about(lang.pick("Enter the place that a failed job of the last local run left", "지난 로컬 실행에서 실패한 작업이 남긴 자리에 들어갑니다"))
                .arg(Arg::new("failed").value_name("JOB").help(lang.pick("the one that failed last, if left out", "빼면 마지막에 실패한 것"))),
        )
}

fn flag(name: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help.to_owned())
}

fn value(name: &'static str, shown: &'static str, help: &str) -> Arg {
    Arg::new(name).long(name).value_name(shown).help(help.to_owned())
}

fn several(name: &'static str, shown: &'static str, help: &str) -> Arg {
    value(name, shown, help).action(ArgAction::Append)
}

fn choosing(lang: Lang) -> [Arg; 4] {
    [
        flag("no-needs", lang.pick("only the jobs that are named", "적은 작업만")).requires("job"),
        several("stage", "STAGE", lang.pick("the jobs of a stage", "한 스테이지의 작업들")),
        flag("all", lang.pick("manual jobs, too", "수동 작업까지")),
        several("play", "JOB", lang.pick("this manual job, too", "이 수동 작업까지")),
    ]
}

fn supposing(lang: Lang) -> [Arg; 9] {
    [
        value(
            "branch",
            "NAME",
            lang.pick("as if pushed to this branch", "이 브랜치에 푸시했다고 가정"),
        ),
        value("tag", "NAME", lang.pick("as if this tag was pushed", "이 태그를 푸시했다고 가정"))
            .conflicts_with("branch"),
        value(
            "source",
            "SOURCE",
            lang.pick(
                "as if started by: push, merge_request_event, schedule, web, …",
                "시작한 것을 가정: push, merge_request_event, schedule, web, …",
            ),
        ),
        several("var", "NAME=VALUE", lang.pick("a variable, given by hand", "직접 주는 변수")),
        several(
            "include-project",
            "PROJECT/REPOSITORY=DIR",
            lang.pick(
                "include that repository's files from a directory instead of the server",
                "그 저장소의 파일을 서버 대신 디렉터리에서 include",
            ),
        ),
        several(
            "include-from",
            "HOST[:PORT]",
            lang.pick(
                "a server whose files `include:remote` may read",
                "`include:remote`로 파일을 읽어도 되는 서버",
            ),
        ),
        flag(
            "offline",
            lang.pick(
                "include what was kept of other repositories and servers, and ask nobody",
                "다른 저장소와 서버의 파일은 보관해 둔 것을 include하고 아무 데도 요청하지 않음",
            ),
        ),
        several("changed", "PATH", lang.pick("as if only this changed", "이것만 바뀌었다고 가정")),
        flag(
            "committed",
            lang.pick(
                "the last commit, without uncommitted changes",
                "커밋하지 않은 변경은 빼고 마지막 커밋만",
            ),
        ),
    ]
}

fn running(lang: Lang) -> [Arg; 10] {
    [
        value(
            "secrets",
            "FILE",
            lang.pick(
                "NAME=value lines, masked in logs [default: .naru/secrets.env]",
                "NAME=value 줄. 로그에서 가립니다 [기본: .naru/secrets.env]",
            ),
        )
        .value_parser(value_parser!(PathBuf)),
        value(
            "jobs",
            "N",
            lang.pick(
                "how many at a time [default: one per core]",
                "동시에 몇 개 [기본: 코어마다 하나]",
            ),
        )
        .short('j')
        .value_parser(value_parser!(u16).range(1..=1024)),
        value("timeout", "TIME", lang.pick("for all of it: 90s, 10m", "전체 제한 시간: 90s, 10m")),
        flag(
            "watch",
            lang.pick("again whenever a change makes a difference", "변경이 영향을 줄 때마다 다시"),
        )
        .conflicts_with_all(["committed", "dry-run", "timeout"]),
        flag(
            "shell-on-failure",
            lang.pick("enter the place of a job that failed", "실패한 작업의 자리에 들어가기"),
        ),
        flag(
            "upload",
            lang.pick("send the finished run to the server", "끝난 실행을 서버에 올립니다"),
        )
        .conflicts_with_all(["watch", "dry-run"]),
        flag("with-artifacts", lang.pick("its artifacts, too", "아티팩트까지")).requires("upload"),
        flag("dry-run", lang.pick("say what would run, and why", "무엇이 왜 실행될지만 말합니다")),
        flag(
            "group",
            lang.pick(
                "whole jobs one after the other instead of lines as they come",
                "줄 단위가 아니라 작업별로 묶어 출력",
            ),
        ),
        value(
            "artifacts",
            "DIR",
            lang.pick("lay artifacts and reports out here", "아티팩트와 보고서를 여기에 꺼냅니다"),
        )
        .value_parser(value_parser!(PathBuf)),
    ]
}

async fn run(context: Context, matches: ArgMatches) -> Result<()> {
    let word = |matches: &ArgMatches, name: &str| {
        matches.try_get_one::<String>(name).ok().flatten().cloned()
    };
    let code = match matches.subcommand() {
        Some(("shell", verb)) => shell::command(&context, word(verb, "failed").as_deref()).await?,
        Some(("attach", verb)) => {
            let project = word(verb, "project").ok_or_else(no_project)?;
            let (run, job) = (word(verb, "run"), word(verb, "step"));
            let (run, job) = (run.unwrap_or_default(), job.unwrap_or_default());
            enter::command(&context, &project, &run, &job).await?
        }
        _ => return session::run(context, Flags::read(&matches)?).await,
    };
    if code != 0 {
        // The shell's own, as ssh(1) does it.
        std::process::exit(code);
    }
    Ok(())
}

fn no_project() -> Error {
    let say = Text::fixed(
        "runs belong to a project and none is named",
        "실행은 프로젝트에 속하는데 프로젝트가 없습니다",
    );
    Error::invalid("project.missing", say).hint(Text::fixed(
        "use `-p PROJECT` or set NARU_PROJECT",
        "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
    ))
}

impl Flags {
    /// # Errors
    /// `variable.invalid`, `source.unknown`, `timeout.invalid`.
    fn read(matches: &ArgMatches) -> Result<Flags> {
        let words = |name: &str| -> Vec<String> {
            matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
        };
        let word = |name: &str| matches.get_one::<String>(name).cloned();
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let changed = words("changed");
        Ok(Flags {
            wish: Wish {
                jobs: words("job"),
                stages: words("stage"),
                no_needs: matches.get_flag("no-needs"),
                all: matches.get_flag("all"),
                play: words("play"),
            },
            suppose: Suppose {
                branch: word("branch"),
                tag: word("tag"),
                source: word("source").map(|w| ask::origin(&w)).transpose()?,
                variables: words("var").iter().map(|w| variable(w)).collect::<Result<_>>()?,
                changed: (!changed.is_empty()).then(|| changed.into_iter().collect()),
            },
            committed: matches.get_flag("committed"),
            includes: words("include-project")
                .iter()
                .map(|pair| includes::directory(pair))
                .collect::<Result<_>>()?,
            hosts: words("include-from"),
            offline: matches.get_flag("offline"),
            secrets: path("secrets"),
            jobs: matches.get_one::<u16>("jobs").map(|n| usize::from(*n)),
            timeout: word("timeout").map(|w| timeout(&w)).transpose()?,
            dry: matches.get_flag("dry-run"),
            grouped: matches.get_flag("group"),
            artifacts: path("artifacts"),
            watch: matches.get_flag("watch"),
            shell: matches.get_flag("shell-on-failure"),
            upload: matches.get_flag("upload"),
            with_artifacts: matches.get_flag("with-artifacts"),
            project: matches.try_get_one::<String>("project").ok().flatten().cloned(),
        })
    }
}

fn variable(words: &str) -> Result<Variable> {
    let pair = words.split_once('=').filter(|(n, v)| is_name(n) && !v.contains('\0'));
    pair.map(|(name, value)| Variable::literal(name, value)).ok_or_else(|| {
        let shown = kernel::shown(words);
        Error::invalid(
            "variable.invalid",
            text!("`{shown}` is not NAME=VALUE", "`{shown}`은(는) NAME=VALUE 꼴이 아닙니다"),
        )
    })
}

fn timeout(words: &str) -> Result<Duration> {
    kernel::time::parse_duration(words).filter(|d| !d.is_zero()).ok_or_else(|| {
        let shown = kernel::shown(words);
        Error::invalid(
            "timeout.invalid",
            text!("“{shown}” is not a length of time", "“{shown}”은(는) 시간 길이가 아닙니다"),
        )
        .hint(Text::fixed("write it as 90s, 10m or 1h30m", "90s, 10m, 1h30m처럼 쓰세요"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(line: &str) -> Result<Flags> {
        let words = line.split_whitespace();
        Flags::read(&build(Lang::En).try_get_matches_from(words).unwrap())
    }

    #[test]
    fn words_that_are_no_verbs_are_jobs() {
        let found = flags("run build test -j 3 --var A=b=c --timeout 1m30s --changed a").unwrap();
        assert_eq!(found.wish.jobs, ["build", "test"]);
        assert_eq!((found.jobs, found.timeout), (Some(3), Some(Duration::from_secs(90))));
        assert_eq!(found.suppose.variables, [Variable::literal("A", "b=c")]);
        assert_eq!(flags("run -- list").unwrap().wish.jobs, ["list"]);
    }

    #[test]
    fn wrong_words_are_named() {
        for (line, code) in [
            ("run --var 1=x", "variable.invalid"),
            ("run --source pushed", "source.unknown"),
            ("run --timeout soon", "timeout.invalid"),
        ] {
            assert_eq!(flags(line).unwrap_err().code(), code, "{line}");
        }
    }
}
