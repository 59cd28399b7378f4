//! stub
use super::SqliteStore;
use crate::clock::Timestamp;
use crate::ids::*;
use crate::key::KeyDigest;
use crate::period::Period;
use crate::store::*;
impl Directory for SqliteStore {
    fn create_tenant(&self, _tenant: NewTenant, _author: Author) -> Verb<'_, TenantRecord> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn tenant(&self, _id: TenantId) -> Verb<'_, Option<TenantRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn tenant_named(&self, _name: String) -> Verb<'_, Option<TenantRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn tenants(&self, _search: Option<String>, _after: TenantId, _limit: u32) -> Verb<'_, Vec<TenantRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn change_tenant(
        &self,
        _id: TenantId,
        _change: TenantChange,
        _author: Author,
    ) -> Verb<'_, Option<TenantRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn delete_tenant(&self, _id: TenantId, _author: Author) -> Verb<'_, Deletion> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn create_group(&self, _group: NewGroup, _author: Author) -> Verb<'_, GroupRecord> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn group(&self, _id: GroupId) -> Verb<'_, Option<GroupRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn group_named(&self, _name: String) -> Verb<'_, Option<GroupRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn groups(&self, _search: Option<String>, _after: GroupId, _limit: u32) -> Verb<'_, Vec<GroupRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn change_group(
        &self,
        _id: GroupId,
        _change: GroupChange,
        _author: Author,
    ) -> Verb<'_, Option<GroupRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn delete_group(&self, _id: GroupId, _author: Author) -> Verb<'_, Deletion> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn create_key(&self, _key: NewKey, _author: Author) -> Verb<'_, KeyRecord> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn key_by_digest(&self, _digest: KeyDigest) -> Verb<'_, Option<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn key(&self, _id: KeyId) -> Verb<'_, Option<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn keys(
        &self,
        _tenant: Option<TenantId>,
        _search: Option<String>,
        _after: KeyId,
        _limit: u32,
    ) -> Verb<'_, Vec<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn change_key(&self, _id: KeyId, _change: KeyChange, _author: Author) -> Verb<'_, Option<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn replace_key(
        &self,
        _id: KeyId,
        _successor: NewKey,
        _ends_at: Timestamp,
        _author: Author,
    ) -> Verb<'_, Option<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn delete_key(&self, _id: KeyId, _author: Author) -> Verb<'_, Deletion> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn import(
        &self,
        _groups: Vec<NewGroup>,
        _keys: Vec<ImportedKey>,
        _author: Author,
    ) -> Verb<'_, Vec<KeyRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn set_budget(
        &self,
        _payer: Payer,
        _period: Period,
        _budget: Option<Budget>,
        _author: Author,
    ) -> Verb<'_, ()> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn budgets(&self, _tenant: TenantId) -> Verb<'_, Vec<BudgetRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn meters(&self, _payer: Payer, _at: Timestamp) -> Verb<'_, Vec<Meter>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn create_operator(&self, _operator: NewOperator, _author: Author) -> Verb<'_, OperatorRecord> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn operator_by_digest(&self, _digest: KeyDigest) -> Verb<'_, Option<OperatorRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn operators(&self) -> Verb<'_, Vec<OperatorRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn revoke_operator(&self, _id: OperatorId, _author: Author) -> Verb<'_, Option<OperatorRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn audit(
        &self,
        _object: Option<String>,
        _before: Option<AuditId>,
        _limit: u32,
    ) -> Verb<'_, Vec<AuditRecord>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn keys_revision(&self) -> Verb<'_, i64> {
        Box::pin(async { Err(StoreError::Closed) })
    }
}
