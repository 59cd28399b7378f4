//! (being built)

#[cfg(test)]
mod bench;
pub mod key;
pub mod ledger;
mod table;
pub mod tenant;
