//! The bodies of the messages.

use crate::{Body, limit};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* } check |$me:ident| $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Body for $name {
            fn check(&self) -> bool {
                let $me = self;
                $check
            }
        }
    };
}

/// A rectangle: position and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Rect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width; 0 = nothing.
    pub width: i32,
    /// Height; 0 = nothing.
    pub height: i32,
}

fn in_range(value: i32) -> bool {
    (-limit::SIZE..=limit::SIZE).contains(&value)
}

fn is_size(value: i32) -> bool {
    (0..=limit::SIZE).contains(&value)
}

impl Rect {
    fn is_sane(&self) -> bool {
        in_range(self.x) && in_range(self.y) && is_size(self.width) && is_size(self.height)
    }
}

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

/// What is handed over: values of the `selection` fields.
#[derive(Clone, Copy, Debug)]
pub struct Selection;

impl Selection {
    /// What was copied.
    pub const CLIPBOARD: u32 = 1;
    /// What is selected, for the middle button.
    pub const PRIMARY: u32 = 2;
    /// What is dragged.
    pub const DRAG: u32 = 3;
}

fn is_selection(value: u32) -> bool {
    (Selection::CLIPBOARD..=Selection::DRAG).contains(&value)
}

body! {
    /// See [`crate::Kind::Offer`].
    Offer {
        /// A [`Selection`].
        selection: u32,
        /// To the bridge: serial of the input event that allows it. To the app: 1 if what the app had offered was
        /// replaced by something else, whether the app may see that or not; else 0.
        serial: u32,
        /// Drag to the bridge: the surface it begins in.
        surface: u32,
        /// Drag to the bridge: the surface that follows the pointer, 0 = none.
        icon: u32,
        /// Drag: wl_data_device_manager.dnd_action bits of the source.
        actions: u32,
    } check |m| is_selection(m.selection) && m.actions <= 7
}

body! {
    /// See [`crate::Kind::Request`].
    Request {
        /// Number that the asking side gives the transfer.
        transfer: u32,
        /// A [`Selection`].
        selection: u32,
    } check |m| m.transfer != 0 && is_selection(m.selection)
}

/// Values of [`Data::state`].
#[derive(Clone, Copy, Debug)]
pub struct DataState;

impl DataState {
    /// From who gives: more comes.
    pub const MORE: u32 = 0;
    /// From who gives: this was the last piece.
    pub const LAST: u32 = 1;
    /// From who gives: refused or failed. Nothing more comes.
    pub const FAILED: u32 = 2;
    /// From who asked: one more piece has found its reader. At most [`crate::limit::WINDOW`] pieces may be on the way.
    pub const TAKEN: u32 = 3;
    /// From who asked: nobody reads it any more. Nothing more is to come.
    pub const STOP: u32 = 4;
}

body! {
    /// See [`crate::Kind::Data`].
    Data {
        /// Number of the transfer.
        transfer: u32,
        /// A [`DataState`].
        state: u32,
    } check |m| m.transfer != 0 && m.state <= DataState::STOP
}

/// Values of [`Drag::event`].
#[derive(Clone, Copy, Debug)]
pub struct DragEvent;

impl DragEvent {
    /// To the app: the drag that [`crate::Kind::Offer`] told of since the last of these events is on `surface` at `x`,
    /// `y`. Without such an offer it is the app's own drag.
    pub const ENTER: u32 = 1;
    /// To the app: it left, or ended outside.
    pub const LEAVE: u32 = 2;
    /// To the app: it moved to `x`, `y`.
    pub const MOTION: u32 = 3;
    /// To the app: it was dropped where it was last.
    pub const DROP: u32 = 4;
    /// To the app: the compositor chose `action` for the drag over the app's surface.
    pub const OFFER_ACTION: u32 = 5;
    /// To the app, about its own drag: the target takes the MIME type of the payload (none: no type).
    pub const TARGET: u32 = 6;
    /// To the app, about its own drag: the compositor chose `action`.
    pub const SOURCE_ACTION: u32 = 7;
    /// To the app, about its own drag: it was dropped.
    pub const DROP_PERFORMED: u32 = 8;
    /// To the app, about its own drag: the target has all it wants.
    pub const FINISHED: u32 = 9;
    /// To the app, about its own drag: it came to nothing.
    pub const CANCELLED: u32 = 10;
    /// To the bridge: the app takes the MIME type of the payload from the drag over it (none: nothing).
    pub const ACCEPT: u32 = 11;
    /// To the bridge: the app wants one of `actions`, rather `action`.
    pub const SET_ACTIONS: u32 = 12;
    /// To the bridge: the app has all it wants of what was dropped on it.
    pub const FINISH: u32 = 13;
    /// To the bridge: the app's own drag has no source any more.
    pub const CANCEL: u32 = 14;
    /// To the bridge: the app lets go of what was dropped on it, whether it has all of it or not.
    pub const GIVE_UP: u32 = 15;
}

