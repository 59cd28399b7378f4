//! What is told of a job's end: fal's own bytes, in fal's own envelope (protocol 6.1).

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;

use crate::fal::top_level_strings;
use crate::fal::webhook::{envelope, envelope_without};
use crate::ids::RequestId;
use crate::relay::Relay;
use crate::relay::reply::read_envelope;
use crate::relay::watch::{Look, read_end};
use crate::store::{CallState, FollowedCall};
use crate::upstream::ResponseBody;

/// The status of fal's answer to whoever asks for the result of a cancelled job (protocol 2.5).
const CANCELLED: u16 = 499;
/// What stands in it.
const CANCELLED_BODY: &[u8] = br#"{"detail":"The request was cancelled.","error_type":"client_cancelled"}"#;
const GONE: &str = "The result is no longer available.";
const TOO_LARGE: &str = "The result is too large for a webhook. Fetch it from the request's response_url.";

/// An end that was seen.
pub(super) struct Ending {
    pub(super) status: u16,
    pub(super) units: Option<String>,
    /// The webhook's body.
    pub(super) body: Bytes,
}

/// A result as far as a webhook carries it.
enum Payload {
    Whole(Bytes),
    TooLarge,
}

impl Relay {
    /// How the job has ended; `None` when it has not, or when fal does not say.
    pub(super) async fn webhook_ending(&self, job: &FollowedCall) -> Option<Ending> {
        let request_id = job.call.request_id.as_ref()?;
        match job.call.state {
            CallState::Released => {
                let body = envelope(request_id, CANCELLED, CANCELLED_BODY);
                Some(Ending { status: CANCELLED, units: None, body })
            }
            CallState::Settled => self.read_result(job, request_id).await,
            _ => match self.has_completed(job, request_id).await? {
                Look::Ended(..) => self.read_result(job, request_id).await,
                Look::Gone => Some(gone(request_id)),
                Look::Later => None,
            },
        }
    }

    async fn has_completed(&self, job: &FollowedCall, request_id: &RequestId) -> Option<Look> {
        let account = self.shared.accounts.named(&job.call.account).ok()?;
        let status = self.ask(account, job.call.app_base.as_deref()?, request_id, "/status").await?;
        if status.status() == StatusCode::NOT_FOUND {
            return Some(Look::Gone);
        }
        let code = status.status();
        let (_, body) = read_envelope(status).await.ok()?;
        let [state] = top_level_strings(&body, ["status"]);
        Some(match state.as_deref() {
            Some("COMPLETED") => Look::Ended(code, None),
            _ => Look::Later,
        })
    }

    async fn read_result(&self, job: &FollowedCall, request_id: &RequestId) -> Option<Ending> {
        let account = self.shared.accounts.named(&job.call.account).ok()?;
        let result = self.ask(account, job.call.app_base.as_deref()?, request_id, "").await?;
        match read_end(&result) {
            Look::Later => None,
            Look::Gone => Some(gone(request_id)),
            Look::Ended(status, units) => {
                let status = status.as_u16();
                let body = match self.read_payload(result).await? {
                    Payload::Whole(bytes) => envelope(request_id, status, &bytes),
                    Payload::TooLarge => envelope_without(request_id, status, TOO_LARGE),
                };
                Some(Ending { status, units, body })
            }
        }
    }

    /// `None` when it breaks off: it is asked for again.
    async fn read_payload(&self, result: Response<ResponseBody>) -> Option<Payload> {
        let max_bytes = self.shared.settings.max_payload_bytes;
        let is_coded = result.headers().contains_key(header::CONTENT_ENCODING);
        let mut body = result.into_body();
        if body.size_hint().lower() > max_bytes {
            return Some(Payload::TooLarge);
        }
        if is_coded {
            // It was not asked for, so nothing here reads it; no JSON begins like that.
            return Some(Payload::Whole(Bytes::new()));
        }
        body = body.hurry();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            if (whole.len() + data.len()) as u64 > max_bytes {
                return Some(Payload::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
        Some(Payload::Whole(whole.freeze()))
    }
}

/// fal has forgotten the job; what it cost is not known.
fn gone(request_id: &RequestId) -> Ending {
    let status = StatusCode::NOT_FOUND.as_u16();
    Ending { status, units: None, body: envelope_without(request_id, status, GONE) }
}
