//! The building blocks of pages: buttons, switches, cards, chips, graphs.

use std::sync::Arc;

use egui::epaint::{Mesh, RectShape};
use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, FontId, Frame, Galley, Id, Layout, Margin, Pos2, Rect,
    Response, RichText, Sense, Shape, Stroke, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, accesskit::Role,
    pos2, vec2,
};

use super::super::command::Command;
use super::super::theme::{self, CARD_RADIUS, CONTROL_HEIGHT, CONTROL_RADIUS, Colour, GAP, PAD, Tokens};
use super::super::view::{Badge, Choice, Empty, Graph};
use super::Pen;
use super::glyph::Glyph;

/// The weight of a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// What one most likely wants.
    Primary,
    /// One of several.
    Plain,
    /// Ends something.
    Danger,
}

/// How a colour is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Runs.
    Good,
    /// Waits, or was changed.
    Warn,
    /// Failed.
    Bad,
    /// Something to know.
    Info,
}

impl Tone {
    fn colours(self, tokens: &Tokens) -> (Colour, Colour) {
        match self {
            Self::Good => (tokens.good, tokens.good_soft),
            Self::Warn => (tokens.warn, tokens.warn_soft),
            Self::Bad => (tokens.bad, tokens.bad_soft),
            Self::Info => (tokens.accent, tokens.accent_soft),
        }
    }
}

/// The ring around what the keyboard is on. What it has just come to is scrolled into sight.
pub fn focus_ring(ui: &Ui, tokens: &Tokens, response: &Response, rect: Rect, radius: f32) {
    if response.gained_focus() {
        ui.scroll_to_rect(rect.expand(PAD), None);
    }
    if response.has_focus() {
        let ring = Stroke::new(2.0, tokens.accent);
        ui.painter().rect_stroke(rect.expand(2.0), radius + 2.0, ring, StrokeKind::Middle);
    }
}

/// A button with a drawing and a word.
pub fn button(ui: &mut Ui, tokens: &Tokens, weight: Weight, glyph: Option<Glyph>, label: &str) -> Response {
    button_with(ui, tokens, weight, glyph, label, label)
}

/// As [`button`], with a name of its own for those who cannot see what it belongs to.
pub fn button_with(
    ui: &mut Ui,
    tokens: &Tokens,
    weight: Weight,
    glyph: Option<Glyph>,
    label: &str,
    name: &str,
) -> Response {
    const GLYPH: f32 = 15.0;
    let enabled = ui.is_enabled();
    let font = if weight == Weight::Plain { theme::body() } else { theme::strong() };
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, Color32::PLACEHOLDER);
    let before = if glyph.is_some() { GLYPH + 8.0 } else { 0.0 };
    let size = vec2(galley.size().x + before + 28.0, CONTROL_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let (hovered, pressed) = (response.hovered(), response.is_pointer_button_down_on());
    let (fill, text) = match weight {
        Weight::Primary if hovered => (tokens.accent_hover, tokens.on_accent),
        Weight::Primary => (tokens.accent, tokens.on_accent),
        Weight::Danger if hovered => (tokens.bad_hover, tokens.on_bad),
        Weight::Danger => (tokens.bad, tokens.on_bad),
        Weight::Plain if pressed => (tokens.card_pressed, tokens.text),
        Weight::Plain if hovered => (tokens.card_hover, tokens.text),
        Weight::Plain => (tokens.card, tokens.text),
    };
    let border = if weight == Weight::Plain { Stroke::new(1.0, tokens.border) } else { Stroke::NONE };
    let painter = ui.painter();
    painter.rect(rect, CornerRadius::same(CONTROL_RADIUS), fill, border, StrokeKind::Inside);
    let mut left = rect.left() + 14.0;
    if let Some(glyph) = glyph {
        let place = Rect::from_center_size(pos2(left + GLYPH / 2.0, rect.center().y), Vec2::splat(GLYPH));
        glyph.paint(painter, place, text.into());
        left += before;
    }
    let at = pos2(left, rect.center().y - galley.size().y / 2.0);
    painter.galley(at, galley, text.into());
    focus_ring(ui, tokens, &response, rect, f32::from(CONTROL_RADIUS));
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A square button with a drawing only. Its name is shown as a tooltip and read to those who cannot see.
pub fn icon_button(ui: &mut Ui, tokens: &Tokens, glyph: Glyph, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CONTROL_HEIGHT - 4.0), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, name));
    let painter = ui.painter();
    if response.hovered() || response.has_focus() {
        let fill = if response.is_pointer_button_down_on() { tokens.card_pressed } else { tokens.card_hover };
        painter.rect_filled(rect, CornerRadius::same(CONTROL_RADIUS), fill);
    }
    let colour = if response.hovered() { tokens.text } else { tokens.text_weak };
    glyph.paint(painter, Rect::from_center_size(rect.center(), Vec2::splat(16.0)), colour.into());
    focus_ring(ui, tokens, &response, rect, f32::from(CONTROL_RADIUS));
    response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(name)
}

