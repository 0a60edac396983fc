//! A small Wayland client for tests of selections: it offers, drags, pastes and takes drops, and says on its standard
//! output what came. It is used natively and under Postern alike.
//!
//! `handover --title T [--offer MIME=FILE]… [--take MIME] [--key copy|paste|paste-primary]`
//!
//! A press of a button begins a drag of what it offers; a key does what `--key` says. Of a drop or a paste it takes the
//! type of `--take`, and prints `T got MIME LENGTH TEXT`, with the text escaped, or its checksum where it is long. Of
//! dropped files it reads and appends to the first one.
#![forbid(unsafe_code)]

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::wl_data_device_manager::DndAction;
use wayland_client::protocol::{
    wl_buffer, wl_compositor, wl_data_device, wl_data_device_manager, wl_data_offer, wl_data_source,
    wl_keyboard, wl_pointer, wl_registry, wl_seat, wl_shm, wl_shm_pool, wl_surface,
};
use wayland_client::{
    Connection, Dispatch, Proxy as _, QueueHandle, WEnum, delegate_noop, event_created_child,
};
use wayland_protocols::wp::primary_selection::zv1::client::{
    zwp_primary_selection_device_manager_v1::{self as primary_manager, ZwpPrimarySelectionDeviceManagerV1},
    zwp_primary_selection_device_v1::{self as primary_device, ZwpPrimarySelectionDeviceV1},
    zwp_primary_selection_offer_v1::ZwpPrimarySelectionOfferV1,
    zwp_primary_selection_source_v1::{self as primary_source, ZwpPrimarySelectionSourceV1},
};
use wayland_protocols::xdg::shell::client::{xdg_surface, xdg_toplevel, xdg_wm_base};

/// Size of the window, where the compositor does not say one.
const SIZE: i32 = 200;

#[derive(Default)]
struct Options {
    title: String,
    offers: Vec<(String, Vec<u8>)>,
    take: String,
    key: String,
}

struct Client {
    options: Options,
    shm: wl_shm::WlShm,
    surface: wl_surface::WlSurface,
    size: (i32, i32),
    pointer: Option<wl_pointer::WlPointer>,
    keyboard: Option<wl_keyboard::WlKeyboard>,
    manager: wl_data_device_manager::WlDataDeviceManager,
    device: wl_data_device::WlDataDevice,
    primaries: ZwpPrimarySelectionDeviceManagerV1,
    primary: ZwpPrimarySelectionDeviceV1,
    compositor: wl_compositor::WlCompositor,
    selection: Option<wl_data_offer::WlDataOffer>,
    primary_selection: Option<ZwpPrimarySelectionOfferV1>,
    drag: Option<wl_data_offer::WlDataOffer>,
    icon: Option<wl_surface::WlSurface>,
    is_mapped: bool,
    is_closed: bool,
}

/// MIME types of an offer.
type Types = Mutex<Vec<String>>;

/// What is written to by several threads: one line at a time.
static OUT: Mutex<()> = Mutex::new(());

fn say(text: &str) {
    let _one = OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A short text as it is, escaped; of a long one the checksum (FNV-1a).
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 300 => text.escape_debug().to_string(),
        _ => {
            let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
        }
    }
}

/// A pipe to read a transfer from, in a thread of its own; `after` is told when all is there.
fn receive(title: &str, mime: &str, after: impl FnOnce() + Send + 'static) -> io::Result<OwnedFd> {
    let (read, write) = nix::unistd::pipe().map_err(io::Error::from)?;
    let (title, mime) = (title.to_owned(), mime.to_owned());
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let result = File::from(read).read_to_end(&mut all);
        say(&match result {
            Ok(len) => format!("{title} got {mime} {len} {}", shown(&all)),
            Err(error) => format!("{title} failed {mime} {error}"),
        });
        if mime == "text/uri-list" {
            use_first(&title, &all);
        }
        after();
    });
    Ok(write)
}

/// Reads the first file of a list, and adds to it; of a folder makes a file in it.
fn use_first(title: &str, list: &[u8]) {
    let text = String::from_utf8_lossy(list);
    let Some(path) = text.lines().find_map(|line| line.trim().strip_prefix("file://")) else { return };
    let path = path.replace("%20", " ");
    let is_folder = fs::metadata(&path).is_ok_and(|meta| meta.is_dir());
    if is_folder {
        let made = fs::write(format!("{path}/made"), "made");
        say(&format!("{title} folder {path} {made:?}"));
        return;
    }
    match fs::read(&path) {
        Ok(bytes) => say(&format!("{title} read {path} {}", shown(&bytes))),
        Err(error) => say(&format!("{title} cannot read {path}: {error}")),
    }
    let appended =
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b" and more"));
    say(&format!("{title} wrote {path} {appended:?}"));
}

