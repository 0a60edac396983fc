//! The bridge's end: messages out and in.

use crate::client::ClientId;
use crate::surface::{Attach, Role, Surface};
use crate::{Display, Outgoing, Platform};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use postern_channel::{
    self as msg, Commit, CommitFlag, DecodeError, Hello, Message, Text, TextField, VERSION,
};

impl<P: Platform> Display<P> {
    pub(crate) fn send(&mut self, message: &Message<'_>, handle: Option<P::Handle>) {
        // Before a bridge greets there is nobody; replay tells it everything later.
        if !self.connected && !matches!(message, Message::Hello(..)) {
            return;
        }
        let mut bytes = alloc::vec![0; msg::MAX_MESSAGE.min(1024 + payload_len(message))];
        if let Some(len) = message.encode(&mut bytes) {
            bytes.truncate(len);
            self.out.push_back(Outgoing { bytes, handle });
        }
    }

    /// Puts a commit in the place of the one before it, if that is not sent yet and neither has contents. What a client asks
    /// for right after its first commit, as GTK 3 does with decorations, then counts before the compositor configures the
    /// window: if it came between that and the first contents, `KWin` would take the frame off the size.
    pub(crate) fn replace_unsent(&mut self, commit: &Commit) -> bool {
        if commit.flags & CommitFlag::BUFFER != 0 {
            return false;
        }
        let last = self.out.iter_mut().rev().find_map(|out| match Message::decode(&out.bytes) {
            Ok(Message::Commit(last, _)) if last.surface == commit.surface => Some((last, out)),
            _ => None,
        });
        let Some((last, out)) = last else { return false };
        if last.flags & CommitFlag::BUFFER != 0 || last.feedback != commit.feedback {
            return false;
        }
        let flags = commit.flags | last.flags & CommitFlag::MINIMIZE;
        Message::Commit(Commit { flags, ..*commit }, &[]).encode(&mut out.bytes).is_some()
    }

    /// Takes the next message for the bridge.
    pub fn take_channel(&mut self) -> Option<Outgoing<P::Handle>> {
        self.out.pop_front()
    }

    /// Puts a message back that could not be sent now.
    pub fn put_back(&mut self, message: Outgoing<P::Handle>) {
        self.out.push_front(message);
    }

    /// Whether messages wait for the bridge.
    #[must_use]
    pub fn has_channel_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// A message from the bridge.
    ///
    /// # Errors
    /// What is wrong with it; it had no effect.
    pub fn channel_message(
        &mut self,
        platform: &mut P,
        bytes: &[u8],
        handle: Option<P::Handle>,
        now_ms: u32,
    ) -> Result<(), DecodeError> {
        self.now_ms = now_ms;
        match Message::decode(bytes)? {
            Message::Hello(hello, _) => self.replay(platform, hello),
            Message::Output(output, _) => self.output_changed(output),
            Message::OutputGone(gone, _) => self.output_gone(gone.output),
            Message::Seat(seat, _) => self.seat_changed(platform, seat, handle),
            Message::Configure(mut configure, _) => {
                // By now a bridge has told of all outputs that there are.
                self.drop_stale_outputs();
                self.keep_size(&mut configure);
                self.configure(&configure);
            }
            Message::Close(close, _) => self.close(close.surface),
            Message::Frame(frame, _) => {
                self.heard_ms = now_ms;
                self.host_frame(&frame);
            }
            Message::BufferRelease(release, _) => {
                self.heard_ms = now_ms;
                self.release_attachment(release.buffer);
            }
            Message::Pointer(pointer, _) => self.pointer(&pointer),
            Message::Key(key, _) => self.key(&key),
            Message::Touch(touch, _) => self.touch(&touch),
            Message::TextEdit(edit, text) => self.text_edit(&edit, text),
            Message::Offer(offer, mimes) => self.host_offers(&offer, mimes),
            Message::Request(request, mime) => self.host_asks(platform, &request, mime),
            Message::Data(data, piece) => self.host_sends(platform, &data, piece),
            Message::Drag(drag, mime) => self.host_drags(&drag, mime),
            _ => return Err(DecodeError::Kind),
        }
        self.answer_syncs();
        Ok(())
    }

    /// The bridge is gone. Until another one greets, nothing is kept for it, and no client waits for it.
    pub fn bridge_lost(&mut self) {
        if core::mem::take(&mut self.connected) {
            self.out.clear();
            self.release_stale();
            self.go_on_alone();
            self.answer_syncs();
            self.discard_all_feedback();
        }
    }

