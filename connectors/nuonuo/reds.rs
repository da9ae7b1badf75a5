//! Red invoices (红字发票): a confirmation form at the tax bureau, and the invoice that follows from it.
//!
//! Form and invoice both carry our order number, so each call may be made again: the form's `billId` and the order are unique.
//! What the bureau has issued by itself is found at the form.

use super::amounts;
use super::client::{NuonuoClient, Refusal};
use super::invoices::{Invoices, QUERY, plain, receipt, submitted};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Task};
use tongbao_model::{Class, Code, Fault, decimal};

const SAVE: &str = "nuonuo.OpeMplatform.saveInvoiceRedConfirm";
const FORM: &str = "nuonuo.OpeMplatform.queryInvoiceRedConfirm";
const RED: &str = "nuonuo.OpeMplatform.fastInvoiceRed";

/// The form, or the invoice, was used up by a red one.
const ALREADY_RED: &str = "E9103";

/// The form was asked for, at this time: `form-asked:<ms>`.
const ASKED: &str = "form-asked:";
/// The form stands and the invoice may be issued.
const CONFIRMED: &str = "form-confirmed";
/// The form waits for the buyer.
const WAITING: &str = "form-waiting";

/// Where a form stands. Codes: the vendor's SDK and the tax bureau's list.
enum Form {
    /// 01, 04: nobody has to agree, or both have.
    Confirmed,
    /// 02, 03: the other side has 72 hours.
    Waiting,
    /// 15: the platform is asking the bureau.
    Asking,
    /// It came to nothing, and why.
    Ended(&'static str, &'static str),
}

impl Form {
    fn of(status: &str) -> Option<Form> {
        let ended = |zh, en| Some(Form::Ended(zh, en));
        match status {
            "01" | "04" => Some(Form::Confirmed),
            "02" | "03" => Some(Form::Waiting),
            "15" => Some(Form::Asking),
            "05" => ended("购方否认", "the buyer has refused it"),
            "06" => ended("销方否认", "the seller has refused it"),
            "07" => ended("超过 72 小时未确认", "nobody has confirmed it within 72 hours"),
            "08" => ended("发起方已撤销", "it was withdrawn"),
            "09" => ended("确认后已撤销", "it was withdrawn after it was confirmed"),
            "10" => ended("异常凭证", "the bureau holds the invoice for irregular"),
            "11" => ended("纳税人状态异常", "the taxpayer's state does not allow it"),
            "12" => ended("自然人拒收", "the buyer, a person, has declined it"),
            "13" => ended("已开具退税申请单", "a tax refund was asked for on it"),
            "16" => ended("申请失败", "the application has failed"),
            _ => None,
        }
    }
}

/// Writes red invoices.
pub struct Reds<'c> {
    client: &'c NuonuoClient,
    invoices: &'c Invoices,
}

impl<'c> Reds<'c> {
    pub fn new(client: &'c NuonuoClient, invoices: &'c Invoices) -> Self {
        Reds { client, invoices }
    }

    pub async fn apply(&self, task: &Task) -> Outcome {
        match &task.reached {
            None => self.ask_for_form(task).await,
            Some(remote) if remote.step == CONFIRMED => self.issue(task, remote).await,
            Some(remote) if is_of_form(remote) => self.go_on(task, remote.clone(), true).await,
            // From here on it is an order like any other.
            Some(_) => taken_back(self.invoices.apply(task).await),
        }
    }

    pub async fn lookup(&self, task: &Task) -> Lookup {
        match self.order(task).await {
            Lookup::Absent => self.form(task).await,
            other => other,
        }
    }

    /// The order of the invoice, once there is one. `Absent`: there is none that we know of.
    async fn order(&self, task: &Task) -> Lookup {
        let known = task.reached.clone().filter(|remote| !is_of_form(remote));
        match self.invoices.ask(&Task { reached: known, ..task.clone() }).await {
            Lookup::Found(receipt) => Lookup::Found(negative(receipt)),
            other => other,
        }
    }

