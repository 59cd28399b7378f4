//! Looks names up for a client, and gives it only addresses that were judged. The client dials what it is given, so a name
//! cannot mean one address when it is checked and another when it is called.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{Found, Guard, Refused};

/// Addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 32;

pub(super) fn ask_the_system(name: String) -> Found {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.take(ADDRESSES_MAX).collect()) })
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = (guard.look_up)(name.as_str().to_owned()).await.map_err(|_| Refused::Unknown)?;
            let judged = guard.judge_all(found)?;
            Ok(Box::new(judged.into_iter()) as Addrs)
        })
    }
}

impl Guard {
    /// One refused address is enough to refuse a name: who mixes them wants the relay to come to the wrong one.
    fn judge_all(&self, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        if found.is_empty() {
            return Err(Refused::Unknown);
        }
        let found: Vec<_> = found.into_iter().take(ADDRESSES_MAX).collect();
        found.iter().try_for_each(|address| self.judge_ip(address.ip()))?;
        Ok(found)
    }
}
