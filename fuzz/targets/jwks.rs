//! A list of keys that is read at all is short, and is read again as it is published.
#![no_main]

use fal_relay::fal::webhook::PublicKeys;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    let Ok(keys) = PublicKeys::parse(document) else { return };
    let printed = keys.print();
    assert_eq!(PublicKeys::parse(printed.as_bytes()), Ok(keys));
});
