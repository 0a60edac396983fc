//! Copy and paste: the clipboard, shared with the host by permission, and the primary selection, which stays among the
//! clients of this display.

use crate::client::ClientId;
use crate::object::Kind;
use crate::{Display, Platform};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use postern_channel::{Data, Message, Offer, Request, Selection as Which, limit};

/// Who has something to paste.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody.
    #[default]
    None,
    /// A client's source object.
    Client(ClientId, u32),
    /// The host.
    Host,
}

/// The clipboard.
pub struct Selection<F> {
    pub owner: Owner,
    pub mimes: Vec<Vec<u8>>,
    /// Pastes that wait for the host: transfer → the file to write to.
    transfers: BTreeMap<u32, F>,
    next_transfer: u32,
    /// The bridge has to be told of the present owner.
    pub announce: bool,
}

impl<F> Default for Selection<F> {
    fn default() -> Self {
        Self {
            owner: Owner::None,
            mimes: Vec::new(),
            transfers: BTreeMap::new(),
            next_transfer: 1,
            announce: false,
        }
    }
}

/// The primary selection.
#[derive(Default)]
pub struct Primary {
    pub owner: Option<(ClientId, u32)>,
    pub mimes: Vec<Vec<u8>>,
}

/// Most MIME types of one source.
pub const MAX_MIMES: usize = 64;

impl<P: Platform> Display<P> {
    /// wl_data_device.set_selection.
    pub(crate) fn set_clipboard(&mut self, client: ClientId, source: u32, serial: u32) {
        let mimes = match self.clients.get(&client).and_then(|c| c.objects.get(&source)).map(|o| &o.kind) {
            Some(Kind::DataSource(mimes)) => mimes.clone(),
            _ => Vec::new(),
        };
        let owner = if source == 0 { Owner::None } else { Owner::Client(client, source) };
        self.replace_clipboard(owner, mimes);
        self.clipboard.announce = true;
        self.announce_clipboard(serial);
    }

    fn replace_clipboard(&mut self, owner: Owner, mimes: Vec<Vec<u8>>) {
        let old = core::mem::replace(&mut self.clipboard.owner, owner.clone());
        if let Owner::Client(id, source) = old
            && old != owner
            && let Some(c) = self.clients.get_mut(&id)
            && c.objects.contains_key(&source)
        {
            drop(c.event(source, 2));
        }
        self.clipboard.mimes = mimes;
        if let Some(client) = self.client_of(self.seat.keyboard_focus) {
            self.offer_clipboard_to(client);
        }
    }

    /// Tells the bridge what the app's side has to paste.
    pub(crate) fn announce_clipboard(&mut self, serial: u32) {
        if !self.connected || !core::mem::take(&mut self.clipboard.announce) {
            return;
        }
        if self.clipboard.owner == Owner::Host {
            return;
        }
        let mut list = Vec::new();
        for mime in &self.clipboard.mimes {
            if list.len() + mime.len() < limit::MIME_LIST && mime.len() <= limit::MIME {
                list.extend(mime);
                list.push(0);
            }
        }
        self.send(
            &Message::Offer(Offer { selection: Which::CLIPBOARD, serial, ..Default::default() }, &list),
            None,
        );
    }

    /// The host has something to paste.
    pub(crate) fn host_offers(&mut self, list: &[u8]) {
        let mimes: Vec<Vec<u8>> =
            list.split(|b| *b == 0).filter(|m| !m.is_empty()).take(MAX_MIMES).map(<[u8]>::to_vec).collect();
        if mimes.is_empty() {
            if self.clipboard.owner == Owner::Host {
                self.replace_clipboard(Owner::None, mimes);
            }
        } else {
            self.replace_clipboard(Owner::Host, mimes);
        }
    }

    /// The focused client hears what there is to paste.
    pub(crate) fn offer_selections_to(&mut self, client: ClientId) {
        self.offer_clipboard_to(client);
        self.offer_primary_to(client);
    }

    pub(crate) fn offer_clipboard_to(&mut self, client: ClientId) {
        let mimes = self.clipboard.mimes.clone();
        let present = self.clipboard.owner != Owner::None;
        let Some(c) = self.clients.get_mut(&client) else { return };
        for (device, version) in c.find(|k| matches!(k, Kind::DataDevice)) {
            if !present {
                drop(c.event(device, 5).u32(0));
                continue;
            }
            let Some(offer) = c.introduce(Kind::DataOffer, version) else { continue };
            drop(c.event(device, 0).u32(offer));
            for mime in &mimes {
                drop(c.event(offer, 0).string(mime));
            }
            drop(c.event(device, 5).u32(offer));
        }
    }

    pub(crate) fn offer_primary_to(&mut self, client: ClientId) {
        let mimes = self.primary.mimes.clone();
        let present = self.primary.owner.is_some();
        let Some(c) = self.clients.get_mut(&client) else { return };
        for (device, version) in c.find(|k| matches!(k, Kind::PrimaryDevice)) {
            if !present {
                drop(c.event(device, 1).u32(0));
                continue;
            }
            let Some(offer) = c.introduce(Kind::PrimaryOffer, version) else { continue };
            drop(c.event(device, 0).u32(offer));
            for mime in &mimes {
                drop(c.event(offer, 0).string(mime));
            }
            drop(c.event(device, 1).u32(offer));
        }
    }

