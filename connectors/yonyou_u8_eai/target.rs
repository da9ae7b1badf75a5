//! Documents out: added in one call, then asked for by their number and read back.

use super::client::{Condition, EaiClient};
use super::documents::{self, Kind, Stamp, TotalIn};
use super::reply::strange;
use super::wire;
use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tongbao_connect::xml::Element;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_model::{Class, Code, Fault, decimal};

/// The one step there is: EAI has no template to audit an order with.
const ADDED: &str = "added";

/// Writes documents.
pub struct Documents {
    client: Arc<EaiClient>,
}

/// What stands under a number.
enum Found {
    /// Nothing.
    Nothing,
    /// One document with our stamp.
    Ours(Receipt),
    /// Something that is not ours, or more than one.
    Theirs(Failure),
}

impl Documents {
    pub fn new(client: Arc<EaiClient>) -> Self {
        Documents { client }
    }

    fn stamp_field(&self, kind: &Kind) -> Option<&str> {
        match kind.stamp {
            Stamp::Header => Some(&self.client.settings.stamp_field),
            Stamp::Customer => Some(&self.client.settings.customer_stamp_field),
            Stamp::None => None,
        }
    }

    /// The stamp: the origin, or as much of it as the field holds with a hash of the whole behind.
    fn stamp(&self, origin: &str) -> String {
        let room = usize::try_from(self.client.settings.stamp_bytes).unwrap_or(120);
        shortened(origin, room)
    }

    fn column(&self, kind: &Kind) -> Option<&String> {
        self.client.settings.number_columns.get(kind.name)
    }

    /// Asks for the document of a number; what does not carry exactly that number is left aside.
    async fn find(&self, kind: &Kind, task: &Task) -> Result<Found, Failure> {
        let Some(column) = self.column(kind) else {
            return Err(Failure::new(Fault::new(
                Code::OutcomeUnknown,
                format!("无法在 U8 中查询 {}，请人工核对", kind.name),
                format!("{} cannot be looked up in U8: see for yourself", kind.name),
            )));
        };
        let (answered, is_full) =
            self.client.query(kind, &[Condition::new(column, "=", task.key.as_str())]).await?;
        let of_key = |one: &&Element| {
            wire::header(kind, one).and_then(|head| head.text_of(kind.number)).as_deref() == Some(&*task.key)
        };
        let found: Vec<&Element> = answered.iter().filter(of_key).collect();
        let [one] = found.as_slice() else {
            if found.is_empty() && is_full {
                // The condition was not honoured and the list was cut off: ours may be behind the cut.
                return Err(Failure::new(
                    Fault::new(
                        Code::TargetMisconfigured,
                        format!("U8 未按 {column} 过滤 {} 且结果被截断，无法确认单据是否存在", kind.name),
                        format!(
                            "U8 did not filter {} by {column} and cut its answer off: nobody can tell",
                            kind.name
                        ),
                    )
                    .at("number_columns"),
                ));
            }
            return Ok(if found.is_empty() {
                Found::Nothing
            } else {
                Found::Theirs(taken(kind, task, found.len()))
            });
        };
        let head = wire::header(kind, one).ok_or_else(|| strange("header", ""))?;
        let is_ours = self
            .stamp_field(kind)
            .is_some_and(|field| head.text_of(field).is_some_and(|stamp| stamp == self.stamp(&task.origin)));
        if !is_ours {
            return Ok(Found::Theirs(taken(kind, task, 1)));
        }
        Ok(Found::Ours(receipt(kind, task, one, head)))
    }

