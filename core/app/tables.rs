//! The code tables as the pipeline sees them: a snapshot that follows the store, as long as its rows make sense.

use std::sync::{Arc, PoisonError, RwLock};
use tongbao_delivery::port::{Store, Stored, TableRow};
use tongbao_mapping::{CodeRow, Tables};
use tongbao_model::Text;

/// Current snapshot.
pub struct TableCache {
    store: Arc<dyn Store>,
    current: RwLock<Arc<Tables>>,
    /// The revision that was judged last, and what is wrong with it.
    judged: RwLock<(i64, Vec<Text>)>,
}

/// A row as mappings look at it.
pub fn code_row(row: TableRow) -> CodeRow {
    CodeRow { table: row.table, source: row.source, target: row.target, valid_to: row.valid_to }
}

impl TableCache {
    /// Loads the tables.
    pub async fn load(store: Arc<dyn Store>) -> Stored<TableCache> {
        let cache = TableCache { store, current: RwLock::default(), judged: RwLock::new((-1, Vec::new())) };
        cache.reload(true).await?;
        Ok(cache)
    }

    /// The snapshot. A change in the store shows in the next one after [`TableCache::refresh`].
    pub fn current(&self) -> Arc<Tables> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong with the latest rows, so that those of before go on.
    pub fn refused(&self) -> Vec<Text> {
        self.judged.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Loads again if the store has a newer revision; answers whether it did.
    pub async fn refresh(&self) -> Stored<bool> {
        let judged = self.judged.read().unwrap_or_else(PoisonError::into_inner).0;
        if self.store.tables_revision().await? == judged {
            return Ok(false);
        }
        self.reload(false).await
    }

    /// At the start there is nothing to go on with: codes whose rows contradict each other then have none, and their
    /// documents wait.
    async fn reload(&self, is_start: bool) -> Stored<bool> {
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
        let (tables, wrong) = Tables::of_rows(revision, rows.into_iter().map(code_row));
        for why in &wrong {
            let why = why.to_string();
            tracing::warn!(revision, why, "code tables do not take over");
        }
        let takes_over = wrong.is_empty() || is_start;
        if takes_over {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tables);
        }
        *self.judged.write().unwrap_or_else(PoisonError::into_inner) = (revision, wrong);
        Ok(takes_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_delivery::port::ImportMode;
    use tongbao_delivery::sim::MemoryStore;

    async fn import(store: &MemoryStore, rows: &[(&str, &str, &str)]) {
        let row = |(source, target, valid_to): &(&str, &str, &str)| TableRow {
            table: "t".into(),
            source: (*source).into(),
            target: (*target).into(),
            valid_to: (*valid_to).into(),
            ..TableRow::default()
        };
        store.import_table("t", rows.iter().map(row).collect(), ImportMode::Merge).await.unwrap();
    }

    #[tokio::test]
    async fn rows_that_contradict_each_other_do_not_take_over() {
        let store = Arc::new(MemoryStore::new());
        import(&store, &[("A@2026-01-01", "one", ""), ("B", "b", "")]).await;
        let cache = TableCache::load(store.clone()).await.unwrap();
        let on = |tables: &Tables| {
            let day = "2026-02-15".parse().ok();
            let found = tables.table("t").unwrap().find("A", day).map(|found| found.target.to_owned());
            (found, tables.find("t", "B").map(str::to_owned))
        };
        let before = (Some("one".to_owned()), Some("b".to_owned()));
        assert_eq!(on(&cache.current()), before);
        // Past the import command, which would have refused it.
        import(&store, &[("A@2026-01-01", "one", "2026-03-31"), ("A@2026-02-01", "two", ""), ("B", "c", "")])
            .await;
        assert!(!cache.refresh().await.unwrap());
        assert_eq!((on(&cache.current()), cache.current().revision), (before, 1));
        assert!(cache.refused()[0].en.contains("days in common"), "{:?}", cache.refused());
        assert!(!cache.refresh().await.unwrap(), "judged once");
        // A process that starts has nothing to go on with: that code has no row, and its documents wait.
        let started = TableCache::load(store.clone()).await.unwrap();
        assert_eq!(on(&started.current()), (None, Some("c".to_owned())));
        import(&store, &[("A@2026-01-01", "one", "2026-01-31")]).await;
        assert!(cache.refresh().await.unwrap() && cache.refused().is_empty());
        assert_eq!(on(&cache.current()), (Some("two".to_owned()), Some("c".to_owned())));
    }
}
