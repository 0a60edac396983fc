//! execve(2).
//!
//! Everything that can fail is done first, into a [`Plan`]; then comes the point of no return: other threads end, the
//! user half is unmapped and the program loaded in its place. A vfork child has no picoprocess of its own yet: its
//! plan is carried out in a clean one, forked from the keeper.

use super::elf::{self, Image};
use super::process::Status;
use super::stack::{self, Contents, at};
use super::{Thread, clone, exit, resource};
use crate::call::Call;
use crate::fs::OpenFile;
use crate::mm::space::{Kind, PAGE, page_up};
use crate::mm::{AddressSpace, known, vdso};
use crate::signal::ThreadSignals;
use crate::{Errno, Result, fs, kernel};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_abi::boot::Boot;
use postern_abi::calls::notice;
use postern_pal::frame::{Frame, flag};
use postern_pal::mem::{self, bits};
use postern_pal::thread as host_thread;
use postern_pal::{gate, user};

/// Most nested `#!` interpreters.
const MAX_SCRIPTS: usize = 4;

/// A program that is ready to be loaded.
pub struct Plan {
    file: Arc<OpenFile>,
    image: Image,
    interpreter: Option<(Arc<OpenFile>, Image)>,
    /// Absolute path of the program.
    path: Vec<u8>,
    /// Path as it was asked for.
    asked: Vec<u8>,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
}

/// Reads a NULL-terminated array of strings.
fn read_strings(array: usize, total: &mut usize) -> Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    if array == 0 {
        return Ok(strings);
    }
    let mut at = array;
    loop {
        let pointer = usize::try_from(user::load_u64(at)?).map_err(|_| Errno::EFAULT)?;
        if pointer == 0 {
            return Ok(strings);
        }
        let mut text = Vec::new();
        match user::read_string(pointer, stack::MAX_STRING, &mut text) {
            Err(Errno::ENAMETOOLONG) => return Err(Errno::E2BIG),
            other => other?,
        }
        *total += text.len() + 9;
        if *total > stack::MAX_STRINGS {
            return Err(Errno::E2BIG);
        }
        strings.push(text);
        at = at.wrapping_add(8);
    }
}

/// Splits a `#!` line into interpreter and optional argument.
fn script_line(head: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let end = head.iter().take(256).position(|b| *b == b'\n').unwrap_or(head.len().min(256));
    let line = head.get(2..end).ok_or(Errno::ENOEXEC)?;
    let line = line.trim_ascii();
    let cut = line.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(line.len());
    let (name, rest) = line.split_at_checked(cut).ok_or(Errno::ENOEXEC)?;
    if name.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let rest = rest.trim_ascii();
    Ok((name.to_vec(), (!rest.is_empty()).then(|| rest.to_vec())))
}

/// Opens and checks everything that running `path` takes.
///
/// # Errors
/// As execve(2).
pub fn plan(thread: &Thread, path: &[u8], mut argv: Vec<Vec<u8>>, envp: Vec<Vec<u8>>) -> Result<Plan> {
    let asked = path.to_vec();
    let mut target = path.to_vec();
    for _ in 0..=MAX_SCRIPTS {
        let (file, absolute) = fs::open_for_exec(thread, &target)?;
        let head = elf::read_at(thread, &file, 0, 256)?;
        if head.starts_with(b"#!") {
            let (name, argument) = script_line(&head)?;
            let mut new = alloc::vec![name.clone()];
            new.extend(argument);
            new.push(target);
            new.extend(argv.into_iter().skip(1));
            argv = new;
            target = name;
            continue;
        }
        let image = elf::load(thread, &file)?;
        let interpreter = match image.interpreter {
            None => None,
            Some((offset, len)) => {
                let mut name = elf::read_at(thread, &file, offset, len)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                let (file, _) = fs::open_for_exec(thread, &name)?;
                let image = elf::load(thread, &file).map_err(|_| Errno::ELIBBAD)?;
                Some((file, image))
            }
        };
        return Ok(Plan { file, image, interpreter, path: absolute, asked, argv, envp });
    }
    Err(Errno::ELOOP)
}

/// execve(2).
///
/// # Errors
/// As the manual page says.
pub fn execve(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    run(call, &path, 1)
}

