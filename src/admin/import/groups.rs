//! The other gateway's groups, and which of them are to be made here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::EntryProblem;
use crate::admin::check;
use crate::money::Multiplier;
use crate::rules::Rules;
use crate::store::{NewGroup, Store, StoreError};

/// The multipliers by group.
pub(super) struct Groups(BTreeMap<String, Multiplier>);

impl Groups {
    /// Reads a JSON object of ratios. They are read as they are written: no float comes between.
    pub(super) fn read(text: Option<&str>, problems: &mut Vec<EntryProblem>) -> Self {
        let mut known = BTreeMap::new();
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Self(known) };
        let ratios: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
            Ok(ratios) => ratios,
            Err(error) => {
                let reason = "must be a JSON object of names and ratios, such as {\"default\": 1}";
                problems.push(EntryProblem::new(error.line() as u64, "groups", reason));
                return Self(known);
            }
        };
        for (name, ratio) in ratios {
            let field = format!("groups.{name}");
            let read = Multiplier::parse(ratio.get().trim_matches('"'));
            match (check::name("name", &name), read) {
                (Ok(()), Ok(multiplier)) => {
                    known.insert(name, multiplier);
                }
                (Err(error), _) => problems.push(EntryProblem::new(1, field, error)),
                (Ok(()), Err(error)) => problems.push(EntryProblem::new(1, field, error)),
            }
        }
        Self(known)
    }

    /// The groups of the import that are not here yet. One that is here must have the same multiplier: nobody's price
    /// changes unseen.
    pub(super) async fn missing<'a>(
        &'a self,
        store: &dyn Store,
        of_tokens: impl Iterator<Item = &'a str>,
        problems: &mut Vec<EntryProblem>,
    ) -> Result<Vec<NewGroup>, StoreError> {
        let names: BTreeSet<&str> = self.0.keys().map(String::as_str).chain(of_tokens).collect();
        let mut new = Vec::new();
        for name in names {
            let wanted = self.0.get(name).copied();
            match (store.group_named(name.to_owned()).await?, wanted) {
                (None, multiplier) => new.push(NewGroup {
                    name: name.to_owned(),
                    multiplier: multiplier.unwrap_or(Multiplier::ONE),
                    rules: Rules::default(),
                }),
                (Some(here), Some(there)) if here.multiplier != there => {
                    let reason =
                        format!("is {there} there and {} here; make them equal first", here.multiplier);
                    problems.push(EntryProblem::new(1, format!("groups.{name}"), reason));
                }
                (Some(_), _) => {}
            }
        }
        Ok(new)
    }
}
