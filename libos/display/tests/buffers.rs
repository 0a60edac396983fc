//! Buffers, pools, subsurfaces, and what a new bridge hears.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, CommitFlag, Message, Role};
use rig::Rig;

fn is_released(rig: &mut Rig, buffer: u32) -> bool {
    rig.events().iter().any(|e| e.0 == buffer && e.1 == 0)
}

/// A subsurface 40 (object 41) of the mapped window.
fn with_child() -> Rig {
    let mut rig = Rig::new();
    rig.map();
    rig.bind(2, "wl_subcompositor", 1, 7);
    rig.request(3, 0, &[40]);
    rig.request(7, 1, &[41, 40, 10]);
    rig.request(20, 0, &[22, 0, 32, 32, 128, 1]);
    rig.request(20, 0, &[23, 0, 32, 32, 128, 1]);
    rig.commits();
    rig.events();
    rig
}

#[test]
fn a_pool_lives_as_long_as_what_is_shown_of_it() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(21, 0, &[]);
    rig.request(20, 1, &[]);
    let kinds = |rig: &mut Rig| -> Vec<msg::Kind> {
        std::iter::from_fn(|| rig.sent()).map(|m| Message::decode(&m).unwrap().kind()).collect()
    };
    assert!(!kinds(&mut rig).contains(&msg::Kind::PoolDestroy));
    rig.hello();
    assert_eq!(kinds(&mut rig), [msg::Kind::Hello, msg::Kind::Pool, msg::Kind::Commit]);
    rig.attach(10, 0);
    rig.commit(10);
    assert_eq!(kinds(&mut rig), [msg::Kind::PoolDestroy, msg::Kind::Commit]);
}

#[test]
fn a_buffer_that_comes_to_nothing_goes_back_at_once() {
    let mut rig = with_child();
    rig.attach(40, 22);
    rig.commit(40);
    assert!(!is_released(&mut rig, 22));
    rig.attach(40, 23);
    rig.commit(40);
    assert!(is_released(&mut rig, 22), "replaced while it was held back");
    rig.commit(10);
    let child = rig.commits().into_iter().find(|c| c.role == Role::SUBSURFACE).unwrap();
    rig.release(child.buffer);
    assert!(is_released(&mut rig, 23));
}

#[test]
fn a_held_back_buffer_may_be_destroyed() {
    let mut rig = with_child();
    rig.attach(40, 22);
    rig.commit(40);
    rig.request(22, 0, &[]);
    rig.commit(10);
    let child = rig.commits().into_iter().find(|c| c.role == Role::SUBSURFACE).unwrap();
    assert_eq!((child.flags & CommitFlag::BUFFER, child.width), (CommitFlag::BUFFER, 32));
    rig.release(child.buffer);
}

#[test]
fn a_buffer_without_a_bridge_goes_back_when_it_is_replaced() {
    let mut rig = with_child();
    rig.display.bridge_lost();
    rig.attach(10, 22);
    rig.commit(10);
    assert!(is_released(&mut rig, 21));
    rig.attach(10, 23);
    rig.commit(10);
    assert!(is_released(&mut rig, 22));
    rig.hello();
    assert_eq!(rig.commits().len(), 1);
}

#[test]
fn positions_and_stacking_come_with_the_parent() {
    let mut rig = with_child();
    rig.request(3, 0, &[42]);
    rig.request(7, 1, &[43, 42, 10]);
    for (surface, buffer) in [(40, 22), (42, 23)] {
        rig.attach(surface, buffer);
        rig.commit(surface);
    }
    rig.request(41, 1, &[5, 6]);
    rig.commit(10);
    let commits = rig.commits();
    let of = |role| commits.iter().filter(move |c| c.role == role).collect::<Vec<_>>();
    let [upper, lower] = of(Role::SUBSURFACE)[..] else { panic!("{commits:?}") };
    assert_eq!((upper.above, lower.above), (lower.surface, of(Role::TOPLEVEL)[0].surface));
    assert_eq!(lower.position, [5, 6]);
    // Desynchronised: contents at once, the place only with the parent.
    rig.request(41, 5, &[]);
    rig.request(41, 1, &[7, 8]);
    rig.request(41, 2, &[42]);
    rig.commit(40);
    assert_eq!(rig.commits().iter().map(|c| c.position).collect::<Vec<_>>(), [[5, 6]]);
    rig.commit(10);
    let commits = rig.commits();
    let lower = commits.iter().find(|c| c.surface == lower.surface).expect("the moved one");
    assert_eq!((lower.position, lower.above), ([7, 8], upper.surface));
}

