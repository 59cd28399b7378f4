//! Where the relay is, as the configuration or the user says, and whether it answers there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use url::Url;

use super::Client;
use super::lines::Site;
use crate::cli::health::reachable;
use crate::config::Config;
use crate::tls;

/// How long a relay may take to say that it is there.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The relay's addresses: the one that the user `named`, else `server.public_url`, else its listeners on this machine.
pub(in crate::cli) fn site(
    named: Option<&str>,
    ca_file: Option<&Path>,
    config: &Config,
    sandbox: bool,
) -> anyhow::Result<Site> {
    let ca_file = match ca_file {
        Some(file) => {
            Some(std::path::absolute(file).with_context(|| format!("--ca-file {}", file.display()))?)
        }
        None => sandbox_ca(config, sandbox),
    };
    let named = named.or(config.server.public_url.as_deref());
    if let Some(url) = named {
        let base = base(url)?;
        let secure = base.starts_with("https://");
        let (http, https) = if secure { (None, Some(base)) } else { (Some(base), None) };
        return Ok(Site { http, https, ca_file: ca_file.filter(|_| secure) });
    }
    let server = &config.server;
    let port = |name: &str, address: SocketAddr| match address.port() {
        0 => bail!("server.{name} takes any free port, so it is not known here; say where the relay is"),
        port => Ok(port),
    };
    port("listen", server.listen)?;
    let https = match sandbox || config.tls.files.is_some() {
        true => Some(format!("https://localhost:{}", port("https_listen", server.https_listen)?)),
        false => None,
    };
    Ok(Site { http: Some(format!("http://{}", reachable(server.listen))), https, ca_file })
}

/// The authority that a relay in sandbox mode makes for itself, when it is there.
fn sandbox_ca(config: &Config, sandbox: bool) -> Option<PathBuf> {
    let own = sandbox && config.tls.files.is_none();
    let file = std::path::absolute(config.sandbox.data_dir.join("ca.pem")).ok();
    file.filter(|file| own && file.exists())
}

/// An address that others are built upon.
fn base(text: &str) -> anyhow::Result<String> {
    let url = Url::parse(text)
        .with_context(|| format!("{text} is no address of a relay; write https://relay.example.com"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https"),
        "the relay's address must begin with https:// or http://"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the relay's address must hold no user name or password"
    );
    ensure!(
        url.query().is_none() && url.fragment().is_none(),
        "the relay's address must end before any `?` or `#`"
    );
    let base = url.as_str().trim_end_matches('/').to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:[]".contains(c);
    ensure!(
        base.chars().all(plain),
        "the relay's address must be a plain address, such as https://relay.example.com"
    );
    Ok(base)
}

/// The address that `client` uses.
pub(super) fn address(client: Client, site: &Site) -> anyhow::Result<&str> {
    let https = site.https.as_deref();
    let address = match client {
        Client::Python => https,
        Client::Js | Client::Curl | Client::Httpie => site.http.as_deref().or(https),
    };
    address.context(
        "fal-client speaks https only, and this relay has no https address: give it a certificate in [tls], or a proxy \
         with one in front (and say so in server.public_url); then name that address with --url",
    )
}

/// What asks the relay.
pub(super) fn client(ca_file: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(ca_file, true)?)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(TIMEOUT);
    Ok(builder.build()?)
}

/// Asks whether a relay is at `address`.
pub(super) async fn answers(address: &str, ca_file: Option<&Path>) -> anyhow::Result<()> {
    let answer =
        client(ca_file)?.get(format!("{address}/health")).send().await.map_err(reqwest::Error::without_url);
    let answer = answer.with_context(|| format!("no relay answers at {address}"))?;
    let status = answer.status();
    ensure!(status.is_success(), "what answers at {address} is no relay, or not a healthy one: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_only_their_trailing_slash() {
        assert_eq!(base("https://relay.example.com/").unwrap(), "https://relay.example.com");
        assert_eq!(base("http://[::1]:8787/a/").unwrap(), "http://[::1]:8787/a");
    }

    #[test]
    fn odd_addresses_are_refused() {
        for odd in [
            "",
            "relay",
            "ftp://a",
            "https://u:p@a",
            "https://a?x",
            "https://a/#",
            "https://a/'b",
            "https://a/$(b)",
        ] {
            assert!(base(odd).is_err(), "{odd}");
        }
    }
}
