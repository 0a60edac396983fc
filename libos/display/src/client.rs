//! A client: its objects, the bytes it sent and the events it gets.

use crate::object::{Kind, Object};
use crate::wire::Writer;
use crate::{Display, Platform};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// Names a client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u32);

/// Why a client is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// It broke the protocol; the error event is in its queue.
    Protocol,
    /// There is no such client (any more).
    Gone,
}

/// A protocol error on its way to the client: object, code, text.
pub struct Fault {
    pub object: u32,
    pub code: u32,
    pub text: &'static str,
}

/// Errors of wl_display itself.
pub mod display_error {
    pub const INVALID_OBJECT: u32 = 0;
    pub const INVALID_METHOD: u32 = 1;
    pub const NO_MEMORY: u32 = 2;
}

/// Most objects of one client.
pub const MAX_OBJECTS: usize = 65_536;
/// First id of the objects that the server makes.
pub const FIRST_SERVER_ID: u32 = 0xff00_0000;
/// Most objects that the server makes for one client.
const MAX_SERVER_OBJECTS: u32 = 4096;
/// Most bytes of events that wait for a client that does not read.
const MAX_EVENTS: usize = 4 << 20;

pub struct Client<F> {
    pub objects: BTreeMap<u32, Object>,
    /// Bytes of an incomplete request.
    pub input: Vec<u8>,
    pub files: VecDeque<F>,
    pub events: Vec<u8>,
    pub event_files: VecDeque<F>,
    /// Ids of objects that the server made and the client destroyed.
    free_ids: Vec<u32>,
    /// Ids that the server has used: client libraries demand that there are no gaps.
    used_ids: u32,
    /// Callbacks of wl_display.sync that wait for the host.
    pub syncs: Vec<u32>,
    /// When the oldest of them came.
    pub syncs_since: u32,
    pub failed: bool,
    /// It has made an icon of buffers.
    pub has_icons: bool,
}

impl<F> Client<F> {
    pub fn new() -> Self {
        let mut objects = BTreeMap::new();
        objects.insert(1, Object { kind: Kind::Display, version: 1 });
        Self {
            objects,
            input: Vec::new(),
            files: VecDeque::new(),
            events: Vec::new(),
            event_files: VecDeque::new(),
            free_ids: Vec::new(),
            used_ids: 0,
            syncs: Vec::new(),
            syncs_since: 0,
            failed: false,
            has_icons: false,
        }
    }

    /// Begins an event.
    pub fn event(&mut self, object: u32, opcode: u16) -> Writer<'_> {
        if self.events.len() > MAX_EVENTS {
            // It does not read: drop what waits and let it go.
            self.failed = true;
            self.events.clear();
            self.event_files.clear();
        }
        Writer::new(&mut self.events, object, opcode)
    }

    /// Ids of the objects that `select` accepts, with their versions.
    pub fn find(&self, select: impl Fn(&Kind) -> bool) -> Vec<(u32, u32)> {
        self.objects.iter().filter(|(_, o)| select(&o.kind)).map(|(id, o)| (*id, o.version)).collect()
    }

    /// Removes an object; the client may use its id again.
    pub fn remove(&mut self, id: u32) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        if id < FIRST_SERVER_ID {
            drop(self.event(1, 1).u32(id));
        } else {
            self.free_ids.push(id);
        }
        Some(object)
    }

    /// An object that the server makes; none for a client that lets thousands pile up.
    pub fn introduce(&mut self, kind: Kind, version: u32) -> Option<u32> {
        let id = match self.free_ids.pop() {
            Some(id) => id,
            None if self.used_ids < MAX_SERVER_OBJECTS => {
                self.used_ids += 1;
                FIRST_SERVER_ID + self.used_ids - 1
            }
            None => return None,
        };
        self.objects.insert(id, Object { kind, version });
        Some(id)
    }
}

impl<P: Platform> Display<P> {
    /// A new client.
    pub fn connect(&mut self) -> ClientId {
        let id = ClientId(self.next_client);
        self.next_client = self.next_client.checked_add(1).unwrap_or(1);
        self.clients.insert(id, Client::new());
        id
    }

    /// A client is gone: its windows vanish.
    pub fn disconnect(&mut self, id: ClientId) {
        let own: Vec<u32> = self.surfaces.iter().filter(|(_, s)| s.client == id).map(|(n, _)| *n).collect();
        for surface in own {
            self.destroy_surface(surface);
        }
        self.drop_selections_of(id);
        self.copies.forget_client(id);
        self.forget_text_inputs_of(id);
        if let Some(client) = self.clients.remove(&id) {
            for object in client.objects.values() {
                match &object.kind {
                    Kind::ShmPool(pool) => self.release_pool(*pool),
                    Kind::Buffer(buffer) => self.release_pool(buffer.pool),
                    _ => {}
                }
            }
        }
        self.ready.remove(&id);
    }

    /// Whether events wait for the client.
    #[must_use]
    pub fn has_events(&self, id: ClientId) -> bool {
        self.clients.get(&id).is_some_and(|c| !c.events.is_empty())
    }

    /// Takes up to `max` bytes of events, and all files that belong to what waits.
    pub fn take_events(&mut self, id: ClientId, max: usize) -> (Vec<u8>, VecDeque<P::File>) {
        let Some(client) = self.clients.get_mut(&id) else { return (Vec::new(), VecDeque::new()) };
        let rest = if client.events.len() > max { client.events.split_off(max) } else { Vec::new() };
        let bytes = core::mem::replace(&mut client.events, rest);
        (bytes, core::mem::take(&mut client.event_files))
    }

    /// Clients that got events since the last call.
    pub fn take_ready(&mut self) -> Vec<ClientId> {
        for (id, client) in &self.clients {
            if !client.events.is_empty() {
                self.ready.insert(*id);
            }
        }
        core::mem::take(&mut self.ready).into_iter().collect()
    }

    pub(crate) fn client(&mut self, id: ClientId) -> Option<&mut Client<P::File>> {
        self.clients.get_mut(&id)
    }

    /// Runs `f` for every object of every client that `select` accepts: client, object id, version.
    pub(crate) fn for_objects(
        &mut self,
        select: impl Fn(ClientId, &Kind) -> bool,
        mut f: impl FnMut(&mut Client<P::File>, u32, u32),
    ) {
        for (id, client) in &mut self.clients {
            for (object, version) in client.find(|kind| select(*id, kind)) {
                f(client, object, version);
            }
        }
    }
}
