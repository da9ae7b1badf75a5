//! Writing a document member by member.

use crate::code::Code;
use crate::eval::{Env, range};
use crate::misses::{table_miss, unmapped};
use crate::plan::{Action, Constant, EachStep, Literal, Mark, Step, TableStep, ValueStep};
use crate::run::Trace;
use crate::tables::{Found, Table, join_key};
use crate::value::{Val, shown};
use crate::write::write;
use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_model::{Fault, decimal};

/// The numbers of the line being written that count for the total.
#[derive(Default)]
pub struct Line {
    amount: Decimal,
    quantity: Option<Decimal>,
    price: Option<Decimal>,
}

/// Writes one document.
pub struct Runner<'r, 't> {
    /// The mapping's tables, in its order.
    pub tables: Vec<Option<&'r Table>>,
    pub traces: Option<&'t mut Vec<Trace>>,
    pub sum: Decimal,
    pub line: Line,
    pub header: Option<Decimal>,
}

impl Runner<'_, '_> {
    /// Writes members; what a step leaves out leaves no trace.
    pub fn members(&mut self, steps: &[Step], env: &Env<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
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
