//! What a commit changed in one file.

use super::Spot;
use crate::browse::{FileDiff, Hunk, LineKind, Status};
use maud::{Markup, html};
use web::Reader;

pub(super) fn file(r: &Reader, spot: &Spot, index: usize, file: &FileDiff) -> Markup {
    let there = spot.address("file", &file.path);
    let (en, ko) = match file.status {
        Status::Added => ("added", "추가"),
        Status::Removed => ("removed", "삭제"),
        Status::Modified => ("", ""),
        Status::Renamed => ("renamed", "이름 변경"),
        Status::Copied => ("copied", "복사"),
        Status::Retyped => ("another kind", "종류 변경"),
    };
    let words = r.t(en, ko);
    html! {
        section.part #(format!("f{}", index + 1)) {
            div.file-head {
                span.grow {
                    @if let Some(from) = &file.from { span.faint { (from) " → " } }
                    @if file.status == Status::Removed { (file.path) } @else { a.title-link href=(there) { (file.path) } }
                }
                @if !words.is_empty() { span.tag { (words) } }
                span.plus-count { "+" (file.added) }
                span.minus-count { "−" (file.removed) }
            }
            (body(r, file))
        }
    }
}

fn body(r: &Reader, file: &FileDiff) -> Markup {
    let note = |en, ko| html! { p.plot-none { (r.t(en, ko)) } };
    if file.binary {
        return note("a binary file", "바이너리 파일입니다");
    }
    if file.hunks.is_empty() {
        return match file.too_large {
            true => note("too large to be compared here", "여기서 비교하기에는 너무 큽니다"),
            false => note("only its name or mode changed", "이름이나 모드만 바뀌었습니다"),
        };
    }
    html! {
        div.diff tabindex="0" { table { tbody { @for hunk in &file.hunks { (draw(hunk)) } } } }
        @if file.too_large { (note("and more that is not shown", "나머지는 보이지 않습니다")) }
    }
}

fn draw(hunk: &Hunk) -> Markup {
    let first = |pick: fn(&crate::browse::DiffLine) -> Option<usize>| {
        hunk.lines.iter().find_map(pick).unwrap_or(0)
    };
    html! {
        tr.hunk { td colspan="4" { "@@ −" (first(|l| l.before)) " +" (first(|l| l.after)) " @@" } }
        @for line in &hunk.lines {
            @let (class, sign) = match line.kind {
                LineKind::Same => ("", " "),
                LineKind::Added => ("plus", "+"),
                LineKind::Removed => ("minus", "−"),
            };
            tr.(class) {
                td.no { @if let Some(n) = line.before { (n) } }
                td.no { @if let Some(n) = line.after { (n) } }
                td.sign-cell { (sign) }
                td { (line.text) }
            }
        }
    }
}
