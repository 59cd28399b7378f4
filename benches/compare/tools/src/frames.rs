//! As much of WebSocket as both ends need: frames of one length, and where they end.

/// The handshake's key that the load generator shows and what belongs to it (RFC 6455, 1.3): nothing here needs to hash.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x8;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const MASK_BYTES: usize = 4;
const LENGTH: u8 = 0x7f;

/// A binary message of letters, masked with zeros.
pub fn from_client(payload: usize) -> Vec<u8> {
    let mut frame = header(payload, MASKED);
    frame.extend_from_slice(&[0; MASK_BYTES]);
    frame.resize(frame.len() + payload, b'x');
    frame
}

/// The same from the other side.
pub fn from_server(payload: usize) -> Vec<u8> {
    let mut frame = header(payload, 0);
    frame.resize(frame.len() + payload, b'x');
    frame
}

fn header(payload: usize, mask: u8) -> Vec<u8> {
    let mut header = vec![BINARY];
    match (u8::try_from(payload), u16::try_from(payload)) {
        (Ok(short @ ..=125), _) => header.push(mask | short),
        (_, Ok(medium)) => {
            header.push(mask | 126);
            header.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            header.push(mask | 127);
            header.extend_from_slice(&(payload as u64).to_be_bytes());
        }
    }
    header
}

/// A client's frame that is whole.
pub struct Frame {
    pub bytes: usize,
    pub payload: usize,
    pub closes: bool,
}

/// The frame at the beginning of `bytes`, once it is whole.
pub fn first(bytes: &[u8]) -> Option<Frame> {
    let (&kind, &length) = (bytes.first()?, bytes.get(1)?);
    let (payload, header) = match length & LENGTH {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let whole = header + MASK_BYTES + payload;
    (bytes.len() >= whole).then_some(Frame { bytes: whole, payload, closes: kind & OPCODE == CLOSE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_once_it_is_whole() {
        for payload in [0, 125, 126, 1024, 70_000] {
            let mut bytes = from_client(payload);
            assert!(first(&bytes[..bytes.len() - 1]).is_none());
            bytes.push(0);
            let frame = first(&bytes).unwrap();
            assert_eq!((frame.bytes, frame.payload, frame.closes), (bytes.len() - 1, payload, false));
        }
    }
}
