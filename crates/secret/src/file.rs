//! The master key in a file: the default, made at the first use.

use crate::error;
use crate::kms::{Kms, Wrapped};
use crate::seal::Key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kernel::{BoxFuture, Error, Id, Result, Text, text};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

const KIND: &str = "file";
/// Keys that are kept of those before, so that an older backup still opens.
const KEPT: usize = 20;
/// Bytes of the file that are read.
const LARGEST: u64 = 64 * 1024;

/// Master keys in a file that its owner alone can read (mode 0600). The newest wraps; older ones only unwrap.
#[derive(Clone)]
pub struct KeyFile {
    path: PathBuf,
    /// Two writers of this process meet here.
    writing: Arc<Mutex<()>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The newest last.
    keys: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: Id,
    /// Unix milliseconds, for people.
    made: i64,
    /// Base64.
    key: Zeroizing<String>,
}

impl KeyFile {
    pub fn new(path: &Path) -> KeyFile {
        KeyFile { path: path.to_owned(), writing: Arc::default() }
    }

    /// `None` when there is no file.
    fn read(&self) -> Result<Option<File>> {
        let shown = self.path.display().to_string();
        let found = match std::fs::metadata(&self.path) {
            Ok(found) => found,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(&shown, e)),
        };
        if found.mode() & 0o077 != 0 {
            let mode = found.mode() & 0o777;
            return Err(error::master_key(
                text!(
                    "the master key {shown} can be read by others (mode {mode:o})",
                    "마스터 키 {shown}을(를) 다른 사람도 읽을 수 있습니다 (모드 {mode:o})"
                ),
                text!(
                    "chmod 600 {shown}; if somebody may have read it, `naru secret key rotate` afterwards",
                    "chmod 600 {shown} 하세요. 누가 읽었을 수 있다면 그 뒤에 `naru secret key rotate`를 실행하세요"
                ),
            ));
        }
        if found.len() > LARGEST {
            return Err(unreadable(&shown, "it is too large"));
        }
        let bytes = Zeroizing::new(std::fs::read(&self.path).map_err(|e| unreadable(&shown, e))?);
        let file = serde_json::from_slice(&bytes);
        // What is wrong is not said: an error of the reader may show a piece of the file.
        file.map(Some).map_err(|_| unreadable(&shown, "it is not a file of master keys"))
    }

    /// Written beside and renamed, so that the file is whole at any moment.
    fn write(&self, file: &File) -> Result<()> {
        let bytes = Zeroizing::new(serde_json::to_vec_pretty(file).map_err(Error::internal)?);
        let beside = self.path.with_extension("new");
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut out = options.open(&beside)?;
            out.write_all(&bytes)?;
            out.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            match self.path.parent() {
                Some(dir) => std::fs::File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        let shown = self.path.display();
        write().map_err(|e| Error::internal(format!("the master key {shown}: {e}")))
    }

    fn add(&self) -> Result<Stored> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.read()?.unwrap_or_default();
        let fresh = fresh()?;
        let copy = Stored { id: fresh.id.clone(), made: fresh.made, key: fresh.key.clone() };
        file.keys.push(fresh);
        let surplus = file.keys.len().saturating_sub(KEPT);
        file.keys.drain(..surplus);
        self.write(&file)?;
        Ok(copy)
    }

    fn newest(&self) -> Result<Stored> {
        match self.read()?.and_then(|mut file| file.keys.pop()) {
            Some(newest) => Ok(newest),
            None => self.add(),
        }
    }

    fn find(&self, wrapped: &Wrapped) -> Result<Key> {
        let shown = self.path.display();
        let Some(file) = self.read()? else {
            return Err(error::master_key(
                text!(
                    "the master key {shown} is gone, and there are values sealed with it",
                    "봉인된 값이 있는데 마스터 키 {shown}이(가) 없습니다"
                ),
                text!(
                    "put {shown} back from the backup that has it; without it the values cannot be opened by anybody: remove those secrets and set them anew",
                    "백업에서 {shown}을(를) 되돌리세요. 이 키가 없으면 아무도 값을 열 수 없으니, 비밀 값을 지우고 새로 설정해야 합니다"
                ),
            ));
        };
        let id = &wrapped.key;
        let found = file.keys.into_iter().find(|k| k.id.as_str() == id);
        let found = found.ok_or_else(|| {
            error::master_key(
                text!(
                    "{shown} does not hold the master key {id} that the values are sealed with",
                    "{shown}에 값을 봉인한 마스터 키 {id}이(가) 없습니다"
                ),
                text!(
                    "put back the {shown} that belongs to this data directory: they are restored together",
                    "이 데이터 디렉터리에 맞는 {shown}을(를) 되돌리세요. 둘은 함께 복원해야 합니다"
                ),
            )
        })?;
        found.key()
    }
}

impl Stored {
    fn key(&self) -> Result<Key> {
        let bytes = STANDARD_NO_PAD.decode(self.key.as_bytes());
        Key::from_bytes(&Zeroizing::new(bytes.map_err(|_| error::damaged("the master key"))?))
    }
}

fn fresh() -> Result<Stored> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let made = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(Error::internal)?;
    let key = Zeroizing::new(STANDARD_NO_PAD.encode(Key::random()?.bytes()));
    Ok(Stored { id: Id::new(made, u128::from_le_bytes(random)), made, key })
}

fn unreadable(shown: &str, why: impl std::fmt::Display) -> Error {
    error::master_key(
        text!("the master key {shown} cannot be read", "마스터 키 {shown}을(를) 읽을 수 없습니다"),
        Text::fixed(
            "put it back as it was; it is never written over",
            "원래대로 되돌리세요. naru가 덮어쓰는 일은 없습니다",
        ),
    )
    .why(why)
}

impl Kms for KeyFile {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn wrap<'a>(&'a self, key: &'a Key, about: &'a str) -> BoxFuture<'a, Result<Wrapped>> {
        Box::pin(async move {
            let newest = self.newest()?;
            let sealed = newest.key()?.seal(key.bytes(), about.as_bytes())?;
            let (kms, key) = (KIND.to_owned(), newest.id.to_string());
            Ok(Wrapped { kms, key, sealed, derived: None })
        })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, about: &'a str) -> BoxFuture<'a, Result<Key>> {
        Box::pin(async move {
            Key::from_bytes(&self.find(wrapped)?.open(&wrapped.sealed, about.as_bytes())?)
        })
    }

    fn renew(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.add().map(drop) })
    }
}