/// The button at the top of pages that were opened from another.
pub fn back_button(ui: &mut Ui, pen: &mut Pen<'_>) {
    if icon_button(ui, pen.tokens, Glyph::Back, "Back").clicked() {
        pen.send(Command::Back);
    }
}

/// A switch. Its state is drawn by place and colour.
pub fn switch(ui: &mut Ui, tokens: &Tokens, on: bool, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(42.0, 24.0), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Switch, enabled, on, name));
    let way = ui.ctx().animate_bool_responsive(response.id, on);
    let radius = rect.height() / 2.0;
    let (off, lit): (Color32, Color32) = if response.hovered() {
        (tokens.text_weak.into(), tokens.accent_hover.into())
    } else {
        (tokens.switch_off.into(), tokens.accent.into())
    };
    let painter = ui.painter();
    painter.rect_filled(rect, radius, off.lerp_to_gamma(lit, way));
    let centre = pos2(egui::lerp(rect.left() + radius..=rect.right() - radius, way), rect.center().y);
    painter.circle_filled(centre, radius - 3.0, tokens.switch_knob);
    focus_ring(ui, tokens, &response, rect, radius);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A few values side by side, of which one holds. Returns the one that was clicked.
pub fn choice<'a>(ui: &mut Ui, tokens: &Tokens, choices: &'a [Choice], name: &str) -> Option<&'a Choice> {
    const EDGE: f32 = 3.0;
    let padding = if ui.available_width() < theme::STACKED / 2.0 { 10.0 } else { 20.0 };
    let texts: Vec<_> = choices
        .iter()
        .map(|choice| {
            let font = if choice.selected { theme::strong() } else { theme::body() };
            ui.painter().layout_no_wrap(choice.label.to_owned(), font, Color32::PLACEHOLDER)
        })
        .collect();
    let widths: Vec<f32> = texts.iter().map(|text| text.size().x + padding).collect();
    let size = vec2(widths.iter().sum::<f32>() + 2.0 * EDGE, CONTROL_HEIGHT);
    let (whole, _) = ui.allocate_exact_size(size, Sense::hover());
    let edge = Stroke::new(1.0, tokens.border);
    ui.painter().rect(whole, CornerRadius::same(CONTROL_RADIUS), tokens.field, edge, StrokeKind::Inside);
    let mut clicked = None;
    let mut left = whole.left() + EDGE;
    for ((choice, text), width) in choices.iter().zip(texts).zip(widths) {
        let rect = Rect::from_min_size(pos2(left, whole.top() + EDGE), vec2(width, size.y - 2.0 * EDGE));
        left += width;
        let response = ui.interact(rect, ui.scope_id().with((name, choice.label)), Sense::click());
        let label = format!("{name}: {}", choice.label);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, choice.selected, &label));
        let (fill, colour) = match (choice.selected, response.hovered()) {
            (true, _) => (Some(tokens.accent), tokens.on_accent),
            (false, true) => (Some(tokens.card_hover), tokens.text),
            (false, false) => (None, tokens.text_weak),
        };
        if let Some(fill) = fill {
            ui.painter().rect_filled(rect, CornerRadius::same(CONTROL_RADIUS - 2), fill);
        }
        ui.painter().galley(rect.center() - text.size() / 2.0, text, colour.into());
        focus_ring(ui, tokens, &response, rect, f32::from(CONTROL_RADIUS) - 2.0);
        if response.on_hover_cursor(CursorIcon::PointingHand).clicked() && !choice.selected {
            clicked = Some(choice);
        }
    }
    clicked
}

