//! A pipeline file that somebody sends, looked at with the server's eyes: as if it were the file of a commit
//! here, with everything that whoever asks may include.

use crate::Pipelines;
use crate::gitlab::{FILE, Files, Got, Wanted};
use crate::lint::{self, Lint, Suppose};
use crate::shelf::Shelf;
use crate::tip::{self, Tip};
use kernel::{Error, Lang, Name, Principal, Result, Text};
use policy::Permission;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A file and what to suppose.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Look {
    pub content: String,
    /// Files by path, over those of the commit.
    #[serde(default)]
    pub includes: BTreeMap<String, String>,
    #[serde(flatten)]
    pub suppose: Suppose,
}

impl Pipelines {
    /// What is wrong with the file is in the answer.
    ///
    /// # Errors
    /// `project.unknown` for a repository that `who` may not see, and faults of ours.
    pub async fn look(&self, who: &Principal, ask: Look, lang: Lang) -> Result<Lint> {
        let Look { content, includes, mut suppose } = ask;
        let parts = &self.0;
        let tip = match &suppose.path {
            Some(path) => self.supposed(who, path, &suppose).await?,
            None => None,
        };
        suppose.url = Some(parts.url.clone());
        if let Some(tip) = &tip
            && tip.default_branch
        {
            suppose.default_branch = tip.branch.clone();
        }
        let laid = includes.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        let shelf = Shelf { parts, tip: tip.as_ref(), who, laid: &laid };
        let mut files = Files::default();
        files.insert(Wanted::here(FILE), Got::File(content.into_bytes()));
        lint::look(&shelf, FILE, files, &suppose, lang).await
    }

    /// The commit that the file is looked at with; `None` for a branch that nobody has pushed.
    async fn supposed(
        &self,
        who: &Principal,
        path: &str,
        suppose: &Suppose,
    ) -> Result<Option<Tip>> {
        let (project, repository) = path.split_once('/').ok_or_else(|| {
            let say = Text::fixed("write PROJECT/REPOSITORY", "프로젝트/저장소 꼴로 쓰세요");
            Error::invalid("path.invalid", say)
        })?;
        let (project, repository) = (Name::parse(project)?, Name::parse(repository)?);
        self.0.policy.may(who, Permission::View, &project).await?;
        let name = suppose.tag.clone().or_else(|| suppose.branch.clone());
        let find = move |v: &store::View<'_>| match &name {
            Some(name) => tip::find(v, &project, &repository, name),
            None => tip::default(v, &project, &repository),
        };
        let tip = self.0.store.read(find).await?;
        // What the last push changed says nothing about a file that was not pushed.
        Ok(tip.map(|tip| Tip { before: None, ..tip }))
    }
}