body! {
    /// See [`crate::Kind::Drag`].
    Drag {
        /// A [`DragEvent`].
        event: u32,
        /// Surface of enter.
        surface: u32,
        /// Serial of enter; of accept.
        serial: u32,
        /// Milliseconds.
        time: u32,
        /// Position, 1/256 surface unit.
        x: i32,
        /// See `x`.
        y: i32,
        /// wl_data_device_manager.dnd_action bits.
        actions: u32,
        /// One wl_data_device_manager.dnd_action, or 0.
        action: u32,
    } check |m| (1..=15).contains(&m.event) && m.actions <= 7 && matches!(m.action, 0 | 1 | 2 | 4)
}

body! {
    /// See [`crate::Kind::Output`].
    Output {
        /// Number of the output.
        output: u32,
        /// Integer scale.
        scale: i32,
        /// Fractional scale in 1/120.
        fraction: u32,
        /// wl_output.transform.
        transform: u32,
        /// Mode, in pixels.
        mode: [i32; 2],
        /// Refresh rate in mHz.
        refresh: i32,
        /// wl_output.subpixel.
        subpixel: u32,
        /// Size in millimetres.
        physical: [i32; 2],
        /// Position and size in the compositor's space.
        logical: Rect,
        /// Name, UTF-8, NUL-padded.
        name: [u8; 32],
    } check |m| m.output != 0 && (1..=8).contains(&m.scale) && m.transform <= 7
}

body! {
    /// See [`crate::Kind::OutputGone`].
    OutputGone {
        /// Number of the output.
        output: u32,
    } check |m| m.output != 0
}

body! {
    /// See [`crate::Kind::Seat`].
    Seat {
        /// wl_seat capabilities: bit 0 pointer, bit 1 keyboard, bit 2 touch.
        capabilities: u32,
        /// Key repeat, per second.
        repeat_rate: i32,
        /// Milliseconds until repeat begins.
        repeat_delay: i32,
        /// Bytes of the keymap, 0 = none comes with this message.
        keymap_size: u32,
    } check |m| m.capabilities <= 7
}

/// Bits of [`Configure::states`]: bit n is xdg_toplevel.state n (1 maximized … 13 constrained_bottom).
#[derive(Clone, Copy, Debug)]
pub struct State;

#[expect(missing_docs, reason = "xdg_toplevel's own names")]
impl State {
    pub const MAXIMIZED: u32 = 1 << 1;
    pub const FULLSCREEN: u32 = 1 << 2;
    pub const RESIZING: u32 = 1 << 3;
    pub const ACTIVATED: u32 = 1 << 4;
}

body! {
    /// See [`crate::Kind::Configure`].
    Configure {
        /// Number of the surface.
        surface: u32,
        /// Serial to be acknowledged in a commit.
        serial: u32,
        /// Size, 0 = the app decides.
        width: i32,
        /// Size, 0 = the app decides.
        height: i32,
        /// Popup: position in the parent.
        x: i32,
        /// Popup: position in the parent.
        y: i32,
        /// Toplevel: [`State`] bits.
        states: u32,
        /// Popup: token of the reposition that this answers, 0 = none.
        token: u32,
        /// Toplevel: largest useful size, 0 = unknown.
        bounds: [i32; 2],
        /// 1 if the compositor draws the decorations.
        server_decoration: u32,
        /// Toplevel: bit n is xdg_toplevel.wm_capabilities n (1 window menu to 4 minimise), 0 = the compositor does
        /// not say.
        capabilities: u32,
    } check |m| m.surface != 0 && is_size(m.width) && is_size(m.height)
}

body! {
    /// See [`crate::Kind::Close`].
    Close {
        /// Number of the surface.
        surface: u32,
    } check |m| m.surface != 0
}

/// Values of [`Frame::event`].
#[derive(Clone, Copy, Debug)]
pub struct FrameEvent;

