//! What an app looks up while it starts, and where its programs make system calls. It is kept for the next start, when
//! the library OS looks the same up before the app asks, on a processor that would idle otherwise, and knows the calls
//! before they trap. It is what the app did itself, so it grants nothing: the library OS asks for it like for anything
//! else.

use crate::account::lock;
use crate::files::Mounts;
use crate::monitor::START_UP;
use nix::errno::Errno;
use postern_abi::boot::{MAX_SITES, Site, ahead, mount};
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
/// A file begins with a time in seconds since 1970 and the length of the sites in bytes, each a [`u64`]. The sites
/// follow, and then the list.
const NUMBER: usize = size_of::<u64>();

#[derive(Debug)]
struct Noted {
    /// As [`postern_abi::boot::Boot::sites`].
    sites: Vec<u8>,
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
    /// `None` once it is kept.
    noted: Mutex<Option<Noted>>,
}

fn are_sites(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(size_of::<Site>()) && bytes.len() <= MAX_SITES * size_of::<Site>()
}

/// What a file of earlier starts says: when it was begun, sites, and the list. `None` if it is old or not what was
/// written.
fn parse(content: &[u8], now: SystemTime) -> Option<(SystemTime, &[u8], &[u8])> {
    let (time, rest) = content.split_first_chunk::<NUMBER>()?;
    let (len, rest) = rest.split_first_chunk::<NUMBER>()?;
    let (sites, list) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_le_bytes(*time)))?;
    let is_young = now.duration_since(since).is_ok_and(|age| age < AGE);
    let is_entry = |entry: &[u8]| {
        matches!(entry, [ahead::LOOK | ahead::OPEN | ahead::LIST, b'/', ..]) && entry.ends_with(&[0])
    };
    let is_list = list.len() <= MAX_LEN && list.split_inclusive(|byte| *byte == 0).all(is_entry);
    (is_young && is_list && are_sites(sites)).then_some((since, sites, list))
}

