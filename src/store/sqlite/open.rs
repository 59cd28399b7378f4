//! Opening the file: folder, permissions, durability, migrations.

use std::fmt::Display;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::store::StoreError;

/// The steps that lead to the newest version, each with the version that it leads to. A released step is never
/// edited; a new one is added.
const MIGRATIONS: [(i64, &str); 1] = [(1, include_str!("../migrations/sqlite/0001_ledger.sql"))];

/// The newest version that this binary knows.
const KNOWN_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long a write waits for another process. The command line holds the lock for milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Room for every statement of this store, so that each is prepared once per connection.
const PREPARED_STATEMENTS: usize = 64;

/// Durable before answered: `FULL` flushes at every commit, and where a plain flush stops at the drive's cache
/// (macOS), `fullfsync` goes through it. After a burst the log is cut back to 64 MiB.
const WRITE_PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_size_limit = 67108864;
";

/// Makes folder and file when they are missing, and opens the file, up to date.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    make_folder(path).and_then(|()| make_file(path)).map_err(|error| refusal(path, &error))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_version(path, &connection)?;
    connection.execute_batch(WRITE_PRAGMAS).map_err(|error| refusal(path, &error))?;
    migrate(&mut connection).map_err(|error| refusal(path, &error))?;
    // Another process may have migrated while this one waited for the lock.
    check_version(path, &connection)?;
    Ok(connection)
}

/// Opens a file that [`for_writing`] has made.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// What an operator reads when the store does not open.
pub(super) fn refusal(path: &Path, reason: &impl Display) -> StoreError {
    let reason =
        format!("{reason}. Give the user that runs fal-relay a folder it may write to, or set store.url");
    StoreError::Open { path: path.display().to_string(), reason }
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        Ok::<_, rusqlite::Error>(connection)
    };
    open().map_err(|error| refusal(path, &error))
}

/// The folder is the owner's alone: it holds who called what.
fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(folder)
        }
        _ => Ok(()),
    }
}

/// SQLite gives the files beside the database the permissions of the database.
fn make_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create(true).append(true).open(path).map(drop)
}

fn check_version(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection).map_err(|error| refusal(path, &error))?;
    match found > KNOWN_VERSION {
        true => Err(StoreError::TooNew { path: path.display().to_string(), found, known: KNOWN_VERSION }),
        false => Ok(()),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes every step that is missing, each in a transaction of its own.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    for (leads_to, step) in MIGRATIONS {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        if version(&transaction)? < leads_to {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", leads_to)?;
        }
        transaction.commit()?;
    }
    Ok(())
}
