//! The globals that clients can bind.

use crate::client::ClientId;
use crate::object::Kind;
use crate::{Display, Platform};
use postern_channel::{Feature, Hello};

/// A global: name, interface, version, the object that binding it makes, and what it needs of the compositor.
pub struct Global {
    pub name: u32,
    pub interface: &'static str,
    pub version: u32,
    pub kind: fn() -> Kind,
    /// [`Feature`] bit, 0 = nothing.
    pub needs: u32,
}

macro_rules! globals {
    ($($name:literal $interface:literal $version:literal $kind:ident $($feature:ident)?;)*) => {
        pub const GLOBALS: &[Global] = &[$(Global {
            name: $name,
            interface: $interface,
            version: $version,
            kind: || Kind::$kind,
            needs: 0 $(| Feature::$feature)?,
        },)*];
    };
}

globals! {
    1 "wl_compositor" 7 Compositor;
    2 "wl_subcompositor" 1 Subcompositor;
    3 "wl_shm" 2 Shm;
    4 "xdg_wm_base" 7 WmBase;
    5 "wl_seat" 10 Seat;
    6 "wl_data_device_manager" 3 DataDeviceManager;
    7 "zxdg_output_manager_v1" 3 XdgOutputManager;
    8 "wp_viewporter" 1 Viewporter;
    9 "wp_cursor_shape_manager_v1" 2 CursorShapeManager;
    10 "zxdg_decoration_manager_v1" 1 DecorationManager DECORATIONS;
    11 "org_kde_kwin_server_decoration_manager" 1 KdeDecorationManager DECORATIONS;
    12 "zwp_primary_selection_device_manager_v1" 1 PrimaryManager;
    13 "xdg_activation_v1" 1 Activation ACTIVATION;
    14 "wp_fractional_scale_manager_v1" 1 FractionalScaleManager;
    15 "zwp_text_input_manager_v3" 1 TextInputManager TEXT_INPUT;
    16 "zwp_idle_inhibit_manager_v1" 1 IdleInhibitManager INHIBIT_IDLE;
    17 "zwp_pointer_constraints_v1" 1 PointerConstraints POINTER_CONSTRAINTS;
    18 "zwp_relative_pointer_manager_v1" 1 RelativePointerManager RELATIVE_POINTER;
    19 "wp_presentation" 1 Presentation PRESENTATION;
    20 "wp_single_pixel_buffer_manager_v1" 1 SinglePixelManager;
    21 "zxdg_exporter_v2" 1 Exporter;
    22 "zxdg_importer_v2" 1 Importer;
    23 "xdg_wm_dialog_v1" 1 DialogManager DIALOG;
    24 "xdg_toplevel_icon_manager_v1" 1 IconManager;
    25 "xdg_system_bell_v1" 1 Bell BELL;
    26 "zwp_keyboard_shortcuts_inhibit_manager_v1" 1 ShortcutsInhibitManager INHIBIT_SHORTCUTS;
}

/// Versions of the compositor's globals whose newer versions are of no use, or break clients, without its help.
pub struct HostVersions {
    compositor: u32,
    seat: u32,
    shell: u32,
}

impl Default for HostVersions {
    /// What every compositor has: before a bridge has said more.
    fn default() -> Self {
        Self { compositor: 4, seat: 5, shell: 2 }
    }
}

impl HostVersions {
    /// The version of a global that clients are offered.
    fn offered(&self, global: &Global) -> u32 {
        match global.interface {
            "wl_compositor" => global.version.min(self.compositor),
            "wl_seat" => global.version.min(self.seat),
            "xdg_wm_base" => global.version.min(self.shell),
            _ => global.version,
        }
    }
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

    /// A bridge said what its compositor has: globals come and go.
    pub(crate) fn set_features(&mut self, hello: &Hello) {
        let features = hello.features;
        // What was announced stays as it was: versions of a global do not change. New clients hear the new ones.
        let versions = &mut self.versions;
        for (ours, theirs) in [
            (&mut versions.compositor, hello.compositor),
            (&mut versions.seat, hello.seat),
            (&mut versions.shell, hello.shell),
        ] {
            if theirs != 0 {
                *ours = theirs;
            }
        }
        let before = core::mem::replace(&mut self.features, features);
        for global in GLOBALS.iter().filter(|g| (before ^ features) & g.needs != 0) {
            if features & global.needs != 0 {
                self.announce_global(global.name, global.interface, global.version);
            } else {
                self.for_objects(
                    |_, kind| matches!(kind, Kind::Registry),
                    |client, registry, _| drop(client.event(registry, 1).u32(global.name)),
                );
            }
        }
        self.decorations_changed(before);
    }

    /// Tells a new registry of all globals.
    pub(crate) fn list_globals(&mut self, client: ClientId, registry: u32) {
        let outputs: alloc::vec::Vec<u32> = self.outputs.keys().copied().collect();
        let features = self.features;
        let Some(c) = self.clients.get_mut(&client) else { return };
        for global in GLOBALS.iter().filter(|g| g.needs & !features == 0) {
            let event = c.event(registry, 0);
            let version = self.versions.offered(global);
            drop(event.u32(global.name).string(global.interface.as_bytes()).u32(version));
        }
        for output in outputs {
            drop(c.event(registry, 0).u32(output_name(output)).string(b"wl_output").u32(4));
        }
    }

    /// What binding `name` as `interface` makes, with the highest version that was ever offered.
    pub(crate) fn global(&self, name: u32, interface: &[u8]) -> Option<(Kind, u32)> {
        // One that is gone gives an object that says nothing: the client cannot have known.
        if let Some(output) = name.checked_sub(FIRST_OUTPUT) {
            return (interface == b"wl_output").then_some((Kind::Output(output), 4));
        }
        // The same goes for one that the present compositor does not have.
        let global = GLOBALS.iter().find(|g| g.name == name && g.interface.as_bytes() == interface)?;
        Some(((global.kind)(), global.version))
    }
}
