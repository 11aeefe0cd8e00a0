//! One `naru run`, from the first look at the repository to the verdict.

use super::ask::{ask, compile};
use super::choose::{Choice, choose};
use super::cmd::Flags;
use super::follow::{End, Follower};
use super::includes::Includes;
use super::kept::Kept;
use super::outcome::{self, Outcome};
use super::place::{self, Place};
use super::repository::{Repository, Snapshot};
use super::screen::Screen;
use super::secrets;
use super::shell;
use super::signals::Signals;
use super::times;
use super::upload::{arrived, upload};
use super::watch::watch;
use super::world::{Wants, World};
use crate::create::{self, Asked};
use crate::gitlab::Compiled;
use crate::variables::Variable;
use cli::{Context, Format, Table};
use kernel::{Id, Lang, Name, Result, Text, text};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;
use store::Tx;

/// The exit code of a program that SIGINT ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// One command under way.
pub struct Session {
    pub began: Instant,
    pub flags: Flags,
    pub lang: Lang,
    pub screen: Screen,
    pub signals: Signals,
    pub world: World,
    pub secrets: Vec<Variable>,
    context: Context,
}

/// A pipeline with what was chosen of it.
pub struct Ready {
    pub asked: Asked,
    pub compiled: Compiled,
    pub choice: Choice,
}

/// # Errors
/// Whatever is wrong with repository, files or flags; `run.failed` when a job failed.
pub async fn run(context: Context, flags: Flags) -> Result<()> {
    let mut session = Session::open(context, flags).await?;
    if session.flags.watch {
        let end = watch(&mut session).await;
        session.world.close().await;
        return match end? {
            End::Interrupted | End::Killed => std::process::exit(INTERRUPTED),
            End::Over | End::Late | End::Elsewhere => Ok(()),
        };
    }
    let outcome = session.once().await;
    session.leave(outcome).await
}

impl Session {
    pub async fn open(context: Context, flags: Flags) -> Result<Session> {
        let began = Instant::now();
        let signals = Signals::listen()?;
        let here = std::env::current_dir().map_err(kernel::Error::internal)?;
        let repository = Repository::find(&here).await?;
        let place = Place::claim(place::dir_of(&place::cache()?, &repository.top))?;
        let (repository, names) =
            tokio::try_join!(repository.clone().open(&place.dir), repository.names())?;
        let aside = context.output.format != Format::Table;
        let screen = Screen::new(context.lang, aside, flags.grouped);
        let secrets = secrets_of(&repository, &flags, &screen).await?;
        let given = [secrets.clone(), vec![Variable::literal("NARU_LOCAL", "true")]].concat();
        let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let kept = Kept::new(place.dir.join("includes"));
        let others = Arc::new(Includes::new(&context, &flags, kept));
        let wants = Wants { jobs: flags.jobs.unwrap_or(cores), given, others };
        let world = World::open(place, repository, names, wants).await?;
        world.source.take_committed(flags.committed);
        let lang = context.lang;
        Ok(Session { began, flags, lang, screen, signals, world, secrets, context })
    }

    /// Runs once; the outcome, unless somebody only wanted to know, or there was nothing to do.
    async fn once(&mut self) -> Result<Option<(Outcome, End)>> {
        let snapshot = self.world.repository.snapshot(self.flags.committed).await?;
        let ready = self.prepare(&snapshot, None).await?;
        if self.flags.dry {
            self.draw_plan(&ready)?;
            return Ok(None);
        }
        self.announce(&snapshot, &ready);
        if ready.choice.plan.steps.is_empty() {
            self.screen.remark(&Text::fixed("nothing to run", "실행할 것이 없습니다"));
            return Ok(None);
        }
        let manual = ready.choice.manual.clone();
        let never = std::pin::pin!(std::future::pending());
        let (run, end, first) = self.perform(ready, None, never).await?;
        if end == End::Killed {
            return Ok(Some((self.empty(&run, &snapshot), end)));
        }
        let outcome = self.outcome(&run, &snapshot, manual, first).await?;
        self.show(&outcome)?;
        if self.flags.upload {
            self.upload(&run, &snapshot).await?;
        }
        Ok(Some((outcome, end)))
    }

