//! What runs beside a job: each service a workload of its own, at an address of its own, found by its names.

use super::standin::{self, StandIn};
use super::{CPU_WEIGHT, Job, SIGTERM};
use crate::variables::Variable;
use crate::work::Service;
use crate::workspace::{Place, io};
use host::{Limits, Mount, MountKind, Reason, Sandbox, Spec, Workload};
use kernel::{Error, Result, Text, text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a service may take until it can be reached.
const READY: Duration = Duration::from_secs(30);
/// Between two looks, at first and at last: nothing tells when a program begins to listen.
const LOOK: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];
/// A service outlives its job by this at most, should nobody be there to end it.
const BEYOND: Duration = Duration::from_secs(600);
/// Its own directory inside of its sandbox.
const DATA: &str = "/service";

/// Where a service is, as its place remembers it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Found {
    address: Ipv4Addr,
    names: Vec<String>,
}

impl Job {
    /// Starts the services, and waits until they can be reached. Those that cannot be are told of; one that
    /// cannot even be started fails the job.
    ///
    /// # Errors
    /// `service.missing` for an image that nothing on this machine can stand in for.
    pub(super) async fn start_services(&self) -> Result<()> {
        let services = self.expanded();
        if services.is_empty() {
            return Ok(());
        }
        let mut programs = Vec::new();
        for service in &services {
            programs.push(self.program(service)?);
        }
        let found = self.choose(&services).await?;
        // The kernel walks all of its table for this: only for those whose port is not known.
        let guessed = services.iter().any(|service| self.stand_in(service).is_none());
        let before = if guessed { listening() } else { BTreeSet::new() };
        let mut started = Vec::new();
        for (at, ((service, argv), found)) in services.iter().zip(programs).zip(&found).enumerate()
        {
            let workload =
                self.parts.host.start(self.service_spec(at, service, argv, found)?).await?;
            if let Some(Reason::NotStarted { .. }) = workload.exit().map(|e| e.reason) {
                return Err(cannot_start(&service.image, &workload));
            }
            started.push((service, workload, found.address));
        }
        for (service, workload, address) in started {
            let port = self.stand_in(service).map(|s| s.port);
            self.reached(service, &workload, address, port, &before).await;
        }
        Ok(())
    }

    fn expanded(&self) -> Vec<Service> {
        let expand = |service: &Service| Service {
            image: self.scope.expand(&service.image),
            aliases: service.aliases.iter().map(|a| self.scope.expand(a)).collect(),
            ..service.clone()
        };
        self.work.services.iter().map(expand).collect()
    }

