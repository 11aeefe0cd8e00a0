//! What a merge request changes, with what people say of its lines.

use super::one::{self, reply};
use crate::{MergeRequestView, Side, Thread};
use kernel::diff::{DiffLine, Difference, FileDiff, LineKind, Status};
use maud::{Markup, html};
use web::Reader;

pub(super) fn draw(
    r: &Reader,
    view: &MergeRequestView,
    diff: &Difference,
    asked: Option<&(String, Side, usize)>,
) -> Markup {
    html! {
        p.soft {
            (diff.files.len()) " " (r.t("files", "개 파일")) " "
            span.plus-count { "+" (diff.added) } " " span.minus-count { "−" (diff.removed) }
            " · " (r.t("choose the number of a line to comment on it", "줄 번호를 누르면 댓글을 달 수 있습니다"))
        }
        @for (i, file) in diff.files.iter().enumerate() { (draw_file(r, view, i, file, asked)) }
        @if diff.truncated { p.plot-none { (r.t("more files changed than are shown", "보이지 않는 파일이 더 있습니다")) } }
    }
}

fn draw_file(
    r: &Reader,
    view: &MergeRequestView,
    index: usize,
    file: &FileDiff,
    asked: Option<&(String, Side, usize)>,
) -> Markup {
    let words = match file.status {
        Status::Added => r.t("added", "추가"),
        Status::Removed => r.t("removed", "삭제"),
        Status::Modified => "",
        Status::Renamed => r.t("renamed", "이름 변경"),
        Status::Copied => r.t("copied", "복사"),
        Status::Retyped => r.t("another kind", "종류 변경"),
    };
    html! {
        section.part #(format!("f{}", index + 1)) {
            div.file-head {
                span.grow {
                    @if let Some(from) = &file.from { span.faint { (from) " → " } }
                    (file.path)
                }
                @if !words.is_empty() { span.tag { (words) } }
                span.plus-count { "+" (file.added) }
                span.minus-count { "−" (file.removed) }
            }
            @if file.binary { p.plot-none { (r.t("a binary file", "바이너리 파일입니다")) } }
            @else if file.hunks.is_empty() {
                p.plot-none {
                    @if file.too_large { (r.t("too large to be compared here", "여기서 비교하기에는 너무 큽니다")) }
                    @else { (r.t("only its name or mode changed", "이름이나 모드만 바뀌었습니다")) }
                }
            } @else {
                div.diff tabindex="0" { table { tbody {
                    @for hunk in &file.hunks {
                        tr.hunk { td colspan="4" { "⋯" } }
                        @for line in &hunk.lines { (draw_line(r, view, file, line, asked)) }
                    }
                } } }
                @if file.too_large { p.plot-none { (r.t("and more that is not shown", "나머지는 보이지 않습니다")) } }
            }
        }
    }
}

fn draw_line(
    r: &Reader,
    view: &MergeRequestView,
    file: &FileDiff,
    line: &DiffLine,
    asked: Option<&(String, Side, usize)>,
) -> Markup {
    let (class, sign) = match line.kind {
        LineKind::Same => ("", " "),
        LineKind::Added => ("plus", "+"),
        LineKind::Removed => ("minus", "−"),
    };
    let here = |side: Side, at: Option<usize>| {
        at.is_some_and(|at| asked.is_some_and(|a| a.0 == file.path && a.1 == side && a.2 == at))
    };
    let number = |side: Side, at: Option<usize>| {
        let word = if side == Side::Old { "old" } else { "new" };
        html! {
            @if let Some(n) = at {
                a.quiet href=(format!(
                    "{}?tab=changes&path={}&side={word}&line={n}#say", view.address, web::segment(&file.path)
                )) title=(r.t("comment on this line", "이 줄에 댓글")) { (n) }
            }
        }
    };
    let threads = threads(view, file, line);
    html! {
        tr.(class) {
            td.no { (number(Side::Old, line.before)) }
            td.no { (number(Side::New, line.after)) }
            td.sign-cell { (sign) }
            td { (line.text) }
        }
        @if !threads.is_empty() {
            tr.said { td colspan="4" { @for t in threads { (one::thread(r, view, t, false)) } } }
        }
        @if here(Side::New, line.after) {
            tr.said { td colspan="4" #say { (form(r, view, &file.path, Side::New, line.after)) } }
        } @else if here(Side::Old, line.before) {
            tr.said { td colspan="4" #say { (form(r, view, &file.path, Side::Old, line.before)) } }
        }
    }
}

fn threads<'v>(view: &'v MergeRequestView, file: &FileDiff, line: &DiffLine) -> Vec<&'v Thread> {
    let fits = |t: &&Thread| {
        t.anchor.as_ref().is_some_and(|a| {
            let at = if a.side == Side::Old { line.before } else { line.after };
            a.path == file.path && at == Some(a.line) && a.text == line.text
        })
    };
    view.threads.iter().filter(fits).collect()
}

fn form(
    r: &Reader,
    view: &MergeRequestView,
    path: &str,
    side: Side,
    line: Option<usize>,
) -> Markup {
    let word = if side == Side::Old { "old" } else { "new" };
    let line = line.unwrap_or(0).to_string();
    reply(r, view, &[("path", path), ("side", word), ("line", &line), ("tab", "changes")], false)
}
