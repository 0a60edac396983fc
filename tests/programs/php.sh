# php: forks, databases, streams, its web server.
set -u
source=$(dirname "$0")
cd "$HOME"
cp "$source/main.php" t.php
php t.php; echo $?
cp "$source/web.php" web.php
php -S 127.0.0.1:$1 web.php >/dev/null 2>&1 & web=$!
for _ in $(seq 30); do curl -s "http://127.0.0.1:$1/?x=1" 2>/dev/null && break; sleep 0.1; done; kill $web; wait
