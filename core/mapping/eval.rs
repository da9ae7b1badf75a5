//! Running expressions over a document.

use crate::expr::Operator;
use crate::typing::Type;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tongbao_model::decimal;
use tongbao_model::shape::TimeForm;
use tongbao_model::{Code as FaultCode, Fault};

/// A resolved path.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub from_root: bool,
    pub steps: Vec<String>,
    pub path: String,
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Code {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Field(Access, Type),
    Present(Access, Type),
    Not(Box<Code>),
    Negate(Box<Code>),
    Abs(Box<Code>),
    Round(Box<Code>, u32),
    Divide(Box<Code>, Box<Code>, u32),
    Net(Box<Code>, Box<Code>),
    Tax(Box<Code>, Box<Code>),
    Extreme(bool, Box<Code>, Box<Code>),
    If(Box<Code>, Box<Code>, Box<Code>),
    Coalesce(Vec<Code>),
    Concat(Vec<Code>),
    Left(Box<Code>, u32),
    Sum(Access, Box<Code>),
    Count(Access),
    Millis(Box<Code>),
    DateOf(Box<Code>),
    Binary(Operator, Box<Code>, Box<Code>),
}

/// A value in flight.
#[derive(Debug, Clone, PartialEq)]
pub enum Val<'a> {
    Number(Decimal),
    Text(Cow<'a, str>),
    Bool(bool),
    Date(civil::Date),
    Time(Timestamp),
}

/// The documents an expression sees.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub root: &'a Map<String, Value>,
    pub item: Option<(&'a Map<String, Value>, usize)>,
    pub list: &'a str,
    pub zone: &'a TimeZone,
}

impl<'a> Env<'a> {
    /// The value at a path; `None` when absent, null or an empty text.
    pub fn at(&self, access: &Access) -> Option<&'a Value> {
        let start = match (access.from_root, self.item) {
            (false, Some((item, _))) => item,
            (_, _) => self.root,
        };
        let (last, steps) = access.steps.split_last()?;
        let mut map = start;
        for step in steps {
            map = map.get(step)?.as_object()?;
        }
        map.get(last).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
        })
    }

    /// The path as people read it: `lines[2].quantity`.
    pub fn shown(&self, access: &Access) -> String {
        match (access.from_root, self.item) {
            (false, Some((_, index))) => format!("{}[{}].{}", self.list, index + 1, access.path),
            (_, _) => access.path.strip_prefix("root.").unwrap_or(&access.path).to_owned(),
        }
    }

    /// Reads a field as its declared type.
    pub fn read(&self, access: &Access, kind: Type) -> Result<Option<Val<'a>>, Fault> {
        let Some(value) = self.at(access) else { return Ok(None) };
        read(value, kind, self.zone).map(Some).map_err(|fault| fault.at(self.shown(access)))
    }

    fn missing(&self, code: &Code) -> Fault {
        let fault = Fault::new(FaultCode::FieldMissing, "缺少字段", "a field is missing");
        match first_field(code) {
            Some(access) => fault.at(self.shown(access)),
            None => fault,
        }
    }

    /// Evaluates where a value is needed.
    pub fn need(&self, code: &Code) -> Result<Val<'a>, Fault> {
        self.run(code)?.ok_or_else(|| self.missing(code))
    }

    fn number(&self, code: &Code) -> Result<Decimal, Fault> {
        match self.need(code)? {
            Val::Number(value) => Ok(value),
            other => Err(defect(&other)),
        }
    }

    /// Evaluates a condition; an absent field makes a comparison fail with a fault, never silently.
    pub fn bool(&self, code: &Code) -> Result<bool, Fault> {
        match self.need(code)? {
            Val::Bool(value) => Ok(value),
            other => Err(defect(&other)),
        }
    }

    /// Evaluates; `None` when the value is absent.
    pub fn run(&self, code: &Code) -> Result<Option<Val<'a>>, Fault> {
        let value = match code {
            Code::Number(value) => Val::Number(*value),
            Code::Text(text) => Val::Text(text.clone().into()),
            Code::Bool(value) => Val::Bool(*value),
            Code::Field(access, kind) => return self.read(access, *kind),
            Code::Present(access, _) => Val::Bool(self.at(access).is_some()),
            Code::Not(inner) => Val::Bool(!self.bool(inner)?),
            Code::Negate(inner) => Val::Number(-self.number(inner)?),
            Code::Abs(inner) => Val::Number(self.number(inner)?.abs()),
            Code::Round(inner, places) => Val::Number(decimal::round_half_up(self.number(inner)?, *places)),
            Code::Divide(left, right, places) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                let quotient = left.checked_div(right).ok_or_else(range)?;
                Val::Number(decimal::round_half_up(quotient, *places))
            }
            Code::Net(gross, rate) => Val::Number(self.split(gross, rate)?.0),
            Code::Tax(gross, rate) => Val::Number(self.split(gross, rate)?.1),
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
                match self.need(inner)? {
                    Val::Text(text) => Val::Text(text.chars().take(length).collect::<String>().into()),
                    other => return Err(defect(&other)),
                }
            }
            Code::Millis(inner) => match self.need(inner)? {
                Val::Time(time) => Val::Number(time.as_millisecond().into()),
                other => return Err(defect(&other)),
            },
            Code::DateOf(inner) => match self.need(inner)? {
                Val::Time(time) => Val::Date(time.to_zoned(self.zone.clone()).date()),
                other => return Err(defect(&other)),
            },
            Code::Count(list) => Val::Number(self.items(list).len().into()),
            Code::Sum(list, item) => Val::Number(self.sum(list, item)?),
            Code::Binary(operator, left, right) => return self.binary(*operator, left, right).map(Some),
        };
        Ok(Some(value))
    }

    fn split(&self, gross: &Code, rate: &Code) -> Result<(Decimal, Decimal), Fault> {
        decimal::split_tax(self.number(gross)?, self.number(rate)?).ok_or_else(range)
    }

    /// Items of a list; empty when it is absent.
    pub fn items(&self, list: &Access) -> &'a [Value] {
        match self.at(list) {
            Some(Value::Array(items)) => items,
            _ => &[],
        }
    }

    fn sum(&self, list: &Access, item: &Code) -> Result<Decimal, Fault> {
        let mut total = Decimal::ZERO;
        for (index, value) in self.items(list).iter().enumerate() {
            let map = value.as_object().ok_or_else(|| {
                Fault::new(FaultCode::FieldType, "应为对象", "expected an object").at(self.shown(list))
            })?;
            let inner = Env { item: Some((map, index)), list: &list.path, ..*self };
            let value = inner.number(item)?;
            total = decimal::add(total, value).ok_or_else(range)?;
        }
        Ok(total)
    }

    fn binary(&self, operator: Operator, left: &Code, right: &Code) -> Result<Val<'a>, Fault> {
        Ok(match operator {
            Operator::Or => Val::Bool(self.bool(left)? || self.bool(right)?),
            Operator::And => Val::Bool(self.bool(left)? && self.bool(right)?),
            Operator::Add => {
                Val::Number(decimal::add(self.number(left)?, self.number(right)?).ok_or_else(range)?)
            }
            Operator::Subtract => {
                Val::Number(decimal::add(self.number(left)?, -self.number(right)?).ok_or_else(range)?)
            }
            Operator::Multiply => {
                Val::Number(decimal::multiply(self.number(left)?, self.number(right)?).ok_or_else(range)?)
            }
            Operator::Equal => Val::Bool(self.need(left)? == self.need(right)?),
            Operator::NotEqual => Val::Bool(self.need(left)? != self.need(right)?),
            Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
                let order = match (self.need(left)?, self.need(right)?) {
                    (Val::Number(a), Val::Number(b)) => a.cmp(&b),
                    (Val::Date(a), Val::Date(b)) => a.cmp(&b),
                    (Val::Time(a), Val::Time(b)) => a.cmp(&b),
                    (a, _) => return Err(defect(&a)),
                };
                Val::Bool(match operator {
                    Operator::Less => order.is_lt(),
                    Operator::LessEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
        })
    }
}

