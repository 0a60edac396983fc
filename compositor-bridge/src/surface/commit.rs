//! What a commit, a text and an interactive request of the app do.

use super::{HostRole, Surface, state};
use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::control::Report;
use postern_channel::{
    Action, Commit, CommitFlag, Frame, Interactive, Message, Role, Text, TextField, limit,
};
use wayland_client::Proxy;
use wayland_protocols::xdg::shell::client::xdg_toplevel::ResizeEdge;

/// Most buffers of one surface that may wait for their release. More than fit into the socket of a compositor that is
/// stuck, so that such a one holds the app up instead.
const HELD: usize = 4096;
/// What the shadows around a popup may add to a size.
const SHADOW: i32 = 128;

impl Bridge {
    /// Takes the whole state of a surface, and shows it as far as parents and configures allow now.
    pub fn commit(&mut self, commit: Commit) -> Result<(), BridgeError> {
        let number = commit.surface;
        state::check_viewport(&commit)?;
        if matches!(commit.role, Role::POPUP | Role::SUBSURFACE) && commit.parent == 0 {
            return Err(malformed("a popup or subsurface without parent"));
        }
        if commit.parent != 0 && self.surfaces.is_circle(number, commit.parent) {
            return Err(malformed("surfaces that are each other's parents"));
        }
        let is_known_toplevel = self
            .surfaces
            .get(number)
            .and_then(|surface| surface.last)
            .is_some_and(|last| last.role == Role::TOPLEVEL);
        if commit.role == Role::TOPLEVEL
            && !is_known_toplevel
            && self.surfaces.toplevels() >= limit::TOPLEVELS
        {
            return Err(malformed("too many windows"));
        }
        let has_buffer = commit.flags & CommitFlag::BUFFER != 0;
        let is_new = has_buffer && !self.surfaces.get(number).is_some_and(|s| s.knows(commit.buffer));
        let made = if is_new { Some(self.make_buffer(&commit)?) } else { None };

        let surface = self.surfaces.get_or_make(number).ok_or_else(|| malformed("too many surfaces"))?;
        if surface.host.as_ref().is_some_and(|host| host.held.len() >= HELD) {
            return Err(malformed("too many buffers before the first comes back"));
        }
        // A buffer that was never shown goes back when another one takes its place.
        let keeps_next = has_buffer && surface.next.as_ref().is_some_and(|next| next.number == commit.buffer);
        let replaced = if keeps_next { None } else { std::mem::replace(&mut surface.next, made) };
        surface.damage = state::union(surface.damage, commit.damage);
        surface.frame_wanted |= commit.flags & CommitFlag::FRAME != 0;
        surface.dismissed &= commit.role == Role::POPUP && has_buffer;
        let before = surface.last.replace(commit).map_or(0, |last| last.feedback);
        // An update that never reached the compositor, and now never will.
        let lost = before != 0 && before != commit.feedback && before != surface.asked;
        if let Some(replaced) = replaced {
            self.release(replaced);
        }
        if lost {
            self.discard(number, before);
        }
        self.apply(number);
        Ok(())
    }

    /// Shows a surface as far as it can be shown now, and then those that waited for it.
    pub fn apply(&mut self, number: u32) {
        let mut waiting = vec![number];
        while let Some(number) = waiting.pop() {
            if self.apply_one(number) {
                waiting.extend(self.surfaces.children(number));
            }
        }
    }

