//! An upstream that answers like fal, on one thread: submit, status, result, status stream; uploads; sockets that echo; and
//! a receiver of webhooks.
//!
//! The endpoint tells the size of results: `bench/size-65536` has results of 65,536 bytes, any other of 512. Jobs of
//! `bench/done` have ended when they are first asked after, others never do.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::flags::{Failure, Flags};
use crate::frames::{self, ACCEPT};
use crate::message::{Framing, Remaining, head};

const QUEUE: &str = "https://queue.fal.run";
/// Jobs of this endpoint have ended.
const DONE: &str = "/bench/done";
/// Webhooks come here.
const HOOK: &str = "/hook";
/// And here to a receiver that takes as long as one on the internet.
const SLOW_HOOK: &str = "/hook-far";
const RECEIVER_TAKES: Duration = Duration::from_millis(20);
const RESULT_BYTES: usize = 512;
const RESULT_BYTES_MAX: usize = 1 << 30;
/// How much of a long result is written at once.
const PIECE_BYTES: usize = 256 * 1024;
/// fal's streams send a comment as often.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
const FIRST_BUFFER_BYTES: usize = 4 * 1024;
const BUFFER_BYTES_MAX: usize = 256 * 1024;

pub fn run(flags: &Flags) -> Result<(), Failure> {
    let listen = flags.loopback("listen")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    Ok(tasks.block_on(&runtime, serve(listen))?)
}

async fn serve(listen: std::net::SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let state = Rc::new(State { listen: listen.to_string(), ..State::default() });
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let state = state.clone();
        // A connection that breaks is the proxy's or the load generator's to notice.
        tokio::task::spawn_local(async move { drop(Connection::new(socket, state).serve().await) });
    }
}

#[derive(Default)]
struct State {
    listen: String,
    submits: Cell<u64>,
    hooks: Cell<u64>,
    requests: Cell<u64>,
}

struct Connection {
    socket: TcpStream,
    state: Rc<State>,
    buffer: Vec<u8>,
    filled: usize,
}

enum Answer {
    Whole(Vec<u8>),
    Later(Vec<u8>),
    Long { head: Vec<u8>, bytes: usize },
    Events(Vec<u8>),
    Socket(Vec<u8>),
}

impl Connection {
    fn new(socket: TcpStream, state: Rc<State>) -> Self {
        Self { socket, state, buffer: vec![0; FIRST_BUFFER_BYTES], filled: 0 }
    }

    async fn serve(mut self) -> io::Result<()> {
        while let Some((answer, framing)) = self.next().await? {
            self.skip(framing).await?;
            self.state.requests.set(self.state.requests.get() + 1);
            match answer {
                Answer::Whole(bytes) => self.socket.write_all(&bytes).await?,
                Answer::Later(bytes) => {
                    tokio::time::sleep(RECEIVER_TAKES).await;
                    self.socket.write_all(&bytes).await?;
                }
                Answer::Long { head, bytes } => self.write_long(&head, bytes).await?,
                Answer::Events(first) => return self.stream(&first).await,
                Answer::Socket(head) => return self.echo(&head).await,
            }
        }
        Ok(())
    }

