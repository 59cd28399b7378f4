use proptest::prelude::*;

use super::*;
use crate::fal::upload::Piece;

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

fn relay(method: &str, path: &str) -> Result<Call, RouteError> {
    parse(Role::Relay, &method.parse().unwrap(), path)
}

fn id(text: &str) -> Endpoint {
    Endpoint::parse(text).unwrap()
}

fn follow(endpoint: &str, what: FollowUp) -> Result<Call, RouteError> {
    Ok(Call::Follow { endpoint: id(endpoint), request_id: RequestId::parse(ID).unwrap(), what })
}

#[test]
fn any_owner_and_any_depth_is_submitted_at_the_root_and_under_queue() {
    for endpoint in [
        "fal-ai/flux-1/dev",
        "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
        "openrouter/router/openai/v1/responses",
        "CassetteAI/music-generator",
        "workflows/fal-ai/sdxl-sticker",
        "owner/requests",
        "owner/requests/fast",
        "owner/app/stream",
        "110602490-lora",
    ] {
        let submit = Ok(Call::Submit { endpoint: id(endpoint) });
        assert_eq!(relay("POST", &format!("/{endpoint}")), submit);
        assert_eq!(relay("POST", &format!("/{endpoint}/")), submit);
        assert_eq!(relay("POST", &format!("/queue/{endpoint}")), submit);
        assert_eq!(parse(Role::Queue, &Method::POST, &format!("/{endpoint}")), submit);
    }
}

#[test]
fn every_form_of_a_follow_up_is_known() {
    let result = |response_suffix| FollowUp::Result { response_suffix };
    for base in [
        "fal-ai/flux-1",
        "fal-ai/flux-1/dev",
        "workflows/a/b",
        "a/b/requests/c",
        "110602490-lora",
        "a/v1/responses",
    ] {
        for (method, suffix, what) in [
            ("GET", "", result(false)),
            ("GET", "/response", result(true)),
            ("GET", "/status", FollowUp::Status),
            ("GET", "/status/stream", FollowUp::StatusStream),
            ("PUT", "/cancel", FollowUp::Cancel),
        ] {
            for (prefix, end) in [("", ""), ("", "/"), ("/queue", ""), ("/queue", "/")] {
                let path = format!("{prefix}/{base}/requests/{ID}{suffix}{end}");
                assert_eq!(relay(method, &path), follow(base, what), "{path}");
                assert_eq!(what.as_suffix(), suffix);
            }
        }
    }
}

#[test]
fn a_direct_run_is_chosen_by_prefix_or_host() {
    let run = Ok(Call::Run { endpoint: id("fal-ai/flux-1/dev") });
    let stream = Ok(Call::Stream { endpoint: id("fal-ai/flux-1/dev") });
    for path in ["/run/fal-ai/flux-1/dev", "/run/fal-ai/flux-1/dev/"] {
        assert_eq!(relay("POST", path), run);
        assert_eq!(parse(Role::Run, &Method::POST, path), run);
    }
    assert_eq!(parse(Role::Run, &Method::POST, "/fal-ai/flux-1/dev"), run);
    assert_eq!(relay("POST", "/run/fal-ai/flux-1/dev/stream"), stream);
    assert_eq!(parse(Role::Run, &Method::POST, "/fal-ai/flux-1/dev/stream/"), stream);
    assert_eq!(relay("POST", "/run/owner/stream"), Ok(Call::Run { endpoint: id("owner/stream") }));
}

#[test]
fn uploads_are_known_at_the_root_and_at_the_rest_host() {
    for step in [Storage::Initiate, Storage::InitiateMultipart, Storage::CompleteMultipart] {
        assert_eq!(relay("POST", step.as_path()), Ok(Call::Storage(step)));
        let slashed = format!("{}/", step.as_path());
        assert_eq!(parse(Role::Rest, &Method::POST, &slashed), Ok(Call::Storage(step)));
        assert_eq!(relay("PUT", step.as_path()), Err(RouteError::Method { allow: "POST" }));
    }
}

#[test]
fn a_wrong_method_names_the_right_one() {
    let follow_up = |suffix: &str| format!("/a/b/requests/{ID}{suffix}");
    for (method, path, allow) in [
        ("GET", "/a/b".to_owned(), "POST"),
        ("HEAD", "/a/b".to_owned(), "POST"),
        ("GET", "/run/a/b".to_owned(), "POST"),
        ("GET", "/run/a/b/stream".to_owned(), "POST"),
        ("HEAD", follow_up(""), "GET"),
        ("POST", follow_up(""), "GET"),
        ("POST", follow_up("/status"), "GET"),
        ("DELETE", follow_up("/status/stream"), "GET"),
        ("POST", follow_up("/cancel"), "PUT"),
    ] {
        assert_eq!(relay(method, &path), Err(RouteError::Method { allow }), "{method} {path}");
    }
}

