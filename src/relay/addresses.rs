//! The addresses that become ours, ready made: one set for each base under which tenants reach the relay.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::fal::{Addresses, AppBase};
use crate::upstream;

/// Bases are few; a client that invents host names costs itself a small allocation and nobody anything else.
const BASES_MAX: usize = 64;

pub(super) struct AddressBook {
    fal: Addresses,
    ready: Cache<String, Arc<Addresses>>,
}

impl AddressBook {
    pub(super) fn new(settings: &upstream::Settings) -> Self {
        let fal = std::iter::once(settings.queue_url.clone()).chain(settings.queue_aliases.iter().cloned());
        Self { fal: Addresses::new(fal, ""), ready: Cache::new(BASES_MAX) }
    }

    /// Addresses for answers to a client that reached the relay under `base`.
    pub(super) fn under(&self, base: &str) -> Arc<Addresses> {
        if let Some(addresses) = self.ready.get(base) {
            return addresses;
        }
        let addresses = Arc::new(self.fal.with_public(base));
        self.ready.insert(base.to_owned(), addresses.clone());
        addresses
    }

    /// The app base of an address that fal returned, if it is one of fal's queue.
    pub(super) fn app_base(&self, address: &str) -> Option<AppBase> {
        AppBase::from_address(address, self.fal.fal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_7_invented_hosts_take_no_more_room_than_a_few() {
        let book = AddressBook::new(&upstream::Settings::default());
        for number in 0..10_000 {
            book.under(&format!("http://host-{number}.test"));
        }
        assert!(book.ready.len() <= BASES_MAX, "{}", book.ready.len());
    }
}
