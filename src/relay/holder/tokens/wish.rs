//! What is asked of a new client token, in the relay's own words and in fal's. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::fal::{Endpoint, TokenForm};
use crate::money::Usd;
use crate::relay::holder::query::{shown, wrong};
use crate::relay::refusal::Refusal;
use crate::rules::{Globs, List, Listed, Rules, RulesError};

/// How long a token works that names no time: fal's clients ask for as much (protocol 4.2).
const USUAL_SECONDS: u64 = 120;
/// How long a token may work at most. Whoever wants more wants a key.
const MAX_SECONDS: u64 = 24 * 60 * 60;
/// The most apps that a token in fal's shape may name; each becomes a few patterns.
const APPS_MAX: usize = 32;

/// The fields of the relay's own form.
const FIELDS: [&str; 4] = ["allow", "seconds", "max_usd", "origins"];
/// What ends the path of a socket.
const REALTIME: &str = "/realtime";

/// A client token that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What it may do.
    pub rules: Rules,
    /// How long it works.
    pub life: Duration,
    /// What may be spent with it in all.
    pub limit: Option<Usd>,
}

impl Wish {
    /// `POST /v1/tokens`. A field that is not known is refused: it may have been meant to narrow.
    pub fn own(body: &[u8]) -> Result<Self, Refusal> {
        let fields = object(body)?;
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(wrong(
                &shown(unknown),
                format!("is not known; a client token has {}", FIELDS.join(", ")),
            ));
        }
        let allow = Globs::parse(&texts(&fields, "allow")?).map_err(|error| of_rules("allow", &error))?;
        let origins =
            List::parse(&texts(&fields, "origins")?).map_err(|error| of_rules("origins", &error))?;
        Ok(Self {
            rules: Rules { allow, origins, ..Rules::default() },
            life: life(&fields, "seconds")?,
            limit: usd(&fields, "max_usd")?,
        })
    }

    /// In one of fal's two forms. Other fields than those that the relay knows are fal's to add.
    pub fn of_fal(form: TokenForm, body: &[u8]) -> Result<Self, Refusal> {
        let fields = object(body)?;
        let apps = texts(&fields, "allowed_apps")?;
        if apps.is_empty() || apps.len() > APPS_MAX {
            return Err(wrong("allowed_apps", format!("must name 1 to {APPS_MAX} apps")));
        }
        let patterns: Option<Vec<Vec<String>>> = apps.iter().map(|app| patterns(app)).collect();
        let patterns = patterns.ok_or_else(|| {
            wrong("allowed_apps", "must hold names of apps, such as \"flux\" or \"fal-ai/flux/dev\"")
        })?;
        let allow = Globs::parse(&patterns.concat()).map_err(|error| of_rules("allowed_apps", &error))?;
        let seconds = match form {
            TokenForm::Bare => "token_expiration",
            TokenForm::Realtime => "duration",
        };
        Ok(Self { rules: Rules { allow, ..Rules::default() }, life: life(&fields, seconds)?, limit: None })
    }
}

/// What an app's name allows. An alias, as the clients write it, says nothing of the owner: it is that app of any owner.
/// A path is that endpoint and its socket. `None` for what is neither.
fn patterns(app: &str) -> Option<Vec<String>> {
    if app.contains('/') {
        let endpoint = app.strip_suffix(REALTIME).unwrap_or(app);
        let endpoint = Endpoint::parse(endpoint).ok()?;
        return Some(vec![endpoint.to_string(), format!("{endpoint}{REALTIME}")]);
    }
    // With an owner it is an endpoint, if it is one segment.
    Endpoint::parse(&format!("any/{app}")).ok()?;
    Some(vec![
        format!("*/{app}/**"),
        format!("workflows/*/{app}/**"),
        format!("comfy/*/{app}/**"),
        // fal's first endpoints join owner and alias in one segment.
        format!("*-{app}"),
    ])
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|_| wrong("body", "must be a JSON object"))
}

/// A list of texts; what is not said is empty.
fn texts(fields: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, Refusal> {
    let not_texts = || wrong(name, "must be a list of strings");
    match said(fields, name) {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => {
            values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(not_texts)).collect()
        }
        Some(_) => Err(not_texts()),
    }
}

fn life(fields: &Map<String, Value>, name: &'static str) -> Result<Duration, Refusal> {
    let seconds = match said(fields, name) {
        None => Some(USUAL_SECONDS),
        Some(value) => value.as_u64().filter(|seconds| (1..=MAX_SECONDS).contains(seconds)),
    };
    let seconds =
        seconds.ok_or_else(|| wrong(name, format!("must be a whole number from 1 to {MAX_SECONDS}")));
    seconds.map(Duration::from_secs)
}

/// An amount as text, or as a number in plain digits.
fn usd(fields: &Map<String, Value>, name: &'static str) -> Result<Option<Usd>, Refusal> {
    let text = match said(fields, name) {
        None => return Ok(None),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => None,
    };
    let amount = text.and_then(|text| Usd::parse(&text).ok());
    let amount = amount.ok_or_else(|| wrong(name, "must be an amount in US dollars, such as \"0.50\""));
    amount.map(Some)
}

/// A field's value; null says nothing.
fn said<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn of_rules(name: &'static str, error: &RulesError) -> Refusal {
    wrong(name, error.to_string())
}

/// The texts of a list, for an answer.
pub(super) fn listed<T: Listed>(list: &List<T>) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
