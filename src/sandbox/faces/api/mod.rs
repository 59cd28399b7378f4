//! `api.fal.ai`: the models, their prices, and the books.

mod bills;
mod estimate;
mod models;
mod params;
mod prices;
mod usage;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use rust_decimal::Decimal;
use serde_json::json;
use serde_json::value::RawValue;

use super::caller;
use super::reply::Reply;
use super::{read_body, wrong_method};
use crate::sandbox::Fal;
use crate::sandbox::billing::{Books, Scope};
use crate::sandbox::job;
use params::Params;

/// The largest body of a call.
const MAX_BODY_BYTES: usize = 256 << 10;
/// Digits after the point of a nano-dollar.
const NANO_SCALE: u32 = 9;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Models,
    Pricing,
    Estimate,
    Usage,
    BillingEvents,
    Billing,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        match path {
            "v1/models" => Some(Self::Models),
            "v1/models/pricing" => Some(Self::Pricing),
            "v1/models/pricing/estimate" => Some(Self::Estimate),
            "v1/models/usage" => Some(Self::Usage),
            "v1/models/billing-events" => Some(Self::BillingEvents),
            "v1/account/billing" => Some(Self::Billing),
            _ => None,
        }
    }

    fn method(self) -> Method {
        if self == Self::Estimate { Method::POST } else { Method::GET }
    }

    fn is_for_admins(self) -> bool {
        matches!(self, Self::Usage | Self::BillingEvents | Self::Billing)
    }
}

/// Answers a call to the platform's API.
pub(super) async fn serve(fal: &Fal, path: &str, request: Request) -> Result<Response, Reply> {
    let place =
        Place::of(path).ok_or_else(|| error(StatusCode::NOT_FOUND, "not_found", "Resource not found"))?;
    if request.method() != place.method() {
        return Err(wrong_method(if place == Place::Estimate { "POST" } else { "GET" }));
    }
    admit(fal)?;
    let scope = scope(place, request.headers())?;
    let params = Params::read(request.uri());
    let reply = match place {
        Place::Models => models::list(fal, &params),
        Place::Pricing => prices::list(fal, &params),
        Place::Estimate => {
            let body = read_body(fal, request, MAX_BODY_BYTES).await?;
            estimate::of(fal, &scope, &body)
        }
        Place::Usage => usage::tell(fal, &scope, &params),
        Place::BillingEvents => bills::list(fal, &scope, &params),
        Place::Billing => bills::credits(fal, &scope, &params),
    };
    reply.map(IntoResponse::into_response)
}

fn admit(fal: &Fal) -> Result<(), Reply> {
    fal.books(Books::admit).map_err(|wait| {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        error(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Rate limit exceeded")
            .with("retry-after", &seconds.to_string())
    })
}

/// Whose bills the caller may see. Models may be listed without a key; a key that is given must be good.
fn scope(place: Place, headers: &HeaderMap) -> Result<Scope, Reply> {
    if place == Place::Models && !headers.contains_key(header::AUTHORIZATION) {
        return Ok(Scope::of(""));
    }
    let account = caller::account(headers, "api").map_err(|refusal| match refusal.status() {
        StatusCode::UNAUTHORIZED => {
            error(StatusCode::UNAUTHORIZED, "authorization_error", "Authentication required")
        }
        status => error(status, "authorization_error", "Access denied"),
    })?;
    let scope = Scope::of(job::key_id(&account));
    match place.is_for_admins() && !scope.is_admin {
        true => Err(error(StatusCode::FORBIDDEN, "authorization_error", "This needs an admin API key")),
        false => Ok(scope),
    }
}

/// A refusal as the platform words it.
pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "type": kind, "message": message } }))
}

/// A call that cannot be meant.
pub(super) fn invalid(message: &str) -> Reply {
    error(StatusCode::BAD_REQUEST, "validation_error", message)
}

/// A decimal number in JSON, digit by digit as it is: no binary fraction is made of it on the way.
pub(super) fn number(number: Decimal) -> Box<RawValue> {
    RawValue::from_string(number.normalize().to_string()).unwrap_or_default()
}

/// Nano-dollars as dollars.
fn nanos(nanos: i128) -> Decimal {
    Decimal::try_from_i128_with_scale(nanos, NANO_SCALE).unwrap_or(Decimal::MAX)
}
