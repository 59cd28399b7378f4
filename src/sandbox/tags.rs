//! `X-Fal-Tags`: what callers write on their requests, to find it again on the bill.

use std::collections::BTreeMap;

use http::HeaderMap;
use serde::Serialize;

/// Pairs on one request.
const MAX_TAGS: usize = 10;
/// The longest name.
const MAX_NAME_LEN: usize = 64;
/// The longest value.
const MAX_VALUE_LEN: usize = 256;
/// Names and values of one request together.
const MAX_TOTAL_BYTES: usize = 1024;
/// Names that fal keeps for itself.
const RESERVED: &str = "fal.";

/// The tags of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Tags(BTreeMap<String, String>);

impl Tags {
    /// Reads `name=value,name=value`. What is not a pair, or one too many, is dropped without a word, as fal drops it.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut tags = Self::default();
        let texts = headers.get_all("x-fal-tags").iter().filter_map(|value| value.to_str().ok());
        for (name, value) in texts.flat_map(|text| text.split(',')).filter_map(pair) {
            let fits = tags.0.len() < MAX_TAGS && tags.bytes() + name.len() + value.len() <= MAX_TOTAL_BYTES;
            if fits {
                tags.0.insert(name, value);
            }
        }
        tags
    }

    /// The value of `name`.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Bytes that keeping them takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.trim().split_once('=')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let name_is_sound = (1..=MAX_NAME_LEN).contains(&name.len()) && name.bytes().all(plain);
    let value_is_sound = value.len() <= MAX_VALUE_LEN && value.bytes().all(|b| matches!(b, b' '..=b'~'));
    (name_is_sound && value_is_sound && !name.starts_with(RESERVED)).then(|| (name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Tags {
        let values =
            texts.iter().map(|text| (http::HeaderName::from_static("x-fal-tags"), text.parse().unwrap()));
        Tags::read(&values.collect())
    }

    fn of(pairs: &[(&str, &str)]) -> Tags {
        Tags(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn pairs_are_kept_and_everything_else_is_dropped() {
        assert_eq!(
            read(&["team=design, Env=prod", "x=a=b"]),
            of(&[("team", "design"), ("env", "prod"), ("x", "a=b")])
        );
        assert_eq!(read(&["alone,=value,fal.own=1,sp ace=1,ok="]), of(&[("ok", "")]));
        assert_eq!(read(&[&format!("{}=1,long={}", "n".repeat(65), "v".repeat(257))]), of(&[]));
    }

    #[test]
    fn tags_are_bounded() {
        let many: Vec<String> = (0..20).map(|at| format!("t{at}=x")).collect();
        assert_eq!(read(&[&many.join(",")]).0.len(), MAX_TAGS);
        let long: Vec<String> = (0..8).map(|at| format!("t{at}={}", "v".repeat(250))).collect();
        let tags = read(&[&long.join(",")]);
        assert_eq!((tags.0.len(), tags.bytes()), (4, 4 * 252));
    }
}
