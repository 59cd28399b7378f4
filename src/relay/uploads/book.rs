//! How many bytes each upload that is under way has brought, so that its parts together are no more than it may have. In
//! memory: a restart forgets it, and the upload begins to count anew (invariant 9).

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::seal::UploadId;

/// Uploads whose bytes are remembered. Beyond them, one that has been quiet begins to count anew.
const UPLOADS_KEPT: usize = 10_000;

/// All uploads under way.
pub(in crate::relay) struct Book(Cache<UploadId, Arc<AtomicU64>>);

/// Room for bytes on their way. Dropped, it is given back.
pub(super) struct Room {
    taken: Arc<AtomicU64>,
    bytes: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self(Cache::new(UPLOADS_KEPT))
    }
}

impl Book {
    /// Keeps room for `declared` bytes, or for all that there is left when nobody knows how many will come. `None` when they
    /// would be more than `max_bytes` with what came before.
    pub(super) fn reserve(&self, upload: UploadId, declared: Option<u64>, max_bytes: u64) -> Option<Room> {
        let Ok(taken) = self.0.get_or_insert_with(&upload, || Ok::<_, Infallible>(Arc::default()));
        let wanted = |taken: u64| declared.unwrap_or(max_bytes.saturating_sub(taken));
        let with = |taken: u64| taken.checked_add(wanted(taken)).filter(|sum| *sum <= max_bytes);
        let before = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with).ok()?;
        Some(Room { bytes: wanted(before), taken })
    }
}

impl Room {
    /// How many bytes may come.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many came, and fal has them.
    pub(super) fn fill(mut self, bytes: u64) {
        let unused = self.bytes.saturating_sub(bytes);
        self.taken.fetch_sub(unused, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    const UPLOAD: UploadId = UploadId([1; 16]);

    #[test]
    fn parts_together_are_no_more_than_an_upload_may_have() {
        let book = Book::default();
        book.reserve(UPLOAD, Some(60), 100).unwrap().fill(60);
        let room = book.reserve(UPLOAD, Some(40), 100).unwrap();
        assert!(book.reserve(UPLOAD, Some(1), 100).is_none());
        drop(room);
        assert_eq!(book.reserve(UPLOAD, None, 100).unwrap().bytes(), 40);
        assert!(book.reserve(UPLOAD, Some(u64::MAX), 100).is_none());
        assert!(book.reserve(UploadId([2; 16]), Some(100), 100).is_some());
    }

    #[test]
    fn parts_that_come_at_once_share_one_count() {
        let (book, gate) = (Book::default(), Barrier::new(4));
        for number in 0..500_u128 {
            let upload = UploadId(number.to_be_bytes());
            let reserve = || {
                gate.wait();
                let room = book.reserve(upload, Some(60), 100);
                gate.wait();
                room.is_some()
            };
            let passed = std::thread::scope(|scope| {
                let parts: Vec<_> = (0..4).map(|_| scope.spawn(reserve)).collect();
                parts.into_iter().map(|part| part.join().unwrap()).filter(|passed| *passed).count()
            });
            assert_eq!(passed, 1);
        }
    }

    #[test]
    fn a_body_of_unknown_length_counts_what_it_brought() {
        let book = Book::default();
        book.reserve(UPLOAD, None, 100).unwrap().fill(30);
        assert_eq!(book.reserve(UPLOAD, None, 100).unwrap().bytes(), 70);
    }

    #[test]
    fn invariant_7_uploads_that_are_remembered_are_bounded() {
        let book = Book::default();
        for number in 0..3 * UPLOADS_KEPT as u128 {
            book.reserve(UploadId(number.to_be_bytes()), Some(1), 1).unwrap().fill(1);
        }
        assert!(book.0.len() <= UPLOADS_KEPT, "{}", book.0.len());
    }
}
