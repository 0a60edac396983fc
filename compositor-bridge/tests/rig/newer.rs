//! A compositor that is newer than the machine's own, as far as the bridge can tell: it draws nothing, notes what it is
//! asked, and says what a test wants it to say.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use wayland_protocols::wp::cursor_shape::v1::server::{
    wp_cursor_shape_device_v1::{self as shape, WpCursorShapeDeviceV1},
    wp_cursor_shape_manager_v1::{self as shapes, WpCursorShapeManagerV1},
};
use wayland_protocols::wp::fractional_scale::v1::server::{
    wp_fractional_scale_manager_v1::{self as scales, WpFractionalScaleManagerV1},
    wp_fractional_scale_v1::WpFractionalScaleV1,
};
use wayland_protocols::wp::single_pixel_buffer::v1::server::wp_single_pixel_buffer_manager_v1::{
    self as pixels, WpSinglePixelBufferManagerV1,
};
use wayland_protocols::xdg::activation::v1::server::{
    xdg_activation_token_v1::{self as token, XdgActivationTokenV1},
    xdg_activation_v1::{self as activation, XdgActivationV1},
};
use wayland_protocols::xdg::dialog::v1::server::{
    xdg_dialog_v1::{self as dialog, XdgDialogV1},
    xdg_wm_dialog_v1::{self as dialogs, XdgWmDialogV1},
};
use wayland_protocols::xdg::shell::server::{
    xdg_surface::{self, XdgSurface},
    xdg_toplevel::XdgToplevel,
    xdg_wm_base::{self, XdgWmBase},
};
use wayland_protocols::xdg::system_bell::v1::server::xdg_system_bell_v1::{self as bell, XdgSystemBellV1};
use wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use wayland_server::protocol::{
    wl_buffer::WlBuffer,
    wl_callback::WlCallback,
    wl_compositor::{self, WlCompositor},
    wl_keyboard::WlKeyboard,
    wl_pointer::WlPointer,
    wl_region::WlRegion,
    wl_seat::{self, WlSeat},
    wl_shm::{self, WlShm},
    wl_shm_pool::{self, WlShmPool},
    wl_subcompositor::{self, WlSubcompositor},
    wl_subsurface::WlSubsurface,
    wl_surface::{self, WlSurface},
    wl_touch::WlTouch,
};
use wayland_server::{Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, New, Resource};

/// What the bridge made and asked.
#[derive(Default)]
pub struct Said {
    pub surfaces: Vec<WlSurface>,
    pub touch: Option<WlTouch>,
    pub pointer: Option<WlPointer>,
    pub scales: Vec<WpFractionalScaleV1>,
    pub log: Vec<String>,
    /// Buffers in the order in which they were attached.
    pub attached: Vec<WlBuffer>,
    /// Frame callbacks that were asked for.
    pub frames: Vec<WlCallback>,
    shell: Option<(XdgSurface, XdgToplevel)>,
    configured: bool,
}

struct Nobody;

impl ClientData for Nobody {
    fn initialized(&self, _: ClientId) {}
    fn disconnected(&self, _: ClientId, _: DisconnectReason) {}
}

macro_rules! global {
    ($interface:ty $(, |$bound:ident| $hello:expr)?) => {
        impl GlobalDispatch<$interface, ()> for Said {
            fn bind(
                _: &mut Self,
                _: &DisplayHandle,
                _: &Client,
                new: New<$interface>,
                (): &(),
                init: &mut DataInit<'_, Self>,
            ) {
                let _bound = init.init(new, ());
                $(let $bound = _bound; $hello;)?
            }
        }
    };
}

macro_rules! object {
    ($interface:ty) => {
        object!($interface, |_said, _object, _request, _init| {});
    };
    ($interface:ty, |$said:ident, $object:ident, $request:ident, $init:ident| $body:expr) => {
        impl Dispatch<$interface, ()> for Said {
            fn request(
                $said: &mut Self,
                _: &Client,
                $object: &$interface,
                $request: <$interface as Resource>::Request,
                (): &(),
                _: &DisplayHandle,
                $init: &mut DataInit<'_, Self>,
            ) {
                $body
            }
        }
    };
}