    /// Returns whether children may have waited for what happened.
    fn apply_one(&mut self, number: u32) -> bool {
        let Some(last) = self.surfaces.get(number).and_then(|surface| surface.last) else { return false };
        if self.must_begin_anew(number, &last) {
            self.remove_host(number);
        }
        if last.role == Role::NONE || self.surfaces.get(number).is_some_and(|surface| surface.dismissed) {
            return false;
        }
        let is_unmapped =
            last.flags & CommitFlag::BUFFER == 0 && self.surfaces.get(number).is_some_and(Surface::is_mapped);
        if is_unmapped {
            // Windows that come back are new windows to the compositor: mapping the same one again is where
            // compositors are least tested.
            self.remove_host(number);
            return false;
        }
        let is_made = self.surfaces.get(number).is_some_and(|surface| surface.host.is_none());
        if is_made && !self.make_host(number, &last) {
            return false;
        }
        let was_mapped = self.surfaces.get(number).is_some_and(Surface::is_mapped);
        self.update_role(number, &last);
        if !self.may_attach(number, &last) {
            return is_made;
        }
        if last.role == Role::POPUP && self.is_too_large(&last) {
            self.dismiss(number);
            self.control.report(&Report::Refused { what: "a popup that covers the screen".into() });
            return false;
        }
        let structure = self.update_subsurface(number, &last);
        if last.role == Role::TOPLEVEL {
            self.update_border(number, &last);
        }
        self.update_wants(number, &last);
        self.ask_feedback(number, &last);
        let is_copied = self.is_copied(last.pool);
        let Some(surface) = self.surfaces.get_mut(number) else { return false };
        if surface.push(number, &self.globals, &self.queue) {
            self.frames = self.frames.saturating_add(1);
            self.copied = self.copied.saturating_add(u64::from(is_copied));
        }
        if let Some(shell) = surface.host.as_mut().and_then(super::Host::shell_mut) {
            shell.mapped = true;
        }
        if last.role == Role::TOPLEVEL
            && let Some(surface) = self.surfaces.wl_surface(number)
        {
            self.attention.shown(surface, &self.globals);
        }
        if last.role == Role::CURSOR && self.pointing.wanted.is_some_and(|c| c.surface == number) && is_made {
            self.show_cursor();
        }
        if structure {
            self.commit_parent(last.parent);
        }
        is_made || !was_mapped && surface_is_shell(&last)
    }

    /// Whether a popup could cover a screen, so that a user cannot tell it from the desktop: nine tenths of the largest,
    /// shadows not counted. One on a window that fills the screen itself may do so, too, but no popup is larger than
    /// the screen with a shadow.
    fn is_too_large(&self, last: &Commit) -> bool {
        let (most_width, most_height) = self.outputs.extent();
        let Some((width, height)) = state::surface_size(last) else { return false };
        if most_width <= 0 || most_height <= 0 {
            return false;
        }
        if width > most_width.saturating_add(SHADOW) || height > most_height.saturating_add(SHADOW) {
            return true;
        }
        let area = |(width, height): (i32, i32)| i64::from(width) * i64::from(height);
        let covers = |size: (i32, i32)| area(size) * 10 > area((most_width, most_height)) * 9;
        // A geometry that leaves out more than shadows is not believed.
        let shown =
            |whole: i32, part: i32| if part > 0 { part.max(whole - SHADOW).min(whole) } else { whole };
        let shown = (shown(width, last.geometry.width), shown(height, last.geometry.height));
        covers(shown) && !self.window_below(last.parent).is_some_and(covers)
    }

    /// The size of the window that a popup is on, through the popups between them.
    fn window_below(&self, parent: u32) -> Option<(i32, i32)> {
        let mut at = parent;
        for _ in 0..limit::SURFACES {
            let surface = self.surfaces.get(at)?;
            let last = surface.last?;
            if last.role == Role::TOPLEVEL {
                return surface.window_size();
            }
            at = last.parent;
        }
        None
    }

    /// The host side is of another role or of another parent than the commit says.
    fn must_begin_anew(&self, number: u32, last: &Commit) -> bool {
        let Some(host) = self.surfaces.get(number).and_then(|surface| surface.host.as_ref()) else {
            return false;
        };
        host.role.number() != last.role
            || match &host.role {
                HostRole::Subsurface(_, parent) => *parent != last.parent,
                HostRole::Popup(popup) => popup.parent != last.parent,
                HostRole::Toplevel(_) | HostRole::Cursor | HostRole::DragIcon => false,
            }
    }

    /// For toplevels and popups: acknowledges, and asks for the first configure. Returns whether the buffer may be attached now.
    fn may_attach(&mut self, number: u32, last: &Commit) -> bool {
        let Some(surface) = self.surfaces.get_mut(number) else { return false };
        let Some(host) = surface.host.as_mut() else { return false };
        let wl_surface = host.surface.clone();
        let Some(shell) = host.shell_mut() else { return true };
        if let Some(at) = shell.serials.iter().position(|&serial| serial == last.acked) {
            shell.acknowledge(at);
        }
        if last.flags & CommitFlag::BUFFER == 0 {
            shell.started = true;
            wl_surface.commit();
            return false;
        }
        // A window of an earlier bridge, which was configured there: it follows this compositor's wishes in its next
        // commit, and shows what it has until then.
        if !shell.configured
            && let Some(newest) = shell.serials.len().checked_sub(1)
        {
            shell.acknowledge(newest);
        }
        if !shell.configured && !shell.started {
            shell.started = true;
            wl_surface.commit();
        }
        shell.configured
    }

