//! A store that is older than the record beside it: what it has forgotten is done again, and said.

use crate::admit::Rules;
use crate::record::{self, Missed};
use crate::{Accounts, held, number, session, token};
use kernel::{Key, NewEvent, Principal, Result, text};
use serde_json::Value;
use std::path::Path;
use store::{Filter, Put, Tx};

/// Events read at a time when the record catches up.
const PAGE: usize = 1000;

impl Accounts {
    /// Opens the record at `path`, tells the store what it has forgotten, and the record what it has missed.
    pub(crate) async fn remember(&self, path: &Path) -> Result<()> {
        let store = self.store();
        let (head, now) = (store.head(), store.now());
        if let Some(missed) = self.watch.record.open(path, head, now)? {
            tracing::warn!(
                credentials = missed.credentials.len(),
                barred = missed.barred.len(),
                "the store is older than what has ended since: it was put back from a copy"
            );
            self.watch.record.go_on(head, now)?;
            let accounts = self.clone();
            store.write(move |tx| accounts.mend(tx, &missed)).await?;
        }
        self.catch_up().await
    }

    /// Notes what a crash has kept from the record.
    async fn catch_up(&self) -> Result<()> {
        let Some(mut after) = self.watch.record.place() else { return Ok(()) };
        loop {
            let read = move |v: &store::View<'_>| v.events(after, PAGE, &Filter::default());
            let page = self.store().read(read).await?;
            page.iter().for_each(|event| self.watch.record.note(event));
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.seq,
                _ => return Ok(()),
            }
        }
    }

    fn mend(&self, tx: &mut Tx<'_>, missed: &Missed) -> Result<()> {
        let actor = Principal::part("account");
        number::skip(tx, missed.numbers.saturating_add(1))?;
        let mut ended = 0;
        for id in &missed.credentials {
            ended += usize::from(token::end(tx, id)? || session::end(tx, id)?);
        }
        for who in &missed.holders {
            held::end_all(tx, who, &actor)?;
        }
        for who in &missed.barred {
            bar(&self.rules(), tx, who, &actor)?;
        }
        let barred: Vec<String> = missed.barred.iter().map(Principal::to_string).collect();
        let barred = if barred.is_empty() { "-".to_owned() } else { barred.join(", ") };
        let say = text!(
            "the store is older than this server's record: {ended} tokens and sessions that had ended are ended again; disabled again: {barred}",
            "저장소가 이 서버의 기록보다 오래되었습니다. 이미 끝난 토큰과 세션 {ended}개를 다시 끝내고, 다시 비활성화: {barred}"
        );
        let data = record::told(missed, ended);
        tx.append(NewEvent::new("account.restored", actor, say).data(data)).map(drop)
    }
}

/// Disables whoever was disabled or deleted since. Whether they are to be deleted is people's to say. Of
/// administrators one is left: naru without any could not be mended.
fn bar(rules: &Rules<'_>, tx: &mut Tx<'_>, who: &Principal, actor: &Principal) -> Result<()> {
    let (kind, name) = match who {
        Principal::User(name) => (crate::kind::USER, name),
        Principal::Service(name) => (crate::kind::SERVICE, name),
        _ => return Ok(()),
    };
    let key = Key { kind: kind.to_owned(), project: None, name: name.clone() };
    let Some(mut resource) = tx.resource(&key)? else { return Ok(()) };
    let Some(spec) = resource.spec.as_object_mut() else { return Ok(()) };
    spec.insert("disabled".into(), Value::Bool(true));
    let put = Put {
        key,
        labels: resource.labels,
        spec: resource.spec,
        expected: None,
        actor: actor.clone(),
    };
    match rules.put(tx, put) {
        Err(error) if error.code() == "user.last-administrator" => {
            let say = text!(
                "{who} had been disabled, and is the last administrator of this older store",
                "{who}은(는) 비활성화되었지만 이 오래된 저장소의 마지막 관리자입니다"
            );
            held::end_all(tx, who, actor)?;
            tx.append(NewEvent::new("account.restored", actor.clone(), say)).map(drop)
        }
        done => done.map(drop),
    }
}
