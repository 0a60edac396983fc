//! Tests of conduits.

use super::*;

fn conduit() -> Arc<Conduit> {
    let queue = Arc::new(WaitQueue::new());
    Conduit::new(&queue, Some(&queue))
}

fn write(conduit: &Conduit, bytes: &[u8], pid: Option<u32>) -> usize {
    let credentials = pid.map(|pid| Credentials { pid, uid: 0, gid: 0 });
    let mut attachment = Attachment { credentials, ..Attachment::default() };
    conduit.write(&mut Source::Kernel(bytes, 0), &mut attachment).unwrap().unwrap()
}

fn read(conduit: &Conduit, by_sender: bool) -> Option<Result<(Vec<u8>, Option<u32>)>> {
    let mut buf = [0; 64];
    let taken = conduit.read(&mut Sink::Kernel(&mut buf, 0), false, 0, by_sender)?;
    Some(taken.map(|t| (buf[..t.count].to_vec(), t.attachment.credentials.map(|c| c.pid))))
}

#[test]
fn a_stream_joins_writes_and_ends() {
    let c = conduit();
    write(&c, b"ab", None);
    write(&c, b"cd", None);
    assert_eq!(read(&c, false), Some(Ok((b"abcd".to_vec(), None))));
    assert_eq!(read(&c, false), None);
    c.end(false, Poll::IN);
    assert_eq!(read(&c, false), Some(Ok((Vec::new(), None))));
}

#[test]
fn a_read_does_not_mix_senders_when_asked() {
    let c = conduit();
    write(&c, b"ab", Some(1));
    write(&c, b"cd", Some(1));
    write(&c, b"ef", Some(2));
    assert_eq!(read(&c, true), Some(Ok((b"abcd".to_vec(), Some(1)))));
    assert_eq!(read(&c, true), Some(Ok((b"ef".to_vec(), Some(2)))));
}

#[test]
fn a_reset_is_reported_once_after_the_data() {
    let c = conduit();
    write(&c, b"x", None);
    c.end(true, Poll::HUP);
    assert_eq!(read(&c, false), Some(Ok((b"x".to_vec(), None))));
    assert_eq!(read(&c, false), Some(Err(Errno::ECONNRESET)));
    assert_eq!(read(&c, false), Some(Ok((Vec::new(), None))));
}

#[test]
fn packets_keep_their_borders_and_tell_their_length() {
    let c = conduit();
    let queue = Arc::new(WaitQueue::new());
    for text in [&b"hello"[..], b"", b"yo"] {
        assert_eq!(c.put(&mut text.to_vec(), &mut Attachment::default(), &queue), Some(Ok(text.len())));
    }
    let mut buf = [0; 3];
    let mut take = |peek| {
        let t = c.take(&mut Sink::Kernel(&mut buf, 0), peek).unwrap().unwrap();
        (t.count, t.whole)
    };
    assert_eq!(take(true), (3, 5));
    assert_eq!(take(false), (3, 5));
    assert_eq!(take(false), (0, 0));
    assert_eq!(take(false), (2, 2));
    assert!(!c.is_readable());
}

#[test]
fn a_full_stream_makes_writers_wait_until_half_is_read() {
    let c = conduit();
    c.set_limit(8);
    let queue = Arc::new(WaitQueue::new());
    assert_eq!(write(&c, b"0123456789", None), 8);
    assert!(c.write(&mut Source::Kernel(b"x", 0), &mut Attachment::default()).is_none());
    assert!(!c.writer_view(&queue).writable);
    let mut buf = [0; 4];
    c.read(&mut Sink::Kernel(&mut buf, 0), false, 0, false).unwrap().unwrap();
    assert!(c.writer_view(&queue).writable);
}
