//! Who owns clipboard and primary selection. The client with the keyboard is told of what there is to paste.

use super::{OfferOf, Owner, Use, Which};
use crate::client::ClientId;
use crate::object::Kind;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, Message, Offer};

/// The clipboard or the primary selection.
#[derive(Default)]
pub struct Slot {
    pub owner: Owner,
    pub mimes: Vec<Vec<u8>>,
    /// Counts owners; offers of earlier ones are void.
    pub generation: u32,
}

impl<P: Platform> Display<P> {
    /// wl_data_device.set_selection and that of the primary selection.
    pub(super) fn set_selection(&mut self, which: Which, client: ClientId, source: u32, serial: u32) {
        let mimes = match self.source(client, source) {
            Some(known) => {
                known.used = Use::Selection;
                known.mimes.clone()
            }
            None => Vec::new(),
        };
        let owner = if source == 0 { Owner::None } else { Owner::Client(client, source) };
        self.replace_owner(which, owner, mimes);
        self.announce(which, serial);
    }

    fn replace_owner(&mut self, which: Which, owner: Owner, mimes: Vec<Vec<u8>>) {
        let slot = self.selections.slot(which);
        let old = core::mem::replace(&mut slot.owner, owner);
        slot.mimes = mimes;
        slot.generation = slot.generation.wrapping_add(1);
        if let Owner::Client(id, source) = old
            && old != owner
            && let Some(c) = self.clients.get_mut(&id)
            && c.objects.contains_key(&source)
        {
            drop(c.event(source, which.cancelled()));
        }
        if let Some(client) = self.client_of(self.seat.keyboard_focus) {
            self.offer_to(which, client);
        }
    }

    /// Tells the bridge what the app's side has to paste, if it is the app that has something, or nobody.
    fn announce(&mut self, which: Which, serial: u32) {
        let slot = self.selections.slot(which);
        if slot.owner == Owner::Host {
            return;
        }
        let list = super::list(&slot.mimes);
        let offer = Offer { selection: which.number(), serial, ..Offer::default() };
        self.send(&Message::Offer(offer, &list), None);
    }

    /// A new bridge learns of what the app has.
    pub(crate) fn announce_selections(&mut self) {
        for which in [Which::Clipboard, Which::Primary] {
            if matches!(self.selections.slot(which).owner, Owner::Client(..)) {
                self.announce(which, 0);
            }
        }
    }

    /// The host has something to paste or drags something.
    pub(crate) fn host_offers(&mut self, offer: &Offer, list: &[u8]) {
        let mimes: Vec<Vec<u8>> = msg::mimes(list).map(<[u8]>::to_vec).collect();
        let which = Which::from_number(offer.selection);
        if which == Which::Drag {
            self.selections.drags.announced = Some((mimes, offer.actions));
            return;
        }
        if !mimes.is_empty() {
            return self.replace_owner(which, Owner::Host, mimes);
        }
        // The host has nothing that the app may have. What the app itself has stays unless it was replaced.
        let owner = self.selections.slot(which).owner;
        if owner == Owner::Host || (owner != Owner::None && offer.serial != 0) {
            self.replace_owner(which, Owner::None, mimes);
        }
    }

    /// The focused client hears what there is to paste.
    pub(crate) fn offer_selections_to(&mut self, client: ClientId) {
        self.offer_to(Which::Clipboard, client);
        self.offer_to(Which::Primary, client);
    }

    /// A client's new device hears what there is to paste, if the client has the keyboard.
    pub(super) fn greet_device(&mut self, which: Which, client: ClientId) {
        if self.client_of(self.seat.keyboard_focus) == Some(client) {
            self.offer_to(which, client);
        }
    }

    fn offer_to(&mut self, which: Which, client: ClientId) {
        let slot = self.selections.slot(which);
        let (present, generation, mimes) = (slot.owner != Owner::None, slot.generation, slot.mimes.clone());
        let Some(c) = self.clients.get_mut(&client) else { return };
        let is_device = |kind: &Kind| match which {
            Which::Primary => matches!(kind, Kind::PrimaryDevice),
            _ => matches!(kind, Kind::DataDevice),
        };
        for (device, version) in c.find(is_device) {
            if !present {
                drop(c.event(device, which.selection()).u32(0));
                continue;
            }
            let of = OfferOf { which, generation };
            let kind = if which == Which::Primary { Kind::PrimaryOffer(of) } else { Kind::DataOffer(of) };
            let Some(offer) = c.introduce(kind, version) else { continue };
            drop(c.event(device, 0).u32(offer));
            for mime in &mimes {
                drop(c.event(offer, 0).string(mime));
            }
            drop(c.event(device, which.selection()).u32(offer));
        }
    }

    /// A source object is destroyed.
    pub(super) fn source_destroyed(&mut self, client: ClientId, source: u32) {
        for which in [Which::Clipboard, Which::Primary] {
            if self.selections.slot(which).owner == Owner::Client(client, source) {
                self.replace_owner(which, Owner::None, Vec::new());
                self.announce(which, 0);
            }
        }
        self.drag_source_destroyed(client, source);
    }

    /// A client is gone.
    pub(crate) fn drop_selections_of(&mut self, client: ClientId) {
        for which in [Which::Clipboard, Which::Primary] {
            if let Owner::Client(id, source) = self.selections.slot(which).owner
                && id == client
            {
                self.source_destroyed(client, source);
            }
        }
        self.drop_drags_of(client);
    }
}
