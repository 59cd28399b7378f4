//! The journey of a call in SQLite. Every statement that moves a row names the states from which it may, so that a race
//! is decided by the row and not by who looked first; and the row's money moves in the same transaction.

mod close;
mod hold;
mod lookup;

use crate::clock::Timestamp;
use crate::ids::{CallId, RequestId, TenantId};
use crate::store::{
    HeldCall, Ledger, NewCall, OpenCall, OwnedCall, Release, SentCall, Settlement, Spent, TopUp, Verb,
};

use super::SqliteStore;

pub(super) use close::settle;

impl Ledger for SqliteStore {
    fn hold(&self, call: NewCall) -> Verb<'_, HeldCall> {
        self.write(move |session| hold::hold(session, &call))
    }

    fn top_up(&self, id: CallId, more: TopUp) -> Verb<'_, Vec<Spent>> {
        self.write(move |session| hold::top_up(session, id, &more))
    }

    fn sent(&self, id: CallId, sent: SentCall) -> Verb<'_, ()> {
        self.write(move |session| hold::sent(session, id, &sent))
    }

    fn settle(&self, id: CallId, settlement: Settlement) -> Verb<'_, bool> {
        self.write(move |session| close::settle(session, id, &settlement))
    }

    fn release(&self, id: CallId, release: Release) -> Verb<'_, bool> {
        self.write(move |session| close::release(session, id, &release))
    }

    fn lose(&self, id: CallId, at: Timestamp) -> Verb<'_, bool> {
        self.write(move |session| hold::lose(session, id, at))
    }

    fn lose_abandoned(&self, before: Timestamp) -> Verb<'_, u64> {
        self.write(move |session| hold::lose_abandoned(session, before))
    }

    fn owned(&self, tenant: TenantId, request_id: RequestId) -> Verb<'_, Option<OwnedCall>> {
        self.read(move |session| lookup::owned(session, tenant, &request_id))
    }

    fn open_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<OpenCall>> {
        self.read(move |session| lookup::open_calls(session, after, limit))
    }
}
