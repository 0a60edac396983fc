//! Single system calls, processes, and starts of programs.

use crate::ways::{Measured, WAYS, Way, print_row, run, time};
use postern_tests::Rig;
use std::io;

/// Rounds of which the median is taken.
const ROUNDS: usize = 5;
/// Rounds of starting a program.
const STARTS: usize = 21;

/// Prints the table.
pub fn table(rig: &Rig) -> io::Result<()> {
    let micro = rig.compile("micro", &[])?;
    let rows = [
        ("getppid", "getppid"),
        ("clock_gettime", "clock_gettime"),
        ("stat", "stat"),
        ("open_read_close", "open + read + close"),
        ("readdir_10000", "readdir of 10,000 names"),
        ("pipe_write_read", "pipe write + read"),
        ("eventfd_write_read", "eventfd write + read"),
        ("socketpair_write_read", "socketpair write + read"),
        ("futex_wake", "futex wake of nobody"),
        ("epoll_10000_idle", "eventfd write + epoll_wait among 10,000 + read"),
        ("pipe_ping_pong", "pipe ping-pong of two processes"),
        ("socketpair_ping_pong", "socketpair ping-pong of two processes"),
        ("two_threads_mutex", "2 threads, 200,000 times one mutex each"),
        ("two_threads_pipe", "2 threads, 20,000 times one pipe each"),
        ("two_threads_malloc", "2 threads, 2,000 mappings by malloc each"),
        ("thread_create_join", "thread create + join"),
        ("page_faults", "page faults of 64 MiB"),
        ("mmap_touch_munmap", "mmap + touch + munmap (16 KiB)"),
        ("fork_wait", "fork + wait"),
        ("fork_1gib", "fork + wait with 1 GiB touched"),
        ("fork_exec", "fork + exec of /bin/true + wait"),
        ("spawn_true", "posix_spawn of /bin/true"),
        ("spawn_true_1gib", "the same from a process with 1 GiB touched"),
    ];
    println!("| | native | bwrap | Postern | Postern ÷ native |\n|---|---:|---:|---:|---:|");
    for (name, label) in rows {
        // The ways take turns, so that a slow moment of the machine does not hit one of them alone.
        let mut values: Measured = Measured::new();
        let mut problem = None;
        for _ in 0..ROUNDS {
            for (index, way) in WAYS.into_iter().enumerate() {
                match run(rig, way, &[&micro, name]) {
                    Ok((_, text)) => {
                        let number = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
                        values.entry(index).or_default().extend(number.filter(|n: &f64| n.is_finite()));
                    }
                    Err(error) if way == Way::Postern => problem = Some(error.to_string()),
                    Err(_) => {}
                }
            }
        }
        print_row(label, &values, time);
        if let Some(problem) = problem {
            eprintln!("{name}: {problem}");
        }
    }
    for (argv, label) in [
        (["/bin/busybox", "true"], "start + exit of a static program (busybox true)"),
        (["/bin/echo", "x"], "start + exit of a dynamic program (echo)"),
    ] {
        let mut values: Measured = Measured::new();
        for _ in 0..STARTS {
            for (index, way) in WAYS.into_iter().enumerate() {
                if let Ok((seconds, _)) = run(rig, way, &argv) {
                    values.entry(index).or_default().push(seconds * 1e9);
                }
            }
        }
        print_row(label, &values, time);
    }
    Ok(())
}
