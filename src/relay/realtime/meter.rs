//! What a socket comes to.

use std::sync::Arc;
use std::time::Duration;

use http::response;

use super::hold::Reach;
use crate::clock::Clock;
use crate::pricing::{Meters, metered, meters};
use crate::relay::ledger::Admitted;
use crate::relay::{RealtimeSettings, billable_units};

/// The meter of a socket. Dropped, it settles: whoever lets go of a socket closes its row.
pub(super) struct Meter {
    admitted: Option<Admitted>,
    status: u16,
    billable_units: Option<String>,
    began: Duration,
    messages: u64,
    clock: Arc<dyn Clock>,
}

impl Meter {
    /// Begins to count: fal has opened the socket with `head`.
    pub(super) fn new(admitted: Admitted, head: &response::Parts, clock: &Arc<dyn Clock>) -> Self {
        Self {
            admitted: Some(admitted),
            status: head.status.as_u16(),
            billable_units: billable_units(&head.headers),
            began: clock.elapsed(),
            messages: 0,
            clock: clock.clone(),
        }
    }

    /// What one hold reaches for. Where fal has named its units already, nothing more is told by time or messages.
    pub(super) fn reach(&self, limits: &RealtimeSettings) -> Reach {
        let unit = self.admitted.as_ref().and_then(|admitted| admitted.row().terms.unit.clone());
        match unit.filter(|_| self.billable_units.is_none()).and_then(|unit| meters(&unit)) {
            Some(Meters::Time) => Reach::Time(limits.hold),
            Some(Meters::Messages) => Reach::Messages(limits.hold_messages),
            None => Reach::Untold,
        }
    }

    /// When the socket opened, on [`Clock::elapsed`].
    pub(super) fn began(&self) -> Duration {
        self.began
    }

    /// So many messages have come back.
    pub(super) fn came_back(&mut self, messages: u64) {
        self.messages = messages;
    }
}

impl Drop for Meter {
    /// By fal's own units, where it names any; else by what the price counts, as far as a connection tells it; else the cost
    /// is not known, and the hold stays until fal's bill says.
    fn drop(&mut self) {
        let Some(admitted) = self.admitted.take() else { return };
        let stood = self.clock.elapsed().saturating_sub(self.began);
        let unit = admitted.row().terms.unit.clone();
        let counted = unit.and_then(|unit| metered(&unit, stood, self.messages));
        admitted.settle_counted(self.status, self.billable_units.take(), counted);
    }
}
