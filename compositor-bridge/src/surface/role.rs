//! The host side of surfaces: made when role and parent are there, and kept as the commits say.

use super::wants::Wants;
use super::{Host, HostRole, Popup, Shell, SurfaceTag, Toplevel};
use crate::bridge::Bridge;
use crate::control::Report;
use postern_channel::{Commit, CommitFlag, Configure, Message, Role, limit};
use wayland_client::Proxy;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1::Mode;
use wayland_protocols::xdg::shell::client::{xdg_positioner, xdg_surface};

/// What the compositor was told of a toplevel's wishes.
#[derive(Default)]
pub struct Wishes {
    flags: u32,
    min_size: [i32; 2],
    max_size: [i32; 2],
    pub parent: u32,
    client_decoration: Option<bool>,
    is_modal: bool,
}

const MODES: u32 = CommitFlag::MAXIMIZED | CommitFlag::FULLSCREEN;

impl Shell {
    fn new(object: xdg_surface::XdgSurface, number: u32) -> Self {
        let configure = Configure { surface: number, ..Configure::default() };
        Self { object, serials: Vec::new(), started: false, configured: false, mapped: false, configure }
    }

    /// Acknowledges the configure at this place of the list, and with it the older ones.
    pub fn acknowledge(&mut self, at: usize) {
        if let Some(&serial) = self.serials.get(at) {
            self.object.ack_configure(serial);
            self.serials.drain(..=at);
            self.configured = true;
        }
    }
}

impl Bridge {
    /// Makes the host side. False: the parent is not there yet.
    pub fn make_host(&mut self, number: u32, last: &Commit) -> bool {
        let parent = self.surfaces.get(last.parent).and_then(|parent| parent.host.as_ref());
        let make_surface = || self.globals.compositor.create_surface(&self.queue, SurfaceTag(Some(number)));
        let make_shell = |surface: &WlSurface| {
            Shell::new(self.globals.shell.get_xdg_surface(surface, &self.queue, number), number)
        };
        let (surface, role) = match last.role {
            Role::TOPLEVEL => {
                let surface = make_surface();
                let shell = make_shell(&surface);
                let object = shell.object.get_toplevel(&self.queue, number);
                let decorations = self.globals.decorations.as_ref();
                let decoration = decorations.map(|d| d.get_toplevel_decoration(&object, &self.queue, number));
                let wishes = Wishes::default();
                (surface, HostRole::Toplevel(Toplevel { shell, object, decoration, dialog: None, wishes }))
            }
            Role::POPUP => {
                let Some(parent) = parent.filter(|parent| parent.is_mapped()) else { return false };
                let is_nested = matches!(&parent.role, HostRole::Popup(parent) if parent.has_grab);
                let grabs = last.flags & CommitFlag::GRAB != 0;
                // A menu of a menu opens when the pointer comes to rest.
                if grabs && !is_nested && !self.input.is_recent() {
                    self.dismiss(number);
                    let what = "a popup that grabs without a recent key, click or touch".into();
                    self.control.report(&Report::Refused { what });
                    return false;
                }
                let Some(parent) = parent.shell() else { return false };
                let surface = make_surface();
                let shell = make_shell(&surface);
                let positioner = self.positioner(last);
                let object = shell.object.get_popup(Some(&parent.object), &positioner, &self.queue, number);
                positioner.destroy();
                let seat = self.input.seat.as_ref().filter(|_| grabs);
                if let Some(seat) = seat {
                    object.grab(seat, last.serial);
                }
                let (parent, token, has_grab) = (last.parent, last.token, seat.is_some());
                (surface, HostRole::Popup(Popup { shell, object, parent, token, has_grab }))
            }
            Role::SUBSURFACE => {
                if parent.is_none() {
                    return false;
                }
                (make_surface(), HostRole::Subsurface(None, last.parent))
            }
            Role::DRAG_ICON => (make_surface(), HostRole::DragIcon),
            _ => (make_surface(), HostRole::Cursor),
        };
        let fractional_scale = self.globals.fractional_scale.as_ref();
        let fractional_scale =
            fractional_scale.map(|manager| manager.get_fractional_scale(&surface, &self.queue, number));
        if let Some(entry) = self.surfaces.get_mut(number) {
            entry.host = Some(Host {
                surface,
                role,
                viewport: None,
                applied: None,
                held: Vec::new(),
                callback: None,
                since_frame: 0,
                border: None,
                fractional_scale,
                wants: Wants::default(),
            });
        }
        self.update_texts(number);
        true
    }

