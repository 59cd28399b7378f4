//! Who asks: the operator behind a token. The role is held against what the route takes before anything else of the
//! request is read; the service does it again for each verb.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, header};

use super::problem::Problem;
use crate::admin::{Actor, Admin};
use crate::store::Role;

/// Why a change is made, for routes that take no body and for those that do.
pub(super) const X_RELAY_REASON: &str = "x-relay-reason";

/// Whoever may read.
pub(super) struct Reader(pub(super) Actor);

/// Whoever may change tenants, groups, keys, budgets and prices.
pub(super) struct Manager(pub(super) Actor);

/// Whoever may do everything.
pub(super) struct Owner(pub(super) Actor);

/// Declares that an extractor takes a role.
macro_rules! takes {
    ($($who:ident: $role:expr,)+) => {$(
        impl FromRequestParts<Admin> for $who {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, admin: &Admin) -> Result<Self, Problem> {
                operator(parts, admin, $role).await.map(Self)
            }
        }
    )+};
}

takes! {
    Reader: Role::Read,
    Manager: Role::Manage,
    Owner: Role::Owner,
}

async fn operator(parts: &Parts, admin: &Admin, needed: Role) -> Result<Actor, Problem> {
    let token = token(&parts.headers).ok_or_else(Problem::unauthorized)?;
    let actor = admin.authenticate(token).await?.ok_or_else(Problem::unauthorized)?;
    actor.may(needed)?;
    Ok(actor.because(reason(&parts.headers)?))
}

/// The text of the one bearer token.
fn token(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What the header says; the service checks it like the field of a body.
fn reason(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let text = headers.get(X_RELAY_REASON).map(|value| String::from_utf8(value.as_bytes().to_vec()));
    text.transpose().map_err(|_| Problem::field(X_RELAY_REASON, "must be UTF-8"))
}
