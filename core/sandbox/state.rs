//! Snapshots of what the sandbox holds, for tests, the demo and `GET /state/…` of the control listener.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    faults::System,
    kingdee::{Bill, FieldsExt},
    world::{World, lock},
};

/// A sales order in the ERP. Amounts in yuan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderState {
    /// Internal id (`FID`).
    pub id: i64,
    /// `FBillNo`.
    pub number: String,
    /// `FDocumentStatus`.
    pub status: String,
    /// `FCloseStatus`: `A` open, `B` closed.
    pub close_status: String,
    /// `FCancelStatus`: `A` normal, `B` voided.
    pub cancel_status: String,
    /// Customer code.
    pub customer: String,
    /// Currency code.
    pub currency: String,
    /// `FNote`.
    pub note: String,
    /// Number of entry rows.
    pub lines: usize,
    /// `FBillAmount`.
    #[serde(with = "crate::money::exact")]
    pub net: Decimal,
    /// `FBillTaxAmount`.
    #[serde(with = "crate::money::exact")]
    pub tax: Decimal,
    /// `FBillAllAmount`.
    #[serde(with = "crate::money::exact")]
    pub gross: Decimal,
    /// Orders that carry this number; more than 1 would be a broken sandbox.
    pub same_number: usize,
}

/// One entry of a receipt or refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptLineState {
    /// `FSALEORDERNO`.
    pub order_number: String,
    /// Amount in the bill's currency.
    #[serde(with = "crate::money::exact")]
    pub amount: Decimal,
}

/// A receipt or refund in the ERP. Amounts in the bill's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptState {
    /// Internal id (`FID`).
    pub id: i64,
    /// `FBillNo`.
    pub number: String,
    /// Status.
    pub status: String,
    /// `A` normal, `B` voided.
    pub cancel_status: String,
    /// Customer code.
    pub customer: String,
    /// Currency code.
    pub currency: String,
    /// Total.
    #[serde(with = "crate::money::exact")]
    pub amount: Decimal,
    /// Entries.
    pub lines: Vec<ReceiptLineState>,
    /// `FApproveDate`, empty when not audited.
    pub approved: String,
    /// `FModifyDate`.
    pub modified: String,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceLineState {
    /// Goods name.
    pub name: String,
    /// 0 normal, 1 discount, 2 discounted.
    pub property: String,
    /// Tax rate as a fraction.
    #[serde(with = "crate::money::exact")]
    pub rate: Decimal,
    /// Net.
    #[serde(with = "crate::money::exact")]
    pub net: Decimal,
    /// Tax.
    #[serde(with = "crate::money::exact")]
    pub tax: Decimal,
    /// Gross.
    #[serde(with = "crate::money::exact")]
    pub gross: Decimal,
}

/// An invoice at the platform. Amounts in yuan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceState {
    /// Order number.
    pub order_no: String,
    /// 20-character serial.
    pub serial: String,
    /// 20-digit invoice number once issued.
    pub number: Option<String>,
    /// 20, 21, 2, 22, 24, 3.
    pub status: String,
    /// Buyer's name.
    pub buyer: String,
    /// Buyer's tax number.
    pub buyer_tax_number: String,
    /// `invoiceLine`, e.g. `bs`.
    pub kind: String,
    /// Net total.
    #[serde(with = "crate::money::exact")]
    pub net: Decimal,
    /// Tax total.
    #[serde(with = "crate::money::exact")]
    pub tax: Decimal,
    /// Gross total.
    #[serde(with = "crate::money::exact")]
    pub gross: Decimal,
    /// Number of the reversed blue invoice.
    pub red_of: Option<String>,
    /// Lines.
    pub lines: Vec<InvoiceLineState>,
}

/// One write to the CRM or to Jiandaoyun.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CrmWrite {
    /// Position in the history, from 1.
    pub sequence: u64,
    /// Virtual clock, Unix milliseconds.
    pub at_ms: i64,
    /// `PATCH`, `PUT` or `update`.
    pub method: String,
    /// Collection, or `app/entry` for Jiandaoyun.
    pub collection: String,
    /// Record id.
    pub id: String,
    /// Version after the write.
    pub version: u64,
    /// `Idempotency-Key` header, if sent.
    pub idempotency_key: Option<String>,
    /// What was sent.
    pub body: Value,
    /// Fields before.
    pub before: Value,
    /// Fields after.
    pub after: Value,
}

