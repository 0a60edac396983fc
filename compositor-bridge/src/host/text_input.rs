//! The session's input methods, for the app's text field that has the focus.

use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::host::globals::Globals;
use crate::host::seat::surface_number;
use postern_channel::{Message, TextEdit, TextInput, limit};
use std::collections::VecDeque;
use wayland_client::protocol::wl_seat;
use wayland_client::{Connection, Dispatch, QueueHandle};
use wayland_protocols::wp::text_input::zv3::client::zwp_text_input_v3::{
    ChangeCause, ContentHint, ContentPurpose, Event, ZwpTextInputV3,
};

/// Values of [`TextEdit::event`].
const ENTER: u32 = 1;
const LEAVE: u32 = 2;
/// Most states that are remembered until the input method has seen them.
const STATES: usize = 64;

/// What an input method does, gathered until it is done.
#[derive(Default)]
struct Edit {
    preedit: String,
    cursor: [i32; 2],
    commit: String,
    delete: [u32; 2],
}

/// The seat's text input.
#[derive(Default)]
pub struct TextInputs {
    object: Option<ZwpTextInputV3>,
    /// The app's surface that input methods reach, 0 = none.
    surface: u32,
    is_enabled: bool,
    commits: u32,
    /// What the app called the states: number of our commit, and its serial.
    states: VecDeque<(u32, u32)>,
    edit: Edit,
}

impl TextInputs {
    /// Follows the seat's input methods.
    pub fn follow(&mut self, globals: &Globals, seat: &wl_seat::WlSeat, queue: &QueueHandle<Bridge>) {
        self.object = globals.text_inputs.as_ref().map(|manager| manager.get_text_input(seat, queue, ()));
    }

    /// The state of the app's text field.
    pub fn update(&mut self, state: &TextInput, text: &[u8]) -> Result<(), BridgeError> {
        let Some(object) = &self.object else { return Ok(()) };
        let text = std::str::from_utf8(text).map_err(|_| malformed("a text field that is not UTF-8"))?;
        // One that the input method has left meanwhile.
        if state.surface != self.surface && state.surface != 0 {
            return Ok(());
        }
        if state.surface == 0 {
            if !std::mem::take(&mut self.is_enabled) {
                return Ok(());
            }
            object.disable();
        } else {
            if !self.is_enabled || state.fresh != 0 {
                object.enable();
                self.is_enabled = true;
            }
            let places = [state.cursor, state.anchor].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            if state.has_text != 0 && !text.contains('\0') {
                if !places.iter().all(|&at| text.is_char_boundary(at)) {
                    return Err(malformed("a cursor outside of its text"));
                }
                // At most limit::SURROUNDING.
                let [cursor, anchor] = places.map(|at| i32::try_from(at).unwrap_or(0));
                object.set_surrounding_text(text.into(), cursor, anchor);
            }
            let cause = ChangeCause::try_from(state.cause).unwrap_or(ChangeCause::Other);
            object.set_text_change_cause(cause);
            let purpose = ContentPurpose::try_from(state.purpose).unwrap_or(ContentPurpose::Normal);
            object.set_content_type(ContentHint::from_bits_truncate(state.hint), purpose);
            let at = state.rectangle;
            object.set_cursor_rectangle(at.x, at.y, at.width, at.height);
        }
        object.commit();
        self.commits = self.commits.wrapping_add(1);
        if self.states.len() >= STATES {
            self.states.pop_front();
        }
        self.states.push_back((self.commits, state.serial));
        Ok(())
    }

    /// The app's serial of the state that the input method has seen.
    fn seen(&mut self, commits: u32) -> u32 {
        while self.states.len() > 1 && self.states.front().is_some_and(|&(number, _)| number != commits) {
            self.states.pop_front();
        }
        self.states.front().map_or(0, |&(_, serial)| serial)
    }

    /// The app's side begins anew: no text field has the focus.
    pub fn forget_app(&mut self) {
        self.states.clear();
        if let Some(object) = self.object.as_ref().filter(|_| std::mem::take(&mut self.is_enabled)) {
            object.disable();
            object.commit();
            self.commits = self.commits.wrapping_add(1);
        }
    }

    /// What there is to say when the app's side begins anew.
    pub fn reach(&self) -> Option<TextEdit> {
        (self.surface != 0).then(|| TextEdit { event: ENTER, surface: self.surface, ..Default::default() })
    }
}

/// The edit as a message. Text that is too long for one is cut at the end.
fn message(edit: &Edit, serial: u32) -> (TextEdit, Vec<u8>) {
    let most = limit::TEXT_EDIT / 2;
    let cut = |text: &str| (0..=text.len().min(most)).rfind(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let (preedit, commit) = (cut(&edit.preedit), cut(&edit.commit));
    let text = [&edit.preedit.as_bytes()[..preedit], &edit.commit.as_bytes()[..commit]].concat();
    let [cursor_begin, cursor_end] =
        edit.cursor.map(|at| at.min(i32::try_from(preedit).unwrap_or(0)).max(-1));
    let [delete_before, delete_after] = edit.delete;
    let body = TextEdit {
        event: 0,
        surface: 0,
        serial,
        preedit: u32::try_from(preedit).unwrap_or(0),
        cursor_begin,
        cursor_end,
        delete_before,
        delete_after,
    };
    (body, text)
}

impl Dispatch<ZwpTextInputV3, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &ZwpTextInputV3,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let inputs = &mut bridge.text_inputs;
        match event {
            Event::Enter { surface } => {
                inputs.surface = surface_number(&surface).unwrap_or(0);
                if let Some(edit) = inputs.reach() {
                    bridge.app.send(&Message::TextEdit(edit, &[]));
                }
            }
            Event::Leave { .. } => {
                let surface = std::mem::take(&mut inputs.surface);
                inputs.is_enabled = false;
                inputs.edit = Edit::default();
                let edit = TextEdit { event: LEAVE, surface, ..Default::default() };
                bridge.app.send(&Message::TextEdit(edit, &[]));
            }
            Event::PreeditString { text, cursor_begin, cursor_end } => {
                inputs.edit.preedit = text.unwrap_or_default();
                inputs.edit.cursor = [cursor_begin, cursor_end];
            }
            Event::CommitString { text } => inputs.edit.commit = text.unwrap_or_default(),
            Event::DeleteSurroundingText { before_length, after_length } => {
                inputs.edit.delete = [before_length, after_length];
            }
            Event::Done { serial } => {
                let edit = std::mem::take(&mut inputs.edit);
                let serial = inputs.seen(serial);
                let (body, text) = message(&edit, serial);
                bridge.app.send(&Message::TextEdit(body, &text));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_fit_into_a_message() {
        let edit = Edit { preedit: "ä".repeat(5000), cursor: [9999, 2], commit: "b".into(), delete: [1, 2] };
        let (body, text) = message(&edit, 7);
        assert_eq!((body.preedit, body.cursor_begin, body.cursor_end), (4000, 4000, 2));
        assert_eq!((body.serial, body.delete_before, body.delete_after), (7, 1, 2));
        assert_eq!((text.len(), text.last()), (4001, Some(&b'b')));
        assert!(std::str::from_utf8(&text[..4000]).is_ok());
    }

    #[test]
    fn the_state_that_was_seen_is_found() {
        let mut inputs = TextInputs { states: [(1, 10), (2, 11), (3, 12)].into(), ..Default::default() };
        assert_eq!(inputs.seen(2), 11);
        assert_eq!(inputs.seen(2), 11, "an input method may do more than one thing");
        assert_eq!(inputs.seen(3), 12);
        assert_eq!(TextInputs::default().seen(5), 0);
    }
}
