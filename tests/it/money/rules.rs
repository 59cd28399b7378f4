//! Who may call what, from where and when.

use std::time::Duration;

use fal_relay::store::{Directory, TenantChange, TenantStatus};
use serde_json::json;

use super::{DOLLAR, class, paid, till};
use crate::support::{Office, Relay, Wish, author, now, pause, post, request};

const PATHS: [&str; 3] = ["", "/run", "/queue"];

#[tokio::test]
async fn an_endpoint_that_a_key_may_not_call_is_refused_in_every_form() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let wish = Wish {
        tenant_rules: json!({"allow": ["a/**", "c/d"]}),
        group_rules: json!({"deny": ["a/secret/**"]}),
        rules: json!({"deny": ["a/*/beta"]}),
        ..Wish::of("narrow")
    };
    let key = office.make(wish).await.key;
    for (endpoint, allowed) in [
        ("a/b", true),
        ("a/b/c/d", true),
        ("c/d", true),
        ("c/d/e", false),
        ("x/y", false),
        ("a/secret", false),
        ("a/secret/plan", false),
        ("a/b/beta", false),
        ("A/b", false),
    ] {
        for prefix in PATHS {
            let before = paid(&fal).len();
            let answer = relay.client().send(post(&format!("{prefix}/{endpoint}"), &key, "{}")).await;
            let wanted = if allowed { (200, "") } else { (403, "endpoint_not_allowed") };
            assert_eq!(class(&answer), wanted, "{prefix}/{endpoint}: {}", answer.text());
            assert_eq!(paid(&fal).len() - before, usize::from(allowed), "{prefix}/{endpoint}");
        }
    }
    let streamed = relay.client().send(post("/run/x/y/stream", &key, "{}")).await;
    assert_eq!(class(&streamed), (403, "endpoint_not_allowed"));
    assert_eq!(office.rows().await.len(), 9, "a call that was refused is in the ledger");
}

#[tokio::test]
async fn a_network_counts_by_the_word_of_trusted_proxies_alone() {
    let fal = till().await;
    for trusted in [true, false] {
        let proxies = if trusted { "127.0.0.1/32" } else { "10.0.0.0/8" };
        let relay = Relay::with(&fal.base(), &[DOLLAR, ("FAL_RELAY_SERVER__TRUSTED_PROXIES", proxies)]);
        let office = Office::of(&relay);
        let far = Wish { rules: json!({"networks": ["198.51.100.0/24"]}), ..Wish::of("far") };
        let near = Wish { tenant_rules: json!({"networks": ["127.0.0.0/8"]}), ..Wish::of("near") };
        let (far, near) = (office.make(far).await.key, office.make(near).await.key);
        for (field, value, names) in [
            ("forwarded", "for=198.51.100.7", "far"),
            ("forwarded", "for=\"198.51.100.7:4711\";proto=https", "far"),
            ("x-forwarded-for", "198.51.100.7", "far"),
            ("x-forwarded-for", "198.51.100.7, 203.0.113.9", "nobody"),
            ("forwarded", "for=203.0.113.9", "nobody"),
            ("x-other", "198.51.100.7", "near"),
        ] {
            for (name, key) in [("far", &far), ("near", &near)] {
                let authorization = format!("Key {key}");
                let headers = [("authorization", authorization.as_str()), (field, value)];
                let answer = relay.client().send(request("POST", "/a/b", &headers, b"{}")).await;
                let caller = if trusted { names } else { "near" };
                let wanted = if caller == name { (200, "") } else { (403, "source_not_allowed") };
                assert_eq!(class(&answer), wanted, "{field}: {value}, {name}, trusted {trusted}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_opens_nothing_before_its_time_nor_after_it() {
    let fal = till().await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let hour = Duration::from_secs(3600);
    let early = Wish { starts_at: Some(now().plus(hour)), ..Wish::of("early") };
    let late = Wish { expires_at: Some(now()), ..Wish::of("late") };
    let in_time = Wish { starts_at: Some(now()), expires_at: Some(now().plus(hour)), ..Wish::of("in time") };
    let unknown = relay.client().send(post("/a/b", "fr_live_unknown", "{}")).await;
    for wish in [early, late] {
        let key = office.make(wish).await.key;
        let answer = relay.client().send(post("/a/b", &key, "{}")).await;
        assert_eq!(class(&answer), (401, "unauthorized"));
        assert_eq!(answer.comparable(), unknown.clone().comparable(), "one answer for all causes");
    }
    let key = office.make(in_time).await.key;
    assert_eq!(relay.client().send(post("/a/b", &key, "{}")).await.status, 200);
    assert_eq!(paid(&fal).len(), 1);
}

#[tokio::test]
async fn a_suspended_tenant_is_shut_out_and_let_in_again() {
    let fal = till().await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let made = office.make(Wish::of("late payer")).await;
    let ask = async || relay.client().send(post("/a/b", &made.key, "{}")).await.status;
    assert_eq!(ask().await, 200);
    for (status, wanted) in [(TenantStatus::Suspended, 401), (TenantStatus::Active, 200)] {
        let change = TenantChange { status: Some(status), ..TenantChange::default() };
        office.store.change_tenant(made.tenant_id(), change, author()).await.unwrap();
        // The running relay looks every `relay.key_check_ms`.
        while ask().await != wanted {
            pause().await;
        }
    }
}

#[tokio::test]
async fn changed_rules_hold_for_a_key_that_is_in_use() {
    let fal = till().await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let made = office.make(Wish::of("acme")).await;
    let mut socket = relay.client().connect().await;
    let mut ask = async || {
        tokio::io::AsyncWriteExt::write_all(&mut socket, &post("/a/b", &made.key, "{}")).await.unwrap();
        crate::support::read_answer(&mut socket).await.status
    };
    assert_eq!(ask().await, 200);
    let rules = serde_json::from_value(json!({"deny": ["a/**"]})).unwrap();
    let change = fal_relay::store::KeyChange { rules: Some(rules), ..Default::default() };
    office.store.change_key(made.record.id, change, author()).await.unwrap();
    while ask().await != 403 {
        pause().await;
    }
}
