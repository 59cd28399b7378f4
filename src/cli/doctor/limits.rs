//! What a client cannot do with this release, and what to do instead. `docs/clients` says the same.

use super::Client;

/// Something that cannot work, whatever is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// The step's name.
    pub(super) step: &'static str,
    /// Why.
    pub(super) reason: &'static str,
    /// What works in its place.
    pub(super) remedy: &'static str,
}

const PYTHON: Limit = Limit {
    step: "realtime",
    reason: "fal-client asks rest.fal.ai for a token first, where a relay key opens nothing",
    remedy: "say realtime(..., use_jwt=False), which needs no token: docs/realtime.md",
};

const JAVASCRIPT: Limit = Limit {
    step: "realtime",
    reason: "@fal-ai/client always opens its socket to wss://fal.run",
    remedy: "give it a global WebSocket that knows the way: docs/realtime.md",
};

const PLAIN: Limit = Limit {
    step: "realtime",
    reason: "this client opens no sockets",
    remedy: "use the queue, run or stream",
};

/// The limit of a client.
pub(super) fn of(client: Client) -> Limit {
    match client {
        Client::Python => PYTHON,
        Client::Js => JAVASCRIPT,
        Client::Curl | Client::Httpie => PLAIN,
    }
}
