//! A path becomes a [`Call`]: from here no string is parsed twice, and what goes to fal is written anew from the call.

use std::borrow::Cow;

use http::Method;
use url::form_urlencoded;

use crate::fal::endpoint::{BadEndpoint, Endpoint, FOLLOW_UP_MARKER, is_plain};
use crate::fal::upload::{self, Door, Upload};
use crate::fal::webhook;
use crate::ids::RequestId;
use crate::secret::Secret;

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
    /// Direct runs carried over WebSocket.
    Ws,
    /// fal's media host.
    Cdn,
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
    /// Carry the bytes of one.
    Upload(Upload),
    /// Make a token for a browser.
    Token(TokenForm),
    /// Open a realtime socket.
    Realtime {
        /// What to run, without `/realtime`.
        endpoint: Endpoint,
        /// The whole path: any path of an app may be a socket (protocol 4.1).
        path: Endpoint,
    },
    /// Open a socket whose messages are direct runs (protocol 4.3). Each of them is a call of its own.
    Runs {
        /// What to run.
        endpoint: Endpoint,
    },
}

impl Call {
    /// Whether an upload begins with it.
    pub fn begins_upload(&self) -> bool {
        match self {
            Self::Storage(step) => matches!(step, Storage::Initiate | Storage::InitiateMultipart),
            Self::Upload(upload) => matches!(upload, Upload::Whole | Upload::Begin { .. }),
            Self::Submit { .. }
            | Self::Follow { .. }
            | Self::Run { .. }
            | Self::Stream { .. }
            | Self::Realtime { .. }
            | Self::Runs { .. }
            | Self::Token(_) => false,
        }
    }

    /// Whether fal may bill it. Whoever adds a kind of call decides here, and the journey of one that may be billed begins
    /// with its admission (invariant 2).
    pub fn may_be_billed(&self) -> bool {
        match self {
            Self::Submit { .. } | Self::Run { .. } | Self::Stream { .. } | Self::Realtime { .. } => true,
            // The socket of runs is free; its messages are runs.
            Self::Follow { .. } | Self::Storage(_) | Self::Upload(_) | Self::Token(_) | Self::Runs { .. } => {
                false
            }
        }
    }

    /// Whether its address may hold the token that opens it, as `fal_jwt_token` (protocol 1.1): of a browser's streams
    /// and sockets only, which cannot set a header.
    pub fn takes_token_in_query(&self) -> bool {
        match self {
            Self::Stream { .. } | Self::Realtime { .. } | Self::Runs { .. } => true,
            Self::Submit { .. }
            | Self::Follow { .. }
            | Self::Run { .. }
            | Self::Storage(_)
            | Self::Upload(_)
            | Self::Token(_) => false,
        }
    }
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
    /// Ask for a token with which the media host takes files.
    Token,
}

/// The two ways in which fal's REST service makes tokens (protocol 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenForm {
    /// `/tokens/`: names apps by their alias, and is answered by a bare JSON string.
    Bare,
    /// `/tokens/realtime`: names endpoints whole, and is answered by an object.
    Realtime,
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
    /// The path is a WebSocket's, and the request asks for none.
    #[error("not a WebSocket handshake")]
    NotASocket,
    /// No part of an upload has such a number.
    #[error("a part's number is from 1 to 10000")]
    Part,
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
            Self::Token => "/storage/auth/token",
        }
    }
}

