//! xdg-shell: windows and popups.

use crate::client::{ClientId, Fault, display_error};
use crate::object::{Kind, Positioner};
use crate::surface::{Role, Surface};
use crate::wire::{Malformed, Reader};
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, Action, CommitFlag, Interactive, Message, Rect, State, TextField, limit};

/// Errors of xdg_wm_base.
mod base_error {
    pub const ROLE: u32 = 0;
    pub const DEFUNCT_SURFACES: u32 = 1;
    pub const NOT_THE_TOPMOST_POPUP: u32 = 2;
    pub const INVALID_POPUP_PARENT: u32 = 3;
    pub const INVALID_SURFACE_STATE: u32 = 4;
    pub const INVALID_POSITIONER: u32 = 5;
}

/// Errors of xdg_surface.
pub mod surface_error {
    pub const NOT_CONSTRUCTED: u32 = 1;
    pub const ALREADY_CONSTRUCTED: u32 = 2;
    pub const UNCONFIGURED_BUFFER: u32 = 3;
    pub const INVALID_SERIAL: u32 = 4;
    pub const INVALID_SIZE: u32 = 5;
    pub const DEFUNCT_ROLE_OBJECT: u32 = 6;
}

/// Errors of xdg_toplevel.
pub mod toplevel_error {
    pub const INVALID_RESIZE_EDGE: u32 = 0;
    pub const INVALID_PARENT: u32 = 1;
    pub const INVALID_SIZE: u32 = 2;
}

/// xdg_positioner.error.invalid_input.
const POSITIONER_INPUT: u32 = 0;
/// xdg_popup.error.invalid_grab.
const INVALID_GRAB: u32 = 0;
/// Most configures that a client may leave unacknowledged before the oldest are forgotten.
const MAX_SERIALS: usize = 1024;
/// What a compositor that does not say it can do: window menu, maximise, full screen, minimise.
const ALL_CAPABILITIES: u32 = 0b1_1110;

