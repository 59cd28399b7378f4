//! What `benches/compare` puts on both sides of a proxy: an upstream that answers like fal's queue, a load generator, and
//! a holder of open connections. Everything stays on loopback.

mod client;
mod flags;
mod frames;
mod hold;
mod load;
mod message;
mod stub;
mod work;

use flags::{Failure, Flags};

const USAGE: &str = "\
compare-tools stub --listen ADDR
compare-tools load --to ADDR --request FILE --connections N (--seconds S | --requests N) [--rate PER_SECOND]
    [--message BYTES [--together N]]
compare-tools hold --to ADDR --request FILE --connections N --until answered|event|echoed [--message BYTES]";

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("compare-tools: {failure}\n\n{USAGE}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().unwrap_or_default();
    let flags = Flags::read(words)?;
    match verb.as_str() {
        "stub" => stub::run(&flags),
        "load" => load::run(&flags),
        "hold" => hold::run(&flags),
        _ => Err("name what to do: stub, load or hold".into()),
    }
}
