//! The few top-level members of a request that its price depends on.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// As much of a request is looked at.
pub const SAMPLE_BYTES: usize = 64 * 1024;

/// The members that some family of models reads.
const NAMES: [&str; 20] = [
    "num_images",
    "n",
    "num_outputs",
    "num_samples",
    "batch_size",
    "max_images",
    "image_size",
    "size",
    "resolution",
    "width",
    "height",
    "duration",
    "duration_seconds",
    "seconds",
    "seconds_total",
    "generate_audio",
    "prompt",
    "text",
    "script",
    "lyrics",
];

/// The beginning of a request's body.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Its first bytes; what lies beyond [`SAMPLE_BYTES`] is not looked at.
    pub body: &'a [u8],
    /// Whether these are all.
    pub whole: bool,
}

/// The members of a sample that can matter, as they were written.
///
/// Of a name that comes twice the last one counts, as it does for fal; but beyond the sample nobody has looked.
pub(super) struct Members<'a> {
    found: [Option<&'a RawValue>; NAMES.len()],
    /// Whether the whole request was read: what was not found is not there.
    pub(super) complete: bool,
    /// The bytes that were read.
    pub(super) len: usize,
}

impl<'a> Members<'a> {
    /// Reads what can be read. What breaks the rules of JSON is not complete: fal's parser may see more than ours.
    pub(super) fn read(sample: Sample<'a>) -> Self {
        let body = sample.body.get(..SAMPLE_BYTES).unwrap_or(sample.body);
        let mut found = [None; NAMES.len()];
        let mut parser = serde_json::Deserializer::from_slice(body);
        let read = parser.deserialize_map(Wanted(&mut found)).and_then(|()| parser.end());
        let complete = read.is_ok() && sample.whole && body.len() == sample.body.len();
        Self { found, complete, len: body.len() }
    }

    /// The value of `name`; `None` when it is missing, null, or was not seen.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.found[at].filter(|raw| raw.get() != "null")
    }
}

/// Collects the members of [`NAMES`] and skips all others without keeping them.
struct Wanted<'found, 'a>(&'found mut [Option<&'a RawValue>; NAMES.len()]);

impl<'a> Visitor<'a> for Wanted<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match NAMES.iter().position(|name| *name == key) {
                Some(at) => self.0[at] = Some(map.next_value()?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The text of a string, else the value as it was written.
pub(super) fn text(raw: &RawValue) -> Cow<'_, str> {
    serde_json::from_str(raw.get()).map_or(Cow::Borrowed(raw.get()), |Text(text)| text)
}

/// A side of a picture: missing, or as it was written.
pub(super) struct Sides<'a> {
    pub(super) width: Option<&'a RawValue>,
    pub(super) height: Option<&'a RawValue>,
}

impl<'a> Sides<'a> {
    /// The sides in `{"width": .., "height": ..}`; of a name that comes twice the last one.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        struct Seeker;
        impl<'a> Visitor<'a> for Seeker {
            type Value = Sides<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("width and height")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Sides<'a>, M::Error> {
                let mut sides = Sides { width: None, height: None };
                while let Some(Text(key)) = map.next_key()? {
                    match &*key {
                        "width" => sides.width = Some(map.next_value()?),
                        "height" => sides.height = Some(map.next_value()?),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(sides)
            }
        }
        serde_json::Deserializer::from_str(raw.get()).deserialize_map(Seeker).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8], whole: bool) -> Members<'_> {
        Members::read(Sample { body, whole })
    }

    fn found(body: &str, whole: bool) -> (Option<String>, bool) {
        let members = read(body.as_bytes(), whole);
        (members.get("num_images").map(|raw| raw.get().to_owned()), members.complete)
    }

    #[test]
    fn only_top_level_members_count_and_the_last_of_them() {
        for (body, expected) in [
            (r#"{"num_images":2,"a":{"num_images":3},"n":[{"num_images":4}]}"#, Some("2")),
            (r#"{"num_images":2,"num_images":"3"}"#, Some(r#""3""#)),
            (r#"{"num\u005fimages":4}"#, Some("4")),
            (r#"{"num_images":null}"#, None),
            (r#" {} "#, None),
        ] {
            assert_eq!(found(body, true), (expected.map(str::to_owned), true), "{body}");
        }
    }

    #[test]
    fn what_is_cut_or_broken_is_not_complete_and_keeps_what_was_read() {
        for body in [
            r#"{"num_images":2"#,
            r#"{"num_images":2,"a":NaN}"#,
            r#"{"num_images":2,"n":"#,
            r#"{"num_images":2}}"#,
        ] {
            assert_eq!(found(body, true), (Some("2".to_owned()), false), "{body}");
        }
        for body in ["", "[]", "7", "{", r#"{"num_images":2"#, r#"{"num_images"#] {
            assert!(!found(body, true).1, "{body}");
        }
        assert!(!found("{}", false).1);
    }

    #[test]
    fn invariant_7_deep_nesting_is_skipped_and_nothing_beyond_the_sample_is_read() {
        let deep = format!(r#"{{"a":{}{},"num_images":3}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(found(&deep, true), (Some("3".to_owned()), true));
        let long = format!(r#"{{"n":1,"a":"{}","num_images":3}}"#, "x".repeat(SAMPLE_BYTES));
        assert_eq!(found(&long, true), (None, false));
    }
}
