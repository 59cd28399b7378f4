//! The target of fal's proxy convention (protocol 11): a client writes into one header where it would have gone, and sends
//! everything to one address. What it wrote is read, never dialled: out of it come a host's role, a path and a query.

use http::HeaderName;
use http::uri::PathAndQuery;

use super::route::Role;

/// Where a client of the proxy convention would have gone.
pub const X_FAL_TARGET_URL: HeaderName = HeaderName::from_static("x-fal-target-url");

/// fal's own hosts, as its clients write them. The backup names are not among them: no client asks a proxy for those.
const FALS: [(&str, Role); 4] = [
    ("https://queue.fal.run", Role::Queue),
    ("https://fal.run", Role::Run),
    ("https://rest.fal.ai", Role::Rest),
    ("https://rest.alpha.fal.ai", Role::Rest),
];

/// The hosts that a target may name.
#[derive(Clone, Debug)]
pub struct TargetHosts(Vec<(String, Role)>);

/// What a target says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Which of fal's hosts it names.
    pub role: Role,
    /// The path on that host, not read yet.
    pub path: &'a str,
    /// The query, as written.
    pub query: Option<&'a str>,
}

impl TargetHosts {
    /// fal's own hosts, and `configured` ones: addresses without a slash at their end, of which only https counts.
    pub fn new(configured: impl IntoIterator<Item = (String, Role)>) -> Self {
        let fals = FALS.map(|(base, role)| (base.to_owned(), role));
        let secure = configured.into_iter().filter(|(base, _)| base.starts_with("https://"));
        Self(fals.into_iter().chain(secure).collect())
    }

    /// Reads a target. It must begin, byte for byte, with one of the hosts and go on with its path, so there is no port, user,
    /// other scheme, trailing dot or second spelling of a host to be taken for one. `None` is the answer to all else.
    pub fn read<'a>(&self, text: &'a str) -> Option<Target<'a>> {
        let bases = self.0.iter().map(|(base, role)| (base.as_str(), *role));
        // Of two hosts that both fit, one has a path that continues the other's.
        let (base, role) =
            bases.filter(|(base, _)| below(text, base).is_some()).max_by_key(|(base, _)| base.len())?;
        let (path, query) = split(below(text, base)?)?;
        Some(Target { role, path, query })
    }
}

/// Reads a target that names the relay itself, as addresses do that it gave out.
pub fn target_below<'a>(text: &'a str, base: &str) -> Option<Target<'a>> {
    let (path, query) = split(below(text, base)?)?;
    Some(Target { role: Role::Relay, path, query })
}

/// What follows `base`, if that is a path.
fn below<'a>(text: &'a str, base: &str) -> Option<&'a str> {
    text.strip_prefix(base).filter(|rest| rest.starts_with('/'))
}

/// Path and query, once they hold nothing that the front door would not take in a request's own target.
fn split(rest: &str) -> Option<(&str, Option<&str>)> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\');
    if !rest.bytes().all(plain) || PathAndQuery::try_from(rest).is_err() {
        return None;
    }
    Some(match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts() -> TargetHosts {
        let configured = [
            ("https://queue.corp.example/fal".to_owned(), Role::Queue),
            ("https://queue.corp.example".to_owned(), Role::Run),
            ("http://127.0.0.1:9/queue".to_owned(), Role::Queue),
        ];
        TargetHosts::new(configured)
    }

    #[test]
    fn the_host_gives_the_role_and_the_rest_is_as_it_was_written() {
        let hosts = hosts();
        for (text, role, path, query) in [
            ("https://queue.fal.run/fal-ai/flux-1/dev", Role::Queue, "/fal-ai/flux-1/dev", None),
            (
                "https://queue.fal.run/a/b/requests/1/status?logs=0",
                Role::Queue,
                "/a/b/requests/1/status",
                Some("logs=0"),
            ),
            ("https://fal.run/a/b/stream?", Role::Run, "/a/b/stream", Some("")),
            ("https://rest.fal.ai/tokens/", Role::Rest, "/tokens/", None),
            ("https://rest.alpha.fal.ai/tokens/?a=?b", Role::Rest, "/tokens/", Some("a=?b")),
            ("https://queue.corp.example/fal/a/b", Role::Queue, "/a/b", None),
            ("https://queue.corp.example/falx/a", Role::Run, "/falx/a", None),
        ] {
            assert_eq!(hosts.read(text), Some(Target { role, path, query }), "{text}");
        }
    }

    #[test]
    fn an_unencrypted_host_is_no_target_though_it_is_configured() {
        assert_eq!(hosts().read("http://127.0.0.1:9/queue/a/b"), None);
        assert_eq!(hosts().read("http://queue.fal.run/a/b"), None);
    }

    #[test]
    fn the_relays_own_addresses_are_known_by_its_base_alone() {
        let base = "http://127.0.0.1:8787";
        let target = target_below("http://127.0.0.1:8787/a/b/requests/1?logs=1", base).unwrap();
        assert_eq!(target, Target { role: Role::Relay, path: "/a/b/requests/1", query: Some("logs=1") });
        for text in ["http://127.0.0.1:87870/a/b", "https://127.0.0.1:8787/a/b", "http://127.0.0.1/a/b"] {
            assert_eq!(target_below(text, base), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_put_together_again(text in "https://(queue\\.)?fal\\.run[/?#@:.\\\\ a-z%]{0,12}|\\PC{0,40}") {
            if let Some(Target { path, query, .. }) = hosts().read(&text) {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                let host = text.strip_suffix(&format!("{path}{query}")).unwrap();
                prop_assert!(["https://queue.fal.run", "https://fal.run"].contains(&host), "{}", text);
                prop_assert!(path.starts_with('/'));
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\'));
            }
        }
    }
}
