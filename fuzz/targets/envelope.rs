//! The strings that are read from fal's answers are those that a whole parse finds, and ids are safe in a path.
#![no_main]

use fal_relay::fal::{AppBase, top_level_strings};
use fal_relay::ids::RequestId;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let [id, url] = top_level_strings(body, ["request_id", "response_url"]);
    if let Some(parsed) = id.as_deref().and_then(|id| RequestId::parse(id).ok()) {
        let text = parsed.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')), "{text:?}");
    }
    let base = url.as_deref().and_then(|url| AppBase::from_address(url, &["https://queue.fal.run".to_owned()]));
    if let (Some(base), Some(url)) = (&base, url.as_deref()) {
        assert!(url.starts_with(&format!("https://queue.fal.run/{}", base.as_str())), "{url:?} {base:?}");
    }
    // Of a key that comes twice a parse keeps the last, so only what comes once is compared.
    let Ok(Value::Object(whole)) = serde_json::from_slice(body) else { return };
    for (name, found) in [("request_id", id), ("response_url", url)] {
        if !comes_twice(body, name) {
            assert_eq!(found.as_deref(), whole.get(name).and_then(Value::as_str), "{name}");
        }
    }
});

/// Whether the name may come twice; with an escape it may be spelled in many ways.
fn comes_twice(body: &[u8], name: &str) -> bool {
    body.contains(&b'\\') || body.windows(name.len()).filter(|window| *window == name.as_bytes()).count() > 1
}
