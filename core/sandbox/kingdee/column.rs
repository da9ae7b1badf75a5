//! Keys of queries resolved to places in a bill.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    forms::{Entity, Form, Kind},
    reply::{CODE_MISSING, Failure},
    store::{Bill, Fields, FieldsExt, Row, Store, Val, print, print_id},
};
use crate::config::KingdeeConfig;

/// What of a base-data reference is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The field itself; for a reference its internal id.
    Plain,
    Number,
    Name,
    /// Another field of the referenced record.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Id,
    Number,
    Head(String),
    /// Field of a one-row entity.
    Single(String, String),
    /// Entry id of the n-th touched entity.
    EntryId(usize),
    Seq(usize),
    Entry(usize, String),
    /// Field of the first row below an entry row.
    Sub(usize, String, String),
    /// Form without a description: header, else the first row that has it.
    Anywhere(String),
}

/// A resolved key.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub place: Place,
    pub kind: Kind,
    pub part: Part,
}

/// Resolves keys of one form and remembers which row entities they touch.
pub(super) struct Resolver {
    pub form: Arc<Form>,
    /// Upper-case keys of the touched entities; rows are expanded over them.
    pub touched: Vec<String>,
}

impl Resolver {
    pub fn new(form: Arc<Form>) -> Self {
        Self { form, touched: Vec::new() }
    }

    fn slot(&mut self, entity: &str) -> usize {
        let upper = entity.to_ascii_uppercase();
        self.touched.iter().position(|known| *known == upper).unwrap_or_else(|| {
            self.touched.push(upper);
            self.touched.len() - 1
        })
    }

    /// Resolves `FBillNo`, `FCustId.FNumber`, `FSaleOrderEntry_FEntryID`, `FAllAmount`, `FSaleOrderFinance.FBillAmount` …
    pub fn resolve(&mut self, text: &str) -> Result<Column, Failure> {
        let missing = || Failure::new(Some(""), format!("元数据中标识为{text}的字段不存在"), CODE_MISSING);
        let upper = text.trim().to_ascii_uppercase();
        let form = Arc::clone(&self.form);
        let (mut name, mut part) = split_part(&upper);
        // `Entity.Field` names the place, not a part of a reference.
        if let Some((entity, field)) = upper.split_once('.')
            && let Some(found) = form.entity(entity)
        {
            (name, part) = split_part(field);
            return self.in_entity(found, name, part).ok_or_else(missing);
        }
        if name == form.pk.to_ascii_uppercase() && part == Part::Plain {
            return Ok(Column { place: Place::Id, kind: Kind::Int, part });
        }
        if name == form.number_key.to_ascii_uppercase() && part == Part::Plain {
            return Ok(Column { place: Place::Number, kind: Kind::Text, part });
        }
        if let Some(field) = form.head.fields.get(name) {
            return Ok(Column { place: Place::Head(name.to_owned()), kind: field.kind.clone(), part });
        }
        if let Some(column) =
            form.entities.iter().find_map(|entity| self.in_entity(entity, name, part.clone()))
        {
            return Ok(column);
        }
        if form.known || !name.starts_with('F') {
            return Err(missing());
        }
        Ok(Column { place: Place::Anywhere(name.to_owned()), kind: Kind::Any, part })
    }

    fn in_entity(&mut self, entity: &Entity, name: &str, part: Part) -> Option<Column> {
        let prefix = format!("{}_", entity.key.to_ascii_uppercase());
        let bare = name.strip_prefix(&prefix).unwrap_or(name);
        if !entity.single && (name != bare || name == "FENTRYID") && (bare == "FENTRYID" || bare == "FSEQ") {
            let slot = self.slot(&entity.key);
            let place = if bare == "FSEQ" { Place::Seq(slot) } else { Place::EntryId(slot) };
            return Some(Column { place, kind: Kind::Int, part });
        }
        if let Some(field) = entity.fields.get(name) {
            let place = if entity.single {
                Place::Single(entity.key.to_ascii_uppercase(), name.to_owned())
            } else {
                Place::Entry(self.slot(&entity.key), name.to_owned())
            };
            return Some(Column { place, kind: field.kind.clone(), part });
        }
        let sub = entity.subs.iter().find(|sub| sub.fields.contains_key(name))?;
        let kind = sub.fields.get(name)?.kind.clone();
        let slot = self.slot(&entity.key);
        Some(Column { place: Place::Sub(slot, sub.key.to_ascii_uppercase(), name.to_owned()), kind, part })
    }
}

