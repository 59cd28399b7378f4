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

const WEBHOOK: Limit = Limit {
    step: "webhook",
    reason: "this release of the relay does not deliver webhooks",
    remedy: "ask for the status, or follow the status stream, until the request is COMPLETED",
};

const PYTHON: [Limit; 2] = [
    Limit {
        step: "realtime",
        reason: "this release of the relay does not carry realtime sockets",
        remedy: "use subscribe, run or stream",
    },
    WEBHOOK,
];

const JAVASCRIPT: [Limit; 2] = [
    Limit {
        step: "realtime",
        reason: "@fal-ai/client always opens its socket to wss://fal.run, and this release of the relay does not carry \
                 realtime sockets",
        remedy: "use subscribe, run or stream",
    },
    WEBHOOK,
];

const PLAIN: [Limit; 2] = [
    Limit {
        step: "realtime",
        reason: "this release of the relay does not carry realtime sockets, and this client opens none",
        remedy: "use the queue, run or stream",
    },
    WEBHOOK,
];

/// All limits of a client, in the order of its steps.
pub(super) fn of(client: Client) -> &'static [Limit] {
    match client {
        Client::Python => &PYTHON,
        Client::Js => &JAVASCRIPT,
        Client::Curl | Client::Httpie => &PLAIN,
    }
}
