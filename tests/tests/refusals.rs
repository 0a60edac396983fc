//! What an app cannot do.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::{Outcome, Rig};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

fn shell(rig: &Rig, options: &[&str], text: &str) -> Outcome {
    rig.sandboxed_with(options, &["/bin/bash", "-c", text], None).unwrap()
}

const CONNECT: &str = "import socket, sys\ntry:\n  s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20); print(s.recv(100).decode())\n\
    except OSError as e: print(type(e).__name__, e.errno, e.strerror)";

#[test]
fn without_the_permission_there_is_no_network() {
    let rig = Rig::new().unwrap();
    let out = rig.sandboxed(&["/usr/bin/python3", "-c", CONNECT, "192.0.2.1", "80"]).unwrap();
    assert_eq!(out.stdout, "OSError 101 Network is unreachable\n", "{out:?}");
    // The host's loopback is not the app's: nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let out = rig.sandboxed(&["/usr/bin/python3", "-c", CONNECT, "127.0.0.1", &port]).unwrap();
    assert_eq!(out.stdout, "ConnectionRefusedError 111 Connection refused\n", "{out:?}");
    let text = "import socket\ntry: print(socket.getaddrinfo('example.com', 80))\nexcept OSError as e: print(type(e).__name__)";
    let out = rig.sandboxed(&["/usr/bin/python3", "-c", text]).unwrap();
    assert_eq!(out.stdout, "gaierror\n", "{out:?}");
}

#[test]
fn with_the_permission_there_is() {
    let rig = Rig::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = { stream }.write_all(b"hello from the host");
        }
    });
    let net = format!("--net=127.0.0.1:{port}");
    let out =
        rig.sandboxed_with(&[&net], &["/usr/bin/python3", "-c", CONNECT, "127.0.0.1", &port], None).unwrap();
    assert_eq!(out.stdout, "hello from the host\n", "{out:?}");
    // Only there.
    let out =
        rig.sandboxed_with(&[&net], &["/usr/bin/python3", "-c", CONNECT, "127.0.0.1", "9"], None).unwrap();
    assert!(out.stdout.contains("Error") && !out.stdout.contains("hello"), "{out:?}");
}

#[test]
fn the_hosts_home_and_secrets_are_invisible() {
    let rig = Rig::new().unwrap();
    fs::write(rig.home().join("secret"), "secret").unwrap();
    rig.own(&rig.home().join("secret")).unwrap();
    let out = shell(
        &rig,
        &[],
        "cat \"$HOME/secret\" /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key 2>/dev/null; ls -A /root /run/user /home 2>/dev/null | grep -v \"^$\\|:$\"; echo end",
    );
    let lines: Vec<&str> = out.stdout.lines().collect();
    assert_eq!(lines.last(), Some(&"end"), "{out:?}");
    assert!(!out.stdout.contains("secret") && !out.stdout.contains("root:"), "{out:?}");
    // Nor for one that the app takes for root.
    for secret in ["/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/root/.profile"] {
        let out = rig.sandboxed_with(&["--uid", "0"], &["/bin/cat", secret], None).unwrap();
        assert_eq!((out.status, out.stdout.as_str()), (1, ""), "{secret}: {out:?}");
    }
    // Another file of the host that is in no system directory.
    let outside = rig.file("ungranted", b"ungranted").unwrap();
    let out = rig.sandboxed_with(&["--id", "x"], &["/bin/ls", "-A", "/tmp"], None).unwrap();
    assert!(!out.stdout.contains("ungranted"), "{out:?} {outside}");
    // Names that try to leave a granted folder.
    let granted = rig.dir.join("bin/sub");
    fs::create_dir(&granted).unwrap();
    std::os::unix::fs::symlink("../../home/secret", granted.join("link")).unwrap();
    rig.own(&granted).unwrap();
    let text = format!(
        "cat {0}/link {0}/../../home/secret {1}/secret; echo end",
        granted.display(),
        rig.home().display()
    );
    let out = shell(&rig, &[], &text);
    assert_eq!(out.stdout, "end\n", "{out:?}");
}

#[test]
fn the_hosts_processes_are_invisible() {
    let rig = Rig::new().unwrap();
    let mut sleeper = rig.command("sleep").arg("300").spawn().unwrap();
    let pid = sleeper.id();
    let text = format!(
        "ls /proc | grep -c '^[0-9]'; kill -9 {pid} 2>&1 | sed 's/.*: //'; cat /proc/{pid}/cmdline 2>/dev/null; echo $(( $$ < 1000 ))"
    );
    let out = shell(&rig, &[], &text);
    assert!(sleeper.try_wait().unwrap().is_none(), "a process of the host was killed");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let lines: Vec<&str> = out.stdout.lines().collect();
    let count: u32 = lines[0].parse().unwrap();
    assert!(count < 10, "{out:?}");
    assert!(out.stdout.contains("No such process"), "{out:?}");
    assert!(!out.stdout.contains("sleep"), "{out:?}");
}

