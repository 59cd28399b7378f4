use http::{HeaderMap, HeaderValue, Method, Version, header};
use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [1, 2, 3, 4];
const MAX: u64 = 1 << 20;

/// A frame as `side` sends it.
fn frame(side: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let bit = if side == Side::Client { 0x80 } else { 0 };
    let mut bytes = match payload.len() {
        short @ 0..=125 => vec![first, bit | short as u8],
        middle @ 126..=0xffff => [&[first, bit | 126][..], &(middle as u16).to_be_bytes()].concat(),
        long => [&[first, bit | 127][..], &(long as u64).to_be_bytes()].concat(),
    };
    if side == Side::Client {
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Scans pieces as a lane does, and tells what passed and what was wrong.
fn scan(scanner: &mut Scanner, pieces: &[&[u8]]) -> (Vec<u8>, Option<Fault>) {
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let scan = scanner.scan(&held);
        passed.extend(held.drain(..scan.passed));
        if scan.fault.is_some() {
            return (passed, scan.fault);
        }
    }
    (passed, None)
}

#[test]
fn messages_are_counted_and_controls_are_not() {
    let mut scanner = Scanner::new(Side::Server, 0, MAX);
    let frames = [
        frame(Side::Server, 0x82, &[7; 200]),
        frame(Side::Server, 0x01, b"in "),
        frame(Side::Server, 0x89, b"ping"),
        frame(Side::Server, 0x80, b"two"),
        frame(Side::Server, 0x81, br#"{"type": "x-fal-message","action":"timings","timing":0.12}"#),
        frame(Side::Server, 0x81, br#"{"status":"error","error":"Unauthorized"}"#),
        frame(Side::Server, 0x81, br#"{"images":[]}"#),
        frame(Side::Server, 0x82, b""),
    ];
    let bytes = frames.concat();
    assert_eq!(scan(&mut scanner, &[&bytes]), (bytes.clone(), None));
    assert_eq!(scanner.counts(), Counts { messages: 4, controls: 2, bytes: bytes.len() as u64 });
    assert!(scanner.is_between_messages() && !scanner.is_closed());
}

#[test]
fn a_close_is_the_last_frame() {
    for side in [Side::Client, Side::Server] {
        let mut scanner = Scanner::new(side, 0, MAX);
        let close = frame(side, 0x88, &[&4001_u16.to_be_bytes()[..], b"bye"].concat());
        let bytes = [close.clone(), frame(side, 0x82, b"late")].concat();
        assert_eq!(scan(&mut scanner, &[&bytes]), (close, None));
        assert_eq!((scanner.is_closed(), scanner.close_code()), (true, Some(4001)));
    }
}

#[test]
fn own_frames_pass_a_scanner_of_their_side() {
    for side in [Side::Client, Side::Server] {
        let mut scanner = Scanner::new(side, 0, MAX);
        let long = "ä".repeat(100);
        let bytes = [text_frame(side, "{}").unwrap(), close_frame(side, 1001, &long)].concat();
        assert_eq!(scan(&mut scanner, &[&bytes]), (bytes.clone(), None));
        assert_eq!(scanner.close_code(), Some(1001));
        assert_eq!(text_frame(side, &long), None);
    }
}

#[test]
fn invariant_7_a_message_is_no_larger_than_it_may_be_in_however_many_frames() {
    let mut scanner = Scanner::new(Side::Client, 0, 1000);
    let most = [frame(Side::Client, 0x02, &[0; 600]), frame(Side::Client, 0x80, &[0; 400])].concat();
    assert_eq!(scan(&mut scanner, &[&most]), (most.clone(), None));
    let first = frame(Side::Client, 0x02, &[0; 600]);
    let bytes = [first.clone(), frame(Side::Client, 0x00, &[0; 401])].concat();
    assert_eq!(scan(&mut scanner, &[&bytes]), (first, Some(Fault::TooLarge)));
    // What is announced counts, not what has come.
    let mut scanner = Scanner::new(Side::Server, 0, 1000);
    let announced = [&[0x82, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    assert_eq!(scan(&mut scanner, &[&announced]), (Vec::new(), Some(Fault::TooLarge)));
}

#[test]
fn invariant_7_a_header_is_read_or_refused_within_fourteen_bytes() {
    for second in 0..=255_u8 {
        for first in 0..=255_u8 {
            for side in [Side::Client, Side::Server] {
                let mut scanner = Scanner::new(side, 0x70, u64::MAX);
                let bytes = [first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                let scan = scanner.scan(&bytes);
                assert!(scan.passed > 0 || scan.fault.is_some(), "{first:x} {second:x}");
            }
        }
    }
}

#[test]
fn invariant_7_no_more_of_a_message_is_kept_than_its_first_bytes() {
    let mut scanner = Scanner::new(Side::Server, 0, MAX);
    let mut text = vec![b' '; 32];
    text.extend(br#"{"type":"x-fal-message"}"#);
    scan(&mut scanner, &[&frame(Side::Server, 0x81, &text)]);
    assert_eq!((scanner.counts().messages, scanner.counts().controls), (1, 0));
}

fn fields(change: &[(header::HeaderName, Option<&'static str>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    for (name, value) in change {
        match value {
            Some(value) => drop(headers.append(name, HeaderValue::from_static(value))),
            None => drop(headers.remove(name)),
        }
    }
    headers
}

#[test]
fn the_sample_of_the_rfc_is_answered_as_there() {
    assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(asks(&Method::GET, &fields(&[])) && !asks(&Method::POST, &fields(&[])));
    assert_eq!(check(Version::HTTP_11, &fields(&[])), Ok(&b"dGhlIHNhbXBsZSBub25jZQ=="[..]));
}

#[test]
fn a_handshake_that_is_none_is_told_apart() {
    let (key, version) = (header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION);
    for malformed in [
        fields(&[(header::CONNECTION, None)]),
        fields(&[(key.clone(), None)]),
        fields(&[(key.clone(), Some("dGhlIHNhbXBsZSBub25jZQ=="))]),
        fields(&[(key.clone(), None), (key.clone(), Some("short"))]),
        fields(&[(key.clone(), None), (key.clone(), Some("AAAA"))]),
        fields(&[(header::CONTENT_LENGTH, Some("3"))]),
    ] {
        let refused = check(Version::HTTP_11, &malformed);
        assert!(matches!(refused, Err(BadHandshake::Malformed(_))), "{malformed:?} {refused:?}");
    }
    for old in [
        fields(&[(version.clone(), None)]),
        fields(&[(version.clone(), None), (version.clone(), Some("8"))]),
        fields(&[(version.clone(), Some("8"))]),
    ] {
        assert!(matches!(check(Version::HTTP_11, &old), Err(BadHandshake::Version(_))), "{old:?}");
    }
    for http in [Version::HTTP_10, Version::HTTP_2] {
        assert!(matches!(check(http, &fields(&[])), Err(BadHandshake::Version(_))));
    }
}

#[test]
fn extensions_say_which_bits_are_theirs() {
    let bits = |values: &[&'static str]| {
        let extension = header::SEC_WEBSOCKET_EXTENSIONS;
        reserved_bits(&fields(
            &values.iter().map(|value| (extension.clone(), Some(*value))).collect::<Vec<_>>(),
        ))
    };
    assert_eq!(bits(&[]), 0);
    assert_eq!(bits(&["permessage-deflate; server_no_context_takeover"]), 0x40);
    assert_eq!(bits(&["permessage-deflate", "x-other"]), 0x70);
    assert_eq!(bits(&["x-other"]), 0x70);
}

proptest! {
    /// However the bytes are cut, the same bytes pass and the same is counted.
    #[test]
    fn cuts_change_nothing(
        client: bool,
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(1_usize..40, 1..60),
    ) {
        let side = if client { Side::Client } else { Side::Server };
        let sent = frames.iter().map(|(first, payload)| frame(side, first & 0x8f, payload));
        let bytes = sent.chain([noise]).collect::<Vec<_>>().concat();
        let mut whole = Scanner::new(side, 0, 700);
        let at_once = scan(&mut whole, &[&bytes]);
        let (mut rest, mut pieces) = (&bytes[..], Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, left) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        let mut cut = Scanner::new(side, 0, 700);
        let in_pieces = scan(&mut cut, &pieces);
        prop_assert_eq!(&at_once, &in_pieces);
        prop_assert_eq!(whole.counts(), cut.counts());
        prop_assert!(bytes.starts_with(&at_once.0));
        prop_assert_eq!(whole.counts().bytes, at_once.0.len() as u64);
    }

    #[test]
    fn no_handshake_panics(name in 0_usize..6, value in "\\PC{0,40}") {
        let names = [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION,
            header::SEC_WEBSOCKET_EXTENSIONS, header::SEC_WEBSOCKET_PROTOCOL];
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            let mut headers = fields(&[]);
            headers.insert(names[name].clone(), value);
            let _judged = (asks(&Method::GET, &headers), check(Version::HTTP_11, &headers), reserved_bits(&headers));
        }
    }
}