    /// Position and order of a subsurface come into force with its parent's next commit.
    fn commit_parent(&self, parent: u32) {
        let Some(host) = self.surfaces.get(parent).and_then(|parent| parent.host.as_ref()) else { return };
        if host.shell().is_none_or(|shell| shell.mapped) {
            host.surface.commit();
        }
    }

    /// Title or application id.
    pub fn text(&mut self, text: Text, bytes: &[u8]) -> Result<(), BridgeError> {
        let words = std::str::from_utf8(bytes).map_err(|_| malformed("a text that is not UTF-8"))?;
        let words: String = words.chars().filter(|&c| is_printed(c)).collect();
        let surface =
            self.surfaces.get_or_make(text.surface).ok_or_else(|| malformed("too many surfaces"))?;
        match text.field {
            TextField::TITLE => surface.title = Some(words),
            _ => surface.app_id = Some(words),
        }
        self.update_texts(text.surface);
        Ok(())
    }

    /// Interactive move and resize, the window menu, activation and the bell. The compositor checks the serial.
    pub fn interactive(&mut self, request: Interactive) -> Result<(), BridgeError> {
        let Self { attention, globals, queue, surfaces, input, .. } = self;
        let window = surfaces.wl_surface(request.surface);
        match request.action {
            Action::BELL => {
                attention.ring(window, globals);
                return Ok(());
            }
            Action::ACTIVATE => {
                if window.is_some() {
                    let from = surfaces.wl_surface(input.keyboard_focus);
                    let seat = input.seat.as_ref();
                    attention.ask(request.surface, request.serial, from, seat, globals, queue);
                }
                return Ok(());
            }
            _ => {}
        }
        let Some(HostRole::Toplevel(toplevel)) =
            self.surfaces.host_mut(request.surface).map(|host| &host.role)
        else {
            return Ok(());
        };
        let Some(seat) = self.input.seat.as_ref().filter(|_| toplevel.shell.mapped) else { return Ok(()) };
        match request.action {
            Action::MOVE => toplevel.object._move(seat, request.serial),
            Action::MENU => toplevel.object.show_window_menu(seat, request.serial, request.x, request.y),
            resize => {
                let edge = resize
                    .checked_sub(Action::RESIZE)
                    .and_then(|edge| ResizeEdge::try_from(edge).ok())
                    .ok_or_else(|| malformed("a resize at no edge"))?;
                toplevel.object.resize(seat, request.serial, edge);
            }
        }
        Ok(())
    }

    /// The compositor says that it is time for the next frame. A callback of a host side that is gone says nothing.
    pub fn frame_done(&mut self, number: u32, callback: &wayland_client::backend::ObjectId, time: u32) {
        let Some(surface) = self.surfaces.get_mut(number) else { return };
        let Some(host) = surface.host.as_mut() else { return };
        if host.callback.as_ref().is_some_and(|known| known.id() == *callback) {
            host.callback = None;
            host.since_frame = 0;
            surface.frame_wanted = false;
            self.app.send(&Message::Frame(Frame { surface: number, time, ..Default::default() }, &[]));
        }
    }
}

impl Surface {
    /// Whether a buffer number is that of the current attachment or of the one that waits.
    fn knows(&self, buffer: u32) -> bool {
        let waits = self.next.as_ref().is_some_and(|next| next.number == buffer);
        let is_current = |host: &super::Host| {
            host.applied.is_some_and(|c| c.flags & CommitFlag::BUFFER != 0 && c.buffer == buffer)
        };
        waits || self.host.as_ref().is_some_and(is_current)
    }
}

fn surface_is_shell(commit: &Commit) -> bool {
    matches!(commit.role, Role::TOPLEVEL | Role::POPUP)
}

/// Whether a character may stand in a title: nothing that moves, reorders or hides what stands before it.
pub fn is_printed(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !is_format
}

#[cfg(test)]
mod tests {
    use super::is_printed;

    #[test]
    fn titles_cannot_hide_their_start() {
        let title: String =
            "a\u{1b}[2J\u{202e}b\n\u{200f}Größe 日本".chars().filter(|&c| is_printed(c)).collect();
        assert_eq!(title, "a[2JbGröße 日本");
    }
}
