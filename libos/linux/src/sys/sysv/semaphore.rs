//! Semaphore sets: semget(2), semop(2).

use super::{NO_WAIT, Object, Permissions, READ, Table, WRITE, answer, command, now, usable};
use crate::call::Call;
use crate::ipc::deadline;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::user;

const MAX_SEMAPHORES: usize = 32000;
const MAX_OPERATIONS: usize = 500;
const MAX_VALUE: i32 = 32767;
const UNDO: u16 = 0x1000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Semaphore {
    value: i32,
    /// Who changed it last.
    pid: u32,
}

#[derive(Default)]
struct State {
    semaphores: Vec<Semaphore>,
    operated: i64,
    is_removed: bool,
    /// Who waits: for which semaphore, and whether for zero.
    waiting: Vec<(u16, bool)>,
    /// What ending processes give back: pid → adjustment by semaphore.
    adjustments: BTreeMap<u32, Vec<i32>>,
}

/// A semaphore set.
struct Set {
    permissions: Mutex<Permissions>,
    state: Mutex<State>,
    changed: WaitQueue,
}

impl Object for Set {
    fn permissions(&self) -> &Mutex<Permissions> {
        &self.permissions
    }
}

static SETS: Mutex<Table<Set>> = Mutex::new(Table::new());

/// One `struct sembuf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operation {
    index: u16,
    by: i32,
    flags: u16,
}

/// What an attempt at a list of operations came to.
#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    Done,
    /// Must wait for the semaphore with this index; true: for it to be zero.
    Wait(u16, bool, bool),
}

impl State {
    /// Does all operations or none.
    fn attempt(&mut self, operations: &[Operation], pid: u32) -> Result<Attempt> {
        let before = self.semaphores.clone();
        for operation in operations {
            let semaphore = self.semaphores.get_mut(usize::from(operation.index)).ok_or(Errno::EFBIG)?;
            let no_wait = u32::from(operation.flags) & NO_WAIT != 0;
            let wait = match operation.by {
                0 => semaphore.value != 0,
                by => semaphore.value + by < 0,
            };
            if wait {
                self.semaphores = before;
                return Ok(Attempt::Wait(operation.index, operation.by == 0, no_wait));
            }
            if semaphore.value + operation.by > MAX_VALUE {
                self.semaphores = before;
                return Err(Errno::ERANGE);
            }
            semaphore.value += operation.by;
            semaphore.pid = pid;
        }
        for operation in operations.iter().filter(|o| o.flags & UNDO != 0) {
            let count = self.semaphores.len();
            let own = self.adjustments.entry(pid).or_insert_with(|| alloc::vec![0; count]);
            if let Some(slot) = own.get_mut(usize::from(operation.index)) {
                *slot -= operation.by;
            }
        }
        self.operated = now();
        Ok(Attempt::Done)
    }

    /// A process ended: gives back what it took with `SEM_UNDO`.
    fn undo(&mut self, pid: u32) -> bool {
        let Some(own) = self.adjustments.remove(&pid) else { return false };
        for (semaphore, by) in self.semaphores.iter_mut().zip(own) {
            semaphore.value = (semaphore.value + by).clamp(0, MAX_VALUE);
            if by != 0 {
                semaphore.pid = pid;
            }
        }
        true
    }
}

/// Undoes the adjustments of a process that ended.
pub(super) fn undo(pid: u32) {
    let sets: Vec<Arc<Set>> = SETS.lock().objects.values().cloned().collect();
    for set in sets {
        if set.state.lock().undo(pid) {
            set.changed.wake();
        }
    }
}

/// semget(2).
///
/// # Errors
/// As the manual page says.
pub fn semget(call: &mut Call<'_>) -> Result<u64> {
    let (key, asked) = (call.int(0), call.uint(2));
    let count = usize::try_from(call.int(1)).ok().filter(|n| *n <= MAX_SEMAPHORES).ok_or(Errno::EINVAL)?;
    let fits =
        |old: &Set| if count > old.state.lock().semaphores.len() { Err(Errno::EINVAL) } else { Ok(()) };
    let id = SETS.lock().get(call.process(), key, asked, fits, |permissions| {
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        let state = State { semaphores: alloc::vec![Semaphore::default(); count], ..State::default() };
        Ok(Set { permissions: Mutex::new(permissions), state: Mutex::new(state), changed: WaitQueue::new() })
    })?;
    answer(id)
}

