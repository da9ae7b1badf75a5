//! Running a compiled mapping: one document in, one document out, or the fault that names field and cause.

use crate::check::Mapping;
use crate::code::Code;
use crate::decode;
use crate::eval::Env;
use crate::related::Related;
use crate::rows::Rows;
use crate::runner::{Line, Runner};
use crate::tables::Tables;
use crate::value::shown;
use rust_decimal::Decimal;
use serde_json::Value;
use tongbao_model::{Code as FaultCode, Fault, Json};

/// What a mapping made.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The target's document.
    pub document: Value,
    /// The business key.
    pub key: String,
}

/// What a mapping made, as it goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedJson {
    /// The target's document, without blanks.
    pub document: Json,
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
        self.run_value(input, &Related::default(), tables)
    }

    /// Translates one document that is parsed already with the related records that it refers to.
    pub fn run_value(&self, input: &Value, related: &Related, tables: &Tables) -> Result<Mapped, Stop> {
        parsed(self.translate(decode::from_value(&self.layout, input)?, related, tables, None)?)
    }

    /// Translates one document from its JSON text.
    pub fn run_text(&self, input: &str, tables: &Tables) -> Result<Mapped, Stop> {
        parsed(self.run_bytes(input.as_bytes(), tables)?)
    }

    /// Translates one document, bytes to bytes.
    pub fn run_bytes(&self, input: &[u8], tables: &Tables) -> Result<MappedJson, Stop> {
        self.run_with(input, &Related::default(), tables)
    }

    /// Translates one document with the related records that it refers to ([`Mapping::wanted`]).
    pub fn run_with(&self, input: &[u8], related: &Related, tables: &Tables) -> Result<MappedJson, Stop> {
        self.translate(decode::from_bytes(&self.layout, input)?, related, tables, None)
    }

    /// Translates one document and says of every target field how it came about.
    pub fn explain(
        &self,
        input: &Value,
        related: &Related,
        tables: &Tables,
    ) -> (Result<Mapped, Stop>, Vec<Trace>) {
        let mut traces = Vec::new();
        let result = decode::from_value(&self.layout, input)
            .map_err(Stop::from)
            .and_then(|rows| self.translate(rows, related, tables, Some(&mut traces)))
            .and_then(parsed);
        (result, traces)
    }

    fn translate<'d>(
        &self,
        mut rows: Rows<'d>,
        related: &'d Related,
        tables: &Tables,
        traces: Option<&mut Vec<Trace>>,
    ) -> Result<MappedJson, Stop> {
        self.bring_along(&mut rows, related)?;
        let env = Env::new(&rows, &self.zone);
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
        let document = Json::written(out).ok_or_else(|| no_json("it is no UTF-8".to_owned()))?;
        Ok(MappedJson { document, key })
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

fn parsed(mapped: MappedJson) -> Result<Mapped, Stop> {
    let document =
        serde_json::from_str(mapped.document.text()).map_err(|error| no_json(error.to_string()))?;
    Ok(Mapped { document, key: mapped.key })
}

fn no_json(why: String) -> Fault {
    Fault::new(FaultCode::Defect, "映射写出的不是 JSON", "the mapping wrote no JSON").value(why)
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
