use super::*;
use kernel::ErrorKind;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering;
use store::{Durability, Options};
use tempfile::TempDir;

/// In memory where that is possible: what is tested here is not how fast the disk syncs.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

struct World {
    dir: TempDir,
    store: Store,
    blobs: Blobs,
}

async fn world() -> World {
    let dir = dir();
    let options = Options { durability: Durability::Process, ..Options::default() };
    let store = Store::open(&dir.path().join("naru.db"), options).unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs"), store.clone()).await.unwrap();
    World { dir, store, blobs }
}

impl World {
    /// A directory with these files, each holding its own path.
    fn files(&self, name: &str, paths: &[&str]) -> std::path::PathBuf {
        let top = self.dir.path().join(name);
        fs::create_dir_all(&top).unwrap();
        for path in paths {
            let file = top.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, path).unwrap();
        }
        top
    }

    async fn refer(&self, owner: &'static str, held: &Held) {
        let hash = held.hash.clone();
        self.store.write(move |tx| refer(tx, owner, &hash)).await.unwrap();
    }

    fn temps(&self) -> usize {
        fs::read_dir(self.dir.path().join("blobs/tmp")).unwrap().count()
    }
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.entries.iter().map(|e| e.path.as_str()).collect()
}

fn everything() -> Choose {
    Choose::all(1 << 30, 10_000)
}

#[tokio::test]
async fn the_same_bytes_are_one_file_however_they_come() {
    let w = world().await;
    let bytes = vec![7; CHUNK * 3 + 5];
    let file = w.dir.path().join("file");
    fs::write(&file, &bytes).unwrap();
    let one = w.blobs.put_bytes(bytes.clone()).await.unwrap();
    let at = w.dir.path().join("blobs").join(&one.hash[..2]).join(&one.hash[2..]);
    let inode = fs::metadata(&at).unwrap().ino();
    let two = w.blobs.put_file(&file).await.unwrap();
    let three = w.blobs.put_stream(&bytes[..], u64::MAX).await.unwrap();
    assert_eq!((&one.hash, one.size), (&two.hash, two.size));
    assert_eq!((&one.hash, one.size), (&three.hash, three.size));
    assert_eq!(fs::metadata(&at).unwrap().ino(), inode, "written once");
    assert_eq!(w.temps(), 0);
    w.blobs.check(&one.hash).await.unwrap();
}

#[tokio::test]
async fn limits_and_unknown_names_have_their_own_answers() {
    let w = world().await;
    let over = w.blobs.put_stream(&[0; 11][..], 10).await.unwrap_err();
    assert_eq!((over.kind(), over.code()), (ErrorKind::TooLarge, "blob.too-large"));
    let exact = w.blobs.put_stream(&[0; 10][..], 10).await.unwrap();
    assert_eq!(w.blobs.get(&exact.hash, 9).await.unwrap_err().code(), "blob.too-large");
    assert_eq!(w.blobs.get(&exact.hash, 10).await.unwrap().len(), 10);
    let upper = exact.hash.to_uppercase();
    for unknown in ["", "../../naru.db", &"0".repeat(64), &upper] {
        assert_eq!(w.blobs.get(unknown, 10).await.unwrap_err().code(), "blob.unknown");
        assert_eq!(w.blobs.hold(unknown).await.unwrap_err().code(), "blob.unknown");
    }
    assert_eq!(w.blobs.tree(&exact.hash).await.unwrap_err().code(), "tree.invalid");
    assert_eq!(w.temps(), 0, "a refused upload leaves nothing");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let w = world().await;
    let (mut ours, theirs) = tokio::io::duplex(64);
    let blobs = w.blobs.clone();
    let put = tokio::spawn(async move { blobs.put_stream(theirs, u64::MAX).await });
    ours.write_all(&[1; 200]).await.unwrap();
    put.abort();
    assert!(put.await.unwrap_err().is_cancelled());
    assert_eq!(w.temps(), 0);
    assert_eq!(w.blobs.collect().await.unwrap(), Collected::default());
}

#[tokio::test]
async fn damage_is_found_when_asked_for() {
    let w = world().await;
    let held = w.blobs.put_bytes(b"true".to_vec()).await.unwrap();
    let at = w.dir.path().join("blobs").join(&held.hash[..2]).join(&held.hash[2..]);
    fs::write(at, "lies").unwrap();
    assert_eq!(w.blobs.check(&held.hash).await.unwrap_err().code(), "blob.damaged");
}

