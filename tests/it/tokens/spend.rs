//! A client token's ceiling: one more cap that a burst cannot overshoot.

use fal_relay::period::Period;
use fal_relay::store::{CallState, Directory, Payer};
use futures_util::future::join_all;
use serde_json::json;

use super::{class, fal, house, run, token};
use crate::support::{Wish, budget, post};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_of_two_hundred_at_once_as_many_pass_as_the_token_may_spend() {
    let fal = fal().await;
    let (relay, office, made) = house(&fal).await;
    let token = token(&relay, &made.key, &json!({"max_usd": "7"})).await;
    let client = relay.client();
    let forms = ["/a/b", "/run/a/b", "/run/a/b/stream"];
    let sent = (0..200).map(|number: usize| client.send(post(forms[number % forms.len()], &token, "{}")));
    let (passed, refused): (Vec<_>, Vec<_>) =
        join_all(sent).await.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(passed.len(), 7);
    for answer in refused {
        assert_eq!(class(&answer), (402, "budget_exceeded"), "{}", answer.text());
        let said = answer.json();
        assert_eq!((&said["scope"], &said["limit_usd"]), (&json!("token"), &json!("7.00")));
        assert_eq!((&said["remaining_usd"], &said["resets_at"]), (&json!("0.00"), &json!(null)));
    }
    let paid = fal.seen().into_iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(paid, 7, "a call that was refused reached fal");
    assert_eq!(office.rows().await.len(), 7);
    // Its key may go on, and the books are those of the rows.
    assert_eq!(run(&relay, "a/b", &made.key).await.status, 200);
    office.balance().await;
}

#[tokio::test]
async fn what_a_call_did_not_cost_comes_back_under_the_ceiling() {
    let fal = crate::support::Fal::start(|seen: &crate::support::Seen| {
        let cheap = seen.body == b"{\"cheap\":1}";
        let units = if cheap { "0.25" } else { "1" };
        crate::support::Step::Reply(crate::support::reply(
            "200 OK",
            &[("x-fal-billable-units", units)],
            b"{}",
        ))
    })
    .await;
    let (relay, office, made) = house(&fal).await;
    let token = token(&relay, &made.key, &json!({"max_usd": "1.25"})).await;
    let cheap = relay.client().send(post("/run/a/b", &token, r#"{"cheap":1}"#)).await;
    assert_eq!(cheap.header("x-relay-cost-usd"), Some("0.25"));
    office.rows_when(|rows| rows.len() == 1 && rows[0].state == CallState::Settled).await;
    assert_eq!(run(&relay, "a/b", &token).await.status, 200, "a dollar is left");
    let answer = run(&relay, "a/b", &token).await;
    assert_eq!((class(&answer), &answer.json()["remaining_usd"]), ((402, "budget_exceeded"), &json!("0.00")));
}

#[tokio::test]
async fn the_keys_budget_holds_below_the_tokens_ceiling() {
    let fal = fal().await;
    let (relay, office, _) = house(&fal).await;
    let poor = office.make(Wish { budgets: vec![budget(Period::Day, "1")], ..Wish::of("poor") }).await;
    let token = token(&relay, &poor.key, &json!({"max_usd": "2"})).await;
    assert_eq!(run(&relay, "a/b", &token).await.status, 200);
    let answer = run(&relay, "a/b", &token).await;
    assert_eq!((class(&answer), &answer.json()["scope"]), ((402, "budget_exceeded"), &json!("key")));
    let payer = Payer { key_id: Some(poor.record.id), ..poor.payer() };
    // What was refused by the key's budget is not held under the token's ceiling either.
    office.store.set_budget(payer, Period::Day, None, crate::support::author()).await.unwrap();
    assert_eq!(run(&relay, "a/b", &token).await.status, 200);
    office.balance().await;
}
