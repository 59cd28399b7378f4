//! Checks an input against a model's fields, with the words of the framework that fal's models use. All problems of an
//! input are found at once.

use serde_json::{Map, Value, json};

use super::catalogue::{Field, Kind, Model};
use super::problem::{Problem, Step};
use super::size;

/// Problems that one answer tells; a list of millions of bad items has no more.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with `input`; nothing when it is valid. Fields that the model does not know are ignored.
pub(super) fn problems(model: &Model, input: &Map<String, Value>) -> Vec<Problem> {
    let mut checks = Checks { found: Vec::new() };
    if model.is_stand_in() {
        return checks.found;
    }
    for (name, field) in &model.fields {
        let loc = [Step::from("body"), Step::from(name.as_str())];
        match input.get(name) {
            Some(value) => checks.field(&loc, field, value),
            None if field.required => {
                let whole = Value::Object(input.clone());
                checks.keep(Problem::typed(&loc, "missing", "Field required", &whole));
            }
            None => {}
        }
    }
    checks.found
}

struct Checks {
    found: Vec<Problem>,
}

impl Checks {
    /// Keeps a problem, unless there are enough of them.
    fn keep(&mut self, problem: Problem) {
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(problem);
        }
    }

    fn add(&mut self, loc: &[Step], kind: &'static str, msg: impl Into<String>, value: &Value) {
        self.keep(Problem::typed(loc, kind, msg, value));
    }

    fn add_with(&mut self, loc: &[Step], kind: &'static str, msg: String, value: &Value, ctx: Value) {
        self.keep(Problem::typed(loc, kind, msg, value).with(ctx));
    }

    fn field(&mut self, loc: &[Step], field: &Field, value: &Value) {
        if value.is_null() && !field.required && field.default.is_none() {
            return;
        }
        match field.kind {
            Kind::String => self.text(loc, field, value),
            Kind::Integer => self.integer(loc, field, value),
            Kind::Number => self.number(loc, field, value),
            Kind::Boolean => self.boolean(loc, value),
            Kind::Url => self.url(loc, value),
            Kind::Urls => self.list(loc, field, value, Self::url),
            Kind::Loras => self.list(loc, field, value, Self::lora),
            Kind::ImageSize => self.image_size(loc, field, value),
        }
    }

    fn text(&mut self, loc: &[Step], field: &Field, value: &Value) {
        if !field.choices.is_empty() {
            return self.choice(loc, &field.choices, value);
        }
        let Value::String(text) = value else {
            return self.add(loc, "string_type", "Input should be a valid string", value);
        };
        let characters = text.chars().count();
        if let Some(max) = field.max_length.filter(|max| characters > *max) {
            let msg = format!("String should have at most {max} character{}", plural(max));
            self.add_with(loc, "string_too_long", msg, value, json!({ "max_length": max }));
        }
    }

    fn choice(&mut self, loc: &[Step], choices: &[String], value: &Value) {
        if !choices.iter().any(|choice| value == choice.as_str()) {
            let expected = one_of(choices);
            let msg = format!("Input should be {expected}");
            self.add_with(loc, "literal_error", msg, value, json!({ "expected": expected }));
        }
    }

    fn integer(&mut self, loc: &[Step], field: &Field, value: &Value) {
        let number = match value {
            Value::Number(number) if number.is_f64() => {
                number.as_f64().filter(|number| number.fract() == 0.0).ok_or((
                    "int_from_float",
                    "Input should be a valid integer, got a number with a fractional part",
                ))
            }
            Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::INFINITY)),
            Value::String(text) => text.trim().parse::<i128>().map(|number| number as f64).map_err(|_| {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
            }),
            Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
            _ => Err(("int_type", "Input should be a valid integer")),
        };
        self.ranged(loc, field, value, number);
    }

    fn number(&mut self, loc: &[Step], field: &Field, value: &Value) {
        let number = match value {
            Value::Number(number) => Ok(number.as_f64().unwrap_or(f64::INFINITY)),
            Value::String(text) => text.trim().parse::<f64>().map_err(|_| {
                ("float_parsing", "Input should be a valid number, unable to parse string as a number")
            }),
            Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
            _ => Err(("float_type", "Input should be a valid number")),
        };
        self.ranged(loc, field, value, number);
    }

    fn ranged(
        &mut self,
        loc: &[Step],
        field: &Field,
        value: &Value,
        number: Result<f64, (&'static str, &'static str)>,
    ) {
        let number = match number {
            Ok(number) => number,
            Err((kind, msg)) => return self.add(loc, kind, msg, value),
        };
        if let Some(ge) = field.min.filter(|min| number < *min) {
            let msg = format!("Input should be greater than or equal to {ge}");
            self.add_with(loc, "greater_than_equal", msg, value, json!({ "ge": shortest(ge) }));
        }
        if let Some(le) = field.max.filter(|max| number > *max) {
            let msg = format!("Input should be less than or equal to {le}");
            self.add_with(loc, "less_than_equal", msg, value, json!({ "le": shortest(le) }));
        }
    }

    fn boolean(&mut self, loc: &[Step], value: &Value) {
        const WORDS: [&str; 12] = ["true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"];
        let known = match value {
            Value::Bool(_) => true,
            Value::Number(number) => matches!(number.as_u64(), Some(0 | 1)),
            Value::String(text) => WORDS.contains(&text.to_ascii_lowercase().as_str()),
            _ => return self.add(loc, "bool_type", "Input should be a valid boolean", value),
        };
        if !known {
            let msg = "Input should be a valid boolean, unable to interpret input";
            self.add(loc, "bool_parsing", msg, value);
        }
    }

    /// The file is never fetched; an address that no model could fetch is refused as if it had been tried.
    fn url(&mut self, loc: &[Step], value: &Value) {
        let Value::String(text) = value else {
            return self.add(loc, "string_type", "Input should be a valid string", value);
        };
        let fetchable = ["https://", "http://", "data:"].iter().any(|scheme| text.starts_with(scheme));
        if !fetchable {
            let msg = "Failed to download the file. Please check if the URL is accessible and try again.";
            self.keep(Problem::of_model(loc, "file_download_error", msg).given(value));
        }
    }

    fn lora(&mut self, loc: &[Step], value: &Value) {
        let Value::Object(lora) = value else {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            return self.add(loc, "model_attributes_type", msg, value);
        };
        let at = |name: &str| [loc, &[Step::from(name)]].concat();
        match lora.get("path") {
            Some(Value::String(_)) => {}
            Some(other) => self.add(&at("path"), "string_type", "Input should be a valid string", other),
            None => self.add(&at("path"), "missing", "Field required", value),
        }
        if let Some(scale) = lora.get("scale") {
            let range = Field { min: Some(0.0), max: Some(4.0), ..bare(Kind::Number) };
            self.number(&at("scale"), &range, scale);
        }
    }

    fn list(&mut self, loc: &[Step], field: &Field, value: &Value, item: fn(&mut Self, &[Step], &Value)) {
        let Value::Array(items) = value else {
            return self.add(loc, "list_type", "Input should be a valid list", value);
        };
        for (at, value) in items.iter().enumerate() {
            item(self, &[loc, &[Step::from(at)]].concat(), value);
        }
        let count = items.len();
        if let Some(min) = field.min_length.filter(|min| count < *min) {
            let msg =
                format!("List should have at least {min} item{} after validation, not {count}", plural(min));
            let ctx = json!({ "field_type": "List", "min_length": min, "actual_length": count });
            self.add_with(loc, "too_short", msg, value, ctx);
        }
        if let Some(max) = field.max_length.filter(|max| count > *max) {
            let msg =
                format!("List should have at most {max} item{} after validation, not {count}", plural(max));
            let ctx = json!({ "field_type": "List", "max_length": max, "actual_length": count });
            self.add_with(loc, "too_long", msg, value, ctx);
        }
    }

    fn image_size(&mut self, loc: &[Step], field: &Field, value: &Value) {
        let Value::Object(size) = value else {
            let names: Vec<String> = size::PRESETS
                .iter()
                .map(|preset| preset.name.to_owned())
                .chain(field.presets.clone())
                .collect();
            return self.choice(loc, &names, value);
        };
        let side = Field { min: Some(1.0), max: Some(size::LONGEST_SIDE), ..bare(Kind::Integer) };
        for name in ["width", "height"] {
            if let Some(value) = size.get(name) {
                self.integer(&[loc, &[Step::from(name)]].concat(), &side, value);
            }
        }
        self.area(loc, field, value);
    }

    /// Some models bound the pixels of a picture, not its sides.
    fn area(&mut self, loc: &[Step], field: &Field, value: &Value) {
        let (Some(min), Some(max)) = (field.min, field.max) else { return };
        let Some((width, height)) = size::named_or_given(value) else { return };
        let pixels = width as f64 * height as f64;
        if !(min * min..=max * max).contains(&pixels) {
            let msg = format!("Value error, total pixels must be between {min}x{min} and {max}x{max}");
            self.add(loc, "value_error", msg, value);
        }
    }
}

/// A field without any rule but its kind.
fn bare(kind: Kind) -> Field {
    Field {
        kind,
        required: false,
        default: None,
        min: None,
        max: None,
        min_length: None,
        max_length: None,
        choices: Vec::new(),
        presets: Vec::new(),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// `'a', 'b' or 'c'`.
fn one_of(choices: &[String]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A limit as it is written: whole numbers without a point.
fn shortest(number: f64) -> Value {
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}
