//! The page of one app: launch and stop, what it uses, what it may do, what it was refused.

use egui::{Align, Frame, Layout, RichText, Ui, Vec2, vec2};

use super::super::command::{Command, Page};
use super::super::data::{PermissionChange, PermissionKey};
use super::super::theme::{self, Colour, GAP, Tokens};
use super::super::view::{AppStatus, AppView, Control, Graph, PermissionRow, RefusedRow, Usage};
use super::Pen;
use super::glyph::Glyph;
use super::kit::{self, Tone, Weight};
use super::report;

/// The room for the values of a choice, and for a button beside them.
const CHOICE_WIDTH: f32 = 264.0;

/// The least room for an app's name.
const LEAST_NAME: f32 = 80.0;

/// The room for the restart button.
const RESTART_WIDTH: f32 = 130.0;

/// The room for a switch or a button, and for a button beside it.
const SWITCH_WIDTH: f32 = 104.0;

pub(super) fn app_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    kit::back_button(ui, pen);
    head_ui(ui, view, pen);
    notes_ui(ui, view, pen);
    if let Some(usage) = &view.usage {
        usage_ui(ui, usage, pen);
    }
    if !view.permissions.is_empty() {
        permissions_ui(ui, view, pen);
    }
    if !view.grants.is_empty() {
        grants_ui(ui, view, pen);
    }
    if !view.refused.is_empty() {
        refused_ui(ui, "Refused since it started", &view.refused, pen);
    }
    if !view.unsupported.is_empty() {
        refused_ui(ui, "Asked for, but not there yet", &view.unsupported, pen);
    }
    if !view.reports.is_empty() {
        kit::section(ui, "Crash reports");
        for row in &view.reports {
            report::row_ui(ui, row, pen);
        }
    }
    if !view.facts.is_empty() {
        kit::section(ui, "About");
        kit::card(ui, pen.tokens, |ui| kit::facts(ui, pen.tokens, &view.facts));
    }
    ui.add_space(theme::SECTION);
}

fn head_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    const ICON: f32 = 72.0;
    const BUTTONS: f32 = 220.0;
    let stacked = ui.available_width() < theme::STACKED;
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        let (icon, _) = ui.allocate_exact_size(Vec2::splat(ICON), egui::Sense::hover());
        pen.icons.paint(ui, pen.tokens, &view.app, icon);
        ui.add_space(GAP);
        let width = ui.available_width() - if stacked { 0.0 } else { BUTTONS };
        let room = vec2(width.max(LEAST_NAME), ICON);
        ui.allocate_ui_with_layout(room, Layout::top_down(Align::Min), |ui| {
            ui.set_min_size(room);
            ui.spacing_mut().item_spacing.y = 4.0;
            ui.add_space(if view.comment.is_empty() { 20.0 } else { 9.0 });
            ui.add(egui::Label::new(RichText::new(&view.app.name).font(theme::title())).truncate());
            if !view.comment.is_empty() {
                ui.add(egui::Label::new(RichText::new(&view.comment).color(pen.tokens.text_weak)).truncate());
            }
        });
        if !stacked {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| launch_ui(ui, view, pen));
        }
    });
    if stacked {
        ui.horizontal(|ui| launch_ui(ui, view, pen));
    }
    ui.add_space(GAP);
}

fn launch_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    let id = &view.app.id;
    let tokens = pen.tokens;
    match view.status {
        AppStatus::Stopped => ui.add_enabled_ui(view.blocked.is_none(), |ui| {
            if kit::button(ui, tokens, Weight::Primary, Some(Glyph::Play), "Launch").clicked() {
                pen.send(Command::Launch(id.clone()));
            }
        }),
        AppStatus::Starting => ui.add_enabled_ui(false, |ui| {
            kit::button(ui, tokens, Weight::Primary, Some(Glyph::Play), "Starting…");
        }),
        AppStatus::Running => ui.scope(|ui| {
            if kit::button(ui, tokens, Weight::Danger, Some(Glyph::Stop), "Stop").clicked() {
                pen.send(Command::Stop(id.clone()));
            }
            kit::chip(ui, tokens, Tone::Good, "Running");
        }),
        AppStatus::Stopping => ui.add_enabled_ui(false, |ui| {
            kit::button(ui, tokens, Weight::Plain, Some(Glyph::Stop), "Stopping…");
        }),
    };
}

