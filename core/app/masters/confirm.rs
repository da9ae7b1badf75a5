//! Confirmed pairs become rows: only what a person chose, only where nothing has changed since.

use super::{Proposals, Refused};
use crate::commands::tables::{code_of, waiting};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_delivery::port::{ImportMode, Store, StoreError, TableRow};
use tongbao_model::Text;
use tongbao_paper::csv::unguarded;
use tongbao_recon::codes::Verdict;

/// A pair that a person chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Line of the file, or position in the list, from 1: for what is said of it.
    pub line: u64,
    /// Our code.
    pub source: String,
    /// Their code.
    pub target: String,
}

/// What is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// Name of the proposals.
    pub proposal: String,
    /// Table.
    pub table: String,
    /// Revision of the code tables that the proposals were made at.
    pub revision: i64,
    /// Codes that the ERP had then.
    pub targets: BTreeSet<String>,
    /// Pairs.
    pub chosen: Vec<Chosen>,
}

/// What a confirmation did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Table.
    pub table: String,
    /// Rows that were added.
    pub confirmed: u64,
    /// Documents that lack one of these codes and can be replayed.
    pub waiting: usize,
    /// Those of them that were.
    pub replayed: usize,
    /// Another import came between the look at the table and this one: look at the table.
    pub raced: bool,
}

/// Who confirms, and what follows.
pub struct By<'a> {
    /// Who.
    pub who: &'a str,
    /// The day, `yyyy-MM-dd`.
    pub day: &'a str,
    /// Whether documents that lacked the codes are replayed at once.
    pub replay: bool,
}

/// Imports what was confirmed: all of it, or nothing and everything that is wrong with it.
///
/// # Errors
/// Every reason why a row is refused; or what the database said.
pub async fn confirm(
    store: &dyn Store,
    confirmed: &Confirmed,
    by: &By<'_>,
) -> Result<Result<Done, Vec<Text>>, StoreError> {
    let table = confirmed.table.as_str();
    let revision = store.tables_revision().await?;
    let now = store.table_rows(Some(table)).await?;
    let then = store.table_rows_at(table, confirmed.revision).await?;
    let wrong = wrong(confirmed, &now, then.as_deref());
    if !wrong.is_empty() {
        return Ok(Err(wrong));
    }
    let note = format!("{} 确认于 {}，提案 {}", by.who, by.day, confirmed.proposal);
    let row = |chosen: &Chosen| TableRow {
        table: table.to_owned(),
        source: chosen.source.clone(),
        target: chosen.target.clone(),
        note: note.clone(),
        valid_to: String::new(),
    };
    let rows: Vec<TableRow> = confirmed.chosen.iter().map(row).collect();
    let codes: BTreeSet<String> = rows.iter().map(|row| row.source.clone()).collect();
    let (added, changed, _) = store.import_table(table, rows, ImportMode::Merge).await?;
    let raced = changed > 0 || store.tables_revision().await? != revision.saturating_add(1);
    let found = waiting::waiting(store).await?;
    let waits = found.iter().filter(|((name, code), _)| name == table && codes.contains(code));
    let waiting = waits.map(|(_, deliveries)| deliveries.len()).sum();
    let replayed = if by.replay { waiting::replay(store, table, &codes).await? } else { 0 };
    Ok(Ok(Done { table: table.to_owned(), confirmed: added + changed, waiting, replayed, raced }))
}

/// Everything that is wrong with what was confirmed, given the table as it is and as it was.
fn wrong(confirmed: &Confirmed, now: &[TableRow], then: Option<&[TableRow]>) -> Vec<Text> {
    let mut wrong = Vec::new();
    let mut tell = |line: u64, zh: String, en: String| {
        wrong.push(Text::new(format!("第 {line} 行：{zh}"), format!("line {line}: {en}")));
    };
    let of = |rows: &[TableRow], code: &str| -> Vec<TableRow> {
        rows.iter().filter(|row| code_of(&row.source) == code).cloned().collect()
    };
    let mut first: BTreeMap<&str, u64> = BTreeMap::new();
    for Chosen { line, source, target } in &confirmed.chosen {
        if source.is_empty() || target.is_empty() {
            tell(
                *line,
                "确认的行须有 source 与 target".to_owned(),
                "a confirmed row needs source and target".to_owned(),
            );
            continue;
        }
        if let Some(before) = first.insert(source, *line) {
            tell(
                *line,
                format!("{source} 在第 {before} 行已确认，只能选一个"),
                format!("`{source}` is confirmed on line {before} already: choose one"),
            );
        }
        if !confirmed.targets.contains(target) {
            tell(
                *line,
                format!("提案时 ERP 中没有可用的编码 {target}"),
                format!("the ERP had no code `{target}` that may be used when this was proposed"),
            );
        }
        let now = of(now, source);
        if then.map(|then| of(then, source)).is_none_or(|then| then != now) || !now.is_empty() {
            let (table, revision) = (&confirmed.table, confirmed.revision);
            tell(
                *line,
                format!("提案（版本 {revision}）之后表 {table} 中 {source} 已有变动，请重新提案"),
                format!(
                    "`{source}` of the table `{table}` has changed since revision {revision}: propose again"
                ),
            );
        }
    }
    wrong
}