fn give(bytes: &[u8], pipe: OwnedFd) {
    let bytes = bytes.to_vec();
    std::thread::spawn(move || File::from(pipe).write_all(&bytes));
}

impl Client {
    fn offered(&self, mime: &str) -> &[u8] {
        self.options.offers.iter().find(|(known, _)| known == mime).map_or(&[], |(_, bytes)| bytes)
    }

    fn source(&self, queue: &QueueHandle<Self>) -> wl_data_source::WlDataSource {
        let source = self.manager.create_data_source(queue, ());
        self.options.offers.iter().for_each(|(mime, _)| source.offer(mime.clone()));
        source
    }

    fn paint(&mut self, queue: &QueueHandle<Self>) -> io::Result<()> {
        let (width, height) = self.size;
        let buffer = self.picture(width, height, [0x60, 0x90, 0x30, 0xff], queue)?;
        self.surface.attach(Some(&buffer), 0, 0);
        self.surface.damage_buffer(0, 0, width, height);
        self.surface.commit();
        say(&format!("{} is drawn {width}x{height}", self.options.title));
        if !std::mem::replace(&mut self.is_mapped, true) {
            say(&format!("{} mapped", self.options.title));
        }
        Ok(())
    }

    fn picture(
        &self,
        width: i32,
        height: i32,
        colour: [u8; 4],
        queue: &QueueHandle<Self>,
    ) -> io::Result<wl_buffer::WlBuffer> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"handover", flags).map_err(io::Error::from)?);
        let bytes = width.saturating_mul(height).saturating_mul(4);
        file.write_all(&colour.repeat(usize::try_from(width * height).unwrap_or(0)))?;
        let pool = self.shm.create_pool(file.as_fd(), bytes, queue, ());
        let buffer = pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Xrgb8888, queue, ());
        pool.destroy();
        Ok(buffer)
    }

    fn begin_drag(&mut self, serial: u32, queue: &QueueHandle<Self>) -> io::Result<()> {
        let source = self.source(queue);
        source.set_actions(DndAction::Copy | DndAction::Move);
        let icon = self.compositor.create_surface(queue, ());
        self.device.start_drag(Some(&source), &self.surface, Some(&icon), serial);
        let buffer = self.picture(32, 32, [0x20, 0xc0, 0xf0, 0xff], queue)?;
        icon.attach(Some(&buffer), 0, 0);
        icon.damage_buffer(0, 0, 32, 32);
        icon.commit();
        self.icon = Some(icon);
        Ok(())
    }

    fn act(&mut self, serial: u32, queue: &QueueHandle<Self>) -> io::Result<()> {
        let Options { title, take, key, .. } = &self.options;
        match key.as_str() {
            "copy" => {
                self.device.set_selection(Some(&self.source(queue)), serial);
                let source = self.primaries.create_source(queue, ());
                self.options.offers.iter().for_each(|(mime, _)| source.offer(mime.clone()));
                self.primary.set_selection(Some(&source), serial);
                say(&format!("{title} copied"));
            }
            "paste" => match &self.selection {
                Some(offer) => offer.receive(take.clone(), receive(title, take, || {})?.as_fd()),
                None => say(&format!("{title} has nothing to paste")),
            },
            "paste-primary" => match &self.primary_selection {
                Some(offer) => offer.receive(take.clone(), receive(title, take, || {})?.as_fd()),
                None => say(&format!("{title} has nothing selected")),
            },
            _ => {}
        }
        Ok(())
    }

    fn over(&mut self, serial: u32, offer: Option<wl_data_offer::WlDataOffer>) {
        self.drag = offer;
        let Some(offer) = &self.drag else { return };
        let types =
            offer.data::<Types>().map(|types| types.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut types = types.unwrap_or_default();
        // Bridges mark what is their own.
        types.retain(|mime| !mime.starts_with("application/x-postern-own-"));
        say(&format!("{} is entered by {}", self.options.title, types.join(" ")));
        let take = Some(self.options.take.clone()).filter(|take| types.contains(take));
        offer.accept(serial, take);
        offer.set_actions(DndAction::Copy, DndAction::Copy);
    }

    fn dropped(&mut self, connection: &Connection) -> io::Result<()> {
        let Some(offer) = self.drag.take() else { return Ok(()) };
        let Options { title, take, .. } = &self.options;
        let (finished, connection) = (offer.clone(), connection.clone());
        let pipe = receive(title, take, move || {
            finished.finish();
            finished.destroy();
            let _ = connection.flush();
        })?;
        offer.receive(take.clone(), pipe.as_fd());
        Ok(())
    }
}

