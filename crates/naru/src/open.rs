//! Opens the parts in order and wires the ports between them.

use crate::config::Config;
use crate::keep::Keeper;
use crate::outside::Tls;
use crate::parts;
use account::{Accounts, Peer, Signer};
use authority::Shown;
use blob::Blobs;
use cli::Endpoint;
use console::Console;
use delivery_environment::Environments;
use delivery_git::Git;
use delivery_load::Loads;
use delivery_pipeline::Pipelines;
use delivery_report::Reports;
use delivery_review::Reviews;
use host::Host;
use insight::Insight;
use kernel::port::{Edge, Source};
use kernel::{Error, Name, Principal, Result, SecretText};
use naru_http::front::Hosts;
use naru_http::{Door, Front, Limits, Route, Site, SiteOptions};
use network_proxy::{Proxy, Scheme};
use orchestration_service::Services;
use policy::Policy;
use run::Engine;
use rustls::ServerConfig;
use secret::{KeyFile, Kms, Passphrase, Vault};
use security_audit::Audit;
use security_authority::{Authority, Serves};
use security_secret::Secrets;
use security_sso::Sso;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The roots to trust, for the programs of this machine, in the data directory.
const CA_FILE: &str = "ca.pem";

/// Everything opened, nothing served yet.
pub struct Platform {
    /// Where people reach us.
    pub url: String,
    /// How the programs of this machine do, as its administrator.
    pub local: Endpoint,
    pub edge_address: SocketAddr,
    pub store: Store,
    pub blobs: Blobs,
    keep_runs: Duration,
    audit: Audit,
    authority: Authority,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    accounts: Accounts,
    policy: Policy,
    proxy: Proxy,
    engine: Engine,
    git: Git,
    pipelines: Pipelines,
    reports: Reports,
    environments: Environments,
    loads: Loads,
    reviews: Reviews,
    services: Services,
    insight: Insight,
    secrets: Secrets,
    sso: Sso,
    site: Arc<Site>,
}

/// Every socket that people come in by, bound.
pub struct Doors {
    /// API, pages and git.
    pub site: TcpListener,
    /// The edge in plain HTTP.
    pub edge: TcpListener,
    pub edge_tls: Option<(TcpListener, Arc<ServerConfig>)>,
}

/// What runs until it is stopped.
pub struct Serving(Vec<JoinHandle<()>>);

