//! Tables: dense, sorted by their maker, walked with `j` and `k`.

use maud::{Markup, html};

/// One cell: its class (`num` to the right, `mark` in the middle under a head of several lines, `grow` takes what
/// is left, `wide` only on wide screens).
pub type Cell = (&'static str, Markup);

#[derive(Default)]
pub struct Table {
    /// Headings with the class of their column.
    pub heads: Vec<(&'static str, String)>,
    /// Each row's address, if it leads somewhere, and its cells.
    pub rows: Vec<(Option<String>, Vec<Markup>)>,
}

pub fn table(table: &Table) -> Markup {
    let class = |i: usize| table.heads.get(i).map_or("", |h| h.0);
    html! {
        div.table-wrap {
            table.rows {
                thead { tr { @for (class, words) in &table.heads { th.(class) scope="col" { (words) } } } }
                tbody {
                    @for (address, cells) in &table.rows {
                        tr data-row=[address] {
                            @for (i, cell) in cells.iter().enumerate() { td.(class(i)) { (cell) } }
                        }
                    }
                }
            }
        }
    }
}
