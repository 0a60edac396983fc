//! Drags over the app's windows, and drags that begin in them.
//!
//! A drop is given to the app whatever its permissions: the user has just pointed at what and to whom. Until then the
//! app gets MIME types only, and what it asks for waits for the drop, or until the user has kept it over one of the app's
//! windows for a moment: Qt's editors and browsers look at it before they agree to have it dropped. An app that may read
//! the clipboard does not wait.

use super::files::{Granting, URI_LIST};
use super::host::OfferTypes;
use super::transfer;
use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::host::pointer::fixed;
use crate::host::seat::surface_number;
use postern_channel::{Drag, DragEvent, Message, Offer, Selection, is_mime, limit};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use wayland_client::Proxy;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::wl_data_device_manager::DndAction;
use wayland_client::protocol::{wl_data_offer, wl_data_source, wl_surface};

/// First version of a wl_data_offer with actions and an end.
const ACTIONS: u32 = 3;

/// How long something is dragged over a window before the app sees it. What is dragged past a window is not for it. Qt
/// waits for it for a second, Firefox for half of one.
const DWELL: Duration = Duration::from_millis(300);

/// A drag over the app's windows, or what was dropped on them.
struct Incoming {
    /// None: a drag of the app that is for itself alone.
    offer: Option<wl_data_offer::WlDataOffer>,
    since: Instant,
    accepted: bool,
}

impl Incoming {
    fn types(&self) -> Option<&OfferTypes> {
        self.offer.as_ref()?.data()
    }

    fn is_own(&self) -> bool {
        self.types().is_none_or(OfferTypes::is_own)
    }

    fn is(&self, id: &ObjectId) -> bool {
        self.offer.as_ref().is_some_and(|offer| offer.id() == *id)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(offer) = &self.offer {
            offer.destroy();
        }
    }
}

/// The app's drags, as target and as source.
#[derive(Default)]
pub struct Drags {
    over: Option<Incoming>,
    dropped: Option<Incoming>,
    /// The app is not told of the drop before this is done.
    pub granting: Option<Granting>,
    /// The drag left after the drop; the app is to hear of it after it too.
    left: bool,
    /// What the app asked for before the drop: transfer and MIME type.
    held: Vec<(u32, String)>,
    source: Option<Outgoing>,
}

/// What the app drags.
struct Outgoing(wl_data_source::WlDataSource);

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl Drags {
    /// What is over a window, else what was dropped there.
    fn last(&self) -> Option<&Incoming> {
        self.over.as_ref().or(self.dropped.as_ref())
    }

    /// How long what the app asked for has still to wait; `None`: for a drop, or there is nothing.
    pub fn held_for(&self, now: Instant) -> Option<Duration> {
        let over = self.over.as_ref().filter(|_| !self.held.is_empty())?;
        Some(DWELL.saturating_sub(now.saturating_duration_since(over.since)))
    }

    pub fn readable(&self) -> Option<&OwnedFd> {
        self.granting.as_ref()?.readable()
    }

    pub fn is_waiting(&self) -> bool {
        self.granting.is_some()
    }

    pub fn waits_for(&self, question: u32) -> bool {
        self.granting.as_ref().is_some_and(|granting| granting.waits_for(question))
    }
}

const NOTHING: Drag = Drag { event: 0, surface: 0, serial: 0, time: 0, x: 0, y: 0, actions: 0, action: 0 };

impl Bridge {
    fn tell_drag(&mut self, event: u32) {
        self.app.send(&Message::Drag(Drag { event, ..NOTHING }, &[]));
    }

    /// Something is dragged over a window.
    pub(super) fn drag_enters(
        &mut self,
        serial: u32,
        surface: &wl_surface::WlSurface,
        (x, y): (f64, f64),
        offer: Option<wl_data_offer::WlDataOffer>,
    ) {
        if self.selections.drags.granting.is_some() {
            // Nobody waits for the files of a drop that is not the last.
            self.drop_now();
        }
        self.forget_held();
        let over = Incoming { offer, since: Instant::now(), accepted: false };
        let (list, actions) = over.types().map(|types| (types.list(), types.actions().0)).unwrap_or_default();
        let is_own = over.is_own();
        self.selections.drags.over = Some(over);
        let Some(surface) = surface_number(surface) else { return };
        if !is_own {
            let offer = Offer { selection: Selection::DRAG, actions, ..Offer::default() };
            self.app.send(&Message::Offer(offer, &list));
        }
        let enter = Drag { event: DragEvent::ENTER, surface, serial, x: fixed(x), y: fixed(y), ..NOTHING };
        self.app.send(&Message::Drag(enter, &[]));
    }