    /// Asks for the form. One that is there already is asked about.
    async fn ask_for_form(&self, task: &Task) -> Outcome {
        let body = match self.application(task) {
            Ok(body) => body,
            Err(fault) => return Outcome::Failed(Failure::new(fault)),
        };
        let now_ms = self.client.context.now_ms();
        let asked = Remote { id: String::new(), number: task.key.clone(), step: format!("{ASKED}{now_ms}") };
        match self.client.call(SAVE, &body, true).await {
            Ok(Ok(_)) => self.go_on(task, asked, true).await,
            Ok(Err(Refusal { failure, .. })) if failure.class == Class::Conflict => {
                self.go_on(task, asked, false).await
            }
            Ok(Err(Refusal { failure, .. })) | Err(failure) => Outcome::Failed(failure),
        }
    }

    /// The application, complete with what the connection knows. Without lines the whole invoice is taken back.
    fn application(&self, task: &Task) -> Result<Value, Fault> {
        let document: Map<String, Value> = task.document.members();
        let lines = amounts::lines(&document, task.expected.total_tax_included)?;
        let text = |name: &str| document.get(name).map(plain).unwrap_or_default();
        let settings = &self.client.settings;
        let mut body = json!({
            "billId": task.key, "applySource": "0", "blueInvoiceLine": text("invoiceLine"),
            "blueElecInvoiceNumber": text("blueInvoice"), "sellerTaxNo": settings.tax_number,
            "buyerName": text("buyerName"), "redReason": text("redReason"),
        });
        if let Value::Object(members) = &mut body {
            let mut put = |name: &str, value: String| {
                if !value.is_empty() {
                    members.insert(name.to_owned(), json!(value));
                }
            };
            put("sellerName", settings.seller_name.clone().unwrap_or_default());
            put("buyerTaxNo", text("buyerTaxNum"));
            if text("whole") != "1" {
                members.insert("invoiceDetail".into(), Value::Array(lines));
            }
        }
        Ok(body)
    }

    /// After a call about the form: asks how it stands, and issues the invoice where it may be.
    async fn go_on(&self, task: &Task, remote: Remote, fresh: bool) -> Outcome {
        let asked = Task { reached: Some(remote.clone()), ..task.clone() };
        match self.form(&asked).await {
            Lookup::Found(receipt) if fresh => Outcome::Done(receipt),
            Lookup::Found(receipt) => Outcome::AlreadyThere(receipt),
            Lookup::Partial(confirmed) => self.issue(task, &confirmed).await,
            Lookup::Pending(remote) => Outcome::Failed(asking(remote)),
            Lookup::Foreign(failure) => Outcome::Failed(failure),
            Lookup::CannotTell(failure) if matches!(failure.class, Class::Throttled(_)) => {
                Outcome::Failed(failure)
            }
            // It was asked for: whatever keeps us from asking about it, it is asked about again.
            Lookup::CannotTell(failure) | Lookup::NobodyToAsk(failure) => {
                Outcome::Failed(failure.class(Class::Unknown).reached(remote))
            }
            Lookup::Absent => Outcome::Failed(asking(remote)),
        }
    }

    /// How the form stands.
    async fn form(&self, task: &Task) -> Lookup {
        let body = json!({"identity": "0", "billId": task.key});
        match self.client.call(FORM, &body, false).await {
            Err(failure) => Lookup::CannotTell(failure),
            Ok(Ok(result)) => {
                let ours = |form: &&Value| form.get("billId").map(plain).is_none_or(|id| id == task.key);
                let list = result.get("list").and_then(Value::as_array);
                match list.and_then(|list| list.iter().find(ours)) {
                    Some(form) => self.judge(task, form).await,
                    None => self.no_form(task),
                }
            }
            Ok(Err(refusal)) if refusal.code == "E9500" => self.no_form(task),
            Ok(Err(refusal)) => Lookup::CannotTell(refusal.failure.of_question()),
        }
    }

