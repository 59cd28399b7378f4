//! Holds connections open, idle or each with a stream of events, until standard input ends.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::flags::{Failure, Flags};

const LONGEST: Duration = Duration::from_secs(60);
const CONNECTIONS_MAX: usize = 10_000;
/// Each held connection's answer is short.
const BUFFER_BYTES: usize = 16 * 1024;

pub fn run(flags: &Flags) -> Result<(), Failure> {
    let (to, connections) = (flags.loopback("to")?, flags.required::<usize>("connections")?);
    if connections > CONNECTIONS_MAX {
        return Err(format!("--connections is at most {CONNECTIONS_MAX}").into());
    }
    let request = std::fs::read(flags.required::<String>("request")?)?;
    let ask = match flags.required::<String>("until")?.as_str() {
        "answered" => Client::exchange,
        "event" => Client::first_event,
        _ => return Err("--until is answered or event".into()),
    };
    let mut held = Vec::with_capacity(connections);
    let start = Instant::now();
    for _ in 0..connections {
        if start.elapsed() > LONGEST {
            return Err("opening the connections takes too long".into());
        }
        let mut client = Client::connect(to, Some(BUFFER_BYTES))?;
        match ask(&mut client, &request)? {
            200..300 => held.push(client.into_socket()),
            status => return Err(format!("status {status}").into()),
        }
    }
    println!("holding {}", held.len());
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
