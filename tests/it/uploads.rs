//! Uploads by every road that fal's clients take (protocol 5), in front of a fal that is told what to say.

use std::net::SocketAddr;

use fal_relay::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    Answer, FAL_KEY, FAL_SECRET, Fal, Office, Relay, Seen, Step, Wish, json as answer, post, reply, request,
    until,
};

const TOKEN: &str = "canary-token-of-fals-media-host";
const PRESIGNED: &str = "/uploads/put/a%20b?X-Sig=a%2Fb%3D&x=1";
const THROUGH: (&str, &str) = ("FAL_RELAY_UPLOADS__THROUGH_RELAY", "true");
const INITIATE: &str = "/storage/upload/initiate?storage_type=fal-cdn-v3";
const FILE: &str = r#"{"content_type":"image/png","file_name":"a.png"}"#;

/// A fal that takes uploads, and says so in its own spelling.
async fn fal() -> Fal {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Fal::start_on(listener, move |seen| script(address, seen))
}

fn script(fal: SocketAddr, seen: &Seen) -> Step {
    let path = seen.target.split('?').next().unwrap();
    match path {
        "/rest/storage/auth/token" => answer(
            "200 OK",
            &format!(
                r#"{{"token":"{TOKEN}","token_type":"Bearer","base_url":"https://elsewhere.test","expires_at":"2999-01-01T00:00:00+00:00"}}"#
            ),
        ),
        "/cdn/files/upload" => {
            answer("200 OK", &format!(r#"{{ "access_url" : "http://{fal}/cdn/files/b/f" }}"#))
        }
        "/cdn/files/upload/multipart" => answer(
            "200 OK",
            &format!(r#"{{"access_url":"http://{fal}/cdn/files/b/f.bin","uploadId":"fals~id="}}"#),
        ),
        _ if path.starts_with("/rest/storage/upload/") => answer("200 OK", &initiated(fal)),
        _ => Step::Reply(reply("200 OK", &[("ETag", "\"e1\""), ("content-type", "application/json")], b"{}")),
    }
}

fn initiated(fal: SocketAddr) -> String {
    format!(
        r#"{{"file_url": "https://v3.fal.media/files/x.png",  "upload_url" :"http://{fal}{PRESIGNED}", "n":1.50}}"#
    )
}

async fn initiate(relay: &Relay, path: &str, key: &str) -> Answer {
    let answer = relay.client().send(post(path, key, FILE)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// The address that an initiate gave, as path and query at the relay.
fn upload_path(relay: &Relay, answer: &Answer) -> String {
    let url = answer.json()["upload_url"].as_str().unwrap().to_owned();
    assert_eq!(relay.client().address(), relay.http);
    url.strip_prefix("http://relay.test").unwrap_or_else(|| panic!("{url} is not the relay's")).to_owned()
}

async fn put(relay: &Relay, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    relay.client().send(request("PUT", path, headers, body)).await
}

fn with_suffix(path: &str, suffix: &str) -> String {
    let (path, query) = path.split_once('?').unwrap();
    format!("{path}{suffix}?{query}")
}

fn last(fal: &Fal) -> Seen {
    fal.seen().pop().unwrap()
}

#[tokio::test]
async fn fals_own_addresses_pass_untouched_unless_the_operator_wants_the_bytes() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    for path in [
        "/storage/upload/initiate?storage_type=gcs",
        "/storage/upload/initiate/?storage_type=fal-cdn-v3",
        "/storage/upload/initiate-multipart?storage_type=fal-cdn-v3",
        "/storage/upload/initiate-multipart/",
        "/storage/upload/complete-multipart",
        "/storage/upload/complete-multipart/?a=b",
    ] {
        let authorization = format!("Key {}", relay.key);
        let fields = [
            ("authorization", authorization.as_str()),
            ("x-fal-object-lifecycle", "{\"expiration_duration_seconds\":60}"),
            ("x-fal-object-lifecycle-preference", "{\"expiration_duration_seconds\":61}"),
        ];
        for host in ["relay.test", "rest.fal.ai", "rest.alpha.fal.ai"] {
            let fields = [&fields[..], &[("host", host)]].concat();
            let answer = relay.client().send(request("POST", path, &fields, FILE.as_bytes())).await;
            assert_eq!((answer.status, answer.text()), (200, initiated(fal.address)), "{path}");
            let seen = last(&fal);
            assert_eq!(seen.header("authorization"), Some(format!("Key {FAL_KEY}").as_str()));
            assert!(seen.header("x-fal-object-lifecycle").unwrap().contains("60"));
            assert!(seen.header("x-fal-object-lifecycle-preference").unwrap().contains("61"));
            assert_eq!(seen.body, FILE.as_bytes());
        }
    }
}

#[tokio::test]
async fn through_the_relay_an_address_is_sealed_and_bytes_go_where_it_leads() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let answer = initiate(&relay, INITIATE, &relay.key).await;
    let path = upload_path(&relay, &answer);
    // Nothing but the one value is another.
    let ours = format!("http://relay.test{path}");
    assert_eq!(
        answer.text().replace(&ours, &format!("http://{}{PRESIGNED}", fal.address)),
        initiated(fal.address)
    );
    assert!(!path.contains("X-Sig") && !path.contains("put"), "{path}");
    let key = format!("Key {}", relay.key);
    for fields in
        [&[("content-type", "image/png")][..], &[("authorization", &key), ("content-type", "image/png")]]
    {
        let stored = put(&relay, &path, fields, b"bytes").await;
        assert_eq!((stored.status, stored.header("etag")), (200, Some("\"e1\"")));
        let seen = last(&fal);
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("PUT", PRESIGNED));
        assert_eq!((seen.header("authorization"), seen.header("content-type")), (None, Some("image/png")));
        assert_eq!((seen.body.as_slice(), seen.header("content-length")), (&b"bytes"[..], Some("5")));
    }
}

#[tokio::test]
async fn parts_and_their_end_go_below_the_sealed_address() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let begun =
        initiate(&relay, "/storage/upload/initiate-multipart/?storage_type=fal-cdn-v3", &relay.key).await;
    let path = upload_path(&relay, &begun);
    assert_eq!(put(&relay, &with_suffix(&path, "/2"), &[], b"two").await.status, 200);
    assert_eq!(last(&fal).target, "/uploads/put/a%20b/2?X-Sig=a%2Fb%3D&x=1");
    let list = br#"{"parts":[{"partNumber":2,"etag":"e"}]}"#;
    let end = relay.client().send(request("POST", &with_suffix(&path, "/complete"), &[], list)).await;
    assert_eq!(end.status, 200);
    let seen = last(&fal);
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("POST", &list[..]));
    assert_eq!(seen.target, "/uploads/put/a%20b/complete?X-Sig=a%2Fb%3D&x=1");
}

