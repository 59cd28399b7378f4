//! Who changed what, from what, to what, why.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::calls::short;
use super::{Actor, AdminError, Page, check};
use crate::ids::AuditId;
use crate::store::{AuditRecord, Role};

/// Which lines of the audit log are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only changes of this, such as `key:3` or `tenant:1`.
    pub object: Option<String>,
    /// The most rows, 100 when not given.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditView {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: String,
    /// Who: an operator's name, or `cli`.
    pub author: String,
    /// What was done, such as `key.rotate`.
    pub action: String,
    /// To what, such as `key:3`.
    pub object: String,
    /// How it was; null when it was made.
    pub old: Option<Value>,
    /// How it is; null when it is gone.
    pub new: Option<Value>,
    /// Why.
    pub reason: Option<String>,
}

impl From<AuditRecord> for AuditView {
    fn from(line: AuditRecord) -> Self {
        Self {
            id: line.id.0,
            at: line.at.to_string(),
            author: line.author,
            action: line.action,
            object: line.object,
            old: line.old,
            new: line.new,
            reason: line.reason,
        }
    }
}

impl Actor {
    /// Lines of the audit log, the newest first.
    pub async fn audit(&self, query: AuditQuery) -> Result<Page<AuditView>, AdminError> {
        self.may(Role::Read)?;
        let limit = check::limit(query.limit)?;
        let before = check::cursor(query.cursor.as_deref())?.map(AuditId);
        let object = short("object", query.object.as_deref())?;
        let lines = self.store().audit(object, before, limit + 1).await?;
        Ok(Page::cut(lines, limit, |line| line.id, AuditView::from))
    }
}
