//! Running a compiled mapping: one document in, one document out, or the fault that names field and cause.

use crate::check::Mapping;
use crate::eval::{Access, Code, Env, Val, shown};
use crate::tables::Tables;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value};
use tongbao_model::decimal;
use tongbao_model::shape::{Kind, Length, LengthUnit, NumberForm, TimeForm};
use tongbao_model::{Code as FaultCode, Fault, Text};

/// What a mapping made.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The target's document.
    pub document: Value,
    /// The business key.
    pub key: String,
}

/// Why a mapping made nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// In words.
    pub fault: Fault,
    /// The mapping says that documents like this are never carried: rejected, not parked.
    pub is_final: bool,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop { fault, is_final: false }
    }
}

/// How one target field came about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Trace {
    /// Target path.
    pub target: String,
    /// The rule as it stands in the file.
    pub rule: String,
    /// Line of the rule.
    pub line: usize,
    /// What the rule read.
    pub source: String,
    /// Code table row used, as `table: source → target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What it wrote.
    pub value: Value,
}

/// A field of the plan.
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub target: String,
    pub rule: String,
    pub line: usize,
    pub action: Action,
}

#[derive(Debug)]
pub enum Action {
    Constant(Value),
    Value(Box<ValueStep>),
    Record(Vec<Step>),
    Each { list: Access, filter: Option<Code>, steps: Vec<Step> },
}

#[derive(Debug)]
pub struct ValueStep {
    pub code: Code,
    pub kind: Kind,
    pub table: Option<String>,
    pub values: Option<Vec<(String, Value)>>,
    pub scale: Option<u32>,
    pub round: bool,
    pub default: Option<Value>,
    pub optional: bool,
    pub when: Option<Code>,
}

/// A declared refusal.
#[derive(Debug)]
pub struct RefuseStep {
    pub when: Code,
    pub because: Text,
    pub is_final: bool,
}

impl Mapping {
    /// Translates one document.
    pub fn run(&self, input: &Value, tables: &Tables) -> Result<Mapped, Stop> {
        self.run_with(input, tables, &mut None)
    }

    /// Translates one document and says of every target field how it came about.
    pub fn explain(&self, input: &Value, tables: &Tables) -> (Result<Mapped, Stop>, Vec<Trace>) {
        let mut traces = Some(Vec::new());
        let result = self.run_with(input, tables, &mut traces);
        (result, traces.unwrap_or_default())
    }

    fn run_with(
        &self,
        input: &Value,
        tables: &Tables,
        traces: &mut Option<Vec<Trace>>,
    ) -> Result<Mapped, Stop> {
        let Value::Object(root) = input else {
            return Err(Fault::new(
                FaultCode::FieldType,
                "单据应为 JSON 对象",
                "the document is no JSON object",
            )
            .into());
        };
        let env = Env { root, item: None, list: "", zone: &self.zone };
        for refuse in &self.refuse {
            if env.bool(&refuse.when)? {
                let fault =
                    Fault { message: refuse.because.clone(), ..Fault::new(FaultCode::Refused, "", "") };
                return Err(Stop { fault, is_final: refuse.is_final });
            }
        }
        for (check, text) in &self.checks {
            if !env.bool(check)? {
                return Err(check_failed(&env, check, text).into());
            }
        }
        let key = match env.need(&self.key)? {
            Val::Text(text) => text.into_owned(),
            other => shown(&other),
        };
        let mut runner = Runner { tables, zone: &self.zone, traces };
        let document = Value::Object(runner.steps(&self.steps, &env)?);
        Ok(Mapped { document, key })
    }
}

fn check_failed(env: &Env<'_>, check: &Code, text: &str) -> Fault {
    let fault = Fault::new(
        FaultCode::CheckFailed,
        format!("检查不成立：{text}"),
        format!("the check does not hold: {text}"),
    );
    match check {
        Code::Binary(_, left, right) => match (env.need(left), env.need(right)) {
            (Ok(left), Ok(right)) => fault.value(format!("{} ≠ {}", shown(&left), shown(&right))),
            (_, _) => fault,
        },
        _ => fault,
    }
}

