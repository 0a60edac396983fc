//! wl_surface.commit: pending state becomes current and goes to the bridge as one message.

use crate::client::{ClientId, Fault};
use crate::object::Kind;
use crate::shm::Attachment;
use crate::surface::{Attach, Pending, Role, union};
use crate::{Display, Platform};
use postern_channel as msg;
use postern_channel::{CommitFlag, Message, Rect, Text, TextField, limit};

impl<P: Platform> Display<P> {
    pub(crate) fn commit(&mut self, client: ClientId, number: u32) -> Result<(), Fault> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        let pending = core::mem::replace(&mut surface.pending, Pending::new());
        if surface.role == Role::Subsurface && self.is_synchronised(number) {
            if let Some(surface) = self.surfaces.get_mut(&number) {
                surface.cached = Some(match surface.cached.take() {
                    None => pending,
                    Some(earlier) => merge(earlier, pending),
                });
            }
            return Ok(());
        }
        self.apply(client, number, pending)
    }

    /// Whether the subsurface or one of its ancestors is in synchronised mode.
    fn is_synchronised(&self, number: u32) -> bool {
        let mut at = number;
        for _ in 0..32 {
            let Some(surface) = self.surfaces.get(&at).filter(|s| s.role == Role::Subsurface) else {
                return false;
            };
            if surface.sync {
                return true;
            }
            at = surface.sent.parent;
        }
        false
    }

    fn apply(&mut self, client: ClientId, number: u32, pending: Pending) -> Result<(), Fault> {
        let attach = pending.attach;
        let attached = match attach {
            Attach::Buffer(object) => Some((object, self.attach(client, object)?)),
            _ => None,
        };
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        let old_attachment = surface.sent.buffer;
        let had_buffer = surface.sent.flags & CommitFlag::BUFFER != 0;
        let commit = &mut surface.sent;
        if let Some((_, (attachment, buffer))) = attached {
            commit.buffer = attachment;
            commit.pool = buffer.pool;
            commit.offset = buffer.offset;
            commit.stride = buffer.stride;
            commit.width = buffer.width;
            commit.height = buffer.height;
            commit.format = buffer.format;
            commit.flags |= CommitFlag::BUFFER;
        } else if matches!(attach, Attach::Null) {
            commit.flags &= !CommitFlag::BUFFER;
            commit.buffer = 0;
        }
        let keep = |new: Option<i32>, old: i32| new.unwrap_or(old);
        commit.scale = keep(pending.scale, commit.scale);
        commit.transform = pending.transform.unwrap_or(commit.transform);
        commit.source = pending.source.unwrap_or(commit.source);
        commit.destination = pending.destination.unwrap_or(commit.destination);
        commit.opaque = pending.opaque.unwrap_or(commit.opaque);
        commit.geometry = pending.geometry.unwrap_or(commit.geometry);
        commit.min_size = pending.min_size.unwrap_or(commit.min_size);
        commit.max_size = pending.max_size.unwrap_or(commit.max_size);
        match pending.input {
            Some(Some(rect)) => {
                commit.input = rect;
                commit.flags |= CommitFlag::INPUT_REGION;
            }
            Some(None) => commit.flags &= !CommitFlag::INPUT_REGION,
            None => {}
        }
        commit.damage = damage(&pending, commit);
        if let Some(position) = surface.position.take() {
            commit.position = position;
        }
        if !pending.frames.is_empty() {
            if surface.frames.is_empty() {
                surface.frames_since = self.now_ms;
            }
            surface.frames.extend(pending.frames);
        }
        commit.flags &= !CommitFlag::FRAME;
        if !surface.frames.is_empty() {
            commit.flags |= CommitFlag::FRAME;
        }
        let replaced = attached.is_some() || matches!(attach, Attach::Null);
        let was_sent = surface.announced;
        let has_buffer = surface.sent.flags & CommitFlag::BUFFER != 0;
        if has_buffer && !surface.configured && matches!(surface.role, Role::Toplevel | Role::Popup) {
            return Err(Fault {
                object: surface.xdg_surface,
                code: 3,
                text: "a buffer before the first configure",
            });
        }
        surface.mapped = has_buffer;
        if attached.is_some() {
            self.frames += 1;
        }
        // Synchronised children show their state together with this one.
        for child in self.surfaces.get(&number).map(|s| s.children.clone()).unwrap_or_default() {
            self.apply_cached(client, child)?;
        }
        self.send_commit(number);
        if replaced && had_buffer && !was_sent {
            // It never left this server, so nobody will release it.
            self.release_attachment(old_attachment);
        }
        if has_buffer && !had_buffer {
            self.enter_outputs(number);
        }
        Ok(())
    }

    fn apply_cached(&mut self, client: ClientId, number: u32) -> Result<(), Fault> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        let moved = surface.position.is_some();
        match surface.cached.take() {
            Some(pending) => self.apply(client, number, pending),
            None if moved => self.apply(client, number, Pending::new()),
            None => Ok(()),
        }
    }

    /// A new attachment of a buffer.
    fn attach(&mut self, client: ClientId, object: u32) -> Result<(u32, crate::object::Buffer), Fault> {
        let number = Self::fresh(&mut self.next_attachment, &self.attachments);
        let found = self.clients.get_mut(&client).and_then(|c| c.objects.get_mut(&object));
        let Some(Kind::Buffer(buffer)) = found.map(|o| &mut o.kind) else {
            // Destroyed between attach and commit: undefined by the protocol, harmless here.
            return Err(Fault { object, code: 0, text: "the attached buffer is gone" });
        };
        buffer.uses += 1;
        let copy = *buffer;
        self.attachments.insert(number, Attachment { client, buffer: object });
        Ok((number, copy))
    }

    /// Sends the surface's state, if the bridge can do something with it.
    pub(crate) fn send_commit(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let mut commit = surface.sent;
        commit.role = match surface.role {
            // Shown once it has a role.
            Role::None => {
                return;
            }
            Role::Toplevel if surface.xdg_role != 0 => msg::Role::TOPLEVEL,
            Role::Popup if surface.xdg_role != 0 => msg::Role::POPUP,
            Role::Subsurface if surface.subsurface != 0 => msg::Role::SUBSURFACE,
            Role::Cursor => msg::Role::CURSOR,
            _ => return,
        };
        let first = !surface.announced;
        surface.announced = true;
        let texts = if first { [surface.title.clone(), surface.app_id.clone()] } else { Default::default() };
        self.send(&Message::Commit(commit, &[]), None);
        for (field, text) in [TextField::TITLE, TextField::APP_ID].into_iter().zip(texts) {
            if !text.is_empty() {
                self.send(&Message::Text(Text { surface: number, field }, &text), None);
            }
        }
        if let Some(surface) = self.surfaces.get_mut(&number) {
            surface.sent.flags &= !CommitFlag::MINIMIZE;
            surface.sent.damage = Rect::default();
        }
    }

    /// Answers all frame callbacks that were committed.
    pub(crate) fn frame_done(&mut self, number: u32, time: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let callbacks = core::mem::take(&mut surface.frames);
        surface.sent.flags &= !CommitFlag::FRAME;
        let Some(client) = self.clients.get_mut(&surface.client) else { return };
        for callback in callbacks {
            drop(client.event(callback, 0).u32(time));
            client.remove(callback);
        }
    }

    /// Milliseconds until [`Display::tick`] has something to do; `None` = nothing.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u32> {
        let waiting = self.surfaces.values().filter(|s| !s.frames.is_empty());
        waiting.map(|s| HIDDEN_FRAME_MS.saturating_sub(self.now_ms.wrapping_sub(s.frames_since))).min()
    }

    /// Time passes. Frame callbacks that the host does not answer, because the window is hidden, are answered at a slow
    /// pace, so that clients which wait for them before doing other work do not stop.
    pub fn tick(&mut self, now_ms: u32) {
        self.now_ms = now_ms;
        let due = |s: &crate::surface::Surface| {
            !s.frames.is_empty() && now_ms.wrapping_sub(s.frames_since) >= HIDDEN_FRAME_MS
        };
        let late: alloc::vec::Vec<u32> =
            self.surfaces.iter().filter(|(_, s)| due(s)).map(|(n, _)| *n).collect();
        for number in late {
            self.frame_done(number, now_ms);
        }
    }
}

