//! The library: the search box, and the apps as a grid or a list. The search box keeps the keyboard; the arrow keys move
//! the selection, Enter launches it.

use std::ops::Range;

use egui::accesskit::Role;
use egui::{
    Align, Align2, CornerRadius, CursorIcon, Frame, Id, Key, Margin, Modifiers, Rect, Response, ScrollArea,
    Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder, Vec2, WidgetInfo, pos2, vec2,
};

use super::super::command::{Command, LibraryLayout, Page, Step};
use super::super::theme::{self, CARD_RADIUS, CONTROL_RADIUS, GAP, SECTION, Tokens};
use super::super::view::{Badge, LibraryView, Tile};
use super::Pen;
use super::glyph::Glyph;
use super::kit;

const TILE: Vec2 = vec2(140.0, 142.0);
const ROW_HEIGHT: f32 = 60.0;
const BETWEEN: f32 = 12.0;
const BAR_HEIGHT: f32 = 42.0;

/// The search box's id, the same in every frame.
pub(super) fn search_id() -> Id {
    Id::unique("library search")
}

pub(super) fn library_ui(ui: &mut Ui, view: &LibraryView, pen: &mut Pen<'_>) {
    Frame::new().inner_margin(Margin { left: 0, right: 0, top: 20, bottom: 0 }).show(ui, |ui| {
        let side = side(ui);
        let free = ui.available_width() - 2.0 * side;
        let columns = match view.layout {
            LibraryLayout::Grid => (((free + BETWEEN) / (TILE.x + BETWEEN)).floor() as usize).max(1),
            LibraryLayout::List => 1,
        };
        keys(ui, view, columns, pen);
        ui.horizontal(|ui| {
            ui.add_space(side);
            search_ui(ui, view, free - theme::CONTROL_HEIGHT - GAP, pen);
            layout_ui(ui, view.layout, pen);
        });
        ui.add_space(BETWEEN);
        if let Some(empty) = &view.empty {
            kit::empty(ui, pen.tokens, Glyph::Search, empty);
            return;
        }
        ScrollArea::vertical()
            .id_salt("library")
            .auto_shrink(false)
            .show_viewport(ui, |ui, seen| tiles_ui(ui, view, columns, seen, pen));
    });
}

/// The space at either side of the page.
fn side(ui: &Ui) -> f32 {
    if ui.available_width() < theme::NARROW { theme::PAD } else { SECTION }
}

/// The keys that drive the selection. They are taken before the search box sees them.
fn keys(ui: &mut Ui, view: &LibraryView, columns: usize, pen: &mut Pen<'_>) {
    let focused = ui.memory(|memory| memory.focused());
    if focused.is_none() {
        ui.memory_mut(|memory| memory.request_focus(search_id()));
    } else if focused != Some(search_id()) {
        return;
    }
    let rows = isize::try_from(columns).unwrap_or(1);
    let mut steps = vec![
        (Key::ArrowDown, Step::By(rows)),
        (Key::ArrowUp, Step::By(-rows)),
        (Key::PageDown, Step::By(3 * rows)),
        (Key::PageUp, Step::By(-3 * rows)),
    ];
    if view.layout == LibraryLayout::Grid {
        steps.extend([(Key::ArrowRight, Step::By(1)), (Key::ArrowLeft, Step::By(-1))]);
    }
    for (key, step) in steps {
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            pen.send(Command::MoveSelection(step));
        }
    }
    for (key, step) in [(Key::Home, Step::First), (Key::End, Step::Last)] {
        if ui.input_mut(|input| input.consume_key(Modifiers::CTRL, key)) {
            pen.send(Command::MoveSelection(step));
        }
    }
    let selected = view.tiles.get(view.selected);
    if ui.input_mut(|input| input.consume_key(Modifiers::ALT, Key::Enter)) {
        pen.out.extend(selected.map(|tile| Command::Open(Page::App(tile.app.id.clone()))));
    } else if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter)) {
        pen.out.extend(selected.map(|tile| Command::Launch(tile.app.id.clone())));
    }
    if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) && !view.query.is_empty() {
        pen.send(Command::Search(String::new()));
    }
}

