//! A JSON reply is rewritten as a whole parse would, wherever it is cut.
#![no_main]

#[path = "../shared/addresses.rs"]
mod addresses;

use addresses::{FAL, PUBLIC, addresses, in_pieces, whole};
use fal_relay::fal::Rewriter;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: (u64, &[u8])| {
    let (cuts, body) = input;
    let out = whole(Rewriter::json(addresses()), body);
    assert_eq!(in_pieces(Rewriter::json(addresses()), body, cuts), out, "cuts change the reply");
    // Keys and bases that are spelled with `\u` are left alone on purpose; other escapes occur in neither.
    if body.windows(2).any(|pair| pair == br"\u") {
        return;
    }
    match (parsed(body), parsed(&out)) {
        (Some(before), after) => assert_eq!(after, Some(meant(before)), "{}", String::from_utf8_lossy(body)),
        (None, after) => assert_eq!(after, None, "the reply was mended: {}", String::from_utf8_lossy(body)),
    }
});

/// The document, if it is one.
fn parsed(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// What the rewriter should mean.
fn meant(mut value: Value) -> Value {
    for key in ["response_url", "status_url", "cancel_url"] {
        let Some(Value::String(text)) = value.get_mut(key) else { continue };
        let rest = FAL.iter().find_map(|base| text.strip_prefix(base)).map(str::to_owned);
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
            *text = format!("{PUBLIC}{rest}");
        }
    }
    value
}
