//! Taking the host side of surfaces apart, in the order that the protocol demands.

use super::{Host, HostRole};
use crate::bridge::Bridge;
use crate::config::BridgeError;
use postern_channel::{Close, Message};

impl Bridge {
    /// A surface of the app is gone. One that never was is gone already.
    pub fn surface_destroy(&mut self, number: u32) -> Result<(), BridgeError> {
        self.remove_host(number);
        if let Some(next) = self.surfaces.0.remove(&number).and_then(|surface| surface.next) {
            self.release(next);
        }
        Ok(())
    }

    /// Removes all surfaces, when the app's side begins anew.
    pub fn remove_all_surfaces(&mut self) {
        let numbers: Vec<u32> = self.surfaces.0.keys().copied().collect();
        for number in numbers {
            self.remove_host(number);
        }
        for surface in std::mem::take(&mut self.surfaces.0).into_values() {
            if let Some(next) = surface.next {
                self.release(next);
            }
        }
    }

    /// Takes the host side of a surface apart, after that of the popups on it: a popup must go before what is below.
    pub fn remove_host(&mut self, number: u32) {
        let mut order = vec![number];
        let mut at = 0;
        while let Some(&parent) = order.get(at) {
            order.extend(self.surfaces.hosted_popups(parent));
            at += 1;
        }
        while let Some(last) = order.pop() {
            if last != number {
                self.say_closed(last);
            }
            self.remove_one_host(last);
        }
    }

    /// Takes a popup away, and those on it, and tells the app. Compositors forget a popup as soon as they have dismissed
    /// it, and take further requests for it as errors.
    pub fn dismiss(&mut self, number: u32) {
        self.say_closed(number);
        self.remove_host(number);
    }

    fn say_closed(&mut self, number: u32) {
        if let Some(surface) = self.surfaces.get_mut(number) {
            surface.dismissed = true;
            self.app.send(&Message::Close(Close { surface: number }, &[]));
        }
    }

    fn remove_one_host(&mut self, number: u32) {
        let Some(surface) = self.surfaces.get_mut(number) else { return };
        let Some(host) = surface.host.take() else { return };
        // Whoever waits for a frame gets the first one of the next host side.
        surface.frame_wanted |= host.callback.is_some();
        for child in self.surfaces.children(number) {
            match self.surfaces.host_mut(child).map(|host| &mut host.role) {
                Some(HostRole::Subsurface(object, parent)) if *parent == number => {
                    if let Some(object) = object.take() {
                        object.destroy();
                    }
                }
                // Said, not left to the compositor: some lose count of whose parent is gone.
                Some(HostRole::Toplevel(toplevel)) if toplevel.wishes.parent == number => {
                    toplevel.wishes.parent = 0;
                    toplevel.object.set_parent(None);
                }
                _ => {}
            }
        }
        for attachment in host.destroy() {
            self.release(attachment);
        }
    }
}

impl super::Surfaces {
    /// Popups right on this surface that have a host side.
    fn hosted_popups(&self, parent: u32) -> Vec<u32> {
        let is_on_it = |host: &Host| matches!(&host.role, HostRole::Popup(popup) if popup.parent == parent);
        let hosted = self.0.iter().filter(|(_, surface)| surface.host.as_ref().is_some_and(is_on_it));
        hosted.map(|(&number, _)| number).collect()
    }

    /// Whether a buffer waits for the first configure.
    pub fn waits_with_buffer(&self, number: u32) -> bool {
        self.get(number).is_some_and(|surface| surface.next.is_some())
    }
}

impl Host {
    /// Destroys the objects. Returns the buffers that nobody reads any more then.
    fn destroy(self) -> Vec<super::buffer::Attachment> {
        self.wants.destroy();
        if let Some(scale) = self.fractional_scale {
            scale.destroy();
        }
        if let Some(border) = self.border {
            border.destroy();
        }
        if let Some(viewport) = self.viewport {
            viewport.destroy();
        }
        match self.role {
            HostRole::Toplevel(toplevel) => {
                if let Some(decoration) = toplevel.decoration {
                    decoration.destroy();
                }
                if let Some(dialog) = toplevel.dialog {
                    dialog.destroy();
                }
                toplevel.object.set_parent(None);
                toplevel.object.destroy();
                toplevel.shell.object.destroy();
            }
            HostRole::Popup(popup) => {
                popup.object.destroy();
                popup.shell.object.destroy();
            }
            HostRole::Subsurface(Some(object), _) => object.destroy(),
            HostRole::Subsurface(None, _) | HostRole::Cursor | HostRole::DragIcon => {}
        }
        self.surface.destroy();
        self.held
    }
}
