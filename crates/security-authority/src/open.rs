//! The internal CA, opened.

use crate::keep::Own;
use crate::record::{self, Issued};
use authority::{Csr, Fingerprint, Host, Keep, Serial, Shown, Subtree, Usage, Wanted, to_pem};
use kernel::{Error, ErrorKind, Principal, Result, Text, Time, text};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::Store;

/// How long the root before goes on to be trusted, unless somebody says otherwise: as long as anything it has signed.
pub const OVERLAP: Duration = authority::LONGEST;
/// How long a list of revoked certificates is given out as it was signed.
const FRESH: Duration = Duration::from_secs(3600);

pub struct Options {
    pub store: Store,
    /// The keys of the roots: `authority.json`.
    pub file: PathBuf,
    /// The certificate of this server: `server-certificate.json`.
    pub own: PathBuf,
    /// Where the trusted roots are written for the programs of this machine: `ca.pem`.
    pub public: PathBuf,
    /// Where people reach this server.
    pub url: String,
    /// What this server's certificate is for, and who is shown it; `None` where nothing speaks TLS.
    pub serves: Option<Serves>,
    /// Makes a new CA in place of one whose key is lost.
    pub anew: bool,
}

/// How the internal CA serves this very server.
#[derive(Clone)]
pub struct Serves {
    pub names: Vec<Host>,
    pub shown: Arc<Shown>,
    /// What somebody has brought, to be read again when it changes.
    pub brought: Option<authority::Files>,
}

/// A handle; clones share it.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    options: Options,
    state: Mutex<State>,
    /// Signed lists by their root.
    lists: Mutex<HashMap<Fingerprint, (Time, Vec<u8>)>>,
}

enum State {
    Ready(Keep),
    /// Nothing is signed, and whoever asks is told why.
    Lost(Error),
}

/// What is known to everybody of a root.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Known {
    pub fingerprint: Fingerprint,
    pub name: String,
    pub made: Time,
    pub until: Time,
    /// When it goes, once another has followed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retires: Option<Time>,
    /// What it may sign for; empty is everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Subtree>,
    pub pem: String,
}

/// A certificate that somebody asks for.
pub struct Asked {
    /// Its key, and proof that whoever asks has it.
    pub csr: Csr,
    /// Empty: those of the request.
    pub names: Vec<Host>,
    pub usage: Usage,
    pub life: Duration,
}

