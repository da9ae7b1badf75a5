//! What a form is: its keys, kinds, required marks and entities, read once from the table in `forms_data`.

use std::{collections::HashMap, sync::Arc};

use super::forms_data::FORMS;
use crate::config::CustomField;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Flag,
    Date,
    /// Money, two decimals when computed.
    Amount,
    /// Quantity, price, rate: up to ten decimals.
    Quantity,
    Enum,
    /// Base data of the named form.
    Base(String),
    /// Whatever comes (forms the stand-in does not know).
    Any,
}

/// One field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    /// Documented casing.
    pub key: String,
    pub kind: Kind,
    pub required: bool,
    /// Name in messages; the key without `F` when not known.
    pub label: String,
}

impl Field {
    /// Property name in `View`: no `F` prefix, custom fields (`F_...`) keep theirs.
    pub fn orm(&self) -> String {
        orm(&self.key)
    }
}

/// Property name in `View` of a key.
pub(crate) fn orm(key: &str) -> String {
    match key.strip_prefix('F') {
        Some(rest) if !rest.starts_with('_') && !rest.is_empty() => rest.to_owned(),
        _ => key.to_owned(),
    }
}

/// A group of fields below the header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entity {
    pub key: String,
    pub label: String,
    /// One row, sent as an object; its fields are header fields in queries.
    pub single: bool,
    /// Upper-case key to field.
    pub fields: HashMap<String, Field>,
    /// Upper-case keys in documented order.
    pub order: Vec<String>,
    pub subs: Vec<Entity>,
}

/// A form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    pub id: String,
    pub label: String,
    pub pk: String,
    pub number_key: String,
    /// False for forms stored without knowing their fields.
    pub known: bool,
    pub head: Entity,
    pub entities: Vec<Entity>,
}

impl Form {
    /// A form without a description: every key is stored as it comes.
    pub fn generic(id: &str) -> Self {
        let base = ["BD_", "ORG_", "BOS_", "SEC_", "CN_"].iter().any(|prefix| id.starts_with(prefix));
        Self {
            id: id.to_owned(),
            label: id.to_owned(),
            pk: if id == "GL_VOUCHER" { "FVOUCHERID" } else { "FID" }.to_owned(),
            number_key: if base { "FNumber" } else { "FBillNo" }.to_owned(),
            ..Self::default()
        }
    }

    /// Base data (customers, materials, ...) rather than a bill.
    pub fn is_base(&self) -> bool {
        self.number_key == "FNumber"
    }

    /// The entity with this key, any case.
    pub fn entity(&self, key: &str) -> Option<&Entity> {
        self.entities.iter().find(|entity| entity.key.eq_ignore_ascii_case(key))
    }
}

/// All known forms by upper-case id.
pub(crate) struct Forms(HashMap<String, Arc<Form>>);

impl Forms {
    /// Reads the table and adds the account set's custom fields.
    pub fn new(custom: &[CustomField]) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for line in FORMS.lines() {
            read_line(&mut forms, line);
        }
        for field in custom {
            let Some(form) = forms.iter_mut().find(|form| form.id.eq_ignore_ascii_case(&field.form)) else {
                continue;
            };
            let target = match &field.entity {
                None => Some(&mut form.head),
                Some(key) => form.entities.iter_mut().find(|entity| entity.key.eq_ignore_ascii_case(key)),
            };
            if let Some(entity) = target {
                add_field(entity, &format!("{}:a", field.key));
            }
        }
        Self(forms.into_iter().map(|form| (form.id.to_ascii_uppercase(), Arc::new(form))).collect())
    }

    /// The description of a form; unknown ids get generic storage.
    pub fn get(&self, id: &str) -> Arc<Form> {
        self.0.get(&id.to_ascii_uppercase()).cloned().unwrap_or_else(|| Arc::new(Form::generic(id)))
    }
}

fn read_line(forms: &mut Vec<Form>, line: &str) {
    let mut words = line.split_whitespace();
    let Some(what) = words.next() else { return };
    if what == "form" {
        let mut word = || words.next().unwrap_or("").to_owned();
        forms.push(Form {
            id: word(),
            pk: word(),
            number_key: word(),
            label: word(),
            known: true,
            ..Form::default()
        });
        return;
    }
    let Some(form) = forms.last_mut() else { return };
    let mut entity = Entity { single: what == "object", ..Entity::default() };
    if what != "head" {
        entity.key = words.next().unwrap_or("").to_owned();
    }
    if what == "rows" {
        entity.label = words.next().unwrap_or("").to_owned();
    }
    for word in words {
        add_field(&mut entity, word);
    }
    match what {
        "head" => form.head = entity,
        "sub" => {
            if let Some(parent) = form.entities.last_mut() {
                parent.subs.push(entity);
            }
        }
        _ => form.entities.push(entity),
    }
}

fn add_field(entity: &mut Entity, word: &str) {
    let (key, rest) = word.split_once(':').unwrap_or((word, "t"));
    let (rest, label) = rest.split_once('=').map_or((rest, None), |(kind, label)| (kind, Some(label)));
    let (kind, required) = rest.strip_suffix('*').map_or((rest, false), |kind| (kind, true));
    let kind = match kind {
        "t" => Kind::Text,
        "i" => Kind::Int,
        "b" => Kind::Flag,
        "d" => Kind::Date,
        "m" => Kind::Amount,
        "q" => Kind::Quantity,
        "e" => Kind::Enum,
        "a" => Kind::Any,
        form => Kind::Base(form.to_owned()),
    };
    let label = label.map_or_else(|| orm(key), str::to_owned);
    let upper = key.to_ascii_uppercase();
    entity.fields.insert(upper.clone(), Field { key: key.to_owned(), kind, required, label });
    entity.order.push(upper);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table() {
        let forms =
            Forms::new(&[CustomField { form: "sal_saleorder".into(), entity: None, key: "F_TB_No".into() }]);
        let order = forms.get("sal_SALEORDER");
        assert!(order.known);
        assert_eq!(order.head.fields["FCUSTID"].kind, Kind::Base("BD_Customer".into()));
        assert!(order.head.fields["FCUSTID"].required);
        assert_eq!(order.head.fields["FCUSTID"].label, "客户");
        assert_eq!(order.head.fields["F_TB_NO"].orm(), "F_TB_No");
        assert!(order.entity("FSALEORDERFINANCE").unwrap().single);
        assert_eq!(order.entity("FSaleOrderEntry").unwrap().subs.len(), 2);
        assert!(!forms.get("ER_ExpReimbursement").known);
        assert!(forms.get("BD_Department").is_base());
    }
}
