import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;
import java.net.http.*;
public class T {
    static int depth(int n) {
        return depth(n + 1) + 1;
    }
    public static void main(String[] a) throws Exception {
        var pool = Executors.newFixedThreadPool(8);
        var n = new AtomicLong();
        var fs = new ArrayList<Future<?>>();
        for (int i = 0; i < 100; i++) {
            int k = i;
            fs.add(pool.submit(() -> {
                for (int j = 0; j < 1000; j++) n.addAndGet(k);
            }));
        }
        for (var f : fs) f.get();
        pool.shutdown();
        System.out.println(n);
        long sum = 0;
        for (int i = 0; i < 300; i++) {
            var l = new ArrayList<byte[]>();
            for (int j = 0; j < 100; j++) l.add(new byte[20000]);
            sum += l.size();
        }
        System.gc();
        System.out.println(sum);
        System.out.println(IntStream.range(0, 1_000_000).parallel().mapToLong(x -> x * 3L).sum());
        try {
            depth(0);
        } catch (StackOverflowError e) {
            System.out.println("overflow");
        }
        try {
            Object o = null;
            o.hashCode();
        } catch (NullPointerException e) {
            System.out.println("null");
        }
        try {
            int z = 0;
            System.out.println(1 / z);
        } catch (ArithmeticException e) {
            System.out.println("zero");
        }
        var file = Path.of("data");
        Files.write(file, new byte[1 << 20]);
        try (var c = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            var m = c.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int i = 0; i < 1 << 20; i++) m.put(i, (byte) i);
            m.force();
            try (var k = c.lock()) {
                System.out.println(k.isValid());
            }
        }
        System.out.println(Arrays.hashCode(Files.readAllBytes(file)));
        try (var w = FileSystems.getDefault().newWatchService()) {
            Path.of(".").register(w, StandardWatchEventKinds.ENTRY_CREATE);
            Files.createFile(Path.of("made"));
            var k = w.poll(5, TimeUnit.SECONDS);
            System.out.println(k.pollEvents().get(0).context());
        }
        var p = new ProcessBuilder("sh", "-c", "cat; exit 7").start();
        p.getOutputStream().write("to child\n".getBytes());
        p.getOutputStream().close();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println(p.waitFor());
        System.out.println(ProcessHandle.current().info().command().isPresent());
        try {
            new ProcessBuilder("/none").start();
        } catch (IOException e) {
            System.out.println("no such program");
        }
        var slow = new ProcessBuilder("sleep", "50").start();
        slow.destroyForcibly();
        System.out.println(slow.waitFor());
        try (var s = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            var t = new Thread(() -> {
                try {
                    for (int i = 0; i < 20; i++) {
                        try (var c = s.accept()) {
                            c.getInputStream().transferTo(c.getOutputStream());
                        }
                    }
                } catch (IOException e) {
                    System.out.println(e);
                }
            });
            t.start();
            int total = 0;
            for (int i = 0; i < 20; i++) {
                try (var c = new Socket(s.getInetAddress(), s.getLocalPort())) {
                    c.getOutputStream().write(new byte[1000 * i]);
                    c.shutdownOutput();
                    total += c.getInputStream().readAllBytes().length;
                }
            }
            t.join();
            System.out.println(total);
        }
        try (var sel = Selector.open(); var ss = ServerSocketChannel.open()) {
            ss.bind(new InetSocketAddress("127.0.0.1", 0));
            ss.configureBlocking(false);
            ss.register(sel, SelectionKey.OP_ACCEPT);
            var c = SocketChannel.open(ss.getLocalAddress());
            c.write(ByteBuffer.wrap("nio".getBytes()));
            int read = 0;
            while (read < 3) {
                sel.select(2000);
                for (var i = sel.selectedKeys().iterator(); i.hasNext();) {
                    var k = i.next();
                    i.remove();
                    if (k.isAcceptable()) {
                        var x = ss.accept();
                        x.configureBlocking(false);
                        x.register(sel, SelectionKey.OP_READ);
                    } else {
                        read += ((SocketChannel) k.channel()).read(ByteBuffer.allocate(10));
                    }
                }
            }
            System.out.println(read);
        }
        var u = UnixDomainSocketAddress.of("jsock");
        try (var ss = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            ss.bind(u);
            try (var c = SocketChannel.open(u); var d = ss.accept()) {
                c.write(ByteBuffer.wrap("u".getBytes()));
                System.out.println(d.read(ByteBuffer.allocate(4)));
            }
        }
        var http = com.sun.net.httpserver.HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        http.createContext("/", e -> {
            e.sendResponseHeaders(200, 5);
            e.getResponseBody().write("hello".getBytes());
            e.close();
        });
        http.start();
        System.out.println(HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + http.getAddress().getPort() + "/")).build(), HttpResponse.BodyHandlers.ofString()).body());
        http.stop(0);
        var th = new Thread(() -> {
            try {
                Thread.sleep(100000);
            } catch (InterruptedException e) {
                System.out.println("interrupted");
            }
        });
        th.start();
        th.interrupt();
        th.join();
        var lock = new Object();
        int[] turn = {0};
        Runnable r = () -> {
            for (int i = 0; i < 1000; i++) synchronized (lock) {
                turn[0]++;
                lock.notifyAll();
            }
        };
        var ts = Stream.generate(() -> new Thread(r)).limit(20).toList();
        ts.forEach(Thread::start);
        for (var x : ts) x.join();
        System.out.println(turn[0]);
        System.out.println(Runtime.getRuntime().availableProcessors() > 0);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        System.exit(5);
    }
}
