//! The globals that clients can bind.

use crate::client::ClientId;
use crate::object::Kind;
use crate::{Display, Platform};

/// A global: name, interface, version, and the object that binding it makes.
pub struct Global {
    pub name: u32,
    pub interface: &'static str,
    pub version: u32,
    pub kind: fn() -> Kind,
}

macro_rules! globals {
    ($($name:literal $interface:literal $version:literal $kind:ident;)*) => {
        pub const GLOBALS: &[Global] = &[$(Global {
            name: $name, interface: $interface, version: $version, kind: || Kind::$kind,
        },)*];
    };
}

globals! {
    1 "wl_compositor" 6 Compositor;
    2 "wl_subcompositor" 1 Subcompositor;
    3 "wl_shm" 1 Shm;
    4 "xdg_wm_base" 5 WmBase;
    5 "wl_seat" 8 Seat;
    6 "wl_data_device_manager" 3 DataDeviceManager;
    7 "zxdg_output_manager_v1" 3 XdgOutputManager;
    8 "wp_viewporter" 1 Viewporter;
    9 "wp_cursor_shape_manager_v1" 1 CursorShapeManager;
    10 "zxdg_decoration_manager_v1" 1 DecorationManager;
    11 "org_kde_kwin_server_decoration_manager" 1 KdeDecorationManager;
    12 "zwp_primary_selection_device_manager_v1" 1 PrimaryManager;
    13 "xdg_activation_v1" 1 Activation;
    14 "wp_fractional_scale_manager_v1" 1 FractionalScaleManager;
    15 "zwp_text_input_manager_v3" 1 TextInputManager;
    16 "zwp_idle_inhibit_manager_v1" 1 IdleInhibitManager;
}

const FIRST_OUTPUT: u32 = 1000;

/// The global name of an output.
pub fn output_name(output: u32) -> u32 {
    FIRST_OUTPUT.wrapping_add(output)
}

impl<P: Platform> Display<P> {
    /// Tells every registry of a new global.
    pub(crate) fn announce_global(&mut self, name: u32, interface: &'static str, version: u32) {
        self.for_objects(
            |_, kind| matches!(kind, Kind::Registry),
            |client, registry, _| {
                drop(client.event(registry, 0).u32(name).string(interface.as_bytes()).u32(version));
            },
        );
    }

    /// Tells a new registry of all globals.
    pub(crate) fn list_globals(&mut self, client: ClientId, registry: u32) {
        let outputs: alloc::vec::Vec<u32> = self.outputs.keys().copied().collect();
        let Some(c) = self.clients.get_mut(&client) else { return };
        for global in GLOBALS {
            let event = c.event(registry, 0);
            drop(event.u32(global.name).string(global.interface.as_bytes()).u32(global.version));
        }
        for output in outputs {
            drop(c.event(registry, 0).u32(output_name(output)).string(b"wl_output").u32(4));
        }
    }

    /// What binding `name` as `interface` makes, with the highest version that is offered.
    pub(crate) fn global(&self, name: u32, interface: &[u8]) -> Option<(Kind, u32)> {
        // One that is gone gives an object that says nothing: the client cannot have known.
        if let Some(output) = name.checked_sub(FIRST_OUTPUT) {
            return (interface == b"wl_output").then_some((Kind::Output(output), 4));
        }
        let global = GLOBALS.iter().find(|g| g.name == name && g.interface.as_bytes() == interface)?;
        Some(((global.kind)(), global.version))
    }
}
