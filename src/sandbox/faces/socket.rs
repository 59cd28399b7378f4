//! The faces that are WebSockets: realtime (protocol 4.1), and direct runs carried over WebSocket (protocol 4.3).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rmpv::Value as Packed;
use serde_json::{Map, Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::reply::Reply;
use super::{caller, query};
use crate::sandbox::Fal;
use crate::sandbox::endpoint::Endpoint;
use crate::sandbox::fal::Call;
use crate::sandbox::faults::{Faults, Stage};
use crate::sandbox::job::Account;
use crate::sandbox::run::Run;
use crate::sandbox::tags::Tags;
use crate::websocket::{BadHandshake, accept_key, asks, check};

/// How long an app waits for an input.
const IDLE: Duration = Duration::from_secs(60);
/// Inputs that wait when nobody says how many may.
const BUFFERED_MAX: usize = 60;
/// What every token of the sandbox begins with.
pub(super) const TOKEN_PREFIX: &str = "sandbox-token-";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request is for one of these faces.
pub(super) fn is_wanted(request: &Request) -> bool {
    asks(request.method(), request.headers())
}

/// What all inputs of a connection have in common.
struct Session {
    fal: Arc<Fal>,
    account: Account,
    endpoint: Endpoint,
    headers: HeaderMap,
    buffered_max: usize,
}

/// Opens a realtime connection to the model at `path`.
pub(super) fn realtime(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let name = path.strip_suffix("/realtime").filter(|name| Endpoint::parse(name).is_some()).unwrap_or(path);
    let token = query(request.uri(), "fal_jwt_token");
    let is_stranger = token.as_ref().is_some_and(|token| !token.starts_with(TOKEN_PREFIX));
    let session = session(fal, name, &request, token)?;
    open(request, move |socket| async move {
        match is_stranger {
            true => refuse(socket).await,
            false => session.converse(socket).await,
        }
    })
}

/// Opens a connection whose text messages are direct runs of the model at `path`.
pub(super) fn runs(fal: &Arc<Fal>, path: &str, request: Request) -> Result<Response, Reply> {
    let session = session(fal, path, &request, None)?;
    open(request, move |socket| async move { session.answer_runs(socket).await })
}

fn session(fal: &Arc<Fal>, name: &str, request: &Request, token: Option<String>) -> Result<Session, Reply> {
    let endpoint = caller::endpoint(name)?;
    let account = match token {
        Some(token) => Account::new(token),
        None => caller::account(request.headers(), endpoint.app())?,
    };
    if let Some(refusal) = caller::gate(&Faults::read(endpoint.id(), ""), &endpoint) {
        return Err(refusal);
    }
    let buffered_max = match query(request.uri(), "max_buffering").map(|text| text.parse()) {
        None => BUFFERED_MAX,
        Some(Ok(max)) if (1..=BUFFERED_MAX).contains(&max) => max,
        Some(_) => {
            let detail = "max_buffering must be between 1 and 60";
            return Err(Reply::detail(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    };
    let headers = request.headers().clone();
    Ok(Session { fal: Arc::clone(fal), account, endpoint, headers, buffered_max })
}

/// Answers a handshake, and goes on with what it becomes.
fn open<F>(mut request: Request, talk: impl FnOnce(Socket) -> F + Send + 'static) -> Result<Response, Reply>
where
    F: Future<Output = ()> + Send + 'static,
{
    let accept = match check(request.version(), request.headers()) {
        Ok(key) => accept_key(key),
        Err(BadHandshake::Malformed(detail)) => return Err(Reply::detail(StatusCode::BAD_REQUEST, detail)),
        Err(BadHandshake::Version(detail)) => {
            return Err(Reply::detail(StatusCode::UPGRADE_REQUIRED, detail));
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None);
            talk(socket.await).await;
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::try_from(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}

/// A token that nobody minted is told of by a message, not by a status.
async fn refuse(mut socket: Socket) {
    say(&mut socket, &json!({"status": "error", "error": "Unauthorized"})).await;
    drop(socket.close(None).await);
}

impl Session {
    /// One output for each input, in order; while one is made, inputs wait, and the oldest go when too many do.
    async fn converse(self, mut socket: Socket) {
        let mut waiting = VecDeque::new();
        loop {
            let Some(input) = self.next(&mut socket, &mut waiting).await else { return };
            let id = input.get("request_id").cloned();
            let Some(run) = self.run(input) else { return };
            let Some(answer) = listen(&mut socket, &mut waiting, self.buffered_max, run.finish()).await
            else {
                return;
            };
            let faults = run.job.faults.clone();
            run.end();
            if faults.hang == Some(Stage::Answer) {
                return self.hang(&mut socket).await;
            }
            if faults.cut == Some(Stage::Answer) {
                // Dropped in the midst of it.
                return;
            }
            let body: Vec<u8> = answer.body.pieces().flatten().collect();
            let mut output = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if answer.status != StatusCode::OK {
                let reason = output["detail"].to_string();
                tell(
                    &mut socket,
                    "x-fal-error",
                    [("error", "INTERNAL_ERROR".into()), ("reason", reason.into())],
                )
                .await;
                drop(socket.close(None).await);
                return;
            }
            if let (Some(output), Some(id)) = (output.as_object_mut(), id) {
                output.insert("request_id".into(), id);
            }
            if socket.send(Message::Binary(pack(&output).into())).await.is_err() {
                return;
            }
            tell(&mut socket, "x-fal-message", [("action", "timings".into()), ("timing", 0.0.into())]).await;
        }
    }

    /// The next input; `None` when there is none to come.
    async fn next(
        &self,
        socket: &mut Socket,
        waiting: &mut VecDeque<Map<String, Value>>,
    ) -> Option<Map<String, Value>> {
        while waiting.is_empty() {
            let heard = tokio::select! {
                heard = socket.next() => heard,
                () = self.fal.clock().sleep(IDLE) => {
                    let reason = "no input came for 60 seconds";
                    tell(socket, "x-fal-error", [("error", "TIMEOUT".into()), ("reason", reason.into())]).await;
                    drop(socket.close(None).await);
                    return None;
                }
            };
            hear(heard?.ok()?, waiting)?;
        }
        waiting.pop_front()
    }

    async fn hang(&self, socket: &mut Socket) {
        while let Some(Ok(_)) = socket.next().await {}
    }

    /// Begins a run with one input.
    fn run(&self, input: Map<String, Value>) -> Option<Run> {
        let prompt = input.get("prompt").and_then(Value::as_str).unwrap_or_default();
        let call = Call {
            account: self.account.clone(),
            endpoint: self.endpoint.clone(),
            faults: Faults::read(self.endpoint.id(), prompt),
            input: Ok(input),
            start_timeout: None,
            tags: Tags::read(&self.headers),
            headers: Value::Null,
        };
        self.fal.run(call).ok()
    }

    /// Each text message is a run; its answer is framed by two control messages.
    async fn answer_runs(self, mut socket: Socket) {
        let mut waiting = VecDeque::new();
        loop {
            let Some(input) = self.next(&mut socket, &mut waiting).await else { return };
            let Some(run) = self.run(input) else { return };
            let Some(answer) = listen(&mut socket, &mut waiting, usize::MAX, run.finish()).await else {
                return;
            };
            let (id, status) = (run.job.id.as_str().to_owned(), answer.status.as_u16());
            run.end();
            let headers = json!({"Content-Type": "application/json"});
            say(
                &mut socket,
                &json!({"type": "start", "request_id": id, "status": status, "headers": headers}),
            )
            .await;
            let body: Vec<u8> = answer.body.pieces().flatten().collect();
            drop(socket.send(Message::Binary(body.into())).await);
            let took = 0.0;
            let end = json!({"type": "end", "request_id": id, "status": status, "time_to_first_byte_seconds": took});
            say(&mut socket, &end).await;
        }
    }
}

/// Does `work`, and hears inputs meanwhile; `None` when the caller has left.
async fn listen<T>(
    socket: &mut Socket,
    waiting: &mut VecDeque<Map<String, Value>>,
    buffered_max: usize,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            heard = socket.next() => hear(heard?.ok()?, waiting)?,
        }
        while waiting.len() > buffered_max {
            waiting.pop_front();
        }
    }
}

/// Takes in what came; `None` ends the connection.
fn hear(message: Message, waiting: &mut VecDeque<Map<String, Value>>) -> Option<()> {
    let input = match message {
        Message::Binary(bytes) => unpack(rmpv::decode::read_value(&mut &bytes[..]).ok()?),
        Message::Text(text) => serde_json::from_str(text.as_str()).ok()?,
        Message::Close(_) => return None,
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Some(()),
    };
    match input {
        Value::Object(input) => waiting.push_back(input),
        _ => return None,
    }
    Some(())
}

async fn say(socket: &mut Socket, message: &Value) {
    // A caller who is gone need not be told.
    drop(socket.send(Message::Text(message.to_string().into())).await);
}

/// One of fal's own messages. Its fields come in this order (protocol 4.1): whoever looks at the beginning knows it by that.
async fn tell(socket: &mut Socket, kind: &str, [first, second]: [(&str, Value); 2]) {
    let text = format!(r#"{{"type":"{kind}","{}":{},"{}":{}}}"#, first.0, first.1, second.0, second.1);
    drop(socket.send(Message::Text(text.into())).await);
}

/// MessagePack as JSON; bytes become a `data:` address, as models take files.
fn unpack(value: Packed) -> Value {
    match value {
        Packed::Nil | Packed::Ext(..) => Value::Null,
        Packed::Boolean(value) => value.into(),
        Packed::Integer(number) => {
            number.as_i64().map(Value::from).or(number.as_u64().map(Value::from)).unwrap_or_default()
        }
        Packed::F32(number) => f64::from(number).into(),
        Packed::F64(number) => number.into(),
        Packed::String(text) => text.as_str().unwrap_or_default().into(),
        Packed::Binary(bytes) => {
            let bytes = base64::engine::general_purpose::STANDARD.encode(bytes);
            format!("data:application/octet-stream;base64,{bytes}").into()
        }
        Packed::Array(items) => items.into_iter().map(unpack).collect(),
        Packed::Map(fields) => Value::Object(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.as_str()?.to_owned(), unpack(value))))
                .collect(),
        ),
    }
}

/// JSON as MessagePack.
fn pack(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Into memory nothing can fail.
    drop(rmpv::encode::write_value(&mut bytes, &packed(value)));
    bytes
}

fn packed(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(value) => Packed::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Packed::Array(items.iter().map(packed).collect()),
        Value::Object(fields) => {
            Packed::Map(fields.iter().map(|(name, value)| (name.as_str().into(), packed(value))).collect())
        }
    }
}
