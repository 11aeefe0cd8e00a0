//! What an attempt finds when it begins: its files, its caches, what earlier jobs left, its script.

use super::Job;
use super::submodules::Wanted;
use crate::work::{Fetch, Files, Output, Work};
use crate::workspace::{Base, Contents, io};
use crate::{Parts, caches, left, script};
use host::{Exit, Reason};
use kernel::{ErrorKind, Result, Text, text};
use std::sync::atomic::Ordering;

/// Layers of one overlay; the options of a mount have one page.
const MAX_LAYERS: usize = 32;

impl Job {
    /// A first start: the files, then the script.
    pub(super) async fn begin(&self, id: &str) -> Result<Exit> {
        let base = self.base();
        self.prepare(base).await?;
        self.start_services().await?;
        let exit = self.start(id, "script.sh", self.timeout(), "running").await?;
        let without = match base {
            Base::Shared => Base::Copied,
            Base::Empty => Base::Nothing,
            Base::Copied | Base::Nothing => return Ok(exit),
        };
        if !matches!(exit.reason, Reason::NotStarted { .. }) {
            return Ok(exit);
        }
        // A file system that cannot carry an overlay's upper layer only says so when it is mounted.
        self.parts.host.forget(id).await?;
        self.end_services().await;
        self.prepare(without).await?;
        self.start_services().await?;
        let exit = self.start(id, "script.sh", self.timeout(), "running").await?;
        if !matches!(exit.reason, Reason::NotStarted { .. }) {
            self.parts.copies.store(true, Ordering::Relaxed);
        }
        Ok(exit)
    }

    fn base(&self) -> Base {
        let layers =
            self.parts.host.abilities().overlay && !self.parts.copies.load(Ordering::Relaxed);
        match self.work.files {
            Files::None if layers => Base::Empty,
            Files::None => Base::Nothing,
            Files::Commit if layers => Base::Shared,
            Files::Commit => Base::Copied,
        }
    }

    async fn prepare(&self, base: Base) -> Result<()> {
        let Work { repository, commit, .. } = &self.work;
        let (project, place) = (&self.task.project, &self.place);
        let Wanted { here, commands } = self.submodules().await?;
        let url = &self.parts.url;
        let contents = Contents { project, repository, commit, modules: &here, url };
        self.parts.workspaces.prepare(place, contents, base).await?;
        if let Some(image) = &self.work.image {
            let image = self.scope.expand(image);
            self.note(&text!(
                "images are not pulled yet: the machine's own tools stand in for {image}",
                "아직 이미지를 받지 않습니다. {image} 대신 이 컴퓨터의 도구를 씁니다"
            ));
        }
        for cache in self.work.caches.iter().filter(|c| c.pull) {
            let restored = caches::restore(&self.parts, project, &self.keyed(cache), place).await?;
            restored.iter().for_each(|say| self.note(say));
        }
        for output in self.task.outputs.values() {
            let output: Output = serde_json::from_value(output.clone()).unwrap_or_default();
            if let Some(tree) = output.artifacts {
                self.lay(&tree).await?;
            }
        }
        for fetch in &self.work.fetch {
            if let Some(tree) = self.fetched(fetch).await? {
                self.lay(&tree).await?;
            }
        }
        place.remember(&self.learned, &self.parts.seal)?;
        for name in self.secrets.too_short() {
            let least = host::Mask::SHORTEST;
            self.note(&text!(
                "the value of {name} has fewer than {least} characters and is not hidden in the log",
                "{name}의 값이 {least}자보다 짧아 로그에서 가리지 않습니다"
            ));
        }
        self.share_by_time().await?;
        let before = [&*self.work.checkout.before, &commands].concat();
        let script = script::render_after(&before, &self.work.script);
        std::fs::write(place.control().join("script.sh"), script).map_err(io)?;
        let after = script::render(&self.work.after_script);
        std::fs::write(place.control().join("after.sh"), after).map_err(io)
    }

    /// Lays a tree under its files.
    async fn lay(&self, tree: &str) -> Result<()> {
        let (Parts { blobs, workspaces, .. }, place) = (&*self.parts, &self.place);
        match place.lower().is_some() && place.layers().len() < MAX_LAYERS {
            true => workspaces.lay(place, blobs, tree).await,
            false => blobs.materialise(tree, &place.upper()).await,
        }
    }

    /// The artifacts of another pipeline's job. `None`: there are none, and that is fine.
    async fn fetched(&self, fetch: &Fetch) -> Result<Option<String>> {
        let expand = |words: &String| self.scope.expand(words);
        let fetch = match fetch {
            Fetch::Newest { path, refname, job } => {
                Fetch::Newest { path: expand(path), refname: expand(refname), job: expand(job) }
            }
            Fetch::Run { run, job, optional } => {
                Fetch::Run { run: expand(run), job: expand(job), optional: *optional }
            }
        };
        let optional = matches!(fetch, Fetch::Run { optional: true, .. });
        let run = self.task.run.clone();
        let policy = self.parts.policy.clone();
        let read = move |v: &store::View<'_>| left::fetch(&policy, v, &run, &fetch);
        let left = match self.parts.store.read(read).await {
            Err(error) if optional && error.kind() == ErrorKind::NotFound => {
                let Text { en, ko } = error.say();
                self.note(&text!("not needed: {en}", "없어도 됨: {ko}"));
                return Ok(None);
            }
            left => left?,
        };
        let (project, run) = (&left.project, &left.run);
        self.note(&text!(
            "took over artifacts of run {run} of {project}",
            "{project}의 실행 {run}이(가) 남긴 아티팩트를 가져왔습니다"
        ));
        Ok(Some(left.tree))
    }
}
