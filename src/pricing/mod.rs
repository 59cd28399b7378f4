//! What a call costs: the price book, estimates before it, charges after it.
use serde::Serialize;
/// B
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "stub")]
pub enum Basis { Billed, Computed, Estimated }
impl Basis {
    /// A
    pub const ALL: [Self; 3] = [Self::Billed, Self::Computed, Self::Estimated];
    /// A
    pub const fn as_str(self) -> &'static str { match self { Self::Billed => "billed", Self::Computed => "computed", Self::Estimated => "estimated" } }
}