    /// Where a popup wants to be.
    fn positioner(&self, last: &Commit) -> xdg_positioner::XdgPositioner {
        let positioner = self.globals.shell.create_positioner(&self.queue, ());
        let [width, height] = last.size;
        positioner.set_size(width.max(1), height.max(1));
        let anchor = last.anchor_rect;
        positioner.set_anchor_rect(anchor.x, anchor.y, anchor.width.max(1), anchor.height.max(1));
        if let Ok(anchor) = xdg_positioner::Anchor::try_from(last.anchor) {
            positioner.set_anchor(anchor);
        }
        if let Ok(gravity) = xdg_positioner::Gravity::try_from(last.gravity) {
            positioner.set_gravity(gravity);
        }
        let constraint = xdg_positioner::ConstraintAdjustment::from_bits_truncate(last.constraint);
        positioner.set_constraint_adjustment(constraint);
        let [x, y] = last.position;
        positioner.set_offset(x, y);
        if last.flags & CommitFlag::REACTIVE != 0 && positioner.version() >= 3 {
            positioner.set_reactive();
        }
        positioner
    }

    /// Passes on what changed in a toplevel's wishes, and a popup's new position.
    pub fn update_role(&mut self, number: u32, last: &Commit) {
        let positioner = match self.surfaces.host_mut(number).map(|host| &host.role) {
            Some(HostRole::Popup(popup)) if popup.token != last.token && popup.object.version() >= 3 => {
                Some(self.positioner(last))
            }
            _ => None,
        };
        // Only one that is shown: compositors lose track of the others, and wlroots before 0.16 ends itself over one when
        // the connection breaks off. When the parent is shown, its children come here again.
        let parent = self.surfaces.get(last.parent).and_then(|parent| match &parent.host.as_ref()?.role {
            HostRole::Toplevel(parent) if parent.shell.mapped => Some(parent.object.clone()),
            _ => None,
        });
        let may_fill_screen = self.input.is_recent();
        let Some(surface) = self.surfaces.get_mut(number) else { return };
        let mut refused = None;
        match surface.host.as_mut().map(|host| &mut host.role) {
            Some(HostRole::Toplevel(toplevel)) => {
                let parent_number = if parent.is_some() { last.parent } else { 0 };
                if toplevel.wishes.parent != parent_number {
                    toplevel.wishes.parent = parent_number;
                    toplevel.object.set_parent(parent.as_ref());
                }
                let is_modal = last.flags & CommitFlag::MODAL != 0;
                if let Some(dialogs) =
                    self.globals.dialogs.as_ref().filter(|_| is_modal != toplevel.wishes.is_modal)
                {
                    toplevel.wishes.is_modal = is_modal;
                    let dialog = toplevel
                        .dialog
                        .get_or_insert_with(|| dialogs.get_xdg_dialog(&toplevel.object, &self.queue, ()));
                    if is_modal {
                        dialog.set_modal();
                    } else {
                        dialog.unset_modal();
                    }
                }
                if toplevel.update(last, may_fill_screen) {
                    refused = Some(toplevel.shell.configure);
                }
            }
            Some(HostRole::Popup(popup)) => {
                if let Some(positioner) = positioner {
                    popup.object.reposition(&positioner, last.token);
                    positioner.destroy();
                    popup.token = last.token;
                }
            }
            _ => {}
        }
        if let Some(last) = &mut surface.last {
            last.flags &= !CommitFlag::MINIMIZE;
        }
        if let Some(configure) = refused {
            self.app.send(&Message::Configure(configure, &[]));
            let what = "full screen without a recent key or click".into();
            self.control.report(&Report::Refused { what });
        }
    }

