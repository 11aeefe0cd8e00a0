//! `naru up`: the platform, from the first listener to the last signal.

use crate::config::Config;
use crate::edge_tls::EdgeTls;
use crate::open::{self, Doors, Platform};
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use kernel::{Error, ErrorKind, Lang, Result, Text, text};
use rustix::fs::{FlockOperation, flock};
use rustls::ServerConfig;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub fn command(lang: Lang) -> clap::Command {
    let number = |name: &'static str, variable: &'static str, help: &'static str| {
        Arg::new(name).long(name).env(variable).value_parser(value_parser!(u64)).help(help)
    };
    clap::Command::new("up")
        .about(lang.pick("Start the platform on this machine", "이 기계에서 플랫폼을 시작합니다"))
        .arg(Arg::new("listen").long("listen").env("NARU_LISTEN").value_name("ADDR:PORT").help(
            lang.pick(
                "API, pages and git [default: 127.0.0.1:8080]; others than this machine need --tls",
                "API, 화면, git [기본: 127.0.0.1:8080]. 다른 기계에 열려면 --tls가 필요합니다",
            ),
        ))
        .arg(Arg::new("edge").long("edge").env("NARU_EDGE").value_name("ADDR:PORT").help(
            lang.pick(
                "The way in to services [default: 127.0.0.1:8000]",
                "서비스로 들어오는 길 [기본: 127.0.0.1:8000]",
            ),
        ))
        .args(crate::outside::args(lang))
        .args(crate::edge_tls::args(lang))
        .arg(number(
            "slots",
            "NARU_SLOTS",
            lang.pick(
                "Steps of runs at a time [default: 2 per core]",
                "동시에 실행할 단계 수 [기본: 코어당 2]",
            ),
        ))
        .arg(number(
            "push-limit",
            "NARU_PUSH_LIMIT",
            lang.pick(
                "Largest push in bytes [default: 1 GiB]",
                "푸시 하나의 최대 바이트 [기본: 1 GiB]",
            ),
        ))
        .arg(number("keep-runs", "NARU_KEEP_RUNS", lang.pick("Days that finished runs stay, but for the newest 200 of each project [default: 90]", "끝난 실행을 남기는 날수. 프로젝트마다 최근 200개는 더 남김 [기본: 90]")))
        .arg(number(
            "job-disk",
            "NARU_JOB_DISK",
            lang.pick(
                "Most bytes one job may write [default: 10 GiB]",
                "작업 하나가 쓸 수 있는 최대 바이트 [기본: 10 GiB]",
            ),
        ))
        .arg(number(
            "job-log",
            "NARU_JOB_LOG",
            lang.pick(
                "Most bytes of one job's log [default: 64 MiB]",
                "작업 하나가 남길 수 있는 로그의 최대 바이트 [기본: 64 MiB]",
            ),
        ))
        .arg(number(
            "environments",
            "NARU_ENVIRONMENTS",
            lang.pick(
                "Environments of a project that are open at a time [default: 50]",
                "프로젝트마다 동시에 열 수 있는 환경 수 [기본: 50]",
            ),
        ))
        .arg(number(
            "environment-instances",
            "NARU_ENVIRONMENT_INSTANCES",
            lang.pick(
                "Instances of services in all environments together [default: 100]",
                "모든 환경에 있는 서비스 인스턴스의 합 [기본: 100]",
            ),
        ))
        .arg(number(
            "first-uid",
            "NARU_FIRST_UID",
            lang.pick(
                "The first number by which Unix knows an account made here [default: 20000]",
                "여기서 만든 계정이 유닉스에서 쓸 첫 번호 [기본: 20000]",
            ),
        ))
        .args(master_key(lang))
        .arg(
            Arg::new("include-from")
                .long("include-from")
                .env("NARU_INCLUDE_FROM")
                .value_name("HOST[:PORT]")
                .value_delimiter(',')
                .action(ArgAction::Append)
                .help(lang.pick(
                    "A server that pipelines may include files from [default: none]",
                    "파이프라인이 파일을 포함해도 되는 서버 [기본: 없음]",
                )),
        )
        .arg(number(
            "audit-keep",
            "NARU_AUDIT_KEEP",
            lang.pick(
                "Days that entries of the journal stay; 0 is for ever [default: 0]",
                "저널 항목을 남기는 날수. 0이면 영원히 [기본: 0]",
            ),
        ))
        .arg(
            Arg::new("audit-checkpoints")
                .long("audit-checkpoints")
                .env("NARU_AUDIT_CHECKPOINTS")
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .help(lang.pick(
                    "Where signed checkpoints of the journal are appended, best on another disk [default: beside the data]",
                    "저널의 서명된 체크포인트를 덧붙일 파일. 다른 디스크가 좋습니다 [기본: 데이터 옆]",
                )),
        )
        .arg(Arg::new("demo").long("demo").action(ArgAction::SetTrue).help(lang.pick(
            "Carry a sample application's changes to production before your eyes",
            "예제 애플리케이션의 변경이 운영까지 가는 것을 눈앞에서 보여 줍니다",
        )))
}