    /// Adds a document and reads it back. An answer that says yes and names nothing was seen where nothing was written.
    async fn add(&self, kind: &Kind, task: &Task) -> Result<Outcome, Failure> {
        let stamp = self.stamp(&task.origin);
        let stamp = self.stamp_field(kind).map(|field| (field, stamp.as_str()));
        let document = task.document.value();
        let xml = wire::to_xml(kind, &document, &task.key, stamp).map_err(Failure::new)?;
        let date = document.get(kind.date).and_then(Value::as_str);
        let refusal = match self.client.add(kind, xml, date).await? {
            Ok(items) if self.column(kind).is_some() => {
                return match self
                    .find(kind, task)
                    .await
                    .map_err(|failure| failure.reached(added(task, &items.id)))?
                {
                    Found::Ours(receipt) => Ok(Outcome::Done(receipt)),
                    Found::Theirs(failure) => Err(failure),
                    Found::Nothing => Err(Failure::new(Fault::new(
                        Code::OutcomeUnknown,
                        "U8 称导入成功，但查询不到本单",
                        "U8 says the import succeeded, and the document is not found",
                    ))
                    .response(items.shown)),
                };
            }
            // It cannot be asked for: the answer itself must name it.
            Ok(items) if items.keys.contains(&task.key) || !items.id.is_empty() => {
                let remote = added(task, &items.id);
                return Ok(Outcome::Done(Receipt { facts: facts(&remote), remote, ..Receipt::default() }));
            }
            Ok(items) => {
                return Err(Failure::new(Fault::new(
                    Code::OutcomeUnknown,
                    "U8 称导入成功，但答复中没有单据",
                    "U8 says the import succeeded, and the answer names no document",
                ))
                .response(items.shown));
            }
            Err(refusal) => refusal,
        };
        // Texts for "number taken" are not published. What stands under the number decides, not the wording.
        let is_doubtful = matches!(refusal.class, Class::Conflict | Class::Rejected);
        if !is_doubtful || self.column(kind).is_none() {
            return Err(refusal.failure());
        }
        match self.find(kind, task).await? {
            Found::Ours(receipt) => Ok(Outcome::AlreadyThere(receipt)),
            Found::Theirs(failure) => Err(failure),
            Found::Nothing => Err(refusal.failure()),
        }
    }

    async fn run(&self, task: &Task) -> Result<Outcome, Failure> {
        let kind = known(task)?;
        let max = usize::try_from(self.client.settings.code_length).unwrap_or(usize::MAX);
        if kind.is_short && task.key.chars().count() > max {
            let fault = Fault::new(
                Code::FieldTooLong,
                format!("编号超过 {max} 个字符，U8 会截断或拒绝"),
                format!("the number has more than {max} characters: U8 would cut it off or refuse it"),
            );
            return Err(Failure::new(fault.at(kind.number).value(&task.key)));
        }
        if task.reached.is_some() {
            return match self.find(kind, task).await? {
                Found::Ours(receipt) => Ok(Outcome::Done(receipt)),
                Found::Theirs(failure) => Err(failure),
                // Deleted since, or never written: an add under the same number is safe.
                Found::Nothing => self.add(kind, task).await,
            };
        }
        self.add(kind, task).await
    }
}

#[async_trait]
impl Target for Documents {
    /// Numbers of orders, receipts and invoices and codes of customers are unique; vouchers are never sent again, for
    /// they cannot be looked up.
    fn refuses_twice(&self) -> bool {
        true
    }

    async fn apply(&self, task: &Task) -> Outcome {
        self.run(task).await.unwrap_or_else(Outcome::Failed)
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        let found = match known(task) {
            Ok(kind) => self.find(kind, task).await,
            Err(failure) => Err(failure),
        };
        match found {
            Ok(Found::Nothing) => Lookup::Absent,
            Ok(Found::Ours(receipt)) => Lookup::Found(receipt),
            Ok(Found::Theirs(failure)) => Lookup::Foreign(failure),
            Err(failure) => Lookup::CannotTell(failure),
        }
    }

    async fn probe(&self) -> Result<String, Failure> {
        // A number nobody has: a registered sender gets an empty list.
        let kind = documents::kind("saleorder").ok_or_else(|| strange("roottag", "saleorder"))?;
        let column = self.column(kind).map_or(kind.column, String::as_str);
        let (found, _) = self.client.query(kind, &[Condition::new(column, "=", "-")]).await?;
        Ok(format!("EAI · saleorder by {column}: {}", found.len()))
    }
}

