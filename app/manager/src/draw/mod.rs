//! Drawing: turns the view model into widgets and clicks into commands, and decides nothing else.

mod app_page;
pub mod glyph;
pub mod icons;
mod kit;
mod library;
mod rail;
mod report;
mod running;
mod toasts;

use egui::{Align, Key, KeyboardShortcut, Layout, Modifiers, Rect, ScrollArea, Sense, Ui, UiBuilder, vec2};

use super::command::{Command, Page};
use super::theme::{self, Colour, Tokens};
use super::view::{PageView, View};
use icons::IconStore;

/// What every drawing function has at hand.
pub struct Pen<'a> {
    /// The colours.
    pub tokens: &'a Tokens,
    /// The pictures.
    pub icons: &'a mut IconStore,
    /// Where commands go.
    pub out: &'a mut Vec<Command>,
}

impl Pen<'_> {
    fn send(&mut self, command: Command) {
        self.out.push(command);
    }
}

/// Draws the whole window.
pub fn window_ui(ui: &mut Ui, view: &View, pen: &mut Pen<'_>) {
    shortcuts(ui, &view.page, pen);
    let whole = ui.max_rect();
    let narrow = whole.width() < theme::NARROW;
    let rail_width = if narrow { theme::NARROW_RAIL_WIDTH } else { theme::RAIL_WIDTH };
    let left = Rect::from_min_size(whole.min, vec2(rail_width, whole.height().max(theme::LEAST_PAGE.y)));
    part_ui(ui, left, pen.tokens.rail, |ui| rail::rail_ui(ui, &view.rail, narrow, pen));
    // A tiling desktop may make the window as small as it likes: then the page is cut off at the edges.
    let room = (whole.size() - vec2(rail_width, 0.0)).max(theme::LEAST_PAGE);
    let right = Rect::from_min_size(left.right_top(), room);
    part_ui(ui, right, pen.tokens.page, |ui| match &view.page {
        PageView::Library(library) => library::library_ui(ui, library, pen),
        PageView::App(app) => page_ui(ui, ("app", &app.app.id), |ui| app_page::app_ui(ui, app, pen)),
        PageView::Running(running) => {
            page_ui(ui, ("running", ""), |ui| running::running_ui(ui, running, pen))
        }
        PageView::Reports(reports) => page_ui(ui, ("reports", ""), |ui| report::reports_ui(ui, reports, pen)),
        PageView::Report(report) => {
            page_ui(ui, ("report", &report.row.id), |ui| report::report_ui(ui, report, pen));
        }
        PageView::Missing(empty) => page_ui(ui, ("missing", ""), |ui| {
            kit::back_button(ui, pen);
            kit::empty(ui, pen.tokens, glyph::Glyph::Search, empty);
        }),
    });
    toasts::toasts_ui(ui, &view.toasts, pen);
}

/// A part of the window with a background of its own.
fn part_ui(ui: &mut Ui, rect: Rect, fill: Colour, content: impl FnOnce(&mut Ui)) {
    let mut part = ui.new_child(UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min)));
    part.shrink_clip_rect(rect);
    part.painter().rect_filled(rect, 0.0, fill);
    content(&mut part);
}

/// A page that scrolls, with its content in a column of bounded width. `id` keeps the scroll positions apart.
fn page_ui(ui: &mut Ui, id: (&str, &str), content: impl FnOnce(&mut Ui)) {
    const ABOVE: f32 = 24.0;
    ScrollArea::vertical().id_salt(id).auto_shrink(false).show(ui, |ui| {
        let whole = ui.available_rect_before_wrap();
        let side = if whole.width() < theme::NARROW { theme::PAD } else { theme::SECTION };
        let width = (whole.width() - 2.0 * side).min(theme::PAGE_WIDTH);
        let at = whole.min + vec2((whole.width() - width) / 2.0, ABOVE);
        let column = Rect::from_min_size(at, vec2(width, whole.height() - ABOVE));
        let mut column = ui.new_child(UiBuilder::new().max_rect(column).layout(Layout::top_down(Align::Min)));
        content(&mut column);
        page_keys(ui);
        ui.allocate_exact_size(vec2(whole.width(), ABOVE + column.min_rect().height()), Sense::hover());
    });
}

/// The keys that scroll a page.
fn page_keys(ui: &Ui) {
    let step = ui.clip_rect().height() * 0.9;
    for (key, down) in
        [(Key::PageDown, step), (Key::PageUp, -step), (Key::End, f32::MAX / 4.0), (Key::Home, f32::MIN / 4.0)]
    {
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            ui.scroll_with_delta(vec2(0.0, -down));
        }
    }
}

/// The keys that work everywhere.
fn shortcuts(ui: &mut Ui, page: &PageView, pen: &mut Pen<'_>) {
    let ctrl = |key| KeyboardShortcut::new(Modifiers::CTRL, key);
    let go = [
        (ctrl(Key::Num1), Command::Open(Page::Library)),
        (ctrl(Key::F), Command::Open(Page::Library)),
        (ctrl(Key::Num2), Command::Open(Page::Running)),
        (ctrl(Key::Num3), Command::Open(Page::Reports)),
        (KeyboardShortcut::new(Modifiers::ALT, Key::ArrowLeft), Command::Back),
    ];
    for (shortcut, command) in go {
        if ui.input_mut(|input| input.consume_shortcut(&shortcut)) {
            ui.memory_mut(|memory| {
                if let Some(id) = memory.focused() {
                    memory.surrender_focus(id);
                }
            });
            pen.send(command);
        }
    }
    let library = matches!(page, PageView::Library(_));
    if !library && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
        pen.send(Command::Back);
    }
    if ui.input_mut(|input| input.consume_shortcut(&ctrl(Key::W)) || input.consume_shortcut(&ctrl(Key::Q))) {
        ui.ctx().send_viewport_cmd(egui::ViewportCommand::Close);
    }
}
