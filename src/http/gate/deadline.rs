//! How long a gate waits, and for what.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{Ending, Gate, Protocol, Violation};
use crate::clock::Sleep;

/// How long a connection is idle before its buffers are given back. Clients that poll come sooner.
const PARK_AFTER: Duration = Duration::from_secs(1);

/// The one timer of a connection.
pub(super) struct Alarm {
    at: Duration,
    sleep: Sleep,
}

impl<S> Gate<S> {
    /// Notes since when a head is awaited that has begun.
    pub(super) fn note_head(&mut self) {
        let begun = match &self.protocol {
            Protocol::Http2(frames) => frames.is_in_head(),
            Protocol::Unknown | Protocol::Http1(_) => !self.held.is_empty(),
            Protocol::Other => false,
        };
        match begun {
            true if self.head_since.is_none() => self.head_since = Some(self.clock.elapsed()),
            true => {}
            false => self.head_since = None,
        }
    }

    /// Resolves when what is awaited has not come in time, and notes how the connection ends. Until then it sets the
    /// alarm; a ring before the time only sets it anew.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.is_carrying() {
                self.idle_since = None;
                return Poll::Pending;
            }
            let now = self.clock.elapsed();
            let (until, ending) = self.awaited(now);
            if now >= until {
                self.ending = Some(ending);
                return Poll::Ready(());
            }
            let next = self.park_at(now).map_or(until, |park| park.min(until));
            let clock = &self.clock;
            let alarm = match self.alarm.take() {
                Some(alarm) if alarm.at <= next => alarm,
                _ => Alarm { at: next, sleep: clock.sleep(next.saturating_sub(now)) },
            };
            let alarm = self.alarm.insert(alarm);
            ready!(alarm.sleep.as_mut().poll(cx));
            self.alarm = None;
        }
    }

    /// Whether a call is under way and nothing else is awaited: its waits are bounded where they are understood.
    fn is_carrying(&self) -> bool {
        let between = match &self.protocol {
            Protocol::Http1(framing) => framing.is_between_requests(),
            Protocol::Unknown | Protocol::Http2(_) => true,
            Protocol::Other => return true,
        };
        self.head_since.is_none() && (!between || !self.traffic.is_quiet())
    }

    /// Until when what is awaited must have come, and what happens if it has not.
    fn awaited(&mut self, now: Duration) -> (Duration, Ending) {
        let head_timeout = self.settings.head_timeout;
        if let Some(since) = self.head_since {
            return (since + head_timeout, Ending::Refused(Violation::SlowHead));
        }
        let begun = self.traffic.begun();
        if begun == 0 {
            return (self.born + head_timeout, Ending::Quiet);
        }
        let since = match self.idle_since {
            Some((then, since)) if then == begun => since,
            _ => now,
        };
        self.idle_since = Some((begun, since));
        (since + self.settings.keep_alive, Ending::Quiet)
    }

    /// When an idle HTTP/1 connection is to give its buffers back; says so when that time has come.
    fn park_at(&self, now: Duration) -> Option<Duration> {
        let (_, since) = self.idle_since?;
        if self.head_since.is_some() || self.traffic.is_parkable() || self.is_http2() {
            return None;
        }
        let at = since + PARK_AFTER;
        if now >= at {
            self.traffic.set_parkable(true);
            return None;
        }
        Some(at)
    }
}
