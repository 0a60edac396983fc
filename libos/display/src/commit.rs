//! wl_surface.commit: pending state becomes current and goes to the bridge as one message.

use crate::client::{ClientId, Fault, display_error};
use crate::object::Kind;
use crate::shell::{surface_error, toplevel_error};
use crate::shm::Attachment;
use crate::surface::{Attach, Pending, Role, Surface, union};
use crate::viewport::error as viewport_error;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel as msg;
use postern_channel::{CommitFlag, FrameEvent, Message, Rect, Text, TextField, limit};

/// What a commit did to a surface, for what follows when it is sent.
struct Applied {
    surface: u32,
    /// The attachment that was replaced, 0 = none.
    replaced: u32,
    was_mapped: bool,
}

impl<P: Platform> Display<P> {
    pub(crate) fn commit(&mut self, client: ClientId, number: u32) -> Result<(), Fault> {
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        let mut pending = core::mem::replace(&mut surface.pending, Pending::new());
        let releases = core::mem::take(&mut pending.releases);
        if let Attach::Buffer(object) = pending.attach {
            let sent = surface.sent;
            pending.attach = self.take_buffer(client, object, releases)?;
            if let Attach::Taken(_, buffer) = pending.attach {
                self.note_copy(client, object, buffer, &pending, &sent);
            }
        } else if !releases.is_empty() {
            let text = "a release callback without a buffer";
            return Err(Fault { object: surface.object, code: NO_BUFFER, text });
        }
        if !self.is_synchronised(number) {
            return self.apply(number, pending);
        }
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(()) };
        let (cached, unused) = match surface.cached.take() {
            None => (pending, Attach::Keep),
            Some(earlier) => merge(earlier, pending),
        };
        surface.cached = Some(cached);
        self.discard_attach(unused);
        Ok(())
    }

    /// wl_subsurface.set_desync: what was held back comes into force, unless an ancestor is synchronised.
    pub(crate) fn release_cached(&mut self, number: u32) -> Result<(), Fault> {
        if self.is_synchronised(number) {
            return Ok(());
        }
        match self.surfaces.get_mut(&number).and_then(|s| s.cached.take()) {
            Some(cached) => self.apply(number, cached),
            None => Ok(()),
        }
    }

    /// Whether this is a subsurface that is, or has an ancestor that is, in synchronised mode.
    fn is_synchronised(&self, number: u32) -> bool {
        let mut at = number;
        while let Some(surface) = self.surfaces.get(&at).filter(|s| s.role == Role::Subsurface) {
            if surface.sync {
                return true;
            }
            at = surface.sent.parent;
        }
        false
    }

    /// A new attachment of a buffer.
    fn take_buffer(&mut self, client: ClientId, object: u32, releases: Vec<u32>) -> Result<Attach, Fault> {
        let number = Self::fresh(&mut self.next_attachment, &self.attachments);
        let found = self.clients.get_mut(&client).and_then(|c| c.objects.get_mut(&object));
        let Some(Kind::Buffer(buffer)) = found.map(|o| &mut o.kind) else { return Ok(Attach::Null) };
        if self.attachments.len() >= MAX_ATTACHMENTS {
            return Err(Fault { object: 1, code: display_error::NO_MEMORY, text: "too many buffers" });
        }
        buffer.uses += 1;
        let copy = *buffer;
        if let Some(pool) = self.pools.get_mut(&copy.pool) {
            pool.references += 1;
        }
        self.attachments.insert(number, Attachment { client, buffer: object, releases });
        Ok(Attach::Taken(number, copy))
    }

    /// Applies a commit, together with what synchronised children held back; children are sent before their parents.
    fn apply(&mut self, number: u32, pending: Pending) -> Result<(), Fault> {
        let mut order = alloc::vec![self.update(number, pending)?];
        let mut at = 0;
        while let Some(parent) = order.get(at).map(|a| a.surface) {
            at += 1;
            let children = self.surfaces.get(&parent).map(|s| s.children.clone()).unwrap_or_default();
            let mut below = parent;
            for child in children {
                let Some(surface) = self.surfaces.get_mut(&child) else { continue };
                let cached = surface.cached.take();
                let restacked = surface.sent.above != below;
                surface.sent.above = below;
                below = child;
                let moved = surface.position.take();
                surface.sent.position = moved.unwrap_or(surface.sent.position);
                if cached.is_some() || (moved.is_some() || restacked) && surface.announced {
                    order.push(self.update(child, cached.unwrap_or(Pending::new()))?);
                }
            }
        }
        for applied in order.into_iter().rev() {
            self.show(&applied);
        }
        Ok(())
    }

    /// Makes pending state of one surface current.
    fn update(&mut self, number: u32, pending: Pending) -> Result<Applied, Fault> {
        let now = self.now_ms;
        let nothing = Applied { surface: number, replaced: 0, was_mapped: false };
        let Some(surface) = self.surfaces.get_mut(&number) else { return Ok(nothing) };
        let mut applied = Applied { was_mapped: surface.mapped, ..nothing };
        let commit = &mut surface.sent;
        let mut old_pool = 0;
        if matches!(pending.attach, Attach::Taken(..) | Attach::Null) {
            applied.replaced = core::mem::take(&mut commit.buffer);
            old_pool = core::mem::take(&mut commit.pool);
            commit.flags &= !(CommitFlag::BUFFER | CommitFlag::SINGLE_PIXEL);
        }
        if let Attach::Taken(attachment, buffer) = pending.attach {
            commit.buffer = attachment;
            commit.pool = buffer.pool;
            commit.offset = buffer.offset;
            commit.stride = buffer.stride;
            commit.width = buffer.width;
            commit.height = buffer.height;
            commit.format = buffer.format;
            commit.flags |= CommitFlag::BUFFER;
            if buffer.is_pixel {
                commit.flags |= CommitFlag::SINGLE_PIXEL;
            }
            self.frames += 1;
        }
        commit.scale = pending.scale.unwrap_or(commit.scale);
        commit.transform = pending.transform.unwrap_or(commit.transform);
        commit.source = pending.source.unwrap_or(commit.source);
        commit.destination = pending.destination.unwrap_or(commit.destination);
        commit.opaque = pending.opaque.unwrap_or(commit.opaque);
        if surface.role == Role::DragIcon {
            commit.position = add(commit.position, pending.offset);
        }
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
        if let Some(region) = pending.pointer_region {
            crate::constraint::apply_region(commit, region);
        }
        if let Some(hint) = pending.cursor_hint {
            commit.cursor_hint = hint;
            commit.flags |= CommitFlag::CURSOR_HINT;
        }
        commit.damage = damage(&pending, commit);
        if !pending.frames.is_empty() {
            if surface.frames.is_empty() {
                surface.frames_since = now;
            }
            surface.frames.extend(pending.frames);
        }
        let commit = &mut surface.sent;
        commit.flags &= !CommitFlag::FRAME;
        if !surface.frames.is_empty() {
            commit.flags |= CommitFlag::FRAME;
        }
        surface.mapped = commit.flags & CommitFlag::BUFFER != 0;
        // One that the bridge knows is answered by it, also if this update comes first.
        let unknown = if surface.announced { 0 } else { commit.feedback };
        let (client, checked) = (surface.client, check(surface));
        self.discard_feedback(unknown);
        let feedback = self.want_feedback(client, number, pending.feedbacks);
        if let Some(surface) = self.surfaces.get_mut(&number) {
            surface.sent.feedback = feedback;
        }
        self.move_hotspot(number, pending.offset);
        self.release_pool(old_pool);
        checked.map(|()| applied)
    }

    /// Sends a surface and does what follows.
    fn show(&mut self, applied: &Applied) {
        let number = applied.surface;
        let Some(surface) = self.surfaces.get(&number) else { return };
        let (was_sent, is_mapped) = (surface.announced, surface.mapped);
        // No bridge has it: nobody else will release it.
        let is_ours = !(was_sent && self.connected && surface.pace.is_told(applied.replaced));
        if !(applied.was_mapped && is_mapped && self.hold_back(number)) {
            self.send_commit(number);
        }
        if applied.replaced != 0 && is_ours {
            self.release_attachment(applied.replaced);
        }
        if !is_mapped && !applied.was_mapped {
            self.configure_alone(number);
        }
        if is_mapped && !applied.was_mapped {
            self.enter_alone(number);
        }
        if applied.was_mapped && !is_mapped {
            self.leave_outputs(number);
            self.unconstrain(number);
        }
    }

    /// Sends the surface's state, if the bridge can do something with it.
    pub(crate) fn send_commit(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let mut commit = surface.sent;
        if commit.width % commit.scale != 0 || commit.height % commit.scale != 0 {
            // Compositors let this pass; it means the size rounded up.
            let [width, height] = size_of(&commit);
            if commit.destination[0] == 0 && commit.source.width == 0 {
                commit.destination = [width, height];
            }
            commit.scale = 1;
        }
        commit.role = match surface.role {
            // Shown once it has a role.
            Role::None => {
                return;
            }
            Role::Toplevel if surface.xdg_role != 0 => msg::Role::TOPLEVEL,
            Role::Popup if surface.xdg_role != 0 => msg::Role::POPUP,
            Role::Subsurface if surface.subsurface != 0 => msg::Role::SUBSURFACE,
            Role::Cursor => msg::Role::CURSOR,
            Role::DragIcon => msg::Role::DRAG_ICON,
            _ => return,
        };
        let first = !surface.announced;
        surface.announced = true;
        surface.set_out(&mut commit);
        if first {
            surface.announced_at = self.now_ms;
            self.prefer_scale(number);
        }
        let Some(surface) = self.surfaces.get(&number) else { return };
        let texts = if first { [surface.title.clone(), surface.app_id.clone()] } else { Default::default() };
        if first || !self.replace_unsent(&commit) {
            self.send(&Message::Commit(commit, &[]), None);
        }
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
        let waits = |s: &Surface| {
            let frames = (!s.frames.is_empty()).then(|| self.now_ms.wrapping_sub(s.frames_since));
            frames.into_iter().chain(s.pace.waits(self.now_ms)).max()
        };
        let frames = self.surfaces.values().filter_map(waits).map(|ms| HIDDEN_FRAME_MS.saturating_sub(ms));
        frames.chain(self.sync_timeout()).min()
    }

    /// Time passes. Frame callbacks that the host does not answer, because the window is hidden, are answered at a slow
    /// pace, so that clients which wait for them before doing other work do not stop.
    pub fn tick(&mut self, now_ms: u32) {
        self.now_ms = now_ms;
        let due = |s: &crate::surface::Surface| {
            !s.frames.is_empty() && now_ms.wrapping_sub(s.frames_since) >= HIDDEN_FRAME_MS
        };
        let late: Vec<u32> = self.surfaces.iter().filter(|(_, s)| due(s)).map(|(n, _)| *n).collect();
        for number in late {
            self.frame_done(number, now_ms.wrapping_add(self.clock_offset));
        }
        let due = |s: &Surface| s.pace.waits(now_ms).is_some_and(|ms| ms >= HIDDEN_FRAME_MS);
        let held: alloc::vec::Vec<u32> =
            self.surfaces.iter().filter(|(_, s)| due(s)).map(|(n, _)| *n).collect();
        for number in held {
            self.let_go(number);
        }
        self.answer_syncs();
    }

    /// The host says that it is time for a frame, what became of one, or where a surface is.
    pub(crate) fn host_frame(&mut self, frame: &msg::Frame) {
        match frame.event {
            FrameEvent::DRAW => {
                self.clock_offset = frame.time.wrapping_sub(self.now_ms);
                self.frame_done(frame.surface, frame.time);
                self.let_go(frame.surface);
            }
            FrameEvent::ENTERED => self.host_moves(frame.surface, frame.output, true),
            FrameEvent::LEFT => self.host_moves(frame.surface, frame.output, false),
            FrameEvent::SCALE => self.host_scale(frame.surface, frame.flags),
            _ => self.host_feedback(frame),
        }
    }
}

