//! A model's input with its defaults filled in.

use serde_json::{Map, Number, Value};

use super::catalogue::Model;

/// What a call gave, seen through the model that reads it.
pub(super) struct Input<'a> {
    /// The model.
    pub(super) model: &'a Model,
    /// What was given.
    pub(super) given: &'a Map<String, Value>,
}

impl Input<'_> {
    /// The field as given, else its default.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let field = self.model.fields.get(name)?;
        self.given.get(name).filter(|value| !value.is_null()).or(field.default.as_ref())
    }

    /// The field as a text; empty when it is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The field as true or false; numbers and words count as models count them.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            Some(Value::String(text)) => {
                matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on" | "t" | "y")
            }
            _ => false,
        }
    }

    /// How many pieces `name` asks for, between 1 and `most`.
    pub(super) fn count(&self, name: &str, most: u64) -> u64 {
        let count = match self.value(name) {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        count.unwrap_or(1).clamp(1, most)
    }

    /// The seed as the caller wrote it, when it is a whole number.
    pub(super) fn seed(&self) -> Option<Number> {
        match self.value("seed")? {
            Value::Number(number) if !number.is_f64() => Some(number.clone()),
            Value::String(text) => text.trim().parse::<i64>().ok().map(Number::from),
            _ => None,
        }
    }

    /// Seconds of film: `5`, `"5"` or `"8s"`.
    pub(super) fn seconds(&self) -> u32 {
        const USUAL: u32 = 5;
        const MOST: u32 = 60;
        let seconds = match self.value("duration") {
            Some(Value::Number(number)) => number.as_u64().and_then(|seconds| u32::try_from(seconds).ok()),
            Some(Value::String(text)) => text.trim_end_matches('s').parse().ok(),
            _ => None,
        };
        seconds.unwrap_or(USUAL).clamp(1, MOST)
    }
}
