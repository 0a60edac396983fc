//! What a surface wants of the compositor besides being shown: the pointer held, the screen on, key combinations.

use super::Host;
use crate::bridge::Bridge;
use postern_channel::{Commit, CommitFlag, Key, KeyEvent, Message, Pointer, PointerEvent, Rect};
use wayland_client::protocol::wl_region::WlRegion;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle};
use wayland_protocols::wp::idle_inhibit::zv1::client::zwp_idle_inhibitor_v1::ZwpIdleInhibitorV1;
use wayland_protocols::wp::keyboard_shortcuts_inhibit::zv1::client::zwp_keyboard_shortcuts_inhibitor_v1::{
    self as shortcuts, ZwpKeyboardShortcutsInhibitorV1,
};
use wayland_protocols::wp::pointer_constraints::zv1::client::{
    zwp_confined_pointer_v1::{self as confined, ZwpConfinedPointerV1},
    zwp_locked_pointer_v1::{self as locked, ZwpLockedPointerV1},
    zwp_pointer_constraints_v1::Lifetime,
};

/// The objects for what a surface wants.
#[derive(Default)]
pub struct Wants {
    constraint: Option<Constraint>,
    /// The surface of the window, and the object for it.
    idle: Option<(WlSurface, ZwpIdleInhibitorV1)>,
    shortcuts: Option<ZwpKeyboardShortcutsInhibitorV1>,
}

enum Held {
    Locked(ZwpLockedPointerV1),
    Confined(ZwpConfinedPointerV1),
    /// It held once and is not to come back.
    Over,
}

struct Constraint {
    held: Held,
    /// The flags that it was made for.
    flags: u32,
    region: Option<Rect>,
    hint: Option<[i32; 2]>,
}

impl Constraint {
    fn destroy(self) {
        match self.held {
            Held::Locked(object) => object.destroy(),
            Held::Confined(object) => object.destroy(),
            Held::Over => {}
        }
    }

    /// What is double-buffered comes into force with the commit that follows.
    fn update(&mut self, last: &Commit, region: impl Fn(Rect) -> WlRegion) {
        let wanted = region_of(last);
        if wanted != self.region {
            self.region = wanted;
            let region = wanted.map(region);
            match &self.held {
                Held::Locked(object) => object.set_region(region.as_ref()),
                Held::Confined(object) => object.set_region(region.as_ref()),
                Held::Over => {}
            }
            if let Some(region) = region {
                region.destroy();
            }
        }
        let hint = (last.flags & CommitFlag::CURSOR_HINT != 0).then_some(last.cursor_hint);
        if hint != self.hint {
            self.hint = hint;
            if let (Held::Locked(object), Some([x, y])) = (&self.held, hint) {
                object.set_cursor_position_hint(f64::from(x) / 256.0, f64::from(y) / 256.0);
            }
        }
    }
}

fn region_of(last: &Commit) -> Option<Rect> {
    (last.flags & CommitFlag::POINTER_REGION != 0).then_some(last.pointer_region)
}

impl Wants {
    /// Destroys the objects.
    pub fn destroy(self) {
        if let Some(constraint) = self.constraint {
            constraint.destroy();
        }
        if let Some((_, idle)) = self.idle {
            idle.destroy();
        }
        if let Some(shortcuts) = self.shortcuts {
            shortcuts.destroy();
        }
    }

    /// The pointer is gone, and what held it.
    pub fn release_pointer(&mut self) {
        if let Some(constraint) = self.constraint.take() {
            constraint.destroy();
        }
    }
}

