//! The compositor's globals that the bridge uses.

use crate::bridge::Bridge;
use crate::config::BridgeError;
use postern_channel::Feature;
use wayland_client::globals::{BindError, GlobalList, GlobalListContents};
use wayland_client::protocol::{
    wl_callback, wl_compositor, wl_data_device_manager, wl_region, wl_registry, wl_shm, wl_shm_pool,
    wl_subcompositor, wl_subsurface,
};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum, delegate_noop};
use wayland_protocols::wp::cursor_shape::v1::client::{
    wp_cursor_shape_device_v1, wp_cursor_shape_manager_v1,
};
use wayland_protocols::wp::fractional_scale::v1::client::wp_fractional_scale_manager_v1::WpFractionalScaleManagerV1;
use wayland_protocols::wp::idle_inhibit::zv1::client::{
    zwp_idle_inhibit_manager_v1::ZwpIdleInhibitManagerV1, zwp_idle_inhibitor_v1::ZwpIdleInhibitorV1,
};
use wayland_protocols::wp::keyboard_shortcuts_inhibit::zv1::client::zwp_keyboard_shortcuts_inhibit_manager_v1::
    ZwpKeyboardShortcutsInhibitManagerV1;
use wayland_protocols::wp::pointer_constraints::zv1::client::zwp_pointer_constraints_v1::ZwpPointerConstraintsV1;
use wayland_protocols::wp::presentation_time::client::wp_presentation::WpPresentation;
use wayland_protocols::wp::primary_selection::zv1::client::zwp_primary_selection_device_manager_v1 as primary;
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_manager_v1::
    ZwpRelativePointerManagerV1;
use wayland_protocols::wp::single_pixel_buffer::v1::client::wp_single_pixel_buffer_manager_v1::
    WpSinglePixelBufferManagerV1;
use wayland_protocols::wp::text_input::zv3::client::zwp_text_input_manager_v3::ZwpTextInputManagerV3;
use wayland_protocols::wp::viewporter::client::{wp_viewport, wp_viewporter};
use wayland_protocols::xdg::activation::v1::client::xdg_activation_v1::XdgActivationV1;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_decoration_manager_v1;
use wayland_protocols::xdg::dialog::v1::client::{
    xdg_dialog_v1::XdgDialogV1, xdg_wm_dialog_v1::XdgWmDialogV1,
};
use wayland_protocols::xdg::shell::client::{xdg_positioner, xdg_wm_base};
use wayland_protocols::xdg::system_bell::v1::client::xdg_system_bell_v1::XdgSystemBellV1;
use wayland_protocols::xdg::xdg_output::zv1::client::zxdg_output_manager_v1;

/// What was bound.
pub struct Globals {
    pub compositor: wl_compositor::WlCompositor,
    pub subcompositor: wl_subcompositor::WlSubcompositor,
    pub shm: wl_shm::WlShm,
    pub shell: xdg_wm_base::XdgWmBase,
    pub data_devices: Option<wl_data_device_manager::WlDataDeviceManager>,
    pub primary_devices: Option<primary::ZwpPrimarySelectionDeviceManagerV1>,
    pub viewporter: Option<wp_viewporter::WpViewporter>,
    pub cursor_shapes: Option<wp_cursor_shape_manager_v1::WpCursorShapeManagerV1>,
    pub decorations: Option<zxdg_decoration_manager_v1::ZxdgDecorationManagerV1>,
    pub logical_outputs: Option<zxdg_output_manager_v1::ZxdgOutputManagerV1>,
    pub fractional_scale: Option<WpFractionalScaleManagerV1>,
    pub single_pixels: Option<WpSinglePixelBufferManagerV1>,
    pub text_inputs: Option<ZwpTextInputManagerV3>,
    pub constraints: Option<ZwpPointerConstraintsV1>,
    pub relative_pointers: Option<ZwpRelativePointerManagerV1>,
    pub presentation: Option<WpPresentation>,
    /// The clock of `presentation`.
    pub presentation_clock: u32,
    pub idle: Option<ZwpIdleInhibitManagerV1>,
    pub shortcuts: Option<ZwpKeyboardShortcutsInhibitManagerV1>,
    pub activation: Option<XdgActivationV1>,
    pub dialogs: Option<XdgWmDialogV1>,
    pub bell: Option<XdgSystemBellV1>,
    /// wl_shm formats.
    pub formats: Vec<u32>,
}

