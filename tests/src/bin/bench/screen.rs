//! Looks at a session's screen when it changes, without polling: the compositor copies a frame once something of it is
//! damaged (wlr-screencopy). Looking by screenshots would take processor time from what is being measured.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_buffer, wl_output, wl_registry, wl_shm, wl_shm_pool};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, WEnum, delegate_noop};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_frame_v1::{Event, ZwlrScreencopyFrameV1};
use wayland_protocols_wlr::screencopy::v1::client::zwlr_screencopy_manager_v1::ZwlrScreencopyManagerV1;

/// Of so many pixels one is looked at.
const STEP: usize = 7;
/// How long a screen may stay as it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// Format, width, height and stride of a frame.
type Shape = (wl_shm::Format, i32, i32, i32);

/// What came of a frame.
#[derive(Default)]
struct Frame {
    shape: Option<Shape>,
    is_described: bool,
    /// Whether it was copied, once it is over.
    end: Option<bool>,
}

/// A connection that looks at the first output.
pub struct Screen {
    queue: EventQueue<Frame>,
    copies: ZwlrScreencopyManagerV1,
    shm: wl_shm::WlShm,
    output: wl_output::WlOutput,
    memory: Option<(File, wl_buffer::WlBuffer, Vec<u8>)>,
    /// The colours at the start.
    before: HashSet<[u8; 3]>,
}

impl Screen {
    /// Connects to the compositor at this socket.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let connection = Connection::from_socket(UnixStream::connect(socket)?).map_err(io::Error::other)?;
        let (list, queue) = registry_queue_init::<Frame>(&connection).map_err(io::Error::other)?;
        let handle = queue.handle();
        let mut screen = Self {
            copies: list.bind(&handle, 3..=3, ()).map_err(io::Error::other)?,
            shm: list.bind(&handle, 1..=1, ()).map_err(io::Error::other)?,
            output: list.bind(&handle, 1..=1, ()).map_err(io::Error::other)?,
            queue,
            memory: None,
            before: HashSet::new(),
        };
        if screen.next(Instant::now() + PATIENCE)? {
            screen.before = screen.colours()?;
        }
        Ok(screen)
    }

    /// Waits until the screen shows more than `colours` colours that it did not show at the start: a pointer also has
    /// some.
    pub fn wait_colours(&mut self, colours: usize) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.next(until)? && self.colours()?.difference(&self.before).count() > colours {
                return Ok(());
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the screen stays empty"))
    }

    /// Copies the screen once it differs from the last copy. False: the compositor did not.
    fn next(&mut self, until: Instant) -> io::Result<bool> {
        let handle = self.queue.handle();
        let (mut frame, mut is_asked) = (Frame::default(), false);
        let object = self.copies.capture_output(0, &self.output, &handle, ());
        while frame.end.is_none() {
            self.dispatch(&mut frame, until)?;
            if let Some(shape) = frame.shape.filter(|_| frame.is_described && !is_asked) {
                object.copy_with_damage(self.buffer(shape, &handle)?);
                is_asked = true;
            }
        }
        object.destroy();
        Ok(frame.end == Some(true))
    }

    fn dispatch(&mut self, frame: &mut Frame, until: Instant) -> io::Result<()> {
        self.queue.dispatch_pending(frame).map_err(io::Error::other)?;
        self.queue.flush().map_err(io::Error::other)?;
        let Some(reading) = self.queue.prepare_read() else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(reading.connection_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, timeout)? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the screen does not change"));
        }
        reading.read().map(drop).map_err(io::Error::other)?;
        self.queue.dispatch_pending(frame).map(drop).map_err(io::Error::other)
    }

    /// The memory that frames are copied to.
    fn buffer(&mut self, shape: Shape, handle: &QueueHandle<Frame>) -> io::Result<&wl_buffer::WlBuffer> {
        let (_, buffer, _) = match self.memory.take() {
            Some(memory) => self.memory.insert(memory),
            None => {
                let (format, width, height, stride) = shape;
                let size = stride.checked_mul(height).ok_or_else(|| io::Error::other("a huge screen"))?;
                let bytes = usize::try_from(size).map_err(io::Error::other)?;
                let file = File::from(memfd_create(c"screen", MFdFlags::MFD_CLOEXEC)?);
                file.set_len(u64::try_from(size).map_err(io::Error::other)?)?;
                let pool = self.shm.create_pool(file.as_fd(), size, handle, ());
                let buffer = pool.create_buffer(0, width, height, stride, format, handle, ());
                pool.destroy();
                self.memory.insert((file, buffer, vec![0; bytes]))
            }
        };
        Ok(buffer)
    }

    /// The colours of the last copy.
    fn colours(&mut self) -> io::Result<HashSet<[u8; 3]>> {
        let Some((file, _, bytes)) = &mut self.memory else { return Ok(HashSet::new()) };
        file.read_exact_at(bytes, 0)?;
        let colours = bytes.chunks_exact(4).step_by(STEP).filter_map(|pixel| pixel.first_chunk().copied());
        let mut last = [0; 3];
        Ok(colours.filter(|colour| std::mem::replace(&mut last, *colour) != *colour).collect())
    }
}

impl Dispatch<ZwlrScreencopyFrameV1, ()> for Frame {
    fn event(
        frame: &mut Self,
        _: &ZwlrScreencopyFrameV1,
        event: Event,
        (): &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            Event::Buffer { format: WEnum::Value(format), width, height, stride } => {
                let all = (i32::try_from(width), i32::try_from(height), i32::try_from(stride));
                if let (Ok(width), Ok(height), Ok(stride)) = all {
                    frame.shape = Some((format, width, height, stride));
                }
            }
            Event::BufferDone => frame.is_described = true,
            Event::Ready { .. } => frame.end = Some(true),
            Event::Failed => frame.end = Some(false),
            _ => {}
        }
    }
}

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Frame {
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

delegate_noop!(Frame: ZwlrScreencopyManagerV1);
delegate_noop!(Frame: wl_shm_pool::WlShmPool);
delegate_noop!(Frame: ignore wl_shm::WlShm);
delegate_noop!(Frame: ignore wl_output::WlOutput);
delegate_noop!(Frame: ignore wl_buffer::WlBuffer);
