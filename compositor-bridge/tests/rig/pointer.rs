//! A pointing device: a headless session has none of its own.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_pointer, wl_registry};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols_wlr::virtual_pointer::v1::client::{
    zwlr_virtual_pointer_manager_v1::ZwlrVirtualPointerManagerV1,
    zwlr_virtual_pointer_v1::ZwlrVirtualPointerV1,
};

struct Nothing;

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Nothing {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}
delegate_noop!(Nothing: ZwlrVirtualPointerManagerV1);
delegate_noop!(Nothing: ZwlrVirtualPointerV1);

/// Left mouse button.
pub const LEFT: u32 = 0x110;

/// A pointing device in a session of 800 × 600.
pub struct VirtualPointer {
    queue: EventQueue<Nothing>,
    device: ZwlrVirtualPointerV1,
    start: Instant,
}

impl VirtualPointer {
    pub fn new(socket: &Path) -> Self {
        let connection = Connection::from_socket(UnixStream::connect(socket).unwrap()).unwrap();
        let (list, queue) = registry_queue_init::<Nothing>(&connection).unwrap();
        let manager: ZwlrVirtualPointerManagerV1 = list.bind(&queue.handle(), 1..=1, ()).unwrap();
        let device = manager.create_virtual_pointer(None, &queue.handle(), ());
        let mut pointer = Self { queue, device, start: Instant::now() };
        pointer.done();
        pointer
    }

    fn time(&self) -> u32 {
        u32::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    fn done(&mut self) {
        self.device.frame();
        self.queue.roundtrip(&mut Nothing).unwrap();
    }

    pub fn go(&mut self, x: u32, y: u32) {
        self.device.motion_absolute(self.time(), x, y, 800, 600);
        self.done();
    }

    /// Mostly without waiting for the compositor.
    pub fn move_quickly(&mut self, x: u32, y: u32, is_awaited: bool) {
        self.device.motion_absolute(self.time(), x, y, 800, 600);
        self.device.frame();
        if is_awaited {
            self.done();
        }
    }

    pub fn press(&mut self, button: u32, is_down: bool) {
        let state =
            if is_down { wl_pointer::ButtonState::Pressed } else { wl_pointer::ButtonState::Released };
        self.device.button(self.time(), button, state);
        self.done();
    }

    pub fn click(&mut self) {
        self.press(LEFT, true);
        self.press(LEFT, false);
    }

    pub fn scroll(&mut self, steps: i32) {
        self.device.axis_source(wl_pointer::AxisSource::Wheel);
        let distance = f64::from(steps) * 15.0;
        self.device.axis_discrete(self.time(), wl_pointer::Axis::VerticalScroll, distance, steps);
        self.done();
    }
}
