//! Who may call what: endpoint globs, limits, networks, at three levels of which each narrows the one above.
use serde::{Serialize, Deserialize};
/// R
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "stub")]
pub struct Rules { pub allow: Vec<String>, pub deny: Vec<String> }
