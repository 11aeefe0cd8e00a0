//! Pictures, drawn in a 16 by 16 box in the colour of the text around them.

use maud::{Markup, html};

fn icon(class: &str, body: Markup) -> Markup {
    html! {
        svg.icon.(class) viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor"
            stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" { (body) }
    }
}

/// A path of straight and curved strokes.
fn stroke(class: &str, d: &str) -> Markup {
    icon(class, html! { path d=(d) {} })
}

/// Our mark: a ferry under way between two banks.
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="26" height="26" fill="none" aria-hidden="true" {
            path.mark-sail d="M15 4.5v13H6.8C9.6 14.6 12.9 10 15 4.5Z" fill="currentColor" {}
            path.mark-sail-2 d="M17.4 7.8c2.6 2.5 5 5.9 6.3 9.7h-6.3V7.8Z" fill="currentColor" {}
            path.mark-hull d="M3.6 19.6h24.8c-.9 3-2.8 5-5.4 5.9H9c-2.6-.9-4.5-2.9-5.4-5.9Z" fill="currentColor" {}
            path.mark-wave d="M2 28.6c2.3 0 2.3-1.5 4.7-1.5s2.3 1.5 4.7 1.5 2.3-1.5 4.6-1.5 2.3 1.5 4.7 1.5 2.3-1.5 4.6-1.5 2.4 1.5 4.7 1.5"
                stroke="currentColor" stroke-width="1.9" stroke-linecap="round" {}
        }
    }
}

/// The ferry alone, small: it marks where a change is on its way.
pub fn ferry() -> Markup {
    html! {
        svg.ferry viewBox="0 0 22 18" width="22" height="18" aria-hidden="true" {
            path d="M10.3 0.5v8.7H4.2C6.5 7.1 8.9 4.3 10.3 0.5ZM12 3c1.9 1.7 3.5 3.8 4.4 6.2H12V3Z" {}
            path d="M1 10.6h20c-.8 2.7-2.3 4.3-4.4 5H5.4C3.3 14.9 1.8 13.3 1 10.6Z" {}
        }
    }
}

pub fn check() -> Markup {
    stroke("", "M3.5 8.5l3 3 6-7")
}
pub fn cross() -> Markup {
    stroke("", "M4.5 4.5l7 7m0-7l-7 7")
}
pub fn play() -> Markup {
    icon("", html! { path d="M5.5 3.8l6.5 4.2-6.5 4.2Z" fill="currentColor" {} })
}
pub fn pause() -> Markup {
    stroke("", "M6 4.5v7M10 4.5v7")
}
pub fn again() -> Markup {
    stroke("", "M12.8 8a4.8 4.8 0 1 1-1.5-3.5M12.9 2.6v2.6h-2.6")
}
pub fn back() -> Markup {
    stroke("", "M6 3.5L2.8 6.7 6 9.9M3 6.7h6.2a3.7 3.7 0 0 1 0 7.3H6.5")
}
pub fn clock() -> Markup {
    icon("", html! { circle cx="8" cy="8" r="5.6" {} path d="M8 5v3.2l2.1 1.3" {} })
}
pub fn skip() -> Markup {
    stroke("", "M4 8h8")
}
pub fn lock() -> Markup {
    stroke("", "M4 7.5h8v5.5H4ZM5.7 7.3V5.2a2.3 2.3 0 0 1 4.6 0v2.1")
}
pub fn dot() -> Markup {
    icon("", html! { circle cx="8" cy="8" r="3" fill="currentColor" stroke="none" {} })
}
pub fn bang() -> Markup {
    stroke("", "M8 3.5v5.5M8 12.3v.2")
}
/// A turning ring; still for readers who asked for less motion.
pub fn spin() -> Markup {
    icon(
        "spin",
        html! {
            circle cx="8" cy="8" r="5.4" stroke-opacity="0.28" {}
            path d="M8 2.6a5.4 5.4 0 0 1 5.4 5.4" {}
        },
    )
}
pub fn branch() -> Markup {
    icon(
        "",
        html! {
            circle cx="4.5" cy="3.8" r="1.7" {} circle cx="4.5" cy="12.2" r="1.7" {} circle cx="11.5" cy="5.3" r="1.7" {}
            path d="M4.5 5.6v4.9M11.5 7c0 2.8-6 2.2-6.7 4" {}
        },
    )
}
pub fn folder() -> Markup {
    stroke("", "M2.5 12.5v-9h3.8l1.5 1.8h5.7v7.2Z")
}
pub fn file() -> Markup {
    stroke("", "M4 2.5h5l3 3v8H4ZM9 2.7v3h3")
}
pub fn link() -> Markup {
    stroke("", "M9.5 3.5h3v3M12.3 3.7L7.5 8.5M7 4H3.5v8.5H12V9")
}
pub fn chevron() -> Markup {
    stroke("chevron", "M5 6.5l3 3 3-3")
}
pub fn sun() -> Markup {
    icon(
        "",
        html! {
            circle cx="8" cy="8" r="2.7" {}
            path d="M8 1.8v1.3M8 12.9v1.3M1.8 8h1.3M12.9 8h1.3M3.6 3.6l.9.9M11.5 11.5l.9.9M12.4 3.6l-.9.9M4.5 11.5l-.9.9" {}
        },
    )
}
pub fn moon() -> Markup {
    stroke("", "M13 9.7A5.5 5.5 0 0 1 6.3 3 5.5 5.5 0 1 0 13 9.7Z")
}
pub fn half() -> Markup {
    icon(
        "",
        html! {
            circle cx="8" cy="8" r="5.3" {}
            path d="M8 2.7a5.3 5.3 0 0 1 0 10.6Z" fill="currentColor" {}
        },
    )
}
pub fn person() -> Markup {
    icon(
        "",
        html! { circle cx="8" cy="5.3" r="2.6" {} path d="M2.9 13.5c.6-2.7 2.5-4 5.1-4s4.5 1.3 5.1 4" {} },
    )
}
