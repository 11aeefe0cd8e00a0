//! What makes no sense in the spec of a service, although its types fit.

use crate::env::Env;
use crate::error;
use crate::kind::{MAX_REPLICAS, Service, Strategy};
use crate::measure::Share;
use kernel::{Name, Result, text};

/// # Errors
/// `service.spec`, with a hint.
pub(crate) fn service(service: &Service) -> Result<()> {
    command(service)?;
    env(service)?;
    crate::identity::check(service)?;
    health(service)?;
    rollout(service)?;
    hosts(service)?;
    data(service)?;
    match &service.environments {
        Some(_) => self::service(&service.clone().in_environment()),
        None => Ok(()),
    }
}

fn command(service: &Service) -> Result<()> {
    if service.command.trim().is_empty() || service.command.contains('\0') {
        return Err(error::spec(
            text!("`command` is empty", "`command`가 비어 있습니다"),
            text!("write what starts it: `python3 app.py`", "시작 명령을 쓰세요: `python3 app.py`"),
        ));
    }
    if service.command.len() > 16 * 1024 {
        return Err(error::spec(
            text!("`command` is longer than 16 KiB", "`command`가 16 KiB를 넘습니다"),
            text!("put it into a script", "스크립트 파일로 옮기세요"),
        ));
    }
    Ok(())
}

fn env(service: &Service) -> Result<()> {
    for (name, value) in &service.env {
        if let Env::Secret(secret) = value {
            secret.check(name)?;
        }
        variable(name)?;
        if matches!(value, Env::Plain(words) if words.contains('\0')) {
            return Err(no_variable(name));
        }
    }
    service.id_tokens.keys().try_for_each(|name| variable(name))
}

/// Whether people may give a variable of that name to instances.
fn variable(name: &str) -> Result<()> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let sound = name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit());
    if name.is_empty() || !sound {
        return Err(no_variable(name));
    }
    if name == "PORT" || name.starts_with("NARU_") {
        return Err(error::spec(
            text!("`{name}` is set by naru", "`{name}`은(는) naru가 정합니다"),
            text!("take another name", "다른 이름을 쓰세요"),
        ));
    }
    Ok(())
}

fn no_variable(name: &str) -> kernel::Error {
    let shown = kernel::shown(name);
    error::spec(
        text!(
            "`{shown}` cannot be an environment variable",
            "`{shown}`은(는) 환경 변수 이름이 될 수 없습니다"
        ),
        text!("use letters, digits and `_`", "영문자, 숫자, `_`를 쓰세요"),
    )
}

fn health(service: &Service) -> Result<()> {
    let Some(health) = &service.health else { return Ok(()) };
    let path = &health.path;
    let sound = path.starts_with('/') && path.bytes().all(|b| (0x21..0x7f).contains(&b));
    if !sound || path.len() > 1024 {
        let shown = kernel::shown(path);
        return Err(error::spec(
            text!(
                "`{shown}` is not a path for `health`",
                "`{shown}`은(는) `health` 경로가 아닙니다"
            ),
            text!("write it as `/healthz`", "`/healthz`처럼 쓰세요"),
        ));
    }
    if !service.listens {
        return Err(error::spec(
            text!(
                "a service that does not listen cannot have `health`",
                "포트를 열지 않는 서비스에는 `health`를 쓸 수 없습니다"
            ),
            text!("remove one of them", "둘 중 하나를 빼세요"),
        ));
    }
    if health.failures == 0 || health.interval.millis() < 10 || health.timeout.millis() < 10 {
        return Err(error::spec(
            text!(
                "`health` needs failures ≥ 1 and interval and timeout ≥ 10ms",
                "`health`의 failures는 1 이상, interval과 timeout은 10ms 이상이어야 합니다"
            ),
            text!("leave them out for the defaults", "빼면 기본값을 씁니다"),
        ));
    }
    Ok(())
}

fn rollout(service: &Service) -> Result<()> {
    if service.replicas > MAX_REPLICAS {
        return Err(error::spec(
            text!(
                "`replicas` is at most {MAX_REPLICAS} on one machine",
                "한 기계에서 `replicas`는 {MAX_REPLICAS} 이하입니다"
            ),
            text!("lower it", "줄이세요"),
        ));
    }
    let Strategy { max_surge, max_unavailable, .. } = service.strategy;
    let none = |share| matches!(share, Share::Count(0) | Share::Percent(0));
    if none(max_surge) && none(max_unavailable) {
        return Err(error::spec(
            text!(
                "`max_surge` and `max_unavailable` cannot both be 0",
                "`max_surge`와 `max_unavailable`이 둘 다 0일 수는 없습니다"
            ),
            text!("raise one of them", "하나를 올리세요"),
        ));
    }
    if service.stop.number().is_none() {
        let signal = kernel::shown(&service.stop.signal);
        return Err(error::spec(
            text!("there is no signal `{signal}`", "`{signal}` 시그널은 없습니다"),
            text!(
                "use TERM, INT, QUIT, HUP, USR1, USR2 or KILL",
                "TERM, INT, QUIT, HUP, USR1, USR2, KILL 중에서 고르세요"
            ),
        ));
    }
    Ok(())
}

fn data(service: &Service) -> Result<()> {
    let Some(seed) = service.data.as_ref().and_then(|d| d.seed.as_ref()) else { return Ok(()) };
    if blob::check_path(seed).is_ok() {
        return Ok(());
    }
    let shown = kernel::shown(seed);
    Err(error::spec(
        text!(
            "`{shown}` is not a directory of the repository",
            "`{shown}`은(는) 저장소의 디렉터리가 아닙니다"
        ),
        text!("write `data.seed` as `fixtures/qa`", "`data.seed`를 `fixtures/qa`처럼 쓰세요"),
    ))
}

fn hosts(service: &Service) -> Result<()> {
    let label = |l: &str| Name::parse(l).is_ok();
    let host = |h: &String| h.len() <= 253 && h.split('.').all(label);
    match service.hosts.iter().find(|h| !host(h)) {
        Some(wrong) => {
            let shown = kernel::shown(wrong);
            Err(error::spec(
                text!("`{shown}` is not a host name", "`{shown}`은(는) 호스트 이름이 아닙니다"),
                text!("write it as `shop.example.com`", "`shop.example.com`처럼 쓰세요"),
            ))
        }
        None if service.hosts.len() > 50 => Err(error::spec(
            text!("more than 50 `hosts`", "`hosts`가 50개를 넘습니다"),
            text!("remove some", "줄이세요"),
        )),
        None => Ok(()),
    }
}
