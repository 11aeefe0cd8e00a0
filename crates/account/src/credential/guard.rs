//! Tries at an account: admitted within their budgets, told of when they fail, and counted again after a restart.

use super::attempts::{Source, Try};
use super::factors::{Factors, Owner, fact};
use super::sign_in::Visitor;
use crate::Accounts;
use kernel::{Error, ErrorKind, Event, NewEvent, Principal, Result, Text, Time, text};
use std::sync::PoisonError;
use std::time::Duration;
use store::{Filter, Tx, View};

/// What happened to a sign-in, in the journal.
const FAILED: &str = "sign-in.failed";
/// Failures older than this slow nobody any more.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);
/// Failures recalled at a start; before so many, an attacker's are among them all the same.
const RECALLED: usize = 10_000;

impl Accounts {
    pub(super) fn attempt(&self, account: &str, factors: &Factors, visitor: &Visitor) -> Try {
        let (now, source) = (self.store().now(), visitor.source());
        Try {
            account: account.to_owned(),
            source,
            device: visitor.device.as_ref().and_then(|cookie| factors.device(cookie, now)),
            familiar: factors.familiar(&source.to_string(), now),
        }
    }

    pub(super) fn admit(&self, of: &Try) -> Result<()> {
        let mut attempts = self.desk().attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.admit(self.store().now(), of).map_err(slow)
    }

    pub(super) fn passed(&self, of: &Try) {
        let mut attempts = self.desk().attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.passed(self.store().now(), of);
    }

    /// Writes a failed try down. What was typed as a name is written only if it is one: it may be a password.
    pub(super) async fn tell_failed(&self, owner: Option<&Owner>, visitor: &Visitor) -> Result<()> {
        let from = visitor.source();
        let event = match owner {
            Some(Owner { name, .. }) => {
                let say = text!(
                    "sign-in of {name} refused, from {from}",
                    "{name} 로그인 거절, {from}에서"
                );
                fact(FAILED, name, Principal::Anonymous, say)
            }
            None => {
                let say = text!("sign-in refused, from {from}", "로그인 거절, {from}에서");
                NewEvent::new(FAILED, Principal::Anonymous, say)
            }
        };
        self.store().write(move |tx: &mut Tx<'_>| tx.append(event)).await.map(drop)
    }

    /// Counts the failures of the last half hour again, which an earlier server had counted: who guesses does not get
    /// new tries by a restart.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn recall_failures(&self) -> Result<()> {
        let since = Time(self.store().now().0 - REMEMBERED.as_millis() as i64);
        let filter = Filter { kind: Some(FAILED.to_owned()), ..Filter::default() };
        let read = move |v: &View<'_>| v.events_back(u64::MAX, RECALLED, &filter);
        let failed = self.store().read(read).await?;
        let mut attempts = self.desk().attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for event in failed.iter().rev().filter(|event| event.time > since) {
            if let Some(source) = source_of(event) {
                let account = event.fact.subject.as_ref().map(|key| key.name.as_str());
                attempts.recall(event.time, account, source);
            }
        }
        Ok(())
    }
}

fn source_of(event: &Event) -> Option<Source> {
    let address = event.fact.origin.as_ref()?.address.as_ref()?;
    address.parse().ok().map(Source::of)
}

fn slow(wait: Duration) -> Error {
    let seconds = wait.as_millis().div_ceil(1000);
    Error::new(
        ErrorKind::Busy,
        "sign-in.slow",
        text!(
            "too many tries from here; the next one is in {seconds} s",
            "여기서 시도가 너무 많았습니다. {seconds}초 뒤에 다시 할 수 있습니다"
        ),
    )
    .hint(Text::fixed(
        "a browser that has signed in before, and a passkey, need not wait",
        "전에 로그인한 적이 있는 브라우저나 패스키는 기다리지 않습니다",
    ))
    .retry_after(u64::try_from(seconds).unwrap_or(60))
}