#[tokio::test]
async fn a_full_disk_says_so_and_stores_nothing() {
    let w = world().await;
    let top = w.files("src", &["a", "b/c"]);
    w.blobs.disk.room.store(3, Ordering::SeqCst);
    let errors = [
        w.blobs.put_bytes(b"four".to_vec()).await.err(),
        w.blobs.put_stream(&b"four"[..], 10).await.err(),
        w.blobs.put_tree(&top, everything()).await.err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "disk.full"));
        assert!(error.get_hint().is_some());
    }
    assert_eq!(w.temps(), 0);
    w.blobs.disk.room.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(w.blobs.collect().await.unwrap().kept, 0);
    w.blobs.put_tree(&top, everything()).await.unwrap();
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let w = world().await;
    let top = w.files("src", &["run", "a/b/c", "a/b-", "a/z"]);
    fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("../../etc/passwd", top.join("a/link")).unwrap();
    symlink("/", top.join("root")).unwrap();
    fs::create_dir_all(top.join(".git")).unwrap();
    fs::write(top.join(".git/config"), "secret").unwrap();
    let held = w.blobs.put_tree(&top, everything()).await.unwrap();
    let tree = w.blobs.tree(&held.hash).await.unwrap();
    assert_eq!(paths(&tree), ["a/b-", "a/b/c", "a/link", "a/z", "root", "run"]);
    assert_eq!((held.files, held.size), (6, tree.bytes()));

    let out = w.dir.path().join("deep/out");
    w.blobs.materialise(&held.hash, &out).await.unwrap();
    assert_eq!(fs::read_to_string(out.join("a/b/c")).unwrap(), "a/b/c");
    assert_eq!(fs::metadata(out.join("run")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(out.join("a/z")).unwrap().mode() & 0o777, 0o644);
    assert_eq!(fs::read_link(out.join("a/link")).unwrap().to_str(), Some("../../etc/passwd"));
    // Copies: changing one changes neither the blob nor what is made from it later.
    fs::write(out.join("a/z"), "changed").unwrap();
    let again = w.blobs.put_tree(&out, everything()).await.unwrap();
    assert_ne!(again.hash, held.hash);
    w.blobs.materialise(&held.hash, &out).await.unwrap();
    assert_eq!(w.blobs.put_tree(&out, everything()).await.unwrap().hash, held.hash);
}

