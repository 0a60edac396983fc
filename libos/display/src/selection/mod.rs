//! Clipboard, primary selection and drags: among the clients of this display directly, with the host through the
//! bridge, by permission.
//!
//! [`slot`] who owns clipboard and primary selection, and who is told; [`requests`] what clients ask of their objects;
//! [`transfer`] data on its way to and from the host; [`drag`] drag and drop.

mod drag;
mod requests;
mod slot;
mod transfer;

use crate::client::ClientId;
use alloc::vec::Vec;
pub use drag::Drags;
use postern_channel::{self as msg, limit};
pub use slot::Slot;
pub use transfer::Transfers;

/// What is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Clipboard,
    Primary,
    Drag,
}

impl Which {
    /// As the channel names it.
    pub fn number(self) -> u32 {
        match self {
            Self::Clipboard => msg::Selection::CLIPBOARD,
            Self::Primary => msg::Selection::PRIMARY,
            Self::Drag => msg::Selection::DRAG,
        }
    }

    fn from_number(number: u32) -> Self {
        match number {
            msg::Selection::CLIPBOARD => Self::Clipboard,
            msg::Selection::PRIMARY => Self::Primary,
            _ => Self::Drag,
        }
    }

    /// Opcode of the source's event `send`.
    fn send(self) -> u16 {
        if self == Self::Primary { 0 } else { 1 }
    }

    /// Opcode of the source's event `cancelled`.
    fn cancelled(self) -> u16 {
        if self == Self::Primary { 1 } else { 2 }
    }

    /// Opcode of the device's event `selection`.
    fn selection(self) -> u16 {
        if self == Self::Primary { 1 } else { 5 }
    }
}

/// What a source object has collected.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub mimes: Vec<Vec<u8>>,
    /// What a drag of it may do, if that was said.
    pub actions: Option<u32>,
    pub used: Use,
}

/// What a source object was used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Use {
    #[default]
    Nothing,
    Selection,
    Drag,
}

/// What an offer object offers: one that is not the present one gives nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferOf {
    pub which: Which,
    pub generation: u32,
}

/// Who has something to paste.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody.
    #[default]
    None,
    /// A client's source object.
    Client(ClientId, u32),
    /// The host.
    Host,
}

/// All that is handed over.
pub struct Selections<F> {
    pub clipboard: Slot,
    pub primary: Slot,
    pub drags: Drags,
    pub transfers: Transfers<F>,
}

impl<F> Default for Selections<F> {
    fn default() -> Self {
        Self {
            clipboard: Slot::default(),
            primary: Slot::default(),
            drags: Drags::default(),
            transfers: Transfers::default(),
        }
    }
}

impl<F> Selections<F> {
    fn slot(&mut self, which: Which) -> &mut Slot {
        if which == Which::Primary { &mut self.primary } else { &mut self.clipboard }
    }
}

/// MIME types as the channel has them, as many as there is room for.
fn list(mimes: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    for mime in mimes.iter().filter(|mime| msg::is_mime(mime)).take(limit::MIMES) {
        if list.len() + mime.len() < limit::MIME_LIST {
            list.extend(mime);
            list.push(0);
        }
    }
    list
}
