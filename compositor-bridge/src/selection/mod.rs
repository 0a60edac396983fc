//! Clipboard, primary selection and drags, in both directions. Clipboard and primary selection each need the app's
//! permission for the direction. A drag needs none: to drag something out of a window, and to drop something on one, is
//! as clear a word of the user as there is. What is over a window but not dropped gives no more than its MIME types.
//!
//! Everything streams ([`transfer`]); nothing here ever waits: the pipes are part of the event loop.

mod drag;
mod files;
mod host;
mod transfer;

use crate::app::App;
use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::control::{Report, Settings};
use crate::host::globals::Globals;
use drag::Drags;
use host::{Device, Source};
use postern_channel::{Data, DataState, Message, Offer, Request, Selection, is_mime, limit, mimes};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use transfer::{Paste, Provision, Step, say};
use wayland_client::QueueHandle;
use wayland_client::protocol::wl_seat;

/// Clipboard or primary selection.
#[derive(Default)]
struct Slot {
    device: Option<Device>,
    /// What the session has, unless it is ours.
    offer: Option<host::Offer>,
    /// What the app has put there.
    source: Option<Source>,
}

impl Slot {
    fn hold(&mut self, offer: Option<host::Offer>) {
        if let Some(old) = std::mem::replace(&mut self.offer, offer) {
            old.destroy();
        }
    }

    fn drop_source(&mut self) -> bool {
        self.source.take().map(Source::destroy).is_some()
    }
}

/// All that is handed over.
pub struct Selections {
    may_read: bool,
    may_write: bool,
    clipboard: Slot,
    primary: Slot,
    pub drags: Drags,
    /// A MIME type that only this bridge's own offers have, to tell them from those of others.
    mark: String,
    pastes: Vec<Paste>,
    provisions: Vec<Provision>,
    last_transfer: u32,
    last_question: u32,
}

impl Selections {
    /// With the permissions that the app starts with.
    pub fn new(may_read: bool, may_write: bool) -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        Self {
            may_read,
            may_write,
            clipboard: Slot::default(),
            primary: Slot::default(),
            drags: Drags::default(),
            mark: format!("{}{random:016x}", host::MARK),
            pastes: Vec::new(),
            provisions: Vec::new(),
            last_transfer: 0,
            last_question: 0,
        }
    }

    /// Begins to follow the seat's selections.
    pub fn follow(&mut self, globals: &Globals, seat: &wl_seat::WlSeat, queue: &QueueHandle<Bridge>) {
        let data = globals.data_devices.as_ref();
        self.clipboard.device = data.map(|manager| Device::Data(manager.get_data_device(seat, queue, ())));
        let primary = globals.primary_devices.as_ref();
        self.primary.device = primary.map(|manager| Device::Primary(manager.get_device(seat, queue, ())));
    }

    /// Clipboard or primary selection by its number.
    fn slot(&mut self, selection: u32) -> Option<&mut Slot> {
        match selection {
            Selection::CLIPBOARD => Some(&mut self.clipboard),
            Selection::PRIMARY => Some(&mut self.primary),
            _ => None,
        }
    }

    /// Tells the app what there is to paste for it.
    pub fn send_offers(&mut self, app: &mut App) {
        for selection in [Selection::CLIPBOARD, Selection::PRIMARY] {
            self.send_offer(selection, app);
        }
    }

    fn send_offer(&mut self, selection: u32, app: &mut App) {
        let may_read = self.may_read;
        let Some(slot) = self.slot(selection) else { return };
        let types = slot.offer.as_ref().filter(|_| may_read).and_then(host::Offer::types);
        let list = types.map(host::OfferTypes::list).unwrap_or_default();
        app.send(&Message::Offer(Offer { selection, ..Offer::default() }, &list));
    }

    /// The app's side began anew.
    pub fn forget_app(&mut self) {
        self.pastes.clear();
        self.provisions.clear();
        self.clipboard.drop_source();
        self.primary.drop_source();
        self.drags = Drags::default();
    }

    /// Pipes that data is awaited from.
    pub fn readable(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pastes = self.pastes.iter().filter_map(Paste::readable);
        pastes.chain(self.drags.readable()).map(AsFd::as_fd)
    }

    /// Pipes that data waits for.
    pub fn writable(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.provisions.iter().filter_map(Provision::writable).map(AsFd::as_fd)
    }

    /// Whether anything has to be given up if it takes too long.
    pub fn is_active(&self) -> bool {
        !self.pastes.is_empty() || !self.provisions.is_empty() || self.drags.is_waiting()
    }

    fn question(&mut self) -> u32 {
        self.last_question = self.last_question.checked_add(1).unwrap_or(1);
        self.last_question
    }
}

