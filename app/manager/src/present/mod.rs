//! From the state to the view model. Pure functions: the same state always gives the same view.

mod app_page;
mod format;
mod library;
mod reports;
mod running;

use super::command::Page;
use super::state::{RunningApp, State};
use super::view::{AppRef, Graph, PageView, Rail, RailApp, RailItem, ToastView, View};

/// How many running apps the rail shows.
const RAIL_APPS: usize = 6;

/// What the window shows in this state.
#[must_use]
pub fn view(state: &State) -> View {
    let page = match &state.page {
        Page::Library => PageView::Library(library::view(state)),
        Page::App(id) => app_page::view(state, id),
        Page::Running => PageView::Running(running::view(state)),
        Page::Reports => PageView::Reports(reports::list_view(state)),
        Page::Report(id) => reports::report_view(state, id),
    };
    let toasts = state.toasts.iter().map(|toast| ToastView {
        id: toast.id,
        error: toast.error,
        text: toast.text.clone(),
        details: toast.details.clone(),
        action: toast.action.as_ref().map(|(label, _)| label.clone()),
    });
    View { rail: rail(state), page, toasts: toasts.collect() }
}

fn rail(state: &State) -> Rail {
    let reports = state.visible_reports().count();
    let fresh = state.visible_reports().any(|report| !state.seen_reports.contains(&report.id));
    let item = |page: Page, label, count: usize, attention, selected| RailItem {
        page,
        label,
        count: (count > 0).then_some(count),
        attention,
        selected,
    };
    let items = vec![
        item(Page::Library, "Apps", 0, false, matches!(state.page, Page::Library)),
        item(Page::Running, "Running", state.running.len(), false, matches!(state.page, Page::Running)),
        item(
            Page::Reports,
            "Crash reports",
            reports,
            fresh,
            matches!(state.page, Page::Reports | Page::Report(_)),
        ),
    ];
    let mut running: Vec<RailApp> = state.running.iter().map(|(id, app)| rail_app(state, id, app)).collect();
    running.sort_by_key(|app| app.app.name.to_lowercase());
    running.truncate(RAIL_APPS);
    Rail {
        items,
        running,
        more_running: state.running.len().saturating_sub(RAIL_APPS),
        appearance: state.settings.appearance,
    }
}

fn rail_app(state: &State, id: &str, app: &RunningApp) -> RailApp {
    RailApp {
        app: app_ref(state, id),
        cpu: format::percent(app.latest.as_ref().map_or(0.0, |sample| sample.cpu_percent)),
        memory: format::bytes(app.latest.as_ref().map_or(0, |sample| sample.memory_bytes)),
        graph: cpu_graph(app),
        selected: state.page == Page::App(id.to_owned()),
    }
}

fn app_ref(state: &State, id: &str) -> AppRef {
    AppRef {
        id: id.to_owned(),
        name: state.name_of(id),
        icon: state.app(id).and_then(|app| app.entry.icon.clone()),
    }
}

/// The graph of processor use. Its height is a core, or as many as were busy at once.
fn cpu_graph(app: &RunningApp) -> Graph {
    let most = app.cpu.iter().copied().fold(0.0, f32::max);
    let top = (most / 100.0).ceil().max(1.0) * 100.0;
    Graph { points: app.cpu.iter().map(|value| value / top).collect(), top: format::percent(top) }
}

/// The graph of memory. Its height is a round number above the most that was used.
fn memory_graph(app: &RunningApp) -> Graph {
    const MIB: f32 = 1024.0 * 1024.0;
    let most = app.memory.iter().copied().fold(0.0, f32::max);
    let mut top = 16.0 * MIB;
    while top < most * 1.1 && top < 1e15 {
        top *= 2.0;
    }
    Graph { points: app.memory.iter().map(|value| value / top).collect(), top: format::bytes(top as u64) }
}
