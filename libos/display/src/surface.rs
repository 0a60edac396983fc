//! Surfaces and their double-buffered state.

use crate::client::ClientId;
use crate::object::Buffer;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, CommitFlag, Message, Rect, Rect256};

/// What a surface is for; fixed once it has been set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    None,
    Toplevel,
    Popup,
    Subsurface,
    Cursor,
    DragIcon,
}

/// A buffer attachment.
#[derive(Clone, Copy, Debug)]
pub enum Attach {
    /// Unchanged since the last commit.
    Keep,
    /// No buffer: unmap.
    Null,
    /// The wl_buffer with this object id, until it is committed.
    Buffer(u32),
    /// A committed buffer: number of the attachment, which holds a reference to the buffer's pool.
    Taken(u32, Buffer),
}

/// State that a commit applies.
#[derive(Clone, Debug)]
pub struct Pending {
    pub attach: Attach,
    pub damage: Option<Rect>,
    /// Damage in surface units, to be scaled.
    pub surface_damage: Option<Rect>,
    pub frames: Vec<u32>,
    pub opaque: Option<Rect>,
    pub input: Option<Option<Rect>>,
    pub scale: Option<i32>,
    pub transform: Option<u32>,
    pub source: Option<Rect256>,
    pub destination: Option<[i32; 2]>,
    /// How far the buffer moves on the surface (wl_surface.offset so far): of drag icons, where it is from the pointer.
    pub offset: [i32; 2],
    pub geometry: Option<Rect>,
    pub min_size: Option<[i32; 2]>,
    pub max_size: Option<[i32; 2]>,
    /// Callbacks of wl_surface.get_release.
    pub releases: Vec<u32>,
    /// Objects of wp_presentation.feedback.
    pub feedbacks: Vec<u32>,
    /// Where the pointer is locked or confined; `Some(None)` = on the whole surface.
    pub pointer_region: Option<Option<Rect>>,
    pub cursor_hint: Option<[i32; 2]>,
}

impl Pending {
    pub const fn new() -> Self {
        Self {
            attach: Attach::Keep,
            damage: None,
            surface_damage: None,
            frames: Vec::new(),
            opaque: None,
            input: None,
            scale: None,
            transform: None,
            source: None,
            destination: None,
            offset: [0; 2],
            geometry: None,
            min_size: None,
            max_size: None,
            releases: Vec::new(),
            feedbacks: Vec::new(),
            pointer_region: None,
            cursor_hint: None,
        }
    }
}

/// The smallest rectangle around both.
pub fn union(a: Option<Rect>, b: Rect) -> Option<Rect> {
    if b.width <= 0 || b.height <= 0 {
        return a;
    }
    let Some(a) = a else { return Some(b) };
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    let right = a.x.saturating_add(a.width).max(b.x.saturating_add(b.width));
    let bottom = a.y.saturating_add(a.height).max(b.y.saturating_add(b.height));
    Some(Rect { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) })
}

/// The largest single rectangle of a list: a region's opaque part may be understated.
pub fn largest(rects: &[Rect]) -> Rect {
    let area = |r: &Rect| i64::from(r.width) * i64::from(r.height);
    rects.iter().copied().max_by_key(area).unwrap_or_default()
}

/// A surface. What the bridge was told last is in `sent`, which holds a reference to its pool.
pub struct Surface {
    pub client: ClientId,
    /// Object id of the wl_surface.
    pub object: u32,
    pub role: Role,
    pub pending: Pending,
    /// State of a synchronised subsurface that waits for its parent's commit.
    pub cached: Option<Pending>,
    pub sent: msg::Commit,
    pub frames: Vec<u32>,
    /// When the oldest frame callback was asked for, for the timer that stands in for a hidden host.
    pub frames_since: u32,
    /// Object ids of xdg_surface, xdg_toplevel or xdg_popup; 0 = none.
    pub xdg_surface: u32,
    pub xdg_role: u32,
    pub subsurface: u32,
    pub viewport: u32,
    pub decoration: u32,
    /// A toplevel's decorations are the compositor's to draw, as its client asked in the older protocol.
    pub kde_server: bool,
    pub sync: bool,
    /// Subsurface: where it goes with the parent's next commit.
    pub position: Option<[i32; 2]>,
    /// Subsurfaces from bottom to top.
    pub children: Vec<u32>,
    /// The bridge knows it.
    pub announced: bool,
    /// When it was first told of.
    pub announced_at: u32,
    pub mapped: bool,
    pub configured: bool,
    pub pace: crate::pace::Pace,
    /// Told to a new bridge, which has not configured it yet.
    pub reshown: bool,
    pub title: Vec<u8>,
    pub app_id: Vec<u8>,
    /// Object id of the xdg_wm_base that the xdg_surface was made with.
    pub wm_base: u32,
    /// Serials of configures that the client has not acknowledged.
    pub serials: Vec<u32>,
    /// The wm_capabilities that the client was told, as in [`msg::Configure::capabilities`].
    pub capabilities: u32,
    /// A popup that the client was told to take away.
    pub dismissed: bool,
    /// Outputs that it is on, as the compositor tells.
    pub entered: Vec<u32>,
    /// The best scale in 1/120, as the compositor tells; 0 = it does not.
    pub best_scale: u32,
    /// The scale that the client was told.
    pub told: Option<crate::scale::Preferred>,
    pub scale_object: u32,
    /// Object id of the locked or confined pointer, 0 = none.
    pub constraint: u32,
    /// The constraint is in force.
    pub is_constrained: bool,
    /// Idle inhibitors.
    pub inhibitors: usize,
    /// Object id of the shortcuts inhibitor, 0 = none.
    pub shortcuts: u32,
    /// Object id of the xdg_dialog, 0 = none.
    pub dialog: u32,
    /// Number of the export whose window is the parent, 0 = none.
    pub foreign_parent: u32,
}

