use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::secret::Seed;

const NOW: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Seed::new([seed; 32])).unwrap()
}

fn keys(seeds: &[u8]) -> PublicKeys {
    PublicKeys::new(seeds.iter().map(|seed| key(*seed).public())).unwrap()
}

fn seconds(from_now: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() + from_now * 1_000_000)
}

fn signed(at: Timestamp) -> HeaderMap {
    key(1).headers("req-1", "user", at, b"{}").unwrap()
}

#[test]
fn the_message_is_four_lines_without_an_end() {
    let stamp = Stamp { request_id: "r", user_id: "u", timestamp: "1" };
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(stamp.message(b""), format!("r\nu\n1\n{empty}"));
}

/// The first vector of RFC 8032, 7.1: an independent word on which key grows from a seed.
#[test]
fn a_seed_gives_the_key_of_the_standard() {
    let seed: [u8; 32] = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        .unwrap()
        .try_into()
        .unwrap();
    let key = SigningKey::from_seed(&Seed::new(seed)).unwrap();
    let public: [u8; 32] = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(key.public(), PublicKey::new(public));
    let stamp = Stamp { request_id: "r", user_id: "u", timestamp: "1" };
    let signature = hex::decode(key.sign(&stamp, b"x").as_str()).unwrap();
    let message = stamp.message(b"x");
    assert!(UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &signature).is_ok());
}

#[test]
fn any_key_of_the_list_may_have_signed() {
    let verified = Ok(Verified { request_id: RequestId::parse("req-1").unwrap() });
    assert_eq!(verify(&signed(NOW), b"{}", &keys(&[3, 2, 1]), NOW), verified);
    assert_eq!(verify(&signed(NOW), b"{}", &keys(&[3, 2]), NOW), Err(Unverified::Signature));
}

#[test]
fn invariant_7_a_signature_is_believed_for_five_minutes_either_way() {
    for (seconds_off, believed) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
        let judged = verify(&signed(seconds(seconds_off)), b"{}", &keys(&[1]), NOW);
        assert_eq!(judged.is_ok(), believed, "{seconds_off}: {judged:?}");
    }
}

#[test]
fn each_header_is_needed_once_and_in_its_form() {
    for name in [REQUEST_ID, USER_ID, TIMESTAMP, SIGNATURE] {
        let wrong = |headers: &HeaderMap| {
            assert_eq!(
                verify(headers, b"{}", &keys(&[1]), NOW),
                Err(Unverified::Header(name.clone())),
                "{headers:?}"
            );
        };
        let mut headers = signed(NOW);
        headers.append(&name, headers[&name].clone());
        wrong(&headers);
        headers.insert(&name, HeaderValue::from_static(""));
        wrong(&headers);
        headers.insert(&name, HeaderValue::from_bytes(b"\xff").unwrap());
        wrong(&headers);
        headers.remove(&name);
        wrong(&headers);
    }
    for bad in ["+1760000000", "1.76e9", "-1", "0x1", "1 ", "99999999999999999999"] {
        let mut headers = signed(NOW);
        headers.insert(TIMESTAMP, HeaderValue::from_str(bad).unwrap());
        assert!(verify(&headers, b"{}", &keys(&[1]), NOW).is_err(), "{bad}");
    }
}

#[test]
fn invariant_7_a_header_of_a_webhook_has_a_longest_form() {
    for (length, believed) in [(256, true), (257, false)] {
        let headers = key(1).headers("r", &"u".repeat(length), NOW, b"").unwrap();
        assert_eq!(verify(&headers, b"", &keys(&[1]), NOW).is_ok(), believed, "{length}");
    }
}

#[test]
fn ids_that_break_lines_are_not_signed() {
    assert!(key(1).headers("a\nb", "u", NOW, b"").is_none());
    assert!(key(1).headers("a", "u\n1", NOW, b"").is_none());
}

#[test]
fn keys_are_read_with_padding_and_without() {
    let printed = keys(&[1, 2]).print();
    assert!(printed.contains("=\""), "{printed}");
    assert_eq!(PublicKeys::parse(printed.as_bytes()), Ok(keys(&[1, 2])));
    assert_eq!(PublicKeys::parse(printed.replace('=', "").as_bytes()), Ok(keys(&[1, 2])));
    let bare: Value = serde_json::from_str(&printed).unwrap();
    let bare = json!({"keys":[{"x": bare["keys"][0]["x"]}, {"x": 1}, {"x": "AAAA"}, {"kty": "RSA", "n": "x"}], "more": 1});
    assert_eq!(PublicKeys::parse(bare.to_string().as_bytes()), Ok(keys(&[1])));
}

