//! The Wayland objects of the clipboard.

use super::Clipboard;
use crate::bridge::Bridge;
use postern_channel::limit;
use std::sync::{Mutex, PoisonError};
use wayland_client::protocol::{wl_data_device, wl_data_offer, wl_data_source};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, event_created_child};

/// What an offer has, as far as it matters here.
#[derive(Default)]
pub struct OfferTypes(Mutex<Offered>);

#[derive(Default)]
struct Offered {
    texts: Vec<&'static str>,
    is_own: bool,
}

impl OfferTypes {
    /// Its text types, best first.
    pub fn texts(&self) -> Vec<&'static str> {
        let offered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        limit::TEXT_TYPES.into_iter().filter(|text| offered.texts.contains(text)).collect()
    }

    fn is_own(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_own
    }

    fn add(&self, mime: &str, mark: &str) {
        let mut offered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        offered.is_own |= mime == mark;
        offered.texts.extend(limit::TEXT_TYPES.iter().filter(|text| **text == mime));
    }
}

impl Clipboard {
    fn selected(&mut self, offer: Option<wl_data_offer::WlDataOffer>) {
        if let Some(old) = std::mem::replace(&mut self.selection, offer) {
            old.destroy();
        }
    }

    fn dragged(&mut self, offer: Option<wl_data_offer::WlDataOffer>) {
        if let Some(old) = std::mem::replace(&mut self.drag, offer) {
            old.destroy();
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
            Event::Selection { id: Some(offer) }
                if offer.data::<OfferTypes>().is_some_and(OfferTypes::is_own) =>
            {
                // The app knows what it has copied itself.
                offer.destroy();
                bridge.clipboard.selected(None);
            }
            Event::Selection { id } => {
                bridge.clipboard.selected(id);
                bridge.clipboard.send_offer(&mut bridge.app);
            }
            Event::Enter { id, .. } => bridge.clipboard.dragged(id),
            Event::Leave | Event::Drop => bridge.clipboard.dragged(None),
            _ => {}
        }
    }

    event_created_child!(Bridge, wl_data_device::WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, OfferTypes::default()),
    ]);
}

impl Dispatch<wl_data_offer::WlDataOffer, OfferTypes> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &wl_data_offer::WlDataOffer,
        event: wl_data_offer::Event,
        types: &OfferTypes,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_data_offer::Event::Offer { mime_type } = event {
            types.add(&mime_type, &bridge.clipboard.mark);
        }
    }
}

impl Dispatch<wl_data_source::WlDataSource, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        source: &wl_data_source::WlDataSource,
        event: wl_data_source::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if bridge.clipboard.source.as_ref().is_none_or(|known| known.id() != source.id()) {
            return;
        }
        match event {
            wl_data_source::Event::Send { mime_type, fd } => bridge.provide(&mime_type, fd),
            // Something else is on the clipboard now. Who pastes already still gets it.
            wl_data_source::Event::Cancelled => {
                if let Some(source) = bridge.clipboard.source.take() {
                    source.destroy();
                }
            }
            _ => {}
        }
    }
}