    /// zwp_primary_selection_device_v1.set_selection.
    pub(crate) fn set_primary(&mut self, client: ClientId, source: u32) {
        let mimes = match self.clients.get(&client).and_then(|c| c.objects.get(&source)).map(|o| &o.kind) {
            Some(Kind::PrimarySource(mimes)) => mimes.clone(),
            _ => Vec::new(),
        };
        let owner = (source != 0).then_some((client, source));
        let old = core::mem::replace(&mut self.primary.owner, owner);
        if let Some((id, source)) = old.filter(|_| old != owner)
            && let Some(c) = self.clients.get_mut(&id)
            && c.objects.contains_key(&source)
        {
            drop(c.event(source, 1));
        }
        self.primary.mimes = mimes;
        if let Some(client) = self.client_of(self.seat.keyboard_focus) {
            self.offer_primary_to(client);
        }
    }

    /// wl_data_offer.receive and zwp_primary_selection_offer_v1.receive.
    pub(crate) fn receive_selection(&mut self, platform: &mut P, primary: bool, mime: &[u8], file: P::File) {
        let owner = if primary {
            self.primary.owner.map_or(Owner::None, |(client, source)| Owner::Client(client, source))
        } else {
            self.clipboard.owner.clone()
        };
        match owner {
            Owner::None => platform.write(&file, &[], true),
            Owner::Client(id, source) => {
                // zwp_primary_selection_source_v1.send is event 0, wl_data_source.send event 1.
                let opcode = if primary { 0 } else { 1 };
                match self.clients.get_mut(&id).filter(|c| c.objects.contains_key(&source)) {
                    Some(c) => {
                        c.event_files.push_back(file);
                        drop(c.event(source, opcode).string(mime));
                    }
                    None => platform.write(&file, &[], true),
                }
            }
            Owner::Host if mime.len() <= limit::MIME && self.clipboard.transfers.len() < 64 => {
                let transfer = Self::fresh(&mut self.clipboard.next_transfer, &self.clipboard.transfers);
                self.clipboard.transfers.insert(transfer, file);
                self.send(&Message::Request(Request { transfer, selection: Which::CLIPBOARD }, mime), None);
            }
            Owner::Host => platform.write(&file, &[], true),
        }
    }

    /// A piece of what the host pastes.
    pub(crate) fn host_sends(&mut self, platform: &mut P, data: &Data, piece: &[u8]) {
        let last = data.state != 0;
        let file = if last {
            self.clipboard.transfers.remove(&data.transfer)
        } else {
            self.clipboard.transfers.get(&data.transfer).cloned()
        };
        if let Some(file) = file {
            platform.write(&file, piece, last);
        }
    }

    /// The bridge that pastes waited for is gone: they end.
    pub(crate) fn end_transfers(&mut self, platform: &mut P) {
        for file in core::mem::take(&mut self.clipboard.transfers).into_values() {
            platform.write(&file, &[], true);
        }
    }

    /// The host pastes from the app.
    pub(crate) fn host_asks(&mut self, platform: &mut P, transfer: u32, mime: &[u8]) {
        if let Owner::Client(id, source) = self.clipboard.owner
            && self.clients.get(&id).is_some_and(|c| c.objects.contains_key(&source))
            && let Some(file) = platform.collect(transfer)
            && let Some(c) = self.clients.get_mut(&id)
        {
            c.event_files.push_back(file);
            drop(c.event(source, 1).string(mime));
        } else {
            self.send(&Message::Data(Data { transfer, state: 2 }, &[]), None);
        }
    }

    /// Bytes that an app wrote for the host's paste `transfer` ([`Platform::collect`]).
    pub fn transfer_data(&mut self, transfer: u32, bytes: &[u8], last: bool) {
        for piece in bytes.chunks(limit::PIECE) {
            self.send(&Message::Data(Data { transfer, state: 0 }, piece), None);
        }
        if last {
            self.send(&Message::Data(Data { transfer, state: 1 }, &[]), None);
        }
    }

    /// A source object is destroyed.
    pub(crate) fn source_destroyed(&mut self, client: ClientId, source: u32) {
        if self.clipboard.owner == Owner::Client(client, source) {
            self.replace_clipboard(Owner::None, Vec::new());
            self.clipboard.announce = true;
            self.announce_clipboard(0);
        }
        if self.primary.owner == Some((client, source)) {
            self.set_primary(client, 0);
        }
    }

    pub(crate) fn drop_selections_of(&mut self, client: ClientId) {
        if let Owner::Client(id, source) = self.clipboard.owner
            && id == client
        {
            self.source_destroyed(client, source);
        }
        if let Some((id, source)) = self.primary.owner
            && id == client
        {
            self.source_destroyed(client, source);
        }
    }
}
