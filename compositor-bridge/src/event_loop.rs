//! Start, the event loop, and the end of a bridge.

use crate::app::{App, Received};
use crate::bridge::Bridge;
use crate::config::{BridgeConfig, BridgeError, HostSession};
use crate::control::{Control, Report, Shown};
use crate::host::attention::Attention;
use crate::host::context::restrict;
use crate::host::cursor::Pointing;
use crate::host::globals::Globals;
use crate::host::last_words::{self, Refusal};
use crate::host::outputs::Outputs;
use crate::host::seat::Input;
use crate::host::text_input::TextInputs;
use crate::sandbox;
use crate::selection::Selections;
use crate::surface::border::Border;
use crate::surface::commit::is_printed;
use crate::surface::{Pools, Surfaces};
use postern_channel::MAX_MESSAGE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use wayland_client::backend::WaylandError;
use wayland_client::globals::registry_queue_init;
use wayland_client::{Connection, DispatchError, EventQueue};

/// Most messages that are taken from the app before the session gets its turn.
const MESSAGES: usize = 64;
/// How long start-up takes, with the app's first window.
const START_UP: Duration = Duration::from_secs(2);
/// How often slow transfers are looked at.
const TRANSFER_CHECK: Duration = Duration::from_secs(1);

/// Serves one app: `channel` is the bridge's end of its remote-display channel, a `SOCK_SEQPACKET` socket. Returns when
/// the app's side closes it.
///
/// Confines the whole calling process for ever once it has connected (Landlock, seccomp), so it is to be called on the
/// only thread of a process made for it, with nothing open that the bridge does not need.
///
/// # Errors
/// Why it had to end before that; see [`BridgeError::is_host_side`] for those where a new bridge helps. The error is
/// also reported on the control socket.
pub fn run(channel: OwnedFd, config: BridgeConfig) -> Result<(), BridgeError> {
    let mut control = Control::new(config.control);
    let host = config.host;
    let setup = Setup {
        title_prefix: config.title_prefix.chars().filter(|&c| is_printed(c)).collect(),
        app_id: config.app_id,
        border: config.border,
        selections: Selections::new(config.clipboard_read, config.clipboard_write),
        before_confinement: config.before_confinement,
        launch_token: std::env::var("XDG_ACTIVATION_TOKEN").ok().filter(|token| !token.is_empty()),
    };
    let connection = match connect(host) {
        Ok(connection) => connection,
        Err(error) => {
            report_failure(&mut control, &error);
            return Err(error);
        }
    };
    let restricted = restrict(connection, setup.app_id.as_deref());
    let connection = &restricted.connection;
    let mut control = Some(control);
    let started = start(connection, channel, &mut control, setup);
    let (mut queue, mut bridge) = match started {
        Ok(started) => started,
        Err(error) => {
            if let Some(control) = &mut control {
                report_failure(control, &error);
            }
            return Err(error);
        }
    };
    let result = serve(connection, &mut queue, &mut bridge);
    // In order, popups first: not every compositor gets a client's abrupt end right.
    bridge.remove_all_surfaces();
    let _ = connection.flush();
    if let Err(error) = &result {
        report_failure(&mut bridge.control, error);
    }
    result
}

/// What of the configuration becomes part of the bridge.
struct Setup {
    title_prefix: String,
    app_id: Option<String>,
    border: Option<[u8; 3]>,
    selections: Selections,
    before_confinement: fn() -> Box<dyn FnOnce()>,
    launch_token: Option<String>,
}

fn report_failure(control: &mut Control, error: &BridgeError) {
    control.report(&Report::Failed { error: error.to_string(), retry: error.is_host_side() });
    control.flush();
}

fn connect(host: HostSession) -> Result<Connection, BridgeError> {
    let connection = match host {
        HostSession::Environment => Connection::connect_to_env(),
        HostSession::Socket(socket) => Connection::from_socket(socket),
    };
    connection.map_err(|error| BridgeError::NoSession(error.to_string()))
}