    /// The answer to the next request, once its head is there; its body is still to be read.
    async fn next(&mut self) -> io::Result<Option<(Answer, Framing)>> {
        loop {
            if let Some(head) = head(&self.buffer[..self.filled]) {
                let (answer, framing, len) = (self.state.answer(head.first_line), head.framing, head.len);
                self.buffer.copy_within(len..self.filled, 0);
                self.filled -= len;
                return Ok(Some((answer, framing)));
            }
            if self.filled == self.buffer.len() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a head that is too long"));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let bytes = self.socket.read(&mut self.buffer[self.filled..]).await?;
        self.filled += bytes;
        Ok(bytes)
    }

    async fn skip(&mut self, framing: Framing) -> io::Result<()> {
        let mut remaining = Remaining::new(framing);
        loop {
            let taken = remaining.take(&self.buffer[..self.filled]);
            self.buffer.copy_within(taken..self.filled, 0);
            self.filled -= taken;
            if remaining.is_done() {
                return Ok(());
            }
            if self.buffer.len() < BUFFER_BYTES_MAX
                && matches!(framing, Framing::Length(bytes) if bytes > 65536)
            {
                self.buffer.resize(BUFFER_BYTES_MAX, 0);
            }
            if self.read().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn write_long(&mut self, head: &[u8], bytes: usize) -> io::Result<()> {
        let piece = vec![b'x'; PIECE_BYTES];
        self.socket.write_all(head).await?;
        let mut left = letters(bytes);
        while left > 0 {
            let now = left.min(PIECE_BYTES);
            self.socket.write_all(&piece[..now]).await?;
            left -= now;
        }
        self.socket.write_all(JSON_FRAME.1.as_bytes()).await
    }

    /// Sends back a message for each that comes, those that came together in one write.
    async fn echo(mut self, head: &[u8]) -> io::Result<()> {
        self.socket.write_all(head).await?;
        let mut echoes = Vec::new();
        loop {
            echoes.clear();
            let mut at = 0;
            while let Some(frame) = frames::first(&self.buffer[at..self.filled]) {
                if frame.closes {
                    return Ok(());
                }
                echoes.extend(frames::from_server(frame.payload));
                at += frame.bytes;
            }
            self.buffer.copy_within(at..self.filled, 0);
            self.filled -= at;
            self.socket.write_all(&echoes).await?;
            if self.filled == self.buffer.len() {
                self.buffer.resize((2 * self.filled).min(BUFFER_BYTES_MAX), 0);
            }
            if self.read().await? == 0 {
                return Ok(());
            }
        }
    }

    async fn stream(mut self, first: &[u8]) -> io::Result<()> {
        self.buffer = vec![0; 64];
        self.socket.write_all(first).await?;
        loop {
            match tokio::time::timeout(COMMENT_EVERY, self.socket.read(&mut self.buffer)).await {
                Ok(Ok(0)) => return Ok(()),
                Ok(read) => drop(read?),
                Err(_) => self.socket.write_all(b"8\r\n: ping\n\n\r\n").await?,
            }
        }
    }
}

/// What stands around the letters of a result.
const JSON_FRAME: (&str, &str) = (r#"{"seed":1,"data":""#, r#""}"#);

impl State {
    fn answer(&self, request_line: &str) -> Answer {
        let mut words = request_line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        if path == "/count" {
            let (requests, hooks) = (self.requests.get(), self.hooks.get());
            return Answer::Whole(json("200 OK", &format!("{{\"requests\":{requests},\"hooks\":{hooks}}}")));
        }
        if path.ends_with("/realtime") {
            return Answer::Socket(switching());
        }
        let (endpoint, rest) = path.split_once("/requests/").unwrap_or((path, ""));
        let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
        match (method, verb) {
            ("POST", _) if path == HOOK || path == SLOW_HOOK => {
                self.hooks.set(self.hooks.get() + 1);
                let answer = json("200 OK", "");
                if path == HOOK { Answer::Whole(answer) } else { Answer::Later(answer) }
            }
            ("POST", _) if path.starts_with("/storage/upload/") => {
                Answer::Whole(json("200 OK", &self.begun()))
            }
            ("PUT", _) => Answer::Whole(json("200 OK", "")),
            ("POST", _) => Answer::Whole(json("200 OK", &self.submitted(endpoint))),
            (_, "status") if endpoint == DONE => {
                Answer::Whole(json("200 OK", &status(endpoint, id, "COMPLETED")))
            }
            (_, "status") => Answer::Whole(json("202 Accepted", &status(endpoint, id, "IN_PROGRESS"))),
            (_, "status/stream") => Answer::Events(events(&status(endpoint, id, "IN_PROGRESS"))),
            _ => result(result_bytes(endpoint)),
        }
    }

    fn begun(&self) -> String {
        format!(
            r#"{{"upload_url":"http://{}/put/file","file_url":"https://v3.fal.media/files/bench/file"}}"#,
            self.listen
        )
    }

    fn submitted(&self, endpoint: &str) -> String {
        let number = self.submits.get() + 1;
        self.submits.set(number);
        let id = format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id());
        status(endpoint, &id, "IN_QUEUE")
    }
}

fn status(endpoint: &str, id: &str, status: &str) -> String {
    let base = format!("{QUEUE}{endpoint}/requests/{id}");
    format!(
        r#"{{"status":"{status}","request_id":"{id}","response_url":"{base}","status_url":"{base}/status","cancel_url":"{base}/cancel","queue_position":0}}"#
    )
}

fn result_bytes(endpoint: &str) -> usize {
    let size = endpoint.rsplit_once("/size-").and_then(|(_, size)| size.parse().ok());
    size.unwrap_or(RESULT_BYTES).clamp(JSON_FRAME.0.len() + JSON_FRAME.1.len(), RESULT_BYTES_MAX)
}

/// The letters in a result of `bytes`.
fn letters(bytes: usize) -> usize {
    bytes - JSON_FRAME.0.len() - JSON_FRAME.1.len()
}

fn result(bytes: usize) -> Answer {
    let mut head = head_of("200 OK", bytes);
    head.extend_from_slice(JSON_FRAME.0.as_bytes());
    if bytes > PIECE_BYTES {
        return Answer::Long { head, bytes };
    }
    // One write, as a server with the whole answer at hand does it.
    head.resize(head.len() + letters(bytes), b'x');
    head.extend_from_slice(JSON_FRAME.1.as_bytes());
    Answer::Whole(head)
}

fn json(status: &str, body: &str) -> Vec<u8> {
    let mut bytes = head_of(status, body.len());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn head_of(status: &str, length: usize) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
        .into_bytes()
}

fn switching() -> Vec<u8> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ";
    format!("{head}{ACCEPT}\r\n\r\n").into_bytes()
}

fn events(data: &str) -> Vec<u8> {
    let event = format!("data: {data}\n\n");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n",
        event.len()
    )
    .into_bytes()
}