fn search_ui(ui: &mut Ui, view: &LibraryView, width: f32, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let (rect, _) = ui.allocate_exact_size(vec2(width, BAR_HEIGHT), Sense::hover());
    let focused = ui.memory(|memory| memory.has_focus(search_id()));
    let edge = if focused { Stroke::new(1.5, tokens.accent) } else { Stroke::new(1.0, tokens.border) };
    ui.painter().rect(rect, CornerRadius::same(CONTROL_RADIUS), tokens.field, edge, StrokeKind::Inside);
    let glass = Rect::from_center_size(pos2(rect.left() + 22.0, rect.center().y), Vec2::splat(17.0));
    Glyph::Search.paint(ui.painter(), glass, tokens.text_weak.into());
    let mut query = view.query.clone();
    let place = Rect::from_min_max(pos2(glass.right() + 11.0, rect.top()), rect.max - vec2(44.0, 0.0));
    let edit = TextEdit::singleline(&mut query)
        .id(search_id())
        .hint_text(egui::RichText::new("Search apps").color(tokens.text_weak))
        .font(theme::body())
        .frame(Frame::NONE)
        .align(egui::Align2::LEFT_CENTER)
        .desired_width(place.width());
    // In a `Ui` of its own, so that the bar goes on where the box ends and not where the text does.
    let mut inside = ui.new_child(UiBuilder::new().max_rect(place));
    let response = inside.add_sized(place.size(), edit).accessible_name("Search apps");
    if response.changed() {
        pen.send(Command::Search(query));
    }
    if !view.query.is_empty() {
        let clear = Rect::from_center_size(pos2(rect.right() - 22.0, rect.center().y), Vec2::splat(30.0));
        let mut child = ui.new_child(UiBuilder::new().max_rect(clear));
        if kit::icon_button(&mut child, tokens, Glyph::Close, "Clear the search").clicked() {
            pen.send(Command::Search(String::new()));
            ui.memory_mut(|memory| memory.request_focus(search_id()));
        }
    }
}

fn layout_ui(ui: &mut Ui, now: LibraryLayout, pen: &mut Pen<'_>) {
    let (glyph, name, next) = match now {
        LibraryLayout::Grid => (Glyph::List, "Show as a list", LibraryLayout::List),
        LibraryLayout::List => (Glyph::Grid, "Show as a grid", LibraryLayout::Grid),
    };
    if kit::icon_button(ui, pen.tokens, glyph, name).clicked() {
        pen.send(Command::SetLayout(next));
    }
}

/// Draws the tiles that are in sight.
fn tiles_ui(ui: &mut Ui, view: &LibraryView, columns: usize, seen: Rect, pen: &mut Pen<'_>) {
    let side = side(ui);
    let free = ui.available_width() - 2.0 * side;
    let size = match view.layout {
        // What is left over at the right widens the tiles, so that both edges of the grid line up with the page.
        LibraryLayout::Grid => {
            let columns = columns as f32;
            vec2((free - BETWEEN * (columns - 1.0)) / columns, TILE.y)
        }
        LibraryLayout::List => vec2(free, ROW_HEIGHT),
    };
    let between = if view.layout == LibraryLayout::Grid { BETWEEN } else { 6.0 };
    let step = size + Vec2::splat(between);
    let rows = view.tiles.len().div_ceil(columns);
    let origin = ui.min_rect().min + vec2(side, 4.0);
    ui.set_height(rows as f32 * step.y + SECTION);
    let place = |at: usize| {
        Rect::from_min_size(origin + step * vec2((at % columns) as f32, (at / columns) as f32), size)
    };
    for at in in_sight(seen, step.y, columns, view.tiles.len()) {
        if let Some(tile) = view.tiles.get(at) {
            let selected = at == view.selected;
            tile_ui(ui, view.layout, tile, place(at), selected, pen);
        }
    }
    follow_selection(ui, view, place(view.selected));
}

/// The tiles of the rows in sight, with one row more at either end.
fn in_sight(seen: Rect, step: f32, columns: usize, count: usize) -> Range<usize> {
    let first = (seen.min.y / step).floor().max(0.0) as usize;
    let last = (seen.max.y / step).ceil().max(0.0) as usize + 1;
    (first * columns).min(count)..(last * columns).min(count)
}

