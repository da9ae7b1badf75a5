//! Functions over the lines of a document.

use crate::code::{Access, Code};
use crate::eval::{Env, range};
use crate::rows::{Memo, Rows, Slot};
use crate::share::shares;
use crate::typing::Type;
use crate::value::{Val, shown, wrong};
use rust_decimal::Decimal;
use tongbao_model::{Code as FaultCode, Fault, decimal};

impl<'a> Env<'a> {
    /// The share of this line: all lines are worked out at once and kept.
    pub fn share(&self, amount: &Code, weight: &Code, places: u32, memo: usize) -> Result<Decimal, Fault> {
        let kept = |item| match self.rows.memo(item, memo).map(std::cell::Cell::get) {
            Some(Memo::Number(share)) => Some(share),
            _ => None,
        };
        if let Some(share) = kept(self.item) {
            return Ok(share);
        }
        let whole = self.number(amount)?;
        let mut weights = Vec::with_capacity(self.rows.count);
        for item in 0..self.rows.count {
            weights.push(Env { item, ..*self }.number(weight)?);
        }
        let shares = shares(whole, &weights, places).ok_or_else(|| {
            Fault::new(
                FaultCode::NumberRange,
                format!("无法把 {whole} 分摊到 {} 行：小数位数、权重正负或权重合计不允许", weights.len()),
                format!("{whole} cannot be spread over {} lines: its places, the signs or the sum of the weights forbid it", weights.len()),
            )
        })?;
        for (item, share) in shares.into_iter().enumerate() {
            if let Some(cell) = self.rows.memo(item, memo) {
                cell.set(Memo::Number(share));
            }
        }
        kept(self.item).ok_or_else(range)
    }

    /// Items of a list; `None` when it is absent.
    pub fn items(&self, list: &Access) -> Result<Option<&'a Rows<'a>>, Fault> {
        match self.slot(list) {
            Slot::List(rows) => match rows.odd {
                None => Ok(Some(rows)),
                Some(odd) => Err(Fault::new(FaultCode::FieldType, "应为对象", "expected an object")
                    .at(format!("{}[{}]", self.shown(list), odd + 1))),
            },
            Slot::Absent => Ok(None),
            _ => Err(wrong(Type::List, "").at(self.shown(list))),
        }
    }

    /// What a function over a list comes to.
    pub fn over_list(&self, code: &Code) -> Result<Option<Val<'a>>, Fault> {
        let Some(list) = code.access() else { return Ok(None) };
        let rows = self.items(list)?;
        let items = (0..rows.map_or(0, |rows| rows.count))
            .filter_map(|item| rows.map(|rows| self.within(rows, list, item)));
        Ok(Some(match code {
            Code::Count(_, None) => Val::Number(items.count().into()),
            Code::Count(_, Some(condition)) => {
                let mut count = 0_u64;
                for item in items {
                    count += u64::from(item.bool(condition)?);
                }
                Val::Number(count.into())
            }
            Code::Sum(_, amount) => {
                let mut total = Decimal::ZERO;
                for item in items {
                    total = decimal::add(total, item.number(amount)?).ok_or_else(range)?;
                }
                Val::Number(total)
            }
            Code::Every(any, _, condition) => {
                for item in items {
                    if item.bool(condition)? == *any {
                        return Ok(Some(Val::Bool(*any)));
                    }
                }
                Val::Bool(!any)
            }
            Code::Join(_, text, between) => {
                let mut joined = String::new();
                for item in items {
                    if let Some(text) = item.run(text)? {
                        if !joined.is_empty() {
                            joined.push_str(between);
                        }
                        joined.push_str(&shown(&text));
                    }
                }
                Val::Text(joined.into())
            }
            Code::Lookup(_, key, value, field) => {
                let wanted = self.text(value)?;
                for item in items {
                    if item.run(key)?.is_some_and(|key| shown(&key) == wanted) {
                        // The item's own path is lost with it; its values are the document's and stay.
                        return item.run(field).map(|found| found.map(owned));
                    }
                }
                return Ok(None);
            }
            _ => return Ok(None),
        }))
    }
}

fn owned<'a>(value: Val<'_>) -> Val<'a> {
    match value {
        Val::Plain(_, digits, scale) => Val::Number(Decimal::new(digits, scale)),
        Val::Number(value) => Val::Number(value),
        Val::Text(text) => Val::Text(text.into_owned().into()),
        Val::Bool(value) => Val::Bool(value),
        Val::Date(value) => Val::Date(value),
        Val::Time(value) => Val::Time(value),
    }
}
