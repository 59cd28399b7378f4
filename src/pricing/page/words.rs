//! `NaN` and `Infinity`, which some writers put where JSON has a number.

use std::borrow::Cow;

use serde::de::IgnoredAny;

const WORDS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// `text` with these words as strings, where it is no JSON otherwise; what is JSON comes back as it is.
pub(super) fn quoted(text: &[u8]) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replaced(text)),
    }
}

fn replaced(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some(first) = text.first() {
        let word = WORDS.iter().find(|word| text.starts_with(word));
        let len = match (word, first) {
            (Some(word), _) => word.len(),
            (None, b'"') => string_len(text),
            (None, _) => 1,
        };
        let (taken, rest) = text.split_at(len);
        let quote: &[u8] = if word.is_some() { b"\"" } else { b"" };
        for part in [quote, taken, quote] {
            out.extend_from_slice(part);
        }
        text = rest;
    }
    out
}

/// How long the string is with which `text` begins, quotes and all.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_bare_words_are_quoted() {
        let text = br#"{"a\"NaN":NaN,"b":[-Infinity, Infinity],"c":"NaN\\","d":NaN}"#;
        let expected = br#"{"a\"NaN":"NaN","b":["-Infinity", "Infinity"],"c":"NaN\\","d":"NaN"}"#;
        assert_eq!(quoted(text), &expected[..]);
        assert!(matches!(quoted(br#"{"a":"NaN"}"#), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn text_without_the_words_stays_as_it_is(text in "[\\[\\]{}\",:a-z0-9\\\\]{0,40}") {
            prop_assert_eq!(quoted(text.as_bytes()), text.as_bytes());
        }
    }
}
