//! `naru route list`.

use crate::{RouteView, UpstreamState};
use clap::{Arg, ArgMatches};
use cli::{Command, Context, Table, segment};
use kernel::{Error, Lang, Result, Text};
use serde::Deserialize;

pub(crate) const ROUTE: Command =
    Command { name: "route", build, run: |context, matches| Box::pin(route(context, matches)) };

fn build(lang: Lang) -> clap::Command {
    let list = clap::Command::new("list").about(lang.pick(
        "Hosts and their instances, with requests and latency since naru started",
        "호스트와 인스턴스, naru가 시작한 뒤의 요청 수와 지연",
    ));
    clap::Command::new("route")
        .about(lang.pick("Where the edge leads requests", "엣지가 요청을 보내는 곳"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("project")
                .short('p')
                .long("project")
                .env("NARU_PROJECT")
                .value_name("PROJECT")
                .global(true)
                .help(lang.pick("The project", "프로젝트")),
        )
        .subcommand(list)
}

#[derive(Deserialize)]
struct Page {
    items: Vec<RouteView>,
}

async fn route(context: Context, matches: ArgMatches) -> Result<()> {
    let Some((_, list)) = matches.subcommand() else { return Ok(()) };
    let project = list.get_one::<String>("project").ok_or_else(unnamed)?;
    let path = format!("/api/v1/projects/{}/routes", segment(project));
    let page: Page = context.client()?.get(&path).await?;
    context.output.show(&page.items, |items, output| drawn(items, output.lang))
}

fn unnamed() -> Error {
    let say = Text::fixed(
        "routes belong to a project and none is named",
        "라우트는 프로젝트에 속하는데 프로젝트가 없습니다",
    );
    Error::invalid("project.missing", say).hint(Text::fixed(
        "use `-p PROJECT` or set NARU_PROJECT",
        "`-p PROJECT`나 NARU_PROJECT를 쓰세요",
    ))
}

/// A line for each service with its sums, and below it one for each instance.
fn drawn(routes: &[RouteView], lang: Lang) -> Table {
    let head = [
        ("HOST", "호스트"),
        ("STATE", "상태"),
        ("BUSY", "처리 중"),
        ("REQUESTS", "요청"),
        ("4XX", "4XX"),
        ("5XX", "5XX"),
        ("P50", "P50"),
        ("P90", "P90"),
        ("P99", "P99"),
    ];
    let mut table = Table::new(head.map(|(en, ko)| lang.pick(en, ko))).nothing(lang.pick(
        "no routes yet: a service gets one when its first instance is ready",
        "아직 라우트가 없습니다. 서비스의 첫 인스턴스가 준비되면 생깁니다",
    ));
    for route in routes {
        service_row(&mut table, route, lang);
        for upstream in &route.upstreams {
            table.row([
                format!("  {}  {}", upstream.instance, upstream.address),
                upstream.state.text().get(lang).to_owned(),
                upstream.in_flight.to_string(),
                upstream.requests.to_string(),
            ]);
        }
    }
    table
}

fn service_row(table: &mut Table, route: &RouteView, lang: Lang) {
    let serving = route.upstreams.iter().filter(|u| u.state == UpstreamState::Serving).count();
    let of = route.upstreams.len();
    let state = match lang {
        Lang::En => format!("{serving} of {of} serving"),
        Lang::Ko => format!("{of}개 중 {serving}개 서비스 중"),
    };
    let hosts: Vec<&str> =
        [&route.host].into_iter().chain(&route.hosts).map(String::as_str).collect();
    // Before the first request there is no latency, which is other than a short one.
    let ms = |ms: f64| if route.requests == 0 { "-".to_owned() } else { format!("{ms:.1} ms") };
    table.row([
        hosts.join(", "),
        state,
        route.in_flight.to_string(),
        route.requests.to_string(),
        route.client_errors.to_string(),
        route.server_errors.to_string(),
        ms(route.latency.p50),
        ms(route.latency.p90),
        ms(route.latency.p99),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Latency, UpstreamView};
    use kernel::Name;

    fn route() -> RouteView {
        let upstream = |instance: &str, state| UpstreamView {
            instance: instance.into(),
            address: ([127, 0, 0, 1], 4000).into(),
            in_flight: 1,
            requests: 6,
            state,
        };
        let upstreams = vec![
            upstream("web-1", UpstreamState::Serving),
            upstream("web-2", UpstreamState::Ejected),
        ];
        RouteView {
            project: Name::parse("shop").unwrap(),
            service: Name::parse("web").unwrap(),
            host: "web.shop.localhost".into(),
            hosts: vec!["www.example.com".into()],
            in_flight: 2,
            upstreams,
            requests: 12,
            client_errors: 3,
            server_errors: 1,
            latency: Latency { p50: 1.25, p90: 2.5, p99: 40.0 },
        }
    }

    #[test]
    fn a_service_has_its_sums_and_each_instance_its_state() {
        let shown = drawn(&[route()], Lang::En).render(false);
        let lines: Vec<Vec<&str>> = shown
            .lines()
            .map(|l| l.split("  ").filter(|w| !w.is_empty()).map(str::trim).collect())
            .collect();
        assert_eq!(
            lines[1][..6],
            ["web.shop.localhost, www.example.com", "1 of 2 serving", "2", "12", "3", "1"]
        );
        assert_eq!(lines[1][6..], ["1.2 ms", "2.5 ms", "40.0 ms"]);
        assert_eq!(lines[3], ["web-2", "127.0.0.1:4000", "refuses connections", "1", "6"]);
        let korean = drawn(&[route()], Lang::Ko).render(false);
        assert!(
            korean.contains("2개 중 1개 서비스 중") && korean.contains("연결 거부 중"),
            "{korean}"
        );
    }

    #[test]
    fn without_requests_there_is_no_latency() {
        let quiet = RouteView { requests: 0, latency: Latency::default(), ..route() };
        let shown = drawn(&[quiet], Lang::En).render(false);
        assert!(!shown.contains("ms") && shown.contains(" - "), "{shown}");
        let none = drawn(&[], Lang::Ko).render(false);
        assert!(none.starts_with("아직 라우트가 없습니다"), "{none}");
    }
}