/// A card: a raised area with rows or text in it.
pub fn card<R>(ui: &mut Ui, tokens: &Tokens, content: impl FnOnce(&mut Ui) -> R) -> R {
    Frame::new()
        .fill(tokens.card.into())
        .stroke(Stroke::new(1.0, tokens.border))
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .inner_margin(Margin::same(PAD as i8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            content(ui)
        })
        .inner
}

/// A line between the rows of a card, as wide as the card.
pub fn row_line(ui: &mut Ui, tokens: &Tokens) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 17.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(1.0, tokens.border));
}

/// The name of a section, with space above.
pub fn section(ui: &mut Ui, label: &str) {
    ui.add_space(theme::SECTION - GAP);
    ui.label(RichText::new(label).font(theme::section()));
}

/// Text of less weight that wraps.
pub fn weak(ui: &mut Ui, tokens: &Tokens, text: impl Into<String>) -> Response {
    ui.add(egui::Label::new(RichText::new(text).color(tokens.text_weak).font(theme::small())).wrap())
}

/// Text in at most so many lines, with an ellipsis where it does not fit.
pub fn elided(
    ui: &Ui,
    text: &str,
    width: f32,
    font: FontId,
    colour: Colour,
    rows: usize,
    align: Align,
) -> Arc<Galley> {
    let mut job = LayoutJob::single_section(text.to_owned(), TextFormat::simple(font, colour.into()));
    job.wrap = TextWrapping { max_width: width.max(0.0), max_rows: rows, ..TextWrapping::default() };
    job.halign = align;
    ui.painter().layout_job(job)
}

/// Two lines in the middle of a row: the name, and something about it. Returns where the name ends.
pub fn two_lines(ui: &Ui, tokens: &Tokens, rect: Rect, name: &str, font: FontId, about: &str) -> Pos2 {
    const BETWEEN: f32 = 2.0;
    let name = elided(ui, name, rect.width(), font, tokens.text, 1, Align::Min);
    let about = elided(ui, about, rect.width(), theme::small(), tokens.text_weak, 1, Align::Min);
    let height = name.size().y + BETWEEN + about.size().y;
    let at = pos2(rect.left(), rect.center().y - height / 2.0);
    let end = at + vec2(name.size().x, name.size().y / 2.0);
    let below = at + vec2(0.0, name.size().y + BETWEEN);
    ui.painter().galley(at, name, tokens.text.into());
    ui.painter().galley(below, about, tokens.text_weak.into());
    end
}

/// A small mark with a word.
pub fn chip(ui: &mut Ui, tokens: &Tokens, tone: Tone, text: &str) -> Response {
    let (front, back) = tone.colours(tokens);
    let galley = ui.painter().layout_no_wrap(text.to_owned(), theme::small(), front.into());
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(16.0, 6.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    ui.painter().rect_filled(rect, rect.height() / 2.0, back);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, front.into());
    response
}

/// The tone of an app's badge.
pub fn badge_tone(badge: Badge) -> Tone {
    match badge {
        Badge::Starting => Tone::Info,
        Badge::Running => Tone::Good,
        Badge::Crashed => Tone::Bad,
    }
}

/// A note across the page.
pub fn banner(ui: &mut Ui, tokens: &Tokens, tone: Tone, text: &str) {
    banner_with(ui, tokens, tone, text, 0.0, |_| {});
}

