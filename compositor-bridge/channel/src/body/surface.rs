//! What the display server says of surfaces: pools, commits, texts, the pointer's picture.

use super::{Rect, body, in_range, is_size};
use crate::{Body, limit};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a surface is for: values of [`Commit::role`].
#[derive(Clone, Copy, Debug)]
pub struct Role;

#[expect(missing_docs, reason = "Wayland's own names")]
impl Role {
    pub const NONE: u32 = 0;
    pub const TOPLEVEL: u32 = 1;
    pub const POPUP: u32 = 2;
    pub const SUBSURFACE: u32 = 3;
    pub const CURSOR: u32 = 4;
    pub const DRAG_ICON: u32 = 5;
}

/// Bits of [`Commit::flags`].
#[derive(Clone, Copy, Debug)]
pub struct CommitFlag;

impl CommitFlag {
    /// The app asked for a frame callback.
    pub const FRAME: u32 = 1 << 0;
    /// The surface has a buffer. Without: it is unmapped (for a toplevel or popup also: configure me).
    pub const BUFFER: u32 = 1 << 1;
    /// The app wants the toplevel maximised. The change from one commit to the next is the request, so the display
    /// server sets and clears this also as [`Configure::states`] tells.
    pub const MAXIMIZED: u32 = 1 << 2;
    /// The app wants the toplevel full screen; as with `MAXIMIZED`. Refused without recent input, by sending the last
    /// configure again.
    pub const FULLSCREEN: u32 = 1 << 3;
    /// The app wants the toplevel minimised: set in one commit only.
    pub const MINIMIZE: u32 = 1 << 4;
    /// The popup takes an explicit grab with [`Commit::serial`].
    pub const GRAB: u32 = 1 << 5;
    /// [`Commit::input`] holds; else the whole surface takes input.
    pub const INPUT_REGION: u32 = 1 << 6;
    /// The positioner is reactive.
    pub const REACTIVE: u32 = 1 << 7;
    /// The app draws its own decorations.
    pub const CLIENT_DECORATION: u32 = 1 << 8;
    /// The screen stays on while the surface shows.
    pub const INHIBIT_IDLE: u32 = 1 << 9;
    /// The toplevel is a modal dialog of [`Commit::parent`].
    pub const MODAL: u32 = 1 << 10;
    /// The app wants the pointer locked while it is on the surface, within [`Commit::pointer_region`].
    pub const LOCK_POINTER: u32 = 1 << 11;
    /// The app wants the pointer to stay within [`Commit::pointer_region`] of the surface.
    pub const CONFINE_POINTER: u32 = 1 << 12;
    /// The lock or confinement ends when it was interrupted, instead of coming back (oneshot).
    pub const POINTER_ONESHOT: u32 = 1 << 13;
    /// [`Commit::cursor_hint`] holds.
    pub const CURSOR_HINT: u32 = 1 << 14;
    /// The app wants the compositor's own key combinations while the surface has the keyboard.
    pub const INHIBIT_SHORTCUTS: u32 = 1 << 15;
    /// The buffer is one pixel of the premultiplied ARGB8888 colour in [`Commit::offset`], 1 x 1, and of no pool.
    pub const SINGLE_PIXEL: u32 = 1 << 16;
    /// [`Commit::pointer_region`] holds; else it is the whole surface.
    pub const POINTER_REGION: u32 = 1 << 17;
    /// Every flag there is.
    pub const ALL: u32 = 0x3_ffff;
}

/// Bits of [`Hello::features`]: what the compositor has, so that the app is not offered what nobody would do.
#[derive(Clone, Copy, Debug)]
pub struct Feature;

impl Feature {
    /// Decorations around windows.
    pub const DECORATIONS: u32 = 1 << 0;
    /// [`TextInput`] and [`TextEdit`].
    pub const TEXT_INPUT: u32 = 1 << 1;
    /// [`CommitFlag::LOCK_POINTER`] and [`CommitFlag::CONFINE_POINTER`].
    pub const POINTER_CONSTRAINTS: u32 = 1 << 2;
    /// [`PointerEvent::RELATIVE`].
    pub const RELATIVE_POINTER: u32 = 1 << 3;
    /// [`Commit::feedback`].
    pub const PRESENTATION: u32 = 1 << 4;
    /// [`CommitFlag::INHIBIT_IDLE`].
    pub const INHIBIT_IDLE: u32 = 1 << 5;
    /// [`CommitFlag::INHIBIT_SHORTCUTS`].
    pub const INHIBIT_SHORTCUTS: u32 = 1 << 6;
    /// [`Action::ACTIVATE`].
    pub const ACTIVATION: u32 = 1 << 7;
    /// [`CommitFlag::MODAL`].
    pub const DIALOG: u32 = 1 << 8;
    /// [`Action::BELL`].
    pub const BELL: u32 = 1 << 9;
    /// Every feature there is.
    pub const ALL: u32 = 0x3ff;
}

