//! How the product's types lie in columns: moments and numbers as integers, names and states as text.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::clock::Timestamp;
use crate::ids::{AccountName, CallId, KeyId, RequestId, TenantId};
use crate::key::KeyKind;
use crate::store::{CallKind, CallState};

/// Lays a type down as an integer.
macro_rules! integer {
    ($type:ty, $read:expr, $write:expr) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let write: fn($type) -> i64 = $write;
                Ok(write(*self).into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map($read)
            }
        }
    };
}

integer!(Timestamp, Timestamp::from_micros, Timestamp::as_micros);
integer!(TenantId, TenantId, |id| id.0);
integer!(KeyId, KeyId, |id| id.0);
integer!(CallId, CallId, |id| id.0);

/// Lays a closed list down as its words.
macro_rules! word {
    ($type:ty) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let word = value.as_str()?;
                <$type>::ALL.into_iter().find(|known| known.as_str() == word).ok_or(FromSqlError::InvalidType)
            }
        }
    };
}

word!(KeyKind);
word!(CallKind);
word!(CallState);

impl ToSql for AccountName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for AccountName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

impl ToSql for RequestId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for RequestId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).map_err(FromSqlError::other)
    }
}
