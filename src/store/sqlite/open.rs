//! Opening the file: folder, permissions, durability, migrations.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::store::StoreError;

use super::session::reason;

/// The steps that lead to the newest version, each with the version that it leads to. A released step is never
/// edited; a new one is added.
const MIGRATIONS: [(i64, &str); 1] = [(1, include_str!("../migrations/sqlite/0001_ledger.sql"))];

/// The newest version that this binary knows.
const KNOWN_VERSION: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// How long a write waits for another process. The command line holds the lock for milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Room for every statement of this store, so that each is prepared once per connection.
const PREPARED_STATEMENTS: usize = 128;

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

/// How often, and how far apart, opening looks whether another process has finished opening: five seconds in all.
const OPENING_TRIES: u32 = 500;
const OPENING_PAUSE: Duration = Duration::from_millis(10);

/// Makes folder and file when they are missing, and opens the file, up to date.
pub(super) fn for_writing(path: &Path) -> Result<Connection, StoreError> {
    make_folder(path).map_err(|error| unwritable(path, &error))?;
    let _turn = take_turn(path).map_err(|error| unwritable(path, &error))?;
    make_file(path).map_err(|error| unwritable(path, &error))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_version(path, &connection)?;
    connection.execute_batch(WRITE_PRAGMAS).map_err(|error| unusable(path, &error))?;
    migrate(&mut connection).map_err(|error| unusable(path, &error))?;
    Ok(connection)
}

/// Opens a file that [`for_writing`] has made.
pub(super) fn for_reading(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// What an operator reads when folder or file cannot be written.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> StoreError {
    let reason = format!("{error}. fal-relay must be able to write in this folder; store.url sets another");
    StoreError::Open { path: path.display().to_string(), reason }
}

/// What an operator reads when SQLite does not take the file.
fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    let reason =
        format!("{}. store.url must name fal-relay's own file, or one that is not there yet", reason(error));
    StoreError::Open { path: path.display().to_string(), reason }
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let open = || {
        let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        Ok::<_, rusqlite::Error>(connection)
    };
    open().map_err(|error| unusable(path, &error))
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

/// One opens at a time, whoever it is: SQLite does not wait for others when it turns a new file to write-ahead logging.
/// The turn ends when the file is closed.
fn take_turn(path: &Path) -> io::Result<File> {
    let file =
        private(OpenOptions::new().create(true).append(true)).open(path.with_added_extension("lock"))?;
    for _ in 0..OPENING_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(OPENING_PAUSE),
        }
    }
    Err(io::Error::other("another process has not finished opening it"))
}

/// SQLite gives the files beside the database the permissions of the database. One that is there is not touched: to
/// close it here would drop the locks that another connection of this process has on it.
fn make_file(path: &Path) -> io::Result<()> {
    match path.exists() {
        true => Ok(()),
        false => private(OpenOptions::new().create_new(true).append(true)).open(path).map(drop),
    }
}

/// For the owner alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn check_version(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection).map_err(|error| unusable(path, &error))?;
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
