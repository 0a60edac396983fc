//! The clipboard: text in both directions, each by its permission.
//!
//! What passes is gathered whole, up to the limit, before the first byte of it goes on: so something too large is
//! refused instead of cut short. Nothing here ever waits; the pipes are part of the event loop.

mod device;
mod transfer;

use crate::app::App;
use crate::bridge::Bridge;
use crate::config::{BridgeError, malformed};
use crate::control::{Report, Settings};
use crate::host::globals::Globals;
use device::OfferTypes;
use postern_channel::{Data, Message, Offer, Request, Selection, limit};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use transfer::{Paste, Provision, Step};
use wayland_client::protocol::{wl_data_device, wl_data_offer, wl_data_source, wl_seat};
use wayland_client::{Proxy, QueueHandle};

/// Most transfers at one time, in each direction.
const TRANSFERS: usize = 16;

/// The two directions and their permissions.
pub struct Clipboard {
    device: Option<wl_data_device::WlDataDevice>,
    may_read: bool,
    may_write: bool,
    /// What the session's clipboard has, unless it is ours.
    selection: Option<wl_data_offer::WlDataOffer>,
    /// A drag over the app's windows, which is not taken.
    drag: Option<wl_data_offer::WlDataOffer>,
    /// What the app has put on the session's clipboard.
    source: Option<wl_data_source::WlDataSource>,
    /// A MIME type that only this bridge's own offers have, to tell them from those of others.
    mark: String,
    pastes: Vec<Paste>,
    provisions: Vec<Provision>,
    last_transfer: u32,
}

impl Clipboard {
    /// With the permissions that the app starts with.
    pub fn new(may_read: bool, may_write: bool) -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        Self {
            device: None,
            may_read,
            may_write,
            selection: None,
            drag: None,
            source: None,
            mark: format!("application/x-postern-own-{random:016x}"),
            pastes: Vec::new(),
            provisions: Vec::new(),
            last_transfer: 0,
        }
    }

    /// Begins to follow the seat's clipboard.
    pub fn follow(&mut self, globals: &Globals, seat: &wl_seat::WlSeat, queue: &QueueHandle<Bridge>) {
        self.device = globals.data_devices.as_ref().map(|manager| manager.get_data_device(seat, queue, ()));
    }

    /// Tells the app what there is to paste for it.
    pub fn send_offer(&self, app: &mut App) {
        let mut list = Vec::new();
        if self.may_read
            && let Some(types) = self.selection.as_ref().and_then(|offer| offer.data::<OfferTypes>())
        {
            for mime in types.texts() {
                list.extend(mime.as_bytes());
                list.push(0);
            }
        }
        app.send(&Message::Offer(
            Offer { selection: Selection::CLIPBOARD, serial: 0, ..Default::default() },
            &list,
        ));
    }

    /// The app's side began anew.
    pub fn forget_app(&mut self) {
        self.pastes.clear();
        self.drop_source();
    }

    /// Takes what the app had put on the session's clipboard away again.
    fn drop_source(&mut self) {
        self.provisions.clear();
        if let Some(source) = self.source.take() {
            source.destroy();
        }
    }

    /// Pipes that data is awaited from.
    pub fn readable(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pastes.iter().map(|paste| paste.pipe().as_fd())
    }

    /// Pipes that data waits for.
    pub fn writable(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.provisions.iter().filter(|provision| provision.is_ready()).map(|p| p.pipe().as_fd())
    }

    /// Whether anything has to be given up if it takes too long.
    pub fn is_active(&self) -> bool {
        !self.pastes.is_empty() || !self.provisions.is_empty()
    }
}

impl Bridge {
    /// The user changed what the app may do.
    pub fn change_settings(&mut self, settings: &Settings) {
        let clipboard = &mut self.clipboard;
        if let Some(may_read) = settings.clipboard_read
            && may_read != clipboard.may_read
        {
            clipboard.may_read = may_read;
            if !may_read {
                for paste in std::mem::take(&mut clipboard.pastes) {
                    answer(&mut self.app, paste.transfer, 2, &[]);
                }
            }
            clipboard.send_offer(&mut self.app);
        }
        if let Some(may_write) = settings.clipboard_write {
            clipboard.may_write = may_write;
            if !may_write {
                clipboard.drop_source();
            }
        }
    }

