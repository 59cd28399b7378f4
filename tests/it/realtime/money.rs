//! What a socket costs, however it closes.

use fal_relay::period::Period;
use fal_relay::store::{CallKind, CallState};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Ends, Office, Relay, Wish, budget, frame, handshake, masked, read_answer, read_frame, until,
};

const BY_MESSAGE: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 requests");
const BY_TIME: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 compute seconds");
const BY_IMAGE: (&str, &str) = ("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 images");

/// Three messages come back, and a control message of fal's.
async fn talk(ends: &mut Ends) {
    ends.client.write_all(&masked(0x82, b"in")).await.unwrap();
    read_frame(&mut ends.fal).await.unwrap();
    for payload in [&br#"{"type":"x-fal-message","action":"timings"}"#[..], b"{}", b"{}", b"{}"] {
        ends.fal.write_all(&frame(0x81, payload)).await.unwrap();
        read_frame(&mut ends.client).await.unwrap();
    }
}

#[tokio::test]
async fn units_of_fals_come_first_then_messages_then_time_and_else_it_is_unknown() {
    for (headers, price, cost) in [
        (&[("x-fal-billable-units", "3.5")][..], BY_IMAGE, Some(("1.75", "billed"))),
        (&[], BY_MESSAGE, Some(("1.50", "computed"))),
        (&[], BY_IMAGE, None),
    ] {
        let (fal, mut sockets) = Ends::fal(headers).await;
        let relay = Relay::with(&fal.base(), &[price]);
        let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
        assert_eq!(relay.ledger()[0]["state"], "held", "the row is there while the socket is open");
        talk(&mut ends).await;
        drop(ends);
        until(|| relay.ledger()[0]["state"] == "settled").await;
        let row = relay.ledger().remove(0);
        let told = row["cost_usd"].as_str().zip(row["cost_basis"].as_str());
        assert_eq!(told, cost, "{row}");
        assert_eq!((&row["kind"], &row["endpoint"]), (&"realtime".into(), &"a/b".into()));
        let held = Office::of(&relay).rows().await.remove(0);
        assert_eq!((held.kind, held.hold_open), (CallKind::Realtime, cost.is_none()), "{row}");
    }
}

#[tokio::test]
async fn a_price_by_time_is_for_the_time_that_the_socket_stood() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_TIME]);
    let ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let begun = std::time::Duration::from_millis(20);
    tokio::time::timeout(begun, std::future::pending::<()>()).await.ok();
    drop(ends);
    until(|| relay.ledger()[0]["state"] == "settled").await;
    let row = relay.ledger().remove(0);
    assert_eq!(row["cost_basis"], "computed", "{row}");
    let cost: f64 = row["cost_usd"].as_str().unwrap().parse().unwrap();
    assert!((0.01..5.0).contains(&cost), "{row}");
}

/// Who leaves, leaves for both: fal is told, the row is closed, the place is free.
#[tokio::test]
async fn invariant_11_a_client_that_vanishes_ends_the_socket_at_fal() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
    let made = Office::of(&relay)
        .make(Wish { rules: serde_json::json!({"jobs_in_flight": 1}), ..Wish::of("one") })
        .await;
    let mut ends = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
    // One place, which the open socket has.
    let mut second = relay.client().connect().await;
    let authorization = format!("Key {}", made.key);
    second.write_all(&handshake("/run/a/b/realtime", &[("authorization", &authorization)])).await.unwrap();
    assert_eq!(read_answer(&mut second).await.status, 429);
    // In the midst of a frame: nothing more can be said to fal, so it is only closed.
    ends.client.write_all(&masked(0x82, b"half")[..7]).await.unwrap();
    let Ends { client, mut fal, .. } = ends;
    drop(client);
    assert_eq!(read_frame(&mut fal).await, None);
    until(|| relay.ledger()[0]["state"] == "settled").await;
    let again = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
    let Ends { client, mut fal, .. } = again;
    drop(client);
    let (first, payload) = read_frame(&mut fal).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    assert_eq!(read_frame(&mut fal).await, None);
}

