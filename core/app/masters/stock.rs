//! Stock on hand for tickets: asked live, within bounds, and not more often than the ERP can bear.
//!
//! One question at a time goes to a connection. An answer, or a refusal, is given again for some seconds and says as of when
//! it is, so that a page which many people open does not become as many calls.

use super::{Refused, miss, not_offered, shown};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tongbao_connect::{Masters, Stock, StockQuery};
use tongbao_mapping::Tables;
use tongbao_model::china;

/// Most materials of one question.
pub const MATERIALS_MAX: usize = 20;

/// Longest code, in characters.
const CODE_MAX: usize = 100;

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(15);

/// How long a refusal is given again.
const REFUSED: Duration = Duration::from_secs(5);

/// Answers that are remembered for each connection.
const KEPT: usize = 256;

/// How long a question waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(5);

/// How long the ERP may take.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A question.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Codes, as they are asked for.
    pub codes: Vec<String>,
    /// Warehouse.
    pub warehouse: Option<String>,
    /// Table that translates the codes; without one they are the ERP's own.
    pub table: Option<String>,
}

impl Question {
    /// Of codes separated by commas.
    ///
    /// # Errors
    /// None is named, too many are, or one cannot be a code.
    pub fn new(codes: &str, warehouse: Option<String>, table: Option<String>) -> Result<Question, Refused> {
        let mut list: Vec<String> = Vec::new();
        for code in codes.split([',', '，']).map(str::trim).filter(|code| !code.is_empty()) {
            if !list.iter().any(|known| known == code) {
                list.push(code.to_owned());
            }
        }
        let warehouse = warehouse.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty());
        if list.is_empty() {
            return Err(Refused::new(400, "请给出物料编码 material", "name materials: `material`"));
        }
        if list.len() > MATERIALS_MAX {
            return Err(Refused::new(
                400,
                format!("一次最多查 {MATERIALS_MAX} 个物料"),
                format!("at most {MATERIALS_MAX} materials at a time"),
            ));
        }
        let is_code =
            |code: &&String| code.chars().count() <= CODE_MAX && !code.chars().any(char::is_control);
        if let Some(code) = list.iter().chain(&warehouse).find(|code| !is_code(code)) {
            let code: String = code.chars().filter(|sign| !sign.is_control()).take(20).collect();
            return Err(Refused::new(400, format!("{code}… 不是编码"), format!("`{code}…` is no code")));
        }
        Ok(Question { codes: list, warehouse, table })
    }

    /// Each code with the ERP's own, as the tables say today.
    ///
    /// # Errors
    /// A table lacks a code.
    pub fn translated(&self, tables: &Tables, connection: &str) -> Result<Vec<(String, String)>, Refused> {
        let Some(table) = &self.table else {
            return Ok(self.codes.iter().map(|code| (code.clone(), code.clone())).collect());
        };
        let today = jiff::Zoned::now().with_time_zone(china::zone()).date();
        let find = |code: &String| {
            let found = tables.table(table).and_then(|rows| rows.find(code, Some(today)));
            let found = found.ok_or_else(|| miss(table, code, connection))?;
            Ok((code.clone(), found.target.to_owned()))
        };
        self.codes.iter().map(find).collect()
    }
}

/// Materials in order, and a warehouse.
type Key = (Vec<String>, Option<String>);

/// What came of a question, and when that was.
struct Kept {
    answer: Result<Arc<Stock>, Refused>,
    at: Instant,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.answer.is_ok() { FRESH } else { REFUSED }
    }
}

/// The way to one ERP.
pub struct Line {
    /// What reads it.
    pub masters: Arc<dyn Masters>,
    turn: Semaphore,
    reading: Semaphore,
    kept: Mutex<BTreeMap<Key, Kept>>,
}

impl Line {
    /// To a connection.
    pub fn new(masters: Arc<dyn Masters>) -> Line {
        Line { masters, turn: Semaphore::new(1), reading: Semaphore::new(1), kept: Mutex::default() }
    }