#[test]
fn what_servers_may_read_differently_is_malformed() {
    for path in [
        "a/b",
        "*",
        "",
        "//",
        "/a//b",
        "//a/b",
        "/a/b//",
        "/./a/b",
        "/a/../b",
        "/a/b/..",
        "/a/%2e%2e/b",
        "/a%2fb/c",
        "/a/b%00",
        "/a/b\0",
        "/a/b c",
        "/a/b;c=d",
        "/a\\b/c",
        "/a/é",
        "/a/b/requests/%31",
        "/run/../queue/a/b",
        "/queue//a/b",
    ] {
        assert!(matches!(relay("POST", path), Err(RouteError::Malformed(_))), "{path}");
    }
    let deep = format!("/{}", vec!["a"; Endpoint::MAX_SEGMENTS + 1].join("/"));
    let long = format!("/a/{}", "b".repeat(Endpoint::MAX_LEN));
    let endless = format!("/a/{}", "b".repeat(MAX_PATH_LEN));
    for path in [deep, long, endless] {
        assert!(matches!(relay("POST", &path), Err(RouteError::Malformed(_))), "{path}");
    }
}

#[test]
fn invariant_7_a_path_that_is_too_long_is_not_even_split() {
    let path = |len: usize| format!("/{}", "a/".repeat(len)[..len - 1].to_owned());
    let told = |len| format!("{:?}", relay("POST", &path(len)).unwrap_err());
    assert!(told(MAX_PATH_LEN + 1).contains("longer than 1024"), "{}", told(MAX_PATH_LEN + 1));
    assert!(!told(MAX_PATH_LEN).contains("longer than 1024"), "{}", told(MAX_PATH_LEN));
}

#[test]
fn everything_else_is_unknown() {
    for (role, method, path) in [
        (Role::Relay, "GET", "/"),
        (Role::Relay, "POST", "/fal-ai"),
        (Role::Relay, "POST", "/queue"),
        (Role::Relay, "POST", "/run/"),
        (Role::Relay, "POST", "/workflows/fal-ai"),
        (Role::Relay, "POST", "/v1/models"),
        (Role::Relay, "POST", "/api/fal/proxy"),
        (Role::Relay, "POST", "/webhooks/fal/token"),
        (Role::Relay, "POST", "/storage/upload"),
        (Role::Relay, "POST", "/tokens/other"),
        (Role::Rest, "POST", "/tokens/realtime/more"),
        (Role::Run, "POST", "/tokens"),
        (Role::Run, "GET", "/a/b/requests/1"),
        (Role::Run, "POST", "/a/b/requests/1"),
        (Role::Rest, "POST", "/fal-ai/flux-1/dev"),
        (Role::Queue, "GET", "/a/b/requests/no.id/status"),
        (Role::Queue, "POST", "/a/b/requests/no.id"),
        (Role::Queue, "GET", "/a/b/requests/1/logs"),
        (Role::Queue, "GET", "/a/b/requests/1/status/stream/more"),
    ] {
        assert_eq!(parse(role, &method.parse().unwrap(), path), Err(RouteError::Unknown), "{path}");
    }
}

#[test]
fn a_path_as_hugging_faces_router_has_it_names_the_provider_first() {
    for (path, query, meant) in [
        ("/fal-ai/fal-ai/flux-1/dev", Some("_subdomain=queue"), Some((Role::Queue, "/fal-ai/flux-1/dev"))),
        (
            "/fal-ai/fal-ai/flux-1/dev",
            Some("a=b&%5fsubdomain=queue"),
            Some((Role::Queue, "/fal-ai/flux-1/dev")),
        ),
        ("/fal-ai/fal-ai/flux-1/dev", Some("a=b"), Some((Role::Run, "/fal-ai/flux-1/dev"))),
        ("/fal-ai/fal-ai/flux-1/dev", None, Some((Role::Run, "/fal-ai/flux-1/dev"))),
        (
            "/fal-ai/fal-ai/wan/requests/1/status",
            Some("_subdomain=queue"),
            Some((Role::Queue, "/fal-ai/wan/requests/1/status")),
        ),
        // Another host, or two of them.
        ("/fal-ai/fal-ai/flux-1/dev", Some("_subdomain=rest"), None),
        ("/fal-ai/fal-ai/flux-1/dev", Some("_subdomain=queue&_subdomain=rest"), None),
        // An endpoint's own path, which is what follow-ups have.
        ("/fal-ai/wan/requests/1/status", Some("_subdomain=queue"), None),
        ("/fal-ai/fal-ai-app/x", Some("_subdomain=queue"), None),
        ("/fal-ai/fal-ai", None, None),
        ("/openrouter/fal-ai/x", None, None),
    ] {
        assert_eq!(through_a_router(path, query), meant, "{path} {query:?}");
    }
}

