//! Patterns of endpoints: `fal-ai/flux/**`, `fal-ai/*/image-to-video`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use memchr::memmem;

use super::list::Listed;
use super::{RulesError, shown};

/// Stands for any number of segments, also none.
const ANY_SEGMENTS: &str = "**";

/// A pattern of endpoints. `*` stands for any characters within one segment, also none; `**` for any number of segments,
/// also none, so that `fal-ai/flux/**` matches `fal-ai/flux` and whatever lies below. Case counts, as it does at fal.
#[derive(Clone)]
pub struct Glob {
    text: Arc<str>,
    /// The segments between one `**` and the next.
    runs: Arc<[Box<[Segment]>]>,
}

/// Why a text is not a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// It is longer than [`Glob::MAX_LEN`].
    #[error("it is longer than 512 characters")]
    TooLong,
    /// It has more segments than [`Glob::MAX_SEGMENTS`].
    #[error("it has more than 16 segments")]
    TooDeep,
    /// Nothing at all, two slashes that meet, or one at an end.
    #[error("it has an empty segment; write it as owner/name, without slashes at its ends")]
    EmptySegment,
    /// A segment is `.` or `..`, which no endpoint has.
    #[error("it has a `.` or `..` segment, which no endpoint has")]
    DotSegment,
    /// A character that no endpoint has.
    #[error("it may have only letters, digits, `.`, `_`, `-`, `/` and `*`")]
    Character,
    /// Two stars beside something else.
    #[error("`**` must stand alone between slashes, as in fal-ai/**")]
    DoubleStar,
    /// `**` after `**`.
    #[error("`**` follows `**`; one says the same")]
    Repeated,
    /// One segment, while endpoints have an owner and a name.
    #[error("one segment is no endpoint; write owner/name, or owner/** for all of an owner's")]
    OnlyOwner,
}

/// A segment's literal parts, with a star between each two.
struct Segment(Box<[Box<str>]>);

/// An endpoint's segments, so that many globs look at them and one takes it apart.
pub(super) struct Path<'a> {
    segments: [&'a str; Glob::MAX_SEGMENTS],
    count: usize,
}

impl Glob {
    /// The longest glob that is accepted, and the longest endpoint that is matched.
    pub const MAX_LEN: usize = 512;
    /// The most segments of a glob, and of an endpoint that is matched.
    pub const MAX_SEGMENTS: usize = 16;

    /// Checks and compiles `text`.
    pub fn parse(text: &str) -> Result<Self, BadGlob> {
        if text.len() > Self::MAX_LEN {
            return Err(BadGlob::TooLong);
        }
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() > Self::MAX_SEGMENTS {
            return Err(BadGlob::TooDeep);
        }
        segments.iter().try_for_each(|segment| check_segment(segment))?;
        if segments.windows(2).any(|pair| pair == [ANY_SEGMENTS; 2]) {
            return Err(BadGlob::Repeated);
        }
        if segments.len() == 1 && text != ANY_SEGMENTS && !is_legacy(text) {
            return Err(BadGlob::OnlyOwner);
        }
        let run = |run: &[&str]| run.iter().map(|segment| Segment::compile(segment)).collect();
        let runs = segments.split(|segment| *segment == ANY_SEGMENTS).map(run).collect();
        Ok(Self { text: text.into(), runs })
    }

    /// The glob as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether an endpoint matches, in time that grows with its length alone. What is too long or too deep for an
    /// endpoint matches nothing.
    pub fn matches(&self, endpoint: &str) -> bool {
        Path::split(endpoint).is_some_and(|path| self.matches_path(&path))
    }

    /// Whether it is one endpoint's own name.
    pub fn is_exact(&self) -> bool {
        !self.text.contains('*')
    }

