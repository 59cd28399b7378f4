//! Everything at TRACE with known secrets, and every sink searched. The process's own environment, where an operator may
//! have put a key, is the operator's.

use crate::support::{
    FAL_KEY, FAL_SECRET, Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply, until,
};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";
/// What a tenant says to a model, and what the model says to him: nobody else's business either.
const PROMPT: &str = "pr0mptcanary";
const RESULT: &str = "resu1tcanary";
/// A credential in a query, as one client sends it.
const TOKEN: &str = "t0kencanary";

async fn fal() -> Fal {
    Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/a/b" => submit_reply("a/b", ID),
        "/queue/a/locked" => {
            json("403 Forbidden", r#"{"detail":"User is locked. Reason: Exhausted balance."}"#)
        }
        "/run/a/close" => Step::Close,
        "/run/a/garbage" => Step::Reply(format!("{RESULT} is not HTTP\r\n\r\n").into_bytes()),
        "/run/a/cut" => Step::ReplyAndClose(
            format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{RESULT}").into_bytes(),
        ),
        "/run/a/cookie" => {
            Step::Reply(reply("200 OK", &[("set-cookie", TOKEN), ("x-fal-cdn-token", TOKEN)], b"{}"))
        }
        "/run/a/error" => json("500 Internal Server Error", &format!(r#"{{"detail":"{RESULT}"}}"#)),
        _ => json("200 OK", &format!(r#"{{"status":"COMPLETED","text":"{RESULT}"}}"#)),
    })
    .await
}

/// Every kind of call, well and broken.
async fn call_everything(relay: &Relay, key: &str) -> Vec<String> {
    let body = format!(r#"{{"prompt":"{PROMPT}"}}"#);
    let path = format!("/a/b/requests/{ID}");
    let mut requests = vec![post("/a/b", key, &body), post("/a/locked", key, &body)];
    for tail in ["", "/response", "/status", "/status/stream", &format!("/status?fal_jwt_token={TOKEN}")] {
        requests.push(get(&format!("{path}{tail}"), key));
    }
    for name in ["close", "garbage", "cut", "cookie", "error", "well"] {
        requests.push(post(&format!("/run/a/{name}"), key, &body));
    }
    requests.push(post("/storage/upload/initiate", key, &body));
    requests.push(post("/a/b", &format!("{key}x"), &body));
    requests.push(request(
        "GET",
        &format!("/a/{key}/../x"),
        &[("authorization", &format!("Basic {key}"))],
        b"",
    ));
    requests.push(request("POST", "/a/b", &[("authorization", key), ("cookie", TOKEN)], body.as_bytes()));
    requests.push(format!("POST /a/b HTTP/1.1\r\nauthorization: Key {key}\r\n{PROMPT}\r\n\r\n").into_bytes());
    let mut shown = Vec::new();
    for request in requests {
        let answer = relay.client().send(request).await;
        shown.push(format!("{:?} {}", answer.headers, answer.text()));
    }
    shown
}

#[tokio::test]
async fn no_secret_is_in_any_sink() {
    let fal = fal().await;
    let mut relay = Relay::with(&fal.base(), &[("FAL_RELAY_LOG__LEVEL", "trace")]);
    let key = relay.key_of("canary");
    let answers = call_everything(&relay, &key).await;
    let admin = crate::support::Client::new(relay.admin);
    let mut sinks = vec![("answers", answers.join("\n").into_bytes())];
    for path in ["/metrics", "/health", "/ready", "/nothing"] {
        sinks.push(("the admin listener", admin.send(get(path, "")).await.body));
    }
    sinks.push(("the command line", std::fs::read(format!("/proc/{}/cmdline", relay.pid())).unwrap()));
    for verb in [&["ledger", "export", "--format", "csv"][..], &["key", "list", "--json"], &["check"]] {
        sinks.push(("the verbs", relay.cli(verb).into_bytes()));
    }
    until(|| relay.calls().len() >= answers.len() - 1).await;
    let data = relay.folder.path().join("fal-relay-data");
    let files =
        || std::fs::read_dir(&data).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    sinks.extend(files().map(|bytes| ("the store while it is open", bytes)));
    relay.signal("-TERM");
    assert!(relay.wait().success());
    sinks.extend(files().map(|bytes| ("the store after its end", bytes)));
    let logged: Vec<String> =
        relay.output().lines().filter(|line| line.starts_with('{')).map(Into::into).collect();
    assert!(logged.len() > 10, "nothing was logged at all");
    sinks.push(("the log", logged.join("\n").into_bytes()));

    let random = key.strip_prefix("fr_live_").unwrap();
    for (sink, bytes) in sinks {
        let text = String::from_utf8_lossy(&bytes);
        // The tenant's own answers may hold his own words.
        let own = if sink == "answers" { &[][..] } else { &[PROMPT, RESULT][..] };
        for secret in [FAL_KEY, FAL_SECRET, random, TOKEN].iter().chain(own) {
            assert!(!text.contains(secret), "{secret} is in {sink}");
        }
    }
}
