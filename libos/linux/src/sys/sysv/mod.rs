//! System V IPC (sysvipc(7)): shared memory, semaphore sets and message queues, which are found by keys. The family is
//! the namespace: nothing outside of it has these keys.

pub mod message;
pub mod semaphore;
pub mod shared_memory;

use crate::call::Call;
use crate::ipc::time_of_day;
use crate::task::Process;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use postern_pal::user;

/// Key of objects that only those know who are told their id.
const PRIVATE: i32 = 0;
const CREATE: u32 = 0o1000;
const EXCLUSIVE: u32 = 0o2000;
const NO_WAIT: u32 = 0o4000;

/// Commands of the `*ctl` calls that all three kinds know.
mod command {
    pub const REMOVE: u32 = 0;
    pub const SET: u32 = 1;
    pub const STAT: u32 = 2;
    pub const INFO: u32 = 3;
}

/// Asked of an object's mode: reading, writing.
const READ: u32 = 4;
const WRITE: u32 = 2;

/// Who owns an object and who may use it: `struct ipc64_perm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permissions {
    key: i32,
    uid: u32,
    gid: u32,
    creator: [u32; 2],
    mode: u32,
    /// When it was made or changed last, in seconds.
    changed: i64,
}

/// Seconds since 1970.
fn now() -> i64 {
    let [seconds, _] = time_of_day();
    seconds
}

impl Permissions {
    fn new(process: &Process, key: i32, flags: u32) -> Self {
        let identity = process.identity.lock();
        let (uid, gid) = (identity.euid, identity.egid);
        Self { key, uid, gid, creator: [uid, gid], mode: flags & 0o777, changed: now() }
    }

    /// Checks for the bits of `wanted` ([`READ`], [`WRITE`]).
    fn check(&self, process: &Process, wanted: u32) -> Result<()> {
        let identity = process.identity.lock();
        let is_group = |id: u32| id == identity.egid || identity.groups.contains(&id);
        let [creator, creator_group] = self.creator;
        let shift = if identity.euid == self.uid || identity.euid == creator {
            6
        } else if is_group(self.gid) || is_group(creator_group) {
            3
        } else {
            0
        };
        let allowed = (self.mode >> shift) & 7;
        if identity.euid == 0 || wanted & !allowed == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Only owner and creator may change or remove an object.
    fn check_owner(&self, process: &Process) -> Result<()> {
        let euid = process.identity.lock().euid;
        let [creator, _] = self.creator;
        if euid == 0 || euid == self.uid || euid == creator { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// As the first 48 bytes of the `*_ds` structures.
    fn words(&self) -> [u64; 6] {
        let pair = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
        let [creator, creator_group] = self.creator;
        [
            pair(self.key.cast_unsigned(), self.uid),
            pair(self.gid, creator),
            pair(creator_group, self.mode),
            0,
            0,
            0,
        ]
    }

    /// `IPC_SET`: takes owner and mode from the structure at `addr`.
    fn set(&mut self, addr: usize) -> Result<()> {
        let [_, uid, gid, _, _, mode]: [u32; 6] = user::read(addr)?;
        self.uid = uid;
        self.gid = gid;
        self.mode = (self.mode & !0o777) | (mode & 0o777);
        self.changed = now();
        Ok(())
    }
}

/// What the three kinds have in common.
trait Object {
    fn permissions(&self) -> &Mutex<Permissions>;
}

/// The objects of one kind, by id and by key.
struct Table<T> {
    objects: BTreeMap<i32, Arc<T>>,
    keys: BTreeMap<i32, i32>,
    next: i32,
}

/// Most objects of one kind.
const MAX_OBJECTS: usize = 32000;

impl<T: Object> Table<T> {
    const fn new() -> Self {
        Self { objects: BTreeMap::new(), keys: BTreeMap::new(), next: 0 }
    }

    fn find(&self, id: i32) -> Result<Arc<T>> {
        self.objects.get(&id).cloned().ok_or(Errno::EINVAL)
    }

    /// The id for a key, of an old object that `fits` or of a new one that `make` makes.
    fn get(
        &mut self,
        process: &Process,
        key: i32,
        flags: u32,
        fits: impl FnOnce(&T) -> Result<()>,
        make: impl FnOnce(Permissions) -> Result<T>,
    ) -> Result<i32> {
        let old = if key == PRIVATE { None } else { self.keys.get(&key).copied() };
        if let Some(id) = old {
            if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE {
                return Err(Errno::EEXIST);
            }
            let object = self.find(id)?;
            let wanted = ((flags >> 6) | (flags >> 3) | flags) & 7;
            object.permissions().lock().check(process, wanted)?;
            fits(&object)?;
            return Ok(id);
        }
        if key != PRIVATE && flags & CREATE == 0 {
            return Err(Errno::ENOENT);
        }
        if self.objects.len() >= MAX_OBJECTS {
            return Err(Errno::ENOSPC);
        }
        let object = make(Permissions::new(process, key, flags))?;
        while self.objects.contains_key(&self.next) {
            self.next = self.next.checked_add(1).unwrap_or(0);
        }
        let id = self.next;
        self.next = self.next.checked_add(1).unwrap_or(0);
        self.objects.insert(id, Arc::new(object));
        if key != PRIVATE {
            self.keys.insert(key, id);
        }
        Ok(id)
    }

    /// Removes an object. Who has a reference goes on with it.
    fn remove(&mut self, id: i32) -> Option<Arc<T>> {
        let object = self.objects.remove(&id)?;
        self.forget_key(&object);
        Some(object)
    }

    /// Nobody finds the object by its key any more.
    fn forget_key(&mut self, object: &T) {
        let key = core::mem::replace(&mut object.permissions().lock().key, PRIVATE);
        if key != PRIVATE {
            self.keys.remove(&key);
        }
    }
}

/// An id as a result.
fn answer(id: i32) -> Result<u64> {
    u64::try_from(id).map_err(|_| Errno::EINVAL)
}

/// The object that argument 0 names, if the caller may do what `wanted` says.
fn usable<T: Object>(call: &Call<'_>, table: &Mutex<Table<T>>, wanted: u32) -> Result<Arc<T>> {
    let object = table.lock().find(call.int(0))?;
    object.permissions().lock().check(call.process(), wanted)?;
    Ok(object)
}

/// The process ended: its semaphore adjustments are undone.
pub fn process_ended(process: &Process) {
    semaphore::undo(process.pid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_decide_by_the_class_of_the_caller() {
        let permissions =
            Permissions { key: 1, uid: 10, gid: 20, creator: [10, 20], mode: 0o640, changed: 0 };
        let words = permissions.words();
        assert_eq!(words.first(), Some(&(1 | (10 << 32))));
        assert_eq!(words.get(2), Some(&(20 | (0o640 << 32))));
    }

    struct Plain(Mutex<Permissions>);

    impl Object for Plain {
        fn permissions(&self) -> &Mutex<Permissions> {
            &self.0
        }
    }

    #[test]
    fn a_removed_object_loses_its_key() {
        let mut table: Table<Plain> = Table::new();
        let permissions = Permissions { key: 7, uid: 0, gid: 0, creator: [0, 0], mode: 0, changed: 0 };
        table.objects.insert(3, Arc::new(Plain(Mutex::new(permissions))));
        table.keys.insert(7, 3);
        assert!(table.find(3).is_ok());
        assert!(table.remove(3).is_some());
        assert!(table.keys.is_empty());
        assert_eq!(table.find(3).err(), Some(Errno::EINVAL));
    }
}
