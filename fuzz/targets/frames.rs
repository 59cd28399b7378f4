//! Frames are judged alike whole and in pieces, no more messages pass than may, and nothing follows what ended it.
#![no_main]

use fal_relay::websocket::{Scanner, Side};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u16, u8, &[u8])| {
    let (how, allowed, max_message_bytes, piece, bytes) = input;
    let side = if how & 1 == 0 { Side::Client } else { Side::Server };
    let allowed = if how & 2 == 0 { u64::MAX } else { u64::from(allowed) };
    let fresh = || {
        let mut scanner = Scanner::new(side, how & 0x70, max_message_bytes.into());
        scanner.allow(allowed);
        scanner
    };
    let mut whole = fresh();
    let at_once = whole.scan(bytes);
    assert!(at_once.passed <= bytes.len());
    assert_eq!(whole.counts().bytes, at_once.passed as u64);
    assert!(whole.counts().messages <= allowed);
    assert_eq!(whole.is_spent(), whole.is_between_frames() && whole.counts().messages >= allowed);

    let (mut scanner, mut kept, mut passed, mut fault) = (fresh(), Vec::new(), 0, None);
    for piece in bytes.chunks(usize::from(piece).max(1)) {
        kept.extend_from_slice(piece);
        let scan = scanner.scan(&kept);
        kept.drain(..scan.passed);
        passed += scan.passed;
        if scan.fault.is_some() {
            fault = scan.fault;
            break;
        }
    }
    assert_eq!((passed, fault), (at_once.passed, at_once.fault));
    assert_eq!((scanner.counts(), scanner.close_code()), (whole.counts(), whole.close_code()));
    assert_eq!(
        (scanner.is_between_frames(), scanner.is_between_messages(), scanner.is_closed()),
        (whole.is_between_frames(), whole.is_between_messages(), whole.is_closed())
    );

    // What stays behind passes as soon as it may.
    if whole.is_spent() && !whole.is_closed() && at_once.fault.is_none() {
        whole.allow(u64::MAX);
        let rest = whole.scan(&bytes[at_once.passed..]);
        let mut free = fresh();
        free.allow(u64::MAX);
        let all = free.scan(bytes);
        assert_eq!((at_once.passed + rest.passed, rest.fault), (all.passed, all.fault));
    }
});
