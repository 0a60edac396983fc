use std::{
    collections::HashMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock},
    thread,
    time::Duration,
};
fn main() {
    println!("{} {}", dep::squares(1000), env!("BUILT"));
    let n = Arc::new(Mutex::new(0));
    let t: Vec<_> = (0..16)
        .map(|_| {
            let n = n.clone();
            thread::spawn(move || {
                for _ in 0..1000 {
                    *n.lock().unwrap() += 1
                }
            })
        })
        .collect();
    for x in t {
        x.join().unwrap()
    }
    println!("{}", n.lock().unwrap());
    println!(
        "{}",
        thread::spawn(|| {
            if true {
                panic!("in a thread")
            }
        })
        .join()
        .is_err()
    );
    let l = TcpListener::bind("127.0.0.1:0").unwrap();
    let a = l.local_addr().unwrap();
    let s = thread::spawn(move || {
        for c in l.incoming().take(10) {
            let mut c = c.unwrap();
            let mut b = Vec::new();
            c.read_to_end(&mut b).unwrap();
            c.write_all(&b).unwrap();
        }
    });
    let mut total = 0;
    for i in 0..10usize {
        let mut c = TcpStream::connect(a).unwrap();
        c.write_all(&vec![7; i * 1000]).unwrap();
        c.shutdown(std::net::Shutdown::Write).unwrap();
        let mut b = vec![];
        total += c.read_to_end(&mut b).unwrap();
    }
    s.join().unwrap();
    println!("{total}");
    let mut c = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    c.stdin.take().unwrap().write_all(b"cat").unwrap();
    println!("{}", String::from_utf8_lossy(&c.wait_with_output().unwrap().stdout));
    println!(
        "{:?} {:?}",
        Command::new("sh").args(["-c", "exit 9"]).status().unwrap().code(),
        Command::new("/none").spawn().map_err(|e| e.kind()).err()
    );
    let (tx, rx) = mpsc::channel();
    for i in 0..8 {
        let tx = tx.clone();
        thread::spawn(move || {
            for j in 0..100 {
                tx.send(i * j).unwrap()
            }
        });
    }
    drop(tx);
    println!("{}", rx.iter().sum::<i32>());
    println!("{:?}", mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(20)));
    let b = Arc::new(Barrier::new(4));
    let k = Arc::new(RwLock::new(HashMap::new()));
    let w = Arc::new((Mutex::new(false), Condvar::new()));
    thread::scope(|s| {
        for i in 0..4 {
            let (b, k, w) = (b.clone(), k.clone(), w.clone());
            s.spawn(move || {
                b.wait();
                k.write().unwrap().insert(i, i);
                if i == 0 {
                    *w.0.lock().unwrap() = true;
                    w.1.notify_all()
                } else {
                    let mut g = w.0.lock().unwrap();
                    while !*g {
                        g = w.1.wait(g).unwrap()
                    }
                }
            });
        }
    });
    println!("{}", k.read().unwrap().len());
    fs::create_dir_all("a/b/c").unwrap();
    fs::write("a/b/c/f", "x").unwrap();
    println!("{:?} {:?}", fs::read_dir("a/b").unwrap().count(), fs::rename("a", "z").is_ok());
    fs::remove_dir_all("z").unwrap();
    println!("{}", thread::available_parallelism().is_ok());
    if std::env::args().len() > 1 {
        let v: Vec<u32> = vec![];
        println!("{}", v[std::env::args().len()]);
    }
    std::process::exit(4);
}
