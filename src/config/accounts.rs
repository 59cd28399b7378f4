//! The fal accounts: each with a name of its own and a key that looks like one.

use std::collections::HashSet;
use std::path::Path;

use super::explain::Explanation;
use super::problem::Origin;
use super::said::{Said, SaidAccount};
use super::{Account, file, values};
use crate::ids::AccountName;
use crate::secret::Secret;

/// The account and the keys with which `--sandbox` calls its simulated fal; nothing real has these keys.
const SANDBOX_ACCOUNT: (&str, &str, &str) = ("sandbox", "sandbox:sandbox", "sandbox-admin:sandbox");

/// The accounts that were said, checked, each with a line for the explanation.
pub(super) fn read(said: &mut Said, explanation: &mut Explanation) -> Vec<Account> {
    let mut accounts = Vec::new();
    let mut names = HashSet::new();
    for account in std::mem::take(&mut said.accounts) {
        if !account.name.is_empty() && !names.insert(account.name.clone()) {
            said.refuse(account.origin.clone(), "accounts.name", format!("{:?} is used twice", account.name));
        }
        let admin_key = check_admin_key(&account, said);
        if let Some((key, origin)) = check(&account, said) {
            explanation.add_account(&account.name, &key.last_four(), origin);
            if let Some((admin_key, origin)) = &admin_key {
                explanation.add_admin_key(&account.name, &admin_key.last_four(), origin.clone());
            }
            let admin_key = admin_key.map(|(admin_key, _)| admin_key);
            accounts.push(Account { name: AccountName::new(&account.name), key, admin_key });
        }
    }
    accounts
}

/// The one made-up account of the sandbox; says which real ones are left alone.
pub(super) fn pretend(said: &mut Said, explanation: &mut Explanation) -> Vec<Account> {
    for origin in std::mem::take(&mut said.ignored_accounts) {
        said.notices.push(format!("{origin} is not read: the sandbox uses no real fal key"));
    }
    let (name, key, admin_key) = SANDBOX_ACCOUNT;
    explanation.add_account(name, "", Origin::Sandbox);
    let admin_key = Some(Secret::new(admin_key));
    vec![Account { name: AccountName::new(name), key: Secret::new(key), admin_key }]
}

fn check(account: &SaidAccount, said: &mut Said) -> Option<(Secret, Origin)> {
    if let Err(reason) = values::account_name(&account.name) {
        said.refuse(account.origin.clone(), "accounts.name", reason);
    }
    let Some((key, origin)) = said_key(&account.key, &account.key_file, "key", said)? else {
        said.refuse(account.origin.clone(), "accounts", "need a key: set `key` or `key_file`");
        return None;
    };
    let name = if origin == Origin::Variable("FAL_KEY".into()) { "the value" } else { "accounts.key" };
    check_form(key, origin, name, said)
}

/// The account's admin key, when it was said and can be used.
fn check_admin_key(account: &SaidAccount, said: &mut Said) -> Option<(Secret, Origin)> {
    let (key, origin) = said_key(&account.admin_key, &account.admin_key_file, "admin_key", said)??;
    check_form(key, origin, "accounts.admin_key", said)
}

/// A key that was said itself or by its file; `Some(None)` when it was not said, `None` when it cannot be read.
fn said_key(
    key: &Option<(Secret, Origin)>,
    file: &Option<(String, Origin)>,
    name: &str,
    said: &mut Said,
) -> Option<Option<(Secret, Origin)>> {
    match (key, file) {
        (Some(_), Some((_, origin))) => {
            let reason = format!("is set beside `{name}`; keep one of them");
            said.refuse(origin.clone(), format!("accounts.{name}_file"), reason);
            None
        }
        (None, Some((path, origin))) => {
            let key = read_key(path, origin, &format!("accounts.{name}_file"), said)?;
            Some(Some((key, origin.clone())))
        }
        (key, None) => Some(key.clone()),
    }
}

fn check_form(key: Secret, origin: Origin, name: &str, said: &mut Said) -> Option<(Secret, Origin)> {
    match values::fal_key(key.expose()) {
        Ok(()) => Some((key, origin)),
        Err(reason) => {
            said.refuse(origin, name, reason);
            None
        }
    }
}

fn read_key(path: &str, at: &Origin, name: &str, said: &mut Said) -> Option<Secret> {
    match file::read_text(Path::new(path)) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            said.refuse(at.clone(), name, format!("names {path:?}, which cannot be read: {error}"));
            None
        }
    }
}
