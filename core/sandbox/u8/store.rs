//! What the account set holds, and what finance does in it by hand.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::archives;
use super::openapi::Door;
use super::templates::{SEED, Template, template};
use crate::{
    clock,
    kingdee::ReceiptSpec,
    masters::MasterSpec,
    money,
    state::{OrderState, ReceiptLineState, ReceiptState},
    world::{World, lock},
};

/// Tags and their texts, as they were imported.
pub(super) type Fields = Vec<(String, String)>;

/// The text of a tag.
pub(super) fn get<'a>(fields: &'a Fields, tag: &str) -> &'a str {
    fields.iter().find(|(name, _)| name == tag).map_or("", |(_, text)| text.as_str())
}

/// Puts a tag in place.
pub(super) fn put(fields: &mut Fields, tag: &str, text: impl Into<String>) {
    let text = text.into();
    match fields.iter_mut().find(|(name, _)| name == tag) {
        Some((_, old)) => *old = text,
        None => fields.push((tag.to_owned(), text)),
    }
}

fn decimal(fields: &Fields, tag: &str) -> Decimal {
    money::parse(get(fields, tag)).unwrap_or_default()
}

/// One document.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    pub id: i64,
    pub head: Fields,
    pub lines: Vec<Fields>,
}

/// State of the account set.
#[derive(Debug, Default)]
pub(crate) struct State {
    archives: BTreeMap<String, BTreeSet<String>>,
    documents: BTreeMap<&'static str, Vec<Document>>,
    last_id: i64,
    /// Answers so far, by which their style varies.
    pub(super) answers: u64,
    /// What the OpenAPI remembers besides.
    pub(super) open: Door,
    /// Rows of stock on hand.
    pub(super) stock: Vec<Fields>,
}

impl State {
    /// An account set with the preset archives.
    pub fn new(seeded: bool) -> Self {
        let mut state = Self { last_id: 1_000_000_000, ..Self::default() };
        for (archive, code, name) in SEED.iter().filter(|_| seeded) {
            state.seed(archive, code, name);
        }
        state
    }

    /// Adds a row to an archive; false when its code is there.
    pub fn seed(&mut self, archive: &str, code: &str, name: &str) -> bool {
        let is_new = self.add_code(archive, code);
        if let Some(known) = template(archive).filter(|_| is_new) {
            let document = archives::document(self.next_id(), archive, &MasterSpec::new(code, name));
            self.insert(known.roottag, document);
        }
        is_new
    }

    /// Adds a code whose document is there already.
    pub(super) fn add_code(&mut self, archive: &str, code: &str) -> bool {
        self.archives.entry(archive.to_owned()).or_default().insert(code.to_owned())
    }

    pub(super) fn drop_code(&mut self, archive: &str, code: &str) {
        self.archives.entry(archive.to_owned()).or_default().remove(code);
    }

    pub(super) fn has_code(&self, archive: &str, code: &str) -> bool {
        self.archives.get(archive).is_some_and(|codes| codes.contains(code))
    }

    pub(super) fn all(&self, roottag: &str) -> &[Document] {
        self.documents.get(roottag).map_or(&[], Vec::as_slice)
    }

    /// The document of a number; the database compares without regard to case, as SQL Server does by default.
    pub(super) fn by_number(&self, template: &Template, number: &str) -> Option<&Document> {
        self.all(template.roottag).iter().find(|one| same(get(&one.head, template.number), number))
    }

    /// The same, to be changed.
    pub(super) fn by_number_mut(&mut self, template: &Template, number: &str) -> Option<&mut Document> {
        let list = self.documents.get_mut(template.roottag)?;
        list.iter_mut().find(|one| same(get(&one.head, template.number), number))
    }

    /// Ends the tokens of the OpenAPI.
    pub fn drop_tokens(&mut self) {
        self.open.drop_tokens();
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn insert(&mut self, roottag: &'static str, document: Document) {
        self.documents.entry(roottag).or_default().push(document);
    }

    pub(super) fn remove(&mut self, template: &Template, number: &str) -> bool {
        let Some(list) = self.documents.get_mut(template.roottag) else { return false };
        let before = list.len();
        list.retain(|one| !same(get(&one.head, template.number), number));
        list.len() < before
    }

    fn receipt(&mut self, number: &str) -> Result<&mut Document, String> {
        let list = self.documents.get_mut("accept");
        let found = list.and_then(|list| list.iter_mut().find(|one| get(&one.head, "vouchcode") == number));
        found.ok_or_else(|| format!("no receipt {number}"))
    }
}

/// Equal for the database: case and trailing blanks do not count.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.trim_end().to_lowercase() == other.trim_end().to_lowercase()
}

