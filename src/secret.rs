//! A text that must not be seen: it prints as stars, compares in constant time and is wiped when dropped.

use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text, such as a fal key. It has no `Serialize` and no way into a log line.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Each call of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters, for lists that people read; stars when the text is too short to spare them.
    pub fn last_four(&self) -> String {
        match self.0.len() {
            0..16 => "****".into(),
            len => self.0.get(len - 4..).unwrap_or("****").into(),
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

/// 32 random bytes from which a key grows: they print as stars and are wiped when dropped.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Hides `bytes`.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Each call of this is a place to review.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("0123456789abcdef:secret");
        assert_eq!(format!("{secret:?}"), "****");
        assert_eq!(secret.last_four(), "cret");
        assert_eq!(Secret::new("short").last_four(), "****");
        assert_eq!(secret, Secret::new("0123456789abcdef:secret"));
        assert_eq!(format!("{:?}", Seed::new([7; 32])), "****");
    }
}
