//! The bridge's state, and what each message of the app does.

use crate::app::App;
use crate::config::{BridgeError, malformed};
use crate::control::{Control, Report};
use crate::host::attention::Attention;
use crate::host::cursor::Pointing;
use crate::host::globals::Globals;
use crate::host::outputs::Outputs;
use crate::host::seat::Input;
use crate::host::text_input::TextInputs;
use crate::selection::Selections;
use crate::surface::border::Border;
use crate::surface::{Pools, Surfaces};
use postern_channel::{DecodeError, Hello, Kind, Message, VERSION};
use std::os::fd::OwnedFd;
use std::time::Instant;
use wayland_client::{Proxy, QueueHandle};

/// Everything a bridge knows. Also the state that Wayland events are dispatched to.
pub struct Bridge {
    pub queue: QueueHandle<Self>,
    pub globals: Globals,
    pub outputs: Outputs,
    pub input: Input,
    pub pointing: Pointing,
    pub surfaces: Surfaces,
    pub pools: Pools,
    pub border: Option<Border>,
    pub selections: Selections,
    pub text_inputs: TextInputs,
    pub attention: Attention,
    pub app: App,
    pub control: Control,
    pub title_prefix: String,
    /// Application id of every window, instead of what the app says.
    pub app_id: Option<String>,
    /// Frames given to the compositor.
    pub frames: u64,
    /// Frames of these whose pixels the display server copied.
    pub copied: u64,
    /// The app has answered the bridge's hello.
    pub greeted: bool,
    /// What is to be done once start-up is over, and when that is.
    pub settling: Option<(Instant, Box<dyn FnOnce()>)>,
}

impl Bridge {
    /// Says hello. What the session is like follows as the compositor tells.
    pub fn greet(&mut self) {
        let hello = Hello {
            version: VERSION.into(),
            features: self.globals.features(),
            compositor: self.globals.compositor.version(),
            seat: self.input.seat.as_ref().map_or(0, Proxy::version),
            shell: self.globals.shell.version(),
        };
        self.app.send(&Message::Hello(hello, &[]));
    }

    fn describe_session(&mut self) {
        self.outputs.send_all(&mut self.app);
        self.input.send_seat(&mut self.app);
        self.selections.send_offers(&mut self.app);
    }

    /// Does what a datagram of the app says.
    pub fn datagram(&mut self, bytes: &[u8], handle: Option<OwnedFd>) -> Result<(), BridgeError> {
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(DecodeError::Version) if bytes.starts_with(&(Kind::Hello as u16).to_le_bytes()) => {
                return Err(malformed(format!(
                    "a greeting in another version of the channel than {VERSION}"
                )));
            }
            // Left over from the talk with an earlier bridge; see the channel's start and replay.
            Err(_) if !self.greeted => return Ok(()),
            Err(error) => return Err(malformed(error.to_string())),
        };
        if let Message::Hello(hello, _) = message {
            return self.hello(hello);
        }
        if !self.greeted {
            return Ok(());
        }
        if handle.is_some() && !matches!(message, Message::Pool(..)) {
            return Err(malformed(format!("a handle with a {:?} message", message.kind())));
        }
        match message {
            Message::Pool(pool, _) => self.pool(pool, handle),
            Message::PoolDestroy(pool, _) => self.pool_destroy(pool.pool),
            Message::Commit(commit, _) => self.commit(commit),
            Message::SurfaceDestroy(surface, _) => self.surface_destroy(surface.surface),
            Message::Text(text, bytes) => self.text(text, bytes),
            Message::Cursor(cursor, _) => {
                self.pointing.wanted = Some(cursor);
                self.show_cursor();
                Ok(())
            }
            Message::Interactive(interactive, _) => self.interactive(interactive),
            Message::Offer(offer, mimes) => {
                self.app_offers(offer, mimes);
                Ok(())
            }
            Message::Request(request, mime) => self.app_requests(request, mime),
            Message::Data(data, piece) => self.app_data(data, piece),
            Message::Drag(drag, mime) => self.app_drag(drag, mime),
            Message::TextInput(state, text) => self.text_inputs.update(&state, text),
            Message::Hello(..)
            | Message::Output(..)
            | Message::OutputGone(..)
            | Message::Seat(..)
            | Message::Configure(..)
            | Message::Close(..)
            | Message::Frame(..)
            | Message::BufferRelease(..)
            | Message::Pointer(..)
            | Message::Key(..)
            | Message::Touch(..)
            | Message::TextEdit(..) => {
                Err(malformed(format!("a {:?} message, which only a bridge sends", message.kind())))
            }
        }
    }

    /// The app's side begins: at first, and if it began anew.
    fn hello(&mut self, hello: Hello) -> Result<(), BridgeError> {
        if hello.version != u32::from(VERSION) {
            return Err(malformed(format!("version {} of the channel, this is {VERSION}", hello.version)));
        }
        if self.greeted {
            self.forget_everything();
            self.describe_session();
        }
        self.greeted = true;
        Ok(())
    }

    fn forget_everything(&mut self) {
        self.remove_all_surfaces();
        self.pools.clear();
        self.pointing.wanted = None;
        self.selections.forget_app();
        self.text_inputs.forget_app();
    }

    /// Tells the monitor that a permission was missing.
    pub fn denied(&mut self, permission: &str, what: &str) {
        self.control.report(&Report::Denied { permission: permission.into(), what: what.into() });
    }
}
