//! The frame around every page.

use kernel::{Error, Name, Text};
use maud::{DOCTYPE, Markup, html};
use naru_http::{Head, Response};

/// One step of the path to a page: its words and address.
pub type Crumb = (String, String);

/// What the shell needs to know of a page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub title: String,
    pub project: Option<Name>,
    /// Which entry of the navigation is lit: `changes`, `services`, `runs`, `code`, `metrics`, `events`.
    pub tab: &'static str,
    pub crumbs: Vec<Crumb>,
}

/// A whole page.
pub fn page(head: &Head, page: &Page, body: Markup) -> Response {
    naru_http::html(document(head, page, body))
}

fn document(head: &Head, page: &Page, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang=(head.lang.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (page.title) " · naru" }
            }
            body { main { h1 { (page.title) } (body) } }
        }
    }
    .into_string()
}

/// The page of an error.
pub fn error_page(head: &Head, error: &Error) -> String {
    let title = Text::clone(error.say());
    let page = Page { title: title.get(head.lang).to_owned(), ..Page::default() };
    let hint = error.get_hint().map(|h| h.get(head.lang).to_owned());
    document(head, &page, html! { @if let Some(hint) = hint { p { (hint) } } })
}
