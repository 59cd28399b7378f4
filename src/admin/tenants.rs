//! Tenants.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::budget::{self, BudgetInput, BudgetView};
use super::page::nullable;
use super::{Actor, AdminError, ListQuery, Named, Page, RulesSpec, check};
use crate::ids::TenantId;
use crate::store::{BudgetRecord, Deletion, NewTenant, Role, TenantChange, TenantRecord, TenantStatus};

/// A tenant to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantCreate {
    /// Its name, which no other tenant has.
    pub name: String,
    /// Where alerts go.
    #[serde(default)]
    pub alert_url: Option<String>,
    /// Words for people.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What its keys may do at most.
    #[serde(default)]
    pub rules: RulesSpec,
    /// Its budgets, one for a period.
    #[serde(default)]
    pub budgets: Vec<BudgetInput>,
}

/// What changes in a tenant; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Whether its keys open anything.
    pub status: Option<TenantStatus>,
    /// Another address for alerts; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub alert_url: Option<Option<String>>,
    /// Other words, all of them.
    pub tags: Option<Vec<String>>,
    /// Other rules, all of them.
    pub rules: Option<RulesSpec>,
}

/// A tenant as JSON shows it. Moments are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of a TenantRecord")]
pub struct TenantView {
    #[schema(value_type = i64)]
    pub id: TenantId,
    pub name: String,
    pub status: TenantStatus,
    pub alert_url: Option<String>,
    pub tags: Vec<String>,
    pub rules: RulesSpec,
    pub budgets: Vec<BudgetView>,
    pub created_at: String,
}

impl TenantView {
    pub(super) fn new(tenant: &TenantRecord, budgets: &[BudgetRecord]) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.as_ref().into(),
            status: tenant.status,
            alert_url: tenant.alert_url.clone(),
            tags: tenant.tags.clone(),
            rules: (&tenant.rules).into(),
            budgets: budget::views(budgets, None),
            created_at: tenant.created_at.to_string(),
        }
    }
}

impl Actor {
    /// Makes a tenant.
    pub async fn create_tenant(&self, create: TenantCreate) -> Result<TenantView, AdminError> {
        let author = self.author(Role::Manage)?;
        check::name("name", &create.name)?;
        create.alert_url.as_deref().map_or(Ok(()), |url| check::alert_url(&self.admin.guard, url))?;
        check::tags(&create.tags)?;
        let new = NewTenant {
            rules: create.rules.read()?,
            budgets: budget::read_all(&create.budgets)?,
            name: create.name,
            alert_url: create.alert_url,
            tags: create.tags,
        };
        let made = self.store().create_tenant(new, author).await?;
        self.tenant_view(made).await
    }

    /// Tenants in the order in which they were made.
    pub async fn tenants(&self, query: ListQuery) -> Result<Page<TenantView>, AdminError> {
        self.may(Role::Read)?;
        let (limit, search) = (check::limit(query.limit)?, check::search(query.search.as_deref())?);
        let after = TenantId(check::cursor(query.cursor.as_deref())?.unwrap_or(0));
        let records = self.store().tenants(search, after, limit + 1).await?;
        let page = Page::cut(records, limit, |tenant| tenant.id, |tenant| tenant);
        let mut items = Vec::new();
        for tenant in page.items {
            items.push(self.tenant_view(tenant).await?);
        }
        Ok(Page { items, next_cursor: page.next_cursor, has_more: page.has_more })
    }

    /// One tenant.
    pub async fn tenant(&self, id: TenantId) -> Result<TenantView, AdminError> {
        self.may(Role::Read)?;
        let tenant = self.tenant_record(id).await?;
        self.tenant_view(tenant).await
    }

    /// The tenant of this name, or of this number when none has the name.
    pub async fn find_tenant(&self, name: &str) -> Result<TenantView, AdminError> {
        self.may(Role::Read)?;
        let missing = || AdminError::no_such("tenant", format!("`{name}`"));
        match self.store().tenant_named(name.into()).await? {
            Some(tenant) => self.tenant_view(tenant).await,
            None => {
                self.tenant(TenantId(name.parse().map_err(|_| missing())?)).await.map_err(|error| match error
                {
                    AdminError::NoSuch(_) => missing(),
                    other => other,
                })
            }
        }
    }

    /// Changes a tenant.
    pub async fn update_tenant(&self, id: TenantId, update: TenantUpdate) -> Result<TenantView, AdminError> {
        let author = self.author(Role::Manage)?;
        update.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
        let alert_url = update.alert_url.as_ref().and_then(Option::as_deref);
        alert_url.map_or(Ok(()), |url| check::alert_url(&self.admin.guard, url))?;
        update.tags.as_deref().map_or(Ok(()), check::tags)?;
        let change = TenantChange {
            rules: update.rules.map(|rules| rules.read()).transpose()?,
            name: update.name,
            status: update.status,
            alert_url: update.alert_url,
            tags: update.tags,
        };
        let changed = self.store().change_tenant(id, change, author).await?;
        self.tenant_view(changed.ok_or_else(|| AdminError::no_such("tenant", id))?).await
    }

    /// Deletes a tenant and its keys, unless calls are open.
    pub async fn delete_tenant(&self, id: TenantId) -> Result<(), AdminError> {
        let deletion = self.store().delete_tenant(id, self.author(Role::Manage)?).await?;
        done(deletion, Named { what: "tenant", which: id.to_string() }, "calls")
    }

    pub(super) async fn tenant_record(&self, id: TenantId) -> Result<TenantRecord, AdminError> {
        self.store().tenant(id).await?.ok_or_else(|| AdminError::no_such("tenant", id))
    }

    async fn tenant_view(&self, tenant: TenantRecord) -> Result<TenantView, AdminError> {
        Ok(TenantView::new(&tenant, &self.store().budgets(tenant.id).await?))
    }
}

/// What became of a deletion, in the words of this room.
pub(super) fn done(deletion: Deletion, object: Named, users: &'static str) -> Result<(), AdminError> {
    match deletion {
        Deletion::Done => Ok(()),
        Deletion::Missing => Err(AdminError::NoSuch(object)),
        Deletion::InUse(uses) => Err(AdminError::InUse { object, uses, users }),
        Deletion::Never => Err(AdminError::DefaultGroup),
    }
}
