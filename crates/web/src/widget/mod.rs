//! The pieces pages are made of: plain data in, markup out.

mod ansi;
mod bits;
mod fold;
mod graph;
mod lane;
mod log;
mod plot;
mod state;
mod table;
mod waterfall;
mod when;

pub use bits::{
    Tone, action, code_block, commit, copyable, empty, facts, flash, heading, link_button,
    pipeline_tabs, post, section, size, stat, tabs,
};
pub use graph::{Node, graph};
pub use lane::{Lane, Station, lane, lane_heads, river_list};
pub use log::{Log, Search, found, log};
pub use plot::{Dot, Mark, Plot, bars, plot, spark};
pub use state::{State, badge, pip, strip};
pub use table::{Cell, Table, table};
pub use waterfall::{Bar, Segment, Work, waterfall};
pub use when::{ago, ago_or_dash, clock_time, duration, duration_words, time_of_day};

/// A share of a hundred as an SVG coordinate: `12.5%`.
pub(crate) fn percent(share: f64) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 100.0) } else { 0.0 };
    let mut words = format!("{share:.2}");
    while words.ends_with('0') {
        words.pop();
    }
    format!("{}%", words.trim_end_matches('.'))
}
