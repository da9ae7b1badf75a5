//! The letter that carries a statement: made from the books when it is posted, and proved by the checksum of its event.

use super::Books;
use super::desk::{Due, Purpose};
use super::history::Standing;
use super::link::{self, Link};
use crate::config::StatementRules;
use crate::intake::store_unavailable;
use crate::paper::{Format, Sheet};
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_connect::letter::{Attached, KIND, Letter};
use tongbao_connect::{Expected, Task};
use tongbao_delivery::port::{Store, StoreError, Work};
use tongbao_delivery::statements::Wanted;
use tongbao_model::{Code, Event, Fault, Month, Text, china};
use tongbao_paper::checksum;
use tongbao_recon::statement::{Question, Statement};

/// A letter to be posted.
pub struct Ready {
    /// The letter with its files.
    pub task: Task,
    /// What is kept of it with the attempt: nothing that somebody could answer with, or read accounts from.
    pub told: Value,
}

/// Why there is none.
pub struct Stopped {
    /// What is wrong.
    pub fault: Fault,
    /// Whether nothing is to be done about it: nobody needs the letter any more.
    pub is_final: bool,
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Stopped {
        Stopped { fault, is_final: false }
    }
}

fn unavailable(error: &StoreError) -> Stopped {
    store_unavailable(error).into()
}

/// Makes the letter of an event.
///
/// # Errors
/// Nobody has an address; the books do not say any more what was meant; there is no font; the letter is not needed any more.
pub async fn ready(rules: &StatementRules, store: &dyn Store, work: &Work) -> Result<Ready, Stopped> {
    let due: Due = serde_json::from_str(&work.event.record)
        .map_err(|_| Fault::new(Code::Defect, "事件内容无法读取", "the event's record cannot be read"))?;
    let month: Month = due
        .month
        .parse()
        .map_err(|_| Fault::new(Code::Defect, "月份无法读取", "the month cannot be read"))?;
    needed(&due, store).await?;
    let books = Books::load(store, &due.customer).await.map_err(|error| unavailable(&error))?;
    let question =
        Question { customer: &due.customer, month, as_of_ms: due.as_of_ms, credit_days: due.credit_days };
    let statement = books.statement(question).map_err(|why| Fault::new(Code::NumberRange, why.zh, why.en))?;
    if checksum::of(&statement) != due.checksum {
        return Err(changed().into());
    }
    let customer = books.customer(store).await.map_err(|error| unavailable(&error))?.unwrap_or_default();
    let known =
        rules.customers.get(&due.customer).map(|rule| rule.email.clone()).filter(|all| !all.is_empty());
    let to =
        known.unwrap_or_else(|| customer.email.into_iter().filter(|one| !one.trim().is_empty()).collect());
    if to.is_empty() {
        return Err(nowhere().into());
    }
    let sheet = Sheet { statement, seller: rules.seller.clone(), buyer: customer.name, compared: None };
    let files = files(rules, sheet.clone()).await?;
    let told = json!({
        "kind": KIND, "customer": due.customer, "month": due.month, "revision": due.revision, "letter": due.letter,
        "purpose": due.purpose, "checksum": due.checksum, "recipients": to.len(), "copies": rules.copy.len(),
        "files": files.iter().map(|file| json!({"name": file.name, "bytes": file.bytes.len()})).collect::<Vec<_>>(),
    });
    let letter = written(rules, &due, month, &sheet, to);
    Ok(Ready { task: task(&work.event, &due, &letter, files), told })
}

/// A reminder of what was answered, or took no longer effect, goes to nobody.
async fn needed(due: &Due, store: &dyn Store) -> Result<(), Stopped> {
    let notes = store.statement_notes(&Wanted::of(&due.customer, &due.month)).await;
    let standing = Standing::of(&notes.map_err(|error| unavailable(&error))?);
    let is_answered = |standing: &Standing| standing.answer.is_some() && due.purpose == Purpose::Reminder;
    match standing {
        Some(standing) if standing.revision > due.revision || is_answered(&standing) => Err(Stopped {
            fault: Fault::new(
                Code::Refused,
                "客户已答复，或已有更新的对账单：不再发送",
                "the customer has answered, or there is a newer statement: this is not sent any more",
            ),
            is_final: true,
        }),
        Some(_) | None => Ok(()),
    }
}

