//! A twin of fal: develop against it and run tests without an account and without spending.
//!
//! [`Fal`] is plain state on a clock: requests, their place in the queue, uploads. What a request is doing is derived
//! from when it came in, so a hand-wound clock moves everything and nothing runs in the background. [`router`] puts
//! fal's hosts over it as HTTP faces, and [`start`] puts those on a socket.
//!
//! | Path prefix | Or `Host` | Plays |
//! | --- | --- | --- |
//! | `/queue` | `queue.fal.run`, `queue.falrun.com` | submit, status, status stream, result, cancel |
//! | `/run` | `fal.run`, `falrun.com` | direct runs and streams; with a WebSocket handshake realtime: see below |
//! | `/ws` | `ws.fal.run` | direct runs carried over WebSocket |
//! | `/rest` | `rest.fal.ai`, `rest.alpha.fal.ai` | the beginning of uploads, whole and in parts; the key of webhooks |
//! | `/cdn` | `v3.fal.media`, `v3b.fal.media` | files of models and of callers |
//! | `/api` | `api.fal.ai` | models, prices, estimates, usage, billing events, credits: see below |
//! | `/sandbox` | none | what tests set and count: see below |
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
//! | `[[units:NUMBER]]` | the billed units, as written, also when that is no number (`NaN`, `-1`, `1,2`); `[[units:none]]` leaves the header out |
//! | `[[size:BYTES]]` | the output has a field `padding` of so many bytes, at most 256 MiB |
//! | `[[hang]]` | the answer does not come for an hour |
//! | `[[cut]]` | the answer breaks off half-way |
//! | `[[redirect]]` | the answer is a 307 to another place on the same host |
//! | `[[gzip]]` | answers are compressed though nobody asked; event streams are not |
//! | `[[escape]]` | slashes in answers are written `\/` |
//! | `[[echo-url]]` | the output has a field `echo` with the text `https://queue.fal.run/x` and with the request's own `response_url` |
//! | `[[webhook:twice]]` | the webhook of the request comes twice |
//! | `[[webhook:forged]]`, `[[webhook:stale]]` | it is signed with a key that is not fal's; it was signed ten minutes ago |
//! | `[[webhook:body]]`, `[[webhook:id]]` | its body is not the one that was signed; it is about another request |
//! | `[[webhook:lost]]` | it never comes |
//! | `[[webhook-late:SECONDS]]` | it comes so long after the end |
//! | `[[echo-headers]]` | the output has a field `headers` with the headers that came with the call, credentials as stars |
//!
//! `hang`, `cut` and `redirect` strike the model's own answer: the result, the direct run, the stream. With an argument
//! they strike another one: `[[cut:submit]]`, `[[cut:status]]`, `[[cut:cancel]]`. Only the answer is spoiled: the call
//! itself was taken, the request exists and goes its way.
//!
//! # Realtime
//!
//! A WebSocket handshake for `/run/{endpoint}/realtime`, with a key or with a `fal_jwt_token` that begins with
//! `sandbox-token-`, opens a connection on which each input (MessagePack, or JSON as text) is a run of its own, with an
//! output in MessagePack and a message of its timing. `request_id` of an input is echoed; `max_buffering` (1 to 60) is how
//! many inputs wait while one runs, and then the oldest go. `[[fail:..]]` is answered by `x-fal-error` and the end,
//! `[[hang]]` by nothing, `[[cut]]` by the end alone; the endpoints `sandbox/refuse/..` and `sandbox/locked` refuse the
//! handshake. After 60 seconds without an input the connection ends with `TIMEOUT`.
//!
//! # Webhooks
//!
//! A submit with `fal_webhook` is told of its end there, in fal's three shapes and signed with a key that belongs to
//! `sandbox.seed`; its public half is at `/rest/.well-known/jwks.json`. A receiver has 15 seconds, and another ten tries over two
//! hours when it does not answer with a 2xx. Only receivers on this machine are called.
//!
//! # What is billed
//!
//! Prices and amounts are decimals: a bill is units times price, rounded once, half to even, to whole nano-dollars. The
//! price is that of the moment of the call. A request shows up on the bill when it ends, whether anybody reads its answer
//! or not; what costs no units never does.
//!
//! | Outcome | Billed units |
//! | --- | --- |
//! | success | those of `x-fal-billable-units`; those of the work itself when the header is missing, is no quantity (the `Units` of [`crate::money`] refuse it), or asks more than any amount holds |
//! | 4xx of the model, such as `[[fail:422]] [[units:2]]` | those of the header; none without a sound one. Refused input, unknown paths and plain `[[fail:4..]]` say 0 |
//! | 5xx, also with units in its header; a start that came too late | none |
//! | the call itself was refused | none |
//! | cancelled while it waited | none |
//! | cancelled while it ran | none, and the result is a 499; a `[[stubborn]]` one finishes and is billed |
//! | a direct run or stream whose caller left | as if cancelled at that moment: what had ended, as behind `[[hang]]`, is billed |
//! | an answer that was lost on its way (`cut`, `redirect`, `hang`) | as if it had arrived |
//!
//! Direct runs and results carry the units in a header, streams in their head. Whether fal does the latter is not known.
//!
//! # The platform's API
//!
//! | Path | Key | Understands |
//! | --- | --- | --- |
//! | `GET /v1/models` | any or none | `endpoint_id`, `q`, `category`, `status`, `limit` (at most 50), `cursor` |
//! | `GET /v1/models/pricing` | any | `endpoint_id`: 1 to 50, repeated or between commas |
//! | `POST /v1/models/pricing/estimate` | any | `unit_price`, and `historical_api_price` by the caller's own bill |
//! | `GET /v1/models/usage` | admin | `start`, `end`, `endpoint_id`, `api_key_id`, `timezone`, `timeframe`, `bound_to_timeframe`, `expand` |
//! | `GET /v1/models/billing-events` | admin | `start`, `end` (the last day, at most 90), `endpoint_id`, `request_id`, `api_key_id`, `limit` (50, at most 10,000), `cursor`; `source=tagged-billed` adds the tags of `X-Fal-Tags` and allows `tag=name=value` |
//! | `GET /v1/account/billing` | admin | `expand=credits`: 10,000 dollars less everything on the bill |
//!
//! The key id `NAME-admin` is the admin of what the key id `NAME` and itself are billed, whatever their secrets; `admin` is
//! everybody's. Any other key gets a 403 there. The last 100,000 bills are kept.
//!
//! Entries of the price list are wrong on request: the endpoints `sandbox/price/{word}` work and cost as any other, but
//! their entry is missing (`none`), lacks a field (`no-price`, `no-unit`, `no-currency`), is of an unheard unit
//! (`odd-unit`) or of another currency (`eur`), or has a price that is `huge`, `negative`, `nan`, `null`, a `text`, an
//! `exponent`, or too `fine`.
//!
//! # What tests set and count
//!
//! No key is needed, and nothing of it outlives the process.
//!
//! | Call | Body |
//! | --- | --- |
//! | `GET /sandbox/prices` | what differs from the catalogue |
//! | `PUT /sandbox/prices` | `{"ENDPOINT": {"unit_price": "0.03", "unit": "images"}, "ENDPOINT": null}` takes the place of all earlier changes, so `{}` brings the catalogue back. At most 1,000 dollars; `unit` is only a name, units are counted as before. Endpoints beyond the catalogue join the list of models; those with `null` leave it and the price list, and still cost what the catalogue says |
//! | `GET /sandbox/settings`, `PUT /sandbox/settings` | `{"api_calls_per_minute": null, "billing_lag_seconds": 0}`: beyond so many calls in a minute the platform's API answers 429; so long after its end a request shows up on the bill, at most a day |
//! | `GET /sandbox/counts` | requests, cancels and dropped runs so far, and the bill's events with their sum in nano-dollars |

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
mod webhooks;

#[cfg(test)]
mod tests;

pub use catalogue::BadCatalogue;
pub use faces::router;
pub use fal::{Counts, Fal};
pub use server::{Running, SandboxError, start};
pub use settings::Settings;
