//! Roles of PostgreSQL. The password goes over as a SCRAM verifier (RFC 5803), so that neither the wire nor the
//! server's own log has it; `VALID UNTIL` ends it even if nobody is left to drop it.

use super::{Lender, New, Server, failed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{BoxFuture, Error, Result, SecretText, Time};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

pub(super) struct Postgres;

/// To reach it, and to be let in.
const PATIENCE: Duration = Duration::from_secs(10);
/// PostgreSQL's own number.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
/// SSLRequest: its length and code (PostgreSQL, message formats).
const ASK_TLS: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// Nobody waits for another's lock for ever.
const BOUNDS: &str = "SET statement_timeout = '15s'; SET lock_timeout = '5s';";

fn no(why: impl std::fmt::Display) -> Error {
    failed(Lender::Postgres, why)
}

/// What the server says, without the statement.
fn said(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => no(kernel::shown(db.message())),
        // A library's error may quote what it was given; its kind is enough.
        None => no("the connection failed"),
    }
}

struct Place {
    config: Config,
    host: String,
    port: u16,
}

impl Place {
    fn read(at: &SecretText) -> Result<Place> {
        let wrong =
            || no("its connection is no URL such as postgresql://admin:…@db.example.com/orders");
        let config: Config = at.reveal().parse().map_err(|_| wrong())?;
        let Some(Host::Tcp(host)) = config.get_hosts().first().cloned() else {
            return Err(wrong());
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        Ok(Place { config, host, port })
    }

    /// In clear only to this machine.
    async fn enter(mut self) -> Result<Client> {
        let away = || no(format!("{}:{} cannot be reached", kernel::shown(&self.host), self.port));
        let stream = TcpStream::connect((self.host.as_str(), self.port));
        let mut stream = stream.await.map_err(|_| away())?;
        let here = stream.peer_addr().is_ok_and(|a| a.ip().is_loopback());
        let asked = self.config.get_ssl_mode();
        self.config.ssl_mode(SslMode::Disable);
        if here && asked != SslMode::Require {
            return attach(&self.config, stream).await;
        }
        let mut answer = [0];
        stream.write_all(&ASK_TLS).await.map_err(|_| away())?;
        stream.read_exact(&mut answer).await.map_err(|_| away())?;
        if answer != *b"S" {
            return Err(no("it has no TLS, and it is not on this machine"));
        }
        attach(&self.config, outgoing::secure(stream, &self.host).await?).await
    }

    /// As the account reaches it.
    fn url(&self, who: &str, password: &SecretText) -> SecretText {
        let words = |w: &str| utf8_percent_encode(w, NON_ALPHANUMERIC).to_string();
        let (host, port, database) =
            (&self.host, self.port, words(self.config.get_dbname().unwrap_or("postgres")));
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let mode = match self.config.get_ssl_mode() {
            SslMode::Require => "?sslmode=require",
            _ => "",
        };
        let password = password.reveal();
        SecretText::new(format!("postgresql://{who}:{password}@{host}:{port}/{database}{mode}"))
    }
}

async fn attach<S>(config: &Config, stream: S) -> Result<Client>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|e| said(&e))?;
    // Ends when the client is dropped.
    tokio::spawn(connection);
    client.batch_execute(BOUNDS).await.map_err(|e| said(&e))?;
    Ok(client)
}

async fn client(at: &SecretText) -> Result<Client> {
    let entering = Place::read(at)?.enter();
    tokio::time::timeout(PATIENCE, entering).await.map_err(|_| no("it does not answer"))?
}

fn identifier(words: &str) -> String {
    format!("\"{}\"", words.replace('"', "\"\""))
}

/// `SCRAM-SHA-256$<rounds>:<salt>$<stored key>:<server key>`
fn verifier(password: &SecretText, salt: &[u8; 16]) -> String {
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt,
        password.reveal().as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let (salt, stored) = (STANDARD.encode(salt), STANDARD.encode(stored.as_ref()));
    format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored}:{}", STANDARD.encode(server.as_ref()))
}

impl Server for Postgres {
    fn make<'a>(&'a self, at: &'a SecretText, new: New<'a>) -> BoxFuture<'a, Result<SecretText>> {
        Box::pin(async move {
            let New { who, password, grant, until } = new;
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(Error::internal)?;
            let (name, secret) = (identifier(who), verifier(password, &salt));
            let mut sql =
                format!("CREATE ROLE {name} LOGIN PASSWORD '{secret}' VALID UNTIL '{until}'");
            if !grant.is_empty() {
                let roles: Vec<String> = grant.iter().map(|role| identifier(role)).collect();
                sql.push_str(&format!(" IN ROLE {}", roles.join(", ")));
            }
            client(at).await?.batch_execute(&sql).await.map_err(|e| said(&e))?;
            Ok(Place::read(at)?.url(who, password))
        })
    }

    fn extend<'a>(
        &'a self,
        at: &'a SecretText,
        who: &'a str,
        until: Time,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let sql = format!("ALTER ROLE {} VALID UNTIL '{until}'", identifier(who));
            client(at).await?.batch_execute(&sql).await.map_err(|e| said(&e))
        })
    }

    fn drop_account<'a>(&'a self, at: &'a SecretText, who: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = client(at).await?;
            let known =
                client.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&who]).await;
            if known.map_err(|e| said(&e))?.is_none() {
                return Ok(());
            }
            let name = identifier(who);
            // Nobody new, then nobody there, then what it made is the administrator's.
            let shut = format!("ALTER ROLE {name} NOLOGIN; GRANT {name} TO CURRENT_USER");
            client.batch_execute(&shut).await.map_err(|e| said(&e))?;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
            client.query(end, &[&who]).await.map_err(|e| said(&e))?;
            let gone = format!(
                "REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
            );
            client.batch_execute(&gone).await.map_err(|e| said(&e))
        })
    }

    fn accounts<'a>(
        &'a self,
        at: &'a SecretText,
        (begin, end): (&'a str, &'a str),
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async move {
            let sql = "SELECT rolname::text FROM pg_roles WHERE starts_with(rolname, $1)";
            let rows = client(at).await?.query(sql, &[&begin]).await.map_err(|e| said(&e))?;
            let names = rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
            Ok(names.filter(|name| name.ends_with(end)).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677 §3, as PostgreSQL keeps it.
    #[test]
    fn a_verifier_is_the_one_that_the_server_would_make() {
        let salt: [u8; 16] =
            STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        assert_eq!(
            verifier(&SecretText::new("pencil"), &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn names_stay_names() {
        assert_eq!(identifier("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
        for wrong in
            ["", "mysql://x", "postgresql:///nohost", "host=/run/postgresql", "https://a/b"]
        {
            assert!(Place::read(&SecretText::new(wrong)).is_err(), "{wrong}");
        }
        let place =
            Place::read(&SecretText::new("postgresql://a:b@db:5433/or%20ders?sslmode=require"))
                .unwrap();
        let url = place.url("naru_x", &SecretText::new("pw"));
        assert_eq!(url.reveal(), "postgresql://naru_x:pw@db:5433/or%20ders?sslmode=require");
    }
}
