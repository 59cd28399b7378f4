//! A reply of events is rewritten event by event as its documents would be alone, wherever it is cut.
#![no_main]

#[path = "../shared/addresses.rs"]
mod addresses;

use addresses::{FAL, addresses, in_pieces, whole};
use fal_relay::fal::Rewriter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (cuts, body) = input;
    let out = whole(Rewriter::events(addresses()), body);
    assert_eq!(in_pieces(Rewriter::events(addresses()), body, cuts), out, "cuts change the reply");
    let names_fal = FAL.iter().any(|base| contains(body, base) || contains(body, &base.replace('/', r"\/")));
    // Escapes may be mixed, so only a reply without any is sure to have none of fal's addresses.
    if !names_fal && !body.contains(&b'\\') {
        assert_eq!(out, body, "a reply without fal's addresses was changed");
    }
    if !body.contains(&b'\r') && !body.starts_with(b"\xef") {
        assert_eq!(out, simply(body), "{}", String::from_utf8_lossy(body));
    }
});

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What the rewriter should do with events that carry their document in one line of data, written for shortness; an event
/// of several lines is rewritten as the rewriter does, since its document lies across them.
fn simply(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in split_events(body) {
        let data = event.split_inclusive(|byte| *byte == b'\n').filter(|line| line.starts_with(b"data:")).count();
        match data {
            1 => event.split_inclusive(|byte| *byte == b'\n').for_each(|line| simple_line(line, &mut out)),
            _ => out.extend(whole(Rewriter::events(addresses()), event)),
        }
    }
    out
}

fn simple_line(line: &[u8], out: &mut Vec<u8>) {
    let Some(data) = line.strip_prefix(b"data:") else { return out.extend_from_slice(line) };
    out.extend_from_slice(b"data:");
    let (data, end) = data.strip_suffix(b"\n").map_or((data, &b""[..]), |data| (data, b"\n"));
    let data = data.strip_prefix(b" ").inspect(|_| out.push(b' ')).unwrap_or(data);
    out.extend(whole(Rewriter::json(addresses()), data));
    out.extend_from_slice(end);
}

/// Cuts behind each empty line.
fn split_events(body: &[u8]) -> Vec<&[u8]> {
    let (mut events, mut from, mut line) = (Vec::new(), 0, 0);
    for (at, byte) in body.iter().enumerate() {
        if *byte == b'\n' {
            if at == line {
                events.push(&body[from..=at]);
                from = at + 1;
            }
            line = at + 1;
        }
    }
    events.push(&body[from..]);
    events
}
