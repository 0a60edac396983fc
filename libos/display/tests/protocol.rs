//! The rules whose breach made other servers go quiet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests end so")]

mod rig;

use postern_channel::{self as msg, CommitFlag, Message};
use postern_display::ClientError;
use postern_display::wire::Writer;
use rig::{Rig, word};

const CONFIGURE: msg::Configure = msg::Configure {
    surface: 0,
    serial: 5,
    width: 640,
    height: 480,
    x: 0,
    y: 0,
    states: 0,
    token: 0,
    bounds: [0, 0],
    server_decoration: 0,
    capabilities: 0,
};

#[test]
fn the_first_configure_answers_the_first_commit() {
    let mut rig = Rig::new();
    rig.window();
    assert!(rig.commits().is_empty(), "nothing is shown before a commit");
    assert!(!rig.events().iter().any(|e| e.0 == 11), "no configure before the commit");
    rig.request(10, 6, &[]);
    let commit = rig.commits()[0];
    assert_eq!(commit.role, msg::Role::TOPLEVEL);
    assert_eq!(commit.flags & CommitFlag::BUFFER, 0);
    rig.configure(commit.surface, 77);
    let events = rig.events();
    let toplevel = events.iter().position(|e| e.0 == 12 && e.1 == 0).expect("xdg_toplevel.configure");
    let surface = events.iter().position(|e| e.0 == 11 && e.1 == 0).expect("xdg_surface.configure");
    assert!(toplevel < surface);
    assert_eq!(events[surface].2, 77u32.to_ne_bytes());
}

#[test]
fn a_sync_after_the_first_commit_waits_for_the_configure() {
    let mut rig = Rig::new();
    rig.window();
    rig.request(1, 0, &[30]);
    assert!(rig.events().iter().any(|e| e.0 == 30), "nothing to wait for before a commit");
    rig.request(10, 6, &[]);
    rig.request(1, 0, &[31]);
    rig.request(1, 0, &[32]);
    assert!(!rig.events().iter().any(|e| e.0 == 31), "answered before the configure");
    let surface = rig.commits()[0].surface;
    rig.configure(surface, 77);
    let events: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    let at = |event| events.iter().position(|e| *e == event);
    assert!(at((11, 0)).is_some() && at((11, 0)) < at((31, 0)) && at((31, 0)) < at((32, 0)), "{events:?}");
    rig.request(1, 0, &[33]);
    assert!(rig.events().iter().any(|e| e.0 == 33));
}

#[test]
fn a_sync_does_not_wait_for_ever() {
    for way in 0..3 {
        let mut rig = Rig::new();
        rig.window();
        rig.request(10, 6, &[]);
        rig.request(1, 0, &[31]);
        assert!(!rig.events().iter().any(|e| e.0 == 31));
        match way {
            // A host that does not answer, a window that goes away, a bridge that dies.
            0 => {
                let wait = rig.display.next_timeout().unwrap();
                rig.display.tick(wait);
            }
            1 => rig.request(12, 0, &[]),
            _ => rig.display.bridge_lost(),
        }
        assert!(rig.events().iter().any(|e| e.0 == 31), "way {way}");
        assert_eq!(rig.display.next_timeout(), None);
    }
}