    /// The place of whoever reads a list: one at a time, and tickets do not wait for it.
    ///
    /// # Errors
    /// One is being read.
    pub fn reading(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Refused> {
        self.reading.try_acquire().map_err(|_| {
            let (zh, en) =
                ("正在读取该 ERP 的清单，请稍后再试", "a list of this ERP is being read: try again later");
            Refused { retry_after_s: Some(30), ..Refused::new(429, zh, en) }
        })
    }

    /// Waits for the turn: one question at a time.
    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Refused> {
        match tokio::time::timeout(TURN_MAX, self.turn.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                let (zh, en) = ("ERP 正忙于答复其他查询", "the ERP is busy with other questions");
                Err(Refused { retry_after_s: Some(5), ..Refused::new(429, zh, en) })
            }
        }
    }

    /// What is in stock; `true` with it where it was told before.
    ///
    /// # Errors
    /// Not offered, its turn did not come, the ERP failed or took too long.
    pub async fn stock(&self, connection: &str, query: StockQuery) -> Result<(Arc<Stock>, bool), Refused> {
        if !self.masters.offers().stock {
            return Err(not_offered(connection, "stock"));
        }
        let mut materials = query.materials.clone();
        materials.sort();
        materials.dedup();
        let key = (materials, query.warehouse.clone());
        if let Some(told) = self.told(&key) {
            return told.map(|stock| (stock, true));
        }
        let _turn = self.turn().await?;
        // Whoever was in front may have asked the same.
        if let Some(told) = self.told(&key) {
            return told.map(|stock| (stock, true));
        }
        let answer = match tokio::time::timeout(ANSWER_MAX, self.masters.stock(&query)).await {
            Ok(Ok(stock)) => Ok(Arc::new(stock)),
            Ok(Err(failure)) => Err(Refused::of_failure(&failure)),
            Err(_) => Err(super::too_long()),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.is_fresh());
        if kept.len() < KEPT {
            kept.insert(key, Kept { answer: answer.clone(), at: Instant::now() });
        }
        answer.map(|stock| (stock, false))
    }

    fn told(&self, key: &Key) -> Option<Result<Arc<Stock>, Refused>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|kept| kept.is_fresh()).map(|kept| kept.answer.clone())
    }
}