    /// What the files come to, and what of it is wanted.
    pub async fn prepare(&self, snapshot: &Snapshot, before: Option<&str>) -> Result<Ready> {
        let mut asked = ask(&self.world, snapshot, &self.flags.suppose, before).await?;
        let by_hand = asked.given.clone();
        // The file's rules may ask for secrets; what is stored of the run must not have them.
        asked.given.extend(self.secrets.iter().cloned());
        let mut compiled = compile(&self.world, &asked).await?;
        asked.given = by_hand;
        compiled.shared.given.retain(|v| !self.secrets.contains(v));
        let choice = choose(&compiled.plan, &compiled.jobs, &self.flags.wish)?;
        Ok(Ready { asked, compiled, choice })
    }

    /// Says what is going to happen.
    pub fn announce(&self, snapshot: &Snapshot, ready: &Ready) {
        let lang = self.lang;
        for (at, Text { en, ko }) in &ready.compiled.warnings {
            self.screen.remark(&text!("warning: {at}: {en}", "경고: {at}: {ko}"));
        }
        let tip = &ready.asked.tip;
        let (name, at) = (&tip.repository, tip.short());
        let commit = snapshot.head.as_deref().unwrap_or("").get(..8).unwrap_or("");
        let (count, jobs) = (snapshot.dirty.len(), ready.choice.plan.steps.len());
        let ms = self.began.elapsed().as_millis();
        let dirty = match count {
            0 => Text::default(),
            1 => Text::fixed(" + 1 changed file", " + 바뀐 파일 1개"),
            _ => text!(" + {count} changed files", " + 바뀐 파일 {count}개"),
        };
        let plural = if jobs == 1 { "" } else { "s" };
        let (dirty_en, dirty_ko) = (dirty.en, dirty.ko);
        self.screen.remark(&text!(
            "{name} {at} {commit}{dirty_en}: {jobs} job{plural} (ready in {ms} ms)",
            "{name} {at} {commit}{dirty_ko}: 작업 {jobs}개 ({ms}밀리초 만에 준비)"
        ));
        let list = |names: &[String]| names.join(", ");
        let choice = &ready.choice;
        if !choice.manual.is_empty() {
            let names = list(&choice.manual);
            let words = text!(
                "manual, not run: {names} (`--play JOB` or `--all`)",
                "수동이라 실행하지 않음: {names} (`--play 작업`, `--all`)"
            );
            self.screen.aside(words.get(lang));
        }
        if !choice.behind.is_empty() {
            let names = list(&choice.behind);
            self.screen.remark(&text!(
                "behind those, not run: {names}",
                "그 뒤라서 실행하지 않음: {names}"
            ));
        }
        if !choice.hurried.is_empty() {
            let names = list(&choice.hurried);
            self.screen.remark(&text!(
                "started without their delay: {names}",
                "지연 없이 바로 시작: {names}"
            ));
        }
    }

    /// Makes the run and shows it to its end, or until `until` resolves.
    pub async fn perform(
        &mut self,
        ready: Ready,
        kept: Option<(Id, BTreeSet<String>)>,
        until: std::pin::Pin<&mut (dyn Future<Output = ()> + Send)>,
    ) -> Result<(Id, End, Option<Instant>)> {
        let Ready { mut asked, mut compiled, choice } = ready;
        asked.beside.kept = kept;
        compiled.plan = choice.plan;
        let steps: Vec<String> = compiled.plan.steps.iter().map(|s| s.name.clone()).collect();
        self.screen.jobs(steps.iter().map(String::as_str));
        let feed = self.world.store.follow(self.world.store.head());
        let create = move |tx: &mut Tx<'_>| create::create_in(tx, &asked, compiled);
        let (run, _) = self.world.store.write(create).await?;
        let mut follower = Follower::new(&self.world, run.clone(), &steps);
        let (screen, signals) = (&mut self.screen, &mut self.signals);
        let end = follower.show(feed, screen, signals, self.flags.timeout, until).await?;
        let first = follower.first_line;
        Ok((run, end, first))
    }

    pub async fn outcome(
        &self,
        run: &Id,
        snapshot: &Snapshot,
        manual: Vec<String>,
        first: Option<Instant>,
    ) -> Result<Outcome> {
        let run = self.world.engine.show(run).await?;
        if let Err(error) = times::learn(&self.world, &run).await {
            tracing::warn!(%error, "what tests took is not remembered");
        }
        let jobs = outcome::gather(&self.world, &run, self.flags.artifacts.as_deref()).await?;
        let ms = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Ok(Outcome {
            state: run.state,
            jobs,
            manual,
            first_line_ms: first.map(|at| ms(at.duration_since(self.began))),
            took_ms: ms(self.began.elapsed()),
            ..self.empty(&run.id, snapshot)
        })
    }

