//! Asks the monitors of the running apps what their apps use.

use std::time::Duration;

use super::super::backend::{self, Sampler};
use super::super::command::Event;
use super::super::data::Sample;
use super::super::state::HISTORY;
use super::Events;
use super::pulse::Pulse;

/// The time between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Without a graphics device the processor itself draws the window, which costs far more than all measuring: then only
/// every second sample is drawn.
const DRAW_EVERY_WITHOUT_DEVICE: u32 = 2;

fn has_graphics_device() -> bool {
    let is_render_node =
        |device: std::fs::DirEntry| device.file_name().to_string_lossy().starts_with("renderD");
    std::fs::read_dir("/dev/dri").is_ok_and(|devices| devices.flatten().any(is_render_node))
}

/// Measures for ever, while there is something to measure and someone to see it.
pub(super) fn run(pulse: &Pulse, out: &Events) {
    let mut sampler = Sampler::new(backend::socket_dir());
    let draw_every = if has_graphics_device() { 1 } else { DRAW_EVERY_WITHOUT_DEVICE };
    let mut undrawn = 0;
    let mut before: Option<Vec<Sample>> = None;
    let mut same = 0;
    loop {
        let idle = before.as_ref().is_some_and(Vec::is_empty);
        pulse.wait((!idle).then_some(INTERVAL));
        let samples = sampler.sample();
        // Once a whole graph is level and nothing moves, there is nothing to draw.
        same = if before.as_ref().is_some_and(|before| look_same(before, &samples)) { same + 1 } else { 0 };
        if same == 0 || (!samples.is_empty() && same <= HISTORY) {
            let came_or_went = before.as_ref().map(Vec::len) != Some(samples.len());
            undrawn += 1;
            if undrawn >= draw_every || came_or_went {
                undrawn = 0;
                out.send(Event::Running(samples.clone()));
            } else {
                out.send_quietly(Event::Running(samples.clone()));
            }
        }
        before = Some(samples);
    }
}

/// Whether two samples would be drawn the same.
fn look_same(a: &[Sample], b: &[Sample]) -> bool {
    let looks = |sample: &Sample| {
        let uptime = if sample.uptime_s < 60 { sample.uptime_s } else { sample.uptime_s / 60 * 60 };
        Sample {
            uptime_s: uptime,
            cpu_percent: (sample.cpu_percent * 10.0).round(),
            memory_bytes: sample.memory_bytes >> 18,
            // Shown on one page only, and moving together with the processor use.
            network_bytes: (0, 0),
            disk_bytes: (0, 0),
            frames: 0,
            copied_frames: 0,
            ..sample.clone()
        }
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| looks(a) == looks(b))
}
