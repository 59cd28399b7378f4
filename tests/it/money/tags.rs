//! Cost tags: the tenant's stay in the ledger, the relay's own goes to fal.

use super::{DOLLAR, paid, till};
use crate::support::{Office, Relay, request};

#[tokio::test]
async fn a_tenants_tags_stay_here_and_the_relays_own_goes_to_fal() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let office = Office::of(&relay);
    let authorization = format!("Key {}", relay.key);
    let long = format!("team={}", "x".repeat(300));
    let many: Vec<_> = (10..60).map(|number| format!("k{number}=v")).collect();
    let hostile: &[(&[&str], Option<&str>)] = &[
        (&["team=web,app=shop"], Some("app=shop,team=web")),
        (&["team=web", "app=shop"], Some("app=shop,team=web")),
        (&[], None),
        // Another relay's tag, and another call's.
        (&["fal-relay=0000.1"], Some("fal-relay=0000.1")),
        (&["fal.secret=1,Team=x,=,a=,=b"], None),
        (&[&long], None),
        (&[&many.join(",")], Some(&*many[..10].join(","))),
        (&["a=b\tc;d=\"e\""], Some("a=b\tc;d=\"e\"")),
    ];
    for path in ["/a/b", "/run/a/b", "/run/a/b/stream"] {
        for (lines, kept) in hostile {
            let mut headers = vec![("authorization", authorization.as_str())];
            headers.extend(lines.iter().map(|line| ("x-fal-tags", *line)));
            let answer = relay.client().send(request("POST", path, &headers, b"{}")).await;
            assert_eq!(answer.status, 200, "{lines:?}");
            let row = office.rows().await.pop().unwrap();
            assert_eq!(row.tags.as_deref(), *kept, "{lines:?}");
            let sent = paid(&fal).pop().unwrap();
            let tags: Vec<_> = sent.headers.iter().filter(|(name, _)| name == "x-fal-tags").collect();
            let [(_, tag)] = tags[..] else { panic!("{tags:?}") };
            let (instance, call) = tag.strip_prefix("fal-relay=").unwrap().split_once('.').unwrap();
            assert_eq!(call, row.id.to_string());
            assert!(instance.len() == 16 && instance.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
        }
    }
}

#[tokio::test]
async fn questions_carry_no_tag() {
    let fal = till().await;
    let relay = Relay::with(&fal.base(), &[DOLLAR]);
    let job = super::submit(&relay, "a/b", &relay.key, r#"{"open":true}"#).await;
    let authorization = format!("Key {}", relay.key);
    let headers = [("authorization", authorization.as_str()), ("x-fal-tags", "team=web")];
    relay.client().send(request("GET", &format!("{job}/status"), &headers, b"")).await;
    assert_eq!(fal.seen().pop().unwrap().header("x-fal-tags"), None);
}
