//! The directory that a walk came to last. Programs ask for many names of one directory in a row, and to walk to it anew
//! for each would be most of the work.
//!
//! A walk takes its steps one by one, so it always sees a tree of some moments; with this, of moments that lie a little
//! further apart. System directories only: the app cannot change them, and they are never unmounted.

use super::mounts::{Mount, Policy};
use super::walk::Node;
use crate::account::lock;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long the steps of a walk may lie apart.
const RECENT: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Walk {
    mount: u32,
    path: Vec<u8>,
    directory: Arc<Node>,
    at: Instant,
}

/// The last walk, if it was of a kind that may be gone on with.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<Option<Walk>>);

/// The path of the directory that `path` is in; `None` directly below the mount, where no walk is saved.
fn directory_of(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.get(..at))
}

impl Recent {
    /// The directory that `path` is in, if it was walked to a moment ago.
    pub fn parent(&self, mount: &Mount, path: &[u8]) -> Option<Arc<Node>> {
        let wanted = directory_of(path)?;
        let last = lock(&self.0);
        let fits = |walk: &&Walk| walk.mount == mount.id && walk.path == wanted && walk.at.elapsed() < RECENT;
        last.as_ref().filter(fits).map(|walk| walk.directory.clone())
    }

    /// A walk to `path` came through `directory`, which it is in.
    pub fn note(&self, mount: &Mount, path: &[u8], directory: &Arc<Node>) {
        if mount.policy != Policy::System || mount.is_writable() {
            return;
        }
        let Some(path) = directory_of(path) else { return };
        let mut last = lock(&self.0);
        // The time is that of the walk from the root.
        if !last.as_ref().is_some_and(|walk| Arc::ptr_eq(&walk.directory, directory)) {
            let (mount, path, directory) = (mount.id, path.to_vec(), directory.clone());
            *last = Some(Walk { mount, path, directory, at: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Mounts;
    use std::path::Path;

    #[test]
    fn only_the_directory_of_the_last_walk_below_a_system_directory_is_known() {
        let mut mounts = Mounts::new((0, 0), (0, 0));
        let read_only = postern_abi::boot::mount::READ_ONLY;
        for (path, flags, policy) in
            [("/a", read_only, Policy::System), ("/b", read_only, Policy::Granted), ("/c", 0, Policy::System)]
        {
            mounts.add(Path::new("/"), Path::new(path), flags, policy).unwrap();
        }
        let [a, b, c] = [1, 2, 3].map(|id| mounts.get(id).unwrap());
        let root = Arc::new(mounts.root(a).unwrap());
        let recent = Recent::default();
        recent.note(a, b"usr/lib/x", &root);
        assert!(recent.parent(a, b"usr/lib/y").is_some());
        for (mount, path) in
            [(a, &b"usr/lib"[..]), (a, b"usr/lib/y/z"), (a, b"usr"), (a, b"usr/li/x"), (b, b"usr/lib/y")]
        {
            assert!(recent.parent(mount, path).is_none());
        }
        recent.note(b, b"usr/bin/x", &root);
        recent.note(c, b"usr/bin/x", &root);
        recent.note(a, b"usr", &root);
        assert!(recent.parent(b, b"usr/bin/x").is_none() && recent.parent(c, b"usr/bin/x").is_none());
        std::thread::sleep(RECENT);
        recent.note(a, b"usr/lib/x", &root);
        assert!(recent.parent(a, b"usr/lib/y").is_none(), "the walk itself is older");
        recent.note(a, b"usr/lib/x", &Arc::new(mounts.root(a).unwrap()));
        assert!(recent.parent(a, b"usr/lib/y").is_some());
    }
}