/// What of remembered proposals is confirmed by the list of a program.
pub fn of_kept(kept: &Proposals, rows: Vec<(String, String)>) -> Confirmed {
    let chosen = (1..).zip(rows).map(|(line, (source, target))| Chosen { line, source, target }).collect();
    Confirmed {
        proposal: kept.proposal.clone(),
        table: kept.table.clone(),
        revision: kept.revision,
        targets: kept.targets(),
        chosen,
    }
}

/// The columns of a file of proposals.
pub const COLUMNS: [&str; 12] = [
    "confirm",
    "source",
    "source_name",
    "source_tax_number",
    "target",
    "target_name",
    "target_tax_number",
    "specification",
    "reason",
    "proposal",
    "table",
    "revision",
];

/// Proposals as lines of a file: each pair and each candidate one, then the ERP's rows, by which a target that was filled in
/// by hand is checked, without a source.
pub fn lines(proposals: &Proposals) -> Vec<[String; 12]> {
    let line = |ours: [String; 3], theirs: [&str; 4], reason: &Text| {
        let [source, source_name, source_tax_number] = ours;
        let [target, target_name, target_tax_number, specification] = theirs.map(str::to_owned);
        [
            String::new(),
            source,
            source_name,
            source_tax_number,
            target,
            target_name,
            target_tax_number,
            specification,
            reason.to_string(),
            proposals.proposal.clone(),
            proposals.table.clone(),
            proposals.revision.to_string(),
        ]
    };
    let mut lines = Vec::new();
    for proposal in &proposals.proposals {
        let join = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>().join("；");
        let ours = [proposal.ours.code.clone(), join(&proposal.ours.names), join(&proposal.ours.tax_numbers)];
        let candidates = match &proposal.verdict {
            Verdict::Pair { theirs, .. } => std::slice::from_ref(theirs),
            Verdict::Tie { candidates, .. } | Verdict::Conflict { candidates, .. } => candidates,
            Verdict::Nothing { .. } => {
                lines.push(line(ours, [""; 4], &proposal.reason));
                continue;
            }
        };
        for theirs in candidates {
            let cells = [&theirs.code, &theirs.name, &theirs.tax_number, &theirs.specification];
            lines.push(line(ours.clone(), cells.map(String::as_str), &proposal.reason));
        }
    }
    let listed = Text::new("ERP 中可用的编码，勿改", "a code of the ERP, leave it as it is");
    for theirs in &proposals.erp {
        let cells = [&theirs.code, &theirs.name, &theirs.tax_number, &theirs.specification];
        lines.push(line(Default::default(), cells.map(String::as_str), &listed));
    }
    lines
}

/// What a file of proposals confirms: its cells by column, with the numbers of their lines.
///
/// # Errors
/// Everything that is wrong with the file itself.
pub fn of_file(header: &[String], rows: &[(u64, Vec<String>)]) -> Result<Confirmed, Vec<Text>> {
    let column = |name: &str| header.iter().position(|cell| cell.trim_start_matches('\u{feff}') == name);
    let names = ["confirm", "source", "target", "proposal", "table", "revision"];
    let found: Option<Vec<usize>> = names.into_iter().map(column).collect();
    let Some([confirm, source, target, proposal, table, revision]) =
        found.and_then(|found| <[usize; 6]>::try_from(found).ok())
    else {
        let (zh, en) =
            ("不是 tables propose 写出的文件，缺少列", "no file of `tables propose`: it lacks a column of");
        return Err(vec![Text::new(
            format!("{zh} {}", names.join(", ")),
            format!("{en} {}", names.join(", ")),
        )]);
    };
    let mut wrong = Vec::new();
    let mut about: BTreeSet<(String, String, String)> = BTreeSet::new();
    let (mut targets, mut chosen) = (BTreeSet::new(), Vec::new());
    for (line, cells) in rows {
        let cell =
            |at: usize| cells.get(at).map(|text| unguarded(text.trim()).to_owned()).unwrap_or_default();
        about.insert((cell(proposal), cell(table), cell(revision)));
        match (cell(source).is_empty(), is_yes(&cell(confirm))) {
            (_, None) => wrong.push(Text::new(
                format!("第 {line} 行：confirm 填 y、是 或留空"),
                format!("line {line}: `confirm` is y, yes, or left empty"),
            )),
            (true, Some(false)) => drop(targets.insert(cell(target))),
            (_, Some(true)) => {
                chosen.push(Chosen { line: *line, source: cell(source), target: cell(target) });
            }
            (false, Some(false)) => {}
        }
    }
    let mut about = about.into_iter();
    let revision = match (about.next(), about.next()) {
        (Some((proposal, table, revision)), None) => {
            revision.parse().ok().filter(|_| !proposal.is_empty()).map(|revision| (proposal, table, revision))
        }
        _ => None,
    };
    let Some((proposal, table, revision)) = revision else {
        wrong.push(Text::new(
            "proposal、table、revision 各行须相同且未改",
            "`proposal`, `table` and `revision` must be the same on all lines, as they were written",
        ));
        return Err(wrong);
    };
    if chosen.is_empty() {
        wrong.push(Text::new(
            "没有确认任何一行：在 confirm 列填 y",
            "no row is confirmed: put y into `confirm`",
        ));
    }
    if wrong.is_empty() { Ok(Confirmed { proposal, table, revision, targets, chosen }) } else { Err(wrong) }
}

