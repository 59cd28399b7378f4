//! Checks of single values. Each error is the rest of a sentence that begins with the key, and says what to do; none
//! repeats a value that may hold a password.

use crate::http::AllowOrigin;
use crate::money::UnitPrice;
use crate::pricing::Price;
use crate::rules::{Glob, Origin};
use ipnet::IpNet;
use url::{Host, Url};

/// Checks an address that others are built upon: a scheme, a host, perhaps a port and a path; without a trailing slash.
pub(super) fn base_url(text: &str, schemes: &[&str]) -> Result<String, String> {
    let url = Url::parse(text)
        .map_err(|_| format!("is not an address; write one like {}://example.com", schemes[0]))?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!("must begin with {}://", schemes.join(":// or ")));
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("must not hold a user name or a password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before any `?` or `#`".into());
    }
    let host = url.host_str().filter(|host| !host.is_empty() && !host.ends_with('.'));
    let host = host.ok_or("needs a host name, without a dot at its end")?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{host}{port}{}", url.scheme(), base_path(text)?))
}

/// The path as it was written, since a URL parser would quietly resolve what must be refused.
fn base_path(text: &str) -> Result<&str, String> {
    let (_, after_scheme) = text.split_once("://").ok_or("needs :// between the scheme and the host")?;
    let path = after_scheme.find(['/', '\\']).map_or("", |at| &after_scheme[at..]);
    if path.len() == after_scheme.len() {
        return Err("needs a host name right after ://".into());
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let fine = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
    match path.strip_prefix('/').is_none_or(|rest| rest.split('/').all(fine)) && !path.contains('\\') {
        true => Ok(path),
        false => Err(
            "has a path that is not plain; use only letters, digits, `-`, `.`, `_`, `~` between single `/`"
                .into(),
        ),
    }
}

/// Whether an address that [`base_url`] accepted can only mean this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Whether bytes to this address travel unencrypted.
pub(super) fn is_plain(url: &str) -> bool {
    url.starts_with("http:") || url.starts_with("ws:")
}

/// A network, or a single address as a network of one.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address));
    let network = text.parse().ok().or_else(single);
    network.ok_or_else(|| {
        format!("holds {text:?}, which is no network; write one like \"10.0.0.0/8\" or \"::1\"")
    })
}

/// A host name in lower case, without a port.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match text.len() <= 253 && text.split('.').all(label) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!(
            "holds {text:?}, which is no host name; write one like \"queue.example.com\", without a port"
        )),
    }
}

/// First segments of the relay's other routes, which a route of the operator's choice must not hide.
const OTHER_ROUTES: [&str; 11] = [
    ".well-known",
    "files",
    "health",
    "queue",
    "ready",
    "run",
    "storage",
    "tokens",
    "v1",
    "webhooks",
    "fal-ai",
];

/// The path of a route, or nothing when it is switched off.
pub(super) fn route(text: &str) -> Result<Option<String>, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let fine = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(plain);
    let segments = text.strip_prefix('/').map(|rest| rest.split('/'));
    match segments {
        None if text.is_empty() => Ok(None),
        Some(mut segments) if segments.clone().all(fine) => match segments.next() {
            Some(first) if OTHER_ROUTES.contains(&first) => {
                Err(format!("begins with /{first}, where the relay has other routes"))
            }
            _ => Ok(Some(text.to_owned())),
        },
        _ => Err("must be a path such as \"/api/fal/proxy\", of letters, digits, `-`, `.` and `_` between single `/`".into()),
    }
}

/// A browser's origin, or `*` for all of them.
pub(super) fn allow_origin(text: &str) -> Result<AllowOrigin, String> {
    match text {
        "*" => Ok(AllowOrigin::Any),
        _ => {
            Origin::parse(text).map(AllowOrigin::Page).map_err(|error| format!("holds {error}; \"*\" is all"))
        }
    }
}

/// The file of a `sqlite://` address.
pub(super) fn sqlite_path(url: &str) -> Result<std::path::PathBuf, String> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Err(
            "names PostgreSQL, which this release does not have yet; use sqlite://path/to/relay.db".into()
        );
    }
    let path = url
        .strip_prefix("sqlite://")
        .ok_or("must begin with sqlite://, such as sqlite://fal-relay-data/relay.db")?;
    match path.is_empty() || path.ends_with('/') || path.contains(['?', '#', '\0']) {
        true => Err("must name a file after sqlite://, such as sqlite:///var/lib/fal-relay/relay.db".into()),
        false => Ok(path.into()),
    }
}

/// The name of an account: it appears in logs, rows and variables.
pub(super) fn account_name(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    match name {
        "" => Err("is missing; give each account a name of its own".into()),
        _ if name.len() > 64 || !name.bytes().all(plain) => {
            Err("must be 1 to 64 letters, digits, `-` or `_`".into())
        }
        _ => Ok(()),
    }
}

