//! Lists that come in pages, from somebody who may never stop.

use std::collections::HashSet;

use super::PlatformError;

/// The most pages of one list: at fal's fifty models on a page, a quarter of a million.
pub(super) const PAGES_MAX: usize = 5_000;

/// Where a list is being read.
#[derive(Debug, Default)]
pub(super) struct Pages {
    next: Option<String>,
    seen: HashSet<String>,
    read: usize,
}

impl Pages {
    /// What to ask the next page with; `None` for the first one.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// A page was read that leads to `next`; tells whether there is another one.
    pub(super) fn turn(&mut self, next: Option<String>) -> Result<bool, PlatformError> {
        self.read += 1;
        let Some(next) = next else { return Ok(false) };
        if self.read >= PAGES_MAX {
            return Err(PlatformError::Endless(PAGES_MAX, "pages"));
        }
        if !self.seen.insert(next.clone()) {
            return Err(PlatformError::Circle);
        }
        self.next = Some(next);
        Ok(true)
    }
}