/// Opens everything on the data of `config`.
///
/// # Errors
/// Whatever a part says: a store from a newer naru, a full disk, no git.
pub async fn open(config: &Config, storage: store::Options, doors: &Doors) -> Result<Platform> {
    let routes = routes()?;
    let data = &config.data;
    let address = doors.site.local_addr().map_err(Error::internal)?;
    let edge_address = doors.edge.local_addr().map_err(Error::internal)?;
    let url = config.outside.url(address);
    let store = Store::open(&data.join("naru.db"), storage)?;
    // Before anything else is written: what was lost of the journal is told first.
    let audit = Audit::open(security_audit::Options {
        store: store.clone(),
        key: data.join("audit-key.json"),
        checkpoints: config.audit_checkpoints.clone(),
        keep: (config.audit_keep_days > 0)
            .then(|| Duration::from_secs(config.audit_keep_days * 24 * 3600)),
    })
    .await?;
    let accounts = Accounts::open_with(
        store.clone(),
        account::Options { record: Some(data.join("ended.jsonl")), first_number: config.first_uid },
    )
    .await?;
    let policy = Policy::new(&accounts);
    policy.open().await?;
    policy.on_denied(Arc::new(audit.clone()));
    let (authority, tls) = authority(config, &store, address, &url).await?;
    let blobs = Blobs::open(&data.join("blobs"), store.clone()).await?;
    let host = Host::open(host::Options {
        dir: data.join("host"),
        shim: config.shim.clone(),
        hidden: vec![data.clone()],
    })
    .await?;
    let proxy = Proxy::new(network_proxy::Options {
        scheme: Scheme::Http,
        port: edge_address.port(),
        suffix: "localhost".into(),
        limits: network_proxy::Limits::default(),
    });
    let edge: Arc<dyn Edge> = Arc::new(proxy.clone());
    let git = Git::open(delivery_git::Options {
        store: store.clone(),
        policy: policy.clone(),
        dir: data.join("git"),
        git: "git".into(),
        url: Some(url.clone()),
        limits: delivery_git::Limits { pack: config.push_limit, ..delivery_git::Limits::default() },
    })
    .await?;
    let source: Arc<dyn Source> = Arc::new(git.clone());
    let reports = Reports::open(store.clone(), blobs.clone(), source.clone());
    let signer = Signer::open(&data.join("signing-keys.json"), &url, store.clock().clone())?;
    accounts.trust(signer.clone());
    let secrets = secrets(config, &store).await?;
    let pipelines = Pipelines::open(delivery_pipeline::Options {
        store: store.clone(),
        blobs: blobs.clone(),
        host: host.clone(),
        source: source.clone(),
        identity: Some(Arc::new(signer.clone())),
        policy: policy.clone(),
        remote_hosts: config.include_from.clone(),
        others: None,
        verdicts: Some(Arc::new(reports.clone())),
        secrets: Some(Arc::new(secrets.clone())),
        dir: data.join("work"),
        url: url.clone(),
        ca_file: (config.outside.tls == Tls::Internal).then(|| data.join(CA_FILE)),
        limits: delivery_pipeline::Limits {
            disk: config.job_disk,
            log: config.job_log,
            ..delivery_pipeline::Limits::default()
        },
        given: Vec::new(),
        keep_failed: false,
    })
    .await?;
    let services = Services::open(orchestration_service::Options {
        store: store.clone(),
        blobs: blobs.clone(),
        host,
        source,
        edge: edge.clone(),
        secrets: Some(Arc::new(secrets.clone())),
        identity: Some(Arc::new(signer.clone())),
        policy: Some(policy.clone()),
        dir: data.clone(),
        limits: orchestration_service::Limits {
            copies: config.environment_instances,
            ..orchestration_service::Limits::default()
        },
    })
    .await?;
    let mut actors = services.actors();
    actors.extend(pipelines.actors());
    let engine = Engine::open(run::Options {
        store: store.clone(),
        dir: data.join("runs"),
        slots: config.slots,
        actors,
    })
    .await?;
    let loads = Loads::open(store.clone(), blobs.clone())?;
    let environments = Environments::open(delivery_environment::Options {
        store: store.clone(),
        blobs: blobs.clone(),
        engine: engine.clone(),
        edge: edge.clone(),
        limits: delivery_environment::Limits { environments: config.environments },
    })?;
    let reviews = Reviews::new(delivery_review::Options {
        store: store.clone(),
        policy: policy.clone(),
        branches: Arc::new(git.clone()),
    });
    let insight = Insight::new(store.clone(), edge);
    let sso = Sso::new(security_sso::Options {
        accounts: accounts.clone(),
        signer: signer.clone(),
        witness: Some(Arc::new(audit.clone())),
    });
    let local = Endpoint {
        url: config.outside.local_url(address),
        token: machine_token(&accounts, data).await?,
        ca_file: config.outside.secure().then(|| data.join(CA_FILE)),
        outside: Some(url.clone()),
    };
    write_endpoint(&local, data, doors)?;
    let site = Site::new(SiteOptions {
        store: store.clone(),
        accounts: accounts.clone(),
        policy: policy.clone(),
        kinds: parts::all(|p| p.kinds),
        routes,
        assets: [parts::all(|p| p.assets), web::ASSETS.to_vec()].concat(),
        error_page: Some(web::error_page),
    })
    .with(Console { engine: engine.clone() })
    .with(sso.clone())
    .with(git.clone())
    .with(pipelines.clone())
    .with(reports.clone())
    .with(environments.clone())
    .with(loads.clone())
    .with(reviews.clone())
    .with(services.clone())
    .with(insight.clone())
    .with(secrets.clone())
    .with(proxy.clone())
    .with(blobs.clone())
    .with(audit.clone())
    .with(authority.clone())
    .fronted(Front {
        tls: url.starts_with("https://"),
        hosts: Hosts::known(config.outside.names()),
        proxies: config.outside.proxies.clone(),
        url: Some(url.clone()),
        witness: Some(Arc::new(audit.clone())),
        ..Front::default()
    });
    Ok(Platform {
        url,
        local,
        edge_address,
        store,
        blobs,
        keep_runs: Duration::from_secs(config.keep_runs_days * 24 * 3600),
        audit,
        authority,
        tls,
        limits: limits(config),
        accounts,
        policy,
        proxy,
        engine,
        git,
        pipelines,
        reports,
        environments,
        loads,
        reviews,
        services,
        insight,
        secrets,
        sso,
        site: Arc::new(site),
    })
}

