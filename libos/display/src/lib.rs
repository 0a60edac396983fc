//! The Wayland display server of the library OS.
//!
//! A pure state machine: bytes and files from clients go in ([`Display::receive`]), events for clients
//! ([`Display::take_events`]) and messages for the compositor bridge ([`Display::take_channel`]) come out. It does no
//! I/O, has no threads and no clock. A library OS calls it inline from the system call by which a client sends.
//!
//! Modules: [`wire`] bytes; `object` what client ids name; `shm`, `surface`, `subsurface`, `viewport` and `commit`
//! pixels, `copies` those that cannot be shared, `pace` those that come too fast; `shell`, `decoration`, `dialog`,
//! `foreign` and `icon` windows; `seat`, `touch`, `cursor`, `constraint`, `inhibit` and `text_input` input; `selection`
//! copy, paste and drag; `output`, `scale` and `presentation` where and when things are shown; `attention` who comes to
//! the front; `sync`, `dispatch` and `extras` request by request; `channel` the bridge's end, `alone` what happens
//! without one.
//!
//! A client that breaks the protocol gets `wl_display.error` and is disconnected; the other clients go on.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

extern crate alloc;

mod alone;
mod attention;
mod channel;
mod client;
mod commit;
mod constraint;
mod copies;
mod cursor;
mod decoration;
mod dialog;
mod dispatch;
mod extras;
mod foreign;
mod globals;
mod icon;
mod inhibit;
mod object;
mod output;
mod pace;
mod presentation;
mod scale;
mod seat;
mod selection;
mod shell;
mod shm;
mod subsurface;
mod surface;
mod sync;
mod text_input;
mod touch;
mod viewport;
pub mod wire;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use client::Client;
pub use client::{ClientError, ClientId};
pub use copies::Copy;
use postern_channel as msg;

/// What the library OS lends to the display server.
pub trait Platform {
    /// An open file of an app: what it sends with `SCM_RIGHTS`.
    type File: Clone;
    /// A host memory handle, as it travels on the channel.
    type Handle: Clone;

    /// The host memory behind a file that a client offers as a pool, and its present size in bytes. `None` if it
    /// cannot leave the family.
    fn pool_memory(&mut self, file: &Self::File) -> Option<(Self::Handle, u64)>;
    /// A memory file of `size` bytes of our own for the pixels of a file that cannot leave the family; `known` is the one
    /// that was made before, to be made larger. `None` if the file is shorter, or has no bytes that stay.
    fn copied_memory(
        &mut self,
        file: &Self::File,
        size: u64,
        known: Option<&Self::Handle>,
    ) -> Option<Self::Handle> {
        let _ = (file, size, known);
        None
    }
    /// A read-only file of an app that shows `size` bytes of a handle: the keymap.
    fn file_from_handle(&mut self, handle: &Self::Handle, size: u32) -> Option<Self::File>;
    /// Writes a piece to a file that an app gave for a transfer, in the background: [`Display::transfer_written`] tells
    /// when it is out, or [`Display::transfer_unread`] that it never will be. `last`: nothing more comes.
    fn write(&mut self, transfer: u32, file: &Self::File, bytes: &[u8], last: bool);
    /// What was not written yet is not to be written any more.
    fn stop_writing(&mut self, transfer: u32);
    /// A pipe whose other end the library OS reads in the background as far as [`Display::may_collect`] allows, handing
    /// what comes to [`Display::transfer_data`]. Returns the end to write to.
    fn collect(&mut self, transfer: u32) -> Option<Self::File>;
    /// [`Display::may_collect`] allows it again.
    fn go_on_collecting(&mut self, transfer: u32);
    /// Nothing more is to be read from the pipe: it is closed.
    fn stop_collecting(&mut self, transfer: u32);
    /// Drops a file of an app's, once nothing here is in the way.
    fn close(&mut self, file: Self::File);
}

