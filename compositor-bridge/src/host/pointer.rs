//! Pointer events. The parts of one scroll, which Wayland sends one by one, become one message.

use crate::bridge::Bridge;
use crate::host::seat::surface_number;
use postern_channel::{Message, Pointer, PointerEvent};
use wayland_client::protocol::wl_pointer::{self, Axis, Event};
use wayland_client::{Connection, Dispatch, Proxy, QueueHandle, WEnum};
use wayland_protocols::wp::relative_pointer::zv1::client::zwp_relative_pointer_v1::{
    self, ZwpRelativePointerV1,
};

/// A pointer message that says nothing.
pub const NOTHING: Pointer = Pointer {
    event: 0,
    surface: 0,
    serial: 0,
    time: 0,
    x: 0,
    y: 0,
    button: 0,
    state: 0,
    discrete: [0; 2],
    high: 0,
};

/// A scroll whose parts are being gathered until the frame ends.
#[derive(Default)]
pub struct Wheel(Option<Pointer>);

impl Wheel {
    fn gather(&mut self) -> &mut Pointer {
        self.0.get_or_insert(Pointer { event: PointerEvent::AXIS, ..NOTHING })
    }
}

/// To 1/256 of a unit. A value beyond any screen becomes the largest there is.
#[expect(clippy::cast_possible_truncation, reason = "a float-to-integer cast saturates")]
pub fn fixed(value: f64) -> i32 {
    (value * 256.0).round() as i32
}

impl Dispatch<wl_pointer::WlPointer, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        pointer: &wl_pointer::WlPointer,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let wheel = &mut bridge.input.wheel;
        let message = match event {
            Event::Enter { serial, surface, surface_x, surface_y } => {
                let Some(surface) = surface_number(&surface) else { return };
                let (x, y) = (fixed(surface_x), fixed(surface_y));
                Pointer { event: PointerEvent::ENTER, surface, serial, x, y, ..NOTHING }
            }
            Event::Leave { serial, surface } => {
                let Some(surface) = surface_number(&surface) else { return };
                Pointer { event: PointerEvent::LEAVE, surface, serial, ..NOTHING }
            }
            Event::Motion { time, surface_x, surface_y } => {
                let (x, y) = (fixed(surface_x), fixed(surface_y));
                Pointer { event: PointerEvent::MOTION, time, x, y, ..NOTHING }
            }
            Event::Button { serial, time, button, state } => {
                bridge.input.note_action();
                let state = u32::from(state == WEnum::Value(wl_pointer::ButtonState::Pressed));
                Pointer { event: PointerEvent::BUTTON, serial, time, button, state, ..NOTHING }
            }
            Event::Axis { time, axis: WEnum::Value(axis), value } => {
                let scroll = wheel.gather();
                scroll.time = time;
                match axis {
                    Axis::HorizontalScroll => scroll.x = scroll.x.saturating_add(fixed(value)),
                    _ => scroll.y = scroll.y.saturating_add(fixed(value)),
                }
                return bridge.end_unframed(pointer);
            }
            Event::AxisSource { axis_source: WEnum::Value(source) } => {
                wheel.gather().state = source.into();
                return;
            }
            Event::AxisStop { time, axis: WEnum::Value(axis) } => {
                let scroll = wheel.gather();
                scroll.time = time;
                scroll.button |= if axis == Axis::HorizontalScroll { 1 } else { 2 };
                return;
            }
            Event::AxisDiscrete { axis: WEnum::Value(axis), discrete } => {
                *step(wheel.gather(), axis) = discrete.saturating_mul(120);
                return;
            }
            Event::AxisValue120 { axis: WEnum::Value(axis), value120 } => {
                *step(wheel.gather(), axis) = value120;
                return;
            }
            Event::AxisRelativeDirection { axis: WEnum::Value(axis), direction } => {
                if direction == WEnum::Value(wl_pointer::AxisRelativeDirection::Inverted) {
                    wheel.gather().button |= if axis == Axis::HorizontalScroll { 4 } else { 8 };
                }
                return;
            }
            Event::Frame => return bridge.end_frame(),
            _ => return,
        };
        bridge.app.send(&Message::Pointer(message, &[]));
        bridge.end_unframed(pointer);
    }
}

fn step(scroll: &mut Pointer, axis: Axis) -> &mut i32 {
    let [horizontal, vertical] = &mut scroll.discrete;
    if axis == Axis::HorizontalScroll { horizontal } else { vertical }
}

impl Dispatch<ZwpRelativePointerV1, ()> for Bridge {
    fn event(
        bridge: &mut Self,
        _: &ZwpRelativePointerV1,
        event: zwp_relative_pointer_v1::Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        let zwp_relative_pointer_v1::Event::RelativeMotion {
            utime_hi,
            utime_lo,
            dx,
            dy,
            dx_unaccel,
            dy_unaccel,
        } = event
        else {
            return;
        };
        let message = Pointer {
            event: PointerEvent::RELATIVE,
            time: utime_lo,
            high: utime_hi,
            x: fixed(dx),
            y: fixed(dy),
            discrete: [fixed(dx_unaccel), fixed(dy_unaccel)],
            ..NOTHING
        };
        bridge.app.send(&Message::Pointer(message, &[]));
    }
}

impl Bridge {
    fn end_frame(&mut self) {
        if let Some(scroll) = self.input.wheel.0.take() {
            self.app.send(&Message::Pointer(scroll, &[]));
        }
        self.app.send(&Message::Pointer(Pointer { event: PointerEvent::FRAME, ..NOTHING }, &[]));
    }

    /// Before version 5 there are no frames: each event is one.
    fn end_unframed(&mut self, pointer: &wl_pointer::WlPointer) {
        if pointer.version() < 5 {
            self.end_frame();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixed;

    #[test]
    fn coordinates_are_256ths() {
        assert_eq!(fixed(1.5), 384);
        assert_eq!(fixed(-0.25), -64);
        assert_eq!(fixed(1e300), i32::MAX);
        assert_eq!(fixed(f64::NAN), 0);
    }
}
