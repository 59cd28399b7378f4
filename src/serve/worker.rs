//! Worker threads: each with a runtime, a relay and connections to fal of its own.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ServeError;
use crate::clock::Clock;
use crate::http::{self, Capacity, Desk, Door, Front, Readiness};
use crate::metrics::Metrics;
use crate::relay::{Relay, Shared};
use crate::upstream::{self, Upstream};

/// What every worker is made from.
pub(super) struct Workers {
    pub(super) http: TcpListener,
    pub(super) https: Option<(TcpListener, Arc<rustls::ServerConfig>)>,
    pub(super) settings: Arc<http::Settings>,
    pub(super) upstream: upstream::Settings,
    pub(super) upstream_tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) roads: Arc<upstream::Shared>,
    pub(super) shared: Arc<Shared>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) capacity: Arc<Capacity>,
    pub(super) desk: Arc<Desk>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
}

/// Workers at work. Each says when it has drained.
pub(super) struct Working(Vec<oneshot::Receiver<()>>);

impl Working {
    /// Waits until every worker has drained; false when `limit` was over before.
    pub(super) async fn finished(self, limit: Duration, clock: &dyn Clock) -> bool {
        tokio::select! {
            _ = join_all(self.0) => true,
            () = clock.sleep(limit) => false,
        }
    }
}

impl Workers {
    /// Starts `count` workers, or one for each core. From here on only they hold the sockets, so that a drain closes
    /// them: a client is then refused at once instead of waiting in a queue that nobody serves.
    pub(super) fn start(
        self,
        count: Option<NonZeroUsize>,
        stop: &CancellationToken,
    ) -> Result<Working, ServeError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = count.map_or(cores, NonZeroUsize::get);
        (0..count).map(|number| self.spawn(number, stop.clone())).collect::<Result<_, _>>().map(Working)
    }

    fn spawn(&self, number: usize, stop: CancellationToken) -> Result<oneshot::Receiver<()>, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Runtime)?;
        let work = {
            // Sockets are registered with the runtime that they are made in.
            let _inside = runtime.enter();
            self.work(stop)?
        };
        let (done, finished) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                runtime.block_on(work);
                drop(done);
            })
            .map_err(ServeError::Runtime)?;
        Ok(finished)
    }

    /// Follows jobs whose owner does not come back; on the runtime of whoever calls this.
    pub(super) fn watch(&self) -> Result<tokio::task::JoinHandle<()>, ServeError> {
        let counts = self.metrics.worker();
        let tls = self.upstream_tls.as_ref();
        let upstream = Upstream::new(&self.upstream, tls, &self.roads, &self.clock, &counts)?;
        let relay = Relay::new(self.shared.clone(), upstream, TaskTracker::new(), counts);
        Ok(tokio::spawn(async move { relay.watch().await }))
    }

    fn work(&self, stop: CancellationToken) -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
        let (tasks, counts) = (TaskTracker::new(), self.metrics.worker());
        let tls = self.upstream_tls.as_ref();
        let upstream = Upstream::new(&self.upstream, tls, &self.roads, &self.clock, &counts)?;
        let relay = Relay::new(self.shared.clone(), upstream, tasks.clone(), counts);
        let (settings, readiness) = (self.settings.clone(), self.readiness.clone());
        let front = Front::new(relay, readiness, settings, &self.upstream, self.desk.clone());
        let doors = self.doors()?;
        let (settings, clock, capacity) = (self.settings.clone(), self.clock.clone(), self.capacity.clone());
        Ok(async move {
            http::serve(doors, front, settings, clock, capacity, stop).await;
            // Connections are gone; what they began to write down goes on to its end.
            tasks.close();
            tasks.wait().await;
        })
    }

    fn doors(&self) -> Result<Vec<Door>, ServeError> {
        let mut doors = vec![door(&self.http, None)?];
        if let Some((listener, tls)) = &self.https {
            doors.push(door(listener, Some(tls.clone()))?);
        }
        Ok(doors)
    }
}

fn door(listener: &TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> Result<Door, ServeError> {
    let listener = listener.try_clone().and_then(tokio::net::TcpListener::from_std);
    Ok(Door { listener: listener.map_err(ServeError::Runtime)?, tls })
}
