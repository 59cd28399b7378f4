//! How receivers are treated, good and bad.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::drills_disk::limit_files;

use super::{HERE, QUICK, arrived, body_of, id_of, receiver, result, stage, submit};
use crate::support::{Fal, Relay, Seen, Step, json, now, reply, until};

fn deliveries(relay: &Relay, state: &str) -> i64 {
    let sql = "SELECT count(*) FROM deliveries WHERE state = ?1";
    relay.store().query_row(sql, (state,), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_with_the_same_id_and_a_new_signature() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let receiver = Fal::start(move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) {
        0 => json("500 Internal Server Error", "{}"),
        1 => Step::Reply(reply("302 Found", &[("location", "http://127.0.0.1:1/")], b"")),
        2 => Step::Close,
        _ => json("204 No Content", ""),
    })
    .await;
    let fal = stage().await;
    let relay = Relay::with(&fal.base(), &[HERE, QUICK]);
    id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    let seen = arrived(&receiver, 4).await;
    until(|| deliveries(&relay, "delivered") == 1).await;
    let one =
        |name: &str| seen.iter().map(|seen| seen.header(name).unwrap().to_owned()).collect::<HashSet<_>>();
    assert_eq!((one("x-relay-delivery-id").len(), one("webhook-id").len()), (1, 1));
    assert!(seen.iter().all(|try_| try_.body == seen[0].body));
    let mut log = Vec::new();
    let store = relay.store();
    let mut rows = store.prepare("SELECT status, reason FROM delivery_attempts ORDER BY number").unwrap();
    let mut rows = rows.query(()).unwrap();
    while let Some(row) = rows.next().unwrap() {
        log.push((row.get::<_, Option<u16>>(0).unwrap(), row.get::<_, Option<String>>(1).unwrap().is_some()));
    }
    assert_eq!(log, [(Some(500), true), (Some(302), true), (None, true), (Some(204), false)]);
}

#[tokio::test]
async fn invariant_7_a_receiver_that_never_takes_it_is_given_up() {
    let receiver = Fal::start(|_: &Seen| json("503 Service Unavailable", "{}")).await;
    let gone = Fal::start(|_: &Seen| json("410 Gone", "{}")).await;
    let fal = stage().await;
    let relay = Relay::with(&fal.base(), &[HERE, QUICK]);
    id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    id_of(&submit(&relay, &gone.base(), &result("{}")).await);
    until(|| deliveries(&relay, "dead") == 2).await;
    assert_eq!((receiver.seen().len(), gone.seen().len()), (5, 1), "the ladder has four waits; 410 ends it");
}

#[tokio::test]
async fn invariant_7_receivers_that_hang_or_pour_do_not_keep_others_waiting() {
    let hangs = Fal::start(|_: &Seen| Step::Hang).await;
    let pours = Fal::start(|_: &Seen| {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        sender.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()).unwrap();
        tokio::spawn(async move {
            while sender.send(vec![b'x'; 4096]).is_ok() {
                crate::support::pause().await;
            }
        });
        Step::Follow(receiver)
    })
    .await;
    let (fal, good) = (stage().await, receiver().await);
    let few = ("FAL_RELAY_WEBHOOKS__MAX_AT_ONCE_PER_TARGET", "2");
    let relay = Relay::with(&fal.base(), &[HERE, few]);
    for target in [&hangs, &hangs, &hangs, &hangs, &pours] {
        id_of(&submit(&relay, &target.base(), &result("{}")).await);
    }
    until(|| hangs.seen().len() == 2 && pours.seen().len() == 1).await;
    id_of(&submit(&relay, &good.base(), &result("{}")).await);
    assert_eq!(body_of(&arrived(&good, 1).await[0])["status"], "OK");
    until(|| deliveries(&relay, "delivered") == 2).await;
    assert_eq!(hangs.seen().len(), 2, "it has two places, and they are taken");
}