/// The form of a fal key. The answer never repeats it.
pub(super) fn fal_key(key: &str) -> Result<(), String> {
    let visible = key.bytes().all(|b| b.is_ascii_graphic());
    match key.split_once(':') {
        Some((id, secret)) if visible && !id.is_empty() && !secret.is_empty() => Ok(()),
        _ => Err(
            "is not a fal key; copy it whole from fal's dashboard: an id, a colon and a secret (id:secret)"
                .into(),
        ),
    }
}

/// An endpoint or a glob, `=`, dollars for a unit, and the unit.
pub(super) fn price_override(text: &str) -> Result<(Glob, Price), String> {
    let wanted =
        || format!("has {text:?}; write an endpoint, a price and a unit, such as \"acme/app = 0.05 image\"");
    let (pattern, price) = text.split_once('=').ok_or_else(wanted)?;
    let (unit_price, unit) = price.trim().split_once(' ').ok_or_else(wanted)?;
    let glob = Glob::parse(pattern.trim())
        .map_err(|error| format!("has {text:?}, whose endpoint cannot be read: {error}"))?;
    let unit_price =
        UnitPrice::parse(unit_price).map_err(|error| format!("has {text:?}: the price {error}"))?;
    Ok((glob, Price::new(unit_price, unit.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &[&str] = &["https", "http"];

    #[test]
    fn base_addresses_lose_only_their_trailing_slash() {
        for (said, meant) in [
            ("https://queue.fal.run", "https://queue.fal.run"),
            ("HTTPS://Fal.Run:443/", "https://fal.run"),
            ("http://127.0.0.1:8790/queue/", "http://127.0.0.1:8790/queue"),
            ("http://[::1]:9/a/B-c", "http://[::1]:9/a/B-c"),
        ] {
            assert_eq!(base_url(said, WEB).as_deref(), Ok(meant), "{said}");
        }
    }

    proptest::proptest! {
        /// Whatever comes in, what goes out is a fixed point: it can be built upon, and means the same when said again.
        #[test]
        fn a_base_address_is_its_own_base(text in "(https?://)?[a-zA-Z0-9:/.@?#%\\\\~\\[\\] é-]{0,24}") {
            if let Ok(url) = base_url(&text, WEB) {
                proptest::prop_assert!(!url.ends_with('/') && !url.contains(['@', '?', '#', '%', '\\', ' ']), "{}", url);
                proptest::prop_assert_eq!(base_url(&url, WEB), Ok(url));
            }
        }
    }

    #[test]
    fn odd_base_addresses_are_refused() {
        for said in [
            "",
            "fal.run",
            "/queue",
            "ftp://fal.run",
            "https://",
            "https://fal.run.",
            "https://user@fal.run",
            "https://u:p@fal.run",
            "https://@fal.run",
            "https://fal.run?x",
            "https://fal.run/#",
            "https://fal.run//",
            "https://fal.run/a//b",
            "https://fal.run/../b",
            "https://fal.run/a/.",
            "https://fal.run/%2e",
            "https://fal.run\\b",
            "https://fal.run/a b",
            "https:fal.run/a/../b",
            "https:fal.run",
            "https:///fal.run",
        ] {
            assert!(base_url(said, WEB).is_err(), "{said}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for url in [
            "http://127.0.0.1:1",
            "http://127.9.9.9",
            "http://[::1]",
            "http://localhost",
            "http://a.localhost",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["http://10.0.0.1", "http://localhost.example", "http://[::2]", "http://127.0.0.1.example"]
        {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn keys_have_an_id_and_a_secret() {
        assert!(fal_key("id:secret").is_ok());
        for bad in ["", ":", "id:", ":secret", "idsecret", "id:sec ret", "id:sécret"] {
            let message = fal_key(bad).unwrap_err();
            assert!(bad.len() < 3 || !message.replace("(id:secret)", "").contains(bad), "{message}");
        }
    }

    #[test]
    fn a_route_is_a_plain_path_of_its_own() {
        assert_eq!(route(""), Ok(None));
        for good in ["/api/fal/proxy", "/fal", "/a.b/c_d-e"] {
            assert_eq!(route(good), Ok(Some(good.into())));
        }
        for bad in [
            "/",
            "api",
            "/api/",
            "/a//b",
            "/a/../b",
            "/a b",
            "/a%2f",
            "/v1/proxy",
            "/run",
            "/health",
            "/fal-ai/x",
        ] {
            assert!(route(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stores_are_files() {
        assert_eq!(sqlite_path("sqlite://a/b.db"), Ok("a/b.db".into()));
        assert_eq!(sqlite_path("sqlite:///a/b.db"), Ok("/a/b.db".into()));
        assert!(sqlite_path("postgres://u:pass@h/db").unwrap_err().contains("PostgreSQL"));
        for bad in ["", "relay.db", "sqlite://", "sqlite://dir/", "sqlite://a?mode=ro"] {
            assert!(sqlite_path(bad).is_err(), "{bad}");
        }
    }
}
