//! One keep-alive connection to a proxy, blocking.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;

use crate::message::{Remaining, head};

/// No answer takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 256 * 1024;

pub struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(to: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&to, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, buffer: vec![0; buffer_bytes.unwrap_or(BUFFER_BYTES)] })
    }

    /// Sends `request` and reads the whole answer; says its status.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.socket.write_all(request)?;
        let (status, mut remaining, mut filled) = self.read_head()?;
        loop {
            if filled > 0 && remaining.take(&self.buffer[..filled]) < filled {
                return Err(broken("bytes after the answer"));
            }
            if remaining.is_done() {
                return Ok(status);
            }
            filled = self.read(0)?;
        }
    }

    /// Sends `request` and reads until the first event of its answer has come.
    pub fn first_event(&mut self, request: &[u8]) -> io::Result<u16> {
        self.socket.write_all(request)?;
        let (status, _, mut filled) = self.read_head()?;
        while memmem::find(&self.buffer[..filled], b"\n\n").is_none() {
            filled += self.read(filled)?;
        }
        Ok(status)
    }

    /// Leaves HTTP with a handshake.
    pub fn switch(&mut self, handshake: &[u8]) -> io::Result<()> {
        self.socket.write_all(handshake)?;
        match self.read_head()? {
            (101, _, 0) => Ok(()),
            (101, ..) => Err(broken("bytes before the first message")),
            (status, ..) => Err(broken(&format!("status {status} to a handshake"))),
        }
    }

    /// Sends messages and reads so many bytes of echoes.
    pub fn echo(&mut self, messages: &[u8], echoed_bytes: usize) -> io::Result<()> {
        self.socket.write_all(messages)?;
        let mut left = echoed_bytes;
        while left > 0 {
            let read = self.read(0)?;
            left = left.checked_sub(read).ok_or_else(|| broken("more came than was sent"))?;
        }
        Ok(())
    }

    /// Gives the buffer back and keeps the connection open.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Reads the head; what came after it is left at the beginning of the buffer.
    fn read_head(&mut self) -> io::Result<(u16, Remaining, usize)> {
        let mut filled = 0;
        loop {
            filled += self.read(filled)?;
            let Some(head) = head(&self.buffer[..filled]) else { continue };
            let status = head.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| broken("no status line"))?;
            let (remaining, len) = (Remaining::new(head.framing), head.len);
            self.buffer.copy_within(len..filled, 0);
            return Ok((status, remaining, filled - len));
        }
    }

    fn read(&mut self, at: usize) -> io::Result<usize> {
        match self.socket.read(&mut self.buffer[at..])? {
            0 => Err(broken("the connection ended inside an answer")),
            bytes => Ok(bytes),
        }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