impl Start {
    /// The start of an app that begins now, with what is known of those before.
    #[must_use]
    pub fn of(app: &str) -> Self {
        let now = SystemTime::now();
        let path = crate::paths::start_of(app);
        let content = path.and_then(std::fs::read).unwrap_or_default();
        let (since, sites, list) = parse(&content, now).unwrap_or((now, &[], &[]));
        let seen = list.split_inclusive(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        let noted = Noted { sites: sites.to_vec(), seen, list: list.to_vec(), is_new: false };
        Self {
            app: app.to_owned(),
            since,
            until: Instant::now() + START_UP,
            is_over: AtomicBool::new(false),
            noted: Mutex::new(Some(noted)),
        }
    }

    /// What is to be looked up ahead, and the call sites that are known.
    #[must_use]
    pub fn hints(&self) -> (Vec<u8>, Vec<u8>) {
        lock(&self.noted)
            .as_ref()
            .map_or_else(Default::default, |noted| (noted.list.clone(), noted.sites.clone()))
    }

    /// Notes the call sites that the library OS knows by now.
    pub fn note_sites(&self, sites: &[u8]) {
        if are_sites(sites)
            && let Some(noted) = &mut *lock(&self.noted)
        {
            noted.is_new |= noted.sites != sites;
            noted.sites = sites.to_vec();
        }
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
        // Where others and the app change things, what was looked up ahead would mostly be looked up again.
        let Ok(mount) = mounts.get(id) else { return };
        if mount.flags & (mount::EXCLUSIVE | mount::READ_ONLY) == 0 || path.contains(&0) {
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
        let Some(noted) = &mut *noted else { return };
        if noted.seen.len() >= MAX_LOOKUPS || noted.list.len() + entry.len() > MAX_LEN {
            self.is_over.store(true, Ordering::Relaxed);
        } else if !noted.seen.contains(&entry) {
            noted.list.extend_from_slice(&entry);
            noted.seen.insert(entry);
            noted.is_new = true;
        }
    }

    /// Ends the notes of lookups.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Ends the notes and forgets them.
    pub fn forget(&self) {
        self.end();
        *lock(&self.noted) = None;
    }

    /// Ends the notes, keeps them if there is anything new, and forgets them.
    ///
    /// # Errors
    /// The host's.
    pub fn save(&self) -> io::Result<()> {
        self.end();
        let Some(noted) = lock(&self.noted).take().filter(|noted| noted.is_new) else { return Ok(()) };
        let since = self.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let path = crate::paths::start_of(&self.app)?;
        let len = noted.sites.len() as u64;
        let parts = [&since.to_le_bytes()[..], &len.to_le_bytes(), &noted.sites, &noted.list];
        crate::manifest::replace(&path, &parts.concat())
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
        mounts.add(Path::new("/tmp"), Path::new("/tmp"), 0, Policy::System).unwrap();
        mounts
    }

    #[test]
    fn lookups_where_the_app_changes_nothing_are_noted_once_and_in_order() {
        let (mounts, start) = (mounts(), Start::of("no-such-app"));
        start.note_open(&mounts, 1, open::READ, b"bin/sh", None);
        start.note_open(&mounts, 1, 0, b"missing", Some(Errno::ENOENT));
        start.note_list(&mounts, 1, b"");
        start.note_open(&mounts, 1, open::READ, b"bin/sh", None);
        start.note_open(&mounts, 2, open::READ, b"passwd", None);
        for (id, flags, error) in
            [(3, 0, None), (4, 0, None), (1, open::CREATE, None), (1, open::READ, Some(Errno::EACCES))]
        {
            start.note_open(&mounts, id, flags, b"other", error);
        }
        assert_eq!(start.hints().0, b"o/usr/bin/sh\0l/usr/missing\0d/usr\0o/etc/passwd\0");
        start.forget();
        start.note_open(&mounts, 1, 0, b"late", None);
        start.note_sites(&[1; size_of::<Site>()]);
        assert_eq!(start.hints(), (vec![], vec![]), "what is noted late would take the place of the list");
    }

    #[test]
    fn sites_are_kept_whole_or_not_at_all() {
        let start = Start::of("no-such-app");
        let (one, many) = ([1; size_of::<Site>()], vec![1; (MAX_SITES + 1) * size_of::<Site>()]);
        start.note_sites(&one);
        for wrong in [&one[1..], &many] {
            start.note_sites(wrong);
            assert_eq!(start.hints().1, one);
        }
    }

    #[test]
    fn old_and_malformed_files_are_not_believed() {
        let now = SystemTime::UNIX_EPOCH + 2 * AGE;
        let with = |since: Duration, len: u64, rest: &[u8]| {
            [&since.as_secs().to_le_bytes()[..], &len.to_le_bytes(), rest].concat()
        };
        let file = |since: Duration, list: &[u8]| with(since, 0, list);
        assert!(parse(&file(AGE + Duration::from_secs(1), b"o/a\0"), now).is_some());
        assert!(parse(&file(AGE, b"o/a\0"), now).is_none());
        assert!(parse(&file(3 * AGE, b"o/a\0"), now).is_none());
        for list in [&b"o/a"[..], b"\0", b"o\0", b"x/usr\0", b"oa\0", b"o/a\0\0"] {
            assert!(parse(&file(2 * AGE, list), now).is_none());
        }
        assert!(parse(&file(2 * AGE, &[0; MAX_LEN + 1]), now).is_none());
        assert!(parse(b"short", now).is_none());
        let site = [7; size_of::<Site>()];
        let whole = with(2 * AGE, site.len() as u64, &[&site, &b"o/a\0"[..]].concat());
        assert_eq!(
            parse(&whole, now).map(|(_, sites, list)| (sites, list)),
            Some((&site[..], &b"o/a\0"[..]))
        );
        for len in [site.len() as u64 - 1, u64::MAX] {
            assert!(parse(&with(2 * AGE, len, &site), now).is_none());
        }
    }
}