fn order_state(bill: &Bill, same_number: usize) -> OrderState {
    let finance = bill.rows("FSALEORDERFINANCE").first();
    let amount = |key: &str| finance.map(|row| row.fields.num_or_zero(key)).unwrap_or_default();
    let head = |key: &str| bill.fields.val(key).text().to_owned();
    OrderState {
        id: bill.id,
        number: bill.number.clone(),
        status: bill.status().to_owned(),
        close_status: head("FCLOSESTATUS"),
        cancel_status: head("FCANCELSTATUS"),
        customer: head("FCUSTID"),
        currency: finance.map(|row| row.fields.val("FSETTLECURRID").text().to_owned()).unwrap_or_default(),
        note: head("FNOTE"),
        lines: bill.rows("FSALEORDERENTRY").len(),
        net: amount("FBILLAMOUNT"),
        tax: amount("FBILLTAXAMOUNT"),
        gross: amount("FBILLALLAMOUNT"),
        same_number,
    }
}

fn counts<'a>(bills: impl Iterator<Item = &'a Bill>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for bill in bills {
        *counts.entry(bill.number.as_str()).or_insert(0) += 1;
    }
    counts
}

pub(crate) fn orders(world: &World) -> Vec<OrderState> {
    let store = lock(&world.kingdee.store);
    let Some(table) = store.table("SAL_SaleOrder") else { return Vec::new() };
    let counts = counts(table.bills.values());
    table
        .bills
        .values()
        .map(|bill| order_state(bill, counts.get(bill.number.as_str()).copied().unwrap_or(0)))
        .collect()
}

pub(crate) fn order(world: &World, number: &str) -> Option<OrderState> {
    let store = lock(&world.kingdee.store);
    let table = store.table("SAL_SaleOrder")?;
    let bill = table.by_number(number)?;
    Some(order_state(bill, table.bills.values().filter(|other| other.number == number).count()))
}

pub(crate) fn receipts(world: &World, form: &str) -> Vec<ReceiptState> {
    let store = lock(&world.kingdee.store);
    let Some(table) = store.table(form) else { return Vec::new() };
    let (entity, amount, total) = if form == "AR_REFUNDBILL" {
        ("FREFUNDBILLENTRY", "FREFUNDAMOUNTFOR", "FREFUNDTOTALAMOUNTFOR")
    } else {
        ("FRECEIVEBILLENTRY", "FRECTOTALAMOUNTFOR", "FRECAMOUNTFOR")
    };
    table
        .bills
        .values()
        .map(|bill| {
            let head = |key: &str| bill.fields.val(key).text().to_owned();
            ReceiptState {
                id: bill.id,
                number: bill.number.clone(),
                status: bill.status().to_owned(),
                cancel_status: head("FCANCELSTATUS"),
                customer: head("FCONTACTUNIT"),
                currency: head("FCURRENCYID"),
                amount: bill.fields.num_or_zero(total),
                lines: bill
                    .rows(entity)
                    .iter()
                    .map(|row| ReceiptLineState {
                        order_number: row.fields.val("FSALEORDERNO").text().to_owned(),
                        amount: row.fields.num_or_zero(amount),
                    })
                    .collect(),
                approved: head("FAPPROVEDATE"),
                modified: head("FMODIFYDATE"),
            }
        })
        .collect()
}

fn invoice_state(invoice: &crate::nuonuo::Invoice) -> InvoiceState {
    InvoiceState {
        order_no: invoice.order_no.clone(),
        serial: invoice.serial.clone(),
        number: invoice.number.clone(),
        status: invoice.status.to_owned(),
        buyer: invoice.buyer.clone(),
        buyer_tax_number: invoice.buyer_tax.clone(),
        kind: invoice.kind.clone(),
        net: invoice.net,
        tax: invoice.tax,
        gross: invoice.gross,
        red_of: invoice.red_of.clone(),
        lines: invoice
            .lines
            .iter()
            .map(|line| InvoiceLineState {
                name: line.name.clone(),
                property: line.property.clone(),
                rate: line.rate,
                net: line.net,
                tax: line.tax,
                gross: line.gross,
            })
            .collect(),
    }
}

