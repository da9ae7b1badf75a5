//! Where bills and base data are kept: per form by id and by number.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use rust_decimal::Decimal;
use serde_json::Value;

use super::forms::{Form, Forms, Kind};
use crate::{
    config::{KingdeeConfig, NumberStyle},
    money,
};

/// A stored value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val {
    Null,
    Text(String),
    Num(Decimal),
    Flag(bool),
    /// A reference to base data by its code.
    Ref(String),
}

impl Val {
    /// Nothing a required field may hold.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) | Self::Ref(text) => text.trim().is_empty(),
            Self::Num(_) | Self::Flag(_) => false,
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Ref(text) => text,
            _ => "",
        }
    }

    pub fn num(&self) -> Option<Decimal> {
        match self {
            Self::Num(number) => Some(*number),
            Self::Text(text) => money::parse(text),
            _ => None,
        }
    }
}

/// Fields by upper-case key.
pub(crate) type Fields = BTreeMap<String, Val>;

/// Reads fields without caring whether they are there.
pub(crate) trait FieldsExt {
    fn val(&self, key: &str) -> &Val;
    fn num_or_zero(&self, key: &str) -> Decimal;
    fn put(&mut self, key: &str, val: Val);
}

impl FieldsExt for Fields {
    fn val(&self, key: &str) -> &Val {
        self.get(key).unwrap_or(&Val::Null)
    }

    fn num_or_zero(&self, key: &str) -> Decimal {
        self.val(key).num().unwrap_or_default()
    }

    fn put(&mut self, key: &str, val: Val) {
        self.insert(key.to_owned(), val);
    }
}

/// An entry row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub id: i64,
    pub fields: Fields,
    pub subs: BTreeMap<String, Vec<Row>>,
}

/// A bill or a base-data record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bill {
    pub id: i64,
    pub number: String,
    pub fields: Fields,
    /// Rows by upper-case entity key; object entities hold one row.
    pub entities: BTreeMap<String, Vec<Row>>,
    /// Quantity or amount already pushed down, by entry id.
    pub pushed: BTreeMap<i64, Decimal>,
}

impl Bill {
    pub fn status(&self) -> &str {
        self.fields.val("FDOCUMENTSTATUS").text()
    }

    pub fn set_status(&mut self, status: &str) {
        self.fields.put("FDOCUMENTSTATUS", Val::Text(status.to_owned()));
    }

    pub fn rows(&self, entity: &str) -> &[Row] {
        self.entities.get(entity).map_or(&[], Vec::as_slice)
    }
}

/// All records of one form.
#[derive(Debug)]
pub(crate) struct Table {
    pub form: Arc<Form>,
    pub bills: BTreeMap<i64, Bill>,
    pub by_number: HashMap<String, i64>,
    /// Numbers the integration user may not see (data permission).
    pub hidden: HashSet<String>,
}

impl Table {
    pub fn by_number(&self, number: &str) -> Option<&Bill> {
        self.by_number.get(number).and_then(|id| self.bills.get(id))
    }

    pub fn insert(&mut self, bill: Bill) {
        if !bill.number.is_empty() {
            self.by_number.insert(bill.number.clone(), bill.id);
        }
        self.bills.insert(bill.id, bill);
    }

    pub fn remove(&mut self, id: i64) -> Option<Bill> {
        let bill = self.bills.remove(&id)?;
        if self.by_number.get(&bill.number) == Some(&id) {
            self.by_number.remove(&bill.number);
        }
        Some(bill)
    }
}

/// Asynchronous tasks kept; older ones are forgotten.
const MAX_TASKS: usize = 1024;

/// A started asynchronous call.
#[derive(Debug)]
pub(crate) struct Task {
    pub result: Value,
    pub polls_left: u32,
    pub never_ends: bool,
}

/// Everything of one account set that changes.
pub(crate) struct Store {
    pub forms: Forms,
    tables: HashMap<String, Table>,
    next_id: i64,
    next_entry: i64,
    next_number: u64,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
}

impl Store {
    pub fn new(config: &KingdeeConfig) -> Self {
        Self {
            forms: Forms::new(&config.custom_fields),
            tables: HashMap::new(),
            next_id: 100_001,
            next_entry: 300_001,
            next_number: 1,
            tasks: BTreeMap::new(),
            next_task: 1,
        }
    }

