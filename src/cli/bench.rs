//! What the verbs' tests stand on: a store of their own and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::admin::{Admin, CreateKey};
use crate::clock::{Clock, HandClock, Timestamp};
use crate::ids::{AccountName, LeaseId, RequestId};
use crate::key::KeyKind;
use crate::money::{Multiplier, Usd};
use crate::random::Random;
use crate::store::{
    CallKind, KeyRecord, Ledger, NewCall, SentCall, Settings, Settlement, SqliteStore, Terms,
};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Desk {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    pub(super) clock: HandClock,
    pub(super) admin: Admin,
}

impl Desk {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 512 };
        let store = Arc::new(SqliteStore::open(&settings).unwrap());
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let admin = Admin::new(store.clone(), Arc::new(clock.clone()), Random::seeded(1));
        Self { _folder: folder, store, clock, admin }
    }

    /// Reads a command line as the binary would.
    pub(super) fn parse<L: Parser>(line: &str) -> Result<L, String> {
        let words = ["fal-relay"].into_iter().chain(line.split(' '));
        L::try_parse_from(words).map_err(|error| error.to_string())
    }

    pub(super) async fn make_key(&self, tenant: &str) -> KeyRecord {
        let create =
            CreateKey { tenant: tenant.into(), name: "web".into(), kind: KeyKind::Live, expires_in: None };
        self.admin.create_key(create).await.unwrap().1
    }

    /// A call of a new key; settled when `request_id` is given.
    pub(super) async fn make_call(&self, tenant: &str, request_id: Option<&str>) {
        let key = self.make_key(tenant).await;
        let id = self.store.hold(self.call_of(&key)).await.unwrap().id;
        let Some(request_id) = request_id else { return };
        let sent = SentCall {
            request_id: RequestId::parse(request_id).unwrap(),
            app_base: "fal-ai/flux-1".into(),
            body_sha256: Some([7; 32]),
            body_bytes: 17,
            sent_at: self.clock.now(),
        };
        self.store.sent(id, sent).await.unwrap();
        let settlement = Settlement {
            status: 200,
            billable_units: Some("1.50".into()),
            cost: None,
            settled_at: self.clock.now(),
        };
        self.store.settle(id, settlement).await.unwrap();
    }

    pub(super) async fn make_calls(&self, count: i64) {
        let key = self.make_key("crowd").await;
        let holds = (0..count).map(|_| self.store.hold(self.call_of(&key)));
        for held in futures_util::future::join_all(holds).await {
            held.unwrap();
        }
    }

    fn call_of(&self, key: &KeyRecord) -> NewCall {
        NewCall {
            tenant_id: key.tenant.id,
            key_id: key.id,
            account: AccountName::new("main"),
            endpoint: "fal-ai/flux-1/dev".into(),
            kind: CallKind::Queue,
            lease: LeaseId(1),
            tags: None,
            terms: Terms { unit_price: None, unit: None, multiplier: Multiplier::ONE, price_version: None },
            hold: Usd::ZERO,
            hold_basis: "none",
            windows: Vec::new(),
            held_at: self.clock.now(),
        }
    }
}
