//! A long ledger, written straight into the file: 400 days of 200 tenants with 400 keys, which call 60 endpoints.

use std::collections::BTreeMap;
use std::path::Path;

use fal_relay::clock::{Clock, SystemClock, Timestamp};
use fal_relay::random::Random;
use fal_relay::store::KeyRecord;
use rusqlite::{Connection, params};

pub(crate) const DAYS: i64 = 400;

/// The first day, from the epoch on.
pub(crate) const FIRST_DAY: i64 = 20_000;

const DAY_MICROS: i64 = 86_400_000_000;

/// How many endpoints there are, and how many of them a key calls.
const ENDPOINTS: u64 = 60;
const ENDPOINTS_OF_KEY: u64 = 8;

const TAGS: u64 = 20;

/// Calls, failed, unknown, cost and charge.
type Sums = [i64; 5];

#[derive(Default)]
struct Rolled {
    days: BTreeMap<(i64, i64, i64, u64), Sums>,
    tags: BTreeMap<(i64, i64, u64), Sums>,
}

pub(crate) async fn generate(path: &Path, rows: u64) {
    let clock = SystemClock::new();
    let keys = {
        let store = crate::open(path);
        crate::calls::make_keys(&store, Timestamp::from_micros(FIRST_DAY * DAY_MICROS)).await
    };
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; BEGIN").unwrap();
    let indexes = take_indexes(&connection);
    let rolled = write_calls(&connection, &keys, rows);
    write_rolled(&connection, &rolled);
    connection.execute_batch(&format!("{indexes} COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")).unwrap();
    let bytes = std::fs::metadata(path).unwrap().len();
    let (days, tags) = (rolled.days.len(), rolled.tags.len());
    println!(
        "\n{rows} rows, {days} sums by day, tenant, key and endpoint, {tags} by tag: {:.1} GB, made in {:.0} s\n",
        bytes as f64 / 1e9,
        clock.elapsed().as_secs_f64()
    );
}

/// Drops the indexes of the calls; says how to make them again, which is faster than to keep them on the way.
fn take_indexes(connection: &Connection) -> String {
    let sql =
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'calls' AND sql IS NOT NULL";
    let mut statement = connection.prepare(sql).unwrap();
    let found =
        statement.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let found: Vec<_> = found.map(Result::unwrap).collect();
    let mut again = String::new();
    for (name, sql) in found {
        connection.execute_batch(&format!("DROP INDEX {name}")).unwrap();
        again.push_str(&sql);
        again.push(';');
    }
    again
}

/// A number below `bound`, small ones more often: a few make most of the calls.
fn uneven(random: &Random, bound: u64) -> u64 {
    random.below(bound).unwrap().min(random.below(bound).unwrap())
}

fn write_calls(connection: &Connection, keys: &[KeyRecord], rows: u64) -> Rolled {
    let random = Random::seeded(1);
    let mut rolled = Rolled::default();
    let mut statement = connection
        .prepare(
            "INSERT INTO calls (tenant_id, key_id, account, endpoint, kind, state, open, request_id, app_base, lease,
                                tags, status, unit_price, unit, multiplier, price_version, hold_nano, hold_basis,
                                hold_open, billable_units, cost_nano, charge_nano, cost_basis, held_at, sent_at,
                                settled_at)
             VALUES (?1, ?2, 'main', ?3, 'queue', 'settled', NULL, ?4, 'fal-ai/model', ?5,
                     ?6, ?7, '0.025', 'megapixels', '1', 1, 50000000, 'request',
                     ?8, '1', ?9, ?9, ?10, ?11, ?11 + 200000, ?11 + 5000000)",
        )
        .unwrap();
    for row in 0..rows {
        let key = &keys[uneven(&random, keys.len() as u64) as usize];
        let endpoint = (key.id.0.unsigned_abs() * 7 + uneven(&random, ENDPOINTS_OF_KEY)) % ENDPOINTS;
        let tag = uneven(&random, TAGS);
        let held_at = FIRST_DAY * DAY_MICROS + (row as i64) * (DAYS * DAY_MICROS / rows as i64);
        let chance = random.below(1000).unwrap();
        let status = if chance < 30 { 422 } else { 200 };
        let cost = (chance > 0).then(|| 25_000_000 + random.below(100_000_000).unwrap() as i64);
        statement
            .execute(params![
                key.tenant.id.0,
                key.id.0,
                endpoint_name(endpoint),
                random.uuid().unwrap().to_string(),
                row as i64,
                format!("team=t{tag}"),
                status,
                cost.is_none().then_some(1),
                cost,
                cost.map(|_| "billed"),
                held_at,
            ])
            .unwrap();
        let day = held_at.div_euclid(DAY_MICROS);
        let sums =
            [1, i64::from(status >= 400), i64::from(cost.is_none()), cost.unwrap_or(0), cost.unwrap_or(0)];
        add(rolled.days.entry((key.tenant.id.0, day, key.id.0, endpoint)).or_default(), sums);
        add(rolled.tags.entry((key.tenant.id.0, day, tag)).or_default(), sums);
    }
    rolled
}

fn add(to: &mut Sums, sums: Sums) {
    for (to, sum) in to.iter_mut().zip(sums) {
        *to += sum;
    }
}

pub(crate) fn endpoint_name(number: u64) -> String {
    format!("fal-ai/model-{number}/image-to-image")
}

fn write_rolled(connection: &Connection, rolled: &Rolled) {
    let mut statement =
        connection.prepare("INSERT INTO usage_days VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)").unwrap();
    for ((tenant, day, key, endpoint), [calls, failed, unpriced, cost, charge]) in &rolled.days {
        let endpoint = endpoint_name(*endpoint);
        statement
            .execute(params![tenant, day, key, endpoint, calls, failed, unpriced, cost, charge])
            .unwrap();
    }
    let mut statement =
        connection.prepare("INSERT INTO usage_tags VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)").unwrap();
    for ((tenant, day, tag), [calls, failed, unpriced, cost, charge]) in &rolled.tags {
        let tag = format!("team=t{tag}");
        statement.execute(params![tenant, day, tag, calls, failed, unpriced, cost, charge]).unwrap();
    }
}