pub fn main(matches: &ArgMatches, lang: Lang) -> Result<()> {
    log();
    let config = Config::read(matches)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8))
        .max_blocking_threads(32)
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(up(config, lang))
}

/// Warnings and errors to standard error; `NARU_LOG=debug` says more.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("NARU_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second subscriber is only possible in tests.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

async fn up(config: Config, lang: Lang) -> Result<()> {
    // Signals first: one that comes during the start must not be lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let tls = config.edge_tls.as_ref().map(EdgeTls::load).transpose()?;
    let lock = claim(&config.data)?;
    let doors = doors(&config, tls).await?;
    let stop = CancellationToken::new();
    let platform = open::open(&config, store::Options::default(), &doors).await?;
    let serving = platform.serve(doors, &stop).await?;
    announce(&platform).await?;
    let demo = config.demo.then(|| {
        let (demo, stop) = (crate::demo::Demo::new(&platform, &config, lang), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                outcome = demo.run() => if let Err(error) = outcome { cli::complain(&error, lang) },
                () = stop.cancelled() => {}
            }
        })
    });
    let keep = tokio::select! {
        _ = interrupt.recv() => false,
        _ = terminate.recv() => true,
    };
    if let Some(demo) = demo {
        demo.abort();
    }
    let words = if keep {
        ("stopping; services run on", "멈춥니다. 서비스는 계속 실행됩니다")
    } else {
        (
            "stopping, services too; `naru up` brings them back",
            "서비스까지 멈춥니다. `naru up`이 다시 살립니다",
        )
    };
    let _ = writeln!(std::io::stderr(), "{}", lang.pick(words.0, words.1));
    // A second Ctrl-C means now: what is on disk is enough to go on from.
    tokio::select! {
        () = platform.stop(serving, stop, keep) => {}
        _ = interrupt.recv() => {}
    }
    drop(lock);
    Ok(())
}

/// One server per data directory: the lock goes with the process, however it ends.
fn claim(data: &Path) -> Result<File> {
    let shown = data.display();
    let unusable = |e: std::io::Error| {
        let why = e.to_string();
        Error::invalid(
            "data.unusable",
            text!("cannot use {shown}: {why}", "{shown}을(를) 쓸 수 없습니다: {why}"),
        )
        .hint(Text::fixed(
            "name another directory with --data",
            "--data로 다른 디렉터리를 고르세요",
        ))
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(unusable)?;
    let file =
        File::options().create(true).append(true).open(data.join("lock")).map_err(unusable)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::conflict(
            "data.in-use",
            text!(
                "another naru runs with the data in {shown}",
                "다른 naru가 {shown}의 데이터를 쓰고 있습니다"
            ),
        )
        .hint(Text::fixed(
            "stop it first, or name another directory with --data",
            "먼저 멈추거나 --data로 다른 디렉터리를 고르세요",
        ))
    })?;
    Ok(file)
}

