//! What stays of an attempt: artifacts, caches, variables for later jobs, what it says of an environment.

use super::results::{MAX_OUTPUT, MAX_REST, json_size};
use super::{Job, MAX_DOTENV, MAX_DOTENV_BYTES};
use crate::Parts;
use crate::handed::{self, Whole};
use crate::keep::{self, Bounds, Of};
use crate::variables::{Scope, Variable};
use crate::work::{Environment, Output, Work};
use crate::workspace::io;
use crate::{caches, script};
use blob::{Blobs, Choose, Held};
use host::Exit;
use kernel::{Result, Text, text};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Job {
    /// Its files that match, as they are when it is over.
    pub(super) async fn collect(&self, choose: Choose) -> Result<Option<Held>> {
        let Parts { blobs, workspaces, .. } = &*self.parts;
        keep::collect(blobs, &workspaces.layers, &self.place, Of::All, choose).await
    }

    /// What is kept as artifacts or as a cache: the files that match, and with `untracked` all that are
    /// none of the commit's.
    async fn chosen(
        &self,
        paths: &[String],
        exclude: Vec<String>,
        untracked: bool,
    ) -> Result<Option<Held>> {
        let bounds = self.parts.limits.artifacts;
        let named = self.collect(bounds.choose(self.globs(paths), exclude.clone())).await?;
        if !untracked {
            return Ok(named);
        }
        let Parts { blobs, workspaces, source, .. } = &*self.parts;
        let all = bounds.choose(vec!["**".to_owned()], exclude);
        let added = keep::collect(blobs, &workspaces.layers, &self.place, Of::Added, all).await?;
        let Some(added) = added else { return Ok(named) };
        let Work { repository, commit, .. } = &self.work;
        let tracked = source.tree(&self.task.project, repository, commit).await?;
        let tracked: BTreeSet<String> = tracked.into_iter().map(|entry| entry.path).collect();
        let mut entries = blobs.tree(&added.hash).await?.entries;
        entries.retain(|entry| !tracked.contains(&entry.path));
        let mut hashes = vec![blobs.put_entries(entries).await?.hash.clone()];
        hashes.extend(named.iter().map(|held| held.hash.clone()));
        let whole = blobs.overlay(&hashes).await?;
        Ok((whole.files > 0).then_some(whole))
    }

    /// Keeps what is to be kept. The answer says beside it whether all of its reports are.
    pub(super) async fn leave(&self, passed: bool) -> Result<(Output, bool)> {
        let (variables, sealed) = self.dotenv().await?;
        let mut output = Output { variables, sealed, ..Output::default() };
        output.environment = self.environment(&self.scope_with(&output.variables));
        output.artifacts = self.artifacts(passed).await?;
        let room = MAX_OUTPUT.saturating_sub(json_size(&output) + MAX_REST);
        let (reports, complete) = self.reports(room).await?;
        output.reports = reports;
        self.save_caches(passed).await;
        output.coverage = self.coverage().await;
        Ok((output, complete))
    }

    /// What it knows when its script is over: its own dotenv variables, too.
    pub(super) fn scope_with(&self, dotenv: &BTreeMap<String, String>) -> Scope {
        let mut scope = self.scope.clone();
        let own = dotenv.iter().map(|(n, v)| Variable::literal(n, v.as_str()));
        scope.add(&own.collect::<Vec<_>>());
        scope
    }

    fn environment(&self, scope: &Scope) -> Option<Environment> {
        let environment = self.work.environment.clone()?;
        let shown = |words: &String| self.secrets.hidden(&scope.expand(words));
        Some(Environment {
            name: shown(&environment.name),
            url: environment.url.as_ref().map(shown),
            ..environment
        })
    }

    async fn save_caches(&self, passed: bool) {
        for cache in self.work.caches.iter().filter(|c| c.push && c.when.holds(passed)) {
            let cache = self.keyed(cache);
            let saved = match self.chosen(&cache.paths, Vec::new(), cache.untracked).await {
                Ok(Some(held)) => {
                    let (parts, project) = (&self.parts, &self.task.project);
                    caches::save(parts, project, &cache, &self.place, held).await
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            // A cache that cannot be kept is no reason to fail.
            if let Err(error) = saved {
                let Text { en, ko } = error.sentence();
                self.note(&text!("cache not saved: {en}", "캐시를 저장하지 못했습니다: {ko}"));
            }
        }
    }

    async fn coverage(&self) -> Option<f64> {
        let (pattern, log) = (self.work.coverage.clone()?, self.task.log.path().to_owned());
        let look = move || crate::coverage::measured(&log, &pattern);
        tokio::task::spawn_blocking(look).await.ok()?
    }

    /// Why it failed, with what it printed last.
    pub(super) async fn complaint(&self, exit: &Exit) -> Text {
        let (say, log) = (self.secrets.hide(&exit.text()), self.task.log.path().to_owned());
        let plain = say.clone();
        let look = move || crate::last_words::after(say, &log);
        tokio::task::spawn_blocking(look).await.unwrap_or(plain)
    }

    async fn artifacts(&self, passed: bool) -> Result<Option<String>> {
        let Some(artifacts) = self.work.artifacts.as_ref().filter(|a| a.when.holds(passed)) else {
            return Ok(None);
        };
        let (paths, exclude) = (&artifacts.paths, self.globs(&artifacts.exclude));
        let Some(held) = self.chosen(paths, exclude, artifacts.untracked).await? else {
            let paths = artifacts.paths.join(", ");
            self.note(&text!(
                "no files match the artifacts {paths}",
                "아티팩트 {paths}에 맞는 파일이 없습니다"
            ));
            return Ok(None);
        };
        let (files, size) = (held.files, held.size);
        self.refer(vec![held.hash.clone()], artifacts.expire_ms.map(Duration::from_millis)).await?;
        self.note(&text!(
            "kept {files} files as artifacts, {size} bytes",
            "아티팩트로 파일 {files}개, {size}바이트를 보관했습니다"
        ));
        Ok(Some(held.hash.clone()))
    }

    /// Makes the run need these blobs, until `expires` after now. The caller holds them.
    pub(super) async fn refer(&self, hashes: Vec<String>, expires: Option<Duration>) -> Result<()> {
        let (owner, run) = (crate::owner(&self.task.run), self.task.run.clone());
        let refer = move |tx: &mut store::Tx<'_>| {
            for hash in &hashes {
                if let Some(after) = expires {
                    let at = tx.now().plus(after);
                    tx.set_row(crate::EXPIRES, &format!("{at}/{run}/{hash}"), &())?;
                }
                blob::refer(tx, &owner, hash)?;
            }
            Ok(())
        };
        self.parts.store.write(refer).await
    }

    /// The variables of the job's dotenv reports, and where those are whole that hold a secret.
    async fn dotenv(&self) -> Result<(BTreeMap<String, String>, Option<String>)> {
        let (mut found, mut whole) = (BTreeMap::new(), handed::Values::new());
        for (path, words) in self.dotenv_files().await? {
            let (lines, odd) = script::dotenv(&words, MAX_DOTENV);
            for (name, value) in lines {
                let hidden = self.secrets.hidden(&value);
                whole.remove(&name);
                if hidden != value {
                    let secrets = self.secrets.held(&value);
                    whole.insert(name.clone(), Whole { value, secrets });
                }
                found.insert(name, hidden);
            }
            if odd > 0 {
                self.note(&text!(
                    "{path}: {odd} lines are no variables and are left out",
                    "{path}: 변수가 아닌 줄 {odd}개를 제외했습니다"
                ));
            }
        }
        let sealed = self.seal(whole).await?;
        Ok((found, sealed))
    }

    /// Paths and contents of its dotenv reports. They may hold secrets, so they never come into the server's
    /// store of blobs, where files stay for a while: they have one of their own, which goes at once.
    async fn dotenv_files(&self) -> Result<Vec<(String, String)>> {
        let globs = self.globs(&self.work.dotenv);
        if globs.is_empty() {
            return Ok(Vec::new());
        }
        let Parts { store, workspaces, .. } = &*self.parts;
        let aside = self.place.dir.join("dotenv");
        let blobs = Blobs::open(&aside, store.clone()).await?;
        let bounds = Bounds { bytes: MAX_DOTENV_BYTES, files: 16 };
        let choose = bounds.choose(globs, Vec::new());
        let held = keep::collect(&blobs, &workspaces.layers, &self.place, Of::All, choose).await;
        let mut files = Vec::new();
        if let Some(held) = held? {
            for entry in blobs.tree(&held.hash).await?.entries {
                let bytes = blobs.get(&entry.hash, MAX_DOTENV_BYTES).await?;
                files.push((entry.path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
        tokio::fs::remove_dir_all(&aside).await.map_err(io)?;
        Ok(files)
    }

    /// Whoever may see the run reads its variables, so those are hidden; jobs alone get the whole values.
    async fn seal(&self, whole: handed::Values) -> Result<Option<String>> {
        if whole.is_empty() {
            return Ok(None);
        }
        for name in whole.keys() {
            self.note(&text!(
                "{name} holds a secret: later jobs get it whole, and everybody else sees it hidden",
                "{name}에 비밀이 있습니다. 뒤의 작업에는 그대로 넘기고 다른 곳에서는 가립니다"
            ));
        }
        let (parts, run, step) = (self.parts.clone(), self.task.run.clone(), self.task.key.clone());
        let put = move |tx: &mut store::Tx<'_>| {
            parts.seal.put(tx, &run, &step, &whole)?;
            Ok(step)
        };
        self.parts.store.write(put).await.map(Some)
    }
}
