//! What a start does: the journal, the checkpoints in the store and those in the file are held against each other.

use crate::audit::Signing;
use crate::checkpoint::{Checkpoint, Lost, Standing};
use crate::key::SigningKey;
use crate::trail::{self, Meeting, PAGE, Trail, meet};
use kernel::{Error, NewEvent, Principal, Result, Text, text};
use serde_json::{Value, json};
use store::{Store, View};

/// Makes the three agree, and tells of what did not.
pub(crate) async fn settle(store: &Store, trail: &Trail, key: &SigningKey) -> Result<Signing> {
    let last = store.read(trail::last_row).await?;
    let number = last.as_ref().map_or(0, |c| c.number);
    let mut signing = Signing { last, filed: number };
    match meeting(store, trail, &signing).await? {
        Meeting::Same => {}
        Meeting::FileAhead(more) => adopt(store, &mut signing, more).await?,
        Meeting::FileBehind(filed) => {
            let say = text!(
                "the file of checkpoints ended at {filed} of {number}: it was cut, moved or lost, and is made whole again",
                "체크포인트 파일이 {number}개 가운데 {filed}번에서 끝났습니다. 잘렸거나 옮겨졌거나 잃어버린 것을 다시 채웠습니다"
            );
            tell(store, "audit.file-cut", say, json!({ "filed": filed, "kept": number })).await?;
            signing.filed = filed;
            catch_up(store, trail, &mut signing).await?;
        }
        Meeting::Apart => {
            let aside = trail.put_aside(store.now())?;
            let shown = aside.display();
            let say = text!(
                "the file of checkpoints tells another story than the store; it was put aside as {shown}",
                "체크포인트 파일과 저장소의 내용이 서로 다릅니다. 파일을 {shown}(으)로 치워 두었습니다"
            );
            tell(store, "audit.diverged", say, Value::Null).await?;
            signing.filed = 0;
            catch_up(store, trail, &mut signing).await?;
        }
    }
    recognize(store, trail, key, &mut signing).await?;
    Ok(signing)
}

async fn meeting(store: &Store, trail: &Trail, signing: &Signing) -> Result<Meeting> {
    let (own, from) = (trail.clone(), signing.filed);
    let read =
        tokio::task::spawn_blocking(move || own.tail(from)).await.map_err(Error::internal)?;
    let tail = match read {
        Ok(tail) => tail,
        Err(error) if error.code() == "audit.checkpoints-damaged" => return Ok(Meeting::Apart),
        Err(error) => return Err(error),
    };
    let last = signing.last.clone();
    store.read(move |v| meet(last.as_ref(), tail, |n| v.row(trail::ROWS, &trail::row_key(n)))).await
}

/// What the file has and the store has not.
async fn adopt(store: &Store, signing: &mut Signing, more: Vec<Checkpoint>) -> Result<()> {
    signing.last = more.last().cloned();
    signing.filed = signing.last.as_ref().map_or(0, |c| c.number);
    store.write(move |tx| more.iter().try_for_each(|checkpoint| trail::keep(tx, checkpoint))).await
}

/// Whether the journal still has what was signed last. If not, that is said: in the journal, in the log, and by a
/// checkpoint from which on it counts again.
async fn recognize(
    store: &Store,
    trail: &Trail,
    key: &SigningKey,
    signing: &mut Signing,
) -> Result<()> {
    let Some(last) = signing.last.clone() else { return Ok(()) };
    let Some(lost) = store.read(move |v| lost(v, &last)).await? else { return Ok(()) };
    let Lost { after, through } = lost;
    let say = text!(
        "the journal does not have what was signed after entry {after}, up to entry {through}: it was cut, or put back to an older copy. Whatever was revoked since then counts again: revoke it once more",
        "저널에 {after}번 다음부터 {through}번까지 서명되었던 항목이 없습니다. 잘렸거나 옛 사본으로 되돌려졌습니다. 그 뒤에 폐기한 것은 다시 유효하므로 한 번 더 폐기하세요"
    );
    let data = json!({ "after": after, "through": through });
    let seq = tell(store, "audit.rewound", say, data).await?;
    let hash = store.read(move |v| v.hash_at(seq)).await?.unwrap_or_default();
    let standing = Standing { seq, hash, time: store.now() };
    let made = Checkpoint::sign(key, signing.last.as_ref(), standing, Some(lost));
    file(store, trail, signing, &made).await?;
    let row = made.clone();
    store.write(move |tx| trail::keep(tx, &row)).await?;
    signing.last = Some(made);
    Ok(())
}

fn lost(view: &View<'_>, last: &Checkpoint) -> Result<Option<Lost>> {
    let holds = |c: &Checkpoint| Ok::<_, Error>(view.hash_at(c.seq)?.as_ref() == Some(&c.hash));
    if holds(last)? {
        return Ok(None);
    }
    let (mut before, mut through) = (None::<String>, last.seq);
    loop {
        let page: Vec<(String, Checkpoint)> =
            view.rows_back(trail::ROWS, "", before.as_deref(), PAGE)?;
        let Some((key, _)) = page.last() else { return Ok(Some(Lost { after: 0, through })) };
        before = Some(key.clone());
        for (_, c) in &page {
            if holds(c)? {
                return Ok(Some(Lost { after: c.seq, through }));
            }
            through = through.max(c.seq);
        }
    }
}

/// Appends to the file what it lacks, `made` last.
pub(crate) async fn file(
    store: &Store,
    trail: &Trail,
    signing: &mut Signing,
    made: &Checkpoint,
) -> Result<()> {
    catch_up(store, trail, signing).await?;
    if signing.filed + 1 == made.number && append(trail, vec![made.clone()]).await {
        signing.filed = made.number;
    }
    Ok(())
}

async fn catch_up(store: &Store, trail: &Trail, signing: &mut Signing) -> Result<()> {
    let most = signing.last.as_ref().map_or(0, |c| c.number);
    while signing.filed < most {
        let after = signing.filed;
        let rows = store.read(move |v| trail::rows(v, after, PAGE)).await?;
        let Some(last) = rows.last().map(|c| c.number) else { break };
        if !append(trail, rows).await {
            break;
        }
        signing.filed = last;
    }
    Ok(())
}

/// Whether they are on disk.
async fn append(trail: &Trail, all: Vec<Checkpoint>) -> bool {
    let own = trail.clone();
    let appended = tokio::task::spawn_blocking(move || own.append(&all)).await;
    match appended.map_err(Error::internal).and_then(|a| a) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "checkpoints could not be appended to their file; it will be made up for");
            false
        }
    }
}

async fn tell(store: &Store, kind: &'static str, say: Text, data: Value) -> Result<u64> {
    tracing::error!("{}", say.en);
    let event = NewEvent::new(kind, Principal::part("audit"), say).data(data);
    store.write(move |tx| tx.append(event)).await
}
