//! What is taken at a submit, what is refused, and what fal is told.

use super::{HERE, arrived, body_of, id_of, path_for, receiver, result, stage, submit};
use crate::support::{Office, Relay, post};

#[tokio::test]
async fn fal_never_sees_the_receiver() {
    let (fal, receiver) = (stage().await, receiver().await);
    let relay = Relay::with(&fal.base(), &[HERE]);
    let target = format!("{}/hook?secret=1&x=%20y", receiver.base());
    let id = id_of(&submit(&relay, &target, &result(r#"{"ok":1}"#)).await);
    let told = arrived(&receiver, 1).await.remove(0);
    assert_eq!((told.method.as_str(), told.target.as_str()), ("POST", "/hook?secret=1&x=%20y"));
    assert_eq!(body_of(&told)["request_id"], id.as_str());
    for seen in fal.seen() {
        assert!(!seen.target.contains("webhook") && !seen.target.contains("hook"), "{}", seen.target);
    }
    assert!(!relay.output().contains("secret=1"), "an address that may hold a secret is in the log");
}

#[tokio::test]
async fn with_a_public_address_fal_is_told_to_call_the_relay_at_a_word_of_its_own() {
    let (fal, receiver) = (stage().await, receiver().await);
    let public = ("FAL_RELAY_SERVER__PUBLIC_URL", "https://relay.example.com/fal");
    let relay = Relay::with(&fal.base(), &[HERE, public]);
    for _ in 0..2 {
        let path = path_for(&receiver.base()).replace('?', "?fal_max_queue_length=3&");
        id_of(&relay.client().send(post(&path, &relay.key, "{}")).await);
    }
    let begin = "/queue/a/b?fal_max_queue_length=3&fal_webhook=https%3A%2F%2Frelay.example.com%2Ffal%2Fwebhooks%2Ffal%2F";
    let submits: Vec<_> = fal.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    let words: Vec<_> = submits.iter().map(|seen| seen.target.strip_prefix(begin).unwrap()).collect();
    assert!(words.iter().all(|word| word.contains('.')) && words[0] != words[1], "{words:?}");
    let plain = relay.client().send(post("/a/b", &relay.key, "{}")).await;
    assert_eq!(plain.status, 200);
    assert_eq!(fal.seen().iter().filter(|seen| seen.target == "/queue/a/b").count(), 1);
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_before_anything_is_written_down() {
    let fal = stage().await;
    let relay = Relay::before(&fal.base());
    let long = format!("https://example.com/{}", "x".repeat(4000));
    for target in
        ["http://127.0.0.1:8080/", "https://169.254.169.254/latest", "ftp://example.com", "x", &long]
    {
        let refused = submit(&relay, target, &result("{}")).await;
        assert_eq!(
            (refused.status, refused.json()["error_type"].as_str()),
            (400, Some("webhook_target")),
            "{target}"
        );
        assert!(
            refused.json()["detail"].as_str().unwrap().starts_with("`fal_webhook` "),
            "{}",
            refused.text()
        );
    }
    let twice = path_for("https://example.com/a") + "&fal%5Fwebhook=https://example.com/b";
    assert_eq!(relay.client().send(post(&twice, &relay.key, "{}")).await.status, 400);
    assert_eq!((fal.seen().len(), Office::of(&relay).rows().await.len()), (0, 0));
    // No word of a receiver on a direct run goes to fal either, where it means nothing.
    relay.client().send(post("/run/a/b?fal_webhook=https%3A%2F%2Fexample.com&x=1", &relay.key, "{}")).await;
    assert_eq!(fal.seen()[0].target, "/run/a/b?x=1");
}
