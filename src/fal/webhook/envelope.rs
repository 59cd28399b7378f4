//! The body of a webhook, put around a result whose bytes nobody touches (protocol 6.1).

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::RequestId;

/// What fal says in place of a payload that is not JSON.
const PAYLOAD_ERROR: &str = "Response payload is not JSON serializable. Either return a JSON serializable object \
                             or use the queue endpoint to retrieve the response.";

/// What stands in front of the payload.
#[derive(Serialize)]
struct Head<'a> {
    request_id: &'a RequestId,
    gateway_request_id: &'a RequestId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What stands in place of a payload that is not JSON.
#[derive(Serialize)]
struct NoPayload {
    payload: (),
    payload_error: &'static str,
}

/// The body of a webhook about a result with this status and body. Any success is OK; else the model's own error body is the
/// payload. The result's bytes are in it as they came, with their numbers, order of keys and white space.
pub fn envelope(request_id: &RequestId, status: u16, result: &[u8]) -> Bytes {
    let error = (!(200..300).contains(&status)).then(|| format!("Invalid status code: {status}"));
    put(request_id, error.as_deref(), result)
}

/// Whether a result cannot be a payload. A single pass that keeps nothing, however deep it is nested.
pub fn not_json(result: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(result).is_err()
}

fn put(request_id: &RequestId, error: Option<&str>, result: &[u8]) -> Bytes {
    let status = if error.is_some() { "ERROR" } else { "OK" };
    let mut body = BytesMut::new();
    open(&mut body, &Head { request_id, gateway_request_id: request_id, status, error });
    match not_json(result) {
        true => go_on(&mut body, &NoPayload { payload: (), payload_error: PAYLOAD_ERROR }),
        false => {
            body.reserve(result.len() + 1);
            body.put_slice(br#""payload":"#);
            body.put_slice(result);
            body.put_u8(b'}');
        }
    }
    body.freeze()
}

/// Writes an object whose end is still to come.
fn open(body: &mut BytesMut, object: &impl Serialize) {
    let text = serde_json::to_vec(object).unwrap_or_default();
    body.put_slice(text.strip_suffix(b"}").unwrap_or(&text));
    body.put_u8(b',');
}

/// Writes what an object that was opened still has.
fn go_on(body: &mut BytesMut, object: &impl Serialize) {
    let text = serde_json::to_vec(object).unwrap_or_default();
    body.put_slice(text.strip_prefix(b"{").unwrap_or(&text));
}
