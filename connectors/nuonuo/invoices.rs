//! Invoices out: submit once, ask until it stands.

use super::amounts;
use super::client::{NuonuoClient, Refusal};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Task};
use tongbao_model::{Class, Code, Fault, china, decimal};

const ISSUE: &str = "nuonuo.OpeMplatform.requestBillingNew";
pub const QUERY: &str = "nuonuo.OpeMplatform.queryInvoiceResult";
const AGAIN: &str = "nuonuo.OpeMplatform.reInvoice";

/// Steps in `Remote::step`: `submitted:<ms>`, `failed`, `failed-untold`, `unsealed`, `issued`.
const FAILED: &str = "failed";
/// Failed, and nobody has been told the cause yet.
const FAILED_UNTOLD: &str = "failed-untold";
const UNSEALED: &str = "unsealed";
const ISSUED: &str = "issued";

/// Writes blue invoices, and sees any order through.
pub struct Invoices {
    client: Arc<NuonuoClient>,
}

impl Invoices {
    pub fn new(client: Arc<NuonuoClient>) -> Self {
        Invoices { client }
    }

    /// The request's order, complete with what the connection knows.
    fn order(&self, task: &Task) -> Result<Value, Fault> {
        let mut order: Map<String, Value> = task.document.members();
        let lines = amounts::lines(&order, task.expected.total_tax_included)?;
        let settings = &self.client.settings;
        let email = order.get("email").and_then(Value::as_str).is_some_and(|email| !email.is_empty());
        let mut put = |name: &str, value: &str| {
            order.insert(name.to_owned(), json!(value));
        };
        put("orderNo", &task.key);
        put("invoiceType", "1");
        put("salerTaxNum", &settings.tax_number);
        put("salerTel", &settings.seller_phone);
        put("salerAddress", &settings.seller_address);
        put("clerk", &settings.clerk);
        // Without an address to deliver to, the platform must be told not to deliver.
        put("pushMode", if email { "0" } else { "-1" });
        if let Some(account) = &settings.seller_account {
            put("salerAccount", account);
        }
        if let Some(url) = &settings.callback_url {
            put("callBackUrl", url);
        }
        order.insert("invoiceDetail".into(), Value::Array(lines));
        Ok(json!({"order": order}))
    }

    /// Submits. `Ok(None)`: the order number is known there already.
    async fn submit(&self, task: &Task) -> Result<Option<Remote>, Failure> {
        let body = self.order(task).map_err(Failure::new)?;
        match self.client.call(ISSUE, &body, true).await? {
            Ok(result) => {
                let serial = result.get("invoiceSerialNum").and_then(Value::as_str).unwrap_or_default();
                Ok(Some(submitted(task, serial, self.client.context.now_ms())))
            }
            Err(Refusal { failure, .. }) if failure.class == Class::Conflict => Ok(None),
            Err(Refusal { failure, .. }) => Err(failure),
        }
    }

    /// Asks about the order.
    pub async fn ask(&self, task: &Task) -> Lookup {
        let body = json!({"serialNos": [], "orderNos": [task.key], "isOfferInvoiceDetail": "0"});
        match self.client.call(QUERY, &body, false).await {
            Err(failure) => Lookup::CannotTell(failure),
            Ok(Ok(result)) => match result.as_array().and_then(|found| found.first()) {
                Some(found) => self.judge(task, found),
                None => self.not_found(task),
            },
            Ok(Err(refusal)) if refusal.code == "E9500" => self.not_found(task),
            Ok(Err(refusal)) => Lookup::CannotTell(refusal.failure.of_question()),
        }
    }

    /// Right after a submit the query may not know the order yet. Without a submit that we know of it is safe to
    /// (re)send: the order number makes a second one a duplicate.
    fn not_found(&self, task: &Task) -> Lookup {
        let Some(remote) = task.reached.clone() else { return Lookup::Absent };
        let since = remote.step.strip_prefix("submitted:").and_then(|at| at.parse::<i64>().ok());
        let grace_ms = i64::try_from(self.client.settings.grace_s).unwrap_or(600).saturating_mul(1000);
        match since {
            Some(at) if self.client.context.now_ms() < at.saturating_add(grace_ms) => Lookup::Pending(remote),
            Some(_) | None => Lookup::Absent,
        }
    }

    fn judge(&self, task: &Task, found: &Value) -> Lookup {
        let text = |key: &str| found.get(key).map(plain).unwrap_or_default();
        let step =
            |step: &str| Remote { id: text("serialNo"), number: text("invoiceNo"), step: step.to_owned() };
        let document = task.document.members();
        let buyer = document.get("buyerName").and_then(Value::as_str).unwrap_or_default();
        if !text("payerName").is_empty() && text("payerName") != buyer {
            let fault = Fault::new(
                Code::NumberTaken,
                format!("订单号 {} 已用于另一购方的发票", task.key),
                format!("the order number {} is used for another buyer's invoice", task.key),
            );
            return Lookup::Foreign(Failure::new(fault.at("orderNo").value(&task.key)).reached(step(ISSUED)));
        }
        match text("status").as_str() {
            "2" => Lookup::Found(receipt(found, step(ISSUED))),
            "24" => Lookup::Partial(step(UNSEALED)),
            // The first time a failure is seen it is told, not tried again: somebody must look at the cause. Once told
            // (and replayed), the same order is issued again.
            "22" if task.reached.as_ref().is_some_and(|remote| remote.step == FAILED) => {
                Lookup::Partial(step(FAILED))
            }
            "22" => Lookup::Partial(step(FAILED_UNTOLD)),
            "20" | "21" => {
                let known = task.reached.clone().filter(|remote| remote.step.starts_with("submitted"));
                Lookup::Pending(
                    known.unwrap_or_else(|| submitted(task, &text("serialNo"), self.client.context.now_ms())),
                )
            }
            "3" | "31" => {
                let fault = Fault::new(
                    Code::NumberTaken,
                    "该订单号的发票已作废",
                    "the invoice of this order number was voided",
                );
                Lookup::Foreign(Failure::new(fault.at("orderNo").value(&task.key)).reached(step("voided")))
            }
            other => {
                let fault = Fault::new(
                    Code::OutcomeUnknown,
                    format!("未知的开票状态 {other}"),
                    format!("an invoice status we do not know: {other}"),
                );
                Lookup::CannotTell(Failure::new(fault))
            }
        }
    }

