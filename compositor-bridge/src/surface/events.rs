//! What the compositor says about windows.

use super::{HostRole, SurfaceTag};
use crate::bridge::Bridge;
use postern_channel::{Close, Configure, Message, limit};
use wayland_client::protocol::wl_surface;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1 as decoration;
use wayland_protocols::xdg::shell::client::{xdg_popup, xdg_surface, xdg_toplevel};

/// Most configures that may wait for their acknowledgement; of more, the oldest are forgotten, which the next
/// acknowledgement covers anyway.
const SERIALS: usize = 64;

fn size(value: i32) -> i32 {
    value.clamp(0, limit::SIZE)
}

impl Dispatch<wl_surface::WlSurface, SurfaceTag> for Bridge {
    fn event(
        _: &mut Self,
        _: &wl_surface::WlSurface,
        _: wl_surface::Event,
        _: &SurfaceTag,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        // The app is told of outputs, not of which one a surface is on.
    }
}

impl Dispatch<xdg_surface::XdgSurface, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &xdg_surface::XdgSurface,
        event: xdg_surface::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let xdg_surface::Event::Configure { serial } = event else { return };
        // Of an object that was replaced meanwhile, nothing may be acknowledged.
        let Some(shell) = bridge.surfaces.shell_mut(number, &object.id()) else { return };
        if shell.serials.len() >= SERIALS {
            shell.serials.remove(0);
        }
        shell.serials.push(serial);
        shell.configure.serial = serial;
        let configure = shell.configure;
        shell.configure.token = 0;
        let waits = !shell.configured;
        bridge.app.send(&Message::Configure(configure, &[]));
        if waits && bridge.surfaces.waits_with_buffer(number) {
            bridge.apply(number);
        }
    }
}

impl Bridge {
    /// The configure that is being gathered for a toplevel that is still the surface's.
    fn gathered(&mut self, number: u32, object: &xdg_toplevel::XdgToplevel) -> Option<&mut Configure> {
        match &mut self.surfaces.host_mut(number)?.role {
            HostRole::Toplevel(toplevel) if toplevel.object.id() == object.id() => {
                Some(&mut toplevel.shell.configure)
            }
            _ => None,
        }
    }

    fn close(&mut self, surface: u32) {
        self.app.send(&Message::Close(Close { surface }, &[]));
    }
}

impl Dispatch<xdg_toplevel::XdgToplevel, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &xdg_toplevel::XdgToplevel,
        event: xdg_toplevel::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(configure) = bridge.gathered(number, object) else { return };
        match event {
            xdg_toplevel::Event::Configure { width, height, states } => {
                configure.width = size(width);
                configure.height = size(height);
                let numbers = states.chunks_exact(4).filter_map(|state| <[u8; 4]>::try_from(state).ok());
                let bits = numbers.filter_map(|state| 1_u32.checked_shl(u32::from_ne_bytes(state)));
                configure.states = bits.fold(0, |all, bit| all | bit);
            }
            xdg_toplevel::Event::ConfigureBounds { width, height } => {
                configure.bounds = [size(width), size(height)];
            }
            xdg_toplevel::Event::Close => bridge.close(number),
            _ => {}
        }
    }
}

impl Dispatch<xdg_popup::XdgPopup, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &xdg_popup::XdgPopup,
        event: xdg_popup::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(HostRole::Popup(popup)) = bridge.surfaces.host_mut(number).map(|host| &mut host.role) else {
            return;
        };
        if popup.object.id() != object.id() {
            return;
        }
        let configure = &mut popup.shell.configure;
        match event {
            xdg_popup::Event::Configure { x, y, width, height } => {
                (configure.x, configure.y) = (x, y);
                (configure.width, configure.height) = (size(width), size(height));
            }
            xdg_popup::Event::Repositioned { token } => configure.token = token,
            xdg_popup::Event::PopupDone => bridge.dismiss(number),
            _ => {}
        }
    }
}

impl Dispatch<decoration::ZxdgToplevelDecorationV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &decoration::ZxdgToplevelDecorationV1,
        event: decoration::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let decoration::Event::Configure { mode } = event else { return };
        if let Some(HostRole::Toplevel(toplevel)) =
            bridge.surfaces.host_mut(number).map(|host| &mut host.role)
            && toplevel.decoration.as_ref().is_some_and(|known| known.id() == object.id())
        {
            let is_server = mode == WEnum::Value(decoration::Mode::ServerSide);
            toplevel.shell.configure.server_decoration = u32::from(is_server);
        }
    }
}
