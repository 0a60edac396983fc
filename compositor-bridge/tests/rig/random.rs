//! Messages that a hostile app could send, and what may become of its bridge.

use super::fake_app::{Canvas, FakeApp};
use super::session::Session;
use postern_channel::{
    Commit, CommitFlag, Cursor, Interactive, Message, Rect, Rect256, Role, SurfaceDestroy, Text,
};
use std::time::{Duration, Instant};

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(below)).unwrap()
    }

    fn size(&mut self) -> i32 {
        [0, 1, 2, 50, 100, 5000, 16_384][usize::try_from(self.next(7)).unwrap()]
    }

    fn place(&mut self) -> i32 {
        [-16_384, -10, 0, 0, 1, 100, 16_384][usize::try_from(self.next(7)).unwrap()]
    }

    pub fn rect(&mut self) -> Rect {
        if self.next(2) == 0 {
            return Rect::default();
        }
        Rect { x: self.place(), y: self.place(), width: self.size(), height: self.size() }
    }

    /// A commit that the channel allows, of one of a few surfaces, mostly with a buffer that fits.
    pub fn commit(&mut self, app: &mut FakeApp, canvas: &Canvas) -> Commit {
        // Which role a number has hardly ever changes, so that windows, popups and subsurfaces come about.
        let surface = 1 + self.next(8);
        let usual = [Role::TOPLEVEL, Role::POPUP, Role::SUBSURFACE, Role::TOPLEVEL];
        let role =
            if self.next(20) == 0 { self.next(5) } else { usual[usize::try_from(surface).unwrap() % 4] };
        // A parent of a lower number closes no circle.
        let parent = match (role, surface) {
            (Role::POPUP | Role::SUBSURFACE, 2..) => 1 + self.next(surface - 1),
            (Role::TOPLEVEL, 2..) => self.next(surface),
            _ => 0,
        };
        let mut commit = Commit {
            role: if parent == 0 && matches!(role, Role::POPUP | Role::SUBSURFACE) {
                Role::NONE
            } else {
                role
            },
            parent,
            flags: self.next(CommitFlag::ALL + 1) & !(CommitFlag::BUFFER | CommitFlag::SINGLE_PIXEL),
            serial: self.next(100),
            damage: self.rect(),
            opaque: self.rect(),
            input: self.rect(),
            geometry: self.rect(),
            min_size: [self.size(), self.size()],
            max_size: [self.size(), self.size()],
            anchor_rect: self.rect(),
            anchor: self.next(9),
            gravity: self.next(9),
            constraint: self.next(64),
            token: self.next(3),
            size: [self.size(), self.size()],
            position: [self.place(), self.place()],
            above: self.next(9),
            acked: self.next(20),
            transform: self.next(8),
            scale: if self.next(4) == 0 { 2 } else { 1 },
            ..Commit::empty(surface)
        };
        if self.next(4) == 0 {
            commit.destination = [1 + self.size(), 1 + self.size()].map(|value| value.min(16_384));
            if self.next(2) == 0 {
                commit.source = Rect256 { x: 256, y: 0, width: 100, height: 300 };
            }
        }
        if self.next(4) != 0 {
            commit = app.shows(commit, canvas);
            commit.damage = self.rect();
        }
        commit
    }

    pub fn act(&mut self, app: &mut FakeApp, canvas: &Canvas) {
        let surface = 1 + self.next(8);
        match self.next(20) {
            0 => app.send(&Message::SurfaceDestroy(SurfaceDestroy { surface }, &[])),
            1 => {
                let cursor = Cursor {
                    shape: self.next(65),
                    surface: self.next(9),
                    hotspot: [self.place(), self.place()],
                    serial: self.next(100),
                };
                app.send(&Message::Cursor(cursor, &[]));
            }
            2 => {
                let text = Text { surface, field: 1 + self.next(2) };
                app.send(&Message::Text(text, "title \u{202e} \0 text".as_bytes()));
            }
            3 => {
                let actions = [1, 2, 16, 17, 18, 20, 21, 22, 24, 25, 26];
                let action = actions[usize::try_from(self.next(11)).unwrap()];
                let serial = self.next(100);
                app.send(&Message::Interactive(Interactive { surface, action, serial, x: 1, y: 1 }, &[]));
            }
            _ => {
                let commit = self.commit(app, canvas);
                app.commit(&commit);
            }
        }
    }
}

/// Waits until the bridge has taken all, and checks how it ends: by itself or with a reason that blames the app, and never
/// by a signal or because the compositor refused something.
pub fn end_round(mut app: FakeApp, session: &mut Session, round: u64) {
    // A message of a known answer, at the end of the queue.
    let end = Instant::now();
    while !app.is_over() && app.queued() && end.elapsed() < Duration::from_secs(10) {
        app.receive_all();
    }
    std::thread::sleep(Duration::from_millis(20));
    app.close();
    let (status, said) = app.last_words();
    let is_explained = said.as_ref().is_none_or(|error| {
        // Before wlroots 0.16, a popup that is dismissed just when a request for it is on its way is error 1 of its
        // xdg_surface ("must have a role"). The text, and if it is destroyed the interface, is not always known.
        error.starts_with("the app's display server sent")
            || ["xdg_surface", "", "<unknown>"]
                .iter()
                .any(|interface| error.contains(&format!("refused a request: {interface} error 1:")))
    });
    session.check(&format!("round {round}"));
    assert!(status.code().is_some() && is_explained, "round {round}: {status}: {said:?}");
}
