//! A fal that does what a test tells it to, down to the byte, and remembers what it was sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What to do with a request.
pub(crate) enum Step {
    /// Send these bytes; the connection stays.
    Reply(Vec<u8>),
    /// Send these bytes and close.
    ReplyAndClose(Vec<u8>),
    /// Send the bytes that come through the channel as they come, and close when it does.
    Follow(mpsc::UnboundedReceiver<Vec<u8>>),
    /// Answer with these bytes, and give the connection away.
    Switch(Vec<u8>, mpsc::UnboundedSender<TcpStream>),
    /// Say nothing, and wait for the other side to leave.
    Hang,
    /// Close without a word.
    Close,
}

type Script = Arc<dyn Fn(&Seen) -> Step + Send + Sync>;

/// The server.
pub(crate) struct Fal {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<usize>>,
    accepted: Arc<AtomicUsize>,
    malformed: Arc<Mutex<usize>>,
}

impl Fal {
    /// Answers each request by `script`.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Step + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), script)
    }

    /// The same on a socket that is there already.
    pub(crate) fn start_on(
        listener: TcpListener,
        script: impl Fn(&Seen) -> Step + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (seen, left): (Arc<Mutex<Vec<Seen>>>, Arc<Mutex<usize>>) = Default::default();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (script, log, hung_up): (Script, _, _) = (Arc::new(script), seen.clone(), left.clone());
        let (count, malformed) = (accepted.clone(), Arc::<Mutex<usize>>::default());
        let odd = malformed.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(converse(socket, script.clone(), log.clone(), hung_up.clone(), odd.clone()));
            }
        });
        Self { address, seen, left, accepted, malformed }
    }

    /// Its address, as upstream base addresses begin.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests that arrived so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many connections were made to it.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many times something came that is not the head of a request.
    pub(crate) fn malformed(&self) -> usize {
        *self.malformed.lock().unwrap()
    }

    /// How many connections the other side left while it waited for an answer.
    pub(crate) fn left(&self) -> usize {
        *self.left.lock().unwrap()
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// An answer with these headers and a length.
pub(crate) fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// A JSON answer.
pub(crate) fn json(status: &str, body: &str) -> Step {
    Step::Reply(reply(status, &[("content-type", "application/json")], body.as_bytes()))
}

/// fal's answer to a submit, with its addresses.
pub(crate) fn submit_reply(app_base: &str, request_id: &str) -> Step {
    let url = format!("https://queue.fal.run/{app_base}/requests/{request_id}");
    let body = format!(
        r#"{{"status": "IN_QUEUE", "request_id": "{request_id}", "response_url": "{url}", "status_url": "{url}/status", "cancel_url": "{url}/cancel", "logs": null, "metrics": {{}}, "queue_position": 0}}"#
    );
    json("200 OK", &body)
}

async fn converse(
    mut socket: TcpStream,
    script: Script,
    log: Arc<Mutex<Vec<Seen>>>,
    left: Arc<Mutex<usize>>,
    malformed: Arc<Mutex<usize>>,
) {
    let mut bytes = Vec::new();
    while let Some(seen) = read_request(&mut socket, &mut bytes, &malformed).await {
        log.lock().unwrap().push(seen.clone());
        match script(&seen) {
            Step::Reply(answer) => socket.write_all(&answer).await.unwrap(),
            Step::ReplyAndClose(answer) => {
                socket.write_all(&answer).await.unwrap();
                return;
            }
            Step::Follow(mut pieces) => {
                while let Some(piece) = next_piece(&mut socket, &mut pieces, &left).await {
                    drop(socket.write_all(&piece).await);
                }
                return;
            }
            Step::Switch(answer, sockets) => {
                socket.write_all(&answer).await.unwrap();
                drop(sockets.send(socket));
                return;
            }
            Step::Hang => {
                drop(socket.read_buf(&mut bytes).await);
                *left.lock().unwrap() += 1;
                return;
            }
            Step::Close => return,
        }
    }
}

async fn next_piece(
    socket: &mut TcpStream,
    pieces: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    left: &Mutex<usize>,
) -> Option<Vec<u8>> {
    let mut byte = [0];
    tokio::select! {
        biased;
        piece = pieces.recv() => piece,
        _ = socket.read(&mut byte) => {
            *left.lock().unwrap() += 1;
            None
        }
    }
}

/// Whether it is a request line and fields, each on a line of its own, and nothing else.
fn is_head(head: &str) -> bool {
    let Some((first, fields)) = head.trim_end_matches("\r\n").split_once("\r\n") else { return false };
    let words: Vec<&str> = first.split(' ').collect();
    let field = |line: &str| {
        line.split_once(": ").is_some_and(|(name, value)| {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !name.is_empty() && name.bytes().all(token) && !value.contains(['\r', '\n', '\0'])
        })
    };
    words.len() == 3 && words[1].starts_with('/') && words[2] == "HTTP/1.1" && fields.split("\r\n").all(field)
}

async fn read_request(socket: &mut TcpStream, bytes: &mut Vec<u8>, malformed: &Mutex<usize>) -> Option<Seen> {
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            *malformed.lock().unwrap() += usize::from(!bytes.is_empty());
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    *malformed.lock().unwrap() += usize::from(!is_head(&head));
    bytes.drain(..head_end);
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let body = read_body(socket, bytes, &headers).await?;
    Some(Seen { method, target, headers, body })
}

async fn read_body(
    socket: &mut TcpStream,
    bytes: &mut Vec<u8>,
    headers: &[(String, String)],
) -> Option<Vec<u8>> {
    let value = |name: &str| headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    if value("transfer-encoding").is_some() {
        return read_chunked(socket, bytes).await;
    }
    let length = value("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < length {
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes.drain(..length).collect())
}

async fn read_chunked(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        if let Some(line) = bytes.windows(2).position(|window| window == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
            let end = line + 2 + size;
            if bytes.len() >= end + 2 {
                body.extend_from_slice(&bytes[line + 2..end]);
                bytes.drain(..end + 2);
                if size == 0 {
                    return Some(body);
                }
                continue;
            }
        }
        if socket.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