/// What a person put into `confirm`; `None` when it means neither.
fn is_yes(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "x" | "1" | "true" | "是" | "确认" | "√" | "✓" => Some(true),
        "" | "n" | "no" | "0" | "false" | "否" => Some(false),
        _ => None,
    }
}

impl Refused {
    /// All that is wrong, in one.
    pub fn of_all(wrong: &[Text]) -> Refused {
        let join = |texts: Vec<&str>| texts.join("\n");
        let zh = join(wrong.iter().map(|text| text.zh.as_str()).collect());
        Refused::new(409, zh, join(wrong.iter().map(|text| text.en.as_str()).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_paper::csv::guarded;

    fn row(source: &str, target: &str) -> TableRow {
        TableRow { table: "t".into(), source: source.into(), target: target.into(), ..TableRow::default() }
    }

    fn confirmed(chosen: &[(&str, &str)]) -> Confirmed {
        let chosen = (2..).zip(chosen).map(|(line, (source, target))| Chosen {
            line,
            source: (*source).into(),
            target: (*target).into(),
        });
        Confirmed {
            proposal: "P".into(),
            table: "t".into(),
            revision: 3,
            targets: ["E1", "E2"].map(str::to_owned).into(),
            chosen: chosen.collect(),
        }
    }

    #[test]
    fn what_changed_since_is_refused_and_the_rest_is_not() {
        let told = |chosen: &[(&str, &str)], now: &[TableRow], then: Option<&[TableRow]>| {
            let wrong = wrong(&confirmed(chosen), now, then);
            wrong.into_iter().map(|text| text.en).collect::<Vec<_>>().join("; ")
        };
        let then = [row("A", "E9")];
        assert_eq!(told(&[("C1", "E1"), ("C2", "E1")], &then, Some(&then)), "");
        // Another code of the table changed: this one did not.
        assert_eq!(told(&[("C1", "E1")], &[row("A", "E8")], Some(&then)), "");
        assert!(told(&[("C1", "E1")], &[row("C1@2026-01-01", "E2")], Some(&then)).contains("line 2"));
        assert!(told(&[("C1", "E1")], &then, None).contains("has changed since revision 3"));
        assert!(
            told(&[("C1", "E1"), ("C1", "E2")], &then, Some(&then))
                .contains("line 3: `C1` is confirmed on line 2")
        );
        assert!(told(&[("C1", "E7")], &then, Some(&then)).contains("no code `E7`"));
        assert!(told(&[("C1", "")], &then, Some(&then)).contains("needs source and target"));
    }

    #[test]
    fn a_file_confirms_what_is_marked() {
        let header: Vec<String> =
            ["confirm", "source", "target", "proposal", "table", "revision"].map(str::to_owned).into();
        let read = |rows: &[[&str; 6]]| {
            let rows: Vec<(u64, Vec<String>)> =
                (2..).zip(rows).map(|(line, cells)| (line, cells.map(str::to_owned).into())).collect();
            of_file(&header, &rows)
        };
        let about = |confirm, source, target| [confirm, source, target, "P", "t", "3"];
        let read_back =
            read(&[about("是", "C1", "E1"), about("", "C2", "E2"), about("", "", "E1"), about("", "", "E2")]);
        assert_eq!(
            read_back.unwrap(),
            Confirmed {
                chosen: vec![Chosen { line: 2, source: "C1".into(), target: "E1".into() }],
                ..confirmed(&[])
            }
        );
        let formula = guarded("=1+1|x");
        assert_eq!(formula, "'=1+1|x");
        let read_back = read(&[about("y", "C1", &formula), about("", "", &formula), about("n", "'C2", "E1")]);
        let read_back = read_back.unwrap();
        assert_eq!(read_back.chosen[0].target, "=1+1|x");
        assert!(read_back.targets.contains("=1+1|x"), "as it is in the ERP");
        for (rows, why) in [
            (vec![about("", "C1", "E1")], "no row is confirmed"),
            (vec![about("maybe", "C1", "E1")], "line 2"),
            (vec![about("y", "C1", "E1"), ["y", "C2", "E1", "Q", "t", "3"]], "the same on all lines"),
        ] {
            let told = read(&rows).unwrap_err();
            assert!(told.iter().any(|text| text.en.contains(why)), "{told:?}");
        }
        assert!(of_file(&["source".to_owned()], &[]).is_err());
    }
}
