//! Holds the sandbox to its machine: a name is looked up, and its other addresses are left out.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Looks names up and keeps only the addresses of this machine.
pub(super) struct OnlyHere;

impl Resolve for OnlyHere {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let here: Vec<SocketAddr> =
                found.filter(|address| address.ip().to_canonical().is_loopback()).collect();
            match here.is_empty() {
                true => {
                    Err(format!("{} is not this machine, and --sandbox stays on it", name.as_str()).into())
                }
                false => Ok(Box::new(here.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address is a number of another machine: those are never looked up.
pub(super) fn is_elsewhere(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !address.is_loopback(),
        Some(Host::Ipv6(address)) => !address.to_canonical().is_loopback(),
        Some(Host::Domain(_)) => false,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_of_other_machines_have_no_address_here() {
        let resolve = |name: &str| OnlyHere.resolve(name.parse().unwrap());
        let found: Vec<_> = resolve("localhost").await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
        let error = resolve("192.0.2.1").await.err().unwrap().to_string();
        assert_eq!(error, "192.0.2.1 is not this machine, and --sandbox stays on it");
    }
}
