const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const cp = require('child_process'), fs = require('fs'), http = require('http'), path = require('path');
const net = require('net'), crypto = require('crypto'), os = require('os'), dns = require('dns').promises;
const { pipeline } = require('stream/promises'), zlib = require('zlib');
if (!isMainThread) {
    const v = new Int32Array(workerData);
    for (let i = 0; i < 20000; i++) Atomics.add(v, 0, 1);
    parentPort.postMessage(v[1] ? 'waited' : 'done');
    return;
}
(async () => {
    function fib(n) {
        return n < 2 ? n : fib(n - 1) + fib(n - 2);
    }
    console.log(fib(27), new Function('a', 'return a*2')(21));
    const shared = new SharedArrayBuffer(8);
    await Promise.all([...Array(4)].map(() => new Promise((yes, no) => {
        const w = new Worker(__filename, { workerData: shared });
        w.on('exit', yes);
        w.on('error', no);
    })));
    console.log(new Int32Array(shared)[0]);
    const spin = new Worker('for(;;){}', { eval: true });
    await new Promise(r => setTimeout(r, 100));
    console.log('terminated', await spin.terminate());
    console.log(cp.execSync('echo sub; exit 0').toString().trim());
    console.log(cp.spawnSync('sh', ['-c', 'kill -9 $$']).signal, cp.spawnSync('/none').error.code);
    const child = cp.spawn('cat');
    child.stdin.end('through cat\n');
    for await (const d of child.stdout) process.stdout.write(d);
    const forked = cp.fork('./child.js');
    forked.send({ a: 1 });
    console.log(await new Promise(r => forked.on('message', r)));
    forked.disconnect();
    console.log(await new Promise(r => forked.on('exit', r)));
    await fs.promises.mkdir('d/e', { recursive: true });
    await Promise.all([...Array(200).keys()].map(i => fs.promises.writeFile(`d/${i}`, 'x'.repeat(i))));
    const sizes = await Promise.all((await fs.promises.readdir('d')).map(async f => (await fs.promises.stat('d/' + f)).isFile() ? (await fs.promises.readFile('d/' + f)).length : 0));
    console.log(sizes.reduce((a, b) => a + b));
    await fs.promises.rm('d', { recursive: true });
    const watched = new Promise(r => {
        const w = fs.watch('.', (e, f) => {
            if (f === 'new') {
                w.close();
                r(f);
            }
        });
    });
    fs.writeFileSync('new', '');
    console.log('watched', await watched);
    const big = crypto.createHash('sha256').update('seed').digest();
    const server = http.createServer((q, s) => {
        if (q.method === 'POST') {
            q.pipe(s);
        } else {
            s.end('hello ' + q.url);
        }
    }).listen(0, '127.0.0.1');
    await new Promise(r => server.on('listening', r));
    const port = server.address().port;
    const texts = await Promise.all([...Array(50).keys()].map(i => fetch(`http://127.0.0.1:${port}/${i}`).then(r => r.text())));
    console.log(texts.join(' ').length);
    const body = Buffer.alloc(3000000, big);
    const back = Buffer.from(await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).arrayBuffer());
    console.log(back.equals(body));
    server.close();
    server.closeAllConnections?.();
    fs.writeFileSync('in', body);
    await pipeline(fs.createReadStream('in'), zlib.createGzip(), fs.createWriteStream('in.gz'));
    await pipeline(fs.createReadStream('in.gz'), zlib.createGunzip(), fs.createWriteStream('out'));
    console.log(fs.readFileSync('out').equals(body));
    const sock = path.resolve('sock');
    const u = net.createServer(c => c.pipe(c)).listen(sock);
    const c = net.connect(sock);
    c.write('unix');
    console.log((await new Promise(r => c.once('data', r))).toString());
    c.end();
    u.close();
    const wasm = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]);
    const { instance } = await WebAssembly.instantiate(wasm);
    console.log(instance.exports.add(2, 40));
    console.log((await dns.lookup('localhost', 4)).address, os.cpus().length, os.totalmem() > 1e6, os.userInfo().uid === process.getuid());
    process.on('SIGUSR2', () => console.log('signal'));
    process.kill(process.pid, 'SIGUSR2');
    await new Promise(r => setTimeout(r, 50));
    const junk = [];
    for (let i = 0; i < 200; i++) junk[i % 20] = new Array(50000).fill(i);
    console.log(junk.length);
    try {
        new Function('return (function f() { return f() + 1 })()')();
    } catch (e) {
        console.log(e.name);
    }
    setTimeout(() => process.exit(3), 20);
})();
