//! Running a compiled mapping: one document in, one document out, or the fault that names field and cause.

use crate::check::Mapping;
use crate::code::Code;
use crate::decode::{self, Rows};
use crate::eval::{Env, range};
use crate::plan::{Action, Constant, EachStep, Literal, Mark, Step, TableStep, ValueStep};
use crate::tables::{Found, Table, Tables, join_key};
use crate::value::{Val, shown};
use crate::write::write;
use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_model::{Code as FaultCode, Fault, decimal};

/// What a mapping made.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The target's document.
    pub document: Value,
    /// The business key.
    pub key: String,
}

/// What a mapping made, as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedBytes {
    /// The target's document, JSON without blanks.
    pub document: Vec<u8>,
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
    /// Source paths the rule reads.
    pub reads: Vec<String>,
    /// What the rule read.
    pub source: String,
    /// Code table row used, as `table: source → target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What it wrote.
    pub value: Value,
}

impl Mapping {
    /// Translates one document that is parsed already.
    pub fn run(&self, input: &Value, tables: &Tables) -> Result<Mapped, Stop> {
        let mapped = self.translate(&decode::from_value(&self.layout, input)?, tables, None)?;
        parsed(mapped)
    }

    /// Translates one document from its JSON text.
    pub fn run_text(&self, input: &str, tables: &Tables) -> Result<Mapped, Stop> {
        parsed(self.run_bytes(input.as_bytes(), tables)?)
    }

    /// Translates one document, bytes to bytes.
    pub fn run_bytes(&self, input: &[u8], tables: &Tables) -> Result<MappedBytes, Stop> {
        self.translate(&decode::from_bytes(&self.layout, input)?, tables, None)
    }

    /// Translates one document and says of every target field how it came about.
    pub fn explain(&self, input: &Value, tables: &Tables) -> (Result<Mapped, Stop>, Vec<Trace>) {
        let mut traces = Vec::new();
        let result = decode::from_value(&self.layout, input)
            .map_err(Stop::from)
            .and_then(|rows| self.translate(&rows, tables, Some(&mut traces)))
            .and_then(parsed);
        (result, traces)
    }

    fn translate(
        &self,
        rows: &Rows<'_>,
        tables: &Tables,
        traces: Option<&mut Vec<Trace>>,
    ) -> Result<MappedBytes, Stop> {
        let env = Env::new(rows, &self.zone);
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
        let key = shown(&env.need(&self.key)?).into_owned();
        let tables = self.tables.iter().map(|name| tables.table(name)).collect();
        let mut runner = Runner { tables, traces, sum: Decimal::ZERO, line: Line::default(), header: None };
        let mut out = Vec::with_capacity(1024 + 512 * self.weight);
        out.push(b'{');
        runner.members(&self.steps, &env, &mut out)?;
        out.push(b'}');
        self.totals(&runner, &env)?;
        Ok(MappedBytes { document: out, key })
    }

    /// Whether the amounts that were written add up, and are those of the source.
    fn totals(&self, runner: &Runner<'_, '_>, env: &Env<'_>) -> Result<(), Fault> {
        let Some(carried) = &self.carried else { return Ok(()) };
        let source = carried.total.as_ref().map(|total| env.number(total)).transpose()?;
        for (zh, en, total) in [
            ("目标单据头合计", "the target's own total", runner.header),
            ("来源合计", "the source's total", source),
        ] {
            if let Some(total) = total.filter(|total| *total != runner.sum) {
                let sum = runner.sum;
                return Err(Fault::new(
                    FaultCode::CheckFailed,
                    format!("目标明细合计 {sum}，{zh} {total}"),
                    format!("the target's lines sum up to {sum}, {en} is {total}"),
                )
                .at(&carried.list)
                .value(format!("{sum} ≠ {total}")));
            }
        }
        Ok(())
    }
}

