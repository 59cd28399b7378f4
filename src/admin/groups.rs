//! Groups: keys that share a price and limits.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tenants::done;
use super::{Actor, AdminError, ListQuery, Named, Page, RulesSpec, check};
use crate::ids::GroupId;
use crate::money::Multiplier;
use crate::store::{GroupChange, GroupRecord, NewGroup, Role};

/// A group to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupCreate {
    /// Its name, which no other group has.
    pub name: String,
    /// What its keys pay for each dollar at fal; 1 when not given.
    #[serde(default)]
    #[schema(example = "1.25")]
    pub multiplier: Option<String>,
    /// What its keys may do at most.
    #[serde(default)]
    pub rules: RulesSpec,
}

/// What changes in a group; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another multiplier, for calls from now on.
    #[schema(example = "1.25")]
    pub multiplier: Option<String>,
    /// Other rules, all of them.
    pub rules: Option<RulesSpec>,
}

/// A group as JSON shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of a GroupRecord")]
pub struct GroupView {
    #[schema(value_type = i64)]
    pub id: GroupId,
    pub name: String,
    pub multiplier: String,
    pub rules: RulesSpec,
    pub created_at: String,
}

impl From<&GroupRecord> for GroupView {
    fn from(group: &GroupRecord) -> Self {
        Self {
            id: group.id,
            name: group.name.as_ref().into(),
            multiplier: group.multiplier.to_string(),
            rules: (&group.rules).into(),
            created_at: group.created_at.to_string(),
        }
    }
}

impl Actor {
    /// Makes a group.
    pub async fn create_group(&self, create: GroupCreate) -> Result<GroupView, AdminError> {
        let author = self.author(Role::Manage)?;
        check::name("name", &create.name)?;
        let new = NewGroup {
            multiplier: multiplier(create.multiplier.as_deref())?.unwrap_or(Multiplier::ONE),
            rules: create.rules.read()?,
            name: create.name,
        };
        Ok((&self.store().create_group(new, author).await?).into())
    }

    /// Groups in the order in which they were made.
    pub async fn groups(&self, query: ListQuery) -> Result<Page<GroupView>, AdminError> {
        self.may(Role::Read)?;
        let (limit, search) = (check::limit(query.limit)?, check::search(query.search.as_deref())?);
        let after = GroupId(check::cursor(query.cursor.as_deref())?.unwrap_or(0));
        let records = self.store().groups(search, after, limit + 1).await?;
        Ok(Page::cut(records, limit, |group| group.id, |group| GroupView::from(&group)))
    }

    /// One group.
    pub async fn group(&self, id: GroupId) -> Result<GroupView, AdminError> {
        self.may(Role::Read)?;
        let group = self.store().group(id).await?;
        group.as_ref().map(GroupView::from).ok_or_else(|| AdminError::no_such("group", id))
    }

    /// The group of this name, or of this number when none has the name.
    pub async fn find_group(&self, name: &str) -> Result<GroupView, AdminError> {
        self.may(Role::Read)?;
        if let Some(group) = self.store().group_named(name.into()).await? {
            return Ok((&group).into());
        }
        let numbered = match name.parse() {
            Ok(id) => self.store().group(GroupId(id)).await?,
            Err(_) => None,
        };
        let missing = || AdminError::no_such("group", format!("`{name}`"));
        numbered.as_ref().map(GroupView::from).ok_or_else(missing)
    }

    /// Changes a group.
    pub async fn update_group(&self, id: GroupId, update: GroupUpdate) -> Result<GroupView, AdminError> {
        let author = self.author(Role::Manage)?;
        update.name.as_deref().map_or(Ok(()), |name| check::name("name", name))?;
        let change = GroupChange {
            multiplier: multiplier(update.multiplier.as_deref())?,
            rules: update.rules.map(|rules| rules.read()).transpose()?,
            name: update.name,
        };
        let changed = self.store().change_group(id, change, author).await?;
        changed.as_ref().map(GroupView::from).ok_or_else(|| AdminError::no_such("group", id))
    }

    /// Deletes a group, unless keys belong to it.
    pub async fn delete_group(&self, id: GroupId) -> Result<(), AdminError> {
        let deletion = self.store().delete_group(id, self.author(Role::Manage)?).await?;
        done(deletion, Named { what: "group", which: id.to_string() }, "keys")
    }
}

fn multiplier(text: Option<&str>) -> Result<Option<Multiplier>, AdminError> {
    let read = |text| Multiplier::parse(text).map_err(|error| AdminError::field("multiplier", error));
    text.map(read).transpose()
}
