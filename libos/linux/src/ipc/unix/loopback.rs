//! What TCP connections within the family need of the stream that they are made of.

use super::UnixSocket;
use crate::fs::Poll;

impl UnixSocket {
    /// Ends the connection at once: the peer's next read after the data fails.
    pub fn abort(&self) {
        if let Some(link) = self.link.get() {
            link.tx.end(true, Poll::HUP);
        }
    }

    /// Whether the peer ended the connection by a reset.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.link.get().is_some_and(|link| link.rx.was_reset())
    }

    /// Sets whether urgent bytes are received as any other (`SO_OOBINLINE`).
    pub fn set_inline(&self, yes: bool) {
        if let Some(link) = self.link.get() {
            link.rx.set_inline(yes);
        }
    }

    /// Sets how many bytes may be on their way to the peer.
    pub fn limit_sending(&self, bytes: usize) {
        if let Some(link) = self.link.get() {
            link.tx.set_limit(bytes);
        }
    }

    /// Sets how many bytes may be on their way from the peer.
    pub fn limit_receiving(&self, bytes: usize) {
        if let Some(link) = self.link.get() {
            link.rx.set_limit(bytes);
        }
    }
}