body! {
    /// See [`crate::Kind::Hello`].
    Hello {
        /// [`crate::VERSION`].
        version: u32,
        /// From the bridge: [`Feature`] bits.
        features: u32,
        /// From the bridge: version of the compositor's wl_compositor, as far as it is made use of. With a newer one an
        /// app would wait for what never comes, and some that take any version for their own would break.
        compositor: u32,
        /// The same of wl_seat.
        seat: u32,
        /// The same of xdg_wm_base.
        shell: u32,
    } check |m| m.features & !Feature::ALL == 0
}

body! {
    /// See [`crate::Kind::Pool`].
    Pool {
        /// Number of the pool.
        pool: u32,
        /// 1 if the display server copies the app's pixels into it, because the app's own file cannot be a pool.
        copied: u32,
        /// Bytes of the memory file that may be used.
        size: u64,
    } check |m| m.pool != 0 && m.copied <= 1 && m.size > 0 && m.size <= limit::POOL
}

body! {
    /// See [`crate::Kind::PoolDestroy`].
    PoolDestroy {
        /// Number of the pool.
        pool: u32,
    } check |m| m.pool != 0
}

body! {
    /// See [`crate::Kind::Commit`]. All of a surface's state; sending it twice changes nothing, except that the
    /// buffer counts as attached again if its number is new. Subsurfaces are never synchronised on the outside: the
    /// display server holds back commits of synchronised ones and sends the children just before their parent.
    Commit {
        /// Number of the surface.
        surface: u32,
        /// A [`Role`].
        role: u32,
        /// Parent toplevel, parent of the popup or subsurface; 0 = none.
        parent: u32,
        /// [`CommitFlag`] bits.
        flags: u32,
        /// Number of this attachment of a buffer, for [`BufferRelease`]: new with every wl_surface.attach.
        buffer: u32,
        /// Pool of the buffer.
        pool: u32,
        /// Byte offset of the buffer in the pool.
        offset: u32,
        /// Bytes from line to line.
        stride: u32,
        /// Pixels of the buffer.
        width: i32,
        /// Pixels of the buffer.
        height: i32,
        /// wl_shm format: 0 ARGB8888, 1 XRGB8888, or a DRM fourcc that the host offers.
        format: u32,
        /// Buffer scale, 1 to 8.
        scale: i32,
        /// wl_output.transform, 0 to 7.
        transform: u32,
        /// Serial of the input event that the popup's grab is for.
        serial: u32,
        /// Damage since the last commit, in buffer pixels; one bounding rectangle.
        damage: Rect,
        /// wp_viewport source in 1/256 surface unit (after scale and transform); width 0 = unset.
        source: Rect256,
        /// wp_viewport destination; width 0 = unset.
        destination: [i32; 2],
        /// Part that is certainly opaque; one rectangle inside it.
        opaque: Rect,
        /// Part that takes input, with [`CommitFlag::INPUT_REGION`]; the bounding rectangle.
        input: Rect,
        /// xdg window geometry; width 0 = unset.
        geometry: Rect,
        /// Smallest size of a toplevel, 0 = any.
        min_size: [i32; 2],
        /// Largest size of a toplevel, 0 = any.
        max_size: [i32; 2],
        /// Popup: anchor rectangle in the parent's window geometry.
        anchor_rect: Rect,
        /// Popup: xdg_positioner anchor and gravity, 0 to 8.
        anchor: u32,
        /// See `anchor`.
        gravity: u32,
        /// Popup: constraint adjustment bits.
        constraint: u32,
        /// Popup: reposition token; a change asks for a new position.
        token: u32,
        /// Popup: wanted size. Subsurface: unused.
        size: [i32; 2],
        /// Popup: offset from the anchor. Subsurface: position in the parent. Drag icon: from where it was at first, as
        /// wl_surface.offset added up.
        position: [i32; 2],
        /// Subsurface: the sibling (or parent) that it is right above; 0 = top.
        above: u32,
        /// Serial of the last configure that was acknowledged (toplevels and popups), 0 = none yet. One that the bridge
        /// has not sent (of an earlier bridge) is ignored.
        acked: u32,
        /// Number of the wish for presentation feedback about this content update, answered by one [`Frame`]; 0 =
        /// none. A number is answered once, however often the commit is sent.
        feedback: u32,
        /// Where the pointer is locked or confined, surface units; see [`CommitFlag::POINTER_REGION`].
        pointer_region: Rect,
        /// Where the app shows its own pointer while it is locked, in 1/256 surface unit.
        cursor_hint: [i32; 2],
    } check |m| {
        let rects = [&m.damage, &m.opaque, &m.input, &m.geometry, &m.anchor_rect, &m.pointer_region];
        let is_colour = m.flags & CommitFlag::SINGLE_PIXEL != 0 && m.width == 1 && m.height == 1;
        let is_pixels = m.flags & CommitFlag::SINGLE_PIXEL == 0
            && m.pool != 0 && m.width > 0 && m.height > 0 && m.stride > 0;
        let buffer = m.flags & CommitFlag::BUFFER == 0 || (m.buffer != 0 && (is_colour || is_pixels));
        m.surface != 0
            && m.role <= Role::DRAG_ICON
            && m.parent != m.surface
            && m.flags & !CommitFlag::ALL == 0
            && buffer
            && is_size(m.width)
            && is_size(m.height)
            && (1..=8).contains(&m.scale)
            && m.transform <= 7
            && rects.iter().all(|r| r.is_sane())
            && m.source.is_sane()
            && m.destination.into_iter().chain(m.min_size).chain(m.max_size).chain(m.size).all(is_size)
            && m.position.into_iter().all(in_range)
            && m.cursor_hint.into_iter().all(|v| (-limit::SIZE * 256..=limit::SIZE * 256).contains(&v))
            && m.anchor <= 8
            && m.gravity <= 8
            && m.constraint <= 63
    }
}