    /// Of a run that nobody waited for.
    fn empty(&self, run: &Id, snapshot: &Snapshot) -> Outcome {
        Outcome {
            run: run.to_string(),
            state: run::RunState::Canceled,
            commit: snapshot.commit.clone(),
            dirty: snapshot.dirty.clone(),
            jobs: Vec::new(),
            manual: Vec::new(),
            first_line_ms: None,
            took_ms: 0,
        }
    }

    /// Shows the outcome for people or for programs.
    pub fn show(&self, outcome: &Outcome) -> Result<()> {
        match self.context.output.format {
            Format::Table => outcome::draw(outcome, &self.screen),
            _ => self.context.output.show(outcome, |_, _| Table::default())?,
        }
        Ok(())
    }

    async fn leave(self, outcome: Result<Option<(Outcome, End)>>) -> Result<()> {
        if let Ok(Some((outcome, End::Over))) = &outcome {
            self.enter(outcome).await;
        }
        if !matches!(&outcome, Ok(Some((_, End::Killed))))
            && let Err(error) = self.world.tidy().await
        {
            tracing::warn!(%error, "old local runs stay");
        }
        self.world.close().await;
        match outcome? {
            Some((_, End::Interrupted | End::Killed)) => std::process::exit(INTERRUPTED),
            Some((outcome, _)) => outcome::verdict(&outcome),
            None => Ok(()),
        }
    }

    /// `--upload`
    async fn upload(&self, run: &Id, snapshot: &Snapshot) -> Result<()> {
        let project = match &self.flags.project {
            Some(named) => Name::parse(named)?,
            None => self.world.names.project.clone(),
        };
        let (world, with) = (&self.world, self.flags.with_artifacts);
        let there = upload(world, &self.context, &project, run, snapshot, with).await?;
        let client = self.context.client()?;
        self.screen.remark(&arrived(client.url(), &project, &there));
        Ok(())
    }

    /// `--shell-on-failure`
    async fn enter(&self, outcome: &Outcome) {
        let failed = outcome.jobs.iter().any(|j| j.state == run::StepState::Failed);
        if !self.flags.shell || !failed || !std::io::stdin().is_terminal() {
            return;
        }
        let World { host, store, place, .. } = &self.world;
        let entered = async {
            let newest = shell::newest(host, store, None).await?;
            shell::enter(host, &newest, &place.dir, self.lang).await
        };
        if let Err(error) = entered.await {
            cli::complain(&error, self.lang);
        }
    }

    /// `--dry-run`: what would run and why, as `naru pipeline plan` says it.
    fn draw_plan(&self, ready: &Ready) -> Result<()> {
        let chosen: Vec<&str> = ready.choice.plan.steps.iter().map(|s| s.name.as_str()).collect();
        let value = serde_json::json!({
            "jobs": ready.compiled.jobs, "run": chosen, "manual": ready.choice.manual,
            "behind": ready.choice.behind,
        });
        self.context.output.show(&value, |_, output| {
            let lang = output.lang;
            let head = lang.pick("JOB STAGE RUNS WHY PLACE", "작업 스테이지 실행 까닭 위치");
            let mut table = Table::new(head.split(' '));
            for job in &ready.compiled.jobs {
                let of = |name: &&&str| {
                    **name == job.job || name.strip_prefix(&*job.job).is_some_and(is_instance)
                };
                let count = chosen.iter().filter(of).count();
                let runs = match count {
                    0 => lang.pick("no", "아니요").to_owned(),
                    1 => lang.pick("yes", "예").to_owned(),
                    _ => format!("× {count}"),
                };
                let place = job.at.to_string();
                table.row([&*job.job, &*job.stage, &*runs, job.because.get(lang), &*place]);
            }
            table
        })
    }
}

fn is_instance(rest: &str) -> bool {
    rest.starts_with(": [") || rest.strip_prefix(' ').is_some_and(|r| r.contains('/'))
}

async fn secrets_of(
    repository: &Repository,
    flags: &Flags,
    screen: &Screen,
) -> Result<Vec<Variable>> {
    if let Some(file) = &flags.secrets {
        return secrets::read(file);
    }
    let usual = repository.top.join(secrets::USUAL);
    if !usual.exists() {
        return Ok(Vec::new());
    }
    if !repository.ignores(&usual).await? {
        screen.remark(&secrets::not_ignored());
        return Ok(Vec::new());
    }
    secrets::read(&usual)
}