/// Flags that belong to the wl_surface and outlive its role.
const LASTING: u32 = CommitFlag::INPUT_REGION
    | CommitFlag::INHIBIT_IDLE
    | CommitFlag::INHIBIT_SHORTCUTS
    | CommitFlag::LOCK_POINTER
    | CommitFlag::CONFINE_POINTER
    | CommitFlag::POINTER_ONESHOT
    | CommitFlag::POINTER_REGION
    | CommitFlag::CURSOR_HINT;

impl Surface {
    pub fn new(number: u32, client: ClientId, object: u32) -> Self {
        Self {
            client,
            object,
            role: Role::None,
            pending: Pending::new(),
            cached: None,
            sent: msg::Commit::empty(number),
            frames: Vec::new(),
            frames_since: 0,
            xdg_surface: 0,
            xdg_role: 0,
            subsurface: 0,
            viewport: 0,
            decoration: 0,
            kde_server: false,
            sync: true,
            position: None,
            children: Vec::new(),
            announced: false,
            announced_at: 0,
            mapped: false,
            configured: false,
            pace: crate::pace::Pace::default(),
            reshown: false,
            title: Vec::new(),
            app_id: Vec::new(),
            wm_base: 0,
            serials: Vec::new(),
            capabilities: 0,
            dismissed: false,
            entered: Vec::new(),
            best_scale: 0,
            told: None,
            scale_object: 0,
            constraint: 0,
            is_constrained: false,
            inhibitors: 0,
            shortcuts: 0,
            dialog: 0,
            foreign_parent: 0,
        }
    }
}

/// Longest chain of parents: nested menus and dialogs are far below it.
const MAX_DEPTH: usize = 24;

impl<P: Platform> Display<P> {
    pub(crate) fn new_surface(&mut self, client: ClientId, object: u32) -> Option<u32> {
        let own = self.surfaces.values().filter(|s| s.client == client).count();
        if self.surfaces.len() >= msg::limit::SURFACES || own >= msg::limit::SURFACES / 2 {
            return None;
        }
        let number = Self::fresh(&mut self.next_surface, &self.surfaces);
        self.surfaces.insert(number, Surface::new(number, client, object));
        Some(number)
    }

    /// Whether a surface with this parent would be its own ancestor, or too deep.
    pub(crate) fn is_circle(&self, number: u32, parent: u32) -> bool {
        let mut at = parent;
        for _ in 0..MAX_DEPTH {
            if at == 0 || at == number {
                return at == number;
            }
            at = self.surfaces.get(&at).map_or(0, |s| s.sent.parent);
        }
        true
    }

    /// State that will not be applied: its buffer goes back.
    pub(crate) fn discard_attach(&mut self, attach: Attach) {
        if let Attach::Taken(attachment, buffer) = attach {
            self.release_attachment(attachment);
            self.release_pool(buffer.pool);
        }
    }

    /// Tells the bridge that the surface lost its role object (it may get the same role again).
    pub(crate) fn retract(&mut self, number: u32) {
        self.drop_focus(number);
        self.leave_outputs(number);
        self.unconstrain(number);
        self.discard_feedback_of(number);
        self.withdraw_exports_of(number);
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let announced = core::mem::replace(&mut surface.announced, false);
        surface.mapped = false;
        surface.configured = false;
        surface.dismissed = false;
        surface.serials.clear();
        surface.capabilities = 0;
        surface.foreign_parent = 0;
        // What belongs to the wl_surface itself stays.
        let kept = surface.sent;
        let without_role = msg::Commit {
            flags: kept.flags & LASTING,
            pointer_region: kept.pointer_region,
            cursor_hint: kept.cursor_hint,
            scale: kept.scale,
            transform: kept.transform,
            source: kept.source,
            destination: kept.destination,
            opaque: kept.opaque,
            input: kept.input,
            ..msg::Commit::empty(number)
        };
        let old = core::mem::replace(&mut surface.sent, without_role);
        let cached = surface.cached.take();
        let pace = core::mem::take(&mut surface.pace);
        if announced && self.connected {
            self.send(&Message::SurfaceDestroy(msg::SurfaceDestroy { surface: number }, &[]), None);
            if !pace.is_told(old.buffer) {
                self.release_attachment(old.buffer);
            }
        } else if old.buffer != 0 {
            self.release_attachment(old.buffer);
        }
        self.release_pool(old.pool);
        if let Some(cached) = cached {
            self.discard_attach(cached.attach);
            if let Some(surface) = self.surfaces.get_mut(&number) {
                surface.frames.extend(cached.frames);
            }
        }
    }

    pub(crate) fn destroy_surface(&mut self, number: u32) {
        if let Some(surface) = self.surfaces.get_mut(&number) {
            // No leave events for an object that is gone.
            surface.object = 0;
        }
        self.retract(number);
        let Some(surface) = self.surfaces.remove(&number) else { return };
        for other in self.surfaces.values_mut() {
            other.children.retain(|c| *c != number);
        }
        if self.seat.cursor.is_some_and(|c| c.surface == number) {
            self.seat.cursor = None;
        }
        if let Some(client) = self.clients.get_mut(&surface.client) {
            let pending = surface.pending;
            let unanswered = surface.frames.into_iter().chain(pending.frames).chain(pending.releases);
            for callback in unanswered {
                client.remove(callback);
            }
            for feedback in pending.feedbacks {
                crate::presentation::discard(client, feedback);
            }
        }
    }
}