    /// What a former bridge still read is nobody's now, except what surfaces show.
    fn release_stale(&mut self) {
        let mut shown: BTreeSet<u32> = self.surfaces.values().map(|s| s.sent.buffer).collect();
        shown.extend(self.surfaces.values().filter_map(|s| match s.cached.as_ref()?.attach {
            Attach::Taken(attachment, _) => Some(attachment),
            _ => None,
        }));
        let stale: Vec<u32> = self.attachments.keys().copied().filter(|n| !shown.contains(n)).collect();
        for number in stale {
            self.release_attachment(number);
        }
    }

    /// What only a bridge could know is not known any more: where input goes, where surfaces are, what was granted.
    fn forget_host(&mut self) {
        for focus in [self.seat.pointer_focus, self.seat.keyboard_focus] {
            self.drop_focus(focus);
        }
        self.leave_text_input();
        self.cancel_touch();
        self.discard_all_feedback();
        let surfaces: Vec<u32> = self.surfaces.keys().copied().collect();
        for number in surfaces {
            self.leave_outputs(number);
            self.unconstrain(number);
            self.host_inhibits(number, false);
        }
    }

    /// Tells a new bridge everything: pools, then surfaces from parents to children, with their texts.
    fn replay(&mut self, platform: &mut P, hello: Hello) {
        // What follows from the former bridge's end is not said one by one: the new one gets it with the rest.
        self.connected = false;
        self.out.clear();
        self.forget_host();
        self.connected = true;
        self.alone = false;
        self.send(
            &Message::Hello(Hello { version: u32::from(VERSION), features: 0, ..Default::default() }, &[]),
            None,
        );
        self.set_features(&hello);
        self.release_stale();
        self.end_transfers(platform);
        self.end_drags();
        self.stale_outputs = self.outputs.keys().copied().collect();
        // Menus belong to a moment that is over; their grabs would not be granted again.
        let is_popup = |s: &Surface| s.announced && s.role == Role::Popup;
        let popups: Vec<u32> = self.surfaces.iter().filter(|(_, s)| is_popup(s)).map(|(n, _)| *n).collect();
        for popup in popups {
            if let Some(surface) = self.surfaces.get_mut(&popup) {
                surface.announced = false;
            }
            self.close(popup);
        }
        let pools: Vec<u32> = self.pools.keys().copied().collect();
        for pool in pools {
            self.send_pool(pool);
        }
        let mut order: Vec<u32> = self.surfaces.keys().copied().collect();
        order.sort_by_key(|n| self.depth(*n));
        for number in order {
            let Some(surface) = self.surfaces.get_mut(&number) else { continue };
            if !surface.announced {
                continue;
            }
            let commit = surface.sent;
            surface.sent.damage = msg::Rect { x: 0, y: 0, width: commit.width, height: commit.height };
            surface.sent.acked = 0;
            surface.announced = false;
            surface.reshown = true;
            self.send_commit(number);
        }
        if let Some(cursor) = self.seat.cursor {
            self.send(&Message::Cursor(cursor, &[]), None);
        }
        self.announce_selections();
    }

    fn depth(&self, number: u32) -> u32 {
        let mut depth = 0;
        let mut at = number;
        while let Some(surface) = self.surfaces.get(&at) {
            at = surface.sent.parent;
            depth += 1;
            if at == 0 || depth > 64 {
                break;
            }
        }
        depth
    }

    pub(crate) fn send_text(&mut self, number: u32, field: u32) {
        let Some(surface) = self.surfaces.get(&number).filter(|s| s.announced) else { return };
        let text = if field == TextField::TITLE { surface.title.clone() } else { surface.app_id.clone() };
        self.send(&Message::Text(Text { surface: number, field }, &text), None);
    }

    pub(crate) fn client_of(&self, surface: u32) -> Option<ClientId> {
        self.surfaces.get(&surface).map(|s| s.client)
    }
}

fn payload_len(message: &Message<'_>) -> usize {
    match message {
        Message::Text(_, p)
        | Message::Offer(_, p)
        | Message::Request(_, p)
        | Message::Data(_, p)
        | Message::Drag(_, p)
        | Message::TextInput(_, p) => p.len(),
        _ => 0,
    }
}
