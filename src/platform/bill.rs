//! fal's bill, page by page.

use std::time::Duration;

use super::event::read_events;
use super::paging::Pages;
use super::{Event, EventFault, Platform, PlatformError};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Lines on one page, which with all their tags fit into one answer; fal allows more.
const EVENTS_PER_PAGE: &str = "4000";

/// A stretch of the bill of the account to which an admin key belongs.
pub struct Bill<'a> {
    platform: &'a Platform,
    admin_key: &'a Secret,
    from: String,
    until: String,
    pages: Pages,
    ended: bool,
    tagged: bool,
}

/// A page of it.
#[derive(Debug, Default)]
pub struct BillPage {
    /// The lines that can be used.
    pub events: Vec<Event>,
    /// Why others cannot.
    pub faults: Vec<EventFault>,
}

impl Platform {
    /// The bill from a moment to before another, at most [`Bill::LONGEST`] later.
    pub fn bill<'a>(&'a self, admin_key: &'a Secret, from: Timestamp, until: Timestamp) -> Bill<'a> {
        let (from, until) = (from.to_string(), until.to_string());
        Bill { platform: self, admin_key, from, until, pages: Pages::default(), ended: false, tagged: true }
    }
}

impl Bill<'_> {
    /// The longest stretch of which fal tells at once: ninety days.
    pub const LONGEST: Duration = Duration::from_secs(7_776_000);

    /// Whether fal tells the tags of each line. An account without them is asked again without.
    pub fn is_tagged(&self) -> bool {
        self.tagged
    }

    /// The next page; `None` when there is none.
    pub async fn next(&mut self) -> Result<Option<BillPage>, PlatformError> {
        if self.ended {
            return Ok(None);
        }
        let body = match self.ask().await {
            Err(error) if self.tagged && self.pages.cursor().is_none() && error.is_misunderstanding() => {
                self.tagged = false;
                self.ask().await?
            }
            asked => asked?,
        };
        let page = read_events(&body)?;
        self.ended = !self.pages.turn(page.next_cursor)?;
        Ok(Some(BillPage { events: page.events, faults: page.faults }))
    }

    async fn ask(&self) -> Result<bytes::Bytes, PlatformError> {
        let mut query =
            vec![("start", self.from.as_str()), ("end", self.until.as_str()), ("limit", EVENTS_PER_PAGE)];
        query.extend(self.tagged.then_some(("source", "tagged-billed")));
        query.extend(self.pages.cursor().map(|cursor| ("cursor", cursor)));
        self.platform.get(self.admin_key, "/v1/models/billing-events", &query).await
    }
}
