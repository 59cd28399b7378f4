//! The headers of a webhook: none that was not signed is believed, and what was signed is believed only as it was.
#![no_main]

use fal_relay::clock::Timestamp;
use fal_relay::fal::webhook::{PublicKeys, REQUEST_ID, SIGNATURE, SigningKey, TIMESTAMP, USER_ID, verify};
use fal_relay::secret::Seed;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const NOW_MICROS: i64 = 1_767_225_600_000_000;

fuzz_target!(|input: (u8, i16, [&[u8]; 4], &[u8])| {
    let (which, apart, values, body) = input;
    let now = Timestamp::from_micros(NOW_MICROS);
    let key = SigningKey::from_seed(&Seed::new([7; 32])).expect("any seed makes a key");
    let keys = PublicKeys::new([key.public()]).expect("one key");
    let names = [REQUEST_ID, USER_ID, TIMESTAMP, SIGNATURE];

    let mut strange = HeaderMap::new();
    for (name, value) in names.iter().zip(values) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            strange.append(name, value);
        }
    }
    assert!(verify(&strange, body, &keys, now).is_err(), "nobody signed {strange:?}");

    let signed_at = Timestamp::from_micros(NOW_MICROS + i64::from(apart) * 1_000_000);
    let signed = key.headers("request-1", "user", signed_at, body).expect("plain text");
    let fresh = apart.unsigned_abs() <= 300;
    assert_eq!(verify(&signed, body, &keys, now).is_ok(), fresh);

    // One of the four is another: then it is not what was signed, unless it says the same.
    let (name, value) = (&names[usize::from(which) % 4], values[usize::from(which) % 4]);
    let Ok(other) = HeaderValue::from_bytes(value) else { return };
    let is_same = signed.get(name).is_some_and(|said| said.as_bytes().eq_ignore_ascii_case(value));
    let mut changed = signed;
    changed.insert(name, other);
    assert!(is_same || verify(&changed, body, &keys, now).is_err(), "{changed:?}");
});
