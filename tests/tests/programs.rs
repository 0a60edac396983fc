//! Programs without windows give the same output and exit status natively and under Postern.

use postern_tests::Rig;
use postern_tests::rig::root;

fn rig() -> Rig {
    Rig::new().unwrap()
}

/// Same output and status, and the status is this.
fn same(rig: &Rig, argv: &[&str], status: i32) -> String {
    let outcome = rig.same(argv);
    assert_eq!(outcome.status, status, "{argv:?}: {outcome:?}");
    outcome.stdout
}

#[test]
fn statuses_and_signals_pass_through() {
    let rig = rig();
    same(&rig, &["/bin/sh", "-c", "exit 3"], 3);
    same(&rig, &["/bin/true"], 0);
    same(&rig, &["/bin/sh", "-c", "kill -TERM $$"], 143);
    let outcome = rig.sandboxed(&["/bin/sh", "-c", "kill -SEGV $$"]).unwrap();
    assert_eq!(outcome.status, 139, "{outcome:?}");
    let reports = rig.postern(&["reports", "--json"]).unwrap();
    assert!(reports.stdout.contains("SIGSEGV"), "a report: {reports:?}");
}

#[test]
fn standard_input_is_passed() {
    let rig = rig();
    let outcome = rig.sandboxed_with(&[], &["/usr/bin/tr", "a-z", "A-Z"], Some("from outside\n")).unwrap();
    assert_eq!(outcome.stdout, "FROM OUTSIDE\n", "{outcome:?}");
}

#[test]
fn pipelines() {
    let rig = rig();
    same(&rig, &["/bin/bash", "-c", "yes | head -100000 | sort | uniq -c"], 0);
    same(&rig, &["/bin/bash", "-c", "seq 1 20000 | awk '{s += $1} END {print s}'"], 0);
    same(&rig, &["/bin/bash", "-c", "head -c 3000000 /dev/zero | md5sum"], 0);
}

#[test]
fn a_long_bash_script() {
    let rig = rig();
    let text = std::fs::read(root().join("tests/programs/script.sh")).unwrap();
    let script = rig.file("script.sh", &text).unwrap();
    // What bash says of killed jobs names process ids: standard output only.
    let out = same(&rig, &["/bin/bash", "-c", &format!("/bin/bash {script} 2>/dev/null")], 0);
    assert!(out.matches("[ok]").count() > 55 && !out.contains("[BAD]"), "{out}");
}

#[test]
fn busybox_is_static() {
    let rig = rig();
    same(&rig, &["/bin/busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done | busybox wc -l"], 0);
    same(&rig, &["/bin/busybox", "ls", "/usr"], 0);
}

#[test]
fn python() {
    let rig = rig();
    let text = r#"
import mmap, multiprocessing, os, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time

def square(x):
    return x * x

if __name__ == "__main__":
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(i)) for i in range(20)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print(sorted(results))
    print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 4"], capture_output=True))
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(10)))
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=queue.put, args=("from a process",))
    process.start()
    print(queue.get())
    process.join()
    value = multiprocessing.Value("i", 0)
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(folder + "/db")
        db.execute("create table t (a, b)")
        db.executemany("insert into t values (?, ?)", [(i, i * i) for i in range(1000)])
        db.commit()
        print(db.execute("select sum(b), count(*) from t").fetchall())
        with open(folder + "/f", "w+b") as f:
            f.truncate(8192)
            with mmap.mmap(f.fileno(), 8192) as m:
                m[4096:4101] = b"hello"
            f.seek(4096)
            print(f.read(5))
        server = socket.socket(socket.AF_UNIX)
        server.bind(folder + "/socket")
        server.listen()
        def serve():
            c, _ = server.accept()
            c.sendall(c.recv(100).upper())
            c.close()
        t = threading.Thread(target=serve)
        t.start()
        client = socket.socket(socket.AF_UNIX)
        client.connect(folder + "/socket")
        client.sendall(b"hello over a socket")
        print(client.recv(100))
        t.join()
    caught = []
    signal.signal(signal.SIGALRM, lambda *a: caught.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    while not caught:
        sum(range(1000))
    print("alarm", caught)
    shared = mmap.mmap(-1, 4096)
    if os.fork() == 0:
        shared[:3] = b"abc"
        os._exit(0)
    os.wait()
    print(shared[:3], sys.version_info[:2], os.cpu_count() == len(os.sched_getaffinity(0)))
"#;
    let script = rig.file("all.py", text.as_bytes()).unwrap();
    same(&rig, &["/usr/bin/python3", &script], 0);
}

