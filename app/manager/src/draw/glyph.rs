//! The small line drawings on buttons, as strokes in a unit square, so that they are sharp at every scale.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, pos2};

/// A small line drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Four squares: apps, and the grid.
    Grid,
    /// Lines: the list.
    List,
    /// A pulse: what runs.
    Activity,
    /// A triangle with a mark: crashes and warnings.
    Warning,
    /// Where one came from.
    Back,
    /// A magnifying glass.
    Search,
    /// A cross.
    Close,
    /// A triangle to the right.
    Play,
    /// A square.
    Stop,
    /// A circle with an arrow.
    Restart,
    /// Two sheets.
    Copy,
    /// A bin.
    Trash,
    /// An arrow to the left and round.
    Undo,
    /// The sun.
    Sun,
    /// The moon.
    Moon,
    /// A half-filled circle: as the desktop says.
    Contrast,
    /// A globe: the network.
    Network,
    /// A house: the home folder.
    Home,
    /// A clipboard.
    Clipboard,
    /// A file.
    File,
    /// A shield.
    Shield,
}

type Line = &'static [(f32, f32)];

impl Glyph {
    /// The open or closed lines of the drawing.
    fn lines(self) -> &'static [Line] {
        match self {
            Self::Grid => &[
                &[(0.15, 0.15), (0.42, 0.15), (0.42, 0.42), (0.15, 0.42), (0.15, 0.15)],
                &[(0.58, 0.15), (0.85, 0.15), (0.85, 0.42), (0.58, 0.42), (0.58, 0.15)],
                &[(0.15, 0.58), (0.42, 0.58), (0.42, 0.85), (0.15, 0.85), (0.15, 0.58)],
                &[(0.58, 0.58), (0.85, 0.58), (0.85, 0.85), (0.58, 0.85), (0.58, 0.58)],
            ],
            Self::List => &[
                &[(0.34, 0.25), (0.88, 0.25)],
                &[(0.34, 0.5), (0.88, 0.5)],
                &[(0.34, 0.75), (0.88, 0.75)],
                &[(0.12, 0.25), (0.18, 0.25)],
                &[(0.12, 0.5), (0.18, 0.5)],
                &[(0.12, 0.75), (0.18, 0.75)],
            ],
            Self::Activity => {
                &[&[(0.06, 0.52), (0.28, 0.52), (0.42, 0.15), (0.6, 0.85), (0.72, 0.52), (0.94, 0.52)]]
            }
            Self::Warning => &[
                &[(0.5, 0.14), (0.92, 0.86), (0.08, 0.86), (0.5, 0.14)],
                &[(0.5, 0.4), (0.5, 0.62)],
                &[(0.5, 0.73), (0.5, 0.76)],
            ],
            Self::Back => &[&[(0.62, 0.2), (0.32, 0.5), (0.62, 0.8)]],
            Self::Search => &[&[(0.64, 0.64), (0.88, 0.88)]],
            Self::Close => &[&[(0.24, 0.24), (0.76, 0.76)], &[(0.76, 0.24), (0.24, 0.76)]],
            Self::Play => &[&[(0.28, 0.16), (0.82, 0.5), (0.28, 0.84), (0.28, 0.16)]],
            Self::Stop => &[&[(0.24, 0.24), (0.76, 0.24), (0.76, 0.76), (0.24, 0.76), (0.24, 0.24)]],
            Self::Restart => &[
                &[
                    (0.82, 0.5),
                    (0.77, 0.69),
                    (0.65, 0.79),
                    (0.5, 0.83),
                    (0.33, 0.78),
                    (0.21, 0.65),
                    (0.17, 0.5),
                    (0.21, 0.34),
                    (0.33, 0.22),
                    (0.5, 0.17),
                    (0.66, 0.21),
                    (0.79, 0.33),
                ],
                &[(0.82, 0.12), (0.81, 0.36), (0.58, 0.35)],
            ],
            Self::Copy => &[
                &[(0.36, 0.36), (0.84, 0.36), (0.84, 0.86), (0.36, 0.86), (0.36, 0.36)],
                &[(0.24, 0.66), (0.16, 0.66), (0.16, 0.14), (0.64, 0.14), (0.64, 0.22)],
            ],
            Self::Trash => &[
                &[(0.14, 0.26), (0.86, 0.26)],
                &[(0.36, 0.26), (0.38, 0.13), (0.62, 0.13), (0.64, 0.26)],
                &[(0.22, 0.26), (0.28, 0.88), (0.72, 0.88), (0.78, 0.26)],
                &[(0.42, 0.42), (0.44, 0.72)],
                &[(0.58, 0.42), (0.56, 0.72)],
            ],
            Self::Undo => &[
                &[
                    (0.16, 0.38),
                    (0.62, 0.38),
                    (0.76, 0.44),
                    (0.84, 0.57),
                    (0.82, 0.71),
                    (0.73, 0.8),
                    (0.6, 0.83),
                    (0.36, 0.83),
                ],
                &[(0.36, 0.18), (0.15, 0.38), (0.36, 0.58)],
            ],
            Self::Sun => &[
                &[(0.5, 0.06), (0.5, 0.16)],
                &[(0.5, 0.84), (0.5, 0.94)],
                &[(0.06, 0.5), (0.16, 0.5)],
                &[(0.84, 0.5), (0.94, 0.5)],
                &[(0.19, 0.19), (0.26, 0.26)],
                &[(0.74, 0.74), (0.81, 0.81)],
                &[(0.81, 0.19), (0.74, 0.26)],
                &[(0.26, 0.74), (0.19, 0.81)],
            ],
            Self::Moon => &[&[
                (0.42, 0.14),
                (0.28, 0.2),
                (0.17, 0.34),
                (0.14, 0.5),
                (0.19, 0.68),
                (0.31, 0.81),
                (0.48, 0.87),
                (0.65, 0.83),
                (0.79, 0.72),
                (0.86, 0.57),
                (0.74, 0.63),
                (0.6, 0.63),
                (0.48, 0.57),
                (0.4, 0.46),
                (0.37, 0.31),
                (0.42, 0.14),
            ]],
            Self::Contrast => {
                &[&[(0.5, 0.15), (0.5, 0.85)], &[(0.58, 0.3), (0.58, 0.7)], &[(0.66, 0.36), (0.66, 0.64)]]
            }
            Self::Network => &[
                &[(0.13, 0.5), (0.87, 0.5)],
                &[
                    (0.5, 0.13),
                    (0.38, 0.28),
                    (0.34, 0.5),
                    (0.38, 0.72),
                    (0.5, 0.87),
                    (0.62, 0.72),
                    (0.66, 0.5),
                    (0.62, 0.28),
                    (0.5, 0.13),
                ],
            ],
            Self::Home => &[
                &[(0.1, 0.5), (0.5, 0.14), (0.9, 0.5)],
                &[(0.22, 0.42), (0.22, 0.86), (0.78, 0.86), (0.78, 0.42)],
                &[(0.42, 0.86), (0.42, 0.62), (0.58, 0.62), (0.58, 0.86)],
            ],
            Self::Clipboard => &[
                &[(0.36, 0.2), (0.2, 0.2), (0.2, 0.9), (0.8, 0.9), (0.8, 0.2), (0.64, 0.2)],
                &[(0.36, 0.12), (0.64, 0.12), (0.64, 0.28), (0.36, 0.28), (0.36, 0.12)],
                &[(0.36, 0.5), (0.64, 0.5)],
                &[(0.36, 0.68), (0.56, 0.68)],
            ],
            Self::File => &[&[
                (0.56, 0.1),
                (0.22, 0.1),
                (0.22, 0.9),
                (0.78, 0.9),
                (0.78, 0.32),
                (0.56, 0.1),
                (0.56, 0.32),
                (0.78, 0.32),
            ]],
            Self::Shield => &[&[
                (0.5, 0.08),
                (0.84, 0.2),
                (0.84, 0.48),
                (0.76, 0.7),
                (0.5, 0.92),
                (0.24, 0.7),
                (0.16, 0.48),
                (0.16, 0.2),
                (0.5, 0.08),
            ]],
        }
    }

    /// The circle of the drawing: centre and radius.
    fn circle(self) -> Option<((f32, f32), f32)> {
        match self {
            Self::Search => Some(((0.42, 0.42), 0.29)),
            Self::Sun => Some(((0.5, 0.5), 0.2)),
            Self::Contrast => Some(((0.5, 0.5), 0.36)),
            Self::Network => Some(((0.5, 0.5), 0.37)),
            _ => None,
        }
    }

    /// Draws it into a square.
    pub fn paint(self, painter: &Painter, rect: Rect, colour: Color32) {
        let side = rect.width().min(rect.height());
        let square = Rect::from_center_size(rect.center(), egui::Vec2::splat(side));
        let at = |(x, y): (f32, f32)| -> Pos2 { pos2(square.left() + x * side, square.top() + y * side) };
        let stroke = Stroke::new((side / 11.0).max(1.2), colour);
        for line in self.lines() {
            painter.add(Shape::line(line.iter().copied().map(at).collect(), stroke));
        }
        if let Some((centre, radius)) = self.circle() {
            painter.circle_stroke(at(centre), radius * side, stroke);
        }
    }
}
