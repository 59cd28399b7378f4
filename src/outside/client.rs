//! The client that calls judged addresses.

use reqwest::{RequestBuilder, redirect};

use super::{Guard, Pace, Target};

/// Sends to judged addresses, and nowhere else: no redirect is followed, no proxy of the environment asked, nothing sent
/// twice and nothing inflated.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    pub(super) fn new(guard: Guard, pace: Pace) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .dns_resolver(guard)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .user_agent(concat!("fal-relay/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(pace.connect_timeout)
            .timeout(pace.answer_timeout)
            .pool_max_idle_per_host(pace.idle_max)
            .pool_idle_timeout(pace.idle_timeout);
        Ok(Self(builder.build()?))
    }

    /// Begins a POST. The judged address was judged by the guard that made this client, or by one that says the same.
    pub fn post(&self, target: &Target) -> RequestBuilder {
        self.0.post(target.url())
    }
}
