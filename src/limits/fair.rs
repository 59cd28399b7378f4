//! One rate that several keys share.
//!
//! The owner's rate is a [`Rate`], and each active key has one beside it that runs at an equal share of the limit. With
//! `n` active keys, a call that is let in on a key's share adds one interval to the owner's backlog and `n` intervals to
//! the key's; so while everybody keeps to shares, the owner's backlog is the mean of the keys'. A call beyond its
//! key's share is counted on the owner alone, and let in only as far as that mean allows: it uses what the shares of
//! the others leave free. So a key that has room in its share finds room at the owner too, whatever the others do.
//! (When one burst has fewer calls than there are active keys, such a key may have to wait for its turn.)
//!
//! A key that becomes active starts with the owner's backlog. It need not wait behind one that used up everything
//! before: its first call may go one interval over. That seat is counted in what a minute may hold, which is limit and
//! burst. It is free again as soon as the active keys leave some of their shares unused.

use std::time::Duration;

use super::gcra::{Pace, Rate};
use super::{ACTIVE_WINDOW, SWEEP_INTERVAL};
use crate::ids::KeyId;

/// The most keys of one owner that have a share of their own. Those beyond have one share together. It bounds what an ask
/// costs, which looks through the shares.
pub(super) const SHARES_MAX: usize = 256;

/// A told wait may be longer than the shortest by this much.
const WAIT_PRECISION_NANOS: u64 = 1_000_000;

/// Stands for all keys that have no share of their own.
const CROWD: KeyId = KeyId(i64::MIN);

/// A rate and the shares of its active keys.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedRate {
    whole: Rate,
    shares: Vec<Share>,
    swept_at: u64,
}

#[derive(Clone, Copy, Debug)]
struct Share {
    key: KeyId,
    rate: Rate,
    asked_at: u64,
    /// No call was let in since the key became active.
    fresh: bool,
}

impl Share {
    fn is_active(&self, now: u64) -> bool {
        !self.rate.is_at_rest(now) || now.saturating_sub(self.asked_at) < ACTIVE_WINDOW.as_nanos() as u64
    }
}

/// On what a call is let in.
enum Ground {
    /// The key's own share.
    Share,
    /// What the shares of the others leave free.
    Spare,
    /// The seat that is kept for a key's first call.
    Seat,
}

impl SharedRate {
    /// How many shares it keeps.
    pub(super) fn len(&self) -> usize {
        self.shares.len()
    }

    /// Forgets the keys that are no longer active; whether nothing is left to remember.
    pub(super) fn is_at_rest(&mut self, now: u64) -> bool {
        self.sweep(now);
        self.shares.is_empty() && self.whole.is_at_rest(now)
    }

    /// Notes that `key` asks, and makes it a member of what follows.
    pub(super) fn member(&mut self, key: KeyId, pace: Pace, now: u64, room: bool) -> Member<'_> {
        if now.saturating_sub(self.swept_at) >= SWEEP_INTERVAL.as_nanos() as u64 {
            self.sweep(now);
        }
        let index = self.find(key).unwrap_or_else(|| self.join(key, pace, now, room));
        self.shares[index].asked_at = now;
        let keys = self.shares.len() as u64;
        let turn = pace.interval.saturating_mul(keys);
        Member { rate: self, index, pace, now, keys, turn, most: pace.span.max(turn) }
    }

    fn sweep(&mut self, now: u64) {
        self.shares.retain(|share| share.is_active(now));
        self.swept_at = now;
    }

    fn find(&self, key: KeyId) -> Option<usize> {
        self.shares.iter().position(|share| share.key == key)
    }

    fn join(&mut self, key: KeyId, pace: Pace, now: u64, room: bool) -> usize {
        let alone = self.shares.is_empty() || (room && self.shares.len() < SHARES_MAX);
        let key = if alone { key } else { CROWD };
        if let Some(index) = self.find(key) {
            return index;
        }
        let rate = Rate::with_backlog(self.whole.backlog(now, pace.span), now);
        self.shares.push(Share { key, rate, asked_at: now, fresh: true });
        self.shares.len() - 1
    }
}

