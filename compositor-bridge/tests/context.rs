//! A compositor that offers security contexts: the bridge shows the app's windows on the restricted connection only.
//! The compositor here is a fake of a few globals, since not every machine's own is new enough.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_bridge::Report;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wayland_protocols::wp::security_context::v1::server::{
    wp_security_context_manager_v1::{self as manager, WpSecurityContextManagerV1},
    wp_security_context_v1::{self as context, WpSecurityContextV1},
};
use wayland_protocols::xdg::shell::server::xdg_wm_base::{self, XdgWmBase};
use wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use wayland_server::protocol::{
    wl_compositor::{self, WlCompositor},
    wl_shm::{self, WlShm},
    wl_subcompositor::{self, WlSubcompositor},
};
use wayland_server::{Client, DataInit, Dispatch, Display, DisplayHandle, GlobalDispatch, New, Resource};

/// Whether a client came through a security context.
struct Kind {
    is_restricted: bool,
}

impl ClientData for Kind {
    fn initialized(&self, _: ClientId) {}
    fn disconnected(&self, _: ClientId, _: DisconnectReason) {}
}

fn is_restricted(client: &Client) -> bool {
    client.get_data::<Kind>().is_some_and(|kind| kind.is_restricted)
}

#[derive(Default)]
struct Compositor {
    listener: Option<UnixListener>,
    close: Option<OwnedFd>,
    said: Vec<String>,
    is_committed: bool,
    /// For each global that was bound, except the contexts': whether its client was restricted.
    bound: Vec<bool>,
}

macro_rules! global {
    ($interface:ty) => {
        impl GlobalDispatch<$interface, ()> for Compositor {
            fn bind(
                state: &mut Self,
                _: &DisplayHandle,
                client: &Client,
                new: New<$interface>,
                (): &(),
                init: &mut DataInit<'_, Self>,
            ) {
                init.init(new, ());
                state.bound.push(is_restricted(client));
            }
        }
    };
}

macro_rules! silent {
    ($interface:ty, $request:ty) => {
        impl Dispatch<$interface, ()> for Compositor {
            fn request(
                _: &mut Self,
                _: &Client,
                _: &$interface,
                _: $request,
                (): &(),
                _: &DisplayHandle,
                _: &mut DataInit<'_, Self>,
            ) {
            }
        }
    };
}

global!(WlCompositor);
global!(WlSubcompositor);
global!(WlShm);
global!(XdgWmBase);
silent!(WlSubcompositor, wl_subcompositor::Request);
silent!(WlShm, wl_shm::Request);
silent!(XdgWmBase, xdg_wm_base::Request);

impl Dispatch<WlCompositor, ()> for Compositor {
    fn request(
        _: &mut Self,
        _: &Client,
        _: &WlCompositor,
        request: wl_compositor::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let wl_compositor::Request::CreateSurface { id } = request {
            init.init(id, ());
        }
    }
}
silent!(wayland_server::protocol::wl_surface::WlSurface, wayland_server::protocol::wl_surface::Request);

impl GlobalDispatch<WpSecurityContextManagerV1, ()> for Compositor {
    fn bind(
        _: &mut Self,
        _: &DisplayHandle,
        _: &Client,
        new: New<WpSecurityContextManagerV1>,
        (): &(),
        init: &mut DataInit<'_, Self>,
    ) {
        init.init(new, ());
    }

    fn can_view(client: Client, (): &()) -> bool {
        !is_restricted(&client)
    }
}

impl Dispatch<WpSecurityContextManagerV1, ()> for Compositor {
    fn request(
        state: &mut Self,
        _: &Client,
        _: &WpSecurityContextManagerV1,
        request: manager::Request,
        (): &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, Self>,
    ) {
        if let manager::Request::CreateListener { id, listen_fd, close_fd } = request {
            init.init(id, ());
            state.listener = Some(listen_fd.into());
            state.close = Some(close_fd);
        }
    }
}

impl Dispatch<WpSecurityContextV1, ()> for Compositor {
    fn request(
        state: &mut Self,
        _: &Client,
        object: &WpSecurityContextV1,
        request: context::Request,
        (): &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, Self>,
    ) {
        assert!(object.is_alive());
        match request {
            context::Request::SetSandboxEngine { name } => state.said.push(format!("engine {name}")),
            context::Request::SetAppId { app_id } => state.said.push(format!("app {app_id}")),
            context::Request::Commit => state.is_committed = true,
            _ => {}
        }
    }
}

#[test]
fn windows_are_shown_on_a_restricted_connection_where_there_is_one() {
    let mut display = Display::<Compositor>::new().unwrap();
    let handle = display.handle();
    handle.create_global::<Compositor, WlCompositor, ()>(4, ());
    handle.create_global::<Compositor, WlSubcompositor, ()>(1, ());
    handle.create_global::<Compositor, WlShm, ()>(1, ());
    handle.create_global::<Compositor, XdgWmBase, ()>(1, ());
    handle.create_global::<Compositor, WpSecurityContextManagerV1, ()>(1, ());
    let mut compositor = Compositor::default();

    let dir = std::env::temp_dir().join(format!("bridge-context-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let listener = UnixListener::bind(dir.join("wayland-9")).unwrap();
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/bridge");
    let (_channel, theirs) = UnixStream::pair().unwrap();
    let (control, control_theirs) = UnixStream::pair().unwrap();
    let mut bridge = Command::new(program)
        .args(["--app-id", "org.example.App"])
        .env("XDG_RUNTIME_DIR", &dir)
        .env("WAYLAND_DISPLAY", "wayland-9")
        .stdin(OwnedFd::from(theirs))
        .stdout(OwnedFd::from(control_theirs))
        .spawn()
        .unwrap();
    listener.set_nonblocking(true).unwrap();
    control.set_nonblocking(true).unwrap();
    let mut control = BufReader::new(control);
    let mut line = String::new();
    let start = Instant::now();
    let mut clients = display.handle();
    loop {
        assert!(start.elapsed() < Duration::from_secs(10), "the bridge is never ready");
        if let Ok((socket, _)) = listener.accept() {
            clients.insert_client(socket, Arc::new(Kind { is_restricted: false })).unwrap();
        }
        if let Some(restricted) = compositor.listener.as_ref().filter(|_| compositor.is_committed) {
            restricted.set_nonblocking(true).unwrap();
            if let Ok((socket, _)) = restricted.accept() {
                clients.insert_client(socket, Arc::new(Kind { is_restricted: true })).unwrap();
            }
        }
        display.dispatch_clients(&mut compositor).unwrap();
        display.flush_clients().unwrap();
        if control.read_line(&mut line).is_ok() && !line.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let report: Report = serde_json::from_str(&line).unwrap();
    assert!(matches!(report, Report::Ready { .. }), "{report:?}");
    assert_eq!(compositor.said, ["engine postern", "app org.example.App"]);
    assert_eq!(compositor.bound, [true; 4], "only the restricted connection is used");
    assert!(compositor.close.is_some());
    bridge.kill().unwrap();
    bridge.wait().unwrap();
    let _ = std::fs::remove_dir_all(dir);
}
