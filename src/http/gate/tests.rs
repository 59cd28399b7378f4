//! The pure parts on any input: however bytes are cut, the same of them pass; what is well formed passes whole.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::closing::LINGER;
use super::frames::{Frames, PREFACE};
use super::framing::Framing;
use super::{Gate, HeadLimits, Violation};
use crate::clock::{Clock, HandClock, Timestamp};
use crate::http::settings::Settings;
use crate::http::traffic::Traffic;

const LIMITS: HeadLimits = HeadLimits { max_bytes: 2048, max_target_bytes: 256, max_fields: 12 };

/// Feeds pieces as a gate does: what does not pass is shown again with what comes after it.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (usize, Option<Violation>, bool) {
    let mut framing = Framing::new(LIMITS);
    let (mut held, mut passed) = (Vec::new(), 0);
    for piece in pieces {
        held.extend_from_slice(piece);
        let scan = framing.scan(&held);
        passed += scan.passed;
        held.drain(..scan.passed);
        if scan.violation.is_some() {
            return (passed, scan.violation, false);
        }
        assert!(held.len() < LIMITS.max_bytes, "holds more than a head may have");
    }
    (passed, None, framing.is_between_requests())
}

fn chunked(pieces: &[Vec<u8>], trailer: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        body.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(if trailer { b"0\r\nx-end: 1\r\n\r\n" } else { b"0\r\n\r\n" });
    body
}

prop_compose! {
    fn request()(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        target in "/[a-z0-9._/-]{0,40}(\\?[a-z=&]{0,10})?",
        fields in prop::collection::vec(("x-[a-zA-Z0-9_-]{1,10}", "[ -~\t]{0,20}"), 0..8),
        body in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
        kind in 0..3,
        trailer in any::<bool>(),
    ) -> Vec<u8> {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: relay\r\n").into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let (framing, body) = match kind {
            0 => (String::new(), Vec::new()),
            1 => (format!("Content-Length: {}\r\n", body.concat().len()), body.concat()),
            _ => ("transfer-encoding: Chunked\r\n".to_owned(), chunked(&body, trailer)),
        };
        bytes.extend_from_slice(framing.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        bytes
    }
}

proptest! {
    #[test]
    fn well_formed_requests_pass_whole(requests in prop::collection::vec(request(), 1..4)) {
        let bytes = requests.concat();
        prop_assert_eq!(feed([bytes.as_slice()]), (bytes.len(), None, true));
    }

    #[test]
    fn the_same_passes_however_the_bytes_are_cut(
        requests in prop::collection::vec(request(), 1..3),
        spoil in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(b"\r\n \t:;0Z\x00\x7f,#".to_vec()), any::<bool>())),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = requests.concat();
        if let Some((at, byte, insert)) = spoil {
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
        prop_assert_eq!(feed(pieces), feed([bytes.as_slice()]));
        prop_assert_eq!(feed(bytes.chunks(1)), feed([bytes.as_slice()]));
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(feed([&bytes[..cut], &bytes[cut..]]), feed([bytes.as_slice()]));
    }

    #[test]
    fn frames_are_counted_alike_however_the_bytes_are_cut(
        frames in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..30), 0..400),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = PREFACE.to_vec();
        for (kind, flags, length) in &frames {
            bytes.extend_from_slice(&frame(*kind, *flags, *length));
        }
        let whole = Frames::default().scan(&bytes, 0, 0);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut counted = Frames::default();
        let pieces = cuts.windows(2).map(|cut| counted.scan(&bytes[cut[0]..cut[1]], 0, 0));
        // A piece may end where the count is too high though later frames would have paid for it.
        let refused = pieces.filter(Result::is_err).count() > 0;
        prop_assert!(refused || whole.is_ok());
    }
}

fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
    let length = u8::try_from(length).unwrap();
    let head = [0, 0, length, kind, flags, 0, 0, 0, 1];
    [head.as_slice(), &vec![0; usize::from(length)]].concat()
}

#[test]
fn invariant_7_frames_that_carry_nothing_are_borne_up_to_a_point() {
    for (kind, floods) in [(4, true), (6, true), (8, true), (2, true), (9, true), (77, true), (1, false)] {
        let mut frames = Frames::default();
        frames.scan(PREFACE, 0, 0).unwrap();
        let refused = (0..1000).position(|_| frames.scan(&frame(kind, 4, 5), 0, 0).is_err());
        assert_eq!(refused.is_some(), floods, "frames of type {kind}");
    }
}

