//! What a key has opened ends with the key.

use fal_relay::store::{Directory, KeyChange, TenantChange, TenantStatus};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::tokens::{knock, token};
use crate::support::{
    Ends, Made, Office, Relay, Wish, author, frame, masked, now, pause, post, read_frame, until,
};

const BY_MESSAGE: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 requests");

/// The closed frame that a client reads when its key has ended.
async fn is_closed(client: &mut TcpStream) {
    let (first, payload) = read_frame(client).await.unwrap();
    let said = [&1008_u16.to_be_bytes()[..], b"the key that opened it has ended"].concat();
    assert_eq!((first, payload), (0x88, said));
    assert_eq!(read_frame(client).await, None);
}

/// A message goes up, and another comes down.
async fn still_talks(ends: &mut Ends) {
    ends.client.write_all(&masked(0x82, b"up")).await.unwrap();
    assert_eq!(read_frame(&mut ends.fal).await.unwrap(), (0x82, b"up".to_vec()));
    ends.fal.write_all(&frame(0x82, b"down")).await.unwrap();
    assert_eq!(read_frame(&mut ends.client).await.unwrap(), (0x82, b"down".to_vec()));
}

/// What an operator does to end a key.
async fn revoke(office: &Office, made: &Made) {
    let change = KeyChange { revoked_at: Some(now()), ..KeyChange::default() };
    office.store.change_key(made.record.id, change, author()).await.unwrap();
}

async fn let_expire(office: &Office, made: &Made) {
    let soon = now().plus(std::time::Duration::from_millis(100));
    let change = KeyChange { expires_at: Some(Some(soon)), ..KeyChange::default() };
    office.store.change_key(made.record.id, change, author()).await.unwrap();
}

async fn suspend_tenant(office: &Office, made: &Made) {
    let change = TenantChange { status: Some(TenantStatus::Suspended), ..TenantChange::default() };
    office.store.change_tenant(made.tenant_id(), change, author()).await.unwrap();
}

#[tokio::test]
async fn invariant_1_a_socket_ends_with_its_key_and_with_its_tenant() {
    for way in ["revoked", "expired", "suspended"] {
        let (fal, mut sockets) = Ends::fal(&[]).await;
        let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
        let office = Office::of(&relay);
        let made = office.make(Wish::of("leaver")).await;
        let other = office.make(Wish::of("other")).await;
        let mut idle = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
        let mut busy = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
        let mut others = Ends::open(&relay, "/run/a/b/realtime", &other.key, &mut sockets).await;
        still_talks(&mut idle).await;
        let message = frame(0x82, &[1; 1000]);
        busy.fal.write_all(&message[..500]).await.unwrap();
        let mut begun = [0; 500];
        busy.client.read_exact(&mut begun).await.unwrap();
        match way {
            "revoked" => revoke(&office, &made).await,
            "expired" => let_expire(&office, &made).await,
            _ => suspend_tenant(&office, &made).await,
        }
        is_closed(&mut idle.client).await;
        let (first, payload) = read_frame(&mut idle.fal).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
        // The frame under way comes to its end first.
        busy.fal.write_all(&message[500..]).await.unwrap();
        let mut rest = [0; 504];
        busy.client.read_exact(&mut rest).await.unwrap();
        assert_eq!([&begun[..], &rest].concat(), message);
        is_closed(&mut busy.client).await;
        still_talks(&mut others).await;
        until(|| relay.calls().iter().filter(|line| line["closed"] == "revoked").count() == 2).await;
        until(|| relay.ledger().iter().filter(|row| row["state"] == "settled").count() == 2).await;
        let costs: Vec<Value> = relay.ledger().iter().map(|row| row["cost_usd"].clone()).collect();
        assert_eq!(costs, [json!("0.50"), json!("0.50"), Value::Null], "{way}");
    }
}

/// A token opens a socket and does not keep it open: its time may be over long before its user is done. Its revocation ends
/// what it has opened, also then.
#[tokio::test]
async fn invariant_1_a_socket_outlives_its_tokens_time_and_not_its_revocation() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
    let office = Office::of(&relay);
    let made = office.make(Wish::of("shop")).await;
    let mut of_key = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
    let short = token(&relay, &made.key, &json!({"seconds": 1})).await;
    let mut old = Ends::open(&relay, "/run/a/b/realtime", &short, &mut sockets).await;
    let long = token(&relay, &made.key, &json!({"seconds": 600})).await;
    let mut young = Ends::open(&relay, "/run/a/b/realtime", &long, &mut sockets).await;
    while relay.client().send(post("/tokens/realtime", &short, "{}")).await.status == 200 {
        pause().await;
    }
    // The next one that is made sweeps those whose time is over.
    let fresh = token(&relay, &made.key, &json!({"seconds": 600})).await;
    for ends in [&mut of_key, &mut old, &mut young] {
        still_talks(ends).await;
    }
    relay.cli(&["key", "revoke-tokens", &made.record.id.to_string()]);
    is_closed(&mut old.client).await;
    is_closed(&mut young.client).await;
    still_talks(&mut of_key).await;
    until(|| relay.calls().iter().filter(|line| line["closed"] == "revoked").count() == 2).await;
    // The key goes on, and a token that is made later does, too.
    let later = token(&relay, &made.key, &json!({})).await;
    let mut again = Ends::open(&relay, "/run/a/b/realtime", &later, &mut sockets).await;
    revoke(&office, &office.make(Wish::of("somebody")).await).await;
    until(|| relay.ledger().iter().filter(|row| row["state"] == "held").count() == 2).await;
    still_talks(&mut again).await;
    drop(fresh);
}

/// One that is opened while its key ends is found, too: whatever was known when it was let in.
#[tokio::test]
async fn invariant_1_no_socket_slips_through_while_its_key_ends() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    let made = office.make(Wish::of("leaver")).await;
    let target = "/run/a/b/realtime";
    let mut open = vec![Ends::open(&relay, target, &made.key, &mut sockets).await];
    revoke(&office, &made).await;
    let authorization = format!("Key {}", made.key);
    loop {
        let mut client = relay.client().connect().await;
        let handshake = crate::support::handshake(target, &[("authorization", &authorization)]);
        client.write_all(&handshake).await.unwrap();
        let answer = crate::support::read_answer(&mut client).await;
        if answer.status != 101 {
            assert_eq!(answer.status, 401);
            break;
        }
        open.push(Ends { client, fal: sockets.recv().await.unwrap(), answer });
    }
    for mut ends in open {
        is_closed(&mut ends.client).await;
    }
}

#[tokio::test]
async fn invariant_1_a_socket_of_runs_ends_with_its_key() {
    let fal = crate::support::Fal::start(|_| {
        crate::support::Step::Reply(crate::support::reply("200 OK", &[("x-fal-billable-units", "1")], b"{}"))
    })
    .await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
    let office = Office::of(&relay);
    let made = office.make(Wish::of("leaver")).await;
    let token = token(&relay, &made.key, &json!({"seconds": 60})).await;
    let (mut client, status) = knock(&relay, &format!("/ws/a/b?fal_jwt_token={token}")).await;
    assert_eq!(status, 101);
    client.write_all(&masked(0x81, b"{}")).await.unwrap();
    for first in [0x81, 0x82, 0x81] {
        assert_eq!(read_frame(&mut client).await.unwrap().0, first);
    }
    revoke(&office, &made).await;
    is_closed(&mut client).await;
    until(|| relay.calls().iter().any(|line| line["route"] == "runs" && line["closed"] == "revoked")).await;
}