/// Scrolls to the selection when the keyboard has moved it.
fn follow_selection(ui: &Ui, view: &LibraryView, place: Rect) {
    let id = Id::unique("library selection");
    let now = (view.selected, view.query.clone());
    let before = ui.data(|data| data.get_temp::<(usize, String)>(id));
    if before.as_ref() != Some(&now) {
        ui.data_mut(|data| data.insert_temp(id, now));
        if before.is_some() {
            ui.scroll_to_rect(place.expand(BETWEEN), None);
        }
    }
}

fn tile_ui(ui: &mut Ui, layout: LibraryLayout, tile: &Tile, rect: Rect, selected: bool, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let response = ui.interact(rect, Id::unique(("tile", &tile.app.id)), Sense::click());
    let name = match (&tile.blocked, tile.badge) {
        (Some(reason), _) => format!("{}, {reason}", tile.app.name),
        (None, Some(badge)) => format!("{}, {}", tile.app.name, badge.text().to_lowercase()),
        (None, None) => tile.app.name.clone(),
    };
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
    let more = rect_of_details(layout, rect);
    let details = ui.interact(more, Id::unique(("details", &tile.app.id)), Sense::CLICK);
    let details_name = format!("About {}", tile.app.name);
    details.widget_info(|| WidgetInfo::labeled(Role::Button, true, &details_name));
    background(ui, tokens, &response, &details, rect, selected);
    match layout {
        LibraryLayout::Grid => grid_tile(ui, tile, rect, pen),
        LibraryLayout::List => list_tile(ui, tile, rect, pen),
    }
    if selected || response.contains_pointer() || response.has_focus() {
        paint_details(ui, tokens, &details, more);
    }
    let alt_enter =
        response.has_focus() && ui.input_mut(|input| input.consume_key(Modifiers::ALT, Key::Enter));
    let id = tile.app.id.clone();
    if details.clicked() || alt_enter {
        pen.send(Command::Open(Page::App(id)));
    } else if response.clicked() {
        pen.send(Command::Launch(id));
    }
    details.on_hover_cursor(CursorIcon::PointingHand).on_hover_text("Permissions and details (Alt+Enter)");
    tile_menu(&response, tile, pen);
    response.on_hover_cursor(CursorIcon::PointingHand);
}

fn tile_menu(response: &Response, tile: &Tile, pen: &mut Pen<'_>) {
    response.context_menu(|ui| {
        let id = tile.app.id.clone();
        let running = tile.badge == Some(Badge::Running);
        if running && ui.button("Stop").clicked() {
            pen.send(Command::Stop(id.clone()));
        } else if !running && ui.button("Launch").clicked() {
            pen.send(Command::Launch(id.clone()));
        }
        if ui.button("Permissions and details").clicked() {
            pen.send(Command::Open(Page::App(id)));
        }
    });
}

fn background(ui: &Ui, tokens: &Tokens, tile: &Response, details: &Response, rect: Rect, selected: bool) {
    let pressed = tile.is_pointer_button_down_on();
    let fill = match (pressed, tile.hovered() || details.hovered(), selected) {
        (true, ..) => tokens.card_pressed,
        (_, true, _) => tokens.card_hover,
        (_, _, true) => tokens.accent_soft,
        _ => tokens.card,
    };
    let edge = if selected { Stroke::new(1.5, tokens.accent) } else { Stroke::new(1.0, tokens.border) };
    ui.painter().rect(rect, CornerRadius::same(CARD_RADIUS), fill, edge, StrokeKind::Inside);
    kit::focus_ring(ui, tokens, tile, rect, f32::from(CARD_RADIUS));
}

fn rect_of_details(layout: LibraryLayout, rect: Rect) -> Rect {
    let side = Vec2::splat(26.0);
    match layout {
        LibraryLayout::Grid => Rect::from_min_size(rect.right_top() + vec2(-side.x - 5.0, 5.0), side),
        LibraryLayout::List => Rect::from_center_size(rect.right_center() - vec2(24.0, 0.0), side),
    }
}

