//! `wp_presentation`: when content updates were shown, as the compositor tells, or that they never were.

use crate::client::{Client, ClientId};
use crate::object::Kind;
use crate::shell::{Done, fault};
use crate::wire::Reader;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, FrameEvent};

/// CLOCK_MONOTONIC, which the channel's times are of.
pub const CLOCK: u32 = 1;
/// Most content updates that wait for their feedback.
const MAX_WAITING: usize = 4096;
/// Most feedback objects of one content update.
const MAX_OBJECTS: usize = 256;

/// A content update whose feedback is awaited.
pub struct Feedback {
    client: ClientId,
    surface: u32,
    /// wp_presentation_feedback objects.
    objects: Vec<u32>,
}

/// Says that a content update was never shown.
pub fn discard<F>(client: &mut Client<F>, object: u32) {
    drop(client.event(object, 2));
    client.remove(object);
}

impl<P: Platform> Display<P> {
    /// wp_presentation.feedback.
    pub(crate) fn new_feedback(&mut self, id: ClientId, version: u32, r: &mut Reader<'_>) -> Done {
        let (surface, new) = (r.u32()?, r.u32()?);
        let number = self.surface_of(id, surface)?;
        self.create(id, new, Kind::PresentationFeedback, version)?;
        let Some(s) = self.surfaces.get_mut(&number) else { return Ok(()) };
        if s.pending.feedbacks.len() >= MAX_OBJECTS {
            return fault(1, crate::client::display_error::NO_MEMORY, "too many wishes for feedback");
        }
        s.pending.feedbacks.push(new);
        Ok(())
    }

    /// A content update wants feedback. Returns the number of that wish, 0 if it is hopeless.
    pub(crate) fn want_feedback(&mut self, client: ClientId, surface: u32, objects: Vec<u32>) -> u32 {
        if objects.is_empty() {
            return 0;
        }
        if !self.connected || self.feedbacks.len() >= MAX_WAITING {
            if let Some(c) = self.clients.get_mut(&client) {
                objects.into_iter().for_each(|object| discard(c, object));
            }
            return 0;
        }
        let number = Self::fresh(&mut self.next_feedback, &self.feedbacks);
        self.feedbacks.insert(number, Feedback { client, surface, objects });
        number
    }

    pub(crate) fn discard_feedback(&mut self, number: u32) {
        let Some(feedback) = self.feedbacks.remove(&number) else { return };
        let Some(c) = self.clients.get_mut(&feedback.client) else { return };
        feedback.objects.into_iter().for_each(|object| discard(c, object));
    }

    /// A surface vanishes.
    pub(crate) fn discard_feedback_of(&mut self, surface: u32) {
        let of_it: Vec<u32> =
            self.feedbacks.iter().filter(|(_, f)| f.surface == surface).map(|(n, _)| *n).collect();
        of_it.into_iter().for_each(|number| self.discard_feedback(number));
    }

    /// The bridge is gone, and nobody knows what was shown.
    pub(crate) fn discard_all_feedback(&mut self) {
        let all: Vec<u32> = self.feedbacks.keys().copied().collect();
        all.into_iter().for_each(|number| self.discard_feedback(number));
        for surface in self.surfaces.values_mut() {
            surface.sent.feedback = 0;
        }
    }

    /// The compositor says what became of a content update.
    pub(crate) fn host_feedback(&mut self, frame: &msg::Frame) {
        if frame.event == FrameEvent::DISCARDED {
            return self.discard_feedback(frame.feedback);
        }
        let Some(feedback) = self.feedbacks.remove(&frame.feedback) else { return };
        let Some(c) = self.clients.get_mut(&feedback.client) else { return };
        let outputs = c.find(|k| matches!(k, Kind::Output(n) if *n == frame.output));
        let halves = |v: u64| [v >> 32, v & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0));
        let ([seconds_hi, seconds_lo], [sequence_hi, sequence_lo]) =
            (halves(frame.seconds), halves(frame.sequence));
        for object in feedback.objects {
            for (output, _) in &outputs {
                drop(c.event(object, 0).u32(*output));
            }
            let event = c.event(object, 1).u32(seconds_hi).u32(seconds_lo).u32(frame.nanoseconds);
            drop(event.u32(frame.refresh).u32(sequence_hi).u32(sequence_lo).u32(frame.flags & 15));
            c.remove(object);
        }
    }
}
