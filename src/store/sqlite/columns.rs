//! How the product's types lie in columns: moments and numbers as integers, names and states as text.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::ids::{
    AccountName, AdjustmentId, AuditId, CallId, GroupId, KeyId, LeaseId, OperatorId, RequestId, TenantId,
    TokenId,
};
use crate::key::KeyKind;
use crate::money::{Delta, Multiplier, UnitPrice, Usd};
use crate::period::{Period, Zone};
use crate::pricing::Basis;
use crate::store::{CallKind, CallState, Role, TenantStatus};

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
integer!(TokenId, TokenId, |id| id.0);
integer!(CallId, CallId, |id| id.0);
integer!(LeaseId, LeaseId, |id| id.0);
integer!(GroupId, GroupId, |id| id.0);
integer!(OperatorId, OperatorId, |id| id.0);
integer!(AuditId, AuditId, |id| id.0);
integer!(AdjustmentId, AdjustmentId, |id| id.0);

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
word!(TenantStatus);
word!(Role);
word!(Period);
word!(Basis);

/// Lays a type down as the text that it is written as.
macro_rules! text {
    ($type:ty) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.to_string().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::parse(value.as_str()?).map_err(FromSqlError::other)
            }
        }
    };
}

impl ToSql for Delta {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.nanos().into())
    }
}

impl FromSql for Delta {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self::from_nanos)
    }
}

impl ToSql for Usd {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.nanos().into())
    }
}

impl FromSql for Usd {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let nanos = value.as_i64()?;
        Self::from_nanos(nanos).ok_or(FromSqlError::OutOfRange(nanos))
    }
}

text!(Multiplier);
text!(UnitPrice);
text!(Zone);

/// Lays a value down as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(self.0);
        text.map(Into::into).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

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
