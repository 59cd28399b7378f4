//! One entry of the `detail` list with which a model refuses its input.

use serde::Serialize;
use serde_json::Value;

/// Inputs beyond this size are not repeated in the answer.
const MAX_ECHO_BYTES: usize = 4 << 10;

/// A step on the way to the field that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Step {
    /// A field of an object.
    Field(String),
    /// An item of a list, or a place in a text.
    Item(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Field(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(at: usize) -> Self {
        Self::Item(at)
    }
}

/// What is wrong, where, and what was given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Problem {
    pub(super) loc: Vec<Step>,
    pub(super) msg: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ctx: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Value>,
}

impl Problem {
    /// A problem that the type checks of the model's framework find.
    pub(super) fn typed(loc: &[Step], kind: &'static str, msg: impl Into<String>, input: &Value) -> Self {
        let url = format!("https://errors.pydantic.dev/2.10/v/{kind}");
        Self { loc: loc.to_vec(), msg: msg.into(), kind, url, ctx: None, input: echo(input) }
    }

    /// A problem that the model itself finds.
    pub(super) fn of_model(loc: &[Step], kind: &'static str, msg: impl Into<String>) -> Self {
        let url = format!("https://docs.fal.ai/errors/#{kind}");
        Self { loc: loc.to_vec(), msg: msg.into(), kind, url, ctx: None, input: None }
    }

    /// The same, with the facts behind it.
    pub(super) fn with(mut self, ctx: Value) -> Self {
        self.ctx = Some(ctx);
        self
    }

    /// The same, with what was given.
    pub(super) fn given(mut self, input: &Value) -> Self {
        self.input = echo(input);
        self
    }

    /// The body of an answer with these problems.
    pub(super) fn body(problems: &[Self]) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            detail: &'a [Problem],
        }
        serde_json::to_vec(&Body { detail: problems }).unwrap_or_default()
    }
}

/// Inputs may hold whole files; those are not sent back.
fn echo(input: &Value) -> Option<Value> {
    (size_at_most(input, MAX_ECHO_BYTES)).then(|| input.clone())
}

/// Whether the texts in `value` have at most `limit` bytes, found without printing it.
fn size_at_most(value: &Value, limit: usize) -> bool {
    fn add(value: &Value, left: &mut usize) -> bool {
        let own = match value {
            Value::String(text) => text.len(),
            _ => 1,
        };
        if own > *left {
            return false;
        }
        *left -= own;
        match value {
            Value::Array(items) => items.iter().all(|item| add(item, left)),
            Value::Object(map) => map.iter().all(|(_, item)| add(item, left)),
            _ => true,
        }
    }
    add(value, &mut { limit })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_has_the_shape_of_the_framework() {
        let problem =
            Problem::typed(&["body".into(), "prompt".into()], "missing", "Field required", &json!({}));
        assert_eq!(
            String::from_utf8(Problem::body(&[problem])).unwrap(),
            r#"{"detail":[{"loc":["body","prompt"],"msg":"Field required","type":"missing","url":"https://errors.pydantic.dev/2.10/v/missing","input":{}}]}"#
        );
    }

    #[test]
    fn large_inputs_are_not_sent_back() {
        let large = json!({ "image_url": "x".repeat(MAX_ECHO_BYTES + 1) });
        assert_eq!(Problem::typed(&[], "missing", "", &large).input, None);
    }
}
