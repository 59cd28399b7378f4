//! JSON as far as the relay reads it: where a few top-level values are, without a parse of the rest.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The keys whose values are addresses of fal's queue.
const ADDRESS_KEYS: [&[u8]; 3] = [b"response_url", b"status_url", b"cancel_url"];

/// The longest of [`ADDRESS_KEYS`]: as much of a key is remembered.
const KEY_MAX: usize = 12;

/// Follows a JSON document through chunks cut anywhere and finds the values of [`ADDRESS_KEYS`] in its top-level object.
///
/// It needs the document's outline, so it checks no more than that: what is no object, or stops being one, is over.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    /// Whether `place` is inside a string.
    in_string: bool,
    /// Whether the byte before was a backslash of that string.
    escaped: bool,
    key: Key,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the document's first byte.
    Start,
    /// Where a key of the top-level object, or its end, may stand.
    Key,
    /// After a key.
    Colon,
    /// After a colon.
    Value,
    /// In a number or word, or after any value: up to the comma or the end.
    Rest,
    /// In objects and arrays, so many deep, below the top-level object.
    Nested(u64),
    /// After the top-level object, or in something that is none.
    Over,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self { place: Place::Start, in_string: false, escaped: false, key: Key::default() }
    }

    /// Reads `text` up to the first byte of the next address value, and says how many bytes that were. The text left
    /// is for the next call. `None` when all of `text` was read.
    pub(super) fn next_address(&mut self, text: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if self.in_string {
                at += self.skip_string(&text[at..]);
                continue;
            }
            match self.place {
                Place::Over => break,
                Place::Nested(depth) => at += self.skip_nested(depth, &text[at..]),
                _ => {
                    at += 1;
                    self.step(byte);
                    if self.in_string && self.place == Place::Value && self.key.is_address() {
                        return Some(at);
                    }
                }
            }
        }
        None
    }

    /// Takes one byte that stands outside strings and nested values.
    fn step(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            (place, b' ' | b'\t' | b'\n' | b'\r') => place,
            (Place::Start, b'{') | (Place::Rest, b',') => Place::Key,
            (Place::Key | Place::Value, b'"') => {
                self.in_string = true;
                if self.place == Place::Key {
                    self.key = Key::default();
                }
                self.place
            }
            (Place::Colon, b':') => Place::Value,
            (Place::Value, b'{' | b'[') => Place::Nested(1),
            (Place::Value | Place::Rest, b'"' | b'{' | b'}' | b'[' | b']' | b':' | b',') => Place::Over,
            (Place::Value | Place::Rest, _) => Place::Rest,
            _ => Place::Over,
        };
    }

    /// Reads on inside a string, to its end at most; says how many bytes that were.
    fn skip_string(&mut self, text: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        let end = memchr2(b'"', b'\\', text);
        if self.place == Place::Key {
            // A backslash is kept, so that a key with escapes is never taken for a plain one.
            self.key.push(&text[..end.map_or(text.len(), |end| end + usize::from(text[end] == b'\\'))]);
        }
        match end {
            Some(end) if text[end] == b'\\' => self.escaped = true,
            Some(_) => self.end_string(),
            None => return text.len(),
        }
        end.map_or(text.len(), |end| end + 1)
    }

    fn end_string(&mut self) {
        self.in_string = false;
        self.place = match self.place {
            Place::Key => Place::Colon,
            Place::Value => Place::Rest,
            nested => nested,
        };
    }

    /// Reads on in nested values, to the next string or their end at most; says how many bytes that were.
    fn skip_nested(&mut self, mut depth: u64, text: &[u8]) -> usize {
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => continue,
            }
            self.place = if depth == 0 { Place::Rest } else { Place::Nested(depth) };
            if self.in_string || depth == 0 {
                return at + 1;
            }
        }
        text.len()
    }
}

/// The key being read, as far as it can matter.
#[derive(Debug, Default)]
struct Key {
    bytes: [u8; KEY_MAX],
    /// Its length so far, which may go beyond `bytes`.
    len: usize,
}

impl Key {
    fn push(&mut self, part: &[u8]) {
        let len = self.len.saturating_add(part.len());
        if let Some(room) = self.bytes.get_mut(self.len..len) {
            room.copy_from_slice(part);
        }
        self.len = len;
    }

    fn is_address(&self) -> bool {
        self.bytes.get(..self.len).is_some_and(|key| ADDRESS_KEYS.contains(&key))
    }
}

/// The first string values that a JSON object gives to `names`, unescaped; `None` for what is missing or no string.
///
/// Of a body that breaks off or breaks the rules, what stands before the break counts: the id of a paid job is better
/// known than lost.
pub fn top_level_strings<'body, const N: usize>(
    body: &'body [u8],
    names: [&str; N],
) -> [Option<Cow<'body, str>>; N] {
    let mut found = [const { None }; N];
    let wanted = Wanted { names: &names, found: &mut found };
    // An error is no body that fal writes; the strings found before it are all that can be known.
    let _ = serde_json::Deserializer::from_slice(body).deserialize_map(wanted);
    found
}

/// Collects the strings of [`top_level_strings`].
struct Wanted<'names, 'found, 'body> {
    names: &'names [&'names str],
    found: &'found mut [Option<Cow<'body, str>>],
}

