//! HTTP over WebSocket (protocol 4.3): each text message is a direct run, one after the other; each is answered by a message
//! that says `start`, the body in binary messages, and one that says `end`. Each is a call of its own, with a line of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::gate::Gate;
use super::holder::Shape;
use super::record::Recorded;
use super::refusal;
use crate::clock::Clock;
use crate::metrics::SocketEnd;
use crate::relay::{REVOKED, Runs};

const X_FAL_REQUEST_ID: HeaderName = HeaderName::from_static("x-fal-request-id");

/// Messages that wait for the run before them, and their bytes beyond the first; then nothing more is read.
const WAITING_MAX: usize = 16;
const WAITING_MAX_BYTES: usize = 1024 * 1024;
/// Bytes that are read at once.
const RUNS_READ_BYTES: usize = 8 * 1024;

/// Why a socket ends.
struct End {
    code: CloseCode,
    /// For people.
    reason: &'static str,
    /// For the log line.
    why: SocketEnd,
}

impl End {
    const DRAINING: Self =
        Self { code: CloseCode::Away, reason: "the relay restarts", why: SocketEnd::Draining };
    const REVOKED: Self = Self { code: CloseCode::Policy, reason: REVOKED, why: SocketEnd::Revoked };
    const IDLE: Self = Self { code: CloseCode::Away, reason: "idle for too long", why: SocketEnd::Idle };
    const AGREED: Self = Self { code: CloseCode::Normal, reason: "", why: SocketEnd::Agreed };
    const GONE: Self = Self { code: CloseCode::Away, reason: "", why: SocketEnd::ClientGone };
    const FAL_GONE: Self =
        Self { code: CloseCode::Error, reason: "the answer broke off", why: SocketEnd::FalGone };

    /// For a client that does not keep to the protocol.
    fn fault(code: CloseCode, reason: &'static str) -> Self {
        Self { code, reason, why: SocketEnd::ClientFault }
    }
}

/// Serves a socket to its end, and tells why it ended. At `stop`, or when its key has ended, the run under way is answered;
/// those that wait are not begun.
pub(super) async fn serve<S>(
    runs: Runs,
    gate: Box<Gate<S>>,
    front: &Arc<Front>,
    clock: &dyn Clock,
    stop: &CancellationToken,
) -> SocketEnd
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let max = usize::try_from(runs.max_message_bytes()).unwrap_or(usize::MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(RUNS_READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(max))
        .max_frame_size(Some(max));
    let socket = WebSocketStream::from_raw_socket(gate, Role::Server, Some(config)).await;
    let mut session = Session { runs, front, clock };
    let mut line = Line { socket, waiting: VecDeque::new(), waiting_bytes: 0 };
    let End { code, reason, why } = session.converse(&mut line, stop).await;
    // A client that is gone need not be told.
    drop(line.socket.close(Some(CloseFrame { code, reason: reason.into() })).await);
    // Its own close is answered by what is left to flush.
    drop(line.socket.flush().await);
    drop(line.socket.get_mut().shutdown().await);
    why
}

/// What the messages of a socket become.
struct Session<'a> {
    runs: Runs,
    front: &'a Front,
    clock: &'a dyn Clock,
}

