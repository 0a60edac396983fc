//! wl_touch: the host's fingers, each passed on to the client whose surface it touched first.

use crate::client::ClientId;
use crate::object::Kind;
use crate::wire::Writer;
use crate::{Display, Platform};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use postern_channel::{self as msg, TouchEvent};

/// Most fingers at a time.
const MAX_FINGERS: usize = 64;

/// Fingers on the app's surfaces.
#[derive(Default)]
pub struct Fingers {
    /// Finger → surface.
    down: BTreeMap<i32, u32>,
    /// Clients that got events since the last frame.
    unframed: Vec<ClientId>,
}

impl<P: Platform> Display<P> {
    /// Touch input from the host.
    pub(crate) fn touch(&mut self, m: &msg::Touch) {
        match m.event {
            TouchEvent::DOWN => {
                let Some(object) = self.surfaces.get(&m.surface).map(|s| s.object).filter(|o| *o != 0) else {
                    return;
                };
                let down = &mut self.seat.fingers.down;
                if down.len() >= MAX_FINGERS && !down.contains_key(&m.id) {
                    return;
                }
                down.insert(m.id, m.surface);
                self.tell_finger(m.id, 0, |e| {
                    drop(e.u32(m.serial).u32(m.time).u32(object).i32(m.id).i32(m.x).i32(m.y));
                });
            }
            TouchEvent::UP => {
                self.tell_finger(m.id, 1, |e| drop(e.u32(m.serial).u32(m.time).i32(m.id)));
                self.seat.fingers.down.remove(&m.id);
            }
            TouchEvent::MOTION => {
                self.tell_finger(m.id, 2, |e| drop(e.u32(m.time).i32(m.id).i32(m.x).i32(m.y)));
            }
            TouchEvent::SHAPE => self.tell_finger(m.id, 5, |e| drop(e.i32(m.id).i32(m.x).i32(m.y))),
            TouchEvent::ORIENTATION => self.tell_finger(m.id, 6, |e| drop(e.i32(m.id).i32(m.x))),
            TouchEvent::CANCEL => self.cancel_touch(),
            _ => {
                for client in core::mem::take(&mut self.seat.fingers.unframed) {
                    self.tell_touch(client, 3);
                }
            }
        }
    }

    /// Fingers on the app's surfaces are nobody's any more.
    pub(crate) fn cancel_touch(&mut self) {
        let fingers = core::mem::take(&mut self.seat.fingers);
        let mut clients = fingers.unframed;
        clients.extend(fingers.down.into_values().filter_map(|surface| self.client_of(surface)));
        clients.sort_unstable();
        clients.dedup();
        for client in clients {
            self.tell_touch(client, 4);
        }
    }

    /// A surface is gone: what touches it means nothing any more.
    pub(crate) fn forget_touches(&mut self, surface: u32) {
        self.seat.fingers.down.retain(|_, at| *at != surface);
    }

    /// An event about one finger. Shape and orientation came with version 6.
    fn tell_finger(&mut self, finger: i32, opcode: u16, write: impl Fn(Writer<'_>)) {
        let Some(client) = self.seat.fingers.down.get(&finger).and_then(|s| self.client_of(*s)) else {
            return;
        };
        let Some(c) = self.clients.get_mut(&client) else { return };
        for (touch, version) in c.find(|k| matches!(k, Kind::Touch)) {
            if version >= 6 || opcode < 5 {
                write(c.event(touch, opcode));
            }
        }
        if !self.seat.fingers.unframed.contains(&client) {
            self.seat.fingers.unframed.push(client);
        }
    }

    /// frame or cancel.
    fn tell_touch(&mut self, client: ClientId, opcode: u16) {
        let Some(c) = self.clients.get_mut(&client) else { return };
        for (touch, _) in c.find(|k| matches!(k, Kind::Touch)) {
            drop(c.event(touch, opcode));
        }
    }
}
