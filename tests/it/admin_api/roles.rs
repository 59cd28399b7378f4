//! Who may do what, over every operation of the document.

use serde_json::{Value, json};

use super::{Operator, document};
use crate::support::{Client, Relay, get, request};

const ROLES: [&str; 3] = ["read", "manage", "owner"];

/// An operation: its method, a path of something that is not there, and the role that the document says it takes.
struct Operation {
    method: String,
    path: String,
    role: String,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["security"][0]["operator"].as_array().unwrap();
            assert_eq!(
                (operation["security"].as_array().unwrap().len(), roles.len()),
                (1, 1),
                "{method} {path}"
            );
            let path =
                path.strip_prefix("/api/v1").unwrap().replace("{id}", "999999").replace("{period}", "day");
            assert!(!path.contains('{'), "{path}");
            let role = roles[0].as_str().unwrap().to_owned();
            operations.push(Operation { method: method.to_uppercase(), path, role });
        }
    }
    assert!(operations.len() > 40, "{} operations are not all", operations.len());
    operations
}

#[tokio::test]
async fn each_operation_is_refused_without_a_token_and_with_too_low_a_role() {
    let relay = Relay::sandbox(&[]);
    let owner = Operator::first(&relay);
    let stranger = Operator { client: owner.client, token: "fr_admin_nobody".to_owned() };
    let actors = [owner.another("read").await, owner.another("manage").await, owner.another("owner").await];
    let refused = stranger.ask("GET", "/me", b"").await.comparable();
    let mut taken = [0; 3];
    for Operation { method, path, role } in operations(&document(&relay).await) {
        let answer =
            owner.client.send(request(&method, &format!("/api/v1{path}"), &[], b"{}")).await.comparable();
        assert_eq!((answer.status, &answer), (401, &refused), "{method} {path}");
        let least = ROLES.iter().position(|known| *known == role).unwrap();
        taken[least] += 1;
        for (actor, has) in actors.iter().zip(ROLES).take(least) {
            let answer = actor.ask(&method, &path, b"no JSON").await;
            let told = answer.json();
            assert_eq!(
                (answer.status, &told["error_type"]),
                (403, &json!("role_too_low")),
                "{method} {path}: {told}"
            );
            assert_eq!((&told["needed_role"], &told["role"]), (&json!(role), &json!(has)), "{method} {path}");
        }
        let answer = actors[least].ask(&method, &path, b"{}").await;
        assert!(!matches!(answer.status, 401 | 403 | 500..), "{method} {path}: {}", answer.text());
    }
    assert!(taken.iter().all(|count| *count > 0), "each role is needed for something: {taken:?}");
}

/// All that is no operator's token gets one answer, and the tenants' keys are among it.
#[tokio::test]
async fn one_answer_for_all_strangers() {
    let relay = Relay::sandbox(&[]);
    let owner = Operator::first(&relay);
    let made = owner.make("/operators", json!({"name": "gone", "role": "owner"})).await;
    let gone = made["token"].as_str().unwrap().to_owned();
    let revoke = format!("/operators/{}/revoke", made["id"]);
    let revoked = owner.ask("POST", &revoke, b"").await;
    assert_eq!((revoked.status, &revoked.json()["state"]), (200, &json!("revoked")));
    let token = &owner.token;
    let fields = [
        format!("Bearer {gone}"),
        format!("Bearer {}", relay.key),
        format!("Bearer {token}x"),
        format!("Key {token}"),
        format!("Basic {token}"),
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ];
    let path = "/api/v1/keys";
    let wanted = owner.client.send(request("GET", path, &[], b"")).await.comparable();
    assert_eq!((wanted.status, wanted.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(wanted.json()["error_type"], "unauthorized");
    for field in &fields {
        let answer =
            owner.client.send(request("GET", path, &[("authorization", field)], b"")).await.comparable();
        assert_eq!(answer, wanted, "{field}");
    }
    let sound = format!("bearer {token}");
    let twice = [("authorization", sound.as_str()), ("authorization", sound.as_str())];
    assert_eq!(
        owner.client.send(request("GET", path, &twice, b"")).await.comparable(),
        wanted,
        "two of them"
    );
    assert_eq!(owner.client.send(request("GET", path, &twice[..1], b"")).await.status, 200);
}

/// The listener is not public: what tells nothing of tenants needs no token. And tenants' ports have none of it.
#[tokio::test]
async fn what_is_open_is_open_here_alone() {
    let relay = Relay::sandbox(&[]);
    let admin = Client::new(relay.admin);
    for path in ["/health", "/ready", "/metrics", "/docs/", "/api/v1/openapi.json"] {
        assert_eq!(admin.send(get(path, "")).await.status, 200, "{path}");
    }
    for path in ["/docs/", "/api/v1/openapi.json", "/api/v1/keys", "/api/v1/me"] {
        for key in [&relay.key, &relay.token] {
            let answer = relay.client().send(get(path, key)).await;
            assert!(matches!(answer.status, 401 | 404 | 405), "{path}: {}", answer.status);
        }
    }
}
