//! Addresses of the kernel half. They are the same in every process of every family, which is what lets kernel
//! objects hold plain pointers to each other across processes.

/// First address of the kernel half.
pub const KERNEL_BASE: usize = 0x2a00_0000_0000;
/// One past the last address of the kernel half.
pub const KERNEL_END: usize = 0x2b00_0000_0000;

/// The gate: the page(s) that hold every `syscall` instruction of the library OS. The seccomp filter turns a
/// system call issued from any other address into a trap (`SECCOMP_RET_TRAP`). That is interception; the argument
/// rules of the filter, which hold for the gate too, are the confinement.
pub const GATE_BASE: usize = KERNEL_BASE + 0x1000;
/// Size of the gate in bytes.
pub const GATE_SIZE: usize = 0x1000;

/// Where the start-up block ([`crate::boot`]) is mapped, read-only after start.
pub const BOOT_BASE: usize = KERNEL_BASE + 0x3000_0000;
/// Largest start-up block, in bytes.
pub const BOOT_SIZE: usize = 0x40_0000;

/// Where the counters are mapped, read-only, that tell of changes to watched directories: one `u32` each, which has
/// another value after a change. The monitor writes them through the arena.
pub const CHANGES_BASE: usize = BOOT_BASE + BOOT_SIZE;
/// How many of them there are.
pub const CHANGES: usize = 16384;

/// Per-thread areas: kernel stack, signal stack and thread control block.
pub const THREADS_BASE: usize = KERNEL_BASE + 0x4000_0000;
/// Bytes per thread area.
pub const THREAD_STRIDE: usize = 0x2_0000;
/// Most threads that a family can have at one time.
pub const MAX_THREADS: usize = 8192;

/// The heap of kernel objects.
pub const HEAP_BASE: usize = KERNEL_BASE + 0x1_0000_0000;
/// Address space set aside for the heap, in bytes. Only touched pages cost memory.
pub const HEAP_SIZE: usize = 0x8_0000_0000;

/// Offset in the arena memfd of the byte that is mapped at `address` (for addresses of the kernel half).
#[must_use]
pub const fn arena_offset(address: usize) -> usize {
    address - KERNEL_BASE
}

/// Length of the part of the arena memfd that is mapped as the kernel half, in bytes.
pub const ARENA_MAPPED: usize = HEAP_BASE + HEAP_SIZE - KERNEL_BASE;
/// Offset in the arena memfd where file slots (tmpfs) begin.
pub const SLOTS_OFFSET: u64 = 1 << 40;
/// Size of one file slot in the arena memfd, in bytes. A slot is sparse: only written pages cost memory.
pub const SLOT_SIZE: u64 = 1 << 37;
/// Length of the arena memfd, in bytes (sparse).
pub const ARENA_SIZE: u64 = 1 << 62;
/// Most file slots.
pub const MAX_SLOTS: u64 = (ARENA_SIZE - SLOTS_OFFSET) / SLOT_SIZE;

/// Handle numbers (host file descriptors) that a family is started with.
pub mod handle {
    /// The three standard streams: `console:` or whatever the user redirected them to.
    pub const STDIO: [i32; 3] = [0, 1, 2];
    /// The arena memfd.
    pub const ARENA: i32 = 3;
    /// The library OS image (read-only), closed after start.
    pub const IMAGE: i32 = 4;
    /// Stream of [`crate::event`] messages from the monitor (`SOCK_SEQPACKET`).
    pub const EVENTS: i32 = 5;
    /// Read end of the pipe that interrupts the keeper's poll.
    pub const WAKE_READ: i32 = 6;
    /// Write end of that pipe.
    pub const WAKE_WRITE: i32 = 7;
    /// The remote-display channel (`SOCK_SEQPACKET`), if [`crate::boot::Boot::display`] says so.
    pub const DISPLAY: i32 = 8;
    /// First of the gates: `SOCK_SEQPACKET` sockets that carry one downcall at a time each.
    pub const GATE_FIRST: i32 = 9;
    /// How many gates there are.
    pub const GATES: usize = 4;
    /// First number that is free when the library OS starts.
    pub const FIRST_FREE: i32 = GATE_FIRST + 4;
}