#[tokio::test]
async fn invariant_7_a_receiver_that_hangs_has_its_time() {
    let (fal, hangs) = (stage().await, Fal::start(|_: &Seen| Step::Hang).await);
    let relay = Relay::with(&fal.base(), &[HERE, QUICK, ("FAL_RELAY_WEBHOOKS__ANSWER_TIMEOUT_SECONDS", "1")]);
    id_of(&submit(&relay, &hangs.base(), &result("{}")).await);
    arrived(&hangs, 2).await;
    let reason = "SELECT reason FROM delivery_attempts WHERE number = 1";
    let reason: String = relay.store().query_row(reason, (), |row| row.get(0)).unwrap();
    assert_eq!(reason, "the receiver did not answer in time");
}

#[tokio::test]
async fn invariant_7_a_try_that_a_wrong_clock_put_off_is_made() {
    let (fal, tries) = (stage().await, Arc::new(AtomicUsize::new(0)));
    let count = tries.clone();
    let receiver = Fal::start(move |_: &Seen| match count.fetch_add(1, Ordering::Relaxed) {
        0 => json("500 Internal Server Error", "{}"),
        _ => json("200 OK", "{}"),
    })
    .await;
    let relay = Relay::with(&fal.base(), &[HERE]);
    id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    until(|| deliveries(&relay, "waiting") == 1 && tries.load(Ordering::Relaxed) == 1).await;
    let written = || {
        relay.store().execute("UPDATE deliveries SET due_at = due_at + 90000000000 WHERE attempts = 1", ())
    };
    until(|| written().is_ok_and(|changed| changed == 1)).await;
    arrived(&receiver, 2).await;
}

#[tokio::test]
async fn invariant_7_webhooks_wait_while_the_disk_is_full() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let id = id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    limit_files(&relay, "0");
    // The job has ended at fal; nothing is told of an end that is not written down.
    let results = || fal.seen().iter().filter(|seen| seen.target.ends_with(&id)).count();
    until(|| results() >= 2).await;
    assert_eq!(receiver.seen().len(), 0);
    limit_files(&relay, "unlimited");
    arrived(&receiver, 1).await;
    until(|| deliveries(&relay, "delivered") == 1).await;
}

#[tokio::test]
async fn invariant_7_a_receiver_may_name_the_date_of_the_next_try_and_none_is_put_off_for_ever() {
    let date = |seconds: i64| {
        let moment = jiff::Timestamp::from_second(now().as_seconds() + seconds).unwrap();
        moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let fal = stage().await;
    let relay = Relay::with(&fal.base(), &[HERE, QUICK]);
    for (asked, least, most) in [(date(600), 590, 720), (date(90_000), 3_590, 4_320), (date(-600), 0, 1)] {
        let value = asked.clone();
        let receiver = Fal::start(move |_: &Seen| {
            Step::Reply(reply("503 Service Unavailable", &[("retry-after", &value)], b""))
        })
        .await;
        id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
        let wait = || {
            let sql = "SELECT due_at - (SELECT at FROM delivery_attempts WHERE delivery_id = id AND number = 1) FROM deliveries \
                       WHERE host = ?1 AND attempts = 1";
            relay.store().query_row(sql, (receiver.address.to_string(),), |row| row.get::<_, i64>(0)).ok()
        };
        if most > 1 {
            until(|| wait().is_some()).await;
            let seconds = wait().unwrap() / 1_000_000;
            assert!((least..=most).contains(&seconds), "{asked}: {seconds}");
        } else {
            arrived(&receiver, 5).await;
        }
    }
}

#[tokio::test]
async fn invariant_1_a_receiver_learns_no_key() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    id_of(&submit(&relay, &receiver.base(), &result("{}")).await);
    let told = arrived(&receiver, 1).await.remove(0);
    let all = format!("{:?} {} {}", told.headers, told.target, String::from_utf8_lossy(&told.body));
    assert!(!all.contains(crate::support::FAL_SECRET) && !all.contains(&relay.key));
}
