//! The network interfaces that an app sees: the loopback of its family, and, while it may use the network, one
//! Ethernet interface that stands for all of the host's. Neither tells anything about the host.

use crate::ipc::poller;
use crate::{Errno, Result};
use alloc::vec::Vec;
use postern_abi::boot::permission;
use postern_pal::user;

/// An interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: &'static [u8],
    /// `IFF_*`.
    pub flags: u32,
    /// `ARPHRD_*`.
    pub hardware: u16,
    /// Bytes.
    pub mtu: u32,
    /// IPv4 address.
    pub address: [u8; 4],
    /// Bits of network in the address.
    pub prefix: u8,
}

/// The loopback interface.
pub const LOOPBACK: Interface = Interface {
    index: 1,
    name: b"lo",
    // UP, LOOPBACK, RUNNING, LOWER_UP.
    flags: 0x1_0049,
    hardware: 772,
    mtu: 65536,
    address: [127, 0, 0, 1],
    prefix: 8,
};

/// The way out.
const OUTSIDE: Interface = Interface {
    index: 2,
    name: b"eth0",
    // UP, BROADCAST, RUNNING, MULTICAST, LOWER_UP.
    flags: 0x1_1043,
    hardware: 1,
    mtu: 1500,
    address: [10, 0, 2, 15],
    prefix: 24,
};

/// Packets that an interface's queue holds: the kernel's usual number.
pub const QUEUE_LENGTH: u32 = 1000;

/// The interfaces of the moment.
#[must_use]
pub fn all() -> Vec<Interface> {
    let mut all = alloc::vec![LOOPBACK];
    if poller::permissions() & permission::NETWORK != 0 {
        all.push(OUTSIDE);
    }
    all
}

const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCGIFNETMASK: u32 = 0x891b;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;
/// Bytes of `struct ifreq`, and of the name at its start.
const REQUEST_SIZE: usize = 40;
const NAME_SIZE: usize = 16;

fn padded_name(name: &[u8]) -> [u8; NAME_SIZE] {
    let mut out = [0; NAME_SIZE];
    for (slot, byte) in out.iter_mut().zip(name) {
        *slot = *byte;
    }
    out
}

fn ipv4(address: [u8; 4]) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, byte) in out.iter_mut().zip([2, 0, 0, 0].iter().chain(&address)) {
        *slot = *byte;
    }
    out
}

/// netdevice(7).
///
/// # Errors
/// `ENODEV` for an unknown interface, `ENOTTY` for another request, `EFAULT`.
pub fn ioctl(request: u32, argument: usize) -> Result<u64> {
    if request == SIOCGIFCONF {
        return configuration(argument);
    }
    if !matches!(
        request,
        SIOCGIFNAME
            | SIOCGIFFLAGS
            | SIOCGIFADDR
            | SIOCGIFBRDADDR
            | SIOCGIFNETMASK
            | SIOCGIFMTU
            | SIOCGIFHWADDR
            | SIOCGIFINDEX
            | SIOCGIFTXQLEN
    ) {
        return Err(Errno::ENOTTY);
    }
    let name: [u8; NAME_SIZE] = user::read(argument)?;
    let value = argument + NAME_SIZE;
    if request == SIOCGIFNAME {
        let index: u32 = user::read(value)?;
        let found = all().into_iter().find(|i| i.index == index).ok_or(Errno::ENODEV)?;
        user::write(argument, &padded_name(found.name))?;
        return Ok(0);
    }
    let found = all().into_iter().find(|i| padded_name(i.name) == name).ok_or(Errno::ENODEV)?;
    let mask = u32::MAX.checked_shl(32 - u32::from(found.prefix)).unwrap_or(0);
    match request {
        SIOCGIFFLAGS => user::write(value, &u16::try_from(found.flags & 0xffff).unwrap_or(0))?,
        SIOCGIFADDR => user::write(value, &ipv4(found.address))?,
        SIOCGIFNETMASK => user::write(value, &ipv4(mask.to_be_bytes()))?,
        SIOCGIFBRDADDR => {
            let address = u32::from_be_bytes(found.address) | !mask;
            user::write(value, &ipv4(address.to_be_bytes()))?;
        }
        SIOCGIFMTU => user::write(value, &found.mtu)?,
        SIOCGIFINDEX => user::write(value, &found.index)?,
        SIOCGIFTXQLEN => user::write(value, &QUEUE_LENGTH)?,
        _ => {
            let mut hardware = [0; 16];
            let bytes = found.hardware.to_ne_bytes().into_iter().chain(hardware_address(&found));
            for (slot, byte) in hardware.iter_mut().zip(bytes) {
                *slot = byte;
            }
            user::write(value, &hardware)?;
        }
    }
    Ok(0)
}

/// The hardware address of an interface: locally administered, the same for every app.
#[must_use]
pub fn hardware_address(interface: &Interface) -> [u8; 6] {
    if interface.index == LOOPBACK.index { [0; 6] } else { [2, 0, 0, 0, 0, 1] }
}

fn configuration(argument: usize) -> Result<u64> {
    let [room, buffer]: [usize; 2] = user::read(argument)?;
    let room = room & 0xffff_ffff;
    let all = all();
    let mut written = 0;
    for interface in &all {
        if buffer == 0 {
            written += REQUEST_SIZE;
            continue;
        }
        if written + REQUEST_SIZE > room {
            break;
        }
        user::write(buffer + written, &padded_name(interface.name))?;
        user::write(buffer + written + NAME_SIZE, &ipv4(interface.address))?;
        written += REQUEST_SIZE;
    }
    user::write(argument, &u32::try_from(written).unwrap_or(0))?;
    Ok(0)
}
