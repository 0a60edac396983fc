//! The platform layer of the library OS: entry, faults, memory, host system calls.
