//! Bringing the app's windows to the front, and the bell.

use crate::bridge::Bridge;
use crate::host::globals::Globals;
use std::time::{Duration, Instant};
use wayland_client::protocol::{wl_seat, wl_surface};
use wayland_client::{Connection, Dispatch, QueueHandle};
use wayland_protocols::xdg::activation::v1::client::xdg_activation_token_v1::{self, XdgActivationTokenV1};

/// Most tokens that the compositor may owe.
const TOKENS: u32 = 8;
/// How often the bell may ring.
const BELL_PAUSE: Duration = Duration::from_millis(100);

/// What the app's windows do to be looked at.
#[derive(Default)]
pub struct Attention {
    /// The token with which the app was launched, until its first window is there.
    launch_token: Option<String>,
    /// Tokens that the compositor owes.
    awaited: u32,
    rang: Option<Instant>,
}

impl Attention {
    pub fn new(launch_token: Option<String>) -> Self {
        Self { launch_token, ..Self::default() }
    }

    /// A window is shown: the first one may come to the front if the user launched the app.
    pub fn shown(&mut self, window: &wl_surface::WlSurface, globals: &Globals) {
        if let (Some(token), Some(activation)) = (self.launch_token.take(), &globals.activation) {
            activation.activate(token, window);
        }
    }

    /// Rings, unless it just did.
    pub fn ring(&mut self, window: Option<&wl_surface::WlSurface>, globals: &Globals) {
        if self.rang.is_none_or(|at| at.elapsed() >= BELL_PAUSE)
            && let Some(bell) = &globals.bell
        {
            bell.ring(window);
            self.rang = Some(Instant::now());
        }
    }

    /// Asks the compositor for the window to come to the front. It decides, by the serial and by who has the keyboard.
    pub fn ask(
        &mut self,
        window: u32,
        serial: u32,
        from: Option<&wl_surface::WlSurface>,
        seat: Option<&wl_seat::WlSeat>,
        globals: &Globals,
        queue: &QueueHandle<Bridge>,
    ) {
        let Some(activation) = globals.activation.as_ref().filter(|_| self.awaited < TOKENS) else { return };
        let token = activation.get_activation_token(queue, window);
        if let Some(seat) = seat.filter(|_| serial != 0) {
            token.set_serial(serial, seat);
        }
        if let Some(from) = from {
            token.set_surface(from);
        }
        token.commit();
        self.awaited += 1;
    }
}

impl Dispatch<XdgActivationTokenV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &XdgActivationTokenV1,
        event: xdg_activation_token_v1::Event,
        window: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let xdg_activation_token_v1::Event::Done { token } = event else { return };
        object.destroy();
        bridge.attention.awaited = bridge.attention.awaited.saturating_sub(1);
        if let (Some(surface), Some(activation)) =
            (bridge.surfaces.wl_surface(*window), &bridge.globals.activation)
        {
            activation.activate(token, surface);
        }
    }
}
