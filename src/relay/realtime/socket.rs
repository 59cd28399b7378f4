//! An open socket: two lanes, the waits that are borne, and a last word to either end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::response;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::POLICY_VIOLATION;
use super::hold::{Asked, Hold};
use super::lane::{Lane, Stop};
use super::meter::Meter;
use crate::clock::{Clock, Sleep};
use crate::metrics::{OpenSocket, SocketEnd, Worker};
use crate::relay::{Leave, RealtimeSettings};
use crate::upstream::FalSocket;
use crate::websocket::{Counts, Fault, Scanner, Side, close_frame, reserved_bits, text_frame};

/// How long the ends have to take the last word: the frame under way, the close, and the connection's own end.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// What a client is told whose key, client token or tenant opens nothing any more.
pub const REVOKED: &str = "the key that opened it has ended";

/// How a socket closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Its ends closed it, with this code.
    Agreed(Option<u16>),
    /// The client vanished.
    ClientGone,
    /// fal vanished.
    FalGone,
    /// The client sent what is not let through.
    ClientFault(Fault),
    /// fal did.
    FalFault(Fault),
    /// Nothing moved for too long.
    Idle,
    /// It was open for as long as it may be.
    TooLong,
    /// As much was used as money was held for.
    Spent,
    /// An end took nothing for too long.
    Stalled,
    /// What opened it was revoked.
    Revoked,
    /// The relay is about to stop.
    Draining,
}

impl Closed {
    /// What it is counted as.
    pub fn end(self) -> SocketEnd {
        match self {
            Self::Agreed(_) => SocketEnd::Agreed,
            Self::ClientGone => SocketEnd::ClientGone,
            Self::FalGone => SocketEnd::FalGone,
            Self::ClientFault(_) => SocketEnd::ClientFault,
            Self::FalFault(_) => SocketEnd::FalFault,
            Self::Idle => SocketEnd::Idle,
            Self::TooLong => SocketEnd::TooLong,
            Self::Spent => SocketEnd::Spent,
            Self::Stalled => SocketEnd::Stalled,
            Self::Revoked => SocketEnd::Revoked,
            Self::Draining => SocketEnd::Draining,
        }
    }

    /// The code that a client is closed with, and why. What is fal's fault is no fault of the client's frames.
    fn to_client(self) -> (u16, &'static str) {
        match self {
            Self::ClientFault(fault) => (fault.code(), fault.reason()),
            Self::FalFault(Fault::TooLarge) => (1009, Fault::TooLarge.reason()),
            Self::FalFault(Fault::Malformed(_)) | Self::FalGone => (1011, "the connection to fal broke"),
            Self::Idle => (1001, "idle for too long"),
            Self::TooLong => (1001, "open for too long"),
            Self::Spent => (1001, "the money held for it is used up"),
            Self::Revoked => (POLICY_VIOLATION, REVOKED),
            Self::Draining => (1001, "the relay restarts"),
            Self::Agreed(_) | Self::ClientGone | Self::Stalled => (1001, "going away"),
        }
    }

    /// The code that fal is closed with.
    fn to_fal(self) -> (u16, &'static str) {
        match self {
            Self::FalFault(fault) => (fault.code(), fault.reason()),
            _ => (1001, "the client is gone"),
        }
    }

    /// What fal itself says before it ends a connection that has lived long enough (protocol 4.1): its clients connect again
    /// at their next input and report nothing.
    fn notice(self) -> Option<&'static str> {
        match self {
            Self::Idle | Self::TooLong | Self::Spent => {
                Some(r#"{"type":"x-fal-error","error":"TIMEOUT","reason":"closed by the relay"}"#)
            }
            _ => None,
        }
    }
}

/// What a socket carried.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// How it closed.
    pub closed: Closed,
    /// From the client to fal.
    pub up: Counts,
    /// From fal to the client.
    pub down: Counts,
}

/// What is left of a socket that has closed and settled: connections to end.
pub struct Parting {
    fal: FalSocket,
    clock: Arc<dyn Clock>,
}

impl Parting {
    /// Ends both connections; an end that is in no hurry is not waited for.
    pub async fn finish<C: AsyncWrite + Unpin>(mut self, client: &mut C) {
        tokio::select! {
            _ = futures_util::future::join(client.shutdown(), self.fal.shutdown()) => {}
            () = self.clock.sleep(CLOSE_WAIT) => {}
        }
    }
}