#[test]
fn what_is_no_list_of_keys_is_refused() {
    for (text, why) in [
        ("", BadKeys::Form),
        ("[]", BadKeys::Form),
        ("<html>", BadKeys::Form),
        (r#"{"keys":{}}"#, BadKeys::Form),
        (r#"{"keys":[]}"#, BadKeys::NoKey),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA"}]}"#, BadKeys::NoKey),
    ] {
        assert_eq!(PublicKeys::parse(text.as_bytes()), Err(why), "{text}");
    }
}

#[test]
fn invariant_7_no_more_than_a_few_keys_are_tried() {
    let many: Vec<u8> = (0..20).collect();
    let first: Vec<u8> = (0..16).collect();
    assert_eq!(keys(&many), keys(&first));
}

#[test]
fn the_three_forms_are_fals() {
    let id = RequestId::parse("123e").unwrap();
    let text =
        |status, body: &str| String::from_utf8(envelope(&id, status, body.as_bytes()).to_vec()).unwrap();
    assert_eq!(
        text(200, r#"{"seed":196619188014358660, "x":1e400}"#),
        r#"{"request_id":"123e","gateway_request_id":"123e","status":"OK","payload":{"seed":196619188014358660, "x":1e400}}"#
    );
    assert_eq!(
        text(422, r#"{"detail":[]}"#),
        r#"{"request_id":"123e","gateway_request_id":"123e","status":"ERROR","error":"Invalid status code: 422","payload":{"detail":[]}}"#
    );
    let value: Value = serde_json::from_str(&text(200, r#"{"a":NaN}"#)).unwrap();
    assert_eq!((&value["status"], &value["payload"]), (&json!("OK"), &Value::Null));
    assert!(
        value["payload_error"].as_str().unwrap().starts_with("Response payload is not JSON serializable.")
    );
    let value: Value = serde_json::from_str(&text(500, "Internal Server Error")).unwrap();
    assert_eq!((&value["status"], &value["payload"]), (&json!("ERROR"), &Value::Null));
}

#[test]
fn what_would_break_out_of_the_envelope_is_no_payload() {
    for odd in ["", " ", "1,\"status\":\"x\"", "{}}", "[", "\u{feff}{}", "nul", "\"\u{1}\""] {
        assert!(not_json(odd.as_bytes()), "{odd:?}");
    }
    assert!(not_json(b"\"\xff\""));
    assert!(!not_json(
        "[".repeat(100_000)
            .as_bytes()
            .iter()
            .chain("]".repeat(100_000).as_bytes())
            .copied()
            .collect::<Vec<_>>()
            .as_slice()
    ));
}

/// A part of the envelope that keeps its text.
#[derive(serde::Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

proptest! {
    #[test]
    fn a_signature_holds_for_its_very_bytes(
        id in "[A-Za-z0-9_-]{1,40}", user in "[!-~]{1,40}", body in prop::collection::vec(any::<u8>(), 0..64), flip in any::<prop::sample::Index>(),
    ) {
        let headers = key(1).headers(&id, &user, NOW, &body).unwrap();
        prop_assert!(verify(&headers, &body, &keys(&[1]), NOW).is_ok());
        let mut other = body.clone();
        other.push(0);
        prop_assert_eq!(verify(&headers, &other, &keys(&[1]), NOW), Err(Unverified::Signature));
        if !body.is_empty() {
            let mut other = body.clone();
            other[flip.index(body.len())] ^= 1;
            prop_assert_eq!(verify(&headers, &other, &keys(&[1]), NOW), Err(Unverified::Signature));
        }
        let mut moved = headers.clone();
        moved.insert(USER_ID, HeaderValue::from_str(&format!("{user}x")).unwrap());
        prop_assert_eq!(verify(&moved, &body, &keys(&[1]), NOW), Err(Unverified::Signature));
    }

    #[test]
    fn any_document_is_judged(document in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = PublicKeys::parse(&document);
    }

    #[test]
    fn any_result_gives_sound_json_and_keeps_its_bytes(result in prop_oneof![
        "\\PC{0,24}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..16),
        any::<(String, f64, u64)>().prop_map(|parts| json!([parts.0, {"a": parts.1, "b": [parts.2]}]).to_string().into_bytes()),
    ], status in 100_u16..600) {
        let id = RequestId::parse("r").unwrap();
        let body = envelope(&id, status, &result);
        let read: Read<'_> = serde_json::from_slice(&body).unwrap();
        let wanted = if not_json(&result) { "null" } else { std::str::from_utf8(&result).unwrap().trim_matches([' ', '\t', '\n', '\r']) };
        prop_assert_eq!(read.payload.get(), wanted);
    }
}
