//! How long a socket is borne, and how it is let go.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Ends, Relay, frame, masked, read_frame, until};

async fn closed_with(settings: &[(&str, &str)], code: u16, word: &str) {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), settings);
    let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let (first, notice) = read_frame(&mut ends.client).await.unwrap();
    let notice: serde_json::Value = serde_json::from_slice(&notice).unwrap();
    let said = (&notice["type"], &notice["error"]);
    assert_eq!((first, said), (0x81, (&"x-fal-error".into(), &"TIMEOUT".into())));
    for end in [&mut ends.client, &mut ends.fal] {
        let (first, payload) = read_frame(end).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]));
        assert_eq!(read_frame(end).await, None);
    }
    until(|| relay.calls().iter().any(|line| line["closed"] == word)).await;
}

#[tokio::test]
async fn invariant_7_a_socket_where_nothing_moves_is_closed() {
    closed_with(&[("FAL_RELAY_REALTIME__IDLE_SECONDS", "1")], 1001, "idle").await;
}

#[tokio::test]
async fn invariant_7_a_socket_is_open_no_longer_than_it_may_be() {
    closed_with(&[("FAL_RELAY_REALTIME__MAX_SECONDS", "1")], 1001, "too_long").await;
}

/// Each end that takes nothing is found out, and until then costs no more than a buffer.
#[tokio::test]
async fn invariant_7_an_end_that_takes_nothing_holds_the_other_back_and_is_let_go() {
    for from_client in [true, false] {
        let (fal, mut sockets) = Ends::fal(&[]).await;
        let relay = Relay::with(&fal.base(), &[("FAL_RELAY_REALTIME__STALL_SECONDS", "1")]);
        let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
        let before = relay.resident_kib();
        let message = if from_client { masked(0x82, &[0; 1 << 20]) } else { frame(0x82, &[0; 1 << 20]) };
        let (from, _to) = match from_client {
            true => (&mut ends.client, &mut ends.fal),
            false => (&mut ends.fal, &mut ends.client),
        };
        let mut sent = 0;
        let sending = async {
            while from.write_all(&message).await.is_ok() {
                sent += 1;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = sending => {}
            () = until(|| relay.calls().iter().any(|line| line["closed"] == "stalled")) => {}
        }
        let more = relay.resident_kib() - before;
        assert!(more < 16 * 1024, "{more} KiB more");
        let line = relay.calls().remove(0);
        let carried = line[if from_client { "request_bytes" } else { "response_bytes" }].as_u64().unwrap();
        assert!(carried < 20 << 20, "more than the system's buffers left: {line}");
    }
}

/// An end that never finishes its frame keeps the other's last word back, and not for long.
#[tokio::test]
async fn invariant_7_a_frame_that_never_ends_is_not_waited_for() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_REALTIME__MAX_SECONDS", "1")]);
    let mut ends = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    ends.fal.write_all(&frame(0x82, b"half")[..4]).await.unwrap();
    let (first, payload) = read_frame(&mut ends.fal).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    let mut rest = Vec::new();
    ends.client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, frame(0x82, b"half")[..4]);
    until(|| relay.calls().iter().any(|line| line["closed"] == "too_long")).await;
}

/// A slow reader gets all of it.
#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let relay = Relay::before(&fal.base());
    let Ends { mut client, mut fal, .. } =
        Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let payload: Vec<u8> = (0..1 << 20).map(|nth: u32| nth as u8).collect();
    let message = frame(0x82, &payload);
    let sending = async {
        for _ in 0..20 {
            fal.write_all(&message).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
            assert!(read_frame(&mut client).await.unwrap() == (0x82, payload.clone()));
        }
    };
    tokio::join!(sending, receiving);
}

/// A relay that stops says so between two frames, and settles.
#[tokio::test]
async fn a_drain_closes_sockets_between_two_frames() {
    let (fal, mut sockets) = Ends::fal(&[]).await;
    let mut relay = Relay::with(&fal.base(), &[("FAL_RELAY_PRICING__OVERRIDES", "a/** = 0.5 requests")]);
    let mut idle = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let mut busy = Ends::open(&relay, "/run/a/b/realtime", &relay.key, &mut sockets).await;
    let message = frame(0x82, &[1; 1000]);
    busy.fal.write_all(&message[..500]).await.unwrap();
    let mut begun = [0; 500];
    busy.client.read_exact(&mut begun).await.unwrap();
    relay.signal("-TERM");
    for end in [&mut idle.client, &mut idle.fal] {
        let (first, payload) = read_frame(end).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    }
    // The frame under way comes to its end first.
    busy.fal.write_all(&message[500..]).await.unwrap();
    let mut rest = [0; 504];
    busy.client.read_exact(&mut rest).await.unwrap();
    assert_eq!([&begun[..], &rest].concat(), message);
    let (first, payload) = read_frame(&mut busy.client).await.unwrap();
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    drop((idle, busy));
    assert!(relay.wait().success());
    let rows = relay.ledger();
    assert!(rows.iter().all(|row| row["state"] == "settled"), "{rows:?}");
}
