//! Under which address a client reaches the relay, and which of fal's hosts that address stands for.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header};

use super::settings::{Hosts, Settings};
use crate::fal::Role;
use crate::relay::Refusal;

/// The longest host name that DNS allows, and a port.
const HOST_MAX_BYTES: usize = 253 + 6;

/// What a request's address says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// Which of fal's hosts it stands for.
    pub(super) role: Role,
    /// The base of addresses given to this client, without a trailing slash.
    pub(super) base: String,
}

impl Site {
    /// Reads the request's own words, and a proxy's only when the proxy is trusted.
    pub(super) fn of(
        settings: &Settings,
        uri: &Uri,
        headers: &HeaderMap,
        peer: IpAddr,
        secure: bool,
    ) -> Result<Self, Refusal> {
        let trusted = settings.trusted_proxies.iter().any(|network| network.contains(&peer));
        let forwarded = if trusted { Forwarded::read(headers) } else { Forwarded::default() };
        let host = match forwarded.host {
            Some(host) => host,
            None => own_host(uri, headers)?,
        };
        let host = checked(host)?;
        let scheme = forwarded.proto.unwrap_or(if secure { "https" } else { "http" });
        let base = settings.public_url.clone().unwrap_or_else(|| [scheme, "://", host].concat());
        Ok(Self { role: role(&settings.hosts, host), base })
    }
}

fn own_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) => Ok(host),
        _ => Err(Refusal::Malformed("Send one `Host` header that names the relay.")),
    }
}

/// A host becomes part of addresses that we write, so it may hold nothing but a name or address and a port.
fn checked(host: &str) -> Result<&str, Refusal> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    match (1..=HOST_MAX_BYTES).contains(&host.len()) && host.bytes().all(plain) {
        true => Ok(host),
        false => Err(Refusal::Malformed("The `Host` header is not a host name with an optional port.")),
    }
}

/// Which of fal's hosts a name stands for (design 3.2). Names that the operator added come first.
fn role(hosts: &Hosts, host: &str) -> Role {
    let name = without_port(host).trim_end_matches('.');
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let begins_with =
        |label: &str| name.get(..label.len()).is_some_and(|head| head.eq_ignore_ascii_case(label));
    let listed = |names: &[String]| names.iter().any(|known| is(known));
    let roles = [
        (listed(&hosts.queue), Role::Queue),
        (listed(&hosts.run), Role::Run),
        (listed(&hosts.rest), Role::Rest),
        (listed(&hosts.ws), Role::Ws),
        (listed(&hosts.cdn), Role::Cdn),
        (is("fal.run"), Role::Run),
        (is("rest.fal.ai") || is("rest.alpha.fal.ai"), Role::Rest),
        (is("v3.fal.media"), Role::Cdn),
        (begins_with("queue."), Role::Queue),
        (begins_with("run."), Role::Run),
        (begins_with("ws."), Role::Ws),
    ];
    roles.into_iter().find(|(meant, _)| *meant).map_or(Role::Relay, |(_, role)| role)
}

fn without_port(host: &str) -> &str {
    let colon = memchr::memrchr(b':', host.as_bytes());
    let port = colon.filter(|colon| host.as_bytes()[colon + 1..].iter().all(u8::is_ascii_digit));
    port.map_or(host, |colon| &host[..colon])
}

/// What a trusted proxy says of the request as it came to it.
#[derive(Default)]
struct Forwarded<'a> {
    host: Option<&'a str>,
    proto: Option<&'static str>,
}

impl<'a> Forwarded<'a> {
    /// `Forwarded` (RFC 7239) when there is one, else the `X-Forwarded-*` pair. Of several values the last counts: the
    /// trusted proxy wrote it, while those before it may be anybody's.
    fn read(headers: &'a HeaderMap) -> Self {
        match last(headers, "forwarded") {
            Some(element) => element.split(';').filter_map(|pair| pair.split_once('=')).fold(
                Self::default(),
                |read, (name, value)| match name.trim().to_ascii_lowercase().as_str() {
                    "host" => Self { host: Some(unquoted(value)), ..read },
                    "proto" => Self { proto: scheme(unquoted(value)), ..read },
                    _ => read,
                },
            ),
            None => Self {
                host: last(headers, "x-forwarded-host"),
                proto: last(headers, "x-forwarded-proto").and_then(scheme),
            },
        }
    }
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches('"')
}

fn scheme(value: &str) -> Option<&'static str> {
    ["https", "http"].into_iter().find(|scheme| value.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn site(fields: &[(&'static str, &str)], peer: IpAddr) -> Result<Site, Refusal> {
        let settings =
            Settings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() };
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        Site::of(&settings, &"/x/y".parse().unwrap(), &headers, peer, false)
    }

    fn base(fields: &[(&'static str, &str)], peer: IpAddr) -> String {
        site(fields, peer).unwrap().base
    }

    #[test]
    fn the_base_is_what_the_client_wrote() {
        assert_eq!(base(&[("host", "relay.example:8787")], STRANGER), "http://relay.example:8787");
        assert_eq!(base(&[("host", "[::1]:8787")], STRANGER), "http://[::1]:8787");
    }

    #[test]
    fn only_a_trusted_proxy_may_say_otherwise() {
        let fields = [("host", "inner"), ("x-forwarded-host", "evil, outer"), ("x-forwarded-proto", "https")];
        assert_eq!(base(&fields, STRANGER), "http://inner");
        assert_eq!(base(&fields, PROXY), "https://outer");
        let fields = [("host", "inner"), ("forwarded", "for=1;host=evil, host=\"outer:8443\";proto=HTTPS")];
        assert_eq!(base(&fields, STRANGER), "http://inner");
        assert_eq!(base(&fields, PROXY), "https://outer:8443");
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        assert!(site(&[], STRANGER).is_err());
        for bad in ["", "a b", "a/b", "user@host", "a\"b", "a,b"] {
            assert!(site(&[("host", bad)], STRANGER).is_err(), "{bad}");
        }
        assert!(site(&[("host", "a"), ("host", "b")], STRANGER).is_err());
    }

    #[test]
    fn invariant_7_a_host_has_a_longest_form() {
        assert!(site(&[("host", &"a".repeat(HOST_MAX_BYTES))], STRANGER).is_ok());
        assert!(site(&[("host", &"a".repeat(HOST_MAX_BYTES + 1))], STRANGER).is_err());
    }

    #[test]
    fn host_names_choose_the_role() {
        let role_of = |host: &str| site(&[("host", host)], STRANGER).unwrap().role;
        assert_eq!(role_of("queue.fal.run"), Role::Queue);
        assert_eq!(role_of("Queue.relay.example:443"), Role::Queue);
        assert_eq!(role_of("fal.run"), Role::Run);
        assert_eq!(role_of("run.relay.example"), Role::Run);
        assert_eq!(role_of("rest.alpha.fal.ai"), Role::Rest);
        assert_eq!(role_of("ws.fal.run"), Role::Ws);
        assert_eq!(role_of("v3.fal.media:443"), Role::Cdn);
        assert_eq!(role_of("relay.example"), Role::Relay);
        assert_eq!(role_of("fal.run.evil.example"), Role::Relay);
        let hosts = Hosts { run: vec!["direct.example".into()], ..Hosts::default() };
        assert_eq!(role(&hosts, "direct.example:1"), Role::Run);
    }
}