/// A request failed: the bytes were malformed, or the client broke a rule.
pub enum Failure {
    Malformed,
    Fault(Fault),
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// How a request ends.
pub type Done = Result<(), Failure>;

pub fn fault<T>(object: u32, code: u32, text: &'static str) -> Result<T, Failure> {
    Err(Failure::Fault(Fault { object, code, text }))
}

/// The states of a window with neighbours: one for each edge, since version 2.
const TILED: u32 = 0b1111 << 5;

fn clamp_size(value: i32) -> i32 {
    value.clamp(0, limit::SIZE)
}

impl<P: Platform> Display<P> {
    pub(crate) fn positioner_request(
        object: u32,
        positioner: &mut Positioner,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Result<(), Failure> {
        match opcode {
            1 => {
                let size = [r.i32()?, r.i32()?];
                if size.iter().any(|s| *s <= 0) {
                    return fault(object, POSITIONER_INPUT, "a size must be positive");
                }
                positioner.size = size.map(clamp_size);
            }
            2 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                if rect.width < 0 || rect.height < 0 {
                    return fault(object, POSITIONER_INPUT, "a negative anchor rectangle");
                }
                positioner.anchor_rect = Some(crate::commit::cut(rect));
            }
            3 | 4 => {
                let value = r.u32()?;
                if value > 8 {
                    return fault(object, POSITIONER_INPUT, "an unknown anchor or gravity");
                }
                if opcode == 3 {
                    positioner.anchor = value;
                } else {
                    positioner.gravity = value;
                }
            }
            5 => positioner.constraint = r.u32()? & 63,
            6 => positioner.offset = [r.i32()?, r.i32()?].map(|v| v.clamp(-limit::SIZE, limit::SIZE)),
            7 => positioner.reactive = true,
            // Parent size and configure: only needed by compositors that predict.
            8 => drop((r.i32()?, r.i32()?)),
            9 => drop(r.u32()?),
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// A request of xdg_wm_base.
    pub(crate) fn wm_base_request(
        &mut self,
        id: ClientId,
        object: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                let is_alive = |s: &Surface| s.client == id && s.wm_base == object && s.xdg_surface != 0;
                if self.surfaces.values().any(is_alive) {
                    return fault(object, base_error::DEFUNCT_SURFACES, "it has surfaces");
                }
                self.destroy(id, object);
            }
            1 => {
                let new = r.u32()?;
                self.create(id, new, Kind::Positioner(Positioner::default()), version)?;
            }
            2 => {
                let (new, surface) = (r.u32()?, r.u32()?);
                let number = self.surface_of(id, surface)?;
                self.new_xdg_surface(object, new, number)?;
                self.create(id, new, Kind::XdgSurface(number), version)?;
            }
            3 => {
                let _pong = r.u32()?;
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    fn new_xdg_surface(&mut self, base: u32, object: u32, number: u32) -> Result<(), Failure> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Err(Failure::Malformed) };
        if surface.xdg_surface != 0
            || matches!(surface.role, Role::Subsurface | Role::Cursor | Role::DragIcon)
        {
            return fault(base, base_error::ROLE, "the surface has another role");
        }
        if surface.sent.flags & CommitFlag::BUFFER != 0 {
            return fault(base, base_error::INVALID_SURFACE_STATE, "the surface has a buffer");
        }
        surface.xdg_surface = object;
        surface.wm_base = base;
        Ok(())
    }

    /// A request of xdg_surface.
    pub(crate) fn xdg_request(
        &mut self,
        id: ClientId,
        object: u32,
        number: u32,
        version: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        match opcode {
            0 => {
                if let Some(surface) = self.surfaces.get_mut(&number).filter(|s| s.xdg_surface == object) {
                    if surface.xdg_role != 0 {
                        let text = "it is destroyed before its role";
                        return fault(object, surface_error::DEFUNCT_ROLE_OBJECT, text);
                    }
                    surface.xdg_surface = 0;
                }
                self.destroy(id, object);
            }
            1 => {
                let new = r.u32()?;
                let windows = self.surfaces.values().filter(|s| s.role == Role::Toplevel && s.xdg_role != 0);
                if windows.count() >= limit::TOPLEVELS {
                    return fault(1, display_error::NO_MEMORY, "too many windows");
                }
                self.new_window(object, new, number, None)?;
                self.create(id, new, Kind::Toplevel(number), version)?;
            }
            2 => {
                let (new, parent, positioner) = (r.u32()?, r.u32()?, r.u32()?);
                let base = self.base_of(number, object);
                let parent = match self.kind_of(id, parent) {
                    Some(Kind::XdgSurface(n)) => *n,
                    _ if parent == 0 => {
                        return fault(base, base_error::INVALID_POPUP_PARENT, "a popup needs a parent");
                    }
                    _ => return Err(Failure::Malformed),
                };
                if self.surfaces.get(&parent).is_none_or(|p| p.xdg_role == 0) {
                    return fault(base, base_error::INVALID_POPUP_PARENT, "the parent is no window");
                }
                let Some(Kind::Positioner(positioner)) = self.kind_of(id, positioner) else {
                    return Err(Failure::Malformed);
                };
                let positioner = *positioner;
                check_positioner(base, &positioner)?;
                self.new_window(object, new, number, Some((parent, positioner)))?;
                self.create(id, new, Kind::Popup(number), version)?;
            }
            _ => self.xdg_surface_request(object, number, opcode, r)?,
        }
        Ok(())
    }

    /// The xdg_wm_base that errors about a window are of; `object` if it is not known any more.
    fn base_of(&self, number: u32, object: u32) -> u32 {
        self.surfaces.get(&number).map_or(object, |s| s.wm_base)
    }

    /// xdg_toplevel.destroy and xdg_popup.destroy.
    pub(crate) fn destroy_window(&mut self, id: ClientId, object: u32, number: u32) -> Done {
        // The surface may be gone, or be the window of a later object.
        if self.surfaces.get(&number).is_some_and(|s| s.xdg_role == object) {
            let is_on_it = |s: &Surface| {
                s.role == Role::Popup && s.xdg_role != 0 && !s.dismissed && s.sent.parent == number
            };
            let is_popup = matches!(self.kind_of(id, object), Some(Kind::Popup(_)));
            if is_popup && self.surfaces.values().any(is_on_it) {
                let base = self.base_of(number, object);
                return fault(base, base_error::NOT_THE_TOPMOST_POPUP, "there is a popup on this one");
            }
            self.retract(number);
            if let Some(surface) = self.surfaces.get_mut(&number) {
                surface.xdg_role = 0;
                surface.decoration = 0;
                surface.dialog = 0;
            }
        }
        self.destroy(id, object);
        Ok(())
    }

    /// xdg_surface.get_toplevel and get_popup.
    fn new_window(
        &mut self,
        xdg_surface: u32,
        object: u32,
        number: u32,
        popup: Option<(u32, Positioner)>,
    ) -> Result<(), Failure> {
        let role = if popup.is_some() { Role::Popup } else { Role::Toplevel };
        let base = self.base_of(number, xdg_surface);
        if popup.is_some_and(|(parent, _)| self.is_circle(number, parent)) {
            let text = "popups that are each other's parents, or too many";
            return fault(base, base_error::INVALID_POPUP_PARENT, text);
        }
        let Some(surface) = self.surfaces.get_mut(&number) else { return Err(Failure::Malformed) };
        if surface.xdg_role != 0 {
            let text = "the surface already is a window";
            return fault(xdg_surface, surface_error::ALREADY_CONSTRUCTED, text);
        }
        if surface.role != Role::None && surface.role != role {
            return fault(base, base_error::ROLE, "the surface has another role");
        }
        surface.role = role;
        surface.xdg_role = object;
        surface.configured = false;
        match popup {
            Some((parent, positioner)) => {
                surface.sent.parent = parent;
                Self::place(&mut surface.sent, &positioner);
            }
            // Until it asks for a decoration.
            None if !surface.kde_server => surface.sent.flags |= CommitFlag::CLIENT_DECORATION,
            None => {}
        }
        Ok(())
    }

    fn place(commit: &mut msg::Commit, positioner: &Positioner) {
        commit.size = positioner.size;
        commit.anchor_rect = positioner.anchor_rect.unwrap_or_default();
        commit.anchor = positioner.anchor;
        commit.gravity = positioner.gravity;
        commit.constraint = positioner.constraint;
        commit.position = positioner.offset;
        commit.flags &= !CommitFlag::REACTIVE;
        if positioner.reactive {
            commit.flags |= CommitFlag::REACTIVE;
        }
    }

    /// Requests of xdg_surface except destroy and the two constructors.
    pub(crate) fn xdg_surface_request(
        &mut self,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Result<(), Failure> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        match opcode {
            3 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                if surface.xdg_role == 0 {
                    return fault(object, surface_error::NOT_CONSTRUCTED, "not a window yet");
                }
                if rect.width <= 0 || rect.height <= 0 {
                    return fault(object, surface_error::INVALID_SIZE, "an empty window geometry");
                }
                surface.pending.geometry = Some(crate::commit::cut(rect));
            }
            4 => {
                let serial = r.u32()?;
                if surface.xdg_role == 0 {
                    return fault(object, surface_error::NOT_CONSTRUCTED, "not a window yet");
                }
                let Some(at) = surface.serials.iter().position(|s| *s == serial) else {
                    return fault(object, surface_error::INVALID_SERIAL, "no such configure");
                };
                surface.serials.drain(..=at);
                surface.sent.acked = serial;
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    pub(crate) fn toplevel_request(
        &mut self,
        client: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Result<(), Failure> {
        let parent_of = |display: &Self, object: u32| {
            let kind = display.clients.get(&client).and_then(|c| c.objects.get(&object)).map(|o| &o.kind);
            if let Some(Kind::Toplevel(n)) = kind { *n } else { 0 }
        };
        let mut resend = false;
        match opcode {
            1 => {
                let parent = r.u32()?;
                let parent = parent_of(self, parent);
                if self.is_circle(number, parent) {
                    let text = "windows that are each other's parents, or too many";
                    return fault(object, toplevel_error::INVALID_PARENT, text);
                }
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    surface.sent.parent = parent;
                    surface.foreign_parent = 0;
                    resend = true;
                }
            }
            2 | 3 => {
                let text = clean(r.string()?.unwrap_or(b""));
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    if opcode == 2 {
                        surface.title = text;
                    } else {
                        surface.app_id = text;
                    }
                }
                self.send_text(number, if opcode == 2 { TextField::TITLE } else { TextField::APP_ID });
            }
            4 => {
                let (_seat, serial, x, y) = (r.u32()?, r.u32()?, r.i32()?, r.i32()?);
                let cut = |v: i32| v.clamp(-limit::SIZE, limit::SIZE);
                self.interactive(Interactive {
                    surface: number,
                    action: Action::MENU,
                    serial,
                    x: cut(x),
                    y: cut(y),
                });
            }
            5 => {
                let (_seat, serial) = (r.u32()?, r.u32()?);
                self.interactive(Interactive { surface: number, action: Action::MOVE, serial, x: 0, y: 0 });
            }
            6 => {
                let (_seat, serial, edges) = (r.u32()?, r.u32()?, r.u32()?);
                if !matches!(edges, 0..=2 | 4..=6 | 8..=10) {
                    return fault(object, toplevel_error::INVALID_RESIZE_EDGE, "no such edge");
                }
                let action = Action::RESIZE + edges;
                self.interactive(Interactive { surface: number, action, serial, x: 0, y: 0 });
            }
            7 | 8 => {
                let size = [r.i32()?, r.i32()?];
                if size.iter().any(|v| *v < 0) {
                    return fault(object, toplevel_error::INVALID_SIZE, "a negative size");
                }
                let size = size.map(clamp_size);
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    if opcode == 7 {
                        surface.pending.max_size = Some(size);
                    } else {
                        surface.pending.min_size = Some(size);
                    }
                }
            }
            9..=13 => {
                if opcode == 11 {
                    // Which output is the compositor's choice.
                    let _output = r.u32()?;
                }
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    let flags = &mut surface.sent.flags;
                    match opcode {
                        9 => *flags |= CommitFlag::MAXIMIZED,
                        10 => *flags &= !CommitFlag::MAXIMIZED,
                        11 => *flags |= CommitFlag::FULLSCREEN,
                        12 => *flags &= !CommitFlag::FULLSCREEN,
                        _ => *flags |= CommitFlag::MINIMIZE,
                    }
                    resend = true;
                }
            }
            _ => return Err(Failure::Malformed),
        }
        if resend {
            self.resend(number);
            if (9..=12).contains(&opcode) {
                self.configure_alone(number);
            }
        }
        Ok(())
    }

