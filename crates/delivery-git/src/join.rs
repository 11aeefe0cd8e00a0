//! Merging without a checkout: git finds the tree, the commit is written as an object, and the branches move
//! through the same door as a push: the rules for branches, the repository's turn, an intent before, and
//! `git.pushed` after.

use crate::command::Command;
use crate::kind::Right;
use crate::settle::{self, Intent};
use crate::{Git, diff, refname, refs, serve};
use kernel::diff::Difference;
use kernel::port::{Branches, Comparison, Join, JoinMethod, Move};
use kernel::{BoxFuture, Error, ErrorKind, Name, Principal, Result, Text, text};
use policy::{Permission, Target};
use std::path::Path;
use std::sync::atomic::Ordering;
use store::Tx;

/// Commits listed of a comparison.
const COMMITS: usize = 500;
/// Paths that are named when they conflict.
const CONFLICTS: usize = 100;

impl Git {
    async fn branch_tip(
        &self,
        project: &Name,
        repository: &Name,
        branch: &str,
    ) -> Result<Option<String>> {
        self.spec(project, repository).await?;
        let (dir, name) = (self.path(project, repository), format!("refs/heads/{branch}"));
        let read = tokio::task::spawn_blocking(move || refs::one(&dir, &name));
        read.await.map_err(Error::internal)?
    }

    async fn stand(
        &self,
        project: &Name,
        repository: &Name,
        target: &str,
        head: &str,
    ) -> Result<Comparison> {
        whole(&[target, head])?;
        let dir = self.path(project, repository);
        let git = &self.shared.git;
        let base = git.ask(&dir, &["merge-base", target, head]).await?.map(line);
        let most = format!("--max-count={COMMITS}");
        let not = format!("^{target}");
        let ids = git.output(&dir, &["rev-list", &most, head, &not]).await?;
        let ids: Vec<String> = String::from_utf8_lossy(&ids).lines().map(str::to_owned).collect();
        let pool = self.opened(project, repository).pool.clone();
        let ahead = pool.with(move |r| ids.iter().map(|id| r.commit(id)).collect::<Result<_>>());
        let ahead = ahead.await?;
        let not = format!("^{head}");
        let behind = git.output(&dir, &["rev-list", "--count", target, &not]).await?;
        let behind = line(behind).parse().unwrap_or(0);
        Ok(Comparison { base: base.filter(|b| !b.is_empty()), ahead, behind })
    }

    async fn differ(
        &self,
        project: &Name,
        repository: &Name,
        from: &str,
        to: &str,
    ) -> Result<Difference> {
        whole(&[from, to])?;
        let dir = self.path(project, repository);
        let changes = diff::between(&self.shared.git, &dir, Some(from), to).await?;
        let truncated = changes.len() > diff::FILES;
        let pool = self.opened(project, repository).pool.clone();
        let files = pool.with(move |r| diff::files(r, &changes)).await?;
        let added = files.iter().map(|f| f.added).sum();
        let removed = files.iter().map(|f| f.removed).sum();
        Ok(Difference { files, added, removed, truncated })
    }

    async fn merged(
        &self,
        project: &Name,
        repository: &Name,
        join: &Join,
    ) -> Result<std::result::Result<String, Vec<String>>> {
        whole(&[&join.target, &join.head])?;
        let dir = self.path(project, repository);
        let git = &self.shared.git;
        if join.method == JoinMethod::FastForward {
            let asked = ["merge-base", "--is-ancestor", join.target.as_str(), join.head.as_str()];
            let forward = git.ask(&dir, &asked).await?.is_some();
            return Ok(if forward { Ok(join.head.clone()) } else { Err(Vec::new()) });
        }
        let tree = match self.tree_of(&dir, join).await? {
            Ok(tree) => tree,
            Err(paths) => return Ok(Err(paths)),
        };
        let pool = self.opened(project, repository).pool.clone();
        let head = pool.commit(&join.head).await?;
        let committer = format!("{} <{0}@naru>", named(&join.by));
        let (parents, author, authored) = match join.method {
            JoinMethod::Squash => {
                let author = format!("{} <{}>", named(&head.author), named(&head.email));
                (vec![&join.target], author, head.authored)
            }
            _ => (vec![&join.target, &join.head], committer.clone(), join.at),
        };
        let mut words = format!("tree {tree}\n");
        parents.iter().for_each(|p| words.push_str(&format!("parent {p}\n")));
        let second = |time: kernel::Time| time.millis().div_euclid(1000);
        let message = join.message.replace('\0', "");
        words.push_str(&format!(
            "author {author} {} +0000\ncommitter {committer} {} +0000\n\n{}\n",
            second(authored),
            second(join.at),
            message.trim_end()
        ));
        let args = ["hash-object", "-t", "commit", "-w", "--stdin"];
        Ok(Ok(line(git.output_of(&dir, &args, words.into_bytes()).await?)))
    }

