//! What travels each way. Towards fal by an allow-list: a header that nobody thought of stays here. Towards the client
//! by a deny-list: fal's answer is the client's, save what would speak for the connection, for fal's site or for us.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What fal is told about compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptEncoding {
    /// What the client said: the answer passes untouched.
    AsSent,
    /// `identity`: the answer is read on its way.
    Identity,
    /// `gzip` when the client takes it, else `identity`: the answer is rewritten, and gzip is what the relay inflates.
    GzipAtMost,
}

/// The headers of a client's request that travel to fal. The fal key, the host and the framing are the caller's to add.
pub fn for_fal(client: &HeaderMap, encoding: AcceptEncoding) -> HeaderMap {
    let mut fal = HeaderMap::with_capacity(client.len());
    for (name, value) in client.iter().filter(|(name, _)| goes_to_fal(name.as_str())) {
        fal.append(name, value.clone());
    }
    for name in named_in_connection(client) {
        fal.remove(name);
    }
    set_accept_encoding(&mut fal, encoding);
    fal
}

/// Takes from fal's answer what must not reach a client; everything else stays byte for byte.
///
/// The length stays: a caller that changes the body removes it.
pub fn for_client(fal: &mut HeaderMap) {
    let unwanted = fal.keys().filter(|name| !goes_to_client(name.as_str())).cloned();
    let gone: Vec<HeaderName> = unwanted.chain(named_in_connection(fal)).collect();
    for name in gone {
        fal.remove(name);
    }
}

/// The allow-list towards fal.
fn goes_to_fal(name: &str) -> bool {
    match name {
        // What the client wants and can read: a stream or JSON, in which coding and language.
        "accept" | "accept-encoding" | "accept-language" => true,
        // What the body is. Its length and chunking are the connection's.
        "content-type" | "content-encoding" => true,
        // Which client library speaks; it says nothing of the tenant.
        "user-agent" => true,
        // Parts of a result, and a result that the client may already hold.
        "range" | "if-range" | "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" => {
            true
        }
        // A client that wants a fresh answer.
        "cache-control" => true,
        // W3C trace context, which joins the client's trace with fal's.
        "traceparent" | "tracestate" => true,
        _ => is_fals(name) && !is_denied_to_tenants(name),
    }
}

/// fal's own headers: settings of a call, known and future.
fn is_fals(name: &str) -> bool {
    name.starts_with("x-fal-") || name.starts_with("x-app-fal-")
}

/// Those of fal's headers that only the account's holder, or fal itself, may set.
fn is_denied_to_tenants(name: &str) -> bool {
    match name {
        // Chooses a team of the account.
        "x-fal-user-id" => true,
        // A credential for stored files, passed between fal's apps.
        "x-fal-cdn-token" => true,
        // Lifts a model's filter; passed between fal's apps.
        "x-app-fal-can-disable-filter" => true,
        // An address of the proxy convention, read by the relay if at all.
        "x-fal-target-url" => true,
        // Sorts the account's bill, which the operator reads and a tenant must not write.
        "x-fal-tags" => true,
        // fal alone says which request this is and what it cost; no echo of a tenant's word may be read as fal's.
        "x-fal-request-id" | "x-fal-billable-units" => true,
        _ => false,
    }
}

/// The deny-list towards the client.
fn goes_to_client(name: &str) -> bool {
    match name {
        // Hop by hop (RFC 9110, 7.6.1 and 11.7): they speak of the relay's connection to fal.
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding"
        | "upgrade" => false,
        "proxy-authenticate" | "proxy-authentication-info" => false,
        // fal's cookies would be set for the relay's site, and shared by all tenants.
        "set-cookie" | "set-cookie2" => false,
        // A credential of the fal account.
        "x-fal-cdn-token" => false,
        // Which of fal's machines worked: no tenant's business.
        "x-fal-served-from" => false,
        // Orders that bind a browser to a whole site; fal may give them for its own, not for the relay's.
        "alt-svc" | "strict-transport-security" | "clear-site-data" | "service-worker-allowed" => false,
        "nel" | "report-to" | "reporting-endpoints" => false,
        // CORS is the relay's to answer, for its own origins; and only the relay speaks as `x-relay-*`.
        _ => !name.starts_with("access-control-") && !name.starts_with("x-relay-"),
    }
}

