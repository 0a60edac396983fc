# Starts and ends all kinds of things for $1 seconds: what an app does in a day. Prints how many rounds it did.
set -u
cd "$(mktemp -d)" || exit 1
until=$(($(date +%s) + $1))
rounds=0
while [ "$(date +%s)" -lt "$until" ]; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do /bin/true; done
    seq 2000 | sort -r | head -n 3 >sorted
    (exec sh -c 'trap "exit 3" TERM; kill $$; sleep 9')
    sleep 60 &
    kill $!
    wait $! 2>/dev/null
    mkfifo pipe
    cat pipe >copy &
    echo through >pipe
    wait
    ln copy link
    mv link "moved $rounds"
    rm -- *
    python3 - <<'X' || exit 1
import mmap, multiprocessing, os, select, signal, socket, subprocess, tempfile, threading, time
threads = [threading.Thread(target=time.sleep, args=(0.001,)) for _ in range(20)]
for t in threads: t.start()
for t in threads: t.join()
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
left, right = socket.socketpair()
socket.send_fds(left, [b"x"], [client.fileno()])
_, fds, _, _ = socket.recv_fds(right, 1, 1)
os.write(fds[0], b"hello")
assert peer.recv(5) == b"hello"
os.close(fds[0])
area = mmap.mmap(-1, 4 << 20)
area.write(b"y" * (4 << 20))
if os.fork() == 0:
    os._exit(area[0] & 1)
os.wait()
with tempfile.TemporaryFile() as f:
    f.truncate(1 << 20)
    mmap.mmap(f.fileno(), 0).close()
poll = select.epoll()
poll.register(peer, select.EPOLLIN)
poll.poll(0.001)
signal.setitimer(signal.ITIMER_REAL, 10)
memory = os.memfd_create("m")
os.ftruncate(memory, 1 << 16)
lock = multiprocessing.Lock()
with lock: pass
subprocess.run(["/bin/true"], check=True)
X
    rounds=$((rounds + 1))
done
echo "rounds $rounds"
