//! What a downcall is answered with.

use nix::errno::Errno;
use postern_abi::message::{Attributes, MAX_PAYLOAD, Record, record_len};
use std::os::fd::OwnedFd;
use zerocopy::IntoBytes as _;

/// Values, payload, handle and error of a reply. Errors that come with nothing else are `Err` instead.
#[derive(Debug, Default)]
pub struct Answer {
    /// Results, by call.
    pub values: [u64; 4],
    /// Payload.
    pub payload: Vec<u8>,
    /// Handle that goes to the family.
    pub handle: Option<OwnedFd>,
    /// An error that comes with a partial answer.
    pub error: Option<Errno>,
}

impl Answer {
    /// With values only.
    #[must_use]
    pub fn values(values: [u64; 4]) -> Self {
        Self { values, ..Self::default() }
    }

    /// Whether a record with a name and a target of `len` bytes together still fits into the payload.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        self.payload.len().saturating_add(record_len(len)) <= MAX_PAYLOAD
    }

    /// Appends a record.
    ///
    /// # Errors
    /// `ENAMETOOLONG` if the payload would be longer than a message.
    pub fn push_record(&mut self, attributes: Attributes, name: &[u8]) -> Result<(), Errno> {
        self.push_link_record(attributes, name, b"")
    }

    /// Appends a record with the target of a symbolic link.
    ///
    /// # Errors
    /// As [`Answer::push_record`].
    pub fn push_link_record(
        &mut self,
        attributes: Attributes,
        name: &[u8],
        target: &[u8],
    ) -> Result<(), Errno> {
        if !self.has_room(name.len().saturating_add(target.len())) {
            return Err(Errno::ENAMETOOLONG);
        }
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| Errno::ENAMETOOLONG);
        let record = Record { attributes, name_len: len(name)?, target_len: len(target)? };
        self.payload.extend_from_slice(record.as_bytes());
        self.payload.extend_from_slice(name);
        self.payload.extend_from_slice(target);
        self.payload.resize(self.payload.len().next_multiple_of(8), 0);
        Ok(())
    }
}