#[test]
fn a_sync_waits_for_replaced_buffers() {
    let mut rig = Rig::new();
    rig.map();
    let first = rig.commits().pop().unwrap();
    let mut attached = vec![first.buffer];
    for buffer in [22, 23] {
        let frame = msg::Frame { surface: first.surface, ..Default::default() };
        rig.bridge_says(&Message::Frame(frame, &[]), None);
        rig.request(20, 0, &[buffer, 0, 64, 64, 256, 1]);
        rig.attach(10, buffer);
        rig.commit(10);
        attached.push(rig.commits().pop().unwrap().buffer);
        rig.events();
        rig.request(1, 0, &[buffer + 10]);
        let is_answered = rig.events().iter().any(|e| e.0 == buffer + 10);
        // One may still be in use by the host.
        assert_eq!(is_answered, buffer == 22);
    }
    rig.release(attached[0]);
    let events: Vec<(u32, u16)> = rig.events().iter().map(|e| (e.0, e.1)).collect();
    let at = |event| events.iter().position(|e| *e == event);
    assert!(at((21, 0)).is_some() && at((21, 0)) < at((33, 0)), "{events:?}");
    // A host that lets nothing go.
    rig.request(20, 0, &[24, 0, 64, 64, 256, 1]);
    rig.attach(10, 24);
    rig.commit(10);
    rig.request(1, 0, &[34]);
    assert!(!rig.events().iter().any(|e| e.0 == 34));
    let wait = rig.display.next_timeout().unwrap();
    rig.display.tick(wait);
    assert!(rig.events().iter().any(|e| e.0 == 34));
    // One that has not had its turn yet gets more time.
    rig.now = 1000;
    rig.request(1, 0, &[35]);
    rig.display.tick(1500);
    assert!(!rig.events().iter().any(|e| e.0 == 35));
    let frame = msg::Frame { surface: first.surface, ..Default::default() };
    rig.now = 1600;
    rig.bridge_says(&Message::Frame(frame, &[]), None);
    rig.display.tick(1650);
    assert!(!rig.events().iter().any(|e| e.0 == 35));
    rig.display.tick(1700);
    assert!(rig.events().iter().any(|e| e.0 == 35));
}

#[test]
fn a_client_that_knows_no_tiles_is_maximised_in_one() {
    const MAXIMIZED: u32 = 1;
    const TILED: [u32; 4] = [5, 6, 7, 8];
    for version in [1, 2] {
        let mut rig = Rig::new();
        rig.window_of(version);
        rig.request(10, 6, &[]);
        let surface = rig.commits()[0].surface;
        let states = TILED.iter().fold(0, |all, state| all | 1 << state);
        rig.bridge_says(&Message::Configure(msg::Configure { surface, states, ..CONFIGURE }, &[]), None);
        let events = rig.events();
        let told = &events.iter().find(|e| e.0 == 12 && e.1 == 0).expect("xdg_toplevel.configure").2;
        let told: Vec<u32> =
            told[12..].chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
        assert_eq!(told, if version == 1 { vec![MAXIMIZED] } else { TILED.to_vec() });
    }
}

#[test]
fn a_buffer_goes_out_with_its_pool_and_comes_back_by_release() {
    let mut rig = Rig::new();
    rig.map();
    let commit = rig.commits().pop().unwrap();
    assert_eq!((commit.width, commit.height, commit.stride, commit.acked), (64, 64, 256, 77));
    rig.events();
    rig.bridge_says(&Message::BufferRelease(msg::BufferRelease { buffer: commit.buffer }, &[]), None);
    assert!(rig.events().iter().any(|e| e.0 == 21 && e.1 == 0), "wl_buffer.release");
}

#[test]
fn every_frame_callback_is_answered_once() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(10, 3, &[30]);
    rig.request(10, 3, &[31]);
    rig.request(10, 6, &[]);
    let surface = rig.commits().pop().unwrap().surface;
    rig.events();
    rig.bridge_says(&Message::Frame(msg::Frame { surface, time: 5, ..Default::default() }, &[]), None);
    let done: Vec<u32> =
        rig.events().iter().filter(|e| e.1 == 0 && (e.0 == 30 || e.0 == 31)).map(|e| e.0).collect();
    assert_eq!(done, [30, 31]);
    rig.bridge_says(&Message::Frame(msg::Frame { surface, time: 6, ..Default::default() }, &[]), None);
    assert!(rig.events().is_empty());
}

