//! The one door for money (invariant 2): whatever fal may bill passes here and nowhere else. Cheap checks before dear
//! ones: the endpoint, the rates and jobs in flight, what it may cost, and last the budgets, in the same transaction as
//! the row.

use std::sync::Arc;

use super::Relay;
use super::caller::Caller;
use super::ledger::Admitted;
use super::refusal::Refusal;
use crate::fal::Endpoint;
use crate::ids::{AccountName, CallId, LeaseId};
use crate::limits::{Admission, Ask, Bound, Standing};
use crate::money::{Usd, cost};
use crate::pricing::{Price, Quote, QuoteError, SAMPLE_BYTES, Sample, metered};
use crate::store::{CallKind, NewCall, NewWebhook, Spent, Terms};
use crate::upstream::{Beginning, RequestBody};

/// A call that wants to be made.
pub(super) struct Wanted<'a> {
    pub(super) caller: &'a Caller,
    pub(super) account: &'a AccountName,
    pub(super) endpoint: &'a Endpoint,
    /// The name that the rules know it by.
    pub(super) allowed_as: &'a Endpoint,
    pub(super) kind: CallKind,
    pub(super) tags: Option<Arc<str>>,
    /// What is to be told when it ends.
    pub(super) webhook: Option<NewWebhook>,
}

/// A call that may be made.
pub(super) struct Admittance {
    pub(super) admitted: Admitted,
    /// The limit that has the least left, for the answer's headers.
    pub(super) standing: Option<Standing>,
}

/// What is to be held beyond what is held for a call.
pub(super) struct More {
    pub(super) call: CallId,
    pub(super) amount: Usd,
    /// All that is then held for it.
    pub(super) total: Usd,
}

impl Relay {
    /// Lets a call that is not billed in under the limits on requests.
    pub async fn pace(&self, caller: &Caller) -> Result<(), Refusal> {
        self.let_in(caller, caller.request_bounds()).await
    }

    /// Lets an upload begin.
    pub async fn begin_upload(&self, caller: &Caller) -> Result<(), Refusal> {
        self.let_in(caller, caller.upload_bounds()).await
    }

    async fn let_in(&self, caller: &Caller, bounds: &[Bound]) -> Result<(), Refusal> {
        if bounds.is_empty() {
            return Ok(());
        }
        let ask = Ask { owners: caller.owners(), job: None };
        match self.shared.limits.admit(bounds, ask).await? {
            Admission::Granted(_) => Ok(()),
            Admission::Limited(limited) => Err(Refusal::Limited(limited)),
        }
    }

    /// Lets a call in that fal may bill: when this has answered, its row is on the disk and its money held.
    pub(super) async fn admit(
        &self,
        wanted: Wanted<'_>,
        body: &mut RequestBody,
    ) -> Result<Admittance, Refusal> {
        let endpoint: Arc<str> = wanted.endpoint.as_str().into();
        let name = wanted.allowed_as;
        let permits = |name: &str| wanted.caller.rules().permits(name);
        if !permits(name.as_str()) || name.other_name().is_some_and(|name| !permits(&name)) {
            return Err(Refusal::EndpointNotAllowed(name.as_str().into()));
        }
        let lease = self.shared.next_lease();
        let standing = self.take_place(wanted.caller, lease).await?;
        match self.hold(wanted, endpoint, lease, body).await {
            Ok(admitted) => Ok(Admittance { admitted, standing }),
            Err(refusal) => {
                self.ledger.leave(lease).await;
                Err(refusal)
            }
        }
    }

    /// A place under the rates and among the jobs in flight.
    async fn take_place(&self, caller: &Caller, lease: LeaseId) -> Result<Option<Standing>, Refusal> {
        let ask = Ask { owners: caller.owners(), job: Some(lease) };
        match self.shared.limits.admit(caller.billable_bounds(), ask).await? {
            Admission::Granted(standing) => Ok(standing),
            Admission::Limited(limited) => Err(Refusal::Limited(limited)),
        }
    }

