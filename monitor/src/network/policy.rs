//! Which peers an app may connect to.

use crate::permission::{Endpoint, Network, NetworkMode};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long the addresses of a host name are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The port of name servers.
const DNS: u16 = 53;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no network for the app, or none to this peer: as on a machine without a route.
    NoRoute,
    /// The host's own services: as if nobody listened.
    Local,
}

/// Addresses of host names, for a while.
#[derive(Debug, Default)]
pub struct Names(Mutex<Vec<(String, Instant, Vec<IpAddr>)>>);

impl Names {
    /// The addresses of `host`.
    fn addresses(&self, host: &str) -> Vec<IpAddr> {
        if let Ok(address) = host.parse() {
            return vec![address];
        }
        let mut known = crate::account::lock(&self.0);
        known.retain(|(_, since, _)| since.elapsed() < REMEMBERED);
        if let Some((_, _, addresses)) = known.iter().find(|(name, _, _)| name == host) {
            return addresses.clone();
        }
        let found: Vec<IpAddr> =
            (host, 0).to_socket_addrs().map(|list| list.map(|peer| peer.ip()).collect()).unwrap_or_default();
        known.push((host.to_owned(), Instant::now(), found.clone()));
        found
    }
}

fn matches(names: &Names, endpoint: &Endpoint, peer: SocketAddr) -> bool {
    endpoint.port.is_none_or(|port| port == peer.port())
        && endpoint.host.as_ref().is_none_or(|host| names.addresses(host).contains(&peer.ip()))
}

/// The host's name servers.
fn name_servers() -> Vec<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers.filter_map(|rest| rest.trim().parse().ok()).collect()
}

/// Whether an app with this permission may send to `peer`.
///
/// The host's own services (its loopback addresses) have to be named; a permission for the whole network does not
/// include them. Name servers are reachable as soon as anything is.
///
/// # Errors
/// Why not.
pub fn check(names: &Names, network: &Network, peer: SocketAddr) -> Result<(), Refusal> {
    if network.mode != NetworkMode::Outbound {
        return Err(Refusal::NoRoute);
    }
    // An IPv4 address in IPv6 clothes is what it says inside.
    let address = peer.ip().to_canonical();
    let peer = SocketAddr::new(address, peer.port());
    if peer.port() == DNS && name_servers().contains(&address) {
        return Ok(());
    }
    let named = |endpoint: &&Endpoint| endpoint.host.is_some() && matches(names, endpoint, peer);
    if address.is_loopback() || address.is_unspecified() {
        return if network.allow.iter().any(|e| named(&e)) { Ok(()) } else { Err(Refusal::Local) };
    }
    if network.allow.is_empty() || network.allow.iter().any(|endpoint| matches(names, endpoint, peer)) {
        Ok(())
    } else {
        Err(Refusal::NoRoute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(mode: NetworkMode, allow: &[&str]) -> Network {
        let allow = allow.iter().map(|e| e.parse().expect("an endpoint")).collect();
        Network { mode, allow, listen: Vec::new() }
    }

    fn checked(network: &Network, peer: &str) -> Result<(), Refusal> {
        check(&Names::default(), network, peer.parse().expect("an address"))
    }

    #[test]
    fn nothing_without_permission() {
        for mode in [NetworkMode::None, NetworkMode::Ask] {
            assert_eq!(checked(&network(mode, &[]), "192.0.2.1:443"), Err(Refusal::NoRoute));
        }
    }

    #[test]
    fn all_but_the_hosts_own_services() {
        let all = network(NetworkMode::Outbound, &[]);
        assert_eq!(checked(&all, "192.0.2.1:443"), Ok(()));
        assert_eq!(checked(&all, "[2001:db8::1]:443"), Ok(()));
        for local in ["127.0.0.1:631", "[::1]:631", "[::ffff:127.0.0.1]:631", "0.0.0.0:631", "127.9.9.9:1"] {
            assert_eq!(checked(&all, local), Err(Refusal::Local), "{local}");
        }
        // Any host on a port is not a name for the host itself.
        assert_eq!(
            checked(&network(NetworkMode::Outbound, &["*:631"]), "127.0.0.1:631"),
            Err(Refusal::Local)
        );
    }

    #[test]
    fn lists_name_hosts_and_ports() {
        let some =
            network(NetworkMode::Outbound, &["192.0.2.1:443", "*:25", "[2001:db8::1]", "127.0.0.1:8080"]);
        for good in ["192.0.2.1:443", "198.51.100.7:25", "[2001:db8::1]:9", "127.0.0.1:8080"] {
            assert_eq!(checked(&some, good), Ok(()), "{good}");
        }
        for bad in ["192.0.2.1:80", "192.0.2.2:443", "[2001:db8::2]:9"] {
            assert_eq!(checked(&some, bad), Err(Refusal::NoRoute), "{bad}");
        }
    }
}
