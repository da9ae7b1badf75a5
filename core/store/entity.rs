//! The tables as sea-orm sees them. Column names are chosen to be no reserved word on any of the databases.
//!
//! Amounts and JSON are text: a float or JSON column would change numbers on the way through.

/// Immutable facts.
pub mod events {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub source: String,
        pub business_key: String,
        pub revision: i64,
        pub order_key: String,
        pub occurred_at_ms: i64,
        pub digest: String,
        pub record: String,
        pub cause: Option<String>,
        pub accepted_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One event × one flow.
pub mod deliveries {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "deliveries")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub id: String,
        pub event_id: String,
        pub kind: String,
        pub business_key: String,
        pub flow: String,
        pub target: String,
        pub order_key: String,
        pub state: String,
        /// 1 until the state is final: what the lane of an order key is read by.
        pub unfinished: i16,
        pub attempts: i32,
        pub tries: i32,
        pub window_start_ms: i64,
        pub due_at_ms: Option<i64>,
        pub lease_until_ms: Option<i64>,
        pub class: Option<String>,
        pub in_doubt: i16,
        pub fault_code: Option<String>,
        pub fault: Option<String>,
        pub remote: Option<String>,
        pub published_at_ms: Option<i64>,
        pub created_at_ms: i64,
        pub changed_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Tries.
pub mod attempts {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "attempts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub delivery: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub attempt: i32,
        pub worker: String,
        pub started_at_ms: i64,
        pub ended_at_ms: Option<i64>,
        pub class: Option<String>,
        pub fault: Option<String>,
        pub remote: Option<String>,
        pub request: Option<String>,
        pub response: Option<String>,
        pub mapping: Option<String>,
        pub tables_revision: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Deliveries to be published.
pub mod outbox {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub delivery: String,
        pub target: String,
        pub order_key: String,
        pub due_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Business key ↔ far-side document.
pub mod bindings {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "bindings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub target: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub business_key: String,
        pub remote_id: String,
        pub remote_number: String,
        pub remote_step: String,
        pub delivery: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Movements on contracts' receivable accounts, as they were kept before there was a journal. Only a migration reads them.
pub mod ledger {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ledger")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub origin: String,
        pub revision: i64,
        pub amount: String,
        pub currency: String,
        pub event: String,
        pub at_ms: i64,
        pub facts: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Movements on contracts' receivable accounts: every revision of each, and when it was stored.
pub mod journal {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "journal")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub origin: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub revision: i64,
        pub amount: String,
        pub currency: String,
        pub event: String,
        pub at_ms: i64,
        pub recorded_ms: i64,
        pub customer: Option<String>,
        pub facts: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far polling has come.
pub mod cursors {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "cursors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub connection: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub stream: String,
        pub place: String,
        pub changed_at_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Code tables.
pub mod code_rows {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "code_rows")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub table_name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_code: String,
        pub target_code: String,
        pub note: String,
        pub valid_to: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What code tables held at each of their revisions: a row for each change, without a target where the row was removed.
pub mod code_history {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "code_history")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub table_name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub source_code: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub revision: i64,
        pub target_code: Option<String>,
        pub note: Option<String>,
        pub valid_to: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The texts of mapping files that have been in use, by version.
pub mod mapping_versions {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "mapping_versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: String,
        pub name: String,
        pub files: String,
        pub first_used_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What is left of archived events.
pub mod archived {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "archived")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub business_key: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub revision: i64,
        pub event_id: String,
        pub digest: String,
        pub accepted_at_ms: i64,
        pub archived_at_ms: i64,
        pub file: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What people have told to stand still, and when it did.
pub mod holds {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "holds")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub since_ms: i64,
        pub until_ms: Option<i64>,
        pub actor: String,
        pub reason: String,
        pub ended_by: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Payments, as the newest document says, and what is decided of them.
pub mod payments {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "payments")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub book: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        pub revision: i64,
        pub event: String,
        pub kind: String,
        pub reversed: i16,
        pub amount: String,
        pub currency: String,
        pub at_ms: i64,
        pub bank_reference: Option<String>,
        pub party: Option<String>,
        pub party_account: Option<String>,
        pub purpose: Option<String>,
        pub customer: Option<String>,
        pub contract: Option<String>,
        pub turn: i64,
        /// 1 while there is something to decide.
        pub undecided: i16,
        pub by_hand: i16,
        pub pair: Option<String>,
        pub verdict: Option<String>,
        pub changed_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What payments are, and were, allocated to.
pub mod allocations {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "allocations")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub book: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub turn: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub place: i32,
        pub contract: String,
        pub paper: Option<String>,
        pub amount: String,
        pub fee: String,
        pub currency: String,
        pub customer: Option<String>,
        pub revision: i64,
        pub rule: String,
        pub actor: Option<String>,
        pub reasons: String,
        pub at_ms: i64,
        pub undone_ms: Option<i64>,
        pub undone_by: Option<String>,
        pub undone_why: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Months whose books are, or were, closed.
pub mod closures {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "closures")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub at_ms: i64,
        pub month: String,
        pub through_ms: i64,
        pub actor: String,
        pub reason: String,
        pub reopened_ms: Option<i64>,
        pub reopened_by: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The history of statements.
pub mod statement_notes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "statement_notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub month: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub customer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        pub kind: String,
        pub revision: i64,
        pub letter: i64,
        pub at_ms: i64,
        pub as_of_ms: i64,
        pub checksum: String,
        pub actor: String,
        pub remark: String,
        pub event: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Papers for the control of invoices.
pub mod invoice_papers {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "invoice_papers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub contract: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        pub revision: i64,
        pub state: String,
        pub event: String,
        pub at_ms: i64,
        pub customer: Option<String>,
        pub record: String,
        pub changed_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Counters that must rise, by name.
pub mod counters {
    use sea_orm::entity::prelude::*;

    /// The revision of the code tables.
    pub const TABLES: &str = "code_tables";
    /// The revision of the code tables from which on their history is known.
    pub const TABLES_KNOWN_FROM: &str = "code_tables_known_from";
    /// How often something was held or released.
    pub const HOLDS: &str = "holds";
    /// How often somebody closed a month or opened it again, or tried to.
    pub const CLOSURES: &str = "closures";
    /// How often something was decided about payments.
    pub const PAYMENTS: &str = "payments";

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "counters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Processes that take from the queues.
pub mod processes {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "processes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub seen_ms: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A fixed number of rows that are only ever locked: see `accept.rs`.
pub mod lane_locks {
    use sea_orm::entity::prelude::*;

    /// How many there are.
    pub const SLOTS: u64 = 1_024;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "lane_locks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub slot: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
