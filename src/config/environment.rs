//! The environment: `FAL_RELAY_<SECTION>__<KEY>` for any key, and `FAL_KEY` for a single account.

use super::problem::{Origin, Problem};
use super::said::{Said, SaidAccount, Value};
use crate::secret::Secret;

const PREFIX: &str = "FAL_RELAY_";

/// The account that FAL_KEY makes.
const DEFAULT_ACCOUNT: &str = "default";

/// The variables of this process that the configuration looks at. Text that is not Unicode is made so, and then refused
/// by whatever it was meant for.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}

/// Lays the variables over what was said before, in the order of their names, so that the outcome is always the same.
pub(super) fn read(variables: impl Iterator<Item = (String, String)>, said: &mut Said) {
    let ours = |(name, _): &(String, String)| name.starts_with(PREFIX) || name == "FAL_KEY";
    let mut variables: Vec<_> = variables.filter(ours).collect();
    // FAL_KEY comes last, when it is known whether accounts are configured.
    variables.sort_by(|(a, _), (b, _)| (a == "FAL_KEY", a).cmp(&(b == "FAL_KEY", b)));
    for (name, text) in &variables {
        match name.strip_prefix(PREFIX) {
            Some(rest) => setting(name, rest, text, said),
            None => fal_key(text, said),
        }
    }
}

fn setting(name: &str, rest: &str, text: &str, said: &mut Said) {
    let at = Origin::Variable(name.into());
    if let Some(account) = rest.strip_prefix("ACCOUNTS__") {
        return account_setting(at, account, text, said);
    }
    let key = rest.to_ascii_lowercase().replace("__", ".");
    match said.get(&key).map(|entry| entry.value.clone()) {
        Some(like) => match Value::from_variable(text, &like) {
            Some(value) => said.set(&key, value, at),
            None => said.refuse(at, key, like.wanted()),
        },
        None if is_service_link(rest) => said.notices.push(format!(
            "{name} is not a setting; it looks like one that Kubernetes sets for a service named `fal-relay`"
        )),
        None => unknown(name, &key, said),
    }
}

fn unknown(name: &str, key: &str, said: &mut Said) {
    let named = |key: String| key.replace("accounts.", "accounts.<name>.");
    let as_variable = |key: String| format!("{PREFIX}{}", named(key).to_ascii_uppercase().replace('.', "__"));
    // Someone may have written one underscore where two part the section from the key.
    let known = said.entries.iter().map(|entry| &entry.key).find(|known| known.replace('.', "_") == key);
    let suggestion = known.cloned().or_else(|| said.suggest(key)).map(as_variable);
    said.problems.push(Problem::UnknownVariable { name: name.into(), suggestion });
}

/// Kubernetes gives every container such variables for every service; one named `fal-relay` must not stop the relay.
fn is_service_link(rest: &str) -> bool {
    rest == "PORT"
        || rest == "SERVICE_HOST"
        || rest.starts_with("SERVICE_PORT")
        || rest.strip_prefix("PORT_").is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
}

fn account_setting(at: Origin, rest: &str, text: &str, said: &mut Said) {
    if said.sandbox {
        return said.ignored_accounts.push(at);
    }
    match rest.rsplit_once("__") {
        Some((name, "KEY")) if !name.is_empty() => {
            let account = account(name, &at, said);
            account.key_file = said_outside(&account.key_file);
            account.key = Some((Secret::new(text.trim()), at));
        }
        Some((name, "KEY_FILE")) if !name.is_empty() => {
            let account = account(name, &at, said);
            account.key = said_outside(&account.key);
            account.key_file = Some((text.into(), at));
        }
        Some((name, "ADMIN_KEY")) if !name.is_empty() => {
            let account = account(name, &at, said);
            account.admin_key_file = said_outside(&account.admin_key_file);
            account.admin_key = Some((Secret::new(text.trim()), at));
        }
        Some((name, "ADMIN_KEY_FILE")) if !name.is_empty() => {
            let account = account(name, &at, said);
            account.admin_key = said_outside(&account.admin_key);
            account.admin_key_file = Some((text.into(), at));
        }
        _ => {
            let suggestion = Some(format!("{PREFIX}ACCOUNTS__<NAME>__KEY"));
            let name = at.to_string();
            said.problems.push(Problem::UnknownVariable { name, suggestion });
        }
    }
}

/// The account of that name, in which a variable's upper case and underscores stand for lower case and dashes too.
fn account<'s>(name: &str, at: &Origin, said: &'s mut Said) -> &'s mut SaidAccount {
    let folded = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let place = said.accounts.iter().position(|account| folded(&account.name) == folded(name));
    let place = place.unwrap_or_else(|| {
        said.accounts.push(SaidAccount::new(name.to_ascii_lowercase(), at.clone()));
        said.accounts.len() - 1
    });
    &mut said.accounts[place]
}

/// What was said of a key elsewhere than in the file: the environment wins over that.
fn said_outside<T: Clone>(said: &Option<(T, Origin)>) -> Option<(T, Origin)> {
    said.clone().filter(|(_, origin)| !matches!(origin, Origin::File { .. }))
}

fn fal_key(text: &str, said: &mut Said) {
    let at = Origin::Variable("FAL_KEY".into());
    match text.trim() {
        "" => {}
        _ if said.sandbox => said.ignored_accounts.push(at),
        key if said.accounts.len() == 1 && is_waiting(&said.accounts[0]) => {
            said.accounts[0].key = Some((Secret::new(key), at));
        }
        _ if !said.accounts.is_empty() => {
            said.notices.push("FAL_KEY is not used, since accounts are configured".into());
        }
        key => {
            let mut account = SaidAccount::new(DEFAULT_ACCOUNT.into(), at.clone());
            account.key = Some((Secret::new(key), at));
            said.accounts.push(account);
        }
    }
}

/// Whether only the admin key of the account was said that FAL_KEY makes.
fn is_waiting(account: &SaidAccount) -> bool {
    account.name == DEFAULT_ACCOUNT && account.key.is_none() && account.key_file.is_none()
}
