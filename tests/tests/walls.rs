//! What must not work: the network without permission, the host's files, processes and sockets, and hostile programs.

use postern_tests::Rig;

fn rig() -> Rig {
    Rig::new().unwrap()
}

#[test]
fn the_network_is_not_there() {
    let rig = rig();
    let text = "import socket, errno\ntry: socket.create_connection(('192.0.2.1', 80), 5)\n\
                except OSError as e: print(errno.errorcode[e.errno])";
    let outcome = rig.sandboxed(&["/usr/bin/python3", "-c", text]).unwrap();
    assert_eq!(outcome.stdout, "ENETUNREACH\n", "{outcome:?}");
}

#[test]
fn the_network_is_there_by_permission() {
    let rig = rig();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"hello from the host").unwrap();
    });
    let text = format!(
        "import socket; print(socket.create_connection(('127.0.0.1', {port}), 10).recv(100).decode())"
    );
    let argv = ["/usr/bin/python3", "-c", &text];
    let refused = rig.sandboxed(&argv).unwrap();
    assert_ne!(refused.status, 0, "{refused:?}");
    let other = rig.sandboxed_with(&["--net=127.0.0.1:1"], &argv, None).unwrap();
    assert_ne!(other.status, 0, "{other:?}");
    let allowed = rig.sandboxed_with(&[&format!("--net=127.0.0.1:{port}")], &argv, None).unwrap();
    assert_eq!(allowed.stdout, "hello from the host\n", "{allowed:?}");
    server.join().unwrap();
}

#[test]
fn system_files_are_read_only_and_secrets_hidden() {
    let rig = rig();
    let outcome = rig.sandboxed(&["/bin/sh", "-c", "touch /usr/x; echo $?"]).unwrap();
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
    for secret in ["/etc/shadow", "/etc/gshadow", "/root/.profile", "/etc/sudoers"] {
        let outcome = rig.sandboxed_with(&["--uid", "0"], &["/bin/cat", secret], None).unwrap();
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""), "{secret}: {outcome:?}");
    }
}

#[test]
fn host_processes_and_sockets_are_invisible() {
    let rig = rig();
    let host = std::process::id();
    let outcome = rig
        .sandboxed(&["/bin/sh", "-c", "ls /proc | grep -c '^[0-9]'; ls /run /home; cat /proc/mounts"])
        .unwrap();
    let count: u32 = outcome.stdout.lines().next().unwrap().parse().unwrap();
    assert!(count <= 4, "only its own processes: {outcome:?}");
    let outcome = rig.sandboxed(&["/bin/sh", "-c", &format!("kill -0 {host}")]).unwrap();
    assert!(outcome.stderr.contains("No such process"), "{outcome:?}");
    // An abstract socket of the host.
    let name = format!("postern-test-{host}");
    let text = format!(
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0{name}'); s.listen(); import time; time.sleep(60)"
    );
    let mut server = rig.command("/usr/bin/python3").args(["-c", &text]).spawn().unwrap();
    let text = format!("import socket; s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}')");
    let reached = || rig.native(&["/usr/bin/python3", "-c", &text]).unwrap().status == 0;
    let start = std::time::Instant::now();
    while !reached() && start.elapsed().as_secs() < 30 {}
    assert!(reached(), "the host itself reaches it");
    let outcome = rig.sandboxed(&["/usr/bin/python3", "-c", &text]).unwrap();
    assert!(outcome.stderr.contains("ConnectionRefusedError"), "{outcome:?}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_hostile_program_changes_nothing() {
    let rig = rig();
    let program = rig.compile("hostile", &[]).unwrap();
    for argv in [vec![program.as_str()], vec![program.as_str(), "gate"]] {
        let outcome = rig.sandboxed_with(&["--uid", "0"], &argv, None).unwrap();
        assert!(outcome.stdout.contains("done"), "it ran to its end: {outcome:?}");
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert!(!std::path::Path::new("/tmp/postern-hostile").exists());
    }
}

#[test]
fn the_wall_is_small() {
    let rig = rig();
    let outcome = rig.postern(&["abi", "--json"]).unwrap();
    let abi: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let count = |key: &str| abi.get(key).and_then(|v| v.as_array()).map_or(usize::MAX, Vec::len);
    assert!(count("downcalls") <= 32 && count("upcalls") <= 3 && count("host_syscalls") <= 20, "{abi}");
}

#[test]
fn the_kernel_half_is_shared_at_the_same_addresses() {
    let rig = rig();
    let mut command = rig.command(&rig.postern);
    command.args(["run", "--no-display", "--", "/bin/sh", "-c", "sleep 100 & sleep 100; true"]);
    let mut child = command.spawn().unwrap();
    // Every process of the family: descendants of the launcher with the kernel half mapped.
    let family = || -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(maps) = std::fs::read_to_string(entry.path().join("maps")) else { continue };
            let kernel: Vec<String> = maps
                .lines()
                .filter(|l| l.starts_with("2a0") && l.split('-').next().is_some_and(|a| a.len() == 12))
                .map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
                .collect();
            let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if !kernel.is_empty() && status.contains(&format!("Uid:\t{}", rig.user.uid)) {
                found.push(kernel);
            }
        }
        found
    };
    let start = std::time::Instant::now();
    let mut all = family();
    while all.len() < 4 && start.elapsed().as_secs() < 30 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        all = family();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all.len() >= 4, "keeper, shell and two children: {}", all.len());
    for maps in &all {
        assert_eq!(maps, &all[0]);
        assert!(maps.iter().all(|l| l.ends_with('s')), "all shared: {maps:?}");
    }
}