/// execveat(2): absolute paths, `AT_FDCWD`, and an open file by `AT_EMPTY_PATH`.
///
/// # Errors
/// As the manual page says.
pub fn execveat(call: &mut Call<'_>) -> Result<u64> {
    const EMPTY_PATH: u32 = 0x1000;
    const CWD: i32 = -100;
    let path = call.path(1)?;
    let fd = call.int(0);
    let path = if path.first() == Some(&b'/') || (fd == CWD && !path.is_empty()) {
        path
    } else {
        if path.is_empty() && call.uint(4) & EMPTY_PATH == 0 {
            return Err(Errno::ENOENT);
        }
        let mut full = b"/proc/self/fd/".to_vec();
        push_number(&mut full, u32::try_from(fd).map_err(|_| Errno::EBADF)?);
        if !path.is_empty() {
            full.push(b'/');
            full.extend_from_slice(&path);
        }
        full
    };
    run(call, &path, 2)
}

fn push_number(out: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        push_number(out, number / 10);
    }
    out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
}

fn run(call: &mut Call<'_>, path: &[u8], first: usize) -> Result<u64> {
    let mut total = 0;
    let mut argv = read_strings(call.word(first), &mut total)?;
    let envp = read_strings(call.word(first + 1), &mut total)?;
    if argv.is_empty() {
        // As Linux does since 5.18.
        argv.push(Vec::new());
    }
    let plan = plan(call.thread, path, argv, envp)?;
    let process = call.process().clone();
    let is_vfork = process.state.lock().vfork.is_some();
    if is_vfork {
        let thread = call.thread.clone();
        leave_memory(&thread, plan);
        if !clone::give_back(&process, call.frame) {
            // The parent was killed meanwhile.
            move_out(&thread);
            return Ok(0);
        }
        kernel::start_clean(thread);
        return Ok(call.frame.rax);
    }
    let thread = become_only_thread(call.thread)?;
    if process.shares_memory.load(Ordering::SeqCst) != 0 {
        leave_memory(&thread, plan);
        move_out(&thread);
        return Ok(0);
    }
    mem::reset_user_half();
    load_or_die(&thread, call.frame, &plan);
    // The dispatcher stores this as rax, which the psABI leaves undefined at the entry point.
    Ok(0)
}

/// A thread that executes `plan` leaves the memory that its process shares with another one.
fn leave_memory(thread: &Thread, plan: Plan) {
    *thread.pending_program.lock() = Some(Box::new(plan));
    // Until its own picoprocess runs it has no host thread; signals wait.
    thread.set_host_none();
    *thread.process.space.lock() = Arc::default();
}

/// Ends the running host thread on the way out of the call, and has `thread`, which ran on it, go on in a clean
/// picoprocess.
fn move_out(thread: &Thread) {
    thread.moves_out.store(1, Ordering::SeqCst);
    host_thread::kick(host_thread::current());
}

/// Ends all other threads of the process; the caller becomes its main thread.
fn become_only_thread(thread: &Arc<Thread>) -> Result<Arc<Thread>> {
    let process = &thread.process;
    {
        let state = process.state.lock();
        if state.exiting.is_some() {
            return Err(Errno::ERESTARTSYS);
        }
        for other in state.threads.iter().filter(|t| !Arc::ptr_eq(t, thread)) {
            exit::end_thread(other);
        }
    }
    let place = process.changed.stand();
    while process.state.lock().threads.len() > 1 {
        host_thread::park(None);
    }
    drop(place);
    if thread.tid == process.pid {
        return Ok(thread.clone());
    }
    let name = *thread.name.lock();
    let main = Thread::new(process.pid, process.clone(), name, ThreadSignals::for_exec(&thread.signals));
    main.settings.inherit(&thread.settings);
    main.set_host(host_thread::current());
    process.state.lock().threads = alloc::vec![main.clone()];
    super::process::register_thread(&main);
    super::process::forget_thread(thread.tid);
    host_thread::switch_task(kernel::task_of(&main));
    Ok(main)
}

/// A thread that starts in a clean picoprocess loads its program now.
pub fn load_pending(thread: &Arc<Thread>, frame: &mut Frame) {
    let plan = thread.pending_program.lock().take();
    if let Some(plan) = plan {
        load_or_die(thread, frame, &plan);
    }
}

