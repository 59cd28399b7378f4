//! fal's price list, its versions, and the operator's own prices.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Row;

use crate::money::UnitPrice;
use crate::store::sqlite::session::Session;
use crate::store::sqlite::{audit, rows};
use crate::store::{
    Author, NewPriceList, PriceChange, PriceList, PriceOverride, PriceRecord, PriceVersion, StoreError,
};

/// A statement that reads a [`PriceOverride`] with [`price_override`].
macro_rules! select_overrides {
    ($rest:literal) => {
        concat!("SELECT pattern, unit_price, unit FROM price_overrides ", $rest)
    };
}
/// Prices by endpoint.
type Book = BTreeMap<Arc<str>, PriceRecord>;

pub(super) fn in_force(session: &Session<'_>) -> Result<PriceList, StoreError> {
    let last = versions(session, 1)?.pop();
    Ok(PriceList {
        version: last.as_ref().map_or(0, |last| last.version),
        synced_at: last.map(|last| last.synced_at),
        prices: rows::many(
            session,
            "SELECT endpoint, unit_price, unit FROM prices ORDER BY endpoint",
            (),
            price,
        )?,
        overrides: rows::many(session, select_overrides!("ORDER BY pattern"), (), price_override)?,
    })
}

pub(super) fn revision(session: &Session<'_>) -> Result<i64, StoreError> {
    rows::number(session, "SELECT value FROM counters WHERE name = 'prices_revision'", ())
}

fn price(row: &Row<'_>) -> Result<PriceRecord, StoreError> {
    price_at(row, 0, row.get(0)?)?.ok_or_else(rows::vanished)
}

/// The price behind the column `first`, when there is one.
fn price_at(row: &Row<'_>, first: usize, endpoint: Arc<str>) -> Result<Option<PriceRecord>, StoreError> {
    let name = endpoint.clone();
    rows::named("the price of", name, || {
        let price: (Option<_>, Option<_>) = (row.get(first + 1)?, row.get(first + 2)?);
        Ok(price.0.zip(price.1).map(|(unit_price, unit)| PriceRecord { endpoint, unit_price, unit }))
    })
}

pub(super) fn save(
    session: &Session<'_>,
    list: NewPriceList,
    author: &Author,
) -> Result<PriceVersion, StoreError> {
    let old = in_force(session)?;
    let last = versions(session, 1)?.pop();
    let old_book = book(old.prices);
    let new_book = book(list.prices);
    let gone = old_book.keys().filter(|endpoint| !new_book.contains_key(*endpoint));
    let changed = new_book.iter().filter(|(endpoint, price)| old_book.get(*endpoint) != Some(price));
    let touched: Vec<_> = changed.map(|(endpoint, _)| endpoint).chain(gone).collect();
    let version = PriceVersion {
        version: old.version + 1,
        synced_at: author.at,
        source: list.source,
        endpoints: new_book.len() as u64,
        changes: touched.len() as u64,
    };
    for endpoint in touched {
        change(session, &version, endpoint, old_book.get(endpoint), new_book.get(endpoint))?;
    }
    write(session, &version)?;
    audit::write(session, author, "price.sync", "prices", last.as_ref(), Some(&version))?;
    Ok(version)
}

/// The last word on an endpoint counts.
fn book(prices: Vec<PriceRecord>) -> Book {
    prices.into_iter().map(|price| (price.endpoint.clone(), price)).collect()
}

fn change(
    session: &Session<'_>,
    version: &PriceVersion,
    endpoint: &str,
    old: Option<&PriceRecord>,
    new: Option<&PriceRecord>,
) -> Result<(), StoreError> {
    let (old_price, old_unit) = columns(old);
    let (new_price, new_unit) = columns(new);
    match new {
        Some(new) => session.execute(
            "INSERT INTO prices (endpoint, unit_price, unit, version, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET unit_price = ?2, unit = ?3, version = ?4, changed_at = ?5",
            (endpoint, new.unit_price, &new.unit, version.version, version.synced_at),
        )?,
        None => session.execute("DELETE FROM prices WHERE endpoint = ?1", (endpoint,))?,
    };
    session.execute(
        "INSERT INTO price_changes (version, endpoint, old_unit_price, old_unit, new_unit_price, new_unit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (version.version, endpoint, old_price, old_unit, new_price, new_unit),
    )?;
    Ok(())
}

fn columns(price: Option<&PriceRecord>) -> (Option<UnitPrice>, Option<&str>) {
    price.map(|price| (price.unit_price, &*price.unit)).unzip()
}

fn write(session: &Session<'_>, version: &PriceVersion) -> Result<(), StoreError> {
    let (endpoints, changes) = (version.endpoints.cast_signed(), version.changes.cast_signed());
    session.execute(
        "INSERT INTO price_versions (version, synced_at, source, endpoints, changes) VALUES (?1, ?2, ?3, ?4, ?5)",
        (version.version, version.synced_at, &version.source, endpoints, changes),
    )?;
    Ok(())
}

pub(super) fn versions(session: &Session<'_>, limit: u32) -> Result<Vec<PriceVersion>, StoreError> {
    let sql = "SELECT version, synced_at, source, endpoints, changes FROM price_versions
               ORDER BY version DESC LIMIT ?1";
    let read = |row: &Row<'_>| {
        Ok(PriceVersion {
            version: row.get(0)?,
            synced_at: row.get(1)?,
            source: row.get(2)?,
            endpoints: row.get::<_, i64>(3)?.unsigned_abs(),
            changes: row.get::<_, i64>(4)?.unsigned_abs(),
        })
    };
    rows::many(session, sql, (limit,), read)
}

pub(super) fn changes(session: &Session<'_>, after: i64, limit: u32) -> Result<Vec<PriceChange>, StoreError> {
    let sql =
        "SELECT version, endpoint, old_unit_price, old_unit, new_unit_price, new_unit FROM price_changes
               WHERE version > ?1 ORDER BY version, endpoint LIMIT ?2";
    let read = |row: &Row<'_>| {
        let endpoint: Arc<str> = row.get(1)?;
        let old = price_at(row, 1, endpoint.clone())?;
        let new = price_at(row, 3, endpoint.clone())?;
        Ok(PriceChange { version: row.get(0)?, endpoint, old, new })
    };
    rows::many(session, sql, (after, limit), read)
}

fn price_override(row: &Row<'_>) -> Result<PriceOverride, StoreError> {
    let pattern: String = row.get(0)?;
    let name = pattern.clone();
    rows::named("the own price of", name, || {
        Ok(PriceOverride { pattern, unit_price: row.get(1)?, unit: row.get(2)? })
    })
}

pub(super) fn set_override(
    session: &Session<'_>,
    pattern: &str,
    price: Option<PriceOverride>,
    author: &Author,
) -> Result<(), StoreError> {
    let old = rows::one(session, select_overrides!("WHERE pattern = ?1"), (pattern,), price_override)?;
    let new = price.map(|price| PriceOverride { pattern: pattern.to_owned(), ..price });
    if new == old {
        return Ok(());
    }
    match &new {
        Some(new) => session.execute(
            "INSERT INTO price_overrides (pattern, unit_price, unit, set_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET unit_price = ?2, unit = ?3, set_at = ?4",
            (pattern, new.unit_price, &new.unit, author.at),
        )?,
        None => session.execute("DELETE FROM price_overrides WHERE pattern = ?1", (pattern,))?,
    };
    audit::write(session, author, "price.override", &format!("price:{pattern}"), old.as_ref(), new.as_ref())
}