    pub(super) fn drag_moves(&mut self, time: u32, (x, y): (f64, f64)) {
        let motion = Drag { event: DragEvent::MOTION, time, x: fixed(x), y: fixed(y), ..NOTHING };
        self.app.send(&Message::Drag(motion, &[]));
    }

    pub(super) fn drag_leaves(&mut self) {
        let drags = &mut self.selections.drags;
        drags.over = None;
        if drags.granting.is_some() {
            drags.left = true;
            return;
        }
        self.forget_held();
        self.tell_drag(DragEvent::LEAVE);
    }

    /// What the app asked for will not come.
    fn forget_held(&mut self) {
        for (transfer, _) in std::mem::take(&mut self.selections.drags.held) {
            self.refuse(transfer);
        }
    }

    /// The user dropped it on the app.
    pub(super) fn drag_drops(&mut self) {
        let has_monitor = self.control.fd().is_some();
        let drags = &mut self.selections.drags;
        drags.dropped = drags.over.take();
        let Some(dropped) = &drags.dropped else { return };
        // Of the app's own drag, data does not come this way, and names nothing that is new to it.
        let has_files = !dropped.is_own() && dropped.types().is_some_and(|types| types.has(URI_LIST));
        if has_files
            && has_monitor
            && let (Some(offer), Ok((read, write))) = (&dropped.offer, transfer::pipe())
        {
            offer.receive(URI_LIST.into(), write.as_fd());
            drags.granting = Some(Granting::new(read));
        } else {
            self.drop_now();
        }
    }

    /// Tells the app of the drop, and gives it what it has asked for already.
    pub(super) fn drop_now(&mut self) {
        let drags = &mut self.selections.drags;
        drags.granting = None;
        let left = std::mem::take(&mut drags.left);
        self.tell_drag(DragEvent::DROP);
        self.serve_held();
        if left {
            self.tell_drag(DragEvent::LEAVE);
        }
    }

    /// The app wants what is dragged over it or was dropped on it.
    pub(super) fn drag_requested(&mut self, transfer: u32, mime: &str) {
        let drags = &mut self.selections.drags;
        if drags.held.len() >= limit::TRANSFERS {
            return self.refuse(transfer);
        }
        drags.held.push((transfer, mime.into()));
        if drags.granting.is_none() && (drags.over.is_none() || self.selections.may_read) {
            self.serve_held();
        }
    }

    /// Gives the app what it asked for when the user has kept it over a window for long enough.
    pub fn tend_drag(&mut self, now: Instant) {
        if self.selections.drags.held_for(now) == Some(Duration::ZERO) {
            self.serve_held();
        }
    }

    fn serve_held(&mut self) {
        for (transfer, mime) in std::mem::take(&mut self.selections.drags.held) {
            self.serve_drag(transfer, &mime);
        }
    }

    fn serve_drag(&mut self, transfer: u32, mime: &str) {
        let has_it =
            self.selections.drags.last().and_then(Incoming::types).is_some_and(|types| types.has(mime));
        if !has_it {
            return self.refuse(transfer);
        }
        let write = self.read_drop(transfer);
        let offer = self.selections.drags.last().and_then(|last| last.offer.as_ref());
        if let (Some(offer), Some(write)) = (offer, write) {
            offer.receive(mime.into(), write.as_fd());
        }
    }

    /// The compositor chose what a drop would do, or does.
    pub(super) fn drag_action(&mut self, offer: &ObjectId, action: u32) {
        let drags = &self.selections.drags;
        if [&drags.over, &drags.dropped].into_iter().flatten().any(|one| one.is(offer)) {
            self.app.send(&Message::Drag(Drag { event: DragEvent::OFFER_ACTION, action, ..NOTHING }, &[]));
        }
    }

