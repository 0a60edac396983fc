//! The app's surfaces and what the compositor has of them.
//!
//! A surface exists from its first commit or text until its destruction. Its host side (a `wl_surface` and the objects
//! of its role) exists once the role and, where it needs one, the parent are there.

pub mod border;
pub mod buffer;
pub mod commit;
mod events;
mod presentation;
mod role;
mod state;
mod teardown;
mod wants;

pub use buffer::Pools;

use crate::control::Window;
use buffer::Attachment;
use postern_channel::{Commit, Configure, Rect, Role, limit};
use std::collections::BTreeMap;
use wayland_client::backend::ObjectId;
use wayland_client::protocol::{wl_callback, wl_subsurface, wl_surface};
use wayland_protocols::wp::fractional_scale::v1::client::wp_fractional_scale_v1::WpFractionalScaleV1;
use wayland_protocols::wp::viewporter::client::wp_viewport::WpViewport;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1::ZxdgToplevelDecorationV1;
use wayland_protocols::xdg::dialog::v1::client::xdg_dialog_v1::XdgDialogV1;
use wayland_protocols::xdg::shell::client::{xdg_popup, xdg_surface, xdg_toplevel};

/// Data of every `wl_surface`: the app's number, or none for the bridge's own.
pub struct SurfaceTag(pub Option<u32>);

/// A surface of the app.
#[derive(Default)]
pub struct Surface {
    /// The last commit.
    last: Option<Commit>,
    title: Option<String>,
    app_id: Option<String>,
    /// The buffer of `last`, until it is given to the compositor.
    next: Option<Attachment>,
    /// What the app asked to have redrawn since the last commit that reached the compositor.
    damage: Option<Rect>,
    /// The app waits for a frame callback that the compositor was not asked for yet.
    frame_wanted: bool,
    /// A popup that the app was told to close: it is not shown again until the app has understood.
    dismissed: bool,
    /// The last content update whose feedback the compositor was asked for.
    asked: u32,
    host: Option<Host>,
}

/// What the compositor has of a surface.
struct Host {
    surface: wl_surface::WlSurface,
    role: HostRole,
    viewport: Option<WpViewport>,
    /// State of the last commit that reached the compositor.
    applied: Option<Commit>,
    /// Buffers that the compositor may still read, the current one included.
    held: Vec<Attachment>,
    /// The frame callback that the compositor owes.
    callback: Option<wl_callback::WlCallback>,
    /// Buffers attached since the last one came.
    since_frame: u32,
    border: Option<border::Edges>,
    fractional_scale: Option<WpFractionalScaleV1>,
    wants: wants::Wants,
}

enum HostRole {
    Toplevel(Toplevel),
    Popup(Popup),
    /// The object is gone while the parent has no host side. The parent's number.
    Subsurface(Option<wl_subsurface::WlSubsurface>, u32),
    Cursor,
    DragIcon,
}

impl HostRole {
    fn number(&self) -> u32 {
        match self {
            Self::Toplevel(_) => Role::TOPLEVEL,
            Self::Popup(_) => Role::POPUP,
            Self::Subsurface(..) => Role::SUBSURFACE,
            Self::Cursor => Role::CURSOR,
            Self::DragIcon => Role::DRAG_ICON,
        }
    }
}

/// What toplevels and popups have in common.
struct Shell {
    object: xdg_surface::XdgSurface,
    /// Serials of configures that were not acknowledged yet, oldest first.
    serials: Vec<u32>,
    /// The compositor was asked for a first configure.
    started: bool,
    /// A configure was acknowledged: buffers may be attached.
    configured: bool,
    /// A buffer is shown.
    mapped: bool,
    /// The configure that is being gathered, and then the last one.
    configure: Configure,
}

struct Toplevel {
    shell: Shell,
    object: xdg_toplevel::XdgToplevel,
    decoration: Option<ZxdgToplevelDecorationV1>,
    dialog: Option<XdgDialogV1>,
    wishes: role::Wishes,
}

struct Popup {
    shell: Shell,
    object: xdg_popup::XdgPopup,
    /// Number of the parent surface.
    parent: u32,
    /// Token of the last position that was asked for.
    token: u32,
    /// It was made with a grab.
    has_grab: bool,
}

impl Host {
    fn shell(&self) -> Option<&Shell> {
        match &self.role {
            HostRole::Toplevel(toplevel) => Some(&toplevel.shell),
            HostRole::Popup(popup) => Some(&popup.shell),
            _ => None,
        }
    }

    fn shell_mut(&mut self) -> Option<&mut Shell> {
        match &mut self.role {
            HostRole::Toplevel(toplevel) => Some(&mut toplevel.shell),
            HostRole::Popup(popup) => Some(&mut popup.shell),
            _ => None,
        }
    }

    fn is_mapped(&self) -> bool {
        self.shell().is_some_and(|shell| shell.mapped)
    }

