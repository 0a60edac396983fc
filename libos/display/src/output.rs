//! wl_output and xdg_output.

use crate::client::ClientId;
use crate::object::Kind;
use crate::{Display, Platform};
use alloc::vec::Vec;
use postern_channel as msg;

/// Largest number of an output: its global has a name of its own, above those of the other globals.
const MOST_OUTPUT: u32 = 1 << 20;

impl<P: Platform> Display<P> {
    pub(crate) fn output_changed(&mut self, output: msg::Output) {
        if output.output > MOST_OUTPUT {
            return;
        }
        self.stale_outputs.remove(&output.output);
        let is_new = self.outputs.insert(output.output, output).is_none();
        if is_new {
            self.announce_global(crate::globals::output_name(output.output), "wl_output", 4);
        }
        self.drop_stand_in(output.output);
        self.describe_outputs(output.output);
        self.prefer_scales();
    }

    /// Outputs that a former bridge knew and the present one does not.
    pub(crate) fn drop_stale_outputs(&mut self) {
        for output in core::mem::take(&mut self.stale_outputs) {
            self.output_gone(output);
        }
    }

    pub(crate) fn output_gone(&mut self, number: u32) {
        self.stale_outputs.remove(&number);
        if self.outputs.remove(&number).is_some() {
            self.for_objects(
                |_, kind| matches!(kind, Kind::Registry),
                |client, registry, _| {
                    drop(client.event(registry, 1).u32(crate::globals::output_name(number)))
                },
            );
            for surface in self.surfaces.values_mut() {
                surface.entered.retain(|output| *output != number);
            }
            self.prefer_scales();
        }
    }

    fn describe_outputs(&mut self, number: u32) {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            let Some(c) = self.clients.get(&client) else { continue };
            for (object, _) in c.find(|k| matches!(k, Kind::Output(n) | Kind::XdgOutput(n) if *n == number)) {
                self.describe_output(client, object);
            }
        }
    }

    /// Sends everything about an output to a wl_output or xdg_output object.
    pub(crate) fn describe_output(&mut self, client: ClientId, object: u32) {
        let Some(c) = self.clients.get_mut(&client) else { return };
        let Some(o) = c.objects.get(&object) else { return };
        let version = o.version;
        match o.kind {
            Kind::Output(number) => {
                let Some(out) = self.outputs.get(&number) else { return };
                let [width, height] = out.mode;
                let [mm_w, mm_h] = out.physical;
                let (x, y) = (out.logical.x, out.logical.y);
                drop(
                    c.event(object, 0)
                        .i32(x)
                        .i32(y)
                        .i32(mm_w)
                        .i32(mm_h)
                        .u32(out.subpixel)
                        .string(b"Postern")
                        .string(b"display")
                        .u32(out.transform),
                );
                drop(c.event(object, 1).u32(3).i32(width).i32(height).i32(out.refresh));
                if version >= 2 {
                    drop(c.event(object, 3).i32(out.scale));
                }
                if version >= 4 {
                    drop(c.event(object, 4).string(name(out)));
                    drop(c.event(object, 5).string(name(out)));
                }
                if version >= 2 {
                    drop(c.event(object, 2));
                }
            }
            Kind::XdgOutput(number) => {
                let Some(out) = self.outputs.get(&number) else { return };
                let l = out.logical;
                drop(c.event(object, 0).i32(l.x).i32(l.y));
                drop(c.event(object, 1).i32(l.width).i32(l.height));
                if version >= 2 {
                    drop(c.event(object, 3).string(name(out)));
                }
                if version >= 3 {
                    // Since version 3 wl_output.done stands for both.
                    for (wl_output, v) in c.find(|k| matches!(k, Kind::Output(n) if *n == number)) {
                        if v >= 2 {
                            drop(c.event(wl_output, 2));
                        }
                    }
                } else {
                    drop(c.event(object, 2));
                }
            }
            _ => {}
        }
    }

    /// A new wl_output object: its description, and the client's surfaces on it.
    pub(crate) fn greet_output(&mut self, client: ClientId, object: u32) {
        self.describe_output(client, object);
        let Some(c) = self.clients.get_mut(&client) else { return };
        let Some(Kind::Output(output)) = c.objects.get(&object).map(|o| &o.kind) else { return };
        let output = *output;
        for surface in self.surfaces.values().filter(|s| s.client == client && s.object != 0) {
            if surface.entered.contains(&output) {
                drop(c.event(surface.object, 0).u32(object));
            }
        }
    }

    /// The compositor says that a surface is on an output from now on, or not any more.
    pub(crate) fn host_moves(&mut self, number: u32, output: u32, is_there: bool) {
        if !self.outputs.contains_key(&output) {
            return;
        }
        let Some(surface) = self.surfaces.get_mut(&number).filter(|s| s.announced && s.object != 0) else {
            return;
        };
        if surface.entered.contains(&output) == is_there {
            return;
        }
        surface.entered.retain(|n| *n != output);
        if is_there {
            surface.entered.push(output);
        }
        if let Some(c) = self.clients.get_mut(&surface.client) {
            let opcode = if is_there { 0 } else { 1 };
            for (object, _) in c.find(|k| matches!(k, Kind::Output(n) if *n == output)) {
                drop(c.event(surface.object, opcode).u32(object));
            }
        }
        // A surface on no output keeps what it had: it is hidden, and will most likely come back there.
        if !self.surfaces.get(&number).is_some_and(|s| s.entered.is_empty()) {
            self.prefer_scales();
        }
    }

    /// A surface is not shown any more.
    pub(crate) fn leave_outputs(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(&number) else { return };
        let entered = core::mem::take(&mut surface.entered);
        surface.best_scale = 0;
        let Some(c) = self.clients.get_mut(&surface.client).filter(|_| surface.object != 0) else { return };
        for (object, _) in c.find(|k| matches!(k, Kind::Output(n) if entered.contains(n))) {
            drop(c.event(surface.object, 1).u32(object));
        }
    }
}

fn name(output: &msg::Output) -> &[u8] {
    let end = output.name.iter().position(|b| *b == 0).unwrap_or(output.name.len());
    output.name.get(..end).unwrap_or(b"")
}