#[test]
fn a_client_that_pings_for_hours_or_reads_much_is_no_flood() {
    let mut frames = Frames::default();
    frames.scan(PREFACE, 0, 0).unwrap();
    for second in 0..36_000 {
        frames.scan(&frame(6, 0, 8), 0, second).unwrap();
    }
    let mut frames = Frames::default();
    frames.scan(PREFACE, 0, 0).unwrap();
    for read in 1..10_000 {
        frames.scan(&frame(8, 0, 4), read * 1024, 0).unwrap();
    }
}

#[test]
fn invariant_7_requests_that_are_taken_back_are_borne_up_to_half() {
    let mut frames = Frames::default();
    frames.scan(PREFACE, 0, 0).unwrap();
    let rapid = |frames: &mut Frames| frames.scan(&[frame(1, 5, 9), frame(3, 0, 4)].concat(), 0, 0);
    let borne = (0..1000).take_while(|_| rapid(&mut frames).is_ok()).count();
    assert!((100..=250).contains(&borne), "{borne}");
}

/// What is refused of one more of something than is taken, and that as many as are taken pass.
fn assert_limit(what: &str, taken: impl Fn(usize) -> String, max: usize) {
    let refused = |count| feed([taken(count).as_bytes()]).1;
    assert_eq!(refused(max), None, "{what}");
    assert!(refused(max + 1).is_some(), "{what}");
}

#[test]
fn invariant_7_what_frames_a_body_has_its_limits() {
    let sized = |length: &str| format!("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    let chunked =
        |body: &str| format!("POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    assert_limit("a length", |digits| sized(&"1".repeat(digits)), 15);
    assert_limit("a chunk's size", |digits| chunked(&format!("{}1\r\n", "0".repeat(digits - 1))), 15);
    assert_limit("an extension", |bytes| chunked(&format!("1;{}\r\n", "x".repeat(bytes))), 1024);
    let many =
        |bytes: usize| chunked(&format!("{}1;{}\r\n", "1;x\r\n1\r\n".repeat(500), "x".repeat(bytes - 1000)));
    assert_limit("all extensions", many, 1024);
    let trailer = |bytes: usize| chunked(&format!("0\r\nx:{}\r\n\r\n", "y".repeat(bytes - 4)));
    assert_limit("trailers", trailer, 4096);
    assert_limit("a method", |letters| format!("{} /a HTTP/1.1\r\nhost: a\r\n\r\n", "M".repeat(letters)), 32);
}

#[tokio::test]
async fn invariant_7_a_client_that_never_stops_sending_is_left_in_the_end() {
    let clock = HandClock::new(Timestamp::from_micros(0));
    let (near, mut far) = tokio::io::duplex(1024);
    let mut gate = Gate::new(near, Arc::default(), Arc::new(Settings::default()), Arc::new(clock.clone()));
    far.write_all(b"nonsense\r\n").await.unwrap();
    assert!(!gate.first_bytes().await);
    let closing = tokio::spawn(async move { gate.shutdown().await });
    // It hears why it is refused, though it goes on.
    let mut said = [0; 12];
    far.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 400");
    let (mut hears, mut sends) = tokio::io::split(far);
    let sending = tokio::spawn(async move { while sends.write_all(&[b'x'; 100]).await.is_ok() {} });
    drop(hears.read_to_end(&mut Vec::new()).await);
    clock.advance(LINGER - Duration::from_millis(1));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!closing.is_finished() && !sending.is_finished());
    clock.advance(Duration::from_millis(1));
    closing.await.unwrap().unwrap();
    sending.await.unwrap();
    assert_eq!(clock.elapsed(), LINGER);
}

#[tokio::test]
async fn the_last_answer_is_not_taken_back_by_the_close() {
    let (clock, traffic) = (HandClock::new(Timestamp::from_micros(0)), Arc::<Traffic>::default());
    let (near, mut far) = tokio::io::duplex(1024);
    let mut gate = Gate::new(near, traffic.clone(), Arc::new(Settings::default()), Arc::new(clock));
    far.write_all(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert!(gate.first_bytes().await);
    traffic.set_last();
    // What the client sends behind its last request is read, so that the system does not answer it with a reset.
    let mut closing = Box::pin(gate.shutdown());
    assert!(poll!(&mut closing).is_pending());
    drop(far);
    closing.await.unwrap();
}
