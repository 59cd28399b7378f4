//! The words by which counts are told apart. Each list is closed, so that no caller can make a series.

/// Makes a closed list whose members know their word and their place.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$member_doc])* $member,)+
        }

        impl $name {
            pub(super) const ALL: &[Self] = &[$(Self::$member),+];
            pub(super) const COUNT: usize = Self::ALL.len();

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word),+ }
            }
        }
    };
}

labels! {
    /// Which kind of call it is.
    Route {
        /// A job for the queue.
        Submit = "submit",
        /// A job's state.
        Status = "status",
        /// A job's state, event by event.
        StatusStream = "status_stream",
        /// A job's result.
        Result = "result",
        /// A job's end.
        Cancel = "cancel",
        /// A direct run.
        Run = "run",
        /// A direct run with events.
        Stream = "stream",
        /// A realtime socket.
        Realtime = "realtime",
        /// A socket whose messages are direct runs.
        Runs = "runs",
        /// A step of an upload.
        Storage = "storage",
        /// The bytes of an upload.
        Upload = "upload",
        /// A file of the media host.
        File = "file",
        /// A new client token.
        Token = "token",
        /// What a page's browser asks before the page's own request.
        Preflight = "preflight",
        /// What a key may do, and what it has left.
        Account = "account",
        /// What a key has spent.
        Usage = "usage",
        /// What a key may call.
        Models = "models",
        /// What that costs it.
        ModelPrices = "model_prices",
        /// A call by the proxy convention, refused before it was known which.
        Proxy = "proxy",
        /// What a listener hears of webhooks.
        WebhookEvents = "webhook_events",
        /// The keys by which receivers verify webhooks.
        Keys = "jwks",
        /// fal says that a job has ended.
        Callback = "webhook_fal",
        /// Whether the process is up.
        Health = "health",
        /// Whether it wants traffic.
        Ready = "ready",
        /// None that was found: refused before its route was known.
        None = "none",
    }
}

labels! {
    /// The class of an answer's status.
    Status {
        /// Before the answer.
        Informational = "1xx",
        /// It went well.
        Success = "2xx",
        /// It is elsewhere.
        Redirection = "3xx",
        /// The request is at fault.
        ClientError = "4xx",
        /// A server is at fault.
        ServerError = "5xx",
    }
}

impl Status {
    pub(super) fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

labels! {
    /// Whose fault it is that a call did not go well.
    Fault {
        /// It did.
        None = "none",
        /// The tenant's.
        Client = "client",
        /// The operator's.
        Relay = "relay",
        /// fal's.
        Fal = "fal",
    }
}

impl Fault {
    /// Who is at fault for an answer that was passed on with this status.
    pub fn of_passed(status: u16) -> Self {
        match Status::of(status) {
            Status::ClientError => Self::Client,
            Status::ServerError => Self::Fal,
            _ => Self::None,
        }
    }
}

labels! {
    /// Why a connection was not served.
    Unserved {
        /// Its address has its share of connections.
        AddressLimit = "address_limit",
        /// The system gave no socket for it.
        AcceptFailed = "accept_failed",
        /// Its TLS handshake failed.
        TlsFailed = "tls_failed",
        /// What came is no sound HTTP request, or came too slowly.
        Refused = "refused",
    }
}

labels! {
    /// One of fal's hosts.
    Host {
        /// The queue.
        Queue = "queue",
        /// Direct runs.
        Run = "run",
        /// Storage.
        Rest = "rest",
        /// Media.
        Cdn = "cdn",
        /// The other hosts that uploads go to.
        Upload = "upload",
    }
}

labels! {
    /// Why fal did not answer, or not wholly.
    Failure {
        /// No connection could be made.
        Connect = "connect",
        /// No answer came in time.
        Timeout = "timeout",
        /// The connection broke before the answer.
        Lost = "lost",
        /// What came is not HTTP.
        Garbage = "garbage",
        /// The answer broke off.
        Cut = "cut",
        /// The tenant's own body did not arrive whole.
        ClientBody = "client_body",
        /// The host has failed again and again; the call failed at once and nothing was sent.
        Resting = "resting",
        /// The request cannot be written as HTTP.
        Unsendable = "unsendable",
    }
}

labels! {
    /// What the relay remembers so as not to ask the store.
    Memory {
        /// The tenant behind a key.
        Identity = "identity",
        /// The tenant behind a request.
        Owner = "owner",
    }
}

labels! {
    /// A change to the ledger.
    LedgerVerb {
        /// A call is written down before it leaves.
        Hold = "hold",
        /// More is held for one that is under way.
        TopUp = "top_up",
        /// fal took it.
        Sent = "sent",
        /// It ended, and what it costs is known.
        Settle = "settle",
        /// It ended, and it cost nothing.
        Release = "release",
        /// Its outcome is not known.
        Lose = "lose",
    }
}

labels! {
    /// How a realtime socket ended.
    SocketEnd {
        /// Its ends closed it.
        Agreed = "agreed",
        /// The client vanished.
        ClientGone = "client_gone",
        /// fal vanished.
        FalGone = "fal_gone",
        /// The client sent what is not let through.
        ClientFault = "client_fault",
        /// fal did.
        FalFault = "fal_fault",
        /// Nothing moved for too long.
        Idle = "idle",
        /// It was open for as long as it may be.
        TooLong = "too_long",
        /// As much was used as money was held for.
        Spent = "spent",
        /// An end took nothing for too long.
        Stalled = "stalled",
        /// What opened it was revoked.
        Revoked = "revoked",
        /// The relay stopped.
        Draining = "draining",
    }
}