#[test]
fn only_what_is_said_to_the_relay_is_taken_from_a_query() {
    for (query, left) in [
        ("", ""),
        ("logs=1", "logs=1"),
        ("fal_jwt_token=x", ""),
        ("fal_jwt_token", ""),
        ("logs=1&fal_jwt_token=x&a=%20+b&&c", "logs=1&a=%20+b&&c"),
        ("fal%5Fjwt%5ftoken=x&a=1", "a=1"),
        ("_subdomain=queue", ""),
        ("logs=1&_subdomain=queue&_subdomains=1", "logs=1&_subdomains=1"),
        ("xfal_jwt_token=1&a=fal_jwt_token", "xfal_jwt_token=1&a=fal_jwt_token"),
        ("a=%zz&%", "a=%zz&%"),
    ] {
        assert_eq!(query_for_fal(query), left);
    }
    assert!(matches!(query_for_fal("logs=1&fal_max_queue_length=3"), Cow::Borrowed(_)));
}

#[test]
fn webhooks_are_read_and_stay_here() {
    for (query, left, wanted) in [
        ("logs=1&fal_webhook=https%3A%2F%2Fa%2Fb%3Fc%3D1%26d", "logs=1", vec!["https://a/b?c=1&d"]),
        ("fal%5fwebhook=https://a&x=1", "x=1", vec!["https://a"]),
        ("fal_webhook=&fal_webhook=b", "", vec!["", "b"]),
        ("fal_webhook", "", vec![]),
        ("xfal_webhook=1", "xfal_webhook=1", vec![]),
    ] {
        assert_eq!(query_for_fal(query), left, "{query}");
        assert_eq!(webhooks_of(query).collect::<Vec<_>>(), wanted, "{query}");
    }
}

#[test]
fn sockets_are_known_by_their_handshake() {
    let endpoint = |text: &str| Endpoint::parse(text).unwrap();
    let realtime =
        |name: &str, path: &str| Some(Ok(Call::Realtime { endpoint: endpoint(name), path: endpoint(path) }));
    let runs = |name: &str| Some(Ok(Call::Runs { endpoint: endpoint(name) }));
    for (role, path, call) in [
        (Role::Relay, "/run/a/b/realtime", realtime("a/b", "a/b/realtime")),
        (Role::Relay, "/run/a/b/c/realtime/", realtime("a/b/c", "a/b/c/realtime")),
        (Role::Relay, "/run/a/b/other", realtime("a/b/other", "a/b/other")),
        // An owner of that name has no endpoint without it.
        (Role::Relay, "/run/a/realtime", realtime("a/realtime", "a/realtime")),
        (Role::Run, "/a/b/realtime", realtime("a/b", "a/b/realtime")),
        (Role::Run, "/run/a/b/realtime", realtime("a/b", "a/b/realtime")),
        (Role::Relay, "/ws/a/b", runs("a/b")),
        (Role::Ws, "/a/b/c", runs("a/b/c")),
        (Role::Ws, "/ws/a/b", runs("a/b")),
        (Role::Relay, "/a/b/realtime", None),
        (Role::Relay, "/health", None),
        (Role::Queue, "/run/a/b/realtime", None),
        (Role::Rest, "/tokens/realtime", None),
        (Role::Relay, "/run/a", Some(Err(RouteError::Unknown))),
        (Role::Relay, "/ws", Some(Err(RouteError::Unknown))),
    ] {
        assert_eq!(parse_socket(role, path), call, "{role:?} {path}");
    }
    assert!(matches!(parse_socket(Role::Run, "/a/../b"), Some(Err(RouteError::Malformed(_)))));
    for (role, method, path) in [
        (Role::Relay, "GET", "/run/a/b/realtime"),
        (Role::Run, "GET", "/a/b/realtime"),
        (Role::Relay, "POST", "/ws/a/b"),
        (Role::Ws, "GET", "/a/b"),
    ] {
        assert_eq!(parse(role, &method.parse().unwrap(), path), Err(RouteError::NotASocket), "{path}");
    }
}

#[test]
fn tokens_are_asked_for_with_and_without_a_slash() {
    for (path, form) in [
        ("/tokens", TokenForm::Bare),
        ("/tokens/", TokenForm::Bare),
        ("/tokens/realtime", TokenForm::Realtime),
        ("/tokens/realtime/", TokenForm::Realtime),
    ] {
        for role in [Role::Relay, Role::Rest] {
            assert_eq!(parse(role, &Method::POST, path), Ok(Call::Token(form)), "{path}");
            assert_eq!(parse(role, &Method::GET, path), Err(RouteError::Method { allow: "POST" }));
        }
    }
}

