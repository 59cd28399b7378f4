//! What the chapters stand on: the real binary on free ports, a fal that says what a test tells it to, and a client that
//! sees every byte.

mod client;
mod fal;
mod office;
mod relay;
mod socket;
mod time;

pub(crate) use client::{Answer, Client, get, post, read_answer, read_answer_if_any, request};
pub(crate) use fal::{Fal, Seen, Step, json, reply, submit_reply};
pub(crate) use office::{Made, Office, Wish, author, budget, now, usd};
pub(crate) use relay::{Relay, binary};
pub(crate) use socket::{Ends, frame, handshake, masked, read_frame, switch};
pub(crate) use time::LeapingClock;

/// The fal key of the tests' account: nothing that a tenant sees may hold any part of it.
pub(crate) const FAL_KEY: &str = "c0ffee00-canary:5ecre7f00dcanary";
/// The secret part of it.
pub(crate) const FAL_SECRET: &str = "5ecre7f00dcanary";

/// Waits until `condition` holds; a test that never gets there is ended by the test runner's limit.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        pause().await;
    }
}

/// An address that nobody has, for a relay that must be found there again: below the ports that the system gives to others
/// meanwhile.
pub(crate) fn free_address() -> String {
    let first = 9_000 + u16::try_from(std::process::id() % 900).unwrap();
    let mut free = (first..).filter_map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    free.next().unwrap().local_addr().unwrap().to_string()
}

/// Leaves others a moment between two looks.
pub(crate) async fn pause() {
    tokio::task::yield_now().await;
    tokio::time::timeout(std::time::Duration::from_millis(5), std::future::pending::<()>()).await.ok();
}
