//! What the holder of a key sees of its client tokens, and how he ends one.

use serde_json::{Value, json};

use super::{class, fal, house, mint, run, token};
use crate::support::{Answer, Ends, Office, Relay, Wish, get, pause, read_frame, request, until};

async fn revoke(relay: &Relay, key: &str, id: &Value) -> Answer {
    let authorization = format!("Key {key}");
    let headers = [("authorization", authorization.as_str())];
    relay.client().send(request("DELETE", &format!("/v1/tokens/{id}"), &headers, b"")).await
}

#[tokio::test]
async fn invariant_1_tokens_are_listed_by_number_and_not_by_what_they_are() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let other = office.make(Wish::of("other")).await;
    token(&relay, &other.key, &json!({})).await;
    let wish = json!({"allow": ["a/**"], "max_usd": "5", "origins": ["https://app.example"], "seconds": 600});
    let told = mint(relay.client(), &made.key, &wish).await.json();
    let secret = told["token"].as_str().unwrap();
    assert_eq!(run(&relay, "a/b", secret).await.status, 200);
    let spent = async || {
        let listed = relay.client().send(get("/v1/tokens", &made.key)).await;
        assert_eq!(listed.header("cache-control"), Some("no-store"));
        assert!(!listed.text().contains("fr_client_") && !listed.text().contains(secret));
        listed.json()
    };
    while spent().await["tokens"][0]["spent_usd"] != "1.00" {
        pause().await;
    }
    let listed = spent().await;
    assert_eq!((&listed["has_more"], &listed["next_cursor"]), (&json!(false), &Value::Null));
    let tokens = listed["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 1, "a key's own tokens alone: {listed}");
    for (field, wanted) in [
        ("id", &told["id"]),
        ("expires_at", &told["expires_at"]),
        ("allow", &json!(["a/**"])),
        ("max_usd", &json!("5.00")),
        ("held_usd", &json!("0.00")),
        ("origins", &json!(["https://app.example"])),
    ] {
        assert_eq!(&tokens[0][field], wanted, "{field}");
    }
    until(|| relay.calls().iter().any(|line| line["route"] == "run" && line["token_id"] == told["id"])).await;
}

#[tokio::test]
async fn invariant_1_one_token_ends_with_what_it_has_opened_and_no_other() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let (made, other) = (office.make(Wish::of("shop")).await, office.make(Wish::of("other")).await);
    let first = mint(relay.client(), &made.key, &json!({})).await.json();
    let second = mint(relay.client(), &made.key, &json!({})).await.json();
    let mut open = Vec::new();
    for told in [&first, &second] {
        let secret = told["token"].as_str().unwrap();
        open.push(Ends::open(&relay, "/run/a/b/realtime", secret, &mut sockets).await);
    }
    // Another's token is not there, as one that never was.
    for (key, id) in [(&other.key, &first["id"]), (&made.key, &json!(4711))] {
        assert_eq!(class(&revoke(&relay, key, id).await), (404, "token_not_found"));
    }
    for _ in 0..2 {
        let answer = revoke(&relay, &made.key, &first["id"]).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"id": first["id"], "revoked": true})));
    }
    let (opcode, close) = read_frame(&mut open[0].client).await.unwrap();
    assert_eq!((opcode, &close[..2]), (0x88, &1008_u16.to_be_bytes()[..]));
    let asked = async |told: &Value| {
        let secret = told["token"].as_str().unwrap();
        relay.client().send(crate::support::post("/tokens/realtime", secret, "{}")).await.status
    };
    while asked(&first).await == 200 {
        pause().await;
    }
    assert_eq!(asked(&second).await, 200);
    until(|| relay.calls().iter().filter(|line| line["closed"] == "revoked").count() == 1).await;
    let listed = relay.client().send(get("/v1/tokens", &made.key)).await.json();
    let ids: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!(ids, [&second["id"]]);
}

#[tokio::test]
async fn invariant_7_tokens_are_listed_in_pages() {
    let fal = fal().await;
    let (relay, _, made) = house(&fal).await;
    super::write_tokens(&relay, made.record.id.0, 250, i64::MAX);
    let (mut path, mut seen) = ("/v1/tokens".to_owned(), Vec::new());
    let sizes = [100, 100, 50];
    for (page, size) in sizes.into_iter().enumerate() {
        let listed = relay.client().send(get(&path, &made.key)).await.json();
        let tokens = listed["tokens"].as_array().unwrap();
        assert_eq!((tokens.len(), &listed["has_more"]), (size, &json!(page + 1 < sizes.len())));
        seen.extend(tokens.iter().map(|token| token["id"].as_i64().unwrap()));
        path = format!("/v1/tokens?cursor={}", listed["next_cursor"].as_str().unwrap_or_default());
    }
    assert!(seen.is_sorted() && seen.len() == 250);
    for query in ["cursor=x", "cursor=-1", "cursor=", "page=2"] {
        let answer = relay.client().send(get(&format!("/v1/tokens?{query}"), &made.key)).await;
        assert_eq!(class(&answer), (400, "bad_parameter"), "{query}");
    }
}