    fn interactive(&mut self, message: Interactive) {
        self.send(&Message::Interactive(message, &[]), None);
    }

    pub(crate) fn popup_request(
        &mut self,
        client: ClientId,
        object: u32,
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Result<(), Failure> {
        match opcode {
            1 => {
                let (_seat, serial) = (r.u32()?, r.u32()?);
                self.check_grab(client, object, number)?;
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    surface.sent.flags |= CommitFlag::GRAB;
                    surface.sent.serial = serial;
                }
                let parent = self.surfaces.get(&number).map_or(0, |s| s.sent.parent);
                if self.surfaces.get(&parent).is_some_and(|p| p.dismissed) {
                    self.close(number);
                }
            }
            2 => {
                let (positioner, token) = (r.u32()?, r.u32()?);
                let kind =
                    self.clients.get(&client).and_then(|c| c.objects.get(&positioner)).map(|o| &o.kind);
                let Some(Kind::Positioner(positioner)) = kind else { return Err(Failure::Malformed) };
                let positioner = *positioner;
                check_positioner(self.base_of(number, object), &positioner)?;
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    Self::place(&mut surface.sent, &positioner);
                    surface.sent.token = token;
                    self.resend(number);
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// Whether a popup may grab: before it is shown, and on top of the popup that has the grab.
    fn check_grab(&self, client: ClientId, object: u32, number: u32) -> Done {
        let Some(surface) = self.surfaces.get(&number) else { return Ok(()) };
        if surface.mapped {
            return fault(object, INVALID_GRAB, "the popup is shown already");
        }
        let has_grab = |n: u32| {
            self.surfaces.get(&n).is_some_and(|s| {
                s.client == client
                    && s.role == Role::Popup
                    && s.xdg_role != 0
                    && !s.dismissed
                    && s.sent.flags & CommitFlag::GRAB != 0
            })
        };
        let grabbing = || self.surfaces.keys().copied().filter(|n| *n != number && has_grab(*n));
        // The topmost one is nobody's parent.
        let parents: Vec<u32> = grabbing().filter_map(|n| Some(self.surfaces.get(&n)?.sent.parent)).collect();
        let parent = surface.sent.parent;
        if grabbing().any(|n| n != parent && !parents.contains(&n)) {
            let base = self.base_of(number, object);
            return fault(base, base_error::NOT_THE_TOPMOST_POPUP, "another popup has the grab");
        }
        let on_popup = self.surfaces.get(&parent).filter(|p| p.role == Role::Popup && !p.dismissed);
        if on_popup.is_some_and(|p| p.sent.flags & CommitFlag::GRAB == 0) {
            return fault(object, INVALID_GRAB, "the popup below has no grab");
        }
        Ok(())
    }

    /// Sends a surface's state again, if the bridge knows the surface.
    pub(crate) fn resend(&mut self, number: u32) {
        if self.surfaces.get(&number).is_some_and(|s| s.announced) {
            self.send_commit(number);
        }
    }

    /// The compositor configures a window.
    pub(crate) fn configure(&mut self, configure: &msg::Configure) {
        let server_decoration = configure.server_decoration != 0;
        let Some(surface) = self.surfaces.get_mut(&configure.surface) else { return };
        if surface.xdg_role == 0 || surface.xdg_surface == 0 {
            return;
        }
        let Some(client) = self.clients.get_mut(&surface.client) else { return };
        let version = client.objects.get(&surface.xdg_role).map_or(1, |o| o.version);
        let (width, height) = (configure.width, configure.height);
        surface.configured = true;
        if surface.serials.len() >= MAX_SERIALS {
            surface.serials.remove(0);
        }
        surface.serials.push(configure.serial);
        if surface.role == Role::Popup {
            if configure.token != 0 && version >= 3 {
                drop(client.event(surface.xdg_role, 2).u32(configure.token));
            }
            drop(client.event(surface.xdg_role, 0).i32(configure.x).i32(configure.y).i32(width).i32(height));
        } else {
            for (bit, flag) in
                [(State::MAXIMIZED, CommitFlag::MAXIMIZED), (State::FULLSCREEN, CommitFlag::FULLSCREEN)]
            {
                surface.sent.flags &= !flag;
                if configure.states & bit != 0 {
                    surface.sent.flags |= flag;
                }
            }
            if version >= 4 && configure.bounds[0] > 0 {
                let [w, h] = configure.bounds;
                drop(client.event(surface.xdg_role, 2).i32(w.min(limit::SIZE)).i32(h.min(limit::SIZE)));
            }
            let capabilities =
                if configure.capabilities == 0 { ALL_CAPABILITIES } else { configure.capabilities };
            if version >= 5 && core::mem::replace(&mut surface.capabilities, capabilities) != capabilities {
                drop(client.event(surface.xdg_role, 3).array(&bits(capabilities, 4)));
            }
            let newest = match version {
                0 | 1 => 4,
                2..=5 => 8,
                6 => 9,
                _ => 13,
            };
            let mut states = configure.states;
            if version < 2 && states & TILED != 0 {
                // It knows no tiles. Maximised it draws no shadow either, which would lie over its neighbours.
                states |= State::MAXIMIZED;
            }
            let states = bits(states, newest);
            drop(client.event(surface.xdg_role, 0).i32(width).i32(height).array(&states));
            if surface.decoration != 0 {
                let mode = if server_decoration { 2 } else { 1 };
                drop(client.event(surface.decoration, 0).u32(mode));
            }
        }
        drop(client.event(surface.xdg_surface, 0).u32(configure.serial));
    }

    /// The user or the compositor closes a window.
    pub(crate) fn close(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        surface.dismissed |= surface.role == Role::Popup;
        let Some(client) = self.clients.get_mut(&surface.client) else { return };
        if surface.xdg_role != 0 {
            // xdg_toplevel.close and xdg_popup.popup_done have the same number.
            drop(client.event(surface.xdg_role, 1));
        }
    }
}

/// Whether a positioner says enough to place a popup.
fn check_positioner(base: u32, p: &Positioner) -> Done {
    if p.size.contains(&0) || p.anchor_rect.is_none() {
        return fault(base, base_error::INVALID_POSITIONER, "the positioner has no size or no anchor");
    }
    Ok(())
}

/// The numbers from 1 to `newest` whose bits are set, as an array argument.
fn bits(set: u32, newest: u32) -> Vec<u8> {
    (1..=newest).filter(|n| set & (1 << n) != 0).flat_map(u32::to_ne_bytes).collect()
}

/// Text of a client, cut to what the channel carries at a character boundary.
fn clean(text: &[u8]) -> Vec<u8> {
    let text = alloc::string::String::from_utf8_lossy(text);
    let mut end = text.len().min(limit::TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.as_bytes().get(..end).unwrap_or(b"").to_vec()
}