/// Ends the program if something that cannot fail does.
fn must(result: io::Result<()>) {
    if let Err(error) = result {
        say(&format!("failed: {error}"));
    }
}

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Client {
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

macro_rules! dispatch {
    ($object:ty, $data:ty, |$client:ident, $it:ident, $event:ident, $types:ident, $connection:ident, $queue:ident| $do:block $($child:tt)*) => {
        impl Dispatch<$object, $data> for Client {
            fn event(
                $client: &mut Self,
                $it: &$object,
                $event: <$object as wayland_client::Proxy>::Event,
                $types: &$data,
                $connection: &Connection,
                $queue: &QueueHandle<Self>,
            ) $do
            $($child)*
        }
    };
}

dispatch!(wl_seat::WlSeat, (), |client, seat, event, _data, _connection, queue| {
    let wl_seat::Event::Capabilities { capabilities: WEnum::Value(now) } = event else { return };
    if now.contains(wl_seat::Capability::Pointer) && client.pointer.is_none() {
        client.pointer = Some(seat.get_pointer(queue, ()));
    }
    match (now.contains(wl_seat::Capability::Keyboard), client.keyboard.take()) {
        (true, known) => client.keyboard = Some(known.unwrap_or_else(|| seat.get_keyboard(queue, ()))),
        (false, Some(gone)) => gone.release(),
        (false, None) => {}
    }
});
dispatch!(wl_pointer::WlPointer, (), |client, _pointer, event, _data, _connection, queue| {
    if let wl_pointer::Event::Button { serial, state: WEnum::Value(wl_pointer::ButtonState::Pressed), .. } =
        event
        && !client.options.offers.is_empty()
    {
        must(client.begin_drag(serial, queue));
    }
});
dispatch!(wl_keyboard::WlKeyboard, (), |client, _keyboard, event, _data, _connection, queue| {
    if let wl_keyboard::Event::Key { serial, state: WEnum::Value(wl_keyboard::KeyState::Pressed), .. } = event
    {
        must(client.act(serial, queue));
    }
});
dispatch!(wl_data_device::WlDataDevice, (), |client, _device, event, _data, connection, _queue| {
    match event {
        wl_data_device::Event::Selection { id } => client.selection = id,
        wl_data_device::Event::Enter { serial, id, .. } => client.over(serial, id),
        wl_data_device::Event::Drop => must(client.dropped(connection)),
        wl_data_device::Event::Leave => {
            if let Some(offer) = client.drag.take() {
                offer.destroy();
                say(&format!("{} is left", client.options.title));
            }
        }
        _ => {}
    }
}
event_created_child!(Client, wl_data_device::WlDataDevice, [
    wl_data_device::EVT_DATA_OFFER_OPCODE => (wl_data_offer::WlDataOffer, Types::default()),
]););
dispatch!(wl_data_offer::WlDataOffer, Types, |client, _offer, event, types, _connection, _queue| {
    match event {
        wl_data_offer::Event::Offer { mime_type } => {
            types.lock().unwrap_or_else(PoisonError::into_inner).push(mime_type);
        }
        wl_data_offer::Event::Action { dnd_action: WEnum::Value(action) } if action == DndAction::Copy => {
            say(&format!("{} agrees", client.options.title));
        }
        _ => {}
    }
});
dispatch!(wl_data_source::WlDataSource, (), |client, source, event, _data, _connection, _queue| {
    let title = &client.options.title;
    match event {
        wl_data_source::Event::Send { mime_type, fd } => give(client.offered(&mime_type), fd),
        wl_data_source::Event::DndFinished => {
            say(&format!("{title} finished"));
            source.destroy();
        }
        wl_data_source::Event::Cancelled => {
            say(&format!("{title} cancelled"));
            source.destroy();
        }
        _ => {}
    }
});
dispatch!(ZwpPrimarySelectionDeviceV1, (), |client, _device, event, _data, _connection, _queue| {
    if let primary_device::Event::Selection { id } = event {
        client.primary_selection = id;
    }
}
event_created_child!(Client, ZwpPrimarySelectionDeviceV1, [
    primary_device::EVT_DATA_OFFER_OPCODE => (ZwpPrimarySelectionOfferV1, ()),
]););
dispatch!(ZwpPrimarySelectionOfferV1, (), |_client, _offer, _event, _data, _connection, _queue| {});
dispatch!(ZwpPrimarySelectionSourceV1, (), |client, _source, event, _data, _connection, _queue| {
    if let primary_source::Event::Send { mime_type, fd } = event {
        give(client.offered(&mime_type), fd);
    }
});
dispatch!(xdg_wm_base::XdgWmBase, (), |_client, shell, event, _data, _connection, _queue| {
    if let xdg_wm_base::Event::Ping { serial } = event {
        shell.pong(serial);
    }
});
dispatch!(xdg_surface::XdgSurface, (), |client, surface, event, _data, _connection, queue| {
    if let xdg_surface::Event::Configure { serial } = event {
        surface.ack_configure(serial);
        must(client.paint(queue));
    }
});
dispatch!(xdg_toplevel::XdgToplevel, (), |client, _toplevel, event, _data, _connection, _queue| {
    match event {
        xdg_toplevel::Event::Configure { width, height, .. } if width > 0 && height > 0 => {
            client.size = (width, height);
        }
        xdg_toplevel::Event::Close => client.is_closed = true,
        _ => {}
    }
});
dispatch!(wl_buffer::WlBuffer, (), |_client, buffer, event, _data, _connection, _queue| {
    if let wl_buffer::Event::Release = event {
        buffer.destroy();
    }
});
delegate_noop!(Client: ignore wl_surface::WlSurface);
delegate_noop!(Client: ignore wl_shm::WlShm);
delegate_noop!(Client: wl_shm_pool::WlShmPool);
delegate_noop!(Client: wl_compositor::WlCompositor);
delegate_noop!(Client: wl_data_device_manager::WlDataDeviceManager);
delegate_noop!(Client: primary_manager::ZwpPrimarySelectionDeviceManagerV1);

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--title" => options.title = value,
            "--take" => options.take = value,
            "--key" => options.key = value,
            "--offer" => {
                let (mime, path) = value.split_once('=').ok_or("--offer takes MIME=FILE")?;
                let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
                options.offers.push((mime.to_owned(), bytes));
            }
            _ => return Err(format!("unknown option {argument}")),
        }
    }
    Ok(options)
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let connection = Connection::connect_to_env()?;
    let (list, mut events) = registry_queue_init::<Client>(&connection)?;
    let queue = events.handle();
    let compositor: wl_compositor::WlCompositor = list.bind(&queue, 4..=4, ())?;
    let shell: xdg_wm_base::XdgWmBase = list.bind(&queue, 1..=1, ())?;
    let seat: wl_seat::WlSeat = list.bind(&queue, 5..=5, ())?;
    let manager: wl_data_device_manager::WlDataDeviceManager = list.bind(&queue, 3..=3, ())?;
    let primaries: ZwpPrimarySelectionDeviceManagerV1 = list.bind(&queue, 1..=1, ())?;
    let surface = compositor.create_surface(&queue, ());
    let shell_surface = shell.get_xdg_surface(&surface, &queue, ());
    let toplevel = shell_surface.get_toplevel(&queue, ());
    toplevel.set_title(options.title.clone());
    surface.commit();
    let mut client = Client {
        shm: list.bind(&queue, 1..=1, ())?,
        device: manager.get_data_device(&seat, &queue, ()),
        primary: primaries.get_device(&seat, &queue, ()),
        options,
        surface,
        size: (SIZE, SIZE),
        pointer: None,
        keyboard: None,
        manager,
        primaries,
        compositor,
        selection: None,
        primary_selection: None,
        drag: None,
        icon: None,
        is_mapped: false,
        is_closed: false,
    };
    while !client.is_closed {
        events.blocking_dispatch(&mut client)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("handover: {error}");
            ExitCode::FAILURE
        }
    }
}