/// All routes, each with somebody who decides about it.
fn routes() -> Result<Vec<Route>> {
    let routes = parts::all(|p| p.routes);
    match naru_http::undeclared(&routes) {
        wrong if wrong.is_empty() => Ok(routes),
        wrong => {
            Err(Error::internal(format!("routes that nobody decides about: {}", wrong.join("; "))))
        }
    }
}

/// The internal CA, and what is spoken with its certificates at the front.
async fn authority(
    config: &Config,
    store: &Store,
    listen: SocketAddr,
    url: &str,
) -> Result<(Authority, Option<Arc<ServerConfig>>)> {
    let (outside, data) = (&config.outside, &config.data);
    let shown = Arc::new(Shown::to(outside.names()));
    let brought = match &outside.tls {
        Tls::Brought(files) => {
            shown.bring(files.load()?);
            Some(files.clone())
        }
        Tls::Internal | Tls::Off => None,
    };
    let names = outside.certified_names(listen);
    let serves = Serves { names, shown: shown.clone(), brought };
    let authority = Authority::open(security_authority::Options {
        store: store.clone(),
        file: data.join("authority.json"),
        own: data.join("server-certificate.json"),
        public: data.join(CA_FILE),
        url: url.to_owned(),
        serves: outside.secure().then_some(serves),
        anew: outside.new_ca,
    })
    .await?;
    let protocols: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let tls = outside.secure().then(|| authority::server_config(shown, &protocols)).transpose()?;
    Ok((authority, tls))
}

/// The default, but for proxies, which bring everybody.
fn limits(config: &Config) -> Limits {
    let mut limits = Limits::default();
    limits.uncounted.extend(config.outside.proxies.iter().cloned());
    limits
}

/// The vault with the master key that naru was started with. Without it everything else works, and whatever asks
/// for a secret says what to do.
async fn secrets(config: &Config, store: &Store) -> Result<Secrets> {
    let file = || Arc::new(KeyFile::new(&config.secret_key)) as Arc<dyn Kms>;
    let words = |words: &SecretText| Arc::new(Passphrase::new(words.clone())) as Arc<dyn Kms>;
    let kms = |t: &secret::Transit| Arc::new(t.clone()) as Arc<dyn Kms>;
    let before = config.secret_passphrase_before.as_ref().map(words);
    let before = before.or_else(|| config.secret_kms_before.as_ref().map(kms));
    // What was there before, a file or a passphrase, hands over to what is given now; back again it goes the same way.
    let older = || before.clone().or_else(|| config.secret_key.exists().then(file));
    let (kms, before) = match (&config.secret_kms, &config.secret_passphrase) {
        (Some(given), Some(passphrase)) => {
            (kms(given), before.clone().or_else(|| Some(words(passphrase))))
        }
        (Some(given), None) => (kms(given), older()),
        (None, Some(given)) => (words(given), older()),
        (None, None) => (file(), before),
    };
    let vault = Vault::new(store.clone(), kms, before);
    let secrets = Secrets::new(vault);
    if let Err(error) = secrets.look().await {
        let hint = error.get_hint().map(|h| h.en.to_string()).unwrap_or_default();
        tracing::error!(%error, hint, why = error.get_why(), "jobs and services that need a secret fail");
    }
    Ok(secrets)
}

