//! What buffers suit a surface: `wp_fractional_scale_v1`, `wl_surface.preferred_buffer_scale` and
//! `preferred_buffer_transform`.
//!
//! The compositor's own word for a surface counts first. One that does not say it (it came with
//! `wp_fractional_scale_v1`) still says on which outputs a surface is, and the sharpest of them counts. A surface of
//! which nothing is known yet goes by its parent, and then by the sharpest output of all.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;

/// What buffers suit a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preferred {
    /// In 1/120.
    pub fraction: u32,
    /// The next larger integer scale.
    pub scale: i32,
    /// wl_output.transform.
    pub transform: u32,
}

/// Error of wp_fractional_scale_manager_v1.
const FRACTIONAL_SCALE_EXISTS: u32 = 0;
/// Longest chain of parents that is looked at.
const MAX_DEPTH: usize = 32;

impl<P: Platform> Display<P> {
    /// wp_fractional_scale_manager_v1.get_fractional_scale.
    pub(crate) fn new_fractional_scale(
        &mut self,
        id: ClientId,
        manager: u32,
        version: u32,
        r: &mut Reader<'_>,
    ) -> Done {
        let (new, surface) = (r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        if self.surfaces.get(&number).is_some_and(|s| s.scale_object != 0) {
            return fault(manager, FRACTIONAL_SCALE_EXISTS, "the surface has a fractional scale");
        }
        self.create(id, new, Kind::FractionalScale(number), version)?;
        let preferred = self.preferred(number);
        if let Some(s) = self.surfaces.get_mut(&number) {
            s.scale_object = new;
        }
        if let Some(client) = self.client(id) {
            drop(client.event(new, 0).u32(preferred.fraction));
        }
        Ok(())
    }

    /// A request of wp_fractional_scale_v1.
    pub(crate) fn fractional_scale_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
    ) -> Done {
        if opcode != 0 {
            return Err(Failure::Malformed);
        }
        if let Some(s) = self.surfaces.get_mut(&number).filter(|s| s.scale_object == object) {
            s.scale_object = 0;
        }
        self.destroy(id, object);
        Ok(())
    }

    fn preferred(&self, number: u32) -> Preferred {
        let mut at = number;
        for _ in 0..MAX_DEPTH {
            let Some(surface) = self.surfaces.get(&at) else { break };
            let own = surface.entered.iter().filter_map(|n| self.outputs.get(n));
            let transform = own.clone().next().map_or(0, |o| o.transform);
            if surface.best_scale != 0 {
                let scale = i32::try_from(surface.best_scale.div_ceil(120)).unwrap_or(1);
                return Preferred { fraction: surface.best_scale, scale, transform };
            }
            if let Some(fraction) = own.clone().map(|o| o.fraction).max() {
                let scale = own.map(|o| o.scale).max().unwrap_or(1);
                return Preferred { fraction: fraction.max(1), scale, transform };
            }
            at = surface.sent.parent;
        }
        let fraction = self.outputs.values().map(|o| o.fraction).max().filter(|f| *f > 0).unwrap_or(120);
        let scale = self.outputs.values().map(|o| o.scale).max().unwrap_or(1);
        let is_single = self.outputs.len() == 1;
        let transform = self.outputs.values().next().filter(|_| is_single).map_or(0, |o| o.transform);
        Preferred { fraction, scale, transform }
    }

    /// Tells a surface's client, if that is news.
    pub(crate) fn prefer_scale(&mut self, number: u32) {
        let preferred = self.preferred(number);
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let before = surface.told.replace(preferred);
        if before == Some(preferred) {
            return;
        }
        let Some(c) = self.clients.get_mut(&surface.client) else { return };
        if c.objects.get(&surface.object).is_some_and(|o| o.version >= 6) {
            if before.is_none_or(|b| b.scale != preferred.scale) {
                drop(c.event(surface.object, 2).i32(preferred.scale));
            }
            if before.is_none_or(|b| b.transform != preferred.transform) {
                drop(c.event(surface.object, 3).u32(preferred.transform));
            }
        }
        if surface.scale_object != 0 && before.is_none_or(|b| b.fraction != preferred.fraction) {
            drop(c.event(surface.scale_object, 0).u32(preferred.fraction));
        }
    }

    /// Something changed that other surfaces may go by, too.
    pub(crate) fn prefer_scales(&mut self) {
        let known: Vec<u32> =
            self.surfaces.iter().filter(|(_, s)| s.told.is_some()).map(|(n, _)| *n).collect();
        for number in known {
            self.prefer_scale(number);
        }
    }

    /// The compositor says what scale is best for a surface.
    pub(crate) fn host_scale(&mut self, number: u32, fraction: u32) {
        if let Some(surface) = self.surfaces.get_mut(&number).filter(|s| s.best_scale != fraction) {
            surface.best_scale = fraction;
            self.prefer_scales();
        }
    }
}