impl Bridge {
    /// Passes on what a surface wants. The compositor decides, and holds the pointer only where it is.
    pub fn update_wants(&mut self, number: u32, last: &Commit) {
        // A subsurface that wants it has it by its window: sway before 1.8 ends itself over one without a parent.
        let awake =
            self.surfaces.window(number).filter(|_| last.flags & CommitFlag::INHIBIT_IDLE != 0).cloned();
        let Self { globals, queue, input, surfaces, .. } = self;
        let Some(host) = surfaces.host_mut(number) else { return };
        let Host { surface, wants, .. } = host;
        let region = |rect: Rect| {
            let region = globals.compositor.create_region(queue, ());
            region.add(rect.x, rect.y, rect.width, rect.height);
            region
        };

        const HOLDS: u32 =
            CommitFlag::LOCK_POINTER | CommitFlag::CONFINE_POINTER | CommitFlag::POINTER_ONESHOT;
        let flags = last.flags & HOLDS;
        if let Some(old) = wants.constraint.take_if(|constraint| constraint.flags != flags) {
            old.destroy();
        }
        if wants.constraint.is_none()
            && flags & !CommitFlag::POINTER_ONESHOT != 0
            && let (Some(manager), Some(pointer)) = (&globals.constraints, &input.pointer)
        {
            let lifetime = match flags & CommitFlag::POINTER_ONESHOT {
                0 => Lifetime::Persistent,
                _ => Lifetime::Oneshot,
            };
            let wanted = region_of(last);
            let area = wanted.map(region);
            let area = area.as_ref();
            let held = if flags & CommitFlag::LOCK_POINTER != 0 {
                Held::Locked(manager.lock_pointer(surface, pointer, area, lifetime, queue, number))
            } else {
                Held::Confined(manager.confine_pointer(surface, pointer, area, lifetime, queue, number))
            };
            if let Some(area) = area {
                area.destroy();
            }
            wants.constraint = Some(Constraint { held, flags, region: wanted, hint: None });
        }
        if let Some(constraint) = &mut wants.constraint {
            constraint.update(last, region);
        }

        if let Some((_, idle)) = wants.idle.take_if(|(window, _)| awake.as_ref() != Some(window)) {
            idle.destroy();
        }
        if let (None, Some(manager), Some(window)) = (&wants.idle, &globals.idle, awake) {
            let idle = manager.create_inhibitor(&window, queue, ());
            wants.idle = Some((window, idle));
        }

        if last.flags & CommitFlag::INHIBIT_SHORTCUTS == 0 {
            if let Some(shortcuts) = wants.shortcuts.take() {
                shortcuts.destroy();
            }
        } else if let (None, Some(manager), Some(seat)) = (&wants.shortcuts, &globals.shortcuts, &input.seat)
            && input.is_recent()
        {
            wants.shortcuts = Some(manager.inhibit_shortcuts(surface, seat, queue, number));
        }
    }

    /// A constraint came into force, or ended. `is_of` tells whether it is the surface's present one.
    fn constrained(&mut self, number: u32, is_in_force: bool, is_of: impl Fn(&Held) -> bool) {
        let constraint = self.surfaces.host_mut(number).and_then(|host| host.wants.constraint.as_mut());
        let Some(constraint) = constraint.filter(|constraint| is_of(&constraint.held)) else { return };
        let event = if is_in_force { PointerEvent::CONSTRAINED } else { PointerEvent::UNCONSTRAINED };
        if !is_in_force && constraint.flags & CommitFlag::POINTER_ONESHOT != 0 {
            let over = Constraint { held: Held::Over, ..*constraint };
            std::mem::replace(constraint, over).destroy();
        }
        let message = Pointer { event, surface: number, ..Default::default() };
        self.app.send(&Message::Pointer(message, &[]));
    }
}

impl Dispatch<ZwpLockedPointerV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &ZwpLockedPointerV1,
        event: locked::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let is_locked = matches!(event, locked::Event::Locked);
        bridge.constrained(number, is_locked, |h| matches!(h, Held::Locked(o) if o.id() == object.id()));
    }
}

impl Dispatch<ZwpConfinedPointerV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        object: &ZwpConfinedPointerV1,
        event: confined::Event,
        &number: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let is_confined = matches!(event, confined::Event::Confined);
        bridge.constrained(number, is_confined, |h| matches!(h, Held::Confined(o) if o.id() == object.id()));
    }
}

impl Dispatch<ZwpKeyboardShortcutsInhibitorV1, u32> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &ZwpKeyboardShortcutsInhibitorV1,
        event: shortcuts::Event,
        &surface: &u32,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let is_active = matches!(event, shortcuts::Event::Active);
        let event = if is_active { KeyEvent::INHIBITED } else { KeyEvent::UNINHIBITED };
        bridge.app.send(&Message::Key(Key { event, surface, ..Default::default() }, &[]));
    }
}
