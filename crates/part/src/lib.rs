//! The table by which every part says what it has.
//!
//! Each part exports one `static PART` of plain data; `crates/naru/src/parts.rs` lists them all. Because
//! it is data, help, OpenAPI, schemas, menus and the authorization matrix print without opening anything.

use kernel::KindDef;
use kernel::kind::Text2;
use naru_http::{Asset, Route};

/// What a part has.
#[derive(Clone, Copy)]
pub struct Part {
    /// Its crate: `delivery-git`.
    pub name: &'static str,
    pub about: Text2,
    pub kinds: &'static [KindDef],
    pub routes: &'static [Route],
    pub commands: &'static [cli::Command],
    pub assets: &'static [Asset],
}

impl Part {
    /// A part with nothing; spread it in a static: `Part { name, about, routes: …, ..Part::EMPTY }`.
    pub const EMPTY: Part =
        Part { name: "", about: ("", ""), kinds: &[], routes: &[], commands: &[], assets: &[] };
}

/// Two tables of routes as one, at compile time: `concat::<{ A.len() + B.len() }>(A, B)`.
///
/// # Panics
/// At compile time, when `N` is not the sum of the lengths.
#[allow(clippy::indexing_slicing, reason = "evaluated at compile time only")]
pub const fn concat<const N: usize>(a: &[Route], b: &[Route]) -> [Route; N] {
    assert!(N == a.len() + b.len() && !a.is_empty());
    let mut out = [a[0]; N];
    let mut i = 0;
    while i < N {
        out[i] = if i < a.len() { a[i] } else { b[i - a.len()] };
        i += 1;
    }
    out
}
