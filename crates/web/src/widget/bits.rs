//! Small pieces: buttons, headings, lists of facts, messages.

use super::State;
use crate::{Reader, icon};
use maud::{Markup, html};

/// How loud a button or a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    /// The one thing to do here.
    Main,
    Danger,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Main => "main",
            Tone::Danger => "danger",
        }
    }
}

/// A link that looks like a button.
pub fn link_button(address: &str, words: &str, tone: Tone) -> Markup {
    html! { a.button.(tone.class()) href=(address) { (words) } }
}

/// A button that posts.
pub fn action(address: &str, words: &str, picture: Markup, tone: Tone) -> Markup {
    post(address, &[], html! { (picture) (words) }, tone)
}

/// A button that posts some fields.
pub fn post(address: &str, fields: &[(&str, &str)], words: Markup, tone: Tone) -> Markup {
    html! {
        form.inline method="post" action=(address) {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button.button.(tone.class()) type="submit" { (words) }
        }
    }
}

/// The top of a page: what it is, how it is, what is known at a glance, and what can be done.
pub fn heading(title: Markup, beside: Markup, below: Markup, actions: Markup) -> Markup {
    html! {
        div.heading {
            div.heading-words {
                div.heading-title { h1 { (title) } (beside) }
                div.heading-below { (below) }
            }
            div.heading-actions { (actions) }
        }
    }
}

/// A titled part of a page. With an `id`, it is drawn again when something happens.
pub fn section(id: &str, title: &str, beside: Markup, body: Markup) -> Markup {
    html! {
        section.part #(id) data-part {
            @if !title.is_empty() { div.part-head { h2 { (title) } (beside) } }
            (body)
        }
    }
}

/// Names and values, side by side.
pub fn facts(items: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in items { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// A number worth seeing, its name, and a line about it.
pub fn stat(name: &str, value: Markup, about: Markup) -> Markup {
    html! {
        div.stat { span.stat-name { (name) } span.stat-value { (value) } span.stat-about { (about) } }
    }
}

/// A commit's first digits; the whole on hover.
pub fn commit(id: &str, address: Option<&str>) -> Markup {
    let short = id.get(..8).unwrap_or(id);
    match address {
        Some(address) => html! { a.commit href=(address) title=(id) { (short) } },
        None => html! { code.commit title=(id) { (short) } },
    }
}

/// Pages beside each other: words, address, and which one is open.
pub fn tabs(label: &str, items: &[(&str, String, bool)]) -> Markup {
    html! {
        nav.subtabs aria-label=(label) {
            @for (words, address, open) in items {
                a href=(address) aria-current=[open.then_some("page")] { (words) }
            }
        }
    }
}

/// The pages about one pipeline, whose address is given; `open` is one of `""`, `results`, `jobs`.
pub fn pipeline_tabs(r: &Reader, address: &str, open: &str) -> Markup {
    let all = [
        (r.t("Steps", "단계"), ""),
        (r.t("Results", "결과"), "results"),
        (r.t("Reasons and artifacts", "이유와 아티팩트"), "jobs"),
    ];
    let items = all.map(|(words, page)| {
        let whole = if page.is_empty() { address.to_owned() } else { format!("{address}/{page}") };
        (words, whole, page == open)
    });
    tabs(r.t("Pipeline", "파이프라인"), &items)
}

/// What to say where there is nothing yet: why, and the next command.
pub fn empty(r: &Reader, title: &str, words: &str, commands: &[&str]) -> Markup {
    html! {
        div.empty {
            svg.empty-art viewBox="0 0 120 44" width="120" height="44" aria-hidden="true" {
                path.bank d="M0 30c12-1 18-6 28-7v21H0ZM120 30c-12-1-18-6-28-7v21h28Z" {}
                path.water d="M24 34c6 0 6-3 12-3s6 3 12 3 6-3 12-3 6 3 12 3 6-3 12-3 6 3 12 3v10H24Z" {}
                path.pier d="M26 24h14M94 24H80" {}
            }
            p.empty-title { (title) }
            p { (words) }
            @for command in commands { (copyable(r, command)) }
        }
    }
}

/// A command to type; `keys.js` adds the copying.
pub fn copyable(r: &Reader, command: &str) -> Markup {
    html! {
        div.command {
            code { (command) }
            button.quiet type="button" data-copy=(command) hidden { (r.t("Copy", "복사")) }
        }
    }
}

/// Text of a file or a program, as it is.
pub fn code_block(text: &str) -> Markup {
    html! { pre.block tabindex="0" { code { (text) } } }
}

/// One message at the top of a page.
pub fn flash(state: State, words: &str, hint: Option<&str>) -> Markup {
    let role = if state == State::Failed { "alert" } else { "status" };
    html! {
        div.flash.(state.class()) role=(role) {
            @match state { State::Running => (icon::ferry()), _ => (state.picture()) }
            div { p { (words) } @if let Some(hint) = hint { p.hint { (hint) } } }
        }
    }
}

/// `1.2 kB`: powers of a thousand.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
