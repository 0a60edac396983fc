//! xdg-shell: windows and popups.

use crate::client::{ClientId, Fault};
use crate::object::{Kind, Positioner};
use crate::surface::Role;
use crate::wire::{Malformed, Reader};
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, Action, CommitFlag, Interactive, Message, Rect, State, TextField, limit};

/// Errors of xdg_wm_base, xdg_surface and their kin.
mod error {
    pub const ROLE: u32 = 0;
    pub const INVALID_POSITIONER: u32 = 5;
    pub const POSITIONER_INPUT: u32 = 0;
    pub const NOT_CONSTRUCTED: u32 = 1;
    pub const ALREADY_CONSTRUCTED: u32 = 2;
}

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
                    return fault(object, error::POSITIONER_INPUT, "a size must be positive");
                }
                positioner.size = size.map(clamp_size);
            }
            2 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                if rect.width < 0 || rect.height < 0 {
                    return fault(object, error::POSITIONER_INPUT, "a negative anchor rectangle");
                }
                positioner.anchor_rect = crate::commit::cut(rect);
            }
            3 | 4 => {
                let value = r.u32()?;
                if value > 8 {
                    return fault(object, error::POSITIONER_INPUT, "an unknown anchor or gravity");
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
            8 | 9 => {}
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// xdg_wm_base.get_xdg_surface.
    pub(crate) fn new_xdg_surface(&mut self, base: u32, object: u32, number: u32) -> Result<(), Failure> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Err(Failure::Malformed) };
        if surface.xdg_surface != 0 || matches!(surface.role, Role::Subsurface | Role::Cursor) {
            return fault(base, error::ROLE, "the surface has another role");
        }
        surface.xdg_surface = object;
        Ok(())
    }

    /// xdg_surface.get_toplevel and get_popup.
    pub(crate) fn new_window(
        &mut self,
        xdg_surface: u32,
        object: u32,
        number: u32,
        popup: Option<(u32, Positioner)>,
    ) -> Result<(), Failure> {
        let role = if popup.is_some() { Role::Popup } else { Role::Toplevel };
        if popup.is_some_and(|(parent, _)| self.is_circle(number, parent)) {
            return fault(xdg_surface, error::ROLE, "popups that are each other's parents, or too many");
        }
        let Some(surface) = self.surfaces.get_mut(&number) else { return Err(Failure::Malformed) };
        if surface.xdg_role != 0 {
            return fault(xdg_surface, error::ALREADY_CONSTRUCTED, "the surface already is a window");
        }
        if surface.role != Role::None && surface.role != role {
            return fault(xdg_surface, error::ROLE, "the surface has another role");
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
        commit.anchor_rect = positioner.anchor_rect;
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
                if rect.width <= 0 || rect.height <= 0 {
                    return fault(object, 5, "an empty window geometry");
                }
                surface.pending.geometry = Some(crate::commit::cut(rect));
            }
            4 => {
                let serial = r.u32()?;
                if surface.xdg_role == 0 {
                    return fault(object, error::NOT_CONSTRUCTED, "not a window yet");
                }
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
                    return fault(object, 1, "windows that are each other's parents, or too many");
                }
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    surface.sent.parent = parent;
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
                if edges <= 10 {
                    let action = Action::RESIZE + edges;
                    self.interactive(Interactive { surface: number, action, serial, x: 0, y: 0 });
                }
            }
            7 | 8 => {
                let size = [clamp_size(r.i32()?), clamp_size(r.i32()?)];
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    if opcode == 7 {
                        surface.pending.max_size = Some(size);
                    } else {
                        surface.pending.min_size = Some(size);
                    }
                }
            }
            9..=13 => {
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
        if resend && self.surfaces.get(&number).is_some_and(|s| s.announced) {
            self.send_commit(number);
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
        number: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Result<(), Failure> {
        match opcode {
            1 => {
                let (_seat, serial) = (r.u32()?, r.u32()?);
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    surface.sent.flags |= CommitFlag::GRAB;
                    surface.sent.serial = serial;
                }
            }
            2 => {
                let (positioner, token) = (r.u32()?, r.u32()?);
                let kind =
                    self.clients.get(&client).and_then(|c| c.objects.get(&positioner)).map(|o| &o.kind);
                let Some(Kind::Positioner(positioner)) = kind else { return Err(Failure::Malformed) };
                let positioner = *positioner;
                if let Some(surface) = self.surfaces.get_mut(&number) {
                    Self::place(&mut surface.sent, &positioner);
                    surface.sent.token = token;
                    if surface.announced {
                        self.send_commit(number);
                    }
                }
            }
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    /// Whether a positioner says enough to place a popup.
    pub(crate) fn check_positioner(base: u32, p: &Positioner) -> Result<(), Failure> {
        if p.size[0] == 0 || p.anchor_rect.width == 0 && p.anchor_rect.height == 0 && p.size[1] == 0 {
            return fault(base, error::INVALID_POSITIONER, "the positioner has no size");
        }
        Ok(())
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
            let newest = match version {
                0 | 1 => 4,
                2..=5 => 8,
                _ => 9,
            };
            let states: Vec<u8> = (1..=newest)
                .filter(|state: &u32| configure.states & (1 << state) != 0)
                .flat_map(u32::to_ne_bytes)
                .collect();
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
        let Some(surface) = self.surfaces.get(&number) else { return };
        let Some(client) = self.clients.get_mut(&surface.client) else { return };
        if surface.xdg_role != 0 {
            // xdg_toplevel.close and xdg_popup.popup_done have the same number.
            drop(client.event(surface.xdg_role, 1));
        }
    }
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
