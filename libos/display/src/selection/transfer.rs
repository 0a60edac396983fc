//! Data on its way: between clients of this display without the display's help, else in pieces over the channel. The
//! library OS moves it through the pipes; here it is only counted, so that no more is on the way than
//! [`limit::WINDOW`] pieces.

use super::{Owner, Which};
use crate::client::ClientId;
use crate::{Display, Platform};
use alloc::collections::BTreeMap;
use postern_channel::{Data, DataState, Message, Request, limit};

/// Transfers in both directions.
pub struct Transfers<F> {
    /// What clients wait for from the host, by our number: the file to write to.
    wanted: BTreeMap<u32, F>,
    next: u32,
    /// What the host waits for from clients, by the bridge's number: pieces that it has not taken yet.
    given: BTreeMap<u32, u32>,
}

impl<F> Default for Transfers<F> {
    fn default() -> Self {
        Self { wanted: BTreeMap::new(), next: 1, given: BTreeMap::new() }
    }
}

impl<P: Platform> Display<P> {
    /// Has `owner` write to `file` as `mime`.
    pub(super) fn hand_over(
        &mut self,
        platform: &mut P,
        which: Which,
        owner: Owner,
        mime: &[u8],
        file: P::File,
    ) {
        match owner {
            Owner::Client(id, source) => self.ask_client(platform, which, (id, source), mime, file),
            Owner::Host
                if postern_channel::is_mime(mime)
                    && self.connected
                    && self.selections.transfers.wanted.len() < limit::TRANSFERS =>
            {
                let transfers = &mut self.selections.transfers;
                let transfer = Self::fresh(&mut transfers.next, &transfers.wanted);
                transfers.wanted.insert(transfer, file);
                let request = Request { transfer, selection: which.number() };
                self.send(&Message::Request(request, mime), None);
            }
            Owner::None | Owner::Host => platform.close(file),
        }
    }

    /// wl_data_source.send and its like.
    fn ask_client(
        &mut self,
        platform: &mut P,
        which: Which,
        (id, source): (ClientId, u32),
        mime: &[u8],
        file: P::File,
    ) {
        match self.clients.get_mut(&id).filter(|c| c.objects.contains_key(&source)) {
            Some(c) => {
                c.event_files.push_back(file);
                drop(c.event(source, which.send()).string(mime));
            }
            None => platform.close(file),
        }
    }

    /// The host wants to have what a client offers.
    pub(crate) fn host_asks(&mut self, platform: &mut P, request: &Request, mime: &[u8]) {
        let which = Which::from_number(request.selection);
        let owner = match which {
            Which::Drag => self.selections.drags.owner(),
            _ => self.selections.slot(which).owner,
        };
        let transfer = request.transfer;
        let is_client = matches!(owner, Owner::Client(..));
        match (owner, if is_client { platform.collect(transfer) } else { None }) {
            (Owner::Client(id, source), Some(file)) => {
                self.selections.transfers.given.insert(transfer, 0);
                self.ask_client(platform, which, (id, source), mime, file);
            }
            _ => self.send(&Message::Data(Data { transfer, state: DataState::FAILED }, &[]), None),
        }
    }

    /// A piece from the host, or its word on one that it got.
    pub(crate) fn host_sends(&mut self, platform: &mut P, data: &Data, piece: &[u8]) {
        let Data { transfer, state } = *data;
        let transfers = &mut self.selections.transfers;
        match state {
            DataState::TAKEN => {
                if let Some(ahead) = transfers.given.get_mut(&transfer) {
                    let was_full = *ahead >= limit::WINDOW;
                    *ahead = ahead.saturating_sub(1);
                    if was_full {
                        platform.go_on_collecting(transfer);
                    }
                }
            }
            DataState::STOP => {
                transfers.given.remove(&transfer);
                platform.stop_collecting(transfer);
            }
            DataState::MORE => {
                if let Some(file) = transfers.wanted.get(&transfer) {
                    platform.write(transfer, file, piece, false);
                }
            }
            DataState::LAST => {
                if let Some(file) = transfers.wanted.remove(&transfer) {
                    platform.write(transfer, &file, piece, true);
                    platform.close(file);
                }
            }
            _ => {
                if let Some(file) = transfers.wanted.remove(&transfer) {
                    platform.stop_writing(transfer);
                    platform.close(file);
                }
            }
        }
    }

    /// Pieces that [`Platform::write`] was given are written to their file.
    pub fn transfer_written(&mut self, transfer: u32, pieces: u32) {
        for _ in 0..pieces {
            if self.selections.transfers.wanted.contains_key(&transfer) {
                self.send(&Message::Data(Data { transfer, state: DataState::TAKEN }, &[]), None);
            }
        }
    }

    /// Nobody reads the file of [`Platform::write`] any more.
    pub fn transfer_unread(&mut self, platform: &mut P, transfer: u32) {
        if let Some(file) = self.selections.transfers.wanted.remove(&transfer) {
            platform.close(file);
            self.send(&Message::Data(Data { transfer, state: DataState::STOP }, &[]), None);
        }
    }

    /// Whether the pipe of [`Platform::collect`] may be read now: a piece, at most [`limit::PIECE`] bytes.
    #[must_use]
    pub fn may_collect(&self, transfer: u32) -> bool {
        self.selections.transfers.given.get(&transfer).is_some_and(|ahead| *ahead < limit::WINDOW)
    }

    /// Bytes that a client wrote for the host ([`Platform::collect`]); `last`: it has closed the pipe.
    pub fn transfer_data(&mut self, transfer: u32, bytes: &[u8], last: bool) {
        for piece in bytes.chunks(limit::PIECE) {
            let Some(ahead) = self.selections.transfers.given.get_mut(&transfer) else { return };
            *ahead = ahead.saturating_add(1);
            self.send(&Message::Data(Data { transfer, state: DataState::MORE }, piece), None);
        }
        if last && self.selections.transfers.given.remove(&transfer).is_some() {
            self.send(&Message::Data(Data { transfer, state: DataState::LAST }, &[]), None);
        }
    }

    /// The bridge that transfers went through is gone: they end.
    pub(crate) fn end_transfers(&mut self, platform: &mut P) {
        let transfers = &mut self.selections.transfers;
        for (transfer, file) in core::mem::take(&mut transfers.wanted) {
            platform.stop_writing(transfer);
            platform.close(file);
        }
        for transfer in core::mem::take(&mut transfers.given).into_keys() {
            platform.stop_collecting(transfer);
        }
    }
}
