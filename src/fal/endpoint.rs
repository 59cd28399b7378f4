//! What a tenant may call: `[ns/]owner/alias(/segment)*`, checked before it enters a path, a row or a log.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Names that stand before the owner and shift it by one.
const NAMESPACES: [&str; 2] = ["workflows", "comfy"];

/// Stands between an endpoint and a request id, in paths and in the addresses that fal returns.
pub(super) const FOLLOW_UP_MARKER: &str = "/requests/";

/// The id of something that fal runs, such as `fal-ai/flux-1/dev` or the legacy `110602490-lora`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Endpoint(Arc<str>);

/// Where fal keeps the requests of an app: `[ns/]owner/alias`, without the rest of the endpoint's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct AppBase(Arc<str>);

/// Why a text is not an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    /// It has no owner or no alias.
    #[error("an endpoint has the form owner/name")]
    Incomplete,
    /// It is longer than [`Endpoint::MAX_LEN`].
    #[error("the endpoint is longer than 512 characters")]
    TooLong,
    /// It has more segments than [`Endpoint::MAX_SEGMENTS`].
    #[error("the endpoint has more than 16 segments")]
    TooDeep,
    /// Two slashes meet, or one stands at an end.
    #[error("the endpoint has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`, which some servers resolve.
    #[error("the endpoint has a `.` or `..` segment")]
    DotSegment,
    /// A character outside `A-Z a-z 0-9 . _ -`.
    #[error("an endpoint has only letters, digits, `.`, `_`, `-` and `/`")]
    Character,
}

impl Endpoint {
    /// The longest endpoint that is accepted; the longest of fal's catalogue has 62 characters.
    pub const MAX_LEN: usize = 512;
    /// The most segments that are accepted; the deepest of fal's catalogue has 7.
    pub const MAX_SEGMENTS: usize = 16;

    /// Checks `text`.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        match check_segments(text)? >= segments_of_base(text) || legacy(text).is_some() {
            true => Ok(Self(text.into())),
            false => Err(BadEndpoint::Incomplete),
        }
    }

    /// The endpoint as the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The other name of an endpoint that has two: fal takes `110602490-lora` for `110602490/lora`. Who may call the one
    /// and not the other may call neither.
    pub fn other_name(&self) -> Option<String> {
        if let Some((owner, alias)) = legacy(&self.0) {
            return Some(format!("{owner}/{alias}"));
        }
        let (owner, alias) = self.0.split_once('/')?;
        legacy(&format!("{owner}-{alias}")).map(|(owner, alias)| format!("{owner}-{alias}"))
    }

    /// Where fal keeps this endpoint's requests, as far as the endpoint tells; what fal answers to a submit goes first.
    pub fn app_base(&self) -> AppBase {
        if let Some((owner, alias)) = legacy(&self.0) {
            return AppBase(format!("{owner}/{alias}").into());
        }
        match self.0.match_indices('/').nth(segments_of_base(&self.0) - 1) {
            Some((end, _)) => AppBase(self.0[..end].into()),
            None => AppBase(Arc::clone(&self.0)),
        }
    }
}

impl AppBase {
    /// Reads the app base out of an address that fal returned, `{fal base}/{app base}/requests/{id}...`.
    ///
    /// fal's word counts: should it ever keep requests under a longer path than `owner/alias`, that path is taken.
    /// `None` when the address is not under one of `fal_bases` or has no such form.
    pub fn from_address(address: &str, fal_bases: &[String]) -> Option<Self> {
        let path =
            fal_bases.iter().find_map(|base| address.strip_prefix(base.as_str())?.strip_prefix('/'))?;
        let (base, _) = path.rsplit_once(FOLLOW_UP_MARKER)?;
        Self::parse(base).ok()
    }

    /// Checks `text`, as read back from the ledger.
    pub fn parse(text: &str) -> Result<Self, BadEndpoint> {
        Endpoint::parse(text).map(|Endpoint(text)| Self(text))
    }

    /// The base, without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many segments make the app base of `text`.
fn segments_of_base(text: &str) -> usize {
    let begins_with =
        |name: &&str| text.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if NAMESPACES.iter().any(begins_with) { 3 } else { 2 }
}

/// The parts of a legacy id such as `110602490-lora`, which means `110602490/lora`.
fn legacy(text: &str) -> Option<(&str, &str)> {
    let (owner, alias) = text.split_once('-')?;
    let numeric = !owner.is_empty() && owner.bytes().all(|b| b.is_ascii_digit());
    (numeric && !alias.is_empty() && !alias.contains('/')).then_some((owner, alias))
}

/// Checks everything about `text` but its number of segments at the low end, and counts them.
fn check_segments(text: &str) -> Result<usize, BadEndpoint> {
    if text.len() > Endpoint::MAX_LEN {
        return Err(BadEndpoint::TooLong);
    }
    let mut segments = 0;
    for segment in text.as_bytes().split(|byte| *byte == b'/') {
        match segment {
            _ if segments == Endpoint::MAX_SEGMENTS => return Err(BadEndpoint::TooDeep),
            b"" => return Err(BadEndpoint::EmptySegment),
            b"." | b".." => return Err(BadEndpoint::DotSegment),
            _ if !segment.iter().copied().all(is_plain) => return Err(BadEndpoint::Character),
            _ => segments += 1,
        }
    }
    Ok(segments)
}

/// Whether a byte may stand in a segment.
pub(super) fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// The bytes of segments. Each byte of each path is looked up several times, so this is a table.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        byte += 1;
    }
    table
};

