//! stub
use super::SqliteStore;
use crate::clock::Timestamp;
use crate::ids::*;
use crate::key::KeyDigest;
use crate::period::Period;
use crate::store::*;
impl Ledger for SqliteStore {
    fn hold(&self, _call: NewCall) -> Verb<'_, HeldCall> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn sent(&self, _id: CallId, _sent: SentCall) -> Verb<'_, ()> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn settle(&self, _id: CallId, _settlement: Settlement) -> Verb<'_, bool> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn release(&self, _id: CallId, _release: Release) -> Verb<'_, bool> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn lose(&self, _id: CallId, _at: Timestamp) -> Verb<'_, bool> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn lose_abandoned(&self, _before: Timestamp) -> Verb<'_, u64> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn owned(&self, _tenant: TenantId, _request_id: RequestId) -> Verb<'_, Option<OwnedCall>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
    fn open_calls(&self, _after: CallId, _limit: u32) -> Verb<'_, Vec<OpenCall>> {
        Box::pin(async { Err(StoreError::Closed) })
    }
}
