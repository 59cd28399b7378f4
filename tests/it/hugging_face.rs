//! The relay in the place of Hugging Face's router: the provider's name before the path, and `_subdomain` for the host.

use crate::support::{Fal, Relay, Seen, get, json, post, submit_reply};

const ID: &str = "764cabcf-b745-4b3e-ae38-1200304cf45b";

#[tokio::test]
async fn the_routers_form_of_a_call_is_the_call() {
    let fal = Fal::start(|seen: &Seen| match seen.target.starts_with("/queue/") && seen.method == "POST" {
        true => submit_reply("fal-ai/wan", ID),
        false => json("200 OK", r#"{"status":"COMPLETED"}"#),
    })
    .await;
    let relay = Relay::before(&fal.base());
    let key = relay.key.as_str();
    let last = || fal.seen().pop().unwrap().target;
    let submitted =
        relay.client().send(post("/fal-ai/fal-ai/wan/v2.2/turbo?_subdomain=queue&a=1", key, "{}")).await;
    assert_eq!((submitted.status, last().as_str()), (200, "/queue/fal-ai/wan/v2.2/turbo?a=1"));
    // The client takes the path of this and puts it behind its base's host, so it must be fal's own.
    let response_url = submitted.json()["response_url"].as_str().unwrap().to_owned();
    assert_eq!(response_url, format!("http://relay.test/fal-ai/wan/requests/{ID}"));
    // As a client of the router asks, and as one that was told of another host does.
    for prefix in ["", "/fal-ai"] {
        for (tail, sent) in [("/status?_subdomain=queue", "/status"), ("?_subdomain=queue&logs=1", "?logs=1")]
        {
            let path = format!("{prefix}/fal-ai/wan/requests/{ID}{tail}");
            assert_eq!(relay.client().send(get(&path, key)).await.status, 200, "{path}");
            assert_eq!(last(), format!("/queue/fal-ai/wan/requests/{ID}{sent}"));
        }
    }
    // Without the parameter fal.run is meant.
    assert_eq!(relay.client().send(post("/fal-ai/fal-ai/flux-1", key, "{}")).await.status, 200);
    assert_eq!(last(), "/run/fal-ai/flux-1");
    // An endpoint under its own name is the queue's as ever, and the parameter stays here.
    relay.client().send(post("/fal-ai/wan/v2.2?_subdomain=queue", key, "{}")).await;
    assert_eq!(last(), "/queue/fal-ai/wan/v2.2");
    let kinds: Vec<_> =
        relay.ledger().iter().map(|row| row["endpoint"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["fal-ai/wan/v2.2/turbo", "fal-ai/flux-1", "fal-ai/wan/v2.2"]);
}
