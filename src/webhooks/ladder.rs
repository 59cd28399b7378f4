//! When a delivery that failed is tried again.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::random::{NoRandomness, Random};

/// The longest wait that a receiver may ask for with `Retry-After`.
const ASKED_MAX: Duration = Duration::from_secs(3600);
/// A part so small of a wait may be added to it by chance: a fifth.
const JITTER_DIVISOR: u32 = 5;
/// Room for tries that took long.
const HORIZON_MARGIN: Duration = Duration::from_secs(600);

/// Waits between tries.
#[derive(Clone, Debug)]
pub(super) struct Ladder(Vec<Duration>);

impl Ladder {
    pub(super) fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// The wait after the try `tries` (from 0), at least what the receiver `asked` for; `None` after the last.
    pub(super) fn wait(
        &self,
        tries: u32,
        asked: Option<Duration>,
        random: &Random,
    ) -> Result<Option<Duration>, NoRandomness> {
        let Some(wait) = usize::try_from(tries).ok().and_then(|tries| self.0.get(tries)) else {
            return Ok(None);
        };
        let wait = (*wait).max(asked.unwrap_or_default().min(ASKED_MAX));
        let most = u64::try_from((wait / JITTER_DIVISOR).as_micros()).unwrap_or(u64::MAX);
        Ok(Some(wait + Duration::from_micros(random.below(most)?)))
    }

    /// No wait is longer.
    pub(super) fn horizon(&self) -> Duration {
        let longest = self.0.iter().copied().max().unwrap_or_default().max(ASKED_MAX);
        longest + longest / JITTER_DIVISOR + HORIZON_MARGIN
    }
}

/// `Retry-After` in seconds, or as a date of HTTP (RFC 9110, 10.2.3). What cannot be read, or is over, asks for nothing.
pub(super) fn retry_after(value: &http::HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(date(text)?.since(now)).filter(|wait| !wait.is_zero()),
    }
}

/// A date in the form that HTTP has for all that is sent today.
fn date(text: &str) -> Option<Timestamp> {
    text.strip_suffix(" GMT")?;
    let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Timestamp::from_micros(moment.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::webhooks::Settings;

    fn default() -> Ladder {
        Ladder::new(Settings::default().retry_after)
    }

    #[test]
    fn the_default_ladder_lasts_more_than_a_day_and_ten_tries() {
        let Ladder(waits) = default();
        assert!(waits.len() + 1 >= 10 && waits.iter().sum::<Duration>() > Duration::from_secs(24 * 3600));
        assert!(waits.is_sorted());
    }

    proptest! {
        #[test]
        fn invariant_7_waits_are_bounded_whatever_a_receiver_asks(tries in 0..40_u32, asked in any::<u64>(), seed in any::<u64>()) {
            let ladder = default();
            let asked = Duration::from_secs(asked);
            let wait = ladder.wait(tries, Some(asked), &Random::seeded(seed)).unwrap();
            prop_assert_eq!(wait.is_some(), (tries as usize) < ladder.0.len());
            if let Some(wait) = wait {
                prop_assert!(wait >= ladder.0[tries as usize] && wait >= asked.min(ASKED_MAX));
                prop_assert!(wait < ladder.horizon());
            }
        }
    }

    #[test]
    fn seconds_and_dates_to_come_are_taken() {
        // Wed, 21 Oct 2026 07:28:00 GMT
        let now = Timestamp::from_micros(1_792_567_680_000_000);
        let read = |text: &'static str| retry_after(&http::HeaderValue::from_static(text), now);
        assert_eq!(read(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(read("Wed, 21 Oct 2026 07:30:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(read("Wed, 01 Jan 9000 00:00:00 GMT").map(|wait| wait > ASKED_MAX), Some(true));
        for text in [
            "",
            "-1",
            "1.5",
            "soon",
            "99999999999999999999",
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "Wed, 21 Oct 2026 07:20:00 GMT",
            "Wed, 21 Oct 2026 07:30:00 +0000",
            "Mon, 21 Oct 2026 07:30:00 GMT",
            "Wed, 21 Oct 2026 GMT",
            " GMT",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,40}( GMT)?") {
            if let Ok(value) = http::HeaderValue::from_str(&text) {
                let _ = retry_after(&value, Timestamp::default());
            }
        }
    }
}