fn parsed(mapped: MappedBytes) -> Result<Mapped, Stop> {
    let document = serde_json::from_slice(&mapped.document).map_err(|error| {
        Fault::new(FaultCode::Defect, "映射写出的不是 JSON", "the mapping wrote no JSON")
            .value(error.to_string())
    })?;
    Ok(Mapped { document, key: mapped.key })
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

/// The numbers of the line being written that count for the total.
#[derive(Default)]
struct Line {
    amount: Decimal,
    quantity: Option<Decimal>,
    price: Option<Decimal>,
}

struct Runner<'r, 't> {
    /// The mapping's tables, in its order.
    tables: Vec<Option<&'r Table>>,
    traces: Option<&'t mut Vec<Trace>>,
    sum: Decimal,
    line: Line,
    header: Option<Decimal>,
}

impl Runner<'_, '_> {
    /// Writes members; what a step leaves out leaves no trace.
    fn members(&mut self, steps: &[Step], env: &Env<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        for step in steps {
            if let Some(when) = &step.when
                && !env.bool(when)?
            {
                continue;
            }
            let before = out.len();
            if out.last() != Some(&b'{') {
                out.push(b',');
            }
            if let Action::Literal(bytes, constants) = &step.action {
                out.extend_from_slice(bytes);
                self.trace_constants(constants);
                continue;
            }
            out.extend_from_slice(&step.key);
            let written = match &step.action {
                Action::Literal(_, _) => true,
                Action::Value(rule) => self.value(step, rule, env, out)?,
                Action::Record(steps) => {
                    out.push(b'{');
                    let start = out.len();
                    self.members(steps, env, out)?;
                    let some = out.len() > start;
                    out.push(b'}');
                    some
                }
                Action::Each(each) => self.each(each, env, out).map(|()| true)?,
            };
            if !written {
                out.truncate(before);
            }
        }
        Ok(())
    }

    fn each(&mut self, each: &EachStep, env: &Env<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.push(b'[');
        let Some(rows) = env.items(&each.list)? else {
            out.push(b']');
            return Ok(());
        };
        for item in 0..rows.count {
            let inner = env.within(rows, &each.list, item);
            if let Some(filter) = &each.filter
                && !inner.bool(filter)?
            {
                continue;
            }
            self.item(&each.steps, each.is_total, &inner, out)?;
            for (when, steps) in &each.also {
                if match when {
                    Some(when) => inner.bool(when)?,
                    None => true,
                } {
                    self.item(steps, each.is_total, &inner, out)?;
                }
            }
        }
        out.push(b']');
        Ok(())
    }

    fn item(
        &mut self,
        steps: &[Step],
        is_total: bool,
        env: &Env<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if out.last() != Some(&b'[') {
            out.push(b',');
        }
        out.push(b'{');
        if is_total {
            self.line = Line::default();
        }
        self.members(steps, env, out)?;
        out.push(b'}');
        if is_total {
            let product = match (self.line.quantity, self.line.price) {
                (Some(quantity), Some(price)) => {
                    let exact = decimal::multiply(quantity, price).ok_or_else(range)?;
                    decimal::round_half_up(exact, 2)
                }
                (_, _) => Decimal::ZERO,
            };
            let amount = decimal::add(self.line.amount, product).ok_or_else(range)?;
            self.sum = decimal::add(self.sum, amount).ok_or_else(range)?;
        }
        Ok(())
    }

    /// Writes a scalar; false when there is nothing to write.
    fn value(
        &mut self,
        step: &Step,
        rule: &ValueStep,
        env: &Env<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let start = out.len();
        let Some(value) = env.run(&rule.code)? else {
            return match &rule.default {
                Some(default) => {
                    self.literal(rule, default, out)?;
                    self.trace(step, rule, "(default)", None, out.get(start..));
                    Ok(true)
                }
                None if rule.optional => Ok(false),
                None => Err(missing(env, step, rule)),
            };
        };
        let path = || match &rule.code {
            Code::Field(access, _) => env.shown(access),
            _ => step.target.clone(),
        };
        let source = if self.traces.is_some() { shown(&value).into_owned() } else { String::new() };
        let mut row = None;
        if let Some(table) = &rule.table {
            row = self.by_table(table, rule, value, env, out).map_err(|fault| fault.at(path()))?;
        } else if let Some(values) = &rule.values {
            let code = shown(&value);
            let found = values.iter().find(|(from, _)| *from == code).map(|(_, to)| to);
            match found.or(rule.other.as_ref()) {
                Some(literal) => self.literal(rule, literal, out)?,
                None => return Err(unmapped(&code).at(path()).value(&code)),
            }
        } else {
            let number = write(out, value, rule, env.zone).map_err(|fault| fault.at(path()))?;
            self.count(rule, number)?;
        }
        self.trace(step, rule, &source, row, out.get(start..));
        Ok(true)
    }

    fn literal(&mut self, rule: &ValueStep, literal: &Literal, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.extend_from_slice(&literal.bytes);
        self.count(rule, literal.number)
    }

    /// Writes what a code table says; answers the row used, for explanations.
    fn by_table(
        &mut self,
        table: &TableStep,
        rule: &ValueStep,
        value: Val<'_>,
        env: &Env<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, Fault> {
        let on = match &table.on {
            None => None,
            Some(on) => match env.need(on)? {
                Val::Date(date) => Some(date),
                Val::Time(time) => Some(time.to_zoned(env.zone.clone()).date()),
                _ => None,
            },
        };
        let mut code = shown(&value);
        if !table.with.is_empty() {
            let mut joined = String::new();
            join_key(&mut joined, &code, true);
            for part in &table.with {
                join_key(&mut joined, &shown(&env.need(part)?), false);
            }
            code = joined.into();
        }
        let found = self.tables.get(table.index).copied().flatten().and_then(|rows| rows.find(&code, on));
        let Some(Found { target, from, to }) = found else {
            let Some(other) = &rule.other else { return Err(table_miss(&table.name, &code, on)) };
            self.literal(rule, other, out)?;
            return Ok(Some(format!("{}: {code} → (else)", table.name)));
        };
        let row = self.traces.is_some().then(|| {
            let from = from.map(|from| format!("@{from}")).unwrap_or_default();
            let to = to.map(|to| format!("..{to}")).unwrap_or_default();
            format!("{}: {code}{from}{to} → {target}", table.name)
        });
        write(out, Val::Text(target.into()), rule, env.zone)?;
        Ok(row)
    }

    /// Counts a number for the document's total.
    fn count(&mut self, rule: &ValueStep, number: Option<Decimal>) -> Result<(), Fault> {
        let (Some(mark), Some(number)) = (rule.mark, number) else { return Ok(()) };
        match mark {
            Mark::Header => self.header = Some(number),
            Mark::Amount => self.line.amount = decimal::add(self.line.amount, number).ok_or_else(range)?,
            Mark::Quantity => self.line.quantity = Some(number),
            Mark::Price => self.line.price = Some(number),
        }
        Ok(())
    }

    fn trace_constants(&mut self, constants: &[Constant]) {
        let Some(traces) = self.traces.as_deref_mut() else { return };
        traces.extend(constants.iter().map(|constant| Trace {
            target: constant.target.clone(),
            rule: constant.rule.clone(),
            line: constant.line,
            reads: Vec::new(),
            source: String::new(),
            table: None,
            value: constant.value.clone(),
        }));
    }

    fn trace(
        &mut self,
        step: &Step,
        rule: &ValueStep,
        source: &str,
        table: Option<String>,
        written: Option<&[u8]>,
    ) {
        let Some(traces) = self.traces.as_deref_mut() else { return };
        let mut reads = rule.code.paths();
        for code in rule.table.iter().flat_map(|table| table.with.iter().chain(&table.on)) {
            reads.extend(code.paths());
        }
        traces.push(Trace {
            target: step.target.clone(),
            rule: step.rule.clone(),
            line: step.line,
            reads,
            source: source.to_owned(),
            table,
            value: serde_json::from_slice(written.unwrap_or_default()).unwrap_or(Value::Null),
        });
    }
}

fn missing(env: &Env<'_>, step: &Step, rule: &ValueStep) -> Fault {
    let fault = env.missing(&rule.code);
    if fault.field.is_some() { fault } else { fault.at(&step.target) }
}

fn unmapped(code: &str) -> Fault {
    Fault::new(
        FaultCode::ValueUnmapped,
        format!("映射文件的 values 中没有 {code}"),
        format!("the mapping's `values` has no `{code}`"),
    )
}

fn table_miss(table: &str, code: &str, on: Option<jiff::civil::Date>) -> Fault {
    let (zh_on, en_on) = match on {
        Some(on) => (format!("在 {on} 有效的"), format!(" that holds on {on}")),
        None => (String::new(), String::new()),
    };
    Fault::new(
        FaultCode::CodeTableMiss,
        format!("对照表 {table} 中没有{zh_on}编码 {code}"),
        format!("the code table `{table}` has no row for `{code}`{en_on}"),
    )
    .value(code)
    .remedy(
        format!("在对照表 {table} 中补上 {code}（tongbao tables import），然后重放。"),
        format!("Add `{code}` to the table `{table}` (tongbao tables import), then replay."),
    )
}

/// Table and code that a `code-table-miss` is about: what stored faults still tell of it.
pub fn missed(fault: &Fault) -> Option<(&str, &str)> {
    if fault.code != FaultCode::CodeTableMiss {
        return None;
    }
    let mut quoted = fault.message.en.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_tells_its_table_and_code() {
        let on = Some(jiff::civil::date(2026, 7, 1));
        assert_eq!(missed(&table_miss("customers", "C9|CNY", on)), Some(("customers", "C9|CNY")));
        assert_eq!(missed(&unmapped("C9")), None);
    }
}