/// A note across the page, with something to do about it at the right, for which `width` is kept free.
pub fn banner_with(
    ui: &mut Ui,
    tokens: &Tokens,
    tone: Tone,
    text: &str,
    width: f32,
    right: impl FnOnce(&mut Ui),
) {
    let (front, back) = tone.colours(tokens);
    Frame::new()
        .fill(back.into())
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .inner_margin(Margin::symmetric(PAD as i8, 10))
        .show(ui, |ui| {
            text_and_control(ui, width, right, |ui| {
                ui.horizontal(|ui| {
                    ui.set_min_height(CONTROL_HEIGHT);
                    let (rect, _) = ui.allocate_exact_size(Vec2::splat(18.0), Sense::hover());
                    let glyph = if tone == Tone::Info { Glyph::Shield } else { Glyph::Warning };
                    glyph.paint(ui.painter(), rect, front.into());
                    ui.add(egui::Label::new(RichText::new(text).color(tokens.text)).wrap());
                });
            });
        });
}

/// Text at the left that may wrap, and a control at the right, centred on the text's height. Where there is little room,
/// the control stands below the text.
pub fn text_and_control(
    ui: &mut Ui,
    control_width: f32,
    control: impl FnOnce(&mut Ui),
    text: impl FnOnce(&mut Ui),
) {
    const LEAST_TEXT: f32 = 260.0;
    let whole = ui.available_rect_before_wrap();
    let narrow = whole.width() < control_width + LEAST_TEXT;
    let width = if narrow { whole.width() } else { whole.width() - control_width };
    let place = Rect::from_min_size(whole.min, vec2(width, whole.height()));
    let mut left = ui.new_child(UiBuilder::new().max_rect(place).layout(Layout::top_down(Align::Min)));
    left.spacing_mut().item_spacing.y = 4.0;
    text(&mut left);
    let text_height = left.min_rect().height().max(CONTROL_HEIGHT);
    let (top, height) = if narrow { (text_height + GAP, CONTROL_HEIGHT) } else { (0.0, text_height) };
    let place = Rect::from_min_size(whole.min + vec2(0.0, top), vec2(whole.width(), height));
    control(&mut ui.new_child(UiBuilder::new().max_rect(place).layout(Layout::right_to_left(Align::Center))));
    ui.allocate_exact_size(vec2(whole.width(), top + height), Sense::hover());
}

/// A message in place of content, in the middle of the space that is left.
pub fn empty(ui: &mut Ui, tokens: &Tokens, glyph: Glyph, message: &Empty) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.28).clamp(24.0, 180.0));
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(56.0), Sense::hover());
        glyph.paint(ui.painter(), rect, tokens.border.into());
        ui.add_space(GAP);
        ui.label(RichText::new(&message.title).font(theme::section()));
        ui.label(RichText::new(&message.text).color(tokens.text_weak));
    });
}

/// A line over the last minute with the area below it filled, and above it what its full height stands for.
pub fn graph(ui: &mut Ui, tokens: &Tokens, graph: &Graph, colour: Colour, size: Vec2, name: &str) {
    const LABEL: f32 = 16.0;
    let (whole, response) = ui.allocate_exact_size(size, Sense::hover());
    let label = format!("{name}, full height {}", graph.top);
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &label));
    let painter = ui.painter();
    painter.text(whole.right_top(), Align2::RIGHT_TOP, &graph.top, small_label(), tokens.text_weak.into());
    let rect = Rect::from_min_max(pos2(whole.left(), whole.top() + LABEL), whole.max);
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = egui::lerp(rect.top()..=rect.bottom(), part);
        painter.hline(rect.x_range(), y, Stroke::new(1.0, tokens.graph_grid));
    }
    paint_curve(ui, rect, &graph.points, colour.into(), 1.8);
}

fn small_label() -> FontId {
    FontId::proportional(11.0)
}