fn notes_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    if let Some(reason) = &view.blocked {
        kit::banner(ui, tokens, Tone::Warn, reason);
    }
    if let Some(error) = &view.manifest_error {
        let text = format!("Its permissions cannot be read, so it cannot be started: {error}");
        kit::banner(ui, tokens, Tone::Bad, &text);
    }
    if let Some(remark) = &view.isolation {
        kit::banner(ui, tokens, Tone::Info, remark);
    }
}

fn usage_ui(ui: &mut Ui, usage: &Usage, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    kit::section(ui, "Now");
    let between = 12.0;
    let graphs = [
        ("Processor", &usage.cpu, &usage.cpu_graph, tokens.graph_cpu),
        ("Memory", &usage.memory, &usage.memory_graph, tokens.graph_memory),
    ];
    let columns = if ui.available_width() < theme::STACKED { 1 } else { 2 };
    ui.spacing_mut().item_spacing.x = between;
    for row in graphs.chunks(columns) {
        ui.columns(columns, |columns| {
            for (ui, (name, value, graph, colour)) in columns.iter_mut().zip(row) {
                kit::card(ui, tokens, |ui| graph_ui(ui, name, value, graph, *colour, tokens));
            }
        });
    }
    ui.spacing_mut().item_spacing.x = GAP;
    ui.add_space(between - GAP);
    kit::card(ui, tokens, |ui| kit::fact_columns(ui, tokens, &usage.facts));
}

fn graph_ui(ui: &mut Ui, name: &str, value: &str, graph: &Graph, colour: Colour, tokens: &Tokens) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(tokens.text_weak));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(RichText::new(value).font(theme::section()));
        });
    });
    let size = vec2(ui.available_width(), 96.0);
    kit::graph(ui, tokens, graph, colour, size, &format!("{name} over the last minute, now {value}"));
}

fn permissions_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    ui.add_space(theme::SECTION - GAP);
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.label(RichText::new("Permissions").font(theme::section()));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.changed
                && kit::button(ui, tokens, Weight::Plain, Some(Glyph::Undo), "Reset all").clicked()
            {
                pen.send(Command::ResetPermissions(view.app.id.clone()));
            }
        });
    });
    kit::card(ui, tokens, |ui| {
        for (at, row) in view.permissions.iter().enumerate() {
            if at > 0 {
                kit::row_line(ui, tokens);
            }
            permission_ui(ui, &view.app.id, row, pen);
        }
    });
    // Below the rows, so that none of them moves away from under the pointer.
    if view.restart_needed {
        let text =
            "A change takes effect at the next start. Unsaved work in the app may be lost by a restart";
        kit::banner_with(ui, tokens, Tone::Warn, text, RESTART_WIDTH, |ui| {
            if kit::button(ui, tokens, Weight::Plain, Some(Glyph::Restart), "Restart").clicked() {
                pen.send(Command::Restart(view.app.id.clone()));
            }
        });
    }
}