#[tokio::test]
async fn what_was_not_sealed_here_for_this_use_opens_nothing() {
    let (fal, other) = (fal().await, fal().await);
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let stranger = Relay::with(&other.base(), &[THROUGH]);
    let whole = upload_path(&relay, &initiate(&relay, INITIATE, &relay.key).await);
    let parts =
        upload_path(&relay, &initiate(&relay, "/storage/upload/initiate-multipart", &relay.key).await);
    let theirs = upload_path(&stranger, &initiate(&stranger, INITIATE, &stranger.key).await);
    let before = fal.seen().len();
    let mut changed = whole.clone().into_bytes();
    let middle = changed.len() - 40;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    for path in [
        theirs.as_str(),
        "/storage/upload/bytes",
        "/storage/upload/bytes?sealed=",
        "/storage/upload/bytes?sealed=https://example.com/",
        &String::from_utf8(changed).unwrap(),
        &with_suffix(&whole, "/1"),
        &parts,
    ] {
        let refused = put(&relay, path, &[("authorization", &format!("Key {}", relay.key))], b"x").await;
        let kind = refused.json()["error_type"].clone();
        assert_eq!((refused.status, kind), (403, "upload_not_found".into()), "{path}");
    }
    for bad in ["/0", "/10001", "/x", "/1/2"] {
        let refused = put(&relay, &with_suffix(&parts, bad), &[], b"x").await;
        assert_eq!((refused.status, &refused.json()["field"]), (400, &"part".into()), "{bad}");
    }
    assert_eq!(fal.seen().len(), before, "something that was not sealed for it reached fal");
}