#[test]
fn perl() {
    let rig = rig();
    let text = "my %h = map { $_ => $_ ** 2 } 1 .. 5; print join(',', map { \"$_=$h{$_}\" } sort keys %h), \"\\n\"; \
                open(my $p, '-|', 'echo from a pipe') or die; print <$p>; system('sh', '-c', 'exit 3'); print $? >> 8, \"\\n\"; \
                exit 3";
    same(&rig, &["/usr/bin/perl", "-e", text], 7);
}

#[test]
fn git_in_the_private_home() {
    let rig = rig();
    let text = "cd ~ && rm -rf repo && git init -q repo && cd repo && git config user.name a && git config user.email b@c && \
                for i in 1 2 3 4 5; do echo $i >f$i; git add f$i; GIT_AUTHOR_DATE='2020-01-01T00:00:00 +0000' \
                GIT_COMMITTER_DATE='2020-01-01T00:00:00 +0000' git commit -qm \"commit $i\"; done && git log --oneline && \
                git gc -q && git fsck && git log -p | wc -l && git status --short && git rev-parse HEAD";
    same(&rig, &["/bin/bash", "-c", text], 0);
}

#[test]
fn gcc_compiles_and_runs() {
    let rig = rig();
    let text = "cd ~ && printf '#include <stdio.h>\\nint main(void) { puts(\"compiled\"); return 5; }\\n' >a.c && \
                gcc -O2 -o a a.c && ./a";
    same(&rig, &["/bin/bash", "-c", text], 5);
}

#[test]
fn trees() {
    let rig = rig();
    same(&rig, &["/bin/bash", "-c", "find /usr/share/doc -type f 2>/dev/null | sort | md5sum"], 0);
    same(&rig, &["/bin/bash", "-c", "find /usr/share -type f 2>/dev/null | wc -l"], 0);
    let text = "cd /usr/share/doc && tar cf - bash gzip tar 2>/dev/null | xz -1 >/tmp/t-$$.xz && xz -dc /tmp/t-$$.xz | \
                tar tvf - | awk '{print $1, $3, $6}' | sort; rm /tmp/t-$$.xz";
    same(&rig, &["/bin/bash", "-c", text], 0);
}

#[test]
fn compiled_programs() {
    let rig = rig();
    for name in ["fork500", "futex64", "spin_signal", "shared_memory", "sockets", "spawn"] {
        let program = rig.compile(name, &[]).unwrap();
        same(&rig, &[&program], 0);
    }
    let program = rig.compile("futex64", &["-static"]).unwrap();
    same(&rig, &[&program], 0);
    let program = rig.compile("fork500", &["-static", "-no-pie"]).unwrap();
    same(&rig, &[&program], 0);
}

#[test]
fn the_home_persists_and_is_private() {
    let rig = rig();
    std::fs::write(rig.home().join("host-file"), "secret").unwrap();
    let first =
        rig.sandboxed_with(&["--id", "keeper"], &["/bin/sh", "-c", "echo kept >~/kept; ls ~"], None).unwrap();
    assert_eq!((first.status, first.stdout.as_str()), (0, "kept\n"), "{first:?}");
    let second =
        rig.sandboxed_with(&["--id", "keeper"], &["/bin/sh", "-c", "cat ~/kept ~/host-file"], None).unwrap();
    assert_eq!((second.status, second.stdout.as_str()), (1, "kept\n"), "{second:?}");
    assert!(!rig.home().join("kept").exists());
}

#[test]
fn grants_are_at_their_real_path() {
    let rig = rig();
    let folder = rig.dir.join("granted");
    std::fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    let path = folder.to_string_lossy();
    let text = format!("echo written >{path}/file && cat {path}/file");
    let write = rig.sandboxed_with(&["--grant", &path], &["/bin/sh", "-c", &text], None).unwrap();
    assert_eq!((write.status, write.stdout.as_str()), (0, "written\n"), "{write:?}");
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "written\n");
    let read_only = format!("{path}:ro");
    let refused = rig.sandboxed_with(&["--grant", &read_only], &["/bin/sh", "-c", &text], None).unwrap();
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    let absent = rig.sandboxed(&["/bin/ls", &path]).unwrap();
    assert_eq!(absent.status, 2, "not granted, not there: {absent:?}");
}
