//! What the bridge says of the session and of windows: outputs, devices, sizes, frames.

use super::{Rect, body, is_size};
use crate::Body;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