fn load_or_die(thread: &Arc<Thread>, frame: &mut Frame, plan: &Plan) {
    if load(thread, frame, plan).is_err() {
        const SIGKILL: u8 = 9;
        exit::end_process(&thread.process, Status::Killed(SIGKILL, false));
    }
}

/// Entropy for address layout and `AT_RANDOM`.
fn random() -> u64 {
    fs::random::word()
}

/// Maps an image. Returns the load bias.
fn map_image(space: &AddressSpace, file: &Arc<OpenFile>, image: &Image, wanted: usize) -> Result<usize> {
    let (first, end) = image.span();
    let mut bias = 0;
    if image.relocatable {
        // One reservation for the whole span, then the segments over it.
        let flags = bits::MAP_PRIVATE | bits::MAP_NORESERVE;
        let hint = if wanted == 0 { 0 } else { wanted };
        let at = space.map(hint, end - first, 0, flags, None, Kind::Plain)?;
        bias = at.wrapping_sub(first);
    }
    for segment in &image.segments {
        let start = bias.wrapping_add(segment.vaddr);
        let page = start & !(PAGE - 1);
        let skew = start - page;
        let fixed =
            bits::MAP_PRIVATE | if image.relocatable { bits::MAP_FIXED } else { bits::MAP_FIXED_NOREPLACE };
        let file_end = page_up(skew + segment.file_len).ok_or(Errno::ENOEXEC)?;
        if segment.file_len > 0 {
            let offset = segment.offset - skew as u64;
            space.map(page, file_end, segment.prot, fixed, Some((file.clone(), offset)), Kind::Plain)?;
            known::patch_mapped(space, page);
        }
        let memory_end = page_up(skew + segment.mem_len).ok_or(Errno::ENOEXEC)?;
        let covered = if segment.file_len > 0 { file_end } else { 0 };
        if segment.mem_len > segment.file_len && segment.file_len > 0 && segment.prot & bits::PROT_WRITE != 0
        {
            // The rest of the last file page belongs to .bss.
            let tail = start + segment.file_len;
            user::zero(tail, (page + file_end) - tail)?;
        }
        if memory_end > covered {
            space.map(page + covered, memory_end - covered, segment.prot, fixed, None, Kind::Plain)?;
        }
    }
    Ok(bias)
}

/// The point of no return has passed: the user half is empty.
fn load(thread: &Arc<Thread>, frame: &mut Frame, plan: &Plan) -> Result<()> {
    let process = &thread.process;
    let space = Arc::new(AddressSpace::default());
    *process.space.lock() = space.clone();
    process.shares_memory.store(0, Ordering::SeqCst);
    process.limit_memory();

    let base = 0x5500_0000_0000 + (usize::try_from(random() & 0x0fff_ffff).unwrap_or(0) << 12);
    let bias = map_image(&space, &plan.file, &plan.image, base)?;
    let entry = bias.wrapping_add(plan.image.entry);
    let (start, interpreter_base) = match &plan.interpreter {
        None => (entry, 0),
        Some((file, image)) => {
            let at = map_image(&space, file, image, 0)?;
            (at.wrapping_add(image.entry), at)
        }
    };
    let (_, end) = plan.image.span();
    let gap = usize::try_from(random() & 0x1fff).unwrap_or(0) << 12;
    space.set_brk_start(bias.wrapping_add(end) + gap);

    let size =
        usize::try_from(process.limits.soft(resource::STACK)).unwrap_or(8 << 20).clamp(4 << 20, 64 << 20)
            & !(PAGE - 1);
    let slide = usize::try_from(random() & 0xffff).unwrap_or(0) << 12;
    let flags = bits::MAP_PRIVATE | bits::MAP_NORESERVE | bits::MAP_STACK;
    let bottom = space.map(0x7ff0_0000_0000 + slide, size, 3, flags, None, Kind::Stack)?;

    let identity = process.identity.lock().clone();
    let mut auxiliary = alloc::vec![
        [at::HWCAP, hardware_capabilities()],
        [at::HWCAP2, HARDWARE_CAPABILITIES_2],
        [at::PAGESZ, PAGE as u64],
        [at::CLKTCK, 100],
        [at::PHDR, bias.wrapping_add(plan.image.headers) as u64],
        [at::PHENT, 56],
        [at::PHNUM, plan.image.header_count as u64],
        [at::BASE, interpreter_base as u64],
        [at::FLAGS, 0],
        [at::ENTRY, entry as u64],
        [at::UID, u64::from(identity.uid)],
        [at::EUID, u64::from(identity.euid)],
        [at::GID, u64::from(identity.gid)],
        [at::EGID, u64::from(identity.egid)],
        [at::SECURE, 0],
        [at::MINSIGSTKSZ, (postern_pal::entry::fp_size() + 1024) as u64],
    ];
    if let Some(address) = vdso::map(&space) {
        auxiliary.push([at::SYSINFO_EHDR, address as u64]);
    }
    let contents = Contents {
        argv: &plan.argv,
        envp: &plan.envp,
        path: &plan.asked,
        random: [random(), random()],
        auxiliary,
    };
    let placed = stack::build(bottom + size, &contents)?;
    finish(thread, plan, &placed);

    *frame = Frame::zeroed();
    frame.rip = start as u64;
    frame.rsp = placed.sp as u64;
    frame.flags = flag::FULL;
    let _ = host_thread::set_fs_base(0);
    let _ = host_thread::set_gs_base(0);
    Ok(())
}

