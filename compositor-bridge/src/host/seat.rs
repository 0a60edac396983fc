//! The session's seat and its keyboard; pointer, touch and input methods have files of their own. A session with several seats is served by its first.

use crate::app::App;
use crate::bridge::Bridge;
use crate::host::{keymap, pointer::Wheel};
use crate::surface::SurfaceTag;
use postern_channel::{Key, KeyEvent, Message, Seat};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use wayland_client::protocol::{wl_keyboard, wl_pointer, wl_seat, wl_surface, wl_touch};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_v1::ZwpRelativePointerV1;

/// How long after a key or button the app may still go full screen.
const RECENT: Duration = Duration::from_secs(10);

/// The seat and its devices.
#[derive(Default)]
pub struct Input {
    pub seat: Option<wl_seat::WlSeat>,
    pub pointer: Option<wl_pointer::WlPointer>,
    keyboard: Option<wl_keyboard::WlKeyboard>,
    touch: Option<wl_touch::WlTouch>,
    relative: Option<ZwpRelativePointerV1>,
    /// The app's surface that has the keyboard, 0 = none.
    pub keyboard_focus: u32,
    /// The keymap's copy and its size in bytes.
    keymap: Option<(OwnedFd, u32)>,
    repeat_rate: i32,
    repeat_delay: i32,
    pub wheel: Wheel,
    last_action: Option<Instant>,
}

impl Input {
    /// Tells the app of the seat.
    pub fn send_seat(&self, app: &mut App) {
        let mut seat = Seat {
            capabilities: u32::from(self.pointer.is_some())
                | u32::from(self.keyboard.is_some()) << 1
                | u32::from(self.touch.is_some()) << 2,
            repeat_rate: self.repeat_rate,
            repeat_delay: self.repeat_delay,
            keymap_size: 0,
        };
        let keymap = self.keymap.as_ref().filter(|_| self.keyboard.is_some());
        let handle = keymap.and_then(|(file, size)| Some((file.try_clone().ok()?, *size)));
        if let Some((_, size)) = handle {
            seat.keymap_size = size;
        }
        app.send_with(&Message::Seat(seat, &[]), handle.map(|(file, _)| file));
    }

    /// The user pressed something over or in the app.
    pub fn note_action(&mut self) {
        self.last_action = Some(Instant::now());
    }

    /// Whether the user pressed something lately.
    pub fn is_recent(&self) -> bool {
        self.last_action.is_some_and(|at| at.elapsed() <= RECENT)
    }
}

/// The app's number of the surface that an input event names.
pub fn surface_number(surface: &wl_surface::WlSurface) -> Option<u32> {
    surface.data::<SurfaceTag>().and_then(|tag| tag.0)
}

impl Dispatch<wl_seat::WlSeat, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        seat: &wl_seat::WlSeat,
        event: wl_seat::Event,
        (): &(),
        _: &Connection,
        queue: &QueueHandle<Self>,
    ) {
        let wl_seat::Event::Capabilities { capabilities: WEnum::Value(now) } = event else { return };
        let input = &mut bridge.input;
        if now.contains(wl_seat::Capability::Pointer) != input.pointer.is_some() {
            if let Some(relative) = input.relative.take() {
                relative.destroy();
            }
            match input.pointer.take() {
                Some(pointer) => {
                    bridge.surfaces.release_pointer();
                    if pointer.version() >= 3 {
                        pointer.release();
                    }
                }
                None => {
                    let pointer = seat.get_pointer(queue, ());
                    let manager = bridge.globals.relative_pointers.as_ref();
                    input.relative = manager.map(|m| m.get_relative_pointer(&pointer, queue, ()));
                    input.pointer = Some(pointer);
                }
            }
            bridge.pointing.follow_pointer(&bridge.globals, input.pointer.as_ref(), queue);
        }
        if now.contains(wl_seat::Capability::Keyboard) != input.keyboard.is_some() {
            match input.keyboard.take() {
                Some(keyboard) if keyboard.version() >= 3 => keyboard.release(),
                Some(_) => {}
                None => input.keyboard = Some(seat.get_keyboard(queue, ())),
            }
        }
        if now.contains(wl_seat::Capability::Touch) != input.touch.is_some() {
            match input.touch.take() {
                Some(touch) if touch.version() >= 3 => touch.release(),
                Some(_) => {}
                None => input.touch = Some(seat.get_touch(queue, ())),
            }
        }
        input.send_seat(&mut bridge.app);
    }
}

const NO_KEY: Key =
    Key { event: 0, surface: 0, serial: 0, time: 0, key: 0, state: 0, modifiers: [0; 4], keys: [0; 8] };

impl Dispatch<wl_keyboard::WlKeyboard, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &wl_keyboard::WlKeyboard,
        event: wl_keyboard::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        use wl_keyboard::Event;
        let input = &mut bridge.input;
        let key = match event {
            Event::Keymap { format: WEnum::Value(wl_keyboard::KeymapFormat::XkbV1), fd, size } => {
                input.keymap = keymap::copy(&fd, size).ok().map(|copy| (copy, size));
                input.send_seat(&mut bridge.app);
                return;
            }
            Event::RepeatInfo { rate, delay } => {
                (input.repeat_rate, input.repeat_delay) = (rate, delay);
                input.send_seat(&mut bridge.app);
                return;
            }
            Event::Enter { serial, surface, keys } => {
                let Some(surface) = surface_number(&surface) else { return };
                input.keyboard_focus = surface;
                let mut held = [0; 8];
                let codes = keys.chunks_exact(4).filter_map(|code| <[u8; 4]>::try_from(code).ok());
                for (to, code) in held.iter_mut().zip(codes) {
                    *to = u32::from_ne_bytes(code);
                }
                Key { event: KeyEvent::ENTER, surface, serial, keys: held, ..NO_KEY }
            }
            Event::Leave { serial, surface } => {
                let Some(surface) = surface_number(&surface) else { return };
                input.keyboard_focus = 0;
                Key { event: KeyEvent::LEAVE, surface, serial, ..NO_KEY }
            }
            Event::Key { serial, time, key, state } => {
                input.note_action();
                let state = match state {
                    WEnum::Value(state) => state.into(),
                    WEnum::Unknown(state) => state,
                };
                Key { event: KeyEvent::KEY, serial, time, key, state, ..NO_KEY }
            }
            Event::Modifiers { serial, mods_depressed, mods_latched, mods_locked, group } => Key {
                event: KeyEvent::MODIFIERS,
                serial,
                modifiers: [mods_depressed, mods_latched, mods_locked, group],
                ..NO_KEY
            },
            _ => return,
        };
        bridge.app.send(&Message::Key(key, &[]));
    }
}
