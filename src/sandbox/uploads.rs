//! Files that callers uploaded, kept in memory within bounds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

/// The largest file.
pub(super) const MAX_FILE_BYTES: usize = 128 << 20;
/// All files together; the oldest are forgotten first.
const MAX_STORED_BYTES: usize = 512 << 20;
/// Files and uploads under way.
const MAX_FILES: usize = 1000;
/// Tokens for the media host; the oldest are forgotten first.
const MAX_TOKENS: usize = 1000;
/// Parts of one upload.
pub(super) const MAX_PARTS: u32 = 10_000;

/// A file that can be read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its bytes.
    pub(super) bytes: Bytes,
    /// Its content type.
    pub(super) content_type: String,
}

/// An address was given out and its bytes are awaited, or are there.
struct Slot {
    signature: String,
    content_type: String,
    how: How,
    parts: BTreeMap<u32, Bytes>,
    whole: Option<Bytes>,
}

/// How the bytes of an upload come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// In one piece.
    Whole,
    /// In parts.
    Parts,
}

/// What the mark of a part's bytes is.
pub(super) fn etag(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// All uploads, by path of the file.
#[derive(Default)]
pub(super) struct Uploads {
    slots: HashMap<String, Slot>,
    oldest_first: VecDeque<String>,
    /// Tokens for the media host, and when they end.
    tokens: VecDeque<(String, Duration)>,
}

/// Why an upload was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadUpload {
    /// Nobody was given this address, or the signature is another.
    Unknown,
    /// The file would be larger than files may be.
    TooLarge,
    /// The named parts are not those that came.
    PartsMissing,
}

impl Uploads {
    /// Gives out the address `path`, to be written with `signature`.
    pub(super) fn open(&mut self, path: String, signature: String, content_type: String, how: How) {
        while self.slots.len() >= MAX_FILES && self.forget_oldest() {}
        self.oldest_first.push_back(path.clone());
        self.slots.insert(path, Slot { signature, content_type, how, parts: BTreeMap::new(), whole: None });
    }

    /// Stores the whole file.
    pub(super) fn put(&mut self, path: &str, signature: &str, bytes: Bytes) -> Result<(), BadUpload> {
        self.slot(path, signature, How::Whole)?.whole = Some(bytes);
        self.make_room();
        Ok(())
    }

    /// Gives out a token for the media host.
    pub(super) fn give_token(&mut self, token: String, ends_at: Duration) {
        while self.tokens.len() >= MAX_TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back((token, ends_at));
    }

    /// Whether a token was given out and has not ended.
    pub(super) fn is_token(&self, token: &str, now: Duration) -> bool {
        self.tokens.iter().any(|(known, ends_at)| known == token && now < *ends_at)
    }

    /// Stores one part of a file.
    pub(super) fn put_part(
        &mut self,
        path: &str,
        signature: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<(), BadUpload> {
        let slot = self.slot(path, signature, How::Parts)?;
        let others: usize =
            slot.parts.iter().filter(|(at, _)| **at != number).map(|(_, part)| part.len()).sum();
        if number == 0 || number > MAX_PARTS || others + bytes.len() > MAX_FILE_BYTES {
            return Err(BadUpload::TooLarge);
        }
        slot.parts.insert(number, bytes);
        self.make_room();
        Ok(())
    }

    /// Joins the parts, in the order of their numbers. The list may be in any order, as Python's client writes it; each part
    /// must be named once, with its mark.
    pub(super) fn complete(
        &mut self,
        path: &str,
        signature: &str,
        parts: &[(u32, String)],
    ) -> Result<(), BadUpload> {
        let slot = self.slot(path, signature, How::Parts)?;
        let mut named = parts.to_vec();
        named.sort_unstable();
        let came = slot.parts.iter().map(|(number, bytes)| (*number, etag(bytes)));
        if named.is_empty() || !named.into_iter().eq(came) {
            return Err(BadUpload::PartsMissing);
        }
        let whole: Vec<Bytes> = std::mem::take(&mut slot.parts).into_values().collect();
        slot.whole = Some(whole.concat().into());
        self.make_room();
        Ok(())
    }

    /// The file at `path`.
    pub(super) fn get(&self, path: &str) -> Option<Stored> {
        let slot = self.slots.get(path)?;
        Some(Stored { bytes: slot.whole.clone()?, content_type: slot.content_type.clone() })
    }

    fn slot(&mut self, path: &str, signature: &str, how: How) -> Result<&mut Slot, BadUpload> {
        let slot = self.slots.get_mut(path);
        slot.filter(|slot| slot.signature == signature && slot.how == how).ok_or(BadUpload::Unknown)
    }

    fn make_room(&mut self) {
        let stored =
            |slot: &Slot| slot.whole.iter().chain(slot.parts.values()).map(Bytes::len).sum::<usize>();
        while self.slots.values().map(stored).sum::<usize>() > MAX_STORED_BYTES && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        self.oldest_first.pop_front().is_some_and(|path| self.slots.remove(&path).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(how: How) -> Uploads {
        let mut uploads = Uploads::default();
        uploads.open("a".into(), "s".into(), "image/png".into(), how);
        uploads
    }

    #[test]
    fn a_file_is_read_once_it_is_written() {
        let mut uploads = opened(How::Whole);
        assert!(uploads.get("a").is_none());
        assert_eq!(uploads.put_part("a", "s", 1, Bytes::new()), Err(BadUpload::Unknown));
        assert_eq!(uploads.put("a", "other", Bytes::new()), Err(BadUpload::Unknown));
        uploads.put("a", "s", Bytes::from_static(b"1")).unwrap();
        assert_eq!(uploads.get("a").unwrap().bytes, "1");
    }

    #[test]
    fn parts_are_joined_in_order() {
        let mut uploads = opened(How::Parts);
        let (one, two) = ((1, etag(b"one")), (2, etag(b"two")));
        uploads.put_part("a", "s", 2, Bytes::from_static(b"two")).unwrap();
        let mut complete = |parts: &[(u32, String)]| uploads.complete("a", "s", parts);
        assert_eq!(complete(&[one.clone(), two.clone()]), Err(BadUpload::PartsMissing));
        uploads.put_part("a", "s", 1, Bytes::from_static(b"one")).unwrap();
        let mut complete = |parts: &[(u32, String)]| uploads.complete("a", "s", parts);
        for wrong in
            [vec![], vec![one.clone()], vec![(1, etag(b"two")), two.clone()], vec![one.clone(), one.clone()]]
        {
            assert_eq!(complete(&wrong), Err(BadUpload::PartsMissing), "{wrong:?}");
        }
        complete(&[two, one]).unwrap();
        assert_eq!(uploads.get("a").unwrap().bytes, "onetwo");
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut uploads = opened(How::Whole);
        for number in 0..MAX_FILES {
            uploads.open(number.to_string(), "s".into(), String::new(), How::Whole);
        }
        assert_eq!(uploads.put("a", "s", Bytes::new()), Err(BadUpload::Unknown));
        for number in 0..2 * MAX_TOKENS {
            uploads.give_token(number.to_string(), Duration::from_secs(1));
        }
        assert!(!uploads.is_token("0", Duration::ZERO) && uploads.is_token("1999", Duration::ZERO));
        assert!(!uploads.is_token("1999", Duration::from_secs(1)));
        let large = Bytes::from(vec![0; MAX_FILE_BYTES]);
        for number in 0..5 {
            uploads.put(&number.to_string(), "s", large.clone()).unwrap();
        }
        assert!(uploads.get("0").is_none());
        assert!(uploads.get("4").is_some());
    }
}
