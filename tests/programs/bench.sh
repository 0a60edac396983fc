# One workload of `make bench`: prints how many nanoseconds it took, or how many operations a second it did. What it
# prepares stays in the home for the next time.
set -eu
work=$HOME/bench-$1
took() {
    start=$(date +%s%N)
    # Some directories are for root alone.
    "$@" >/dev/null 2>&1 || [ "$1" = find ]
    echo $(($(date +%s%N) - start))
}
prepare() {
    [ -e "$work/ready" ] && return
    rm -rf "$work"
    mkdir -p "$work"
    cd "$work"
    "$@"
    touch "$work/ready"
}
python_often() { for _ in 1 2 3 4 5 6 7 8 9 10; do python3 -c pass; done; }
big_source() {
    python3 - >big.c <<'X'
print("#include <stdio.h>")
for i in range(1000):
    print(f"""int f{i}(int a, int b) {{
    int s = 0;
    for (int k = 0; k < a; k++) {{
        s += (k * {i + 3}) ^ b;
        if (s % {i % 7 + 2} == 1)
            s -= b << {i % 5};
    }}
    return s;
}}
""")
print("int main(void) { int s = 0;")
print("".join(f"s += f{i}({i}, s);" for i in range(1000)))
print('printf("%d\\n", s); }')
X
}
project() {
    python3 - <<'X'
for n in range(60):
    with open(f"m{n}.c", "w") as f:
        f.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <errno.h>\n")
        for i in range(40):
            f.write(f"int g{n}_{i}(int a) {{ int s = 0; for (int k = 0; k < a; k++) s += k * {i}; return s; }}\n")
with open("Makefile", "w") as f:
    f.write("OBJ=$(patsubst %.c,%.o,$(wildcard *.c))\nlib.a: $(OBJ)\n\tar rcs $@ $^\nclean:\n\trm -f *.o lib.a\n")
X
}
repository() {
    for d in $(seq 200); do
        mkdir "d$d"
        for f in $(seq 100); do echo "$d $f" >"d$d/f$f"; done
    done
    git init -q .
    git add -A
    git -c user.name=a -c user.email=a@example.org commit -qm all
}
postgres=/usr/lib/postgresql/15/bin
database() {
    "$postgres/initdb" -D data -A trust >/dev/null
    start_database
    "$postgres/pgbench" -h "$work" -p "$port" -i -s 5 -q postgres >/dev/null 2>&1
    stop_database
}
start_database() {
    "$postgres/pg_ctl" -D "$work/data" -o "-k $work -p $port -c listen_addresses=" -l "$work/log" -w start >/dev/null
}
stop_database() { "$postgres/pg_ctl" -D "$work/data" -w -m fast stop >/dev/null; }
transactions() {
    prepare database
    start_database
    "$postgres/pgbench" -h "$work" -p "$port" -c 4 -j 2 -T 4 -n "$@" postgres 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p'
    stop_database
}
redis() {
    prepare true
    redis-server --port "$port" --save "" --dir "$work" >/dev/null 2>&1 &
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
    redis-benchmark -p "$port" -q -n 100000 -c 20 -t "$1" | tr '\r' '\n' | sed -n 's/.*: \([0-9]*\)\.[0-9]* requests per second.*/\1/p'
    redis-cli -p "$port" shutdown nosave >/dev/null 2>&1 || true
    wait
}
web() {
    mkdir -p www
    head -c 4000 /dev/zero | tr '\0' x >www/page
    cat >conf <<X
worker_processes 1; daemon off; pid $work/pid; error_log $work/errors;
events { worker_connections 256; }
http { access_log off; client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c;
uwsgi_temp_path $work/d; scgi_temp_path $work/e; sendfile on;
server { listen 127.0.0.1:$port; root $work/www; } }
X
}
port=$((20000 + $$ % 10000))
case $1 in
python) echo $(($(took python_often) / 10)) ;;
gcc)
    prepare big_source
    took gcc -O2 -c -o "$work/big.o" "$work/big.c"
    ;;
make)
    prepare project
    make -C "$work" clean >/dev/null
    took make -j2 -C "$work"
    ;;
git)
    prepare repository
    cd "$work"
    git status >/dev/null
    took git status
    ;;
find)
    find /usr/share -xdev >/dev/null 2>&1 || true
    took find /usr/share -xdev
    ;;
xz)
    prepare true
    head -c 8000000 /usr/bin/python3.11 >"$work/data"
    cat /usr/bin/perl /usr/bin/git >>"$work/data" 2>/dev/null || true
    truncate -s 8000000 "$work/data"
    took xz -T1 -3 -k -c "$work/data"
    ;;
ffmpeg) took ffmpeg -nostdin -v error -f lavfi -i testsrc=s=640x360:d=4 -c:v libx264 -preset fast -f null - ;;
pgbench-select) transactions -S ;;
pgbench-tpcb) transactions ;;
redis-set) redis set ;;
redis-get) redis get ;;
nginx)
    rm -f "$work/ready"
    prepare web
    /usr/sbin/nginx -c "$work/conf" 2>/dev/null &
    until [ -e "$work/pid" ]; do sleep 0.1; done
    wrk -t1 -c16 -d3 "http://127.0.0.1:$port/page" | sed -n 's/^Requests.sec: *\([0-9]*\).*/\1/p'
    kill %1
    wait
    ;;
nginx-port)
    # Run natively, with the words that start a program the way that is measured.
    shift
    rm -f "$work/ready"
    prepare web
    words=()
    for word in "$@"; do
        word=${word//@PORT/$port}
        words+=("${word//@WORK/$work}")
    done
    "${words[@]}" /usr/sbin/nginx -c "$work/conf" 2>/dev/null &
    for _ in $(seq 100); do
        curl -s -o /dev/null "http://127.0.0.1:$port/page" && break
        sleep 0.1
    done
    wrk -t1 -c16 -d3 "http://127.0.0.1:$port/page" | sed -n 's/^Requests.sec: *\([0-9]*\).*/\1/p'
    kill %1
    wait
    ;;
esac
