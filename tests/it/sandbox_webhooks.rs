//! The sandbox's webhooks: fal's shapes and signatures, tried again on its clock, and wrong on request.

use std::sync::Arc;
use std::time::Duration;

use fal_relay::clock::{Clock, HandClock, Timestamp};
use fal_relay::fal::webhook::{PublicKeys, Unverified, verify};
use fal_relay::random::Random;
use fal_relay::sandbox::{self, Running, Settings};
use http::{HeaderMap, HeaderName};

use crate::support::{Answer, Client, Fal, Seen, Step, json, pause, post, request, until};

const KEY: &str = "someone:secret";

struct Twin {
    running: Running,
    clock: HandClock,
}

impl Twin {
    async fn start() -> Self {
        let clock = HandClock::new(Timestamp::from_micros(1_760_000_000_000_000));
        let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), step_ms: 0, ..Settings::default() };
        let running = sandbox::start(settings, Arc::new(clock.clone()), Random::seeded(1)).await.unwrap();
        Self { running, clock }
    }

    async fn submit(&self, prompt: &str, receiver: &str) -> Answer {
        let receiver: String = url::form_urlencoded::byte_serialize(receiver.as_bytes()).collect();
        let path = format!("/queue/acme/app?fal_webhook={receiver}");
        let body = format!(r#"{{"prompt":"{prompt}"}}"#);
        let headers = [("authorization", format!("Key {KEY}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        Client::new(self.running.addr).send(request("POST", &path, &headers, body.as_bytes())).await
    }

    async fn keys(&self) -> PublicKeys {
        let asked = request("GET", "/rest/.well-known/jwks.json", &[], b"");
        PublicKeys::parse(&Client::new(self.running.addr).send(asked).await.body).unwrap()
    }

    /// Whether the delivery is believed by one who follows fal's rules.
    async fn judge(&self, seen: &Seen) -> Result<String, Unverified> {
        let headers: HeaderMap = seen
            .headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let judged = verify(&headers, &seen.body, &self.keys().await, self.clock.now());
        judged.map(|id| id.to_string())
    }
}

async fn receiver() -> Fal {
    Fal::start(|_: &Seen| json("200 OK", "{}")).await
}

#[tokio::test]
async fn an_end_is_told_signed_and_in_fals_shape() {
    let (twin, receiver) = (Twin::start().await, receiver().await);
    let answer = twin.submit("a cat", &format!("{}/hook?a=b", receiver.base())).await;
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    until(|| receiver.seen().len() == 1).await;
    let seen = receiver.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(twin.judge(&seen).await, Ok(id.clone()));
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&body["status"], &body["request_id"]), (&"OK".into(), &id.as_str().into()));
    assert!(body["payload"]["images"][0]["url"].is_string(), "{body}");
    assert!(!String::from_utf8_lossy(&seen.body).contains("secret"));

    twin.submit("[[fail:422]]", &receiver.base()).await;
    until(|| receiver.seen().len() == 2).await;
    let body: serde_json::Value = serde_json::from_slice(&receiver.seen()[1].body).unwrap();
    assert_eq!((&body["status"], &body["error"]), (&"ERROR".into(), &"Invalid status code: 422".into()));
    assert!(body["payload"]["detail"].is_array(), "{body}");
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_for_two_hours() {
    let twin = Twin::start().await;
    let receiver = Fal::start(|_: &Seen| json("500 Oops", "{}")).await;
    twin.submit("a cat", &receiver.base()).await;
    until(|| receiver.seen().len() == 1).await;
    for tries in 2..=11 {
        while receiver.seen().len() < tries {
            twin.clock.advance(Duration::from_secs(60));
            pause().await;
        }
        let last = receiver.seen().remove(tries - 1);
        assert!(twin.judge(&last).await.is_ok_and(|_| true) || tries > 2, "each is signed anew");
    }
    twin.clock.advance(Duration::from_secs(100_000));
    pause().await;
    assert_eq!(receiver.seen().len(), 11);
}

#[tokio::test]
async fn odd_deliveries_come_on_request() {
    let (twin, receiver) = (Twin::start().await, receiver().await);
    for (word, judged) in [
        ("forged", Err(Unverified::Signature)),
        ("stale", Err(Unverified::Stale)),
        ("body", Err(Unverified::Signature)),
        ("id", Ok("00000000-0000-4000-8000-000000000000".to_owned())),
    ] {
        let before = receiver.seen().len();
        twin.submit(&format!("[[webhook:{word}]]"), &receiver.base()).await;
        until(|| receiver.seen().len() == before + 1).await;
        assert_eq!(twin.judge(&receiver.seen()[before]).await, judged, "{word}");
    }
    twin.submit("[[webhook:twice]]", &receiver.base()).await;
    until(|| receiver.seen().len() == 6).await;
    assert_eq!(receiver.seen()[4].body, receiver.seen()[5].body);

    twin.submit("[[webhook:lost]]", &receiver.base()).await;
    twin.submit("[[webhook-late:30]]", &receiver.base()).await;
    twin.submit("a cat", &receiver.base()).await;
    until(|| receiver.seen().len() == 7).await;
    while receiver.seen().len() < 8 {
        twin.clock.advance(Duration::from_secs(30));
        pause().await;
    }
    assert_eq!(receiver.seen().len(), 8, "the lost one never came");
}

#[tokio::test]
async fn only_this_machine_is_called_and_no_redirect_followed() {
    let (twin, elsewhere) = (Twin::start().await, receiver().await);
    for away in
        ["https://example.com/hook", "http://192.0.2.1/", "http://10.0.0.1/", "file:///etc/passwd", "x"]
    {
        assert_eq!(twin.submit("a cat", away).await.status, 200, "{away}: fal takes it all the same");
    }
    let location = format!("{}/there", elsewhere.base());
    let receiver = Fal::start(move |_: &Seen| {
        Step::Reply(crate::support::reply("307 Temporary Redirect", &[("location", &location)], b""))
    })
    .await;
    twin.submit("a cat", &receiver.base()).await;
    until(|| receiver.seen().len() == 1).await;
    assert_eq!(elsewhere.seen().len(), 0);
    assert_eq!(
        Client::new(twin.running.addr).send(post("/rest/.well-known/jwks.json", KEY, "")).await.status,
        405
    );
}
