//! The fourth migration: accounts keep every revision of their entries.

use super::{TextType, index, long, table};
use crate::entity::{journal, ledger};
use crate::limits::{CODE, ID, KEY, NAME};
use sea_orm::sea_query::Index;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait};
use sea_orm_migration::schema::{big_integer, string_len, string_len_null, text};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Entries copied at once.
const PAGE: u64 = 500;

/// Accounts keep every revision of their entries.
pub struct Journal;

impl MigrationName for Journal {
    fn name(&self) -> &str {
        "m0004_journal"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Journal {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use journal::Column as J;
        let backend = manager.get_database_backend();
        let mut journal = table(journal::Entity)
            .col(string_len(J::Contract, KEY))
            .col(string_len(J::Kind, NAME))
            .col(string_len(J::Origin, KEY))
            .col(big_integer(J::Revision))
            .col(text(J::Amount))
            .col(string_len(J::Currency, CODE))
            .col(string_len(J::Event, ID))
            .col(big_integer(J::AtMs))
            .col(big_integer(J::RecordedMs))
            .col(string_len_null(J::Customer, KEY))
            .col(long(backend, text(J::Facts)))
            .primary_key(Index::create().col(J::Contract).col(J::Kind).col(J::Origin).col(J::Revision))
            .to_owned();
        TextType::of(manager).await?.apply(&mut journal);
        manager.create_table(journal).await?;
        index(manager, "journal_customer", journal::Entity, &[J::Customer, J::Contract], false).await?;
        copy(manager).await
    }
}

/// The entries there are, as if each had been stored when it happened: more is not known of them. The old table stays as
/// it was, for nothing reads it any more and an earlier version still could.
async fn copy(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use ledger::Column as L;
    let db = manager.get_connection();
    // Of a migration that was cut off.
    journal::Entity::delete_many().exec(db).await?;
    let mut pages = ledger::Entity::find().cursor_by((L::Contract, L::Kind, L::Origin));
    loop {
        let rows = pages.first(PAGE).all(db).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        pages.after((last.contract.clone(), last.kind.clone(), last.origin.clone()));
        let rows: Vec<journal::ActiveModel> = rows.into_iter().map(entry).collect();
        journal::Entity::insert_many(rows).exec_without_returning(db).await?;
    }
}

fn entry(row: ledger::Model) -> journal::ActiveModel {
    let facts: serde_json::Value = serde_json::from_str(&row.facts).unwrap_or_default();
    let customer = facts.get("customer").and_then(serde_json::Value::as_str).map(str::to_owned);
    journal::ActiveModel {
        contract: Set(row.contract),
        kind: Set(row.kind),
        origin: Set(row.origin),
        revision: Set(row.revision),
        amount: Set(row.amount),
        currency: Set(row.currency),
        event: Set(row.event),
        at_ms: Set(row.at_ms),
        recorded_ms: Set(row.at_ms),
        customer: Set(customer.filter(|code| code.chars().count() <= usize::try_from(KEY).unwrap_or(0))),
        facts: Set(row.facts),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::migration::Migrator;
    use crate::read::account;
    use sea_orm::Database;
    use sea_orm_migration::MigratorTrait;
    use tongbao_delivery::port::Holder;

    /// More entries than a page, and a customer from the facts.
    #[tokio::test]
    async fn a_ledger_becomes_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/old.db?mode=rwc", folder.path().display());
        let db = Database::connect(&url).await.unwrap();
        Migrator::up(&db, Some(3)).await.unwrap();
        let rows = (0..1_201_i64).map(|number| ledger::ActiveModel {
            contract: Set(format!("HT-{}", number / 2)),
            kind: Set(if number % 2 == 0 { "ordered" } else { "received" }.into()),
            origin: Set(format!("O-{number}")),
            revision: Set(number % 3 + 1),
            amount: Set("0.10".into()),
            currency: Set("CNY".into()),
            event: Set("e".into()),
            at_ms: Set(number),
            facts: Set(r#"{"customer":"C1","status":null}"#.into()),
        });
        for chunk in rows.collect::<Vec<_>>().chunks(100) {
            ledger::Entity::insert_many(chunk.to_vec()).exec_without_returning(&db).await.unwrap();
        }
        Migrator::up(&db, None).await.unwrap();
        let of = Holder::Customer("C1".into());
        let all = account(&db, &of, i64::MAX).await.unwrap();
        assert_eq!((all.len(), all[0].origin.as_str(), all[0].revision), (1_201, "O-0", 1));
        assert_eq!(account(&db, &of, 9).await.unwrap().len(), 10);
    }
}