    fn stand_in(&self, service: &Service) -> Option<&'static StandIn> {
        standin::find(&service.image).filter(|_| service.entrypoint.is_none())
    }

    /// What is run for a service.
    fn program(&self, service: &Service) -> Result<Vec<String>> {
        let command = service.command.clone().unwrap_or_default();
        let Some(stand_in) = self.stand_in(service) else {
            let argv = [service.entrypoint.clone().unwrap_or_default(), command].concat();
            return if argv.is_empty() { Err(nothing(&service.image)) } else { Ok(argv) };
        };
        let path = self.scope.get("PATH").unwrap_or_default();
        if !stand_in.programs.iter().any(|program| is_there(program, &path)) {
            return Err(missing(&service.image, stand_in));
        }
        let script = ["/bin/sh", "-c", stand_in.script, "service"].map(str::to_owned);
        Ok([script.to_vec(), command].concat())
    }

    /// An address for each that no other job's service has, remembered in the job's place.
    async fn choose(&self, services: &[Service]) -> Result<Vec<Found>> {
        let _alone = self.parts.workspaces.choosing().await;
        let places = self.parts.workspaces.places();
        let others = places.iter().flat_map(|name| read(&self.parts.workspaces.named(name)));
        let mut used: BTreeSet<Ipv4Addr> = others.map(|found| found.address).collect();
        let mut found = Vec::new();
        for (at, service) in services.iter().enumerate() {
            let address = address(&self.service_id(at), &used);
            used.insert(address);
            let names = standin::names(&service.image, &service.aliases);
            found.push(Found { address, names });
        }
        let json = serde_json::to_vec(&found).map_err(Error::internal)?;
        std::fs::write(file(&self.place), json).map_err(io)?;
        Ok(found)
    }

    /// The names that the job's sandbox knows.
    pub(super) fn hosts(&self) -> Vec<(IpAddr, Vec<String>)> {
        read(&self.place).into_iter().map(|f| (IpAddr::V4(f.address), f.names)).collect()
    }

    fn service_id(&self, at: usize) -> String {
        service_id(&self.task.key, self.task.attempt, at)
    }

    fn service_spec(
        &self,
        at: usize,
        service: &Service,
        argv: Vec<String>,
        found: &Found,
    ) -> Result<Spec> {
        let data = self.place.dir.join("services").join(at.to_string());
        std::fs::create_dir_all(&data).map_err(io)?;
        let mut scope = self.scope.clone();
        scope.add(&service.variables);
        scope.add(&[
            Variable::literal("HOME", DATA),
            Variable::literal("NARU_SERVICE_ADDRESS", found.address.to_string()),
            Variable::literal("NARU_SERVICE_DATA", DATA),
        ]);
        let mut mounts = self.parts.toolchain.clone();
        mounts.push(Mount {
            at: PathBuf::from(DATA),
            kind: MountKind::Writable { from: data.clone() },
        });
        let limits = &self.parts.limits;
        let life = self.timeout() + limits.after_script_ms;
        let mut mask: Vec<String> = scope.masked().into_iter().map(|(_, value)| value).collect();
        mask.extend(self.secrets.values());
        let (env, private) = self.secrets.parted(scope.all(), mask);
        Ok(Spec {
            id: self.service_id(at),
            argv,
            env,
            dir: PathBuf::from(DATA),
            sandbox: Some(Sandbox {
                mounts,
                hidden: Default::default(),
                hostname: "service".to_owned(),
                hosts: self.hosts(),
            }),
            limits: Limits {
                time_ms: Some(life + u64::try_from(BEYOND.as_millis()).unwrap_or(0)),
                memory: limits.memory,
                pids: Some(limits.pids),
                disk: Some(limits.disk),
                disk_dirs: vec![data],
                log: Some(limits.log),
                grace_ms: 0,
                cpu_weight: Some(CPU_WEIGHT),
                ..Limits::default()
            },
            log: self.task.log.path().to_owned(),
            stop_signal: SIGTERM,
            mask: Vec::new(),
            log_as: Some(format!("{} | ", found.names.last().map_or("service", String::as_str))),
            hold_ms: 0,
            private,
        })
    }

    /// Waits until the service can be reached, it has ended, or nobody wants to wait any longer.
    async fn reached(
        &self,
        service: &Service,
        workload: &Workload,
        address: Ipv4Addr,
        port: Option<u16>,
        before: &BTreeSet<SocketAddr>,
    ) {
        let (began, image, [mut pause, longest]) = (Instant::now(), &service.image, LOOK);
        let mut grew = workload.log_grew();
        loop {
            if let Some(port) = is_reached(address, port, before).await {
                let ms = began.elapsed().as_millis();
                return self.note(&text!(
                    "service {image} is ready at {address}:{port} after {ms} ms",
                    "서비스 {image}이(가) {ms}ms 만에 {address}:{port}에서 준비되었습니다"
                ));
            }
            if let Some(exit) = workload.exit() {
                let Text { en, ko } = exit.text();
                return self.note(&text!(
                    "service {image} did not start properly: {en}",
                    "서비스 {image}이(가) 제대로 시작되지 않았습니다: {ko}"
                ));
            }
            if began.elapsed() > READY {
                let seconds = READY.as_secs();
                return self.note(&text!(
                    "service {image} cannot be reached after {seconds} seconds; the job starts anyway",
                    "서비스 {image}에 {seconds}초가 지나도 연결할 수 없습니다. 작업은 그대로 시작합니다"
                ));
            }
            tokio::select! {
                () = self.task.cancel.cancelled() => return,
                _ = workload.wait() => {}
                Ok(()) = grew.changed() => self.task.log.grew(),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(longest),
            }
        }
    }

    /// Ends all services, however the job has ended.
    pub(super) async fn end_services(&self) {
        for at in 0..self.work.services.len() {
            end(&self.parts.host, &self.service_id(at)).await;
        }
    }
}

fn service_id(key: &str, attempt: u32, at: usize) -> String {
    format!("{key}-{attempt}-service-{at}")
}

async fn end(host: &host::Host, id: &str) {
    let Some(workload) = host.find(id) else { return };
    workload.kill().await;
    if let Err(error) = host.forget(id).await {
        tracing::warn!(id, %error, "a service's workload cannot be forgotten");
    }
}

/// Ends what a job left running that nobody performs any more.
pub async fn end_all(host: &host::Host, key: &str, attempt: u32) {
    for at in 0.. {
        let id = service_id(key, attempt, at);
        if host.find(&id).is_none() {
            return;
        }
        end(host, &id).await;
    }
}

fn file(place: &Place) -> PathBuf {
    place.dir.join("services.json")
}

