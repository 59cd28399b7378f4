//! Requests that somebody wrote to pay less, or to break something.

use proptest::prelude::*;

use super::*;

const ENDPOINTS: [&str; 7] = [
    "fal-ai/flux-1/dev",
    "fal-ai/bytedance/seedream/v4/edit",
    "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
    "fal-ai/veo3/fast",
    "fal-ai/imagen4/preview",
    "fal-ai/wan/v2.2-a14b/image-to-image",
    "acme/any",
];
const UNITS: [&str; 8] =
    ["image", "megapixels", "second", "minute", "video", "request", "1000 characters", "character"];
const FIELDS: [&str; 12] = [
    "num_images",
    "n",
    "max_images",
    "image_size",
    "size",
    "resolution",
    "width",
    "duration",
    "generate_audio",
    "prompt",
    "text",
    "seconds",
];

/// Values that are no sound count, size or length.
const HOSTILE: [&str; 22] = [
    "-1",
    "0",
    "-0.0",
    "1e999",
    "-1e999",
    "1e-400",
    "99999999999999999999999999999999",
    "\"\"",
    "\"-3\"",
    "\"NaN\"",
    "\"inf\"",
    "\"0s\"",
    "\"s\"",
    "[]",
    "[4]",
    "{}",
    "{\"width\":-1}",
    "{\"width\":0,\"height\":1e999}",
    "\"0x0\"",
    "\"99999999x99999999\"",
    "true",
    "\"\\ud800\"",
];

#[test]
fn a_value_that_cannot_be_read_counts_as_the_largest() {
    for value in HOSTILE.iter().filter(|value| **value != "{}") {
        let body = |name: &str| format!(r#"{{"{name}":{value}}}"#);
        assert_eq!(expected(ENDPOINTS[0], "image", whole(&body("num_images"))), "4", "{value}");
        assert_eq!(expected(ENDPOINTS[2], "seconds", whole(&body("duration"))), "10", "{value}");
        assert_eq!(expected(ENDPOINTS[0], "megapixels", whole(&body("image_size"))), "5", "{value}");
    }
}

#[test]
fn deep_and_long_values_are_skipped() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let body = format!(r#"{{"a":{0},"image_size":{0},"num_images":{0},"prompt":{0}}}"#, deep(10_000));
    assert_eq!(expected(ENDPOINTS[0], "megapixels", cut(&body)), "20");
    let body = format!(r#"{{"a":{},"num_images":3}}"#, deep(10_000));
    assert_eq!(expected(ENDPOINTS[0], "images", whole(&body)), "3");
    let body = format!(r#"{{"num_images":{}}}"#, "1".repeat(60_000));
    assert_eq!(expected(ENDPOINTS[0], "images", whole(&body)), "4");
}

#[test]
fn what_only_fals_parser_reads_is_not_taken_for_missing() {
    for body in [
        r#"{"seed":NaN,"num_images":4}"#,
        r#"{"seed":Infinity,"num_images":4}"#,
        "\u{feff}{\"num_images\":4}",
    ] {
        assert_eq!(expected(ENDPOINTS[0], "images", whole(body)), "4", "{body}");
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
        "-?[0-9]{1,30}(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,4})?",
        "\"[0-9a-zA-Z_x. -]{0,12}\"",
        any::<i32>().prop_map(|side| format!(r#"{{"width":{side},"height":"{side}"}}"#)),
        Just("null".to_owned()),
    ]
}

fn body() -> impl Strategy<Value = String> {
    let member = (proptest::sample::select(&FIELDS[..]), value());
    proptest::collection::vec(member, 0..6).prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn estimated(endpoint: &str, unit: &str, sample: Sample) -> Quote {
    quote(&book("0.01", unit), &History::default(), POLICY, Multiplier::ONE, endpoint, sample).unwrap()
}

proptest! {
    #[test]
    fn no_request_is_quoted_at_nothing(
        body in body(),
        whole in any::<bool>(),
        endpoint in proptest::sample::select(&ENDPOINTS[..]),
        unit in proptest::sample::select(&UNITS[..]),
        at in 0.0..=1.0f64,
    ) {
        let end = (body.len() as f64 * at) as usize;
        for body in [body.as_bytes(), &body.as_bytes()[..end]] {
            let quote = estimated(endpoint, unit, Sample { body, whole });
            prop_assert_eq!(quote.basis, QuoteBasis::Request);
            prop_assert!(!quote.units.unwrap().is_zero());
            prop_assert!(quote.hold > Usd::ZERO);
        }
    }

    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300), whole in any::<bool>()) {
        for unit in UNITS {
            let hold = estimated("acme/any", unit, Sample { body: &body, whole }).hold;
            prop_assert!(hold > Usd::ZERO);
        }
    }
}