    /// Whether this matches whatever `other` matches. True answers are right; some that could be true are not given.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let Some(mut path) = Path::split(&other.text) else { return false };
        // A star of the other is a character like any other to literal parts, and a star takes it. Any number of
        // segments is taken by the same only: nothing else matches an empty segment.
        for segment in path.segments.iter_mut().filter(|segment| **segment == ANY_SEGMENTS) {
            *segment = "";
        }
        self.matches_path(&path)
    }

    pub(super) fn matches_path(&self, path: &Path<'_>) -> bool {
        let segments = path.segments();
        match &*self.runs {
            [] => false,
            [only] => only.len() == segments.len() && all_match(only, segments),
            [first, between @ .., last] => {
                let Some(inner) = segments.len().checked_sub(first.len() + last.len()) else { return false };
                let (head, rest) = segments.split_at(first.len());
                let (inner, tail) = rest.split_at(inner);
                all_match(first, head) && all_match(last, tail) && in_order(between, inner)
            }
        }
    }
}

/// Whether all runs are found one after the other. The leftmost place leaves most to those that follow.
fn in_order(runs: &[Box<[Segment]>], mut segments: &[&str]) -> bool {
    runs.iter().all(|run| {
        let found = segments.windows(run.len()).position(|window| all_match(run, window));
        segments = found.map_or(&[], |at| &segments[at + run.len()..]);
        found.is_some()
    })
}

fn all_match(run: &[Segment], segments: &[&str]) -> bool {
    run.iter().zip(segments).all(|(pattern, segment)| pattern.matches(segment))
}

fn check_segment(segment: &str) -> Result<(), BadGlob> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
    match segment {
        "" => Err(BadGlob::EmptySegment),
        "." | ".." => Err(BadGlob::DotSegment),
        _ if !segment.bytes().all(is_plain) => Err(BadGlob::Character),
        _ if segment != ANY_SEGMENTS && segment.contains(ANY_SEGMENTS) => Err(BadGlob::DoubleStar),
        _ => Ok(()),
    }
}

/// Endpoints of fal's first days have one segment, such as `110602490-lora`.
fn is_legacy(text: &str) -> bool {
    text.split_once('-')
        .is_some_and(|(owner, _)| !owner.is_empty() && owner.bytes().all(|b| b.is_ascii_digit() || b == b'*'))
}

impl Segment {
    fn compile(text: &str) -> Self {
        Self(text.split('*').map(Into::into).collect())
    }

    fn matches(&self, segment: &str) -> bool {
        match &*self.0 {
            [] => false,
            [only] => **only == *segment,
            [first, between @ .., last] => {
                let inner = segment.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last));
                !segment.is_empty() && inner.is_some_and(|inner| holds_in_order(inner, between))
            }
        }
    }
}

/// Whether all parts are found one after the other. The leftmost place leaves most to those that follow.
fn holds_in_order(text: &str, parts: &[Box<str>]) -> bool {
    let mut rest = text.as_bytes();
    parts.iter().all(|part| {
        let found = memmem::find(rest, part.as_bytes());
        rest = found.map_or(&[], |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

impl<'a> Path<'a> {
    /// Takes an endpoint apart; `None` when it is longer or deeper than an endpoint can be.
    pub(super) fn split(endpoint: &'a str) -> Option<Self> {
        if endpoint.len() > Glob::MAX_LEN {
            return None;
        }
        let mut path = Self { segments: [""; Glob::MAX_SEGMENTS], count: 0 };
        for segment in endpoint.split('/') {
            *path.segments.get_mut(path.count)? = segment;
            path.count += 1;
        }
        Some(path)
    }

    fn segments(&self) -> &[&'a str] {
        &self.segments[..self.count]
    }
}

impl Listed for Glob {
    const MAX: usize = 256;
    const WHAT: &'static str = "endpoint patterns";

    fn read(text: &str) -> Result<Self, RulesError> {
        Self::parse(text).map_err(|why| RulesError::Glob { text: shown(text), why })
    }
}

impl FromStr for Glob {
    type Err = BadGlob;

    fn from_str(text: &str) -> Result<Self, BadGlob> {
        Self::parse(text)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}
