//! Running expressions over a document.

use crate::code::{Access, Code};
use crate::expr::Operator;
use crate::rows::{Memo, Rows, Slot};
use crate::typing::Type;
use crate::value::{Val, from_text, number, shown, wrong};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use tongbao_model::{Code as FaultCode, Fault, decimal};

/// What an expression sees: the document, and within a list the item it stands at.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub root: &'a Rows<'a>,
    pub rows: &'a Rows<'a>,
    pub item: usize,
    /// Path of the list; empty at the top.
    pub list: &'a str,
    pub outer: Option<&'a Env<'a>>,
    pub zone: &'a TimeZone,
}

impl<'a> Env<'a> {
    /// At the top of a document.
    pub fn new(root: &'a Rows<'a>, zone: &'a TimeZone) -> Env<'a> {
        Env { root, rows: root, item: 0, list: "", outer: None, zone }
    }

    /// At an item of a list.
    pub fn within(&'a self, rows: &'a Rows<'a>, list: &'a Access, item: usize) -> Env<'a> {
        let outer = if list.from_root { None } else { Some(self) };
        Env { rows, item, list: list.path.strip_prefix("root.").unwrap_or(&list.path), outer, ..*self }
    }

    /// Where a value lies.
    pub fn slot(&self, access: &Access) -> &'a Slot<'a> {
        if access.from_root { self.root.slot(0, access.slot) } else { self.rows.slot(self.item, access.slot) }
    }

    fn prefix(&self) -> String {
        if self.list.is_empty() {
            return String::new();
        }
        let above = self.outer.map(Env::prefix).unwrap_or_default();
        format!("{above}{}[{}].", self.list, self.item + 1)
    }

    /// The path as people read it: `lines[2].quantity`.
    pub fn shown(&self, access: &Access) -> String {
        if access.from_root {
            return access.path.strip_prefix("root.").unwrap_or(&access.path).to_owned();
        }
        format!("{}{}", self.prefix(), access.path)
    }

