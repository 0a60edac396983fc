//! What the compositor says about windows.

use super::{HostRole, SurfaceTag};
use crate::bridge::Bridge;
use postern_channel::{Close, Configure, Frame, FrameEvent, Message, limit};
use wayland_client::protocol::wl_surface;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::fractional_scale::v1::client::wp_fractional_scale_v1::{
    self, WpFractionalScaleV1,
};
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
        bridge: &mut Self,
        _: &wl_surface::WlSurface,
        event: wl_surface::Event,
        tag: &SurfaceTag,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let (event, output) = match event {
            wl_surface::Event::Enter { output } => (FrameEvent::ENTERED, output),
            wl_surface::Event::Leave { output } => (FrameEvent::LEFT, output),
            // Scales that follow from the outputs; a finer one has a protocol of its own.
            _ => return,
        };
        let (Some(surface), Some(&output)) = (tag.0, output.data::<u32>()) else { return };
        bridge.app.send(&Message::Frame(Frame { surface, event, output, ..Default::default() }, &[]));
    }
}

impl Dispatch<WpFractionalScaleV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &WpFractionalScaleV1,
        event: wp_fractional_scale_v1::Event,
        &surface: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let wp_fractional_scale_v1::Event::PreferredScale { scale } = event else { return };
        let event = FrameEvent::SCALE;
        bridge.app.send(&Message::Frame(Frame { surface, event, flags: scale, ..Default::default() }, &[]));
    }
}

/// An array of small numbers as bits.
fn bits(array: &[u8]) -> u32 {
    let numbers = array.chunks_exact(4).filter_map(|number| <[u8; 4]>::try_from(number).ok());
    let bits = numbers.filter_map(|number| 1_u32.checked_shl(u32::from_ne_bytes(number)));
    bits.fold(0, |all, bit| all | bit)
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
                configure.states = bits(&states);
            }
            xdg_toplevel::Event::ConfigureBounds { width, height } => {
                configure.bounds = [size(width), size(height)];
            }
            xdg_toplevel::Event::WmCapabilities { capabilities } => {
                configure.capabilities = bits(&capabilities);
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
