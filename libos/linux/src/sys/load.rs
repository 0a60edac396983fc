//! Load averages: how many processors the family kept busy, over one, five and fifteen minutes. What else the machine does
//! is not the app's business.

use super::usage;
use crate::Mutex;
use crate::task::process;
use postern_pal::{clock, thread as host_thread};

/// 1.0 as a fixed-point number.
const ONE: u64 = 1 << 11;
/// Time of one step, in nanoseconds.
const STEP: u64 = 5_000_000_000;
/// What one step leaves of each average: e to the power of -5 s through 1, 5 and 15 minutes.
const KEEPS: [u64; 3] = [1884, 2014, 2037];
/// After so many steps nothing is left of what was before.
const MOST_STEPS: u64 = 4096;

/// The averages at the last step, when that was, and the CPU time until then.
struct Load {
    at: u64,
    used: u64,
    averages: [u64; 3],
}

static LOAD: Mutex<Load> = Mutex::new(Load { at: 0, used: 0, averages: [0; 3] });

impl Load {
    fn advance(&mut self, now: u64, used: u64) {
        let elapsed = now.saturating_sub(self.at);
        let steps = (elapsed / STEP).min(MOST_STEPS);
        if steps == 0 {
            return;
        }
        let busy = used.saturating_sub(self.used);
        let rate = u64::try_from(u128::from(busy) * u128::from(ONE) / u128::from(elapsed)).unwrap_or(ONE);
        for _ in 0..steps {
            for (average, keep) in self.averages.iter_mut().zip(KEEPS) {
                *average = (*average * keep + rate * (ONE - keep)).div_ceil(ONE);
            }
        }
        (self.at, self.used) = (now, used);
    }
}

/// CPU time of all processes of the family so far, ended ones too: user and system time in nanoseconds.
#[must_use]
pub fn cpu_time() -> [u64; 2] {
    let [mut user, mut system] = usage::of_ended();
    for process in process::all().iter().filter(|p| !p.has_ended()) {
        let used = usage::of_process(process);
        user += used.user_ns;
        system += used.system_ns;
    }
    [user, system]
}

/// The family starts.
pub fn init() {
    LOAD.lock().at = clock::now();
}

/// The averages, in units of 1/2048.
#[must_use]
pub fn averages() -> [u64; 3] {
    let used = cpu_time().iter().sum();
    let mut load = LOAD.lock();
    load.advance(clock::now(), used);
    load.averages
}

/// How many threads do not wait, and how many there are.
#[must_use]
pub fn threads() -> (usize, usize) {
    let (mut running, mut all) = (0, 0);
    for process in process::all() {
        for thread in &process.state.lock().threads {
            all += 1;
            running += usize::from(thread.host().is_some_and(|host| !host_thread::is_parked(host)));
        }
    }
    (running, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_come_near_what_is_used() {
        let mut load = Load { at: 0, used: 0, averages: [0; 3] };
        load.advance(STEP - 1, 7);
        assert_eq!(load.averages, [0; 3]);
        load.advance(12 * STEP, 24 * STEP);
        let [one, five, fifteen] = load.averages;
        assert!(one > ONE && one < 2 * ONE && five < one && fifteen < five, "{:?}", load.averages);
        load.advance(5000 * STEP, (24 + 2 * 4988) * STEP);
        assert!(load.averages.iter().all(|a| a.abs_diff(2 * ONE) < ONE / 20), "{:?}", load.averages);
    }
}