#[tokio::test]
async fn invariant_10_an_address_at_a_host_that_is_not_configured_is_not_given_out() {
    let (fal, elsewhere) = (fal().await, fal().await);
    let uploads = format!("{}/uploads", fal.base());
    let rest = format!("{}/rest", elsewhere.base());
    let settings =
        [THROUGH, ("FAL_RELAY_UPSTREAM__REST_URL", &rest), ("FAL_RELAY_UPSTREAM__UPLOAD_URLS", &uploads)];
    let relay = Relay::with(&fal.base(), &settings);
    let refused = relay.client().send(post(INITIATE, &relay.key, FILE)).await;
    assert_eq!((refused.status, refused.header("x-relay-error")), (502, Some("upstream_bad_answer")));
    assert!(!refused.text().contains("X-Sig"));
    until(|| relay.output().contains("upstream.upload_urls")).await;
    assert!(!relay.output().contains("X-Sig"));
}

/// The relay's answer to the question for a token, and the token as it is shown.
async fn token(relay: &Relay, key: &str, host: &str) -> (Value, String) {
    let authorization = format!("Key {key}");
    let fields = [("authorization", authorization.as_str()), ("host", host)];
    let ask = request("POST", "/storage/auth/token?storage_type=fal-cdn-v3", &fields, b"{}");
    let given = relay.client().send(ask).await.json();
    let shown = format!("{} {}", given["token_type"].as_str().unwrap(), given["token"].as_str().unwrap());
    (given, shown)
}

#[tokio::test]
async fn the_media_host_is_reached_with_the_relays_token_and_fals_stays_here() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let (given, shown) = token(&relay, &relay.key, "relay.test").await;
    assert_eq!(given["base_url"], "http://relay.test/storage/cdn");
    assert!(given["expires_at"].as_str().unwrap().ends_with("+00:00"));
    assert_eq!(fal.seen().len(), 0, "fal's token was asked for before it was needed");
    let media = token(&relay, &relay.key, "rest.fal.ai").await.0;
    assert_eq!(media["base_url"], "https://v3.fal.media");
    let fields =
        |token: &'static str| [("content-type", "image/png"), ("x-fal-file-name", "a.png"), ("host", token)];
    for (path, host) in [("/storage/cdn/files/upload", "relay.test"), ("/files/upload", "v3.fal.media")] {
        let fields = [&fields(host)[..], &[("authorization", shown.as_str())]].concat();
        let stored = relay.client().send(request("POST", path, &fields, b"bytes")).await;
        // The file's address is fal's: models can read it.
        let wanted = format!(r#"{{ "access_url" : "http://{}/cdn/files/b/f" }}"#, fal.address);
        assert_eq!((stored.status, stored.text()), (200, wanted));
        let seen = last(&fal);
        assert_eq!((seen.target.as_str(), seen.body.as_slice()), ("/cdn/files/upload", &b"bytes"[..]));
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        assert_eq!(seen.header("x-fal-file-name"), Some("a.png"));
    }
    let asked = fal.seen().iter().filter(|seen| seen.target.starts_with("/rest/storage/auth/token")).count();
    assert_eq!(asked, 1, "fal's token is kept");
}

#[tokio::test]
async fn a_file_in_parts_is_carried_under_fals_name_and_under_the_relays() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let shown = token(&relay, &relay.key, "relay.test").await.1;
    for (base, host, access_url) in [
        ("", "v3.fal.media", "https://v3.fal.media/files/b/f.bin"),
        ("/storage/cdn", "relay.test", "http://relay.test/storage/cdn/files/b/f.bin"),
    ] {
        let fields = [("host", host), ("authorization", shown.as_str())];
        let begin = request("POST", &format!("{base}/files/upload/multipart"), &fields, b"");
        let begun = relay.client().send(begin).await.json();
        assert_eq!(begun["access_url"], access_url);
        let id = begun["uploadId"].as_str().unwrap();
        assert!(!id.contains("fals"), "{id}");
        let piece = format!("{base}/files/b/f.bin/multipart/{id}");
        let part = put(&relay, &format!("{piece}/7"), &fields, b"seven").await;
        assert_eq!((part.status, part.header("etag")), (200, Some("\"e1\"")));
        let seen = last(&fal);
        assert_eq!(seen.target, "/cdn/files/b/f.bin/multipart/fals~id=/7");
        assert_eq!(seen.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
        let end = relay.client().send(request("POST", &format!("{piece}/complete"), &fields, b"{}")).await;
        assert_eq!(
            (end.status, last(&fal).target.as_str()),
            (200, "/cdn/files/b/f.bin/multipart/fals~id=/complete")
        );
        let before = fal.seen().len();
        for wrong in [
            format!("{base}/files/b/other.bin/multipart/{id}/1"),
            format!("{base}/files/b/f.bin/multipart/fals~id=/1"),
            format!("{base}/files/b/f.bin/multipart/{}/1", &id[1..]),
        ] {
            let refused = put(&relay, &wrong, &fields, b"x").await;
            assert_eq!(
                (refused.status, refused.header("x-relay-error")),
                (403, Some("upload_not_found")),
                "{wrong}"
            );
        }
        assert_eq!(fal.seen().len(), before);
    }
}