fn read(place: &Place) -> Vec<Found> {
    let bytes = std::fs::read(file(place)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// A loopback address that is not taken, always tried in the same order for one id. 127.0.0.0/16 is left
/// to the machine.
fn address(id: &str, used: &BTreeSet<Ipv4Addr>) -> Ipv4Addr {
    // FNV-1a, to spread them.
    let hash =
        id.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let host = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254))
    };
    let tried = (0..=u16::MAX).map(|n| host(hash.wrapping_add(u32::from(n) * 257)));
    tried.into_iter().find(|a| !used.contains(a)).unwrap_or_else(|| host(hash))
}

/// Whether a program is on this machine: a name in `path`, or a path with `*` in it.
fn is_there(program: &str, path: &str) -> bool {
    if !program.contains('/') {
        return path
            .split(':')
            .any(|dir| !dir.is_empty() && Path::new(dir).join(program).is_file());
    }
    let Some((before, after)) = program.split_once("/*/") else {
        return Path::new(program).is_file();
    };
    let entries = std::fs::read_dir(before).into_iter().flatten().flatten();
    entries.map(|e| e.path().join(after)).any(|path| path.is_file())
}

/// The port at which something answers: the one that is known, or any that is new.
async fn is_reached(
    address: Ipv4Addr,
    port: Option<u16>,
    before: &BTreeSet<SocketAddr>,
) -> Option<u16> {
    let at = match port {
        Some(port) => SocketAddr::from((address, port)),
        None => listening().into_iter().find(|at| {
            let here = at.ip() == IpAddr::V4(address) || at.ip().is_unspecified();
            here && !before.contains(at)
        })?,
    };
    let at = SocketAddr::from((address, at.port()));
    let connected = tokio::time::timeout(LOOK[1], tokio::net::TcpStream::connect(at)).await;
    matches!(connected, Ok(Ok(_))).then(|| at.port())
}

/// Every TCP address of this machine that somebody listens at (proc_net(5)).
fn listening() -> BTreeSet<SocketAddr> {
    let files = ["/proc/net/tcp", "/proc/net/tcp6"];
    let words: Vec<String> =
        files.iter().map(|f| std::fs::read_to_string(f).unwrap_or_default()).collect();
    words.iter().flat_map(|w| w.lines().skip(1)).filter_map(listener).collect()
}

/// One line of `/proc/net/tcp`: the local address in the second field, the state in the fourth.
fn listener(line: &str) -> Option<SocketAddr> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if state != "0A" {
        return None;
    }
    if address.len() == 8 {
        // Bytes in the machine's order.
        let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
        return Some(SocketAddr::from((address, port)));
    }
    // Of the others only the wildcard matters.
    let wildcard = address.bytes().all(|b| b == b'0');
    wildcard.then(|| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))
}

fn nothing(image: &str) -> Error {
    let say = text!(
        "service {image}: images are not pulled yet, and no program of this machine stands in for it",
        "서비스 {image}: 아직 이미지를 받지 않으며, 대신할 프로그램이 이 컴퓨터에 없습니다"
    );
    Error::invalid("service.missing", say).hint(Text::fixed(
        "give the service an `entrypoint` or a `command` that this machine has",
        "이 컴퓨터에 있는 프로그램을 서비스의 `entrypoint`나 `command`로 지정하세요",
    ))
}

fn missing(image: &str, stand_in: &StandIn) -> Error {
    let program = stand_in.programs.first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
    let package = stand_in.package;
    let say = text!(
        "service {image} needs the program {program}, which is not on this machine: Debian has it in the package {package}",
        "서비스 {image}에 필요한 프로그램 {program}이(가) 이 컴퓨터에 없습니다. 데비안 패키지 {package}에 있습니다"
    );
    Error::invalid("service.missing", say)
        .hint(text!("apt-get install {package}", "apt-get install {package}"))
}

fn cannot_start(image: &str, workload: &Workload) -> Error {
    let Text { en, ko } = workload.exit().map(|e| e.text()).unwrap_or_default();
    Error::invalid("service.missing", text!("service {image} {en}", "서비스 {image}: {ko}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_loopback_and_never_taken_twice() {
        let mut used = BTreeSet::new();
        for n in 0..2000 {
            let address = address(&format!("run-{}", n % 10), &used);
            assert!(address.is_loopback() && address.octets()[1] != 0, "{address}");
            assert!(used.insert(address), "{address}");
        }
    }

    #[test]
    fn listeners_are_read() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 0 0 0 1 x";
        assert_eq!(listener(line), Some("127.0.0.1:8080".parse().unwrap()));
        let wild = "  1: 00000000000000000000000000000000:0050 0:0 0A 0 0 0";
        assert_eq!(listener(wild), Some("[::]:80".parse().unwrap()));
        assert_eq!(listener("  0: 0100007F:1F90 00000000:0000 01 x"), None);
        assert_eq!(listener("sl local_address"), None);
    }
}
