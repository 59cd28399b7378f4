//! What is held for a socket: how far that reaches, and the asking for more before it is used up.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::ids::CallId;
use crate::money::Usd;
use crate::relay::admission::More;
use crate::relay::{Caller, Fault, Relay};

/// More is asked for when a fifth of a hold is left: the store has that long to answer, and a budget is not bound for
/// longer than needed.
const LEFT_WHEN_ASKED: u32 = 5;

/// How far money reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The socket may stand so long.
    Time(Duration),
    /// So many messages may come back.
    Messages(u64),
    /// Nothing that a socket shows tells what it costs.
    Untold,
}

/// Whose money it is, and how much is held for which call.
pub(super) struct Purse {
    pub(super) relay: Relay,
    pub(super) caller: Caller,
    pub(super) call: CallId,
    /// What one hold is.
    pub(super) amount: Usd,
    /// All that is held.
    pub(super) total: Usd,
}

/// What came of asking for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It need not be asked for, or is not answered yet.
    Nothing,
    /// It is held.
    Granted,
    /// It is not, and will not be asked for again.
    Refused,
}

type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What is held for a socket.
pub(super) struct Hold {
    /// What one hold reaches for, and all of them together.
    step: Reach,
    reach: Reach,
    purse: Purse,
    /// One at a time. Dropped while it is under way, it may be held all the same, and the settlement frees it.
    asking: Option<Asking>,
    is_last: bool,
}

impl Reach {
    fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Time(all), Self::Time(more)) => Self::Time(all.saturating_add(more)),
            (Self::Messages(all), Self::Messages(more)) => Self::Messages(all.saturating_add(more)),
            (other, _) => other,
        }
    }
}

impl Hold {
    /// The first hold, which was made when the call was admitted.
    pub(super) fn new(step: Reach, purse: Purse) -> Self {
        Self { step, reach: step, purse, asking: None, is_last: step == Reach::Untold }
    }

    /// How many messages may come back.
    pub(super) fn messages_max(&self) -> u64 {
        match self.reach {
            Reach::Messages(messages) => messages,
            Reach::Time(_) | Reach::Untold => u64::MAX,
        }
    }

    /// How long the socket may stand.
    pub(super) fn stands_for(&self) -> Option<Duration> {
        match self.reach {
            Reach::Time(time) => Some(time),
            Reach::Messages(_) | Reach::Untold => None,
        }
    }

    /// Whether nothing more will be held.
    pub(super) fn is_last(&self) -> bool {
        self.is_last
    }

    /// When more is asked for, where that is told by time.
    pub(super) fn asks_at(&self) -> Option<Duration> {
        match (self.reach, self.step) {
            (Reach::Time(all), Reach::Time(step)) if self.asking.is_none() && !self.is_last => {
                Some(all.saturating_sub(step / LEFT_WHEN_ASKED))
            }
            _ => None,
        }
    }

    fn is_nearly_used(&self, stood: Duration, messages: u64) -> bool {
        match (self.reach, self.step) {
            (Reach::Messages(all), Reach::Messages(step)) => {
                messages >= all.saturating_sub(step / u64::from(LEFT_WHEN_ASKED))
            }
            _ => self.asks_at().is_some_and(|at| stood >= at),
        }
    }

    /// Asks for more when it is time, and takes what is granted.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, stood: Duration, messages: u64) -> Asked {
        if self.asking.is_none() && !self.is_last && self.is_nearly_used(stood, messages) {
            self.asking = Some(self.purse.ask());
        }
        let Some(asking) = &mut self.asking else { return Asked::Nothing };
        let Poll::Ready(granted) = asking.as_mut().poll(cx) else { return Asked::Nothing };
        self.asking = None;
        match granted.then(|| self.purse.total.checked_add(self.purse.amount)).flatten() {
            Some(total) => {
                (self.purse.total, self.reach) = (total, self.reach.and(self.step));
                Asked::Granted
            }
            None => {
                self.is_last = true;
                Asked::Refused
            }
        }
    }
}

impl Purse {
    fn ask(&self) -> Asking {
        let (relay, caller, call, amount) = (self.relay.clone(), self.caller.clone(), self.call, self.amount);
        let total = self.total.checked_add(amount);
        Box::pin(async move {
            let Some(total) = total else { return false };
            match relay.top_up(&caller, More { call, amount, total }).await {
                Ok(()) => true,
                Err(refusal) => {
                    if refusal.fault() == Fault::Relay {
                        let cause = refusal.cause();
                        tracing::error!(call_id = %call, cause, "no more can be held for a socket; it ends when what is held is used up");
                    }
                    false
                }
            }
        })
    }
}
