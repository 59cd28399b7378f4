//! Where tenant, group and key meet.

use std::net::IpAddr;
use std::sync::Arc;

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

/// What is left when each level has narrowed the others. Cheap to clone and to keep: the levels are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    tenant: Arc<Rules>,
    group: Arc<Rules>,
    key: Arc<Rules>,
}

impl Effective {
    /// The meeting of three levels; one that says nothing is the default.
    pub fn new(tenant: Arc<Rules>, group: Arc<Rules>, key: Arc<Rules>) -> Self {
        Self { tenant, group, key }
    }

    /// Each level with its rules. Limits do not merge: each counts on its own owner.
    pub fn levels(&self) -> [(Level, &Rules); 3] {
        [(Level::Tenant, &self.tenant), (Level::Group, &self.group), (Level::Key, &self.key)]
    }

    /// Whether the endpoint is allowed at every level that has a list, and denied at none. What is too long or too
    /// deep for an endpoint is not permitted.
    pub fn permits(&self, endpoint: &str) -> bool {
        Path::split(endpoint)
            .is_some_and(|path| self.levels().iter().all(|(_, rules)| rules.permits(endpoint, &path)))
    }

    /// Whether a call may come from this address.
    pub fn admits(&self, address: IpAddr) -> bool {
        self.levels().iter().all(|(_, rules)| rules.admits(address))
    }

    /// Whether a page of this origin may call; `origin` is the `Origin` header as the browser wrote it.
    pub fn admits_origin(&self, origin: &str) -> bool {
        self.levels().iter().all(|(_, rules)| rules.admits_origin(origin))
    }

    /// The largest price of one request: the least that a level says.
    pub fn max_request(&self) -> Option<Usd> {
        self.levels().iter().filter_map(|(_, rules)| rules.max_request_usd).min()
    }
}