/// A socket that fal has opened. Dropped before it is carried, it settles all the same.
pub struct Socket {
    fal: FalSocket,
    up: Lane,
    down: Lane,
    meter: Meter,
    hold: Hold,
    leave: Leave,
    limits: RealtimeSettings,
    clock: Arc<dyn Clock>,
    counts: Arc<Worker>,
    alarm: Option<(Duration, Sleep)>,
    moved_at: Duration,
    closing_since: Option<Duration>,
    ended: [bool; 2],
    closed: Option<Closed>,
}

impl Socket {
    pub(super) fn new(
        fal: FalSocket,
        head: &response::Parts,
        (meter, hold): (Meter, Hold),
        leave: Leave,
        limits: RealtimeSettings,
        clock: Arc<dyn Clock>,
        counts: Arc<Worker>,
    ) -> Self {
        let reserved = reserved_bits(&head.headers);
        let lane = |side| Lane::new(Scanner::new(side, reserved, limits.max_message_bytes));
        let mut down = lane(Side::Server);
        down.allow(hold.messages_max());
        Self {
            fal,
            up: lane(Side::Client),
            down,
            hold,
            moved_at: meter.began(),
            meter,
            leave,
            limits,
            clock,
            counts,
            alarm: None,
            closing_since: None,
            ended: [false; 2],
            closed: None,
        }
    }

