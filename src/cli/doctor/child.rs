//! Programs that doctor starts: each has a deadline and bounded output, gets no secret as an argument and none in its
//! environment but the one meant for it, and dies with doctor.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::clock::Clock;

/// What a program may print on standard output. Streams of pictures are not small.
const STDOUT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What is read of a program's complaints.
const STDERR_MAX_BYTES: u64 = 16 * 1024;

/// Variables that hold keys. A child gets the one key that is meant for it.
const KEY_VARIABLES: [&str; 3] = ["FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET"];

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    /// There is no such program.
    #[error("{program} is not installed, or not in PATH")]
    Missing {
        /// Its name.
        program: String,
    },
    /// The system could not run it.
    #[error("{program} could not be run: {reason}")]
    Broken {
        /// Its name.
        program: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It took too long.
    #[error("{program} did not finish within {} seconds and was stopped", limit.as_secs())]
    Slow {
        /// Its name.
        program: String,
        /// How long it may take.
        limit: Duration,
    },
}

/// What a program left.
#[derive(Debug)]
pub(super) struct Output {
    /// Its standard output; empty when it was read line by line.
    pub(super) stdout: Vec<u8>,
    /// The begin of its complaints.
    pub(super) stderr: String,
    /// Whether it says that all went well.
    pub(super) success: bool,
}

/// A command that knows nothing of the relay's settings and of anyone's keys.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("FAL_RELAY_") || KEY_VARIABLES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `command` to its end, with nothing on its standard input; `line` sees each line of its output as it comes.
pub(super) async fn run_by_line(
    mut command: Command,
    limit: Duration,
    clock: &dyn Clock,
    mut line: impl FnMut(&str) -> io::Result<()>,
) -> Result<Output, ChildError> {
    let program = name_of(&command);
    let mut child = start(&mut command, Stdio::null())?;
    let work = async {
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let lines = async {
            let Some(stdout) = stdout else { return io::Result::Ok(()) };
            let mut lines = BufReader::new(stdout.take(STDOUT_MAX_BYTES)).lines();
            while let Some(text) = lines.next_line().await? {
                line(&text)?;
            }
            Ok(())
        };
        let (lines, stderr) = tokio::join!(lines, read(stderr, STDERR_MAX_BYTES));
        lines?;
        finish(&mut child, Vec::new(), stderr?).await
    };
    within(program, limit, clock, work).await
}

/// Runs `command` to its end, with `input` on its standard input.
pub(super) async fn run(
    mut command: Command,
    input: &str,
    limit: Duration,
    clock: &dyn Clock,
) -> Result<Output, ChildError> {
    let program = name_of(&command);
    let mut child = start(&mut command, Stdio::piped())?;
    let work = async {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (written, stdout, stderr) =
            tokio::join!(write(stdin, input), read(stdout, STDOUT_MAX_BYTES), read(stderr, STDERR_MAX_BYTES));
        written?;
        finish(&mut child, stdout?, stderr?).await
    };
    within(program, limit, clock, work).await
}

fn start(command: &mut Command, stdin: Stdio) -> Result<Child, ChildError> {
    let started =
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    started.map_err(|reason| match reason.kind() {
        io::ErrorKind::NotFound => ChildError::Missing { program: name_of(command) },
        _ => ChildError::Broken { program: name_of(command), reason },
    })
}

/// The child is killed when `work` is dropped.
async fn within(
    program: String,
    limit: Duration,
    clock: &dyn Clock,
    work: impl Future<Output = io::Result<Output>>,
) -> Result<Output, ChildError> {
    tokio::select! {
        output = work => output.map_err(|reason| ChildError::Broken { program, reason }),
        () = clock.sleep(limit) => Err(ChildError::Slow { program, limit }),
    }
}

async fn finish(child: &mut Child, stdout: Vec<u8>, stderr: Vec<u8>) -> io::Result<Output> {
    let success = child.wait().await?.success();
    Ok(Output { stdout, stderr: String::from_utf8_lossy(&stderr).trim().to_owned(), success })
}

/// A program that ends without reading its input has its reasons; its answer tells them.
async fn write(stdin: Option<ChildStdin>, input: &str) -> io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    match stdin.write_all(input.as_bytes()).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// All that comes, of which the first `max_bytes` are kept: a child that is not read from would never end.
async fn read(from: Option<impl AsyncRead + Unpin>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let Some(mut from) = from else { return Ok(Vec::new()) };
    let mut kept = Vec::new();
    (&mut from).take(max_bytes).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

fn name_of(command: &Command) -> String {
    command.as_std().get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{HandClock, SystemClock, Timestamp};

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new("sh"));
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_reads_its_input_and_is_heard() {
        let output =
            run(shell("cat; echo no >&2; exit 3"), "hello", LIMIT, &SystemClock::new()).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_str()), (b"hello".as_slice(), "no"));
        assert!(!output.success);
    }

    #[tokio::test]
    async fn lines_are_seen_in_their_order() {
        let mut seen = Vec::new();
        let keep = |line: &str| {
            seen.push(line.to_owned());
            Ok(())
        };
        run_by_line(shell("echo 1; echo 2"), LIMIT, &SystemClock::new(), keep).await.unwrap();
        assert_eq!(seen, ["1", "2"]);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped() {
        let clock = HandClock::new(Timestamp::from_micros(0));
        let running = run(shell("exec sleep 1000"), "", LIMIT, &clock);
        let (outcome, ()) = tokio::join!(running, async { clock.advance(LIMIT) });
        assert_eq!(outcome.unwrap_err().to_string(), "sh did not finish within 60 seconds and was stopped");
    }

    #[tokio::test]
    async fn a_flood_is_cut_and_does_not_block() {
        let flood = "head -c 20000000 /dev/zero; head -c 100000 /dev/zero >&2";
        let output = run(shell(flood), "", LIMIT, &SystemClock::new()).await.unwrap();
        assert_eq!(output.stdout.len() as u64, STDOUT_MAX_BYTES);
        assert_eq!(output.stderr.len() as u64, STDERR_MAX_BYTES);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told() {
        let missing = command(Path::new("/nowhere/python3"));
        let error = run(missing, "", LIMIT, &SystemClock::new()).await.unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/python3 is not installed, or not in PATH");
    }
}
