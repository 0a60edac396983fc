# PostgreSQL: makes a cluster, uses it from several clients, crashes it, and reads everything back.
set -u
PATH=/usr/lib/postgresql/15/bin:$PATH
export PGPORT=$1 PGDATA=$HOME/pg PGHOST=$HOME PGDATABASE=postgres PGUSER=me
rm -rf "$PGDATA" "$HOME/pg.log"
initdb -A trust -U me --locale=C.UTF-8 >"$HOME/initdb.log" 2>&1 || cat "$HOME/initdb.log"
grep -c ok "$HOME/initdb.log"
launch() {
    postgres -k "$HOME" -c listen_addresses=127.0.0.1 -c "port=$PGPORT" -c recovery_init_sync_method=syncfs \
        >>"$HOME/pg.log" 2>&1 &
    master=$!
}
start() {
    launch
    # It does not start while processes of one that was killed are still there.
    for _ in $(seq 100); do pg_isready -q && break; kill -0 $master 2>/dev/null || launch; sleep 0.1; done
    pg_isready | sed 's/.* - //'
}
q() { psql -X -At -c "$1" 2>&1; }
start
q "select 1+1"
psql -X -At -h 127.0.0.1 -c "select 'by tcp'"
q "create table t(id serial primary key, name text, n numeric, at timestamptz default now())"
q "create index on t(name); create index on t using gin (to_tsvector('english', name))"
q "insert into t(name, n) select md5(i::text), i*1.5 from generate_series(1,20000) i"
q "select count(*), sum(n), max(name) from t"
q "explain (costs off) select * from t where name = 'x'"
q "set parallel_setup_cost=0; set parallel_tuple_cost=0; set min_parallel_table_scan_size=0; select count(*), sum(length(name)) from t"
echo == pgbench
pgbench -i -s 1 -q 2>/dev/null; echo $?
pgbench -c 4 -j 2 -t 100 2>&1 | grep processed
pgbench -n -S -c 4 -j 2 -t 100 2>&1 | grep processed
q "select count(*) from pgbench_history; "
q "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
echo == locks and notifications
q "select pg_advisory_lock(7); select pg_sleep(1)" >/dev/null & holder=$!
sleep 0.4
q "select pg_try_advisory_lock(7)"; wait $holder
q "select pg_try_advisory_lock(7)"
{ echo "listen c;"; sleep 0.5; echo "select 1;"; } | psql -X -At | sed 's/PID.*/PID/' & listener=$!; sleep 0.2
q "notify c, 'hello'"; wait $listener
echo == backup
createdb other; pg_dump | psql -X -q -d other >/dev/null 2>&1
psql -X -At -d other -c "select count(*), sum(n), max(name) from t"
psql -X -At -d other -c 'vacuum full analyze t' 2>&1
vacuumdb -q -a -j 2; echo vacuum $?
echo == backend killed
q "create table survives(x int)" ; q "insert into survives select generate_series(1,1000)"
(psql -X -At -c "select pg_sleep(30)" 2>&1 | head -1) & client=$!; sleep 0.4
kill -9 $(q "select pid from pg_stat_activity where query like 'select pg_sleep(30)%' and pid <> pg_backend_pid()")
wait $client
for _ in $(seq 100); do q "select 1" | grep -qx 1 && break; sleep 0.1; done
q "select count(*) from survives"
echo == postmaster killed
pgbench -n -c 2 -t 100000 >/dev/null 2>&1 & sleep 0.5
kill -9 $master; wait 2>/dev/null
start
q "select count(*) from survives"
q "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
grep -c 'redo done' "$HOME/pg.log"
pg_ctl -w -m fast stop >/dev/null; echo stop $?; wait
pg_controldata | grep 'cluster state'
grep PANIC "$HOME/pg.log"