impl Session<'_> {
    async fn converse<S: Stream>(&mut self, line: &mut Line<S>, stop: &CancellationToken) -> End {
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return End::DRAINING,
                () = self.runs.leave().end().cancelled() => return End::REVOKED,
                message = line.next() => message,
                () = self.clock.sleep(self.runs.idle()) => return End::IDLE,
            };
            let answered = match message {
                Ok(message) => self.answer(line, message).await,
                Err(end) => Err(end),
            };
            if let Err(end) = answered {
                return end;
            }
        }
    }

    /// Runs one message and says what came of it.
    async fn answer<S: Stream>(&self, line: &mut Line<S>, message: Bytes) -> Result<(), End> {
        let start = self.clock.elapsed();
        let mut record = self.front.record();
        let ran = line.beside(self.runs.run(message, &mut record.notes)).await?;
        let reply = ran.unwrap_or_else(|refusal| {
            record.refused(&refusal);
            refusal::answer(&refusal, Shape::Gateway)
        });
        let took = self.clock.elapsed().saturating_sub(start);
        let (parts, body) = reply.into_parts();
        let id = parts.headers.get(X_FAL_REQUEST_ID).cloned().unwrap_or_else(|| record.id());
        let id = id.to_str().unwrap_or_default().to_owned();
        let mut body = Recorded::new(body, parts.status, record);
        line.say(&start_message(&id, parts.status, &parts.headers)).await?;
        while let Some(frame) = line.beside(body.frame()).await? {
            let frame = frame.map_err(|_| End::FAL_GONE)?;
            if let Ok(data) = frame.into_data() {
                line.send(Message::Binary(data)).await?;
            }
        }
        line.say(&end_message(&id, parts.status, took)).await
    }
}

/// What a socket stands on.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The client's end of a socket of runs, and what it has said ahead.
struct Line<S> {
    socket: WebSocketStream<S>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
}

impl<S: Stream> Line<S> {
    /// The next message to run.
    async fn next(&mut self) -> Result<Bytes, End> {
        while self.waiting.is_empty() {
            let heard = self.socket.next().await;
            self.hear(heard)?;
        }
        let message = self.waiting.pop_front().unwrap_or_default();
        self.waiting_bytes -= message.len();
        Ok(message)
    }

    fn hear(&mut self, heard: Option<Result<Message, Error>>) -> Result<(), End> {
        match heard {
            Some(Ok(Message::Text(text))) => {
                self.waiting_bytes += text.len();
                self.waiting.push_back(text.into());
                Ok(())
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => {
                Err(End::fault(CloseCode::Unsupported, "send inputs as text messages"))
            }
            Some(Ok(Message::Close(_))) => Err(End::AGREED),
            None => Err(End::GONE),
            Some(Err(error)) => Err(fault(&error)),
        }
    }

    /// Whether one more message may be heard before those that wait are run.
    fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX && self.waiting_bytes < WAITING_MAX_BYTES
    }

    /// Does `work`, and listens meanwhile: a client who leaves ends it.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, End> {
        let mut work = std::pin::pin!(work);
        loop {
            let room = self.has_room();
            let heard = tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                heard = self.socket.next(), if room => heard,
            };
            self.hear(heard)?;
        }
    }

    async fn say(&mut self, message: &Value) -> Result<(), End> {
        self.send(Message::Text(message.to_string().into())).await
    }

    /// A client who takes nothing is bounded by the gate.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.send(message).await.map_err(|error| fault(&error))
    }
}

/// What a broken line ends with.
fn fault(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::fault(CloseCode::Size, "the message is larger than this relay takes"),
        Error::Utf8(_) => End::fault(CloseCode::Invalid, "a text message is not UTF-8"),
        Error::Protocol(_) => End::fault(CloseCode::Protocol, "a frame breaks the protocol"),
        _ => End::GONE,
    }
}

fn start_message(id: &str, status: StatusCode, headers: &HeaderMap) -> Value {
    let text = |value: &http::HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let name = |name: &http::HeaderName| match *name == header::CONTENT_TYPE {
        // As fal writes it.
        true => "Content-Type".to_owned(),
        false => name.to_string(),
    };
    let framing = |name: &http::HeaderName| *name == header::CONTENT_LENGTH || *name == header::CONNECTION;
    let told = headers.iter().filter(|(name, _)| !framing(name));
    let headers: Map<_, _> = told.map(|(field, value)| (name(field), text(value))).collect();
    json!({"type": "start", "request_id": id, "status": status.as_u16(), "headers": headers})
}

fn end_message(id: &str, status: StatusCode, took: Duration) -> Value {
    json!({
        "type": "end",
        "request_id": id,
        "status": status.as_u16(),
        "time_to_first_byte_seconds": took.as_secs_f64(),
    })
}
