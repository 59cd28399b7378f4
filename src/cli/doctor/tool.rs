//! curl and HTTPie as programs: one request, one answer. The key is written to their standard input, where no list of
//! processes shows it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Map, Value};
use tokio::process::Command;

use super::Client;
use super::child;
use crate::clock::Clock;
use crate::key::ApiKey;

/// How long one request may take: a direct run waits for the picture.
const LIMIT: Duration = Duration::from_secs(300);

/// What is shown of an answer that was not expected.
const SHOWN_CHARS: usize = 300;

/// A program that sends requests.
pub(super) struct Tool<'a> {
    pub(super) client: Client,
    pub(super) program: &'a Path,
    pub(super) ca_file: Option<&'a str>,
    pub(super) clock: &'a dyn Clock,
}

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) key: Option<&'a ApiKey>,
    /// The fields of a JSON body, when there are any.
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// A body of plain text.
    pub(super) text: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub(super) fn get(url: &'a str, key: &'a ApiKey) -> Self {
        Self { method: "GET", url, key: Some(key), fields: &[], text: None }
    }

    pub(super) fn put_text(url: &'a str, text: &'a str) -> Self {
        Self { method: "PUT", url, key: None, fields: &[], text: Some(text) }
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.body.chars().take(SHOWN_CHARS).collect::<String>())
    }
}

impl Tool<'_> {
    /// What the program calls itself.
    pub(super) async fn version(&self) -> anyhow::Result<String> {
        let mut command = child::command(self.program);
        command.arg("--version");
        let output = child::run(command, "", LIMIT, self.clock).await?;
        ensure!(output.success, "{} --version fails: {}", self.program.display(), output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        Ok(match self.client {
            Client::Httpie => format!("HTTPie {version}"),
            _ => version,
        })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> anyhow::Result<Answer> {
        // It may have come in an answer, and must not be read as an option.
        ensure!(
            ask.url.starts_with("http://") || ask.url.starts_with("https://"),
            "{} is no address",
            ask.url
        );
        let key = ask.key.map_or("", ApiKey::expose);
        let (command, input) = match self.client {
            Client::Httpie => {
                (self.httpie(&ask), if key.is_empty() { String::new() } else { format!("Bearer {key}") })
            }
            _ if key.is_empty() => (self.curl(&ask), String::new()),
            _ => (self.curl(&ask), format!("header = \"Authorization: Bearer {key}\"\n")),
        };
        let output = child::run(command, &input, LIMIT, self.clock).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.success, "{} fails: {}", self.program.display(), output.stderr);
        let answer = match self.client {
            Client::Httpie => read_httpie(&text),
            _ => read_curl(&text),
        };
        answer.with_context(|| format!("{} printed no answer: {}", self.program.display(), output.stderr))
    }

    fn curl(&self, ask: &Ask<'_>) -> Command {
        let mut command = child::command(self.program);
        command.args([
            "--silent",
            "--show-error",
            "--globoff",
            "--config",
            "-",
            "--write-out",
            "\n%{http_code}",
        ]);
        command.args(self.ca_file.iter().flat_map(|file| ["--cacert", file]));
        command.args(["--request", ask.method]);
        if let Some(text) = ask.text {
            command.args(["--header", "Content-Type: text/plain", "--data-binary", text]);
        } else if !ask.fields.is_empty() {
            let fields = ask.fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            let body = Value::Object(fields.collect::<Map<_, _>>()).to_string();
            command.args(["--header", "Content-Type: application/json", "--data-binary", &body]);
        }
        command.arg(ask.url);
        command
    }

    fn httpie(&self, ask: &Ask<'_>) -> Command {
        let mut command = child::command(self.program);
        command.args(["--ignore-stdin", "--pretty=none", "--print=hb"]);
        command.args(self.ca_file.map(|file| format!("--verify={file}")));
        command.args(ask.text.map(|text| format!("--raw={text}")));
        command.args([ask.method, ask.url]);
        // HTTPie reads a header's value from a file, and standard input is one.
        command.args(ask.key.map(|_| "Authorization:@/dev/stdin"));
        command.args(ask.text.map(|_| "Content-Type:text/plain"));
        command.args(ask.fields.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }
}

/// The body, and the status on a line of its own behind it.
fn read_curl(text: &str) -> Option<Answer> {
    let (body, status) = text.rsplit_once('\n')?;
    Some(Answer { status: status.parse().ok()?, body: body.to_owned() })
}

/// The head, an empty line, the body.
fn read_httpie(text: &str) -> Option<Answer> {
    let status = text.split_whitespace().nth(1)?.parse().ok()?;
    let (_, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_each_program_prints_them() {
        let answer = Some(Answer { status: 202, body: "{\"a\":\n1}".into() });
        assert_eq!(read_curl("{\"a\":\n1}\n202"), answer);
        assert_eq!(read_httpie("HTTP/1.1 202 Accepted\r\nA: b\r\n\r\n{\"a\":\n1}"), answer);
        assert_eq!(read_curl(""), None);
        assert_eq!(read_httpie("oops"), None);
    }

    #[test]
    fn no_key_is_an_argument() {
        let key = ApiKey::generate(crate::key::KeyKind::Live, &crate::random::Random::seeded(1)).unwrap();
        let clock = crate::clock::SystemClock::new();
        let tool =
            Tool { client: Client::Curl, program: Path::new("x"), ca_file: Some("ca.pem"), clock: &clock };
        let ask = Ask { fields: &[("prompt", "a cat")], ..Ask::get("http://a/b", &key) };
        for command in [tool.curl(&ask), tool.httpie(&ask)] {
            let command = format!("{command:?}");
            assert!(command.contains("http://a/b") && !command.contains(key.expose()), "{command}");
        }
    }
}
