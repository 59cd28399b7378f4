//! What goes into the store's verbs and what comes out.

mod books;
mod directory;
mod ledger;
mod secrets;
mod tokens;
mod webhooks;

pub use books::*;
pub use directory::*;
pub use ledger::*;
pub use secrets::*;
pub use tokens::*;
pub use webhooks::*;
