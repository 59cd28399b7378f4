//! What tenants are told of the ends of their jobs, in SQLite: the outbox and what became of it.

mod due;
mod outbox;
mod records;

use crate::clock::Timestamp;
use crate::ids::{CallId, DeliveryId, TenantId};
use crate::store::{
    Attempt, AttemptRecord, Author, DeliveryFilter, DeliveryRecord, DueDelivery, DueQuery, Finished,
    FollowedCall, Message, NewDelivery, Next, Outbox, Redelivery, Settlement, Verb, Webhooks,
};

use super::SqliteStore;

pub(super) use outbox::{begin, drop_unsent};

impl Webhooks for SqliteStore {
    fn followed_calls(&self, after: CallId, limit: u32) -> Verb<'_, Vec<FollowedCall>> {
        self.read(move |session| outbox::followed_calls(session, after, limit))
    }

    fn followed_call(&self, id: CallId) -> Verb<'_, Option<FollowedCall>> {
        self.read(move |session| outbox::followed_call(session, id))
    }

    fn finish(
        &self,
        id: CallId,
        settlement: Option<Settlement>,
        delivery: NewDelivery,
    ) -> Verb<'_, Finished> {
        self.write(move |session| outbox::finish(session, id, settlement.as_ref(), &delivery))
    }

    fn due_deliveries(&self, query: DueQuery) -> Verb<'_, Vec<DueDelivery>> {
        self.read(move |session| due::due(session, &query))
    }

    fn next_delivery(&self, now: Timestamp) -> Verb<'_, Option<Timestamp>> {
        self.read(move |session| due::next(session, now))
    }

    fn message(&self, id: DeliveryId) -> Verb<'_, Option<Message>> {
        self.read(move |session| due::message(session, id))
    }

    fn message_after(&self, tenant: TenantId, after: DeliveryId) -> Verb<'_, Option<Message>> {
        self.read(move |session| due::message_after(session, tenant, after))
    }

    fn attempted(&self, id: DeliveryId, attempt: Attempt, next: Next) -> Verb<'_, bool> {
        self.write(move |session| due::attempted(session, id, &attempt, next))
    }

    fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Verb<'_, Vec<DeliveryRecord>> {
        self.read(move |session| records::page(session, &filter, before, limit))
    }

    fn delivery(&self, id: DeliveryId) -> Verb<'_, Option<DeliveryRecord>> {
        self.read(move |session| records::by_id(session, id))
    }

    fn attempts(&self, id: DeliveryId) -> Verb<'_, Vec<AttemptRecord>> {
        self.read(move |session| records::attempts(session, id))
    }

    fn redeliver(&self, which: Redelivery, author: Author) -> Verb<'_, u64> {
        self.write(move |session| records::redeliver(session, which, &author))
    }

    fn last_delivery(&self) -> Verb<'_, DeliveryId> {
        self.read(due::last)
    }

    fn outbox(&self) -> Verb<'_, Outbox> {
        self.read(records::outbox)
    }

    fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Verb<'_, u64> {
        self.write(move |session| outbox::forget(session, before, limit))
    }
}
