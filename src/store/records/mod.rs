//! What goes into the store's verbs and what comes out.

mod books;
mod directory;
mod ledger;
mod tokens;

pub use books::*;
pub use directory::*;
pub use ledger::*;
pub use tokens::*;
