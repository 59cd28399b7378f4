//! Prices: fal's list, its versions, and the operator's own.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Actor, AdminError, ListQuery, Page, check};
use crate::ids::KeyId;
use crate::money::UnitPrice;
use crate::rules::{Effective, Glob};
use crate::store::{PriceChange, PriceList, PriceOverride, PriceRecord, PriceVersion, Role};

/// The most versions of the price list that are told.
const MAX_VERSIONS: u32 = 1000;

/// The price of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceView {
    /// The endpoint.
    pub endpoint: String,
    /// US dollars for one unit.
    pub unit_price: String,
    /// What a unit is.
    pub unit: String,
    /// The pattern of the operator's own price, when it is his.
    pub overridden_by: Option<String>,
}

/// The prices in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PricesView {
    /// The version of fal's list; 0 when none was ever synced.
    pub version: i64,
    /// When it was synced.
    pub synced_at: Option<String>,
    /// The operator's own prices, the first that fits wins: those of the configuration file, then those of the store.
    pub overrides: Vec<OverrideView>,
    /// Endpoints of fal's list, with the price in force.
    pub prices: Page<PriceView>,
}

/// The operator's own price for an endpoint or a pattern of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OverrideView {
    /// The endpoints, such as `fal-ai/flux/**`.
    pub pattern: String,
    /// US dollars for one unit.
    pub unit_price: String,
    /// What a unit is.
    pub unit: String,
    /// Whether it stands in the configuration file, where alone it can be changed.
    pub in_file: bool,
}

/// The operator's own price to be set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideInput {
    /// The endpoints, such as `fal-ai/flux/**`.
    #[schema(example = "fal-ai/flux/**")]
    pub pattern: String,
    /// US dollars for one unit.
    #[schema(example = "0.025")]
    pub unit_price: String,
    /// What a unit is.
    #[schema(example = "megapixel")]
    pub unit: String,
}

/// A version of fal's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of a PriceVersion")]
pub struct PriceVersionView {
    pub version: i64,
    pub synced_at: String,
    pub source: String,
    pub endpoints: u64,
    pub changes: u64,
}

/// Which changes of prices are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct PriceChangeQuery {
    /// Only changes that came after this version; all when not given.
    #[param(minimum = 0)]
    pub after: Option<i64>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
}

/// What a version changed for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceChangeView {
    /// The version that brought the change.
    pub version: i64,
    /// The endpoint.
    pub endpoint: String,
    /// The price before; null when the endpoint is new.
    pub old_unit_price: Option<String>,
    /// The unit before.
    pub old_unit: Option<String>,
    /// The price from then on; null when the endpoint is gone.
    pub new_unit_price: Option<String>,
    /// The unit from then on.
    pub new_unit: Option<String>,
}

/// An endpoint that a key may call, with what it pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelView {
    /// The endpoint.
    pub endpoint: String,
    /// What the key's tenant pays for one unit, in US dollars.
    pub unit_price: String,
    /// What a unit is.
    pub unit: String,
}

impl From<&PriceVersion> for PriceVersionView {
    fn from(version: &PriceVersion) -> Self {
        Self {
            version: version.version,
            synced_at: version.synced_at.to_string(),
            source: version.source.clone(),
            endpoints: version.endpoints,
            changes: version.changes,
        }
    }
}

impl From<&PriceChange> for PriceChangeView {
    fn from(change: &PriceChange) -> Self {
        let price = |price: Option<&PriceRecord>| price.map(|price| price.unit_price.to_string());
        let unit = |price: Option<&PriceRecord>| price.map(|price| price.unit.to_string());
        Self {
            version: change.version,
            endpoint: change.endpoint.to_string(),
            old_unit_price: price(change.old.as_ref()),
            old_unit: unit(change.old.as_ref()),
            new_unit_price: price(change.new.as_ref()),
            new_unit: unit(change.new.as_ref()),
        }
    }
}

/// The operator's own prices, in the order in which they win.
struct Overrides(Vec<(Option<Glob>, PriceOverride, bool)>);

impl Overrides {
    fn new(file: &[PriceOverride], store: &[PriceOverride]) -> Self {
        let file = file.iter().map(|own| (own, true));
        let all = file.chain(store.iter().map(|own| (own, false)));
        Self(all.map(|(own, in_file)| (Glob::parse(&own.pattern).ok(), own.clone(), in_file)).collect())
    }

    fn of(&self, endpoint: &str) -> Option<&PriceOverride> {
        let fits = |glob: &Option<Glob>| glob.as_ref().is_some_and(|glob| glob.matches(endpoint));
        self.0.iter().find(|(glob, ..)| fits(glob)).map(|(_, own, _)| own)
    }

    fn price(&self, listed: &PriceRecord) -> PriceView {
        let endpoint = listed.endpoint.to_string();
        match self.of(&endpoint) {
            Some(own) => PriceView {
                endpoint,
                unit_price: own.unit_price.to_string(),
                unit: own.unit.clone(),
                overridden_by: Some(own.pattern.clone()),
            },
            None => PriceView {
                endpoint,
                unit_price: listed.unit_price.to_string(),
                unit: listed.unit.to_string(),
                overridden_by: None,
            },
        }
    }

