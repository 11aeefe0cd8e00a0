//! What a sandboxed workload sees: a new root, built in its own mount namespace and then entered.
//!
//! The new root is an empty tmpfs into which the machine's top-level directories are bound read-only;
//! hidden places are simply not bound. Everything runs in the child, before it becomes anything else.

use super::overlay;
use super::root::{Root, Want, bind, open_path};
use crate::spec::{Mount, MountKind, Sandbox};
use crate::sys::{Writing, mount_attr};
use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// Why the sandbox cannot be built, for the log and the exit.
pub type Result<T, E = String> = std::result::Result<T, E>;

/// Top-level places that are always empty in a sandbox.
const HIDDEN: [&str; 7] = ["home", "root", "run", "tmp", "mnt", "media", "srv"];
/// Top-level places that are made otherwise, or of no use to anyone.
const APART: [&str; 6] = ["proc", "dev", "sys", "boot", "efi", "lost+found"];
/// Files that root could read and nobody should.
const SECRETS: [&str; 8] = [
    "etc/shadow",
    "etc/shadow-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/krb5.keytab",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ed25519_key",
];
/// Parts of `/proc` through which root could steer the machine, and files that tell of it.
const PROC_READ_ONLY: [&str; 4] = ["proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus"];
const PROC_MASKED: [&str; 4] = ["proc/kcore", "proc/keys", "proc/timer_list", "proc/kmsg"];
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Says something in the workload's log.
pub type Note<'a> = &'a dyn Fn(&str);