impl Bridge {
    /// The user changed what the app may do, or the monitor answers a question.
    pub fn change_settings(&mut self, settings: &Settings) {
        let selections = &mut self.selections;
        if let Some(may_read) = settings.clipboard_read
            && may_read != selections.may_read
        {
            selections.may_read = may_read;
            if !may_read {
                for paste in selections.pastes.extract_if(.., |paste| paste.selection != Selection::DRAG) {
                    say(&mut self.app, paste.transfer, DataState::FAILED, &[]);
                }
            }
            selections.send_offers(&mut self.app);
        }
        if let Some(may_write) = settings.clipboard_write {
            selections.may_write = may_write;
            if !may_write {
                let provisions = selections.provisions.extract_if(.., |p| p.selection != Selection::DRAG);
                for provision in provisions {
                    say(&mut self.app, provision.transfer, DataState::STOP, &[]);
                }
                selections.clipboard.drop_source();
                selections.primary.drop_source();
            }
        }
        if let Some(answer) = &settings.files {
            self.files_answered(answer);
        }
    }

    /// The session's clipboard or primary selection is another one now.
    fn selected(&mut self, selection: u32, offer: Option<host::Offer>) {
        let is_own = offer.as_ref().and_then(host::Offer::types).is_some_and(host::OfferTypes::is_own);
        let Some(slot) = self.selections.slot(selection) else { return };
        if is_own {
            // The app knows what it has copied itself.
            slot.hold(None);
            if let Some(own) = offer {
                own.destroy();
            }
        } else {
            slot.hold(offer);
            self.selections.send_offer(selection, &mut self.app);
        }
    }

    /// Something else took the place of what the app had put there. Who pastes already still gets it.
    fn replaced(&mut self, selection: u32) {
        if self.selections.slot(selection).is_some_and(Slot::drop_source) {
            self.app.send(&Message::Offer(Offer { selection, serial: 1, ..Offer::default() }, &[]));
        }
    }

    /// The app has something for others to paste, or drags it.
    pub fn app_offers(&mut self, offer: Offer, list: &[u8]) {
        let mimes: Vec<&str> = mimes(list).filter_map(|mime| std::str::from_utf8(mime).ok()).collect();
        if offer.selection == Selection::DRAG {
            return self.app_drags(offer, &mimes);
        }
        let may_write = self.selections.may_write;
        let mark = self.selections.mark.clone();
        let Some(slot) = self.selections.slot(offer.selection) else { return };
        // What is there before is not what the app has now.
        slot.drop_source();
        if mimes.is_empty() {
            return;
        }
        if !may_write {
            let what = match offer.selection {
                Selection::CLIPBOARD => "to copy to the clipboard",
                _ => "to offer its selection to the middle button",
            };
            return self.denied("clipboard-write", what);
        }
        let mut mimes: Vec<&str> = mimes.into_iter().filter(|mime| !mime.starts_with(host::MARK)).collect();
        mimes.push(&mark);
        if let Some(device) = slot.device.clone() {
            let source = self.make_source(&device, &mimes, offer.serial);
            if let Some(slot) = self.selections.slot(offer.selection) {
                slot.source = source;
            }
        }
    }