pub(crate) fn invoices(world: &World) -> Vec<InvoiceState> {
    let state = lock(&world.nuonuo);
    state.accepted.iter().filter_map(|order| state.invoices.get(order)).map(invoice_state).collect()
}

pub(crate) fn invoice(world: &World, order_no: &str) -> Option<InvoiceState> {
    lock(&world.nuonuo).invoices.get(order_no).map(invoice_state)
}

/// A bill of any Kingdee form: header fields by upper-case key, rows by entity.
pub(crate) fn bill(world: &World, form: &str, number: &str) -> Option<Value> {
    let store = lock(&world.kingdee.store);
    let bill = store.table(form)?.by_number(number)?;
    let fields = |fields: &crate::kingdee::Fields| -> Value {
        fields.iter().map(|(key, val)| (key.clone(), plain(val))).collect::<serde_json::Map<_, _>>().into()
    };
    let rows: serde_json::Map<String, Value> = bill
        .entities
        .iter()
        .map(|(key, rows)| (key.clone(), rows.iter().map(|row| fields(&row.fields)).collect()))
        .collect();
    Some(json!({"id": bill.id, "number": bill.number, "fields": fields(&bill.fields), "rows": rows}))
}

fn plain(val: &crate::kingdee::Val) -> Value {
    use crate::kingdee::Val;
    match val {
        Val::Null => Value::Null,
        Val::Text(text) | Val::Ref(text) => Value::from(text.clone()),
        Val::Num(number) => Value::from(number.to_string()),
        Val::Flag(flag) => Value::from(*flag),
    }
}

/// Calls per system and operation.
pub(crate) fn calls(world: &World) -> BTreeMap<String, u64> {
    lock(&world.calls)
        .iter()
        .map(|((system, operation), count)| (call_name(*system, operation), *count))
        .collect()
}

/// `kingdee Save`, `crm PATCH contracts`.
pub(crate) fn call_name(system: System, operation: &str) -> String {
    let system = match system {
        System::Kingdee => "kingdee",
        System::Nuonuo => "nuonuo",
        System::Crm => "crm",
        System::Jdy => "jdy",
        System::U8 => "u8",
        System::U8OpenApi => "u8-openapi",
        System::Esign => "esign",
        System::Fadada => "fadada",
        System::Wecom => "wecom",
        System::Dingtalk => "dingtalk",
        System::Mail => "mail",
    };
    format!("{system} {operation}")
}

/// Totals over everything, in one object.
pub(crate) fn summary(world: &World) -> Value {
    let orders = orders(world);
    let highest = orders.iter().filter(|order| !order.number.is_empty()).map(|order| order.same_number).max();
    let by_status = orders.iter().fold(BTreeMap::new(), |mut map: BTreeMap<&str, usize>, order| {
        *map.entry(order.status.as_str()).or_insert(0) += 1;
        map
    });
    let u8_orders = crate::u8::orders(world);
    let u8_gross: Decimal = u8_orders.iter().map(|order| order.gross).sum();
    let gross: Decimal = orders.iter().map(|order| order.gross).sum();
    let receipts = receipts(world, "AR_RECEIVEBILL");
    let invoices = invoices(world);
    let (dropped, sent) = {
        let state = lock(&world.nuonuo);
        (state.callbacks_dropped, state.callbacks_sent.len())
    };
    json!({
        "now_ms": world.clock.now_ms(),
        "sale_orders": {"count": orders.len(), "by_status": by_status, "gross": gross.to_string(),
                        "max_same_number": highest.unwrap_or(0)},
        "receipts": {"count": receipts.len()},
        "u8_orders": {"count": u8_orders.len(), "gross": u8_gross.to_string(),
                      "max_same_number": u8_orders.iter().map(|order| order.same_number).max().unwrap_or(0)},
        "u8_receipts": {"count": crate::u8::receipts(world).len()},
        "invoices": {"count": invoices.len(),
                     "issued": invoices.iter().filter(|invoice| invoice.number.is_some()).count()},
        "crm_writes": lock(&world.crm).history().len(),
        "jdy_writes": lock(&world.jdy).history().len(),
        "callbacks": {"sent": sent, "dropped": dropped},
        "sessions": lock(&world.kingdee.sessions).count(),
        "calls": calls(world),
        "faults": world.faults.injected(),
    })
}
