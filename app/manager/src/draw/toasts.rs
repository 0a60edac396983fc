//! Short messages over the lower right corner of the window.

use egui::{
    Align, Align2, Area, CornerRadius, Frame, Id, Layout, Margin, Order, RichText, Shadow, Stroke, Ui, vec2,
};

use super::super::command::Command;
use super::super::theme::{self, CARD_RADIUS};
use super::super::view::ToastView;
use super::Pen;
use super::glyph::Glyph;
use super::kit::{self, Weight};

const WIDTH: f32 = 400.0;
const LEAST_WIDTH: f32 = 180.0;

/// How many messages are shown at once; older ones wait below.
const SHOWN: usize = 4;

pub(super) fn toasts_ui(ui: &mut Ui, toasts: &[ToastView], pen: &mut Pen<'_>) {
    if toasts.is_empty() {
        return;
    }
    Area::new(Id::unique("toasts"))
        .order(Order::Foreground)
        .anchor(Align2::RIGHT_BOTTOM, vec2(-20.0, -20.0))
        .accessible_name("Messages")
        .show(ui.ctx(), |ui| {
            ui.set_width(WIDTH.min(ui.ctx().content_rect().width() - 40.0).max(LEAST_WIDTH));
            for toast in toasts.iter().skip(toasts.len().saturating_sub(SHOWN)) {
                toast_ui(ui, toast, pen);
            }
        });
}

fn toast_ui(ui: &mut Ui, toast: &ToastView, pen: &mut Pen<'_>) {
    let tokens = pen.tokens;
    let edge = if toast.error { tokens.bad } else { tokens.border };
    let shadow = Shadow { offset: [0, 4], blur: 18, spread: 0, color: tokens.shadow.into() };
    Frame::new()
        .fill(tokens.card_hover.into())
        .stroke(Stroke::new(1.0, edge))
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .shadow(shadow)
        .inner_margin(Margin { left: 16, right: 8, top: 8, bottom: 8 })
        .show(ui, |ui| {
            ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
                let close = format!("Close the message: {}", toast.text);
                if kit::icon_button(ui, tokens, Glyph::Close, &close).clicked() {
                    pen.send(Command::CloseToast(toast.id));
                }
                if let Some(label) = &toast.action
                    && kit::button(ui, tokens, Weight::Plain, None, label).clicked()
                {
                    pen.send(Command::ToastAction(toast.id));
                }
                ui.with_layout(Layout::top_down(Align::Min), |ui| {
                    ui.spacing_mut().item_spacing.y = 3.0;
                    ui.add_space(6.0);
                    let text = RichText::new(&toast.text).font(theme::strong());
                    ui.add(egui::Label::new(text).wrap());
                    if let Some(details) = &toast.details {
                        kit::weak(ui, tokens, details.clone());
                    }
                    ui.add_space(4.0);
                });
            });
        });
}
