//! Cost tags: what a tenant wants its calls told apart by, in the form of fal's own `X-Fal-Tags` (protocol 2.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

/// `k=v,k=v`.
pub const X_FAL_TAGS: HeaderName = HeaderName::from_static("x-fal-tags");

/// The key of the relay's own tag, the only one that goes to fal.
pub const RELAY_TAG: &str = "fal-relay";

const PAIRS_MAX: usize = 10;
const KEY_MAX_BYTES: usize = 64;
const VALUE_MAX_BYTES: usize = 256;
const ALL_MAX_BYTES: usize = 1024;

/// The tenant's tags, sorted by key, as `k=v,k=v`. As with fal, a pair that is not sound is dropped and no error; of two
/// with one key the first counts.
pub fn tags(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut kept = BTreeMap::new();
    let mut bytes = 0;
    for (key, value) in
        headers.get_all(X_FAL_TAGS).iter().filter_map(|value| value.to_str().ok()).flat_map(pairs)
    {
        let length = key.len() + value.len() + 2;
        if kept.len() < PAIRS_MAX && bytes + length <= ALL_MAX_BYTES && !kept.contains_key(key) {
            bytes += length;
            kept.insert(key, value);
        }
    }
    let pairs: Vec<_> = kept.into_iter().map(|(key, value)| [key, "=", value].concat()).collect();
    (!pairs.is_empty()).then(|| pairs.join(",").into())
}

/// The relay's own tag for a call: by it, fal's bill tells a call of which nothing else is known.
pub fn relay_tag(instance: &str, call: impl std::fmt::Display) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{RELAY_TAG}={instance}.{call}")).ok()
}

fn pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, value)| {
            let plain =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
            (1..=KEY_MAX_BYTES).contains(&key.len())
                && key.bytes().all(plain)
                && !key.starts_with("fal.")
                && (1..=VALUE_MAX_BYTES).contains(&value.len())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FAL_TAGS, HeaderValue::from_str(line).unwrap());
        }
        tags(&headers).map(|tags| tags.to_string())
    }

    #[test]
    fn sound_pairs_are_kept_in_one_order() {
        assert_eq!(read(&["team=web, app=shop", "app=late"]).as_deref(), Some("app=shop,team=web"));
        assert_eq!(read(&["a=x=y"]).as_deref(), Some("a=x=y"));
    }

    #[test]
    fn pairs_that_fal_would_drop_are_dropped() {
        let (long_key, long_value) = ("k".repeat(65), "v".repeat(257));
        for bad in [
            "",
            "a",
            "a=",
            "=b",
            "A=b",
            "fal.team=x",
            "a b=c",
            &format!("{long_key}=v"),
            &format!("k={long_value}"),
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn invariant_7_tags_are_few_and_short() {
        let many: Vec<_> = (10..40).map(|n| format!("k{n}=v")).collect();
        assert_eq!(read(&[&many.join(",")]).unwrap().split(',').count(), PAIRS_MAX);
        let long: Vec<_> = (0..9).map(|n| format!("k{n}={}", "v".repeat(250))).collect();
        assert!(read(&[&long.join(",")]).unwrap().len() <= ALL_MAX_BYTES);
        let pair = |key: usize, value: usize| read(&[&format!("{}={}", "k".repeat(key), "v".repeat(value))]);
        assert!(pair(KEY_MAX_BYTES, VALUE_MAX_BYTES).is_some());
        assert_eq!((pair(KEY_MAX_BYTES + 1, 1), pair(1, VALUE_MAX_BYTES + 1)), (None, None));
    }
}
