//! Drag and drop. What the pointer is over, and what source and target agree on, is the compositor's to say, also of a
//! drag between clients of this display; only the data of such a one takes the short way.

use super::{OfferOf, Owner, Use, Which};
use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{Drag, DragEvent, Message, Offer, is_mime};

/// First version of data devices with actions, and with an end that the target tells.
const ACTIONS: u32 = 3;
/// wl_data_device_manager.dnd_action copy: all that there is in older versions.
const COPY: u32 = 1;
/// wl_data_device_manager.dnd_action ask.
const ASK: u32 = 4;
/// wl_data_device.error role.
const ROLE: u32 = 0;

/// Events of wl_data_device.
mod device_event {
    pub const DATA_OFFER: u16 = 0;
    pub const ENTER: u16 = 1;
    pub const LEAVE: u16 = 2;
    pub const MOTION: u16 = 3;
    pub const DROP: u16 = 4;
}

/// Events of wl_data_source about drags.
mod source_event {
    pub const TARGET: u16 = 0;
    pub const CANCELLED: u16 = 2;
    pub const DND_DROP_PERFORMED: u16 = 3;
    pub const DND_FINISHED: u16 = 4;
    pub const ACTION: u16 = 5;
}

/// A drag that a client began.
struct Own {
    client: ClientId,
    /// 0: it is for the client itself alone.
    source: u32,
    mimes: Vec<Vec<u8>>,
    actions: u32,
}

/// A drag over a client's surface, or what was dropped there.
struct Over {
    client: ClientId,
    owner: Owner,
    /// Devices that were told, each with its offer (0 = none).
    told: Vec<(u32, u32)>,
    /// Offers of it that are not destroyed.
    offers: u32,
    accepted: bool,
    action: u32,
    dropped: bool,
}

/// Drags, as source and as target.
#[derive(Default)]
pub struct Drags {
    own: Option<Own>,
    over: Option<Over>,
    /// Counts drags over surfaces; offers of earlier ones are void.
    generation: u32,
    /// What the bridge says comes next: MIME types and actions.
    pub announced: Option<(Vec<Vec<u8>>, u32)>,
}

impl Drags {
    /// Who gives what the host wants of a client's drag.
    pub fn owner(&self) -> Owner {
        match &self.own {
            Some(own) if own.source != 0 => Owner::Client(own.client, own.source),
            _ => Owner::None,
        }
    }

    /// Who gives what a client wants of the drag over it.
    pub fn owner_over(&self, client: ClientId, generation: u32) -> Owner {
        self.present(client, generation).map_or(Owner::None, |over| over.owner)
    }

    fn present(&self, client: ClientId, generation: u32) -> Option<&Over> {
        self.over.as_ref().filter(|over| over.client == client && self.generation == generation)
    }

    fn present_mut(&mut self, client: ClientId, of: OfferOf) -> Option<&mut Over> {
        let is_drag = of.which == Which::Drag && self.generation == of.generation;
        self.over.as_mut().filter(|over| is_drag && over.client == client)
    }
}

const NOTHING: Drag = Drag { event: 0, surface: 0, serial: 0, time: 0, x: 0, y: 0, actions: 0, action: 0 };

impl<P: Platform> Display<P> {
    fn tell_bridge(&mut self, drag: Drag) {
        self.send(&Message::Drag(drag, &[]), None);
    }

    /// wl_data_device.start_drag. The compositor checks that the serial is that of a button which is held.
    pub(super) fn start_drag(
        &mut self,
        id: ClientId,
        device: u32,
        source: u32,
        [origin, icon]: [u32; 2],
        serial: u32,
    ) -> Done {
        let surface = self.surface_of(id, origin)?;
        let mut icon_number = 0;
        if icon != 0 {
            icon_number = self.surface_of(id, icon)?;
            let Some(icon) = self.surfaces.get_mut(&icon_number) else { return Err(Failure::Malformed) };
            if !matches!(icon.role, Role::None | Role::DragIcon) || icon.xdg_surface != 0 {
                return fault(device, ROLE, "the icon's surface has another role");
            }
            icon.role = Role::DragIcon;
            self.send_commit(icon_number);
        }
        let is_old = self.version_of(id, source) < ACTIONS;
        let (mut mimes, mut actions) = (Vec::new(), COPY);
        if let Some(known) = self.source(id, source) {
            known.used = Use::Drag;
            mimes.clone_from(&known.mimes);
            actions = if is_old { COPY } else { known.actions.unwrap_or(COPY) };
        }
        self.cancel_own();
        self.selections.drags.own = Some(Own { client: id, source, mimes, actions });
        let Some(own) = &self.selections.drags.own else { return Ok(()) };
        // Nothing to give, and nobody to give it to.
        if !self.connected || (source != 0 && own.mimes.is_empty()) {
            self.cancel_own();
            return Ok(());
        }
        let list = super::list(&own.mimes);
        let offer = Offer { selection: Which::Drag.number(), serial, surface, icon: icon_number, actions };
        self.send(&Message::Offer(offer, &list), None);
        Ok(())
    }