fn operate(call: &Call<'_>, deadline: Option<u64>) -> Result<u64> {
    let count = call.word(2);
    if count == 0 {
        return Err(Errno::EINVAL);
    }
    if count > MAX_OPERATIONS {
        return Err(Errno::E2BIG);
    }
    let mut operations = Vec::with_capacity(count);
    for i in 0..count {
        let [index, by, flags]: [u16; 3] = user::read(call.word(1).wrapping_add(i * 6))?;
        operations.push(Operation { index, by: i32::from(by.cast_signed()), flags });
    }
    let wanted = if operations.iter().any(|o| o.by != 0) { WRITE } else { READ };
    let set = usable(call, &SETS, wanted)?;
    let pid = call.process().pid;
    let mut waits: Option<(u16, bool)> = None;
    let result = wait::block(call.thread, &[&set.changed], deadline, || {
        let mut state = set.state.lock();
        if let Some(old) = waits.take()
            && let Some(at) = state.waiting.iter().position(|w| *w == old)
        {
            state.waiting.swap_remove(at);
        }
        if state.is_removed {
            return Some(Err(Errno::EIDRM));
        }
        match state.attempt(&operations, pid) {
            Ok(Attempt::Done) => Some(Ok(())),
            Ok(Attempt::Wait(_, _, true)) => Some(Err(Errno::EAGAIN)),
            Ok(Attempt::Wait(index, zero, false)) => {
                waits = Some((index, zero));
                state.waiting.push((index, zero));
                None
            }
            Err(errno) => Some(Err(errno)),
        }
    });
    if let Some(old) = waits {
        let mut state = set.state.lock();
        if let Some(at) = state.waiting.iter().position(|w| *w == old) {
            state.waiting.swap_remove(at);
        }
    }
    match result {
        Ok(()) => {
            set.changed.wake();
            Ok(0)
        }
        Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
        // Never restarted, whatever SA_RESTART says.
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        Err(errno) => Err(errno),
    }
}

/// semop(2).
///
/// # Errors
/// As the manual page says.
pub fn semop(call: &mut Call<'_>) -> Result<u64> {
    operate(call, None)
}

/// semtimedop(2).
///
/// # Errors
/// As the manual page says.
pub fn semtimedop(call: &mut Call<'_>) -> Result<u64> {
    let deadline = deadline::from_timespec(call.word(3))?;
    operate(call, deadline)
}

/// As `struct semid64_ds`.
fn status(set: &Set) -> [u64; 13] {
    let permissions = *set.permissions.lock();
    let state = set.state.lock();
    let mut words = [0u64; 13];
    for (slot, word) in words.iter_mut().zip(permissions.words()) {
        *slot = word;
    }
    words[6] = state.operated.cast_unsigned();
    words[8] = permissions.changed.cast_unsigned();
    words[10] = state.semaphores.len() as u64;
    words
}

fn checked_value(value: u32) -> Result<i32> {
    i32::try_from(value).ok().filter(|v| *v <= MAX_VALUE).ok_or(Errno::ERANGE)
}

/// Replaces all values; adjustments of all processes are forgotten, as SETALL and SETVAL want it.
fn set_all(call: &Call<'_>, set: &Set) -> Result<u64> {
    let count = set.state.lock().semaphores.len();
    let mut bytes = alloc::vec![0u8; count * 2];
    user::read_bytes(call.word(3), &mut bytes)?;
    let values: Vec<i32> = bytes
        .chunks_exact(2)
        .filter_map(|b| <[u8; 2]>::try_from(b).ok())
        .map(|b| checked_value(u16::from_le_bytes(b).into()))
        .collect::<Result<_>>()?;
    {
        let mut state = set.state.lock();
        for (semaphore, value) in state.semaphores.iter_mut().zip(values) {
            *semaphore = Semaphore { value, pid: call.process().pid };
        }
        state.adjustments.clear();
    }
    set.permissions.lock().changed = now();
    set.changed.wake();
    Ok(0)
}

fn set_one(call: &Call<'_>, set: &Set, index: usize) -> Result<u64> {
    let value = checked_value(call.uint(3))?;
    {
        let mut state = set.state.lock();
        let semaphore = state.semaphores.get_mut(index).ok_or(Errno::EINVAL)?;
        *semaphore = Semaphore { value, pid: call.process().pid };
        for own in state.adjustments.values_mut() {
            if let Some(slot) = own.get_mut(index) {
                *slot = 0;
            }
        }
    }
    set.permissions.lock().changed = now();
    set.changed.wake();
    Ok(0)
}

