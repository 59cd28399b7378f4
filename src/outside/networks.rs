//! Networks that are not public (the IANA special-purpose registries), and the addresses that hide in others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// IPv4 networks that are not public.
const RESERVED_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "an unspecified address"),
    (v4(10, 0, 0, 0, 8), "a private network"),
    (v4(100, 64, 0, 0, 10), "a carrier's shared network"),
    (v4(127, 0, 0, 0, 8), "the relay's own machine"),
    // Among them 169.254.169.254, where clouds give out credentials.
    (v4(169, 254, 0, 0, 16), "a link-local network"),
    // Azure's machines ask this one for their credentials.
    (v4(168, 63, 129, 16, 32), "a cloud's metadata service"),
    (v4(172, 16, 0, 0, 12), "a private network"),
    (v4(192, 0, 0, 0, 24), "a reserved network"),
    (v4(192, 0, 2, 0, 24), "a network for documentation"),
    (v4(192, 31, 196, 0, 24), "a reserved network"),
    (v4(192, 52, 193, 0, 24), "a reserved network"),
    (v4(192, 88, 99, 0, 24), "a reserved network"),
    (v4(192, 168, 0, 0, 16), "a private network"),
    (v4(192, 175, 48, 0, 24), "a reserved network"),
    (v4(198, 18, 0, 0, 15), "a network for benchmarks"),
    (v4(198, 51, 100, 0, 24), "a network for documentation"),
    (v4(203, 0, 113, 0, 24), "a network for documentation"),
    (v4(224, 0, 0, 0, 4), "a multicast group"),
    (v4(240, 0, 0, 0, 4), "a reserved network"),
];

/// The same of IPv6. What is in none of these and outside `2000::/3` is reserved as well.
const RESERVED_V6: &[(Ipv6Net, &str)] = &[
    (v6(0, 0, 0, 0, 8), "a reserved network"),
    (v6(0x64, 0xff9b, 1, 0, 48), "a private network"),
    (v6(0x100, 0, 0, 0, 64), "a reserved network"),
    (v6(0x2001, 0, 0, 0, 23), "a reserved network"),
    (v6(0x2001, 0xdb8, 0, 0, 32), "a network for documentation"),
    (v6(0x2002, 0, 0, 0, 16), "a reserved network"),
    (v6(0x2620, 0x4f, 0x8000, 0, 48), "a reserved network"),
    (v6(0x3fff, 0, 0, 0, 20), "a network for documentation"),
    (v6(0xfc00, 0, 0, 0, 7), "a private network"),
    (v6(0xfe80, 0, 0, 0, 10), "a link-local network"),
    (v6(0xfec0, 0, 0, 0, 10), "a private network"),
    (v6(0xff00, 0, 0, 0, 8), "a multicast group"),
];

/// All that is routed between networks.
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 0, 3);
/// Translators' networks whose last 32 bits are an IPv4 address: of NAT64, and of stateless translation.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);
const TRANSLATED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96);
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);
/// The old form `::a.b.c.d`.
const COMPATIBLE: Ipv6Net = v6(0, 0, 0, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 0, 32);

/// What is not public about this address, in words; `None` for a public one.
pub(super) fn reserved(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            RESERVED_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what)
        }
        IpAddr::V6(address) if address.is_unspecified() => Some("an unspecified address"),
        IpAddr::V6(address) if address.is_loopback() => Some("the relay's own machine"),
        IpAddr::V6(address) => {
            let found =
                RESERVED_V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what);
            found.or_else(|| (!GLOBAL.contains(&address)).then_some("a reserved network"))
        }
    }
}

/// Where packets to this address end: at itself, or at the IPv4 addresses that it carries.
pub(super) fn ends(address: IpAddr) -> Vec<IpAddr> {
    let carried = match address {
        IpAddr::V6(address) => carried(address),
        IpAddr::V4(_) => Vec::new(),
    };
    match carried.is_empty() {
        true => vec![address],
        false => carried.into_iter().map(IpAddr::V4).collect(),
    }
}

fn carried(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    if address.is_unspecified() || address.is_loopback() {
        return Vec::new();
    }
    let four = |at: usize| Ipv4Addr::from_bits((address.to_bits() >> (96 - 8 * at)) as u32);
    match address {
        a if [MAPPED, TRANSLATED, COMPATIBLE, NAT64].iter().any(|network| network.contains(&a)) => {
            vec![four(12)]
        }
        a if SIX_TO_FOUR.contains(&a) => vec![four(2)],
        // Its server, and its client with all bits turned round.
        a if TEREDO.contains(&a) => vec![four(4), Ipv4Addr::from_bits(!four(12).to_bits())],
        _ => Vec::new(),
    }
}
