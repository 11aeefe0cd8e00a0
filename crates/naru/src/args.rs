//! The command line as a whole, from the parts' tables.

use crate::parts;
use clap::{Arg, ArgMatches, value_parser};
use cli::{Context, Format, Output};
use kernel::{Error, Lang, Result};
use std::path::PathBuf;

pub fn command(lang: Lang) -> clap::Command {
    let mut command = clap::Command::new("naru")
        .version(env!("CARGO_PKG_VERSION"))
        .about(lang.pick(
            "A change goes from `git push` to production: one program for the whole way",
            "변경이 `git push`에서 운영까지 갑니다. 그 길 전체를 한 프로그램으로",
        ))
        .after_help(lang.pick(
            "Start here:\n  naru up --demo        see a change go to production\n  naru up               start the platform\n  naru project create shop",
            "여기서 시작하세요:\n  naru up --demo        변경이 운영까지 가는 것을 봅니다\n  naru up               플랫폼을 시작합니다\n  naru project create shop",
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .global(true)
                .value_parser(["table", "json", "yaml"])
                .default_value("table")
                .help(lang.pick("How to show the answer", "답을 보여 주는 꼴")),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .global(true)
                .value_parser(value_parser!(PathBuf))
                .help(lang.pick("The data directory [default: ~/.local/share/naru]", "데이터 디렉터리 [기본: ~/.local/share/naru]")),
        )
        .subcommand(crate::up::command(lang))
        .subcommand(completions(lang));
    for name in parts::nouns() {
        command = command.subcommand(noun(name, lang));
    }
    command
}

/// A noun may have verbs of several parts, and one part may say what it does without a verb.
fn noun(name: &str, lang: Lang) -> clap::Command {
    let rows = parts::all(|p| p.commands).into_iter().filter(|row| row.name == name);
    let join = |whole: clap::Command, more: clap::Command| {
        let taken: Vec<clap::Id> = whole.get_arguments().map(|a| a.get_id().clone()).collect();
        let fresh = more.get_arguments().filter(|a| !taken.contains(a.get_id())).cloned();
        let verb = more.is_subcommand_required_set() && whole.is_subcommand_required_set();
        let mut joined = whole
            .args(fresh)
            .subcommands(more.get_subcommands().cloned())
            .subcommand_required(verb)
            .arg_required_else_help(verb);
        for words in [more.get_after_help().cloned()].into_iter().flatten() {
            joined = joined.after_help(words);
        }
        if !more.is_subcommand_required_set()
            && let Some(about) = more.get_about().cloned()
        {
            joined = joined.about(about);
        }
        joined
    };
    rows.map(|row| (row.build)(lang)).reduce(join).unwrap_or_else(|| clap::Command::new("none"))
}

/// The row that has the verb, or the one that needs none.
fn row(name: &str, matches: &ArgMatches, lang: Lang) -> Option<cli::Command> {
    let rows: Vec<_> = parts::all(|p| p.commands).into_iter().filter(|r| r.name == name).collect();
    let fits = |row: &&cli::Command| {
        let built = (row.build)(lang);
        match matches.subcommand_name() {
            Some(verb) => built.find_subcommand(verb).is_some(),
            None => !built.is_subcommand_required_set(),
        }
    };
    rows.iter().find(fits).or(rows.first()).copied()
}

fn completions(lang: Lang) -> clap::Command {
    clap::Command::new("completions")
        .about(lang.pick("Print a shell's completion script", "셸 자동 완성 스크립트를 출력합니다"))
        .arg(
            Arg::new("shell")
                .required(true)
                .value_parser(value_parser!(clap_complete::Shell))
                .help(lang.pick("Which shell", "어느 셸")),
        )
}

pub fn run(name: &str, matches: &ArgMatches, lang: Lang) -> Result<()> {
    if name == "completions" {
        let shell = matches.get_one::<clap_complete::Shell>("shell").copied();
        let shell = shell.ok_or_else(|| Error::internal("no shell"))?;
        clap_complete::generate(shell, &mut command(lang), "naru", &mut std::io::stdout());
        return Ok(());
    }
    let row =
        row(name, matches, lang).ok_or_else(|| Error::internal(format!("no command {name}")))?;
    let context = Context {
        lang,
        output: Output::new(format(matches), lang),
        data: matches.get_one::<PathBuf>("data").cloned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    runtime.block_on((row.run)(context, matches.clone()))
}

fn format(matches: &ArgMatches) -> Format {
    match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => Format::Json,
        Some("yaml") => Format::Yaml,
        _ => Format::Table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_in_every_language() {
        command(Lang::En).debug_assert();
        command(Lang::Ko).debug_assert();
    }
}
