//! A path becomes a [`Call`]: from here no string is parsed twice, and what goes to fal is written anew from the call.

use std::borrow::Cow;

use http::Method;
use url::form_urlencoded;

use super::endpoint::{BadEndpoint, Endpoint, FOLLOW_UP_MARKER, is_plain};
use crate::ids::RequestId;

/// The longest path that is looked at: the longest endpoint and request id, with room for prefix, marker and suffix.
const MAX_PATH_LEN: usize = 1024;

/// First segments that the relay keeps for its own routes. They are not taken for the owner of an endpoint, so that a
/// call to a route that is not there cannot become a paid job; such an owner can be reached under `/queue/`.
const RESERVED: [&str; 8] = [".well-known", "api", "files", "health", "ready", "tokens", "v1", "webhooks"];

/// What the host name of a request stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The relay itself: the first segment of the path chooses.
    Relay,
    /// fal's queue.
    Queue,
    /// Direct runs.
    Run,
    /// fal's REST service: storage.
    Rest,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Put a job into the queue.
    Submit {
        /// What to run.
        endpoint: Endpoint,
    },
    /// Ask after a job, or change it.
    Follow {
        /// The endpoint in the path: the app base or the whole id, as the client likes. The ledger knows better.
        endpoint: Endpoint,
        /// The job.
        request_id: RequestId,
        /// What is wanted.
        what: FollowUp,
    },
    /// Run and wait for the answer.
    Run {
        /// What to run.
        endpoint: Endpoint,
    },
    /// Run and stream events.
    Stream {
        /// What to run, without `/stream`.
        endpoint: Endpoint,
    },
    /// Prepare an upload.
    Storage(Storage),
}

/// What can be wanted of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FollowUp {
    /// Its state.
    Status,
    /// Its state, event by event.
    StatusStream,
    /// Its result.
    Result {
        /// Whether the client wrote `/response` after the id.
        response_suffix: bool,
    },
    /// Its end.
    Cancel,
}

/// The steps of an upload that fal's REST service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Begin an upload in one piece.
    Initiate,
    /// Begin an upload in parts.
    InitiateMultipart,
    /// Close an upload in parts.
    CompleteMultipart,
}

/// Why a request is not a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The path is one that servers may read differently, or over a limit.
    #[error("malformed path: {0}")]
    Malformed(&'static str),
    /// The path is known, and not with this method.
    #[error("method not allowed, use {allow}")]
    Method {
        /// The value of the `Allow` header.
        allow: &'static str,
    },
    /// There is no such route.
    #[error("no such route")]
    Unknown,
}

impl FollowUp {
    /// What stands after the request id in fal's path.
    pub fn as_suffix(self) -> &'static str {
        match self {
            Self::Status => "/status",
            Self::StatusStream => "/status/stream",
            Self::Result { response_suffix: true } => "/response",
            Self::Result { response_suffix: false } => "",
            Self::Cancel => "/cancel",
        }
    }

    fn from_suffix(suffix: &str) -> Option<Self> {
        match suffix {
            "" => Some(Self::Result { response_suffix: false }),
            "response" => Some(Self::Result { response_suffix: true }),
            "status" => Some(Self::Status),
            "status/stream" => Some(Self::StatusStream),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Cancel => "PUT",
            Self::Status | Self::StatusStream | Self::Result { .. } => "GET",
        }
    }
}

impl Storage {
    /// The path at fal's REST service.
    pub fn as_path(self) -> &'static str {
        match self {
            Self::Initiate => "/storage/upload/initiate",
            Self::InitiateMultipart => "/storage/upload/initiate-multipart",
            Self::CompleteMultipart => "/storage/upload/complete-multipart",
        }
    }
}