/// Books a receipt as finance does in the client; its id.
pub(crate) fn book(world: &World, spec: &ReceiptSpec) -> Result<i64, String> {
    let mut state = lock(&world.u8);
    if state.all("accept").iter().any(|one| get(&one.head, "vouchcode") == spec.number) {
        return Err(format!("receipt {} exists", spec.number));
    }
    let order = spec.lines.first().map_or("", |line| line.order_number.as_str());
    let of_order = |state: &State| {
        let orders = state.all("saleorder").iter();
        orders
            .filter(|one| get(&one.head, "code") == order)
            .map(|one| get(&one.head, "custcode").to_owned())
            .next()
    };
    let customer = spec.customer.clone().or_else(|| of_order(&state));
    let customer = customer.ok_or_else(|| format!("no customer given and no sales order {order:?}"))?;
    let date_ms = spec.date_ms.or(spec.approved_ms).unwrap_or_else(|| world.clock.now_ms());
    let total: Decimal = spec.lines.iter().map(|line| line.amount).sum();
    let mut head = Fields::new();
    for (tag, text) in [
        ("vouchtype", "48".to_owned()),
        ("vouchcode", spec.number.clone()),
        ("vouchdate", clock::format_local(date_ms, "%Y-%m-%d")),
        ("period", clock::format_local(date_ms, "%-m")),
        ("customercode", customer.clone()),
        ("notecode", spec.third_number.clone().unwrap_or_default()),
        ("foreigncurrency", spec.currency.clone().unwrap_or_else(|| "人民币".to_owned())),
        ("currencyrate", "1".to_owned()),
        ("amount", total.to_string()),
        ("originalamount", total.to_string()),
        ("operator", "demo".to_owned()),
        ("flag", "AR".to_owned()),
        ("!checker", if spec.unaudited { String::new() } else { "demo".to_owned() }),
    ] {
        put(&mut head, tag, text);
    }
    let lines = spec.lines.iter().map(|line| {
        let mut fields = Fields::new();
        put(&mut fields, "type", "0");
        put(&mut fields, "customercode", customer.as_str());
        put(&mut fields, "originalamount", line.amount.to_string());
        put(&mut fields, "amount", line.amount.to_string());
        put(&mut fields, "itemcode", "1122");
        put(&mut fields, "orderid", line.order_number.as_str());
        fields
    });
    let lines = lines.collect();
    let id = state.next_id();
    state.insert("accept", Document { id, head, lines });
    Ok(id)
}

/// Pays an order in one receipt with one entry.
pub(crate) fn pay(world: &World, order: &str, amount: Decimal, number: &str) -> Result<i64, String> {
    if !lock(&world.u8).all("saleorder").iter().any(|one| get(&one.head, "code") == order) {
        return Err(format!("no sales order {order}"));
    }
    book(world, &ReceiptSpec::paying(order, amount, number))
}

/// What happens to a receipt later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum U8Change {
    /// The row of this index, from 0, gets this amount.
    Amount(usize, Decimal),
    /// The row of this index is deleted.
    DropRow(usize),
    /// It gets another date, `yyyy-MM-dd`.
    Date(String),
    /// It is audited.
    Audit,
    /// It is no longer audited.
    Unaudit,
    /// It is deleted.
    Delete,
}

