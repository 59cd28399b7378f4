//! What is taken for a key is exactly that text, and no text one step beside a key is one.
#![no_main]

use fal_relay::key::{ApiKey, KeyKind};
use fal_relay::random::Random;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u8, u8, &str)| {
    let (seed, at, byte, text) = input;
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!(key.expose(), text);
        assert!(!format!("{key:?}").contains(text));
    }
    let kind = [KeyKind::Live, KeyKind::Test, KeyKind::Admin][usize::from(at) % 3];
    let key = ApiKey::generate(kind, &Random::seeded(seed)).expect("a seeded source never fails");
    assert_eq!(ApiKey::parse(key.expose()), Some(key.clone()));
    let mut beside = key.expose().as_bytes().to_vec();
    let at = usize::from(at) % beside.len();
    beside[at] = byte % 128;
    let beside = String::from_utf8(beside).expect("ASCII");
    assert_eq!(ApiKey::parse(&beside).is_some(), beside == key.expose(), "{beside}");
});
