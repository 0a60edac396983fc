//! wl_seat, wl_pointer and wl_keyboard: the host's input passed on to the client whose surface has the focus.
//!
//! Of what is new in versions 10 and 11 of wl_seat, a repeated key is passed on if the host says so, and a warped pointer
//! is a moved one.

use crate::client::{Client, ClientId};
use crate::object::Kind;
use crate::shell::{Done, Failure, fault};
use crate::touch::Fingers;
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, KeyEvent, PointerEvent};

/// wl_seat.error.missing_capability.
const MISSING_CAPABILITY: u32 = 0;

/// The seat as the bridge describes it.
pub struct Seat<H> {
    pub capabilities: u32,
    /// Those that it ever had: its objects may still be asked for.
    ever: u32,
    pub repeat: [i32; 2],
    pub keymap: Option<(H, u32)>,
    pub pointer_focus: u32,
    /// Serial of the pointer's enter event.
    pub enter_serial: u32,
    pub keyboard_focus: u32,
    pub keys: Vec<u32>,
    pub modifiers: [u32; 4],
    pub focus_serial: u32,
    pub cursor: Option<msg::Cursor>,
    /// The focused client's last position, for late pointers.
    pub position: [i32; 2],
    pub fingers: Fingers,
}

impl<H> Default for Seat<H> {
    fn default() -> Self {
        Self {
            capabilities: 0,
            ever: 0,
            repeat: [25, 600],
            keymap: None,
            pointer_focus: 0,
            enter_serial: 0,
            keyboard_focus: 0,
            keys: Vec::new(),
            modifiers: [0; 4],
            focus_serial: 0,
            cursor: None,
            position: [0; 2],
            fingers: Fingers::default(),
        }
    }
}

