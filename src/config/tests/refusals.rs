use insta::assert_snapshot;
use proptest::prelude::*;

use super::Operator;
use crate::config::Config;

#[test]
fn unknown_keys_are_named_with_their_place_and_a_suggestion() {
    let text = "lisen = 1\n[server]\nlisen = \"x\"\n  sqlite = 1\nkey = \"id:hidden\"\n[serv]\na = 1\n[log]\nurl = \"x\"\n";
    assert_snapshot!(Operator::writes(text).refused(), @r#"
    the configuration cannot be used:
      - relay.toml:1:1: unknown key `lisen`; did you mean `server.listen`?
          lisen = …
      - relay.toml:3:1: unknown key `server.lisen`; did you mean `server.listen`?
          lisen = …
      - relay.toml:4:3: unknown key `server.sqlite`
          sqlite = …
      - relay.toml:5:1: unknown key `server.key`; did you mean `accounts.key`?
          key = …
      - relay.toml:6:2: unknown section `serv`; did you mean `server`?
          [serv]
      - relay.toml:9:1: unknown key `log.url`; did you mean `store.url`?
          url = …
    "#);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = r#"
        [server]
        listen = "localhost:8787"
        public_url = "https://user:hidden@example.com"
        trusted_proxies = ["10.0.0.0/33"]
        workers = -1
        max_connections = 0
        drain_seconds = "30"
        max_head_bytes = 100
        [server.hosts]
        queue = ["a b"]
        [tls]
        certificate_file = "/does/not/exist"
        [upstream]
        run_url = "http://fal.run"
        api_url = "https://api.fal.ai/?key=hidden"
        ws_url = "https://ws.fal.run"
        http2 = "yes"
        [store]
        url = "postgres://user:hidden@host/db"
        [log]
        level = "loud"
        [sandbox]
        data_dir = ""
    "#;
    assert_snapshot!(Operator::writes(text).refused(), @r#"
    the configuration cannot be used:
      - relay.toml:8:9: server.drain_seconds must be a whole number
      - relay.toml:18:9: upstream.http2 must be true or false
      - relay.toml:3:9: server.listen is "localhost:8787"; write a numeric address and a port, such as 127.0.0.1:8787, 0.0.0.0:8787 or [::]:8787
      - relay.toml:4:9: server.public_url must not hold a user name or a password
      - relay.toml:5:9: server.trusted_proxies holds "10.0.0.0/33", which is no network; write one like "10.0.0.0/8" or "::1"
      - relay.toml:6:9: server.workers is -1; it must be from 0 to 1024
      - relay.toml:7:9: server.max_connections is 0; it must be from 1 to 100000000
      - relay.toml:9:9: server.max_head_bytes is 100; it must be from 8192 to 16777216
      - relay.toml:11:9: server.hosts.queue holds "a b", which is no host name; write one like "queue.example.com", without a port
      - relay.toml:13:9: tls.certificate_file names "/does/not/exist", which cannot be used: No such file or directory (os error 2)
      - default: tls.key_file is empty, though tls.certificate_file is set; https needs both
      - relay.toml:15:9: upstream.run_url would carry your fal key unencrypted; use https:// or, in a network closed to others, set upstream.allow_insecure
      - relay.toml:16:9: upstream.api_url must end before any `?` or `#`
      - relay.toml:17:9: upstream.ws_url must begin with wss:// or ws://
      - relay.toml:20:9: store.url names PostgreSQL, which this release does not have yet; use sqlite://path/to/relay.db
      - relay.toml:22:9: log.level is "loud"; it must be one of "error", "warn", "info", "debug", "trace"
      - relay.toml:24:9: sandbox.data_dir is empty; name a folder
    "#);
}

#[test]
fn accounts_are_checked_and_keys_never_shown() {
    let text = r#"
        [[accounts]]
        name = "a"
        key = "hidden"
        [[accounts]]
        name = "a"
        key = "x:hidden"
        [[accounts]]
        key = "y:hidden"
        [[accounts]]
        name = "bad name"
        [[accounts]]
        name = "both"
        key = "z:hidden"
        key_file = "f"
        [[accounts]]
        name = "gone"
        key_file = "/does/not/exist"
        [[accounts]]
        name = 1
        keey = "w:hidden"
    "#;
    let told = Operator::writes(text).refused();
    assert!(!told.contains("hidden"));
    assert_snapshot!(told, @r#"
    the configuration cannot be used:
      - relay.toml:20:9: accounts.name must be a text in quotes
      - relay.toml:21:9: unknown key `accounts.keey`; did you mean `accounts.key`?
          keey = …
      - relay.toml:4:9: accounts.key is not a fal key; copy it whole from fal's dashboard: an id, a colon and a secret (id:secret)
      - relay.toml:5:9: accounts.name "a" is used twice
      - relay.toml:8:9: accounts.name is missing; give each account a name of its own
      - relay.toml:10:9: accounts.name must be 1 to 64 letters, digits, `-` or `_`
      - relay.toml:10:9: accounts need a key: set `key` or `key_file`
      - relay.toml:15:9: accounts.key_file is set beside `key`; keep one of them
      - relay.toml:18:9: accounts.key_file names "/does/not/exist", which cannot be read: No such file or directory (os error 2)
      - relay.toml:19:9: accounts.name is missing; give each account a name of its own
      - relay.toml:19:9: accounts need a key: set `key` or `key_file`
    "#);
}

#[test]
fn a_malformed_fal_key_is_refused_without_showing_it() {
    assert_snapshot!(Operator::default().sets("FAL_KEY", "hidden").refused(), @r#"
    the configuration cannot be used:
      - FAL_KEY: the value is not a fal key; copy it whole from fal's dashboard: an id, a colon and a secret (id:secret)
    "#);
}

#[test]
fn unknown_variables_are_named() {
    let told = Operator::default()
        .sets("FAL_RELAY_SERVER__LISTN", "hidden")
        .sets("FAL_RELAY_SERVER_LISTEN", "hidden")
        .sets("FAL_RELAY_ACCOUNTS__KEY", "hidden")
        .sets("FAL_RELAY_QQQQQQQQQQQQ", "hidden")
        .sets("FAL_RELAY_SERVER__WORKERS", "hidden")
        .refused();
    assert_snapshot!(told, @r#"
    the configuration cannot be used:
      - unknown variable `FAL_RELAY_ACCOUNTS__KEY`; did you mean `FAL_RELAY_ACCOUNTS__<NAME>__KEY`?
      - unknown variable `FAL_RELAY_QQQQQQQQQQQQ`
      - unknown variable `FAL_RELAY_SERVER_LISTEN`; did you mean `FAL_RELAY_SERVER__LISTEN`?
      - unknown variable `FAL_RELAY_SERVER__LISTN`; did you mean `FAL_RELAY_SERVER__LISTEN`?
      - FAL_RELAY_SERVER__WORKERS: server.workers must be a whole number
    "#);
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    for text in
        ["[server\nlisten = 1", "id:hidden", "[[accounts]]\nkey = \"id:hidden\nname = \"x\"", "key = 'hidden"]
    {
        let told = Operator::writes(text).refused();
        assert!(told.contains("this is not TOML") && !told.contains("hidden"), "{told}");
    }
    assert_snapshot!(Operator::writes("[server]\nlisten = \n").refused(), @r#"
    the configuration cannot be used:
      - relay.toml:2:10: this is not TOML: string values must be quoted, expected literal string
          listen = …
    "#);
}

#[test]
fn a_missing_file_is_refused() {
    let error = Config::load(Some("/does/not/exist.toml".as_ref()), [].into_iter(), false).unwrap_err();
    assert_snapshot!(error.to_string(), @r#"
    the configuration cannot be used:
      - /does/not/exist.toml: cannot be read: No such file or directory (os error 2)
    "#);
}

#[test]
fn invariant_7_a_configuration_without_an_end_is_not_read_to_it() {
    let error = Config::load(Some("/dev/zero".as_ref()), [].into_iter(), false).unwrap_err();
    assert!(error.to_string().contains("the file is larger than 1 MiB"), "{error}");
}

#[test]
fn listeners_do_not_share_an_address() {
    let told =
        Operator::writes("[server]\nlisten = \"0.0.0.0:8789\"\nhttps_listen = \"127.0.0.1:8789\"").refused();
    assert_snapshot!(told, @r#"
    the configuration cannot be used:
      - default: server.admin_listen is 127.0.0.1:8789, which server.listen takes already; give it another port
    "#);
}

#[test]
fn plain_http_away_from_this_machine_needs_the_operators_word() {
    let plain = || Operator::default().sets("FAL_RELAY_UPSTREAM__QUEUE_URL", "http://fal.internal/queue");
    assert!(plain().refused().contains("unencrypted"));
    plain().sets("FAL_RELAY_UPSTREAM__ALLOW_INSECURE", "true").load().unwrap();
    Operator::default().sets("FAL_RELAY_UPSTREAM__QUEUE_URL", "http://127.0.0.1:9/queue").load().unwrap();
}

proptest! {
    /// Whatever the file holds, the answer is a configuration or a list of problems, and what looks like a key is not in it.
    #[test]
    fn any_file_is_answered(lines in prop::collection::vec(
        prop_oneof![
            Just("[server]".to_owned()), Just("[[accounts]]".to_owned()), Just("[upstream]".to_owned()),
            "[a-z_]{1,12} ?= ?\"idid:s3cr3t\"", "[a-z_]{1,8} = \"\"\"idid:s3cr3t", "(listen|workers|name) = [0-9\"x\\[]{0,6}",
            "\\PC{0,20}",
        ], 0..12))
    {
        if let Err(error) = Operator::writes(&lines.join("\n")).load() {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(!error.to_string().contains("s3cr3t"), "{}", error);
        }
    }
}
