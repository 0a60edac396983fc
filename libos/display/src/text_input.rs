//! `zwp_text_input_v3`: text fields of the app, served by the host's input methods.
//!
//! The host says which surface input methods can reach ([`edit_event`]); its client's text inputs hear that, and one of
//! them says that a text field has the focus. Every committed state of that one goes to the bridge whole, under a
//! number; what the input method does comes back with the number of the state that it has seen.

use crate::client::ClientId;
use crate::object::Kind;
use crate::shell::{Done, Failure};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use postern_channel::{self as msg, Message, Rect, limit};

/// Values of [`msg::TextEdit::event`].
mod edit_event {
    pub const ENTER: u32 = 1;
    pub const LEAVE: u32 = 2;
}

/// zwp_text_input_v3.content_purpose: the last one, terminal.
const LAST_PURPOSE: u32 = 13;
/// zwp_text_input_v3.content_hint: all of version 1.
const ALL_HINTS: u32 = 0x3ff;
/// Most states that are remembered until the input method has seen them.
const MAX_STATES: usize = 64;

/// What a client says of a text field.
#[derive(Clone, Default)]
struct State {
    is_enabled: bool,
    /// enable was called since the last commit.
    is_fresh: bool,
    text: Option<Vec<u8>>,
    cursor: u32,
    anchor: u32,
    cause: u32,
    hint: u32,
    purpose: u32,
    rectangle: Rect,
}

/// A zwp_text_input_v3.
#[derive(Default)]
struct Field {
    pending: State,
    commits: u32,
    /// The client knows of preedit text.
    has_preedit: bool,
}

/// A state that went to the bridge.
struct Sent {
    serial: u32,
    owner: (ClientId, u32),
    commits: u32,
}

/// All text inputs of the display.
#[derive(Default)]
pub struct TextInputs {
    fields: BTreeMap<(ClientId, u32), Field>,
    /// The surface that input methods reach, 0 = none.
    focus: u32,
    /// The text input that says it has a text field with the focus.
    active: Option<(ClientId, u32)>,
    sent: VecDeque<Sent>,
    last_serial: u32,
}

impl<P: Platform> Display<P> {
    /// zwp_text_input_manager_v3.get_text_input.
    pub(crate) fn new_text_input(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (new, seat) = (r.u32()?, r.u32()?);
        if !matches!(self.kind_of(id, seat), Some(Kind::Seat)) {
            return Err(Failure::Malformed);
        }
        self.create(id, new, Kind::TextInput, version)?;
        self.text_inputs.fields.insert((id, new), Field::default());
        let focus = self.surfaces.get(&self.text_inputs.focus).filter(|s| s.client == id).map(|s| s.object);
        if let (Some(surface), Some(client)) = (focus, self.client(id)) {
            drop(client.event(new, 0).u32(surface));
        }
        Ok(())
    }

    /// A request of zwp_text_input_v3.
    pub(crate) fn text_input_request(
        &mut self,
        id: ClientId,
        object: u32,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        if opcode == 0 {
            self.forget_text_input(id, object);
            self.destroy(id, object);
            return Ok(());
        }
        let Some(field) = self.text_inputs.fields.get_mut(&(id, object)) else { return Ok(()) };
        let pending = &mut field.pending;
        match opcode {
            1 => *pending = State { is_enabled: true, is_fresh: true, ..State::default() },
            2 => *pending = State::default(),
            3 => {
                let text = r.string()?.unwrap_or(b"");
                let (cursor, anchor) = (r.i32()?, r.i32()?);
                (pending.text, pending.cursor, pending.anchor) = surrounding(text, cursor, anchor);
            }
            4 => pending.cause = r.u32()?.min(1),
            5 => {
                pending.hint = r.u32()? & ALL_HINTS;
                pending.purpose = Some(r.u32()?).filter(|p| *p <= LAST_PURPOSE).unwrap_or(0);
            }
            6 => {
                let rect = Rect { x: r.i32()?, y: r.i32()?, width: r.i32()?, height: r.i32()? };
                pending.rectangle = crate::commit::cut(rect);
            }
            7 => self.commit_text_input(id, object),
            _ => return Err(Failure::Malformed),
        }
        Ok(())
    }

    fn commit_text_input(&mut self, id: ClientId, object: u32) {
        let is_reached = self.client_of(self.text_inputs.focus) == Some(id);
        let inputs = &mut self.text_inputs;
        let Some(field) = inputs.fields.get_mut(&(id, object)) else { return };
        field.commits = field.commits.wrapping_add(1);
        let state = field.pending.clone();
        field.pending.is_fresh = false;
        field.pending.cause = 0;
        let owner = (id, object);
        let was_active = inputs.active == Some(owner);
        // The protocol has such requests ignored.
        if !is_reached || !state.is_enabled && !was_active {
            return;
        }
        inputs.active = state.is_enabled.then_some(owner);
        inputs.last_serial = inputs.last_serial.checked_add(1).unwrap_or(1);
        let serial = inputs.last_serial;
        if inputs.sent.len() >= MAX_STATES {
            inputs.sent.pop_front();
        }
        inputs.sent.push_back(Sent { serial, owner, commits: field.commits });
        let surface = if state.is_enabled { inputs.focus } else { 0 };
        let message = msg::TextInput {
            surface,
            serial,
            hint: state.hint,
            purpose: state.purpose,
            cause: state.cause,
            has_text: u32::from(state.text.is_some()),
            cursor: state.cursor,
            anchor: state.anchor,
            rectangle: state.rectangle,
            fresh: u32::from(state.is_fresh || !was_active),
        };
        self.send(&Message::TextInput(message, state.text.as_deref().unwrap_or(b"")), None);
    }