/// The token with which commands on this machine speak to the server, kept beside the data. One that
/// still works is kept, so that scripts may hold on to it.
async fn machine_token(accounts: &Accounts, data: &Path) -> Result<String> {
    let file = data.join("server.json");
    let kept = std::fs::read(&file).ok().and_then(|b| serde_json::from_slice::<Endpoint>(&b).ok());
    let admin = Principal::User(Name::parse("admin")?);
    match kept {
        Some(kept) if accounts.authenticate(&kept.token, &Peer::default()).await.is_ok() => {
            Ok(kept.token)
        }
        _ => {
            let name = Name::parse("this-machine")?;
            // One whose file was lost is of no use to anybody.
            let _ = accounts.revoke_token(&admin, &name, Principal::part("naru")).await;
            accounts.create_token(admin, name, None, Principal::part("naru")).await
        }
    }
}

/// Where commands on this machine find the server.
fn write_endpoint(local: &Endpoint, data: &Path, doors: &Doors) -> Result<()> {
    let address = |door: &TcpListener| door.local_addr().map_err(Error::internal);
    let mut words = serde_json::to_value(local).map_err(Error::internal)?;
    let more = [
        ("edge", serde_json::json!(address(&doors.edge)?)),
        (
            "edge_tls",
            serde_json::json!(doors.edge_tls.as_ref().map(|(door, _)| address(door)).transpose()?),
        ),
        ("pid", serde_json::json!(std::process::id())),
    ];
    if let Some(fields) = words.as_object_mut() {
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    authority::write_private(&data.join("server.json"), words.to_string().as_bytes())
}

fn edge_task(serving: impl Future<Output = io::Result<()>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the edge stopped");
        }
    })
}

impl Platform {
    /// Starts the loops and the listeners.
    pub async fn serve(&self, doors: Doors, stop: &CancellationToken) -> Result<Serving> {
        let keeper = Keeper {
            store: self.store.clone(),
            engine: self.engine.clone(),
            pipelines: self.pipelines.clone(),
            blobs: self.blobs.clone(),
            runs: self.keep_runs,
        };
        let mut tasks = vec![self.insight.start(stop.clone()), keeper.start(stop.clone())];
        tasks.push(self.audit.start(stop.clone()));
        tasks.push(security_access::start(self.policy.clone(), stop.clone()));
        // Routes before the edge listens: a service that outlived the last server answers at once.
        let loops = self.services.start(self.engine.clone(), stop.clone());
        tasks.push(tokio::spawn(loops.join()));
        tasks.push(self.secrets.start(stop.clone()));
        tasks.push(self.sso.start(stop.clone()));
        tasks.push(self.accounts.start(stop.clone()));
        tasks.push(self.reports.start(stop.clone()));
        tasks.push(self.environments.start(stop.clone()).await);
        tasks.push(self.loads.start(stop.clone()));
        tasks.push(self.reviews.start(stop.clone()));
        self.pipelines.start(self.engine.clone(), stop.clone());
        self.git.start(stop.clone());
        self.engine.start();
        let (plain, ends) = (self.proxy.clone(), stop.clone());
        tasks.push(edge_task(async move { plain.serve(doors.edge, ends).await }));
        if let Some((door, config)) = doors.edge_tls {
            let (secure, ends) = (self.proxy.clone(), stop.clone());
            tasks.push(edge_task(async move { secure.serve_tls(door, config, ends).await }));
        }
        tasks.push(self.authority.start(stop.clone()));
        let door = Door { tls: self.tls.clone(), limits: self.limits.clone(), ..doors.site.into() };
        tasks.push(tokio::spawn(naru_http::serve(self.site.clone(), door, stop.clone())));
        Ok(Serving(tasks))
    }

    /// A link that signs the administrator's browser in, once.
    pub async fn sign_in_link(&self) -> Result<String> {
        let code = self.accounts.create_link(Principal::User(Name::parse("admin")?)).await?;
        Ok(format!("{}/sign-in/{code}", self.url))
    }

    /// In order: no new requests, no new steps, the loops, then, unless they are to run on, the services.
    pub async fn stop(&self, serving: Serving, stop: CancellationToken, keep_services: bool) {
        stop.cancel();
        self.engine.drain().await;
        for task in serving.0 {
            // Each bounds itself; this bound is for one that does not.
            let _ = tokio::time::timeout(Duration::from_secs(15), task).await;
        }
        if !keep_services {
            self.services.stop_all().await;
        }
        self.audit.close().await;
    }
}
