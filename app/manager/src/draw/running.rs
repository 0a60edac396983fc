//! The running apps.

use egui::{Align, Align2, Id, Layout, Rect, RichText, Sense, Ui, UiBuilder, Vec2, pos2, vec2};

use super::super::command::{Command, SortBy};
use super::super::theme;
use super::super::view::{RunningRow, RunningView};
use super::Pen;
use super::app_page;
use super::glyph::Glyph;
use super::kit::{self, Weight};

const ROW_HEIGHT: f32 = 64.0;

pub(super) fn running_ui(ui: &mut Ui, view: &RunningView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    ui.label(RichText::new("Running").font(theme::title()));
    if let Some(empty) = &view.empty {
        kit::empty(ui, tokens, Glyph::Activity, empty);
        return;
    }
    let stacked = ui.available_width() < theme::STACKED;
    ui.horizontal(|ui| {
        ui.set_min_height(28.0);
        ui.label(RichText::new(&view.total).color(tokens.text_weak));
        if !stacked {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| sort_ui(ui, view.sort, pen));
        }
    });
    ui.add_space(4.0);
    for row in &view.rows {
        row_ui(ui, row, pen);
    }
}

fn sort_ui(ui: &mut Ui, now: SortBy, pen: &mut Pen<'_>) {
    // From right to left.
    for (by, label) in [(SortBy::Memory, "Memory"), (SortBy::Cpu, "Processor"), (SortBy::Name, "Name")] {
        let selected = by == now;
        let tokens = pen.tokens;
        let colour = if selected { tokens.accent } else { tokens.text_weak };
        let font = if selected { theme::strong() } else { theme::body() };
        let galley = ui.painter().layout_no_wrap(label.to_owned(), font, colour.into());
        let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(16.0, 10.0), Sense::click());
        let name = format!("Sort by {}", label.to_lowercase());
        response.widget_info(|| {
            egui::WidgetInfo::selected(egui::accesskit::Role::RadioButton, true, selected, &name)
        });
        if response.hovered() {
            ui.painter().rect_filled(rect, f32::from(theme::CONTROL_RADIUS), tokens.card_hover);
        }
        ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour.into());
        kit::focus_ring(ui, tokens, &response, rect.shrink(2.0), f32::from(theme::CONTROL_RADIUS));
        if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
            pen.send(Command::Sort(by));
        }
    }
    ui.label(RichText::new("Sort by").color(pen.tokens.text_weak));
}

fn row_ui(ui: &mut Ui, row: &RunningRow, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let name = format!("{}, processor {}, memory {}, {}", row.app.name, row.cpu, row.memory, row.uptime);
    let response =
        kit::list_row(ui, tokens, Id::unique(("running", &row.app.id)), ROW_HEIGHT, &name, |ui, rect| {
            columns_ui(ui, row, rect, pen);
        });
    if response.clicked() {
        pen.send(app_page::open(&row.app.id));
    }
}

fn columns_ui(ui: &mut Ui, row: &RunningRow, rect: Rect, pen: &mut Pen<'_>) {
    const STOP: f32 = 96.0;
    const NUMBER: f32 = 92.0;
    const GRAPH: f32 = 110.0;
    let tokens = pen.tokens;
    let icon = Rect::from_center_size(pos2(rect.left() + 20.0, rect.center().y), Vec2::splat(40.0));
    pen.icons.paint(ui, tokens, &row.app, icon);
    let stop = Rect::from_min_max(pos2(rect.right() - STOP, rect.top()), rect.max);
    let memory = stop.left() - 18.0;
    let cpu = memory - NUMBER;
    let graph_right = cpu - NUMBER + 10.0;
    let wide = rect.width() > 560.0;
    let stacked = rect.width() < theme::STACKED;
    let text_right = if wide {
        graph_right - GRAPH - 16.0
    } else if stacked {
        stop.left()
    } else {
        cpu - NUMBER
    };
    if wide {
        let graph = Rect::from_min_max(
            pos2(graph_right - GRAPH, rect.top() + 6.0),
            pos2(graph_right, rect.bottom() - 6.0),
        );
        kit::paint_curve(ui, graph, &row.graph.points, tokens.graph_cpu.into(), 1.4);
    }
    let numbers = [(cpu, &row.cpu, "Processor"), (memory, &row.memory, "Memory")];
    for (right, value, what) in numbers.into_iter().filter(|_| !stacked) {
        let at = pos2(right, rect.center().y);
        ui.painter().text(
            at - vec2(0.0, 9.0),
            Align2::RIGHT_CENTER,
            value,
            theme::strong(),
            tokens.text.into(),
        );
        ui.painter().text(
            at + vec2(0.0, 9.0),
            Align2::RIGHT_CENTER,
            what,
            theme::small(),
            tokens.text_weak.into(),
        );
    }
    let left = icon.right() + 14.0;
    let text = Rect::from_min_max(pos2(left, rect.top()), pos2(text_right, rect.bottom()));
    let about = if stacked {
        format!("{} · {}", row.cpu, row.memory)
    } else {
        format!("{} · {}", row.uptime, row.processes)
    };
    kit::two_lines(ui, tokens, text, &row.app.name, theme::strong(), &about);
    let mut child =
        ui.new_child(UiBuilder::new().max_rect(stop).layout(Layout::right_to_left(Align::Center)));
    let label = if row.stopping { "Stopping" } else { "Stop" };
    child.add_enabled_ui(!row.stopping, |ui| {
        let name = format!("{label} {}", row.app.name);
        if kit::button_with(ui, tokens, Weight::Plain, Some(Glyph::Stop), label, &name).clicked() {
            pen.send(Command::Stop(row.app.id.clone()));
        }
    });
}