/// Reads what `method` and `path` ask for at a host that stands for `role`.
///
/// A path that any server could read in a second way is refused, not repaired: percent-encoding, dot segments, empty
/// segments. One slash at the end is accepted everywhere, since clients write it.
pub fn parse(role: Role, method: &Method, path: &str) -> Result<Call, RouteError> {
    let path = well_formed(path)?;
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match (role, first) {
        (Role::Relay | Role::Run, "run") => run(method, rest),
        (Role::Relay, "queue") => queue(method, rest),
        (Role::Relay | Role::Rest, "storage") => storage(method, rest),
        (Role::Rest, _) => Err(RouteError::Unknown),
        (Role::Relay, _) if RESERVED.contains(&first) => Err(RouteError::Unknown),
        (Role::Relay | Role::Queue, _) => queue(method, path),
        (Role::Run, _) => run(method, path),
    }
}

/// The path without the slashes at its ends, once it can be read in one way only.
fn well_formed(path: &str) -> Result<&str, RouteError> {
    if path.len() > MAX_PATH_LEN {
        return Err(RouteError::Malformed("it is longer than 1024 characters"));
    }
    let path = path.strip_prefix('/').ok_or(RouteError::Malformed("it does not begin with a slash"))?;
    if path.is_empty() {
        return Err(RouteError::Unknown);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').try_for_each(check_segment).map(|()| path)
}

fn check_segment(segment: &str) -> Result<(), RouteError> {
    match segment {
        "" => Err(RouteError::Malformed("it has an empty segment")),
        "." | ".." => Err(RouteError::Malformed("it has a `.` or `..` segment")),
        _ if segment.contains('%') => Err(RouteError::Malformed("it is percent-encoded")),
        _ if !segment.bytes().all(is_plain) => {
            Err(RouteError::Malformed("it has a character other than letters, digits, `.`, `_`, `-` and `/`"))
        }
        _ => Ok(()),
    }
}

fn queue(method: &Method, path: &str) -> Result<Call, RouteError> {
    match split_follow_up(path) {
        Some((endpoint, rest)) => follow_up(method, endpoint, rest),
        None => {
            let endpoint = endpoint(path)?;
            allow(method, "POST")?;
            Ok(Call::Submit { endpoint })
        }
    }
}

/// Splits at the last marker that has an endpoint before it; an endpoint may itself have a segment `requests`.
fn split_follow_up(path: &str) -> Option<(Endpoint, &str)> {
    let (endpoint, rest) = path.rsplit_once(FOLLOW_UP_MARKER)?;
    Some((Endpoint::parse(endpoint).ok()?, rest))
}

/// A path with a marker is never a submit, whatever follows the marker: a bad id is an unknown request.
fn follow_up(method: &Method, endpoint: Endpoint, rest: &str) -> Result<Call, RouteError> {
    let (id, suffix) = rest.split_once('/').unwrap_or((rest, ""));
    let request_id = RequestId::parse(id).map_err(|_| RouteError::Unknown)?;
    let what = FollowUp::from_suffix(suffix).ok_or(RouteError::Unknown)?;
    allow(method, what.method())?;
    Ok(Call::Follow { endpoint, request_id, what })
}

fn run(method: &Method, path: &str) -> Result<Call, RouteError> {
    // fal keeps no requests of direct runs, and realtime is a protocol of its own.
    let realtime = *method == Method::GET && path.ends_with("/realtime");
    if realtime || split_follow_up(path).is_some() {
        return Err(RouteError::Unknown);
    }
    let streamed = path.strip_suffix("/stream").and_then(|path| Endpoint::parse(path).ok());
    let call = match streamed {
        Some(endpoint) => Call::Stream { endpoint },
        None => Call::Run { endpoint: endpoint(path)? },
    };
    allow(method, "POST").map(|()| call)
}

fn storage(method: &Method, path: &str) -> Result<Call, RouteError> {
    let step = match path {
        "upload/initiate" => Storage::Initiate,
        "upload/initiate-multipart" => Storage::InitiateMultipart,
        "upload/complete-multipart" => Storage::CompleteMultipart,
        _ => return Err(RouteError::Unknown),
    };
    allow(method, "POST").map(|()| Call::Storage(step))
}

fn endpoint(path: &str) -> Result<Endpoint, RouteError> {
    Endpoint::parse(path).map_err(|bad| match bad {
        // The rest of the path was checked, so an empty segment is a path that ends at its prefix.
        BadEndpoint::Incomplete | BadEndpoint::EmptySegment => RouteError::Unknown,
        BadEndpoint::TooLong => RouteError::Malformed("the endpoint is longer than 512 characters"),
        BadEndpoint::TooDeep => RouteError::Malformed("the endpoint has more than 16 segments"),
        BadEndpoint::DotSegment | BadEndpoint::Character => {
            RouteError::Malformed("the endpoint is malformed")
        }
    })
}

fn allow(method: &Method, allow: &'static str) -> Result<(), RouteError> {
    if method.as_str() == allow { Ok(()) } else { Err(RouteError::Method { allow }) }
}

/// The query without the tenant's `fal_jwt_token`, which is a credential; everything else byte for byte.
pub fn query_for_fal(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(is_credential) {
        return Cow::Borrowed(query);
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_credential(pair)).collect();
    Cow::Owned(kept.join("&"))
}

/// Whether a pair's name is the token's once it is decoded as fal would.
fn is_credential(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == "fal_jwt_token")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

    fn relay(method: &str, path: &str) -> Result<Call, RouteError> {
        parse(Role::Relay, &method.parse().unwrap(), path)
    }

    fn id(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    fn follow(endpoint: &str, what: FollowUp) -> Result<Call, RouteError> {
        Ok(Call::Follow { endpoint: id(endpoint), request_id: RequestId::parse(ID).unwrap(), what })
    }

    #[test]
    fn any_owner_and_any_depth_is_submitted_at_the_root_and_under_queue() {
        for endpoint in [
            "fal-ai/flux-1/dev",
            "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
            "openrouter/router/openai/v1/responses",
            "CassetteAI/music-generator",
            "workflows/fal-ai/sdxl-sticker",
            "owner/requests",
            "owner/requests/fast",
            "owner/app/stream",
            "110602490-lora",
        ] {
            let submit = Ok(Call::Submit { endpoint: id(endpoint) });
            assert_eq!(relay("POST", &format!("/{endpoint}")), submit);
            assert_eq!(relay("POST", &format!("/{endpoint}/")), submit);
            assert_eq!(relay("POST", &format!("/queue/{endpoint}")), submit);
            assert_eq!(parse(Role::Queue, &Method::POST, &format!("/{endpoint}")), submit);
        }
    }

    #[test]
    fn every_form_of_a_follow_up_is_known() {
        let result = |response_suffix| FollowUp::Result { response_suffix };
        for base in [
            "fal-ai/flux-1",
            "fal-ai/flux-1/dev",
            "workflows/a/b",
            "a/b/requests/c",
            "110602490-lora",
            "a/v1/responses",
        ] {
            for (method, suffix, what) in [
                ("GET", "", result(false)),
                ("GET", "/response", result(true)),
                ("GET", "/status", FollowUp::Status),
                ("GET", "/status/stream", FollowUp::StatusStream),
                ("PUT", "/cancel", FollowUp::Cancel),
            ] {
                for (prefix, end) in [("", ""), ("", "/"), ("/queue", ""), ("/queue", "/")] {
                    let path = format!("{prefix}/{base}/requests/{ID}{suffix}{end}");
                    assert_eq!(relay(method, &path), follow(base, what), "{path}");
                    assert_eq!(what.as_suffix(), suffix);
                }
            }
        }
    }

    #[test]
    fn a_direct_run_is_chosen_by_prefix_or_host() {
        let run = Ok(Call::Run { endpoint: id("fal-ai/flux-1/dev") });
        let stream = Ok(Call::Stream { endpoint: id("fal-ai/flux-1/dev") });
        for path in ["/run/fal-ai/flux-1/dev", "/run/fal-ai/flux-1/dev/"] {
            assert_eq!(relay("POST", path), run);
            assert_eq!(parse(Role::Run, &Method::POST, path), run);
        }
        assert_eq!(parse(Role::Run, &Method::POST, "/fal-ai/flux-1/dev"), run);
        assert_eq!(relay("POST", "/run/fal-ai/flux-1/dev/stream"), stream);
        assert_eq!(parse(Role::Run, &Method::POST, "/fal-ai/flux-1/dev/stream/"), stream);
        assert_eq!(relay("POST", "/run/owner/stream"), Ok(Call::Run { endpoint: id("owner/stream") }));
    }

    #[test]
    fn uploads_are_known_at_the_root_and_at_the_rest_host() {
        for step in [Storage::Initiate, Storage::InitiateMultipart, Storage::CompleteMultipart] {
            assert_eq!(relay("POST", step.as_path()), Ok(Call::Storage(step)));
            let slashed = format!("{}/", step.as_path());
            assert_eq!(parse(Role::Rest, &Method::POST, &slashed), Ok(Call::Storage(step)));
            assert_eq!(relay("PUT", step.as_path()), Err(RouteError::Method { allow: "POST" }));
        }
    }

    #[test]
    fn a_wrong_method_names_the_right_one() {
        let follow_up = |suffix: &str| format!("/a/b/requests/{ID}{suffix}");
        for (method, path, allow) in [
            ("GET", "/a/b".to_owned(), "POST"),
            ("HEAD", "/a/b".to_owned(), "POST"),
            ("GET", "/run/a/b".to_owned(), "POST"),
            ("GET", "/run/a/b/stream".to_owned(), "POST"),
            ("HEAD", follow_up(""), "GET"),
            ("POST", follow_up(""), "GET"),
            ("POST", follow_up("/status"), "GET"),
            ("DELETE", follow_up("/status/stream"), "GET"),
            ("POST", follow_up("/cancel"), "PUT"),
        ] {
            assert_eq!(relay(method, &path), Err(RouteError::Method { allow }), "{method} {path}");
        }
    }

    #[test]
    fn what_servers_may_read_differently_is_malformed() {
        for path in [
            "a/b",
            "*",
            "",
            "//",
            "/a//b",
            "//a/b",
            "/a/b//",
            "/./a/b",
            "/a/../b",
            "/a/b/..",
            "/a/%2e%2e/b",
            "/a%2fb/c",
            "/a/b%00",
            "/a/b\0",
            "/a/b c",
            "/a/b;c=d",
            "/a\\b/c",
            "/a/é",
            "/a/b/requests/%31",
            "/run/../queue/a/b",
            "/queue//a/b",
        ] {
            assert!(matches!(relay("POST", path), Err(RouteError::Malformed(_))), "{path}");
        }
        let deep = format!("/{}", vec!["a"; Endpoint::MAX_SEGMENTS + 1].join("/"));
        let long = format!("/a/{}", "b".repeat(Endpoint::MAX_LEN));
        let endless = format!("/a/{}", "b".repeat(MAX_PATH_LEN));
        for path in [deep, long, endless] {
            assert!(matches!(relay("POST", &path), Err(RouteError::Malformed(_))), "{path}");
        }
    }

    #[test]
    fn everything_else_is_unknown() {
        for (role, method, path) in [
            (Role::Relay, "GET", "/"),
            (Role::Relay, "POST", "/fal-ai"),
            (Role::Relay, "POST", "/queue"),
            (Role::Relay, "POST", "/run/"),
            (Role::Relay, "POST", "/workflows/fal-ai"),
            (Role::Relay, "POST", "/v1/models"),
            (Role::Relay, "POST", "/api/fal/proxy"),
            (Role::Relay, "POST", "/webhooks/fal/token"),
            (Role::Relay, "POST", "/storage/upload"),
            (Role::Relay, "GET", "/run/a/b/realtime"),
            (Role::Run, "GET", "/a/b/realtime"),
            (Role::Run, "GET", "/a/b/requests/1"),
            (Role::Run, "POST", "/a/b/requests/1"),
            (Role::Rest, "POST", "/fal-ai/flux-1/dev"),
            (Role::Queue, "GET", "/a/b/requests/no.id/status"),
            (Role::Queue, "POST", "/a/b/requests/no.id"),
            (Role::Queue, "GET", "/a/b/requests/1/logs"),
            (Role::Queue, "GET", "/a/b/requests/1/status/stream/more"),
        ] {
            assert_eq!(parse(role, &method.parse().unwrap(), path), Err(RouteError::Unknown), "{path}");
        }
    }

    #[test]
    fn only_the_token_is_taken_from_a_query() {
        for (query, left) in [
            ("", ""),
            ("logs=1", "logs=1"),
            ("fal_jwt_token=x", ""),
            ("fal_jwt_token", ""),
            ("logs=1&fal_jwt_token=x&a=%20+b&&c", "logs=1&a=%20+b&&c"),
            ("fal%5Fjwt%5ftoken=x&a=1", "a=1"),
            ("xfal_jwt_token=1&a=fal_jwt_token", "xfal_jwt_token=1&a=fal_jwt_token"),
            ("a=%zz&%", "a=%zz&%"),
        ] {
            assert_eq!(query_for_fal(query), left);
        }
        assert!(matches!(query_for_fal("logs=1&fal_webhook=https%3A%2F%2Fa"), Cow::Borrowed(_)));
    }

    /// Writes a call as the relay does towards fal.
    fn written(call: &Call) -> (Role, &'static str, String) {
        match call {
            Call::Submit { endpoint } => (Role::Queue, "POST", format!("/{endpoint}")),
            Call::Run { endpoint } => (Role::Run, "POST", format!("/run/{endpoint}")),
            Call::Stream { endpoint } => (Role::Run, "POST", format!("/run/{endpoint}/stream")),
            Call::Storage(step) => (Role::Rest, "POST", step.as_path().to_owned()),
            Call::Follow { endpoint, request_id, what } => {
                (Role::Queue, what.method(), format!("/{endpoint}/requests/{request_id}{}", what.as_suffix()))
            }
        }
    }

    fn any_path() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "run",
            "queue",
            "storage",
            "upload",
            "initiate",
            "requests",
            "status",
            "stream",
            "response",
            "cancel",
            "realtime",
            "workflows",
            "fal-ai",
            "a",
            "1-b",
            "..",
            "",
            "%2e",
            "764cabcf-b745",
        ]);
        let words = prop::collection::vec(word, 0..12).prop_map(|words| format!("/{}", words.join("/")));
        prop_oneof![words, "/[ -~]{0,40}", "\\PC{0,40}"]
    }

    proptest! {
        #[test]
        fn any_path_is_judged_and_a_call_can_be_written_and_read_again(
            role in prop::sample::select(vec![Role::Relay, Role::Queue, Role::Run, Role::Rest]),
            method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE"]),
            path in any_path(),
        ) {
            if let Ok(call) = parse(role, &method.parse().unwrap(), &path) {
                let (role, wanted, again) = written(&call);
                prop_assert_eq!(method, wanted);
                prop_assert_eq!(parse(role, &wanted.parse().unwrap(), &again), Ok(call));
            }
        }

        #[test]
        fn a_query_loses_the_token_and_nothing_else(pairs in prop::collection::vec("[a-z%=+;]{0,8}|fal_jwt_token=[a-z]{0,3}", 0..6)) {
            let query = pairs.join("&");
            let kept: Vec<_> = pairs.iter().filter(|pair| !pair.starts_with("fal_jwt_token=")).cloned().collect();
            prop_assert_eq!(query_for_fal(&query), kept.join("&"));
        }
    }
}