    /// Whether the app draws one picture for each frame callback, and now waits for one: what it gets with that is soon
    /// enough.
    fn is_paced(&self) -> bool {
        self.callback.is_some() && self.since_frame <= 1
    }
}

impl Surface {
    fn is_mapped(&self) -> bool {
        self.host.as_ref().is_some_and(Host::is_mapped)
    }

    /// The size that the user sees: the window geometry, else the surface.
    fn window_size(&self) -> Option<(i32, i32)> {
        let commit = self.host.as_ref()?.applied.as_ref()?;
        if commit.geometry.width > 0 && commit.geometry.height > 0 {
            return Some((commit.geometry.width, commit.geometry.height));
        }
        state::surface_size(commit)
    }
}

/// All surfaces of the app, by its numbers.
#[derive(Default)]
pub struct Surfaces(BTreeMap<u32, Surface>);

impl Surfaces {
    fn get(&self, number: u32) -> Option<&Surface> {
        self.0.get(&number)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Surface> {
        self.0.get_mut(&number)
    }

    fn host_mut(&mut self, number: u32) -> Option<&mut Host> {
        self.0.get_mut(&number)?.host.as_mut()
    }

    /// The surface, made if it is new. None: there are too many.
    fn get_or_make(&mut self, number: u32) -> Option<&mut Surface> {
        if self.0.len() >= limit::SURFACES && !self.0.contains_key(&number) {
            return None;
        }
        Some(self.0.entry(number).or_default())
    }

    /// The compositor's object of the window that a surface is, or is a part of.
    fn window(&self, number: u32) -> Option<&wl_surface::WlSurface> {
        let mut at = number;
        for _ in 0..=self.0.len() {
            let surface = self.get(at)?;
            let host = surface.host.as_ref()?;
            match host.role {
                HostRole::Toplevel(_) => return Some(&host.surface),
                HostRole::Popup(_) | HostRole::Subsurface(..) => at = surface.last?.parent,
                HostRole::Cursor | HostRole::DragIcon => return None,
            }
        }
        None
    }

    /// Numbers of the surfaces whose last commit names this parent.
    fn children(&self, parent: u32) -> Vec<u32> {
        let is_child = |surface: &Surface| surface.last.is_some_and(|last| last.parent == parent);
        self.0.iter().filter(|(_, surface)| is_child(surface)).map(|(&number, _)| number).collect()
    }

    /// Whether making `parent` the parent of `child` would close a circle.
    fn is_circle(&self, child: u32, parent: u32) -> bool {
        let mut at = parent;
        for _ in 0..=self.0.len() {
            if at == child {
                return true;
            }
            match self.get(at).and_then(|surface| surface.last) {
                Some(last) if last.parent != 0 => at = last.parent,
                _ => return false,
            }
        }
        true
    }

    /// Number of toplevels.
    fn toplevels(&self) -> usize {
        self.0.values().filter(|s| s.last.is_some_and(|last| last.role == Role::TOPLEVEL)).count()
    }

    /// The host side of a cursor surface.
    pub fn host_cursor(&self, number: u32) -> Option<&wl_surface::WlSurface> {
        let host = self.get(number)?.host.as_ref()?;
        matches!(host.role, HostRole::Cursor).then_some(&host.surface)
    }

    /// The compositor's object of a surface.
    pub fn wl_surface(&self, number: u32) -> Option<&wl_surface::WlSurface> {
        self.get(number)?.host.as_ref().map(|host| &host.surface)
    }

    /// The seat lost its pointer.
    pub fn release_pointer(&mut self) {
        for host in self.0.values_mut().filter_map(|surface| surface.host.as_mut()) {
            host.wants.release_pointer();
        }
    }

    /// The host side of what follows a drag.
    pub fn host_icon(&self, number: u32) -> Option<&wl_surface::WlSurface> {
        let host = self.get(number)?.host.as_ref()?;
        matches!(host.role, HostRole::DragIcon).then_some(&host.surface)
    }

    /// The app's number of the toplevel or popup whose `xdg_surface` this is.
    fn shell_mut(&mut self, number: u32, object: &ObjectId) -> Option<&mut Shell> {
        use wayland_client::Proxy;
        self.host_mut(number)?.shell_mut().filter(|shell| shell.object.id() == *object)
    }

    /// The windows that are shown.
    pub fn windows(&self, prefix: &str) -> Vec<Window> {
        let window = |(&number, surface): (&u32, &Surface)| {
            let host = surface.host.as_ref()?;
            if !matches!(host.role, HostRole::Toplevel(_)) || !host.is_mapped() {
                return None;
            }
            let (width, height) = surface.window_size()?;
            let title = format!("{prefix}{}", surface.title.as_deref().unwrap_or_default());
            Some(Window { surface: number, title, width, height })
        };
        self.0.iter().filter_map(window).collect()
    }
}
