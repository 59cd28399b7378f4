//! An HTTP/1.1 client that writes what it is told and shows what came back, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Talks to one listener, each request on a connection of its own.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    address: SocketAddr,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// Without its chunking.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that its framing announced.
    pub(crate) whole: bool,
}

/// `GET` of a path with a key.
pub(crate) fn get(path: &str, key: &str) -> Vec<u8> {
    request("GET", path, &[("authorization", &format!("Key {key}"))], b"")
}

/// `POST` of JSON with a key.
pub(crate) fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    request("POST", path, &headers, body.as_bytes())
}

/// Any request; `Host` and the length are added unless they are among the headers.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(field, _)| field.eq_ignore_ascii_case(name));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !has("host") {
        head.push_str("host: relay.test\r\n");
    }
    if !has("content-length") && !has("transfer-encoding") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A bare connection.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends and reads the one answer.
    pub(crate) async fn send(&self, request: Vec<u8>) -> Answer {
        let mut socket = self.connect().await;
        // A relay that refuses early may close before it has read all of a request.
        drop(socket.write_all(&request).await);
        read_answer(&mut socket).await
    }

    /// Submits and returns fal's id.
    pub(crate) async fn submit(&self, endpoint: &str, key: &str) -> String {
        let answer = self.send(post(&format!("/{endpoint}"), key, r#"{"prompt":"a cat"}"#)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["request_id"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The answer without what differs from answer to answer.
    pub(crate) fn comparable(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date" && name != "x-relay-request-id");
        self
    }
}

/// Reads one answer to its end.
pub(crate) async fn read_answer(socket: &mut TcpStream) -> Answer {
    read_answer_if_any(socket).await.unwrap()
}

/// The same from a relay that may be gone before it has answered.
pub(crate) async fn read_answer_if_any(socket: &mut TcpStream) -> Option<Answer> {
    let head = read_head(socket).await?;
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let value = |name: &str| headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let (body, whole) = match (value("content-length"), value("transfer-encoding")) {
        (Some(length), _) => read_exact(socket, length.parse().unwrap()).await,
        (None, Some(_)) => read_chunks(socket).await,
        (None, None) => (Vec::new(), true),
    };
    Some(Answer { status, headers, body, whole })
}

/// Byte by byte: what follows a head, the frames of a socket say, is for who reads next.
async fn read_head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

async fn read_exact(socket: &mut TcpStream, length: u64) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    // An answer that is cut is what some tests are about: as much as came is returned.
    drop(socket.take(length).read_to_end(&mut body).await);
    let whole = body.len() as u64 == length;
    (body, whole)
}

async fn read_chunks(socket: &mut TcpStream) -> (Vec<u8>, bool) {
    let mut raw = Vec::new();
    let mut body = Vec::new();
    loop {
        if let Some(line_end) = find(&raw, b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&raw[..line_end]).unwrap(), 16).unwrap();
            if size == 0 {
                return (body, true);
            }
            let (start, end) = (line_end + 2, line_end + 2 + size);
            if raw.len() >= end + 2 {
                body.extend_from_slice(&raw[start..end]);
                raw.drain(..end + 2);
                continue;
            }
        }
        if socket.read_buf(&mut raw).await.unwrap_or(0) == 0 {
            return (body, false);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
