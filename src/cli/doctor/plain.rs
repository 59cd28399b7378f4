//! Walks through fal's protocol with a program that sends one request at a time: curl or HTTPie.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::lines::ENDPOINT;
use super::report::{Outcome, Report, Step};
use super::steps::{Trial, UNKNOWN_ID, What};
use super::tool::{Answer, Ask, Tool};
use crate::key::ApiKey;

/// The begin of the path of [`ENDPOINT`]'s requests.
const APP_BASE: &str = "fal-ai/flux-1";

/// Where fal's own queue lives; an answer that leads there leads past the relay.
const FAL_QUEUE: &str = "https://queue.fal.run/";

const POLL: Duration = Duration::from_millis(500);

/// How long a job is waited for. A model that nobody has used for a while takes minutes to begin.
const JOB_LIMIT: Duration = Duration::from_secs(300);

const INPUT: &[(&str, &str)] = &[("prompt", "a cat")];

/// The addresses of a submitted request.
#[derive(Clone, Deserialize)]
struct Job {
    response_url: String,
    status_url: String,
    cancel_url: String,
}

#[derive(Deserialize)]
struct Upload {
    upload_url: String,
    file_url: String,
}

/// A walk.
struct Walk<'a> {
    trial: &'a Trial<'a>,
    tool: Tool<'a>,
    base: &'a str,
    job: Option<Job>,
}

/// Walks, and tells each step as it happens.
pub(super) async fn walk<W: Write>(trial: &Trial<'_>, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    let Some((base, ca_file)) = trial.site.either() else { return Ok(()) };
    let tool = Tool { client: trial.client, program: &trial.program, ca_file, clock: trial.clock };
    let mut walk = Walk { trial, tool, base, job: None };
    let mut stopped = false;
    for what in trial.steps() {
        let name = what.as_str();
        if stopped {
            report.tell(&Step::new(name, Outcome::NotTried, "an earlier step stopped the walk"))?;
            continue;
        }
        match walk.step(what).await {
            Ok(detail) => report.tell(&trial.success(name, &detail))?,
            Err(error) => {
                stopped = matches!(what, What::Client | What::Key);
                report.tell(&trial.failure(name, &format!("{error:#}")))?;
            }
        }
    }
    Ok(())
}

