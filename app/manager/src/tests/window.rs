//! The window itself, without a display: driven by keyboard and through the accessibility tree alone.

use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::super::app::show;
use super::super::command::{Job, LibraryLayout, Page};
use super::super::data::PermissionChange;
use super::super::draw::icons::IconStore;
use super::super::state::State;
use super::super::theme::{Themes, Tokens};
use super::super::view::View;
use super::busy;

struct Window {
    state: State,
    view: Option<View>,
    tokens: std::sync::Arc<Tokens>,
    icons: IconStore,
    jobs: Vec<Job>,
}

/// Opens the window in this state. The harness itself fails when a control has no accessible name.
fn window(state: State) -> Harness<'static, Window> {
    let themes = Themes::built_in().expect("good themes");
    let ctx = egui::Context::default();
    let content = Window {
        state,
        view: None,
        tokens: themes.current(&ctx),
        icons: IconStore::default(),
        jobs: Vec::new(),
    };
    let mut harness = Harness::builder()
        .with_size([1120.0, 760.0])
        .with_context_setup(move |ctx| themes.install(ctx))
        .build_ui_state(
            |ui, window: &mut Window| {
                let jobs = show(ui, &mut window.state, &mut window.view, &window.tokens, &mut window.icons);
                window.jobs.extend(jobs);
            },
            content,
        );
    harness.run();
    harness
}

fn press(harness: &mut Harness<'static, Window>, modifiers: Modifiers, key: Key) {
    harness.key_press_modifiers(modifiers, key);
    harness.run();
}

fn type_text(harness: &mut Harness<'static, Window>, text: &str) {
    harness.event(egui::Event::Text(text.to_owned()));
    harness.run();
}

#[test]
fn typing_filters_and_enter_launches() {
    let mut harness = window(busy());
    assert!(harness.get_by_role(Role::TextInput).is_focused(), "the search box has the keyboard at once");
    type_text(&mut harness, "calc");
    assert_eq!(harness.state().state.query, "calc");
    assert!(harness.query_by_label("Editor, running").is_none());
    harness.get_by_label("Calculator");
    press(&mut harness, Modifiers::NONE, Key::Enter);
    assert_eq!(harness.state().jobs, [Job::Launch { app: "calc".to_owned() }]);
    harness.get_by_label("Calculator, starting");
    press(&mut harness, Modifiers::NONE, Key::Escape);
    assert_eq!(harness.state().state.query, "");
    assert!(harness.get_by_role(Role::TextInput).is_focused());
}

#[test]
fn arrows_choose_and_alt_enter_opens_the_page() {
    let mut harness = window(busy());
    press(&mut harness, Modifiers::NONE, Key::ArrowRight);
    assert_eq!(harness.state().state.selected, 1);
    press(&mut harness, Modifiers::ALT, Key::Enter);
    assert_eq!(harness.state().state.page, Page::App("editor".to_owned()));
    press(&mut harness, Modifiers::NONE, Key::Escape);
    assert_eq!(harness.state().state.page, Page::Library);
    assert_eq!(harness.state().state.selected, 1, "the place is kept");
}

#[test]
fn a_switch_works_by_keyboard_and_says_its_state() {
    let mut harness = window(State { page: Page::App("editor".to_owned()), ..busy() });
    let network = harness.get_by_role_and_label(Role::Switch, "Network");
    assert_eq!(network.accesskit_node().toggled(), Some(Toggled::False));
    network.focus();
    harness.run();
    press(&mut harness, Modifiers::NONE, Key::Space);
    let change = PermissionChange::Network(true);
    assert_eq!(harness.state().jobs, [Job::Permit { app: "editor".to_owned(), changes: vec![change] }]);
    let network = harness.get_by_role_and_label(Role::Switch, "Network");
    assert_eq!(network.accesskit_node().toggled(), Some(Toggled::True));
}

#[test]
fn tab_reaches_every_control_of_the_app_page() {
    let mut harness = window(State { page: Page::App("editor".to_owned()), ..busy() });
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..40 {
        press(&mut harness, Modifiers::NONE, Key::Tab);
        let focused = harness.root().accesskit_node().tree_state.focus();
        reached.extend(focused.and_then(|node| node.label()));
    }
    for name in [
        "Back",
        "Stop",
        "Reset all",
        "Network",
        "Reset Home folder",
        "Home folder: Read and write",
        "Read the clipboard",
        "Write to the clipboard",
        "Restart",
        "Revoke /home/me/letter.txt",
        "Apps",
        "Running, 1",
    ] {
        assert!(reached.contains(name), "{name} was not reached: {reached:?}");
    }
}

#[test]
fn shortcuts_lead_to_every_page() {
    let mut harness = window(busy());
    press(&mut harness, Modifiers::CTRL, Key::Num2);
    assert_eq!(harness.state().state.page, Page::Running);
    harness.get_by_label("Stop Editor").click_accesskit();
    harness.run();
    assert_eq!(harness.state().jobs, [Job::Stop { app: "editor".to_owned() }]);
    press(&mut harness, Modifiers::CTRL, Key::Num3);
    assert_eq!(harness.state().state.page, Page::Reports);
    harness.get_by_label_contains("It was ended by SIGSEGV").click_accesskit();
    harness.run();
    assert_eq!(harness.state().state.page, Page::Report("editor-1".to_owned()));
    harness.get_by_label("Copy report").click_accesskit();
    harness.run();
    assert!(harness.state().jobs.contains(&Job::CopyText("the whole report".to_owned())));
    press(&mut harness, Modifiers::CTRL, Key::F);
    assert!(harness.get_by_role(Role::TextInput).is_focused());
}

#[test]
fn every_page_can_be_drawn_empty() {
    for page in [
        Page::Library,
        Page::Running,
        Page::Reports,
        Page::App("gone".to_owned()),
        Page::Report("gone".to_owned()),
    ] {
        window(State { page, ..State::default() });
    }
}

#[test]
fn any_size_can_be_drawn() {
    let pages = || {
        let of_app = [Page::App("editor".to_owned()), Page::App("broken".to_owned())];
        of_app.into_iter().chain([
            Page::Library,
            Page::Running,
            Page::Reports,
            Page::Report("editor-1".to_owned()),
        ])
    };
    let layouts = [LibraryLayout::Grid, LibraryLayout::List];
    let mut harness = window(busy());
    for size in [
        [1.0, 1.0],
        [60.0, 40.0],
        [150.0, 700.0],
        [320.0, 240.0],
        [430.0, 800.0],
        [640.0, 480.0],
        [3000.0, 120.0],
    ] {
        harness.set_size(size.into());
        for (page, layout) in pages().flat_map(|page| layouts.map(|layout| (page.clone(), layout))) {
            let window = harness.state_mut();
            window.state.page = page;
            window.state.settings.library_layout = layout;
            window.state.complain("A message".to_owned(), Some("with details".to_owned()), None);
            window.view = None;
            harness.run_ok();
        }
    }
}

#[test]
fn a_message_has_its_button_and_can_be_closed() {
    let mut harness = window(busy());
    harness.state_mut().state.complain("It failed".to_owned(), Some("because".to_owned()), None);
    harness.state_mut().view = None;
    harness.run();
    harness.get_by_label("because");
    harness.get_by_label("Close the message: It failed").click_accesskit();
    harness.run();
    assert!(harness.query_by_label("because").is_none());
}
