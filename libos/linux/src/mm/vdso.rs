//! The vDSO that programs get.

/// Address of its ELF header, for `AT_SYSINFO_EHDR`; `None` where there is none and programs ask by system call.
#[must_use]
pub fn address() -> Option<usize> {
    None
}