#[tokio::test]
async fn invariant_1_of_uploads_no_credential_crosses() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH, ("FAL_RELAY_LOG__LEVEL", "trace")]);
    let (key, mut answers) = (relay.key.clone(), Vec::new());
    let (given, shown) = token(&relay, &key, "relay.test").await;
    let path = upload_path(&relay, &initiate(&relay, INITIATE, &key).await);
    for request in [
        post("/storage/cdn/files/upload/multipart", &key, ""),
        post("/storage/cdn/files/upload", &key, "bytes"),
        request("POST", "/storage/cdn/files/upload", &[("authorization", &shown)], b"bytes"),
        request("PUT", &path, &[("authorization", &format!("Key {key}"))], b"bytes"),
        request(
            "POST",
            "/storage/cdn/files/upload",
            &[("authorization", "Bearer fr_upload_forged")],
            b"bytes",
        ),
    ] {
        answers.push(relay.client().send(request).await);
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 200, 401]);
    let sealed = path.split_once("sealed=").unwrap().1;
    let secrets = [key.as_str(), given["token"].as_str().unwrap(), sealed];
    for seen in fal.seen() {
        let shown = format!("{seen:?}");
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
    }
    for answer in &answers {
        let shown = format!("{:?} {}", answer.headers, answer.text());
        assert!(!shown.contains(TOKEN) && !shown.contains(FAL_SECRET), "{shown}");
    }
    until(|| relay.calls().len() == 2 + answers.len()).await;
    let log = relay.output();
    let logged = log.lines().filter(|line| line.starts_with('{'));
    for line in logged {
        assert!(!secrets.iter().any(|secret| line.contains(secret)) && !line.contains(TOKEN), "{line}");
    }
}

#[tokio::test]
async fn invariant_3_the_upload_of_another_is_unknown() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let (mine, theirs) = (relay.key_of("mine"), relay.key_of("theirs"));
    let (mine, theirs) = (token(&relay, &mine, "a").await.1, token(&relay, &theirs, "a").await.1);
    let begin = request("POST", "/storage/cdn/files/upload/multipart", &[("authorization", &mine)], b"");
    let id = relay.client().send(begin).await.json()["uploadId"].as_str().unwrap().to_owned();
    let before = fal.seen().len();
    let part = |id: &str| format!("/storage/cdn/files/b/f.bin/multipart/{id}/1");
    let foreign = put(&relay, &part(&id), &[("authorization", &theirs)], b"x").await;
    let unknown = put(&relay, &part("AAAA"), &[("authorization", &theirs)], b"x").await;
    assert_eq!(foreign.status, 403);
    assert_eq!(foreign.comparable(), unknown.comparable());
    assert_eq!(fal.seen().len(), before);
}

#[tokio::test]
async fn a_revoked_keys_addresses_and_tokens_die_with_it() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let made = Office::of(&relay).make(Wish::of("acme")).await;
    let path = upload_path(&relay, &initiate(&relay, INITIATE, &made.key).await);
    let shown = token(&relay, &made.key, "a").await.1;
    let whole = || put(&relay, &path, &[], b"x");
    let client = relay.client();
    let media = || {
        let fields = [("authorization", shown.as_str())];
        client.send(request("POST", "/storage/cdn/files/upload", &fields, b"x"))
    };
    assert_eq!((whole().await.status, media().await.status), (200, 200));
    relay.cli(&["key", "revoke", &made.record.id.to_string()]);
    while whole().await.status == 200 {}
    assert_eq!((whole().await.status, media().await.status), (401, 401));
}

