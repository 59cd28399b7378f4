//! `fal-relay check`: explains the configuration, and with `--upstream` asks fal whether the keys are good.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode, redirect, retry};

use crate::config::{Account, Config, ConfigError, Problem};
use crate::{tls, upstream};

/// How long fal may take to answer about one key.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// `check`
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// Also ask fal whether each account's key is good; costs nothing
    #[arg(long)]
    pub upstream: bool,
}

/// Prints every key, its value and where it came from. Fails when anything is wrong; the error says all of it.
pub async fn run(
    check: &Check,
    loaded: Result<Config, ConfigError>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let config = match loaded {
        Ok(config) => config,
        Err(error) => {
            error.explanation.write(out)?;
            return Err(error.into());
        }
    };
    config.explain(out)?;
    config.notices.iter().try_for_each(|notice| writeln!(out, "note: {notice}"))?;
    if config.accounts.is_empty() {
        writeln!(out, "note: {}", Problem::NoAccount)?;
    }
    if let Some(files) = &config.tls.files {
        tls::Certificates::load(files)?;
    }
    if check.upstream { ask_fal(&config, out).await } else { Ok(()) }
}

/// Says of each account whether fal takes its key.
async fn ask_fal(config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
    let client = client(&config.upstream)?;
    let mut refused = Vec::new();
    for account in &config.accounts {
        let name = account.name.as_str();
        let answer = ask(&client, &config.upstream.api_url, account).await;
        match &answer {
            Ok(status) if status.is_success() => {
                writeln!(out, "account {name}: fal takes the key ({status})")?;
            }
            Ok(status) => writeln!(out, "account {name}: fal answers {status}")?,
            Err(error) => writeln!(out, "account {name}: fal was not reached: {error:#}")?,
        }
        if !answer.is_ok_and(|status| status.is_success()) {
            refused.push(name);
        }
    }
    match refused.as_slice() {
        [] => Ok(()),
        names => bail!("not good at fal: {}", names.join(", ")),
    }
}

/// A listing of one model: a call that needs no paid work.
async fn ask(client: &Client, api_url: &str, account: &Account) -> anyhow::Result<StatusCode> {
    let mut credential = HeaderValue::try_from(format!("Key {}", account.key.expose()))?;
    credential.set_sensitive(true);
    let request = client.get(format!("{api_url}/v1/models?limit=1")).header(AUTHORIZATION, credential);
    // Without its address: an operator may have put something private there.
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    Ok(answer.status())
}

/// A client that goes where it is told and nowhere else.
fn client(upstream: &upstream::Settings) -> anyhow::Result<Client> {
    let tls = tls::client_config(upstream.ca_file.as_deref(), upstream.http2)?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(upstream.connect_timeout)
        .timeout(ANSWER_TIMEOUT)
        .build();
    client.context("set up the road to fal")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Query;
    use axum::http::HeaderMap;
    use axum::routing::get;
    use std::collections::HashMap;

    use super::*;

    /// A server in the place of fal's API that takes one key; returns its address.
    async fn api() -> String {
        let models = |headers: HeaderMap, Query(query): Query<HashMap<String, String>>| async move {
            match (
                headers.get(AUTHORIZATION).map(HeaderValue::as_bytes),
                query.get("limit").map(String::as_str),
            ) {
                (Some(b"Key good:0123456789abcdef"), Some("1")) => StatusCode::OK,
                (Some(b"Key moved:0123456789abcdef"), _) => StatusCode::TEMPORARY_REDIRECT,
                _ => StatusCode::UNAUTHORIZED,
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/models", get(models));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// The output and the error of a check with these variables.
    async fn check(upstream: bool, variables: &[(&str, &str)]) -> (String, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.toml");
        std::fs::write(&file, "").unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let loaded = Config::load(Some(&file), variables, false);
        let mut out = Vec::new();
        let outcome = run(&Check { upstream }, loaded, &mut out).await;
        (String::from_utf8(out).unwrap(), outcome.err().map(|error| format!("{error:#}")))
    }

    #[tokio::test]
    async fn the_configuration_is_explained_even_when_it_is_wrong() {
        let (out, error) = check(false, &[("FAL_RELAY_SERVER__WORKERS", "3")]).await;
        assert!(out.contains("workers = 3 ") && out.contains("there is no fal account"), "{out}");
        assert_eq!(error, None);

        let (out, error) = check(false, &[("FAL_RELAY_SERVER__WORKERS", "9999")]).await;
        assert!(out.contains("workers = 9999 "), "{out}");
        assert!(error.unwrap().contains("FAL_RELAY_SERVER__WORKERS: server.workers is 9999"));
    }

    #[tokio::test]
    async fn fal_is_asked_about_every_key_and_no_key_is_shown() {
        let api = api().await;
        let account = |name: &str| format!("FAL_RELAY_ACCOUNTS__{name}__KEY");
        let (good, bad, moved) = (account("GOOD"), account("BAD"), account("MOVED"));
        let url = ("FAL_RELAY_UPSTREAM__API_URL", api.as_str());
        let good = (good.as_str(), "good:0123456789abcdef");
        let (out, error) = check(true, &[url, good]).await;
        assert!(out.contains("account good: fal takes the key (200 OK)"), "{out}");
        assert_eq!(error, None);

        let bad = (bad.as_str(), "bad:0123456789abcdef");
        let moved = (moved.as_str(), "moved:0123456789abcdef");
        let (out, error) = check(true, &[url, good, bad, moved]).await;
        assert!(out.contains("account bad: fal answers 401 Unauthorized"), "{out}");
        assert!(out.contains("account moved: fal answers 307"), "{out}");
        assert_eq!(error.as_deref(), Some("not good at fal: bad, moved"));
        assert!(!out.contains("0123456789ab"), "{out}");
    }

    #[tokio::test]
    async fn an_upstream_that_is_away_is_told() {
        let key = ("FAL_KEY", "id:0123456789abcdef");
        let (out, error) = check(true, &[key, ("FAL_RELAY_UPSTREAM__API_URL", "http://127.0.0.1:1")]).await;
        assert!(out.contains("account default: fal was not reached"), "{out}");
        assert!(error.is_some());
    }
}