    fn views(&self) -> Vec<OverrideView> {
        let view = |(_, own, in_file): &(_, PriceOverride, bool)| OverrideView {
            pattern: own.pattern.clone(),
            unit_price: own.unit_price.to_string(),
            unit: own.unit.clone(),
            in_file: *in_file,
        };
        self.0.iter().map(view).collect()
    }
}

impl Actor {
    /// The prices in force, by endpoint. The cursor is the last endpoint.
    pub async fn prices(&self, query: ListQuery) -> Result<PricesView, AdminError> {
        self.may(Role::Read)?;
        let list = self.store().prices().await?;
        let overrides = Overrides::new(&self.admin.own_prices, &list.overrides);
        let page = listed(&list, &query, |_| true)?;
        let prices = Page {
            items: page.items.into_iter().map(|price| overrides.price(price)).collect(),
            next_cursor: page.next_cursor,
            has_more: page.has_more,
        };
        Ok(PricesView {
            version: list.version,
            synced_at: list.synced_at.map(|moment| moment.to_string()),
            overrides: overrides.views(),
            prices,
        })
    }

    /// Versions of fal's list, the newest first.
    pub async fn price_versions(&self) -> Result<Vec<PriceVersionView>, AdminError> {
        self.may(Role::Read)?;
        let versions = self.store().price_versions(MAX_VERSIONS).await?;
        Ok(versions.iter().map(PriceVersionView::from).collect())
    }

    /// What versions changed, by version and endpoint.
    pub async fn price_changes(&self, query: PriceChangeQuery) -> Result<Vec<PriceChangeView>, AdminError> {
        self.may(Role::Read)?;
        let limit = check::limit(query.limit)?;
        let changes = self.store().price_changes(check::after(query.after)?, limit).await?;
        Ok(changes.iter().map(PriceChangeView::from).collect())
    }

    /// Sets the operator's own price for a pattern.
    pub async fn override_price(&self, input: OverrideInput) -> Result<OverrideView, AdminError> {
        let author = self.author(Role::Manage)?;
        pattern(&input.pattern)?;
        let unit_price =
            UnitPrice::parse(&input.unit_price).map_err(|error| AdminError::field("unit_price", error))?;
        check::name("unit", &input.unit)?;
        let own = PriceOverride { pattern: input.pattern, unit_price, unit: input.unit };
        self.store().override_price(own.pattern.clone(), Some(own.clone()), author).await?;
        Ok(OverrideView {
            pattern: own.pattern,
            unit_price: own.unit_price.to_string(),
            unit: own.unit,
            in_file: false,
        })
    }

    /// Lifts the operator's own price for a pattern; lifting one that is not there changes nothing.
    pub async fn lift_price_override(&self, text: &str) -> Result<(), AdminError> {
        let author = self.author(Role::Manage)?;
        pattern(text)?;
        Ok(self.store().override_price(text.to_owned(), None, author).await?)
    }

    /// What a key may call, and what it pays. The cursor is the last endpoint.
    pub async fn key_models(&self, id: KeyId, query: ListQuery) -> Result<Page<ModelView>, AdminError> {
        self.may(Role::Read)?;
        let key = self.key_record(id).await?;
        let rules = Effective::new([&key.tenant.rules, &key.group.rules, &key.rules]);
        let list = self.store().prices().await?;
        let overrides = Overrides::new(&self.admin.own_prices, &list.overrides);
        let page = listed(&list, &query, |endpoint| rules.permits(endpoint))?;
        let multiplier = key.group.multiplier.decimal();
        let model = |listed: &PriceRecord| {
            let price = overrides.price(listed);
            let own = overrides.of(&listed.endpoint).map_or(listed.unit_price, |own| own.unit_price);
            // Both have 15 digits after the point at most, so nothing is rounded that 28 digits hold.
            let paid = own.decimal().checked_mul(multiplier).map(|paid| paid.normalize().to_string());
            ModelView {
                endpoint: price.endpoint,
                unit_price: paid.unwrap_or(price.unit_price),
                unit: price.unit,
            }
        };
        Ok(Page {
            items: page.items.into_iter().map(model).collect(),
            next_cursor: page.next_cursor,
            has_more: page.has_more,
        })
    }
}

/// One page of the list, by endpoint.
fn listed<'a>(
    list: &'a PriceList,
    query: &ListQuery,
    wanted: impl Fn(&str) -> bool,
) -> Result<Page<&'a PriceRecord>, AdminError> {
    let limit = check::limit(query.limit)?;
    let search = check::search(query.search.as_deref())?.map(|text| text.to_lowercase());
    let after = query.cursor.as_deref().unwrap_or_default();
    let found = |text: &str| search.as_ref().is_none_or(|search| text.to_lowercase().contains(search));
    let mut rows: Vec<&PriceRecord> = list
        .prices
        .iter()
        .filter(|price| *price.endpoint > *after && found(&price.endpoint) && wanted(&price.endpoint))
        .collect();
    rows.sort_unstable_by(|one, other| one.endpoint.cmp(&other.endpoint));
    Ok(Page::cut(rows, limit, |price| price.endpoint.clone(), |price| price))
}

fn pattern(text: &str) -> Result<(), AdminError> {
    match Glob::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(AdminError::field("pattern", format!("is wrong: {error}"))),
    }
}