    /// The app wants to have what it pastes or what was dropped on it.
    pub fn app_requests(&mut self, request: Request, mime: &[u8]) -> Result<(), BridgeError> {
        let mime = std::str::from_utf8(mime)
            .ok()
            .filter(|mime| is_mime(mime.as_bytes()))
            .ok_or_else(|| malformed("a request for no MIME type"))?;
        if request.selection == Selection::DRAG {
            self.drag_requested(request.transfer, mime);
            return Ok(());
        }
        if !self.selections.may_read {
            say(&mut self.app, request.transfer, DataState::FAILED, &[]);
            let what = match request.selection {
                Selection::CLIPBOARD => "to paste from the clipboard",
                _ => "to paste what is selected elsewhere",
            };
            self.denied("clipboard-read", what);
            return Ok(());
        }
        let offer = self.selections.slot(request.selection).and_then(|slot| slot.offer.as_ref());
        let has_it = offer.and_then(host::Offer::types).is_some_and(|types| types.has(mime));
        let pipes = if has_it { transfer::pipe().ok() } else { None };
        let write = self.begin_paste(request, pipes);
        let offer = self.selections.slot(request.selection).and_then(|slot| slot.offer.as_ref());
        if let (Some(offer), Some(write)) = (offer, write) {
            offer.receive(mime.into(), write.as_fd());
        }
        Ok(())
    }

    /// Begins to read for the app; returns the end to write to. None: it was refused.
    fn begin_paste(&mut self, request: Request, pipes: Option<(OwnedFd, OwnedFd)>) -> Option<OwnedFd> {
        let pastes = &mut self.selections.pastes;
        let is_known = pastes.iter().any(|paste| paste.transfer == request.transfer);
        match pipes.filter(|_| pastes.len() < limit::TRANSFERS && !is_known) {
            Some((read, write)) => {
                pastes.push(Paste::new(request, read));
                Some(write)
            }
            None => {
                say(&mut self.app, request.transfer, DataState::FAILED, &[]);
                None
            }
        }
    }

    /// A piece of what the app provides, or its word on one of what it gets. One for a transfer that has ended is
    /// dropped.
    pub fn app_data(&mut self, data: Data, piece: &[u8]) -> Result<(), BridgeError> {
        let Selections { pastes, provisions, .. } = &mut self.selections;
        match data.state {
            DataState::TAKEN => {
                pastes
                    .iter_mut()
                    .filter(|p| p.transfer == data.transfer)
                    .for_each(|p| p.taken(Instant::now()));
                return Ok(());
            }
            DataState::STOP => {
                pastes.retain(|paste| paste.transfer != data.transfer);
                return Ok(());
            }
            _ => {}
        }
        let Some(at) = provisions.iter().position(|p| p.transfer == data.transfer) else { return Ok(()) };
        let is_failed = data.state == DataState::FAILED;
        let Some(provision) = provisions.get_mut(at) else { return Ok(()) };
        let fits = is_failed || provision.add(piece, data.state == DataState::LAST, &mut self.app)?;
        if is_failed || !fits {
            provisions.swap_remove(at);
        }
        if !fits {
            say(&mut self.app, data.transfer, DataState::STOP, &[]);
            self.control.report(&Report::Refused { what: "a transfer that is too large".into() });
        }
        Ok(())
    }

    /// Somebody in the session wants what the app has.
    fn provide(&mut self, selection: u32, mime: &str, pipe: OwnedFd) {
        let selections = &mut self.selections;
        let is_fit = is_mime(mime.as_bytes()) && !mime.starts_with(host::MARK);
        if !is_fit || selections.provisions.len() >= limit::TRANSFERS {
            return;
        }
        selections.last_transfer = selections.last_transfer.checked_add(1).unwrap_or(1);
        let request = Request { transfer: selections.last_transfer, selection };
        if let Ok(provision) = Provision::new(request, pipe, files::is_list(mime)) {
            selections.provisions.push(provision);
            self.app.send(&Message::Request(request, mime.as_bytes()));
        }
    }

    /// Moves all transfers on, as far as they go now.
    pub fn pump_selections(&mut self, now: Instant) {
        self.ask_about_lists();
        let Self { selections, app, control, .. } = self;
        selections.pastes.retain_mut(|paste| match paste.step(now, app) {
            Step::More => true,
            Step::Done => false,
            Step::Failed(why) => {
                say(app, paste.transfer, DataState::FAILED, &[]);
                control.report(&Report::Refused { what: format!("a paste: {why}") });
                false
            }
        });
        selections.provisions.retain_mut(|provision| match provision.step(now, app) {
            Step::More => true,
            Step::Done => false,
            Step::Failed(_) => {
                say(app, provision.transfer, DataState::STOP, &[]);
                false
            }
        });
        self.pump_drop(now);
    }
}