#[test]
fn the_hosts_sockets_are_invisible() {
    let rig = Rig::new().unwrap();
    let name = format!("postern-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract_one = UnixListener::bind_addr(&address).unwrap();
    let path = rig.dir.join("run/socket");
    let _named = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let text = "import socket, sys\nfor a in ('\\0' + sys.argv[1], sys.argv[2], '/run/dbus/system_bus_socket', '/tmp/.X11-unix/X0'):\n  \
        s = socket.socket(socket.AF_UNIX)\n  try: s.connect(a); print('connected', a)\n  except OSError as e: print(e.errno)";
    let path = path.to_string_lossy();
    let out = rig.sandboxed(&["/usr/bin/python3", "-c", text, &name, &path]).unwrap();
    assert!(!out.stdout.contains("connected"), "{out:?}");
    assert_eq!(out.stdout.lines().next(), Some("111"), "{out:?}");
}

#[test]
fn usr_is_read_only() {
    let rig = Rig::new().unwrap();
    let changes = "touch /usr/postern-x; echo x > /usr/bin/env; mkdir /etc/postern-x; rm /usr/bin/env; chmod 777 /usr/bin/env; ln -s a /usr/lib/postern-x; mv /usr/bin/env /usr/bin/x; true";
    // The user may not change it anyway, and hears so.
    let out = rig.same(&["/bin/sh", "-c", changes]);
    assert_eq!(out.stderr.lines().count(), 7, "{out:?}");
    // One that the app takes for root may not either.
    let out = shell(&rig, &["--uid", "0"], changes);
    let lines: Vec<&str> = out.stderr.lines().collect();
    assert_eq!(lines.len(), 7, "{out:?}");
    for line in lines {
        assert!(line.contains("Read-only file system"), "{line}");
    }
}

#[test]
fn a_read_only_grant_is_read_only_and_a_writable_one_is_not() {
    let rig = Rig::new().unwrap();
    for name in ["ro", "rw"] {
        fs::create_dir(rig.dir.join(name)).unwrap();
        fs::write(rig.dir.join(name).join("file"), name).unwrap();
        rig.own(&rig.dir.join(name)).unwrap();
        rig.own(&rig.dir.join(name).join("file")).unwrap();
    }
    let (ro, rw) = (rig.dir.join("ro"), rig.dir.join("rw"));
    let read_only = format!("{}:ro", ro.display());
    let options = ["--grant", &read_only, "--grant", &rw.to_string_lossy()];
    let text = format!(
        "cd {0}; cat file; echo x > file; echo x > new; cd {1}; cat file; echo changed > file; echo new > new; rm file; mv new moved; ls",
        ro.display(),
        rw.display()
    );
    let out = shell(&rig, &options, &text);
    assert_eq!(out.stdout, "rorwmoved\n", "{out:?}");
    assert_eq!(out.stderr.matches("Read-only file system").count(), 2, "{out:?}");
    assert_eq!(fs::read_to_string(ro.join("file")).unwrap(), "ro");
    assert_eq!(fs::read_to_string(rw.join("moved")).unwrap(), "new\n");
    assert_eq!(fs::metadata(rw.join("moved")).unwrap().uid(), rig.ids().0.as_raw());
}

/// What there is to change: owner, mode, size, time and content of files around the app.
fn state_of(paths: &[&Path]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for path in paths {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let Ok(meta) = entry.path().symlink_metadata() else { continue };
            // Postern's own: its data, reports and sockets.
            if matches!(entry.file_name().to_str(), Some(".local" | ".config" | ".cache" | "postern")) {
                continue;
            }
            let line = format!(
                "{} {:o} {} {} {}.{}",
                meta.uid(),
                meta.mode(),
                meta.len(),
                meta.nlink(),
                meta.mtime(),
                meta.ctime()
            );
            state.insert(entry.path().display().to_string(), line);
        }
    }
    state
}

fn system_state() -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for name in [
        "/proc/sys/kernel/hostname",
        "/proc/sys/kernel/domainname",
        "/proc/mounts",
        "/proc/swaps",
        "/proc/modules",
        "/proc/sys/kernel/core_pattern",
        "/etc/hostname",
        "/etc/passwd",
    ] {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(name) {
            let _ = file.read_to_string(&mut text);
        }
        state.insert(name.to_owned(), text);
    }
    state
}

#[test]
fn a_hostile_program_changes_nothing_and_reads_nothing() {
    let rig = Rig::new().unwrap();
    // Its own code goes through the library OS, its jumps to the gate past it.
    let program = rig.compile("hostile", &["-static"]).unwrap();
    let secret = rig.home().join("victim");
    fs::write(&secret, "the secret").unwrap();
    rig.own(&secret).unwrap();
    let mut bystander = rig.command("sleep").arg("300").spawn().unwrap();
    let watched = [rig.home(), rig.dir.join("bin"), rig.dir.join("run")];
    let watched: Vec<&Path> = watched.iter().map(AsRef::as_ref).collect();
    // What Postern itself makes there (state, data and sockets) is made before.
    rig.sandboxed(&["/bin/true"]).unwrap();
    let usr: Vec<&Path> = ["/usr", "/usr/bin", "/etc", "/home"].iter().map(Path::new).collect();
    let state = || {
        let mut all = state_of(&watched);
        all.extend(state_of(&usr));
        all.extend(system_state());
        all
    };
    let before = state();
    for mode in ["own", "gate", "gate-arguments"] {
        let victim = bystander.id().to_string();
        let out = rig.sandboxed(&[&program, mode, &secret.to_string_lossy(), &victim]).unwrap();
        let after = state();
        let changed: Vec<_> = after.iter().filter(|(name, value)| before.get(*name) != Some(value)).collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{mode}: the host changed: {changed:?}");
        assert!(bystander.try_wait().unwrap().is_none(), "{mode}: a process of the host was ended");
        assert!(!out.stdout.contains("the secret"), "{out:?}");
        assert_eq!(out.status, 0, "{mode}: {out:?}");
        assert!(out.stdout.ends_with(&format!("{mode} done\n")), "{out:?}");
    }
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert_eq!(fs::read_to_string(&secret).unwrap(), "the secret");
}
