//! No credential travels to fal, and nothing that speaks for a connection travels anywhere.
#![no_main]

use fal_relay::fal::{AcceptEncoding, for_client, for_fal};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const NEVER_TO_FAL: [&str; 8] =
    ["authorization", "cookie", "host", "connection", "transfer-encoding", "content-length", "upgrade", "forwarded"];
const NEVER_TO_CLIENTS: [&str; 6] =
    ["set-cookie", "connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-authenticate"];

fuzz_target!(|input: &[u8]| {
    let fields = read(input);
    for encoding in [AcceptEncoding::AsSent, AcceptEncoding::Identity, AcceptEncoding::GzipAtMost] {
        let sent = for_fal(&fields, encoding);
        assert!(NEVER_TO_FAL.iter().all(|name| !sent.contains_key(*name)), "{sent:?}");
        assert_eq!(for_fal(&sent, encoding), sent, "sifted twice");
        // Beside what the relay says of encodings itself, no value that the client did not write.
        for (name, value) in sent.iter().filter(|(name, _)| *name != "accept-encoding") {
            assert!(fields.get_all(name).iter().any(|written| written == value), "{name:?}");
        }
    }
    let mut given = fields.clone();
    for_client(&mut given);
    assert!(NEVER_TO_CLIENTS.iter().all(|name| !given.contains_key(*name)), "{given:?}");
    let once = given.clone();
    for_client(&mut given);
    assert_eq!(given, once, "sifted twice");
});

/// One field a line, as in a request.
fn read(input: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            fields.append(name, value);
        }
    }
    fields
}
