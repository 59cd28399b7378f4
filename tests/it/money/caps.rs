//! Caps hold: invariants 1 (of money: no more than the cap) and 2 (one door).

use std::collections::BTreeSet;

use fal_relay::fal::{Call, FollowUp, Role, Storage, TokenForm, Upload, parse, parse_socket};
use fal_relay::period::Period;
use futures_util::future::join_all;
use http::Method;
use tokio::io::AsyncWriteExt;

use super::{DOLLAR, class, paid, till};
use crate::support::{
    Office, Relay, Wish, budget, handshake, masked, post, read_answer, read_frame, request,
};

const CALLS: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_at_once_as_many_pass_as_there_is_money_for() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    for (number, path) in ["/a/b", "/run/a/b", "/run/a/b/stream"].into_iter().enumerate() {
        // The tenant's cap for one, the key's for the next.
        let cap = vec![budget(Period::Day, "7")];
        let wish = Wish::of(&format!("tenant {number}"));
        let made = match number {
            1 => office.make(Wish { budgets: cap, ..wish }).await,
            _ => office.make(Wish { tenant_budgets: cap, ..wish }).await,
        };
        let client = relay.client();
        let sent = (0..CALLS).map(|_| client.send(post(path, &made.key, r#"{"units":"1"}"#)));
        let (passed, refused): (Vec<_>, Vec<_>) =
            join_all(sent).await.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(passed.len(), 7, "{path}");
        for answer in refused {
            assert_eq!(class(&answer), (402, "budget_exceeded"), "{}", answer.text());
            let said = answer.json();
            let fields = (&said["scope"], &said["period"], &said["limit_usd"], &said["remaining_usd"]);
            let scope = if number == 1 { "key" } else { "tenant" };
            assert_eq!(fields, (&scope.into(), &"day".into(), &"7.00".into(), &"0.00".into()));
            assert!(said["resets_at"].as_str().unwrap().contains("T00:00:00"), "{said}");
        }
        assert_eq!(paid(&fal).len(), 7 * (number + 1), "a call that was refused reached fal");
        let rows = office.rows_of(&made).await;
        assert_eq!(rows.len(), 7, "a call that was refused is in the ledger");
    }
    office.rows_when(|rows| rows.iter().filter(|row| row.state.is_closed()).count() == 14).await;
    office.balance().await;
}

/// Which kind of call it is, counted from zero. A new kind does not compile before somebody has put it here.
fn kind(call: &Call) -> usize {
    match call {
        Call::Submit { .. } => 0,
        Call::Run { .. } => 1,
        Call::Stream { .. } => 2,
        Call::Follow { what, .. } => match what {
            FollowUp::Status => 3,
            FollowUp::StatusStream => 4,
            FollowUp::Result { .. } => 5,
            FollowUp::Cancel => 6,
        },
        Call::Storage(step) => match step {
            Storage::Initiate => 7,
            Storage::InitiateMultipart => 8,
            Storage::CompleteMultipart => 9,
            Storage::Token => 10,
        },
        Call::Upload(upload) => match upload {
            Upload::Bytes(_) => 11,
            Upload::Whole => 12,
            Upload::Begin { .. } => 13,
            Upload::Piece { .. } => 14,
            Upload::File { .. } => 15,
        },
        Call::Token(form) => match form {
            TokenForm::Bare => 16,
            TokenForm::Realtime => 17,
        },
        Call::Runs { .. } => 18,
        Call::Realtime { .. } => 19,
    }
}

const KINDS: usize = 20;
/// What fal does not bill: questions about jobs that were let in, their end, uploads, and the relay's own tokens.
const FREE: std::ops::Range<usize> = 3..19;

/// Every way to say each kind of call: host, what the host stands for, method, target.
const FORMS: &[(&str, Role, &str, &str)] = &[
    ("relay.test", Role::Relay, "POST", "/a/b"),
    ("relay.test", Role::Relay, "POST", "/a/b/"),
    ("relay.test", Role::Relay, "POST", "/a/b/c/d?x=1"),
    ("relay.test", Role::Relay, "POST", "/workflows/a/b"),
    ("relay.test", Role::Relay, "POST", "/queue/a/b"),
    ("relay.test", Role::Relay, "POST", "/fal-ai/fal-ai/b?_subdomain=queue"),
    ("relay.test", Role::Relay, "POST", "/fal-ai/fal-ai/b"),
    ("queue.fal.run", Role::Queue, "POST", "/a/b"),
    ("queue.relay.test", Role::Queue, "POST", "/run/a"),
    ("relay.test", Role::Relay, "POST", "/run/a/b"),
    ("fal.run", Role::Run, "POST", "/a/b"),
    ("fal.run", Role::Run, "POST", "/run/a/b"),
    ("run.relay.test", Role::Run, "POST", "/a/b"),
    ("relay.test", Role::Relay, "POST", "/run/a/b/stream"),
    ("fal.run", Role::Run, "POST", "/a/b/stream"),
    ("relay.test", Role::Relay, "GET", "/a/b/requests/job-0/status"),
    ("relay.test", Role::Relay, "GET", "/queue/a/b/requests/job-0/status?logs=1"),
    ("relay.test", Role::Relay, "GET", "/a/b/requests/job-0/status/stream"),
    ("relay.test", Role::Relay, "GET", "/a/b/requests/job-0"),
    ("queue.fal.run", Role::Queue, "GET", "/a/b/requests/job-0/response"),
    ("relay.test", Role::Relay, "PUT", "/a/b/requests/job-0/cancel"),
    ("relay.test", Role::Relay, "POST", "/storage/upload/initiate"),
    ("rest.fal.ai", Role::Rest, "POST", "/storage/upload/initiate-multipart"),
    ("relay.test", Role::Relay, "POST", "/storage/upload/complete-multipart"),
    ("relay.test", Role::Relay, "POST", "/storage/auth/token/"),
    ("relay.test", Role::Relay, "PUT", "/storage/upload/bytes?sealed=a"),
    ("v3.fal.media", Role::Cdn, "POST", "/files/upload"),
    ("relay.test", Role::Relay, "POST", "/storage/cdn/files/upload/multipart"),
    ("v3.fal.media", Role::Cdn, "PUT", "/files/a/multipart/b/1"),
    ("v3.fal.media", Role::Cdn, "GET", "/files/a"),
    ("relay.test", Role::Relay, "POST", "/tokens/"),
    ("rest.fal.ai", Role::Rest, "POST", "/tokens/"),
    ("rest.alpha.fal.ai", Role::Rest, "POST", "/tokens/realtime"),
];

/// Every way to open each kind of socket: host, what the host stands for, target.
const SOCKETS: &[(&str, Role, &str)] = &[
    ("relay.test", Role::Relay, "/run/a/b/realtime"),
    ("relay.test", Role::Relay, "/run/a/b/realtime/"),
    ("relay.test", Role::Relay, "/run/a/b/other?max_buffering=3"),
    ("relay.test", Role::Relay, "/run/a/b"),
    ("fal.run", Role::Run, "/a/b/realtime"),
    ("fal.run", Role::Run, "/run/a/b/realtime"),
    ("run.relay.test", Role::Run, "/a/b/c/d"),
    ("relay.test", Role::Relay, "/ws/a/b"),
    ("ws.fal.run", Role::Ws, "/a/b"),
    ("ws.relay.test", Role::Ws, "/ws/a/b"),
];

/// Where a client that is told of a proxy would have gone with this call.
fn named_to_a_proxy(call: &Call) -> String {
    match call {
        Call::Submit { endpoint } => format!("https://queue.fal.run/{endpoint}"),
        Call::Follow { endpoint, request_id, what } => {
            format!("https://queue.fal.run/{endpoint}/requests/{request_id}{}", what.as_suffix())
        }
        Call::Run { endpoint } => format!("https://fal.run/{endpoint}"),
        Call::Stream { endpoint } => format!("https://fal.run/{endpoint}/stream"),
        Call::Runs { .. } | Call::Realtime { .. } => unreachable!("no proxy opens sockets"),
        Call::Storage(step) => format!("https://rest.fal.ai{}", step.as_path()),
        // No client asks a proxy for the media host.
        Call::Upload(_) => "https://v3.fal.media/files/upload".to_owned(),
        Call::Token(TokenForm::Bare) => "https://rest.fal.ai/tokens/".into(),
        Call::Token(TokenForm::Realtime) => "https://rest.fal.ai/tokens/realtime".into(),
    }
}

#[tokio::test]
async fn invariant_2_every_kind_of_call_is_refused_at_the_cap_or_free() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let wish = Wish { tenant_budgets: vec![budget(Period::Total, "0")], ..Wish::of("poor") };
    let poor = Office::of(&relay).make(wish).await.key;
    let poor = format!("Key {poor}");
    let mut walked = BTreeSet::new();
    for (host, role, method, target) in FORMS {
        let path = target.split('?').next().unwrap();
        let call = parse(*role, &Method::from_bytes(method.as_bytes()).unwrap(), path).unwrap();
        let is_free = FREE.contains(&kind(&call));
        assert_eq!(call.may_be_billed(), !is_free, "{call:?}");
        walked.insert(kind(&call));
        // As itself, as to a proxy, and with the fields by which fal's own proxies are told where to go.
        let absolute = format!("http://{host}{target}");
        let elsewhere = [("x-fal-target-url", "https://fal.run/a/b"), ("x-forwarded-host", "fal.run")];
        for (target, fields) in [(*target, &[][..]), (&absolute, &[]), (target, &elsewhere)] {
            let mut headers = vec![("host", *host), ("authorization", poor.as_str())];
            headers.extend(fields);
            let answer = relay.client().send(request(method, target, &headers, b"{}")).await;
            let refused = class(&answer) == (402, "budget_exceeded");
            assert_eq!(refused, !is_free, "{method} {host} {target}: {} {}", answer.status, answer.text());
        }
        // And by the proxy convention.
        let named = named_to_a_proxy(&call);
        let headers = [("authorization", poor.as_str()), ("x-fal-target-url", named.as_str())];
        let answer = relay.client().send(request(method, "/api/fal/proxy", &headers, b"{}")).await;
        let refused = class(&answer) == (402, "budget_exceeded");
        assert_eq!(refused, !is_free, "{method} proxy {named}: {} {}", answer.status, answer.text());
    }
    for (host, role, target) in SOCKETS {
        let path = target.split('?').next().unwrap();
        let call = parse_socket(*role, path).unwrap().unwrap();
        assert_eq!(call.may_be_billed(), !FREE.contains(&kind(&call)), "{call:?}");
        walked.insert(kind(&call));
        let mut socket = relay.client().connect().await;
        socket.write_all(&handshake(target, &[("host", host), ("authorization", &poor)])).await.unwrap();
        let answer = read_answer(&mut socket).await;
        match call.may_be_billed() {
            true => {
                assert_eq!(class(&answer), (402, "budget_exceeded"), "{host} {target}: {}", answer.text());
            }
            // Each of its messages is a run.
            false => {
                assert_eq!(answer.status, 101, "{host} {target}: {}", answer.text());
                socket.write_all(&masked(0x81, b"{}")).await.unwrap();
                let (_, start) = read_frame(&mut socket).await.unwrap();
                let start: serde_json::Value = serde_json::from_slice(&start).unwrap();
                assert_eq!((&start["type"], &start["status"]), (&"start".into(), &402.into()), "{start}");
            }
        }
    }
    assert_eq!(walked, (0..KINDS).collect(), "a kind of call has no form in the list");
    assert_eq!(paid(&fal).len(), 0, "a call that may be billed reached fal from a tenant without money");
    assert_eq!(Office::of(&relay).rows().await, []);
}