#[test]
fn only_a_stream_takes_its_token_from_the_query() {
    let takes = |path: &str| parse(Role::Relay, &Method::POST, path).unwrap().takes_token_in_query();
    assert!(takes("/run/a/b/stream"));
    for path in ["/a/b", "/run/a/b", "/tokens/", "/storage/upload/initiate"] {
        assert!(!takes(path), "{path}");
    }
}

/// Writes a call as the relay does towards fal.
fn written(call: &Call) -> (Role, &'static str, String) {
    match call {
        Call::Upload(upload) => written_upload(upload),
        Call::Submit { endpoint } => (Role::Queue, "POST", format!("/{endpoint}")),
        Call::Run { endpoint } => (Role::Run, "POST", format!("/run/{endpoint}")),
        Call::Stream { endpoint } => (Role::Run, "POST", format!("/run/{endpoint}/stream")),
        Call::Realtime { .. } | Call::Runs { .. } => {
            unreachable!("no request without a handshake is a socket")
        }
        Call::Storage(step) => (Role::Rest, "POST", step.as_path().to_owned()),
        // Never written towards fal: the relay answers it.
        Call::Token(TokenForm::Bare) => (Role::Rest, "POST", "/tokens/".to_owned()),
        Call::Token(TokenForm::Realtime) => (Role::Relay, "POST", "/tokens/realtime".to_owned()),
        Call::Follow { endpoint, request_id, what } => {
            (Role::Queue, what.method(), format!("/{endpoint}/requests/{request_id}{}", what.as_suffix()))
        }
    }
}

fn written_upload(upload: &Upload) -> (Role, &'static str, String) {
    let method = |piece: &Piece| if *piece == Piece::End { "POST" } else { "PUT" };
    match upload {
        Upload::Bytes(piece) => {
            (Role::Relay, method(piece), format!("{}{}", upload::BYTES_PATH, piece.as_suffix()))
        }
        Upload::Whole => (Role::Rest, "POST", format!("{}/files/upload", upload::CDN_PATH)),
        Upload::Begin { door } => cdn_path(*door, "POST", "/files/upload/multipart"),
        Upload::Piece { file, id, piece } => {
            let path = format!("{file}/multipart/{id}{}", piece.as_suffix());
            (Role::Cdn, method(piece), path)
        }
        Upload::File { path, door } => cdn_path(*door, "GET", path),
    }
}

fn cdn_path(door: Door, method: &'static str, path: &str) -> (Role, &'static str, String) {
    match door {
        Door::Host => (Role::Cdn, method, path.to_owned()),
        Door::Path => (Role::Relay, method, format!("{}{path}", upload::CDN_PATH)),
    }
}

fn any_path() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "run",
        "queue",
        "storage",
        "upload",
        "initiate",
        "bytes",
        "cdn",
        "files",
        "multipart",
        "complete",
        "auth",
        "token",
        "requests",
        "status",
        "stream",
        "response",
        "cancel",
        "realtime",
        "tokens",
        "workflows",
        "fal-ai",
        "a",
        "1-b",
        "..",
        "",
        "%2e",
        "764cabcf-b745",
    ]);
    let words = prop::collection::vec(word, 0..12).prop_map(|words| format!("/{}", words.join("/")));
    prop_oneof![words, "/[ -~]{0,40}", "\\PC{0,40}"]
}

proptest! {
    #[test]
    fn any_path_is_judged_and_a_call_can_be_written_and_read_again(
        role in prop::sample::select(vec![Role::Relay, Role::Queue, Role::Run, Role::Rest, Role::Ws, Role::Cdn]),
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE"]),
        path in any_path(),
    ) {
        if let Ok(call) = parse(role, &method.parse().unwrap(), &path) {
            let (role, wanted, again) = written(&call);
            prop_assert_eq!(method.replace("HEAD", "GET"), wanted);
            prop_assert_eq!(parse(role, &wanted.parse().unwrap(), &again), Ok(call));
        }
    }

    #[test]
    fn a_query_loses_the_token_and_nothing_else(pairs in prop::collection::vec("[a-z%=+;]{0,8}|fal_jwt_token=[a-z]{0,3}", 0..6)) {
        let query = pairs.join("&");
        let kept: Vec<_> = pairs.iter().filter(|pair| !pair.starts_with("fal_jwt_token=")).cloned().collect();
        prop_assert_eq!(query_for_fal(&query), kept.join("&"));
    }
}
