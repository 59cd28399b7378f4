//! Names of tenants and keys. They stand in tables, log lines and web pages, so what cannot be seen is not let in.

use super::{AdminError, Field};

/// The longest name, in characters.
const MAX_CHARS: usize = 64;

/// Checks a name.
pub(super) fn check(field: Field, name: &str) -> Result<(), AdminError> {
    let refuse = |reason| Err(AdminError::Field { field, reason });
    match name {
        "" => refuse("must not be empty"),
        name if name.chars().count() > MAX_CHARS => refuse("must have at most 64 characters"),
        name if name.trim() != name => refuse("must not begin or end with a space"),
        name if name.chars().any(is_unseen) => refuse("must have printable characters only"),
        _ => Ok(()),
    }
}

/// Control characters, and those that print nothing or turn the direction of the text round, with which one name can
/// pass for another.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}
