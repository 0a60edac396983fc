//! Who comes to the front: `xdg_activation_v1` among the windows of this display, and `xdg_system_bell_v1`.
//!
//! A token is a name for the user's input that asks for a window. It only means something in this display: that of
//! the launcher that started the app is the bridge's to use.

use crate::client::ClientId;
use crate::object::{Kind, Token};
use crate::shell::{Done, Failure, fault};
use crate::surface::Role;
use crate::wire::Reader;
use crate::{Display, Platform};
use postern_channel::{Action, Interactive, Message};

/// xdg_activation_token_v1.error.already_used.
const ALREADY_USED: u32 = 0;
/// Most tokens that may wait to be used; of more, the oldest are worth nothing.
const MAX_TOKENS: usize = 64;

/// A token that was given out: its number, and the serial of the input that it stands for.
pub struct Given {
    number: u32,
    serial: u32,
}

const PREFIX: &[u8] = b"postern-";

impl<P: Platform> Display<P> {
    /// A request of xdg_activation_token_v1.
    pub(crate) fn token_request(
        &mut self,
        id: ClientId,
        object: u32,
        token: Token,
        opcode: u16,
        r: &mut Reader<'_>,
    ) -> Done {
        if opcode == 4 {
            self.destroy(id, object);
            return Ok(());
        }
        if token.is_used {
            return fault(object, ALREADY_USED, "the token has been committed");
        }
        let mut token = token;
        match opcode {
            0 => {
                let (serial, seat) = (r.u32()?, r.u32()?);
                if !matches!(self.kind_of(id, seat), Some(Kind::Seat)) {
                    return Err(Failure::Malformed);
                }
                token.serial = serial;
            }
            1 => {
                let _app_id = r.string()?;
            }
            2 => {
                let surface = r.u32()?;
                self.surface_of(id, surface)?;
            }
            3 => {
                token.is_used = true;
                self.give_token(id, object, token.serial);
            }
            _ => return Err(Failure::Malformed),
        }
        self.create_over(id, object, Kind::ActivationToken(token));
        Ok(())
    }

    fn give_token(&mut self, id: ClientId, object: u32, serial: u32) {
        let number = self.next_token;
        self.next_token = self.next_token.checked_add(1).unwrap_or(1);
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back(Given { number, serial });
        if let Some(client) = self.client(id) {
            drop(client.event(object, 0).string(&name(number)));
        }
    }

    /// xdg_activation_v1.activate. A token is good for one window. One that is not known does nothing, which is what the
    /// protocol says of invalid ones.
    pub(crate) fn activate(&mut self, id: ClientId, r: &mut Reader<'_>) -> Done {
        let (token, surface) = (r.string()?.unwrap_or(b""), r.u32()?);
        let surface = self.surface_of(id, surface)?;
        let Some(at) = self.tokens.iter().position(|given| name(given.number) == token) else {
            return Ok(());
        };
        let Some(Given { serial, .. }) = self.tokens.remove(at) else { return Ok(()) };
        if self.surfaces.get(&surface).is_some_and(|s| s.role == Role::Toplevel && s.announced) {
            let message = Interactive { surface, action: Action::ACTIVATE, serial, x: 0, y: 0 };
            self.send(&Message::Interactive(message, &[]), None);
        }
        Ok(())
    }

    /// xdg_system_bell_v1.ring.
    pub(crate) fn ring(&mut self, id: ClientId, r: &mut Reader<'_>) -> Done {
        let surface = r.u32()?;
        let surface = if surface == 0 { 0 } else { self.surface_of(id, surface)? };
        let message = Interactive { surface, action: Action::BELL, serial: 0, x: 0, y: 0 };
        self.send(&Message::Interactive(message, &[]), None);
        Ok(())
    }
}

/// A token as clients see it.
fn name(number: u32) -> alloc::vec::Vec<u8> {
    [PREFIX, alloc::format!("{number}").as_bytes()].concat()
}
