//! What went wrong in a database, in the port's words.

use sea_orm::sqlx::error::ErrorKind;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};
use tongbao_delivery::port::StoreError;

/// Why a transaction did not come about.
#[derive(Debug)]
pub enum Fail {
    /// The database said no.
    Db(DbErr),
    /// We said no.
    Store(StoreError),
}

impl From<DbErr> for Fail {
    fn from(error: DbErr) -> Self {
        Fail::Db(error)
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        Fail::Store(error)
    }
}

impl From<Fail> for StoreError {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Db(error) => stored(&error),
            Fail::Store(error) => error,
        }
    }
}

impl Fail {
    /// Whether the same transaction may simply be run again: a deadlock, a serialization conflict, or a row
    /// that somebody else inserted between our look and our insert.
    pub fn again(&self) -> bool {
        let Fail::Db(error) = self else { return false };
        let Some(sqlx::Error::Database(error)) = sqlx_error(error) else { return false };
        if error.kind() == ErrorKind::UniqueViolation {
            return true;
        }
        if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
            // Lock wait timeout, deadlock.
            return matches!(mysql.number(), 1205 | 1213);
        }
        matches!(error.code().as_deref(), Some("40001" | "40P01"))
    }
}

/// Whether SQLite was busy with somebody else; extended codes say the same in their low byte.
pub fn is_busy(error: &DbErr) -> bool {
    const BUSY: u32 = 5;
    let Some(sqlx::Error::Database(error)) = sqlx_error(error) else { return false };
    error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == BUSY)
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// A database error in the port's words. What is not surely our own mistake counts as passing: callers try again.
pub fn stored(error: &DbErr) -> StoreError {
    let text = error.to_string();
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::Custom(_) => {
            return StoreError::Corrupt(text);
        }
        _ => {}
    }
    match sqlx_error(error) {
        Some(
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. },
        ) => StoreError::Corrupt(text),
        // Class 42: unknown table or column, so the schema is another program's or another version's.
        Some(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("42")) => {
            StoreError::Corrupt(text)
        }
        _ => StoreError::Unavailable(text),
    }
}