impl Authority {
    /// Reads the roots, or makes the first one, and the certificate of this server where it is to have one.
    ///
    /// # Errors
    /// `ca.key-lost`, `ca.key-damaged` and the like, where TLS needs the CA; elsewhere those are told to whoever asks
    /// for a certificate. The store's.
    pub async fn open(options: Options) -> Result<Authority> {
        let state = find(&options).await?;
        let authority = Authority(Arc::new(Inner {
            options,
            state: Mutex::new(state),
            lists: Mutex::default(),
        }));
        let lost = match &*authority.state() {
            State::Lost(error) => Some(error.clone()),
            State::Ready(_) => None,
        };
        match (lost, &authority.0.options.serves) {
            (Some(error), Some(_)) => return Err(error),
            (Some(error), None) => tracing::error!(%error, "the internal CA signs nothing"),
            (None, _) => {
                authority.publish()?;
                authority.renew().await?;
            }
        }
        Ok(authority)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Keep) -> Result<T>) -> Result<T> {
        match &mut *self.state() {
            State::Ready(keep) => work(keep),
            State::Lost(error) => Err(error.clone()),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }

    fn now(&self) -> Time {
        self.0.options.store.now()
    }

    /// The roots to trust, the one that signs first.
    ///
    /// # Errors
    /// Why there is none.
    pub fn roots(&self) -> Result<Vec<Known>> {
        let now = self.now();
        self.with(|keep| {
            let known = |root: &authority::Root| Known {
                fingerprint: root.fingerprint(),
                name: root.name(),
                made: root.made,
                until: root.until,
                retires: root.retires,
                only: root.only.clone(),
                pem: to_pem(&root.certificate),
            };
            Ok(keep.trusted(now).map(known).collect())
        })
    }

    /// The roots to trust, as PEM.
    ///
    /// # Errors
    /// Why there is none.
    pub fn bundle(&self) -> Result<String> {
        Ok(self.roots()?.into_iter().map(|root| root.pem).collect())
    }

    /// The root that signs, in DER.
    ///
    /// # Errors
    /// Why there is none.
    pub fn der(&self) -> Result<Vec<u8>> {
        self.with(|keep| Ok(keep.root()?.certificate.to_vec()))
    }

    /// Signs for somebody; the chain in PEM.
    ///
    /// # Errors
    /// `ca.names`, `ca.outside`, why there is no CA; the store's, and then nobody gets it.
    pub async fn issue(&self, asked: Asked, by: Principal) -> Result<(Issued, String)> {
        let now = self.now();
        let Asked { csr, names, usage, life } = asked;
        let names = if names.is_empty() { csr.names.clone() } else { names };
        let (issued, chain) = self.with(|keep| {
            let root = keep.root()?;
            let serial = Serial::draw(now)?;
            let revocations = Some(self.revocations_at(&root.fingerprint()));
            let wanted =
                Wanted { names: names.clone(), usage, life, serial: serial.clone(), revocations };
            let signed = root.sign_request(&wanted, &csr, now)?;
            let chain: String = signed.chain.iter().map(|der| to_pem(der)).collect();
            let (root, expires) = (root.fingerprint(), signed.until);
            let issued =
                Issued { serial, names, usage, by, issued: now, expires, root, revoked: None };
            Ok((issued, chain))
        })?;
        let row = issued.clone();
        self.0.options.store.write(move |tx| record::write(tx, &row)).await?;
        Ok((issued, chain))
    }

    /// Takes a certificate back. This server's own is replaced at once.
    ///
    /// # Errors
    /// `ca.certificate-unknown`, `ca.certificate-revoked`.
    pub async fn revoke(&self, serial: Serial, by: Principal) -> Result<Issued> {
        let taken = serial.clone();
        let gone = self.0.options.store.write(move |tx| record::revoke(tx, &taken, by)).await?;
        self.lists().remove(&gone.root);
        if Own::read(&self.0.options.own).is_some_and(|own| own.serial == serial) {
            // Should the write fail, the file is gone, and so is what it held.
            let _ = std::fs::remove_file(&self.0.options.own);
            self.renew().await?;
        }
        Ok(gone)
    }

    /// The list of what a root has taken back, by the root's short name, in DER.
    ///
    /// # Errors
    /// `ca.root-unknown`
    pub async fn revocations(&self, short: &str) -> Result<Vec<u8>> {
        let now = self.now();
        let root = self.with(|keep| {
            let found = keep.roots().map(authority::Root::fingerprint).find(|f| f.short() == short);
            found.ok_or_else(unknown_root)
        })?;
        if let Some((at, list)) = self.lists().get(&root)
            && *at <= now
            && now.since(*at) < FRESH
        {
            return Ok(list.clone());
        }
        let revoked = self.0.options.store.read(move |v| record::revoked(v, &root)).await?;
        let list = self.with(|keep| {
            let signer = keep.roots().find(|r| r.fingerprint() == root);
            signer.ok_or_else(unknown_root)?.revocations(&revoked, now)
        })?;
        self.lists().insert(root, (now, list.clone()));
        Ok(list)
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<Fingerprint, (Time, Vec<u8>)>> {
        self.0.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the list of a root is found: in plain HTTP it would be as good, because it is signed, but there may be
    /// none.
    fn revocations_at(&self, root: &Fingerprint) -> String {
        format!("{}/ca/revoked/{}", self.0.options.url, root.short())
    }

    /// A new root, which signs from now on; the one before is trusted for `overlap` more.
    ///
    /// # Errors
    /// Why there is no CA; internal, when the keys cannot be written, and then nothing has changed.
    pub async fn rotate(
        &self,
        only: Vec<Subtree>,
        overlap: Duration,
        by: Principal,
    ) -> Result<Vec<Known>> {
        let now = self.now();
        let root = self.with(|keep| {
            keep.rotate(now, only, overlap)?;
            Ok(keep.root()?.fingerprint())
        })?;
        let noted = move |tx: &mut store::Tx<'_>| record::root(tx, "ca.rotated", &root, by);
        self.0.options.store.write(noted).await?;
        self.publish()?;
        self.renew().await?;
        self.roots()
    }

    /// Makes this server's certificate anew when it is due, and shows it from then on. Whether it was.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub(crate) async fn renew(&self) -> Result<bool> {
        let options = &self.0.options;
        let Some(serves) = &options.serves else { return Ok(false) };
        let now = self.now();
        let kept = Own::read(&options.own);
        let root = self.with(|keep| Ok(keep.root()?.fingerprint()))?;
        let good = |own: &Own| self.with(|k| Ok(own.serves(k.root()?, &serves.names, now)));
        if let Some(own) = kept.filter(|own| good(own).unwrap_or(false)) {
            serves.shown.renew(own.certified()?);
            return Ok(false);
        }
        let list = self.revocations_at(&root);
        let own = self.with(|keep| Own::make(keep.root()?, &serves.names, &list, now))?;
        let issued = Issued {
            serial: own.serial.clone(),
            names: own.names.clone(),
            usage: Usage::Server,
            by: Principal::part("authority"),
            issued: now,
            expires: own.until,
            root,
            revoked: None,
        };
        options.store.write(move |tx| record::write(tx, &issued)).await?;
        own.write(&options.own)?;
        serves.shown.renew(own.certified()?);
        Ok(true)
    }

    /// When this server's certificate is due, if it has one.
    pub(crate) fn due(&self) -> Option<Time> {
        self.0.options.serves.as_ref()?;
        Own::read(&self.0.options.own).map(|own| authority::next(own.from, own.until))
    }

    /// Forgets roots that nobody trusts any more, and what ended a year ago.
    pub(crate) async fn tidy(&self) -> Result<()> {
        const YEAR: i64 = 365 * 24 * 3600 * 1000;
        let now = self.now();
        if self.with(|keep| keep.forget(now))? {
            self.publish()?;
        }
        let before = Time(now.0.saturating_sub(YEAR));
        self.0.options.store.write(move |tx| record::sweep(tx, before)).await.map(drop)
    }

    /// Writes the trusted roots for the programs of this machine.
    fn publish(&self) -> Result<()> {
        let words = self.bundle()?;
        public(&self.0.options.public, words.as_bytes())
    }
}

/// A file that everybody may read who gets that far.
fn public(file: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    authority::write_private(file, bytes)
}

/// The roots in the file, held against what the store knows of them.
async fn find(options: &Options) -> Result<State> {
    let known = options.store.read(record::known).await?;
    let now = options.store.now();
    let noted = async |kind: &'static str, root: Fingerprint| {
        let by = Principal::part("authority");
        options.store.write(move |tx| record::root(tx, kind, &root, by)).await
    };
    let read = match Keep::read(&options.file) {
        Ok(None) if known.is_some() => Err(lost(&options.file)),
        read => read,
    };
    match read {
        Ok(Some(keep)) => {
            let root = keep.root()?.fingerprint();
            match known {
                Some(known) if known == root => {}
                Some(_) => noted("ca.changed", root).await?,
                None => noted("ca.created", root).await?,
            }
            Ok(State::Ready(keep))
        }
        Err(error) if !options.anew => Ok(State::Lost(error)),
        Ok(None) | Err(_) => {
            let keep = Keep::make(&options.file, now, Vec::new())?;
            noted("ca.created", keep.root()?.fingerprint()).await?;
            Ok(State::Ready(keep))
        }
    }
}

fn lost(file: &Path) -> Error {
    let shown = file.display();
    Error::new(
        ErrorKind::Unavailable,
        "ca.key-lost",
        text!(
            "the key of the internal CA is gone: there is no {shown}",
            "내부 CA의 키가 사라졌습니다. {shown} 파일이 없습니다"
        ),
    )
    .hint(Text::fixed(
        "restore it from a backup; without one, start once with `naru up --new-ca`: then every client has to trust the new CA",
        "백업에서 되돌리세요. 백업이 없다면 한 번 `naru up --new-ca`로 시작하세요. 그러면 모든 클라이언트가 새 CA를 신뢰해야 합니다",
    ))
}

fn unknown_root() -> Error {
    Error::not_found(
        "ca.root-unknown",
        Text::fixed("there is no such root", "그런 루트는 없습니다"),
    )
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
