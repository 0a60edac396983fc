//! Relays datagrams between the family and the network. The family must not hold a datagram socket of the network:
//! with `sendmsg` it could address any peer. So it gets one end of a local socket pair, and a thread here carries each
//! datagram to and from the one permitted peer.

use crate::account::lock;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use std::net::UdpSocket;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Longest datagram.
const MAX_DATAGRAM: usize = 65_536;

/// One relayed stream.
#[derive(Debug)]
pub struct Pair {
    /// Number that the family names it by.
    pub id: u64,
    /// Our end of the local pair.
    pub local: OwnedFd,
    /// The socket of the network, connected to the peer.
    pub socket: UdpSocket,
    /// Bytes received from and sent to the network.
    pub traffic: [AtomicU64; 2],
}

/// The relayed streams and the thread that serves them, which is started with the first.
#[derive(Debug, Default)]
pub struct Relay {
    pairs: Mutex<Vec<Arc<Pair>>>,
    /// Wakes the thread when the list changed.
    wake: Mutex<Option<Arc<OwnedFd>>>,
    /// Bytes of streams that are gone.
    past: [AtomicU64; 2],
}

impl Relay {
    /// Begins to relay.
    ///
    /// # Errors
    /// If the host has no room for the thread.
    pub fn add(self: &Arc<Self>, pair: Pair) -> Result<(), Errno> {
        lock(&self.pairs).push(Arc::new(pair));
        let mut wake = lock(&self.wake);
        if let Some(wake) = &*wake {
            let _ = nix::unistd::write(&**wake, &[1]);
            return Ok(());
        }
        let flags = nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK;
        let (read, write) = nix::unistd::pipe2(flags)?;
        *wake = Some(Arc::new(write));
        let relay = Arc::clone(self);
        let thread = std::thread::Builder::new().name("relay".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || relay.run(&read)).map_err(|_| Errno::EAGAIN)?;
        Ok(())
    }

    /// Ends the streams for which `keep` says no.
    pub fn retain(&self, keep: impl Fn(&Pair) -> bool) {
        lock(&self.pairs).retain(|pair| {
            let stays = keep(pair);
            if !stays {
                for (sum, bytes) in self.past.iter().zip(&pair.traffic) {
                    sum.fetch_add(bytes.load(Ordering::Relaxed), Ordering::Relaxed);
                }
            }
            stays
        });
        if let Some(wake) = &*lock(&self.wake) {
            let _ = nix::unistd::write(&**wake, &[1]);
        }
    }

    /// The stream with this number.
    pub fn get(&self, id: u64) -> Option<Arc<Pair>> {
        lock(&self.pairs).iter().find(|pair| pair.id == id).cloned()
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        lock(&self.pairs).len()
    }

    /// Bytes received and sent, of all streams there ever were.
    pub fn traffic(&self) -> [u64; 2] {
        let mut sums = [0, 1].map(|i: usize| self.past.get(i).map_or(0, |n| n.load(Ordering::Relaxed)));
        for pair in lock(&self.pairs).iter() {
            for (sum, bytes) in sums.iter_mut().zip(&pair.traffic) {
                *sum += bytes.load(Ordering::Relaxed);
            }
        }
        sums
    }

    fn run(&self, wake: &OwnedFd) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            let pairs = lock(&self.pairs).clone();
            let mut fds = vec![PollFd::new(wake.as_fd(), PollFlags::POLLIN)];
            for pair in &pairs {
                fds.push(PollFd::new(pair.local.as_fd(), PollFlags::POLLIN));
                fds.push(PollFd::new(pair.socket.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let ready: Vec<PollFlags> =
                fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
            if ready.first().is_some_and(|r| !r.is_empty()) {
                let _ = nix::unistd::read(wake, &mut buffer);
            }
            let mut gone = Vec::new();
            for (pair, ready) in pairs.iter().zip(ready.get(1..).unwrap_or(&[]).chunks(2)) {
                let [local, socket] = ready else { continue };
                if !local.is_empty() && pair.outward(&mut buffer).is_err() {
                    gone.push(pair.id);
                }
                if !socket.is_empty() {
                    pair.inward(&mut buffer);
                }
            }
            if !gone.is_empty() {
                self.retain(|pair| !gone.contains(&pair.id));
            }
        }
    }
}

impl Pair {
    /// From the family to the network. An error means that the family closed its end.
    fn outward(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        match recv(self.local.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => Err(Errno::ECONNRESET),
            Err(_) => Ok(()),
            Ok(len) => {
                if self.socket.send(buffer.get(..len).unwrap_or(&[])).is_ok() {
                    self.count(1, len);
                }
                Ok(())
            }
        }
    }

    /// From the network to the family; a datagram for which the family has no room is lost, as datagrams may be.
    fn inward(&self, buffer: &mut [u8]) {
        if let Ok(len) = self.socket.recv(buffer) {
            self.count(0, len);
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            let _ = send(self.local.as_raw_fd(), buffer.get(..len).unwrap_or(&[]), flags);
        }
    }

    fn count(&self, direction: usize, len: usize) {
        if let Some(counter) = self.traffic.get(direction) {
            counter.fetch_add(u64::try_from(len).unwrap_or(0), Ordering::Relaxed);
        }
    }
}