/// So many that several threads write them.
#[tokio::test]
async fn a_tree_of_links_reads_as_one_of_copies_and_outlives_its_blobs() {
    let w = world().await;
    let names: Vec<String> = (0..1500).map(|n| format!("d{:02}/e/{n}", n % 40)).collect();
    let top = w.files("src", &names.iter().map(String::as_str).collect::<Vec<_>>());
    fs::set_permissions(top.join("d00/e/0"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("d01/e/1", top.join("link")).unwrap();
    let held = w.blobs.put_tree(&top, everything()).await.unwrap();
    let out = w.dir.path().join("out");
    w.blobs.link(&held.hash, &out).await.unwrap();
    assert_eq!(w.blobs.put_tree(&out, everything()).await.unwrap().hash, held.hash);
    let plain = fs::metadata(out.join("d01/e/1")).unwrap();
    assert_eq!((plain.nlink(), plain.mode() & 0o7777), (2, 0o644));
    let program = fs::metadata(out.join("d00/e/0")).unwrap();
    assert_eq!((program.nlink(), program.mode() & 0o7777), (1, 0o755));
    // What lies there already is replaced, and a blob of another mode gets the right one.
    fs::set_permissions(out.join("d01/e/1"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(out.join("d01/e/1")).unwrap();
    fs::write(out.join("d01/e/1"), "in the way").unwrap();
    w.blobs.link(&held.hash, &out).await.unwrap();
    assert_eq!(fs::read_to_string(out.join("d01/e/1")).unwrap(), "d01/e/1");
    assert_eq!(fs::metadata(out.join("d01/e/1")).unwrap().mode() & 0o7777, 0o644);
    // The collector takes the blobs' names, not these.
    drop(held);
    assert_eq!(w.blobs.collect().await.unwrap().kept, 0);
    assert_eq!(fs::read_to_string(out.join("d39/e/39")).unwrap(), "d39/e/39");
}

/// So many that they are synced together and not one by one.
#[tokio::test]
async fn two_hundred_small_files_are_one_batch() {
    let w = world().await;
    let names: Vec<String> = (0..200).map(|n| format!("d{}/{n}", n % 7)).collect();
    let top = w.files("src", &names.iter().map(String::as_str).collect::<Vec<_>>());
    fs::copy(top.join("d0/0"), top.join("twin")).unwrap();
    let held = w.blobs.put_tree(&top, everything()).await.unwrap();
    assert_eq!((held.files, w.temps()), (201, 0));
    let out = w.dir.path().join("out");
    w.blobs.materialise(&held.hash, &out).await.unwrap();
    assert_eq!(w.blobs.put_tree(&out, everything()).await.unwrap().hash, held.hash);
    assert_eq!(w.blobs.collect().await.unwrap().kept, 201, "the twins are one blob; and the tree");
}

#[tokio::test]
async fn a_tree_takes_what_was_chosen() {
    let w = world().await;
    let top = w.files("src", &["dist/a.js", "dist/a.map", "dist/x/b.js", "lib.so", "no/lib.so"]);
    let chosen = |include: &[&str], exclude: &[&str]| Choose {
        include: include.iter().map(ToString::to_string).collect(),
        exclude: exclude.iter().map(ToString::to_string).collect(),
        ..everything()
    };
    let choose = chosen(&["dist/", "*.so"], &["**/*.map"]);
    let held = w.blobs.put_tree(&top, choose).await.unwrap();
    let tree = w.blobs.tree(&held.hash).await.unwrap();
    assert_eq!(paths(&tree), ["dist/a.js", "dist/x/b.js", "lib.so"]);
    let none = w.blobs.put_tree(&top, chosen(&["missing/"], &[])).await.unwrap();
    assert_eq!(none.files, 0);
    let fail = |choose| async { w.blobs.put_tree(&top, choose).await.unwrap_err().code() };
    assert_eq!(fail(chosen(&["../"], &[])).await, "glob.invalid");
    let all = w.blobs.put_tree(&top, everything()).await.unwrap();
    let select = chosen(&["dist/", "*.so"], &["**/*.map"]);
    let selected = w.blobs.select(&all.hash, select.clone()).await.unwrap();
    let walked = w.blobs.put_tree(&top, select).await.unwrap();
    assert_eq!(selected.hash, walked.hash, "a tree is chosen from as a directory is");
    assert_eq!(fail(Choose { limit_files: 4, ..everything() }).await, "tree.too-many-files");
    assert_eq!(fail(Choose { limit_bytes: 20, ..everything() }).await, "tree.too-large");
}

#[tokio::test]
async fn a_link_to_the_outside_is_kept_and_not_followed() {
    let w = world().await;
    let outside = w.files("outside", &["secret"]);
    let top = w.files("src", &["a"]);
    symlink(&outside, top.join("dist")).unwrap();
    let choose = Choose { include: vec!["dist/".into(), "dist/secret".into()], ..everything() };
    let held = w.blobs.put_tree(&top, choose).await.unwrap();
    let tree = w.blobs.tree(&held.hash).await.unwrap();
    assert_eq!(tree.entries.iter().map(|e| e.mode).collect::<Vec<_>>(), [LINK]);
    assert_eq!(w.blobs.put_file(&top.join("dist")).await.unwrap_err().code(), "blob.not-a-file");
}

#[tokio::test]
async fn nothing_is_written_through_a_link_that_lies_in_wait() {
    let w = world().await;
    let (outside, top) = (w.files("outside", &["kept"]), w.files("src", &["dir/kept", "file"]));
    let held = w.blobs.put_tree(&top, everything()).await.unwrap();
    let out = w.files("out", &[]);
    symlink(&outside, out.join("dir")).unwrap();
    let refused = w.blobs.materialise(&held.hash, &out).await.unwrap_err();
    assert_eq!(refused.code(), "tree.in-the-way");
    fs::remove_file(out.join("dir")).unwrap();
    symlink(outside.join("kept"), out.join("file")).unwrap();
    w.blobs.materialise(&held.hash, &out).await.unwrap();
    assert!(fs::symlink_metadata(out.join("file")).unwrap().is_file());
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
}

#[tokio::test]
async fn sockets_and_pipes_are_left_out() {
    let w = world().await;
    let top = w.files("src", &["a"]);
    let _socket = std::os::unix::net::UnixListener::bind(top.join("s")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, top.join("p"), rustix::fs::FileType::Fifo, mode, 0)
        .unwrap();
    let held = w.blobs.put_tree(&top, everything()).await.unwrap();
    assert_eq!(paths(&w.blobs.tree(&held.hash).await.unwrap()), ["a"]);
    assert_eq!(w.blobs.put_file(&top.join("p")).await.unwrap_err().code(), "blob.not-a-file");
}

#[tokio::test]
async fn a_hostile_tree_writes_nothing() {
    let w = world().await;
    let file = w.blobs.put_bytes(b"bad".to_vec()).await.unwrap();
    let out = w.dir.path().join("out");
    for path in ["../bad", "/tmp/bad", "a/../../bad", ".git/hooks/post-checkout"] {
        let hash = &file.hash;
        let words =
            format!(r#"{{"entries":[{{"path":"{path}","mode":33261,"size":3,"hash":"{hash}"}}]}}"#);
        let tree = w.blobs.put_bytes(words.into_bytes()).await.unwrap();
        let refused = w.blobs.materialise(&tree.hash, &out).await.unwrap_err();
        assert_eq!(refused.code(), "tree.path", "{path}");
    }
    assert!(!out.exists() && !w.dir.path().join("bad").exists());
}

#[tokio::test]
async fn directories_that_make_no_tree_say_why() {
    use std::os::unix::ffi::OsStrExt;
    let w = world().await;
    let fail = |name: &str| {
        let (blobs, dir) = (w.blobs.clone(), w.dir.path().join(name));
        async move { blobs.put_tree(&dir, everything()).await.unwrap_err() }
    };
    assert_eq!(fail("missing").await.code(), "tree.missing");
    let latin = w.files("latin", &[]);
    fs::write(latin.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    assert_eq!(fail("latin").await.code(), "tree.path");
    w.files("deep", &[&format!("{}x", "d/".repeat(200))]);
    let deep = fail("deep").await;
    assert_eq!(deep.code(), "tree.path");
    assert!(deep.say().en.contains("too deeply"));
}

#[tokio::test]
async fn entries_must_be_stored_and_of_their_size() {
    let w = world().await;
    let held = w.blobs.put_bytes(b"abc".to_vec()).await.unwrap();
    let entry = Entry { path: "x/y".into(), mode: PLAIN, size: 3, hash: held.hash.clone() };
    let tree = w.blobs.put_entries(vec![entry.clone()]).await.unwrap();
    assert_eq!((tree.files, tree.size), (1, 3));
    let fail = |entry| async { w.blobs.put_entries(vec![entry]).await.unwrap_err() };
    assert_eq!(fail(Entry { size: 4, ..entry.clone() }).await.code(), "tree.size");
    let missing = fail(Entry { hash: "0".repeat(64), ..entry.clone() }).await;
    assert_eq!(missing.code(), "blob.unknown");
    assert!(missing.say().en.contains("x/y"));
    assert_eq!(fail(Entry { path: "../y".into(), ..entry }).await.code(), "tree.path");
}

#[tokio::test]
async fn a_file_over_a_directory_removes_what_was_below() {
    let w = world().await;
    let base = w.blobs.put_tree(&w.files("1", &["a/x", "b"]), everything()).await.unwrap();
    let over = w.blobs.put_tree(&w.files("2", &["a", "b/c"]), everything()).await.unwrap();
    let layers = [base.hash.clone(), over.hash.clone()];
    let both = w.blobs.overlay(&layers).await.unwrap();
    assert_eq!(both.hash, over.hash);
}

#[tokio::test]
async fn the_collector_keeps_what_is_referred_to_or_held() {
    let w = world().await;
    let top = w.files("src", &["a", "b/c"]);
    let tree = w.blobs.put_tree(&top, everything()).await.unwrap();
    let plain = w.blobs.put_bytes(b"plain".to_vec()).await.unwrap();
    let loose = w.blobs.put_bytes(b"loose".to_vec()).await.unwrap();
    w.refer("run/1", &tree).await;
    w.refer("run/1", &plain).await;
    w.refer("run/1/log", &plain).await;
    let (tree_hash, plain_hash) = (tree.hash.clone(), plain.hash.clone());
    drop((tree, plain));
    assert_eq!(w.blobs.collect().await.unwrap(), Collected { kept: 5, ..Collected::default() });
    drop(loose);
    assert_eq!(w.blobs.collect().await.unwrap(), Collected { kept: 4, deleted: 1, freed: 5 });
    w.blobs.materialise(&tree_hash, &w.dir.path().join("out")).await.unwrap();

    // The shorter owner's name is the longer one's beginning.
    w.store.write(|tx| release_all(tx, "run/1")).await.unwrap();
    let held = w.blobs.hold(&tree_hash).await.unwrap();
    assert_eq!(w.blobs.collect().await.unwrap().kept, 4, "holding a tree holds its files");
    drop(held);
    assert_eq!(w.blobs.collect().await.unwrap().kept, 1);
    assert_eq!(w.store.read(|v| owned(v, "run/1/log")).await.unwrap(), [plain_hash]);
    w.store.write(|tx| release_all(tx, "run/1/log")).await.unwrap();
    assert_eq!(w.blobs.collect().await.unwrap(), Collected { kept: 0, deleted: 1, freed: 5 });
}

#[tokio::test]
async fn what_only_looks_like_a_tree_or_is_lost_does_not_stop_the_collector() {
    let w = world().await;
    let words = br#"{"entries":[{"path":"../x","mode":1,"size":1,"hash":"no"}]}"#;
    let held = w.blobs.put_bytes(words.to_vec()).await.unwrap();
    w.refer("user/1", &held).await;
    drop(held);
    // Nor does a reference to something that is lost.
    w.store.write(|tx| refer(tx, "user/2", &"0".repeat(64))).await.unwrap();
    drop(w.blobs.put_bytes(b"loose".to_vec()).await.unwrap());
    assert_eq!(w.blobs.collect().await.unwrap(), Collected { kept: 1, deleted: 1, freed: 5 });
}

#[tokio::test]
async fn a_restart_clears_what_was_half_written_and_keeps_the_rest() {
    let w = world().await;
    let held = w.blobs.put_bytes(b"kept".to_vec()).await.unwrap();
    fs::write(w.dir.path().join("blobs/tmp/17"), "half").unwrap();
    let again = Blobs::open(&w.dir.path().join("blobs"), w.store.clone()).await.unwrap();
    assert_eq!(w.temps(), 0);
    assert_eq!(again.get(&held.hash, 4).await.unwrap(), b"kept");
}

/// Writers that put, refer to, and release the same few contents while collections run. Each looks at its
/// own references after every round.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_and_the_collector_do_not_meet() {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 60;
    let w = Arc::new(world().await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let collector = tokio::spawn({
        let (w, stop) = (w.clone(), stop.clone());
        async move {
            let mut deleted = 0;
            while !stop.load(Ordering::SeqCst) {
                deleted += w.blobs.collect().await.unwrap().deleted;
            }
            deleted
        }
    });
    let writer = |n: usize| {
        let w = w.clone();
        async move {
            for round in 0..ROUNDS {
                let content = vec![u8::try_from((n + round) % 4).unwrap(); 10];
                let held = w.blobs.put_bytes(content.clone()).await.unwrap();
                let (owner, hash) = (format!("writer/{n}"), held.hash.clone());
                let commit = move |tx: &mut store::Tx<'_>| refer(tx, &owner, &hash);
                w.store.write(commit).await.unwrap();
                let hash = held.hash.clone();
                drop(held);
                assert_eq!(w.blobs.get(&hash, 10).await.unwrap(), content);
                let owner = format!("writer/{n}");
                w.store.write(move |tx| release_all(tx, &owner)).await.unwrap();
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS).map(|n| tokio::spawn(writer(n))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let deleted = collector.await.unwrap() + w.blobs.collect().await.unwrap().deleted;
    assert!(deleted >= 4, "the collector was at work too");
    assert_eq!(w.blobs.collect().await.unwrap(), Collected::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn bytes_come_back(contents: Vec<Vec<u8>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let w = world().await;
            for content in contents {
                let held = w.blobs.put_bytes(content.clone()).await.unwrap();
                assert_eq!(w.blobs.get(&held.hash, u64::MAX).await.unwrap(), content);
                w.blobs.check(&held.hash).await.unwrap();
            }
        });
    }
}