    /// The app has something to paste for others.
    pub fn clipboard_offer(&mut self, serial: u32, list: &[u8]) -> Result<(), BridgeError> {
        let list = std::str::from_utf8(list).map_err(|_| malformed("a MIME type that is not UTF-8"))?;
        let offered: Vec<&str> = list.split('\0').filter(|mime| !mime.is_empty()).collect();
        let texts: Vec<&str> =
            limit::TEXT_TYPES.iter().copied().filter(|text| offered.contains(text)).collect();
        // What is there before is not what the app has now.
        self.clipboard.drop_source();
        if offered.is_empty() {
            return Ok(());
        }
        if !self.clipboard.may_write {
            self.denied("clipboard-write", "to put text on the clipboard");
            return Ok(());
        }
        if texts.is_empty() {
            let what = format!("a copy that is not text: {}", offered.join(", "));
            self.control.report(&Report::Refused { what });
            return Ok(());
        }
        if let (Some(manager), Some(device)) = (&self.globals.data_devices, &self.clipboard.device) {
            let source = manager.create_data_source(&self.queue, ());
            for mime in texts {
                source.offer(mime.into());
            }
            source.offer(self.clipboard.mark.clone());
            device.set_selection(Some(&source), serial);
            self.clipboard.source = Some(source);
        }
        Ok(())
    }

    /// The app wants to paste.
    pub fn clipboard_request(&mut self, transfer: u32, mime: &[u8]) -> Result<(), BridgeError> {
        let mime = std::str::from_utf8(mime).map_err(|_| malformed("a MIME type that is not UTF-8"))?;
        let clipboard = &mut self.clipboard;
        if !clipboard.may_read {
            answer(&mut self.app, transfer, 2, &[]);
            self.denied("clipboard-read", "to paste from the clipboard");
            return Ok(());
        }
        let offer = clipboard
            .selection
            .as_ref()
            .filter(|offer| offer.data::<OfferTypes>().is_some_and(|types| types.texts().contains(&mime)));
        let pipe = offer
            .filter(|_| clipboard.pastes.len() < TRANSFERS)
            .and_then(|offer| Some((offer, transfer::pipe().ok()?)));
        match pipe {
            Some((offer, (read, write))) => {
                offer.receive(mime.into(), write.as_fd());
                clipboard.pastes.push(Paste::new(transfer, read));
            }
            None => answer(&mut self.app, transfer, 2, &[]),
        }
        Ok(())
    }

    /// A piece of what the app provides. One for a transfer that has ended meanwhile is dropped.
    pub fn clipboard_data(&mut self, data: Data, piece: &[u8]) -> Result<(), BridgeError> {
        let provisions = &mut self.clipboard.provisions;
        let Some(at) = provisions.iter().position(|p| p.transfer == data.transfer) else { return Ok(()) };
        let fits = provisions.get_mut(at).is_some_and(|provision| provision.add(piece, data.state == 1));
        if !fits || data.state == 2 {
            provisions.swap_remove(at);
        }
        if !fits {
            let what = format!("a copy of more than {} bytes", limit::CLIPBOARD);
            self.control.report(&Report::Refused { what });
        }
        Ok(())
    }

    /// Somebody in the session pastes what the app has.
    fn provide(&mut self, mime: &str, pipe: OwnedFd) {
        let clipboard = &mut self.clipboard;
        if !limit::TEXT_TYPES.contains(&mime) || clipboard.provisions.len() >= TRANSFERS {
            return;
        }
        clipboard.last_transfer = clipboard.last_transfer.checked_add(1).unwrap_or(1);
        let transfer = clipboard.last_transfer;
        if let Ok(provision) = Provision::new(transfer, pipe) {
            clipboard.provisions.push(provision);
            let request = Request { transfer, selection: Selection::CLIPBOARD };
            self.app.send(&Message::Request(request, mime.as_bytes()));
        }
    }

    /// Moves all transfers on, as far as they go now.
    pub fn pump_clipboard(&mut self, now: Instant) {
        let mut pastes = std::mem::take(&mut self.clipboard.pastes);
        pastes.retain_mut(|paste| match paste.step(now) {
            Step::More => true,
            Step::Done => {
                let mut pieces = paste.text().chunks(limit::PIECE).peekable();
                while let Some(piece) = pieces.next() {
                    answer(&mut self.app, paste.transfer, u32::from(pieces.peek().is_none()), piece);
                }
                if paste.text().is_empty() {
                    answer(&mut self.app, paste.transfer, 1, &[]);
                }
                false
            }
            Step::Failed(why) => {
                answer(&mut self.app, paste.transfer, 2, &[]);
                self.control.report(&Report::Refused { what: format!("a paste: {why}") });
                false
            }
        });
        self.clipboard.pastes = pastes;
        self.clipboard.provisions.retain_mut(|provision| matches!(provision.step(now), Step::More));
    }
}

fn answer(app: &mut App, transfer: u32, state: u32, piece: &[u8]) {
    app.send(&Message::Data(Data { transfer, state }, piece));
}
