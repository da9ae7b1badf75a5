//! What the kit asks of a stand-in. Whoever has stand-ins implements these two traits; the kit knows no other way to them.

use async_trait::async_trait;
use rust_decimal::Decimal;

/// What goes wrong with one call. "Committed" is what the far side did before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is committed, and the connection closes without a byte.
    LostBefore,
    /// Committed, and the connection closes without a byte.
    LostAfter,
    /// Committed, and the connection closes in the middle of the answer.
    Cut,
    /// Committed, and the answer ends in the middle of its text while its framing is sound.
    Half,
    /// Committed, and the answer comes in sixteen pieces.
    Drip {
        /// Milliseconds before each piece.
        ms: u64,
    },
    /// Not committed: the far side asks for patience in its own way.
    Throttled,
    /// A proxy's page.
    Status {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// Whether the work was done before.
        committed: bool,
    },
    /// Some other answer in place of the far side's own.
    Answer {
        /// For reports.
        name: String,
        /// HTTP status.
        status: u16,
        /// Content type.
        content_type: String,
        /// Body.
        body: String,
        /// Whether the work was done before.
        committed: bool,
    },
    /// Committed, and the answer is larger than any client may read.
    Oversize,
    /// Committed, and the answer names a charset that it is not in.
    WrongCharset,
    /// Committed with a total that is one cent more than what was sent.
    CentOff,
}

impl Trouble {
    /// For reports.
    pub fn name(&self) -> String {
        match self {
            Trouble::LostBefore => "answer lost before the commit".into(),
            Trouble::LostAfter => "answer lost after the commit".into(),
            Trouble::Cut => "connection cut in mid-answer".into(),
            Trouble::Half => "half an answer".into(),
            Trouble::Drip { .. } => "a dripping answer".into(),
            Trouble::Throttled => "the system's own throttling".into(),
            Trouble::Status { status, retry_after: None, .. } => format!("HTTP {status}"),
            Trouble::Status { status, retry_after: Some(seconds), .. } => {
                format!("HTTP {status} with Retry-After: {seconds}")
            }
            Trouble::Answer { name, .. } => name.clone(),
            Trouble::Oversize => "an oversize answer".into(),
            Trouble::WrongCharset => "a wrong charset".into(),
            Trouble::CentOff => "a total one cent off".into(),
        }
    }
}

/// A document that stands in the far system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Business key, once for every document that carries it.
    pub key: String,
    /// Total with tax; `None` where the system keeps none.
    pub total: Option<Decimal>,
    /// Whether all its steps are taken.
    pub complete: bool,
}

/// A row of master data over there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Code.
    pub code: String,
    /// Whether no document may name it.
    pub disabled: bool,
}

/// A running stand-in of one far system, this test's own; it ends when it is dropped.
pub trait StandIn: Send + Sync {
    /// Base address of its protocol; where that is not HTTP, with the protocol's own scheme.
    fn url(&self) -> String;

    /// Scripts trouble for the next `times` calls of an operation, as the far system names it. `Err` when the stand-in
    /// cannot play it.
    fn script(&self, operation: &str, times: u64, trouble: Trouble) -> Result<(), String>;

    /// Forgets what is scripted.
    fn clear(&self);

    /// Calls that met trouble so far.
    fn met(&self) -> u64;

    /// Calls of an operation so far.
    fn calls(&self, operation: &str) -> u64;

    /// Ends all sessions and tokens.
    fn expire_sessions(&self);

    /// Puts something there for polls to find. `Err` when it has nothing of that kind.
    fn seed(&self) -> Result<(), String>;

    /// All documents that stand.
    fn documents(&self) -> Vec<Standing>;

    /// Adds a row to a list of master data, `customers` or `materials`. `Err` when it keeps none.
    fn add_master(&self, list: &str, code: &str, disabled: bool) -> Result<(), String> {
        let _ = (code, disabled);
        Err(format!("it keeps no {list}"))
    }

    /// Takes a row away.
    fn drop_master(&self, list: &str, code: &str) -> Result<(), String> {
        let _ = code;
        Err(format!("it keeps no {list}"))
    }

    /// All rows of a list.
    fn masters(&self, list: &str) -> Result<Vec<Listed>, String> {
        Err(format!("it keeps no {list}"))
    }

    /// Puts a lot of a material into a warehouse.
    fn add_stock(
        &self,
        material: &str,
        warehouse: &str,
        on_hand: Decimal,
        available: Decimal,
    ) -> Result<(), String> {
        let _ = (material, warehouse, on_hand, available);
        Err("it keeps no stock".to_owned())
    }
}

/// Starts stand-ins.
#[async_trait]
pub trait StandIns: Send + Sync {
    /// A fresh stand-in of a system on a free port. `Err` when there is none of that name, or it cannot start.
    async fn start(&self, system: &str) -> Result<Box<dyn StandIn>, String>;

    /// The machine's clock, which stand-ins compare signatures with: milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
}
