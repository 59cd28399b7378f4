//! What one turn of a connection is: a few requests one after the other, or some messages on a socket and their echoes.

use std::io;

use crate::client::Client;
use crate::flags::{Failure, Flags};
use crate::frames;
use crate::message::{Framing, head};

const MESSAGE_BYTES_MAX: usize = 64 * 1024;
const MESSAGES_MAX: usize = 64;

pub enum Work {
    /// Each is sent when the one before it was answered.
    Requests(Vec<Vec<u8>>),
    /// Sent together, on a connection that began with a handshake.
    Messages { handshake: Vec<u8>, sent: Vec<u8>, echoed_bytes: usize },
}

impl Work {
    /// The requests in the file, or with `--message` bytes of them, messages behind the handshake in it.
    pub fn read(flags: &Flags) -> Result<Self, Failure> {
        let file = std::fs::read(flags.required::<String>("request")?)?;
        let Some(bytes) = flags.optional("message")? else { return Ok(Self::Requests(split(&file)?)) };
        let together = flags.optional("together")?.unwrap_or(1);
        if bytes > MESSAGE_BYTES_MAX || !(1..=MESSAGES_MAX).contains(&together) {
            return Err(format!("--message is at most {MESSAGE_BYTES_MAX}, --together {MESSAGES_MAX}").into());
        }
        let echoed_bytes = frames::from_server(bytes).len() * together;
        Ok(Self::Messages {
            handshake: file,
            sent: frames::from_client(bytes).repeat(together),
            echoed_bytes,
        })
    }

    /// What a connection begins with.
    pub fn begin(&self, client: &mut Client) -> io::Result<()> {
        match self {
            Self::Requests(_) => Ok(()),
            Self::Messages { handshake, .. } => client.switch(handshake),
        }
    }

    /// One turn; says the status of the last answer, or of the first that is no success.
    pub fn once(&self, client: &mut Client) -> io::Result<u16> {
        match self {
            Self::Requests(requests) => {
                let mut status = 200;
                for request in requests {
                    status = client.exchange(request)?;
                    if !(200..300).contains(&status) {
                        break;
                    }
                }
                Ok(status)
            }
            Self::Messages { sent, echoed_bytes, .. } => client.echo(sent, *echoed_bytes).map(|()| 200),
        }
    }
}

/// Requests as they stand one behind the other.
fn split(mut file: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut requests = Vec::new();
    while !file.is_empty() {
        let head = head(file).ok_or("the file is no request")?;
        let Framing::Length(body) = head.framing else { return Err("a request needs its length".into()) };
        let end = head.len + usize::try_from(body)?;
        let (request, rest) = file.split_at_checked(end).ok_or("a request is not whole")?;
        requests.push(request.to_vec());
        file = rest;
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stand_one_behind_the_other() {
        let file = b"PUT /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n\r\n";
        let requests = split(file).unwrap();
        assert_eq!(requests, [&file[..41], &file[41..]]);
        assert!(split(&file[..40]).is_err());
    }
}
