//! From JSON values of a `Model` to stored fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    envelope::flag,
    forms::{Entity, Field, Form, Kind},
    reply::{CODE_MISSING, CODE_VALIDATION, Failure},
    store::{Fields, Row, Store, Val},
};
use crate::{config::KingdeeConfig, money};

/// Inner keys a base-data reference may carry its code under, any case.
const CODE_KEYS: [&str; 5] = ["FNUMBER", "FSTAFFNUMBER", "FUSERID", "FNAME", "FCONTACTNUMBER"];

/// A date as stored: `yyyy-MM-dd` and `yyyy-MM-dd HH:mm:ss` become `yyyy-MM-ddTHH:mm:ss`; `None` if it is no date.
pub(super) fn date_text(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(stamp) = text.parse::<jiff::civil::DateTime>() {
        return Some(stamp.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.strftime("%Y-%m-%dT00:00:00").to_string())
}

/// Reads the fields and entities of one model.
pub(super) struct Reader<'a> {
    pub config: &'a KingdeeConfig,
    pub store: &'a Store,
    /// `IsVerifyBaseDataField`.
    pub verify: bool,
    pub failures: Vec<Failure>,
}

/// Entry rows of a request: the id the caller gave (0 for new) and the row.
pub(super) type Rows = Vec<(i64, Row)>;

impl Reader<'_> {
    /// The header: known keys only; unknown ones, and wrappers around header fields, vanish silently.
    pub fn header(&mut self, form: &Form, model: &Map<String, Value>) -> Fields {
        let mut fields = Fields::new();
        for (key, value) in model {
            let upper = key.to_ascii_uppercase();
            if form.known {
                if let Some(field) = form.head.fields.get(&upper) {
                    self.field(field, value, &mut fields, &upper);
                }
            } else if !is_rows(value) && upper != form.pk.to_ascii_uppercase() {
                fields.insert(upper, generic(value));
            }
        }
        fields
    }

    /// Every entity of the model by upper-case key.
    pub fn entities(&mut self, form: &Form, model: &Map<String, Value>) -> BTreeMap<String, Rows> {
        let mut out = BTreeMap::new();
        for (key, value) in model {
            let upper = key.to_ascii_uppercase();
            if form.known {
                if let Some(entity) = form.entity(&upper)
                    && let Some(rows) = self.rows(entity, value)
                {
                    out.insert(upper, rows);
                }
            } else if let Value::Array(list) = value
                && is_rows(value)
            {
                out.insert(upper, list.iter().filter_map(generic_row).collect());
            }
        }
        out
    }

    fn rows(&mut self, entity: &Entity, value: &Value) -> Option<Rows> {
        let list: Vec<&Map<String, Value>> = match value {
            Value::Array(list) => list.iter().filter_map(Value::as_object).collect(),
            Value::Object(object) if entity.single => vec![object],
            _ => return None,
        };
        Some(list.into_iter().map(|object| self.row(entity, object)).collect())
    }

    fn row(&mut self, entity: &Entity, object: &Map<String, Value>) -> (i64, Row) {
        let mut row = Row::default();
        let mut id = 0;
        for (key, value) in object {
            let upper = key.to_ascii_uppercase();
            if let Some(field) = entity.fields.get(&upper) {
                self.field(field, value, &mut row.fields, &upper);
            } else if upper == "FENTRYID" || upper == "FDETAILID" {
                id = money::decimal(value).and_then(|id| i64::try_from(id).ok()).unwrap_or(0);
            } else if let Some(sub) = entity.subs.iter().find(|sub| sub.key.eq_ignore_ascii_case(&upper))
                && let Some(rows) = self.rows(sub, value)
            {
                row.subs.insert(upper, rows.into_iter().map(|(_, row)| row).collect());
            }
        }
        (id, row)
    }

    fn field(&mut self, field: &Field, value: &Value, fields: &mut Fields, upper: &str) {
        match self.value(field, value) {
            Ok(Some(val)) => {
                fields.insert(upper.to_owned(), val);
            }
            Ok(None) => {}
            Err(failure) => self.failures.push(failure),
        }
    }

    /// `None` leaves the field untouched (a plain text where a reference is wanted is ignored).
    fn value(&self, field: &Field, value: &Value) -> Result<Option<Val>, Failure> {
        if value.is_null() {
            return Ok(Some(Val::Null));
        }
        let wrong = || {
            let message = format!("字段“{}”的值无效", field.label);
            Failure::new(Some(&field.key), message, CODE_VALIDATION)
        };
        let val = match &field.kind {
            Kind::Base(form) => return self.reference(field, form, value),
            Kind::Amount | Kind::Quantity | Kind::Int => match value.as_str() {
                Some(text) if text.trim().is_empty() => Val::Null,
                _ => Val::Num(money::decimal(value).ok_or_else(wrong)?),
            },
            Kind::Flag => Val::Flag(flag(value).ok_or_else(wrong)?),
            Kind::Date => match value.as_str() {
                Some(text) if text.trim().is_empty() => Val::Null,
                Some(text) => Val::Text(date_text(text).ok_or_else(wrong)?),
                None => return Err(wrong()),
            },
            Kind::Any => generic(value),
            Kind::Text | Kind::Enum => match value {
                Value::String(text) => Val::Text(text.clone()),
                Value::Number(number) => Val::Text(number.to_string()),
                Value::Bool(flag) => Val::Text(flag.to_string()),
                _ => return Ok(None),
            },
        };
        Ok(Some(val))
    }

    fn reference(&self, field: &Field, form: &str, value: &Value) -> Result<Option<Val>, Failure> {
        let Some(code) = code(value) else { return Ok(None) };
        if code.is_empty() {
            return Ok(Some(Val::Null));
        }
        if self.store.usable(self.config, form, &code) {
            return Ok(Some(Val::Ref(code)));
        }
        if self.verify {
            return Err(Failure::new(Some(&field.key), format!("编码值[\"{code}\"]不存在"), CODE_MISSING));
        }
        // Without verification an unknown code turns into an empty reference.
        Ok(Some(Val::Null))
    }
}