    /// The tree of the merge, or the paths that conflict.
    async fn tree_of(
        &self,
        dir: &Path,
        join: &Join,
    ) -> Result<std::result::Result<String, Vec<String>>> {
        let args = [
            "merge-tree",
            "--write-tree",
            "--name-only",
            "--no-messages",
            "-z",
            &join.target,
            &join.head,
        ];
        let (status, said, complained) = self.shared.git.run(dir, &args, Vec::new()).await?;
        let words = String::from_utf8_lossy(&said);
        let mut fields = words.split('\0').map(|f| f.trim_matches('\n')).filter(|f| !f.is_empty());
        let tree = fields.next().filter(|t| refname::is_oid(t)).map(str::to_owned);
        match (status.code(), tree) {
            (Some(0), Some(tree)) => Ok(Ok(tree)),
            (Some(1), Some(_)) => Ok(Err(fields.take(CONFLICTS).map(str::to_owned).collect())),
            _ => Err(Error::internal(format!(
                "git merge-tree: {status}: {}",
                String::from_utf8_lossy(&complained).trim()
            ))),
        }
    }

    async fn allows(
        &self,
        project: &Name,
        repository: &Name,
        who: &Principal,
        branch: &str,
    ) -> Result<bool> {
        let (policy, spec) = (&self.shared.policy, self.spec(project, repository).await?);
        let protection = spec.protection(branch);
        match protection.map_or(Right::Developers, |p| p.merge) {
            Right::Nobody => return Ok(false),
            Right::Developers => {}
            Right::Maintainers => {
                let whole = Target::project(project);
                if !policy.can(who, Permission::Deploy.action(), &whole).await {
                    return Ok(false);
                }
            }
        }
        // Policies may name the branch, as they do for a push.
        let context = policy::Context {
            branch: Some(branch.to_owned()),
            protected: Some(protection.is_some() || branch == spec.default_branch),
            ..policy::Context::default()
        };
        let target = Target::within(project, "repository", repository.as_str());
        let action = Permission::Change.action();
        let ask = policy::Ask { who, action, target: &target, context: &context };
        Ok(policy.decide(&ask).await?.allow)
    }

    async fn move_branches(
        &self,
        project: &Name,
        repository: &Name,
        who: &Principal,
        moves: Vec<Move>,
    ) -> Result<()> {
        for each in &moves {
            whole(&[&each.from])?;
            each.to.iter().try_for_each(|to| whole(&[to]))?;
            let spec = self.spec(project, repository).await?;
            let deletes = each.to.is_none();
            let kept =
                each.branch == spec.default_branch || spec.protection(&each.branch).is_some();
            if (deletes && kept) || !self.allows(project, repository, who, &each.branch).await? {
                return Err(protected(&each.branch));
            }
        }
        let open = self.opened(project, repository);
        let turn = tokio::time::timeout(self.shared.limits.receive, open.push.lock());
        let turn = turn.await.map_err(|_| busy())?;
        let place = serve::enter(&self.shared.processes).await?;
        if open.unsettled.load(Ordering::SeqCst) {
            self.settle_repository(project, repository).await?;
        }
        let dir = self.path(project, repository);
        let at = |branch: &str| refs::one(&dir, &format!("refs/heads/{branch}"));
        for each in &moves {
            if at(&each.branch)?.as_ref() != Some(&each.from) {
                return Err(moved(&each.branch));
            }
        }
        open.unsettled.store(true, Ordering::SeqCst);
        let done = self.carry(project, repository, who, &dir, moves).await;
        match &done {
            Ok(()) => open.unsettled.store(false, Ordering::SeqCst),
            Err(_) => self.owe(project, repository),
        }
        drop((turn, place));
        done
    }