/// Learns what the session has, and confines the process.
fn start(
    connection: &Connection,
    channel: OwnedFd,
    control: &mut Option<Control>,
    setup: Setup,
) -> Result<(EventQueue<Bridge>, Bridge), BridgeError> {
    let (list, mut queue) = registry_queue_init::<Bridge>(connection)
        .map_err(|error| BridgeError::NoSession(error.to_string()))?;
    let handle = queue.handle();
    let globals = Globals::bind(&list, &handle)?;
    let mut outputs = Outputs::default();
    list.contents().with_list(|globals_there| {
        for global in globals_there {
            let (name, version) = (global.name, global.version);
            outputs.add(&globals, list.registry(), &handle, name, &global.interface, version);
        }
    });
    let mut input = Input::default();
    let mut selections = setup.selections;
    let mut text_inputs = TextInputs::default();
    // From version 10 on a compositor may repeat keys itself, which apps of older versions could not be told.
    if let Ok(seat) = list.bind(&handle, 1..=9, ()) {
        selections.follow(&globals, &seat, &handle);
        text_inputs.follow(&globals, &seat, &handle);
        input.seat = Some(seat);
    }
    let mut pointing = Pointing::default();
    pointing.open_theme(&globals, &handle);
    let border = setup.border.and_then(|colour| Border::new(colour, &globals, &handle));
    let mut bridge = Bridge {
        queue: handle,
        globals,
        outputs,
        input,
        pointing,
        surfaces: Surfaces::default(),
        pools: Pools::default(),
        border,
        selections,
        text_inputs,
        attention: Attention::new(setup.launch_token),
        app: App::new(channel),
        control: control.take().unwrap_or_else(|| Control::new(None)),
        title_prefix: setup.title_prefix,
        app_id: setup.app_id,
        frames: 0,
        copied: 0,
        greeted: false,
        settling: None,
    };
    bridge.greet();
    // The first answer names outputs, formats and devices; the second has the keymap.
    let prepared = (0..2).try_for_each(|_| {
        queue.roundtrip(&mut bridge).map(drop).map_err(|error| session_error(connection, error))
    });
    bridge.settling = Some((Instant::now() + START_UP, (setup.before_confinement)()));
    let confined = prepared.and_then(|()| sandbox::enter());
    match confined {
        Ok(landlock) => bridge.control.report(&Report::Ready { landlock }),
        Err(error) => {
            *control = Some(bridge.control);
            return Err(error);
        }
    }
    Ok((queue, bridge))
}

fn session_error(connection: &Connection, error: DispatchError) -> BridgeError {
    match error {
        DispatchError::Backend(error) => wayland_error(connection, error),
        DispatchError::BadMessage { .. } => BridgeError::SessionEnded(error.to_string()),
    }
}

fn wayland_error(connection: &Connection, error: WaylandError) -> BridgeError {
    // A broken pipe often comes with an error event that says why.
    let protocol = match &error {
        WaylandError::Protocol(protocol) => Some(protocol.clone()),
        WaylandError::Io(_) => connection.protocol_error(),
    };
    if let Some(error) = protocol {
        let (interface, code, message) = (error.object_interface, error.code, error.message);
        return BridgeError::Refused { interface, code, message };
    }
    match last_words::refusal(connection.as_fd()) {
        // Which object it was about only the library knew.
        Some(Refusal { code, message }) => {
            BridgeError::Refused { interface: "<unknown>".into(), code, message }
        }
        None => BridgeError::SessionEnded(error.to_string()),
    }
}

