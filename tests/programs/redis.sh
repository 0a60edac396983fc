# redis: clients, pipelining, a snapshot by a forked child, the append-only file, and recovery after kill -9.
set -u
dir=$HOME/redis; rm -rf "$dir"; mkdir "$dir"; cd "$dir"
port=$1
start() {
    redis-server --port $port --dir "$dir" --save '' --appendonly yes --io-threads 2 >>log 2>&1 &
    server=$!
    for _ in $(seq 100); do [ "$(redis-cli -p $port ping 2>/dev/null)" = PONG ] && break; sleep 0.1; done
}
r() { redis-cli -p $port "$@"; }
start
r set a 1; r incr a; r lpush list x y z; r lrange list 0 -1; r hset h f v; r zadd z 1 one 2 two
r zrange z 0 -1 withscores
r eval 'local s=0 for i=1,1000 do s=s+i end return s' 0
seq 20000 | sed 's/.*/SET key:& value-&/' | r --pipe 2>&1 | grep errors
r dbsize
redis-benchmark -p $port -q -n 10000 -c 20 -P 4 -t set,get,incr,lpush 2>&1 | tr '\r' '\n' | grep -c 'requests per second'
(timeout 5 redis-cli -p $port subscribe c | head -6) >subscribed & sub=$!; sleep 0.5; r publish c hello; sleep 0.1
r publish c again; wait $sub; cat subscribed
r blpop empty 0.2
r bgsave
for _ in $(seq 100); do r info persistence | grep -q 'rdb_bgsave_in_progress:0' && break; sleep 0.1; done
r info persistence | tr -d '\r' | grep -E 'rdb_last_bgsave_status|aof_enabled'
redis-check-rdb dump.rdb | grep -E 'looks OK|keys read'
r bgrewriteaof
for _ in $(seq 100); do r info persistence | grep -q 'aof_rewrite_in_progress:0' && break; sleep 0.1; done
r set last word; sleep 1.2
kill -9 $server; wait $server 2>/dev/null; echo $?
start
r get last; r dbsize; r get key:777; r object encoding z; r config get maxclients
r shutdown nosave; wait $server; echo $?
grep -iE 'error|fail' log | grep -v overcommit | sed 's/^[0-9]*:.*\* //'
