//! Browser origins that calls may come from.

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::list::Listed;
use super::{RulesError, shown};

/// The longest origin that is accepted: a host has 253 characters at most.
const MAX_LEN: usize = 300;

/// A browser's origin as browsers write it: `https://app.example.com`, `http://localhost:3000`, and those of programs
/// that have a browser inside, `tauri://localhost`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// Reads an origin; case and a port that goes without saying do not matter.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let origin = if text.len() <= MAX_LEN { spelled(text) } else { None };
        origin.map(|origin| Self(origin.into())).ok_or_else(|| RulesError::Origin(shown(text)))
    }

    /// The origin as browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `None` for what is more than scheme, host and port, or less.
fn spelled(text: &str) -> Option<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    let (scheme, authority) = text.split_once("://")?;
    let sound = !authority.is_empty() && authority.bytes().all(is_plain);
    let url = Url::parse(text).ok().filter(|url| sound && url.has_host())?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Some(url.origin().ascii_serialization()),
        // Schemes of the web and of files that have other origins, or none.
        "ws" | "wss" | "ftp" | "file" | "blob" | "data" => None,
        _ => Some(text.to_ascii_lowercase()),
    }
}

impl Listed for Origin {
    const MAX: usize = 64;
    const WHAT: &'static str = "browser origins";

    fn read(text: &str) -> Result<Self, RulesError> {
        Self::parse(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
