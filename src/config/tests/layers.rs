use std::time::Duration;

use super::{Operator, explained};
use crate::config::said::{DEFAULTS, Said, Value};
use crate::{billing, http, relay, sandbox, telemetry, tls, upstream, webhooks};

#[test]
fn the_default_file_and_the_defaults_of_each_room_are_the_same() {
    let config = Operator::default().load().unwrap();
    assert_eq!(config.server, http::Settings::default());
    assert_eq!(config.tls, tls::Settings::default());
    assert_eq!(config.upstream, upstream::Settings::default());
    assert_eq!(config.relay, relay::Settings::default());
    assert_eq!(config.billing, billing::Settings::default());
    assert_eq!((config.platform.url.as_str(), config.platform.loopback_only), ("https://api.fal.ai", false));
    assert_eq!(config.platform.requests_per_second.get(), 2);
    assert_eq!(config.webhooks, webhooks::Settings::default());
    assert_eq!(config.log, telemetry::Settings::default());
    assert_eq!(config.sandbox, sandbox::Settings::default());
    assert_eq!(config.store.sqlite_path, std::path::Path::new("fal-relay-data/relay.db"));
    assert_eq!(config.store.batch_max, 512);
    assert!(config.notices.is_empty());
    assert_eq!(config.require_account().unwrap_err().problems, [crate::config::Problem::NoAccount]);
}

#[test]
fn the_default_file_may_be_the_operators_file() {
    let from_defaults = Operator::writes(DEFAULTS).load().unwrap();
    assert_eq!(from_defaults.server, http::Settings::default());
    assert!(explained(&from_defaults).contains("relay.toml:"));
}

#[test]
fn every_key_is_honoured() {
    // A value of the wrong kind behind each key in turn: a key that nobody reads would not be missed.
    for entry in Said::new(false).entries {
        let mut said = Said::new(false);
        let other = match entry.value {
            Value::Number(_) => Value::Text("x".into()),
            _ => Value::Number(-1),
        };
        said.set(&entry.key, other, entry.origin);
        let error = crate::config::Config::mean(said).expect_err(&entry.key);
        assert!(error.to_string().contains(&entry.key), "{error}");
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let config =
        Operator::writes("[server]\nworkers = 3\ndrain_seconds = 7\n[server.hosts]\nrun = [\"Run.Example\"]")
            .sets("FAL_RELAY_SERVER__WORKERS", "5")
            .sets("FAL_RELAY_SERVER__HOSTS__QUEUE", "a.example, b.example,")
            .sets("FAL_RELAY_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::1")
            .sets("FAL_RELAY_UPSTREAM__HTTP2", "false")
            .sets("FAL_RELAY_SERVER__PUBLIC_URL", "https://fal.example.com/x/")
            .load()
            .unwrap();
    assert_eq!(config.server.workers.map(std::num::NonZeroUsize::get), Some(5));
    assert_eq!(config.server.drain, Duration::from_secs(7));
    assert_eq!(config.server.hosts.queue, ["a.example", "b.example"]);
    assert_eq!(config.server.hosts.run, ["run.example"]);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.server.public_url.as_deref(), Some("https://fal.example.com/x"));
    assert!(!config.upstream.http2);

    let text = explained(&config);
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("workers = 5 ").ends_with("# FAL_RELAY_SERVER__WORKERS"), "{text}");
    assert!(line("drain_seconds = 7 ").ends_with("relay.toml:3:1"), "{text}");
    assert!(line("keep_alive_seconds = 75 ").ends_with("# default"), "{text}");
}

#[test]
fn fal_key_alone_is_an_account() {
    let config = Operator::default().sets("FAL_KEY", "0123456789ab:0123456789abcdef\n").load().unwrap();
    assert_eq!(config.accounts.len(), 1);
    assert_eq!(config.accounts[0].name.as_str(), "default");
    assert_eq!(config.accounts[0].key.expose(), "0123456789ab:0123456789abcdef");
    assert!(explained(&config).contains("default = ****cdef"));
    assert!(!format!("{config:?}").contains("0123456789ab"));
}