global!(WlCompositor);
object!(WlCompositor, |said, _object, request, init| match request {
    wl_compositor::Request::CreateSurface { id } => said.surfaces.push(init.init(id, ())),
    wl_compositor::Request::CreateRegion { id } => drop(init.init(id, ())),
    _ => {}
});
object!(WlRegion);
object!(WlCallback);
object!(WlSurface, |said, _object, request, init| match request {
    wl_surface::Request::Frame { callback } => said.frames.push(init.init(callback, ())),
    wl_surface::Request::Attach { buffer, .. } => said.attached.extend(buffer),
    wl_surface::Request::Commit => {
        if let Some((surface, toplevel)) = said.shell.as_ref().filter(|_| !said.configured) {
            toplevel.wm_capabilities([4_u32, 3].iter().flat_map(|n| n.to_ne_bytes()).collect());
            toplevel.configure(0, 0, [9_u32, 12].iter().flat_map(|n| n.to_ne_bytes()).collect());
            surface.configure(1);
            said.configured = true;
        }
    }
    _ => {}
});
global!(WlSubcompositor);
object!(WlSubcompositor, |_said, _object, request, init| {
    if let wl_subcompositor::Request::GetSubsurface { id, .. } = request {
        init.init(id, ());
    }
});
object!(WlSubsurface);
global!(WlShm, |shm| {
    shm.format(wl_shm::Format::Argb8888);
    shm.format(wl_shm::Format::Xrgb8888);
});
object!(WlShm, |_said, _object, request, init| {
    if let wl_shm::Request::CreatePool { id, .. } = request {
        init.init(id, ());
    }
});
object!(WlShmPool, |_said, _object, request, init| {
    if let wl_shm_pool::Request::CreateBuffer { id, .. } = request {
        init.init(id, ());
    }
});
object!(WlBuffer);
global!(XdgWmBase);
object!(XdgWmBase, |_said, _object, request, init| {
    if let xdg_wm_base::Request::GetXdgSurface { id, .. } = request {
        init.init(id, ());
    }
});
object!(XdgSurface, |said, object, request, init| {
    if let xdg_surface::Request::GetToplevel { id } = request {
        said.shell = Some((object.clone(), init.init(id, ())));
    }
});
object!(XdgToplevel);
global!(WlSeat, |seat| seat.capabilities(wl_seat::Capability::Touch | wl_seat::Capability::Pointer));
object!(WlSeat, |said, _object, request, init| match request {
    wl_seat::Request::GetTouch { id } => said.touch = Some(init.init(id, ())),
    wl_seat::Request::GetPointer { id } => said.pointer = Some(init.init(id, ())),
    wl_seat::Request::GetKeyboard { id } => drop(init.init(id, ())),
    _ => {}
});
object!(WlTouch);
object!(WlPointer);
object!(WlKeyboard);
global!(WpFractionalScaleManagerV1);
object!(WpFractionalScaleManagerV1, |said, _object, request, init| {
    if let scales::Request::GetFractionalScale { id, .. } = request {
        said.scales.push(init.init(id, ()));
    }
});
object!(WpFractionalScaleV1);
global!(WpSinglePixelBufferManagerV1);
object!(WpSinglePixelBufferManagerV1, |said, _object, request, init| {
    if let pixels::Request::CreateU32RgbaBuffer { id, r, g, b, a } = request {
        said.log.push(format!("pixel {r:x} {g:x} {b:x} {a:x}"));
        init.init(id, ());
    }
});
global!(XdgActivationV1);
object!(XdgActivationV1, |said, _object, request, init| match request {
    activation::Request::GetActivationToken { id } => drop(init.init(id, ())),
    activation::Request::Activate { token, .. } => said.log.push(format!("activate {token}")),
    _ => {}
});
object!(XdgActivationTokenV1, |said, object, request, _init| match request {
    token::Request::SetSerial { serial, .. } => said.log.push(format!("serial {serial}")),
    token::Request::Commit => object.done("given".into()),
    _ => {}
});
global!(XdgWmDialogV1);
object!(XdgWmDialogV1, |_said, _object, request, init| {
    if let dialogs::Request::GetXdgDialog { id, .. } = request {
        init.init(id, ());
    }
});
object!(XdgDialogV1, |said, _object, request, _init| match request {
    dialog::Request::SetModal => said.log.push("modal".into()),
    dialog::Request::UnsetModal => said.log.push("not modal".into()),
    _ => {}
});
global!(XdgSystemBellV1);
object!(XdgSystemBellV1, |said, _object, request, _init| {
    if let bell::Request::Ring { surface } = request {
        said.log.push(format!("bell {}", surface.is_some()));
    }
});
global!(WpCursorShapeManagerV1);
object!(WpCursorShapeManagerV1, |_said, _object, request, init| {
    if let shapes::Request::GetPointer { cursor_shape_device, .. } = request {
        init.init(cursor_shape_device, ());
    }
});
object!(WpCursorShapeDeviceV1, |said, _object, request, _init| {
    if let shape::Request::SetShape { shape, .. } = request {
        said.log.push(format!("shape {shape:?}"));
    }
});