    async fn hold(
        &self,
        wanted: Wanted<'_>,
        endpoint: Arc<str>,
        lease: LeaseId,
        body: &mut RequestBody,
    ) -> Result<Admitted, Refusal> {
        let Wanted { caller, account, kind, tags, webhook, .. } = wanted;
        let (mut quote, version) = self.quote(caller, &endpoint, body).await?;
        if kind == CallKind::Realtime {
            quote.hold = self.hold_of_socket(caller, &quote);
        }
        check_hold(caller, quote.hold)?;
        let now = self.shared.clock.now();
        let call = NewCall {
            tenant_id: caller.tenant_id(),
            key_id: caller.key_id(),
            token_id: caller.token_id(),
            account: account.clone(),
            endpoint,
            kind,
            lease,
            tags,
            hold: quote.hold,
            hold_basis: quote.basis.as_str(),
            terms: terms(caller, quote.price, version),
            windows: caller.windows(now),
            webhook,
            held_at: now,
        };
        let (admitted, told) = self.ledger.hold(call).await?;
        told.iter().for_each(|spent| self.tell(caller, spent));
        Ok(admitted)
    }

    /// Holds more for a call that is under way and may cost more than is held for it, under the caps that it was let in under.
    pub(super) async fn top_up(&self, caller: &Caller, more: More) -> Result<(), Refusal> {
        check_hold(caller, more.total)?;
        let told = self.ledger.top_up(more.call, more.amount).await?;
        told.iter().for_each(|spent| self.tell(caller, spent));
        Ok(())
    }

    /// What the call may cost; refused when that is more than one call may.
    async fn quote(
        &self,
        caller: &Caller,
        endpoint: &Arc<str>,
        body: &mut RequestBody,
    ) -> Result<(Quote, u64), Refusal> {
        let beginning = match self.shared.prices.needs_body(endpoint) {
            true => body.peek(SAMPLE_BYTES).await.map_err(|end| self.broken(end))?,
            false => Beginning { bytes: bytes::Bytes::new(), whole: false },
        };
        let sample = Sample { body: &beginning.bytes, whole: beginning.whole };
        let multiplier = caller.record().group.multiplier;
        let quote = self.shared.prices.quote(endpoint, multiplier, sample);
        let (quote, version) = quote.map_err(|error| match error {
            QuoteError::PriceUnknown => Refusal::PriceUnknown(endpoint.clone()),
            QuoteError::TooLarge(_) => Refusal::Malformed("The request asks for more than can ever be paid."),
        })?;
        Ok((quote, version))
    }

    /// What an open socket may use before more is held.
    fn hold_of_socket(&self, caller: &Caller, quote: &Quote) -> Usd {
        let settings = &self.shared.settings.realtime;
        let units = |price: &Price| metered(&price.unit, settings.hold, settings.hold_messages);
        let multiplier = caller.record().group.multiplier;
        let hold =
            quote.price.as_ref().and_then(|price| cost(units(price)?, price.unit_price, multiplier).ok());
        hold.unwrap_or(quote.hold)
    }

    fn broken(&self, end: crate::upstream::BodyEnd) -> Refusal {
        Refusal::of_body(end, self.shared.settings.max_body_bytes)
    }

    /// Says that a budget is nearly spent: in the log, and to the tenant's own address for alerts.
    fn tell(&self, caller: &Caller, spent: &Spent) {
        tracing::warn!(
            tenant = %caller.tenant(),
            key_id = spent.payer.key_id.map(|id| id.0),
            period = spent.period.as_str(),
            limit_usd = %spent.limit,
            left_usd = %spent.left,
            "a budget is nearly spent"
        );
        if let Some(url) = &caller.record().tenant.alert_url {
            self.shared.alerts.raise(url, alert(caller, spent));
        }
    }
}

/// Refuses what costs more than one call may.
fn check_hold(caller: &Caller, hold: Usd) -> Result<(), Refusal> {
    match caller.rules().max_request() {
        Some(limit) if hold > limit => Err(Refusal::TooDear { estimate: hold, limit }),
        _ => Ok(()),
    }
}

/// The price of a call as it stays until the call's end.
fn terms(caller: &Caller, price: Option<Price>, version: u64) -> Terms {
    let (unit_price, unit) = price.map(|price| (price.unit_price, price.unit)).unzip();
    let multiplier = caller.record().group.multiplier;
    Terms { unit_price, unit, multiplier, price_version: i64::try_from(version).ok() }
}

/// What a tenant's address for alerts is told of a budget.
fn alert(caller: &Caller, spent: &Spent) -> serde_json::Value {
    serde_json::json!({
        "type": "budget.nearly_spent",
        "tenant": caller.tenant(),
        "key_id": spent.payer.key_id,
        "period": spent.period,
        "limit_usd": spent.limit,
        "remaining_usd": spent.left,
        "resets_at": spent.resets_at.map(|at| at.to_string()),
    })
}
