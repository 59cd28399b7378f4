//! The front door: bad HTTP is refused or normalised, nothing of it reaches fal, and the relay still serves.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::corpus::{self, Case, Want};
use crate::support::{Fal, Relay, Seen, get, json, post, read_answer, request, submit_reply};

/// A fal that takes every job under an id of its own, and calls every question's job done.
async fn willing_fal() -> Fal {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Fal::start(move |seen: &Seen| match seen.method.as_str() {
        "POST" => {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            submit_reply("a/b", &format!("job-{number}"))
        }
        _ => json("200 OK", r#"{"status":"COMPLETED"}"#),
    })
    .await
}

/// Sends a case and returns all that came back until the relay closed the connection, or its one answer when it did not.
async fn sent(relay: &Relay, case: &Case) -> String {
    let auth = format!("authorization: Key {}\r\n", relay.key);
    let bytes = replace(&case.bytes, b"{auth}", auth.as_bytes());
    let mut socket = relay.client().connect().await;
    // A relay that refuses at once may close before all is written.
    drop(socket.write_all(&bytes).await);
    if let Want::Normalised(_) | Want::Answered(_) = case.want {
        let answer = read_answer(&mut socket).await;
        return format!("HTTP/1.1 {} \r\n{}", answer.status, answer.text());
    }
    if let Want::Silence | Want::BrokenOff(_) = case.want {
        socket.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    drop(socket.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

fn replace(bytes: &[u8], wanted: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(wanted.len()).position(|window| window == wanted) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(with);
        rest = &rest[at + wanted.len()..];
    }
    [replaced.as_slice(), rest].concat()
}

/// The statuses of all answers in what came back.
fn statuses(answer: &str) -> Vec<u16> {
    let words = answer.match_indices("HTTP/1.");
    words.filter_map(|(at, _)| answer[at..].split(' ').nth(1)?.parse().ok()).collect()
}

/// What is wrong with what came of a case, if anything is.
fn fault(case: &Case, answer: &str, seen: &[Seen]) -> Option<String> {
    let (statuses, reached) = (statuses(answer), seen.len());
    let as_wanted = match case.want {
        Want::Refused(status) | Want::BrokenOff(status) => {
            statuses == [status] && reached == 0 && answer.contains("error_type")
        }
        Want::RefusedSecond(status) => statuses == [200, status] && reached == 1,
        Want::Silence => answer.is_empty() && reached == 0,
        Want::Answered(status) => statuses == [status] && reached == 0 && answer.contains("error_type"),
        Want::Normalised(body) => {
            statuses == [200] && seen.iter().map(|seen| &seen.body[..]).eq([body.as_bytes()])
        }
    };
    let strange = seen.iter().find(|seen| !is_normal(seen));
    match (as_wanted, strange) {
        (true, None) => None,
        _ => Some(format!("{}: wanted {:?}\n  answer {answer:?}\n  fal saw {seen:?}", case.name, case.want)),
    }
}

/// What fal may see of any of these: what the relay writes, and nothing else.
fn is_normal(seen: &Seen) -> bool {
    const KNOWN: [&str; 10] = [
        "host",
        "authorization",
        "accept",
        "accept-encoding",
        "content-type",
        "content-length",
        "user-agent",
        "transfer-encoding",
        "x-fal-store-io",
        // The relay's own: no case may write in it.
        "x-fal-tags",
    ];
    let once = |name: &str| seen.headers.iter().filter(|(field, _)| field == name).count() <= 1;
    let framed = seen.header("content-length").is_none() || seen.header("transfer-encoding").is_none();
    let plain = seen.target.starts_with("/queue/a/b") || seen.target.starts_with("/run/a/b");
    let known = seen.headers.iter().all(|(name, _)| KNOWN.contains(&name.as_str()) && once(name));
    seen.method == "POST" && plain && framed && known
}

#[tokio::test]
async fn the_corpus_is_refused_or_normalised() {
    let fal = willing_fal().await;
    let relay = Relay::before(&fal.base());
    let cases = corpus::all();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let (mut faults, mut before) = (Vec::new(), 0);
    for case in &cases {
        let answer = sent(&relay, case).await;
        let seen = fal.seen();
        faults.extend(fault(case, &answer, &seen[before..]));
        before = seen.len();
    }
    assert!(faults.is_empty(), "{} of {} cases\n{}", faults.len(), cases.len(), faults.join("\n"));
    relay.client().submit("a/b", &relay.key).await;
    assert!(!relay.calls().iter().any(|call| call["status"].as_u64().is_some_and(|status| status >= 500)));
}

/// Deterministic, so that a fault can be looked at again (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn mutated(good: &[u8], dice: &mut Dice) -> Vec<u8> {
    const ODD: &[u8] = b"\r\n \t:;,%/.\\?#\0\x7f\xff0-+\"(){}[]@=&Zz\x0b\x0c\x1b";
    let mut bytes = good.to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        let odd = ODD[dice.below(ODD.len())];
        match dice.below(6) {
            0 => bytes[at] = odd,
            1 => bytes.insert(at, odd),
            2 => drop(bytes.remove(at)),
            3 => bytes[at] ^= 1 << dice.below(8),
            4 => {
                let end = (at + dice.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

#[tokio::test]
async fn mutated_requests_never_become_faults_of_ours() {
    let fal = willing_fal().await;
    let relay = Relay::before(&fal.base());
    let id = relay.client().submit("a/b", &relay.key).await;
    let authorization = format!("Key {}", relay.key);
    let chunked = [("authorization", authorization.as_str()), ("transfer-encoding", "chunked")];
    let good = [
        post("/a/b", &relay.key, r#"{"prompt":"a cat"}"#),
        get(&format!("/a/b/requests/{id}/status"), &relay.key),
        post("/run/a/b", &relay.key, "{}"),
        request("POST", "/a/b", &chunked, b"5;x=y\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"),
    ];
    let mut dice = Dice(0x5eed);
    for round in 0..800 {
        let bytes = mutated(&good[round % good.len()], &mut dice);
        let mut socket = relay.client().connect().await;
        drop(socket.write_all(&bytes).await);
        drop(socket.shutdown().await);
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer);
        let bad: Vec<u16> = statuses(&answer).into_iter().filter(|status| *status >= 500).collect();
        assert!(bad.is_empty(), "round {round}: {:?}\n{answer}", String::from_utf8_lossy(&bytes));
    }
    for seen in fal.seen() {
        let known = seen.method == "POST" || seen.method == "GET";
        let plain = seen.target.starts_with("/queue/") || seen.target.starts_with("/run/");
        assert!(known && plain && seen.target.bytes().all(|byte| byte.is_ascii_graphic()), "{seen:?}");
        assert!(!format!("{seen:?}").contains("fr_"), "a tenant's key reached fal: {seen:?}");
    }
    assert_eq!(fal.malformed(), 0, "fal was sent bytes that are no request");
    relay.client().submit("a/b", &relay.key).await;
}