/// Paints values of 0 to 1 from right to left, the latest at the right edge.
pub fn paint_curve(ui: &Ui, rect: Rect, points: &[f32], colour: Color32, width: f32) {
    use super::super::state::HISTORY;
    let step = rect.width() / (HISTORY - 1) as f32;
    let left = rect.right() - step * points.len().saturating_sub(1) as f32;
    let place = |(at, value): (usize, &f32)| {
        pos2(left + step * at as f32, egui::lerp(rect.bottom()..=rect.top(), value.clamp(0.0, 1.0)))
    };
    let line: Vec<_> = points.iter().enumerate().map(place).collect();
    if line.len() < 2 {
        ui.painter().hline(rect.x_range(), rect.bottom(), Stroke::new(width, colour.gamma_multiply(0.4)));
        return;
    }
    let mut area = Mesh::default();
    let fill = colour.gamma_multiply(0.18);
    for pair in line.windows(2) {
        if let [from, to] = *pair {
            let base = area.vertices.len() as u32;
            for corner in [from, to, pos2(to.x, rect.bottom()), pos2(from.x, rect.bottom())] {
                area.colored_vertex(corner, fill);
            }
            area.add_triangle(base, base + 1, base + 2);
            area.add_triangle(base, base + 2, base + 3);
        }
    }
    ui.painter().add(Shape::mesh(area));
    ui.painter().add(Shape::line(line, Stroke::new(width, colour)));
}

/// Name and value pairs in two columns.
pub fn facts(ui: &mut Ui, tokens: &Tokens, facts: &[(String, String)]) {
    const NAMES: f32 = 130.0;
    ui.spacing_mut().item_spacing.y = 6.0;
    for (name, value) in facts {
        ui.horizontal_top(|ui| {
            let label = egui::Label::new(RichText::new(name).color(tokens.text_weak)).truncate();
            ui.allocate_ui_with_layout(vec2(NAMES, 20.0), Layout::left_to_right(Align::Min), |ui| {
                ui.set_min_width(NAMES);
                ui.add(label);
            });
            ui.add(egui::Label::new(value).wrap().selectable(true));
        });
    }
}

/// Name and value pairs side by side, the name above its value.
pub fn fact_columns(ui: &mut Ui, tokens: &Tokens, facts: &[(String, String)]) {
    const LEAST_WIDTH: f32 = 130.0;
    let columns = ((ui.available_width() / LEAST_WIDTH).floor() as usize).clamp(1, 4);
    for (at, row) in facts.chunks(columns).enumerate() {
        if at > 0 {
            ui.add_space(4.0);
        }
        ui.columns(columns, |columns| {
            for (ui, (name, value)) in columns.iter_mut().zip(row) {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.label(RichText::new(name).color(tokens.text_weak).font(theme::small()));
                ui.label(value);
            }
        });
    }
}

/// A whole row that can be clicked, drawn as part of a list: highlights under the pointer, and calls `content` to paint
/// into it.
pub fn list_row(
    ui: &mut Ui,
    tokens: &Tokens,
    id: Id,
    height: f32,
    name: &str,
    content: impl FnOnce(&mut Ui, Rect),
) -> Response {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let response = ui.interact(rect, id, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    let fill = if response.is_pointer_button_down_on() {
        tokens.card_pressed
    } else if response.hovered() {
        tokens.card_hover
    } else {
        tokens.card
    };
    let shape = RectShape::new(
        rect,
        CornerRadius::same(CARD_RADIUS),
        fill,
        Stroke::new(1.0, tokens.border),
        StrokeKind::Inside,
    );
    ui.painter().add(shape);
    focus_ring(ui, tokens, &response, rect.shrink(2.0), f32::from(CARD_RADIUS));
    let inner = rect.shrink2(vec2(PAD, 8.0));
    let mut child =
        ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::left_to_right(Align::Center)));
    content(&mut child, inner);
    response.on_hover_cursor(CursorIcon::PointingHand)
}
