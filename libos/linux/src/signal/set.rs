//! Signal numbers, sets of signals, and what a signal does where the app did not say (signal(7)).

/// Signals by name, with their x86-64 numbers.
#[expect(missing_docs, reason = "the names are signal's own")]
pub mod sig {
    pub const HUP: u32 = 1;
    pub const INT: u32 = 2;
    pub const QUIT: u32 = 3;
    pub const ILL: u32 = 4;
    pub const TRAP: u32 = 5;
    pub const ABRT: u32 = 6;
    pub const BUS: u32 = 7;
    pub const FPE: u32 = 8;
    pub const KILL: u32 = 9;
    pub const SEGV: u32 = 11;
    pub const PIPE: u32 = 13;
    pub const ALRM: u32 = 14;
    pub const CHLD: u32 = 17;
    pub const CONT: u32 = 18;
    pub const STOP: u32 = 19;
    pub const TSTP: u32 = 20;
    pub const TTIN: u32 = 21;
    pub const TTOU: u32 = 22;
    pub const URG: u32 = 23;
    pub const XCPU: u32 = 24;
    pub const XFSZ: u32 = 25;
    pub const VTALRM: u32 = 26;
    pub const PROF: u32 = 27;
    pub const WINCH: u32 = 28;
    pub const IO: u32 = 29;
    pub const SYS: u32 = 31;
    /// The first real-time signal; from here on signals queue.
    pub const RT_FIRST: u32 = 32;
}

/// The highest signal number.
pub const LAST: u32 = 64;

/// The set with one signal; empty for numbers that are no signals.
#[must_use]
pub const fn bit(signal: u32) -> u64 {
    if signal >= 1 && signal <= LAST { 1 << (signal - 1) } else { 0 }
}

/// Signals that cannot be blocked, caught or ignored.
pub const UNBLOCKABLE: u64 = bit(sig::KILL) | bit(sig::STOP);

/// Signals whose default is to stop the process.
pub const STOPS: u64 = bit(sig::STOP) | bit(sig::TSTP) | bit(sig::TTIN) | bit(sig::TTOU);

/// Signals that the CPU causes; they are handled before all others.
const SYNCHRONOUS: u64 =
    bit(sig::SEGV) | bit(sig::BUS) | bit(sig::ILL) | bit(sig::TRAP) | bit(sig::FPE) | bit(sig::SYS);

/// What a signal does by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// Ends the process.
    Terminate,
    /// Ends the process and would leave a core dump.
    Core,
    /// Nothing.
    Ignore,
    /// Stops the process.
    Stop,
}

/// What `signal` does by default. SIGCONT continues when it is sent, so handling it does nothing.
#[must_use]
pub const fn default_action(signal: u32) -> Default {
    const CORES: u64 = SYNCHRONOUS | bit(sig::QUIT) | bit(sig::ABRT) | bit(sig::XCPU) | bit(sig::XFSZ);
    const IGNORED: u64 = bit(sig::CHLD) | bit(sig::CONT) | bit(sig::URG) | bit(sig::WINCH);
    let bit = bit(signal);
    if bit & IGNORED != 0 {
        Default::Ignore
    } else if bit & STOPS != 0 {
        Default::Stop
    } else if bit & CORES != 0 {
        Default::Core
    } else {
        Default::Terminate
    }
}

/// The signal of a nonempty set that is handled first; 0 for the empty set.
#[must_use]
pub const fn first(set: u64) -> u32 {
    let urgent = set & SYNCHRONOUS;
    let set = if urgent != 0 { urgent } else { set };
    if set == 0 { 0 } else { set.trailing_zeros() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_manual() {
        assert_eq!(default_action(sig::INT), Default::Terminate);
        assert_eq!(default_action(sig::ABRT), Default::Core);
        assert_eq!(default_action(sig::CHLD), Default::Ignore);
        assert_eq!(default_action(sig::TTOU), Default::Stop);
        assert_eq!(default_action(40), Default::Terminate);
    }

    #[test]
    fn faults_come_first_then_the_lowest_number() {
        assert_eq!(first(bit(sig::HUP) | bit(sig::SEGV)), sig::SEGV);
        assert_eq!(first(bit(64) | bit(33)), 33);
        assert_eq!(first(0), 0);
        assert_eq!(bit(0), 0);
        assert_eq!(bit(65), 0);
    }
}
