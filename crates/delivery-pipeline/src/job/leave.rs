//! What stays of an attempt: artifacts, caches, variables for later jobs, what it says of an environment.

use super::results::{MAX_OUTPUT, MAX_REST, json_size};
use super::{Job, MAX_DOTENV, MAX_DOTENV_BYTES};
use crate::Parts;
use crate::keep::{self, Bounds, Of};
use crate::variables::{Scope, Variable};
use crate::work::{Environment, Output, Work};
use crate::{caches, script};
use blob::{Choose, Held};
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
        let mut output = Output { variables: self.dotenv().await?, ..Output::default() };
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

    /// The variables of the job's dotenv reports.
    async fn dotenv(&self) -> Result<BTreeMap<String, String>> {
        let bounds = Bounds { bytes: MAX_DOTENV_BYTES, files: 16 };
        let choose = bounds.choose(self.globs(&self.work.dotenv), Vec::new());
        let blobs = &self.parts.blobs;
        let mut found = BTreeMap::new();
        let Some(held) = self.collect(choose).await? else {
            return Ok(found);
        };
        for entry in blobs.tree(&held.hash).await?.entries {
            let bytes = blobs.get(&entry.hash, MAX_DOTENV_BYTES).await?;
            let (lines, odd) = script::dotenv(&String::from_utf8_lossy(&bytes), MAX_DOTENV);
            found.extend(lines.into_iter().map(|(name, value)| self.veiled(name, value)));
            if odd > 0 {
                let path = &entry.path;
                self.note(&text!(
                    "{path}: {odd} lines are no variables and are left out",
                    "{path}: 변수가 아닌 줄 {odd}개를 제외했습니다"
                ));
            }
        }
        Ok(found)
    }

    /// A variable as it is handed on: whoever may see the run reads it, so no secret is in it.
    fn veiled(&self, name: String, value: String) -> (String, String) {
        let hidden = self.secrets.hidden(&value);
        if hidden != value {
            self.note(&text!(
                "{name} holds a masked value and is handed on with it hidden: give the later job the variable itself",
                "{name}에 마스킹된 값이 있어 가린 채로 넘깁니다. 뒤의 작업에는 그 변수를 직접 주세요"
            ));
        }
        (name, hidden)
    }
}
