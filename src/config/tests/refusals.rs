use insta::assert_snapshot;
use proptest::prelude::*;

use super::Operator;
use crate::config::Config;

#[test]
fn unknown_keys_are_named_with_their_place_and_a_suggestion() {
    let text = "lisen = 1\n[server]\nlisen = \"x\"\n  sqlite = 1\nkey = \"id:hidden\"\n[serv]\na = 1\n[log]\nurl = \"x\"\n";
    assert_snapshot!(Operator::writes(text).refused(), @"");
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
    assert_snapshot!(Operator::writes(text).refused(), @"");
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
    assert_snapshot!(told, @"");
}

#[test]
fn a_malformed_fal_key_is_refused_without_showing_it() {
    assert_snapshot!(Operator::default().sets("FAL_KEY", "hidden").refused(), @"");
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
    assert_snapshot!(told, @"");
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    for text in
        ["[server\nlisten = 1", "id:hidden", "[[accounts]]\nkey = \"id:hidden\nname = \"x\"", "key = 'hidden"]
    {
        let told = Operator::writes(text).refused();
        assert!(told.contains("this is not TOML") && !told.contains("hidden"), "{told}");
    }
    assert_snapshot!(Operator::writes("[server]\nlisten = \n").refused(), @"");
}

#[test]
fn a_missing_file_is_refused() {
    let error = Config::load(Some("/does/not/exist.toml".as_ref()), [].into_iter(), false).unwrap_err();
    assert_snapshot!(error.to_string(), @"");
}

#[test]
fn listeners_do_not_share_an_address() {
    let told =
        Operator::writes("[server]\nlisten = \"0.0.0.0:8789\"\nhttps_listen = \"127.0.0.1:8789\"").refused();
    assert_snapshot!(told, @"");
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