/// Changes a receipt.
pub(crate) fn change(world: &World, number: &str, change: &U8Change) -> Result<(), String> {
    let mut state = lock(&world.u8);
    let receipt = state.receipt(number)?;
    let row = |index: &usize| format!("receipt {number} has no row {index}");
    match change {
        U8Change::Amount(index, amount) => {
            let line = receipt.lines.get_mut(*index).ok_or_else(|| row(index))?;
            put(line, "originalamount", amount.to_string());
            put(line, "amount", amount.to_string());
        }
        U8Change::DropRow(index) if *index < receipt.lines.len() => drop(receipt.lines.remove(*index)),
        U8Change::DropRow(index) => return Err(row(index)),
        U8Change::Date(date) => put(&mut receipt.head, "vouchdate", date.as_str()),
        U8Change::Audit => put(&mut receipt.head, "!checker", "demo"),
        U8Change::Unaudit => put(&mut receipt.head, "!checker", ""),
        U8Change::Delete => {
            state.documents.entry("accept").or_default().retain(|one| get(&one.head, "vouchcode") != number);
            return Ok(());
        }
    }
    let total: Decimal = receipt.lines.iter().map(|line| decimal(line, "originalamount")).sum();
    put(&mut receipt.head, "originalamount", total.to_string());
    put(&mut receipt.head, "amount", total.to_string());
    Ok(())
}

/// Sales orders. EAI leaves them unaudited (开立): its template has no audit.
pub(crate) fn orders(world: &World) -> Vec<OrderState> {
    let state = lock(&world.u8);
    let all = state.all("saleorder");
    let total = |one: &Document, tag: &str| one.lines.iter().map(|line| decimal(line, tag)).sum();
    all.iter()
        .map(|one| OrderState {
            id: one.id,
            number: get(&one.head, "code").to_owned(),
            status: if get(&one.head, "!verifier").is_empty() { "开立" } else { "审核" }.to_owned(),
            close_status: "A".to_owned(),
            cancel_status: "A".to_owned(),
            customer: get(&one.head, "custcode").to_owned(),
            currency: get(&one.head, "currency").to_owned(),
            note: get(&one.head, "memo").to_owned(),
            lines: one.lines.len(),
            net: total(one, "money"),
            tax: total(one, "tax"),
            gross: total(one, "sum"),
            same_number: all
                .iter()
                .filter(|other| get(&other.head, "code") == get(&one.head, "code"))
                .count(),
        })
        .collect()
}

/// Makes a sales order's total one cent more than it comes to.
pub(crate) fn cent_off(world: &World, number: &str) {
    let mut state = lock(&world.u8);
    let orders = state.documents.get_mut("saleorder").into_iter().flatten();
    for order in orders.filter(|one| get(&one.head, "code") == number) {
        if let Some(line) = order.lines.first_mut() {
            let sum = decimal(line, "sum") + money::CENT;
            put(line, "sum", sum.to_string());
        }
    }
}

/// Receipts.
pub(crate) fn receipts(world: &World) -> Vec<ReceiptState> {
    let state = lock(&world.u8);
    let line = |fields: &Fields| ReceiptLineState {
        order_number: get(fields, "orderid").to_owned(),
        amount: decimal(fields, "originalamount"),
    };
    let receipts = state.all("accept").iter().map(|one| ReceiptState {
        id: one.id,
        number: get(&one.head, "vouchcode").to_owned(),
        status: if get(&one.head, "!checker").is_empty() { "A" } else { "C" }.to_owned(),
        cancel_status: "A".to_owned(),
        customer: get(&one.head, "customercode").to_owned(),
        currency: get(&one.head, "foreigncurrency").to_owned(),
        amount: decimal(&one.head, "originalamount"),
        lines: one.lines.iter().map(line).collect(),
        approved: String::new(),
        modified: String::new(),
    });
    receipts.collect()
}

/// A document with all its tags.
pub(crate) fn document(world: &World, roottag: &str, number: &str) -> Option<serde_json::Value> {
    let template = template(roottag)?;
    let state = lock(&world.u8);
    let tag = if template.number.is_empty() { "reserve2" } else { template.number };
    let found = state.all(roottag).iter().find(|one| get(&one.head, tag) == number)?;
    let fields = |fields: &Fields| -> serde_json::Value {
        let shown = fields.iter().filter(|(tag, _)| !tag.starts_with('!'));
        shown.map(|(tag, text)| (tag.clone(), text.clone().into())).collect::<serde_json::Map<_, _>>().into()
    };
    let lines: Vec<serde_json::Value> = found.lines.iter().map(fields).collect();
    Some(serde_json::json!({"id": found.id, "header": fields(&found.head), "entry": lines}))
}
