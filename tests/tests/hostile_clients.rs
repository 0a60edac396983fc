//! Clients of the display that do what they must not, as real programs in an app of their own. The app may lose its
//! display; nothing else notices.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::processes::{alive, status_field};
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running, Session};
use std::collections::BTreeMap;
use std::fs;

/// From this case on they are not malformed, but too much.
const FIRST_OF_TOO_MUCH: &str = "surfaces";
/// What may be in the way of nobody: natively compositors let these pass too, or the server does not need what is wrong.
const HARMLESS: [&str; 0] = [];
/// Most memory that monitor and bridge of the hostile app ever had, in KiB.
const MOST: u64 = 96 << 10;

const TICKS: &str = "n=0; while sleep 0.2; do n=$((n+1)); echo $n > \"$HOME/ticks\"; done";

fn kib(pid: u32, field: &str) -> u64 {
    let text = status_field(pid, field).unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn ticks(rig: &Rig, id: &str) -> u64 {
    let file = rig.home().join(".local/share/postern/homes").join(id).join("ticks");
    wait_for("the other app's counter", || {
        Ok(fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()))
    })
    .unwrap()
}

#[test]
fn hostile_clients_harm_nobody_else() {
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let hostile = rig.compile("wl_hostile", &[]).unwrap();
    let cases = rig.native(&[&hostile]).unwrap().stdout;
    let cases: Vec<&str> = cases.lines().collect();

    let foot = |title: &'static str| ["foot", "--title", title, "sh", "-c", TICKS];
    let other = Running::start_in(&rig, &session, &["--id", "other"], &foot("other")).unwrap();
    session.wait_window(&rig, "other").unwrap();
    // A decent client, and after it the hostile ones, in one app.
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let script = format!(
        "foot --title neighbour sh -c '{TICKS}' & for c in {}; do {hostile} $c >> $HOME/results; done; \
         echo end >> $HOME/results; exec sleep 900",
        cases.join(" ")
    );
    let app =
        Running::start_in(&rig, &session, &["--id", "hostile", "--grant", &grant], &["sh", "-c", &script])
            .unwrap();
    let neighbour = session.wait_window(&rig, "neighbour").unwrap();
    let pids = ["pid", "bridge_pid"].map(|field| app.pid_of(field).unwrap());
    let file = rig.home().join(".local/share/postern/homes/hostile/results");
    let text = wait_for("the hostile clients to finish", || {
        Ok(fs::read_to_string(&file).ok().filter(|text| text.ends_with("end\n")))
    })
    .unwrap_or_else(|error| panic!("{error}: {}", fs::read_to_string(&file).unwrap_or_default()));
    println!("{text}");
    let results: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let malformed = cases.iter().take_while(|case| **case != FIRST_OF_TOO_MUCH);
    for case in malformed.filter(|case| !HARMLESS.contains(case)) {
        assert!(results[case].starts_with("refused"), "{case}: {}", results[case]);
    }
    for (case, result) in &results {
        assert!(["refused", "alive", "over"].iter().any(|end| result.starts_with(end)), "{case}: {result}");
    }

    // Everybody else is there: the same bridge, the neighbour's window, the other app, the compositor.
    for (pid, field) in pids.into_iter().zip(["pid", "bridge_pid"]) {
        let reports = || rig.postern(&["reports", "--json"]).unwrap().stdout;
        assert!(alive(pid) && app.pid_of(field).unwrap() == pid, "{field} is another: {}", reports());
        println!("{field}: {} KiB at most", kib(pid, "VmHWM:"));
        assert!(kib(pid, "VmHWM:") < MOST, "{field} grew to {} KiB", kib(pid, "VmHWM:"));
    }
    let windows = session.windows(&rig).unwrap();
    assert!(windows.iter().any(|w| w.id == neighbour.id), "{windows:?}");
    for id in ["other", "hostile"] {
        let before = ticks(&rig, id);
        wait_for("a decent client to go on", || Ok((ticks(&rig, id) > before + 3).then_some(()))).unwrap();
    }
    let reports = rig.postern(&["reports", "--json"]).unwrap().stdout;
    assert_eq!(reports.trim(), "[]");
    assert!(alive(other.pid_of("pid").unwrap()));
}

/// Memory of everything that belongs to an app, and of its bridge alone, in KiB.
fn memory(app: &Running<'_>) -> [u64; 2] {
    let status = app.status().unwrap();
    [status["pss_bytes"].as_u64().unwrap() >> 10, kib(app.pid_of("bridge_pid").unwrap(), "VmRSS:")]
}

#[test]
fn a_compositor_that_takes_nothing_makes_no_memory_grow() {
    let rig = Rig::new().unwrap();
    let session = Session::start(&rig).unwrap();
    let program = rig.compile("wl_hostile", &[]).unwrap();
    let grant = format!("{}:ro", rig.dir.join("bin").display());
    let app = Running::start_in(
        &rig,
        &session,
        &["--id", "flood", "--grant", &grant],
        // Longer than the compositor is away.
        &[
            "sh",
            "-c",
            &format!("sleep 1; while {program} commits_unread titles >> $HOME/results; do :; done"),
        ],
    )
    .unwrap();
    let file = rig.home().join(".local/share/postern/homes/flood/results");
    session.wait_window(&rig, "hostile").unwrap();
    let compositor = nix::unistd::Pid::from_raw(i32::try_from(session.compositor()).unwrap());
    nix::sys::signal::kill(compositor, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let lines = || fs::read_to_string(&file).unwrap_or_default().lines().count();
    // Until everything that can hold something is full, and then some.
    let mut last = [0; 2];
    wait_for("the memory to stay as it is", || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = memory(&app);
        let rests = now.iter().zip(last).all(|(now, last)| now.abs_diff(last) < 256);
        last = now;
        Ok(rests.then_some(()))
    })
    .unwrap();
    println!("everything {} KiB, the bridge {} KiB", last[0], last[1]);
    assert!(last[0] < 64 << 10 && last[1] < 32 << 10, "{last:?} KiB");
    // Held up, not ended: when the compositor is back it goes on.
    let before = lines();
    nix::sys::signal::kill(compositor, nix::sys::signal::Signal::SIGCONT).unwrap();
    wait_for("the client to go on", || Ok((lines() > before).then_some(()))).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().all(|line| !line.ends_with("over")), "{text}");
}
