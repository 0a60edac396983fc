//! The rail at the left: the pages, the running apps at a glance, and the colours.

use egui::accesskit::Role;
use egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, Layout, Rect, Response, RichText, Sense, Ui, UiBuilder,
    Vec2, WidgetInfo, pos2, vec2,
};

use super::super::command::{Appearance, Command, Page};
use super::super::theme::{self, CONTROL_RADIUS, GAP};
use super::super::view::{Rail, RailApp, RailItem};
use super::Pen;
use super::glyph::Glyph;
use super::kit;

const ITEM_HEIGHT: f32 = 38.0;
const APP_HEIGHT: f32 = 48.0;

pub(super) fn rail_ui(ui: &mut Ui, rail: &Rail, narrow: bool, pen: &mut Pen<'_>) {
    let inner = ui.max_rect().shrink2(if narrow { vec2(8.0, 12.0) } else { vec2(12.0, 12.0) });
    let mut inside = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Min)));
    let ui = &mut inside;
    ui.spacing_mut().item_spacing.y = 4.0;
    brand(ui, narrow, pen);
    ui.add_space(GAP);
    for item in &rail.items {
        item_ui(ui, item, narrow, pen);
    }
    if !rail.running.is_empty() {
        ui.add_space(PAD_ABOVE_APPS);
        if !narrow {
            ui.horizontal(|ui| {
                ui.add_space(10.0);
                ui.label(RichText::new("Running now").font(theme::small()).color(pen.tokens.text_weak));
            });
        }
        for app in &rail.running {
            app_ui(ui, app, narrow, pen);
        }
        if rail.more_running > 0 && !narrow {
            ui.horizontal(|ui| {
                ui.add_space(10.0);
                kit::weak(ui, pen.tokens, format!("and {} more", rail.more_running));
            });
        }
    }
    let foot = Rect::from_min_size(
        pos2(inner.left(), inner.bottom() - ITEM_HEIGHT),
        vec2(inner.width(), ITEM_HEIGHT),
    );
    let mut foot = ui.new_child(UiBuilder::new().max_rect(foot).layout(Layout::left_to_right(Align::Center)));
    appearance_ui(&mut foot, rail.appearance, pen);
}

const PAD_ABOVE_APPS: f32 = 20.0;

fn brand(ui: &mut Ui, narrow: bool, pen: &mut Pen<'_>) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 40.0), Sense::hover());
    let mark = Rect::from_center_size(pos2(rect.left() + 22.0, rect.center().y), Vec2::splat(26.0));
    gate(ui, mark, pen);
    if !narrow {
        let at = pos2(mark.right() + 12.0, rect.center().y);
        ui.painter().text(at, Align2::LEFT_CENTER, "Postern", theme::section(), pen.tokens.text.into());
    }
}

/// The mark: an arched gate that stands a little open.
fn gate(ui: &Ui, rect: Rect, pen: &Pen<'_>) {
    let painter = ui.painter();
    painter.rect_filled(rect, rect.width() * 0.24, pen.tokens.accent);
    let door = Rect::from_min_max(rect.lerp_inside(vec2(0.28, 0.22)), rect.lerp_inside(vec2(0.72, 0.84)));
    let arch = (door.width() / 2.0) as u8;
    painter.rect_filled(door, CornerRadius { nw: arch, ne: arch, sw: 0, se: 0 }, pen.tokens.on_accent);
    let light = Rect::from_min_max(door.lerp_inside(vec2(0.42, 0.24)), door.lerp_inside(vec2(0.64, 1.0)));
    painter.rect_filled(light, CornerRadius { nw: 3, ne: 3, sw: 0, se: 0 }, pen.tokens.accent_hover);
}

/// A row of the rail: its background and its name for those who cannot see.
fn row(ui: &mut Ui, pen: &Pen<'_>, height: f32, selected: bool, name: &str) -> (Rect, Response) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, selected, name));
    let tokens = pen.tokens;
    let fill = match (selected, response.hovered()) {
        (true, _) => Some(tokens.accent_soft),
        (false, true) => Some(tokens.card),
        (false, false) => None,
    };
    if let Some(fill) = fill {
        ui.painter().rect_filled(rect, CornerRadius::same(CONTROL_RADIUS), fill);
    }
    kit::focus_ring(ui, tokens, &response, rect.shrink(2.0), f32::from(CONTROL_RADIUS));
    (rect, response.on_hover_cursor(CursorIcon::PointingHand))
}

