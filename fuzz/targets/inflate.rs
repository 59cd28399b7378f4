//! A compressed reply inflates to what a whole inflation gives, in bounded pieces, wherever it is cut.
#![no_main]

use std::io::{Read, Write};

use bytes::BytesMut;
use fal_relay::fal::Inflate;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

/// Longer replies are no news, and take time.
const PLAIN_MAX_BYTES: usize = 4 << 20;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (compress, size, bytes) = input;
    // Few mutations leave a checksum intact, so half of the inputs are compressed here.
    let coded = if compress { gzip(bytes) } else { bytes.to_vec() };
    let ours = inflate(&coded, usize::from(size) + 1);
    let mut plain = Vec::new();
    let whole = MultiGzDecoder::new(&*coded).take(PLAIN_MAX_BYTES as u64 + 1).read_to_end(&mut plain);
    if plain.len() > PLAIN_MAX_BYTES {
        return;
    }
    if compress {
        assert_eq!(ours.as_deref(), Some(bytes));
    }
    if let Some(ours) = ours {
        assert!(whole.is_ok() || coded.is_empty(), "only ours takes it: {whole:?}");
        assert_eq!(ours, plain);
    }
});

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// What came out, if all was sound.
fn inflate(coded: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut inflate, mut out) = (Inflate::new(), BytesMut::new());
    for mut chunk in coded.chunks(size) {
        while !chunk.is_empty() {
            let before = out.len();
            let read = inflate.push(chunk, &mut out).ok()?;
            assert!(read > 0 && read <= chunk.len(), "it read {read} of {}", chunk.len());
            assert!(out.len() - before <= Inflate::MAX_OUTPUT, "one push made {} bytes", out.len() - before);
            if out.len() > PLAIN_MAX_BYTES {
                return None;
            }
            chunk = &chunk[read..];
        }
    }
    inflate.finish(&mut out).ok().map(|()| out.to_vec())
}