impl FrameEvent {
    /// A good time to draw.
    pub const DRAW: u32 = 0;
    /// The content update with [`Commit::feedback`] was shown.
    pub const PRESENTED: u32 = 1;
    /// The content update with [`Commit::feedback`] was never shown.
    pub const DISCARDED: u32 = 2;
    /// The surface is on `output` from now on.
    pub const ENTERED: u32 = 3;
    /// The surface is not on `output` any more.
    pub const LEFT: u32 = 4;
    /// The surface looks best with buffers of the scale `flags` / 120.
    pub const SCALE: u32 = 5;
}

body! {
    /// See [`crate::Kind::Frame`].
    Frame {
        /// Number of the surface.
        surface: u32,
        /// Draw: milliseconds of the compositor's clock.
        time: u32,
        /// A [`FrameEvent`].
        event: u32,
        /// Presented and discarded: [`Commit::feedback`].
        feedback: u32,
        /// Presented: seconds of CLOCK_MONOTONIC.
        seconds: u64,
        /// Presented: nanoseconds of it.
        nanoseconds: u32,
        /// Presented: nanoseconds until the next refresh, 0 = unknown.
        refresh: u32,
        /// Presented: the output's frame counter.
        sequence: u64,
        /// Presented: wp_presentation_feedback.kind bits. Scale: the scale in 1/120.
        flags: u32,
        /// Presented: number of the output, 0 = unknown. Entered and left: number of the output.
        output: u32,
    } check |m| match m.event {
        FrameEvent::DRAW => m.surface != 0,
        FrameEvent::PRESENTED | FrameEvent::DISCARDED => m.feedback != 0,
        FrameEvent::ENTERED | FrameEvent::LEFT => m.surface != 0 && m.output != 0,
        FrameEvent::SCALE => m.surface != 0 && (1..=1920).contains(&m.flags),
        _ => false,
    }
}

body! {
    /// See [`crate::Kind::BufferRelease`].
    BufferRelease {
        /// [`Commit::buffer`].
        buffer: u32,
    } check |m| m.buffer != 0
}

/// Values of [`Pointer::event`].
#[derive(Clone, Copy, Debug)]
pub struct PointerEvent;

impl PointerEvent {
    /// Entered `surface` at `x`, `y`.
    pub const ENTER: u32 = 1;
    /// Left `surface`.
    pub const LEAVE: u32 = 2;
    /// Moved to `x`, `y`.
    pub const MOTION: u32 = 3;
    /// `button` is pressed (`state` 1) or released (0).
    pub const BUTTON: u32 = 4;
    /// Scrolled by `x`, `y` (1/256 unit) and `discrete` (1/120 step); `state` is wl_pointer.axis_source, `button` has
    /// bit 0 for "stop" of the horizontal and bit 1 of the vertical axis, and bits 2 and 3 where they are inverted.
    pub const AXIS: u32 = 5;
    /// End of events that belong together.
    pub const FRAME: u32 = 6;
    /// Moved by `x`, `y` and, without acceleration, by `discrete` (all 1/256 unit); `time` and `high` are the two halves
    /// of the microseconds.
    pub const RELATIVE: u32 = 7;
    /// The lock ([`CommitFlag::LOCK_POINTER`]) or confinement of `surface` holds from now on.
    pub const CONSTRAINED: u32 = 8;
    /// It does not any more.
    pub const UNCONSTRAINED: u32 = 9;
}

body! {
    /// See [`crate::Kind::Pointer`].
    Pointer {
        /// A [`PointerEvent`].
        event: u32,
        /// Surface of enter and leave.
        surface: u32,
        /// Serial of enter, leave and button.
        serial: u32,
        /// Milliseconds.
        time: u32,
        /// Position or scroll distance, 1/256 surface unit.
        x: i32,
        /// See `x`.
        y: i32,
        /// Linux button code.
        button: u32,
        /// See [`PointerEvent`].
        state: u32,
        /// Horizontal and vertical wheel steps, in 1/120.
        discrete: [i32; 2],
        /// See [`PointerEvent::RELATIVE`].
        high: u32,
    } check |m| (1..=9).contains(&m.event)
}

/// Values of [`Key::event`].
#[derive(Clone, Copy, Debug)]
pub struct KeyEvent;