/// `AT_HWCAP2` on x86: the instructions for FS and GS bases may be used (`HWCAP2_FSGSBASE`). Without them there would be
/// no library OS.
const HARDWARE_CAPABILITIES_2: u64 = 2;

/// `AT_HWCAP` on x86: the feature bits of CPUID leaf 1, edx.
fn hardware_capabilities() -> u64 {
    u64::from(core::arch::x86_64::__cpuid(1).edx)
}

/// What exec changes beside the memory.
fn finish(thread: &Arc<Thread>, plan: &Plan, placed: &stack::Placed) {
    let process = &thread.process;
    process.signals.exec();
    process.settings.exec();
    {
        let mut identity = process.identity.lock();
        let (uid, euid) = (identity.uid, identity.euid);
        identity.capabilities.execute(uid, euid);
    }
    crate::sys::timer::exec(process);
    thread.signals.exec();
    thread.clear_child_tid.store(0, Ordering::Relaxed);
    for word in &thread.robust_list {
        word.store(0, Ordering::Relaxed);
    }
    thread.fs_base.store(0, Ordering::Relaxed);
    process.has_execed.store(1, Ordering::Relaxed);
    let closed = process.files.remove_if(|_, close_on_exec| close_on_exec);
    for file in &closed {
        file.closed_by(process.pid);
    }
    drop(closed);
    let base = plan.asked.rsplit(|b| *b == b'/').next().unwrap_or(&[]);
    let mut name = [0u8; 16];
    for (slot, byte) in name.iter_mut().take(15).zip(base) {
        *slot = *byte;
    }
    *thread.name.lock() = name;
    let join = |strings: &[Vec<u8>]| strings.iter().flat_map(|s| s.iter().copied().chain([0])).collect();
    let program = super::process::Program {
        path: plan.path.clone(),
        arguments: join(&plan.argv),
        environment: join(&plan.envp),
        auxiliary: placed.auxiliary.clone(),
    };
    *process.program.lock() = program;
    process.changed.wake();
}

/// Starts the initial process with the program that the start-up block names. If that fails, the monitor is told
/// the status that a shell would give: 127 for not found, 126 for not executable.
pub fn start_initial(thread: &Arc<Thread>, boot: &Boot, block: &'static [u8]) {
    exit::set_initial(thread.process.pid);
    crate::sys::timer::limit_cpu(&thread.process);
    let strings = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let mut all: Vec<Vec<u8>> = bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
        all.pop();
        all
    };
    let path = boot.program.of(block);
    let planned = plan(thread, path, strings(boot.argv.of(block)), strings(boot.envp.of(block)));
    match planned {
        Ok(plan) => {
            *thread.pending_program.lock() = Some(Box::new(plan));
            kernel::start_clean(thread.clone());
        }
        Err(errno) => {
            let status: u64 = if errno == Errno::ENOENT { 127 } else { 126 };
            let text = alloc::format!("{}: {}", alloc::string::String::from_utf8_lossy(path), errno.text());
            gate::tell(notice::EXIT, [status << 8, 0, 0, 0], text.as_bytes());
            gate::tell(notice::EMPTY, [0; 4], b"");
        }
    }
}