#[tokio::test]
async fn processes_on_one_store_open_each_others_addresses() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let path = upload_path(&relay, &initiate(&relay, INITIATE, &relay.key).await);
    let beside = relay.beside();
    assert_eq!(put(&beside, &path, &[], b"x").await.status, 200);
    drop(beside);
    assert_eq!(put(&relay.restart(), &path, &[], b"x").await.status, 200);
}

fn too_large(answer: &Answer, max_bytes: u64) {
    let body = answer.json();
    let facts = (answer.status, body["error_type"].as_str().unwrap(), body["max_bytes"].as_u64().unwrap());
    assert_eq!(facts, (413, "upload_too_large", max_bytes));
}

#[tokio::test]
async fn a_keys_largest_upload_holds_for_all_its_parts_together() {
    let fal = fal().await;
    // Not through the relay, but for such keys.
    let relay = Relay::before(&fal.base());
    let rules = json!({"max_upload_bytes": 100});
    let key = Office::of(&relay).make(Wish { rules, ..Wish::of("small") }).await.key;
    let account = relay.client().send(crate::support::get("/v1/account", &key)).await.json();
    assert_eq!(account["max_upload_bytes"], 100);
    let whole = upload_path(&relay, &initiate(&relay, INITIATE, &key).await);
    too_large(&put(&relay, &whole, &[], &[0; 101]).await, 100);
    let chunked = [b"65\r\n".as_slice(), &[0; 101], b"\r\n0\r\n\r\n"].concat();
    too_large(&put(&relay, &whole, &[("transfer-encoding", "chunked")], &chunked).await, 100);
    assert_eq!(put(&relay, &whole, &[], &[0; 100]).await.status, 200);
    let parts = upload_path(&relay, &initiate(&relay, "/storage/upload/initiate-multipart", &key).await);
    let part = async |number: u32, bytes: usize| {
        put(&relay, &with_suffix(&parts, &format!("/{number}")), &[], &vec![0; bytes]).await
    };
    assert_eq!(part(1, 60).await.status, 200);
    too_large(&part(2, 41).await, 100);
    assert_eq!(part(2, 40).await.status, 200);
    too_large(&part(3, 1).await, 100);
    let media =
        request("POST", "/storage/cdn/files/upload", &[("authorization", &format!("Key {key}"))], &[0; 101]);
    too_large(&relay.client().send(media).await, 100);
}

#[tokio::test]
async fn invariant_7_an_upload_through_the_relay_has_a_longest_form_and_so_has_its_list_of_parts() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH, ("FAL_RELAY_UPLOADS__MAX_BYTES", "4000000")]);
    let path = upload_path(&relay, &initiate(&relay, INITIATE, &relay.key).await);
    too_large(&put(&relay, &path, &[("content-length", "4000001")], b"").await, 4_000_000);
    let parts =
        upload_path(&relay, &initiate(&relay, "/storage/upload/initiate-multipart", &relay.key).await);
    let list = request("POST", &with_suffix(&parts, "/complete"), &[("content-length", "2097153")], b"");
    too_large(&relay.client().send(list).await, 2 * 1024 * 1024);
    let begin = post("/storage/cdn/files/upload/multipart", &relay.key, "no body belongs here");
    too_large(&relay.client().send(begin).await, 0);
}

