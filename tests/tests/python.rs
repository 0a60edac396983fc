//! Python and Perl.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::Rig;

fn python(text: &str) {
    let rig = Rig::new().unwrap();
    let out = rig.same(&["/usr/bin/python3", "-c", text]);
    assert_eq!(out.status, 0, "{out:?}");
}

#[test]
fn threads_and_queues() {
    python(
        "import threading, queue\nq = queue.Queue(); done = []\n\
         def work():\n  while (n := q.get()) is not None: done.append(n * n)\n\
         ts = [threading.Thread(target=work) for _ in range(8)]\n[t.start() for t in ts]\n\
         [q.put(i) for i in range(1000)]; [q.put(None) for _ in ts]; [t.join() for t in ts]\n\
         print(len(done), sum(done))",
    );
}

#[test]
fn subprocesses() {
    python(
        "import subprocess, sys, signal\n\
         print(subprocess.run(['tr', 'a-z', 'A-Z'], input='hello', text=True, capture_output=True).stdout)\n\
         print(subprocess.run('exit 7', shell=True).returncode)\n\
         try: subprocess.run(['sleep', '60'], timeout=0.3)\n\
         except subprocess.TimeoutExpired: print('timed out')\n\
         try: subprocess.run(['/no/such'])\n\
         except FileNotFoundError as e: print(e)\n\
         p = subprocess.Popen(['sleep', '60']); p.terminate(); print(p.wait() == -signal.SIGTERM)",
    );
}

#[test]
fn multiprocessing() {
    let rig = Rig::new().unwrap();
    let text = b"import multiprocessing as mp\ndef square(n): return n * n\n\
        def child(pipe, value, lock):\n    for _ in range(500):\n        with lock: value.value += 1\n    pipe.send('done')\n\
        if __name__ == '__main__':\n    for method in ('fork', 'spawn', 'forkserver'):\n        ctx = mp.get_context(method)\n        \
        with ctx.Pool(4) as pool: print(method, sum(pool.map(square, range(200))))\n    \
        value, lock = mp.Value('i', 0), mp.Lock()\n    pipes = [mp.Pipe() for _ in range(3)]\n    \
        ps = [mp.Process(target=child, args=(b, value, lock)) for a, b in pipes]\n    [p.start() for p in ps]\n    \
        print([a.recv() for a, b in pipes]); [p.join() for p in ps]; print(value.value, [p.exitcode for p in ps])\n    \
        from multiprocessing import shared_memory\n    s = shared_memory.SharedMemory(create=True, size=100)\n    \
        s.buf[:3] = b'abc'; t = shared_memory.SharedMemory(name=s.name); print(bytes(t.buf[:3])); t.close(); s.close(); s.unlink()\n";
    let script = rig.file("mp.py", text).unwrap();
    let out = rig.same(&["/usr/bin/python3", &script]);
    assert_eq!(out.status, 0, "{out:?}");
}

#[test]
fn sqlite() {
    python(
        "import sqlite3, os, tempfile\nf = os.path.join(tempfile.mkdtemp(), 'a.db')\nc = sqlite3.connect(f)\n\
         for mode in ('delete', 'wal', 'truncate'):\n  print(c.execute('pragma journal_mode=' + mode).fetchone())\n  \
         c.execute('create table if not exists t (n integer primary key, s text)')\n  \
         c.executemany('insert into t (s) values (?)', [(str(i),) for i in range(2000)]); c.commit()\n  \
         print(c.execute('select count(*), sum(n), max(s) from t').fetchone())\n\
         d = sqlite3.connect(f); print(d.execute('pragma integrity_check').fetchone())",
    );
}

#[test]
fn mapped_files() {
    python(
        "import mmap, tempfile, os\nf = tempfile.NamedTemporaryFile(dir=os.environ['HOME']); f.write(b'x' * 10000); f.flush()\n\
         m = mmap.mmap(f.fileno(), 0); m[5000:5005] = b'hello'; m.flush()\n\
         f.seek(4999); print(f.read(7)); print(m.find(b'hello'), len(m)); m.close()\n\
         a = mmap.mmap(-1, 4096); p = os.fork()\n\
         if p == 0: a[:5] = b'child'; os._exit(0)\n\
         os.waitpid(p, 0); print(a[:5])\n\
         f = open('/etc/passwd'); r = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); print(r[:4])",
    );
}

