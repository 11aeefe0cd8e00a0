//! The way of a change across the river, from the bank of development to the bank of operations.

use super::{State, when};
use crate::{Reader, icon};
use kernel::Time;
use maud::{Markup, html};

/// One stop of the crossing.
#[derive(Clone, Debug, Default)]
pub struct Station {
    pub name: String,
    pub state: State,
    pub start: Option<Time>,
    pub end: Option<Time>,
    /// Where it is looked at closely.
    pub address: Option<String>,
}

/// One change on its way.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub stations: Vec<Station>,
}

impl Lane {
    /// Where the ferry is: the first stop that is not over, or the one where the crossing ended.
    fn ferry(&self) -> Option<usize> {
        let ended = self.stations.iter().position(|s| {
            matches!(s.state, State::Failed | State::Canceled | State::Running | State::Waiting)
        });
        let next = || self.stations.iter().position(|s| s.state == State::Queued);
        ended.or_else(next)
    }
}

/// The stops as an ordered list: a line with a picture and a length at each.
pub fn lane(r: &Reader, lane: &Lane) -> Markup {
    let ferry = lane.ferry();
    html! {
        ol.lane {
            @for (i, station) in lane.stations.iter().enumerate() {
                li.stop.(station.state.class()) {
                    (stop(r, station, ferry == Some(i) && !station.state.is_over()))
                }
            }
        }
    }
}

fn stop(r: &Reader, station: &Station, aboard: bool) -> Markup {
    let (en, ko) = station.state.words();
    let words = format!("{}: {}", station.name, r.t(en, ko));
    let inner = html! {
        span.buoy { @if aboard { (icon::ferry()) } @else { (station.state.picture()) } }
        span.stop-name { (station.name) }
        span.stop-time {
            @if station.start.is_some() && station.state != State::Skipped {
                (when::duration(r, station.start, station.end))
            } @else { "\u{a0}" }
        }
    };
    match &station.address {
        Some(address) => {
            html! { a.stop-in href=(address) title=(words) aria-label=(words) { (inner) } }
        }
        None => html! { span.stop-in title=(words) { (inner) } },
    }
}

/// Headings of a list of crossings: two banks, and the stops between them.
pub fn lane_heads(r: &Reader, stops: &[&str]) -> Markup {
    html! {
        div.river-heads {
            span.bank-name { (r.t("Development", "개발")) }
            span.river-stops { @for stop in stops { span { (stop) } } }
            span.bank-name { (r.t("Operations", "운영")) }
        }
    }
}

/// Crossings below each other, over one river: what left, its lane, and where it landed.
pub fn river_list(heads: Markup, rows: Vec<(String, Markup, Markup, Markup)>) -> Markup {
    html! {
        div.river-list {
            (heads)
            ol {
                @for (address, left, lane, right) in rows {
                    li.crossing data-row=(address) {
                        div.bank-dev { (left) }
                        div.water { (lane) }
                        div.bank-ops { (right) }
                    }
                }
            }
        }
    }
}