    /// A drag of a client came to nothing.
    fn cancel_own(&mut self) {
        if let Some(own) = self.selections.drags.own.take() {
            self.tell_source(&own, source_event::CANCELLED);
        }
    }

    /// An event that a source of a version which knows it gets.
    fn tell_source(&mut self, own: &Own, event: u16) {
        let is_new = self.version_of(own.client, own.source) >= ACTIONS;
        if let Some(c) = self.clients.get_mut(&own.client).filter(|_| own.source != 0 && is_new) {
            drop(c.event(own.source, event));
        }
    }

    /// What the compositor says of drags.
    pub(crate) fn host_drags(&mut self, m: &Drag, mime: &[u8]) {
        match m.event {
            DragEvent::ENTER => self.drag_enters(m),
            DragEvent::LEAVE => {
                self.tell_devices(|c, device| drop(c.event(device, device_event::LEAVE)));
                self.selections.drags.over.take_if(|over| !over.dropped);
            }
            DragEvent::MOTION => self.tell_devices(|c, device| {
                drop(c.event(device, device_event::MOTION).u32(m.time).i32(m.x).i32(m.y));
            }),
            DragEvent::DROP => {
                if let Some(over) = &mut self.selections.drags.over {
                    over.dropped = true;
                }
                self.tell_devices(|c, device| drop(c.event(device, device_event::DROP)));
            }
            DragEvent::OFFER_ACTION => self.offer_action(m.action),
            _ => self.own_drag_event(m, mime),
        }
    }

    fn own_drag_event(&mut self, m: &Drag, mime: &[u8]) {
        let Some(own) = self.selections.drags.own.take() else { return };
        let is_new = self.version_of(own.client, own.source) >= ACTIONS;
        let client = self.clients.get_mut(&own.client).filter(|_| own.source != 0);
        match m.event {
            DragEvent::TARGET => {
                if let Some(c) = client {
                    let event = c.event(own.source, source_event::TARGET);
                    drop(if mime.is_empty() { event.u32(0) } else { event.string(mime) });
                }
            }
            DragEvent::SOURCE_ACTION => {
                if let Some(c) = client.filter(|_| is_new) {
                    drop(c.event(own.source, source_event::ACTION).u32(m.action));
                }
            }
            DragEvent::DROP_PERFORMED => self.tell_source(&own, source_event::DND_DROP_PERFORMED),
            DragEvent::FINISHED => return self.tell_source(&own, source_event::DND_FINISHED),
            DragEvent::CANCELLED => return self.tell_source(&own, source_event::CANCELLED),
            _ => {}
        }
        self.selections.drags.own = Some(own);
    }

    /// An event to the devices of the client that the drag is over.
    fn tell_devices(&mut self, mut f: impl FnMut(&mut crate::client::Client<P::File>, u32)) {
        let Some(over) = &self.selections.drags.over else { return };
        let Some(client) = self.clients.get_mut(&over.client) else { return };
        for (device, _) in &over.told {
            if client.objects.get(device).is_some_and(|o| matches!(o.kind, Kind::DataDevice)) {
                f(client, *device);
            }
        }
    }

    fn drag_enters(&mut self, m: &Drag) {
        let drags = &mut self.selections.drags;
        let announced = drags.announced.take();
        drags.over = None;
        drags.generation = drags.generation.wrapping_add(1);
        let generation = drags.generation;
        let Some((client, surface)) = self.surfaces.get(&m.surface).map(|s| (s.client, s.object)) else {
            return;
        };
        let drags = &self.selections.drags;
        let (owner, mimes, actions) = match (announced, &drags.own) {
            (Some((mimes, actions)), _) => (Owner::Host, mimes, actions),
            (None, Some(own)) if own.source != 0 => (drags.owner(), own.mimes.clone(), own.actions),
            (None, Some(own)) if own.client == client => (Owner::None, Vec::new(), 0),
            // A drag without source is nobody else's business.
            (None, _) => return,
        };
        let Some(c) = self.clients.get_mut(&client) else { return };
        let (mut told, mut offers, mut knows_actions) = (Vec::new(), 0, false);
        for (device, version) in c.find(|kind| matches!(kind, Kind::DataDevice)) {
            let mut offer = 0;
            if owner != Owner::None {
                let of = OfferOf { which: Which::Drag, generation };
                let Some(made) = c.introduce(Kind::DataOffer(of), version) else { continue };
                offer = made;
                offers += 1;
                drop(c.event(device, device_event::DATA_OFFER).u32(offer));
                for mime in &mimes {
                    drop(c.event(offer, 0).string(mime));
                }
                if version >= ACTIONS {
                    knows_actions = true;
                    drop(c.event(offer, 1).u32(actions));
                }
            }
            let event = c.event(device, device_event::ENTER).u32(m.serial).u32(surface);
            drop(event.i32(m.x).i32(m.y).u32(offer));
            told.push((device, offer));
        }
        let over = Over { client, owner, told, offers, accepted: false, action: 0, dropped: false };
        self.selections.drags.over = Some(over);
        if offers > 0 && !knows_actions {
            let copy = Drag { event: DragEvent::SET_ACTIONS, actions: COPY, action: COPY, ..NOTHING };
            self.tell_bridge(copy);
        }
    }

