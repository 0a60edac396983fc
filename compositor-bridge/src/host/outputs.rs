//! The session's outputs, as the app is told of them.

use crate::app::App;
use crate::bridge::Bridge;
use crate::host::globals::Globals;
use postern_channel::{Message, Output, OutputGone, Rect};
use wayland_client::protocol::{wl_output, wl_registry};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::xdg::xdg_output::zv1::client::zxdg_output_v1;

/// One output.
struct Entry {
    /// Name of the global.
    global: u32,
    proxy: wl_output::WlOutput,
    logical: Option<zxdg_output_v1::ZxdgOutputV1>,
    state: Output,
    /// Its description is complete.
    done: bool,
}

/// The session's outputs.
#[derive(Default)]
pub struct Outputs {
    entries: Vec<Entry>,
    last: u32,
}

impl Outputs {
    /// Binds a global, if it is an output.
    pub fn add(
        &mut self,
        globals: &Globals,
        registry: &wl_registry::WlRegistry,
        queue: &QueueHandle<Bridge>,
        global: u32,
        interface: &str,
        version: u32,
    ) {
        if interface != wl_output::WlOutput::interface().name {
            return;
        }
        self.last = self.last.saturating_add(1);
        let number = self.last;
        let proxy: wl_output::WlOutput = registry.bind(global, version.min(4), queue, number);
        let logical = globals.logical_outputs.as_ref().map(|m| m.get_xdg_output(&proxy, queue, number));
        let state = Output {
            output: number,
            scale: 1,
            fraction: 120,
            transform: 0,
            mode: [0; 2],
            refresh: 0,
            subpixel: 0,
            physical: [0; 2],
            logical: Rect::default(),
            name: [0; 32],
        };
        self.entries.push(Entry { global, proxy, logical, state, done: false });
    }

    /// Drops the output with this global.
    pub fn remove(&mut self, global: u32, app: &mut App) {
        let Some(at) = self.entries.iter().position(|entry| entry.global == global) else { return };
        let entry = self.entries.swap_remove(at);
        if let Some(logical) = entry.logical {
            logical.destroy();
        }
        if entry.proxy.version() >= 3 {
            entry.proxy.release();
        }
        app.send(&Message::OutputGone(OutputGone { output: entry.state.output }, &[]));
    }

    /// Tells the app of every output.
    pub fn send_all(&self, app: &mut App) {
        for entry in self.entries.iter().filter(|entry| entry.done) {
            app.send(&Message::Output(entry.told(), &[]));
        }
    }

    /// The largest width and the largest height of any output, in surface units.
    pub fn extent(&self) -> (i32, i32) {
        let sizes = self.entries.iter().filter(|entry| entry.done).map(|entry| entry.told().logical);
        sizes.fold((0, 0), |(width, height), size| (width.max(size.width), height.max(size.height)))
    }

    fn entry(&mut self, number: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.state.output == number)
    }
}

impl Entry {
    /// The state with what follows from the rest filled in.
    fn told(&self) -> Output {
        let mut state = self.state;
        let [width, height] =
            if state.transform % 2 == 1 { [state.mode[1], state.mode[0]] } else { state.mode };
        if state.logical.width <= 0 || state.logical.height <= 0 {
            state.logical.width = width / state.scale.max(1);
            state.logical.height = height / state.scale.max(1);
        }
        // The logical size is rounded, so the quotient is too: 120ths, to the nearest.
        let logical = i64::from(state.logical.width.max(1));
        let fraction = (i64::from(width) * 120 + logical / 2) / logical;
        state.fraction = u32::try_from(fraction).ok().filter(|f| (30..=960).contains(f)).unwrap_or(120);
        state
    }
}

impl Dispatch<wl_output::WlOutput, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        proxy: &wl_output::WlOutput,
        event: wl_output::Event,
        number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(entry) = bridge.outputs.entry(*number) else { return };
        let state = &mut entry.state;
        let mut done = proxy.version() < 2;
        match event {
            wl_output::Event::Geometry {
                x, y, physical_width, physical_height, subpixel, transform, ..
            } => {
                state.physical = [physical_width, physical_height];
                (state.logical.x, state.logical.y) = (x, y);
                state.subpixel = number_of(subpixel);
                state.transform = number_of(transform).min(7);
            }
            wl_output::Event::Mode { flags: WEnum::Value(flags), width, height, refresh }
                if flags.contains(wl_output::Mode::Current) =>
            {
                state.mode = [width, height];
                state.refresh = refresh;
            }
            wl_output::Event::Scale { factor } => state.scale = factor.clamp(1, 8),
            wl_output::Event::Name { name } => {
                // The last byte stays zero, and a cut never splits a character.
                let cut = (0..state.name.len()).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
                state.name = [0; 32];
                for (to, from) in state.name.iter_mut().zip(name.bytes().take(cut)) {
                    *to = from;
                }
            }
            wl_output::Event::Done => done = true,
            _ => {}
        }
        if done {
            entry.done = true;
            bridge.app.send(&Message::Output(entry.told(), &[]));
        }
    }
}

impl Dispatch<zxdg_output_v1::ZxdgOutputV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        proxy: &zxdg_output_v1::ZxdgOutputV1,
        event: zxdg_output_v1::Event,
        number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(entry) = bridge.outputs.entry(*number) else { return };
        match event {
            zxdg_output_v1::Event::LogicalPosition { x, y } => {
                (entry.state.logical.x, entry.state.logical.y) = (x, y);
            }
            zxdg_output_v1::Event::LogicalSize { width, height } => {
                (entry.state.logical.width, entry.state.logical.height) = (width, height);
            }
            // Since version 3 wl_output.done says it for both.
            zxdg_output_v1::Event::Done if proxy.version() < 3 && entry.done => {
                bridge.app.send(&Message::Output(entry.told(), &[]));
            }
            _ => {}
        }
    }
}

fn number_of<T: Into<u32>>(value: WEnum<T>) -> u32 {
    match value {
        WEnum::Value(value) => value.into(),
        WEnum::Unknown(value) => value,
    }
}