/// A channel message on its way to the bridge: encoded bytes, and the handle that goes with them.
pub struct Outgoing<H> {
    /// The datagram.
    pub bytes: Vec<u8>,
    /// The handle.
    pub handle: Option<H>,
}

/// Messages that may wait for the bridge before clients are held up.
const CONGESTED: usize = 1024;

/// The display server of one family.
pub struct Display<P: Platform> {
    clients: BTreeMap<ClientId, Client<P::File>>,
    next_client: u32,
    surfaces: BTreeMap<u32, surface::Surface>,
    pools: BTreeMap<u32, shm::Pool<P::File, P::Handle>>,
    /// Buffer attachments that the bridge may still read: number → who to tell.
    attachments: BTreeMap<u32, shm::Attachment>,
    copies: copies::Copies,
    outputs: BTreeMap<u32, msg::Output>,
    /// Outputs that a former bridge told of and the present one has not (yet).
    stale_outputs: BTreeSet<u32>,
    seat: seat::Seat<P::Handle>,
    selections: selection::Selections<P::File>,
    text_inputs: text_input::TextInputs,
    /// Wishes for presentation feedback that were not answered: number → who waits.
    feedbacks: BTreeMap<u32, presentation::Feedback>,
    /// Activation tokens that were given out and not used, oldest first.
    tokens: VecDeque<attention::Given>,
    /// Windows that clients export to each other.
    exports: BTreeMap<u32, foreign::Export>,
    out: VecDeque<Outgoing<P::Handle>>,
    ready: BTreeSet<ClientId>,
    next_surface: u32,
    next_pool: u32,
    next_attachment: u32,
    next_serial: u32,
    next_feedback: u32,
    next_token: u32,
    next_export: u32,
    /// What the compositor has: [`msg::Feature`] bits.
    features: u32,
    versions: globals::HostVersions,
    connected: bool,
    /// No bridge is there and clients go on without.
    alone: bool,
    now_ms: u32,
    /// When the bridge last said that the host showed something or let a buffer go.
    heard_ms: u32,
    /// What the host's clock is ahead of the caller's, in milliseconds.
    clock_offset: u32,
    /// Commits with a buffer so far: frames shown.
    frames: u64,
}

impl<P: Platform> Default for Display<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> Display<P> {
    /// A display without clients, not yet greeted by a bridge.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clients: BTreeMap::new(),
            next_client: 1,
            surfaces: BTreeMap::new(),
            pools: BTreeMap::new(),
            attachments: BTreeMap::new(),
            copies: copies::Copies::default(),
            outputs: BTreeMap::new(),
            stale_outputs: BTreeSet::new(),
            seat: seat::Seat::default(),
            selections: selection::Selections::default(),
            text_inputs: text_input::TextInputs::default(),
            feedbacks: BTreeMap::new(),
            tokens: VecDeque::new(),
            exports: BTreeMap::new(),
            out: VecDeque::new(),
            ready: BTreeSet::new(),
            next_surface: 1,
            next_pool: 1,
            next_attachment: 1,
            next_serial: 1,
            next_feedback: 1,
            next_token: 1,
            next_export: 1,
            features: 0,
            versions: globals::HostVersions::default(),
            connected: false,
            alone: false,
            now_ms: 0,
            heard_ms: 0,
            clock_offset: 0,
            frames: 0,
        }
    }

    /// Frames committed so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether a bridge has greeted: before that, outputs and input devices are unknown and clients should wait.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.connected
    }

    /// Whether so much waits for the bridge that clients are not to be heard before it took some of it.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.out.len() >= CONGESTED
    }

    /// A number that is not in use, from a counter that may wrap.
    fn fresh<T>(counter: &mut u32, used: &BTreeMap<u32, T>) -> u32 {
        loop {
            let number = *counter;
            *counter = counter.checked_add(1).unwrap_or(1);
            if !used.contains_key(&number) {
                return number;
            }
        }
    }

    fn serial(&mut self) -> u32 {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.checked_add(1).unwrap_or(1);
        serial
    }
}