    /// What the app says to a drag.
    pub fn app_drag(&mut self, drag: Drag, mime: &[u8]) -> Result<(), BridgeError> {
        let drags = &mut self.selections.drags;
        match drag.event {
            DragEvent::ACCEPT => {
                let mime = std::str::from_utf8(mime).ok().filter(|mime| is_mime(mime.as_bytes()));
                if let Some(one) = drags.over.as_mut().or(drags.dropped.as_mut())
                    && let Some(offer) = &one.offer
                {
                    one.accepted = mime.is_some();
                    offer.accept(drag.serial, mime.map(str::to_owned));
                }
            }
            DragEvent::SET_ACTIONS => {
                if drag.action != 0 && drag.action & drag.actions == 0 {
                    return Err(malformed("a wish for an action that it does not take"));
                }
                if let Some(offer) =
                    drags.last().and_then(|one| one.offer.as_ref()).filter(|o| o.version() >= ACTIONS)
                {
                    let action = DndAction::from_bits_truncate;
                    offer.set_actions(action(drag.actions), action(drag.action));
                }
            }
            DragEvent::FINISH => {
                // Compositors take it as an error where nothing was agreed on.
                if let Some(dropped) = drags.dropped.take()
                    && dropped.accepted
                    && let Some(offer) = dropped.offer.as_ref().filter(|offer| offer.version() >= ACTIONS)
                    && dropped.types().is_some_and(|types| matches!(types.actions().1, 1 | 2))
                {
                    offer.finish();
                }
            }
            DragEvent::GIVE_UP => drags.dropped = None,
            DragEvent::CANCEL => drags.source = None,
            _ => return Err(malformed("a drag message that only a bridge sends")),
        }
        Ok(())
    }

    /// The app begins a drag. The compositor checks that the user holds a button down in that window.
    pub(super) fn app_drags(&mut self, wish: Offer, mimes: &[&str]) {
        let drags = &mut self.selections.drags;
        drags.source = None;
        let Some(super::Device::Data(device)) = &self.selections.clipboard.device else {
            return self.tell_drag(DragEvent::CANCELLED);
        };
        let Some(origin) = self.surfaces.wl_surface(wish.surface) else {
            return self.tell_drag(DragEvent::CANCELLED);
        };
        let icon = self.surfaces.host_icon(wish.icon);
        if mimes.is_empty() {
            device.start_drag(None, origin, icon, wish.serial);
            return;
        }
        let Some(manager) = &self.globals.data_devices else { return };
        let source = manager.create_data_source(&self.queue, Selection::DRAG);
        let foreign = mimes.iter().filter(|mime| !mime.starts_with(super::host::MARK));
        foreign.for_each(|mime| source.offer((*mime).to_owned()));
        source.offer(self.selections.mark.clone());
        if source.version() >= ACTIONS {
            source.set_actions(DndAction::from_bits_truncate(wish.actions));
        }
        device.start_drag(Some(&source), origin, icon, wish.serial);
        self.selections.drags.source = Some(Outgoing(source));
    }

    /// What becomes of the app's drag.
    pub(super) fn drag_source_event(&mut self, id: &ObjectId, event: wl_data_source::Event) {
        use wl_data_source::Event;
        if self.selections.drags.source.as_ref().is_none_or(|known| known.0.id() != *id) {
            return;
        }
        match event {
            Event::Send { mime_type, fd } => self.provide(Selection::DRAG, &mime_type, fd),
            Event::Target { mime_type } => {
                let mime = mime_type.filter(|mime| is_mime(mime.as_bytes())).unwrap_or_default();
                let target = Drag { event: DragEvent::TARGET, ..NOTHING };
                self.app.send(&Message::Drag(target, mime.as_bytes()));
            }
            Event::Action { dnd_action } => {
                let action = super::host::bits(dnd_action) & 7;
                self.app
                    .send(&Message::Drag(Drag { event: DragEvent::SOURCE_ACTION, action, ..NOTHING }, &[]));
            }
            Event::DndDropPerformed => self.tell_drag(DragEvent::DROP_PERFORMED),
            Event::DndFinished => {
                self.selections.drags.source = None;
                self.tell_drag(DragEvent::FINISHED);
            }
            Event::Cancelled => {
                self.selections.drags.source = None;
                self.tell_drag(DragEvent::CANCELLED);
            }
            _ => {}
        }
    }
}
