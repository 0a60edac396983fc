//! Requests to the objects of data devices and primary selections.

use super::{OfferOf, Owner, Source, Use, Which};
use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{is_mime, limit};

/// wl_data_source.error.
mod source_error {
    pub const INVALID_ACTION_MASK: u32 = 0;
    pub const INVALID_SOURCE: u32 = 1;
}

/// wl_data_offer.error.
mod offer_error {
    pub const INVALID_FINISH: u32 = 0;
    pub const INVALID_ACTION_MASK: u32 = 1;
    pub const INVALID_ACTION: u32 = 2;
    pub const INVALID_OFFER: u32 = 3;
}

/// wl_data_device.error.
mod device_error {
    pub const USED_SOURCE: u32 = 1;
}

/// All wl_data_device_manager.dnd_action bits.
const ALL_ACTIONS: u32 = 7;

impl<P: Platform> Display<P> {
    /// The state of a source object.
    pub(super) fn source(&mut self, id: ClientId, object: u32) -> Option<&mut Source> {
        match self.clients.get_mut(&id)?.objects.get_mut(&object).map(|o| &mut o.kind)? {
            Kind::DataSource(source) | Kind::PrimarySource(source) => Some(source),
            _ => None,
        }
    }

    /// The version of an object.
    pub(super) fn version_of(&self, id: ClientId, object: u32) -> u32 {
        self.clients.get(&id).and_then(|c| c.objects.get(&object)).map_or(0, |o| o.version)
    }

