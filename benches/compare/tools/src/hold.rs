//! Holds connections open, idle, each with a stream of events, or sockets, until standard input ends.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::flags::{Failure, Flags};
use crate::work::Work;

const LONGEST: Duration = Duration::from_secs(60);
const CONNECTIONS_MAX: usize = 10_000;
/// Each held connection's answer is short.
const BUFFER_BYTES: usize = 16 * 1024;

enum Until {
    Done(Work),
    Event(Vec<u8>),
}

impl Until {
    fn read(flags: &Flags) -> Result<Self, Failure> {
        match flags.required::<String>("until")?.as_str() {
            "answered" | "echoed" => Ok(Self::Done(Work::read(flags)?)),
            "event" => Ok(Self::Event(std::fs::read(flags.required::<String>("request")?)?)),
            _ => Err("--until is answered, event or echoed".into()),
        }
    }

    fn ask(&self, client: &mut Client) -> io::Result<u16> {
        match self {
            Self::Done(work) => work.begin(client).and_then(|()| work.once(client)),
            Self::Event(request) => client.first_event(request),
        }
    }
}

pub fn run(flags: &Flags) -> Result<(), Failure> {
    let (to, connections) = (flags.loopback("to")?, flags.required::<usize>("connections")?);
    if connections > CONNECTIONS_MAX {
        return Err(format!("--connections is at most {CONNECTIONS_MAX}").into());
    }
    let until = Until::read(flags)?;
    let mut held = Vec::with_capacity(connections);
    let start = Instant::now();
    for _ in 0..connections {
        if start.elapsed() > LONGEST {
            return Err("opening the connections takes too long".into());
        }
        let mut client = Client::connect(to, Some(BUFFER_BYTES))?;
        match until.ask(&mut client)? {
            200..300 => held.push(client.into_socket()),
            status => return Err(format!("status {status}").into()),
        }
    }
    println!("holding {}", held.len());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