struct Runner<'r> {
    tables: &'r Tables,
    zone: &'r TimeZone,
    traces: &'r mut Option<Vec<Trace>>,
}

impl Runner<'_> {
    fn steps(&mut self, steps: &[Step], env: &Env<'_>) -> Result<Map<String, Value>, Fault> {
        let mut map = Map::with_capacity(steps.len());
        for step in steps {
            if let Some(value) = self.step(step, env)? {
                map.insert(step.name.clone(), value);
            }
        }
        Ok(map)
    }

    fn step(&mut self, step: &Step, env: &Env<'_>) -> Result<Option<Value>, Fault> {
        match &step.action {
            Action::Constant(value) => {
                self.trace(step, String::new(), None, value);
                Ok(Some(value.clone()))
            }
            Action::Value(rule) => self.value(step, rule, env),
            Action::Record(steps) => {
                let map = self.steps(steps, env)?;
                Ok((!map.is_empty()).then_some(Value::Object(map)))
            }
            Action::Each { list, filter, steps } => {
                let items = env.items(list);
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let map = item.as_object().ok_or_else(|| {
                        Fault::new(FaultCode::FieldType, "应为对象", "expected an object").at(format!(
                            "{}[{}]",
                            list.path,
                            index + 1
                        ))
                    })?;
                    let inner = Env { item: Some((map, index)), list: &list.path, ..*env };
                    if match filter {
                        Some(filter) => inner.bool(filter)?,
                        None => true,
                    } {
                        out.push(Value::Object(self.steps(steps, &inner)?));
                    }
                }
                Ok(Some(Value::Array(out)))
            }
        }
    }

    fn value(&mut self, step: &Step, rule: &ValueStep, env: &Env<'_>) -> Result<Option<Value>, Fault> {
        if let Some(when) = &rule.when
            && !env.bool(when)?
        {
            return Ok(None);
        }
        let Some(value) = env.run(&rule.code)? else {
            return match &rule.default {
                Some(default) => {
                    self.trace(step, "(default)".into(), None, default);
                    Ok(Some(default.clone()))
                }
                None if rule.optional => Ok(None),
                None => Err(env.need(&rule.code).err().unwrap_or_else(|| missing(step))),
            };
        };
        let source = if self.traces.is_some() { shown(&value) } else { String::new() };
        let path = || match &rule.code {
            Code::Field(access, _) => env.shown(access),
            _ => step.target.clone(),
        };
        if let Some(table) = &rule.table {
            let code = shown(&value);
            let target = self.tables.find(table, &code).ok_or_else(|| table_miss(table, &code).at(path()))?;
            let row = self.traces.is_some().then(|| format!("{table}: {code} → {target}"));
            let out = write(Val::Text(target.to_owned().into()), rule, self.zone)
                .map_err(|fault| fault.at(path()))?;
            self.trace(step, source, row, &out);
            return Ok(Some(out));
        }
        if let Some(values) = &rule.values {
            let code = shown(&value);
            let out =
                values.iter().find(|(from, _)| *from == code).map(|(_, to)| to.clone()).ok_or_else(|| {
                    Fault::new(
                        FaultCode::ValueUnmapped,
                        format!("映射文件的 values 中没有 {code}"),
                        format!("the mapping's `values` has no `{code}`"),
                    )
                    .at(path())
                    .value(&code)
                })?;
            self.trace(step, source, None, &out);
            return Ok(Some(out));
        }
        let out = write(value, rule, self.zone).map_err(|fault| fault.at(path()))?;
        self.trace(step, source, None, &out);
        Ok(Some(out))
    }

    fn trace(&mut self, step: &Step, source: String, table: Option<String>, value: &Value) {
        if let Some(traces) = self.traces.as_mut() {
            traces.push(Trace {
                target: step.target.clone(),
                rule: step.rule.clone(),
                line: step.line,
                source,
                table,
                value: value.clone(),
            });
        }
    }
}

fn missing(step: &Step) -> Fault {
    Fault::new(FaultCode::FieldMissing, "缺少字段", "a field is missing").at(&step.target)
}