impl Commit {
    /// A surface without role or buffer.
    #[must_use]
    pub fn empty(surface: u32) -> Self {
        Self { surface, scale: 1, ..Self::default() }
    }
}

/// A rectangle in 1/256 pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rect256 {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

impl Rect256 {
    fn is_sane(&self) -> bool {
        let most = limit::SIZE * 256;
        [self.x, self.y, self.width, self.height].iter().all(|v| (0..=most).contains(v))
    }
}

body! {
    /// See [`crate::Kind::SurfaceDestroy`].
    SurfaceDestroy {
        /// Number of the surface.
        surface: u32,
    } check |m| m.surface != 0
}

/// Values of [`Text::field`].
#[derive(Clone, Copy, Debug)]
pub struct TextField;

impl TextField {
    /// Window title.
    pub const TITLE: u32 = 1;
    /// Application id.
    pub const APP_ID: u32 = 2;
}

body! {
    /// See [`crate::Kind::Text`].
    Text {
        /// Number of the toplevel.
        surface: u32,
        /// A [`TextField`].
        field: u32,
    } check |m| m.surface != 0 && (1..=2).contains(&m.field)
}

body! {
    /// See [`crate::Kind::Cursor`].
    Cursor {
        /// wp_cursor_shape_device_v1 shape, or 0.
        shape: u32,
        /// Surface with the role cursor, or 0. Neither: hidden.
        surface: u32,
        /// Hotspot in the surface.
        hotspot: [i32; 2],
        /// Serial of the pointer's enter event.
        serial: u32,
    } check |m| m.shape <= 64 && m.hotspot.into_iter().all(in_range)
}

/// Values of [`Interactive::action`].
#[derive(Clone, Copy, Debug)]
pub struct Action;

impl Action {
    /// Move the window.
    pub const MOVE: u32 = 1;
    /// Show the window menu at the given position.
    pub const MENU: u32 = 2;
    /// Ask for the user's attention with the system bell (surface may be 0).
    pub const BELL: u32 = 3;
    /// Give the window the focus, on behalf of the input `serial` in another window of the app (0: none; the compositor
    /// may then mark the window as urgent).
    pub const ACTIVATE: u32 = 4;
    /// Resize; the xdg_toplevel edge is added to this.
    pub const RESIZE: u32 = 16;
}

body! {
    /// See [`crate::Kind::Interactive`].
    Interactive {
        /// Number of the toplevel.
        surface: u32,
        /// An [`Action`].
        action: u32,
        /// Serial of the input event.
        serial: u32,
        /// Position for the menu.
        x: i32,
        /// Position for the menu.
        y: i32,
    } check |m| (m.surface != 0 || m.action == Action::BELL) && matches!(m.action, 1..=4 | 16..=26) && in_range(m.x) && in_range(m.y)
}
