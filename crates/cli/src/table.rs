//! Plain tables: columns by width, no frames.

/// A table under way. An empty one says so in one line.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    remarks: Vec<String>,
    nothing: String,
}

impl Table {
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Table {
        Table { head: head.into_iter().map(Into::into).collect(), ..Table::default() }
    }

    /// What to say when there are no rows.
    pub fn nothing(mut self, words: &str) -> Table {
        self.nothing = words.to_owned();
        self
    }

    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|c| clean(&c.into())).collect());
    }

    /// A line below the table, as wide as it likes.
    pub fn remark(&mut self, words: impl Into<String>) {
        self.remarks.push(clean(&words.into()));
    }

    /// Lines that end in `\n`. Colour only dims the head.
    pub fn render(&self, color: bool) -> String {
        if self.rows.is_empty() && !self.nothing.is_empty() {
            return format!("{}\n", self.nothing);
        }
        let columns = self.rows.iter().map(Vec::len).chain([self.head.len()]).max().unwrap_or(0);
        let all = || self.rows.iter().chain([&self.head]);
        let widest = |i: usize| all().filter_map(|r| r.get(i)).map(|c| width(c)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(widest).collect();
        let mut out = String::new();
        if self.head.iter().any(|h| !h.is_empty()) {
            let head = line(&self.head, &widths);
            out.push_str(&if color {
                format!("\x1b[2m{head}\x1b[0m\n")
            } else {
                format!("{head}\n")
            });
        }
        for row in &self.rows {
            out.push_str(&line(row, &widths));
            out.push('\n');
        }
        for remark in &self.remarks {
            out.push_str(remark);
            out.push('\n');
        }
        out
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut out = String::new();
    for (cell, wide) in cells.iter().zip(widths) {
        out.push_str(cell);
        out.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
    }
    out.trim_end().to_owned()
}

/// Control characters of others' making must not reach a terminal.
fn clean(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Columns on a terminal: Hangul, kana and Han take two.
pub fn width(words: &str) -> usize {
    let wide = |c: char| {
        matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff)
    };
    words.chars().map(|c| 1 + usize::from(wide(c))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_scripts() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["web", "ok"]);
        table.row(["나루터", "a\x1b[31mb"]);
        assert_eq!(table.render(false), "NAME    STATE\nweb     ok\n나루터  a [31mb\n");
        assert_eq!(Table::new(["A"]).nothing("no things").render(true), "no things\n");
    }
}
