//! The file service as a family sees it: what resolves, what opens, and what never does.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::errno::Errno;
use postern_abi::boot::mount;
use postern_abi::calls::{node, open, set};
use postern_abi::message::split_record;
use postern_monitor::answer::Answer;
use postern_monitor::files::{Mounts, Policy};
use postern_monitor::permission::FileGrant;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A directory that goes away, mounted as number 1 for writing and as number 2 for reading.
struct Scratch {
    path: PathBuf,
    mounts: Mounts,
}

impl Scratch {
    fn new(name: &str, policy: Policy) -> Self {
        let path = std::env::temp_dir().join(format!("postern-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        let mut mounts = Mounts::new((0, 0), (0, 0));
        mounts.add(&path, Path::new("/home/u"), 0, policy).expect("mounts");
        mounts.add(&path, Path::new("/srv"), mount::READ_ONLY, policy).expect("mounts");
        Self { path, mounts }
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
    }

    fn open(&self, mount: u64, flags: u64, path: &str) -> Result<Answer, Errno> {
        self.mounts.open(mount, flags, 0o644, path.as_bytes())
    }

    fn error(&self, mount: u64, flags: u64, path: &str) -> Option<Errno> {
        match self.open(mount, flags, path) {
            Ok(answer) => {
                assert!(answer.error.is_none() || answer.handle.is_none(), "a handle with an error");
                answer.error
            }
            Err(error) => Some(error),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Names (or link targets) and modes of the records.
fn records(answer: &Answer) -> Vec<(String, u32)> {
    let mut rest = &answer.payload[..];
    let mut out = Vec::new();
    while let Some((record, after)) = split_record(rest) {
        out.push((String::from_utf8_lossy(record.name).into_owned(), record.attributes.mode));
        rest = after;
    }
    assert!(rest.is_empty(), "the payload is whole records");
    out
}

const READ: u64 = open::READ;
const WRITE: u64 = open::WRITE;
const CREATE: u64 = open::CREATE;

#[test]
fn a_walk_goes_as_far_as_there_are_files_and_no_links() {
    let s = Scratch::new("walk", Policy::Granted);
    s.write("a/b/file", "text", 0o600);
    symlink("b", s.path.join("a/link")).expect("a link");
    let answer = s.open(1, READ, "a/b/file").expect("resolves");
    assert_eq!((answer.values, answer.handle.is_some(), records(&answer).len()), ([3, 1, 0, 0], true, 3));
    let answer = s.open(1, READ, "a/b/missing/deeper").expect("resolves the parent");
    assert_eq!((answer.values[0], answer.handle.is_some(), answer.error), (2, false, None));
    let answer = s.open(1, READ, "a/link/file").expect("stops at the link");
    assert_eq!(answer.values[0], 2);
    assert_eq!(records(&answer).last().map(|(target, _)| target.as_str()), Some("b"));
    assert!(answer.handle.is_none());
    assert_eq!(s.error(1, READ, "a/b/file/deeper"), Some(Errno::ENOTDIR));
    let answer = s.open(1, READ | open::LAST_ONLY, "a/b/file").expect("resolves");
    assert_eq!(records(&answer).len(), 1);
    assert_eq!(records(&s.open(1, 0, "").expect("the root")).len(), 1);
}

#[test]
fn names_that_are_no_names_are_refused() {
    let s = Scratch::new("names", Policy::Granted);
    for path in ["..", "a/../..", "/etc/passwd", "a//b", "./a", "a/", "a\0b"] {
        assert_eq!(s.error(1, READ, path), Some(Errno::EINVAL), "{path:?}");
    }
    assert_eq!(s.error(1, READ, &"x".repeat(256)), Some(Errno::ENAMETOOLONG));
    assert_eq!(s.error(1, READ, &"x/".repeat(3000)), Some(Errno::ENAMETOOLONG));
    assert_eq!(s.error(99, READ, "a"), Some(Errno::EINVAL));
}

#[test]
fn a_link_to_a_neighbour_brings_it_along() {
    let s = Scratch::new("neighbours", Policy::System);
    s.write("lib/real.so.1", "library", 0o644);
    s.write("lib/hidden", "secret", 0o600);
    s.write("outside", "elsewhere", 0o644);
    for (target, link) in [
        ("real.so.1", "lib/link"),
        ("link", "lib/second"),
        ("../outside", "lib/out"),
        ("/etc/passwd", "lib/absolute"),
        ("..", "lib/up"),
        (".", "lib/dot"),
        ("hidden", "lib/to-hidden"),
        ("missing", "lib/dangling"),
        ("outside", "top"),
    ] {
        symlink(target, s.path.join(link)).expect("a link");
    }
    let asked = |flags, path: &str| {
        let answer = s.open(2, flags | open::NEIGHBOUR | open::LAST_ONLY, path).expect("resolves");
        assert_eq!(answer.error, None, "{path}");
        let names: Vec<String> = records(&answer).into_iter().map(|(target, _)| target).collect();
        (names, answer.values[2], answer.handle.is_some())
    };
    let (two, one) = (|target: &str| vec![target.to_owned(), String::new()], |t: &str| vec![t.to_owned()]);
    assert_eq!(asked(open::READ, "lib/link"), (two("real.so.1"), 2, true));
    assert_eq!(asked(0, "lib/link"), (two("real.so.1"), 2, false));
    assert_eq!(asked(open::READ, "top"), (two("outside"), 2, true));
    let chain = vec!["link".to_owned(), "real.so.1".to_owned()];
    assert_eq!(asked(open::READ, "lib/second"), (chain, 2, false), "one step, not two");
    for (link, target) in [
        ("lib/out", "../outside"),
        ("lib/absolute", "/etc/passwd"),
        ("lib/up", ".."),
        ("lib/dot", "."),
        ("lib/to-hidden", "hidden"),
        ("lib/dangling", "missing"),
    ] {
        assert_eq!(asked(open::READ, link), (one(target), 0, false), "{link}");
    }
    let plain = s.open(2, open::READ | open::LAST_ONLY, "lib/link").expect("resolves");
    assert_eq!((records(&plain).len(), plain.values[2], plain.handle.is_some()), (1, 0, false));
}

#[test]
fn links_are_never_followed() {
    let s = Scratch::new("links", Policy::Granted);
    symlink("/etc", s.path.join("out")).expect("a link");
    symlink("/etc/passwd", s.path.join("file")).expect("a link");
    for flags in [READ, WRITE, READ | WRITE | CREATE, WRITE | open::TRUNCATE] {
        for path in ["file", "out/passwd", "out"] {
            let answer = s.open(1, flags, path);
            assert!(
                answer.is_err() || answer.is_ok_and(|answer| answer.handle.is_none()),
                "{path} {flags:#x}"
            );
        }
    }
    let no_times = [0; 32];
    let with = |path: &str| [&no_times[..], path.as_bytes()].concat();
    assert_eq!(
        s.mounts.set_attributes(&[1, set::SIZE, 0, 0, 0, 0], &with("file")).err(),
        Some(Errno::EINVAL)
    );
    assert_eq!(
        s.mounts.set_attributes(&[1, set::MODE, 0, 0, 0, 0], &with("file")).err(),
        Some(Errno::EOPNOTSUPP)
    );
    assert_eq!(s.mounts.remove(&[1, 0, 0, 0, 0, 0], b"out/passwd").err(), Some(Errno::ELOOP));
    assert_eq!(s.mounts.create(&[1, node::DIRECTORY, 0o755, 5, 0, 0], b"out/x").err(), Some(Errno::ELOOP));
    assert_eq!(s.mounts.enumerate(&[1, 0, 0, 0, 0, 0], b"out").err(), Some(Errno::ENOTDIR));
}

#[test]
fn files_are_made_with_the_mode_asked_for_and_no_more() {
    let s = Scratch::new("create", Policy::Granted);
    postern_monitor::files::clear_umask();
    let answer = s.mounts.open(1, WRITE | CREATE, 0o6755, b"new").expect("created");
    assert_eq!((answer.values, answer.handle.is_some()), ([1, 1, 1, 0], true));
    let mode = fs::metadata(s.path.join("new")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755, "no set-user-id bit on the host");
    assert_eq!(s.error(1, WRITE | CREATE | open::EXCLUSIVE, "new"), Some(Errno::EEXIST));
    s.write("full", "text", 0o644);
    let answer = s.open(1, WRITE | open::TRUNCATE, "full").expect("opens");
    let (record, ..) = split_record(&answer.payload).expect("a record");
    assert_eq!((record.attributes.size, fs::read(s.path.join("full")).expect("there").len()), (0, 0));
    assert!(s.open(1, READ | WRITE | open::UNNAMED, "").is_ok_and(|answer| answer.handle.is_some()));
}

#[test]
fn what_is_read_only_stays_as_it_is() {
    let s = Scratch::new("readonly", Policy::Granted);
    s.write("file", "text", 0o644);
    for flags in [WRITE, READ | WRITE, open::TRUNCATE, WRITE | open::TRUNCATE, READ | open::TRUNCATE] {
        assert_eq!(s.error(2, flags, "file"), Some(Errno::EROFS), "{flags:#x}");
    }
    assert_eq!(s.error(2, WRITE | CREATE, "new"), Some(Errno::EROFS));
    assert_eq!(s.error(2, WRITE | open::UNNAMED, ""), Some(Errno::EROFS));
    let args = |a, b| [2, a, 0o755, b, 0, 0];
    assert_eq!(s.mounts.create(&args(node::DIRECTORY, 1), b"d").err(), Some(Errno::EROFS));
    assert_eq!(s.mounts.rename(&[2, 0, 4, 0, 0, 0], b"filex").err(), Some(Errno::EROFS));
    assert_eq!(s.mounts.remove(&args(0, 0), b"file").err(), Some(Errno::EROFS));
    assert_eq!(s.mounts.set_attributes(&args(set::MODE, 0), &[0; 36]).err(), Some(Errno::EROFS));
    assert_eq!(fs::read_to_string(s.path.join("file")).expect("there"), "text");
    let handle = s.open(2, READ, "file").expect("opens").handle.expect("a handle");
    assert!(nix::unistd::write(&handle, b"x").is_err() && nix::unistd::ftruncate(&handle, 0).is_err());
}

#[test]
fn system_directories_show_what_everybody_may_read() {
    let s = Scratch::new("system", Policy::System);
    s.write("public", "x", 0o644);
    s.write("secret", "x", 0o640);
    s.write("closed/file", "x", 0o644);
    s.write("unlisted/file", "x", 0o644);
    fs::set_permissions(s.path.join("closed"), fs::Permissions::from_mode(0o750)).expect("mode");
    fs::set_permissions(s.path.join("unlisted"), fs::Permissions::from_mode(0o711)).expect("mode");
    assert_eq!(s.error(2, READ, "public"), None);
    assert_eq!(s.error(2, READ, "secret"), Some(Errno::EACCES));
    assert_eq!(s.error(2, READ, "closed/file"), Some(Errno::EACCES));
    assert_eq!(s.error(2, READ, "unlisted/file"), None);
    assert_eq!(s.mounts.enumerate(&[2, 0, 0, 0, 0, 0], b"unlisted").err(), Some(Errno::EACCES));
    assert_eq!(s.mounts.enumerate(&[2, 0, 0, 0, 0, 0], b"closed").err(), Some(Errno::EACCES));
}

#[test]
fn secrets_of_the_host_do_not_open() {
    let mut mounts = Mounts::new((0, 0), (0, 0));
    postern_monitor::image::mount_host(&mut mounts).expect("system directories");
    for secret in [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssl/private/key.pem",
        "/etc/sudoers",
    ] {
        assert!(mounts.open_for_reading(Path::new(secret)).is_err(), "{secret}");
    }
    for outside in
        ["/root/.profile", "/home", "/proc/1/environ", "/run/user", "/var/log/syslog", "/dev/null", "/tmp"]
    {
        assert!(mounts.find(Path::new(outside)).is_none(), "{outside}");
    }
    assert!(mounts.open_for_reading(Path::new("/etc/passwd")).is_ok());
    assert_eq!(mounts.host_path(Path::new("/bin/sh")), Some("/usr/bin/sh".into()));
}

#[test]
fn devices_fifos_and_sockets_are_never_opened() {
    let s = Scratch::new("special", Policy::Granted);
    let create = |kind, name: &[u8]| {
        s.mounts.create(&[1, kind, 0o644, u64::try_from(name.len()).expect("short"), 0, 0], name)
    };
    assert!(create(node::FIFO, b"fifo").is_ok() && create(node::SOCKET, b"socket").is_ok());
    for name in ["fifo", "socket"] {
        let answer = s.open(1, READ | WRITE, name).expect("is there");
        assert!(answer.handle.is_none(), "{name}");
    }
    let mut mounts = Mounts::new((0, 0), (0, 0));
    mounts.add(Path::new("/dev"), Path::new("/dev"), 0, Policy::Granted).expect("mounts");
    let answer = mounts.open(1, READ, 0, b"null").expect("is there");
    assert_eq!((answer.error, answer.handle.is_none()), (Some(Errno::EACCES), true));
    assert!(mounts.add(Path::new("/dev/null"), Path::new("/x"), 0, Policy::Granted).is_err());
}

#[test]
fn hidden_directories_cannot_be_reached_or_moved() {
    let mut s = Scratch::new("hidden", Policy::Granted);
    s.write("config/postern/apps/a.json", "{}", 0o600);
    s.mounts.hide(&s.path.join("config/postern"));
    assert_eq!(s.error(1, READ, "config/postern/apps/a.json"), Some(Errno::EACCES));
    let rename = s.mounts.rename(&[1, 0, 14, 0, 0, 0], b"config/posternfree");
    assert_eq!(rename.err(), Some(Errno::EACCES));
    assert!(s.mounts.rename(&[1, 0, 6, 0, 0, 0], b"configother").is_ok());
    assert_eq!(s.error(1, READ, "other/postern/apps/a.json"), Some(Errno::EACCES));
    let listed = s.mounts.enumerate(&[1, 0, 0, 0, 0, 0], b"other").expect("lists");
    assert!(records(&listed).is_empty());
}

#[test]
fn what_is_dropped_is_added_to_what_runs() {
    let mut s = Scratch::new("late", Policy::Granted);
    s.write("docs/letter", "Dear", 0o644);
    s.write("docs/folder/inner", "x", 0o644);
    s.write("config/postern/apps/a.json", "{}", 0o600);
    s.mounts.hide(&s.path.join("config/postern"));
    let at = |name: &str| s.path.join(name);
    let grant = |path: &Path, write| {
        let grant = FileGrant { path: path.to_owned(), write };
        s.mounts.add_late(&grant).map(|added| added.map(|mount| u64::from(mount.id)))
    };
    let added = |name: &str| grant(&at(name), true);
    assert!(s.mounts.find(&at("docs/letter")).is_none());
    let file = added("docs/letter").expect("added").expect("new");
    assert!(file > 2);
    assert_eq!(s.error(file, READ | WRITE, ""), None);
    assert_eq!(s.mounts.host_path(&at("docs/letter")), Some(at("docs/letter")));
    assert_eq!(added("docs/letter").expect("there already"), None);
    // A folder, also above what was added before; what is in it is there already then.
    let folder = added("docs").expect("added").expect("new");
    assert_eq!(s.error(folder, READ, "folder/inner"), None);
    assert_eq!(added("docs/folder").expect("there already"), None);
    // Never Postern's own, by whatever name, nor what is in the way of something else, nor what is no file.
    symlink(at("config/postern"), at("link")).expect("a link");
    for own in ["config/postern", "config/postern/apps/a.json", "link", "link/apps"] {
        assert!(added(own).expect_err(own).to_string().contains("own"), "{own}");
    }
    let config = added("config").expect("the folder around it").expect("new");
    assert_eq!(s.error(config, READ, "postern/apps/a.json"), Some(Errno::EACCES));
    assert!(added("missing").is_err() && added("docs/../docs/folder").is_err());
    for covering in ["/", "/home", "/srv", "/proc/self", "/dev/null"] {
        assert!(grant(Path::new(covering), true).is_err(), "{covering}");
    }
    // To be read only: not what the app can write to already. What it can read it can be given to write.
    assert!(grant(&at("docs/folder"), false).is_err());
    s.write("papers/will", "All", 0o644);
    let papers = grant(&at("papers"), false).expect("added").expect("new");
    assert_eq!(s.error(papers, READ, "will"), None);
    assert_eq!(s.error(papers, READ | WRITE, "will"), Some(Errno::EROFS));
    assert_eq!(grant(&at("papers/will"), false).expect("there already"), None);
    let papers = added("papers").expect("added").expect("new");
    assert_eq!(s.error(papers, READ | WRITE, "will"), None);
    // What the app hands out is what it sees, under its name on the host.
    assert_eq!(s.mounts.shown_at(Path::new("/srv/docs/letter")), Some(at("docs/letter")));
    for none in ["/srv/link", "/srv/missing", "/elsewhere", "/srv/config/postern/apps/a.json", "relative"] {
        assert_eq!(s.mounts.shown_at(Path::new(none)), None, "{none}");
    }
}

#[test]
fn long_directories_are_listed_in_parts() {
    let s = Scratch::new("list", Policy::Granted);
    for i in 0..2000 {
        s.write(&format!("d/name-{i:04}-{}", "x".repeat(60)), "", 0o644);
    }
    let (mut cookie, mut names, mut parts) = (0, Vec::new(), 0);
    loop {
        let answer = s.mounts.enumerate(&[1, cookie, 0, 0, 0, 0], b"d").expect("lists");
        names.extend(records(&answer).into_iter().map(|(name, _)| name));
        cookie = answer.values[0];
        parts += 1;
        if answer.values[1] == 1 {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 2000);
    assert!(parts > 1);
}

#[test]
fn changes_arrive_on_the_host() {
    let s = Scratch::new("changes", Policy::Granted);
    s.write("a", "text", 0o644);
    assert!(s.mounts.rename(&[1, 0, 1, 0, 0, 0], b"ab").is_ok());
    assert!(s.mounts.create(&[1, node::HARD_LINK, 0, 1, 0, 0], b"cb").is_ok());
    assert!(s.mounts.create(&[1, node::SYMLINK, 0, 1, 0, 0], b"l../../target").is_ok());
    assert_eq!(fs::read_link(s.path.join("l")).expect("a link"), Path::new("../../target"));
    let mut payload = Vec::new();
    for word in [1_000_000_000i64, 5, 1_100_000_000, 7] {
        payload.extend_from_slice(&word.to_le_bytes());
    }
    payload.extend_from_slice(b"c");
    let what = set::MODE | set::SIZE | set::ATIME | set::MTIME;
    let answer = s.mounts.set_attributes(&[1, what, 0o600, 2, 0, 0], &payload).expect("changed");
    let (record, ..) = split_record(&answer.payload).expect("a record");
    let a = record.attributes;
    assert_eq!(
        (a.mode & 0o7777, a.size, a.atime, a.mtime, a.nlink),
        (0o600, 2, [1_000_000_000, 5], [1_100_000_000, 7], 2)
    );
    assert!(
        s.mounts.flush(&[1, 0, 0, 0, 0, 0], b"c").is_ok() && s.mounts.flush(&[1, 1, 0, 0, 0, 0], b"").is_ok()
    );
    assert!(
        s.mounts.remove(&[1, 0, 0, 0, 0, 0], b"c").is_ok()
            && s.mounts.remove(&[1, 1, 0, 0, 0, 0], b"b").is_err()
    );
    let facts = s.mounts.file_system(&[1, 0, 0, 0, 0, 0]).expect("facts");
    assert!(facts.values[0] > 0 && facts.values[1] > 0);
}

#[test]
fn a_listing_tells_where_links_lead() {
    let s = Scratch::new("targets", Policy::Granted);
    s.write("file", "x", 0o644);
    fs::create_dir(s.path.join("links")).expect("made");
    for number in 0..200 {
        std::os::unix::fs::symlink("../file", s.path.join(format!("links/{number}"))).expect("made");
    }
    let answer = s.mounts.enumerate(&[1, 0, 0, 0, 0, 0], b"links").expect("listed");
    let (mut rest, mut told, mut untold) = (&answer.payload[..], 0, 0);
    while let Some((record, after)) = split_record(rest) {
        match record.target {
            b"../file" => told += 1,
            target => {
                assert!(target.is_empty());
                untold += 1;
            }
        }
        assert!(record.name.iter().all(u8::is_ascii_digit));
        rest = after;
    }
    // Of a directory with more links than that each is asked for.
    assert_eq!((told, untold), (128, 72));
}
