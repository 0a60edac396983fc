using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using System.Linq;
using System.Diagnostics;
using System.Collections.Generic;
class T {
    static int n;
    static object l = new object();
    static async Task<int> Later(int x) {
        await Task.Delay(20);
        return x * 2;
    }
    static int Main() {
        var ts = Enumerable.Range(0, 8).Select(i => new Thread(() => {
            for (int j = 0; j < 10000; j++) lock (l) n++;
        })).ToList();
        ts.ForEach(t => t.Start());
        ts.ForEach(t => t.Join());
        Console.WriteLine(n);
        Console.WriteLine(Task.WhenAll(Enumerable.Range(1, 20).Select(Later)).Result.Sum());
        Console.WriteLine(Enumerable.Range(0, 1000000).AsParallel().Select(x => (long)x).Sum());
        for (int i = 0; i < 200; i++) {
            var k = new List<byte[]>();
            for (int j = 0; j < 100; j++) k.Add(new byte[5000]);
        }
        GC.Collect();
        Console.WriteLine(GC.CollectionCount(0) > 0);
        var p = Process.Start(new ProcessStartInfo("sh", "-c \"echo child; exit 5\"") { RedirectStandardOutput = true, UseShellExecute = false });
        Console.Write(p.StandardOutput.ReadToEnd());
        p.WaitForExit();
        Console.WriteLine(p.ExitCode);
        var s = new TcpListener(IPAddress.Loopback, 0);
        s.Start();
        var t2 = Task.Run(() => {
            using (var c = s.AcceptTcpClient()) {
                var r = new StreamReader(c.GetStream());
                var w = new StreamWriter(c.GetStream());
                w.WriteLine(r.ReadLine().ToUpper());
                w.Flush();
            }
        });
        using (var c = new TcpClient()) {
            c.Connect((IPEndPoint)s.LocalEndpoint);
            var w = new StreamWriter(c.GetStream());
            w.WriteLine("hello");
            w.Flush();
            Console.WriteLine(new StreamReader(c.GetStream()).ReadLine());
        }
        t2.Wait();
        try {
            object o = null;
            o.ToString();
        } catch (NullReferenceException) {
            Console.WriteLine("null");
        }
        try {
            int z = 0;
            Console.WriteLine(1 / z);
        } catch (DivideByZeroException) {
            Console.WriteLine("zero");
        }
        try {
            File.ReadAllText("/none");
        } catch (IOException e) {
            Console.WriteLine(e.GetType().Name);
        }
        File.WriteAllLines("f", Enumerable.Range(0, 1000).Select(i => i.ToString()));
        Console.WriteLine(new FileInfo("f").Length);
        Directory.CreateDirectory("a/b");
        Console.WriteLine(Directory.GetDirectories("a").Length);
        var th = new Thread(() => {
            try {
                Thread.Sleep(100000);
            } catch (ThreadInterruptedException) {
                Console.WriteLine("interrupted");
            }
        });
        th.Start();
        Thread.Sleep(50);
        th.Interrupt();
        th.Join();
        var spin = new Thread(() => {
            try {
                for (;;) ;
            } catch (ThreadAbortException) {
                Console.WriteLine("aborted");
            }
        });
        spin.Start();
        Thread.Sleep(50);
        spin.Abort();
        spin.Join();
        Console.WriteLine(Environment.ProcessorCount > 0);
        return 6;
    }
}