/// wl_surface.error.no_buffer.
const NO_BUFFER: u32 = 5;

/// Most attachments that the bridge may still read: far more than any app has buffers.
const MAX_ATTACHMENTS: usize = 16_384;

/// How long a frame callback waits for the host.
const HIDDEN_FRAME_MS: u32 = 1000;

/// A surface's size: its buffer, turned and scaled, rounded up.
pub fn size_of(commit: &msg::Commit) -> [i32; 2] {
    let scaled = |pixels: i32| pixels.saturating_add(commit.scale - 1) / commit.scale.max(1);
    let size = [scaled(commit.width), scaled(commit.height)];
    // The odd transforms are turned by 90 or 270 degrees.
    if commit.transform % 2 == 1 { [size[1], size[0]] } else { size }
}

/// Rules that a committed state must keep: those that a compositor would end the whole app's connection for.
fn check(surface: &Surface) -> Result<(), Fault> {
    let commit = &surface.sent;
    let [(min_width, max_width), (min_height, max_height)] =
        [0, 1].map(|i: usize| (commit.min_size.get(i).copied(), commit.max_size.get(i).copied()));
    let is_crossed = |min: Option<i32>, max: Option<i32>| max.is_some_and(|m| m != 0) && max < min;
    if is_crossed(min_width, max_width) || is_crossed(min_height, max_height) {
        let text = "the largest size is smaller than the smallest";
        return Err(Fault { object: surface.xdg_role, code: toplevel_error::INVALID_SIZE, text });
    }
    if !surface.mapped {
        return Ok(());
    }
    if surface.xdg_surface != 0 && surface.xdg_role == 0 {
        let (code, text) = (surface_error::NOT_CONSTRUCTED, "a buffer for an xdg_surface without role");
        return Err(Fault { object: surface.xdg_surface, code, text });
    }
    if !surface.configured && matches!(surface.role, Role::Toplevel | Role::Popup) {
        let (code, text) = (surface_error::UNCONFIGURED_BUFFER, "a buffer before the first configure");
        return Err(Fault { object: surface.xdg_surface, code, text });
    }
    let source = commit.source;
    if source.width > 0 {
        let [width, height] = size_of(commit);
        if source.x + source.width > width * 256 || source.y + source.height > height * 256 {
            let (code, text) = (viewport_error::OUT_OF_BUFFER, "a source outside of the buffer");
            return Err(Fault { object: surface.viewport, code, text });
        }
        if commit.destination[0] == 0 && (source.width % 256 != 0 || source.height % 256 != 0) {
            let (code, text) = (viewport_error::BAD_SIZE, "a source of broken size");
            return Err(Fault { object: surface.viewport, code, text });
        }
    }
    Ok(())
}