    /// Right after it was asked for, the query may not know it yet.
    fn no_form(&self, task: &Task) -> Lookup {
        let Some(remote) = task.reached.clone() else { return Lookup::Absent };
        let since = remote.step.strip_prefix(ASKED).and_then(|at| at.parse::<i64>().ok());
        let grace_ms = i64::try_from(self.client.settings.grace_s).unwrap_or(600).saturating_mul(1000);
        match since {
            Some(at) if self.client.context.now_ms() < at.saturating_add(grace_ms) => Lookup::Pending(remote),
            Some(_) | None => Lookup::Absent,
        }
    }

    async fn judge(&self, task: &Task, form: &Value) -> Lookup {
        let text = |name: &str| form.get(name).map(plain).unwrap_or_default();
        let at = |step: &str| Remote { id: text("billUuid"), number: text("billNo"), step: step.to_owned() };
        if let Some(failure) = self.other_amounts(task, form) {
            return Lookup::Foreign(failure.reached(at(WAITING)));
        }
        if !text("redInvoiceNumber").is_empty() {
            return self.issued_by_bureau(form).await;
        }
        match Form::of(&text("billStatus")) {
            Some(Form::Confirmed) => Lookup::Partial(at(CONFIRMED)),
            Some(Form::Waiting) => {
                let wait = Duration::from_secs(self.client.settings.red_wait_s);
                let fault = Fault::new(
                    Code::TargetThrottled,
                    format!("红字确认单 {} 待购方确认，72 小时内有效", text("billNo")),
                    format!("the confirmation form {} waits for the buyer, for 72 hours", text("billNo")),
                );
                let failure = Failure::new(fault).class(Class::Throttled(Some(wait)));
                Lookup::CannotTell(failure.reached(at(WAITING)))
            }
            Some(Form::Asking) => {
                let known = task.reached.clone().filter(|remote| remote.step.starts_with(ASKED));
                let now_ms = self.client.context.now_ms();
                Lookup::Pending(known.unwrap_or_else(|| at(&format!("{ASKED}{now_ms}"))))
            }
            Some(Form::Ended(zh, en)) => {
                let said = text("billMessage");
                let fault = Fault::new(
                    Code::TargetRejected,
                    format!("红字确认单 {} 未成立：{zh} {said}", text("billNo")).trim_end(),
                    format!("the confirmation form {} came to nothing: {en} {said}", text("billNo"))
                        .trim_end(),
                )
                .at("billStatus")
                .value(text("billStatus"))
                .remedy(
                    "与购方商定后撤回此开票单，再以新申请号申请红冲。",
                    "Agree with the buyer, withdraw this order, and ask again under a new number.",
                );
                Lookup::Foreign(Failure::new(fault).reached(at("form-ended")))
            }
            None => {
                let fault = Fault::new(
                    Code::OutcomeUnknown,
                    format!("未知的红字确认单状态 {}", text("billStatus")),
                    format!("a state of confirmation forms we do not know: {}", text("billStatus")),
                );
                Lookup::CannotTell(Failure::new(fault))
            }
        }
    }

    /// A form of other amounts than ours is somebody else's, or was read otherwise: nothing is issued on it.
    fn other_amounts(&self, task: &Task, form: &Value) -> Option<Failure> {
        let amount = |name: &str| form.get(name).and_then(|value| decimal::parse(&plain(value)).ok());
        let found = decimal::add(amount("taxExcludedAmount")?.abs(), amount("taxAmount")?.abs())?;
        let sent = task.expected.total_tax_included?.abs();
        (found != sent).then(|| {
            let fault = Fault::new(
                Code::AmountMismatch,
                format!("红字确认单金额 {found}，应为 {sent}"),
                format!("the confirmation form is over {found} and not over {sent}"),
            );
            Failure::new(fault.at("taxExcludedAmount").value(found.to_string()))
        })
    }