fn changed() -> Fault {
    Fault::new(
        Code::CheckFailed,
        "账面与制单时不符：制单之时正有账目入账",
        "the books are not those of the statement: entries were being stored as it was made",
    )
    .remedy("用 tongbao recon send 重新发送。", "Send it again with `tongbao recon send`.")
}

fn nowhere() -> Fault {
    Fault::new(Code::FieldMissing, "客户没有邮箱地址", "the customer has no mail address").at("customer.email").remedy(
        "在 statements.customers 中写上邮箱，或在 CRM 的合同上补全客户邮箱，然后重放。",
        "Write the address under `statements.customers`, or give the contract in the CRM the customer's, then replay.",
    )
}

/// Excel and PDF. Lines are set and fonts are read: nothing for the threads that answer requests.
async fn files(rules: &StatementRules, sheet: Sheet) -> Result<Vec<Attached>, Fault> {
    let font = rules.font.clone();
    let made = tokio::task::spawn_blocking(move || {
        let file = |format: Format| {
            let bytes = Arc::new(sheet.bytes(format, font.as_deref())?);
            let media_type = format.media_type().to_owned();
            Ok(Attached { name: sheet.file_name(format), media_type, bytes })
        };
        [Format::Pdf, Format::Xlsx].into_iter().map(file).collect::<Result<Vec<_>, Text>>()
    });
    let broken = || Fault::new(Code::Defect, "对账单无法写出", "the statement cannot be written");
    made.await.map_err(|_| broken())?.map_err(|why| Fault::new(Code::TargetMisconfigured, why.zh, why.en))
}

fn task(event: &Event, due: &Due, letter: &Letter, files: Vec<Attached>) -> Task {
    Task {
        kind: KIND.to_owned(),
        // A mail of its own for each letter.
        key: format!("{}:{}", due.number, due.letter),
        origin: format!("{}/{}/{}", event.source, event.kind, event.key),
        document: json!(letter).into(),
        reached: None,
        expected: Expected::default(),
        files,
    }
}

fn written(rules: &StatementRules, due: &Due, month: Month, sheet: &Sheet, to: Vec<String>) -> Letter {
    let seller = rules.seller.clone().unwrap_or_default();
    let (year, number) = (month.first().year(), month.first().month());
    let (zh, en) = match due.purpose {
        Purpose::Statement => ("", ""),
        Purpose::Reminder => ("提醒：", "Reminder: "),
    };
    let subject = format!("{zh}{seller} {year} 年 {number} 月对账单 / {en}statement of account {month}");
    let again = match due.purpose {
        Purpose::Statement => String::new(),
        Purpose::Reminder => "此前发送的对账单尚未收到答复，再次附上。\n".to_owned(),
    };
    let buyer = sheet.buyer.as_deref().unwrap_or(&due.customer);
    let (balances, address) = (balances(&sheet.statement), address(rules, due, month));
    let until = china::moment(due.expires_s.saturating_mul(1_000))
        .map(|at| at.strftime("%Y-%m-%d %H:%M").to_string());
    let until = until.unwrap_or_default();
    let text = format!(
        "{buyer}：\n\n{again}附件为 {year} 年 {number} 月的客户对账单（PDF 与 Excel，内容相同）。\n{balances}\n\
         请打开下面的链接核对，确认无误或提出异议，无需登录；有效期至 {until}（北京时间）：\n{address}\n\n\
         Attached is the statement of account for {month}, as PDF and as Excel.\n\
         Please open the link above to confirm or dispute it; no login is needed. It is good until {until} (China).\n\n\
         {seller}\n校验 checksum {}\n此邮件由系统发出 / sent by a machine\n",
        due.checksum
    );
    Letter { to, copy: rules.copy.clone(), subject: subject.trim().to_owned(), text }
}

fn balances(statement: &Statement) -> String {
    let line = |section: &tongbao_recon::statement::Section| {
        format!("期末余额 closing balance：{} {}\n", section.currency, section.closing.text())
    };
    if statement.sections.is_empty() {
        return "本月无往来，无余额 / nothing happened, nothing is open\n".to_owned();
    }
    statement.sections.iter().map(line).collect()
}

/// The link of a letter.
fn address(rules: &StatementRules, due: &Due, month: Month) -> String {
    let link =
        Link { customer: due.customer.clone(), month, revision: due.revision, expires_s: due.expires_s };
    let token = rules.keys.first().map(|key| link::token(&link, key)).unwrap_or_default();
    format!("{}s/{token}", rules.url)
}
