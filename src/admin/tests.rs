//! The service on a real store and a hand-wound clock.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{HandClock, Timestamp};
use crate::ids::KeyId;
use crate::key::{ApiKey, KeyKind};
use crate::random::Random;
use crate::store::{Settings, SqliteStore, StoreError};

use super::{Admin, AdminError, CreateKey, Expiry, Field, KeyState, UpdateKey};

const DAY: Duration = Duration::from_secs(86_400);

struct Office {
    _folder: tempfile::TempDir,
    clock: HandClock,
    admin: Admin,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { sqlite_path: folder.path().join("relay.db"), batch_max: 512 };
        let store = Arc::new(SqliteStore::open(&settings).unwrap());
        let clock = HandClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let admin = Admin::new(store, Arc::new(clock.clone()), Random::seeded(1));
        Self { _folder: folder, clock, admin }
    }

    async fn state(&self, id: KeyId) -> KeyState {
        KeyState::of(&self.admin.key(id).await.unwrap(), self.admin.now())
    }
}

fn create(tenant: &str) -> CreateKey {
    CreateKey { tenant: tenant.into(), name: "web".into(), kind: KeyKind::Test, expires_in: None }
}

#[tokio::test]
async fn a_key_is_made_expires_and_is_renewed() {
    let office = Office::new();
    let (key, record) = office
        .admin
        .create_key(CreateKey { expires_in: Some(30 * DAY), ..create("Ämter & Söhne") })
        .await
        .unwrap();
    assert_eq!(ApiKey::parse(key.expose()).unwrap().kind(), KeyKind::Test);
    assert_eq!((&*record.tenant.name, record.name.as_str()), ("Ämter & Söhne", "web"));
    assert_eq!(office.state(record.id).await, KeyState::Active);
    office.clock.advance(30 * DAY);
    assert_eq!(office.state(record.id).await, KeyState::Expired);
    let update = UpdateKey { name: Some("door".into()), expiry: Some(Expiry::In(DAY)) };
    let updated = office.admin.update_key(record.id, update).await.unwrap();
    assert_eq!((updated.name.as_str(), updated.expires_at), ("door", Some(office.admin.now().plus(DAY))));
    let never = UpdateKey { expiry: Some(Expiry::Never), ..UpdateKey::default() };
    assert_eq!(office.admin.update_key(record.id, never).await.unwrap().expires_at, None);
    assert_eq!(office.admin.tenants().await.unwrap().len(), 1);
    assert_eq!(office.admin.keys(Some("Ämter & Söhne")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rotated_key_works_on_for_its_grace_and_its_successor_lives_as_long() {
    let office = Office::new();
    let (old_key, old) =
        office.admin.create_key(CreateKey { expires_in: Some(10 * DAY), ..create("alpha") }).await.unwrap();
    office.clock.advance(DAY);
    let (new_key, new) = office.admin.rotate_key(old.id, DAY).await.unwrap();
    assert_ne!(new_key.expose(), old_key.expose());
    assert_eq!((new.tenant.id, new.name.as_str(), new.kind), (old.tenant.id, "web", KeyKind::Test));
    assert_eq!(new.expires_at, Some(office.admin.now().plus(10 * DAY)));
    assert_eq!(office.state(old.id).await, KeyState::Active);
    office.clock.advance(DAY);
    assert_eq!(office.state(old.id).await, KeyState::Expired);
    assert_eq!(office.state(new.id).await, KeyState::Active);

    // Without grace the old key ends at once.
    let (_, newest) = office.admin.rotate_key(new.id, Duration::ZERO).await.unwrap();
    assert_eq!(office.state(new.id).await, KeyState::Expired);
    assert_eq!(office.state(newest.id).await, KeyState::Active);
}

#[tokio::test]
async fn a_revoked_key_is_over() {
    let office = Office::new();
    let (_, record) = office.admin.create_key(create("alpha")).await.unwrap();
    let first = office.admin.revoke_key(record.id).await.unwrap();
    office.clock.advance(DAY);
    assert_eq!(office.admin.revoke_key(record.id).await.unwrap(), first);
    assert_eq!(office.state(record.id).await, KeyState::Revoked);
    let rotated = office.admin.rotate_key(record.id, DAY).await;
    assert!(matches!(rotated, Err(AdminError::Ended(id)) if id == record.id));
    assert_eq!(office.admin.keys(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_taken_is_named() {
    let office = Office::new();
    let admin = &office.admin;
    for bad in ["", " a", "a ", "a\nb", "a\u{0}", "a\u{202e}b", "a\u{200b}b", "a\u{feff}", &"é".repeat(65)] {
        let tenant = admin.create_key(create(bad)).await;
        assert!(matches!(tenant, Err(AdminError::Field { field: Field::Tenant, .. })), "{bad:?}");
        let name = admin.create_key(CreateKey { name: bad.into(), ..create("alpha") }).await;
        assert!(matches!(name, Err(AdminError::Field { field: Field::Name, .. })), "{bad:?}");
    }
    for bad in [Duration::ZERO, Duration::MAX] {
        let made = admin.create_key(CreateKey { expires_in: Some(bad), ..create("alpha") }).await;
        assert!(matches!(made, Err(AdminError::Field { field: Field::ExpiresIn, .. })), "{bad:?}");
    }
    assert_eq!(admin.tenants().await.unwrap(), [], "nothing was made");

    admin.create_key(create(&"é".repeat(64))).await.unwrap();
    let grace = admin.rotate_key(KeyId(1), Duration::MAX).await.unwrap_err();
    assert_eq!(grace.to_string(), "grace must be at most 100 years; a key without an end has none");
    let nobody = KeyId(99);
    assert_eq!(admin.key(nobody).await.unwrap_err().to_string(), "there is no key 99");
    assert!(matches!(admin.revoke_key(nobody).await, Err(AdminError::NoSuchKey(_))));
    assert!(matches!(admin.rotate_key(nobody, DAY).await, Err(AdminError::NoSuchKey(_))));
    assert!(matches!(admin.update_key(nobody, UpdateKey::default()).await, Err(AdminError::NoSuchKey(_))));
}

#[test]
fn an_error_of_the_store_speaks_for_itself() {
    let error = AdminError::from(StoreError::Unwritable("disk full".into()));
    assert_eq!(error.to_string(), "the store cannot write: disk full");
}
