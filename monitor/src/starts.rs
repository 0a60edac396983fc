//! What an app looks up while it starts. It is kept for the next start, when the library OS looks the same up before
//! the app asks, on a processor that would idle otherwise. It is what the app did itself, so it grants nothing: the
//! library OS asks for it like for anything else.

use crate::account::lock;
use crate::files::Mounts;
use crate::monitor::START_UP;
use nix::errno::Errno;
use postern_abi::boot::{ahead, mount};
use postern_abi::calls::{open, split_unnamed};
use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Most that is kept, in bytes, and in lookups.
const MAX_LEN: usize = 96 * 1024;
const MAX_LOOKUPS: usize = 1500;
/// After so long it is noted anew: programs change, and so do their files.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Length of the time at the beginning of a file: seconds since 1970.
const TIME: usize = size_of::<u64>();

#[derive(Debug, Default)]
struct Noted {
    seen: HashSet<Vec<u8>>,
    /// As [`postern_abi::boot::Boot::ahead`].
    list: Vec<u8>,
    is_new: bool,
}

/// What an app looks up while it starts.
#[derive(Debug)]
pub struct Start {
    app: String,
    /// When it was first noted.
    since: SystemTime,
    until: Instant,
    is_over: AtomicBool,
    noted: Mutex<Noted>,
}

/// What a file of earlier starts says: when it was begun, and the list. `None` if it is old or not what was written.
fn parse(content: &[u8], now: SystemTime) -> Option<(SystemTime, &[u8])> {
    let (time, list) = content.split_first_chunk::<TIME>()?;
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_le_bytes(*time)))?;
    let is_young = now.duration_since(since).is_ok_and(|age| age < AGE);
    let is_entry = |entry: &[u8]| {
        matches!(entry, [ahead::LOOK | ahead::OPEN | ahead::LIST, b'/', ..]) && entry.ends_with(&[0])
    };
    let is_list = list.len() <= MAX_LEN && list.split_inclusive(|byte| *byte == 0).all(is_entry);
    (is_young && is_list).then_some((since, list))
}

impl Start {
    /// The start of an app that begins now, with what is known of those before.
    #[must_use]
    pub fn of(app: &str) -> Self {
        let now = SystemTime::now();
        let path = crate::paths::start_of(app);
        let content = path.and_then(std::fs::read).unwrap_or_default();
        let (since, list) = parse(&content, now).unwrap_or((now, &[]));
        let seen = list.split_inclusive(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        Self {
            app: app.to_owned(),
            since,
            until: Instant::now() + START_UP,
            is_over: AtomicBool::new(false),
            noted: Mutex::new(Noted { seen, list: list.to_vec(), is_new: false }),
        }
    }

    /// What is to be looked up ahead.
    #[must_use]
    pub fn ahead(&self) -> Vec<u8> {
        lock(&self.noted).list.clone()
    }

    /// Notes an `Open` that only looks or reads.
    pub fn note_open(&self, mounts: &Mounts, id: u64, flags: u64, path: &[u8], error: Option<Errno>) {
        let changes = open::WRITE | open::CREATE | open::TRUNCATE | open::UNNAMED | open::WATCH;
        if flags & changes == 0 && split_unnamed(id).1 == 0 && error.is_none_or(|e| e == Errno::ENOENT) {
            let kind = if flags & open::READ != 0 { ahead::OPEN } else { ahead::LOOK };
            self.note(mounts, id, kind, path);
        }
    }

    /// Notes an `Enumerate`.
    pub fn note_list(&self, mounts: &Mounts, id: u64, path: &[u8]) {
        self.note(mounts, id, ahead::LIST, path);
    }

    fn note(&self, mounts: &Mounts, id: u64, kind: u8, path: &[u8]) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        if Instant::now() > self.until {
            self.is_over.store(true, Ordering::Relaxed);
            return;
        }
        // What others may change is not believed for long.
        let Ok(mount) = mounts.get(id) else { return };
        if mount.flags & mount::EXCLUSIVE == 0 || path.contains(&0) {
            return;
        }
        let mut entry = vec![kind];
        entry.extend_from_slice(mount.path.as_os_str().as_bytes());
        if !path.is_empty() {
            entry.push(b'/');
        }
        entry.extend_from_slice(path);
        entry.push(0);
        let mut noted = lock(&self.noted);
        if self.is_over.load(Ordering::Relaxed) {
            // It was kept meanwhile, and a list of this one thing must not take its place.
            return;
        }
        if noted.seen.len() >= MAX_LOOKUPS || noted.list.len() + entry.len() > MAX_LEN {
            self.is_over.store(true, Ordering::Relaxed);
        } else if !noted.seen.contains(&entry) {
            noted.list.extend_from_slice(&entry);
            noted.seen.insert(entry);
            noted.is_new = true;
        }
    }

    /// Ends the notes.
    pub fn forget(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        *lock(&self.noted) = Noted::default();
    }

    /// Ends the notes and keeps them, if there is anything new.
    ///
    /// # Errors
    /// The host's.
    pub fn save(&self) -> io::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        let noted = std::mem::take(&mut *lock(&self.noted));
        if !noted.is_new {
            return Ok(());
        }
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = crate::paths::start_of(&self.app)?;
        crate::manifest::replace(&path, &[&since.to_le_bytes()[..], &noted.list].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Policy;
    use std::path::Path;

    fn mounts() -> Mounts {
        let mut mounts = Mounts::new((0, 0), (0, 0));
        let exclusive = mount::READ_ONLY | mount::EXCLUSIVE;
        mounts.add(Path::new("/usr"), Path::new("/usr"), exclusive, Policy::System).unwrap();
        mounts.add(Path::new("/etc"), Path::new("/etc"), mount::READ_ONLY, Policy::System).unwrap();
        mounts
    }

    #[test]
    fn lookups_of_what_nobody_changes_are_noted_once_and_in_order() {
        let (mounts, start) = (mounts(), Start::of("no-such-app"));
        start.note_open(&mounts, 1, open::READ, b"bin/sh", None);
        start.note_open(&mounts, 1, 0, b"missing", Some(Errno::ENOENT));
        start.note_list(&mounts, 1, b"");
        start.note_open(&mounts, 1, open::READ, b"bin/sh", None);
        for (id, flags, error) in
            [(2, 0, None), (3, 0, None), (1, open::CREATE, None), (1, open::READ, Some(Errno::EACCES))]
        {
            start.note_open(&mounts, id, flags, b"other", error);
        }
        assert_eq!(start.ahead(), b"o/usr/bin/sh\0l/usr/missing\0d/usr\0");
        start.forget();
        start.note_open(&mounts, 1, 0, b"late", None);
        assert_eq!(start.ahead(), b"", "what is noted late would take the place of the list");
    }

    #[test]
    fn old_and_malformed_files_are_not_believed() {
        let now = SystemTime::UNIX_EPOCH + 2 * AGE;
        let file = |since: Duration, list: &[u8]| [&since.as_secs().to_le_bytes()[..], list].concat();
        assert!(parse(&file(AGE + Duration::from_secs(1), b"o/a\0"), now).is_some());
        assert!(parse(&file(AGE, b"o/a\0"), now).is_none());
        assert!(parse(&file(3 * AGE, b"o/a\0"), now).is_none());
        for list in [&b"o/a"[..], b"\0", b"o\0", b"x/usr\0", b"oa\0", b"o/a\0\0"] {
            assert!(parse(&file(2 * AGE, list), now).is_none());
        }
        assert!(parse(&file(2 * AGE, &[0; MAX_LEN + 1]), now).is_none());
        assert!(parse(b"short", now).is_none());
    }
}