    /// Data device and primary selection.
    pub(crate) fn data_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let Some(kind) = self.kind_of(id, object) else { return Ok(()) };
        match (kind, opcode) {
            (Kind::DataDeviceManager, 0) => {
                let new = r.u32()?;
                self.create(id, new, Kind::DataSource(Source::default()), version)?;
            }
            (Kind::DataDeviceManager, 1) => {
                let (new, _seat) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::DataDevice, version)?;
                self.greet_device(Which::Clipboard, id);
            }
            (Kind::PrimaryManager, 0) => {
                let new = r.u32()?;
                self.create(id, new, Kind::PrimarySource(Source::default()), version)?;
            }
            (Kind::PrimaryManager, 1) => {
                let (new, _seat) = (r.u32()?, r.u32()?);
                self.create(id, new, Kind::PrimaryDevice, version)?;
                self.greet_device(Which::Primary, id);
            }
            (Kind::DataSource(_) | Kind::PrimarySource(_), 0) => {
                let mime = r.string()?.ok_or(Failure::Malformed)?;
                if let Some(source) = self.source(id, object)
                    && source.mimes.len() < limit::MIMES
                    && is_mime(mime)
                {
                    source.mimes.push(mime.to_vec());
                }
            }
            (Kind::DataSource(_) | Kind::PrimarySource(_), 1) => {
                self.destroy(id, object);
                self.source_destroyed(id, object);
            }
            (Kind::DataSource(_), 2) if version >= 3 => self.source_actions(id, object, r.u32()?)?,
            (Kind::DataDevice, 0) => {
                let [source, origin, icon, serial] = [r.u32()?, r.u32()?, r.u32()?, r.u32()?];
                self.check_source(id, object, source, Use::Drag)?;
                self.start_drag(id, object, source, [origin, icon], serial)?;
            }
            (Kind::DataDevice, 1) => {
                let (source, serial) = (r.u32()?, r.u32()?);
                self.check_source(id, object, source, Use::Selection)?;
                self.set_selection(Which::Clipboard, id, source, serial);
            }
            (Kind::PrimaryDevice, 0) => {
                let (source, serial) = (r.u32()?, r.u32()?);
                if source != 0 && !matches!(self.kind_of(id, source), Some(Kind::PrimarySource(_))) {
                    return Err(Failure::Malformed);
                }
                self.set_selection(Which::Primary, id, source, serial);
            }
            (Kind::DataOffer(of), _) => {
                let of = *of;
                self.offer_request(platform, (id, object, version), of, opcode, r)?;
            }
            (Kind::PrimaryOffer(of), 0) => {
                let of = *of;
                self.receive_offer(platform, id, of, r)?;
            }
            // Destructors.
            (Kind::DataDevice, 2) if version >= 2 => self.destroy(id, object),
            (Kind::PrimaryManager, 2) | (Kind::PrimaryOffer(_) | Kind::PrimaryDevice, 1) => {
                self.destroy(id, object);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// Whether a client may use a wl_data_source of its own so. The one that is the selection may become it again.
    fn check_source(&mut self, id: ClientId, device: u32, object: u32, wanted: Use) -> Done {
        if object == 0 {
            return Ok(());
        }
        let Some(Kind::DataSource(source)) = self.kind_of(id, object) else { return Err(Failure::Malformed) };
        if source.used != Use::Nothing && (source.used, wanted) != (Use::Selection, Use::Selection) {
            return fault(device, device_error::USED_SOURCE, "the source was used already");
        }
        if wanted == Use::Selection && source.actions.is_some() {
            return fault(object, source_error::INVALID_SOURCE, "a source with actions is for drags");
        }
        Ok(())
    }

    /// wl_data_source.set_actions.
    fn source_actions(&mut self, id: ClientId, object: u32, actions: u32) -> Done {
        let Some(source) = self.source(id, object) else { return Ok(()) };
        if actions & !ALL_ACTIONS != 0 {
            return fault(object, source_error::INVALID_ACTION_MASK, "unknown actions");
        }
        if source.actions.is_some() {
            return fault(object, source_error::INVALID_ACTION_MASK, "actions were set already");
        }
        if source.used != Use::Nothing {
            return fault(object, source_error::INVALID_SOURCE, "actions of a source that is in use");
        }
        source.actions = Some(actions);
        Ok(())
    }

    fn offer_request(
        &mut self,
        platform: &mut P,
        (id, object, version): (ClientId, u32, u32),
        of: OfferOf,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                let serial = r.u32()?;
                let mime = r.string()?.unwrap_or(b"");
                self.accept_drag(id, of, serial, mime);
            }
            1 => self.receive_offer(platform, id, of, r)?,
            2 => {
                self.destroy(id, object);
                self.drag_offer_destroyed(id, object, of, version);
            }
            3 if version >= 3 => {
                if of.which != Which::Drag || !self.finish_drag(id, of) {
                    return fault(object, offer_error::INVALID_FINISH, "nothing was dropped and agreed on");
                }
            }
            4 if version >= 3 => {
                let (actions, preferred) = (r.u32()?, r.u32()?);
                if (actions | preferred) & !ALL_ACTIONS != 0 {
                    return fault(object, offer_error::INVALID_ACTION_MASK, "unknown actions");
                }
                if preferred.count_ones() > 1 || preferred & !actions != 0 {
                    return fault(object, offer_error::INVALID_ACTION, "an invalid preferred action");
                }
                if of.which != Which::Drag {
                    return fault(object, offer_error::INVALID_OFFER, "the offer is no drag");
                }
                self.set_drag_actions(id, of, actions, preferred);
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// wl_data_offer.receive and zwp_primary_selection_offer_v1.receive.
    fn receive_offer(&mut self, platform: &mut P, id: ClientId, of: OfferOf, r: &mut Reader<'_>) -> Done {
        let mime: Vec<u8> = r.string()?.ok_or(Failure::Malformed)?.to_vec();
        let Some(file) = self.client(id).and_then(|c| c.files.pop_front()) else {
            return Err(Failure::Malformed);
        };
        let owner = match of.which {
            Which::Drag => self.selections.drags.owner_over(id, of.generation),
            which => {
                let slot = self.selections.slot(which);
                if slot.generation == of.generation { slot.owner } else { Owner::None }
            }
        };
        self.hand_over(platform, of.which, owner, &mime, file);
        Ok(())
    }
}