/// The code inside a reference object; `None` when the value is no such object.
fn code(value: &Value) -> Option<String> {
    let (_, inner) = value
        .as_object()?
        .iter()
        .find(|(key, _)| CODE_KEYS.iter().any(|known| known.eq_ignore_ascii_case(key)))?;
    match inner {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

fn is_rows(value: &Value) -> bool {
    matches!(value, Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object))
}

/// A value of a form without a description.
fn generic(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Flag(*flag),
        Value::Number(_) => money::decimal(value).map_or(Val::Null, Val::Num),
        Value::String(text) => Val::Text(text.clone()),
        Value::Object(_) => code(value).map_or_else(|| Val::Text(value.to_string()), Val::Ref),
        Value::Array(_) => Val::Text(value.to_string()),
    }
}

fn generic_row(value: &Value) -> Option<(i64, Row)> {
    let mut row = Row::default();
    let mut id = 0;
    for (key, value) in value.as_object()? {
        let upper = key.to_ascii_uppercase();
        if upper == "FENTRYID" {
            id = money::decimal(value).and_then(|id| i64::try_from(id).ok()).unwrap_or(0);
        } else {
            row.fields.insert(upper, generic(value));
        }
    }
    Some((id, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_in_two_forms() {
        assert_eq!(date_text("2026-11-20").as_deref(), Some("2026-11-20T00:00:00"));
        assert_eq!(date_text("2026-11-20 08:09:10").as_deref(), Some("2026-11-20T08:09:10"));
        assert_eq!(date_text("2026-11-20T08:09:10.123").as_deref(), Some("2026-11-20T08:09:10"));
        assert_eq!(date_text("20.11.2026"), None);
        assert_eq!(date_text(""), None);
    }
}
