//! Operators: who may administer, and how far.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, AdminError, check, moment};
use crate::clock::Timestamp;
use crate::ids::OperatorId;
use crate::key::{ApiKey, KeyKind};
use crate::store::{NewOperator, OperatorRecord, Role};

/// An operator to be made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorCreate {
    /// The name that the audit log shows; no other operator of today has it.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// When his token stops working; never when not given.
    #[serde(default)]
    #[schema(example = "2030-01-31T12:00:00Z")]
    pub expires_at: Option<String>,
    /// How long his token works from now, instead of `expires_at`.
    #[serde(default)]
    #[schema(example = "90d")]
    pub expires_in: Option<String>,
}

/// Whether an operator's token opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OperatorState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl OperatorState {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// An operator as JSON shows him. Moments are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the columns of an OperatorRecord, and its state")]
pub struct OperatorView {
    #[schema(value_type = i64)]
    pub id: OperatorId,
    pub name: String,
    pub role: Role,
    pub last_four: String,
    pub state: OperatorState,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
}

impl OperatorView {
    fn new(operator: &OperatorRecord, now: Timestamp) -> Self {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        let state = match operator.revoked_at {
            Some(_) => OperatorState::Revoked,
            None if operator.is_active(now) => OperatorState::Active,
            None => OperatorState::Expired,
        };
        Self {
            id: operator.id,
            name: operator.name.as_ref().into(),
            role: operator.role,
            last_four: operator.last_four.clone(),
            state,
            created_at: operator.created_at.to_string(),
            expires_at: text(operator.expires_at),
            revoked_at: text(operator.revoked_at),
        }
    }
}

/// An operator who was just made, with his token: this is the only time that it is seen.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OperatorMade {
    /// The token.
    pub token: String,
    /// What is known of him.
    #[serde(flatten)]
    pub record: OperatorView,
}

impl Actor {
    /// Makes an operator. This is the only time that his token is seen.
    pub async fn create_operator(&self, create: OperatorCreate) -> Result<OperatorMade, AdminError> {
        let author = self.author(Role::Owner)?;
        let now = author.at;
        check::name("name", &create.name)?;
        let expires_at = moment::end(now, create.expires_at.as_deref(), create.expires_in.as_deref())?;
        let token = ApiKey::generate(KeyKind::Admin, &self.admin.random)?;
        let new = NewOperator {
            name: create.name,
            role: create.role,
            digest: token.digest(),
            last_four: token.last_four(),
            expires_at,
        };
        let record = self.store().create_operator(new, author).await?;
        Ok(OperatorMade { token: token.expose().to_owned(), record: OperatorView::new(&record, now) })
    }

    /// All operators in the order in which they were made, those of old times too.
    pub async fn operators(&self) -> Result<Vec<OperatorView>, AdminError> {
        self.may(Role::Read)?;
        let now = self.now();
        let operators = self.store().operators().await?;
        Ok(operators.iter().map(|operator| OperatorView::new(operator, now)).collect())
    }

    /// Ends an operator's token for good. Revoking it again changes nothing.
    pub async fn revoke_operator(&self, id: OperatorId) -> Result<OperatorView, AdminError> {
        let author = self.author(Role::Owner)?;
        let now = author.at;
        let revoked = self.store().revoke_operator(id, author).await?;
        let revoked = revoked.ok_or_else(|| AdminError::no_such("operator", id))?;
        Ok(OperatorView::new(&revoked, now))
    }
}
