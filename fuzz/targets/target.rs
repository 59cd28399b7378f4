//! A target of the proxy convention names one of the known hosts or is none, and what is read out of it is what stands there.
#![no_main]

use fal_relay::fal::{Role, TargetHosts, target_below};
use libfuzzer_sys::fuzz_target;

const BASE: &str = "http://relay.test:8787";

fuzz_target!(|text: &str| {
    let hosts = TargetHosts::new([("https://queue.corp.example/fal".to_owned(), Role::Queue)]);
    let Some(target) = hosts.read(text).or_else(|| target_below(text, BASE)) else { return };
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    let host =
        text.strip_suffix(&format!("{}{query}", target.path)).expect("the path and query stand at the end");
    let role = match host {
        "https://queue.fal.run" | "https://queue.corp.example/fal" => Role::Queue,
        "https://fal.run" => Role::Run,
        "https://rest.fal.ai" | "https://rest.alpha.fal.ai" => Role::Rest,
        BASE => Role::Relay,
        _ => panic!("{host:?} is no host of the list"),
    };
    assert_eq!(target.role, role);
    assert!(target.path.starts_with('/') && !target.path.contains('?'), "{target:?}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\".contains(&byte)), "{text:?}");
});