fn permission_ui(ui: &mut Ui, app: &str, row: &PermissionRow, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let glyph = match row.key {
        PermissionKey::Network => Glyph::Network,
        PermissionKey::Home => Glyph::Home,
        PermissionKey::ClipboardRead | PermissionKey::ClipboardWrite => Glyph::Clipboard,
    };
    let mut clicked = None;
    let width = if matches!(row.control, Control::Choice(_)) { CHOICE_WIDTH } else { SWITCH_WIDTH };
    kit::text_and_control(
        ui,
        width,
        |ui| clicked = control_ui(ui, app, row, tokens),
        |ui| {
            ui.horizontal_wrapped(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(18.0), egui::Sense::hover());
                glyph.paint(ui.painter(), rect, tokens.text_weak.into());
                ui.label(RichText::new(row.title).font(theme::strong()));
                if row.changed {
                    kit::chip(ui, tokens, Tone::Info, "Changed by you");
                }
                if row.this_run {
                    kit::chip(ui, tokens, Tone::Warn, "For this run only");
                }
                if row.at_next_start {
                    kit::chip(ui, tokens, Tone::Warn, "Takes effect at the next start");
                }
                if let Some(refused) = &row.refused {
                    kit::chip(ui, tokens, Tone::Bad, refused);
                }
            });
            Frame::new().inner_margin(egui::Margin { left: 26, ..egui::Margin::ZERO }).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 3.0;
                kit::weak(ui, tokens, row.meaning);
                let flag = RichText::new(&row.flag).font(theme::mono()).color(tokens.text_weak);
                ui.add(egui::Label::new(flag).selectable(true).wrap());
            });
        },
    );
    pen.out.extend(clicked);
}

fn control_ui(ui: &mut Ui, app: &str, row: &PermissionRow, tokens: &Tokens) -> Option<Command> {
    let change = match &row.control {
        Control::Switch { on, toggle } => {
            kit::switch(ui, tokens, *on, row.title).clicked().then(|| toggle.clone())
        }
        Control::Choice(choices) => {
            kit::choice(ui, tokens, choices, row.title).map(|choice| choice.change.clone())
        }
    };
    let reset =
        row.changed && kit::icon_button(ui, tokens, Glyph::Undo, &format!("Reset {}", row.title)).clicked();
    change
        .map(|change| Command::Permit(app.to_owned(), change))
        .or_else(|| reset.then(|| Command::ResetPermission(app.to_owned(), row.key)))
}

fn grants_ui(ui: &mut Ui, view: &AppView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    kit::section(ui, "Shared files and folders");
    kit::card(ui, tokens, |ui| {
        for (at, grant) in view.grants.iter().enumerate() {
            if at > 0 {
                kit::row_line(ui, tokens);
            }
            let path = grant.path.display().to_string();
            let name = format!("Revoke {path}");
            let mut revoke = false;
            kit::text_and_control(
                ui,
                SWITCH_WIDTH,
                |ui| revoke = kit::button_with(ui, tokens, Weight::Plain, None, "Revoke", &name).clicked(),
                |ui| {
                    ui.horizontal(|ui| {
                        let (rect, _) = ui.allocate_exact_size(Vec2::splat(18.0), egui::Sense::hover());
                        Glyph::File.paint(ui.painter(), rect, tokens.text_weak.into());
                        ui.vertical(|ui| {
                            ui.spacing_mut().item_spacing.y = 2.0;
                            ui.add(egui::Label::new(&path).wrap());
                            kit::weak(
                                ui,
                                tokens,
                                if grant.write { "May read and change" } else { "May read" },
                            );
                        });
                    });
                },
            );
            if revoke {
                let change = PermissionChange::Revoke(grant.path.clone());
                pen.send(Command::Permit(view.app.id.clone(), change));
            }
        }
    });
}

fn refused_ui(ui: &mut Ui, title: &str, rows: &[RefusedRow], pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    kit::section(ui, title);
    kit::card(ui, tokens, |ui| {
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                kit::row_line(ui, tokens);
            }
            ui.horizontal(|ui| {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.label(RichText::new(&row.times).color(tokens.text_weak));
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.spacing_mut().item_spacing.y = 2.0;
                        ui.add(egui::Label::new(&row.what).wrap());
                        if let Some(permission) = row.permission {
                            kit::weak(ui, tokens, format!("The permission “{permission}” would allow it"));
                        }
                    });
                });
            });
        }
    });
}

/// Opens the page of an app from elsewhere.
pub(super) fn open(app: &str) -> Command {
    Command::Open(Page::App(app.to_owned()))
}