#[tokio::test]
async fn uploads_that_begin_are_counted_and_their_parts_are_not() {
    let fal = fal().await;
    let relay = Relay::with(&fal.base(), &[THROUGH]);
    let rules = json!({"uploads_per_minute": 3, "requests_per_minute": 600});
    let key = Office::of(&relay).make(Wish { rules, ..Wish::of("few") }).await.key;
    let parts = upload_path(&relay, &initiate(&relay, "/storage/upload/initiate-multipart", &key).await);
    for _ in 0..10 {
        assert_eq!(put(&relay, &with_suffix(&parts, "/1"), &[], b"x").await.status, 200);
    }
    assert_eq!(relay.client().send(post("/storage/cdn/files/upload", &key, "x")).await.status, 200);
    initiate(&relay, INITIATE, &key).await;
    for path in [INITIATE, "/storage/cdn/files/upload", "/storage/cdn/files/upload/multipart"] {
        let refused = relay.client().send(post(path, &key, "")).await;
        let body = refused.json();
        assert_eq!(
            (refused.status, &body["limited"], &body["limit"]),
            (429, &"uploads".into(), &3.into()),
            "{path}"
        );
        assert!(refused.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn files_are_read_at_fal_or_through_the_relay_if_its_operator_says_so() {
    let fal = fal().await;
    let relay = Relay::before(&fal.base());
    let read = async |relay: &Relay, host: &str, path: &str| {
        relay.client().send(request("GET", path, &[("host", host), ("range", "bytes=0-1")], b"")).await
    };
    let sent_on = read(&relay, "relay.test", "/storage/cdn/files/b/f%20g.bin").await;
    let location = format!("{}/cdn/files/b/f%20g.bin", fal.base());
    assert_eq!((sent_on.status, sent_on.header("location")), (307, Some(location.as_str())));
    assert_eq!(read(&relay, "v3.fal.media", "/files/b/f.bin").await.status, 404);
    assert_eq!(fal.seen().len(), 0);
    let relay = Relay::with(&fal.base(), &[("FAL_RELAY_UPLOADS__PASS_DOWNLOADS", "true")]);
    assert_eq!(read(&relay, "v3.fal.media", "/files/b/f.bin").await.status, 200);
    let seen = last(&fal);
    assert_eq!((seen.target.as_str(), seen.header("range")), ("/cdn/files/b/f.bin", Some("bytes=0-1")));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_token_that_fal_refuses_is_the_operators_trouble_and_is_asked_for_anew() {
    let fal = Fal::start(|seen: &Seen| match seen.target.starts_with("/rest/") {
        true => answer("200 OK", &format!(r#"{{"token":"{TOKEN}","token_type":"Bearer"}}"#)),
        false => answer("401 Unauthorized", r#"{"detail":"Invalid token"}"#),
    })
    .await;
    let relay = Relay::before(&fal.base());
    for asked in 1..=2 {
        let refused = relay.client().send(post("/storage/cdn/files/upload", &relay.key, "x")).await;
        assert_eq!((refused.status, refused.header("x-relay-error")), (503, Some("account_unavailable")));
        let tokens = fal.seen().iter().filter(|seen| seen.target.starts_with("/rest/")).count();
        assert_eq!(tokens, asked);
    }
}

#[tokio::test]
async fn invariant_7_a_media_host_that_stays_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let fal = Fal::start_on(listener, move |seen| match seen.target.starts_with("/uploads/") {
        true => Step::Hang,
        false => script(address, seen),
    });
    let settings = [THROUGH, ("FAL_RELAY_UPSTREAM__UPLOAD_HEAD_TIMEOUT_SECONDS", "1")];
    let relay = Relay::with(&fal.base(), &settings);
    let path = upload_path(&relay, &initiate(&relay, INITIATE, &relay.key).await);
    let refused = put(&relay, &path, &[], b"bytes").await;
    assert_eq!((refused.status, refused.header("x-relay-error")), (504, Some("upstream_timeout")));
}

#[tokio::test]
async fn invariant_7_fals_token_is_kept_until_it_nearly_ends() {
    for (seconds, wanted) in [(500, 2), (3600, 1)] {
        let ends_at = SystemClock::new().now().plus(std::time::Duration::from_secs(seconds));
        let token = format!(r#"{{"token":"{TOKEN}","token_type":"Bearer","expires_at":"{ends_at}"}}"#);
        let fal = Fal::start(move |seen: &Seen| match seen.target.starts_with("/rest/") {
            true => answer("200 OK", &token),
            false => answer("200 OK", "{}"),
        })
        .await;
        let relay = Relay::before(&fal.base());
        for _ in 0..2 {
            assert_eq!(
                relay.client().send(post("/storage/cdn/files/upload", &relay.key, "x")).await.status,
                200
            );
        }
        let asked = fal.seen().iter().filter(|seen| seen.target.starts_with("/rest/")).count();
        assert_eq!(asked, wanted, "a token that lasts {seconds} s");
    }
}
