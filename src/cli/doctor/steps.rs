//! The steps of each client, and what every walk through them is given.

use std::path::{Path, PathBuf};

use super::Client;
use super::lines::Site;
use super::report::{Outcome, Step};
use crate::clock::Clock;
use crate::key::ApiKey;

/// A request id that nobody has.
pub(super) const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Client,
    Key,
    WrongKey,
    Submit,
    Status,
    Result,
    Subscribe,
    Cancel,
    Run,
    Stream,
    Upload,
}

impl What {
    /// Its name, which the probes use too.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Key => "key",
            Self::WrongKey => "wrong key",
            Self::Submit => "submit",
            Self::Status => "status",
            Self::Result => "result",
            Self::Subscribe => "subscribe",
            Self::Cancel => "cancel",
            Self::Run => "run",
            Self::Stream => "stream",
            Self::Upload => "upload",
        }
    }
}

/// Steps that make nothing at fal.
const FREE: &[What] = &[What::Client, What::Key, What::WrongKey];

/// Steps that make something at fal, most of which it bills.
const fn billed(client: Client) -> &'static [What] {
    match client {
        Client::Python => &[
            What::Submit,
            What::Status,
            What::Result,
            What::Subscribe,
            What::Cancel,
            What::Run,
            What::Stream,
            What::Upload,
        ],
        Client::Js => &[
            What::Submit,
            What::Status,
            What::Result,
            What::Subscribe,
            What::Cancel,
            What::Run,
            What::Stream,
            What::Upload,
        ],
        Client::Curl | Client::Httpie => {
            &[What::Submit, What::Status, What::Result, What::Cancel, What::Run, What::Stream, What::Upload]
        }
    }
}

/// What a walk is given.
pub(super) struct Trial<'a> {
    pub(super) client: Client,
    pub(super) site: &'a Site,
    pub(super) key: &'a ApiKey,
    /// Whether the key was made for this walk.
    pub(super) key_is_ours: bool,
    /// A key of the right form that no relay knows.
    pub(super) wrong_key: &'a ApiKey,
    /// The client's own program, or the interpreter that runs it.
    pub(super) program: PathBuf,
    /// Where JavaScript packages are looked for.
    pub(super) folder: Option<&'a Path>,
    /// Whether the steps are walked that fal bills.
    pub(super) spend: bool,
    pub(super) sandbox: bool,
    pub(super) clock: &'a dyn Clock,
}

impl Trial<'_> {
    /// The steps to walk.
    pub(super) fn steps(&self) -> impl Iterator<Item = What> {
        let billed = if self.spend { billed(self.client) } else { &[] };
        FREE.iter().chain(billed).copied()
    }

    /// The steps that are left out to save money.
    pub(super) fn left_out(&self) -> &'static [What] {
        if self.spend { &[] } else { billed(self.client) }
    }

    /// What the job asks for that is to be cancelled: the simulated fal lets it wait in the queue.
    pub(super) fn cancel_prompt(&self) -> &'static str {
        if self.sandbox { "a cat [[queue:60]]" } else { "a cat" }
    }

    /// A step that went wrong, with the remedy when its cause is known.
    pub(super) fn failure(&self, step: &str, why: &str) -> Step {
        let failure = Step::new(step, Outcome::Fails, self.clean(why));
        match self.remedy(step, why) {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }

    /// A step that went as it should.
    pub(super) fn success(&self, step: &str, detail: &str) -> Step {
        Step::new(step, Outcome::Works, self.clean(detail))
    }

    /// What a client or a server said, without keys and on one line.
    fn clean(&self, text: &str) -> String {
        let text = text.replace(self.key.expose(), "****").replace(self.wrong_key.expose(), "****");
        text.replace(char::is_control, " ")
    }

    fn remedy(&self, step: &str, why: &str) -> Option<String> {
        if step == What::Client.as_str() {
            return Some(self.install().into());
        }
        if why.to_ascii_lowercase().contains("certificate") {
            return Some("name the certificate authority of the relay's https address with --ca-file".into());
        }
        if step == What::Key.as_str() && why.contains("401") {
            return Some(self.other_key().into());
        }
        None
    }

    fn install(&self) -> &'static str {
        match self.client {
            Client::Python => {
                "python3 -m pip install fal-client; or name the interpreter that has it with --program"
            }
            Client::Js => {
                "npm install @fal-ai/client in the folder of your program, and name that folder with --folder; node \
                 itself with --program"
            }
            Client::Curl => "install curl, or name it with --program",
            Client::Httpie => "python3 -m pip install httpie; or name its `http` with --program",
        }
    }

    fn other_key(&self) -> &'static str {
        match (self.key_is_ours, self.sandbox) {
            (true, true) => {
                "the relay has another store than this configuration, or runs without --sandbox; give doctor the \
                 relay's --config, or a key of it in FAL_RELAY_KEY"
            }
            (true, false) => {
                "the relay has another store than this configuration; give doctor the relay's --config, or --sandbox \
                 when it runs with that, or a key of it in FAL_RELAY_KEY"
            }
            (false, _) => {
                "the relay does not know this key, or it has ended; make one with `fal-relay key create`"
            }
        }
    }
}
