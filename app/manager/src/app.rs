//! The window: joins the state, the drawing and the workers.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use egui::Context;

use super::apply;
use super::command::{Command, Event, Job, OwnPaths};
use super::draw::icons::IconStore;
use super::draw::{self, Pen};
use super::present;
use super::settings::Settings;
use super::state::State;
use super::theme::{self, Themes, Tokens};
use super::view::View;
use super::workers::{Started, Workers};
use postern_library::Surroundings;

/// How often words like "3 minutes ago" are brought up to date.
const MINUTE: Duration = Duration::from_secs(60);

/// At once, but not zero: the toolkit answers a request without delay with two frames.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The manager's window.
pub struct Manager {
    state: State,
    /// What the state looks like; `None` when the state has changed since.
    view: Option<View>,
    themes: Themes,
    icons: IconStore,
    workers: Workers,
    events: Receiver<Event>,
    opened: Instant,
    /// How often there was news without anything being drawn: then the window cannot be seen.
    unseen: u32,
}

impl Manager {
    /// Opens the window's content and starts the workers.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn new(ctx: &Context, around: Surroundings, paths: OwnPaths) -> anyhow::Result<Self> {
        let themes = Themes::built_in()?;
        themes.install(ctx);
        let settings = Settings::load(&paths.settings);
        theme::set_appearance(ctx, settings.appearance);
        let wake = {
            let ctx = ctx.clone();
            Arc::new(move || ctx.request_repaint_after(AT_ONCE))
        };
        let Started { workers, events, icons } = Workers::start(around, paths, wake)?;
        Ok(Self {
            state: State { settings, ..State::default() },
            view: None,
            themes,
            icons: IconStore::new(icons),
            workers,
            events,
            opened: Instant::now(),
            unseen: 0,
        })
    }

    /// Takes in the news, and lets the clock move on.
    fn catch_up(&mut self, ctx: &Context) {
        let unix_now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let jobs = self.state.tick(self.opened.elapsed().as_secs_f64(), unix_now);
        self.view = None;
        self.run(ctx, jobs);
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Icon { key, image } => self.icons.insert(ctx, key, image),
                Event::IconsChanged => self.icons.refresh(),
                Event::DesktopIsDark(dark) => theme::set_desktop_colours(ctx, dark),
                event => {
                    let jobs = self.state.absorb(event);
                    self.run(ctx, jobs);
                }
            }
        }
    }

    fn run(&self, ctx: &Context, jobs: Vec<Job>) {
        for job in jobs {
            match job {
                Job::CopyText(text) => ctx.copy_text(text),
                job => self.workers.work(job),
            }
        }
    }
}

impl eframe::App for Manager {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.catch_up(ctx);
        // A frame follows at once when the window can be seen. Twice without one means that it cannot.
        self.unseen = self.unseen.saturating_add(1);
        if self.unseen > 2 {
            self.workers.set_visible(false);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.unseen = 0;
        self.workers.set_visible(true);
        let tokens = self.themes.current(ui.ctx());
        let jobs = show(ui, &mut self.state, &mut self.view, &tokens, &mut self.icons);
        self.run(ui.ctx(), jobs);
        ui.ctx().request_repaint_after(self.state.next_tick().unwrap_or(MINUTE).min(MINUTE));
    }
}

/// Draws the state, carries out what the user asks for, and returns what is left for the workers.
pub(super) fn show(
    ui: &mut egui::Ui,
    state: &mut State,
    view: &mut Option<View>,
    tokens: &Tokens,
    icons: &mut IconStore,
) -> Vec<Job> {
    let shown = view.get_or_insert_with(|| present::view(state));
    let mut commands = Vec::new();
    draw::window_ui(ui, shown, &mut Pen { tokens, icons, out: &mut commands });
    if !commands.is_empty() {
        *view = None;
        ui.ctx().request_repaint();
    }
    let mut jobs = Vec::new();
    for command in commands {
        if let Command::SetAppearance(appearance) = command {
            theme::set_appearance(ui.ctx(), appearance);
        }
        jobs.extend(apply::apply(state, command));
    }
    jobs
}