/// One key at a shared rate, at one moment.
pub(super) struct Member<'a> {
    rate: &'a mut SharedRate,
    index: usize,
    pace: Pace,
    now: u64,
    keys: u64,
    /// What a call adds to the backlog of the key's share.
    turn: u64,
    /// The largest backlog of a share.
    most: u64,
}

impl Member<'_> {
    /// How long until a call of this key is let in, if the other keys ask for nothing meanwhile.
    pub(super) fn wait(&self) -> u64 {
        if self.ground(0).is_some() {
            return 0;
        }
        // What is let in once stays so, and once the owner's backlog is worked off everything is.
        let (mut early, mut late) = (0, self.whole(0));
        while late - early > WAIT_PRECISION_NANOS {
            let middle = early + (late - early) / 2;
            match self.ground(middle) {
                Some(_) => late = middle,
                None => early = middle,
            }
        }
        late
    }

    /// Counts a call.
    pub(super) fn take(&mut self) {
        let whole = self.whole(0) + self.pace.interval;
        if matches!(self.ground(0), Some(Ground::Share)) {
            let own = self.own(0) + self.turn;
            self.rate.shares[self.index].rate = Rate::with_backlog(own, self.now);
        }
        self.rate.whole = Rate::with_backlog(whole, self.now);
        self.rate.shares[self.index].fresh = false;
    }

    /// How many calls of this key are let in now.
    pub(super) fn remaining(&self) -> u64 {
        let (whole, interval) = (self.whole(0), self.pace.interval);
        let most = (self.pace.span + interval - whole) / interval;
        let own = ((self.most - self.own(0)) / self.turn).min(most);
        let room = (self.pace.span.saturating_sub(whole) / interval).saturating_sub(own);
        let spare = self.backlogs(0).saturating_sub(whole.saturating_mul(self.keys)) / self.turn;
        match own + spare.min(room) {
            0 => u64::from(self.ground(0).is_some()),
            remaining => remaining,
        }
    }

    /// How long until there is one more: exactly when nothing is left, else by the key's own share.
    pub(super) fn reset(&self) -> Option<Duration> {
        let own = self.own(0);
        match self.wait() {
            0 => (own > 0).then(|| Duration::from_nanos((own - 1) % self.turn + 1)),
            wait => Some(Duration::from_nanos(wait)),
        }
    }

    /// Whether a call would be let in `later` nanoseconds from now, and on what.
    fn ground(&self, later: u64) -> Option<Ground> {
        let (whole, Pace { interval, span }) = (self.whole(later), self.pace);
        if whole > span {
            return None;
        }
        if self.own(later) + self.turn <= self.most {
            return Some(Ground::Share);
        }
        let backlogs = self.backlogs(later);
        let fits = |backlog: u64| backlog.saturating_mul(self.keys) <= backlogs;
        if whole == 0 || (whole + interval <= span && fits(whole + interval)) {
            return Some(Ground::Spare);
        }
        (self.rate.shares[self.index].fresh && fits(whole)).then_some(Ground::Seat)
    }

    fn whole(&self, later: u64) -> u64 {
        let most = self.pace.span + self.pace.interval;
        self.rate.whole.backlog(self.now, most).saturating_sub(later)
    }

    fn own(&self, later: u64) -> u64 {
        self.rate.shares[self.index].rate.backlog(self.now, self.most).saturating_sub(later)
    }

    fn backlogs(&self, later: u64) -> u64 {
        let backlog = |share: &Share| share.rate.backlog(self.now, self.most).saturating_sub(later);
        self.rate.shares.iter().map(backlog).sum()
    }
}

#[cfg(test)]
mod tests;