    /// The input method did something, or its reach changed.
    pub(crate) fn text_edit(&mut self, edit: &msg::TextEdit, text: &[u8]) {
        match edit.event {
            edit_event::ENTER => self.enter_text_input(edit.surface),
            edit_event::LEAVE => {
                if self.text_inputs.focus == edit.surface {
                    self.leave_text_input();
                }
            }
            _ => self.edit_text(edit, text),
        }
    }

    fn enter_text_input(&mut self, surface: u32) {
        self.leave_text_input();
        let Some((client, object)) = self.surfaces.get(&surface).map(|s| (s.client, s.object)) else {
            return;
        };
        self.text_inputs.focus = surface;
        let Some(c) = self.clients.get_mut(&client) else { return };
        for (input, _) in c.find(|k| matches!(k, Kind::TextInput)) {
            drop(c.event(input, 0).u32(object));
        }
    }

    /// Input methods do not reach the app's surface any more.
    pub(crate) fn leave_text_input(&mut self) {
        let inputs = &mut self.text_inputs;
        inputs.active = None;
        inputs.sent.clear();
        let focus = core::mem::take(&mut inputs.focus);
        let Some(surface) = self.surfaces.get(&focus) else { return };
        let (client, object) = (surface.client, surface.object);
        for (_, field) in inputs.fields.iter_mut().filter(|((id, _), _)| *id == client) {
            field.pending = State::default();
            field.has_preedit = false;
        }
        let Some(c) = self.clients.get_mut(&client).filter(|_| object != 0) else { return };
        for (input, _) in c.find(|k| matches!(k, Kind::TextInput)) {
            drop(c.event(input, 1).u32(object));
        }
    }

    /// A surface vanishes.
    pub(crate) fn drop_text_focus(&mut self, surface: u32) {
        if surface != 0 && self.text_inputs.focus == surface {
            self.leave_text_input();
        }
    }

    fn edit_text(&mut self, edit: &msg::TextEdit, text: &[u8]) {
        let inputs = &mut self.text_inputs;
        // What was meant for a text field that lost the focus meanwhile is not for the next one.
        while inputs.sent.front().is_some_and(|s| s.serial.wrapping_sub(edit.serial).cast_signed() < 0) {
            inputs.sent.pop_front();
        }
        let Some(state) = inputs.sent.front() else { return };
        let (owner, commits) = (state.owner, state.commits);
        if inputs.active != Some(owner) {
            return;
        }
        let Some(field) = inputs.fields.get_mut(&owner) else { return };
        let cut = usize::try_from(edit.preedit).unwrap_or(usize::MAX).min(text.len());
        let (preedit, commit) = text.split_at_checked(cut).unwrap_or((text, b""));
        let had_preedit = core::mem::replace(&mut field.has_preedit, !preedit.is_empty());
        let Some(c) = self.clients.get_mut(&owner.0) else { return };
        let object = owner.1;
        if !preedit.is_empty() || had_preedit {
            let event = c.event(object, 2).string(preedit);
            drop(event.i32(edit.cursor_begin).i32(edit.cursor_end));
        }
        if !commit.is_empty() {
            drop(c.event(object, 3).string(commit));
        }
        if edit.delete_before != 0 || edit.delete_after != 0 {
            drop(c.event(object, 4).u32(edit.delete_before).u32(edit.delete_after));
        }
        drop(c.event(object, 5).u32(commits));
    }

    fn forget_text_input(&mut self, id: ClientId, object: u32) {
        let inputs = &mut self.text_inputs;
        inputs.fields.remove(&(id, object));
        if inputs.active == Some((id, object)) {
            inputs.active = None;
            inputs.last_serial = inputs.last_serial.checked_add(1).unwrap_or(1);
            let message = msg::TextInput { serial: inputs.last_serial, ..Default::default() };
            self.send(&Message::TextInput(message, &[]), None);
        }
    }

    /// A client is gone.
    pub(crate) fn forget_text_inputs_of(&mut self, id: ClientId) {
        let own: Vec<u32> =
            self.text_inputs.fields.keys().filter(|(c, _)| *c == id).map(|(_, object)| *object).collect();
        for object in own {
            self.forget_text_input(id, object);
        }
    }
}

/// Text around the cursor that an input method can work with; nothing where the client does not keep to the rules.
fn surrounding(text: &[u8], cursor: i32, anchor: i32) -> (Option<Vec<u8>>, u32, u32) {
    let Ok(words) = core::str::from_utf8(text) else { return (None, 0, 0) };
    let place = |at: i32| {
        let at = usize::try_from(at).ok().filter(|at| words.is_char_boundary(*at))?;
        u32::try_from(at).ok()
    };
    match (place(cursor), place(anchor)) {
        (Some(cursor), Some(anchor)) if text.len() <= limit::SURROUNDING => {
            (Some(text.to_vec()), cursor, anchor)
        }
        _ => (None, 0, 0),
    }
}
