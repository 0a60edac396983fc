# OpenJDK with its usual options: compiler, threads, garbage collection, NIO, processes, sockets.
set -u
source=$(dirname "$0")
cd "$HOME"
cp "$source/T.java" T.java
javac T.java; echo $?; java T; echo $?
java -Xint -version 2>&1 | head -1; rm -f made jsock; java -Xmx64m -XX:+UseParallelGC T | tail -3; rm -f made jsock
java -Xmx100m -XX:+UseSerialGC -Xshare:off T | tail -3; rm -f made jsock; java -XX:+UseZGC -Xmx200m T | tail -1
cp "$source/O.java" O.java
java -Xmx32m O.java 2>&1 | head -1
javac O.java; java O wait >dump & j=$!; for _ in $(seq 100)
do [ "$(jcmd $j VM.uptime 2>/dev/null | wc -l)" = 2 ] && break; sleep 0.1; done
jstack $j | grep -c '"main"'; kill -QUIT $j; for _ in $(seq 50); do grep -q 'garbage-first' dump && break; sleep 0.1
done; grep -c '"main"' dump; kill $j; wait $j; echo $?
