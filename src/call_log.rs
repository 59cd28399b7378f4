//! The log of calls: one line for each, gathered in memory and written together a few times a second.
//!
//! A line of its own would cost each call a system call and the formatting of a general logger, which is more than the
//! rest of a poll. So lines are put together here, and leave whole: none is ever cut by another. What a crash can lose
//! is the last moment's lines; what was paid for is in the ledger, not here.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

use crate::clock::{Clock, Timestamp};

/// How often lines leave.
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// A reader of the log that takes nothing must neither stop calls nor fill the memory: lines beyond this are counted
/// and left out. Four times what the busiest worker makes between two flushes.
const BUFFER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Room for a usual line.
const LINE_BYTES: usize = 512;

/// Room that is kept from one flush to the next, so that it need not grow anew.
const ROOM_KEPT_BYTES: usize = 256 * 1024;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: `name=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where lines of calls go.
pub struct CallLog {
    form: Form,
    level: Level,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    sink: Mutex<Sink>,
}

struct Sink {
    out: Box<dyn Write + Send>,
    /// The lines that are being written; its room takes turns with that of the lines that wait.
    leaving: Vec<u8>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    left_out: u64,
    /// The second of the last line, and how it is written.
    second: (i64, String),
}

/// A field's name with what stands around it in each form, made by [`field!`] from a literal.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    #[doc(hidden)]
    pub text: &'static str,
    #[doc(hidden)]
    pub json: &'static str,
}

/// The [`Field`] of this name.
macro_rules! field {
    ($name:literal) => {
        $crate::call_log::Field { text: concat!(" ", $name, "="), json: concat!(",\"", $name, "\":") }
    };
}
pub(crate) use field;

/// One line on its way. Fields appear in the order in which they are written.
pub struct Line<'a> {
    form: Form,
    out: &'a mut Vec<u8>,
}

impl CallLog {
    /// A log that writes lines of at least `level` importance to `sink`.
    pub fn new(form: Form, level: Level, clock: Arc<dyn Clock>, sink: Box<dyn Write + Send>) -> Arc<Self> {
        let sink = Mutex::new(Sink { out: sink, leaving: Vec::new() });
        Arc::new(Self { form, level, clock, waiting: Mutex::default(), sink })
    }

    /// Puts one line together. `fields` is not called when the line is not important enough.
    pub fn write(&self, level: Level, fields: impl FnOnce(&mut Line<'_>)) {
        if level > self.level {
            return;
        }
        let mut waiting = lock(&self.waiting);
        if waiting.lines.len() > BUFFER_MAX_BYTES {
            waiting.left_out += 1;
            return;
        }
        waiting.begin(self.form, level, self.clock.now());
        let mut line = Line { form: self.form, out: &mut waiting.lines };
        fields(&mut line);
        line.end();
    }

    /// Writes out what waits, again and again; never returns. A sink may block, so this is done beside the runtime.
    pub async fn flush_often(self: Arc<Self>) {
        loop {
            self.clock.sleep(FLUSH_EVERY).await;
            if !lock(&self.waiting).lines.is_empty() {
                let log = self.clone();
                drop(tokio::task::spawn_blocking(move || log.flush()).await);
            }
        }
    }

    /// Writes out what waits.
    pub fn flush(&self) {
        let mut sink = lock(&self.sink);
        let Sink { out, leaving } = &mut *sink;
        let left_out = {
            let mut waiting = lock(&self.waiting);
            std::mem::swap(&mut waiting.lines, leaving);
            std::mem::take(&mut waiting.left_out)
        };
        // A log that cannot be written has nowhere to say so.
        if !leaving.is_empty() {
            drop(out.write_all(leaving));
        }
        leaving.clear();
        leaving.shrink_to(ROOM_KEPT_BYTES);
        if left_out > 0 {
            tracing::warn!(left_out, "the log's reader is too slow; lines of calls were left out");
        }
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Waiting {
    fn begin(&mut self, form: Form, level: Level, now: Timestamp) {
        let micros = now.as_micros().rem_euclid(1_000_000);
        if self.second.0 != now.as_seconds() || self.second.1.is_empty() {
            let whole = Timestamp::from_micros(now.as_micros() - micros).to_string();
            self.second = (now.as_seconds(), whole.trim_end_matches(".000000Z").to_owned());
        }
        let (second, out) = (&self.second.1, &mut self.lines);
        out.reserve(LINE_BYTES);
        let (before, between, after): (&str, &str, &str) = match form {
            Form::Json => (r#"{"timestamp":""#, r#"Z","level":""#, r#"","message":"call""#),
            Form::Text => ("", if level == Level::ERROR { "Z " } else { "Z  " }, " call"),
        };
        out.extend_from_slice(before.as_bytes());
        out.extend_from_slice(second.as_bytes());
        out.push(b'.');
        put_padded(out, micros.unsigned_abs(), 6);
        out.extend_from_slice(between.as_bytes());
        out.extend_from_slice(level.as_str().as_bytes());
        out.extend_from_slice(after.as_bytes());
    }
}

impl Line<'_> {
    /// A field with a text.
    pub fn text(&mut self, field: Field, value: &str) {
        self.name(field);
        match self.form {
            Form::Text if !value.is_empty() && value.bytes().all(is_plain) => {
                self.out.extend_from_slice(value.as_bytes());
            }
            Form::Json if !needs_escapes(value) => {
                self.out.push(b'"');
                self.out.extend_from_slice(value.as_bytes());
                self.out.push(b'"');
            }
            Form::Text | Form::Json => drop(serde_json::to_writer(&mut *self.out, value)),
        }
    }

    /// A field with a text, when there is one.
    pub fn text_if_any(&mut self, field: Field, value: Option<&str>) {
        if let Some(value) = value {
            self.text(field, value);
        }
    }

    /// A field with a whole number.
    pub fn number(&mut self, field: Field, value: u64) {
        self.name(field);
        drop(serde_json::to_writer(&mut *self.out, &value));
    }

    /// A field with yes or no.
    pub fn flag(&mut self, field: Field, value: bool) {
        self.name(field);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A field in milliseconds, with three decimals: a poll takes less than one.
    pub fn millis(&mut self, field: Field, value: Duration) {
        self.name(field);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        put_padded(self.out, micros / 1000, 1);
        self.out.push(b'.');
        put_padded(self.out, micros % 1000, 3);
    }

    fn name(&mut self, field: Field) {
        let name = match self.form {
            Form::Json => field.json,
            Form::Text => field.text,
        };
        self.out.extend_from_slice(name.as_bytes());
    }

    fn end(&mut self) {
        self.out.extend_from_slice(if self.form == Form::Json { b"}\n" } else { b"\n" });
    }
}

/// Writes a number with zeros before it until it has `width` digits.
fn put_padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let first = first.min(digits.len() - width);
    out.extend_from_slice(&digits[first..]);
}

/// Whether a text cannot stand between the quotes of JSON as it is. Without an early end, for the compiler's sake.
fn needs_escapes(value: &str) -> bool {
    value.bytes().fold(false, |found, byte| found | (byte < 0x20) | matches!(byte, b'"' | b'\\'))
}

/// Whether a byte needs no quotes in a line for people.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::clock::HandClock;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(lock(&self.0).clone()).unwrap()
        }
    }

    fn log(form: Form, level: Level) -> (Arc<CallLog>, Paper, HandClock) {
        let (paper, clock) =
            (Paper::default(), HandClock::new(Timestamp::from_micros(1_700_000_000_000_042)));
        let log = CallLog::new(form, level, Arc::new(clock.clone()), Box::new(paper.clone()));
        (log, paper, clock)
    }

    fn fields(line: &mut Line<'_>) {
        line.text(field!("route"), "status");
        line.text(field!("tenant"), "Ann \"A\" Example\n");
        line.number(field!("status"), 200);
        line.flag(field!("complete"), true);
        line.millis(field!("total_ms"), Duration::from_micros(12_034));
    }

    #[test]
    fn a_line_is_json_for_programs_and_pairs_for_people() {
        let (json, paper, _clock) = log(Form::Json, Level::INFO);
        json.write(Level::INFO, fields);
        json.flush();
        assert_eq!(
            paper.text(),
            "{\"timestamp\":\"2023-11-14T22:13:20.000042Z\",\"level\":\"INFO\",\"message\":\"call\",\"route\":\"status\",\
             \"tenant\":\"Ann \\\"A\\\" Example\\n\",\"status\":200,\"complete\":true,\"total_ms\":12.034}\n"
        );
        let (text, paper, clock) = log(Form::Text, Level::INFO);
        text.write(Level::WARN, fields);
        clock.advance(Duration::from_secs(1));
        text.write(Level::INFO, |line| line.number(field!("status"), 200));
        text.flush();
        assert_eq!(
            paper.text(),
            "2023-11-14T22:13:20.000042Z  WARN call route=status tenant=\"Ann \\\"A\\\" Example\\n\" status=200 \
             complete=true total_ms=12.034\n2023-11-14T22:13:21.000042Z  INFO call status=200\n"
        );
    }

    #[test]
    fn lines_below_the_level_are_not_even_put_together() {
        let (log, paper, _clock) = log(Form::Json, Level::WARN);
        log.write(Level::INFO, |_| panic!("a line that nobody wants was put together"));
        log.flush();
        assert_eq!(paper.text(), "");
    }

    #[tokio::test]
    async fn invariant_7_lines_leave_often_and_at_the_end() {
        let (log, paper, clock) = log(Form::Text, Level::INFO);
        let flushing = tokio::spawn(log.clone().flush_often());
        log.write(Level::INFO, fields);
        while paper.text().is_empty() {
            clock.advance(FLUSH_EVERY);
            tokio::task::yield_now().await;
        }
        flushing.abort();
        drop(flushing.await);
        log.write(Level::INFO, |line| line.text(field!("last"), "one"));
        assert!(!paper.text().contains("last=one"));
        drop(log);
        assert!(paper.text().ends_with("last=one\n"));
    }

    #[test]
    fn invariant_7_a_reader_that_takes_nothing_costs_bounded_memory() {
        let (log, paper, _clock) = log(Form::Text, Level::INFO);
        let held = lock(&log.sink);
        for _ in 0..50_000 {
            log.write(Level::INFO, fields);
        }
        assert!(lock(&log.waiting).lines.len() < BUFFER_MAX_BYTES + 1024);
        let left_out = lock(&log.waiting).left_out;
        assert!(left_out > 0);
        drop(held);
        log.flush();
        assert_eq!(paper.text().lines().count() as u64 + left_out, 50_000);
    }
}
