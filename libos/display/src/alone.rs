//! What happens while no bridge shows the windows: before the first one, between two, or for ever.
//!
//! Clients go on as if their windows were hidden. They see an output of an ordinary size where no real one was ever told
//! of, and a seat without devices; what they show first is configured at once, at a size of their own choice; popups are
//! dismissed, since nobody could see them; frame callbacks come at the slow pace of hidden windows; buffers come back as
//! soon as another one takes their place. The next bridge hears of everything by the replay.

use crate::surface::{Role, Surface};
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel::{self as msg, CommitFlag, Configure, Rect, State};

/// The number of the output that stands in for real ones, which bridges number from 1.
const STAND_IN: u32 = 0;
/// Its size in pixels.
const SIZE: [i32; 2] = [1920, 1080];
/// Serials of configures that no compositor sent: far from where those begin.
const SERIALS: u32 = 0x8000_0000;

impl<P: Platform> Display<P> {
    /// No bridge is there, and none is to be waited for.
    pub fn go_on_alone(&mut self) {
        if self.connected {
            return;
        }
        self.alone = true;
        if self.outputs.is_empty() {
            let [width, height] = SIZE;
            let mut name = [0; 32];
            for (to, from) in name.iter_mut().zip(b"none") {
                *to = *from;
            }
            self.output_changed(msg::Output {
                output: STAND_IN,
                scale: 1,
                fraction: 120,
                transform: 0,
                mode: SIZE,
                refresh: 60_000,
                subpixel: 0,
                physical: [527, 296],
                logical: Rect { x: 0, y: 0, width, height },
                name,
            });
        }
        let waits = |s: &Surface| s.announced && !s.configured;
        let waiting: Vec<u32> = self.surfaces.iter().filter(|(_, s)| waits(s)).map(|(n, _)| *n).collect();
        for number in waiting {
            self.configure_alone(number);
        }
    }

    /// A real output is known: the one that stood in for it goes.
    pub(crate) fn drop_stand_in(&mut self, because_of: u32) {
        if because_of != STAND_IN && self.outputs.contains_key(&STAND_IN) {
            self.output_gone(STAND_IN);
        }
    }

    /// Answers what a compositor would answer with a configure: the first commit, and wishes for another mode.
    pub(crate) fn configure_alone(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get(&number).filter(|s| self.alone && s.xdg_role != 0) else {
            return;
        };
        if surface.role == Role::Popup {
            return self.close(number);
        }
        let flags = surface.sent.flags;
        let mut states = 0;
        for (flag, state) in
            [(CommitFlag::MAXIMIZED, State::MAXIMIZED), (CommitFlag::FULLSCREEN, State::FULLSCREEN)]
        {
            if flags & flag != 0 {
                states |= state;
            }
        }
        let screen = self.outputs.values().next().map(|output| output.logical).filter(|_| states != 0);
        let screen = screen.unwrap_or_default();
        let serial = self.serial() | SERIALS;
        self.configure(&Configure {
            surface: number,
            serial,
            width: screen.width,
            height: screen.height,
            states,
            ..Configure::default()
        });
    }

    /// A window that appears is on some output: some clients draw no second frame before it is.
    pub(crate) fn enter_alone(&mut self, number: u32) {
        if let Some(output) = self.outputs.keys().next().copied().filter(|_| self.alone) {
            self.host_moves(number, output, true);
        }
    }

    /// A bridge that shows a known window for the first time may leave its size to the app. The user chose it before:
    /// it stays.
    pub(crate) fn keep_size(&mut self, configure: &mut Configure) {
        let Some(surface) = self.surfaces.get_mut(&configure.surface) else { return };
        if !core::mem::take(&mut surface.reshown) || surface.role != Role::Toplevel || !surface.mapped {
            return;
        }
        let sent = &surface.sent;
        let size = match sent.geometry {
            Rect { width, height, .. } if width > 0 && height > 0 => [width, height],
            _ if sent.destination[0] > 0 => sent.destination,
            _ => crate::commit::size_of(sent),
        };
        if configure.width == 0 && configure.height == 0 {
            [configure.width, configure.height] = size;
        }
    }
}