#[tokio::test]
async fn a_fal_that_vanishes_ends_the_socket_at_the_client() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
    let Ends { mut client, fal, .. } =
        Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    drop(fal);
    let (first, payload) = read_frame(&mut client).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1011_u16.to_be_bytes()[..]));
    assert_eq!(read_frame(&mut client).await, None);
    until(|| relay.ledger()[0]["state"] == "settled").await;
}

/// A relay that is killed does not know what became of its sockets.
#[tokio::test]
async fn a_socket_of_a_killed_relay_is_unknown_and_its_money_stays_held() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[BY_MESSAGE]);
    let _ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let relay = relay.restart();
    let row = Office::of(&relay).rows().await.remove(0);
    assert_eq!((row.state, row.hold_usd.to_string().as_str()), (CallState::Unknown, "500.00"));
}

/// The rules know a socket by the name that a client means and by the whole path; what is denied by either is denied.
#[tokio::test]
async fn invariant_2_a_socket_is_allowed_and_denied_by_both_its_names() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let office = Office::of(&relay);
    for (nth, (allow, deny, status)) in [
        (&["a/b"][..], &[][..], 101),
        (&["a/b/realtime"], &[], 101),
        (&["a/c"], &[], 403),
        (&[], &["a/b"], 403),
        (&[], &["a/b/realtime"], 403),
    ]
    .into_iter()
    .enumerate()
    {
        let rules = serde_json::json!({"allow": allow, "deny": deny});
        let made = office.make(Wish { rules, ..Wish::of(&format!("tenant {nth}")) }).await;
        let mut client = relay.client().connect().await;
        let authorization = format!("Key {}", made.key);
        client
            .write_all(&handshake("/run/a/b/realtime", &[("authorization", &authorization)]))
            .await
            .unwrap();
        assert_eq!(read_answer(&mut client).await.status, status, "{allow:?} {deny:?}");
        if status == 101 {
            drop(sockets.recv().await.unwrap());
        }
    }
}

/// No budget is passed by an open socket: it is held for what it may use, and closed when that is used up.
#[tokio::test]
async fn invariant_7_a_socket_uses_no_more_than_is_held() {
    let held = [
        (BY_MESSAGE, ("FAL_RELAY_REALTIME__HOLD_MESSAGES", "3"), "1.50"),
        (BY_TIME, ("FAL_RELAY_REALTIME__HOLD_SECONDS", "1"), "0.50"),
    ];
    for (price, setting, hold) in held {
        let (fal, mut sockets) = Ends::fal(&[]).await;
        let relay = Relay::with(&fal.base(), &[price, setting]);
        let made = Office::of(&relay)
            .make(Wish { budgets: vec![budget(Period::Day, "2")], ..Wish::of("careful") })
            .await;
        let mut ends = Ends::open(&relay, "/run/a/b/realtime", &made.key, &mut sockets).await;
        assert_eq!(Office::of(&relay).rows().await[0].hold_usd.to_string(), hold);
        for _ in 0..3 {
            ends.fal.write_all(&frame(0x82, b"out")).await.unwrap();
            assert_eq!(read_frame(&mut ends.client).await.unwrap().0, 0x82);
        }
        let (first, notice) = read_frame(&mut ends.client).await.unwrap();
        assert!(first == 0x81 && notice.starts_with(br#"{"type":"x-fal-error","error":"TIMEOUT""#));
        assert_eq!(read_frame(&mut ends.client).await.unwrap().0, 0x88);
        until(|| relay.calls().iter().any(|line| line["closed"] == "spent")).await;
        until(|| relay.ledger()[0]["state"] == "settled").await;
        if price == BY_MESSAGE {
            assert_eq!(relay.ledger()[0]["cost_usd"], "1.50");
            // What is left does not hold another.
            let mut again = relay.client().connect().await;
            let authorization = format!("Key {}", made.key);
            let handshake = handshake("/run/a/b/realtime", &[("authorization", &authorization)]);
            again.write_all(&handshake).await.unwrap();
            assert_eq!(read_answer(&mut again).await.status, 402);
        }
    }
}
