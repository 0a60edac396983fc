//! The Wayland objects of clipboard and primary selection, which differ in little but their names, and the dispatch of
//! all that belong to selections.

use crate::bridge::Bridge;
use postern_channel::{Selection, is_mime, limit};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use wayland_client::backend::ObjectId;
use wayland_client::protocol::{wl_data_device, wl_data_offer, wl_data_source};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum, delegate_noop, event_created_child};
use wayland_protocols::wp::primary_selection::zv1::client::{
    zwp_primary_selection_device_manager_v1 as primary_manager,
    zwp_primary_selection_device_v1 as primary_device, zwp_primary_selection_offer_v1 as primary_offer,
    zwp_primary_selection_source_v1 as primary_source,
};

/// Beginning of the MIME types that mark the offers of bridges.
pub const MARK: &str = "application/x-postern-own-";

/// What an offer has.
#[derive(Default)]
pub struct OfferTypes(Mutex<Offered>);

#[derive(Default)]
struct Offered {
    mimes: Vec<String>,
    len: usize,
    is_own: bool,
    /// Drags: what the source lets be done, and what the compositor has chosen.
    actions: u32,
    action: u32,
}

impl OfferTypes {
    fn with<T>(&self, look: impl FnOnce(&mut Offered) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The MIME types as the channel has them.
    pub fn list(&self) -> Vec<u8> {
        self.with(|offered| offered.mimes.iter().flat_map(|mime| mime.bytes().chain([0])).collect())
    }

    pub fn has(&self, mime: &str) -> bool {
        self.with(|offered| offered.mimes.iter().any(|known| known == mime))
    }

    pub fn is_own(&self) -> bool {
        self.with(|offered| offered.is_own)
    }

    /// Drags: what the source lets be done, and what the compositor has chosen.
    pub fn actions(&self) -> (u32, u32) {
        self.with(|offered| (offered.actions, offered.action))
    }

    /// Takes in one type, as far as there is room. Marks are no business of the app.
    fn add(&self, mime: String, mark: &str) {
        self.with(|offered| {
            offered.is_own |= mime == mark;
            let is_fit =
                is_mime(mime.as_bytes()) && !mime.starts_with(MARK) && !offered.mimes.contains(&mime);
            let len = offered.len.saturating_add(mime.len()).saturating_add(1);
            if is_fit && len <= limit::MIME_LIST && offered.mimes.len() < limit::MIMES {
                offered.len = len;
                offered.mimes.push(mime);
            }
        });
    }
}

/// An offer of the session, other than a drag.
pub enum Offer {
    Data(wl_data_offer::WlDataOffer),
    Primary(primary_offer::ZwpPrimarySelectionOfferV1),
}

impl Offer {
    pub fn types(&self) -> Option<&OfferTypes> {
        match self {
            Self::Data(offer) => offer.data(),
            Self::Primary(offer) => offer.data(),
        }
    }

    pub fn receive(&self, mime: String, pipe: BorrowedFd<'_>) {
        match self {
            Self::Data(offer) => offer.receive(mime, pipe),
            Self::Primary(offer) => offer.receive(mime, pipe),
        }
    }

    pub fn destroy(self) {
        match self {
            Self::Data(offer) => offer.destroy(),
            Self::Primary(offer) => offer.destroy(),
        }
    }
}

/// What the app has put on the session's clipboard or primary selection.
pub enum Source {
    Data(wl_data_source::WlDataSource),
    Primary(primary_source::ZwpPrimarySelectionSourceV1),
}

impl Source {
    pub fn is(&self, id: &ObjectId) -> bool {
        match self {
            Self::Data(source) => source.id() == *id,
            Self::Primary(source) => source.id() == *id,
        }
    }

    pub fn destroy(self) {
        match self {
            Self::Data(source) => source.destroy(),
            Self::Primary(source) => source.destroy(),
        }
    }
}

/// The seat's device of either.
#[derive(Clone)]
pub enum Device {
    Data(wl_data_device::WlDataDevice),
    Primary(primary_device::ZwpPrimarySelectionDeviceV1),
}

impl Bridge {
    /// Puts something on the session's clipboard or primary selection.
    pub fn make_source(&self, device: &Device, mimes: &[&str], serial: u32) -> Option<Source> {
        match device {
            Device::Data(device) => {
                let source =
                    self.globals.data_devices.as_ref()?.create_data_source(&self.queue, Selection::CLIPBOARD);
                mimes.iter().for_each(|mime| source.offer((*mime).to_owned()));
                device.set_selection(Some(&source), serial);
                Some(Source::Data(source))
            }
            Device::Primary(device) => {
                let source = self.globals.primary_devices.as_ref()?.create_source(&self.queue, ());
                mimes.iter().for_each(|mime| source.offer((*mime).to_owned()));
                device.set_selection(Some(&source), serial);
                Some(Source::Primary(source))
            }
        }
    }

