//! Extended attributes of the host's files: the monitor shows and sets those of the namespace `user.` only.

use super::{Address, HostInode};
use crate::fs::dentry::Dentry;
use crate::fs::extended::{Request, check_kind};
use crate::fs::inode::Inode;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_abi::calls::{Downcall, attribute};
use postern_abi::message::MAX_PAYLOAD;
use postern_pal::gate;

impl HostInode {
    pub(super) fn ask_extended(&self, dentry: &Arc<Dentry>, request: Request<'_>) -> Result<Vec<u8>> {
        let (operation, flags, name, value): (u64, u32, &[u8], &[u8]) = match request {
            Request::Get(name) => (attribute::GET, 0, name, b""),
            Request::Set(name, value, flags) => (attribute::SET, flags, name, value),
            Request::List => (attribute::LIST, 0, b"", b""),
            Request::Remove(name) => (attribute::REMOVE, 0, name, b""),
        };
        let is_list = matches!(request, Request::List);
        if is_list && check_kind(self.mode(), false).is_err() {
            return Ok(Vec::new());
        }
        if !is_list && !name.starts_with(attribute::NAMESPACE) {
            // What takes privileges inside is not the app's to have on the host.
            return Err(if request.is_change() { Errno::EPERM } else { Errno::ENODATA });
        }
        let Some(Address { id, path }) = self.address(dentry) else {
            return self.extended.lock().answer(request);
        };
        if path.len() + name.len() + value.len() > MAX_PAYLOAD {
            return Err(Errno::ENOSPC);
        }
        let args = [id, operation, u64::from(flags), path.len() as u64, name.len() as u64, 0];
        let answer = gate::call(Downcall::ExtendedAttribute, args, &[&path, name, value])?;
        if request.is_change() {
            // Its change time is newer.
            self.wrote(|_| {});
        }
        Ok(answer.payload)
    }
}