fn table_miss(table: &str, code: &str) -> Fault {
    Fault::new(
        FaultCode::CodeTableMiss,
        format!("对照表 {table} 中没有编码 {code}"),
        format!("the code table `{table}` has no row for `{code}`"),
    )
    .value(code)
    .remedy(
        format!("在对照表 {table} 中补上 {code}（tongbao tables import），然后重放。"),
        format!("Add `{code}` to the table `{table}` (tongbao tables import), then replay."),
    )
}

/// Writes a value as the target's kind wants it.
fn write(value: Val<'_>, rule: &ValueStep, zone: &TimeZone) -> Result<Value, Fault> {
    match (&rule.kind, value) {
        (Kind::Text(length), Val::Text(text)) => {
            if let Some(length) = length {
                fits(&text, *length)?;
            }
            Ok(Value::String(text.into_owned()))
        }
        (Kind::Decimal { scale, form, sense }, Val::Number(value)) => {
            let scale = rule.scale.or(*scale);
            let mut value = narrow(value, scale, rule.round)?;
            if let (true, Some(scale)) = (sense.is_amount(), scale) {
                // An amount shows its cents: 339.00, as every finance system writes it.
                value.rescale(scale);
            }
            match form {
                NumberForm::Number => number(value),
                NumberForm::Text => Ok(Value::String(value.to_string())),
            }
        }
        (Kind::Integer, Val::Number(value)) => number(narrow(value, Some(0), rule.round)?),
        (Kind::Bool, Val::Bool(value)) => Ok(Value::Bool(value)),
        (Kind::Date, Val::Date(date)) => Ok(Value::String(date.to_string())),
        (Kind::Date, Val::Time(time)) => Ok(Value::String(time.to_zoned(zone.clone()).date().to_string())),
        (Kind::DateTime(form), Val::Time(time)) => Ok(Value::String(write_time(time, *form, zone))),
        (Kind::DateTime(form), Val::Date(date)) => {
            let zoned = date.to_zoned(zone.clone()).map_err(|_| {
                Fault::new(FaultCode::DateInvalid, "日期超出范围", "the date is out of range")
                    .value(date.to_string())
            })?;
            Ok(Value::String(write_time(zoned.timestamp(), *form, zone)))
        }
        (_, other) => {
            Err(Fault::new(FaultCode::Defect, "类型未被检查", "a type that was not checked")
                .value(shown(&other)))
        }
    }
}

fn write_time(time: jiff::Timestamp, form: TimeForm, zone: &TimeZone) -> String {
    let zoned = time.to_zoned(zone.clone());
    match form {
        TimeForm::Rfc3339 => zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        TimeForm::Local => zoned.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    }
}

/// A decimal as a JSON number with exactly its digits.
fn number(value: Decimal) -> Result<Value, Fault> {
    value
        .to_string()
        .parse::<Number>()
        .map(Value::Number)
        .map_err(|_| Fault::new(FaultCode::NumberRange, "数值无法写出", "the number cannot be written"))
}

/// Brings a decimal to at most `scale` places: by the named rounding, or only if nothing is lost.
fn narrow(value: Decimal, scale: Option<u32>, round: bool) -> Result<Decimal, Fault> {
    let Some(scale) = scale else { return Ok(value) };
    let rounded = decimal::round_half_up(value, scale);
    if round || rounded == value {
        return Ok(rounded);
    }
    Err(Fault::new(
        FaultCode::ScaleLoss,
        format!("小数位数超过 {scale} 位"),
        format!("more than {scale} decimal places"),
    )
    .value(value.to_string()))
}

fn fits(text: &str, length: Length) -> Result<(), Fault> {
    let (count, zh, en) = match length.unit {
        LengthUnit::Characters => (text.chars().count(), "字符", "characters"),
        LengthUnit::GbkBytes => {
            (text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum(), "字节", "GBK bytes")
        }
    };
    if count <= length.max {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::FieldTooLong,
        format!("长度 {count}，最多 {} {zh}", length.max),
        format!("{count} long, at most {} {en}", length.max),
    )
    .value(text))
}
