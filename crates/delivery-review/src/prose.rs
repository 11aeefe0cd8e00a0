//! The little of Markdown that comments need, safely: paragraphs, fenced code, code in a line, and links that begin
//! with `http://` or `https://`. Everything else is shown as it was written.

use maud::{Markup, html};

/// A text as people wrote it.
pub(crate) fn draw(words: &str) -> Markup {
    html! { div.prose { @for block in blocks(words) { (block.draw()) } } }
}

#[derive(Debug, PartialEq, Eq)]
enum Block {
    Words(String),
    Code(String),
}

fn blocks(words: &str) -> Vec<Block> {
    let (mut out, mut lines, mut code) = (Vec::new(), Vec::new(), false);
    let flush = |out: &mut Vec<Block>, lines: &mut Vec<&str>, code: bool| {
        let text = lines.join("\n");
        if code {
            out.push(Block::Code(text));
        } else if !text.trim().is_empty() {
            out.push(Block::Words(text));
        }
        lines.clear();
    };
    for line in words.lines() {
        if line.trim_start().starts_with("```") {
            flush(&mut out, &mut lines, code);
            code = !code;
        } else if line.trim().is_empty() && !code {
            flush(&mut out, &mut lines, false);
        } else {
            lines.push(line);
        }
    }
    if code || !lines.is_empty() {
        flush(&mut out, &mut lines, code);
    }
    out
}

impl Block {
    fn draw(&self) -> Markup {
        match self {
            Block::Code(code) => web::widget::code_block(code),
            Block::Words(words) => html! {
                p {
                    @for (i, line) in words.lines().enumerate() {
                        @if i > 0 { br; }
                        @for piece in pieces(line) {
                            @match piece {
                                Piece::Plain(text) => (text),
                                Piece::Code(text) => code { (text) },
                                Piece::Link(to) => a href=(to) rel="nofollow noopener" { (to) },
                            }
                        }
                    }
                }
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'w> {
    Plain(&'w str),
    Code(&'w str),
    Link(&'w str),
}

fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    for (i, part) in line.split('`').enumerate() {
        // A backtick without a partner leaves the last part odd: shown as code to the end of the line.
        if i % 2 == 1 { out.push(Piece::Code(part)) } else { links(part, &mut out) }
    }
    out
}

fn links<'w>(mut words: &'w str, out: &mut Vec<Piece<'w>>) {
    let find =
        |words: &str| ["https://", "http://"].into_iter().filter_map(|s| words.find(s)).min();
    while let Some(at) = find(words) {
        let (before, rest) = words.split_at(at);
        let stops = |c: char| c.is_whitespace() || "<>\"'()[]".contains(c);
        let end = rest.find(stops).unwrap_or(rest.len());
        let (link, after) = rest.split_at(end);
        let trimmed = link.trim_end_matches(['.', ',', ';', ':', '!', '?']);
        let cut = link.len() - trimmed.len();
        if !before.is_empty() {
            out.push(Piece::Plain(before));
        }
        out.push(Piece::Link(trimmed));
        words = rest.get(link.len() - cut..).unwrap_or(after);
    }
    if !words.is_empty() {
        out.push(Piece::Plain(words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_is_escaped_and_links_are_of_the_web_only() {
        let html = draw(
            "see https://a.b/c. <script>x</script>\njavascript:alert(1)\n\n```\n<b>\n```\n`a<b`",
        )
        .into_string();
        assert!(
            html.contains(
                "<a href=\"https://a.b/c\" rel=\"nofollow noopener\">https://a.b/c</a>. "
            )
        );
        assert!(!html.contains("<script>") && !html.contains("href=\"javascript"), "{html}");
        assert!(html.contains("&lt;b&gt;") && html.contains("<code>a&lt;b</code>"), "{html}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_tag_of_its_own(words in ".{0,200}") {
            let html = draw(&words).into_string();
            let tags = ["div", "p", "br", "code", "a", "pre"];
            for tag in html.split('<').skip(1) {
                let name = tag.trim_start_matches('/');
                let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
                prop_assert!(tags.contains(&name.as_str()), "{}", html);
            }
        }

        #[test]
        fn nothing_of_a_line_is_lost(line in "[a-z`:/. https]{0,80}") {
            let text: String = pieces(&line).iter().map(|p| match p {
                Piece::Plain(t) | Piece::Code(t) | Piece::Link(t) => *t,
            }).collect();
            prop_assert_eq!(text, line.replace('`', ""));
        }
    }
}
