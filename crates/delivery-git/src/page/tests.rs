//! What a reader of these pages would notice.

use super::{Spot, commits, diff, files, repositories};
use crate::browse::{
    CommitView, DiffLine, DirectoryView, FileDiff, FileView, Hunk, Item, ItemKind, LineKind,
    LogView, RefView, RefsView, Status,
};
use kernel::journey::Commit;
use kernel::{Name, Time};
use maud::Markup;
use web::Reader;
use web::testing::words;

const NOW: Time = Time(1_764_000_000_000);

/// The markup in English, sound in both languages.
fn drawn(draw: impl Fn(&Reader) -> Markup) -> String {
    web::testing::drawn(NOW, draw)
}

fn spot(revision: &str, path: &str) -> Spot {
    Spot {
        project: Name::parse("shop").unwrap(),
        repository: Name::parse("web").unwrap(),
        revision: revision.into(),
        path: path.into(),
    }
}

fn commit() -> Commit {
    Commit {
        id: "0123456789abcdef0123456789abcdef01234567".into(),
        parents: vec!["f".repeat(40)],
        author: "Han <script>".into(),
        email: "han@example.org".into(),
        authored: NOW,
        committed: NOW,
        subject: "Mend <b>everything</b>".into(),
        message: String::new(),
    }
}

fn item(name: &str, kind: ItemKind) -> Item {
    Item { name: name.into(), kind, executable: false, size: Some(1200), object: "a".repeat(40) }
}

#[test]
fn a_directory_links_any_name_and_any_branch() {
    let refs = RefsView {
        default_branch: "main".into(),
        branches: vec![RefView { name: "feature/세금".into(), id: "a".repeat(40) }],
        tags: vec![],
    };
    let directory = DirectoryView {
        commit: commit().id,
        path: "src".into(),
        items: vec![item("a b?.py", ItemKind::File), item("lib", ItemKind::Directory)],
    };
    let spot = spot("feature/x", "src");
    let html = drawn(|r| files::draw(r, &spot, &refs, &directory, Some(&commit()), None));
    assert!(html.contains("/projects/shop/code/web/file/feature%2Fx/src/a%20b%3F.py"), "{html}");
    assert!(html.contains("/projects/shop/code/web/tree/feature%2Fx/src/lib"));
    assert!(html.contains("/tree/feature%2F%EC%84%B8%EA%B8%88\""));
    assert!(html.contains("/projects/shop/code/web/tree/feature%2Fx\">..</a>"), "a way up");
    assert!(words(&html).contains("1.2 kB"));
}

#[test]
fn a_file_is_text_with_numbers_to_link_to() {
    let file = FileView {
        commit: commit().id,
        path: "app.py".into(),
        kind: ItemKind::File,
        executable: true,
        size: 30,
        binary: false,
        too_large: false,
        text: Some("a < b\n\t<i>c</i>\n".into()),
    };
    let html = drawn(|r| files::draw_file(r, &spot("main", "app.py"), &file));
    assert!(html.contains("<tr id=\"L2\">") && html.contains("href=\"#L2\""));
    assert!(html.contains("\t&lt;i&gt;c&lt;/i&gt;"));
    assert!(words(&html).contains("2 lines"));
    let binary = FileView { text: None, binary: true, ..file };
    let html = drawn(|r| files::draw_file(r, &spot("main", "app.py"), &binary));
    assert!(
        words(&html).contains("a binary file") && html.contains("/raw?ref=main&amp;path=app.py")
    );
}

#[test]
fn a_commit_shows_what_it_changed_and_its_way_to_production() {
    let line =
        |kind, before, after, text: &str| DiffLine { kind, before, after, text: text.into() };
    let file = FileDiff {
        path: "new.py".into(),
        from: Some("old.py".into()),
        status: Status::Renamed,
        modes: (0o100_644, 0o100_644),
        added: 1,
        removed: 1,
        binary: false,
        too_large: false,
        hunks: vec![Hunk {
            lines: vec![
                line(LineKind::Same, Some(4), Some(4), "x"),
                line(LineKind::Removed, Some(5), None, "<old>"),
                line(LineKind::Added, None, Some(5), "<new>"),
            ],
        }],
    };
    let view = CommitView {
        commit: commit(),
        message: "Mend\n\nBecause <it> broke".into(),
        files: vec![file.clone()],
        added: 1,
        removed: 1,
        truncated: true,
    };
    let html = drawn(|r| commits::draw(r, &spot(&commit().id, ""), &view));
    let seen = words(&html);
    assert!(
        seen.contains(
            "old.py → new.py renamed +1 −1 @@ −4 +4 @@ 4 4 x 5 − &lt;old&gt; 5 + &lt;new&gt;"
        ),
        "{seen}"
    );
    assert!(seen.contains("Because &lt;it&gt; broke") && seen.contains("More files changed"));
    assert!(html.contains("/projects/shop/changes/web-0123456789ab\""));
    let empty = FileDiff { hunks: vec![], ..file };
    let html = drawn(|r| diff::file(r, &spot("main", ""), 0, &empty));
    assert!(words(&html).contains("only its name or mode changed"));
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    let log = LogView { from: commit().id, commits: vec![commit()], next: Some(50) };
    let html = drawn(|r| commits::draw_list(r, &spot("main", "src"), &log));
    assert!(html.contains("/commits/main/src?skip=50\""), "{html}");
    assert!(html.contains("Mend &lt;b&gt;everything"));
}

#[test]
fn a_project_without_code_teaches_the_first_push() {
    let shop = Name::parse("shop").unwrap();
    let html = drawn(|r| repositories::draw(r, &shop, "http://127.0.0.1:8080", &[]));
    assert!(words(&html).contains("git remote add naru http://127.0.0.1:8080/shop/web.git"));
}