/// The headers that `Connection` makes a matter of this connection alone.
fn named_in_connection(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let tokens = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','));
    // A token that is no header's name names none.
    tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
}

fn set_accept_encoding(fal: &mut HeaderMap, encoding: AcceptEncoding) {
    let word = match encoding {
        AcceptEncoding::AsSent => return,
        AcceptEncoding::GzipAtMost if accepts_gzip(fal) => "gzip",
        AcceptEncoding::GzipAtMost | AcceptEncoding::Identity => "identity",
    };
    fal.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(word));
}

/// Whether the client takes gzip: by name, or else by `*` (RFC 9110, 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut star = false;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for entry in value.as_bytes().split(|b| *b == b',') {
            let (coding, accepted) = coding_entry(entry);
            match coding {
                _ if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => {
                    return accepted;
                }
                b"*" => star = accepted,
                _ => {}
            }
        }
    }
    star
}

/// A coding, and whether its weight is above zero.
fn coding_entry(entry: &[u8]) -> (&[u8], bool) {
    let mut parts = entry.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let coding = parts.next().unwrap_or_default();
    let refused = parts.any(|weight| {
        let digits = weight.strip_prefix(b"q=").or_else(|| weight.strip_prefix(b"Q="));
        digits.is_some_and(|digits| digits.iter().all(|b| matches!(b, b'0' | b'.')))
    });
    (coding, !refused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn what_a_call_needs_travels_to_fal() {
        for name in [
            "accept",
            "accept-language",
            "content-type",
            "content-encoding",
            "user-agent",
            "range",
            "if-range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "cache-control",
            "traceparent",
            "tracestate",
            "x-fal-queue-priority",
            "x-fal-request-timeout",
            "x-fal-request-start-timeout",
            "x-fal-runner-hint",
            "x-fal-no-retry",
            "x-fal-retry-config",
            "x-fal-store-io",
            "x-fal-object-lifecycle",
            "x-fal-object-lifecycle-preference",
            "x-fal-client-proxy",
            "x-fal-of-tomorrow",
            "x-app-fal-disable-fallback",
        ] {
            assert_eq!(names(&for_fal(&map(&[(name, "1")]), AcceptEncoding::AsSent)), [name]);
        }
    }

    #[test]
    fn what_is_not_a_tenants_to_say_stays_here() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "cookie2",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-real-ip",
            "via",
            "host",
            "content-length",
            "transfer-encoding",
            "connection",
            "te",
            "trailer",
            "upgrade",
            "expect",
            "origin",
            "referer",
            "idempotency-key",
            "x-api-key",
            "x-relay-anything",
            "x-falsified",
            "x-fal-user-id",
            "x-fal-cdn-token",
            "x-fal-target-url",
            "x-fal-tags",
            "x-fal-request-id",
            "x-fal-billable-units",
            "x-app-fal-can-disable-filter",
        ] {
            assert!(for_fal(&map(&[(name, "1")]), AcceptEncoding::AsSent).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_header_given_twice_arrives_twice() {
        let sent = map(&[("accept", "a/b"), ("x-fal-x", "1"), ("accept", "c/d")]);
        let fal = for_fal(&sent, AcceptEncoding::AsSent);
        assert_eq!(fal.get_all("accept").iter().collect::<Vec<_>>(), ["a/b", "c/d"]);
    }

    #[test]
    fn fal_is_told_what_the_relay_can_read() {
        for (client, as_sent, at_most) in [
            (None, None, "identity"),
            (Some("gzip, deflate, br"), Some("gzip, deflate, br"), "gzip"),
            (Some("br, X-GZIP;q=0.5"), Some("br, X-GZIP;q=0.5"), "gzip"),
            (Some("gzip;q=0, *"), Some("gzip;q=0, *"), "identity"),
            (Some("br, *;q=0.1"), Some("br, *;q=0.1"), "gzip"),
            (Some("*; Q=0.000"), Some("*; Q=0.000"), "identity"),
            (Some("br"), Some("br"), "identity"),
            (Some(""), Some(""), "identity"),
        ] {
            let sent = client.map_or_else(HeaderMap::new, |value| map(&[("accept-encoding", value)]));
            let told = |encoding| {
                for_fal(&sent, encoding).get("accept-encoding").map(|v| v.to_str().unwrap().to_owned())
            };
            assert_eq!(told(AcceptEncoding::AsSent).as_deref(), as_sent);
            assert_eq!(told(AcceptEncoding::Identity).as_deref(), Some("identity"));
            assert_eq!(told(AcceptEncoding::GzipAtMost).as_deref(), Some(at_most), "{client:?}");
        }
    }

    #[test]
    fn what_fal_says_of_itself_does_not_reach_the_client() {
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-authenticate",
            "proxy-authentication-info",
            "set-cookie",
            "set-cookie2",
            "x-fal-cdn-token",
            "x-fal-served-from",
            "alt-svc",
            "strict-transport-security",
            "clear-site-data",
            "service-worker-allowed",
            "nel",
            "report-to",
            "reporting-endpoints",
            "access-control-allow-origin",
            "access-control-expose-headers",
            "x-relay-cost-usd",
            "x-relay-error",
        ] {
            let mut headers = map(&[(name, "1"), ("etag", "\"e\""), (name, "2")]);
            for_client(&mut headers);
            assert_eq!(names(&headers), ["etag"], "{name}");
        }
    }

    #[test]
    fn the_rest_of_fals_answer_is_the_clients() {
        let fal = map(&[
            ("content-type", "application/json"),
            ("content-length", "12"),
            ("content-encoding", "gzip"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("server", "uvicorn"),
            ("retry-after", "3"),
            ("location", "https://queue.fal.run/a/b"),
            ("x-fal-request-id", "1"),
            ("x-fal-billable-units", "1.2249955059960485"),
            ("x-fal-error-type", "request_timeout"),
            ("x-fal-request-timeout-type", "user"),
            ("x-fal-needs-retry", "1"),
            ("x-fal-retryable", "true"),
            ("vary", "origin"),
            ("vary", "accept"),
        ]);
        let mut client = fal.clone();
        for_client(&mut client);
        assert_eq!(client, fal);
    }

    proptest! {
        #[test]
        fn a_header_named_in_connection_never_passes(
            named in prop::sample::select(vec!["accept", "content-type", "user-agent", "x-fal-store-io", "x-app-fal-a", "etag"]),
            upper in any::<bool>(),
            before in "[a-z-]{0,8}(, ?[a-z]{0,4}){0,3}",
            two_lines in any::<bool>(),
        ) {
            let token = if upper { named.to_uppercase() } else { named.to_owned() };
            let connection = if two_lines { vec![before, token] } else { vec![format!("{before} ,\t{token} ")] };
            let mut headers = map(&[(named, "1"), (named, "2")]);
            for value in &connection {
                headers.append("connection", value.parse().unwrap());
            }
            prop_assert!(!for_fal(&headers, AcceptEncoding::AsSent).contains_key(named));
            for_client(&mut headers);
            prop_assert!(!headers.contains_key(named));
        }

        #[test]
        fn nothing_is_invented_towards_fal(pairs in prop::collection::vec(("[a-z-]{1,12}|x-fal-[a-z-]{1,6}", "[ -~]{0,8}"), 0..8)) {
            let client = map(&pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>());
            for (name, value) in &for_fal(&client, AcceptEncoding::AsSent) {
                prop_assert!(client.get_all(name).iter().any(|sent| sent == value));
            }
        }
    }
}
