//! What finance does by hand in the ERP: receipts and refunds that appear, change, are un-audited, voided or deleted.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    amounts,
    store::{Bill, Fields, FieldsExt, Row, Store, Val},
};
use crate::{
    clock,
    config::KingdeeConfig,
    world::{World, lock},
};

/// Form id of receipts.
pub(crate) const RECEIPT: &str = "AR_RECEIVEBILL";
/// Form id of refunds.
pub(crate) const REFUND: &str = "AR_REFUNDBILL";

/// One entry of a receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptLine {
    /// Sales order number (`FSALEORDERNO`); empty for a payment that names none.
    #[serde(default)]
    pub order_number: String,
    /// Amount in the receipt's currency, in yuan (not cents); negative rows are allowed.
    #[serde(with = "crate::money::exact")]
    pub amount: Decimal,
    /// Bank fee kept back (`FHANDLINGCHARGEFOR`).
    #[serde(default, with = "crate::money::exact")]
    pub fee: Decimal,
}

/// A receipt to book.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptSpec {
    /// Receipt number (`FBillNo`).
    pub number: String,
    /// Customer code; taken from the first line's order when absent.
    #[serde(default)]
    pub customer: Option<String>,
    /// Currency code; `PRE001` (CNY) when absent.
    #[serde(default)]
    pub currency: Option<String>,
    /// Entries.
    pub lines: Vec<ReceiptLine>,
    /// `FApproveDate` and `FModifyDate` in Unix milliseconds; now when absent (back-dated or late documents).
    #[serde(default)]
    pub approved_ms: Option<i64>,
    /// Business date `FDATE` in Unix milliseconds; the approval's day when absent.
    #[serde(default)]
    pub date_ms: Option<i64>,
    /// Leave the receipt created (`A`) instead of audited.
    #[serde(default)]
    pub unaudited: bool,
    /// The bank's or payment channel's own number (`FTHIRDBILLNO`).
    #[serde(default)]
    pub third_number: Option<String>,
}

impl ReceiptSpec {
    /// A receipt that pays one order, approved now.
    pub fn paying(order: &str, amount: Decimal, number: &str) -> ReceiptSpec {
        ReceiptSpec {
            number: number.to_owned(),
            customer: None,
            currency: None,
            lines: vec![ReceiptLine { order_number: order.to_owned(), amount, fee: Decimal::ZERO }],
            approved_ms: None,
            date_ms: None,
            unaudited: false,
            third_number: None,
        }
    }
}

fn text(text: &str) -> Val {
    Val::Text(text.to_owned())
}

/// Books a receipt; its id, or why not.
pub(crate) fn book(world: &World, spec: &ReceiptSpec) -> Result<i64, String> {
    let config = &world.config.kingdee;
    let mut store = lock(&world.kingdee.store);
    if store.base(RECEIPT, &spec.number).is_some() {
        return Err(format!("receipt {} exists", spec.number));
    }
    let customer = customer_of(&store, spec)?;
    let approved = spec.approved_ms.unwrap_or_else(|| world.clock.now_ms());
    let mut bill = Bill { number: spec.number.clone(), ..Bill::default() };
    let currency = spec.currency.clone().unwrap_or_else(|| "PRE001".to_owned());
    let org = Val::Ref("100".to_owned());
    for (key, val) in [
        ("FBILLTYPEID", Val::Ref("SKDLX01_SYS".to_owned())),
        ("FDATE", Val::Text(clock::local_day(spec.date_ms.unwrap_or(approved)))),
        ("FCONTACTUNIT", Val::Ref(customer.clone())),
        ("FPAYUNIT", Val::Ref(customer)),
        ("FCURRENCYID", Val::Ref(currency)),
        ("FSETTLEORGID", org.clone()),
        ("FSALEORGID", org),
        ("FTHIRDBILLNO", text(spec.third_number.as_deref().unwrap_or(""))),
        ("FCANCELSTATUS", text("A")),
    ] {
        bill.fields.put(key, val);
    }
    let mut rows = Vec::new();
    for line in &spec.lines {
        rows.push(entry(&mut store, line));
    }
    bill.entities.insert("FRECEIVEBILLENTRY".to_owned(), rows);
    finish(&mut store, config, RECEIPT, bill, approved, spec.unaudited)
}

fn customer_of(store: &Store, spec: &ReceiptSpec) -> Result<String, String> {
    if let Some(code) = &spec.customer {
        return Ok(code.clone());
    }
    let order = spec.lines.first().map_or("", |line| line.order_number.as_str());
    store
        .base("SAL_SaleOrder", order)
        .map(|order| order.fields.val("FCUSTID").text().to_owned())
        .ok_or_else(|| format!("no customer given and no sales order {order:?}"))
}

/// The customer of an order, for a bill of this form that is not there yet. `name`: what the form is called.
pub(super) fn customer_for(
    store: &Store,
    (form, name): (&str, &str),
    number: &str,
    order: &str,
) -> Result<Val, String> {
    if store.base(form, number).is_some() {
        return Err(format!("{name} {number} exists"));
    }
    store
        .base("SAL_SaleOrder", order)
        .map(|bill| bill.fields.val("FCUSTID").clone())
        .ok_or_else(|| format!("no sales order {order}"))
}

