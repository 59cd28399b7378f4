//! The proxy convention of fal's clients (protocol 11): one address for all calls, and a header that says where each would
//! have gone. A call that comes this way is the call that it names, and takes the same journey.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, request};

use super::settings::Settings;
use super::site::Site;
use crate::fal::{self, Call, Role, RouteError, TargetHosts, X_FAL_TARGET_URL, target_below};
use crate::relay::Refusal;
use crate::secret::Secret;
use crate::upstream;

/// Tells fal of the proxy in between; fal's own sends it too.
const X_FAL_CLIENT_PROXY: HeaderName = HeaderName::from_static("x-fal-client-proxy");
const PROXY_NAME: HeaderValue = HeaderValue::from_static(concat!("fal-relay/", env!("CARGO_PKG_VERSION")));

/// The route, when there is one.
pub(super) struct Proxy {
    path: Option<String>,
    hosts: TargetHosts,
    max_target_bytes: usize,
}

/// A call as a request names it, and the query that belongs to it.
pub(super) struct Named {
    pub(super) call: Result<Call, RouteError>,
    pub(super) query: Option<String>,
    /// What opens the call and stood in the address: it has left the query in any case.
    pub(super) token: Option<Secret>,
}

impl Named {
    pub(super) fn new(call: Result<Call, RouteError>, query: Option<&str>) -> Self {
        let (token, query) = query.map(fal::take_token).unzip();
        let is_opened_by_it = call.as_ref().is_ok_and(Call::takes_token_in_query);
        let token = token.flatten().filter(|_| is_opened_by_it);
        Self { call, query: query.map(Cow::into_owned), token }
    }
}

impl Proxy {
    /// The hosts that a target may name: fal's, those that the operator put in their place, and those that he gave the relay.
    pub(super) fn new(settings: &Settings, upstream: &upstream::Settings) -> Self {
        let named = |names: &[String], role| {
            names.iter().map(move |name| (["https://", name].concat(), role)).collect::<Vec<_>>()
        };
        let placed = [
            (upstream.queue_url.clone(), Role::Queue),
            (upstream.run_url.clone(), Role::Run),
            (upstream.rest_url.clone(), Role::Rest),
        ];
        let aliases = upstream.queue_aliases.iter().map(|base| (base.clone(), Role::Queue));
        let given = [
            named(&settings.hosts.queue, Role::Queue),
            named(&settings.hosts.run, Role::Run),
            named(&settings.hosts.rest, Role::Rest),
        ];
        let hosts = TargetHosts::new(placed.into_iter().chain(aliases).chain(given.concat()));
        Self { path: settings.proxy_path.clone(), hosts, max_target_bytes: settings.max_target_bytes }
    }

    /// The call that a request names by the convention; `None` when its path is not the route's.
    pub(super) fn named(&self, parts: &mut request::Parts, site: &Site) -> Option<Result<Named, Refusal>> {
        let path = parts.uri.path();
        let rest = path.strip_prefix(self.path.as_deref()?).filter(|_| site.role == Role::Relay)?;
        match rest.strip_prefix('/') {
            None if !rest.is_empty() => None,
            None | Some("") => Some(self.call(parts, site, None)),
            // No endpoint is meant by a longer path below the route.
            Some(token) if token.contains('/') => Some(Err(Refusal::UnknownRoute)),
            Some(token) => Some(self.call(parts, site, Some(Secret::new(token)))),
        }
    }

    /// The stock proxy looks at the target before it asks who calls, and so does this.
    fn call(&self, parts: &mut request::Parts, site: &Site, token: Option<Secret>) -> Result<Named, Refusal> {
        let text = self.header(&parts.headers).ok_or(Refusal::BadTarget)?;
        let target = self.hosts.read(text).or_else(|| target_below(text, &site.base));
        let target = target.ok_or(Refusal::BadTarget)?;
        let call = fal::parse(target.role, &parts.method, target.path);
        if matches!(call, Err(RouteError::Malformed(_))) || !may_name(target.role, &call) {
            return Err(Refusal::BadTarget);
        }
        let named = Named::new(call, target.query);
        parts.headers.insert(X_FAL_CLIENT_PROXY, PROXY_NAME);
        Ok(Named { token: token.or(named.token), ..named })
    }

    /// The target as text, when there is one and no more.
    fn header<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let mut values = headers.get_all(X_FAL_TARGET_URL).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok().filter(|text| text.len() <= self.max_target_bytes)
    }
}

/// Of the relay's own addresses only those that it gives out: what to ask about a job.
fn may_name(role: Role, call: &Result<Call, RouteError>) -> bool {
    role != Role::Relay || matches!(call, Ok(Call::Follow { .. }))
}
