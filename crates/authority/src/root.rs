//! Roots: what clients trust.

use crate::{Fingerprint, Serial, Subtree};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Error, Result, Time};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Ten years, less their leap days.
const LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// How long a list of revoked certificates may be kept by whoever has fetched it.
const LIST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A root with its key.
pub struct Root {
    pub made: Time,
    pub until: Time,
    /// When it is trusted no more, once another has followed it.
    pub retires: Option<Time>,
    /// What it may sign for; empty is everything.
    pub only: Vec<Subtree>,
    pub certificate: CertificateDer<'static>,
    /// The same key and name, signed by the root before it.
    cross: Option<Cross>,
    key: KeyPair,
}

#[derive(Clone, Serialize, Deserialize)]
struct Cross {
    /// Base64 of DER.
    certificate: String,
    until: Time,
}

/// A root in its file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    made: Time,
    until: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retires: Option<Time>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<Subtree>,
    /// Base64 of DER.
    certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cross: Option<Cross>,
    /// PKCS #8 in base64.
    pkcs8: String,
}

/// A certificate that is to be believed no more.
#[derive(Clone, Debug)]
pub struct Revoked {
    pub serial: Serial,
    pub at: Time,
}

impl Root {
    /// Makes a root that may sign for what is below `only`, or for everything.
    ///
    /// # Errors
    /// Internal, when no key can be made.
    pub fn make(now: Time, only: Vec<Subtree>) -> Result<Root> {
        let key = KeyPair::generate().map_err(failed)?;
        let from = Time(now.0.saturating_sub(86_400_000));
        let until = from.plus(LIFE);
        let mut params = authority(from, until, &only, 1)?;
        params.distinguished_name = name(&key);
        let certificate = params.self_signed(&key).map_err(failed)?.der().clone();
        Ok(Root { made: now, until, retires: None, only, certificate, cross: None, key })
    }

    /// The root that follows this one, which retires `overlap` from now and says until then that it trusts the new.
    ///
    /// # Errors
    /// Internal, when no key can be made.
    pub fn follow(&mut self, now: Time, only: Vec<Subtree>, overlap: Duration) -> Result<Root> {
        let mut next = Root::make(now, only)?;
        let retires = now.plus(overlap).min(self.until);
        let from = Time(now.0.saturating_sub(86_400_000));
        let mut params = authority(from, retires, &next.only, 0)?;
        params.distinguished_name = name(&next.key);
        let cross = params.signed_by(&next.key, &self.issuer()?).map_err(failed)?;
        next.cross = Some(Cross { certificate: STANDARD.encode(cross.der()), until: retires });
        self.retires = Some(retires);
        Ok(next)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The name in the certificate.
    pub fn name(&self) -> String {
        common(&self.key)
    }

    /// Whether clients are still to trust it.
    pub fn trusted(&self, now: Time) -> bool {
        now < self.retires.unwrap_or(self.until)
    }

    /// The list of what it has signed and takes back (RFC 5280 §5), in DER.
    ///
    /// # Errors
    /// Internal, when signing fails.
    pub fn revocations(&self, revoked: &[Revoked], now: Time) -> Result<Vec<u8>> {
        let entry = |revoked: &Revoked| RevokedCertParams {
            serial_number: revoked.serial.der(),
            revocation_time: date(revoked.at),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date(now),
            next_update: date(now.plus(LIST)),
            crl_number: SerialNumber::from_slice(&now.0.max(1).to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer()?).map_err(failed)?.der().to_vec())
    }

    pub(crate) fn issuer(&self) -> Result<Issuer<'static, &KeyPair>> {
        Issuer::from_ca_cert_der(&self.certificate, &self.key).map_err(failed)
    }

    /// Its own certificate by the root before it, while that one is trusted.
    pub(crate) fn cross_at(&self, now: Time) -> Option<CertificateDer<'static>> {
        let cross = self.cross.as_ref().filter(|cross| now < cross.until)?;
        Some(STANDARD.decode(&cross.certificate).ok()?.into())
    }

    pub(crate) fn stored(&self) -> Stored {
        Stored {
            made: self.made,
            until: self.until,
            retires: self.retires,
            only: self.only.clone(),
            certificate: STANDARD.encode(&self.certificate),
            cross: self.cross.clone(),
            pkcs8: STANDARD.encode(self.key.serialized_der()),
        }
    }

    /// `None` when the key is none, or not that of the certificate.
    pub(crate) fn read(stored: Stored) -> Option<Root> {
        let certificate = CertificateDer::from(STANDARD.decode(&stored.certificate).ok()?);
        let pkcs8 = STANDARD.decode(&stored.pkcs8).ok()?;
        let key = KeyPair::try_from(pkcs8.as_slice()).ok()?;
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).ok()?;
        let spki = parsed.subject_public_key_info();
        let own = spki.windows(key.public_key_raw().len()).any(|w| w == key.public_key_raw());
        own.then_some(Root {
            made: stored.made,
            until: stored.until,
            retires: stored.retires,
            only: stored.only,
            certificate,
            cross: stored.cross,
            key,
        })
    }
}

fn authority(from: Time, until: Time, only: &[Subtree], below: u8) -> Result<CertificateParams> {
    let names = || NameConstraints {
        permitted_subtrees: only.iter().map(Subtree::der).collect(),
        excluded_subtrees: Vec::new(),
    };
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date(from), date(until));
    params.serial_number = Some(Serial::draw(from)?.der());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = (!only.is_empty()).then(names);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Two roots never have one name: clients choose by it.
fn common(key: &KeyPair) -> String {
    let id = Fingerprint::of(key.public_key_raw()).short();
    format!("naru internal CA {id}")
}

fn name(key: &KeyPair) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "naru");
    name.push(DnType::CommonName, common(key));
    name
}

/// A key in PEM.
pub(crate) fn sealed(key: &KeyPair) -> String {
    key.serialize_pem()
}

/// X.509 has whole seconds. Times before 1970 are 1970.
pub(crate) fn date(time: Time) -> time::OffsetDateTime {
    let seconds = u64::try_from(time.0 / 1000).unwrap_or(0);
    // Where generalized time ends, the year 9999.
    let seconds = seconds.min(253_402_300_799);
    rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
}

pub(crate) fn failed(why: impl std::fmt::Display) -> Error {
    Error::internal(format!("a certificate cannot be made: {why}"))
}
