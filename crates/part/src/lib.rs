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