impl KeyEvent {
    /// `surface` got the keyboard; `keys` are held (0 = none).
    pub const ENTER: u32 = 1;
    /// `surface` lost the keyboard.
    pub const LEAVE: u32 = 2;
    /// `key` is pressed (`state` 1), released (0) or repeated (2).
    pub const KEY: u32 = 3;
    /// `modifiers` changed.
    pub const MODIFIERS: u32 = 4;
    /// The compositor leaves its key combinations to `surface` ([`CommitFlag::INHIBIT_SHORTCUTS`]) from now on.
    pub const INHIBITED: u32 = 5;
    /// It does not any more.
    pub const UNINHIBITED: u32 = 6;
}

body! {
    /// See [`crate::Kind::Key`].
    Key {
        /// A [`KeyEvent`].
        event: u32,
        /// Surface of enter and leave.
        surface: u32,
        /// Serial.
        serial: u32,
        /// Milliseconds.
        time: u32,
        /// Linux key code.
        key: u32,
        /// Pressed, released or repeated.
        state: u32,
        /// Depressed, latched, locked, group.
        modifiers: [u32; 4],
        /// Keys that are held at enter.
        keys: [u32; 8],
    } check |m| (1..=6).contains(&m.event)
}

/// Values of [`Touch::event`].
#[derive(Clone, Copy, Debug)]
pub struct TouchEvent;

impl TouchEvent {
    /// Finger `id` touched `surface` at `x`, `y`.
    pub const DOWN: u32 = 1;
    /// Finger `id` was lifted.
    pub const UP: u32 = 2;
    /// Finger `id` moved to `x`, `y`.
    pub const MOTION: u32 = 3;
    /// End of events that belong together.
    pub const FRAME: u32 = 4;
    /// The compositor took the fingers for a gesture of its own.
    pub const CANCEL: u32 = 5;
    /// Finger `id` is an ellipse with the axes `x` and `y`.
    pub const SHAPE: u32 = 6;
    /// Finger `id` is turned by `x`, in 1/256 degree.
    pub const ORIENTATION: u32 = 7;
}

body! {
    /// See [`crate::Kind::Touch`].
    Touch {
        /// A [`TouchEvent`].
        event: u32,
        /// Surface of down.
        surface: u32,
        /// Serial of down and up.
        serial: u32,
        /// Milliseconds.
        time: u32,
        /// Number of the finger.
        id: i32,
        /// Position, 1/256 surface unit.
        x: i32,
        /// See `x`.
        y: i32,
    } check |m| (1..=7).contains(&m.event)
}

body! {
    /// See [`crate::Kind::TextInput`]. The whole state of the app's text field that has the focus.
    TextInput {
        /// Surface that has the field; 0: no input method is wanted.
        surface: u32,
        /// How many states were sent so far; comes back in [`TextEdit::serial`].
        serial: u32,
        /// zwp_text_input_v3.content_hint bits.
        hint: u32,
        /// zwp_text_input_v3.content_purpose.
        purpose: u32,
        /// zwp_text_input_v3.change_cause.
        cause: u32,
        /// 1: the payload is the text around the cursor.
        has_text: u32,
        /// Byte offset of the cursor in the text.
        cursor: u32,
        /// Byte offset of the selection's other end.
        anchor: u32,
        /// Where the cursor is, surface units; width and height may be 0.
        rectangle: Rect,
        /// 1: it is another text field than in the last message, or begins anew.
        fresh: u32,
    } check |m| m.hint <= 0x3ff && m.purpose <= 13 && m.cause <= 1 && m.has_text <= 1 && m.fresh <= 1
        && m.rectangle.is_sane()
}

body! {
    /// See [`crate::Kind::TextEdit`]. What one zwp_text_input_v3.done tells. The payload is the preedit text and then
    /// the text to commit.
    TextEdit {
        /// 0: the edit; 1: `surface` can use an input method from now on; 2: it cannot any more.
        event: u32,
        /// Surface of events 1 and 2.
        surface: u32,
        /// [`TextInput::serial`] that the input method has seen.
        serial: u32,
        /// Bytes of the preedit text in the payload.
        preedit: u32,
        /// Cursor in the preedit text: begin, -1 = hidden.
        cursor_begin: i32,
        /// Cursor in the preedit text: end, -1 = hidden.
        cursor_end: i32,
        /// Bytes to delete before the cursor.
        delete_before: u32,
        /// Bytes to delete after the cursor.
        delete_after: u32,
    } check |m| m.event <= 2
}
