//! Crash reports: the list, and one in full.

use egui::{Align, Align2, Id, Layout, Rect, RichText, Ui, Vec2, pos2};

use super::super::command::{Command, Page};
use super::super::theme::{self, GAP};
use super::super::view::{FrameRow, ReportRow, ReportView, ReportsView};
use super::Pen;
use super::app_page;
use super::glyph::Glyph;
use super::kit::{self, Weight};

const ROW_HEIGHT: f32 = 64.0;

pub(super) fn reports_ui(ui: &mut Ui, view: &ReportsView, pen: &mut Pen<'_>) {
    ui.label(RichText::new("Crash reports").font(theme::title()));
    ui.add_space(4.0);
    if let Some(empty) = &view.empty {
        kit::empty(ui, pen.tokens, Glyph::Shield, empty);
        return;
    }
    for row in &view.rows {
        row_ui(ui, row, pen);
    }
}

/// A report in a list.
pub(super) fn row_ui(ui: &mut Ui, row: &ReportRow, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let new = if row.fresh { ", new" } else { "" };
    let name = format!("{}, {}, {}{new}", row.app.name, row.summary, row.when);
    let id = Id::unique(("report", &row.id));
    let response = kit::list_row(ui, tokens, id, ROW_HEIGHT, &name, |ui, rect| {
        let icon = Rect::from_center_size(pos2(rect.left() + 20.0, rect.center().y), Vec2::splat(40.0));
        pen.icons.paint(ui, tokens, &row.app, icon);
        let right = rect.right() - 4.0;
        let when = ui.painter().text(
            pos2(right, rect.center().y),
            Align2::RIGHT_CENTER,
            &row.when,
            theme::small(),
            tokens.text_weak.into(),
        );
        let left = icon.right() + 14.0;
        let text = Rect::from_min_max(pos2(left, rect.top()), pos2(when.left() - 24.0, rect.bottom()));
        let end = kit::two_lines(ui, tokens, text, &row.app.name, theme::strong(), &row.summary);
        if row.fresh {
            ui.painter().circle_filled(end + egui::vec2(12.0, 0.0), 4.0, tokens.bad);
        }
    });
    if response.clicked() {
        pen.send(Command::Open(Page::Report(row.id.clone())));
    }
}

pub(super) fn report_ui(ui: &mut Ui, view: &ReportView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    kit::back_button(ui, pen);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let (icon, _) = ui.allocate_exact_size(Vec2::splat(56.0), egui::Sense::hover());
        pen.icons.paint(ui, tokens, &view.row.app, icon);
        ui.add_space(GAP);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            ui.add_space(5.0);
            ui.label(RichText::new(format!("{} ended unexpectedly", view.row.app.name)).font(theme::title()));
            ui.add(egui::Label::new(RichText::new(&view.row.summary).color(tokens.text_weak)).wrap());
        });
    });
    ui.add_space(GAP);
    actions_ui(ui, view, pen);
    kit::section(ui, "What happened");
    kit::card(ui, tokens, |ui| kit::facts(ui, tokens, &view.facts));
    kit::section(ui, "Backtrace");
    kit::card(ui, tokens, |ui| {
        if view.backtrace.is_empty() {
            kit::weak(ui, tokens, "No stack could be read");
        }
        ui.spacing_mut().item_spacing.y = 6.0;
        for (at, frame) in view.backtrace.iter().enumerate() {
            frame_ui(ui, at, frame, pen);
        }
    });
    kit::section(ui, "Last refused requests");
    kit::card(ui, tokens, |ui| {
        if view.refused.is_empty() {
            kit::weak(ui, tokens, "Nothing was refused before it ended");
        }
        for line in &view.refused {
            ui.add(egui::Label::new(line).wrap().selectable(true));
        }
    });
    if let Some(details) = &view.details {
        kit::section(ui, "Details");
        kit::card(ui, tokens, |ui| {
            ui.add(egui::Label::new(RichText::new(details).font(theme::mono())).wrap().selectable(true));
        });
    }
    ui.add_space(theme::SECTION);
}

fn actions_ui(ui: &mut Ui, view: &ReportView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let narrow = ui.available_width() < theme::NARROW;
    ui.horizontal_wrapped(|ui| {
        if kit::button(ui, tokens, Weight::Plain, Some(Glyph::Copy), "Copy report").clicked() {
            pen.send(Command::Copy { text: view.text.clone(), what: "Crash report".to_owned() });
        }
        if view.can_launch {
            if kit::button(ui, tokens, Weight::Plain, Some(Glyph::Restart), "Launch again").clicked() {
                pen.send(Command::Launch(view.row.app.id.clone()));
            }
            if kit::button(ui, tokens, Weight::Plain, Some(Glyph::Shield), "Permissions").clicked() {
                pen.send(app_page::open(&view.row.app.id));
            }
        }
        let delete = |ui: &mut Ui, pen: &mut Pen<'_>| {
            if kit::button(ui, tokens, Weight::Plain, Some(Glyph::Trash), "Delete").clicked() {
                pen.send(Command::DeleteReport(view.row.id.clone()));
            }
        };
        if narrow {
            delete(ui, pen);
        } else {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| delete(ui, pen));
        }
    });
}

fn frame_ui(ui: &mut Ui, at: usize, frame: &FrameRow, pen: &Pen<'_>) {
    let tokens = pen.tokens;
    ui.horizontal_top(|ui| {
        let number = RichText::new(format!("{at:>2}")).font(theme::mono()).color(tokens.text_weak);
        ui.label(number);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            let colour = if frame.named { tokens.text } else { tokens.text_weak };
            let function = RichText::new(&frame.function).font(theme::mono()).color(colour);
            ui.add(egui::Label::new(function).wrap().selectable(true));
            let place = RichText::new(format!("{}  {}", frame.address, frame.module)).font(theme::mono());
            ui.add(egui::Label::new(place.color(tokens.text_weak)).wrap().selectable(true));
        });
    });
}
