//! Whether the desktop is dark or light: the `org.freedesktop.appearance color-scheme` setting of the desktop portal.
//!
//! Wayland itself does not tell. Without a portal the window keeps its own choice.

use zbus::blocking::{Connection, Proxy};
use zbus::proxy::MethodFlags;
use zbus::zvariant::{OwnedValue, Value};

use super::super::command::Event;
use super::Events;

const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";

/// Tells the setting and its changes as long as there is a portal.
pub(super) fn run(out: &Events) {
    let tell = |dark| out.send(Event::DesktopIsDark(dark));
    // A session without a bus or a portal is nothing to complain about.
    let _ = Connection::session().and_then(|connection| follow(&connection, tell));
}

fn follow(connection: &Connection, tell: impl Fn(bool)) -> zbus::Result<()> {
    let portal = Proxy::new(
        connection,
        "org.freedesktop.portal.Desktop",
        "/org/freedesktop/portal/desktop",
        "org.freedesktop.portal.Settings",
    )?;
    let changes = portal.receive_signal("SettingChanged")?;
    // A portal that does not run is not started for this.
    let now: Option<OwnedValue> =
        portal.call_with_flags("Read", MethodFlags::NoAutoStart.into(), &(NAMESPACE, KEY))?;
    if let Some(dark) = now.as_deref().and_then(is_dark) {
        tell(dark);
    }
    for change in changes {
        let body = change.body();
        let (namespace, key, value): (&str, &str, Value<'_>) = body.deserialize()?;
        if (namespace, key) == (NAMESPACE, KEY)
            && let Some(dark) = is_dark(&value)
        {
            tell(dark);
        }
    }
    Ok(())
}

/// The setting's meaning: 1 is dark, 2 is light, all else is no preference. `Read` wraps the value twice.
fn is_dark(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Value(inner) => is_dark(inner),
        Value::U32(1) => Some(true),
        Value::U32(2) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    use zbus::blocking::connection::Builder;

    use super::*;

    struct Portal;

    #[zbus::interface(name = "org.freedesktop.portal.Settings")]
    impl Portal {
        fn read(&self, namespace: &str, key: &str) -> zbus::fdo::Result<OwnedValue> {
            assert_eq!((namespace, key), (NAMESPACE, KEY));
            let inner = Value::Value(Box::new(Value::U32(2)));
            inner.try_to_owned().map_err(|error| zbus::fdo::Error::Failed(error.to_string()))
        }
    }

    #[test]
    fn the_setting_and_its_changes_are_told() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let guid = zbus::Guid::generate();
        let path = "/org/freedesktop/portal/desktop";
        let portal = std::thread::spawn(move || {
            let server = Builder::async_io_unix_stream(theirs).server(guid).expect("a server").p2p();
            server.serve_at(path, Portal).expect("an object").build().expect("a portal")
        });
        let client = Builder::async_io_unix_stream(ours).p2p().build().expect("a client");
        let portal = portal.join().expect("the portal");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            follow(&client, |dark| {
                let _ = tell.send(dark);
            })
        });
        let wait = std::time::Duration::from_secs(10);
        assert_eq!(told.recv_timeout(wait), Ok(false));
        for (namespace, value) in [("org.other", 1_u32), (NAMESPACE, 0), (NAMESPACE, 1)] {
            let body = (namespace, KEY, Value::U32(value));
            portal
                .emit_signal(None::<&str>, path, "org.freedesktop.portal.Settings", "SettingChanged", &body)
                .expect("sent");
        }
        assert_eq!(told.recv_timeout(wait), Ok(true));
    }
}
