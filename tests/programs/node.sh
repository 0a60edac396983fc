# node: JIT, worker threads, child processes, files, HTTP on loopback, streams, WebAssembly.
set -u
source=$(dirname "$0")
cd "$HOME"
cp "$source/main.js" "$source/child.js" .
node main.js; echo $?
echo 'console.log(1+1); process.stdin.on("data", d => console.log(String(d).trim()))' >p.js; echo piped | node p.js
echo 'throw new Error("thrown")' | node - 2>&1 | grep '^Error'
node --jitless -e 'console.log([1,2,3].map(x=>x*x))'
bash -c 'node --max-old-space-size=40 -e "let a=[]; for(;;) a.push(new Array(1000).fill(1))"; exit $?' >/dev/null 2>&1
echo $?
node -p 'process.memoryUsage().rss > 1e7 && process.uptime() < 60'