fn item_ui(ui: &mut Ui, item: &RailItem, narrow: bool, pen: &mut Pen<'_>) {
    let name = match (item.count, item.attention) {
        (Some(count), true) => format!("{}, {count}, new", item.label),
        (Some(count), false) => format!("{}, {count}", item.label),
        (None, _) => item.label.to_owned(),
    };
    let (rect, response) = row(ui, pen, ITEM_HEIGHT, item.selected, &name);
    let tokens = pen.tokens;
    let colour: Color32 = if item.selected { tokens.accent } else { tokens.text_weak }.into();
    let glyph = match item.page {
        Page::Running => Glyph::Activity,
        Page::Reports | Page::Report(_) => Glyph::Warning,
        Page::Library | Page::App(_) => Glyph::Grid,
    };
    let place = Rect::from_center_size(pos2(rect.left() + 22.0, rect.center().y), Vec2::splat(17.0));
    glyph.paint(ui.painter(), place, colour);
    if narrow {
        if item.attention {
            ui.painter().circle_filled(place.right_top() + vec2(2.0, -1.0), 4.0, tokens.bad);
        }
        if response.on_hover_text(&name).clicked() {
            pen.send(Command::Open(item.page.clone()));
        }
        return;
    }
    let font = if item.selected { theme::strong() } else { theme::body() };
    let at = pos2(rect.left() + 44.0, rect.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, item.label, font, tokens.text.into());
    if let Some(count) = item.count {
        let colour = if item.attention { tokens.bad } else { tokens.text_weak };
        let at = pos2(rect.right() - 12.0, rect.center().y);
        ui.painter().text(at, Align2::RIGHT_CENTER, count.to_string(), theme::small(), colour.into());
    }
    if response.clicked() {
        pen.send(Command::Open(item.page.clone()));
    }
}

fn app_ui(ui: &mut Ui, app: &RailApp, narrow: bool, pen: &mut Pen<'_>) {
    let name = format!("{}, running, {}, {}", app.app.name, app.cpu, app.memory);
    let (rect, response) = row(ui, pen, APP_HEIGHT, app.selected, &name);
    let icon = Rect::from_center_size(pos2(rect.left() + 22.0, rect.center().y), Vec2::splat(28.0));
    pen.icons.paint(ui, pen.tokens, &app.app, icon);
    if narrow {
        if response.on_hover_text(&name).clicked() {
            pen.send(Command::Open(Page::App(app.app.id.clone())));
        }
        return;
    }
    let tokens = pen.tokens;
    let left = rect.left() + 48.0;
    let graph = Rect::from_min_max(
        pos2(rect.right() - 58.0, rect.top() + 14.0),
        rect.right_bottom() - vec2(10.0, 14.0),
    );
    kit::paint_curve(ui, graph, &app.graph.points, tokens.graph_cpu.into(), 1.3);
    let text = Rect::from_min_max(pos2(left, rect.top()), pos2(graph.left() - 6.0, rect.bottom()));
    let numbers = format!("{} · {}", app.cpu, app.memory);
    kit::two_lines(ui, tokens, text, &app.app.name, theme::body(), &numbers);
    if response.clicked() {
        pen.send(Command::Open(Page::App(app.app.id.clone())));
    }
}

fn appearance_ui(ui: &mut Ui, now: Appearance, pen: &mut Pen<'_>) {
    let (glyph, name, next) = match now {
        Appearance::System => (Glyph::Contrast, "Colours: as the desktop, change to dark", Appearance::Dark),
        Appearance::Dark => (Glyph::Moon, "Colours: dark, change to light", Appearance::Light),
        Appearance::Light => (Glyph::Sun, "Colours: light, change to as the desktop", Appearance::System),
    };
    ui.add_space(6.0);
    if kit::icon_button(ui, pen.tokens, glyph, name).clicked() {
        pen.send(Command::SetAppearance(next));
    }
}
