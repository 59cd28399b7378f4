//! (stub)
mod settings;
pub use settings::Settings;
use std::sync::Arc;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SandboxError;
/// x
pub struct Running {
    /// x
    pub addr: std::net::SocketAddr,
    /// x
    pub base_url: String,
}
impl Running {
    /// x
    pub async fn shutdown(self) {}
}
/// x
pub async fn start(
    _s: Settings,
    _c: Arc<dyn crate::clock::Clock>,
    _r: crate::random::Random,
) -> Result<Running, SandboxError> {
    Err(SandboxError)
}
