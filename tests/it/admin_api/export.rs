//! The ledger as files, and what they add up to.

use serde_json::{Value, json};

use super::Operator;
use crate::support::Relay;

/// More than are read from the store at once.
const ROWS: i64 = 2_500;

/// A relay with so many settled calls of one tenant, whose costs nobody knows.
async fn with_calls(relay: &Relay) {
    relay.client().submit("fal-ai/flux-1/dev", &relay.key).await;
    let store = relay.store();
    store
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
             INSERT INTO calls (tenant_id, key_id, account, endpoint, kind, state, open, request_id, app_base, lease, status,
                                multiplier, hold_nano, hold_basis, billable_units, held_at, sent_at, settled_at)
             SELECT tenant_id, key_id, account, 'fal-ai/made', kind, 'settled', NULL, printf('%08x-made', i), app_base, lease,
                    200, multiplier, 0, hold_basis, '1', held_at + i, sent_at + i, sent_at + i
             FROM n, calls WHERE calls.id = 1",
            [ROWS],
        )
        .unwrap();
}

#[tokio::test]
async fn an_export_is_whole_however_long_and_its_formats_agree() {
    let relay = Relay::sandbox(&[]);
    with_calls(&relay).await;
    let operator = Operator::first(&relay);
    let csv = operator.ask("GET", "/export.csv?endpoint=fal-ai/made", b"").await;
    assert_eq!((csv.status, csv.whole), (200, true));
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"calls.csv\""));
    let jsonl = operator.ask("GET", "/export.jsonl?endpoint=fal-ai/made", b"").await;
    assert_eq!((jsonl.status, jsonl.header("content-type")), (200, Some("application/jsonl")));

    let text = csv.text();
    let mut lines = text.split_terminator("\r\n");
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let ids: Vec<i64> = lines.map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    let rows: Vec<Value> = jsonl.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ids.len(), usize::try_from(ROWS).unwrap());
    assert!(ids.is_sorted_by(|one, next| one < next), "oldest first, none twice");
    assert_eq!(rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(), ids);
    assert!(columns.iter().all(|column| rows[0].get(column).is_some()), "{columns:?}");
    assert_eq!(rows[0].as_object().unwrap().len(), columns.len());

    let rest = operator.ask("GET", &format!("/export.jsonl?after={}", ids[ids.len() - 3]), b"").await;
    assert_eq!(rest.text().lines().count(), 2);
    let nobody = operator.ask("GET", "/export.csv?tenant=nobody", b"").await;
    assert_eq!((nobody.status, nobody.text().lines().count()), (200, 1), "the head line alone");
}

#[tokio::test]
async fn calls_are_searched_shown_and_corrected() {
    let relay = Relay::sandbox(&[]);
    with_calls(&relay).await;
    let operator = Operator::first(&relay);
    let page = operator.get("/calls?endpoint=fal-ai/made&state=settled&status=200&limit=2").await;
    let ids: Vec<i64> =
        page["items"].as_array().unwrap().iter().map(|call| call["id"].as_i64().unwrap()).collect();
    assert_eq!((ids.len(), &page["has_more"]), (2, &json!(true)));
    assert!(ids[0] > ids[1], "the newest first");
    for (query, count) in [
        ("tenant=default&key_id=1&limit=3", 3),
        ("tenant=nobody", 0),
        ("key_id=99", 0),
        ("status=500", 0),
        ("state=held", 0),
        ("start=2999-01-01", 0),
        ("end=2001-01-01", 0),
        ("tag=team=a", 0),
        ("request_id=00000001-made", 1),
        ("min_cost_usd=0.05", 0),
        ("unpriced=true&endpoint=fal-ai/made&limit=4", 4),
    ] {
        assert_eq!(
            operator.get(&format!("/calls?{query}")).await["items"].as_array().unwrap().len(),
            count,
            "{query}"
        );
    }

    let path = format!("/calls/{}/adjustments", ids[0]);
    let without = operator.ask("POST", &path, br#"{"fal_cost_usd":"0.05"}"#).await;
    assert_eq!((without.status, &without.json()["field"]), (422, &json!("reason")));
    let made = operator
        .make(&path, json!({"fal_cost_usd": "0.05", "cost_usd": "0.06", "reason": "fal's invoice"}))
        .await;
    assert_eq!((&made["cost_usd"], &made["author"]), (&json!("0.06"), &json!("owner")));
    assert_eq!(operator.get(&path).await, json!([made]));
    let call = operator.get(&format!("/calls/{}", ids[0])).await;
    assert_eq!((&call["cost_usd"], &call["fal_cost_usd"]), (&json!("0.06"), &json!("0.05")));
    let again =
        operator.ask("POST", &path, br#"{"fal_cost_usd":"0.05","cost_usd":"0.06","reason":"again"}"#).await;
    assert_eq!((again.status, &again.json()["error_type"]), (409, &json!("nothing_to_adjust")));
    assert_eq!(operator.get("/calls?min_cost_usd=0.05").await["items"].as_array().unwrap().len(), 1);

    let usage = operator.get("/usage?by=tenant,model").await;
    assert_eq!(usage["total"]["cost_usd"], "0.06");
    let csv = operator.ask("GET", "/usage.csv?by=tenant,model", b"").await.text();
    assert!(csv.starts_with("tenant,endpoint,calls,failed,unpriced,cost_usd,fal_cost_usd\r\n"), "{csv}");
    assert!(csv.contains(",0.06,0.05\r\n"), "{csv}");
}
