//! The sixth migration: payments and what they are allocated to.

use super::{TextType, counter, index, long, table};
use crate::entity::{allocations, counters, payments};
use crate::limits::{CODE, ID, KEY, NAME};
use sea_orm::DbErr;
use sea_orm::sea_query::Index;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, small_integer, string_len, string_len_null, text, text_null,
};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

/// Payments and what they are allocated to.
pub struct Payments;

impl MigrationName for Payments {
    fn name(&self) -> &str {
        "m0006_payments"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Payments {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use {allocations::Column as A, payments::Column as P};
        let backend = manager.get_database_backend();
        let text_type = TextType::of(manager).await?;
        let mut payments = table(payments::Entity)
            .col(string_len(P::Book, CODE))
            .col(string_len(P::Number, KEY))
            .col(big_integer(P::Revision))
            .col(string_len(P::Event, ID))
            .col(string_len(P::Kind, CODE))
            .col(small_integer(P::Reversed))
            .col(text(P::Amount))
            .col(string_len(P::Currency, CODE))
            .col(big_integer(P::AtMs))
            .col(text_null(P::BankReference))
            .col(text_null(P::Party))
            .col(text_null(P::PartyAccount))
            .col(long(backend, text_null(P::Purpose)))
            .col(text_null(P::Customer))
            .col(text_null(P::Contract))
            .col(big_integer(P::Turn))
            .col(small_integer(P::Undecided))
            .col(small_integer(P::ByHand))
            .col(string_len_null(P::Pair, KEY))
            .col(long(backend, text_null(P::Verdict)))
            .col(big_integer(P::ChangedMs))
            .primary_key(Index::create().col(P::Book).col(P::Number))
            .to_owned();
        let mut allocations = table(allocations::Entity)
            .col(string_len(A::Book, CODE))
            .col(string_len(A::Number, KEY))
            .col(big_integer(A::Turn))
            .col(integer(A::Place))
            .col(string_len(A::Contract, KEY))
            .col(string_len_null(A::Paper, KEY))
            .col(text(A::Amount))
            .col(text(A::Fee))
            .col(string_len(A::Currency, CODE))
            .col(string_len_null(A::Customer, KEY))
            .col(big_integer(A::Revision))
            .col(string_len(A::Rule, NAME))
            .col(string_len_null(A::Actor, KEY))
            .col(long(backend, text(A::Reasons)))
            .col(big_integer(A::AtMs))
            .col(big_integer_null(A::UndoneMs))
            .col(string_len_null(A::UndoneBy, KEY))
            .col(text_null(A::UndoneWhy))
            .primary_key(Index::create().col(A::Book).col(A::Number).col(A::Turn).col(A::Place))
            .to_owned();
        for table in [&mut payments, &mut allocations] {
            text_type.apply(table);
            manager.create_table(table.clone()).await?;
        }
        let payments = payments::Entity;
        index(manager, "payments_undecided", payments, &[P::Undecided, P::Book, P::Number], false).await?;
        index(manager, "payments_at", payments, &[P::AtMs], false).await?;
        index(manager, "allocations_contract", allocations::Entity, &[A::Contract], false).await?;
        counter(manager, counters::PAYMENTS).await
    }
}
