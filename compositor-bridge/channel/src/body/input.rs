//! Input: pointer, keys, touch, input methods.

use super::{Rect, body};
use crate::Body;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