    /// The bureau issues some by itself as soon as the form stands.
    async fn issued_by_bureau(&self, form: &Value) -> Lookup {
        let text = |name: &str| form.get(name).map(plain).unwrap_or_default();
        let (number, serial) = (text("redInvoiceNumber"), text("invoiceSerialNum"));
        let remote = Remote { id: serial.clone(), number, step: "issued".to_owned() };
        let mut found = Value::Null;
        if !serial.is_empty() {
            let body = json!({"serialNos": [serial], "orderNos": [], "isOfferInvoiceDetail": "0"});
            match self.client.call(QUERY, &body, false).await {
                Err(failure) => return Lookup::CannotTell(failure),
                Ok(Ok(result)) => found = result.get(0).cloned().unwrap_or(Value::Null),
                Ok(Err(refusal)) if refusal.code == "E9500" => {}
                Ok(Err(refusal)) => return Lookup::CannotTell(refusal.failure.of_question()),
            }
        }
        if found.is_null() {
            found = json!({"exTaxAmount": form.get("taxExcludedAmount"), "taxAmount": form.get("taxAmount"),
                "pdfUrl": form.get("pdfUrl")});
        }
        Lookup::Found(negative(receipt(&found, remote)))
    }

    /// Issues the invoice of a form that stands.
    async fn issue(&self, task: &Task, form: &Remote) -> Outcome {
        let document: Map<String, Value> = task.document.members();
        let text = |name: &str| document.get(name).map(plain).unwrap_or_default();
        let settings = &self.client.settings;
        let mut body = json!({
            "orderNo": task.key, "taxNum": settings.tax_number, "elecInvoiceNumber": text("blueInvoice"),
            "billNo": form.number, "billUuid": form.id, "invoiceLine": text("invoiceLine"),
        });
        if let (Value::Object(members), Some(url)) = (&mut body, &settings.callback_url) {
            members.insert("callBackUrl".into(), json!(url));
        }
        let now_ms = self.client.context.now_ms();
        match self.client.call(RED, &body, true).await {
            Ok(Ok(result)) => {
                let serial = result.get("invoiceSerialNum").map(plain).unwrap_or_default();
                self.settle(task, submitted(task, &serial, now_ms), true).await
            }
            Ok(Err(Refusal { failure, .. })) if failure.class == Class::Conflict => {
                self.settle(task, submitted(task, "", now_ms), false).await
            }
            // There is one already: the bureau's own, or ours from a call whose answer was lost.
            Ok(Err(refusal)) if refusal.code == ALREADY_RED => {
                let asked = Task { reached: Some(form.clone()), ..task.clone() };
                match self.form(&asked).await {
                    Lookup::Found(receipt) => Outcome::AlreadyThere(receipt),
                    _ => self.settle(task, submitted(task, "", now_ms), false).await,
                }
            }
            Ok(Err(Refusal { failure, .. })) | Err(failure) => Outcome::Failed(failure.reached(form.clone())),
        }
    }

    async fn settle(&self, task: &Task, remote: Remote, fresh: bool) -> Outcome {
        taken_back(self.invoices.settle(task, remote, fresh).await)
    }
}

/// The outcome with a red invoice's amounts.
fn taken_back(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Done(receipt) => Outcome::Done(negative(receipt)),
        Outcome::AlreadyThere(receipt) => Outcome::AlreadyThere(negative(receipt)),
        Outcome::Failed(failure) => Outcome::Failed(failure),
    }
}

fn is_of_form(remote: &Remote) -> bool {
    remote.step.starts_with(ASKED) || remote.step == CONFIRMED || remote.step == WAITING
}

/// A red invoice's amounts are less than zero, with whatever sign they are told.
fn negative(receipt: Receipt) -> Receipt {
    let below = |amount: Decimal| -amount.abs();
    let mut facts = receipt.facts;
    if let Value::Object(members) = &mut facts {
        for name in ["total_tax_excluded", "total_tax"] {
            let amount = members.get(name).and_then(Value::as_str).and_then(|text| decimal::parse(text).ok());
            if let Some(amount) = amount {
                members.insert(name.to_owned(), json!(below(amount).to_string()));
            }
        }
    }
    Receipt { total_tax_included: receipt.total_tax_included.map(below), facts, ..receipt }
}

fn asking(remote: Remote) -> Failure {
    let fault = Fault::new(
        Code::TargetThrottled,
        "红字确认单申请中，稍后查询",
        "the confirmation form is being made; asked again soon",
    );
    Failure::new(fault).class(Class::Throttled(Some(Duration::from_secs(3)))).reached(remote)
}