#[test]
fn hidden_windows_still_get_frames_slowly() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(10, 3, &[30]);
    rig.request(10, 6, &[]);
    rig.events();
    assert!(rig.display.next_timeout().is_some());
    rig.display.tick(5000);
    assert!(rig.events().iter().any(|e| e.0 == 30));
    assert_eq!(rig.display.next_timeout(), None);
}

#[test]
fn synchronised_subsurfaces_wait_for_their_parent() {
    let mut rig = Rig::new();
    rig.map();
    rig.bind(2, "wl_subcompositor", 1, 7);
    rig.request(3, 0, &[40]);
    rig.request(7, 1, &[41, 40, 10]);
    rig.commits();
    rig.request(40, 1, &[21, 0, 0]);
    rig.request(40, 6, &[]);
    assert!(rig.commits().is_empty(), "held back");
    rig.request(10, 6, &[]);
    let commits = rig.commits();
    assert_eq!(
        commits.iter().map(|c| c.role).collect::<Vec<_>>(),
        [msg::Role::SUBSURFACE, msg::Role::TOPLEVEL]
    );
}

#[test]
fn a_new_bridge_hears_everything_again() {
    let mut rig = Rig::new();
    rig.map();
    rig.commits();
    rig.bridge_says(&Message::Hello(msg::Hello { version: 1, features: 1, ..Default::default() }, &[]), None);
    let mut kinds = Vec::new();
    while let Some(out) = rig.display.take_channel() {
        kinds.push(Message::decode(&out.bytes).unwrap().kind());
    }
    let at = |k| kinds.iter().position(|x| *x == k);
    assert_eq!(at(msg::Kind::Hello), Some(0));
    assert!(at(msg::Kind::Pool) < at(msg::Kind::Commit) && at(msg::Kind::Commit).is_some());
}

#[test]
fn breaking_the_protocol_ends_one_client_only() {
    let mut rig = Rig::new();
    rig.map();
    let other = rig.display.connect();
    // A buffer outside its pool.
    let mut bytes = Vec::new();
    drop([22, 0, 4096, 4096, 16384, 0].iter().fold(Writer::new(&mut bytes, 20, 0), |w, v| w.u32(*v)));
    assert_eq!(rig.try_send(&bytes), Err(ClientError::Protocol));
    assert!(rig.events().iter().any(|e| e.0 == 1 && e.1 == 0), "wl_display.error");
    rig.display.disconnect(rig.client);
    rig.client = other;
    rig.request(1, 0, &[2]);
    assert!(rig.events().iter().any(|e| e.0 == 2), "the other client is served");
}

#[test]
fn a_client_is_on_the_output_once() {
    let mut rig = Rig::new();
    rig.output(1);
    rig.window();
    rig.bind(1001, "wl_output", 4, 7);
    rig.commit(10);
    let surface = rig.commits()[0].surface;
    rig.configure(surface, 77);
    rig.attach(10, 21);
    rig.commit(10);
    for _ in 0..2 {
        rig.frame_event(surface, msg::FrameEvent::ENTERED, 1);
    }
    rig.commit(10);
    let enters = |events: Vec<rig::Event>| events.iter().filter(|e| e.0 == 10 && e.1 == 0).count();
    assert_eq!(enters(rig.events()), 1);
    rig.bind(1001, "wl_output", 4, 8);
    assert_eq!(enters(rig.events()), 1, "a late wl_output object");
}

#[test]
fn released_ids_can_be_used_at_once() {
    let mut rig = Rig::new();
    rig.map();
    rig.request(6, 0, &[60]);
    rig.events();
    rig.request(60, 1, &[]);
    assert!(rig.events().iter().any(|e| e.0 == 1 && e.1 == 1 && e.2 == 60u32.to_ne_bytes()), "delete_id");
    rig.request(3, 1, &[60]);
    rig.request(60, 1, &[0, 0, 5, 5]);
}

