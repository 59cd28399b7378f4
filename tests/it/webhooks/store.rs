//! The outbox as the store keeps it.

use std::time::Duration;

use bytes::Bytes;
use fal_relay::clock::Timestamp;
use fal_relay::ids::{CallId, DeliveryId, RequestId, TenantId};
use fal_relay::store::{
    Attempt, Author, CallState, DeliveryFilter, DeliveryState, Directory, DueQuery, Ledger, NewCall,
    NewDelivery, NewWebhook, Next, Redelivery, Release, SentCall, Settings, Settlement, SqliteStore,
    StoreError, Webhooks,
};
use tempfile::TempDir;

use crate::store_story::{call_of, make_key};

struct Desk {
    store: SqliteStore,
    tenant: TenantId,
    call: NewCall,
    _folder: TempDir,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn webhook(number: u8) -> NewWebhook {
    let name = format!("whd_{number}").into();
    NewWebhook { target: "https://a.test/x".into(), host: "a.test:443".into(), name }
}

fn author() -> Author {
    Author { name: "tester".into(), reason: None, at: at(500) }
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 64 };
        let store = SqliteStore::open(&settings).unwrap();
        let (_, key) = make_key(&store, "acme", 1).await;
        let call = call_of(&key);
        Self { tenant: key.tenant.id, call, store, _folder: folder }
    }

    /// A call that fal took, with the webhook of this number.
    async fn sent(&self, number: u8) -> CallId {
        let call = NewCall { webhook: Some(webhook(number)), ..self.call.clone() };
        let id = self.store.hold(call).await.unwrap().id;
        let sent = SentCall {
            request_id: RequestId::parse(&format!("job-{number}")).unwrap(),
            app_base: "a/b".into(),
            body_sha256: None,
            body_bytes: 0,
            sent_at: at(1),
        };
        self.store.sent(id, sent).await.unwrap();
        id
    }

    async fn finished(&self, number: u8, body: Bytes) -> DeliveryId {
        let id = self.sent(number).await;
        let delivery = NewDelivery { body, created_at: at(100) };
        self.store.finish(id, Some(settlement()), delivery).await.unwrap().delivery.unwrap()
    }

    async fn due(&self, now: i64) -> Vec<DeliveryId> {
        let query = DueQuery { now: at(now), horizon: at(now + 1000), without: vec![], limit: 10 };
        self.store.due_deliveries(query).await.unwrap().into_iter().map(|due| due.id).collect()
    }
}

fn settlement() -> Settlement {
    Settlement { status: 200, billable_units: None, cost: None, settled_at: at(100) }
}

fn attempt(seconds: i64) -> Attempt {
    Attempt { at: at(seconds), status: Some(500), reason: Some("no".into()), took: Duration::from_millis(3) }
}

#[tokio::test]
async fn invariant_4_an_end_and_its_webhook_are_written_together_and_once() {
    let desk = Desk::new().await;
    let store = &desk.store;
    let id = desk.sent(1).await;
    assert_eq!(store.followed_call(id).await.unwrap().unwrap().call.state, CallState::Sent);
    let delivery = || NewDelivery { body: "{}".into(), created_at: at(100) };
    // Without an end there is nothing to tell.
    assert!(matches!(store.finish(id, None, delivery()).await, Err(StoreError::State(_))));
    assert_eq!(desk.due(100).await, []);
    let first = store.finish(id, Some(settlement()), delivery()).await.unwrap();
    assert!(first.closed && first.delivery.is_some());
    let second = store.finish(id, Some(settlement()), delivery()).await.unwrap();
    assert_eq!((second.closed, second.delivery), (false, None));
    assert_eq!(store.followed_calls(CallId(0), 10).await.unwrap(), []);
    // A reader closed it first: then only the webhook is left to write.
    let id = desk.sent(2).await;
    assert!(store.settle(id, settlement()).await.unwrap());
    assert_eq!(store.followed_call(id).await.unwrap().unwrap().status, Some(200));
    let late = store.finish(id, None, delivery()).await.unwrap();
    assert!(!late.closed && late.delivery > first.delivery);
    assert_eq!(desk.due(100).await.len(), 2);
    // A call that fal never had leaves nothing behind.
    let call = NewCall { webhook: Some(webhook(3)), ..desk.call.clone() };
    let id = store.hold(call).await.unwrap().id;
    store.release(id, Release { status: None, reason: "not_sent", released_at: at(2) }).await.unwrap();
}

#[tokio::test]
async fn a_delivery_waits_dies_and_begins_anew() {
    let desk = Desk::new().await;
    let store = &desk.store;
    let id = desk.finished(1, "{}".into()).await;
    assert!(store.attempted(id, attempt(100), Next::Again(at(105))).await.unwrap());
    assert_eq!((desk.due(104).await, desk.due(105).await), (vec![], vec![id]));
    assert_eq!(store.next_delivery(at(104)).await.unwrap(), Some(at(105)));
    store.attempted(id, attempt(105), Next::Dead).await.unwrap();
    assert_eq!(store.message(id).await.unwrap(), None);
    let dead = DeliveryFilter { state: Some(DeliveryState::Dead), ..DeliveryFilter::default() };
    let record = store.deliveries(dead, None, 10).await.unwrap().remove(0);
    assert_eq!((record.id, record.attempts, record.tries, record.ended_at.is_some()), (id, 2, 2, true));
    assert_eq!(store.redeliver(Redelivery::DeadOf(desk.tenant), author()).await.unwrap(), 1);
    let message = store.message(id).await.unwrap().unwrap();
    assert_eq!((message.tries, &*message.name, &*message.body), (0, "whd_1", &b"{}"[..]));
    store.attempted(id, attempt(500), Next::Delivered).await.unwrap();
    assert_eq!(store.redeliver(Redelivery::One(id), author()).await.unwrap(), 1);
    assert_eq!(store.redeliver(Redelivery::One(DeliveryId(99)), author()).await.unwrap(), 0);
    assert_eq!(store.outbox().await.unwrap().waiting, 1);
    assert_eq!(store.audit(None, None, 10).await.unwrap()[0].action, "delivery.redeliver");
}

#[tokio::test]
async fn invariant_7_deliveries_and_their_tries_are_forgotten() {
    let desk = Desk::new().await;
    let store = &desk.store;
    let (old, young) = (desk.finished(1, "{}".into()).await, desk.finished(2, "{}".into()).await);
    for number in 0..60 {
        store.attempted(old, attempt(100 + number), Next::Again(at(200))).await.unwrap();
    }
    let kept = store.attempts(old).await.unwrap();
    assert_eq!((kept.len(), kept[0].number, kept[49].number), (50, 11, 60));
    store.attempted(old, attempt(200), Next::Dead).await.unwrap();
    assert_eq!(store.forget_deliveries(at(150), 10).await.unwrap(), 0);
    assert_eq!(store.forget_deliveries(at(300), 10).await.unwrap(), 1);
    assert_eq!((store.delivery(old).await.unwrap(), store.attempts(old).await.unwrap()), (None, vec![]));
    assert!(store.delivery(young).await.unwrap().is_some(), "one that waits is not forgotten");
    // A call that was lost before fal said anything of it leaves its webhook too.
    let call = NewCall { webhook: Some(webhook(3)), held_at: at(10), ..desk.call.clone() };
    let lost = store.hold(call).await.unwrap().id;
    store.lose(lost, at(11)).await.unwrap();
    assert_eq!(store.forget_deliveries(at(300), 10).await.unwrap(), 1);
}