#[test]
fn a_new_bridge_gets_no_menus_and_the_focus_starts_anew() {
    let mut rig = Rig::new();
    rig.output(1);
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.request(6, 1, &[44]);
    let key =
        msg::Key { event: 1, surface, serial: 9, time: 0, key: 0, state: 0, modifiers: [0; 4], keys: [0; 8] };
    rig.bridge_says(&Message::Key(key, &[]), None);
    rig.request(5, 1, &[30]);
    rig.request(30, 1, &[50, 50]);
    rig.request(30, 2, &[0, 0, 10, 10]);
    rig.request(3, 0, &[31]);
    rig.request(5, 2, &[32, 31]);
    rig.request(32, 2, &[33, 11, 30]);
    rig.commit(31);
    rig.events();
    rig.hello();
    rig.output(1);
    let events = rig.events();
    assert!(events.iter().any(|e| e.0 == 33 && e.1 == 1), "popup_done");
    assert!(events.iter().any(|e| e.0 == 44 && e.1 == 2), "wl_keyboard.leave");
    assert!(!events.iter().any(|e| e.0 == 2), "the same output is no new global");
    assert!(rig.commits().iter().all(|c| c.role == Role::TOPLEVEL));
}

#[test]
fn an_output_that_a_new_bridge_lacks_goes() {
    let mut rig = Rig::new();
    rig.output(1);
    rig.output(2);
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.hello();
    rig.output(1);
    rig.events();
    rig.configure(surface, 5);
    let gone: Vec<_> = rig.events().into_iter().filter(|e| e.0 == 2 && e.1 == 1).map(|e| e.2).collect();
    assert_eq!(gone, [1002u32.to_ne_bytes()]);
}

/// Commits to the bridge, by attachment.
fn attachments(rig: &mut Rig) -> Vec<u32> {
    rig.commits().iter().map(|commit| commit.buffer).collect()
}

#[test]
fn a_window_that_draws_too_fast_sends_the_newest_with_each_frame() {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.request(20, 0, &[22, 0, 64, 64, 256, 1]);
    rig.request(20, 0, &[23, 0, 64, 64, 256, 1]);
    let draw = |rig: &mut Rig, buffer: u32, x: u32| {
        rig.attach(10, buffer);
        rig.request(10, 9, &[x, 0, 1, 1]);
        rig.commit(10);
    };
    // The one that mapped it was the first.
    draw(&mut rig, 22, 1);
    let second = rig.commits().pop().unwrap();
    assert_ne!(second.flags & CommitFlag::FRAME, 0, "to learn when the next one may go");
    draw(&mut rig, 23, 2);
    assert!(attachments(&mut rig).is_empty() && !is_released(&mut rig, 23));
    draw(&mut rig, 21, 5);
    assert!(attachments(&mut rig).is_empty());
    assert!(is_released(&mut rig, 23), "never shown, and replaced");
    let frame = msg::Frame { surface, time: 1, ..Default::default() };
    rig.bridge_says(&Message::Frame(frame, &[]), None);
    let commits = rig.commits();
    assert_eq!(commits.len(), 1);
    let damage = commits[0].damage;
    assert_eq!((damage.x, damage.width), (2, 4), "of both that waited");
    // Frames begin anew: one has gone, one more may.
    draw(&mut rig, 23, 6);
    assert_eq!(attachments(&mut rig).len(), 1);
    draw(&mut rig, 22, 7);
    assert!(attachments(&mut rig).is_empty());
    // One that is hidden gets no frames, but is not held for ever.
    assert!(rig.display.next_timeout().is_some_and(|ms| ms <= 1000));
    rig.display.tick(1001);
    assert_eq!(attachments(&mut rig).len(), 1);
    // What waits when the window goes comes back as well.
    draw(&mut rig, 21, 8);
    draw(&mut rig, 23, 9);
    rig.commits();
    rig.request(20, 0, &[24, 0, 64, 64, 256, 1]);
    draw(&mut rig, 24, 10);
    assert!(!is_released(&mut rig, 24));
    rig.request(12, 0, &[]);
    assert!(is_released(&mut rig, 24));
}
