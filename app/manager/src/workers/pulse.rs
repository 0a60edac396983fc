//! When to measure: a clock that rests while the window is hidden or nothing runs, and that can be hurried.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Pulse {
    state: Mutex<PulseState>,
    changed: Condvar,
}

#[derive(Debug)]
struct PulseState {
    visible: bool,
    hurried: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { state: Mutex::new(PulseState { visible: true, hurried: true }), changed: Condvar::new() }
    }
}

impl Pulse {
    /// Tells whether the window is to be seen.
    pub fn set_visible(&self, visible: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.visible != visible {
            state.visible = visible;
            state.hurried |= visible;
            self.changed.notify_all();
        }
    }

    /// Ends the wait at once: something has changed.
    pub fn hurry(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.hurried = true;
        self.changed.notify_all();
    }

    /// Waits for the next beat: `interval`, or for ever where there is none, but in any case until the window is
    /// visible and not longer than until someone hurries.
    pub fn wait(&self, interval: Option<Duration>) {
        let end = interval.map(|interval| Instant::now() + interval);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.visible && state.hurried {
                break;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) if state.visible => break,
                Some(left) if state.visible => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                _ => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.hurried = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn it_rests_while_hidden_and_beats_when_shown_again() {
        let pulse = Arc::new(Pulse::default());
        pulse.wait(None);
        pulse.set_visible(false);
        let (beat, beats) = mpsc::channel();
        let own = Arc::clone(&pulse);
        thread::spawn(move || {
            for _ in 0..3 {
                own.wait(Some(Duration::from_millis(5)));
                let _ = beat.send(());
            }
        });
        pulse.hurry();
        assert!(beats.recv_timeout(Duration::from_millis(120)).is_err(), "hidden: no work");
        pulse.set_visible(true);
        for _ in 0..3 {
            beats.recv_timeout(Duration::from_secs(5)).expect("a beat");
        }
    }
}