    fn read(&self, access: &Access, kind: Type) -> Result<Option<Val<'a>>, Fault> {
        let value = match (self.slot(access), kind) {
            (Slot::Absent, _) => return Ok(None),
            (Slot::Number(text), Type::Number(_)) => number(text),
            (Slot::Text(text), kind) => from_text(text, kind, self.zone),
            (Slot::Bool(flag), Type::Bool) => Ok(Val::Bool(*flag)),
            (Slot::Number(text), kind) => Err(wrong(kind, text)),
            (Slot::Bool(flag), kind) => Err(wrong(kind, &flag.to_string())),
            (Slot::Wrong(found), kind) => Err(wrong(kind, found)),
            (Slot::Record, kind) => Err(wrong(kind, "an object")),
            (Slot::List(_), kind) => Err(wrong(kind, "an array")),
        };
        value.map(Some).map_err(|fault| fault.at(self.shown(access)))
    }

    /// The fault of a value that is needed and not there.
    pub fn missing(&self, code: &Code) -> Fault {
        let fault = Fault::new(FaultCode::FieldMissing, "缺少字段", "a field is missing");
        match code.first_field() {
            Some(access) => fault.at(self.shown(access)),
            None => fault,
        }
    }

    /// Evaluates where a value is needed.
    pub fn need(&self, code: &Code) -> Result<Val<'a>, Fault> {
        self.run(code)?.ok_or_else(|| self.missing(code))
    }

    /// Evaluates where a number is needed.
    pub fn number(&self, code: &Code) -> Result<Decimal, Fault> {
        // The usual cases without a value in between.
        match code {
            Code::Number(value) => return Ok(*value),
            Code::Field(access, Type::Number(_)) => {
                if let Slot::Text(text) | Slot::Number(text) = self.slot(access)
                    && let Some((digits, scale)) = decimal::plain(text)
                {
                    return Ok(Decimal::new(digits, scale));
                }
            }
            Code::Memo(of_root, memo, _) => {
                if let Some(Memo::Number(value)) = self.kept(*of_root, *memo) {
                    return Ok(value);
                }
            }
            Code::Binary(
                operator @ (Operator::Add | Operator::Subtract | Operator::Multiply),
                left,
                right,
            ) => {
                return self.arithmetic(*operator, left, right);
            }
            _ => {}
        }
        let value = self.need(code)?;
        value.number().ok_or_else(|| defect(&value))
    }

    fn arithmetic(&self, operator: Operator, left: &Code, right: &Code) -> Result<Decimal, Fault> {
        let (left, right) = (self.number(left)?, self.number(right)?);
        let result = match operator {
            Operator::Multiply => decimal::multiply(left, right),
            Operator::Subtract => decimal::add(left, -right),
            _ => decimal::add(left, right),
        };
        result.ok_or_else(range)
    }

    fn kept(&self, of_root: bool, memo: usize) -> Option<Memo> {
        let (rows, item) = if of_root { (self.root, 0) } else { (self.rows, self.item) };
        rows.memo(item, memo).map(std::cell::Cell::get)
    }

    /// Evaluates a condition; an absent field makes a comparison fail with a fault, never silently.
    pub fn bool(&self, code: &Code) -> Result<bool, Fault> {
        match code {
            Code::Present(access) => return Ok(!matches!(self.slot(access), Slot::Absent)),
            Code::Not(inner) => return Ok(!self.bool(inner)?),
            Code::Binary(operator, left, right) => return self.condition(*operator, left, right),
            _ => {}
        }
        match self.need(code)? {
            Val::Bool(value) => Ok(value),
            other => Err(defect(&other)),
        }
    }

    /// A text.
    pub fn text(&self, code: &Code) -> Result<String, Fault> {
        self.need(code).map(|value| shown(&value).into_owned())
    }

    /// Evaluates; `None` when the value is absent.
    pub fn run(&self, code: &Code) -> Result<Option<Val<'a>>, Fault> {
        let value = match code {
            Code::Number(value) => Val::Number(*value),
            Code::Text(text) => Val::Text(text.clone().into()),
            Code::Bool(value) => Val::Bool(*value),
            Code::Field(access, kind) => return self.read(access, *kind),
            Code::Present(_) | Code::Not(_) => Val::Bool(self.bool(code)?),
            Code::Negate(inner) => Val::Number(-self.number(inner)?),
            Code::Abs(inner) => Val::Number(self.number(inner)?.abs()),
            Code::Round(inner, places) => Val::Number(decimal::round_half_up(self.number(inner)?, *places)),
            Code::Divide(left, right, places) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                let quotient = left.checked_div(right).ok_or_else(range)?;
                Val::Number(decimal::round_half_up(quotient, *places))
            }
            Code::Net(gross, rate) => {
                let split = decimal::split_tax(self.number(gross)?, self.number(rate)?);
                Val::Number(split.ok_or_else(range)?.0)
            }
            Code::Extreme(greater, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                Val::Number(if *greater { left.max(right) } else { left.min(right) })
            }
            Code::If(condition, then, otherwise) => {
                return self.run(if self.bool(condition)? { then } else { otherwise });
            }
            Code::Coalesce(codes) => {
                for code in codes {
                    if let Some(value) = self.run(code)? {
                        return Ok(Some(value));
                    }
                }
                return Ok(None);
            }
            Code::Concat(codes) => {
                let mut text = String::new();
                for code in codes {
                    text.push_str(&shown(&self.need(code)?));
                }
                Val::Text(text.into())
            }
            Code::Left(inner, length) => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                let mut text = self.text(inner)?;
                if let Some((end, _)) = text.char_indices().nth(length) {
                    text.truncate(end);
                }
                Val::Text(text.into())
            }
            Code::Trim(inner) => Val::Text(self.text(inner)?.trim().to_owned().into()),
            Code::Upper(inner) => Val::Text(self.text(inner)?.to_uppercase().into()),
            Code::Format(inner, format) => Val::Text(self.format(inner, format)?.into()),
            Code::Millis(inner) => match self.need(inner)? {
                Val::Time(time) => Val::Number(time.as_millisecond().into()),
                other => return Err(defect(&other)),
            },
            Code::DateOf(inner) => match self.need(inner)? {
                Val::Time(time) => Val::Date(time.to_zoned(self.zone.clone()).date()),
                other => return Err(defect(&other)),
            },
            Code::Memo(of_root, memo, inner) => return self.memo(*of_root, *memo, inner).map(Some),
            Code::Share(amount, weight, places, memo) => {
                Val::Number(self.share(amount, weight, *places, *memo)?)
            }
            Code::Count(_, _)
            | Code::Sum(_, _)
            | Code::Every(_, _, _)
            | Code::Join(_, _, _)
            | Code::Lookup(_, _, _, _) => return self.over_list(code),
            Code::Binary(Operator::Add | Operator::Subtract | Operator::Multiply, _, _) => {
                Val::Number(self.number(code)?)
            }
            Code::Binary(_, _, _) => Val::Bool(self.bool(code)?),
        };
        Ok(Some(value))
    }

    fn format(&self, code: &Code, format: &str) -> Result<String, Fault> {
        let formatted = match self.need(code)? {
            Val::Date(date) => strtime::format(format, date),
            Val::Time(time) => strtime::format(format, &time.to_zoned(self.zone.clone())),
            other => return Err(defect(&other)),
        };
        formatted.map_err(|_| Fault::new(FaultCode::DateInvalid, "日期超出范围", "the date is out of range"))
    }

    /// A result that is worked out once. An absent value is not kept: it ends in a fault or in another branch.
    fn memo(&self, of_root: bool, memo: usize, code: &Code) -> Result<Val<'a>, Fault> {
        match self.kept(of_root, memo) {
            Some(Memo::Number(value)) => return Ok(Val::Number(value)),
            Some(Memo::Date(value)) => return Ok(Val::Date(value)),
            Some(Memo::Time(value)) => return Ok(Val::Time(value)),
            Some(Memo::Empty) | None => {}
        }
        let value = self.need(code)?;
        let (rows, item) = if of_root { (self.root, 0) } else { (self.rows, self.item) };
        let Some(cell) = rows.memo(item, memo) else { return Ok(value) };
        match &value {
            Val::Date(date) => cell.set(Memo::Date(*date)),
            Val::Time(time) => cell.set(Memo::Time(*time)),
            other => cell.set(other.number().map_or(Memo::Empty, Memo::Number)),
        }
        Ok(value)
    }

    fn condition(&self, operator: Operator, left: &Code, right: &Code) -> Result<bool, Fault> {
        match operator {
            Operator::Or => return Ok(self.bool(left)? || self.bool(right)?),
            Operator::And => return Ok(self.bool(left)? && self.bool(right)?),
            _ => {}
        }
        let order = if is_number(left) {
            self.number(left)?.cmp(&self.number(right)?)
        } else {
            let (left, right) = (self.need(left)?, self.need(right)?);
            match (&left, &right) {
                (Val::Text(a), Val::Text(b)) => a.cmp(b),
                (Val::Bool(a), Val::Bool(b)) => a.cmp(b),
                (Val::Date(a), Val::Date(b)) => a.cmp(b),
                (Val::Time(a), Val::Time(b)) => a.cmp(b),
                (a, b) => match (a.number(), b.number()) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    (_, _) => return Err(defect(a)),
                },
            }
        };
        Ok(match operator {
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => order.is_ne(),
            Operator::Less => order.is_lt(),
            Operator::LessEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        })
    }
}

/// Whether the expression is surely a number; the checker sees to it that what it is compared with is one too.
fn is_number(code: &Code) -> bool {
    matches!(
        code,
        Code::Field(_, Type::Number(_))
            | Code::Number(_)
            | Code::Sum(_, _)
            | Code::Round(_, _)
            | Code::Net(_, _)
    )
}

/// A number that left the range of exact arithmetic.
pub fn range() -> Fault {
    Fault::new(
        FaultCode::NumberRange,
        "数值超出可精确计算的范围",
        "the number leaves the range of exact arithmetic",
    )
}

/// The checker rules this out; reaching it is our mistake, and still no reason to stop the process.
fn defect(value: &Val<'_>) -> Fault {
    Fault::new(FaultCode::Defect, "表达式类型未被检查", "an expression of a type that was not checked")
        .value(shown(value))
}
