//! A twin of fal: develop against it and run tests without an account and without spending.
//!
//! [`Fal`] is plain state on a clock: requests, their place in the queue, uploads. What a request is doing is derived
//! from when it came in, so a hand-wound clock moves everything and nothing runs in the background. [`router`] puts
//! fal's hosts over it as HTTP faces, and [`start`] puts those on a socket.
//!
//! | Path prefix | Or `Host` | Plays |
//! | --- | --- | --- |
//! | `/queue` | `queue.fal.run`, `queue.falrun.com` | submit, status, status stream, result, cancel |
//! | `/run` | `fal.run`, `falrun.com` | direct runs and streams |
//! | `/rest` | `rest.fal.ai`, `rest.alpha.fal.ai` | the beginning of uploads, whole and in parts |
//! | `/cdn` | `v3.fal.media`, `v3b.fal.media` | files of models and of callers |
//! | `/api` | `api.fal.ai` | `/v1/models` and `/v1/models/pricing` |
//!
//! Every key `id:secret` is known and is an account of its own, save two: with the id `unknown` no account is found,
//! with the id `locked` it is locked everywhere. Models of `catalogue.toml` check their input and answer in their own
//! shape; any other endpoint takes anything and answers with a picture, or with a film or a sound when its id says so.
//! Pictures are PNG whatever format was asked for, and no input address is ever fetched.
//!
//! # Faults on request
//!
//! A prompt may hold these words. The endpoint `sandbox/{word}` or `sandbox/{word}/{argument}` does the same without a
//! prompt, for example `sandbox/fail/503`. Unknown words are ignored.
//!
//! | Word | What happens |
//! | --- | --- |
//! | `[[fail:STATUS]]` | the model fails with this status (400 to 599): at once in a direct run, as a completed request whose result has the status in the queue |
//! | `[[refuse:STATUS]]` | the submit or direct run itself is refused with this status; nothing enters the queue |
//! | `[[429]]` | the same as `[[refuse:429]]` |
//! | `[[locked]]` | the submit or direct run is answered as for a locked account (403) |
//! | `[[no-app]]` | the submit or direct run is answered as for an unknown application (404) |
//! | `[[queue:SECONDS]]` | the request waits so long in the queue (also before a direct run) |
//! | `[[slow:SECONDS]]` | the model runs so long; times are at most an hour |
//! | `[[stubborn]]` | a cancel of the running request is accepted, but it finishes all the same and is billed |
//! | `[[units:NUMBER]]` | the billed units, as written; `[[units:none]]` leaves the header out |
//! | `[[size:BYTES]]` | the output has a field `padding` of so many bytes, at most 256 MiB |
//! | `[[hang]]` | the answer does not come for an hour |
//! | `[[cut]]` | the answer breaks off half-way |
//! | `[[redirect]]` | the answer is a 307 to another place on the same host |
//! | `[[gzip]]` | answers are compressed though nobody asked; event streams are not |
//! | `[[escape]]` | slashes in answers are written `\/` |
//! | `[[echo-url]]` | the output has a field `echo` with the text `https://queue.fal.run/x` and with the request's own `response_url` |
//! | `[[echo-headers]]` | the output has a field `headers` with the headers that came with the call, credentials as stars |
//!
//! `hang`, `cut` and `redirect` strike the model's own answer: the result, the direct run, the stream. With an argument
//! they strike another one: `[[cut:submit]]`, `[[cut:status]]`, `[[cut:cancel]]`. Only the answer is spoiled: the call
//! itself was taken, the request exists and goes its way.

mod answer;
mod billing;
mod catalogue;
mod endpoint;
mod faces;
mod fal;
mod faults;
mod input;
mod job;
mod media;
mod output;
mod payload;
mod prices;
mod problem;
mod run;
mod server;
mod settings;
mod size;
mod tags;
mod timeline;
mod uploads;
mod validate;

#[cfg(test)]
mod tests;

pub use catalogue::BadCatalogue;
pub use faces::router;
pub use fal::{Counts, Fal};
pub use server::{Running, SandboxError, start};
pub use settings::Settings;