/// Three dots: more about this app.
fn paint_details(ui: &Ui, tokens: &Tokens, details: &Response, rect: Rect) {
    if details.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::same(CONTROL_RADIUS), tokens.card_pressed);
    }
    let colour = if details.hovered() { tokens.text } else { tokens.text_weak };
    for offset in [-5.0, 0.0, 5.0] {
        ui.painter().circle_filled(rect.center() + vec2(offset, 0.0), 1.6, colour);
    }
}

fn grid_tile(ui: &Ui, tile: &Tile, rect: Rect, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let icon = Rect::from_center_size(pos2(rect.center().x, rect.top() + 46.0), Vec2::splat(56.0));
    paint_icon(ui, tile, icon, pen);
    let name =
        kit::elided(ui, &tile.app.name, rect.width() - 20.0, theme::body(), tokens.text, 2, Align::Center);
    let top = if name.rows.len() > 1 { 84.0 } else { 88.0 };
    let bottom = rect.top() + top + name.size().y;
    ui.painter().galley(pos2(rect.center().x, rect.top() + top), name, tokens.text.into());
    let below = (bottom + rect.bottom()) / 2.0 - 2.0;
    if let Some(badge) = tile.badge {
        paint_badge(ui, tokens, badge, pos2(rect.center().x, below), Align2::CENTER_CENTER);
    }
}

fn list_tile(ui: &Ui, tile: &Tile, rect: Rect, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let icon = Rect::from_center_size(rect.left_center() + vec2(34.0, 0.0), Vec2::splat(40.0));
    paint_icon(ui, tile, icon, pen);
    let left = icon.right() + 14.0;
    let badge = if tile.badge.is_some() { 100.0 } else { 0.0 };
    let room = rect.right() - left - 50.0 - badge;
    let name = kit::elided(ui, &tile.app.name, room, theme::body(), tokens.text, 1, Align::Min);
    let second = tile.blocked.as_deref().unwrap_or(&tile.comment);
    let comment = kit::elided(ui, second, room, theme::small(), tokens.text_weak, 1, Align::Min);
    let gap = if second.is_empty() { 0.0 } else { 2.0 + comment.size().y };
    let top = rect.center().y - (name.size().y + gap) / 2.0;
    let below = top + name.size().y + 2.0;
    ui.painter().galley(pos2(left, top), name, tokens.text.into());
    if !second.is_empty() {
        ui.painter().galley(pos2(left, below), comment, tokens.text_weak.into());
    }
    if let Some(badge) = tile.badge {
        paint_badge(ui, tokens, badge, rect.right_center() - vec2(50.0, 0.0), Align2::RIGHT_CENTER);
    }
}

/// The picture, paler where the app cannot be started.
fn paint_icon(ui: &Ui, tile: &Tile, rect: Rect, pen: &mut Pen<'_>) {
    pen.icons.paint(ui, pen.tokens, &tile.app, rect);
    if tile.blocked.is_some() {
        let corner = Rect::from_center_size(rect.right_bottom() - vec2(6.0, 6.0), Vec2::splat(20.0));
        ui.painter().circle_filled(corner.center(), 13.0, pen.tokens.card);
        Glyph::Warning.paint(ui.painter(), corner, pen.tokens.warn.into());
    }
}

fn paint_badge(ui: &Ui, tokens: &Tokens, badge: Badge, at: egui::Pos2, anchor: Align2) {
    let colour = match kit::badge_tone(badge) {
        kit::Tone::Good => tokens.good,
        kit::Tone::Bad => tokens.bad,
        kit::Tone::Warn | kit::Tone::Info => tokens.accent,
    };
    let galley = ui.painter().layout_no_wrap(badge.text().to_owned(), theme::small(), colour.into());
    let rect = anchor.anchor_size(at, galley.size() + vec2(14.0, 0.0));
    ui.painter().circle_filled(rect.left_center() + vec2(4.0, 0.5), 3.5, colour);
    ui.painter().galley(rect.min + vec2(14.0, 0.0), galley, colour.into());
}
