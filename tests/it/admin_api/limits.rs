//! What the admin API takes at most.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::Operator;
use crate::support::{Relay, read_answer};

const BODY_MAX_BYTES: usize = 1024 * 1024;
const IMPORT_MAX_BYTES: usize = 32 * 1024 * 1024;

/// A body is refused by the length that it announces before it is read, and by its own length where it announces none.
#[tokio::test]
async fn invariant_7_a_body_of_the_admin_api_has_a_longest_form() {
    let relay = Relay::sandbox(&[]);
    let operator = Operator::first(&relay);
    let head = |path: &str, framing: &str| {
        let token = &operator.token;
        format!(
            "POST /api/v1{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{framing}\r\n\r\n"
        )
    };
    for (path, max_bytes) in [("/tenants", BODY_MAX_BYTES), ("/import", IMPORT_MAX_BYTES)] {
        let mut socket = operator.client.connect().await;
        let announced = head(path, &format!("content-length: {}", max_bytes + 1));
        socket.write_all(announced.as_bytes()).await.unwrap();
        let answer = read_answer(&mut socket).await;
        assert_eq!((answer.status, &answer.json()["max_bytes"]), (413, &json!(max_bytes)), "{path}");
    }
    let mut socket = operator.client.connect().await;
    socket.write_all(head("/tenants", "transfer-encoding: chunked").as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", BODY_MAX_BYTES + 1, " ".repeat(BODY_MAX_BYTES + 1));
    drop(socket.write_all(chunk.as_bytes()).await);
    let answer = read_answer(&mut socket).await;
    assert_eq!((answer.status, &answer.json()["error_type"]), (413, &json!("body_too_large")));

    let largest = format!("{{}}{}", " ".repeat(BODY_MAX_BYTES - 2));
    assert_eq!(operator.ask("POST", "/tenants", largest.as_bytes()).await.status, 422, "read whole");
    let longer = format!("{{}}{}", " ".repeat(BODY_MAX_BYTES));
    assert_ne!(operator.ask("POST", "/import", longer.as_bytes()).await.status, 413);
}
