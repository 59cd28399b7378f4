//! What both rewriting targets stand on.

use std::sync::Arc;

use bytes::BytesMut;
use fal_relay::fal::{Addresses, Rewriter};

/// fal's bases.
pub const FAL: [&str; 3] = ["https://queue.fal.run", "https://queue.falrun.com", "http://127.0.0.1:9/queue"];
/// The base that takes their place.
pub const PUBLIC: &str = "https://relay.example/fal";

/// The addresses that are replaced.
pub fn addresses() -> Arc<Addresses> {
    Arc::new(Addresses::new(FAL.map(str::to_owned), PUBLIC))
}

/// The reply, rewritten in one piece.
pub fn whole(rewriter: Rewriter, body: &[u8]) -> Vec<u8> {
    push(rewriter, [body].into_iter())
}

/// The reply, rewritten in pieces whose lengths `cuts` give, a few bits each.
pub fn in_pieces(rewriter: Rewriter, mut body: &[u8], mut cuts: u64) -> Vec<u8> {
    let pieces = std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let (piece, rest) = body.split_at(body.len().min((cuts % 32) as usize));
        (body, cuts) = (rest, cuts.rotate_right(5) | 1);
        Some(piece)
    });
    push(rewriter, pieces)
}

fn push<'a>(mut rewriter: Rewriter, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = BytesMut::new();
    for piece in pieces {
        rewriter.push(piece, &mut out);
    }
    rewriter.finish(&mut out);
    out.to_vec()
}