/// Asks for stock and shows it.
///
/// # Errors
/// Those of [`Question::translated`] and [`Line::stock`].
pub async fn ask(
    line: &Line,
    connection: &str,
    question: &Question,
    tables: &Tables,
) -> Result<Value, Refused> {
    let codes = question.translated(tables, connection)?;
    let materials = codes.iter().map(|(_, material)| material.clone()).collect();
    let query = StockQuery { materials, warehouse: question.warehouse.clone() };
    let (stock, is_again) = line.stock(connection, query).await?;
    let shown: Vec<Value> = codes
        .iter()
        .map(|(asked, material)| {
            let rows = stock.rows.iter().filter(|row| row.material == *material).map(|row| {
                json!({
                    "warehouse": row.warehouse, "warehouse_name": row.warehouse_name, "unit": row.unit,
                    "on_hand": shown(row.on_hand), "available": row.available.map(shown),
                })
            });
            let is_unknown = stock.unknown.contains(material);
            json!({"asked": asked, "material": material, "unknown": is_unknown, "stock": rows.collect::<Vec<_>>()})
        })
        .collect();
    Ok(json!({
        "connection": connection, "as_of": crate::output::time(stock.as_of_ms), "as_of_ms": stock.as_of_ms,
        "cached": is_again, "warehouse": question.warehouse, "materials": shown,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tongbao_connect::{Failure, MasterKind, MasterPage, Offers, StockRow};
    use tongbao_model::{Code, Fault};

    /// Counts calls and how many are under way at once; fails for the material `X`, never answers for `SLOW`.
    #[derive(Default)]
    struct Erp {
        calls: AtomicUsize,
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl Masters for Erp {
        fn offers(&self) -> Offers {
            Offers { lists: &[], stock: true }
        }

        async fn page(&self, _: MasterKind, _: Option<&str>) -> Result<MasterPage, Failure> {
            Ok(MasterPage::default())
        }

        async fn stock(&self, query: &StockQuery) -> Result<Stock, Failure> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(self.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            match query.materials[0].as_str() {
                "X" => Err(Failure::new(Fault::new(Code::TargetUnavailable, "不通", "down"))),
                "SLOW" => std::future::pending().await,
                material => {
                    let row = StockRow {
                        material: material.into(),
                        on_hand: "1.50".parse().unwrap(),
                        ..StockRow::default()
                    };
                    Ok(Stock { rows: vec![row], unknown: vec!["M9".into()], as_of_ms: 7 })
                }
            }
        }
    }

    fn query(material: &str) -> StockQuery {
        StockQuery { materials: vec![material.into()], warehouse: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_many_open_is_one_call_for_some_seconds() {
        let erp = Arc::new(Erp::default());
        let line = Line::new(erp.clone());
        let all = futures::future::join_all((0..20).map(|_| line.stock("erp", query("M1")))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(all.iter().filter(|told| told.as_ref().is_ok_and(|(_, again)| !again)).count(), 1);
        assert_eq!(erp.calls.load(Ordering::SeqCst), 1);
        tokio::time::advance(FRESH).await;
        assert!(!line.stock("erp", query("M1")).await.unwrap().1);
        // What fails is not asked again at once either.
        for _ in 0..3 {
            assert_eq!(line.stock("erp", query("X")).await.unwrap_err().status, 502);
        }
        assert_eq!(erp.calls.load(Ordering::SeqCst), 3);
        let many = futures::future::join_all(
            (0..10).map(|nth| line.stock("erp", query(&format!("N{nth}"))).map_ok_or_status()),
        )
        .await;
        assert_eq!(many.into_iter().filter(|status| *status != 200).count(), 0);
        assert_eq!(erp.most.load(Ordering::SeqCst), 1, "one at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let line = Line::new(Arc::new(Erp::default()));
        let (slow, behind) = tokio::join!(line.stock("erp", query("SLOW")), line.stock("erp", query("M1")));
        assert_eq!((slow.unwrap_err().status, behind.unwrap_err().status), (504, 429));
    }

    #[test]
    fn questions_are_bounded() {
        let told = |codes: &str| Question::new(codes, None, None).map_err(|refused| refused.status);
        assert_eq!(told(" A ,B，A,").unwrap().codes, ["A", "B"]);
        let many: Vec<String> = (0..=MATERIALS_MAX).map(|nth| nth.to_string()).collect();
        for wrong in ["", " , ", &many.join(","), &"x".repeat(CODE_MAX + 1), "a\nb"] {
            assert_eq!(told(wrong).unwrap_err(), 400, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn codes_are_translated_or_the_way_out_is_named() {
        let line = Line::new(Arc::new(Erp::default()));
        let tables = Tables::new(1, [("materials".into(), "P-1".into(), "M1".into())]);
        let question = |codes: &str| Question::new(codes, None, Some("materials".into())).unwrap();
        let told = ask(&line, "erp", &question("P-1"), &tables).await.unwrap();
        assert_eq!(told["materials"][0]["material"], "M1");
        assert_eq!(told["materials"][0]["stock"][0]["on_hand"], "1.5");
        let missed = ask(&line, "erp", &question("P-1,P-2"), &tables).await.unwrap_err();
        assert_eq!(missed.status, 422);
        assert!(missed.text.en.contains("tables propose materials --connection erp"), "{}", missed.text.en);
    }

    /// The status of an answer.
    trait Status {
        async fn map_ok_or_status(self) -> u16;
    }

    impl<F: Future<Output = Result<(Arc<Stock>, bool), Refused>>> Status for F {
        async fn map_ok_or_status(self) -> u16 {
            self.await.map_or_else(|refused| refused.status, |_| 200)
        }
    }
}
