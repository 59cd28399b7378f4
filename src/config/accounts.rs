//! The fal accounts: each with a name of its own and a key that looks like one.

use std::collections::HashSet;
use std::path::Path;

use super::explain::Explanation;
use super::problem::Origin;
use super::said::{Said, SaidAccount};
use super::{Account, file, values};
use crate::ids::AccountName;
use crate::secret::Secret;

/// The account and the key with which `--sandbox` calls its simulated fal; nothing real has this key.
const SANDBOX_ACCOUNT: (&str, &str) = ("sandbox", "sandbox:sandbox");

/// The accounts that were said, checked, each with a line for the explanation.
pub(super) fn read(said: &mut Said, explanation: &mut Explanation) -> Vec<Account> {
    let mut accounts = Vec::new();
    let mut names = HashSet::new();
    for account in std::mem::take(&mut said.accounts) {
        if !account.name.is_empty() && !names.insert(account.name.clone()) {
            said.refuse(account.origin.clone(), "accounts.name", format!("{:?} is used twice", account.name));
        }
        if let Some((key, origin)) = check(&account, said) {
            explanation.add_account(&account.name, &key.last_four(), origin);
            accounts.push(Account { name: AccountName::new(&account.name), key });
        }
    }
    accounts
}

/// The one made-up account of the sandbox; says which real ones are left alone.
pub(super) fn pretend(said: &mut Said, explanation: &mut Explanation) -> Vec<Account> {
    for origin in std::mem::take(&mut said.ignored_accounts) {
        said.notices.push(format!("{origin} is not read: the sandbox uses no real fal key"));
    }
    let (name, key) = SANDBOX_ACCOUNT;
    explanation.add_account(name, "", Origin::Sandbox);
    vec![Account { name: AccountName::new(name), key: Secret::new(key) }]
}

fn check(account: &SaidAccount, said: &mut Said) -> Option<(Secret, Origin)> {
    if let Err(reason) = values::account_name(&account.name) {
        said.refuse(account.origin.clone(), "accounts.name", reason);
    }
    let (key, origin) = match (&account.key, &account.key_file) {
        (Some(key), None) => key.clone(),
        (None, Some((path, origin))) => (read_key(path, origin, said)?, origin.clone()),
        (None, None) => {
            said.refuse(account.origin.clone(), "accounts", "need a key: set `key` or `key_file`");
            return None;
        }
        (Some(_), Some((_, origin))) => {
            said.refuse(origin.clone(), "accounts.key_file", "is set beside `key`; keep one of them");
            return None;
        }
    };
    let name = if origin == Origin::Variable("FAL_KEY".into()) { "the value" } else { "accounts.key" };
    match values::fal_key(key.expose()) {
        Ok(()) => Some((key, origin)),
        Err(reason) => {
            said.refuse(origin, name, reason);
            None
        }
    }
}

fn read_key(path: &str, at: &Origin, said: &mut Said) -> Option<Secret> {
    match file::read_text(Path::new(path)) {
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            said.refuse(
                at.clone(),
                "accounts.key_file",
                format!("names {path:?}, which cannot be read: {error}"),
            );
            None
        }
    }
}
