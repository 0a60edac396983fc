//! Presentation feedback: when the compositor showed a content update of the app.

use crate::bridge::Bridge;
use postern_channel::{Commit, Frame, FrameEvent, Message};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU32, Ordering};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::presentation_time::client::{
    wp_presentation::{self, WpPresentation},
    wp_presentation_feedback::{self, WpPresentationFeedback},
};

/// CLOCK_MONOTONIC.
pub const MONOTONIC: u32 = 1;

/// Data of a `wp_presentation_feedback`: the app's numbers of the surface and of the wish, and the output.
pub struct FeedbackOf {
    surface: u32,
    feedback: u32,
    output: AtomicU32,
}

impl Bridge {
    /// Asks what becomes of the content update that is about to be committed.
    pub fn ask_feedback(&mut self, number: u32, last: &Commit) {
        let Some(surface) = self.surfaces.get_mut(number) else { return };
        let feedback = last.feedback;
        if feedback == 0 || std::mem::replace(&mut surface.asked, feedback) == feedback {
            return;
        }
        match (&self.globals.presentation, &surface.host) {
            (Some(presentation), Some(host)) => {
                let data = FeedbackOf { surface: number, feedback, output: AtomicU32::new(0) };
                presentation.feedback(&host.surface, &self.queue, data);
            }
            _ => self.discard(number, feedback),
        }
    }

    /// Says that a content update was never shown.
    pub fn discard(&mut self, surface: u32, feedback: u32) {
        let event = FrameEvent::DISCARDED;
        self.app.send(&Message::Frame(Frame { surface, feedback, event, ..Default::default() }, &[]));
    }
}

impl Dispatch<WpPresentation, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &WpPresentation,
        event: wp_presentation::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wp_presentation::Event::ClockId { clk_id } = event {
            bridge.globals.presentation_clock = clk_id;
            // The first call looks for the kernel's own code for it, which a confined process could not.
            let _ = clock_gettime(ClockId::Monotonic);
        }
    }
}

impl Dispatch<WpPresentationFeedback, FeedbackOf> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &WpPresentationFeedback,
        event: wp_presentation_feedback::Event,
        of: &FeedbackOf,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wp_presentation_feedback::Event;
        match event {
            Event::SyncOutput { output } => {
                of.output.store(output.data::<u32>().copied().unwrap_or(0), Ordering::Relaxed);
            }
            Event::Presented { tv_sec_hi, tv_sec_lo, tv_nsec, refresh, seq_hi, seq_lo, flags } => {
                let whole = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
                let (mut seconds, mut nanoseconds) = (whole(tv_sec_hi, tv_sec_lo), tv_nsec);
                if bridge.globals.presentation_clock != MONOTONIC {
                    // The app knows of no other clock. It was shown just now.
                    let now = clock_gettime(ClockId::Monotonic);
                    seconds = u64::try_from(now.tv_sec).unwrap_or(0);
                    nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
                }
                let frame = Frame {
                    surface: of.surface,
                    event: FrameEvent::PRESENTED,
                    feedback: of.feedback,
                    seconds,
                    nanoseconds,
                    refresh,
                    sequence: whole(seq_hi, seq_lo),
                    flags: match flags {
                        WEnum::Value(flags) => flags.bits(),
                        WEnum::Unknown(_) => 0,
                    },
                    output: of.output.load(Ordering::Relaxed),
                    ..Default::default()
                };
                bridge.app.send(&Message::Frame(frame, &[]));
            }
            Event::Discarded => bridge.discard(of.surface, of.feedback),
            _ => {}
        }
    }
}
