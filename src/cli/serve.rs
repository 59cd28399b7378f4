//! `serve` and `sandbox`: run until a signal says to stop.

use std::io::Write;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Place, welcome};
use crate::clock::{Clock, SystemClock};
use crate::random::Random;
use crate::serve::{Given, House};
use crate::{sandbox, telemetry};

/// Runs the relay.
pub(super) async fn serve(place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
    let config = place.load()?;
    telemetry::start(&config.log)?;
    for notice in &config.notices {
        tracing::warn!("{notice}");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = telemetry::call_log(&config.log, clock.clone());
    let stop = stop_on_signal()?;
    survive_file_size_limits()?;
    let house = House::build(config, place.sandbox, Given { log, clock, random: Random::system() }).await?;
    welcome::print(&house.welcome, place.sandbox, out)?;
    let roads = house.roads.clone();
    house.run(stop).await?;
    if place.sandbox {
        welcome::print_farewell(roads.connections(), out)?;
    }
    Ok(())
}

/// Runs the simulated fal alone.
pub(super) async fn sandbox(place: &Place, out: &mut impl Write) -> anyhow::Result<()> {
    let config = crate::config::Config::load(place.config.as_deref(), super::environment(), true)?;
    telemetry::start(&config.log)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let stop = stop_on_signal()?;
    let random = Random::seeded(config.sandbox.seed);
    let running = sandbox::start(config.sandbox, clock, random).await?;
    welcome::print_sandbox(&running.base_url, out)?;
    stop.cancelled().await;
    running.shutdown().await;
    Ok(())
}

/// The signal that a process gets when a file may not grow (`LimitFSIZE=`, `ulimit -f`): the same number on Linux for
/// x86 and ARM, on macOS and on the BSDs.
const SIGXFSZ: i32 = 25;

/// Makes a file-size limit what a full disk is, a write that fails, instead of the process's end. A handler that was
/// once asked for stays.
fn survive_file_size_limits() -> anyhow::Result<()> {
    drop(signal(SignalKind::from_raw(SIGXFSZ))?);
    Ok(())
}

/// Cancelled by the first SIGTERM or SIGINT. A second one ends the process the hard way.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        let mut once = async || tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} };
        once().await;
        token.cancel();
        once().await;
        tracing::warn!("stopped by a second signal; calls under way are cut off");
        std::process::exit(130);
    });
    Ok(stop)
}