async fn doors(config: &Config, tls: Option<Arc<ServerConfig>>) -> Result<Doors> {
    let edge_tls = match (&config.edge_tls, tls) {
        (Some(wanted), Some(tls)) => Some((bind(wanted.address, "edge-tls").await?, tls)),
        _ => None,
    };
    let (site, edge) = (bind(config.listen, "listen").await?, bind(config.edge, "edge").await?);
    Ok(Doors { site, edge, edge_tls })
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let port = address.port();
        let (code, say) = match e.kind() {
            std::io::ErrorKind::AddrInUse => (
                "port.in-use",
                text!(
                    "port {port} is in use ({address})",
                    "{port} 포트를 이미 쓰고 있습니다 ({address})"
                ),
            ),
            _ => (
                "port.refused",
                text!("cannot listen on {address}: {e}", "{address}에서 기다릴 수 없습니다: {e}"),
            ),
        };
        Error::new(ErrorKind::Conflict, code, say).hint(text!(
            "choose another with --{flag} ADDR:PORT; port 0 takes any free one",
            "--{flag} ADDR:PORT로 다른 포트를 고르세요. 포트 0은 빈 포트를 고릅니다"
        ))
    })
}

/// The one line that scripts wait for.
async fn announce(platform: &Platform) -> Result<()> {
    let link = platform.sign_in_link().await?;
    let line = format!("ready {}  sign in once: {link}\n", platform.url);
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(Error::internal)
}

/// Where the master key of secrets is.
fn master_key(lang: Lang) -> Vec<Arg> {
    let path = |name: &'static str, variable: &'static str, help: &'static str| {
        let file = clap::value_parser!(std::path::PathBuf);
        Arg::new(name).long(name).env(variable).value_name("FILE").value_parser(file).help(help)
    };
    let url = |name: &'static str, variable: &'static str, help: &'static str| {
        Arg::new(name).long(name).env(variable).value_name("URL").help(help)
    };
    vec![
        path(
            "secret-key",
            "NARU_SECRET_KEY",
            lang.pick(
                "The master key of secrets [default: secret-key.json in the data directory]",
                "비밀 값의 마스터 키 [기본: 데이터 디렉터리의 secret-key.json]",
            ),
        ),
        Arg::new("secret-passphrase")
            .long("secret-passphrase")
            .action(ArgAction::SetTrue)
            .help(lang.pick(
                "Derive the master key from a passphrase that is asked for at this terminal",
                "이 터미널에서 물어본 암호문으로 마스터 키를 만듦",
            )),
        path(
            "secret-passphrase-file",
            "NARU_SECRET_PASSPHRASE_FILE",
            lang.pick(
                "Derive it from the passphrase in this file, such as a credential of systemd",
                "이 파일의 암호문으로 만듦. systemd 자격 증명 등",
            ),
        )
        .conflicts_with("secret-passphrase"),
        Arg::new("secret-passphrase-fd")
            .long("secret-passphrase-fd")
            .value_name("FD")
            .value_parser(clap::value_parser!(u32))
            .conflicts_with_all(["secret-passphrase", "secret-passphrase-file"])
            .help(lang.pick(
                "Derive it from the passphrase on this file descriptor; else from NARU_SECRET_PASSPHRASE",
                "이 파일 디스크립터의 암호문으로 만듦. 없으면 NARU_SECRET_PASSPHRASE",
            )),
        url(
            "secret-kms",
            "NARU_SECRET_KMS",
            lang.pick(
                "Keep the master key in Vault's or OpenBao's transit engine: https://vault.example.com:8200/transit/naru",
                "마스터 키를 Vault나 OpenBao의 transit 엔진에 둠: https://vault.example.com:8200/transit/naru",
            ),
        ),
        url(
            "secret-kms-before",
            "NARU_SECRET_KMS_BEFORE",
            lang.pick("The transit key that is moved away from", "옮기기 전의 transit 키"),
        ),
        path(
            "secret-kms-token",
            "NARU_SECRET_KMS_TOKEN",
            lang.pick("The file with the token for it", "그 토큰이 든 파일"),
        ),
    ]
}