impl Walk<'_> {
    async fn step(&mut self, what: What) -> anyhow::Result<String> {
        match what {
            What::Client => self.tool.version().await,
            What::Key => self.key().await,
            What::WrongKey => self.wrong_key().await,
            What::Submit => self.submit().await,
            What::Status => Ok(self.status(&self.job()?.status_url).await?.1),
            What::Result => self.result().await,
            What::Cancel => self.cancel().await,
            What::Run => images(&self.post(&format!("{}/run/{ENDPOINT}", self.base), INPUT).await?),
            What::Stream => self.stream().await,
            What::Upload => self.upload().await,
            What::Subscribe => bail!("this client has no such call"),
        }
    }

    async fn key(&self) -> anyhow::Result<String> {
        let answer = self.ask_unknown(self.trial.key).await?;
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let known = answer.status == 404 && body == serde_json::json!({"status": "NOT_FOUND"});
        ensure!(known, "an unknown request is answered with {answer}");
        Ok("accepted; an unknown request is answered with fal's own 404".into())
    }

    async fn wrong_key(&self) -> anyhow::Result<String> {
        let answer = self.ask_unknown(self.trial.wrong_key).await?;
        ensure!(answer.status == 401, "answered with {answer}, not 401");
        Ok("refused with 401".into())
    }

    async fn ask_unknown(&self, key: &ApiKey) -> anyhow::Result<Answer> {
        let url = format!("{}/{APP_BASE}/requests/{UNKNOWN_ID}/status", self.base);
        self.tool.ask(Ask::get(&url, key)).await
    }

    async fn submit(&mut self) -> anyhow::Result<String> {
        let job = self.submitted(INPUT).await?;
        let detail = format!("followed at {}", job.response_url);
        self.job = Some(job);
        Ok(detail)
    }

    async fn submitted(&self, input: &[(&str, &str)]) -> anyhow::Result<Job> {
        let job: Job = read(&self.post(&format!("{}/{ENDPOINT}", self.base), input).await?)?;
        let past = [&job.response_url, &job.status_url, &job.cancel_url];
        ensure!(
            !past.iter().any(|url| url.starts_with(FAL_QUEUE)),
            "its follow-ups lead to {}, past the relay",
            job.response_url
        );
        Ok(job)
    }

    fn job(&self) -> anyhow::Result<&Job> {
        self.job.as_ref().context("there is no request to follow, since submit failed")
    }

    async fn status(&self, status_url: &str) -> anyhow::Result<(bool, String)> {
        let answer = self.tool.ask(Ask::get(status_url, self.trial.key)).await?;
        ensure!(matches!(answer.status, 200 | 202), "answered with {answer}");
        let body: Value = read(&answer)?;
        let status = body.get("status").and_then(Value::as_str).context("the answer has no `status`")?;
        Ok((status == "COMPLETED", status.to_owned()))
    }

    async fn result(&self) -> anyhow::Result<String> {
        let job = self.job()?;
        let begin = self.trial.clock.elapsed();
        while !self.status(&job.status_url).await?.0 {
            let waited = self.trial.clock.elapsed().saturating_sub(begin);
            ensure!(waited < JOB_LIMIT, "the job is not done after {} seconds", waited.as_secs());
            self.trial.clock.sleep(POLL).await;
        }
        images(&self.tool.ask(Ask::get(&job.response_url, self.trial.key)).await?)
    }

    async fn cancel(&self) -> anyhow::Result<String> {
        let job = self.submitted(&[("prompt", self.trial.cancel_prompt())]).await?;
        let answer =
            self.tool.ask(Ask { method: "PUT", ..Ask::get(&job.cancel_url, self.trial.key) }).await?;
        match answer.status {
            200..300 => Ok("the request was taken back".into()),
            400 if answer.body.contains("ALREADY_COMPLETED") => {
                Ok("the request was done before the cancel came".into())
            }
            _ => bail!("answered with {answer}"),
        }
    }

    async fn stream(&self) -> anyhow::Result<String> {
        let answer = self.post(&format!("{}/run/{ENDPOINT}/stream", self.base), INPUT).await?;
        let events = answer.body.lines().filter(|line| line.starts_with("data:")).count();
        ensure!(answer.status == 200 && events > 0, "answered with {answer}");
        Ok(format!("{events} events"))
    }

    /// The bytes go to an address that opens without a key, so none is shown there.
    async fn upload(&self) -> anyhow::Result<String> {
        let file = [("content_type", "text/plain"), ("file_name", "small.txt")];
        let url = format!("{}/storage/upload/initiate?storage_type=fal-cdn-v3", self.base);
        let upload: Upload = read(&self.post(&url, &file).await?)?;
        let answer = self.tool.ask(Ask::put_text(&upload.upload_url, "a small file")).await?;
        ensure!((200..300).contains(&answer.status), "the upload itself is answered with {answer}");
        Ok(upload.file_url)
    }

    async fn post(&self, url: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.tool.ask(Ask { method: "POST", fields, ..Ask::get(url, self.trial.key) }).await
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> anyhow::Result<T> {
    serde_json::from_str(&answer.body).with_context(|| format!("answered with {answer}"))
}

fn images(answer: &Answer) -> anyhow::Result<String> {
    let body: Value = read(answer)?;
    let images = body.get("images").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let url = images.first().and_then(|image| image.get("url")).and_then(Value::as_str);
    let url = url.with_context(|| format!("answered with {answer}"))?;
    Ok(format!("{} image, {}", images.len(), url.chars().take(100).collect::<String>()))
}