/// semctl(2).
///
/// # Errors
/// As the manual page says.
pub fn semctl(call: &mut Call<'_>) -> Result<u64> {
    const GETPID: u32 = 11;
    const GETVAL: u32 = 12;
    const GETALL: u32 = 13;
    const GETNCNT: u32 = 14;
    const GETZCNT: u32 = 15;
    const SETVAL: u32 = 16;
    const SETALL: u32 = 17;
    const STAT_INDEX: u32 = 18;
    const SEM_INFO: u32 = 19;
    const STAT_ANY: u32 = 20;
    let (id, asked, at) = (call.int(0), call.uint(2), call.word(3));
    let index = usize::try_from(call.int(1)).unwrap_or(usize::MAX);
    let one = |set: &Set| set.state.lock().semaphores.get(index).copied().ok_or(Errno::EINVAL);
    let waiters = |zero: bool| {
        let set = usable(call, &SETS, READ)?;
        one(&set)?;
        let state = set.state.lock();
        let count = state.waiting.iter().filter(|(i, z)| usize::from(*i) == index && *z == zero).count();
        crate::call::done(count)
    };
    match asked {
        GETVAL => Ok(one(&*usable(call, &SETS, READ)?)?.value.unsigned_abs().into()),
        GETPID => Ok(one(&*usable(call, &SETS, READ)?)?.pid.into()),
        GETNCNT => waiters(false),
        GETZCNT => waiters(true),
        GETALL => {
            let set = usable(call, &SETS, READ)?;
            let values: Vec<u8> = {
                let state = set.state.lock();
                let short = |s: &Semaphore| u16::try_from(s.value).unwrap_or(0).to_le_bytes();
                state.semaphores.iter().flat_map(short).collect()
            };
            user::write_bytes(at, &values)?;
            Ok(0)
        }
        SETVAL => set_one(call, &*usable(call, &SETS, WRITE)?, index),
        SETALL => set_all(call, &*usable(call, &SETS, WRITE)?),
        command::STAT => {
            user::write(at, &status(&*usable(call, &SETS, READ)?))?;
            Ok(0)
        }
        STAT_INDEX | STAT_ANY => {
            user::write(at, &status(&*usable(call, &SETS, READ)?))?;
            answer(id)
        }
        command::SET => {
            let set = SETS.lock().find(id)?;
            let mut permissions = set.permissions.lock();
            permissions.check_owner(call.process())?;
            permissions.set(at)?;
            Ok(0)
        }
        command::REMOVE => {
            let set = {
                let mut table = SETS.lock();
                table.find(id)?.permissions.lock().check_owner(call.process())?;
                table.remove(id).ok_or(Errno::EINVAL)?
            };
            set.state.lock().is_removed = true;
            set.changed.wake();
            Ok(0)
        }
        command::INFO | SEM_INFO => {
            let limits: [u32; 10] =
                [32000, 32000, 1_024_000_000, 1_024_000_000, 32000, 500, 500, 20, 32767, 32767];
            user::write(at, &limits)?;
            Ok(SETS.lock().objects.keys().next_back().map_or(0, |id| u64::from(id.unsigned_abs())))
        }
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(values: &[i32]) -> State {
        let semaphores = values.iter().map(|value| Semaphore { value: *value, pid: 0 }).collect();
        State { semaphores, ..State::default() }
    }

    fn values(state: &State) -> Vec<i32> {
        state.semaphores.iter().map(|s| s.value).collect()
    }

    #[test]
    fn operations_happen_all_or_none() {
        let mut state = state(&[1, 0]);
        let take = |index| Operation { index, by: -1, flags: 0 };
        assert_eq!(state.attempt(&[take(0), take(1)], 7), Ok(Attempt::Wait(1, false, false)));
        assert_eq!(values(&state), [1, 0]);
        let zero = Operation { index: 1, by: 0, flags: 0 };
        assert_eq!(state.attempt(&[zero, take(0)], 7), Ok(Attempt::Done));
        assert_eq!(values(&state), [0, 0]);
        let too_much = Operation { index: 0, by: MAX_VALUE + 1, flags: 0 };
        assert_eq!(state.attempt(&[too_much], 7), Err(Errno::ERANGE));
        assert_eq!(state.attempt(&[take(9)], 7), Err(Errno::EFBIG));
    }

    #[test]
    fn an_ended_process_gives_back_what_it_took() {
        let mut state = state(&[2]);
        let take = Operation { index: 0, by: -2, flags: UNDO };
        assert_eq!(state.attempt(&[take], 7), Ok(Attempt::Done));
        assert!(!state.undo(8));
        assert!(state.undo(7));
        assert_eq!(values(&state), [2]);
    }
}
