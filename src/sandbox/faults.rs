//! What callers can ask to go wrong: magic words in the prompt, or endpoints of the owner `sandbox`.
//! The table in the room's own documentation says what each word does.

use std::time::Duration;

use http::StatusCode;

use super::webhooks::Odd;

/// Words of one prompt that are looked at.
const MAX_WORDS: usize = 16;
/// The longest time that can be asked for: what fal lets a model run.
const MAX_SECONDS: f64 = 3600.0;
/// The largest padding of an answer.
const MAX_PADDING_BYTES: u64 = 256 << 20;
/// The longest text of billed units.
const MAX_UNITS_LEN: usize = 32;

/// Which answer a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The answer to a submit.
    Submit,
    /// The answer to a status poll.
    Status,
    /// The answer to a cancel.
    Cancel,
    /// The model's own answer: a result, a direct run or a stream.
    #[default]
    Answer,
}

/// Everything that one call asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Faults {
    /// The model answers with this status.
    pub(super) fail: Option<StatusCode>,
    /// The submit or direct run itself is refused with this status.
    pub(super) refuse: Option<StatusCode>,
    /// The account is locked.
    pub(super) locked: bool,
    /// The application does not exist.
    pub(super) no_app: bool,
    /// How long the model runs.
    pub(super) slow: Option<Duration>,
    /// How long the request waits in the queue.
    pub(super) queue: Option<Duration>,
    /// The billed units: as written, or `none` for no header.
    pub(super) units: Option<String>,
    /// Bytes of padding in the answer.
    pub(super) padding: u64,
    /// Which answer never comes.
    pub(super) hang: Option<Stage>,
    /// Which answer breaks off half-way.
    pub(super) cut: Option<Stage>,
    /// Which answer is a redirect.
    pub(super) redirect: Option<Stage>,
    /// All answers are compressed, asked or not.
    pub(super) gzip: bool,
    /// Slashes in answers are written `\/`.
    pub(super) escape: bool,
    /// The output contains addresses that look like fal's.
    pub(super) echo_url: bool,
    /// The output tells which headers arrived.
    pub(super) echo_headers: bool,
    /// A cancel comes too late: the running model finishes and is billed.
    pub(super) stubborn: bool,
    /// What is wrong with its webhook.
    pub(super) webhook: Option<Odd>,
    /// How long after the end its webhook comes.
    pub(super) webhook_late: Duration,
}

impl Faults {
    /// Reads the words of a prompt, or of an endpoint id `sandbox/{word}[/{argument}]`.
    pub(super) fn read(endpoint: &str, prompt: &str) -> Self {
        let mut faults = Self::default();
        if let Some(word) = endpoint.strip_prefix("sandbox/") {
            let (word, argument) = word.split_once('/').unwrap_or((word, ""));
            faults.apply(word, argument);
        }
        for word in words(prompt).take(MAX_WORDS) {
            let (word, argument) = word.split_once(':').unwrap_or((word, ""));
            faults.apply(word.trim(), argument.trim());
        }
        faults
    }

    /// The units that a model's work is billed as: those that were asked for, else the usual ones.
    pub(super) fn billed(&self, usual: String) -> Option<String> {
        match self.units.as_deref() {
            None => Some(usual),
            Some("none") => None,
            Some(units) => Some(units.to_owned()),
        }
    }

    /// The units of a failure: usually nothing for a mistake of the caller, and silence for one of the model.
    pub(super) fn billed_failure(&self) -> Option<String> {
        let usual = self.fail.is_some_and(|status| status.is_client_error()).then(|| "0".to_owned());
        self.units.clone().or(usual).filter(|units| units != "none")
    }

    /// Words that mean nothing are part of the prompt and change nothing.
    fn apply(&mut self, word: &str, argument: &str) {
        match word {
            "fail" => self.fail = error_status(argument),
            "refuse" => self.refuse = error_status(argument),
            "429" => self.refuse = Some(StatusCode::TOO_MANY_REQUESTS),
            "locked" => self.locked = true,
            "no-app" => self.no_app = true,
            "slow" => self.slow = seconds(argument),
            "queue" => self.queue = seconds(argument),
            "units" => self.units = units(argument),
            "size" => self.padding = argument.parse().unwrap_or(0).min(MAX_PADDING_BYTES),
            "hang" => self.hang = stage(argument),
            "cut" => self.cut = stage(argument),
            "redirect" => self.redirect = stage(argument),
            "gzip" => self.gzip = true,
            "escape" => self.escape = true,
            "echo-url" => self.echo_url = true,
            "echo-headers" => self.echo_headers = true,
            "stubborn" => self.stubborn = true,
            "webhook" => self.webhook = odd(argument),
            "webhook-late" => self.webhook_late = seconds(argument).unwrap_or_default(),
            _ => {}
        }
    }
}

/// The texts between `[[` and `]]`.
fn words(prompt: &str) -> impl Iterator<Item = &str> {
    prompt.split("[[").skip(1).filter_map(|rest| Some(rest.split_once("]]")?.0))
}

fn error_status(text: &str) -> Option<StatusCode> {
    let status: u16 = text.parse().ok()?;
    (400..600).contains(&status).then(|| StatusCode::from_u16(status).ok())?
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(MAX_SECONDS)).ok()
}

/// Only characters that numbers, a list of them or a word have: the text becomes a header.
fn units(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+' | b',');
    ((1..=MAX_UNITS_LEN).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

fn stage(text: &str) -> Option<Stage> {
    match text {
        "" | "result" | "run" => Some(Stage::Answer),
        "submit" => Some(Stage::Submit),
        "status" => Some(Stage::Status),
        "cancel" => Some(Stage::Cancel),
        _ => None,
    }
}

fn odd(text: &str) -> Option<Odd> {
    match text {
        "twice" => Some(Odd::Twice),
        "forged" => Some(Odd::Forged),
        "stale" => Some(Odd::Stale),
        "body" => Some(Odd::Body),
        "id" => Some(Odd::Id),
        "lost" => Some(Odd::Lost),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_may_hold_several_words() {
        let faults =
            Faults::read("a/b", "a fox [[slow:1.5]] in [[units:3.008]] snow [[cut:submit]] [[unheard]] [[");
        assert_eq!(faults.slow, Some(Duration::from_millis(1500)));
        assert_eq!(faults.units.as_deref(), Some("3.008"));
        assert_eq!(faults.cut, Some(Stage::Submit));
    }

    #[test]
    fn an_endpoint_may_be_a_word() {
        assert_eq!(Faults::read("sandbox/fail/503", "").fail, Some(StatusCode::SERVICE_UNAVAILABLE));
        assert!(Faults::read("sandbox/locked", "").locked);
        assert_eq!(Faults::read("sandboxes/locked", ""), Faults::default());
    }

    #[test]
    fn arguments_out_of_range_change_nothing_or_are_capped() {
        assert_eq!(Faults::read("a/b", "[[fail:200]][[fail:x]][[slow:-1]][[units:a b]]"), Faults::default());
        assert_eq!(Faults::read("a/b", "[[slow:1e300]]").slow, Some(Duration::from_secs(3600)));
        assert_eq!(Faults::read("a/b", "[[size:18446744073709551615]]").padding, MAX_PADDING_BYTES);
    }
}