#[test]
fn no_event_is_newer_than_what_was_bound() {
    let mut rig = Rig::new();
    rig.map();
    let surface = rig.commits().pop().unwrap().surface;
    rig.bind(5, "wl_seat", 1, 70);
    rig.request(70, 0, &[71]);
    rig.request(70, 1, &[72]);
    let pointer = |event, state, discrete| msg::Pointer {
        event,
        surface,
        serial: 1,
        time: 1,
        x: 0,
        y: 2560,
        button: 3,
        state,
        discrete,
        high: 0,
    };
    for message in [pointer(1, 0, [0; 2]), pointer(5, 1, [0, 120]), pointer(6, 0, [0; 2])] {
        rig.bridge_says(&Message::Pointer(message, &[]), None);
    }
    for (object, opcode, _) in rig.events() {
        let newest = [(70, 0), (71, 4), (72, 4)].iter().find(|n| n.0 == object).map_or(u16::MAX, |n| n.1);
        assert!(opcode <= newest, "object {object} got event {opcode}");
    }
}

#[test]
fn gtk_3_learns_that_the_compositor_draws_frames() {
    let mut rig = Rig::new();
    rig.window();
    rig.bind(11, "org_kde_kwin_server_decoration_manager", 1, 70);
    let server = 2u32.to_ne_bytes().to_vec();
    assert!(rig.events().contains(&(70, 0, server.clone())), "the default mode");
    rig.request(70, 0, &[71, 10]);
    assert!(rig.events().contains(&(71, 0, server.clone())));
    rig.request(71, 1, &[2]);
    assert!(rig.events().contains(&(71, 0, server)));
    rig.request(10, 6, &[]);
    assert_eq!(rig.commits()[0].flags & CommitFlag::CLIENT_DECORATION, 0);
    // A window with a header bar of its own.
    rig.request(71, 1, &[1]);
    assert_ne!(rig.commits()[0].flags & CommitFlag::CLIENT_DECORATION, 0);
    // A bridge to a compositor that draws none.
    rig.bridge_says(&Message::Hello(msg::Hello { version: 1, features: 0, ..Default::default() }, &[]), None);
    assert!(rig.events().contains(&(70, 0, 1u32.to_ne_bytes().to_vec())));
}

#[test]
fn what_follows_a_first_commit_at_once_comes_with_it() {
    let mut rig = Rig::new();
    rig.window();
    rig.bind(11, "org_kde_kwin_server_decoration_manager", 1, 70);
    rig.commit(10);
    rig.request(70, 0, &[71, 10]);
    rig.request(71, 1, &[2]);
    let commits = rig.commits();
    assert_eq!(commits.len(), 1, "{commits:?}");
    assert_eq!(commits[0].flags & CommitFlag::CLIENT_DECORATION, 0);
    // What is sent is sent, and contents are never dropped.
    rig.request(71, 1, &[1]);
    rig.configure(commits[0].surface, 77);
    rig.request(11, 4, &[77]);
    rig.attach(10, 21);
    rig.commit(10);
    rig.attach(10, 0);
    rig.commit(10);
    let has_contents = |commit: &msg::Commit| commit.flags & CommitFlag::BUFFER != 0;
    assert_eq!(rig.commits().iter().map(has_contents).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn decorations_that_the_compositor_cannot_draw_are_not_offered() {
    let mut rig = Rig::new();
    let mut offered = |features: u32, registry: u32| {
        let hello = msg::Hello { version: 1, features, ..Default::default() };
        rig.bridge_says(&Message::Hello(hello, &[]), None);
        rig.events();
        rig.request(1, 1, &[registry]);
        rig.events()
            .iter()
            .filter(|event| event.0 == registry && [10, 11].contains(&word(&event.2, 0)))
            .count()
    };
    assert_eq!(offered(msg::Feature::ALL & !msg::Feature::DECORATIONS, 2), 0);
    assert_eq!(offered(msg::Feature::ALL, 3), 2);
}