/// Reads what `method` and `path` ask for at a host that stands for `role`.
///
/// A path that any server could read in a second way is refused, not repaired: percent-encoding, dot segments, empty
/// segments. One slash at the end is accepted everywhere, since clients write it.
pub fn parse(role: Role, method: &Method, path: &str) -> Result<Call, RouteError> {
    if role == Role::Cdn {
        return upload::cdn(method, path, Door::Host).map(Call::Upload);
    }
    let below = path.strip_prefix(upload::CDN_PATH).filter(|below| below.starts_with('/'));
    if let Some(path) = below.filter(|_| matches!(role, Role::Relay | Role::Rest)) {
        return upload::cdn(method, path, Door::Path).map(Call::Upload);
    }
    let path = well_formed(path)?;
    let (first, rest) = split_segment(path);
    match (role, first) {
        (Role::Relay | Role::Run, "run") => run(method, rest),
        (Role::Relay, "queue") => queue(method, rest),
        (Role::Relay | Role::Rest, "storage") => storage(method, rest),
        (Role::Relay | Role::Rest, "tokens") => token(method, rest),
        (Role::Rest | Role::Cdn, _) => Err(RouteError::Unknown),
        (Role::Ws, _) | (Role::Relay, "ws") => Err(RouteError::NotASocket),
        (Role::Relay, _) if RESERVED.contains(&first) => Err(RouteError::Unknown),
        (Role::Relay | Role::Queue, _) => queue(method, path),
        (Role::Run, _) => run(method, path),
    }
}

/// Reads what a WebSocket handshake for `path` asks for at a host that stands for `role`; `None` when nothing at that place
/// is a socket, and then the request is read as if it did not ask for one.
pub fn parse_socket(role: Role, path: &str) -> Option<Result<Call, RouteError>> {
    let whole = match well_formed(path) {
        Ok(whole) => whole,
        Err(error) => return Some(Err(error)),
    };
    match (role, split_segment(whole)) {
        (Role::Relay | Role::Run, ("run", rest)) => Some(realtime(rest)),
        (Role::Run, _) => Some(realtime(whole)),
        (Role::Relay | Role::Ws, ("ws", rest)) => Some(runs(rest)),
        (Role::Ws, _) => Some(runs(whole)),
        (Role::Relay | Role::Queue | Role::Rest | Role::Cdn, _) => None,
    }
}

fn realtime(path: &str) -> Result<Call, RouteError> {
    let named = path.strip_suffix("/realtime").and_then(|path| Endpoint::parse(path).ok());
    let path = endpoint(path)?;
    Ok(Call::Realtime { endpoint: named.unwrap_or_else(|| path.clone()), path })
}

fn runs(path: &str) -> Result<Call, RouteError> {
    endpoint(path).map(|endpoint| Call::Runs { endpoint })
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
    path.as_bytes().split(|byte| *byte == b'/').try_for_each(check_segment).map(|()| path)
}

fn check_segment(segment: &[u8]) -> Result<(), RouteError> {
    match segment {
        b"" => Err(RouteError::Malformed("it has an empty segment")),
        b"." | b".." => Err(RouteError::Malformed("it has a `.` or `..` segment")),
        _ if segment.iter().copied().all(is_plain) => Ok(()),
        _ if segment.contains(&b'%') => Err(RouteError::Malformed("it is percent-encoded")),
        _ => {
            Err(RouteError::Malformed("it has a character other than letters, digits, `.`, `_`, `-` and `/`"))
        }
    }
}

/// The first segment, and what follows its slash. By bytes, since a search for a `char` costs several times as much, at
/// each poll.
fn split_segment(path: &str) -> (&str, &str) {
    match memchr::memchr(b'/', path.as_bytes()) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, ""),
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
    let marker = FOLLOW_UP_MARKER.as_bytes();
    let at = path.as_bytes().windows(marker.len()).rposition(|window| window == marker)?;
    Some((Endpoint::parse(&path[..at]).ok()?, &path[at + marker.len()..]))
}

/// A path with a marker is never a submit, whatever follows the marker: a bad id is an unknown request.
fn follow_up(method: &Method, endpoint: Endpoint, rest: &str) -> Result<Call, RouteError> {
    let (id, suffix) = split_segment(rest);
    let request_id = RequestId::parse(id).map_err(|_| RouteError::Unknown)?;
    let what = FollowUp::from_suffix(suffix).ok_or(RouteError::Unknown)?;
    allow(method, what.method())?;
    Ok(Call::Follow { endpoint, request_id, what })
}