#[test]
fn accounts_come_from_the_file_the_environment_and_key_files() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "file-id:file-secret\n").unwrap();
    let text = format!(
        "[[accounts]]\nname = \"team-a\"\nkey = \"old:old\"\n[[accounts]]\nname = \"b\"\nkey_file = {:?}",
        key_file.display().to_string()
    );
    let config = Operator::writes(&text)
        .sets("FAL_RELAY_ACCOUNTS__TEAM_A__KEY", "new:new")
        .sets("FAL_RELAY_ACCOUNTS__C__KEY", "c:c")
        .sets("FAL_KEY", "un:used")
        .load()
        .unwrap();
    let accounts: Vec<_> = config.accounts.iter().map(|a| (a.name.as_str(), a.key.expose())).collect();
    assert_eq!(accounts, [("team-a", "new:new"), ("b", "file-id:file-secret"), ("c", "c:c")]);
    assert_eq!(config.notices, ["FAL_KEY is not used, since accounts are configured"]);
}

#[test]
fn admin_keys_come_from_the_file_the_environment_and_key_files() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "file-id:file-secret\n").unwrap();
    let text = format!(
        "[[accounts]]\nname = \"a\"\nkey = \"a:a\"\nadmin_key = \"old:old\"\n\
         [[accounts]]\nname = \"b\"\nkey = \"b:b\"\nadmin_key_file = {:?}\n\
         [[accounts]]\nname = \"c\"\nkey = \"c:c\"",
        key_file.display().to_string()
    );
    let said =
        Operator::writes(&text).sets("FAL_RELAY_ACCOUNTS__A__ADMIN_KEY", "0123456789ab:0123456789abcdef");
    let config = said.load().unwrap();
    let admin_key = |account: &crate::config::Account| Some(account.admin_key.as_ref()?.expose().to_owned());
    let keys: Vec<_> = config.accounts.iter().map(|a| (a.key.expose().to_owned(), admin_key(a))).collect();
    let pair = |key: &str, admin_key: Option<&str>| (key.to_owned(), admin_key.map(str::to_owned));
    assert_eq!(
        keys,
        [
            pair("a:a", Some("0123456789ab:0123456789abcdef")),
            pair("b:b", Some("file-id:file-secret")),
            pair("c:c", None)
        ]
    );
    assert!(explained(&config).contains("a.admin_key = ****cdef"));
    assert!(!format!("{config:?}").contains("0123456789ab"));
}

#[test]
fn fal_key_may_have_an_admin_key_beside_it() {
    let admin_key = ("FAL_RELAY_ACCOUNTS__DEFAULT__ADMIN_KEY", "id:admin");
    let config =
        Operator::default().sets("FAL_KEY", "id:secret").sets(admin_key.0, admin_key.1).load().unwrap();
    let account = &config.accounts[0];
    assert_eq!((account.name.as_str(), account.key.expose()), ("default", "id:secret"));
    assert_eq!(account.admin_key.as_ref().map(crate::secret::Secret::expose), Some("id:admin"));
    assert!(config.notices.is_empty());
    let refused = Operator::default().sets(admin_key.0, admin_key.1).refused();
    assert!(refused.contains("need a key"), "{refused}");
    let refused = Operator::default().sets("FAL_KEY", "id:secret").sets(admin_key.0, "hidden").refused();
    assert!(
        refused.contains("accounts.admin_key is not a fal key") && !refused.contains("hidden"),
        "{refused}"
    );
}

#[test]
fn variables_of_a_kubernetes_service_do_not_stop_the_relay() {
    let config = Operator::default()
        .sets("FAL_RELAY_SERVICE_HOST", "10.0.0.1")
        .sets("FAL_RELAY_PORT_8787_TCP_ADDR", "10.0.0.1")
        .sets("FAL_RELAY_PORT", "tcp://10.0.0.1:8787")
        .sets("FAL_RELAY_SERVICE_PORT_HTTP", "8787")
        .load()
        .unwrap();
    assert_eq!(config.notices.len(), 4);
}
