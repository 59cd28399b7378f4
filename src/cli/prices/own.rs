//! The prices in force, and the operator's own.

use std::io::Write;

use clap::{Args, Subcommand};

use super::super::args::{PAGE, Why, all, print_json};
use super::super::table::{self, or};
use crate::admin::{
    Actor, ListQuery, OverrideInput, OverrideView, PriceChangeQuery, PriceChangeView, PriceView,
};

/// The verbs that look at prices, and set the operator's own.
#[derive(Debug, Subcommand)]
pub enum OwnCommand {
    /// List the prices in force
    List(List),
    /// List the operator's own prices
    Overrides(Plain),
    /// List the versions of fal's price list
    Versions(Plain),
    /// List what versions changed
    Changes(Changes),
    /// Set the operator's own price for an endpoint or a pattern of them
    Set(Set),
    /// Lift the operator's own price for a pattern
    Unset(Unset),
}

/// `prices list`
#[derive(Debug, Args)]
pub struct List {
    /// Only endpoints that contain this
    #[arg(long)]
    search: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `prices versions`, `prices overrides`
#[derive(Debug, Args)]
pub struct Plain {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `prices changes`
#[derive(Debug, Args)]
pub struct Changes {
    /// Only changes that came after this version
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    after: i64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `prices set`
#[derive(Debug, Args)]
pub struct Set {
    /// The endpoint or pattern, such as 'fal-ai/flux/**'
    pattern: String,
    /// US dollars for one unit, such as 0.025
    unit_price: String,
    /// What a unit is, such as image, megapixel or second
    unit: String,
    #[command(flatten)]
    why: Why,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `prices unset`
#[derive(Debug, Args)]
pub struct Unset {
    /// The pattern, as it was set
    pattern: String,
    #[command(flatten)]
    why: Why,
}

/// Does what `command` says.
pub async fn run(command: &OwnCommand, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        OwnCommand::List(list) => print_list(list, office, out).await,
        OwnCommand::Overrides(plain) => {
            let overrides =
                office.prices(ListQuery { limit: Some(1), ..ListQuery::default() }).await?.overrides;
            print_overrides(&overrides, plain.json, out)
        }
        OwnCommand::Versions(plain) => print_versions(plain, office, out).await,
        OwnCommand::Changes(changes) => print_changes(changes, office, out).await,
        OwnCommand::Set(set) => {
            let input = OverrideInput {
                pattern: set.pattern.clone(),
                unit_price: set.unit_price.clone(),
                unit: set.unit.clone(),
            };
            let made = set.why.tell(office).override_price(input).await?;
            print_overrides(&[made], set.json, out)
        }
        OwnCommand::Unset(unset) => {
            unset.why.tell(office).lift_price_override(&unset.pattern).await?;
            Ok(writeln!(out, "fal's own prices count for {}", unset.pattern)?)
        }
    }
}

async fn print_list(list: &List, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let prices = all(async |cursor| {
        let query = ListQuery { search: list.search.clone(), limit: Some(PAGE), cursor };
        Ok(office.prices(query).await?.prices)
    })
    .await?;
    if list.json {
        return print_json(&prices, out);
    }
    let row = |price: &PriceView| {
        let own = or(price.overridden_by.as_ref(), "fal");
        [price.endpoint.clone(), price.unit_price.clone(), price.unit.clone(), own]
    };
    let rows: Vec<_> = prices.iter().map(row).collect();
    Ok(table::write(out, ["ENDPOINT", "USD", "FOR A", "SET BY"], &rows)?)
}

fn print_overrides(overrides: &[OverrideView], json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        return print_json(&overrides, out);
    }
    let row = |own: &OverrideView| {
        let place = if own.in_file { "configuration" } else { "store" };
        [own.pattern.clone(), own.unit_price.clone(), own.unit.clone(), place.into()]
    };
    let rows: Vec<_> = overrides.iter().map(row).collect();
    Ok(table::write(out, ["PATTERN", "USD", "FOR A", "KEPT IN"], &rows)?)
}

async fn print_versions(plain: &Plain, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let versions = office.price_versions().await?;
    if plain.json {
        return print_json(&versions, out);
    }
    let rows: Vec<_> = versions
        .iter()
        .map(|version| {
            let (endpoints, changes) = (version.endpoints.to_string(), version.changes.to_string());
            [
                version.version.to_string(),
                version.synced_at.clone(),
                version.source.clone(),
                endpoints,
                changes,
            ]
        })
        .collect();
    Ok(table::write(out, ["VERSION", "SYNCED", "FROM", "ENDPOINTS", "CHANGES"], &rows)?)
}

async fn print_changes(changes: &Changes, office: &Actor, out: &mut impl Write) -> anyhow::Result<()> {
    let query = PriceChangeQuery { after: Some(changes.after), limit: Some(PAGE) };
    let found = office.price_changes(query).await?;
    if changes.json {
        return print_json(&found, out);
    }
    let price = |price: &Option<String>, unit: &Option<String>| match (price, unit) {
        (Some(price), Some(unit)) => format!("{price}/{unit}"),
        _ => "-".into(),
    };
    let row = |change: &PriceChangeView| {
        let old = price(&change.old_unit_price, &change.old_unit);
        let new = price(&change.new_unit_price, &change.new_unit);
        [change.version.to_string(), change.endpoint.clone(), old, new]
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    Ok(table::write(out, ["VERSION", "ENDPOINT", "FROM", "TO"], &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::{Desk, lines_of};

    lines_of!(prices, OwnCommand);

    #[tokio::test]
    async fn prices_are_listed_and_overridden() {
        let desk = Desk::new();
        desk.save_prices(&[("fal-ai/flux/dev", "0.025", "megapixel"), ("fal-ai/veo3", "0.75", "second")])
            .await;
        desk.save_prices(&[("fal-ai/flux/dev", "0.03", "megapixel"), ("fal-ai/kling", "0.1", "second")])
            .await;
        prices(&desk, "set 'fal-ai/kling/**' 0.05 second --reason 'our contract'").await.unwrap();
        insta::assert_snapshot!(prices(&desk, "list").await.unwrap(), @r"
        ENDPOINT         USD   FOR A      SET BY
        fal-ai/flux/dev  0.03  megapixel  fal
        fal-ai/kling     0.05  second     fal-ai/kling/**
        ");
        insta::assert_snapshot!(prices(&desk, "overrides").await.unwrap(), @r"
        PATTERN          USD   FOR A   KEPT IN
        fal-ai/kling/**  0.05  second  store
        ");
        insta::assert_snapshot!(prices(&desk, "versions").await.unwrap(), @r"
        VERSION  SYNCED                       FROM                ENDPOINTS  CHANGES
        2        2023-11-14T22:13:20.000000Z  https://api.fal.ai  2          3
        1        2023-11-14T22:13:20.000000Z  https://api.fal.ai  2          2
        ");
        insta::assert_snapshot!(prices(&desk, "changes --after 1").await.unwrap(), @r"
        VERSION  ENDPOINT         FROM             TO
        2        fal-ai/flux/dev  0.025/megapixel  0.03/megapixel
        2        fal-ai/kling     -                0.1/second
        2        fal-ai/veo3      0.75/second      -
        ");
        assert_eq!(
            prices(&desk, "unset 'fal-ai/kling/**'").await.unwrap(),
            "fal's own prices count for fal-ai/kling/**\n"
        );
        assert_eq!(prices(&desk, "overrides --json").await.unwrap(), "[]\n");
        let refused = prices(&desk, "set a/b 1,5 image").await.unwrap_err();
        assert_eq!(refused, "unit_price must be a plain decimal number such as 5 or 0.10");
        assert!(prices(&desk, "set '' 1 image").await.unwrap_err().starts_with("pattern is wrong: "));
    }
}
