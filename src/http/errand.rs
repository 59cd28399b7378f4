//! What a connection does once it has left HTTP.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::gate::Gate;
use super::record::Record;
use super::runs;
use crate::clock::Clock;
use crate::relay::{Refusal, Switch};

/// The rest of a connection's life. Dropped before it began, it is over: a socket settles, and the line is written.
pub(super) struct Errand {
    switch: Switch,
    record: Box<Record>,
}

impl Errand {
    pub(super) fn new(switch: Switch, record: Box<Record>) -> Self {
        Self { switch, record }
    }

    /// Goes on over a gate that lets everything pass, until the end or until `stop`.
    pub(super) async fn run<S>(
        mut self,
        mut gate: Box<Gate<S>>,
        front: &Arc<Front>,
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match self.switch {
            Switch::Realtime(socket) => {
                let (carried, parting) = socket.carry(&mut gate, stop).await;
                self.record.carried(carried);
                // The line is written now: the farewells may take a while.
                drop(self.record);
                parting.finish(&mut gate).await;
            }
            Switch::Farewell(bytes) => {
                self.record.refused(&Refusal::Unauthorized);
                self.record.switched();
                // A client that is gone need not be told.
                drop(gate.write_all(&bytes).await);
                drop(gate.shutdown().await);
            }
            Switch::Runs(runs) => {
                self.record.switched();
                let end = runs::serve(*runs, gate, front, &**clock, stop).await;
                self.record.closed(end);
            }
        }
    }
}