    fn source_event(&mut self, selection: u32, id: &ObjectId, sent: Option<(String, OwnedFd)>) {
        let Some(slot) = self.selections.slot(selection) else { return };
        if slot.source.as_ref().is_none_or(|known| !known.is(id)) {
            return;
        }
        match sent {
            Some((mime, pipe)) => self.provide(selection, &mime, pipe),
            None => self.replaced(selection),
        }
    }
}

impl Dispatch<wl_data_device::WlDataDevice, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &wl_data_device::WlDataDevice,
        event: wl_data_device::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_device::Event;
        match event {
            Event::Selection { id } => bridge.selected(Selection::CLIPBOARD, id.map(Offer::Data)),
            Event::Enter { serial, surface, x, y, id } => bridge.drag_enters(serial, &surface, (x, y), id),
            Event::Motion { time, x, y } => bridge.drag_moves(time, (x, y)),
            Event::Leave => bridge.drag_leaves(),
            Event::Drop => bridge.drag_drops(),
            _ => {}
        }
    }

    event_created_child!(Bridge, wl_data_device::WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, OfferTypes::default()),
    ]);
}

pub fn bits<T: Into<u32>>(value: WEnum<T>) -> u32 {
    match value {
        WEnum::Value(value) => value.into(),
        WEnum::Unknown(value) => value,
    }
}

impl Dispatch<wl_data_offer::WlDataOffer, OfferTypes> for Bridge {
    fn event(
        bridge: &mut Self,
        offer: &wl_data_offer::WlDataOffer,
        event: wl_data_offer::Event,
        types: &OfferTypes,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_offer::Event;
        match event {
            Event::Offer { mime_type } => types.add(mime_type, &bridge.selections.mark),
            Event::SourceActions { source_actions } => {
                types.with(|offered| offered.actions = bits(source_actions) & 7);
            }
            Event::Action { dnd_action } => {
                let action = bits(dnd_action) & 7;
                types.with(|offered| offered.action = action);
                bridge.drag_action(&offer.id(), action);
            }
            _ => {}
        }
    }
}

/// The data of a `wl_data_source` is what it is for: a [`Selection`].
impl Dispatch<wl_data_source::WlDataSource, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        source: &wl_data_source::WlDataSource,
        event: wl_data_source::Event,
        &selection: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_data_source::Event;
        match event {
            _ if selection == Selection::DRAG => bridge.drag_source_event(&source.id(), event),
            Event::Send { mime_type, fd } => {
                bridge.source_event(selection, &source.id(), Some((mime_type, fd)))
            }
            Event::Cancelled => bridge.source_event(selection, &source.id(), None),
            _ => {}
        }
    }
}

impl Dispatch<primary_device::ZwpPrimarySelectionDeviceV1, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &primary_device::ZwpPrimarySelectionDeviceV1,
        event: primary_device::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let primary_device::Event::Selection { id } = event {
            bridge.selected(Selection::PRIMARY, id.map(Offer::Primary));
        }
    }

    event_created_child!(Bridge, primary_device::ZwpPrimarySelectionDeviceV1, [
        primary_device::EVT_DATA_OFFER_OPCODE =>
            (primary_offer::ZwpPrimarySelectionOfferV1, OfferTypes::default()),
    ]);
}

impl Dispatch<primary_offer::ZwpPrimarySelectionOfferV1, OfferTypes> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &primary_offer::ZwpPrimarySelectionOfferV1,
        event: primary_offer::Event,
        types: &OfferTypes,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let primary_offer::Event::Offer { mime_type } = event {
            types.add(mime_type, &bridge.selections.mark);
        }
    }
}

impl Dispatch<primary_source::ZwpPrimarySelectionSourceV1, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        source: &primary_source::ZwpPrimarySelectionSourceV1,
        event: primary_source::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use primary_source::Event;
        let sent = match event {
            Event::Send { mime_type, fd } => Some((mime_type, fd)),
            Event::Cancelled => None,
            _ => return,
        };
        bridge.source_event(Selection::PRIMARY, &source.id(), sent);
    }
}

delegate_noop!(Bridge: primary_manager::ZwpPrimarySelectionDeviceManagerV1);