fn range() -> Fault {
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

fn first_field(code: &Code) -> Option<&Access> {
    match code {
        Code::Field(access, _) | Code::Sum(access, _) | Code::Count(access) => Some(access),
        Code::Number(_) | Code::Text(_) | Code::Bool(_) | Code::Present(_, _) => None,
        Code::Not(inner)
        | Code::Negate(inner)
        | Code::Abs(inner)
        | Code::Round(inner, _)
        | Code::Left(inner, _)
        | Code::Millis(inner)
        | Code::DateOf(inner) => first_field(inner),
        Code::Divide(left, right, _) => first_field(left).or_else(|| first_field(right)),
        Code::Net(left, right)
        | Code::Tax(left, right)
        | Code::Extreme(_, left, right)
        | Code::Binary(_, left, right) => first_field(left).or_else(|| first_field(right)),
        Code::If(_, then, otherwise) => first_field(then).or_else(|| first_field(otherwise)),
        Code::Coalesce(codes) | Code::Concat(codes) => codes.iter().find_map(first_field),
    }
}

/// A value as text.
pub fn shown(value: &Val<'_>) -> String {
    match value {
        Val::Number(value) => value.to_string(),
        Val::Text(text) => text.to_string(),
        Val::Bool(value) => value.to_string(),
        Val::Date(date) => date.to_string(),
        Val::Time(time) => time.to_string(),
    }
}

/// Reads a JSON value as a declared type. Text is not guessed: a decimal may come as JSON text because the
/// field is declared a decimal, nothing else converts.
pub fn read<'a>(value: &'a Value, kind: Type, zone: &TimeZone) -> Result<Val<'a>, Fault> {
    let wrong = |zh: &str, en: &str| {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Fault::new(FaultCode::FieldType, zh, en).value(shown)
    };
    match (kind, value) {
        (Type::Number(_), Value::Number(number)) => decimal::parse(number.as_str()),
        (Type::Number(_), Value::String(text)) => decimal::parse(text),
        (Type::Text, Value::String(text)) => return Ok(Val::Text(text.into())),
        (Type::Bool, Value::Bool(flag)) => return Ok(Val::Bool(*flag)),
        (Type::Date, Value::String(text)) => {
            return date(text).map(Val::Date).ok_or_else(|| bad_date(text));
        }
        (Type::Time(form), Value::String(text)) => {
            return time(text, form, zone).map(Val::Time).ok_or_else(|| bad_date(text));
        }
        (_, _) => return Err(wrong(&format!("应为 {}", kind.name()), &format!("expected {}", kind.name()))),
    }
    .map(Val::Number)
    .map_err(|error| wrong("不是可精确表示的数字", &error.to_string()))
}

fn bad_date(text: &str) -> Fault {
    Fault::new(FaultCode::DateInvalid, "日期或时间无法识别", "the date or time cannot be read").value(text)
}

/// `yyyy-MM-dd`, or the date part of a local date and time.
fn date(text: &str) -> Option<civil::Date> {
    text.parse::<civil::Date>().ok().or_else(|| text.parse::<civil::DateTime>().ok().map(|time| time.date()))
}

fn time(text: &str, form: TimeForm, zone: &TimeZone) -> Option<Timestamp> {
    match form {
        TimeForm::Rfc3339 => text.parse().ok(),
        TimeForm::Local => {
            text.parse::<civil::DateTime>().ok()?.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
        }
    }
}
