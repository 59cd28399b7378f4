//! The addresses that become ours, ready made: one set for each base under which tenants reach the relay.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::fal::Addresses;
use crate::upstream;

/// Bases are few; a client that invents host names costs itself a small allocation and nobody anything else.
const BASES_MAX: usize = 64;

pub(super) struct AddressBook {
    fal: Vec<String>,
    ready: Cache<String, Arc<Addresses>>,
}

impl AddressBook {
    pub(super) fn new(settings: &upstream::Settings) -> Self {
        let mut fal = vec![settings.queue_url.clone()];
        fal.extend(settings.queue_aliases.iter().filter(|alias| **alias != settings.queue_url).cloned());
        Self { fal, ready: Cache::new(BASES_MAX) }
    }

    /// Addresses for answers to a client that reached the relay under `base`.
    pub(super) fn under(&self, base: &str) -> Arc<Addresses> {
        if let Some(addresses) = self.ready.get(base) {
            return addresses;
        }
        let addresses = Arc::new(Addresses { fal: self.fal.clone(), public: base.to_owned() });
        self.ready.insert(base.to_owned(), addresses.clone());
        addresses
    }

    /// The path of an address that fal returned, if it is one of fal's queue.
    pub(super) fn path_of<'a>(&self, address: &'a str) -> Option<&'a str> {
        self.fal.iter().find_map(|base| address.strip_prefix(base.as_str())).filter(|path| path.starts_with('/'))
    }
}