impl<'body> Visitor<'body> for Wanted<'_, '_, 'body> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'body>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match self.names.iter().position(|name| *name == key) {
                Some(nth) if self.found[nth].is_none() => self.found[nth] = string(map.next_value()?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// A JSON object in which each value of `name` is the string `text`, and every other byte as it was; `None` when the body is
/// no whole object that has one.
pub fn replace_top_level(body: &[u8], name: &str, text: &str) -> Option<Vec<u8>> {
    let mut places = Vec::new();
    let mut document = serde_json::Deserializer::from_slice(body);
    document.deserialize_map(Places { body, name, places: &mut places }).ok()?;
    document.end().ok()?;
    let text = serde_json::to_vec(text).ok().filter(|_| !places.is_empty())?;
    let (mut out, mut done) = (Vec::with_capacity(body.len() + text.len()), 0);
    for place in places {
        out.extend_from_slice(body.get(done..place.start)?);
        out.extend_from_slice(&text);
        done = place.end;
    }
    out.extend_from_slice(body.get(done..)?);
    Some(out)
}

/// Collects where the values of one name stand.
struct Places<'out, 'name, 'body> {
    body: &'body [u8],
    name: &'name str,
    places: &'out mut Vec<Range<usize>>,
}

impl<'body> Visitor<'body> for Places<'_, '_, 'body> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'body>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            if key == self.name {
                // The value is borrowed from the body, so its address tells its place.
                let start = value.get().as_ptr().addr() - self.body.as_ptr().addr();
                self.places.push(start..start + value.get().len());
            }
        }
        Ok(())
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'body>(#[serde(borrow)] Cow<'body, str>);

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(value.get()).ok().map(|Text(text)| text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> [Option<String>; 2] {
        top_level_strings(body.as_bytes(), ["request_id", "response_url"])
            .map(|text| text.map(Cow::into_owned))
    }

    fn found(id: Option<&str>, url: Option<&str>) -> [Option<String>; 2] {
        [id.map(str::to_owned), url.map(str::to_owned)]
    }

    #[test]
    fn a_submit_reply_gives_its_id_and_address() {
        let body = r#"{"logs":null,"request_id":"1","metrics":{"request_id":"2"},"response_url":"https:\/\/a\u002fb","n":1e400}"#;
        assert_eq!(read(body), found(Some("1"), Some("https://a/b")));
        let plain = br#"{"request_id":"1"}"#;
        assert!(matches!(top_level_strings(plain, ["request_id"]), [Some(Cow::Borrowed("1"))]));
    }

    #[test]
    fn only_strings_of_the_top_level_object_count_and_the_first_of_them() {
        for (body, id) in [
            (r#"{"request_id":"1","request_id":"2"}"#, Some("1")),
            (r#"{"request_id":null,"request_id":"2"}"#, Some("2")),
            (r#"{"request\u005fid":"1"}"#, Some("1")),
            (r#"{"request_id":1}"#, None),
            (r#"{"request_id":["1"]}"#, None),
            (r#"{"request_id":"\ud800"}"#, None),
            (r#"{"a":{"request_id":"1"}}"#, None),
            (r#"[{"request_id":"1"}]"#, None),
            (r#""request_id""#, None),
            ("", None),
        ] {
            assert_eq!(read(body), found(id, None), "{body}");
        }
    }

    #[test]
    fn what_stands_before_a_break_is_known() {
        assert_eq!(read(r#"{"request_id":"1","response_url":"https://"#), found(Some("1"), None));
        assert_eq!(read(r#"{"request_id":"1"} {"#), found(Some("1"), None));
        let deep = format!(r#"{{"request_id":"1","a":{}"#, "[".repeat(100_000));
        assert_eq!(read(&deep), found(Some("1"), None));
        let deep = format!(r#"{{"request_id":{}"#, "[".repeat(100_000));
        assert_eq!(read(&deep), found(None, None));
    }

    #[test]
    fn a_top_level_value_is_replaced_and_nothing_else() {
        let replaced = |body: &str| {
            replace_top_level(body.as_bytes(), "u", "n\"").map(|out| String::from_utf8(out).unwrap())
        };
        let body = r#" {"a":{"u":"x"}, "u" : "https:\/\/y" ,"n":1.50, "u":null} "#;
        let wanted = r#" {"a":{"u":"x"}, "u" : "n\"" ,"n":1.50, "u":"n\""} "#;
        assert_eq!(replaced(body).as_deref(), Some(wanted));
        for body in ["", "[]", "{}", r#"{"a":{"u":"x"}}"#, r#"{"u":"x""#, r#"{"u":"x"}}"#] {
            assert_eq!(replaced(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = top_level_strings(&body, ["a", ""]);
            let _ = replace_top_level(&body, "a", "b");
        }

        #[test]
        fn strings_are_read_as_a_whole_parse_reads_them(id in "\\PC{0,12}", url in any::<Option<String>>(), other in any::<f64>()) {
            let body = serde_json::json!({ "a": other, "request_id": id, "b": [{ "request_id": 1 }], "response_url": url });
            prop_assert_eq!(read(&body.to_string()), found(Some(&id), url.as_deref()));
        }
    }
}
