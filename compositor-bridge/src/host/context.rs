//! A restricted connection, where the compositor offers security contexts: on it even a bridge that was taken over
//! cannot reach what a compositor keeps from sandboxed clients, such as screen capture and virtual input devices.

use rustix::pipe::{PipeFlags, pipe_with};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_registry;
use wayland_client::{Connection, Dispatch, QueueHandle, delegate_noop};
use wayland_protocols::wp::security_context::v1::client::{
    wp_security_context_manager_v1::WpSecurityContextManagerV1, wp_security_context_v1::WpSecurityContextV1,
};

/// How this sandbox calls itself.
const ENGINE: &str = "postern";

/// State of the first connection, which is only used to get the second.
struct Asking;

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Asking {
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
delegate_noop!(Asking: WpSecurityContextManagerV1);
delegate_noop!(Asking: WpSecurityContextV1);

/// A connection, and what has to stay open as long as the context is to last.
pub struct Restricted {
    pub connection: Connection,
    /// The compositor watches the other end of this pipe.
    _lasting: Option<OwnedFd>,
}

/// Exchanges a connection for a restricted one, if the compositor offers that; else it is used as it is.
pub fn restrict(connection: Connection, app_id: Option<&str>) -> Restricted {
    match exchange(&connection, app_id) {
        Some((restricted, lasting)) => Restricted { connection: restricted, _lasting: Some(lasting) },
        None => Restricted { connection, _lasting: None },
    }
}

fn exchange(connection: &Connection, app_id: Option<&str>) -> Option<(Connection, OwnedFd)> {
    let (list, mut queue) = registry_queue_init::<Asking>(connection).ok()?;
    let handle = queue.handle();
    let manager: WpSecurityContextManagerV1 = list.bind(&handle, 1..=1, ()).ok()?;
    let (listener, address) = listen().ok()?;
    let (watched, lasting) = pipe_with(PipeFlags::CLOEXEC).ok()?;
    let context = manager.create_listener(listener.as_fd(), watched.as_fd(), &handle, ());
    context.set_sandbox_engine(ENGINE.into());
    if let Some(app_id) = app_id {
        context.set_app_id(app_id.into());
    }
    context.set_instance_id(std::process::id().to_string());
    context.commit();
    context.destroy();
    queue.roundtrip(&mut Asking).ok()?;
    let socket = UnixStream::connect_addr(&address).ok()?;
    Some((Connection::from_socket(socket).ok()?, lasting))
}

/// A socket without a place in the file system. Its name need not be secret: who connects to it gets less than from
/// the compositor's own socket.
fn listen() -> io::Result<(UnixListener, SocketAddr)> {
    let random = RandomState::new().hash_one(std::process::id());
    let address = SocketAddr::from_abstract_name(format!("postern-bridge-{random:016x}"))?;
    Ok((UnixListener::bind_addr(&address)?, address))
}
