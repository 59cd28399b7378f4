//! What is held for a socket grows while it is used, under the caps that it was opened under.

use fal_relay::period::Period;
use fal_relay::store::{CallState, Ledger, Settlement, TopUp};
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::tokens::token;
use crate::support::{Ends, Office, Relay, Wish, budget, frame, now, pause, post, read_frame, until, usd};

const BY_MESSAGE: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 requests");
const THREE: (&str, &str) = ("FAL_RELAY_REALTIME__HOLD_MESSAGES", "3");
const TARGET: &str = "/run/a/b/realtime";

/// Messages that come back until the relay ends it; says how many.
async fn count(client: &mut TcpStream) -> usize {
    let mut messages = 0;
    while let Some((0x82, _)) = read_frame(client).await {
        messages += 1;
    }
    messages
}

/// fal says `messages` messages at once.
async fn burst(fal: &mut TcpStream, messages: usize) {
    // A fal that is closed upon is no failure.
    drop(fal.write_all(&frame(0x82, b"out").repeat(messages)).await);
}

/// One call, one row, one settlement, whatever was held on the way; and what came in one piece comes out whole.
#[tokio::test]
async fn invariant_5_a_socket_that_is_held_for_again_is_one_call_and_settles_once() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, THREE]);
    let office = Office::of(&relay);
    let mut ends = Ends::open(&relay, TARGET, &relay.key, &mut sockets).await;
    for _ in 0..2 {
        burst(&mut ends.fal, 5).await;
        for _ in 0..5 {
            assert_eq!(read_frame(&mut ends.client).await.unwrap(), (0x82, b"out".to_vec()));
        }
    }
    // Ten messages are used, and what is held reaches for twelve.
    let row = office.rows_when(|rows| rows[0].hold_usd == usd("6")).await.remove(0);
    assert_eq!((row.state, row.hold_open), (CallState::Held, true));
    drop(ends);
    office.rows_when(|rows| rows[0].state == CallState::Settled).await;
    let row = office.balance().await.remove(0);
    assert_eq!((row.charge_usd, row.hold_open), (Some(usd("5").into()), false));
    assert_eq!(relay.ledger().len(), 1);
    // What comes after the end changes nothing.
    let more = TopUp { amount: usd("1"), at: now() };
    assert!(office.store.top_up(row.id, more).await.is_err());
    let again = Settlement { status: 101, billable_units: None, cost: None, settled_at: now() };
    assert!(!office.store.settle(row.id, again).await.unwrap());
    office.balance().await;
}

/// However many messages come in one piece: none passes for which nothing is held.
#[tokio::test]
async fn invariant_2_a_burst_is_cut_at_what_is_held() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, THREE]);
    let office = Office::of(&relay);
    // Two holds fit, the third does not.
    let made = office.make(Wish { budgets: vec![budget(Period::Day, "4")], ..Wish::of("careful") }).await;
    let mut ends = Ends::open(&relay, TARGET, &made.key, &mut sockets).await;
    burst(&mut ends.fal, 500).await;
    assert_eq!(count(&mut ends.client).await, 6);
    until(|| relay.calls().iter().any(|line| line["closed"] == "spent")).await;
    office.rows_when(|rows| rows[0].state == CallState::Settled).await;
    assert_eq!(office.balance().await[0].charge_usd, Some(usd("3").into()));
}

/// Many sockets at once under one cap: what they use together never goes over it, and no cent of it is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_9_many_sockets_under_one_cap_never_use_more_than_it() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let two = ("FAL_RELAY_REALTIME__HOLD_MESSAGES", "2");
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, two]);
    let office = Office::of(&relay);
    let made = office.make(Wish { budgets: vec![budget(Period::Total, "23.50")], ..Wish::of("many") }).await;
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(Ends::open(&relay, TARGET, &made.key, &mut sockets).await);
    }
    let carried = open.into_iter().map(|Ends { mut client, mut fal, .. }| async move {
        let (_, messages) = tokio::join!(burst(&mut fal, 200), count(&mut client));
        messages
    });
    let messages: usize = join_all(carried).await.into_iter().sum();
    // Twelve dollars were held at once; eleven more go to whoever asks first, and half a dollar is no hold.
    assert_eq!(messages, 46);
    office.rows_when(|rows| rows.iter().all(|row| row.state == CallState::Settled)).await;
    let rows = office.balance().await;
    let cents: i64 = rows.iter().map(|row| row.charge_usd.unwrap().nanos()).sum();
    assert_eq!((rows.len(), cents), (12, usd("23").nanos()));
}

