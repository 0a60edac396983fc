//! The registers of a thread while it is in the kernel half.

/// Registers of the app, saved at the top of the thread's kernel stack. The layout is known to the entry assembly.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Frame {
    /// General registers.
    pub rax: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rbx: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rcx: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rdx: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rsi: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rdi: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rbp: u64,
    #[expect(missing_docs, reason = "a register")]
    pub rsp: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r8: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r9: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r10: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r11: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r12: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r13: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r14: u64,
    #[expect(missing_docs, reason = "a register")]
    pub r15: u64,
    /// Where the app continues.
    pub rip: u64,
    /// Flags register.
    pub rflags: u64,
    /// [`flag`] bits.
    pub flags: u64,
    /// System call number, kept while rax already holds a result; `u64::MAX` when not in a system call.
    pub call: u64,
    /// Address of the `syscall` instruction if the call came by a trap, else 0.
    pub site: u64,
    /// Unused.
    pub reserved: [u64; 3],
    /// xmm0 to xmm15.
    pub xmm: [[u64; 2]; 16],
}

/// Bits of [`Frame::flags`].
pub mod flag {
    /// Restore every register, including rcx, r11 and the flags (else: as after a `syscall` instruction).
    pub const FULL: u64 = 1;
    /// Restore the whole floating-point state from the thread's save area instead of [`super::Frame::xmm`].
    pub const FP: u64 = 2;
}

impl Frame {
    /// A frame with all registers zero.
    #[must_use]
    pub const fn zeroed() -> Self {
        Self {
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            rsp: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
            rip: 0,
            rflags: 0x202,
            flags: 0,
            call: u64::MAX,
            site: 0,
            reserved: [0; 3],
            xmm: [[0; 2]; 16],
        }
    }

    /// The six arguments of a system call.
    #[must_use]
    pub const fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }
}

/// A fault or trap of the app.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// Host signal number: SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGTRAP.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// Faulting address, as `si_addr`.
    pub address: u64,
    /// CPU trap number, error code and cr2, as in `struct sigcontext`.
    pub trap: [u64; 3],
}
