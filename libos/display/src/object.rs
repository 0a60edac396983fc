//! What the ids of a client name.

use crate::selection::{OfferOf, Source};
use alloc::vec::Vec;
use postern_channel::Rect;

/// An object of a client.
#[derive(Clone, Debug)]
pub enum Kind {
    Display,
    Registry,
    Callback,
    Compositor,
    Subcompositor,
    Subsurface(u32),
    Shm,
    /// Number of the pool.
    ShmPool(u32),
    Buffer(Buffer),
    Region(Vec<Rect>),
    /// Number of the surface.
    Surface(u32),
    WmBase,
    Positioner(Positioner),
    XdgSurface(u32),
    Toplevel(u32),
    Popup(u32),
    Seat,
    Pointer,
    Keyboard,
    Touch,
    Output(u32),
    XdgOutputManager,
    XdgOutput(u32),
    DataDeviceManager,
    DataDevice,
    DataSource(Source),
    DataOffer(OfferOf),
    PrimaryManager,
    PrimaryDevice,
    PrimarySource(Source),
    PrimaryOffer(OfferOf),
    Viewporter,
    Viewport(u32),
    CursorShapeManager,
    CursorShapeDevice,
    DecorationManager,
    Decoration(u32),
    KdeDecorationManager,
    /// Surface.
    KdeDecoration(u32),
    Activation,
    ActivationToken(Token),
    FractionalScaleManager,
    FractionalScale(u32),
    TextInputManager,
    TextInput,
    IdleInhibitManager,
    IdleInhibitor(u32),
    PointerConstraints,
    LockedPointer(u32),
    ConfinedPointer(u32),
    RelativePointerManager,
    RelativePointer,
    Presentation,
    PresentationFeedback,
    SinglePixelManager,
    Exporter,
    /// Number of the export.
    Exported(u32),
    Importer,
    /// Number of the export, 0 = there is none.
    Imported(u32),
    DialogManager,
    Dialog(u32),
    IconManager,
    Icon(Icon),
    Bell,
    ShortcutsInhibitManager,
    ShortcutsInhibitor(u32),
}

/// A `xdg_activation_token_v1`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Token {
    pub serial: u32,
    /// It was committed.
    pub is_used: bool,
}

/// A `xdg_toplevel_icon_v1`.
#[derive(Clone, Debug, Default)]
pub struct Icon {
    /// It was given to a window.
    pub is_immutable: bool,
    /// Object ids of its buffers.
    pub buffers: Vec<u32>,
}

/// A buffer in a pool.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    pub pool: u32,
    pub offset: u32,
    pub width: i32,
    pub height: i32,
    pub stride: u32,
    pub format: u32,
    /// It is no memory but one pixel, of the colour in `offset`.
    pub is_pixel: bool,
    /// Attachments that the bridge has not released.
    pub uses: u32,
}

/// What an xdg_positioner collected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Positioner {
    pub size: [i32; 2],
    /// None: not set yet.
    pub anchor_rect: Option<Rect>,
    pub anchor: u32,
    pub gravity: u32,
    pub constraint: u32,
    pub offset: [i32; 2],
    pub reactive: bool,
}

/// An object with the version it was made with.
#[derive(Clone, Debug)]
pub struct Object {
    pub kind: Kind,
    pub version: u32,
}

impl Object {
    /// Whether the version that was bound has this request: those that came later are listed here.
    pub fn has_request(&self, opcode: u16) -> bool {
        let since = match (&self.kind, opcode) {
            (Kind::Compositor, 2) | (Kind::Surface(_), 11) => 7,
            (Kind::Shm, 1) | (Kind::Surface(_), 7) => 2,
            (Kind::Surface(_), 8)
            | (Kind::Positioner(_), 7..=9)
            | (Kind::Popup(_), 2)
            | (Kind::Pointer, 1)
            | (Kind::Keyboard | Kind::Touch | Kind::Output(_), 0) => 3,
            (Kind::Surface(_), 9) => 4,
            (Kind::Surface(_), 10) | (Kind::Seat, 3) => 5,
            _ => 1,
        };
        self.version >= since
    }
}
