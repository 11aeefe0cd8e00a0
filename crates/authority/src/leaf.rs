//! What roots sign: certificates of servers and clients.

use crate::root::{date, failed, sealed};
use crate::{Host, Root, Subtree};
use kernel::{Error, Result, Text, Time, text};
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, CrlDistributionPoint, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest life of what is signed.
pub const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);
/// For clocks that go behind ours.
const BEFORE: Duration = Duration::from_secs(3600);
/// Names in one certificate.
const NAMES: usize = 100;
/// The longest common name (RFC 5280, ub-common-name).
const COMMON: usize = 64;

/// What a certificate is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// Proving a server to its clients.
    Server,
    /// Proving a client to a server.
    Client,
}

/// The number of a certificate: 16 bytes in hexadecimal, the first six the time, so that they sort by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Serial(String);

impl Serial {
    /// # Errors
    /// Internal, when the system gives no randomness.
    pub fn draw(now: Time) -> Result<Serial> {
        let mut raw = [0; 16];
        getrandom::fill(&mut raw).map_err(Error::internal)?;
        // 48 bits of milliseconds begin with a zero bit for 4,000 years: the number is positive.
        let millis = u64::try_from(now.0).unwrap_or(0).to_be_bytes();
        raw.iter_mut().zip(millis.iter().skip(2)).for_each(|(place, byte)| *place = *byte);
        Ok(Serial(raw.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// # Errors
    /// `ca.serial-invalid`
    pub fn parse(words: &str) -> Result<Serial> {
        let plain: String = words.trim().to_ascii_lowercase().replace(':', "");
        if plain.len() == 32 && plain.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Serial(plain));
        }
        Err(Error::invalid(
            "ca.serial-invalid",
            Text::fixed(
                "a certificate's number is 32 hexadecimal digits",
                "인증서 번호는 16진수 32자리입니다",
            ),
        )
        .hint(Text::fixed("`naru ca ls` lists them", "`naru ca ls`가 목록을 보여 줍니다")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn der(&self) -> SerialNumber {
        let byte = |at: usize| self.0.get(at..at + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
        let raw: Vec<u8> = (0..self.0.len()).step_by(2).filter_map(byte).collect();
        SerialNumber::from_slice(&raw)
    }
}

/// A certificate to be signed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// At least one; the first is its common name, too.
    pub names: Vec<Host>,
    pub usage: Usage,
    /// At most [`LONGEST`], and never beyond the root's own.
    pub life: Duration,
    pub serial: Serial,
    /// Where the list of revoked ones is found.
    pub revocations: Option<String>,
}

/// A signed certificate and the time for which it holds.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The certificate itself, and the root's own by the root before it while that one is trusted.
    pub chain: Vec<CertificateDer<'static>>,
    pub from: Time,
    pub until: Time,
}

/// A request whose signature holds: whoever made it has the key.
pub struct Csr {
    inner: CertificateSigningRequestParams,
    pub names: Vec<Host>,
}

impl Csr {
    /// Reads PEM (RFC 2986). Of what it asks for, only its names are looked at.
    ///
    /// # Errors
    /// `ca.request-invalid`, `ca.name-invalid`.
    pub fn read(pem: &str) -> Result<Csr> {
        let inner = CertificateSigningRequestParams::from_pem(pem).map_err(bad_request)?;
        let host = |name: &SanType| match name {
            SanType::DnsName(name) => name.as_str().parse(),
            SanType::IpAddress(address) => Ok(Host::Address(*address)),
            _ => Err(bad_request("it asks for a name that is neither a host's nor an address")),
        };
        let names = inner.params.subject_alt_names.iter().map(host).collect::<Result<_>>()?;
        Ok(Csr { inner, names })
    }
}

fn bad_request(why: impl std::fmt::Display) -> Error {
    let why = why.to_string();
    Error::invalid(
        "ca.request-invalid",
        text!(
            "the certificate request cannot be used: {why}",
            "인증서 요청을 쓸 수 없습니다: {why}"
        ),
    )
    .hint(Text::fixed(
        "make one with: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=NAME -addext subjectAltName=DNS:NAME",
        "이렇게 만드세요: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=이름 -addext subjectAltName=DNS:이름",
    ))
}

/// A key of one's own and the request for it, both in PEM.
///
/// # Errors
/// Internal, when no key can be made.
pub fn key_and_csr(names: &[Host]) -> Result<(String, String)> {
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.iter().map(san).collect::<Result<_>>()?;
    params.distinguished_name = subject(names);
    let request = params.serialize_request(&key).map_err(failed)?;
    Ok((key.serialize_pem(), request.pem().map_err(failed)?))
}

impl Root {
    /// Signs for the key of a request.
    ///
    /// # Errors
    /// `ca.names`, `ca.outside`; internal, when signing fails.
    pub fn sign_request(&self, wanted: &Wanted, csr: &Csr, now: Time) -> Result<Signed> {
        self.sign(wanted, &csr.inner.public_key, now)
    }

    /// Signs for `key`.
    ///
    /// # Errors
    /// As [`Root::sign_request`].
    pub fn sign(&self, wanted: &Wanted, key: &impl PublicKeyData, now: Time) -> Result<Signed> {
        check(&wanted.names, &self.only)?;
        let from = Time(now.0.saturating_sub(millis(BEFORE)));
        let until = from.plus(wanted.life.min(LONGEST)).min(self.until);
        let params = params(wanted, from, until)?;
        let issuer = self.issuer()?;
        let own = params.signed_by(key, &issuer).map_err(failed)?;
        let chain = [Some(own.der().clone()), self.cross_at(now)].into_iter().flatten().collect();
        Ok(Signed { chain, from, until })
    }

    /// A certificate and its key for this very process: never written down by whoever asked for another's.
    ///
    /// # Errors
    /// As [`Root::sign_request`].
    pub fn sign_own(&self, wanted: &Wanted, now: Time) -> Result<(Signed, String)> {
        let key = KeyPair::generate().map_err(failed)?;
        Ok((self.sign(wanted, &key, now)?, sealed(&key)))
    }
}

fn params(wanted: &Wanted, from: Time, until: Time) -> Result<CertificateParams> {
    let purpose = match wanted.usage {
        Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
    };
    let points = wanted.revocations.iter();
    let points = points.map(|uri| CrlDistributionPoint { uris: vec![uri.clone()] });
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (date(from), date(until));
    params.serial_number = Some(wanted.serial.der());
    params.subject_alt_names = wanted.names.iter().map(san).collect::<Result<_>>()?;
    params.distinguished_name = subject(&wanted.names);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.crl_distribution_points = points.collect();
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn check(names: &[Host], only: &[Subtree]) -> Result<()> {
    if names.is_empty() || names.len() > NAMES {
        return Err(Error::invalid(
            "ca.names",
            text!(
                "a certificate has between 1 and {NAMES} names",
                "인증서의 이름은 1개에서 {NAMES}개까지입니다"
            ),
        ));
    }
    let outside = names.iter().find(|n| !only.is_empty() && !only.iter().any(|o| o.holds(n)));
    let Some(name) = outside else { return Ok(()) };
    let allowed = only.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Error::invalid(
        "ca.outside",
        text!(
            "the CA may not sign for {name}, only for {allowed}",
            "이 CA는 {name}에 서명할 수 없고, {allowed}에만 서명할 수 있습니다"
        ),
    ))
}

fn san(host: &Host) -> Result<SanType> {
    Ok(match host {
        Host::Name(name) => SanType::DnsName(name.as_str().try_into().map_err(failed)?),
        Host::Address(address) => SanType::IpAddress(*address),
    })
}

fn subject(names: &[Host]) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    // Clients look at the other names; this one is for people, and has a limit.
    if let Some(name) = names.iter().map(ToString::to_string).find(|n| n.len() <= COMMON) {
        subject.push(DnType::CommonName, name);
    }
    subject
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