/// How long a frame callback waits for the host.
const HIDDEN_FRAME_MS: u32 = 1000;

/// Two commits of a synchronised subsurface before its parent's: the later one wins where it says something.
fn merge(earlier: Pending, later: Pending) -> Pending {
    let mut frames = earlier.frames;
    frames.extend(later.frames);
    Pending {
        attach: if matches!(later.attach, Attach::Keep) { earlier.attach } else { later.attach },
        damage: later.damage.map_or(earlier.damage, |d| union(earlier.damage, d)),
        surface_damage: later
            .surface_damage
            .map_or(earlier.surface_damage, |d| union(earlier.surface_damage, d)),
        frames,
        opaque: later.opaque.or(earlier.opaque),
        input: later.input.or(earlier.input),
        scale: later.scale.or(earlier.scale),
        transform: later.transform.or(earlier.transform),
        source: later.source.or(earlier.source),
        destination: later.destination.or(earlier.destination),
        geometry: later.geometry.or(earlier.geometry),
        min_size: later.min_size.or(earlier.min_size),
        max_size: later.max_size.or(earlier.max_size),
    }
}

/// Damage in buffer pixels, cut to the buffer. Surface damage is scaled; with a viewport or a transform it stands for
/// the whole buffer.
fn damage(pending: &Pending, commit: &msg::Commit) -> Rect {
    let whole = Rect { x: 0, y: 0, width: commit.width, height: commit.height };
    let mut damage = pending.damage;
    if let Some(d) = pending.surface_damage {
        let plain = commit.transform == 0 && commit.source.width == 0 && commit.destination[0] == 0;
        let scaled = Rect {
            x: d.x.saturating_mul(commit.scale),
            y: d.y.saturating_mul(commit.scale),
            width: d.width.saturating_mul(commit.scale),
            height: d.height.saturating_mul(commit.scale),
        };
        damage = union(damage, if plain { scaled } else { whole });
    }
    let Some(d) = damage else { return Rect::default() };
    let (x, y) = (d.x.clamp(0, commit.width), d.y.clamp(0, commit.height));
    let right = d.x.saturating_add(d.width).clamp(x, commit.width);
    let bottom = d.y.saturating_add(d.height).clamp(y, commit.height);
    Rect { x, y, width: right - x, height: bottom - y }
}

/// Cuts a rectangle that a client gave to what the channel carries.
pub fn cut(r: Rect) -> Rect {
    let m = limit::SIZE;
    Rect {
        x: r.x.clamp(-m, m),
        y: r.y.clamp(-m, m),
        width: r.width.clamp(0, m),
        height: r.height.clamp(0, m),
    }
}