impl Globals {
    /// Binds what there is.
    pub fn bind(list: &GlobalList, queue: &QueueHandle<Bridge>) -> Result<Self, BridgeError> {
        let missing = |what| move |_: BindError| BridgeError::Missing(what);
        Ok(Self {
            // Version 4 is the first with damage_buffer.
            compositor: list.bind(queue, 4..=6, ()).map_err(missing("wl_compositor version 4"))?,
            subcompositor: list.bind(queue, 1..=1, ()).map_err(missing("wl_subcompositor"))?,
            shm: list.bind(queue, 1..=1, ()).map_err(missing("wl_shm"))?,
            shell: list.bind(queue, 1..=7, ()).map_err(missing("xdg_wm_base"))?,
            data_devices: list.bind(queue, 1..=3, ()).ok(),
            primary_devices: list.bind(queue, 1..=1, ()).ok(),
            viewporter: list.bind(queue, 1..=1, ()).ok(),
            cursor_shapes: list.bind(queue, 1..=2, ()).ok(),
            decorations: list.bind(queue, 1..=1, ()).ok(),
            logical_outputs: list.bind(queue, 1..=3, ()).ok(),
            fractional_scale: list.bind(queue, 1..=1, ()).ok(),
            single_pixels: list.bind(queue, 1..=1, ()).ok(),
            text_inputs: list.bind(queue, 1..=1, ()).ok(),
            constraints: list.bind(queue, 1..=1, ()).ok(),
            relative_pointers: list.bind(queue, 1..=1, ()).ok(),
            presentation: list.bind(queue, 1..=1, ()).ok(),
            presentation_clock: 0,
            idle: list.bind(queue, 1..=1, ()).ok(),
            shortcuts: list.bind(queue, 1..=1, ()).ok(),
            activation: list.bind(queue, 1..=1, ()).ok(),
            dialogs: list.bind(queue, 1..=1, ()).ok(),
            bell: list.bind(queue, 1..=1, ()).ok(),
            formats: Vec::new(),
        })
    }

    /// What the app can be offered: [`Feature`] bits.
    pub fn features(&self) -> u32 {
        let there = [
            (Feature::DECORATIONS, self.decorations.is_some()),
            (Feature::TEXT_INPUT, self.text_inputs.is_some()),
            (Feature::POINTER_CONSTRAINTS, self.constraints.is_some()),
            (Feature::RELATIVE_POINTER, self.relative_pointers.is_some()),
            (Feature::PRESENTATION, self.presentation.is_some()),
            (Feature::INHIBIT_IDLE, self.idle.is_some()),
            (Feature::INHIBIT_SHORTCUTS, self.shortcuts.is_some()),
            (Feature::ACTIVATION, self.activation.is_some()),
            (Feature::DIALOG, self.dialogs.is_some()),
            (Feature::BELL, self.bell.is_some()),
        ];
        there.iter().filter(|(_, is_there)| *is_there).fold(0, |all, (feature, _)| all | feature)
    }
}

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Bridge {
    fn event(
        bridge: &mut Self,
        registry: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        match event {
            wl_registry::Event::Global { name, interface, version } => {
                bridge.outputs.add(&bridge.globals, registry, queue, name, &interface, version);
            }
            wl_registry::Event::GlobalRemove { name } => bridge.outputs.remove(name, &mut bridge.app),
            _ => {}
        }
    }
}

impl Dispatch<wl_shm::WlShm, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &wl_shm::WlShm,
        event: wl_shm::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_shm::Event::Format { format } = event {
            bridge.globals.formats.push(match format {
                WEnum::Value(format) => format.into(),
                WEnum::Unknown(format) => format,
            });
        }
    }
}

impl Dispatch<xdg_wm_base::XdgWmBase, ()> for Bridge {
    fn event(
        _: &mut Self,
        shell: &xdg_wm_base::XdgWmBase,
        event: xdg_wm_base::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            shell.pong(serial);
        }
    }
}

/// Data of the callback of a `wl_surface.frame`: the app's number of the surface.
pub struct FrameOf(pub u32);

impl Dispatch<wl_callback::WlCallback, FrameOf> for Bridge {
    fn event(
        bridge: &mut Self,
        callback: &wl_callback::WlCallback,
        event: wl_callback::Event,
        frame: &FrameOf,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { callback_data } = event {
            bridge.frame_done(frame.0, &callback.id(), callback_data);
        }
    }
}

delegate_noop!(Bridge: wl_compositor::WlCompositor);
delegate_noop!(Bridge: wl_subcompositor::WlSubcompositor);
delegate_noop!(Bridge: wl_subsurface::WlSubsurface);
delegate_noop!(Bridge: wl_region::WlRegion);
delegate_noop!(Bridge: wl_shm_pool::WlShmPool);
delegate_noop!(Bridge: wl_data_device_manager::WlDataDeviceManager);
delegate_noop!(Bridge: wp_viewporter::WpViewporter);
delegate_noop!(Bridge: wp_viewport::WpViewport);
delegate_noop!(Bridge: wp_cursor_shape_manager_v1::WpCursorShapeManagerV1);
delegate_noop!(Bridge: wp_cursor_shape_device_v1::WpCursorShapeDeviceV1);
delegate_noop!(Bridge: zxdg_decoration_manager_v1::ZxdgDecorationManagerV1);
delegate_noop!(Bridge: zxdg_output_manager_v1::ZxdgOutputManagerV1);
delegate_noop!(Bridge: xdg_positioner::XdgPositioner);
delegate_noop!(Bridge: WpFractionalScaleManagerV1);
delegate_noop!(Bridge: WpSinglePixelBufferManagerV1);
delegate_noop!(Bridge: ZwpTextInputManagerV3);
delegate_noop!(Bridge: ZwpPointerConstraintsV1);
delegate_noop!(Bridge: ZwpRelativePointerManagerV1);
delegate_noop!(Bridge: ZwpIdleInhibitManagerV1);
delegate_noop!(Bridge: ZwpIdleInhibitorV1);
delegate_noop!(Bridge: ZwpKeyboardShortcutsInhibitManagerV1);
delegate_noop!(Bridge: XdgActivationV1);
delegate_noop!(Bridge: XdgWmDialogV1);
delegate_noop!(Bridge: XdgDialogV1);
delegate_noop!(Bridge: XdgSystemBellV1);
