//! What the ids of a client name.

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
    DataSource(Vec<Vec<u8>>),
    DataOffer,
    PrimaryManager,
    PrimaryDevice,
    PrimarySource(Vec<Vec<u8>>),
    PrimaryOffer,
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
    ActivationToken,
    FractionalScaleManager,
    FractionalScale(u32),
    TextInputManager,
    /// Commits so far.
    TextInput(u32),
    IdleInhibitManager,
    IdleInhibitor,
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
    /// Attachments that the bridge has not released.
    pub uses: u32,
}

/// What an xdg_positioner collected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Positioner {
    pub size: [i32; 2],
    pub anchor_rect: Rect,
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
