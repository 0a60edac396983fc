package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func Sum(n int) (s int) {
	for i := 0; i <= n; i++ {
		s += i
	}
	return
}
func main() {
	var wg sync.WaitGroup
	var n int64
	c := make(chan int, 10)
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); atomic.AddInt64(&n, int64(i)); runtime.Gosched(); c <- i }(i)
	}
	go func() { wg.Wait(); close(c) }()
	t := 0
	for v := range c {
		t += v
	}
	fmt.Println(n, t, Sum(100))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body); fmt.Fprint(w, r.URL.Path) }))
	var total int64
	for i := 0; i < 20; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			r, err := http.Post(fmt.Sprintf("http://%s/%d", l.Addr(), i%10), "text/plain", bytes.NewReader(make([]byte, i*5000)))
			if err != nil {
				fmt.Println(err)
				return
			}
			b, _ := io.ReadAll(r.Body)
			atomic.AddInt64(&total, int64(len(b)))
		}(i)
	}
	wg.Wait()
	fmt.Println(total)
	out, err := exec.Command("sh", "-c", "echo out; exit 3").Output()
	fmt.Printf("%s %v\n", out, err)
	cat := exec.Command("cat")
	cat.Stdin = bytes.NewReader(make([]byte, 1<<20))
	o, _ := cat.Output()
	fmt.Println(len(o))
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	fmt.Println(exec.CommandContext(ctx, "sleep", "10").Run())
	cancel()
	for i := 0; i < 40; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := exec.Command("true").Run(); err != nil {
				fmt.Println(err)
			}
		}()
	}
	wg.Wait()
	s := make(chan os.Signal, 1)
	signal.Notify(s, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-s)
	done := make(chan bool)
	go func() {
		for {
		}
	}()
	go func() { time.Sleep(20 * time.Millisecond); runtime.GC(); done <- true }()
	<-done
	fmt.Println("preempted")
	func() { defer func() { fmt.Println(recover()) }(); var p *int; *p = 1 }()
	func() { defer func() { fmt.Println(recover()) }(); var a []int; _ = a[len(os.Args)+5] }()
	os.MkdirAll("d/e/f", 0o755)
	for i := 0; i < 50; i++ {
		os.WriteFile(fmt.Sprintf("d/e/%d", i), make([]byte, i), 0o600)
	}
	k := 0
	filepath.Walk("d", func(p string, i os.FileInfo, e error) error { k++; return e })
	os.RemoveAll("d")
	fmt.Println(k)
	u, err := net.ListenUnix("unix", &net.UnixAddr{Name: "gosock", Net: "unix"})
	go func() { x, _ := net.Dial("unix", "gosock"); x.Write([]byte("unix")); x.Close() }()
	x, _ := u.Accept()
	b, _ := io.ReadAll(x)
	fmt.Println(string(b))
	p, _ := net.ListenPacket("udp", "[::1]:0")
	y, _ := net.Dial("udp", p.LocalAddr().String())
	y.Write([]byte("udp6"))
	q := make([]byte, 9)
	i, _, _ := p.ReadFrom(q)
	fmt.Println(string(q[:i]))
	p.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	_, _, err = p.ReadFrom(q)
	fmt.Println(err.(net.Error).Timeout())
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	g.Write(make([]byte, 1<<20))
	g.Close()
	fmt.Printf("%x\n", sha256.Sum256(z.Bytes()))
	me, err := user.Current()
	fmt.Println(me.Uid == fmt.Sprint(os.Getuid()), err, runtime.NumCPU())
	a, err := net.LookupHost("localhost")
	fmt.Println(len(a) > 0, err)
	ifs, err := net.Interfaces()
	fmt.Println(ifs[0].Name, err)
	var st syscall.Stat_t
	fmt.Println(syscall.Stat("/none", &st))
	_, _, e := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	fmt.Println(e)
	m := map[int][]byte{}
	for i := 0; i < 20000; i++ {
		m[i%500] = make([]byte, 4096)
	}
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	fmt.Println(ms.NumGC > 0)
	panic("last")
}