/// The compositor, on a thread of its own.
pub struct Newer {
    dir: PathBuf,
    said: Arc<Mutex<Said>>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Newer {
    pub fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("bridge-newer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let listener = UnixListener::bind(dir.join("wayland-9")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let said = Arc::new(Mutex::new(Said::default()));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, end) = (said.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut display = Display::<Said>::new().unwrap();
            let mut handle = display.handle();
            handle.create_global::<Said, WlCompositor, ()>(6, ());
            handle.create_global::<Said, WlSubcompositor, ()>(1, ());
            handle.create_global::<Said, WlShm, ()>(1, ());
            handle.create_global::<Said, XdgWmBase, ()>(7, ());
            handle.create_global::<Said, WlSeat, ()>(9, ());
            handle.create_global::<Said, WpFractionalScaleManagerV1, ()>(1, ());
            handle.create_global::<Said, WpSinglePixelBufferManagerV1, ()>(1, ());
            handle.create_global::<Said, XdgActivationV1, ()>(1, ());
            handle.create_global::<Said, XdgWmDialogV1, ()>(1, ());
            handle.create_global::<Said, XdgSystemBellV1, ()>(1, ());
            handle.create_global::<Said, WpCursorShapeManagerV1, ()>(2, ());
            while !end.load(Ordering::Relaxed) {
                if let Ok((socket, _)) = listener.accept() {
                    handle.insert_client(socket, Arc::new(Nobody)).unwrap();
                }
                display.dispatch_clients(&mut shared.lock().unwrap()).unwrap();
                display.flush_clients().unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { dir, said, over, thread: Some(thread) }
    }

    /// A program that connects to this compositor.
    pub fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.env("XDG_RUNTIME_DIR", &self.dir).env("WAYLAND_DISPLAY", "wayland-9");
        command
    }

    /// Says something to the bridge, once it made what is needed for that.
    #[track_caller]
    pub fn says<T>(&self, mut say: impl FnMut(&mut Said) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(result) = say(&mut self.said.lock().unwrap()) {
                return result;
            }
            let log = self.said.lock().unwrap().log.clone();
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "the bridge did not ask for that, only {log:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the bridge has asked for this.
    #[track_caller]
    pub fn hears(&self, what: &str) {
        self.says(|said| said.log.iter().any(|line| line == what).then_some(()));
    }
}

impl Drop for Newer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