    /// Intent, refs, events.
    async fn carry(
        &self,
        project: &Name,
        repository: &Name,
        who: &Principal,
        dir: &Path,
        moves: Vec<Move>,
    ) -> Result<()> {
        let lock = settle::lock(dir).await?;
        let mut input = String::new();
        for each in &moves {
            let name = format!("refs/heads/{}", each.branch);
            let line = match &each.to {
                Some(to) => format!("update {name} {to} {}\n", each.from),
                None => format!("delete {name} {}\n", each.from),
            };
            input.push_str(&line);
        }
        let command = |each: Move| Command {
            refname: format!("refs/heads/{}", each.branch),
            before: Some(each.from),
            after: each.to,
        };
        let mut intent = Intent {
            id: String::new(),
            project: project.clone(),
            repository: repository.clone(),
            actor: who.clone(),
            received: self.shared.store.now(),
            options: Vec::new(),
            commands: moves.into_iter().map(command).collect(),
        };
        let write = move |tx: &mut Tx<'_>| {
            intent.id = tx.id()?.as_str().to_owned();
            settle::write(tx, &intent)?;
            Ok(intent)
        };
        let intent = self.shared.store.write(write).await?;
        let args = ["update-ref", "--stdin"];
        // All or none: what git reads here is one transaction.
        let made = self.shared.git.output_of(dir, &args, input.into_bytes()).await;
        drop(lock);
        self.settle(&intent, None).await?;
        made.map(drop)
    }

    async fn point(
        &self,
        project: &Name,
        repository: &Name,
        name: &str,
        commit: Option<&str>,
    ) -> Result<()> {
        let ours = name.starts_with("refs/merge-requests/") && refname::check(name).is_ok();
        if !ours {
            return Err(Error::internal(format!("{name} is not a ref to keep")));
        }
        let dir = self.path(project, repository);
        if !dir.is_dir() {
            return Ok(());
        }
        let args = match commit {
            Some(commit) => {
                whole(&[commit])?;
                vec!["update-ref", name, commit]
            }
            None => vec!["update-ref", "-d", name],
        };
        self.shared.git.output(&dir, &args).await.map(drop)
    }
}

/// Only whole object ids go on to git.
fn whole(ids: &[&str]) -> Result<()> {
    match ids.iter().find(|id| !refname::is_oid(id)) {
        None => Ok(()),
        Some(id) => Err(Error::not_found("commit.unknown", {
            let shown = kernel::shown(id);
            text!("there is no commit {shown}", "{shown} 커밋이 없습니다")
        })),
    }
}

fn line(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// A name as it may stand in the line of a commit.
fn named(words: &str) -> String {
    let kept: String = words.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
    let kept = kept.trim();
    if kept.is_empty() { "nobody".to_owned() } else { kept.to_owned() }
}

fn busy() -> Error {
    let say = Text::fixed("the repository is busy", "저장소가 사용 중입니다");
    Error::new(ErrorKind::Busy, "repository.busy", say)
}

fn moved(branch: &str) -> Error {
    let shown = kernel::shown(branch);
    Error::conflict(
        "branch.moved",
        text!("{shown} has moved meanwhile", "그사이 {shown} 브랜치가 움직였습니다"),
    )
    .hint(Text::fixed("look again and retry", "다시 확인한 뒤 시도하세요"))
}

fn protected(branch: &str) -> Error {
    let shown = kernel::shown(branch);
    Error::forbidden(
        "branch.protected",
        text!(
            "{shown} is protected: you may not merge into it",
            "{shown} 브랜치는 보호되어 있어 병합할 수 없습니다"
        ),
    )
    .hint(Text::fixed(
        "ask somebody who may, or an owner to change `protected` of the repository",
        "권한이 있는 사람에게 부탁하거나 소유자에게 저장소의 `protected` 변경을 요청하세요",
    ))
}

impl Branches for Git {
    fn tip<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(self.branch_tip(project, repository, branch))
    }

    fn branches<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
    ) -> BoxFuture<'a, Result<(String, Vec<String>)>> {
        Box::pin(async move {
            let refs = self.refs(project, repository).await?;
            Ok((refs.default_branch, refs.branches.into_iter().map(|b| b.name).collect()))
        })
    }

    fn compare<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        target: &'a str,
        head: &'a str,
    ) -> BoxFuture<'a, Result<Comparison>> {
        Box::pin(self.stand(project, repository, target, head))
    }

    fn difference<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        from: &'a str,
        to: &'a str,
    ) -> BoxFuture<'a, Result<Difference>> {
        Box::pin(self.differ(project, repository, from, to))
    }

    fn join<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        join: &'a Join,
    ) -> BoxFuture<'a, Result<std::result::Result<String, Vec<String>>>> {
        Box::pin(self.merged(project, repository, join))
    }

    fn advance<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        who: &'a Principal,
        moves: Vec<Move>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.move_branches(project, repository, who, moves))
    }

    fn may_merge<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        who: &'a Principal,
        branch: &'a str,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.allows(project, repository, who, branch))
    }

    fn keep<'a>(
        &'a self,
        project: &'a Name,
        repository: &'a Name,
        refname: &'a str,
        commit: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.point(project, repository, refname, commit))
    }
}
