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

use egui::{
    Align, CentralPanel, Frame, Key, KeyboardShortcut, Layout, Modifiers, Panel, Rect, ScrollArea, Sense, Ui,
    UiBuilder, vec2,
};

use super::command::{Command, Page};
use super::theme::{self, Tokens};
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
    let rail = Frame::new().fill(pen.tokens.rail.into()).inner_margin(egui::Margin::same(12));
    Panel::left("rail")
        .exact_size(theme::RAIL_WIDTH)
        .resizable(false)
        .show_separator_line(false)
        .frame(rail)
        .show(ui, |ui| rail::rail_ui(ui, &view.rail, pen));
    CentralPanel::no_frame().frame(Frame::new().fill(pen.tokens.page.into())).show(ui, |ui| {
        match &view.page {
            PageView::Library(library) => library::library_ui(ui, library, pen),
            PageView::App(app) => page_ui(ui, ("app", &app.app.id), |ui| app_page::app_ui(ui, app, pen)),
            PageView::Running(running) => {
                page_ui(ui, ("running", ""), |ui| running::running_ui(ui, running, pen))
            }
            PageView::Reports(reports) => {
                page_ui(ui, ("reports", ""), |ui| report::reports_ui(ui, reports, pen))
            }
            PageView::Report(report) => {
                page_ui(ui, ("report", &report.row.id), |ui| report::report_ui(ui, report, pen));
            }
            PageView::Missing(empty) => page_ui(ui, ("missing", ""), |ui| {
                kit::back_button(ui, pen);
                kit::empty(ui, pen.tokens, glyph::Glyph::Search, empty);
            }),
        }
    });
    toasts::toasts_ui(ui, &view.toasts, pen);
}

/// A page that scrolls, with its content in a column of bounded width. `id` keeps the scroll positions apart.
fn page_ui(ui: &mut Ui, id: (&str, &str), content: impl FnOnce(&mut Ui)) {
    const ABOVE: f32 = 24.0;
    ScrollArea::vertical().id_salt(id).auto_shrink(false).show(ui, |ui| {
        let whole = ui.available_rect_before_wrap();
        let width = (whole.width() - 2.0 * theme::SECTION).min(theme::PAGE_WIDTH);
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
