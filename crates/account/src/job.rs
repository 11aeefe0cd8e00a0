//! Tokens of jobs: what an attempt of a job shows to this server to be its run.
//!
//! `naru_job_<run>-<step index>-<attempt>.<HMAC-SHA256 of that>`: nothing is stored for it, it needs no
//! revocation, and it works exactly as long as the engine says that the attempt runs, over restarts, too. As
//! a principal a run sees its own project and changes nothing.

use crate::{Accounts, Credential, CredentialKind, Proven, Signer, unauthenticated};
use kernel::{Id, Principal, Result};

pub(crate) const PREFIX: &str = "naru_job_";

/// Which attempt a token is for.
#[derive(Debug, PartialEq)]
pub(crate) struct Attempt {
    pub run: Id,
    pub index: usize,
    pub attempt: u32,
}

impl Attempt {
    /// `<run>-<step index>-<attempt>`
    pub fn parse(words: &str) -> Option<Attempt> {
        let mut words = words.split('-');
        let run = Id::parse(words.next()?)?;
        let (index, attempt) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(Attempt { run, index, attempt })
    }
}

impl Accounts {
    /// Accepts the tokens of jobs that `signer` makes. A second call changes nothing.
    pub fn trust(&self, signer: Signer) {
        let _ = self.inner.signer.set(signer);
    }

    /// Whose token of a job this is.
    ///
    /// # Errors
    /// `auth.required`, whatever is wrong with it: a forged one, one of an attempt that is over.
    pub(crate) async fn job(&self, token: &str) -> Result<Proven> {
        let seen = self.watch.live.count();
        let signer = self.inner.signer.get().ok_or_else(unauthenticated)?;
        let Attempt { run, index, attempt } = signer.attempt(token).ok_or_else(unauthenticated)?;
        let id = run.clone();
        let alive = self.store().read(move |v| run::is_running(v, &id, index, attempt)).await?;
        if !alive {
            return Err(unauthenticated());
        }
        let id = format!("{run}-{index}-{attempt}");
        let credential = Credential { kind: CredentialKind::Job, id, ..Credential::none() };
        Ok(Proven { principal: Principal::Run(run.to_string()), credential, seen })
    }
}