/// Gives a checked text the usual ways out.
macro_rules! checked_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for Arc<str> {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

checked_text!(Endpoint);
checked_text!(AppBase);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn legacy_ids_have_two_names() {
        let other = |text: &str| Endpoint::parse(text).unwrap().other_name();
        assert_eq!(other("110602490-lora").as_deref(), Some("110602490/lora"));
        assert_eq!(other("110602490/lora").as_deref(), Some("110602490-lora"));
        for one in ["fal-ai/flux-1/dev", "110602490/lora/fast", "a1/b"] {
            assert_eq!(other(one), None, "{one}");
        }
    }

    #[test]
    fn the_sub_path_is_not_part_of_the_app_base() {
        for (endpoint, base) in [
            ("fal-ai/flux-1/dev", "fal-ai/flux-1"),
            ("fal-ai/wan/v2.2-a14b/image-to-image", "fal-ai/wan"),
            ("fal-ai/qwen-image-edit-plus", "fal-ai/qwen-image-edit-plus"),
            ("openrouter/router/openai/v1/responses", "openrouter/router"),
            ("CassetteAI/music-generator", "CassetteAI/music-generator"),
            ("workflows/fal-ai/sdxl-sticker", "workflows/fal-ai/sdxl-sticker"),
            ("comfy/someone/graph/run", "comfy/someone/graph"),
            ("110602490-lora", "110602490/lora"),
            ("110602490-lora/fast", "110602490-lora/fast"),
        ] {
            assert_eq!(Endpoint::parse(endpoint).unwrap().app_base().as_str(), base, "{endpoint}");
        }
    }

    #[test]
    fn what_is_not_an_endpoint_says_why() {
        for (text, why) in [
            ("", BadEndpoint::EmptySegment),
            ("fal-ai", BadEndpoint::Incomplete),
            ("workflows/fal-ai", BadEndpoint::Incomplete),
            ("-lora", BadEndpoint::Incomplete),
            ("110602490-", BadEndpoint::Incomplete),
            ("/a/b", BadEndpoint::EmptySegment),
            ("a//b", BadEndpoint::EmptySegment),
            ("a/b/", BadEndpoint::EmptySegment),
            ("a/../b", BadEndpoint::DotSegment),
            ("a/.", BadEndpoint::DotSegment),
            ("a/b%2fc", BadEndpoint::Character),
            ("a/b c", BadEndpoint::Character),
            ("a/é", BadEndpoint::Character),
            ("a/b\0", BadEndpoint::Character),
        ] {
            assert_eq!(Endpoint::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn invariant_7_the_limits_of_an_endpoint_are_exact() {
        let deep = |segments: usize| vec!["a"; segments].join("/");
        assert!(Endpoint::parse(&deep(Endpoint::MAX_SEGMENTS)).is_ok());
        assert_eq!(Endpoint::parse(&deep(Endpoint::MAX_SEGMENTS + 1)), Err(BadEndpoint::TooDeep));
        let long = |len: usize| format!("a/{}", "b".repeat(len - 2));
        assert!(Endpoint::parse(&long(Endpoint::MAX_LEN)).is_ok());
        assert_eq!(Endpoint::parse(&long(Endpoint::MAX_LEN + 1)), Err(BadEndpoint::TooLong));
    }

    #[test]
    fn an_app_base_is_read_from_fals_own_addresses_only() {
        let bases = ["https://queue.fal.run".to_owned(), "http://127.0.0.1:9/queue".to_owned()];
        let read = |address: &str| AppBase::from_address(address, &bases).map(|base| base.to_string());
        assert_eq!(read("https://queue.fal.run/fal-ai/vidu/requests/1").unwrap(), "fal-ai/vidu");
        assert_eq!(
            read("http://127.0.0.1:9/queue/fal-ai/vidu/requests/1/status?logs=1").unwrap(),
            "fal-ai/vidu"
        );
        assert_eq!(read("https://queue.fal.run/a/b/c/requests/1").unwrap(), "a/b/c");
        for foreign in [
            "https://queue.fal.run.evil.com/fal-ai/vidu/requests/1",
            "https://queue.fal.run/../vidu/requests/1",
            "https://queue.fal.run/fal-ai/requests/1",
            "https://queue.fal.run/fal-ai/vidu",
            "https://other.example/fal-ai/vidu/requests/1",
            "",
        ] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_a_good_one_has_a_good_base(text in "[a-z0-9./%-]{0,30}|\\PC{0,30}") {
            if let Ok(endpoint) = Endpoint::parse(&text) {
                prop_assert_eq!(endpoint.as_str(), &text);
                let base = endpoint.app_base();
                prop_assert_eq!(AppBase::parse(base.as_str()), Ok(base.clone()));
                prop_assert_eq!(Endpoint::parse(base.as_str()).unwrap().app_base(), base);
            }
        }
    }
}
