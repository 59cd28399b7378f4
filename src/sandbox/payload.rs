//! The bytes of an answer: small ones as they are, padded ones made while they are sent, and the ways in which they can
//! be spoiled on request.

use std::convert::Infallible;
use std::io::{self, Write};

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;

/// What is sent in one piece.
const CHUNK: usize = 64 << 10;
/// What padding is made of.
static PADDING: [u8; CHUNK] = [b'x'; CHUNK];

/// A body that may be long without lying in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Payload {
    head: Bytes,
    padding: u64,
    tail: Bytes,
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self { head: bytes.into(), padding: 0, tail: Bytes::new() }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { head: bytes, padding: 0, tail: Bytes::new() }
    }
}

impl Payload {
    /// A JSON object with a field `padding` of `padding` bytes at its end.
    pub(super) fn padded(object: Vec<u8>, padding: u64) -> Self {
        match object.strip_suffix(b"}") {
            Some(open) if padding > 0 => {
                let comma: &[u8] = if open == b"{" { b"" } else { b"," };
                let head = [open, comma, b"\"padding\":\""].concat();
                Self { head: head.into(), padding, tail: Bytes::from_static(b"\"}") }
            }
            _ => object.into(),
        }
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> u64 {
        self.head.len() as u64 + self.padding + self.tail.len() as u64
    }

    /// The same JSON with every slash written `\/`, which means the same.
    pub(super) fn with_slashes_escaped(self) -> Self {
        let escape = |bytes: &Bytes| match bytes.contains(&b'/') {
            true => bytes.split(|b| *b == b'/').collect::<Vec<_>>().join(&b"\\/"[..]).into(),
            false => bytes.clone(),
        };
        Self { head: escape(&self.head), padding: self.padding, tail: escape(&self.tail) }
    }

    /// The start of the body, which is all of it when it is not padded.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body piece by piece.
    pub(super) fn pieces(self) -> impl Iterator<Item = Bytes> + Send {
        let chunk = CHUNK as u64;
        let whole = (0..self.padding / chunk).map(|_| Bytes::from_static(&PADDING));
        let rest = Bytes::from_static(&PADDING[..(self.padding % chunk) as usize]);
        [self.head].into_iter().chain(whole).chain([rest, self.tail])
    }

    /// The body as it is.
    pub(super) fn into_body(self) -> Body {
        if self.padding == 0 {
            return Body::from(self.head);
        }
        Body::from_stream(stream::iter(self.pieces().map(Ok::<_, Infallible>)))
    }

    /// The body compressed, piece by piece.
    pub(super) fn into_gzip_body(self) -> Body {
        let mut encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut pieces = self.pieces();
        let compressed = std::iter::from_fn(move || {
            let writer = encoder.as_mut()?;
            match pieces.next() {
                Some(piece) => {
                    Some(writer.write_all(&piece).map(|()| Bytes::from(std::mem::take(writer.get_mut()))))
                }
                None => encoder.take().map(|writer| writer.finish().map(Bytes::from)),
            }
        });
        Body::from_stream(stream::iter(compressed))
    }

    /// The first half of the body, and then the connection breaks.
    pub(super) fn into_cut_body(self) -> Body {
        let half = self.len() / 2;
        let mut left = half;
        let pieces: Vec<Bytes> = self
            .pieces()
            .map_while(|piece| {
                let taken = (piece.len() as u64).min(left);
                left -= taken;
                (taken > 0 || piece.is_empty()).then(|| piece.slice(..taken as usize))
            })
            .collect();
        broken_after(pieces)
    }
}

/// A body that sends `pieces` and then fails. The pause between lets the server send what it holds.
pub(super) fn broken_after(pieces: Vec<Bytes>) -> Body {
    let states = pieces.into_iter().map(Some).chain([None]);
    Body::from_stream(stream::unfold(states, |mut states| async move {
        match states.next()? {
            Some(piece) => Some((Ok(piece), states)),
            None => {
                tokio::task::yield_now().await;
                Some((Err(io::Error::other("cut off on request")), states))
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    async fn read(body: Body) -> Result<Vec<u8>, axum::Error> {
        axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec())
    }

    #[tokio::test]
    async fn padding_is_a_field_of_the_object() {
        for padding in [1, 10, CHUNK as u64, 3 * CHUNK as u64 + 7] {
            let payload = Payload::padded(br#"{"a":1}"#.to_vec(), padding);
            let len = payload.len();
            let bytes = read(payload.into_body()).await.unwrap();
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["padding"].as_str().unwrap().len() as u64, padding);
            assert_eq!(bytes.len() as u64, len);
        }
        assert_eq!(
            read(Payload::padded(b"{}".to_vec(), 2).into_body()).await.unwrap(),
            br#"{"padding":"xx"}"#
        );
    }

    #[tokio::test]
    async fn gzip_unpacks_to_the_same() {
        let payload = Payload::padded(br#"{"a":1}"#.to_vec(), 200_000);
        let plain = read(payload.clone().into_body()).await.unwrap();
        let packed = read(payload.into_gzip_body()).await.unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
    }

    #[tokio::test]
    async fn a_cut_body_ends_in_an_error() {
        assert!(read(Payload::from(b"0123456789".to_vec()).into_cut_body()).await.is_err());
    }

    #[test]
    fn escaped_slashes_mean_the_same() {
        let payload = Payload::from(br#"{"url":"http://a/b"}"#.to_vec()).with_slashes_escaped();
        assert_eq!(payload.head(), br#"{"url":"http:\/\/a\/b"}"#);
    }
}
