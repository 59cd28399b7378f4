//! Networks that calls may come from.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::list::Listed;
use super::{RulesError, shown};

/// Bits before the IPv4 address in an IPv6 address that holds one.
const MAPPED_BITS: u8 = 96;

/// A network, or a single address as a network of one. IPv4 in the clothes of IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Reads `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32`. Bits behind the network's own are dropped.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let single = || text.parse().ok().map(|address: IpAddr| IpNet::from(address));
        let network: Option<IpNet> = text.parse().ok().or_else(single);
        network.map(|network| Self(unmapped(network.trunc()))).ok_or_else(|| RulesError::Network(shown(text)))
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

fn unmapped(network: IpNet) -> IpNet {
    let address = match network.addr().to_canonical() {
        IpAddr::V4(address) if network.max_prefix_len() > 32 => address,
        _ => return network,
    };
    let prefix = network.prefix_len().checked_sub(MAPPED_BITS);
    prefix.and_then(|prefix| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

impl Listed for Network {
    const MAX: usize = 128;
    const WHAT: &'static str = "networks";

    fn read(text: &str) -> Result<Self, RulesError> {
        Self::parse(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
