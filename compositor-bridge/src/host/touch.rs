//! Touch events, passed on one by one.

use crate::bridge::Bridge;
use crate::host::pointer::fixed;
use crate::host::seat::surface_number;
use postern_channel::{Message, Touch, TouchEvent};
use wayland_client::protocol::wl_touch::{self, Event};
use wayland_client::{Connection, Dispatch, QueueHandle};

/// A touch event as the channel has it. None: it is not about the app's surfaces.
fn translate(event: &Event) -> Option<Touch> {
    let touch = match *event {
        Event::Down { serial, time, ref surface, id, x, y } => {
            let surface = surface_number(surface)?;
            Touch { event: TouchEvent::DOWN, surface, serial, time, id, x: fixed(x), y: fixed(y) }
        }
        Event::Up { serial, time, id } => {
            Touch { event: TouchEvent::UP, serial, time, id, ..Touch::default() }
        }
        Event::Motion { time, id, x, y } => {
            Touch { event: TouchEvent::MOTION, time, id, x: fixed(x), y: fixed(y), ..Touch::default() }
        }
        Event::Frame => Touch { event: TouchEvent::FRAME, ..Touch::default() },
        Event::Cancel => Touch { event: TouchEvent::CANCEL, ..Touch::default() },
        Event::Shape { id, major, minor } => {
            Touch { event: TouchEvent::SHAPE, id, x: fixed(major), y: fixed(minor), ..Touch::default() }
        }
        Event::Orientation { id, orientation } => {
            Touch { event: TouchEvent::ORIENTATION, id, x: fixed(orientation), ..Touch::default() }
        }
        _ => return None,
    };
    Some(touch)
}

impl Dispatch<wl_touch::WlTouch, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &wl_touch::WlTouch,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let Some(touch) = translate(&event) else { return };
        if touch.event == TouchEvent::DOWN {
            bridge.input.note_action();
        }
        bridge.app.send(&Message::Touch(touch, &[]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingers_are_passed_on() {
        let moved = translate(&Event::Motion { time: 7, id: 2, x: 1.5, y: -2.0 }).unwrap();
        assert_eq!((moved.event, moved.id, moved.time), (TouchEvent::MOTION, 2, 7));
        assert_eq!((moved.x, moved.y), (384, -512));
        let lifted = translate(&Event::Up { serial: 9, time: 8, id: 2 }).unwrap();
        assert_eq!((lifted.event, lifted.id, lifted.serial), (TouchEvent::UP, 2, 9));
        let shape = translate(&Event::Shape { id: 1, major: 4.0, minor: 2.0 }).unwrap();
        assert_eq!((shape.event, shape.x, shape.y), (TouchEvent::SHAPE, 1024, 512));
        let turned = translate(&Event::Orientation { id: 1, orientation: 90.0 }).unwrap();
        assert_eq!((turned.event, turned.x), (TouchEvent::ORIENTATION, 90 * 256));
        assert_eq!(translate(&Event::Frame).unwrap().event, TouchEvent::FRAME);
        assert_eq!(translate(&Event::Cancel).unwrap().event, TouchEvent::CANCEL);
    }
}