fn entry(store: &mut Store, line: &ReceiptLine) -> Row {
    let mut fields = Fields::new();
    let order_id = store.base("SAL_SaleOrder", &line.order_number).map_or(0, |order| order.id);
    for (key, val) in [
        ("FSETTLETYPEID", Val::Ref("JSFS04_SYS".to_owned())),
        ("FPURPOSEID", Val::Ref("SFKYT01_SYS".to_owned())),
        ("FRECTOTALAMOUNTFOR", Val::Num(line.amount)),
        ("FHANDLINGCHARGEFOR", Val::Num(line.fee)),
        ("FSALEORDERNO", text(&line.order_number)),
        ("FSALEORDERID", Val::Num(Decimal::from(order_id))),
    ] {
        fields.put(key, val);
    }
    Row { id: store.new_entry_id(), fields, ..Row::default() }
}

pub(super) fn finish(
    store: &mut Store,
    config: &KingdeeConfig,
    form_id: &str,
    mut bill: Bill,
    approved: i64,
    unaudited: bool,
) -> Result<i64, String> {
    let form = store.form(form_id);
    amounts::defaults(store, config, &form, &mut bill);
    amounts::compute(&form, &mut bill);
    bill.id = store.new_id();
    let when = Val::Text(clock::local_text(approved));
    bill.fields.put("FCREATEDATE", when.clone());
    bill.fields.put("FMODIFYDATE", when.clone());
    bill.set_status(if unaudited { "A" } else { "C" });
    if !unaudited {
        bill.fields.put("FAPPROVEDATE", when);
    }
    let id = bill.id;
    store.table_mut(form_id).insert(bill);
    Ok(id)
}

/// Pays an audited order: an audited receipt with one entry for it.
pub(crate) fn pay(world: &World, order: &str, amount: Decimal, number: &str) -> Result<i64, String> {
    {
        let store = lock(&world.kingdee.store);
        let status = store.base("SAL_SaleOrder", order).map(|bill| bill.status().to_owned());
        match status.as_deref() {
            Some("C") => {}
            Some(other) => return Err(format!("sales order {order} is in status {other}, not audited")),
            None => return Err(format!("no sales order {order}")),
        }
    }
    book(world, &ReceiptSpec::paying(order, amount, number))
}

/// What can happen to a receipt later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// First entry gets this amount.
    Amount(Decimal),
    Audit,
    Unaudit,
    Void,
    Delete,
}

/// Changes a receipt whatever its status: the person in the ERP un-audits, changes and audits again in between.
pub(crate) fn change(world: &World, number: &str, change: Change) -> Result<(), String> {
    change_of(world, RECEIPT, number, change)
}

/// The same with a bill of any form.
pub(super) fn change_of(world: &World, form_id: &str, number: &str, change: Change) -> Result<(), String> {
    let now = Val::Text(clock::local_text(world.clock.now_ms()));
    let unaudited = world.config.kingdee.unaudit_status.clone();
    let mut store = lock(&world.kingdee.store);
    let table = store.table_mut(form_id);
    let form = table.form.clone();
    let id = table.by_number.get(number).copied().ok_or_else(|| format!("no bill {number}"))?;
    if change == Change::Delete {
        table.remove(id);
        return Ok(());
    }
    let bill = table.bills.get_mut(&id).ok_or_else(|| format!("no bill {number}"))?;
    match change {
        Change::Amount(amount) => {
            if let Some(row) = bill.entities.get_mut("FRECEIVEBILLENTRY").and_then(|rows| rows.first_mut()) {
                row.fields.put("FRECTOTALAMOUNTFOR", Val::Num(amount));
            }
            amounts::compute(&form, bill);
            if bill.status() == "C" {
                bill.fields.put("FAPPROVEDATE", now.clone());
            }
        }
        Change::Audit => {
            bill.set_status("C");
            bill.fields.put("FAPPROVEDATE", now.clone());
        }
        Change::Unaudit => {
            bill.set_status(&unaudited);
            bill.fields.put("FAPPROVEDATE", Val::Null);
        }
        Change::Void => {
            bill.set_status("A");
            bill.fields.put("FAPPROVEDATE", Val::Null);
            bill.fields.put("FCANCELSTATUS", text("B"));
        }
        Change::Delete => {}
    }
    bill.fields.put("FMODIFYDATE", now);
    Ok(())
}

/// Books an audited refund of an order (`AR_REFUNDBILL`).
pub(crate) fn refund(world: &World, order: &str, amount: Decimal, number: &str) -> Result<i64, String> {
    let config = &world.config.kingdee;
    let mut store = lock(&world.kingdee.store);
    let customer = customer_for(&store, (REFUND, "refund"), number, order)?;
    let now = world.clock.now_ms();
    let mut bill = Bill { number: number.to_owned(), ..Bill::default() };
    for (key, val) in [
        ("FBILLTYPEID", Val::Ref("SKTKDLX01_SYS".to_owned())),
        ("FDATE", Val::Text(clock::local_day(now))),
        ("FCONTACTUNITTYPE", text("BD_Customer")),
        ("FCONTACTUNIT", customer.clone()),
        ("FRECTUNITTYPE", text("BD_Customer")),
        ("FRECTUNIT", customer),
        ("FCURRENCYID", Val::Ref("PRE001".to_owned())),
        ("FSETTLEORGID", Val::Ref("100".to_owned())),
    ] {
        bill.fields.put(key, val);
    }
    let mut fields = Fields::new();
    fields.put("FREFUNDAMOUNTFOR", Val::Num(amount));
    fields.put("FSALEORDERNO", text(order));
    fields.put("FSETTLETYPEID", Val::Ref("JSFS04_SYS".to_owned()));
    fields.put("FPURPOSEID", Val::Ref("SFKYT01_SYS".to_owned()));
    let row = Row { id: store.new_entry_id(), fields, ..Row::default() };
    bill.entities.insert("FREFUNDBILLENTRY".to_owned(), vec![row]);
    finish(&mut store, config, REFUND, bill, now, false)
}
