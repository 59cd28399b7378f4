//! The routes of a key's holder: which paths they are, and in which shape their errors come.

use http::Method;

use crate::fal::Role;
use crate::ids::TokenId;
use crate::metrics::Route;
use crate::relay::{HolderPage, Refusal};

/// The methods that they take.
const ALLOW: &str = "GET, HEAD";

/// The shape of an error's body (protocol 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As fal's queue and its gateway write it.
    Gateway,
    /// As its Platform API writes it.
    Platform,
    /// As its server proxy writes it.
    Proxy,
}

/// The page at a path, if it is one. They are the relay's own routes, and under no name that stands for a host of fal's.
pub(super) fn page(role: Role, path: &str) -> Option<HolderPage> {
    let rest = path.strip_prefix("/v1/").filter(|_| role == Role::Relay)?;
    match rest.strip_suffix('/').unwrap_or(rest) {
        "account" => Some(HolderPage::Account),
        "usage" => Some(HolderPage::Usage),
        "models" => Some(HolderPage::Models),
        "models/pricing" => Some(HolderPage::ModelPrices),
        _ => None,
    }
}

/// What a path under `/v1/tokens` stands for: all client tokens of a key, or the one of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    All,
    One(TokenId),
}

impl Tokens {
    /// What a path stands for, if it is one of these.
    pub(super) fn at(role: Role, path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v1/tokens").filter(|_| role == Role::Relay)?;
        match rest {
            "" | "/" => Some(Self::All),
            _ => {
                let digits = rest.strip_prefix('/')?;
                let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
                digits.parse().ok().filter(|_| is_plain).map(|id| Self::One(TokenId(id)))
            }
        }
    }

    /// The methods that it takes.
    pub(super) fn allow(self) -> &'static str {
        match self {
            Self::All => "GET, HEAD, POST",
            Self::One(_) => "DELETE",
        }
    }
}

/// Whether a path is where a key's holder hears of webhooks.
pub(super) fn is_events(role: Role, path: &str) -> bool {
    role == Role::Relay && matches!(path, "/v1/webhooks/events" | "/v1/webhooks/events/")
}

/// What the log line and the counts call a page.
pub(super) fn route(page: HolderPage) -> Route {
    match page {
        HolderPage::Account => Route::Account,
        HolderPage::Usage => Route::Usage,
        HolderPage::Models => Route::Models,
        HolderPage::ModelPrices => Route::ModelPrices,
    }
}

/// Whoever reads the Platform API's lists knows its errors.
pub(super) fn shape(route: Route) -> Shape {
    match route {
        Route::Models | Route::ModelPrices => Shape::Platform,
        Route::Proxy => Shape::Proxy,
        _ => Shape::Gateway,
    }
}

pub(super) fn check_method(method: &Method) -> Result<(), Refusal> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::Method { allow: ALLOW }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_plain_numbers() {
        for (path, wanted) in [
            ("/v1/tokens", Some(Tokens::All)),
            ("/v1/tokens/", Some(Tokens::All)),
            ("/v1/tokens/7", Some(Tokens::One(TokenId(7)))),
            ("/v1/tokens/+7", None),
            ("/v1/tokens/-7", None),
            ("/v1/tokens/7/", None),
            ("/v1/tokens/99999999999999999999", None),
            ("/v1/tokensx", None),
            ("/v1/tokens7", None),
        ] {
            assert_eq!(Tokens::at(Role::Relay, path), wanted, "{path}");
            assert_eq!(Tokens::at(Role::Run, path), None);
        }
    }

    #[test]
    fn pages_are_the_relays_own() {
        assert_eq!(page(Role::Relay, "/v1/models/pricing/"), Some(HolderPage::ModelPrices));
        assert_eq!(page(Role::Relay, "/v1/usage"), Some(HolderPage::Usage));
        for path in [
            "/v1",
            "/v1/",
            "/v1/usage//",
            "/v1/usage/x",
            "/V1/usage",
            "v1/usage",
            "/v1/models/pricing/estimate",
        ] {
            assert_eq!(page(Role::Relay, path), None, "{path}");
        }
        for role in [Role::Queue, Role::Run, Role::Rest] {
            assert_eq!(page(role, "/v1/account"), None);
        }
    }
}
