//! A gzip-encoded reply that must be rewritten is inflated as it streams, a bounded piece at a time.

use std::io::Write;

use bytes::BytesMut;
use flate2::write::MultiGzDecoder;

/// Inflates one reply. A bomb costs its sender's bytes and no memory here: what one [`push`](Self::push) appends is
/// bounded, and the caller passes it on before the next.
#[derive(Debug)]
pub struct Inflate {
    decoder: MultiGzDecoder<Vec<u8>>,
}

/// Why a reply could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// The bytes are not gzip.
    #[error("fal's reply says that it is gzip, and is not")]
    Corrupt,
    /// The reply ended too early, or its length and checksum speak of other bytes.
    #[error("fal's gzip reply is cut short or damaged")]
    Incomplete,
}

impl Inflate {
    /// The most bytes that one [`push`](Self::push) appends: one buffer of the decoder, and what it holds back behind it.
    pub const MAX_OUTPUT: usize = 128 * 1024;

    /// For one reply.
    pub fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()) }
    }

    /// Reads some of `chunk`, appends what that inflates to, and says how many bytes were read: at least one, unless
    /// `chunk` is empty. Call again with the rest.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<usize, InflateError> {
        if chunk.is_empty() {
            return Ok(0);
        }
        // One write reads no more than fills the decoder's buffer; the flush brings that out for events that wait.
        let read = self.decoder.write(chunk).map_err(|_| InflateError::Corrupt)?;
        self.decoder.flush().map_err(|_| InflateError::Corrupt)?;
        self.take(out);
        if read == 0 { Err(InflateError::Corrupt) } else { Ok(read) }
    }

    /// Appends the last bytes and checks the whole, once the reply has ended.
    pub fn finish(mut self, out: &mut BytesMut) -> Result<(), InflateError> {
        let whole = self.decoder.try_finish().map_err(|_| InflateError::Incomplete);
        self.take(out);
        whole
    }

    fn take(&mut self, out: &mut BytesMut) {
        let inflated = self.decoder.get_mut();
        out.extend_from_slice(inflated);
        inflated.clear();
    }
}

impl Default for Inflate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    /// Inflates `coded` in chunks of `size`, and says what came out and the most that one push appended.
    fn inflate(coded: &[u8], size: usize) -> (Result<Vec<u8>, InflateError>, usize) {
        let (mut inflate, mut out, mut most) = (Inflate::new(), BytesMut::new(), 0);
        for mut chunk in coded.chunks(size) {
            while !chunk.is_empty() {
                let before = out.len();
                match inflate.push(chunk, &mut out) {
                    Ok(read) => chunk = &chunk[read..],
                    Err(error) => return (Err(error), most),
                }
                most = most.max(out.len() - before);
            }
        }
        (inflate.finish(&mut out).map(|()| out.to_vec()), most)
    }

    #[test]
    fn invariant_7_a_bomb_goes_off_in_bounded_pieces() {
        let plain = vec![0; 50 << 20];
        let (out, most) = inflate(&gzip(&plain), usize::MAX);
        assert_eq!(out.unwrap().len(), plain.len());
        assert!(most <= Inflate::MAX_OUTPUT, "{most}");
    }

    #[test]
    fn an_event_comes_out_before_the_stream_goes_on() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut inflate = Inflate::new();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let coded = std::mem::take(encoder.get_mut());
            let (mut chunk, mut out) = (&coded[..], BytesMut::new());
            while !chunk.is_empty() {
                let read = inflate.push(chunk, &mut out).unwrap();
                chunk = &chunk[read..];
            }
            assert_eq!(out, event);
        }
    }

    #[test]
    fn members_that_follow_each_other_are_one_reply() {
        let coded = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
        for size in 1..=coded.len() {
            assert_eq!(inflate(&coded, size).0.unwrap(), b"one two");
        }
    }

    #[test]
    fn a_reply_cut_short_is_an_error_wherever_it_is_cut() {
        let coded = gzip(&b"a status body ".repeat(40));
        for len in 0..coded.len() {
            assert_eq!(inflate(&coded[..len], 7).0, Err(InflateError::Incomplete), "cut at {len}");
        }
    }

    #[test]
    fn what_is_not_gzip_or_follows_it_is_an_error() {
        let plain = br#"{"detail":"not gzip at all"}"#;
        assert_eq!(inflate(plain, 9).0, Err(InflateError::Corrupt));
        assert_eq!(inflate(&[&gzip(plain)[..], plain].concat(), 9).0, Err(InflateError::Corrupt));
        let mut wrong_sum = gzip(plain);
        let sum = wrong_sum.len() - 8;
        wrong_sum[sum] ^= 1;
        assert_eq!(inflate(&wrong_sum, 9).0, Err(InflateError::Incomplete));
    }

    proptest! {
        #[test]
        fn what_was_deflated_is_inflated(plain in prop::collection::vec(any::<u8>(), 0..4000), repeat in 1_usize..80, size in 1_usize..5000) {
            let plain = plain.repeat(repeat);
            let (out, most) = inflate(&gzip(&plain), size);
            prop_assert_eq!(out.unwrap(), plain);
            prop_assert!(most <= Inflate::MAX_OUTPUT);
        }

        #[test]
        fn damage_is_an_error_or_harmless(plain in prop::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), flip in 1_u8.., size in 1_usize..50) {
            let mut coded = gzip(&plain);
            let at = at % coded.len();
            coded[at] ^= flip;
            if let Ok(out) = inflate(&coded, size).0 {
                prop_assert!(out == plain || at < 10);
            }
        }

        #[test]
        fn any_bytes_are_judged(coded in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..50) {
            let header = gzip(b"")[..10].to_vec();
            let _ = inflate(&coded, size);
            let _ = inflate(&[header, coded].concat(), size);
        }
    }
}
