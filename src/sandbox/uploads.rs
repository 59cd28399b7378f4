//! Files that callers uploaded, kept in memory within bounds.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

/// The largest file.
pub(super) const MAX_FILE_BYTES: usize = 128 << 20;
/// All files together; the oldest are forgotten first.
const MAX_STORED_BYTES: usize = 512 << 20;
/// Files and uploads under way.
const MAX_FILES: usize = 1000;
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
    parts: BTreeMap<u32, Bytes>,
    whole: Option<Bytes>,
}

/// All uploads, by path of the file.
#[derive(Default)]
pub(super) struct Uploads {
    slots: HashMap<String, Slot>,
    oldest_first: VecDeque<String>,
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
    pub(super) fn open(&mut self, path: String, signature: String, content_type: String) {
        while self.slots.len() >= MAX_FILES && self.forget_oldest() {}
        self.oldest_first.push_back(path.clone());
        self.slots.insert(path, Slot { signature, content_type, parts: BTreeMap::new(), whole: None });
    }

    /// Stores the whole file.
    pub(super) fn put(&mut self, path: &str, signature: &str, bytes: Bytes) -> Result<(), BadUpload> {
        self.slot(path, signature)?.whole = Some(bytes);
        self.make_room();
        Ok(())
    }

    /// Stores one part of a file.
    pub(super) fn put_part(
        &mut self,
        path: &str,
        signature: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<(), BadUpload> {
        let slot = self.slot(path, signature)?;
        let others: usize =
            slot.parts.iter().filter(|(at, _)| **at != number).map(|(_, part)| part.len()).sum();
        if number == 0 || number > MAX_PARTS || others + bytes.len() > MAX_FILE_BYTES {
            return Err(BadUpload::TooLarge);
        }
        slot.parts.insert(number, bytes);
        self.make_room();
        Ok(())
    }

    /// Joins the parts, in the order of their numbers.
    pub(super) fn complete(&mut self, path: &str, signature: &str, parts: &[u32]) -> Result<(), BadUpload> {
        let slot = self.slot(path, signature)?;
        let mut named = parts.to_vec();
        named.sort_unstable();
        if named.is_empty() || !named.iter().eq(slot.parts.keys()) {
            return Err(BadUpload::PartsMissing);
        }
        let whole: Vec<u8> = std::mem::take(&mut slot.parts).into_values().flatten().collect();
        slot.whole = Some(whole.into());
        self.make_room();
        Ok(())
    }

    /// The file at `path`.
    pub(super) fn get(&self, path: &str) -> Option<Stored> {
        let slot = self.slots.get(path)?;
        Some(Stored { bytes: slot.whole.clone()?, content_type: slot.content_type.clone() })
    }

    fn slot(&mut self, path: &str, signature: &str) -> Result<&mut Slot, BadUpload> {
        self.slots.get_mut(path).filter(|slot| slot.signature == signature).ok_or(BadUpload::Unknown)
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

    fn opened() -> Uploads {
        let mut uploads = Uploads::default();
        uploads.open("a".into(), "s".into(), "image/png".into());
        uploads
    }

    #[test]
    fn a_file_is_read_once_it_is_written() {
        let mut uploads = opened();
        assert!(uploads.get("a").is_none());
        assert_eq!(uploads.put("a", "other", Bytes::new()), Err(BadUpload::Unknown));
        uploads.put("a", "s", Bytes::from_static(b"1")).unwrap();
        assert_eq!(uploads.get("a").unwrap().bytes, "1");
    }

    #[test]
    fn parts_are_joined_in_order() {
        let mut uploads = opened();
        uploads.put_part("a", "s", 2, Bytes::from_static(b"two")).unwrap();
        assert_eq!(uploads.complete("a", "s", &[1, 2]), Err(BadUpload::PartsMissing));
        uploads.put_part("a", "s", 1, Bytes::from_static(b"one")).unwrap();
        uploads.complete("a", "s", &[2, 1]).unwrap();
        assert_eq!(uploads.get("a").unwrap().bytes, "onetwo");
    }

    #[test]
    fn the_oldest_files_make_room() {
        let mut uploads = opened();
        for number in 0..MAX_FILES {
            uploads.open(number.to_string(), "s".into(), String::new());
        }
        assert_eq!(uploads.put("a", "s", Bytes::new()), Err(BadUpload::Unknown));
        let large = Bytes::from(vec![0; MAX_FILE_BYTES]);
        for number in 0..5 {
            uploads.put(&number.to_string(), "s", large.clone()).unwrap();
        }
        assert!(uploads.get("0").is_none());
        assert!(uploads.get("4").is_some());
    }
}