fn split_part(upper: &str) -> (&str, Part) {
    match upper.split_once('.') {
        None => (upper, Part::Plain),
        Some((name, "FNUMBER")) => (name, Part::Number),
        Some((name, "FNAME")) => (name, Part::Name),
        Some((name, other)) => (name, Part::Other(other.to_owned())),
    }
}

/// One result row: a bill and one row (or none) of each touched entity, with its position.
pub(super) struct Spot<'a> {
    pub bill: &'a Bill,
    pub rows: &'a [Option<(usize, &'a Row)>],
}

impl Column {
    /// The value at a spot. References come as their code, name or internal id by what was asked for.
    pub fn val(&self, store: &Store, spot: &Spot<'_>) -> Val {
        let row = |slot: &usize| spot.rows.get(*slot).copied().flatten();
        let field = |fields: &Fields, key: &str| self.part_of(store, fields.val(key));
        match &self.place {
            Place::Id => Val::Num(Decimal::from(spot.bill.id)),
            Place::Number => Val::Text(spot.bill.number.clone()),
            Place::Head(key) => field(&spot.bill.fields, key),
            Place::Single(entity, key) => {
                spot.bill.rows(entity).first().map_or(Val::Null, |row| field(&row.fields, key))
            }
            Place::EntryId(slot) => row(slot).map_or(Val::Null, |(_, row)| Val::Num(Decimal::from(row.id))),
            Place::Seq(slot) => row(slot).map_or(Val::Null, |(seq, _)| Val::Num(Decimal::from(seq + 1))),
            Place::Entry(slot, key) => row(slot).map_or(Val::Null, |(_, row)| field(&row.fields, key)),
            Place::Sub(slot, sub, key) => row(slot)
                .and_then(|(_, row)| row.subs.get(sub)?.first())
                .map_or(Val::Null, |row| field(&row.fields, key)),
            Place::Anywhere(key) => {
                let own = spot.bill.fields.get(key);
                let found =
                    own.or_else(|| spot.bill.entities.values().flatten().find_map(|row| row.fields.get(key)));
                found.map_or(Val::Null, |val| self.part_of(store, val))
            }
        }
    }

    fn part_of(&self, store: &Store, val: &Val) -> Val {
        let Val::Ref(code) = val else { return val.clone() };
        let form = match &self.kind {
            Kind::Base(form) => form.as_str(),
            _ => "",
        };
        match &self.part {
            Part::Number => Val::Text(code.clone()),
            Part::Plain => store.base(form, code).map_or(Val::Null, |base| Val::Num(Decimal::from(base.id))),
            Part::Name => store.base(form, code).map_or(Val::Null, |base| base.fields.val("FNAME").clone()),
            Part::Other(key) => store.base(form, code).map_or(Val::Null, |base| base.fields.val(key).clone()),
        }
    }

    /// The value as the server prints it.
    pub fn print(&self, config: &KingdeeConfig, store: &Store, spot: &Spot<'_>) -> Value {
        let val = self.val(store, spot);
        if matches!(self.place, Place::Id | Place::EntryId(_)) {
            return val
                .num()
                .and_then(|id| i64::try_from(id).ok())
                .map_or(Value::Null, |id| print_id(config, id));
        }
        let kind = match (&self.kind, &self.part) {
            (Kind::Base(_), Part::Plain) if val != Val::Null => &Kind::Int,
            (_, Part::Plain) => &self.kind,
            _ => &Kind::Any,
        };
        print(config, kind, &val)
    }
}
