//! The receiver on the developer's machine. It is his own, so any address that he names is called; but no other one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use url::Url;

use super::events::Webhook;
use crate::tls;

/// As long as the relay itself gives a receiver.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends webhooks to one address.
pub(super) struct Sender {
    client: reqwest::Client,
    url: Url,
}

impl Sender {
    pub(super) fn new(text: &str, ca_file: Option<&Path>) -> anyhow::Result<Self> {
        let url = Url::parse(text).with_context(|| {
            format!("--forward {text} is no address; write one such as http://localhost:3000/hook")
        })?;
        ensure!(matches!(url.scheme(), "http" | "https"), "--forward must begin with http:// or https://");
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(ca_file, true)?)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("fal-relay/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        Ok(Self { client, url })
    }

    /// Sends the very bytes and headers; the status of the answer, or why there is none.
    pub(super) async fn send(&self, webhook: Webhook) -> String {
        let sent =
            self.client.post(self.url.clone()).headers(webhook.headers).body(webhook.body).send().await;
        match sent {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) if error.is_connect() => "no connection could be made".into(),
            Err(error) if error.is_timeout() => "no answer in time".into(),
            Err(_) => "the connection broke before the answer".into(),
        }
    }
}
