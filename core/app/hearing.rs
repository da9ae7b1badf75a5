//! Whether polls get through, kept in the database: people are told of a stream that nobody could read for so long, by
//! whichever process looks, and a restart does not begin to count anew. With several processes one that reads is enough.

use serde::{Deserialize, Serialize};
use tongbao_delivery::port::{Cursor, Store, Stored};

/// Stands where a connection does in the cursors that are this program's own; no connection can have this name.
pub const CURSORS: &str = "tongbao";

/// How a stream is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// Since when every poll has failed; milliseconds since 1970.
    pub deaf_since_ms: Option<i64>,
    /// When a poll got through again; milliseconds since 1970.
    pub heard_ms: Option<i64>,
}

impl Hearing {
    /// After a poll; `None` where nothing changes, which is the rule.
    fn after(self, gets_through: bool, now_ms: i64) -> Option<Hearing> {
        match (self.deaf_since_ms, gets_through) {
            (None, false) => Some(Hearing { deaf_since_ms: Some(now_ms), ..self }),
            (Some(_), true) => Some(Hearing { deaf_since_ms: None, heard_ms: Some(now_ms) }),
            (None, true) | (Some(_), false) => None,
        }
    }
}

fn stream_key(connection: &str, stream: &str) -> String {
    format!("polls/{connection}/{stream}")
}

/// How a stream is doing.
pub async fn of(store: &dyn Store, connection: &str, stream: &str) -> Stored<Hearing> {
    let stored = store.cursor(CURSORS, &stream_key(connection, stream)).await?;
    // Only this program writes it; what another version wrote otherwise is forgotten.
    Ok(stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Keeps what a poll came to. Writes only where that is another thing than the one before.
pub async fn note(
    store: &dyn Store,
    connection: &str,
    stream: &str,
    gets_through: bool,
    now_ms: i64,
) -> Stored<()> {
    let Some(next) = of(store, connection, stream).await?.after(gets_through, now_ms) else { return Ok(()) };
    let cursor = Cursor {
        connection: CURSORS.to_owned(),
        stream: stream_key(connection, stream),
        position: serde_json::to_string(&next).unwrap_or_default(),
        only_if_new: false,
    };
    store.accept(Vec::new(), Some(cursor), now_ms).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_first_failure_and_the_first_success_after_it_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/hearing.db", folder.path().display());
        let store = tongbao_store::open(&url, tongbao_store::StoreOptions::default()).await.unwrap();
        let deaf = |since_ms, heard_ms| Hearing { deaf_since_ms: since_ms, heard_ms };
        for (now_ms, gets_through, expected) in [
            (1, true, Hearing::default()),
            (2, false, deaf(Some(2), None)),
            (3, false, deaf(Some(2), None)),
            (4, true, deaf(None, Some(4))),
            (5, true, deaf(None, Some(4))),
            (6, false, deaf(Some(6), Some(4))),
        ] {
            note(store.as_ref(), "erp", "receipts", gets_through, now_ms).await.unwrap();
            assert_eq!(of(store.as_ref(), "erp", "receipts").await.unwrap(), expected, "{now_ms}");
        }
        assert_eq!(of(store.as_ref(), "erp", "refunds").await.unwrap(), Hearing::default());
        store.close().await;
    }
}