fn would_block(error: &WaylandError) -> bool {
    matches!(error, WaylandError::Io(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn serve(
    connection: &Connection,
    queue: &mut EventQueue<Bridge>,
    bridge: &mut Bridge,
) -> Result<(), BridgeError> {
    let mut buffer = Box::new([0; MAX_MESSAGE + 1]);
    loop {
        queue.dispatch_pending(bridge).map_err(|error| session_error(connection, error))?;
        let Some(reading) = queue.prepare_read() else { continue };
        let host_blocked = is_blocked(connection)?;
        if !bridge.app.flush()? {
            return Ok(());
        }
        let now = Instant::now();
        let next_report = {
            let Bridge { control, surfaces, frames, copied, title_prefix, .. } = bridge;
            control.report_shown(now, || Shown {
                frames: *frames,
                copied: *copied,
                windows: surfaces.windows(title_prefix),
            })
        };
        bridge.control.flush();
        let transfers = bridge.selections.is_active().then_some(TRANSFER_CHECK);
        if let Some((_, settle)) = bridge.settling.take_if(|(at, _)| *at <= now) {
            settle();
        }
        let settling = bridge.settling.as_ref().map(|(at, _)| at.saturating_duration_since(now));
        let held = [bridge.selections.drags.held_for(now), bridge.app.held_for(now)];
        let held = held.into_iter().flatten();
        let timeout = next_report.into_iter().chain(transfers).chain(settling).chain(held).min();

        let ready = wait(bridge, &reading, host_blocked, timeout)?;
        if ready.host {
            match reading.read() {
                Ok(_) => {}
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(wayland_error(connection, error)),
            }
        } else {
            drop(reading);
        }
        if ready.control {
            receive_settings(bridge);
        }
        if ready.app && !receive_messages(connection, bridge, &mut buffer)? {
            return Ok(());
        }
        bridge.tend_drag(Instant::now());
        if bridge.selections.is_active() {
            bridge.pump_selections(Instant::now());
        }
    }
}

/// Sends what waits for the compositor. True: it does not take all of it now.
fn is_blocked(connection: &Connection) -> Result<bool, BridgeError> {
    match connection.flush() {
        Ok(()) => Ok(false),
        Err(error) if would_block(&error) => Ok(true),
        Err(error) => Err(wayland_error(connection, error)),
    }
}

/// What can be read without waiting.
struct Ready {
    host: bool,
    app: bool,
    control: bool,
}

fn wait(
    bridge: &Bridge,
    reading: &wayland_client::backend::ReadEventsGuard,
    host_blocked: bool,
    timeout: Option<Duration>,
) -> Result<Ready, BridgeError> {
    let host_fd = reading.connection_fd();
    let out_if = |waiting| if waiting { PollFlags::OUT } else { PollFlags::empty() };
    // While the compositor does not take requests, nothing more is taken from the app: so the queue stays short and
    // the app waits, not the session.
    let app_in = if host_blocked { PollFlags::empty() } else { PollFlags::IN };
    let mut polled = vec![
        PollFd::from_borrowed_fd(host_fd, PollFlags::IN | out_if(host_blocked)),
        PollFd::from_borrowed_fd(bridge.app.fd(), app_in | out_if(bridge.app.is_waiting())),
    ];
    let control_at = bridge.control.fd().map(|control| {
        polled.push(PollFd::from_borrowed_fd(control, PollFlags::IN | out_if(bridge.control.is_waiting())));
        polled.len() - 1
    });
    // Nothing is read for an app that does not take what it has.
    let pipes = bridge.selections.readable().filter(|_| bridge.app.is_short());
    let pipes_in = pipes.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN));
    polled.extend(pipes_in);
    let pipes_out = bridge.selections.writable().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::OUT));
    polled.extend(pipes_out);

    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(BridgeError::System("wait for events", error.into())),
    }
    let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
    let is_readable = |at| polled.get(at).is_some_and(|fd: &PollFd<'_>| fd.revents().intersects(readable));
    Ok(Ready { host: is_readable(0), app: is_readable(1), control: control_at.is_some_and(is_readable) })
}

fn receive_settings(bridge: &mut Bridge) {
    let mut lines = Vec::new();
    bridge.control.receive(|line| lines.push(line));
    for line in lines {
        match line {
            Ok(settings) => bridge.change_settings(&settings),
            Err(what) => bridge.control.report(&Report::Refused { what }),
        }
    }
}

/// Takes messages from the app. False: it has closed its end.
fn receive_messages(
    connection: &Connection,
    bridge: &mut Bridge,
    buffer: &mut [u8; MAX_MESSAGE + 1],
) -> Result<bool, BridgeError> {
    for _ in 0..MESSAGES {
        match bridge.app.receive(buffer)? {
            Received::Message(bytes, handle) => bridge.datagram(bytes, handle)?,
            Received::Nothing => break,
            Received::End => return Ok(false),
        }
        // Also keeps what one message causes within the buffer of a libwayland that cannot grow it.
        if is_blocked(connection)? {
            break;
        }
    }
    Ok(true)
}
