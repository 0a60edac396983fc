//! Selections and drags.

use super::body;
use crate::Body;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