    pub fn new_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub fn new_entry_id(&mut self) -> i64 {
        let id = self.next_entry;
        self.next_entry += 1;
        id
    }

    /// The next number of the coding rule; numbers given by callers are skipped.
    pub fn new_number(&mut self, form: &str) -> String {
        let prefix: String = form.chars().filter(char::is_ascii_uppercase).take(4).collect();
        loop {
            let number = format!("{prefix}{:08}", self.next_number);
            self.next_number += 1;
            if self.table(form).is_none_or(|table| table.by_number(&number).is_none()) {
                return number;
            }
        }
    }

    pub fn table(&self, form: &str) -> Option<&Table> {
        match self.tables.get(form) {
            Some(table) => Some(table),
            None => self.tables.get(&form.to_ascii_uppercase()),
        }
    }

    pub fn table_mut(&mut self, form: &str) -> &mut Table {
        let key = form.to_ascii_uppercase();
        let forms = &self.forms;
        self.tables.entry(key).or_insert_with(|| Table {
            form: forms.get(form),
            bills: BTreeMap::new(),
            by_number: HashMap::new(),
            hidden: HashSet::new(),
        })
    }

    pub fn form(&self, form: &str) -> Arc<Form> {
        self.table(form).map_or_else(|| self.forms.get(form), |table| Arc::clone(&table.form))
    }

    /// The base-data record a reference means.
    pub fn base(&self, form: &str, code: &str) -> Option<&Bill> {
        self.table(form)?.by_number(code)
    }

    /// Whether bills may refer to this record: present and, when the setting asks for it, audited and not forbidden.
    pub fn usable(&self, config: &KingdeeConfig, form: &str, code: &str) -> bool {
        self.base(form, code).is_some_and(|record| {
            !config.require_usable_base_data
                || (record.status() == "C" && record.fields.val("FFORBIDSTATUS").text() != "B")
        })
    }

    /// Adds an audited base-data record unless the number is there; returns whether it was added.
    pub fn seed(&mut self, form: &str, number: &str, name: &str, more: &[(&str, Val)]) -> bool {
        if self.base(form, number).is_some() {
            return false;
        }
        let mut fields = Fields::new();
        for (key, text) in [("FNAME", name), ("FDOCUMENTSTATUS", "C"), ("FFORBIDSTATUS", "A")] {
            fields.put(key, Val::Text(text.to_owned()));
        }
        for (key, val) in more {
            fields.put(&key.to_ascii_uppercase(), val.clone());
        }
        let bill = Bill { id: self.new_id(), number: number.to_owned(), fields, ..Bill::default() };
        self.table_mut(form).insert(bill);
        true
    }

    pub fn start_task(&mut self, task: Task, keep: bool) -> u64 {
        let id = self.next_task;
        self.next_task += 1;
        if keep {
            self.tasks.insert(id, task);
        }
        while self.tasks.len() > MAX_TASKS {
            self.tasks.pop_first();
        }
        id
    }

    pub fn task_mut(&mut self, id: u64) -> Option<&mut Task> {
        self.tasks.get_mut(&id)
    }
}

/// A value the way the server prints it in query results.
pub(crate) fn print(config: &KingdeeConfig, kind: &Kind, val: &Val) -> Value {
    match val {
        Val::Null => match kind {
            Kind::Amount | Kind::Quantity => money::float_number(Decimal::ZERO),
            Kind::Int => Value::from(0),
            Kind::Flag => Value::Bool(false),
            Kind::Text | Kind::Enum => Value::String(" ".to_owned()),
            Kind::Date | Kind::Base(_) | Kind::Any => Value::Null,
        },
        Val::Text(text) | Val::Ref(text) => Value::String(text.clone()),
        Val::Flag(flag) => Value::Bool(*flag),
        Val::Num(number) => match kind {
            Kind::Int if number.is_integer() => {
                i64::try_from(*number).map_or_else(|_| money::float_number(*number), Value::from)
            }
            Kind::Quantity if config.numbers == NumberStyle::Padded => money::padded_number(*number, 10),
            _ => money::float_number(*number),
        },
    }
}

/// An id, as a number or as text by the setting.
pub(crate) fn print_id(config: &KingdeeConfig, id: i64) -> Value {
    if config.ids_as_strings { Value::String(id.to_string()) } else { Value::from(id) }
}
