//! An input method as a test scripts it.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_registry, wl_seat};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, WEnum, delegate_noop};
use wayland_protocols_misc::zwp_input_method_v2::client::{
    zwp_input_method_manager_v2::ZwpInputMethodManagerV2,
    zwp_input_method_v2::{Event, ZwpInputMethodV2},
};

/// What the text field says, as far as the input method was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    pub is_active: bool,
    pub text: String,
    pub cursor: u32,
    pub anchor: u32,
    pub hint: u32,
    pub purpose: u32,
    pub dones: u32,
}

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Field {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}
delegate_noop!(Field: ZwpInputMethodManagerV2);
delegate_noop!(Field: ignore wl_seat::WlSeat);

fn number<T: Into<u32>>(value: WEnum<T>) -> u32 {
    match value {
        WEnum::Value(value) => value.into(),
        WEnum::Unknown(value) => value,
    }
}

impl Dispatch<ZwpInputMethodV2, ()> for Field {
    fn event(
        field: &mut Self,
        _: &ZwpInputMethodV2,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            Event::Activate => *field = Self { is_active: true, dones: field.dones, ..Self::default() },
            Event::Deactivate => field.is_active = false,
            Event::SurroundingText { text, cursor, anchor } => {
                (field.text, field.cursor, field.anchor) = (text, cursor, anchor);
            }
            Event::ContentType { hint, purpose } => {
                (field.hint, field.purpose) = (number(hint), number(purpose));
            }
            Event::Done => field.dones += 1,
            Event::Unavailable => panic!("another input method is there"),
            _ => {}
        }
    }
}

/// An input method of the session.
pub struct InputMethod {
    queue: EventQueue<Field>,
    object: ZwpInputMethodV2,
    pub field: Field,
}

impl InputMethod {
    pub fn new(socket: &Path) -> Self {
        let connection = Connection::from_socket(UnixStream::connect(socket).unwrap()).unwrap();
        let (list, mut queue) = registry_queue_init::<Field>(&connection).unwrap();
        let seat: wl_seat::WlSeat = list.bind(&queue.handle(), 1..=1, ()).unwrap();
        let manager: ZwpInputMethodManagerV2 = list.bind(&queue.handle(), 1..=1, ()).unwrap();
        let object = manager.get_input_method(&seat, &queue.handle(), ());
        let mut field = Field::default();
        queue.roundtrip(&mut field).unwrap();
        Self { queue, object, field }
    }

    /// Waits until the text field is as wanted.
    pub fn wait(&mut self, fits: impl Fn(&Field) -> bool) {
        let start = Instant::now();
        while !fits(&self.field) {
            assert!(start.elapsed() < Duration::from_secs(10), "the text field is {:?}", self.field);
            self.queue.roundtrip(&mut self.field).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Shows preedit text, commits text and deletes some around the cursor.
    pub fn edit(&mut self, preedit: &str, commit: &str, delete: [u32; 2]) {
        self.object.set_preedit_string(preedit.into(), 0, i32::try_from(preedit.len()).unwrap());
        self.object.commit_string(commit.into());
        self.object.delete_surrounding_text(delete[0], delete[1]);
        self.object.commit(self.field.dones);
        self.queue.roundtrip(&mut self.field).unwrap();
    }
}
