# nginx: master and workers, static files, a reload, a big file by sendfile, and many connections.
set -u
PATH=$PATH:/usr/sbin
dir=$HOME/nginx; rm -rf "$dir"; mkdir -p "$dir/www/sub" "$dir/tmp"; cd "$dir"
port=$1
for i in 1 2 3; do echo "page $i" >www/$i.html; done; echo index >www/index.html; echo in sub >www/sub/a.txt
seq 2000000 >www/big
cat >conf <<END
pid $dir/pid;
error_log $dir/error.log notice;
worker_processes 2;
events { worker_connections 512; }
http {
    access_log $dir/access.log;
    client_body_temp_path $dir/tmp/a;
    proxy_temp_path $dir/tmp/b;
    fastcgi_temp_path $dir/tmp/c;
    uwsgi_temp_path $dir/tmp/d;
    scgi_temp_path $dir/tmp/e;
    sendfile on;
    tcp_nopush on;
    gzip on;
    gzip_types text/plain;
    server {
        listen $port;
        listen [::]:$port;
        listen unix:$dir/sock;
        root $dir/www;
        autoindex on;
        location /via/ { proxy_pass http://127.0.0.1:$port/; }
        location /moved { return 301 /1.html; }
    }
}
END
nginx -e "$dir/error.log" -c "$dir/conf" -t 2>&1 | grep -c successful
nginx -e "$dir/error.log" -c "$dir/conf" -g 'daemon off;' & master=$!
get() { curl -s -S -m 20 "$@"; }
for _ in $(seq 50); do get http://127.0.0.1:$port/ >/dev/null 2>&1 && break; sleep 0.1; done
get http://127.0.0.1:$port/1.html http://127.0.0.1:$port/2.html "http://[::1]:$port/3.html" http://127.0.0.1:$port/
get --unix-socket "$dir/sock" http://x/sub/a.txt
get http://127.0.0.1:$port/sub/ | sed 's/..-...-.... ..:..//'
get -o /dev/null -w '%{http_code} %{size_download}\n' http://127.0.0.1:$port/none
get http://127.0.0.1:$port/big | md5sum; get -r 1000-1999 http://127.0.0.1:$port/big | md5sum
get --compressed http://127.0.0.1:$port/big | md5sum
get http://127.0.0.1:$port/via/big | md5sum
get -L -w '%{http_code} %{num_redirects}\n' http://127.0.0.1:$port/moved
get -I http://127.0.0.1:$port/1.html | tr -d '\r' | grep -E '^(HTTP|Content-Length|Server|Accept)'
wrk -t 2 -c 32 -d 1 http://127.0.0.1:$port/1.html | grep -E 'Non-2xx|Socket errors'
before=$(pgrep -P $master | sort | tr '\n' ' ')
echo 'new page' >www/1.html; kill -HUP $master
for _ in $(seq 50)
do now=$(pgrep -P $master | sort | tr '\n' ' '); workers=$(echo $now | wc -w)
[ $workers = 2 ] && [ "$now" != "$before" ] && break
sleep 0.1; done
echo $workers
get http://127.0.0.1:$port/1.html
mv access.log old.log; kill -USR1 $master; for _ in $(seq 50); do [ -s access.log ] && break
get -o /dev/null http://127.0.0.1:$port/2.html; sleep 0.1; done; get http://127.0.0.1:$port/2.html
tail -1 access.log | cut -d'"' -f2,3 | cut -c1-24
kill -9 $(pgrep -P $master | head -1); for _ in $(seq 50); do [ "$(pgrep -P $master | wc -l)" = 2 ] && break
sleep 0.1; done; pgrep -P $master | wc -l; get http://127.0.0.1:$port/2.html
kill -QUIT $master; wait $master; echo $?
grep -E '\[(alert|crit|emerg)\]' error.log | grep -v 'signal 9'