/// Two commits of a synchronised subsurface before its parent's: the later one wins where it says something. Also
/// returns the attachment that comes to nothing.
fn merge(earlier: Pending, later: Pending) -> (Pending, Attach) {
    let mut frames = earlier.frames;
    frames.extend(later.frames);
    let mut feedbacks = earlier.feedbacks;
    feedbacks.extend(later.feedbacks);
    let (attach, unused) = match later.attach {
        Attach::Keep => (earlier.attach, Attach::Keep),
        new => (new, earlier.attach),
    };
    let merged = Pending {
        attach,
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
        offset: add(earlier.offset, later.offset),
        geometry: later.geometry.or(earlier.geometry),
        min_size: later.min_size.or(earlier.min_size),
        max_size: later.max_size.or(earlier.max_size),
        releases: Vec::new(),
        feedbacks,
        pointer_region: later.pointer_region.or(earlier.pointer_region),
        cursor_hint: later.cursor_hint.or(earlier.cursor_hint),
    };
    (merged, unused)
}

/// Two offsets after one another.
fn add(a: [i32; 2], b: [i32; 2]) -> [i32; 2] {
    [0, 1].map(|i| a[i].saturating_add(b[i]).clamp(-limit::SIZE, limit::SIZE))
}

/// Damage in buffer pixels, cut to the buffer. Surface damage is scaled; with a viewport or a transform it stands for
/// the whole buffer.
pub fn damage(pending: &Pending, commit: &msg::Commit) -> Rect {
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