fn known(task: &Task) -> Result<&'static Kind, Failure> {
    documents::kind(&task.kind).ok_or_else(|| {
        Failure::new(Fault::new(
            Code::TargetMisconfigured,
            format!("U8 连接器不写 {}", task.kind),
            format!("this connector does not write {}", task.kind),
        ))
    })
}

fn added(task: &Task, id: &str) -> Remote {
    Remote { id: id.to_owned(), number: task.key.clone(), step: ADDED.into() }
}

fn facts(remote: &Remote) -> Value {
    json!({"id": remote.id, "number": remote.number, "status": remote.step})
}

fn receipt(kind: &Kind, task: &Task, document: &Element, head: &Element) -> Receipt {
    // The key in a write's answer is sometimes not the newest one: what is read back counts.
    let remote = added(task, &head.text_of("id").unwrap_or_default());
    let total = match kind.total {
        TotalIn::Nowhere => None,
        TotalIn::Header(tag) => head.text_of(tag).as_deref().and_then(wire::amount),
        TotalIn::Lines(tag) => sum(wire::lines(kind, document).into_iter().map(|line| line.text_of(tag))),
    };
    let currency = head.text_of(kind.currency).filter(|currency| !currency.is_empty());
    Receipt { facts: facts(&remote), remote, total_tax_included: total, currency }
}

/// The sum of amounts; none where one of them is missing.
fn sum(amounts: impl Iterator<Item = Option<String>>) -> Option<Decimal> {
    let mut total = None;
    for text in amounts {
        let amount = wire::amount(&text?)?;
        total = Some(decimal::add(total.unwrap_or_default(), amount)?);
    }
    total
}

fn taken(kind: &Kind, task: &Task, count: usize) -> Failure {
    let fault = if count > 1 {
        Fault::new(
            Code::NumberTaken,
            format!("U8 中有 {count} 张编号为 {} 的单据", task.key),
            format!("U8 holds {count} documents numbered {}", task.key),
        )
    } else {
        Fault::new(
            Code::NumberTaken,
            format!("U8 中已有编号为 {} 的单据，且没有我们的标记", task.key),
            format!("U8 holds a document numbered {} without our stamp", task.key),
        )
    };
    Failure::new(fault.at(kind.number).value(&task.key))
}

/// A text of at most `room` bytes of GBK (two for each character that is not ASCII, four counted for the rarest).
fn shortened(text: &str, room: usize) -> String {
    let size = |one: char| {
        if one.is_ascii() {
            1
        } else if u32::from(one) > 0xFFFF {
            4
        } else {
            2
        }
    };
    if text.chars().map(size).sum::<usize>() <= room {
        return text.to_owned();
    }
    let hash: String = hex::encode(Sha256::digest(text.as_bytes())).chars().take(16).collect();
    let mut left = room.saturating_sub(hash.len() + 1);
    let fits = |one: &char| {
        let fits = size(*one) <= left;
        left = left.saturating_sub(size(*one));
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('#');
    short.push_str(&hash);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_fits_its_field_and_stays_its_own() {
        assert_eq!(shortened("crm/contract/HT-1", 120), "crm/contract/HT-1");
        let long = |end: &str| shortened(&format!("crm/contract/{}{end}", "合同".repeat(40)), 60);
        assert!(long("1").starts_with("crm/contract/合同"));
        assert_eq!(long("1"), long("1"));
        assert_ne!(long("1"), long("2"));
        assert!(long("1").chars().map(|one| if one.is_ascii() { 1 } else { 2 }).sum::<usize>() <= 60);
    }

    #[test]
    fn a_sum_is_of_all_lines_or_none() {
        let of = |texts: &[Option<&str>]| {
            sum(texts.iter().map(|text| text.map(str::to_owned))).map(|total| total.to_string())
        };
        assert_eq!(of(&[Some("100.00"), Some(".05")]).as_deref(), Some("100.05"));
        assert_eq!(of(&[Some("1"), None]), None);
        assert_eq!(of(&[Some("1"), Some("x")]), None);
        assert_eq!(of(&[]), None);
    }
}
