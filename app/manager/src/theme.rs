//! Design tokens: every colour, size and font of the window. Drawing code takes them from here and names none itself.

use std::sync::Arc;

use egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Stroke, Style, TextStyle,
    Theme, ThemePreference, Visuals,
};
use serde::{Deserialize, Deserializer};

use super::command::Appearance;

/// Space between things that belong together, in points.
pub const GAP: f32 = 8.0;
/// Space inside cards, and between groups.
pub const PAD: f32 = 16.0;
/// Space between sections, and around pages.
pub const SECTION: f32 = 28.0;
/// The width of the rail.
pub const RAIL_WIDTH: f32 = 224.0;
/// The width of the rail in a narrow window, with drawings only.
pub const NARROW_RAIL_WIDTH: f32 = 60.0;
/// Below this width, a window or page counts as narrow.
pub const NARROW: f32 = 600.0;
/// Below this width, what stands side by side on a page is stacked.
pub const STACKED: f32 = 430.0;
/// The size below which a page is cut off at its edges.
pub const LEAST_PAGE: egui::Vec2 = egui::vec2(250.0, 200.0);
/// The greatest width of a page's text and cards.
pub const PAGE_WIDTH: f32 = 880.0;
/// The corner radius of cards.
pub const CARD_RADIUS: u8 = 12;
/// The corner radius of buttons and fields.
pub const CONTROL_RADIUS: u8 = 8;
/// The height of buttons and fields.
pub const CONTROL_HEIGHT: f32 = 34.0;

/// The colours of one appearance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Whether this is the dark set.
    pub dark: bool,
    /// The rail's background.
    pub rail: Colour,
    /// The page's background.
    pub page: Colour,
    /// A card.
    pub card: Colour,
    /// A card or plain button under the pointer.
    pub card_hover: Colour,
    /// A card or plain button while it is pressed.
    pub card_pressed: Colour,
    /// A text field.
    pub field: Colour,
    /// Borders and separators.
    pub border: Colour,
    /// Text.
    pub text: Colour,
    /// Text of less weight.
    pub text_weak: Colour,
    /// What is selected or leads on.
    pub accent: Colour,
    /// The same under the pointer.
    pub accent_hover: Colour,
    /// The background of what is selected.
    pub accent_soft: Colour,
    /// Text on `accent`.
    pub on_accent: Colour,
    /// What runs.
    pub good: Colour,
    /// Its background.
    pub good_soft: Colour,
    /// What waits for something.
    pub warn: Colour,
    /// Its background.
    pub warn_soft: Colour,
    /// What failed, or ends something.
    pub bad: Colour,
    /// Its background.
    pub bad_soft: Colour,
    /// `bad` under the pointer.
    pub bad_hover: Colour,
    /// Text on `bad`.
    pub on_bad: Colour,
    /// A switch that is off.
    pub switch_off: Colour,
    /// The knob of a switch.
    pub switch_knob: Colour,
    /// The line of processor use.
    pub graph_cpu: Colour,
    /// The line of memory.
    pub graph_memory: Colour,
    /// The lines behind graphs.
    pub graph_grid: Colour,
    /// Shadows.
    pub shadow: Colour,
    /// Backgrounds of the letters that stand for missing icons.
    pub letters: [Colour; 6],
    /// The letters on them.
    pub on_letter: Colour,
}

/// A colour as `#rrggbb` or `#rrggbbaa`.
#[derive(Clone, Copy, Debug)]
pub struct Colour(pub Color32);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Color32::from_hex(&text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom(format!("{text:?} is no colour of the form #rrggbb")))
    }
}

impl From<Colour> for Color32 {
    fn from(colour: Colour) -> Self {
        colour.0
    }
}

/// Both sets of colours.
#[derive(Clone, Debug)]
pub struct Themes {
    dark: Arc<Tokens>,
    light: Arc<Tokens>,
}

impl Themes {
    /// Reads the sets that are built in.
    ///
    /// # Errors
    /// When one of them is damaged, which a test rules out.
    pub fn built_in() -> serde_json::Result<Self> {
        Ok(Self {
            dark: Arc::new(serde_json::from_str(include_str!("../../../assets/themes/dark.json"))?),
            light: Arc::new(serde_json::from_str(include_str!("../../../assets/themes/light.json"))?),
        })
    }

    /// The set that is in use.
    #[must_use]
    pub fn current(&self, ctx: &Context) -> Arc<Tokens> {
        Arc::clone(match ctx.theme() {
            Theme::Dark => &self.dark,
            Theme::Light => &self.light,
        })
    }

    /// Gives the toolkit's own widgets these colours, and loads the fonts.
    pub fn install(&self, ctx: &Context) {
        ctx.set_fonts(fonts());
        ctx.set_style_of(Theme::Dark, style(&self.dark));
        ctx.set_style_of(Theme::Light, style(&self.light));
    }
}

/// Follows the desktop or the user's choice.
pub fn set_appearance(ctx: &Context, appearance: Appearance) {
    ctx.set_theme(match appearance {
        Appearance::System => ThemePreference::System,
        Appearance::Dark => ThemePreference::Dark,
        Appearance::Light => ThemePreference::Light,
    });
}

/// What following the desktop means.
pub fn set_desktop_colours(ctx: &Context, dark: bool) {
    ctx.options_mut(|options| options.fallback_theme = if dark { Theme::Dark } else { Theme::Light });
}

/// The family of the heavier cut.
fn strong_family() -> FontFamily {
    FontFamily::Name("strong".into())
}

/// Text.
#[must_use]
pub fn body() -> FontId {
    FontId::proportional(14.0)
}