impl<P: Platform> Display<P> {
    /// wl_seat.get_pointer, get_keyboard, get_touch and release.
    pub(crate) fn seat_request(
        &mut self,
        platform: &mut P,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        let kind = match opcode {
            0 => Kind::Pointer,
            1 => Kind::Keyboard,
            2 => Kind::Touch,
            3 => {
                self.destroy(id, object);
                return Ok(());
            }
            _ => return Err(Failure::Malformed),
        };
        let new = r.u32()?;
        if self.seat.ever & 1 << opcode == 0 {
            return fault(object, MISSING_CAPABILITY, "the seat never had such a device");
        }
        self.create(id, new, kind, version)?;
        match opcode {
            0 => self.greet_pointer(id, new),
            1 => {
                self.describe_keyboard(platform, id, new);
                self.greet_keyboard(id, new);
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn seat_changed(&mut self, platform: &mut P, seat: msg::Seat, handle: Option<P::Handle>) {
        self.seat.capabilities = seat.capabilities;
        self.seat.ever |= seat.capabilities;
        self.seat.repeat = [seat.repeat_rate, seat.repeat_delay];
        if let Some(handle) = handle.filter(|_| seat.keymap_size > 0) {
            self.seat.keymap = Some((handle, seat.keymap_size));
        }
        let capabilities = self.seat.capabilities;
        self.for_objects(
            |_, kind| matches!(kind, Kind::Seat),
            |client, object, _| drop(client.event(object, 0).u32(capabilities)),
        );
        let keyboards: Vec<(ClientId, u32)> = self
            .clients
            .iter()
            .flat_map(|(id, c)| c.find(|k| matches!(k, Kind::Keyboard)).into_iter().map(|(o, _)| (*id, o)))
            .collect();
        for (client, keyboard) in keyboards {
            self.describe_keyboard(platform, client, keyboard);
        }
    }

    /// keymap and repeat_info of a new or changed keyboard.
    pub(crate) fn describe_keyboard(&mut self, platform: &mut P, client: ClientId, keyboard: u32) {
        let file = self
            .seat
            .keymap
            .as_ref()
            .and_then(|(h, size)| Some((platform.file_from_handle(h, *size)?, *size)));
        let [rate, delay] = self.seat.repeat;
        let Some(c) = self.clients.get_mut(&client) else { return };
        let version = c.objects.get(&keyboard).map_or(1, |o| o.version);
        if let Some((file, size)) = file {
            c.event_files.push_back(file);
            drop(c.event(keyboard, 0).u32(1).u32(size));
        }
        if version >= 4 {
            drop(c.event(keyboard, 5).i32(rate).i32(delay));
        }
    }

    /// A new keyboard of the client that has the focus hears of it.
    pub(crate) fn greet_keyboard(&mut self, client: ClientId, keyboard: u32) {
        let focus = self.seat.keyboard_focus;
        let Some(surface) = self.surfaces.get(&focus).filter(|s| s.client == client) else { return };
        let object = surface.object;
        let (serial, modifiers) = (self.seat.focus_serial, self.seat.modifiers);
        let keys: Vec<u8> = self.seat.keys.iter().flat_map(|k| k.to_ne_bytes()).collect();
        if let Some(c) = self.clients.get_mut(&client) {
            drop(c.event(keyboard, 1).u32(serial).u32(object).array(&keys));
            send_modifiers(c, keyboard, serial, modifiers);
        }
    }

    /// A new pointer of the client that has the pointer hears of it.
    pub(crate) fn greet_pointer(&mut self, client: ClientId, pointer: u32) {
        let focus = self.seat.pointer_focus;
        let Some(surface) = self.surfaces.get(&focus).filter(|s| s.client == client) else { return };
        let object = surface.object;
        let ([x, y], serial) = (self.seat.position, self.seat.enter_serial);
        if let Some(c) = self.clients.get_mut(&client) {
            drop(c.event(pointer, 0).u32(serial).u32(object).i32(x).i32(y));
            if c.objects.get(&pointer).is_some_and(|o| o.version >= 5) {
                drop(c.event(pointer, 5));
            }
        }
    }

    fn tell_pointers(&mut self, surface: u32, mut f: impl FnMut(&mut Client<P::File>, u32, u32)) {
        let Some(client) = self.client_of(surface).and_then(|id| self.clients.get_mut(&id)) else { return };
        for (object, version) in client.find(|k| matches!(k, Kind::Pointer)) {
            f(client, object, version);
        }
    }

    fn tell_keyboards(&mut self, surface: u32, mut f: impl FnMut(&mut Client<P::File>, u32, u32)) {
        let Some(client) = self.client_of(surface).and_then(|id| self.clients.get_mut(&id)) else { return };
        for (object, version) in client.find(|k| matches!(k, Kind::Keyboard)) {
            f(client, object, version);
        }
    }

    /// Pointer input from the host.
    pub(crate) fn pointer(&mut self, m: &msg::Pointer) {
        let object_of = |d: &Self, n: u32| d.surfaces.get(&n).map(|s| s.object);
        let focus = self.seat.pointer_focus;
        match m.event {
            PointerEvent::ENTER => {
                let Some(object) = object_of(self, m.surface) else { return };
                self.seat.pointer_focus = m.surface;
                self.seat.enter_serial = m.serial;
                self.seat.position = [m.x, m.y];
                self.tell_pointers(m.surface, |c, p, _| {
                    drop(c.event(p, 0).u32(m.serial).u32(object).i32(m.x).i32(m.y))
                });
            }
            PointerEvent::LEAVE => {
                let object = object_of(self, focus).unwrap_or(0);
                self.leave_pointer(m.serial, object);
            }
            PointerEvent::MOTION => {
                self.seat.position = [m.x, m.y];
                self.tell_pointers(focus, |c, p, _| drop(c.event(p, 2).u32(m.time).i32(m.x).i32(m.y)));
            }
            PointerEvent::BUTTON => self.tell_pointers(focus, |c, p, _| {
                drop(c.event(p, 3).u32(m.serial).u32(m.time).u32(m.button).u32(m.state & 1));
            }),
            PointerEvent::RELATIVE => self.relative_motion(m),
            PointerEvent::CONSTRAINED => self.host_constrains(m.surface, true),
            PointerEvent::UNCONSTRAINED => self.host_constrains(m.surface, false),
            PointerEvent::AXIS => self.tell_pointers(focus, |c, p, version| axis(c, p, version, m)),
            _ => self.tell_pointers(focus, |c, p, version| {
                if version >= 5 {
                    drop(c.event(p, 5));
                }
            }),
        }
    }

    /// Keyboard input from the host.
    pub(crate) fn key(&mut self, m: &msg::Key) {
        let focus = self.seat.keyboard_focus;
        match m.event {
            KeyEvent::ENTER => {
                let Some(object) = self.surfaces.get(&m.surface).map(|s| s.object) else { return };
                self.seat.keyboard_focus = m.surface;
                self.seat.focus_serial = m.serial;
                self.seat.keys = m.keys.iter().copied().filter(|k| *k != 0).collect();
                if let Some(client) = self.client_of(m.surface) {
                    self.offer_selections_to(client);
                }
                let keys: Vec<u8> = self.seat.keys.iter().flat_map(|k| k.to_ne_bytes()).collect();
                let modifiers = self.seat.modifiers;
                self.tell_keyboards(m.surface, |c, k, _| {
                    drop(c.event(k, 1).u32(m.serial).u32(object).array(&keys));
                    send_modifiers(c, k, m.serial, modifiers);
                });
            }
            KeyEvent::LEAVE => {
                let object = self.surfaces.get(&focus).map_or(0, |s| s.object);
                self.leave_keyboard(m.serial, object);
            }
            KeyEvent::KEY => {
                if m.state <= 1 {
                    self.seat.keys.retain(|k| *k != m.key);
                }
                if m.state == 1 && self.seat.keys.len() < 32 {
                    self.seat.keys.push(m.key);
                }
                // Repeats are the clients' own, where not the host does it, which came with version 10.
                self.tell_keyboards(focus, |c, k, version| {
                    if m.state <= 1 || m.state == 2 && version >= 10 {
                        drop(c.event(k, 3).u32(m.serial).u32(m.time).u32(m.key).u32(m.state));
                    }
                });
            }
            KeyEvent::INHIBITED => self.host_inhibits(m.surface, true),
            KeyEvent::UNINHIBITED => self.host_inhibits(m.surface, false),
            _ => {
                self.seat.modifiers = m.modifiers;
                self.tell_keyboards(focus, |c, k, _| send_modifiers(c, k, m.serial, m.modifiers));
            }
        }
    }

    /// A surface loses pointer, keyboard, fingers and input methods without the host saying so. One that still exists
    /// hears of it.
    pub(crate) fn drop_focus(&mut self, surface: u32) {
        self.forget_touches(surface);
        self.drop_text_focus(surface);
        let serial = self.serial();
        let object = self.surfaces.get(&surface).map_or(0, |s| s.object);
        if surface != 0 && self.seat.pointer_focus == surface {
            self.leave_pointer(serial, object);
        }
        if surface != 0 && self.seat.keyboard_focus == surface {
            self.leave_keyboard(serial, object);
        }
    }

    fn leave_pointer(&mut self, serial: u32, object: u32) {
        let focus = core::mem::take(&mut self.seat.pointer_focus);
        if object != 0 {
            self.tell_pointers(focus, |c, p, version| {
                drop(c.event(p, 1).u32(serial).u32(object));
                if version >= 5 {
                    drop(c.event(p, 5));
                }
            });
        }
    }

    fn leave_keyboard(&mut self, serial: u32, object: u32) {
        let focus = core::mem::take(&mut self.seat.keyboard_focus);
        self.seat.keys.clear();
        if object != 0 {
            self.tell_keyboards(focus, |c, k, _| drop(c.event(k, 2).u32(serial).u32(object)));
        }
    }
}

fn send_modifiers<F>(client: &mut Client<F>, keyboard: u32, serial: u32, modifiers: [u32; 4]) {
    let [depressed, latched, locked, group] = modifiers;
    drop(client.event(keyboard, 4).u32(serial).u32(depressed).u32(latched).u32(locked).u32(group));
}

/// One scroll step as the pointer's version has it.
fn axis<F>(client: &mut Client<F>, pointer: u32, version: u32, m: &msg::Pointer) {
    if version >= 5 {
        drop(client.event(pointer, 6).u32(if version < 6 { m.state.min(2) } else { m.state.min(3) }));
    }
    // wl_pointer.axis 0 is vertical.
    let axes = [(0, m.y, m.discrete[1], 2, 8), (1, m.x, m.discrete[0], 1, 4)];
    for (number, distance, steps, stop, inverted) in axes {
        if distance != 0 || steps != 0 {
            if version >= 9 {
                drop(client.event(pointer, 10).u32(number).u32(u32::from(m.button & inverted != 0)));
            }
            if version >= 8 {
                if steps != 0 {
                    drop(client.event(pointer, 9).u32(number).i32(steps));
                }
            } else if version >= 5 && steps / 120 != 0 {
                drop(client.event(pointer, 8).u32(number).i32(steps / 120));
            }
            drop(client.event(pointer, 4).u32(m.time).u32(number).i32(distance));
        }
        if m.button & stop != 0 && version >= 5 {
            drop(client.event(pointer, 7).u32(m.time).u32(number));
        }
    }
}