fn run(method: &Method, path: &str) -> Result<Call, RouteError> {
    if *method == Method::GET && path.ends_with("/realtime") {
        return Err(RouteError::NotASocket);
    }
    // fal keeps no requests of direct runs.
    if split_follow_up(path).is_some() {
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
    if let Some(rest) = path.strip_prefix("upload/bytes") {
        let rest = if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') };
        return upload::bytes(method, rest.ok_or(RouteError::Unknown)?).map(Call::Upload);
    }
    let step = match path {
        "auth/token" => Storage::Token,
        "upload/initiate" => Storage::Initiate,
        "upload/initiate-multipart" => Storage::InitiateMultipart,
        "upload/complete-multipart" => Storage::CompleteMultipart,
        _ => return Err(RouteError::Unknown),
    };
    allow(method, "POST").map(|()| Call::Storage(step))
}

fn token(method: &Method, path: &str) -> Result<Call, RouteError> {
    let form = match path {
        "" => TokenForm::Bare,
        "realtime" => TokenForm::Realtime,
        _ => return Err(RouteError::Unknown),
    };
    allow(method, "POST").map(|()| Call::Token(form))
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

/// The query without what is said to the relay alone: the tenant's `fal_jwt_token`, which is a credential, his `fal_webhook`, which
/// the relay serves, and Hugging Face's `_subdomain`. Everything else stays byte for byte.
pub fn query_for_fal(query: &str) -> Cow<'_, str> {
    without(query, is_for_the_relay)
}

fn without(query: &str, is_out: impl Fn(&str) -> bool) -> Cow<'_, str> {
    if !query.split('&').any(&is_out) {
        return Cow::Borrowed(query);
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_out(pair)).collect();
    Cow::Owned(kept.join("&"))
}

/// Takes the tenant's `fal_jwt_token` out of a query: the token, and everything else byte for byte. What stands in an
/// address is a client's way to show who it is, and nobody's behind this point. Two such tokens are nobody's.
pub fn take_token(query: &str) -> (Option<Secret>, Cow<'_, str>) {
    let mut pairs = query.split('&').filter(|pair| is_credential(pair));
    let token = match (pairs.next(), pairs.next()) {
        (Some(pair), None) => {
            form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| Secret::new(value))
        }
        _ => None,
    };
    (token, without(query, is_credential))
}

/// The receivers that a submit's query names, decoded, one for each time that it names one.
pub fn webhooks_of(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let named = query.split('&').filter(|pair| pair.contains('='));
    let pairs = named.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    pairs.filter(|(name, _)| name == webhook::FAL_WEBHOOK).map(|(_, value)| value)
}

/// Whether a pair's name, once it is decoded as fal would, is the token's.
fn is_credential(pair: &str) -> bool {
    is_named(pair, |name| name == TOKEN)
}

/// Whether it is one of those that are said to the relay alone.
fn is_for_the_relay(pair: &str) -> bool {
    is_named(pair, |name| matches!(name, TOKEN | SUBDOMAIN | webhook::FAL_WEBHOOK))
}

fn is_named(pair: &str, is_meant: impl Fn(&str) -> bool) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    form_urlencoded::parse(name.as_bytes()).any(|(name, _)| is_meant(&name))
}

/// By this parameter browsers show a token (protocol 3).
const TOKEN: &str = "fal_jwt_token";

/// By this parameter Hugging Face's clients tell their router which of fal's hosts they mean.
const SUBDOMAIN: &str = "_subdomain";

/// What Hugging Face's clients mean when the relay stands in their router's place. They write the name of the provider before
/// the path, which then begins with `fal-ai` twice, as no endpoint's does, and `_subdomain=queue` where they mean the queue.
pub fn through_a_router<'a>(path: &'a str, query: Option<&str>) -> Option<(Role, &'a str)> {
    let path = path.strip_prefix("/fal-ai").filter(|path| path.starts_with("/fal-ai/"))?;
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut hosts = pairs.filter(|(name, _)| name == SUBDOMAIN).map(|(_, host)| host);
    match (hosts.next().as_deref(), hosts.next()) {
        (None, _) => Some((Role::Run, path)),
        (Some("queue"), None) => Some((Role::Queue, path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
