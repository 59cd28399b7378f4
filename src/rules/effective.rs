//! Where tenant, group and key meet.

use std::net::IpAddr;

use crate::money::Usd;

use super::Rules;
use super::glob::Path;

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The tenant's.
    Tenant,
    /// The group's.
    Group,
    /// The key's.
    Key,
}

/// What is left when each level has narrowed the others. Compiled globs are shared with the rules that it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    levels: [Rules; 3],
    /// What a client token says, below all levels.
    token: Option<Rules>,
}

impl Effective {
    /// The meeting of the rules of a tenant, a group and a key, in this order.
    pub fn new(levels: [&Rules; 3]) -> Self {
        Self { levels: levels.map(Clone::clone), token: None }
    }

    /// The same for the holder of a client token that says this.
    pub fn narrowed(self, token: &Rules) -> Self {
        Self { token: Some(token.clone()), ..self }
    }

    fn all(&self) -> impl Iterator<Item = &Rules> {
        self.levels.iter().chain(&self.token)
    }

    /// Each level with its rules. Limits do not merge: each counts on its own owner.
    pub fn levels(&self) -> [(Level, &Rules); 3] {
        let [tenant, group, key] = &self.levels;
        [(Level::Tenant, tenant), (Level::Group, group), (Level::Key, key)]
    }

    /// Whether the endpoint is allowed at every level that has a list, and denied at none. What is too long or too
    /// deep for an endpoint is not permitted.
    pub fn permits(&self, endpoint: &str) -> bool {
        Path::split(endpoint).is_some_and(|path| self.all().all(|rules| rules.permits(endpoint, &path)))
    }

    /// Whether the endpoint is denied at some level, whatever is allowed.
    pub fn denies(&self, endpoint: &str) -> bool {
        self.all().any(|rules| rules.deny.matches(endpoint))
    }

    /// Whether a call may come from this address.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.all().all(|rules| rules.admits(address))
    }

    /// Whether a page of this origin may call; `origin` is the `Origin` header as the browser wrote it.
    pub fn admits_origin(&self, origin: &str) -> bool {
        self.all().all(|rules| rules.admits_origin(origin))
    }

    /// Whether any level lists origins.
    pub fn lists_origins(&self) -> bool {
        self.all().any(|rules| !rules.origins.is_empty())
    }

    /// The most bytes of one upload: the least that a level says.
    pub fn max_upload(&self) -> Option<u64> {
        self.all().filter_map(|rules| rules.max_upload_bytes).min()
    }

    /// The largest price of one request: the least that a level says.
    pub fn max_request(&self) -> Option<Usd> {
        self.all().filter_map(|rules| rules.max_request_usd).min()
    }
}