/// Builds the root on top of `over`, an existing directory that the workload does not need, and makes it
/// the root of this process. `root`: as the machine's root, not through a user namespace.
pub fn enter(sandbox: &Sandbox, over: &Path, root: bool, note: Note<'_>) -> Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(why("cannot leave the machine's mounts"))?;
    // Modes are meant as they are written here.
    rustix::process::umask(Mode::empty());
    tmpfs(over, "mode=0755,size=25%")?;
    rustix::process::chdir(over).map_err(why("cannot enter the new root"))?;
    let mut new = Root::here()?;
    // What is bound from around the new root must not bring the new root along.
    propagation(MountPropagationFlags::UNBINDABLE)?;
    let covered = machine(&sandbox.hidden.more, note)?;
    propagation(MountPropagationFlags::PRIVATE)?;
    new.set(Writing::OffBelow)?;
    new.set(Writing::On)?;
    scratch()?;
    devices(root)?;
    processes(root, note)?;
    cover(&covered)?;
    if root {
        mask(&SECRETS)?;
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
    resolver()?;
    if !sandbox.hosts.is_empty() {
        hosts(&mut new, &sandbox.hosts)?;
    }
    propagation(MountPropagationFlags::UNBINDABLE)?;
    for mount in &sandbox.mounts {
        add(&mut new, mount, root, note)
            .map_err(|e| format!("cannot mount {}: {e}", mount.at.display()))?;
    }
    new.seal()?;
    rustix::process::pivot_root(".", ".").map_err(why("cannot enter the new root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(why("cannot leave the old root"))?;
    rustix::process::chdir("/").map_err(why("cannot enter the new root"))
}

/// Of the new root, which is the working directory.
fn propagation(flags: MountPropagationFlags) -> Result<()> {
    rustix::mount::mount_change(".", flags).map_err(why("cannot make the new root"))
}

/// Binds what the machine has at its top. Returns the places deeper down that are still to be covered.
fn machine(more: &[PathBuf], note: Note<'_>) -> Result<Vec<PathBuf>> {
    let mut covered: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir("/").map_err(why("cannot read the root"))? {
        let entry = entry.map_err(why("cannot read the root"))?;
        let (Ok(kind), name) = (entry.file_type(), entry.file_name()) else { continue };
        let at = Path::new(&name);
        let hidden = HIDDEN.iter().any(|h| name == *h);
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(why("cannot read the root"))?;
            symlink(target, at).map_err(why("cannot make the new root"))?;
            // A home that lives elsewhere is hidden there.
            covered.extend(hidden.then(|| fs::canonicalize(entry.path()).ok()).flatten());
        } else if kind.is_dir() && !hidden && !APART.iter().any(|a| name == *a) {
            directory(at, 0o755)?;
            if let Err(e) = bind(&entry.path(), at) {
                // One broken file system must not keep every job from running.
                note(&format!("/{} is empty here: {e}", at.display()));
            }
        }
    }
    for name in HIDDEN {
        let mode = match name {
            "tmp" => 0o1777,
            "root" => 0o700,
            _ => 0o755,
        };
        if fs::symlink_metadata(name).is_err() {
            directory(Path::new(name), mode)?;
        }
    }
    directory(Path::new("sys"), 0o755)?;
    bind(Path::new("/sys"), Path::new("sys"))?;
    covered.extend(more.iter().filter_map(|path| fs::canonicalize(path).ok()));
    Ok(covered)
}

/// The places where everyone may write: memory, gone with the sandbox.
fn scratch() -> Result<()> {
    directory(Path::new("dev"), 0o755)?;
    directory(Path::new("dev/shm"), 0o1777)?;
    for place in ["tmp", "dev/shm"] {
        // A mount of its own stays writable when the root is sealed.
        bind(Path::new(place), Path::new(place))?;
    }
    if Path::new("var/tmp").is_dir() {
        bind(Path::new("tmp"), Path::new("var/tmp"))?;
    }
    Ok(())
}

fn devices(root: bool) -> Result<()> {
    for (name, major, minor) in DEVICES {
        let at = Path::new("dev").join(name);
        let mode = Mode::from_raw_mode(0o666);
        let device = rustix::fs::makedev(major, minor);
        let kind = FileType::CharacterDevice;
        if !(root && rustix::fs::mknodat(CWD, &at, kind, mode, device).is_ok()) {
            file(&at)?;
            bind(&Path::new("/dev").join(name), &at)?;
        }
    }
    let links = [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("pts/ptmx", "ptmx"),
    ];
    for (target, name) in links {
        symlink(target, Path::new("dev").join(name)).map_err(why("cannot make /dev"))?;
    }
    directory(Path::new("dev/pts"), 0o755)?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=620";
    rustix::mount::mount("devpts", "dev/pts", "devpts", flags, Some(options))
        .map_err(why("cannot mount /dev/pts"))
}

fn processes(root: bool, note: Note<'_>) -> Result<()> {
    directory(Path::new("proc"), 0o555)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    if let Err(e) = rustix::mount::mount("proc", "proc", "proc", flags, None) {
        // Inside some containers only the machine's own view is to be had.
        note(&format!(
            "/proc shows the processes of the machine, not only those of the sandbox: {e}"
        ));
        return bind(Path::new("/proc"), Path::new("proc"));
    }
    if !root {
        return Ok(());
    }
    for place in PROC_READ_ONLY.map(Path::new) {
        if place.exists() {
            bind(place, place)?;
            read_only(place)?;
        }
    }
    mask(&PROC_MASKED)
}

fn read_only(place: &Path) -> Result<()> {
    let fd = open_path(place)?;
    mount_attr(std::os::fd::AsFd::as_fd(&fd), Writing::OffBelow)
        .map_err(why("cannot make a place read-only"))
}

/// Puts an empty file over each that exists.
fn mask(files: &[&str]) -> Result<()> {
    for place in files.iter().map(Path::new).filter(|place| place.exists()) {
        bind(Path::new("dev/null"), place)?;
    }
    Ok(())
}

/// Puts emptiness over places (absolute, without links) that are visible in the new root.
fn cover(places: &[PathBuf]) -> Result<()> {
    for place in places {
        let at = place.strip_prefix("/").unwrap_or(place);
        if at.as_os_str().is_empty() {
            return Err("the root itself cannot be hidden".to_owned());
        }
        match fs::symlink_metadata(at) {
            Ok(found) if found.is_dir() => tmpfs(at, "mode=0755,size=64k")?,
            Ok(found) if found.is_file() => bind(Path::new("dev/null"), at)?,
            _ => {}
        }
    }
    Ok(())
}

/// Keeps name resolution working where `/etc/resolv.conf` points into a hidden place, as
/// systemd-resolved and resolvconf have it.
fn resolver() -> Result<()> {
    let Ok(real) = fs::canonicalize("/etc/resolv.conf") else { return Ok(()) };
    let at = real.strip_prefix("/").unwrap_or(&real);
    if at.exists() || !fs::symlink_metadata("/etc/resolv.conf").is_ok_and(|m| m.is_symlink()) {
        return Ok(());
    }
    let words = fs::read(&real).map_err(why("cannot read /etc/resolv.conf"))?;
    // The link may pass through other links; the place it names directly is made too.
    let named = Path::new("/etc").join(fs::read_link("/etc/resolv.conf").unwrap_or_default());
    for path in [real.as_path(), &overlay::tidy(&named)] {
        let at = path.strip_prefix("/").unwrap_or(path);
        if let Some(parent) = at.parent()
            && fs::create_dir_all(parent).is_ok()
        {
            let _ = fs::write(at, &words);
        }
    }
    Ok(())
}

/// The machine's table of hosts with more names in it.
fn hosts(new: &mut Root, more: &[(IpAddr, Vec<String>)]) -> Result<()> {
    let mut words = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if !words.is_empty() && !words.ends_with('\n') {
        words.push('\n');
    }
    // A name is one word of a table that the whole sandbox believes.
    let sound = |name: &&String| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !name.is_empty() && name.bytes().all(fits)
    };
    for (address, names) in more {
        for name in names.iter().filter(sound) {
            words.push_str(&format!("{address}\t{name}\n"));
        }
    }
    let from = Path::new("run/hosts");
    fs::write(from, words).map_err(why("cannot write /etc/hosts"))?;
    new.bind(from, Path::new("/etc/hosts"))?;
    fs::remove_file(from).map_err(why("cannot write /etc/hosts"))?;
    let fd = new.open(Path::new("/etc/hosts"))?;
    mount_attr(std::os::fd::AsFd::as_fd(&fd), Writing::OffBelow)
        .map_err(why("cannot make /etc/hosts read-only"))
}

fn add(new: &mut Root, mount: &Mount, root: bool, note: Note<'_>) -> Result<()> {
    match &mount.kind {
        MountKind::ReadOnly { from } => {
            new.bind(from, &mount.at)?;
            let fd = new.open(&mount.at)?;
            mount_attr(std::os::fd::AsFd::as_fd(&fd), Writing::OffBelow)
                .map_err(why("cannot make it read-only"))
        }
        MountKind::Writable { from } => new.bind(from, &mount.at),
        MountKind::Overlay { lower, over, scratch } => {
            let lowers: Vec<&Path> = over.iter().chain([lower]).map(PathBuf::as_path).collect();
            let target = new.place(&mount.at, Want::Directory)?;
            overlay::mount(&lowers, scratch, &target, root, note)
        }
        MountKind::Memory { size } => {
            let target = new.place(&mount.at, Want::Directory)?;
            tmpfs(&super::root::through(&target), &format!("mode=1777,size={size}"))
        }
        MountKind::Files { files } => {
            let size: usize = files.iter().map(|(_, content)| content.len() + 4096).sum();
            let target = new.place(&mount.at, Want::Directory)?;
            tmpfs(&super::root::through(&target), &format!("mode=0700,size={}", size + 65_536))?;
            // The place again: the directory that was there is below it now.
            let target = new.place(&mount.at, Want::Directory)?;
            let dir = super::root::through(&target);
            files.iter().try_for_each(|(name, content)| secret_file(&dir.join(name), content))
        }
    }
}

/// A file that its owner alone may read, and nobody write.
pub fn secret_file(at: &Path, content: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o400).open(at);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|e| format!("cannot write {}: {e}", at.display()))
}

fn tmpfs(at: &Path, options: &str) -> Result<()> {
    let options = CString::new(options).map_err(why("options"))?;
    let flags = MountFlags::NOSUID;
    rustix::mount::mount("naru", at, "tmpfs", flags, Some(options.as_c_str()))
        .map_err(why("cannot mount memory"))
}

fn directory(at: &Path, mode: u32) -> Result<()> {
    let made = rustix::fs::mkdirat(CWD, at, Mode::from_raw_mode(mode));
    made.map_err(|e| format!("cannot make {}: {e}", at.display()))
}

fn file(at: &Path) -> Result<()> {
    fs::File::create(at).map(drop).map_err(|e| format!("cannot make {}: {e}", at.display()))
}

/// Turns an error into a sentence that says what could not be done.
pub fn why<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |e| format!("{what}: {e}")
}
