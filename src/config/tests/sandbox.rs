use super::{Operator, explained};

#[test]
fn real_accounts_are_never_read() {
    let config = Operator::writes("[[accounts]]\nname = \"real\"\nkey_file = \"/does/not/exist\"")
        .sets("FAL_KEY", "real:real")
        .sets("FAL_RELAY_ACCOUNTS__X__KEY", "real:real")
        .in_sandbox()
        .load()
        .unwrap();
    let accounts: Vec<_> = config.accounts.iter().map(|a| (a.name.as_str(), a.key.expose())).collect();
    assert_eq!(accounts, [("sandbox", "sandbox:sandbox")]);
    let notices = config.notices.join("\n");
    for ignored in
        ["relay.toml:1:1 is not read", "FAL_KEY is not read", "FAL_RELAY_ACCOUNTS__X__KEY is not read"]
    {
        assert!(notices.contains(ignored), "{notices}");
    }
}

#[test]
fn every_address_of_fal_is_this_machine() {
    let mut config = Operator::default().in_sandbox().load().unwrap();
    let text = explained(&config);
    assert!(!text.contains("fal.run") && !text.contains("fal.ai") && !text.contains("fal.media"), "{text}");
    assert_eq!(config.upstream.queue_url, "http://127.0.0.1:8790/queue");
    assert_eq!(config.store.sqlite_path, std::path::Path::new("fal-relay-sandbox/relay.db"));

    config.point_at_sandbox(([0, 0, 0, 0], 4321).into(), "http://127.0.0.1:4321");
    let upstream = &config.upstream;
    let urls =
        [&upstream.queue_url, &upstream.run_url, &upstream.rest_url, &upstream.api_url, &upstream.cdn_url];
    let faces = ["queue", "run", "rest", "api", "cdn"].map(|face| format!("http://127.0.0.1:4321/{face}"));
    assert_eq!(urls.map(String::as_str), faces.each_ref().map(String::as_str));
    assert_eq!(upstream.ws_url, "ws://127.0.0.1:4321/ws");
    assert_eq!((&config.platform.url, config.platform.loopback_only), (&upstream.api_url, true));
    assert!(upstream.queue_aliases.is_empty());

    config.point_at_sandbox(([0, 0, 0, 0], 4321).into(), "https://box.example");
    assert_eq!(config.upstream.queue_url, "http://127.0.0.1:4321/queue");
    assert_eq!(config.upstream.queue_aliases, ["https://box.example/queue"]);
}

#[test]
fn an_upstream_elsewhere_is_refused() {
    let text = Operator::default()
        .sets("FAL_RELAY_UPSTREAM__QUEUE_URL", "https://queue.fal.run")
        .in_sandbox()
        .refused();
    assert!(text.contains("FAL_RELAY_UPSTREAM__QUEUE_URL: upstream.queue_url points away"), "{text}");
    Operator::default()
        .sets("FAL_RELAY_UPSTREAM__QUEUE_URL", "http://127.0.0.1:1/queue")
        .in_sandbox()
        .load()
        .unwrap();
}

#[test]
fn the_store_and_the_public_address_can_be_said() {
    let config = Operator::writes(
        "[store]\nurl = \"sqlite:///x/y.db\"\n[sandbox]\npublic_url = \"http://box.example\"",
    )
    .in_sandbox()
    .load()
    .unwrap();
    assert_eq!(config.store.sqlite_path, std::path::Path::new("/x/y.db"));
    assert_eq!(config.upstream.queue_aliases, ["http://box.example/queue"]);
    assert_eq!(config.notices.len(), 1);
}
