//! The key that doctor walks with: the user's, or one of its own that it ends again.

use anyhow::{Context, ensure};

use super::Doctor;
use crate::admin::{Actor, KeyCreate};
use crate::cli::Place;
use crate::config::Config;
use crate::ids::KeyId;
use crate::key::{ApiKey, KeyKind};
use crate::store::Role;

/// Whose the key is that doctor makes.
const TENANT: &str = "doctor";

/// Longer than any walk. A doctor that is killed cannot end its key.
const LIFE: &str = "10m";

/// A key for the length of a walk.
pub(super) struct Loan {
    pub(super) key: ApiKey,
    /// The service that made it, and its number there; `None` for a key that the user gave.
    made: Option<(Actor, KeyId)>,
}

impl Loan {
    /// The key that the user gave, when there is one, checked for its form and kind.
    pub(super) fn given(doctor: &Doctor, kind: KeyKind) -> anyhow::Result<Option<Self>> {
        let Some(text) = doctor.key.as_ref().filter(|key| !key.expose().is_empty()) else { return Ok(None) };
        let key = ApiKey::parse(text.expose());
        let key =
            key.context("this is no key of fal-relay: they begin with fr_live_ or fr_test_; copy it whole")?;
        match kind {
            KeyKind::Test => ensure!(
                key.kind() == kind,
                "with --sandbox every step is walked, so it takes a key that works in the sandbox only (fr_test_…)"
            ),
            _ => ensure!(
                key.kind() == kind,
                "this is no key for a live relay (fr_live_…); for a relay that runs with --sandbox, say --sandbox too"
            ),
        }
        Ok(Some(Self { key, made: None }))
    }

    /// A key of doctor's own, made in the configured store.
    pub(super) async fn make(place: &Place, config: &Config) -> anyhow::Result<Self> {
        let path = &config.store.sqlite_path;
        ensure!(
            path.exists(),
            "there is no store at {} in which to make a key; run doctor where the relay runs (or with its --config), \
             or give it a key of the relay in FAL_RELAY_KEY",
            path.display()
        );
        let admin = place.admin()?.by("doctor", Role::Manage);
        let create = KeyCreate {
            tenant: TENANT.into(),
            name: Some("a walk of doctor".into()),
            expires_in: Some(LIFE.into()),
            ..KeyCreate::default()
        };
        let made = admin.create_key(create).await?;
        let key = ApiKey::parse(&made.key).context("the store made a key that is none")?;
        Ok(Self { key, made: Some((admin, made.record.id)) })
    }

    /// Whether doctor made it.
    pub(super) fn is_ours(&self) -> bool {
        self.made.is_some()
    }

    /// The key as it may be printed: in full only when it is about to end.
    pub(super) fn shown(&self) -> String {
        match self.made {
            Some(_) => self.key.expose().to_owned(),
            None => format!("****{}", self.key.last_four()),
        }
    }

    /// Ends a key that doctor made.
    pub(super) async fn give_back(self) -> anyhow::Result<()> {
        if let Some((admin, id)) = self.made {
            admin.revoke_key(id).await.with_context(|| format!("key {id} of doctor could not be ended"))?;
        }
        Ok(())
    }
}
