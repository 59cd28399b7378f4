//! Reads what was said as typed values and collects what cannot be used, so that all problems are told at once.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Origin;
use super::said::{Said, Value};
use super::values;

/// The longest wait that can be set: thirty days. A longer one is a mistake in the unit.
const MAX_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A reader of [`Said`]. When a value cannot be used, the problem is noted and a stand-in is returned, which nobody sees:
/// a configuration with a problem is never handed out.
pub(super) struct Reader<'s> {
    pub(super) said: &'s mut Said,
}

impl Reader<'_> {
    fn value(&mut self, key: &str) -> (Value, Origin) {
        let found = self.said.get(key).map(|entry| (entry.value.clone(), entry.origin.clone()));
        found.unwrap_or_else(|| {
            self.said.refuse(Origin::Default, key, "has no default");
            (Value::Text(String::new()), Origin::Default)
        })
    }

    /// Notes a problem with the value of `key`.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        let (_, at) = self.value(key);
        self.said.refuse(at, key, reason);
    }

    /// The value of `key` as `check` sees it; the stand-in when it is refused.
    fn checked<T>(&mut self, key: &str, stand_in: T, check: impl FnOnce(&Value) -> Result<T, String>) -> T {
        let (value, at) = self.value(key);
        check(&value).unwrap_or_else(|reason| {
            self.said.refuse(at, key, reason);
            stand_in
        })
    }

    fn checked_text<T>(
        &mut self,
        key: &str,
        stand_in: T,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        self.checked(key, stand_in, |value| match value {
            Value::Text(text) => check(text),
            _ => Err("must be a text".into()),
        })
    }

    /// A text that `check` can read.
    pub(super) fn text<T: Default>(&mut self, key: &str, check: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.checked_text(key, T::default(), |text| {
            check(text).map_err(|reason| format!("is {text:?}; it {reason}"))
        })
    }

    /// A number within bounds.
    pub(super) fn number<T: TryFrom<i64> + Default>(&mut self, key: &str, bounds: RangeInclusive<i64>) -> T {
        self.checked(key, T::default(), |value| {
            let number = if let Value::Number(number) = value { Some(*number) } else { None };
            let number =
                number.filter(|number| bounds.contains(number)).and_then(|number| T::try_from(number).ok());
            number
                .ok_or_else(|| format!("is {value}; it must be from {} to {}", bounds.start(), bounds.end()))
        })
    }

    /// A wait in whole seconds.
    pub(super) fn seconds(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.number(key, 1..=MAX_WAIT.as_secs().cast_signed()))
    }

    /// A wait in whole seconds that may be left out.
    pub(super) fn seconds_or_none(&mut self, key: &str) -> Duration {
        Duration::from_secs(self.number(key, 0..=MAX_WAIT.as_secs().cast_signed()))
    }

    /// A wait in milliseconds.
    pub(super) fn millis(&mut self, key: &str) -> Duration {
        Duration::from_millis(self.number(key, 1..=MAX_WAIT.as_secs().cast_signed() * 1000))
    }

    pub(super) fn switch(&mut self, key: &str) -> bool {
        self.checked(key, false, |value| match value {
            Value::Switch(switch) => Ok(*switch),
            _ => Err("must be true or false".into()),
        })
    }

    /// An address and a port to listen at.
    pub(super) fn socket(&mut self, key: &str) -> SocketAddr {
        let stand_in = SocketAddr::from(([127, 0, 0, 1], 0));
        self.checked_text(key, stand_in, |text| {
            let wanted =
                "write a numeric address and a port, such as 127.0.0.1:8787, 0.0.0.0:8787 or [::]:8787";
            text.parse().map_err(|_| format!("is {text:?}; {wanted}"))
        })
    }

    /// A base address.
    pub(super) fn url(&mut self, key: &str, schemes: &[&str]) -> String {
        self.checked_text(key, String::new(), |text| values::base_url(text, schemes))
    }

    /// A base address, or none when the text is empty.
    pub(super) fn optional_url(&mut self, key: &str, schemes: &[&str]) -> Option<String> {
        self.checked_text(key, None, |text| match text {
            "" => Ok(None),
            text => values::base_url(text, schemes).map(Some),
        })
    }

    /// The path of a route, or nothing.
    pub(super) fn route(&mut self, key: &str) -> Option<String> {
        self.checked_text(key, None, values::route)
    }

    /// A path that must be said.
    pub(super) fn path(&mut self, key: &str) -> PathBuf {
        self.checked_text(key, PathBuf::new(), |text| match text {
            "" => Err("is empty; name a folder".into()),
            text => Ok(text.into()),
        })
    }

    /// A file that must be there, or none when the text is empty.
    pub(super) fn optional_file(&mut self, key: &str) -> Option<PathBuf> {
        self.checked_text(key, None, |text| match text {
            "" => Ok(None),
            text => std::fs::metadata(text)
                .map(|_| Some(text.into()))
                .map_err(|error| format!("names {text:?}, which cannot be used: {error}")),
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], stand_in: T) -> T {
        self.checked_text(key, stand_in, |text| {
            let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
            let words = || choices.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(", ");
            found.ok_or_else(|| format!("is {text:?}; it must be one of {}", words()))
        })
    }

    /// The file of the store.
    pub(super) fn sqlite_path(&mut self, key: &str) -> PathBuf {
        self.checked_text(key, PathBuf::new(), values::sqlite_path)
    }

    /// A list whose items are checked one by one.
    pub(super) fn list<T>(&mut self, key: &str, check: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.checked(key, Vec::new(), |value| match value {
            Value::List(items) => items.iter().map(|item| check(item)).collect(),
            _ => Err("must be a list".into()),
        })
    }
}
