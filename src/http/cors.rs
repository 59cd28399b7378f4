//! What pages may call and read (the Fetch standard's CORS protocol).
//!
//! A page shows a key or a client token by itself: no browser adds one, and cookies mean nothing here, so answers never
//! allow credentials. What is decided here is which pages may read answers, and which may send anything but the simplest
//! requests at all.
//!
//! A preflight has no key. It does nothing, and its answer says nothing of any key, so any page gets one as soon as the
//! operator or the holder of any key has listed some origin; the request that follows has a key, and is held against
//! that key's own list. Where nobody has listed anything, no page gets anywhere.

use http::header::{
    self, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue,
};
use http::{Method, Request, Response, StatusCode};

use crate::relay::{Reply, ReplyBody};
use crate::rules::Origin;

/// The methods of all routes together.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// How many seconds a browser may go by the answer to a preflight. It allows nothing by itself, so it need not be short;
/// ten minutes after the operator took an origin away, nothing remembers it.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// Pages that may call and read with any key that does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowOrigin {
    /// All there are.
    Any,
    /// Those of one origin.
    Page(Origin),
}

impl AllowOrigin {
    fn admits(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Page(listed) => listed.as_str().as_bytes() == origin.as_bytes(),
        }
    }
}

/// The page that asks.
pub(super) struct Page(HeaderValue);

impl Page {
    /// The page behind a request, if there is one. Two origins are nobody's.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(header::ORIGIN).iter();
        match (values.next(), values.next()) {
            (Some(origin), None) => Some(Self(origin.clone())),
            _ => None,
        }
    }

    /// Whether the operator has listed it.
    pub(super) fn is_allowed(&self, allowed: &[AllowOrigin]) -> bool {
        allowed.iter().any(|listed| listed.admits(&self.0))
    }
}

/// Whether a request is a browser's question before a page's own request.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight, without what [`tell`] says in each answer.
pub(super) fn preflight(headers: &HeaderMap) -> Reply {
    let mut response = Response::new(ReplyBody::Whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let fields = response.headers_mut();
    fields.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Some(allowed) = allowed_headers(headers) {
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}

/// Those of the headers that the page wants to send that it may send.
fn allowed_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    joined(names.filter(|name| may_be_sent(name.as_str())))
}

/// What fal's clients send from pages, and what travels to fal. Not what speaks for proxies: a page must not put words
/// into their mouths.
fn may_be_sent(name: &str) -> bool {
    match name {
        "authorization" | "content-type" | "accept" | "accept-language" | "cache-control" => true,
        "idempotency-key" | "range" | "if-range" | "if-match" | "if-none-match" => true,
        "if-modified-since" | "if-unmodified-since" | "traceparent" | "tracestate" => true,
        _ => name.starts_with("x-fal-") || name.starts_with("x-app-fal-"),
    }
}

/// Says in an answer that the page may read it, and which of its headers.
pub(super) fn allow(headers: &mut HeaderMap, page: Page) {
    if let Some(exposed) = joined(headers.keys().filter(|name| may_be_read(name.as_str())).cloned()) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page.0);
}

/// Says that the answer to another page may be another.
pub(super) fn vary(headers: &mut HeaderMap) {
    let said = |value: &HeaderValue| {
        value.as_bytes().split(|b| *b == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"origin"))
    };
    if !headers.get_all(header::VARY).iter().any(said) {
        headers.append(header::VARY, ORIGIN);
    }
}

/// fal's and the relay's own headers, and what tells a client when to come again.
fn may_be_read(name: &str) -> bool {
    match name {
        "retry-after" | "ratelimit" | "ratelimit-policy" | "etag" | "allow" | "location" => true,
        _ => name.starts_with("x-fal-") || name.starts_with("x-relay-"),
    }
}

fn joined(names: impl Iterator<Item = HeaderName>) -> Option<HeaderValue> {
    let names: Vec<_> = names.collect();
    let texts: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    HeaderValue::from_str(&texts.join(", ")).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn page(origin: &str) -> Page {
        Page::of(&headers(&[("origin", origin)])).unwrap()
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let listed = [AllowOrigin::Page(Origin::parse("https://app.example").unwrap())];
        assert!(page("https://app.example").is_allowed(&listed));
        for other in ["http://app.example", "https://app.example:444", "https://app.example.evil", "null", ""]
        {
            assert!(!page(other).is_allowed(&listed), "{other}");
            assert!(page(other).is_allowed(&[AllowOrigin::Any]));
            assert!(!page(other).is_allowed(&[]));
        }
        assert!(Page::of(&headers(&[("origin", "https://a"), ("origin", "https://a")])).is_none());
    }

    #[test]
    fn a_preflight_allows_what_fals_clients_send_and_nothing_for_proxies() {
        let asked = "authorization, Content-Type,x-fal-target-url,x-fal-queue-priority,\
                     x-app-fal-x, x-forwarded-for,forwarded , cookie,,x y";
        let reply = preflight(&headers(&[("access-control-request-headers", asked)]));
        let allowed = reply.headers()["access-control-allow-headers"].to_str().unwrap();
        assert_eq!(
            allowed,
            "authorization, content-type, x-fal-target-url, x-fal-queue-priority, x-app-fal-x"
        );
        assert!(!preflight(&headers(&[])).headers().contains_key("access-control-allow-headers"));
    }

    #[test]
    fn an_answer_varies_once() {
        for (there, wanted) in [
            (&[][..], &["Origin"][..]),
            (&["accept"], &["accept", "Origin"]),
            (&["Accept, ORIGIN"], &["Accept, ORIGIN"]),
        ] {
            let pairs: Vec<_> = there.iter().map(|value| ("vary", *value)).collect();
            let mut headers = headers(&pairs);
            vary(&mut headers);
            assert_eq!(headers.get_all("vary").iter().collect::<Vec<_>>(), wanted);
        }
    }

    proptest! {
        #[test]
        fn any_wish_of_a_page_is_read_without_harm(wish in "[ -~]{0,80}") {
            let reply = preflight(&headers(&[("access-control-request-headers", wish.as_str())]));
            if let Some(allowed) = reply.headers().get("access-control-allow-headers") {
                let wish = wish.to_ascii_lowercase();
                for name in allowed.to_str().unwrap().split(", ") {
                    prop_assert!(may_be_sent(name) && wish.contains(name), "{}", name);
                }
            }
        }
    }
}
