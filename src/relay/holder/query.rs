//! The parameters of a question. Each is named in the refusal of a value that it cannot have.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::relay::refusal::Refusal;

/// The most characters of a wrong word that a refusal repeats.
const SHOWN_CHARS: usize = 64;

/// The parameters of a query, in the order in which they were written.
pub(in crate::relay) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(in crate::relay) fn read(query: &'a str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).collect())
    }

    /// Refuses parameters that none of `names` is: a misspelt one would be silently without effect.
    pub(in crate::relay) fn only(&self, names: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|(name, _)| !names.contains(&&**name)) {
            Some((name, _)) => {
                let known = if names.is_empty() { "none".into() } else { names.join(", ") };
                Err(wrong(&shown(name), format!("is no parameter here; there are {known}")))
            }
            None => Ok(()),
        }
    }

    /// The value of a parameter that is written once at most.
    pub(in crate::relay) fn one(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(wrong(name, "must be given once")),
        }
    }

    /// The values of a parameter that may be repeated, and have several values between commas.
    pub(in crate::relay) fn list(&self, name: &'static str) -> Vec<&str> {
        self.all(name).flat_map(|value| value.split(',')).map(str::trim).collect()
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| &**value)
    }
}

/// The beginning of a wrong word.
pub(in crate::relay) fn shown(word: &str) -> String {
    word.chars().take(SHOWN_CHARS).collect()
}

/// The refusal of a parameter's value.
pub(in crate::relay) fn wrong(name: &str, reason: impl Into<String>) -> Refusal {
    Refusal::Parameter { name: name.into(), reason: reason.into() }
}
