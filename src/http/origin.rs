//! From which address a client calls, where trusted proxies stand before the relay.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// Proxies that may stand in one row; beyond that, nobody believes the list.
const HOPS_MAX: usize = 32;

/// The client's address: the peer's own, or when the peer is a trusted proxy, the last address in `Forwarded` (RFC 7239)
/// or `X-Forwarded-For` that no trusted proxy has. What stands before that may be anybody's word. A hop that is no
/// address ends the search: the client is then the proxy that told of it.
pub(super) fn client_address(trusted_proxies: &[IpNet], headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|network| network.contains(address));
    let mut client = peer;
    if !is_trusted(&peer) {
        return client;
    }
    for hop in hops(headers).into_iter().rev().take(HOPS_MAX) {
        let Some(address) = hop else { break };
        client = address;
        if !is_trusted(&address) {
            break;
        }
    }
    client
}

/// The addresses that proxies have noted, the nearest last.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let name = if headers.contains_key("forwarded") { "forwarded" } else { "x-forwarded-for" };
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let elements = lines.flat_map(|line| line.split(','));
    match name {
        "forwarded" => elements.map(|element| address(noted_for(element)?)).collect(),
        _ => elements.map(address).collect(),
    }
}

/// `for=` of one element of `Forwarded`.
fn noted_for(element: &str) -> Option<&str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, value)| value)
}

/// An address with or without a port, quotes and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn client(fields: &[(&'static str, &str)], peer: &str) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        client_address(&["10.0.0.0/8".parse().unwrap()], &headers, peer.parse().unwrap()).to_string()
    }

    #[test]
    fn a_stranger_is_his_own_witness_only_for_his_peer() {
        assert_eq!(client(&[("x-forwarded-for", "198.51.100.7")], "192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn of_a_row_of_proxies_the_last_untrusted_address_counts() {
        let row = "203.0.113.9, 198.51.100.7, 10.0.0.2";
        assert_eq!(client(&[("x-forwarded-for", row)], "10.0.0.1"), "198.51.100.7");
        assert_eq!(client(&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.1"), "10.0.0.3");
        assert_eq!(
            client(&[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.0.0.2")], "10.0.0.1"),
            "198.51.100.7"
        );
        assert_eq!(client(&[], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn invariant_7_a_row_of_proxies_is_believed_up_to_its_longest() {
        let row: Vec<_> = (0..=HOPS_MAX).map(|nth| format!("10.0.1.{nth}")).collect();
        assert_eq!(client(&[("x-forwarded-for", &row.join(","))], "10.0.0.1"), "10.0.1.1");
    }

    #[test]
    fn every_form_of_an_address_is_read() {
        for (element, wanted) in [
            ("for=198.51.100.7;proto=https", "198.51.100.7"),
            ("proto=https;For=\"198.51.100.7:4711\"", "198.51.100.7"),
            ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("for=\"[2001:db8::7]\"", "2001:db8::7"),
            ("for=unknown", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client(&[("forwarded", element)], "10.0.0.1"), wanted, "{element}");
        }
    }
}
