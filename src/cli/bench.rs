//! What the verbs' tests stand on: a store of their own and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::admin::{Actor, Admin, KeyCreate};
use crate::clock::{Clock, HandClock, Timestamp};
use crate::ids::{AccountName, KeyId, LeaseId, RequestId, TenantId};
use crate::money::{Multiplier, UnitPrice, Usd};
use crate::pricing::Basis;
use crate::random::Random;
use crate::store::{
    Author, CallKind, Cost, Ledger, NewCall, NewPriceList, PriceRecord, Role, SentCall, Settings, Settlement,
    SqliteStore, Terms,
};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct Desk {
    folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    pub(super) clock: HandClock,
    pub(super) office: Actor,
}

impl Desk {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 512 };
        let store = Arc::new(SqliteStore::open(&settings).unwrap());
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let admin = Admin::new(store.clone(), Arc::new(clock.clone()), Random::seeded(1));
        Self { folder, store, clock, office: admin.by("cli", Role::Owner) }
    }

    /// Reads a command line as the binary would; a word in quotes may hold spaces.
    pub(super) fn parse<L: Parser>(line: &str) -> Result<L, String> {
        let words = line.split('\'').enumerate().flat_map(|(nth, part)| match nth % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        L::try_parse_from(["fal-relay".to_owned()].into_iter().chain(words))
            .map_err(|error| error.to_string())
    }

    /// A file in a folder of its own.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    pub(super) async fn make_key(&self, tenant: &str) -> (TenantId, KeyId) {
        let create = KeyCreate { tenant: tenant.into(), name: Some("web".into()), ..KeyCreate::default() };
        let made = self.office.create_key(create).await.unwrap().record;
        (made.tenant_id, made.id)
    }

    /// A call of a new key; settled when `request_id` is given, for three cents at fal.
    pub(super) async fn make_call(&self, tenant: &str, request_id: Option<&str>) {
        let key = self.make_key(tenant).await;
        let id = self.store.hold(self.call_of(key)).await.unwrap().id;
        let Some(request_id) = request_id else { return };
        let sent = SentCall {
            request_id: RequestId::parse(request_id).unwrap(),
            app_base: "fal-ai/flux-1".into(),
            body_sha256: Some([7; 32]),
            body_bytes: 17,
            sent_at: self.clock.now(),
        };
        self.store.sent(id, sent).await.unwrap();
        let usd = |text| Usd::parse(text).unwrap();
        let settlement = Settlement {
            status: 200,
            billable_units: Some("1.50".into()),
            cost: Some(Cost { cost: usd("0.0375"), charge: usd("0.046875"), basis: Basis::Billed }),
            settled_at: self.clock.now(),
        };
        self.store.settle(id, settlement).await.unwrap();
    }

    pub(super) async fn make_calls(&self, count: i64) {
        let key = self.make_key("crowd").await;
        let holds = (0..count).map(|_| self.store.hold(self.call_of(key)));
        for held in futures_util::future::join_all(holds).await {
            held.unwrap();
        }
    }

    /// A price list of fal's.
    pub(super) async fn save_prices(&self, prices: &[(&str, &str, &str)]) {
        use crate::store::Books;
        let record = |(endpoint, price, unit): &(&str, &str, &str)| PriceRecord {
            endpoint: (*endpoint).into(),
            unit_price: UnitPrice::parse(price).unwrap(),
            unit: (*unit).into(),
        };
        let list =
            NewPriceList { source: "https://api.fal.ai".into(), prices: prices.iter().map(record).collect() };
        let author = Author { name: "sync".into(), reason: None, at: self.clock.now() };
        self.store.save_prices(list, author).await.unwrap();
    }

    fn call_of(&self, (tenant_id, key_id): (TenantId, KeyId)) -> NewCall {
        NewCall {
            tenant_id,
            key_id,
            token_id: None,
            account: AccountName::new("main"),
            endpoint: "fal-ai/flux-1/dev".into(),
            kind: CallKind::Queue,
            lease: LeaseId(1),
            tags: Some("project=a,=1+1=2".into()),
            terms: Terms {
                unit_price: Some(UnitPrice::parse("0.025").unwrap()),
                unit: Some("megapixels".into()),
                multiplier: Multiplier::parse("1.25").unwrap(),
                price_version: Some(1),
            },
            hold: Usd::parse("0.05").unwrap(),
            hold_basis: "request",
            windows: Vec::new(),
            held_at: self.clock.now(),
        }
    }
}

/// Makes the function that does a command line of one verb on a desk and gives what was printed.
macro_rules! lines_of {
    ($name:ident, $command:ty) => {
        async fn $name(desk: &$crate::cli::bench::Desk, line: &str) -> Result<String, String> {
            #[derive(clap::Parser)]
            struct Line {
                #[command(subcommand)]
                command: $command,
            }
            let line: Line = $crate::cli::bench::Desk::parse(line)?;
            let mut out = Vec::new();
            let done = super::run(&line.command, &desk.office, &mut out).await;
            done.map_err(|error| error.to_string())?;
            Ok(String::from_utf8(out).unwrap())
        }
    };
}
pub(super) use lines_of;