    /// After a submit (or a retry of it): asks once and says how it stands.
    pub async fn settle(&self, task: &Task, remote: Remote, fresh: bool) -> Outcome {
        let asked = Task { reached: Some(remote.clone()), ..task.clone() };
        match self.ask(&asked).await {
            Lookup::Found(receipt) if fresh => Outcome::Done(receipt),
            Lookup::Found(receipt) => Outcome::AlreadyThere(receipt),
            Lookup::Pending(remote) => Outcome::Failed(issuing(remote)),
            Lookup::Partial(remote) if remote.step == FAILED_UNTOLD => {
                Outcome::Failed(self.why(task, remote).await)
            }
            Lookup::Partial(remote) => Outcome::Failed(issuing(remote)),
            Lookup::Foreign(failure) => Outcome::Failed(failure),
            // It was submitted: whatever keeps us from asking, it is asked about again.
            Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                Outcome::Failed(failure.class(Class::Unknown).reached(remote))
            }
            Lookup::Absent => Outcome::Failed(issuing(remote)),
        }
    }

    /// The platform's reason for a failed invoice.
    async fn why(&self, task: &Task, remote: Remote) -> Failure {
        let body = json!({"serialNos": [], "orderNos": [task.key], "isOfferInvoiceDetail": "0"});
        let found = match self.client.call(QUERY, &body, false).await {
            Ok(Ok(result)) => result.get(0).cloned().unwrap_or(Value::Null),
            Ok(Err(_)) | Err(_) => Value::Null,
        };
        let cause = ["failCause", "statusMsg"]
            .iter()
            .filter_map(|key| found.get(key)?.as_str())
            .collect::<Vec<_>>()
            .join("；");
        let fault = Fault::new(
            Code::InvoiceFailed,
            format!("开票失败：{cause}"),
            format!("the invoice failed: {cause}"),
        );
        Failure::new(fault).reached(Remote { step: FAILED.into(), ..remote })
    }

    /// Submits it, or goes on where it stands.
    pub async fn apply(&self, task: &Task) -> Outcome {
        match &task.reached {
            // Issued without a file, or failed and replayed by a person: the same order once more, no new one.
            Some(remote) if remote.step == UNSEALED || remote.step == FAILED => {
                let body = json!({"fpqqlsh": remote.id, "orderno": task.key});
                match self.client.call(AGAIN, &body, true).await {
                    Ok(Ok(_)) => {
                        self.settle(task, submitted(task, &remote.id, self.client.context.now_ms()), true)
                            .await
                    }
                    Ok(Err(refusal)) => Outcome::Failed(refusal.failure.reached(remote.clone())),
                    Err(failure) => Outcome::Failed(failure.reached(remote.clone())),
                }
            }
            Some(remote) if remote.step == FAILED_UNTOLD => {
                Outcome::Failed(self.why(task, remote.clone()).await)
            }
            Some(remote) => self.settle(task, remote.clone(), true).await,
            None => match self.submit(task).await {
                Ok(Some(remote)) => self.settle(task, remote, true).await,
                Ok(None) => self.settle(task, submitted(task, "", self.client.context.now_ms()), false).await,
                Err(failure) => Outcome::Failed(failure),
            },
        }
    }
}

/// An order that was taken just now.
pub fn submitted(task: &Task, serial: &str, now_ms: i64) -> Remote {
    Remote { id: serial.to_owned(), number: task.key.clone(), step: format!("submitted:{now_ms}") }
}

fn issuing(remote: Remote) -> Failure {
    let fault = Fault::new(
        Code::TargetThrottled,
        "开票中，稍后查询",
        "the invoice is being issued; asked again soon",
    );
    Failure::new(fault).class(Class::Throttled(Some(Duration::from_secs(3)))).reached(remote)
}

/// What the query says of an issued invoice.
pub fn receipt(found: &Value, remote: Remote) -> Receipt {
    let amount = |key: &str| found.get(key).and_then(|value| decimal::parse(&plain(value)).ok());
    let total = amount("orderAmount").or_else(|| {
        let (net, tax): (Decimal, Decimal) = (amount("exTaxAmount")?, amount("taxAmount")?);
        decimal::add(net, tax)
    });
    let mut facts = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.insert(name.to_owned(), json!(value));
        }
    };
    put("status", Some("issued".into()));
    put("total_tax_excluded", amount("exTaxAmount").map(|amount| amount.to_string()));
    put("total_tax", amount("taxAmount").map(|amount| amount.to_string()));
    put("pdf_url", found.get("pdfUrl").map(plain));
    put("ofd_url", found.get("ofdUrl").map(plain));
    put("issued_at", found.get("invoiceTime").and_then(|at| issued_at(&plain(at))));
    Receipt { remote, total_tax_included: total, currency: Some("CNY".into()), facts: Value::Object(facts) }
}

/// Epoch milliseconds as China's local time with offset.
fn issued_at(text: &str) -> Option<String> {
    let at = china::moment(text.parse().ok()?)?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// A value as text; nothing for null.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
