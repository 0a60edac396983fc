//! The client's side of the control socket.

use super::{MAX_LINE, Reply, Request, Status};
use crate::paths;
use crate::permission::Effect;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for an answer of a monitor.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why a monitor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket: the monitor is dead.
    #[error("{} belongs to a monitor that is gone", .0.display())]
    Dead(PathBuf),
    /// The connection failed, or the answer did not come in time.
    #[error("{}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The answer was not understood.
    #[error("{}: {message}", path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        message: String,
    },
    /// The monitor refused.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a monitor.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the monitor behind `path`.
    ///
    /// # Errors
    /// [`ClientError::Dead`] if nobody listens there.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|source| match source.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ClientError::Dead(path.to_owned()),
            _ => ClientError::Io { path: path.to_owned(), source },
        })?;
        let client = Self { path: path.to_owned(), stream: BufReader::new(stream) };
        client.set_timeout(TIMEOUT)?;
        Ok(client)
    }

    /// Sets the longest wait for one answer.
    ///
    /// # Errors
    /// If the host refuses the value.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), ClientError> {
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| stream.set_write_timeout(Some(timeout)))
            .map_err(|source| self.io(source))
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, source: io::Error) -> ClientError {
        ClientError::Io { path: self.path.clone(), source }
    }

    fn protocol(&self, message: impl Into<String>) -> ClientError {
        ClientError::Protocol { path: self.path.clone(), message: message.into() }
    }

    fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.protocol(error.to_string()))?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(|source| self.io(source))
    }

    fn receive(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let got =
            (&mut self.stream).take(limit).read_until(b'\n', &mut line).map_err(|source| self.io(source))?;
        if got == 0 {
            return Err(ClientError::Dead(self.path.clone()));
        }
        serde_json::from_slice(&line).map_err(|error| self.protocol(error.to_string()))
    }

    /// Asks one thing.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the monitor's reason; others if it could not be asked.
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.send(request)?;
        match self.receive()? {
            Reply::Error(reason) => Err(ClientError::Refused(reason)),
            reply => Ok(reply),
        }
    }

    /// The state of the app; with proportional memory if `memory`.
    ///
    /// # Errors
    /// If the monitor could not be asked.
    pub fn status(&mut self, memory: bool) -> Result<Status, ClientError> {
        match self.ask(&Request::Status { memory })? {
            Reply::Status(status) => Ok(*status),
            other => Err(self.protocol(format!("unexpected answer {other:?}"))),
        }
    }

    /// Asks the app to end.
    ///
    /// # Errors
    /// If the monitor could not be asked.
    pub fn stop(&mut self) -> Result<(), ClientError> {
        self.ask(&Request::Stop).map(|_| ())
    }

    /// Ends the app at once.
    ///
    /// # Errors
    /// If the monitor could not be asked.
    pub fn kill(&mut self) -> Result<(), ClientError> {
        self.ask(&Request::Kill).map(|_| ())
    }

    /// Shows the app's windows by the compositor behind `socket` from now on.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if there is no compositor or the app has no display; others if it could not be asked.
    pub fn attach(&mut self, socket: &Path) -> Result<(), ClientError> {
        self.ask(&Request::Attach { socket: socket.to_owned() }).map(|_| ())
    }

    /// Changes a permission of the running app and says when it gets it.
    ///
    /// # Errors
    /// If the monitor could not be asked or refused.
    pub fn permit(&mut self, permission: &str, value: &str) -> Result<Effect, ClientError> {
        let request = Request::Permit { permission: permission.into(), value: value.into() };
        match self.ask(&request)? {
            Reply::Permitted(effect) => Ok(effect),
            other => Err(self.protocol(format!("unexpected answer {other:?}"))),
        }
    }

    /// The state again and again, every `interval`, until the app ends.
    ///
    /// # Errors
    /// If the monitor could not be asked.
    pub fn subscribe(
        mut self,
        interval: Duration,
        memory: bool,
    ) -> Result<impl Iterator<Item = Result<Status, ClientError>>, ClientError> {
        self.set_timeout(interval.saturating_add(TIMEOUT))?;
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.send(&Request::Subscribe { interval_ms, memory })?;
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let item = match self.receive() {
                Ok(Reply::Status(status)) => return Some(Ok(*status)),
                Ok(Reply::Error(reason)) => Some(Err(ClientError::Refused(reason))),
                Ok(other) => Some(Err(self.protocol(format!("unexpected answer {other:?}")))),
                Err(ClientError::Dead(_)) => None,
                Err(error) => Some(Err(error)),
            };
            ended = true;
            item
        }))
    }
}

/// A running app, as its socket's name tells.
#[derive(Debug)]
pub struct Running {
    /// This run of it.
    pub instance: String,
    /// The connection.
    pub client: Client,
}

/// Connects to the monitors of all running apps of this user, in order of instance. Sockets that dead monitors left
/// are removed.
#[must_use]
pub fn running() -> Vec<Running> {
    let Ok(dir) = paths::runtime() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(instance) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".sock"))
        else {
            continue;
        };
        match Client::connect(&path) {
            Ok(client) => found.push(Running { instance: instance.to_owned(), client }),
            Err(ClientError::Dead(path)) => {
                let _ = std::fs::remove_file(path);
            }
            Err(_) => {}
        }
    }
    found.sort_by(|a, b| a.instance.cmp(&b.instance));
    found
}
