//! What is done beside calls steps back behind them: the thread that follows jobs, delivers webhooks and serves operators
//! yields to the workers where both want the same core.

/// Steps down from the usual priority, 0 of 19: beside a worker that is busy it still has a tenth of a core.
#[cfg(target_os = "linux")]
const BACKGROUND_NICENESS: i32 = 10;

/// Steps back, for good, with the thread that calls this and all that it starts from now on.
#[cfg(target_os = "linux")]
pub(super) fn step_back() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), BACKGROUND_NICENESS) {
        tracing::debug!(%error, "work beside calls keeps the priority of calls");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
pub(super) fn step_back() {}
