//! WebSockets, byte by byte: a handshake, frames, and both ends of a socket through the relay.

use fal_relay::websocket::accept_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{Answer, Fal, Relay, Seen, Step, read_answer};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A handshake for `target`, with more headers.
pub(crate) fn handshake(target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: {KEY}\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "host") {
        head.push_str("host: relay.test\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// fal's answer to a handshake, with more headers; the connection goes to `sockets`.
pub(crate) fn switch(
    seen: &Seen,
    headers: &[(&str, &str)],
    sockets: &mpsc::UnboundedSender<TcpStream>,
) -> Step {
    let accept = accept_key(seen.header("sec-websocket-key").unwrap().as_bytes());
    let mut head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n"
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    Step::Switch(head.into_bytes(), sockets.clone())
}

/// A frame as a server sends it, with the shortest length.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&header(first, payload.len(), 0)[..], payload].concat()
}

/// A frame as a client sends it.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let hidden: Vec<u8> = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    [&header(first, payload.len(), 0x80)[..], &MASK, &hidden].concat()
}

fn header(first: u8, length: usize, mask: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask | length as u8],
        126..=0xffff => [&[first, mask | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// The next frame from either side: its first byte and its payload; `None` at the end of the connection.
pub(crate) async fn read_frame(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let first = socket.read_u8().await.ok()?;
    let second = socket.read_u8().await.ok()?;
    let length = match second & 0x7f {
        126 => u64::from(socket.read_u16().await.ok()?),
        127 => socket.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        socket.read_exact(&mut mask).await.ok()?;
    }
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload).await.ok()?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some((first, payload))
}

/// Both ends of one socket through a relay.
pub(crate) struct Ends {
    pub(crate) client: TcpStream,
    pub(crate) fal: TcpStream,
    pub(crate) answer: Answer,
}

impl Ends {
    /// Opens a socket to `target` with a key. fal's script must [`switch`] to `sockets`.
    pub(crate) async fn open(
        relay: &Relay,
        target: &str,
        key: &str,
        sockets: &mut mpsc::UnboundedReceiver<TcpStream>,
    ) -> Self {
        let mut client = relay.client().connect().await;
        client.write_all(&handshake(target, &[("authorization", &format!("Key {key}"))])).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert_eq!(answer.status, 101, "{}", answer.text());
        let fal = sockets.recv().await.unwrap();
        Self { client, fal, answer }
    }

    /// A fal that opens every socket, with these headers in its answer.
    pub(crate) async fn fal(
        headers: &'static [(&'static str, &'static str)],
    ) -> (Fal, mpsc::UnboundedReceiver<TcpStream>) {
        let (sender, sockets) = mpsc::unbounded_channel();
        (Fal::start(move |seen: &Seen| switch(seen, headers, &sender)).await, sockets)
    }
}