/// Text that is read less often.
#[must_use]
pub fn small() -> FontId {
    FontId::proportional(12.5)
}

/// Text that has to stand out.
#[must_use]
pub fn strong() -> FontId {
    FontId::new(14.0, strong_family())
}

/// The name of a section.
#[must_use]
pub fn section() -> FontId {
    FontId::new(15.5, strong_family())
}

/// The name of a page.
#[must_use]
pub fn title() -> FontId {
    FontId::new(22.0, strong_family())
}

/// A letter in place of an icon that is `side` points wide.
#[must_use]
pub fn letter(side: f32) -> FontId {
    FontId::new(side * 0.5, strong_family())
}

/// Code.
#[must_use]
pub fn mono() -> FontId {
    FontId::monospace(12.5)
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let cuts: [(&str, &'static [u8], FontFamily); 2] = [
        ("inter", include_bytes!("../../../assets/fonts/Inter-Regular.otf"), FontFamily::Proportional),
        ("inter-semibold", include_bytes!("../../../assets/fonts/Inter-SemiBold.otf"), strong_family()),
    ];
    // The toolkit's fonts stay behind ours, for symbols.
    let others = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    for (name, bytes, family) in cuts {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
        let names = std::iter::once(name.to_owned()).chain(others.iter().cloned()).collect();
        fonts.families.insert(family, names);
    }
    fonts
}

/// The style of the toolkit's own widgets: text fields, menus, scroll bars and tooltips.
fn style(tokens: &Tokens) -> Style {
    let mut visuals = if tokens.dark { Visuals::dark() } else { Visuals::light() };
    visuals.panel_fill = tokens.page.into();
    visuals.window_fill = tokens.card.into();
    visuals.window_stroke = Stroke::new(1.0, tokens.border);
    visuals.window_corner_radius = CornerRadius::same(CARD_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(CONTROL_RADIUS);
    visuals.extreme_bg_color = tokens.field.into();
    visuals.text_edit_bg_color = Some(tokens.field.into());
    visuals.faint_bg_color = tokens.card.into();
    visuals.code_bg_color = tokens.field.into();
    visuals.override_text_color = Some(tokens.text.into());
    visuals.weak_text_color = Some(tokens.text_weak.into());
    visuals.hyperlink_color = tokens.accent.into();
    visuals.warn_fg_color = tokens.warn.into();
    visuals.error_fg_color = tokens.bad.into();
    visuals.selection.bg_fill = tokens.accent_soft.into();
    visuals.selection.stroke = Stroke::new(1.5, tokens.accent);
    visuals.text_cursor.stroke.color = tokens.accent.into();
    // A blinking cursor would redraw the window twice a second for nothing.
    visuals.text_cursor.blink = false;
    visuals.popup_shadow.color = tokens.shadow.into();
    visuals.window_shadow.color = tokens.shadow.into();
    let fills = [
        (&mut visuals.widgets.noninteractive, tokens.card),
        (&mut visuals.widgets.inactive, tokens.card),
        (&mut visuals.widgets.hovered, tokens.card_hover),
        (&mut visuals.widgets.active, tokens.card_pressed),
        (&mut visuals.widgets.open, tokens.card_hover),
    ];
    for (widget, fill) in fills {
        widget.bg_fill = fill.into();
        widget.weak_bg_fill = fill.into();
        widget.bg_stroke = Stroke::new(1.0, tokens.border);
        widget.fg_stroke = Stroke::new(1.0, tokens.text);
        widget.corner_radius = CornerRadius::same(CONTROL_RADIUS);
        widget.expansion = 0.0;
    }
    let mut style = Style { visuals, ..Style::default() };
    style.text_styles = [
        (TextStyle::Small, small()),
        (TextStyle::Body, body()),
        (TextStyle::Button, body()),
        (TextStyle::Heading, title()),
        (TextStyle::Monospace, mono()),
    ]
    .into();
    style.spacing.item_spacing = egui::vec2(GAP, GAP);
    style.spacing.button_padding = egui::vec2(12.0, 7.0);
    style.spacing.scroll.floating = true;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.1;
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two opaque colours as WCAG 2 counts it: 1 to 21.
    fn contrast(a: Colour, b: Colour) -> f32 {
        let luminance = |colour: Colour| {
            let linear = |byte: u8| {
                let part = f32::from(byte) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            let [r, g, b, _] = colour.0.to_array();
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_stands_out_from_what_it_is_on() {
        let themes = Themes::built_in().expect("the built-in themes are good");
        for tokens in [&themes.dark, &themes.light] {
            let mut pairs = Vec::new();
            for back in [tokens.rail, tokens.page, tokens.card, tokens.card_hover, tokens.field] {
                pairs.extend([(tokens.text, back), (tokens.text_weak, back)]);
            }
            pairs.extend([
                (tokens.text, tokens.accent_soft),
                (tokens.accent, tokens.accent_soft),
                (tokens.on_accent, tokens.accent),
                (tokens.on_accent, tokens.accent_hover),
                (tokens.good, tokens.good_soft),
                (tokens.warn, tokens.warn_soft),
                (tokens.bad, tokens.bad_soft),
                (tokens.bad, tokens.card),
                (tokens.on_bad, tokens.bad),
                (tokens.on_bad, tokens.bad_hover),
            ]);
            for (front, back) in pairs {
                let found = contrast(front, back);
                assert!(found >= 4.5, "dark={} {front:?} on {back:?}: {found:.2}", tokens.dark);
            }
            for letter in tokens.letters {
                assert!(contrast(tokens.on_letter, letter) >= 3.0, "{letter:?}");
            }
        }
    }
}
