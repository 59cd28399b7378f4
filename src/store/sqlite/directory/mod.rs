//! Tenants, groups, keys, operators and budgets in SQLite.
//!
//! A change reads the record, makes the new one of it, and writes when they differ: the record, and in the same
//! transaction its line in the audit log. What is deleted keeps its row, which the ledger names.

mod budgets;
mod groups;
mod import;
mod keys;
mod operators;
mod tenants;
mod tokens;

use crate::clock::Timestamp;
use crate::ids::{AuditId, GroupId, KeyId, OperatorId, TenantId, TokenId};
use crate::key::KeyDigest;
use crate::period::Period;
use crate::store::{
    AuditRecord, Author, Budget, BudgetRecord, Deletion, Directory, GroupChange, GroupRecord, ImportedKey,
    KeyChange, KeyRecord, Meter, NewGroup, NewKey, NewOperator, NewTenant, NewToken, OperatorRecord, Payer,
    RevokedTokens, TenantChange, TenantRecord, TokenRecord, TokenUse, Verb,
};

use super::{SqliteStore, audit};

impl Directory for SqliteStore {
    fn create_tenant(&self, tenant: NewTenant, author: Author) -> Verb<'_, TenantRecord> {
        self.write(move |session| tenants::create(session, &tenant, &author))
    }

    fn tenant(&self, id: TenantId) -> Verb<'_, Option<TenantRecord>> {
        self.read(move |session| tenants::by_id(session, id))
    }

    fn tenant_named(&self, name: String) -> Verb<'_, Option<TenantRecord>> {
        self.read(move |session| tenants::by_name(session, &name))
    }

    fn tenants(&self, search: Option<String>, after: TenantId, limit: u32) -> Verb<'_, Vec<TenantRecord>> {
        self.read(move |session| tenants::page(session, search.as_deref(), after, limit))
    }

    fn change_tenant(
        &self,
        id: TenantId,
        change: TenantChange,
        author: Author,
    ) -> Verb<'_, Option<TenantRecord>> {
        self.write(move |session| tenants::change(session, id, change, &author))
    }

    fn delete_tenant(&self, id: TenantId, author: Author) -> Verb<'_, Deletion> {
        self.write(move |session| tenants::delete(session, id, &author))
    }

    fn create_group(&self, group: NewGroup, author: Author) -> Verb<'_, GroupRecord> {
        self.write(move |session| groups::create(session, &group, &author))
    }

    fn group(&self, id: GroupId) -> Verb<'_, Option<GroupRecord>> {
        self.read(move |session| groups::by_id(session, id))
    }

    fn group_named(&self, name: String) -> Verb<'_, Option<GroupRecord>> {
        self.read(move |session| groups::by_name(session, &name))
    }

    fn groups(&self, search: Option<String>, after: GroupId, limit: u32) -> Verb<'_, Vec<GroupRecord>> {
        self.read(move |session| groups::page(session, search.as_deref(), after, limit))
    }

    fn change_group(
        &self,
        id: GroupId,
        change: GroupChange,
        author: Author,
    ) -> Verb<'_, Option<GroupRecord>> {
        self.write(move |session| groups::change(session, id, change, &author))
    }

    fn delete_group(&self, id: GroupId, author: Author) -> Verb<'_, Deletion> {
        self.write(move |session| groups::delete(session, id, &author))
    }

    fn create_key(&self, key: NewKey, author: Author) -> Verb<'_, KeyRecord> {
        self.write(move |session| keys::create(session, &key, &author))
    }

    fn key_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<KeyRecord>> {
        self.read(move |session| keys::by_digest(session, digest))
    }

    fn key(&self, id: KeyId) -> Verb<'_, Option<KeyRecord>> {
        self.read(move |session| keys::by_id(session, id))
    }

    fn keys(
        &self,
        tenant: Option<TenantId>,
        search: Option<String>,
        after: KeyId,
        limit: u32,
    ) -> Verb<'_, Vec<KeyRecord>> {
        self.read(move |session| keys::page(session, tenant, search.as_deref(), after, limit))
    }

    fn change_key(&self, id: KeyId, change: KeyChange, author: Author) -> Verb<'_, Option<KeyRecord>> {
        self.write(move |session| keys::change(session, id, change, &author))
    }

    fn replace_key(
        &self,
        id: KeyId,
        successor: NewKey,
        ends_at: Timestamp,
        author: Author,
    ) -> Verb<'_, Option<KeyRecord>> {
        self.write(move |session| keys::replace(session, id, successor, ends_at, &author))
    }

    fn delete_key(&self, id: KeyId, author: Author) -> Verb<'_, Deletion> {
        self.write(move |session| keys::delete(session, id, &author))
    }

    fn import(
        &self,
        groups: Vec<NewGroup>,
        keys: Vec<ImportedKey>,
        author: Author,
    ) -> Verb<'_, Vec<KeyRecord>> {
        self.write(move |session| import::import(session, &groups, &keys, &author))
    }

    fn set_budget(
        &self,
        payer: Payer,
        period: Period,
        budget: Option<Budget>,
        author: Author,
    ) -> Verb<'_, ()> {
        self.write(move |session| budgets::set(session, payer, period, budget, &author))
    }

    fn budgets(&self, tenant: TenantId) -> Verb<'_, Vec<BudgetRecord>> {
        self.read(move |session| budgets::of_tenant(session, tenant))
    }

    fn meters(&self, payer: Payer, at: Timestamp) -> Verb<'_, Vec<Meter>> {
        self.read(move |session| budgets::meters(session, payer, at))
    }

    fn create_operator(&self, operator: NewOperator, author: Author) -> Verb<'_, OperatorRecord> {
        self.write(move |session| operators::create(session, &operator, &author))
    }

    fn operator_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<OperatorRecord>> {
        self.read(move |session| operators::by_digest(session, digest))
    }

    fn operators(&self) -> Verb<'_, Vec<OperatorRecord>> {
        self.read(operators::all)
    }

    fn revoke_operator(&self, id: OperatorId, author: Author) -> Verb<'_, Option<OperatorRecord>> {
        self.write(move |session| operators::revoke(session, id, &author))
    }

    fn audit(
        &self,
        object: Option<String>,
        before: Option<AuditId>,
        limit: u32,
    ) -> Verb<'_, Vec<AuditRecord>> {
        self.read(move |session| audit::page(session, object.as_deref(), before, limit))
    }

    fn create_token(&self, token: NewToken) -> Verb<'_, Option<TokenId>> {
        self.write(move |session| tokens::create(session, &token))
    }

    fn token_by_digest(&self, digest: KeyDigest) -> Verb<'_, Option<TokenRecord>> {
        self.read(move |session| tokens::by_digest(session, digest))
    }

    fn live_tokens(&self, key: KeyId, at: Timestamp) -> Verb<'_, u64> {
        self.read(move |session| tokens::live(session, key, at, u32::MAX))
    }

    fn revoke_tokens(&self, key: KeyId, author: Author) -> Verb<'_, u64> {
        self.write(move |session| tokens::revoke(session, key, &author))
    }

    fn tokens(&self, key: KeyId, at: Timestamp, after: TokenId, limit: u32) -> Verb<'_, Vec<TokenUse>> {
        self.read(move |session| tokens::page(session, key, at, after, limit))
    }

    fn revoke_token(&self, key: KeyId, id: TokenId, at: Timestamp) -> Verb<'_, bool> {
        self.write(move |session| tokens::revoke_one(session, key, id, at))
    }

    fn revoked_tokens(&self, key: KeyId) -> Verb<'_, RevokedTokens> {
        self.read(move |session| tokens::revoked(session, key))
    }

    fn lists_origins(&self) -> Verb<'_, bool> {
        self.read(tokens::lists_origins)
    }

    fn keys_revision(&self) -> Verb<'_, i64> {
        self.read(keys::revision)
    }
}