    /// Carries what both ends say until one of them, a limit, its key's end or `stop` ends it; then settles.
    pub async fn carry<C>(mut self, client: &mut C, stop: &CancellationToken) -> (Carried, Parting)
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let open: OpenSocket = self.counts.socket();
        let end = self.leave.end().clone();
        let mut called_off = std::pin::pin!(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Closed::Draining,
                () = end.cancelled() => Closed::Revoked,
            }
        });
        std::future::poll_fn(|cx| self.poll(cx, client, called_off.as_mut())).await;
        let carried = Carried {
            closed: self.closed.unwrap_or(Closed::ClientGone),
            up: self.up.scanner.counts(),
            down: self.down.scanner.counts(),
        };
        open.carried(carried.up.messages, carried.down.messages, carried.closed.end());
        self.meter.came_back(carried.down.messages);
        (carried, Parting { fal: self.fal, clock: self.clock })
    }

    fn poll<C>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        mut called_off: Pin<&mut impl Future<Output = Closed>>,
    ) -> Poll<()>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            if self.closed.is_none()
                && let Poll::Ready(why) = called_off.as_mut().poll(cx)
            {
                self.close(why);
            }
            let open = self.closed.is_none();
            self.poll_lanes(cx, client);
            if self.ended == [true; 2] {
                return Poll::Ready(());
            }
            if open && self.closed.is_some() {
                // Each lane has a last word now.
                continue;
            }
            let now = self.clock.elapsed();
            self.note(now);
            if self.closed.is_none() && self.poll_hold(cx, now) {
                continue;
            }
            let (until, why) = self.awaited();
            if now < until {
                let asks_at = self.hold.asks_at().map(|at| self.meter.began() + at);
                std::task::ready!(self.poll_alarm(cx, now, asks_at.map_or(until, |at| at.min(until))));
            } else if self.closed.is_none() {
                self.close(why);
            } else {
                // Its time for a last word is over.
                return Poll::Ready(());
            }
        }
    }

    /// Asks for more to be held when it is time; true when that was answered, so that the lanes may know.
    fn poll_hold(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let stood = now.saturating_sub(self.meter.began());
        let asked = self.hold.poll(cx, stood, self.down.scanner.counts().messages);
        if asked == Asked::Granted {
            self.down.allow(self.hold.messages_max());
        }
        asked != Asked::Nothing
    }

    fn poll_lanes<C>(&mut self, cx: &mut Context<'_>, client: &mut C)
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.ended[Side::Client as usize]
            && let Poll::Ready(stop) = self.up.poll(cx, client, &mut self.fal)
        {
            self.stop(Side::Client, stop);
        }
        if !self.ended[Side::Server as usize]
            && let Poll::Ready(stop) = self.down.poll(cx, &mut self.fal, client)
        {
            self.stop(Side::Server, stop);
        }
        if self.closed.is_none() && self.up.has_closed() && self.down.has_closed() {
            self.close(self.agreed());
        }
    }

    /// What comes from `side` goes no further.
    fn stop(&mut self, side: Side, stop: Stop) {
        let lane = if side == Side::Client { &self.up } else { &self.down };
        // Without its source a lane says its last word only between two frames.
        let silent = stop == Stop::SourceGone && (self.closed.is_some() || !lane.scanner.is_between_frames());
        self.ended[side as usize] = silent || matches!(stop, Stop::Said | Stop::SinkGone);
        let closed = match (side, stop) {
            (_, Stop::SourceGone) if lane.scanner.is_closed() => self.agreed(),
            (_, Stop::Said) => return,
            // What has come waits until more is held, or is refused.
            (_, Stop::Spent) if !self.hold.is_last() => return,
            (_, Stop::Spent) => Closed::Spent,
            (Side::Client, Stop::Fault(fault)) => Closed::ClientFault(fault),
            (Side::Server, Stop::Fault(fault)) => Closed::FalFault(fault),
            (Side::Client, Stop::SourceGone) | (Side::Server, Stop::SinkGone) => Closed::ClientGone,
            (Side::Server, Stop::SourceGone) | (Side::Client, Stop::SinkGone) => Closed::FalGone,
        };
        self.close(closed);
    }

    /// Closed by its ends. The code is that of whoever began; its echo is the same.
    fn agreed(&self) -> Closed {
        Closed::Agreed(self.down.scanner.close_code().or(self.up.scanner.close_code()))
    }

    /// Ends the socket: each lane says its last word, unless a close has passed there already.
    fn close(&mut self, closed: Closed) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(closed);
        self.closing_since = Some(self.clock.elapsed());
        if closed == Closed::Stalled {
            self.ended = [&self.up, &self.down].map(Lane::is_stalled);
        }
        let (code, reason) = closed.to_fal();
        let last =
            if self.up.scanner.is_closed() { Vec::new() } else { close_frame(Side::Client, code, reason) };
        self.up.leave(last);
        let (code, reason) = closed.to_client();
        let mut last = Vec::new();
        if !self.down.scanner.is_closed() {
            if self.down.scanner.is_between_messages() {
                last.extend(
                    closed.notice().and_then(|notice| text_frame(Side::Server, notice)).unwrap_or_default(),
                );
            }
            last.extend(close_frame(Side::Server, code, reason));
        }
        self.down.leave(last);
    }

    /// Notes what has moved, and since when what has not.
    fn note(&mut self, now: Duration) {
        self.meter.came_back(self.down.scanner.counts().messages);
        for lane in [&mut self.up, &mut self.down] {
            if std::mem::take(&mut lane.moved) {
                self.moved_at = now;
            }
            if lane.is_stalled() {
                lane.stalled_since.get_or_insert(now);
            }
        }
    }

    /// Until when something must have happened, and what happens if it has not.
    fn awaited(&self) -> (Duration, Closed) {
        if let Some(since) = self.closing_since {
            return (since + CLOSE_WAIT, Closed::Stalled);
        }
        let stalls = [&self.up, &self.down].into_iter().filter_map(|lane| lane.stalled_since);
        let ends = [
            (self.moved_at + self.limits.idle, Closed::Idle),
            (self.meter.began() + self.limits.max, Closed::TooLong),
        ];
        let stalls = stalls.map(|since| (since + self.limits.stall, Closed::Stalled));
        let spent = self.hold.stands_for().map(|held| (self.meter.began() + held, Closed::Spent));
        ends.into_iter()
            .chain(spent)
            .chain(stalls)
            .min_by_key(|(at, _)| *at)
            .unwrap_or((Duration::MAX, Closed::Idle))
    }

    /// Rings at `until` or before: a ring before the time only sets it anew, so a busy socket never touches a timer.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, now: Duration, until: Duration) -> Poll<()> {
        let clock = &self.clock;
        let (_, alarm) = match self.alarm.take() {
            Some(alarm) if alarm.0 <= until => self.alarm.insert(alarm),
            _ => self.alarm.insert((until, clock.sleep(until.saturating_sub(now)))),
        };
        std::task::ready!(alarm.as_mut().poll(cx));
        self.alarm = None;
        Poll::Ready(())
    }
}