#[test]
fn a_unix_socket_server() {
    python(
        "import socketserver, threading, socket, os, tempfile\npath = os.path.join(tempfile.mkdtemp(), 's')\n\
         class H(socketserver.StreamRequestHandler):\n  def handle(self):\n    for line in self.rfile: self.wfile.write(line.upper())\n\
         s = socketserver.ThreadingUnixStreamServer(path, H); s.daemon_threads = True\n\
         threading.Thread(target=s.serve_forever, daemon=True).start()\n\
         def ask(t):\n  c = socket.socket(socket.AF_UNIX); c.connect(path); c.sendall(t.encode() + b'\\n'); c.shutdown(socket.SHUT_WR)\n  return c.makefile().read()\n\
         print([ask('client %d' % i).strip() for i in range(20)]); s.shutdown(); os.unlink(path)\n\
         import asyncio\nasync def main():\n  async def serve(r, w): w.write((await r.readline())[::-1]); await w.drain(); w.close()\n  \
         srv = await asyncio.start_unix_server(serve, path)\n  r, w = await asyncio.open_unix_connection(path)\n  \
         w.write(b'abc\\n'); print(await r.read()); srv.close()\nasyncio.run(main())",
    );
}

#[test]
fn loopback_sockets_and_select() {
    python(
        "import socket, threading, selectors\ns = socket.create_server(('127.0.0.1', 0)); port = s.getsockname()[1]\n\
         def serve():\n  c, _ = s.accept()\n  with c: c.sendall(c.recv(100)[::-1])\n\
         threading.Thread(target=serve).start()\nc = socket.create_connection(('127.0.0.1', port)); c.sendall(b'abc')\n\
         sel = selectors.DefaultSelector(); sel.register(c, selectors.EVENT_READ); print(len(sel.select(30))); print(c.recv(10))",
    );
}

#[test]
fn signals_and_timers() {
    python(
        "import signal, time, os\nhits = []\nsignal.signal(signal.SIGALRM, lambda *a: hits.append(1))\n\
         signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)\nwhile len(hits) < 5: pass\nsignal.setitimer(signal.ITIMER_REAL, 0)\nprint('five')\n\
         signal.signal(signal.SIGUSR1, lambda *a: hits.append('u')); os.kill(os.getpid(), signal.SIGUSR1); print(hits[-1])\n\
         print(signal.sigtimedwait([signal.SIGUSR2], 0.05)); signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n\
         os.kill(os.getpid(), signal.SIGUSR2); print(signal.sigwait([signal.SIGUSR2]))",
    );
}

#[test]
fn files_and_directories() {
    python(
        "import os, tempfile, shutil, stat, fcntl\nd = tempfile.mkdtemp(dir=os.environ['HOME']); os.chdir(d)\n\
         for i in range(300): open(f'f{i:03}', 'w').write(str(i))\n\
         print(len(os.listdir('.')), sorted(os.listdir('.'))[:3]); os.rename('f000', 'moved'); os.link('moved', 'hard'); os.symlink('moved', 'soft')\n\
         s = os.stat('hard'); print(s.st_nlink, stat.filemode(s.st_mode), s.st_size, os.readlink('soft'))\n\
         os.truncate('moved', 100); print(os.path.getsize('hard')); os.chmod('moved', 0o640); print(oct(os.stat('soft').st_mode))\n\
         os.utime('moved', (1000, 2000)); print(os.stat('moved').st_mtime)\n\
         f = open('moved'); fcntl.flock(f, fcntl.LOCK_EX); print('locked'); os.makedirs('a/b/c')\n\
         try: os.rmdir('a')\n\
         except OSError as e: print(e.errno, e.strerror)\n\
         try: open('none')\n\
         except OSError as e: print(e.errno, e.strerror)\n\
         os.chdir('/'); shutil.rmtree(d); print(os.path.exists(d))",
    );
}

#[test]
fn perl() {
    let rig = Rig::new().unwrap();
    let text = "my %h; $h{$_ % 7} += $_ for 1..1000; print join(',', map {\"$_=$h{$_}\"} sort keys %h), \"\\n\"; \
        open(my $p, '-|', 'echo from a child') or die; print <$p>; close $p; my $pid = fork; if (!$pid) { exit 5 } \
        waitpid $pid, 0; print $? >> 8, \"\\n\"; local $SIG{ALRM} = sub { die \"alarm\\n\" }; \
        eval { alarm 1; select(undef, undef, undef, 20); }; print $@; print \"$ENV{HOME}\\n\"; printf \"%s\\n\", join '|', sort glob('/etc/host*'); exit 6";
    assert_eq!(rig.same(&["/usr/bin/perl", "-e", text]).status, 6);
    rig.same(&[
        "/usr/bin/perl",
        "-MDigest::SHA=sha256_hex",
        "-MPOSIX",
        "-e",
        "print sha256_hex('x' x 1e6), POSIX::getuid() == $<, \"\\n\"",
    ]);
}