/// What was held for a socket of a killed relay stays held, all of it.
#[tokio::test]
async fn invariant_8_all_that_was_held_for_a_killed_relays_socket_stays_held() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, THREE]);
    let mut ends = Ends::open(&relay, TARGET, &relay.key, &mut sockets).await;
    burst(&mut ends.fal, 4).await;
    Office::of(&relay).rows_when(|rows| rows[0].hold_usd == usd("3")).await;
    let relay = relay.restart();
    let row = Office::of(&relay).balance().await.remove(0);
    assert_eq!((row.state, row.hold_usd, row.hold_open), (CallState::Unknown, usd("3"), true));
}

/// The ceiling of a client token holds for all that its socket uses, also when the token's own time is over.
#[tokio::test]
async fn invariant_2_a_tokens_ceiling_holds_for_all_that_its_socket_uses() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, THREE]);
    let office = Office::of(&relay);
    let made = office.make(Wish::of("shop")).await;
    let token = token(&relay, &made.key, &json!({"seconds": 1, "max_usd": "5"})).await;
    let mut ends = Ends::open(&relay, TARGET, &token, &mut sockets).await;
    while relay.client().send(post("/tokens/realtime", &token, "{}")).await.status == 200 {
        pause().await;
    }
    // Whoever makes another sweeps those whose time is over.
    super::tokens::token(&relay, &made.key, &json!({})).await;
    burst(&mut ends.fal, 500).await;
    assert_eq!(count(&mut ends.client).await, 9);
    office.rows_when(|rows| rows[0].state == CallState::Settled).await;
    assert_eq!(office.balance().await[0].charge_usd, Some(usd("4.5").into()));
}

/// What one call may cost at most, a socket costs at most.
#[tokio::test]
async fn invariant_2_a_socket_costs_no_more_than_one_call_may() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE, THREE]);
    let rules = json!({"max_request_usd": "3.25"});
    let made = Office::of(&relay).make(Wish { rules, ..Wish::of("small") }).await;
    let mut ends = Ends::open(&relay, TARGET, &made.key, &mut sockets).await;
    burst(&mut ends.fal, 500).await;
    assert_eq!(count(&mut ends.client).await, 6);
}

/// By time: the socket stands longer than one hold reaches.
#[tokio::test]
async fn a_socket_that_is_paid_by_time_is_held_for_again_before_its_time_is_over() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let by_time = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 compute seconds");
    let relay = Relay::with(&fal.base(), &[by_time, ("FAL_RELAY_REALTIME__HOLD_SECONDS", "1")]);
    let office = Office::of(&relay);
    let made = office.make(Wish { budgets: vec![budget(Period::Day, "1")], ..Wish::of("careful") }).await;
    let mut ends = Ends::open(&relay, TARGET, &made.key, &mut sockets).await;
    office.rows_when(|rows| rows[0].hold_usd == usd("1")).await;
    assert_eq!(office.rows().await[0].state, CallState::Held, "asked for while it stands");
    // Nothing moves; then it ends as one that has used up what is held.
    let (first, notice) = read_frame(&mut ends.client).await.unwrap();
    assert!(first == 0x81 && notice.starts_with(br#"{"type":"x-fal-error","error":"TIMEOUT""#));
    drop(ends);
    let row = office.rows_when(|rows| rows[0].state == CallState::Settled).await.remove(0);
    assert_eq!(row.hold_usd, usd("1"));
    assert!(row.charge_usd.unwrap().nanos() >= usd("1").nanos());
    office.balance().await;
}
