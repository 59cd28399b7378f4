//! Whose request an id is. A queued call is remembered from its submit on, so that polls touch no store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;

use super::caller::Caller;
use super::refusal::Refusal;
use crate::fal::Endpoint;
use crate::ids::{RequestId, TenantId};
use crate::metrics::{Memory, Worker};
use crate::money::Usd;
use crate::pricing::Basis;
use crate::store::{OwnedCall, Store};

/// A queued call that its owner asks after.
pub(super) struct Followed {
    /// What the ledger knows of it.
    pub(super) call: OwnedCall,
    ended: AtomicBool,
    cost: OnceLock<(Usd, Basis)>,
}

impl Followed {
    /// True once: for the first answer that ends the job, unless the ledger had its end before.
    pub(super) fn first_end(&self) -> bool {
        !self.ended.swap(true, Ordering::Relaxed)
    }

    /// Keeps what the job cost its tenant.
    pub(super) fn cost_is(&self, cost: (Usd, Basis)) {
        // The first word counts: later truth is an adjustment.
        let _ = self.cost.set(cost);
    }

    /// What the job cost its tenant, where that is known.
    pub(super) fn cost(&self) -> Option<(Usd, Basis)> {
        self.cost.get().copied()
    }
}

/// The owners that were asked for lately. Only calls that exist are kept: a stranger's guesses take no room.
pub(super) struct Owners {
    store: Arc<dyn Store>,
    known: Cache<(TenantId, RequestId), Arc<Followed>>,
}

impl Owners {
    pub(super) fn new(store: Arc<dyn Store>, entries: usize) -> Self {
        Self { store, known: Cache::new(entries) }
    }

    /// Remembers a call that fal has just taken, or that was looked up.
    pub(super) fn remember(&self, tenant: TenantId, request_id: RequestId, call: OwnedCall) -> Arc<Followed> {
        let ended = AtomicBool::new(call.closed);
        let cost = call.charge.map_or_else(OnceLock::new, OnceLock::from);
        let job = Arc::new(Followed { call, ended, cost });
        self.known.insert((tenant, request_id), job.clone());
        job
    }

    /// The call behind an id, if this tenant made it and the path names its app. Another tenant's is unknown
    /// (invariant 3): the look-up is by tenant and id together, so there is nothing to compare afterwards.
    pub(super) async fn find(
        &self,
        caller: &Caller,
        endpoint: &Endpoint,
        request_id: &RequestId,
        counts: &Worker,
    ) -> Result<Arc<Followed>, Refusal> {
        let tenant = caller.tenant_id();
        let known = self.known.get(&(tenant, request_id.clone()));
        counts.looked_up(Memory::Owner, known.is_some());
        let job = match known {
            Some(job) => job,
            None => {
                let call = self.store.owned(tenant, request_id.clone()).await?;
                self.remember(tenant, request_id.clone(), call.ok_or(Refusal::UnknownRequest)?)
            }
        };
        match names_app(endpoint, &job.call) && caller.may_follow(&job.call.endpoint) {
            true => Ok(job),
            false => Err(Refusal::UnknownRequest),
        }
    }
}

/// Follow-ups name the call's app by its base or by the whole endpoint id (protocol 1.4).
fn names_app(endpoint: &Endpoint, call: &OwnedCall) -> bool {
    let text = endpoint.as_str();
    if text == &*call.app_base || text == &*call.endpoint {
        return true;
    }
    let named = endpoint.app_base();
    named.as_str() == &*call.app_base
        || Endpoint::parse(&call.endpoint).is_ok_and(|called| called.app_base() == named)
}
