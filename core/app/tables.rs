//! The code tables as the pipeline sees them: a snapshot that follows the store.

use std::sync::{Arc, PoisonError, RwLock};
use tongbao_delivery::port::{Store, Stored};
use tongbao_mapping::Tables;

/// Current snapshot.
pub struct TableCache {
    store: Arc<dyn Store>,
    current: RwLock<Arc<Tables>>,
}

impl TableCache {
    /// Loads the tables.
    pub async fn load(store: Arc<dyn Store>) -> Stored<TableCache> {
        let cache = TableCache { store, current: RwLock::default() };
        cache.reload().await?;
        Ok(cache)
    }

    /// The snapshot. A change in the store shows in the next one after [`TableCache::refresh`].
    pub fn current(&self) -> Arc<Tables> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Loads again if the store has a newer revision; answers whether it did.
    pub async fn refresh(&self) -> Stored<bool> {
        if self.store.tables_revision().await? == self.current().revision {
            return Ok(false);
        }
        self.reload().await?;
        Ok(true)
    }

    async fn reload(&self) -> Stored<()> {
        // The revision stands with every document made: rows and revision have to belong together. An import in
        // between is met by reading once more.
        let mut revision = self.store.tables_revision().await?;
        let rows = loop {
            let rows = self.store.table_rows(None).await?;
            let now = self.store.tables_revision().await?;
            if now == revision {
                break rows;
            }
            revision = now;
        };
        let tables = Tables::new(revision, rows.into_iter().map(|row| (row.table, row.source, row.target)));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
        Ok(())
    }
}