    fn offer_action(&mut self, action: u32) {
        let Some(over) = &mut self.selections.drags.over else { return };
        over.action = action;
        let Some(c) = self.clients.get_mut(&over.client) else { return };
        for (_, offer) in &over.told {
            let is_there = |o: &crate::object::Object| {
                matches!(o.kind, Kind::DataOffer(of) if of.which == Which::Drag) && o.version >= ACTIONS
            };
            if c.objects.get(offer).is_some_and(is_there) {
                drop(c.event(*offer, 2).u32(action));
            }
        }
    }

    /// wl_data_offer.accept.
    pub(super) fn accept_drag(&mut self, id: ClientId, of: OfferOf, serial: u32, mime: &[u8]) {
        let Some(over) = self.selections.drags.present_mut(id, of) else { return };
        let mime = if is_mime(mime) { mime } else { b"" };
        over.accepted = !mime.is_empty();
        let accept = Drag { event: DragEvent::ACCEPT, serial, ..NOTHING };
        self.send(&Message::Drag(accept, mime), None);
    }

    /// wl_data_offer.set_actions.
    pub(super) fn set_drag_actions(&mut self, id: ClientId, of: OfferOf, actions: u32, action: u32) {
        let Some(over) = self.selections.drags.present_mut(id, of) else { return };
        // The user was asked, by the client, and this is the answer.
        if over.dropped && over.action == ASK && action != 0 {
            over.action = action;
        }
        self.tell_bridge(Drag { event: DragEvent::SET_ACTIONS, actions, action, ..NOTHING });
    }

    /// wl_data_offer.finish. False: there is nothing to finish yet.
    pub(super) fn finish_drag(&mut self, id: ClientId, of: OfferOf) -> bool {
        let Some(over) = self.selections.drags.present_mut(id, of) else { return true };
        if !over.dropped || !over.accepted || !matches!(over.action, 1 | 2) {
            return false;
        }
        self.selections.drags.over = None;
        self.tell_bridge(Drag { event: DragEvent::FINISH, ..NOTHING });
        true
    }

    /// wl_data_offer.destroy: of what was dropped, the end.
    pub(super) fn drag_offer_destroyed(&mut self, id: ClientId, object: u32, of: OfferOf, version: u32) {
        let Some(over) = self.selections.drags.present_mut(id, of) else { return };
        if !over.told.iter().any(|(_, offer)| *offer == object) {
            return;
        }
        over.offers = over.offers.saturating_sub(1);
        if over.offers > 0 || !over.dropped {
            return;
        }
        // Older clients have no other way to say that they have what they want.
        let event = if version < ACTIONS { DragEvent::FINISH } else { DragEvent::GIVE_UP };
        self.selections.drags.over = None;
        self.tell_bridge(Drag { event, ..NOTHING });
    }

    pub(super) fn drag_source_destroyed(&mut self, client: ClientId, source: u32) {
        let is_it = |own: &mut Own| own.client == client && own.source == source;
        if self.selections.drags.own.take_if(is_it).is_some() {
            self.tell_bridge(Drag { event: DragEvent::CANCEL, ..NOTHING });
        }
    }

    pub(super) fn drop_drags_of(&mut self, client: ClientId) {
        let drags = &mut self.selections.drags;
        let own = drags.own.take_if(|own| own.client == client);
        let over = drags.over.take_if(|over| over.client == client);
        if own.is_some() {
            self.tell_bridge(Drag { event: DragEvent::CANCEL, ..NOTHING });
        }
        if over.is_some_and(|over| over.dropped) {
            self.tell_bridge(Drag { event: DragEvent::GIVE_UP, ..NOTHING });
        }
    }

    /// A new bridge knows of no drag: those that were are over.
    pub(crate) fn end_drags(&mut self) {
        if self.selections.drags.over.as_ref().is_some_and(|over| !over.dropped) {
            self.tell_devices(|c, device| drop(c.event(device, device_event::LEAVE)));
        }
        self.selections.drags.over = None;
        self.selections.drags.announced = None;
        self.cancel_own();
    }
}
