//! The invariants of the design, each with a test that names it. (6 is told in `journey`.)

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::support::{FAL_KEY, Fal, Relay, Seen, Step, get, json, post, reply, request, submit_reply, until};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";
const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A fal that gives each job an id of its own and answers everything else with what it was asked.
async fn busy_fal() -> Fal {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" if seen.target.starts_with("/queue/") => {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            submit_reply("fal-ai/flux-1", &format!("job-{number}"))
        }
        _ => json("200 OK", &format!(r#"{{"status":"COMPLETED","asked":"{}"}}"#, seen.target)),
    })
    .await
}

#[tokio::test]
async fn invariant_1_keys_do_not_cross() {
    let fal = Fal::start(|seen: &Seen| match seen.target.as_str() {
        "/queue/fal-ai/locked" => {
            json("403 Forbidden", r#"{"detail":"User is locked. Reason: Exhausted balance."}"#)
        }
        "/queue/fal-ai/cut" => Step::Close,
        _ => submit_reply("fal-ai/flux-1", ID),
    })
    .await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_LOG__LEVEL", "trace")]);
    let key = relay.key.clone();
    let path = format!("/fal-ai/flux-1/requests/{ID}");
    let mut answers = Vec::new();
    for request in [
        post("/fal-ai/flux-1/dev", &key, "{}"),
        get(&path, &key),
        get(&format!("{path}/status?fal_jwt_token={key}"), &key),
        post("/run/fal-ai/flux-1", &key, "{}"),
        post("/fal-ai/locked", &key, "{}"),
        post("/fal-ai/cut", &key, "{}"),
        post("/fal-ai/flux-1", "fr_live_wrong", "{}"),
        request("GET", &format!("/{key}"), &[("authorization", &format!("Basic {key}"))], b""),
    ] {
        answers.push(relay.client().send(request).await);
    }
    for seen in fal.seen() {
        assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
        assert!(!format!("{seen:?}").contains(&key), "a tenant's key travelled upstream: {seen:?}");
    }
    for answer in answers {
        let shown = format!("{:?} {}", answer.headers, answer.text());
        assert!(!shown.contains("canary"), "a fal key travelled downstream: {shown}");
    }
    // The first start prints the key once, on its own row; the log must not hold it at all.
    until(|| relay.calls().len() == 8).await;
    let logged = relay.output();
    assert!(!logged.lines().any(|line| line.starts_with('{') && line.contains(&key)), "{logged}");
}

#[tokio::test]
async fn invariant_3_not_yours_is_unknown() {
    let fal = busy_fal().await;
    let relay = Relay::before(&fal.base());
    let (mine, theirs) = (relay.key_of("mine"), relay.key_of("theirs"));
    let id = relay.client().submit("fal-ai/flux-1/dev", &mine).await;
    for (method, tail) in [
        ("GET", ""),
        ("GET", "/response"),
        ("GET", "/status"),
        ("GET", "/status?logs=1"),
        ("GET", "/status/stream"),
        ("PUT", "/cancel"),
    ] {
        let ask = async |id: &str, key: &str| {
            let path = format!("/fal-ai/flux-1/requests/{id}{tail}");
            let authorization = format!("Key {key}");
            let headers = [("authorization", authorization.as_str()), ("x-fal-runner-hint", "a stranger's")];
            relay.client().send(request(method, &path, &headers, b"")).await
        };
        let foreign = ask(&id, &theirs).await;
        let unknown = ask(UNKNOWN_ID, &theirs).await;
        assert_eq!((foreign.status, foreign.text().as_str()), (404, r#"{"status":"NOT_FOUND"}"#));
        assert_eq!(foreign.comparable(), unknown.comparable(), "{method} {tail}");
    }
    // The same key, the right id, another app: nobody's either.
    let authorization = format!("Key {mine}");
    let headers = [("authorization", authorization.as_str()), ("x-fal-runner-hint", "a stranger's")];
    let other = request("GET", &format!("/fal-ai/other/requests/{id}"), &headers, b"");
    assert_eq!(relay.client().send(other).await.status, 404);
    // Told by what the clients sent: the relay's own watch may ask after the job meanwhile.
    let theirs = |seen: &Seen| seen.header("x-fal-runner-hint").is_some();
    assert!(!fal.seen().iter().any(theirs), "a question about nobody's request reached fal");
}

#[tokio::test]
async fn invariant_4_written_before_sent_and_never_sent_again() {
    let fal = Fal::start(|_: &Seen| Step::Hang).await;
    let relay = Relay::before(&fal.base());
    let mut waiting = relay.client().connect().await;
    waiting.write_all(&post("/fal-ai/flux-1/dev", &relay.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 1).await;
    let rows = relay.ledger();
    assert_eq!(
        (rows.len(), &rows[0]["state"]),
        (1, &"held".into()),
        "fal has a call that is not written down"
    );

    let relay = relay.restart();
    let rows = relay.ledger();
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &"unknown".into()));
    assert_eq!(fal.seen().len(), 1, "a call of unknown outcome was sent again");
}

#[tokio::test]
async fn invariant_4_a_lost_answer_is_not_sent_again_by_the_relay_nor_by_clients() {
    for step in [|| Step::Close, || Step::Reply(b"this is not http\r\n\r\n".to_vec())] {
        let fal = Fal::start(move |_: &Seen| step()).await;
        let relay = Relay::before(&fal.base());
        let answer = relay.client().send(post("/fal-ai/flux-1/dev", &relay.key, "{}")).await;
        assert_eq!((answer.status, answer.header("x-relay-error")), (504, Some("outcome_unknown")));
        // With this field neither official client sends the call again (protocol 7.5).
        assert_eq!(answer.header("x-fal-request-timeout-type"), Some("user"));
        until(|| relay.ledger()[0]["state"] == "unknown").await;
        assert_eq!(fal.seen().len(), 1);
    }
}

#[tokio::test]
async fn invariant_10_fixed_doors_upstream() {
    let elsewhere = Fal::start(|_: &Seen| json("200 OK", "{}")).await;
    let target = format!("{}/stolen", elsewhere.base());
    let location = target.clone();
    let fal = Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" if seen.target.contains("flux") => submit_reply("fal-ai/flux-1", ID),
        _ => Step::Reply(reply("307 Temporary Redirect", &[("location", &location)], b"")),
    })
    .await;
    let relay = Relay::before(&fal.base());
    let authorization = format!("Key {}", relay.key);
    let host = elsewhere.address.to_string();
    let fields = |extra: &[(&'static str, &str)]| {
        let mut fields = vec![("authorization", authorization.clone())];
        fields.extend(extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
        fields
    };
    for (path, extra) in [
        (target.as_str(), vec![]),
        ("/fal-ai/flux-1", vec![("host", host.as_str())]),
        ("/fal-ai/flux-1", vec![("x-fal-target-url", target.as_str())]),
        ("/fal-ai/flux-1", vec![("x-forwarded-host", host.as_str())]),
        ("/run/fal-ai/redirects", vec![]),
        ("//evil.example/fal-ai/flux-1", vec![]),
        ("/@evil.example/fal-ai/flux-1", vec![]),
    ] {
        let fields = fields(&extra);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        relay.client().send(request("POST", path, &fields, b"{}")).await;
    }
    let redirected = relay.client().send(post("/run/fal-ai/redirects", &relay.key, "{}")).await;
    assert_eq!((redirected.status, redirected.header("location")), (307, Some(target.as_str())));
    assert_eq!(elsewhere.seen().len(), 0, "a call went where a client or a redirect said");
}

#[tokio::test]
async fn invariant_11_a_departed_client_of_a_direct_run_is_dropped_upstream() {
    for path in ["/run/fal-ai/flux-1", "/run/fal-ai/flux-1/stream"] {
        let fal = Fal::start(|_: &Seen| Step::Hang).await;
        let relay = Relay::before(&fal.base());
        let mut waiting = relay.client().connect().await;
        waiting.write_all(&post(path, &relay.key, "{}")).await.unwrap();
        until(|| fal.seen().len() == 1).await;
        drop(waiting);
        until(|| fal.left() == 1).await;
        until(|| relay.ledger()[0]["state"] == "unknown").await;
    }
}

#[tokio::test]
async fn invariant_11_a_departed_client_in_the_middle_of_an_answer_is_dropped_upstream() {
    let (pieces, follow) = mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::before(&fal.base());
    let mut waiting = relay.client().connect().await;
    waiting.write_all(&post("/run/fal-ai/flux-1/stream", &relay.key, "{}")).await.unwrap();
    pieces.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n".to_vec()).unwrap();
    let mut got = [0; 64];
    assert!(tokio::io::AsyncReadExt::read(&mut waiting, &mut got).await.unwrap() > 0);
    drop(waiting);
    until(|| fal.left() == 1).await;
}

#[tokio::test]
async fn invariant_11_a_queued_job_goes_on_without_its_client() {
    let (pieces, follow) = mpsc::unbounded_channel();
    let follow = std::sync::Mutex::new(Some(follow));
    let fal =
        Fal::start(move |_: &Seen| follow.lock().unwrap().take().map_or(Step::Close, Step::Follow)).await;
    let relay = Relay::before(&fal.base());
    let mut waiting = relay.client().connect().await;
    waiting.write_all(&post("/fal-ai/flux-1/dev", &relay.key, "{}")).await.unwrap();
    until(|| fal.seen().len() == 1).await;
    drop(waiting);
    let Step::Reply(accepted) = submit_reply("fal-ai/flux-1", ID) else { unreachable!() };
    pieces.send(accepted).unwrap();
    until(|| relay.ledger()[0]["state"] == "sent").await;
    assert_eq!((relay.ledger()[0]["request_id"].as_str(), fal.left()), (Some(ID), 0));
}