    /// Makes, moves and orders a subsurface. Returns whether its parent has to be committed for that.
    pub fn update_subsurface(&mut self, number: u32, last: &Commit) -> bool {
        if last.role != Role::SUBSURFACE {
            return false;
        }
        let above = self.stacking_neighbour(number, last);
        let Some(parent) = self.surfaces.get(last.parent).and_then(|parent| parent.host.as_ref()) else {
            return false;
        };
        let (parent_surface, edges) = (parent.surface.clone(), parent.border.as_ref().map(|b| b.objects()));
        let Some(host) = self.surfaces.host_mut(number) else { return false };
        let before = host.applied;
        let HostRole::Subsurface(object, _) = &mut host.role else { return false };
        let is_made = object.is_none();
        let object = object.get_or_insert_with(|| {
            let object =
                self.globals.subcompositor.get_subsurface(&host.surface, &parent_surface, &self.queue, ());
            object.set_desync();
            object
        });
        // It came to lie above everything, the border too.
        for edge in edges.iter().flatten().filter(|_| is_made) {
            edge.place_above(&host.surface);
        }
        let mut changed = is_made;
        if is_made || before.is_none_or(|before| before.position != last.position) {
            let [x, y] = last.position;
            object.set_position(x, y);
            changed = true;
        }
        if (is_made || before.is_none_or(|before| before.above != last.above))
            && let Some(above) = above
        {
            object.place_above(&above);
            changed = true;
        }
        changed
    }

    /// The surface that a subsurface lies right above: its parent, or a sibling that is there.
    fn stacking_neighbour(&self, number: u32, last: &Commit) -> Option<WlSurface> {
        if last.above == 0 || last.above == number {
            return None;
        }
        let host = self.surfaces.get(last.above)?.host.as_ref()?;
        let is_sibling =
            matches!(&host.role, HostRole::Subsurface(Some(_), parent) if *parent == last.parent);
        (last.above == last.parent || is_sibling).then(|| host.surface.clone())
    }

    /// Sends title and application id. The title begins with what the app cannot choose.
    pub fn update_texts(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get(number) else { return };
        let Some(HostRole::Toplevel(toplevel)) = surface.host.as_ref().map(|host| &host.role) else { return };
        let title = surface.title.as_deref().unwrap_or_default();
        toplevel.object.set_title(format!("{}{title}", self.title_prefix));
        if let Some(app_id) = self.app_id.as_ref().or(surface.app_id.as_ref()) {
            toplevel.object.set_app_id(app_id.clone());
        }
    }
}

impl Toplevel {
    /// Passes on what changed. Returns whether the app asked for the full screen and may not have it.
    fn update(&mut self, last: &Commit, may_fill_screen: bool) -> bool {
        let wishes = &mut self.wishes;
        if wishes.min_size != last.min_size || wishes.max_size != last.max_size {
            (wishes.min_size, wishes.max_size) = (last.min_size, last.max_size);
            let [min_width, min_height] = last.min_size;
            let [max_width, max_height] = last.max_size;
            // A largest size below the smallest would be an error, also for a moment.
            let most = |max: i32, min: i32| if max == 0 { 0 } else { max.max(min).min(limit::SIZE) };
            self.object.set_max_size(0, 0);
            self.object.set_min_size(min_width, min_height);
            self.object.set_max_size(most(max_width, min_width), most(max_height, min_height));
        }
        let client = last.flags & CommitFlag::CLIENT_DECORATION != 0;
        if wishes.client_decoration != Some(client) {
            wishes.client_decoration = Some(client);
            if let Some(decoration) = &self.decoration {
                decoration.set_mode(if client { Mode::ClientSide } else { Mode::ServerSide });
            }
        }
        if last.flags & CommitFlag::MINIMIZE != 0 {
            self.object.set_minimized();
        }
        let changed = (wishes.flags ^ last.flags) & MODES;
        wishes.flags = last.flags;
        let is_set = |flag| last.flags & flag != 0;
        if changed & CommitFlag::MAXIMIZED != 0 {
            if is_set(CommitFlag::MAXIMIZED) {
                self.object.set_maximized();
            } else {
                self.object.unset_maximized();
            }
        }
        if changed & CommitFlag::FULLSCREEN == 0 {
            return false;
        }
        if !is_set(CommitFlag::FULLSCREEN) {
            self.object.unset_fullscreen();
            return false;
        }
        if may_fill_screen {
            self.object.set_fullscreen(None);
        }
        !may_fill_screen
    }
}
