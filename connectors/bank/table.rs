//! Tables: finds the header a layout fits, reads every row below it, and accounts for every line.

use super::fit::{Fit, fit};
use super::layout::{Layout, Total};
use super::statement::{Book, Kind, Row, Skipped, Statement, Why, in_row, row_field};
use super::text;
use super::totals::Totals;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_model::{Code, Fault};

/// Longest cell, in bytes.
const CELL_MAX: usize = 16 * 1024;
/// Most cells of a line.
const CELLS_MAX: usize = 256;
/// Most lines of a file.
const LINES_MAX: usize = 500_000;
/// Lines above the rows in which the column names are looked for.
const HEAD_MAX: usize = 100;

/// A line with its cells.
pub struct Line {
    /// Number in the file, from 1.
    pub place: usize,
    /// Cells as they stand.
    pub cells: Vec<String>,
}

impl Line {
    /// A cell as it stands; empty where the line has none.
    pub fn cell(&self, index: usize) -> &str {
        self.cells.get(index).map_or("", String::as_str)
    }

    /// The first cell that holds something, in the form of names.
    pub fn first(&self) -> String {
        let found = self.cells.iter().find(|cell| !text::clean(cell).is_empty());
        text::name(found.map_or("", |cell| text::clean(cell)))
    }

    fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !text::clean(cell).is_empty()).count()
    }
}

fn too_large(place: usize, zh: &str, en: &str) -> Fault {
    let fault = Fault::new(Code::DocumentLimit, format!("第 {place} 行{zh}"), format!("line {place} {en}"));
    fault.at(row_field(place)).remedy("这不是对账单，请核对文件。", "This is no statement: look at the file.")
}

/// Lines of comma- or tab-separated text.
fn separated(text: &str, separator: u8) -> Result<Vec<Line>, Fault> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let mut lines = Vec::new();
    for record in reader.records() {
        let record =
            record.map_err(|_| Fault::new(Code::BodyInvalid, "无法读取 CSV", "the CSV cannot be read"))?;
        let place = record.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        lines.push(bounded(Line { place, cells: record.iter().map(str::to_owned).collect() }, lines.len())?);
    }
    Ok(lines)
}

/// Lines whose values begin with a backtick; those that do not, the column names, are parted by commas.
fn backticked(text: &str) -> Result<Vec<Line>, Fault> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells = match line.strip_prefix('`') {
            Some(rest) => rest.split(",`").map(str::to_owned).collect(),
            None => line.split(',').map(str::to_owned).collect(),
        };
        lines.push(bounded(Line { place: index + 1, cells }, lines.len())?);
    }
    Ok(lines)
}

fn bounded(line: Line, before: usize) -> Result<Line, Fault> {
    if line.cells.len() > CELLS_MAX || before >= LINES_MAX {
        return Err(too_large(
            line.place,
            "的列数或行数过多",
            "has too many cells, or there are too many lines",
        ));
    }
    if line.cells.iter().any(|cell| cell.len() > CELL_MAX) {
        return Err(too_large(line.place, "有过长的单元格", "has a cell that is too long"));
    }
    Ok(line)
}

/// Reads a table by the layout that fits its column names best; of those of the connection before those built in.
pub fn read(content: &str, own: &[Layout], built_in: &[Layout]) -> Result<Book, Fault> {
    let mut nearest_miss = 0;
    for layouts in [own, built_in] {
        for (is_backticked, separator) in [(true, b','), (false, b','), (false, b'\t')] {
            let wanted: Vec<&Layout> =
                layouts.iter().filter(|layout| layout.has_backticks == is_backticked).collect();
            if wanted.is_empty() {
                continue;
            }
            let lines = if is_backticked { backticked(content)? } else { separated(content, separator)? };
            nearest_miss = nearest_miss.max(lines.len());
            for (index, line) in lines.iter().enumerate().take(HEAD_MAX) {
                let mut best: Option<(usize, Fit<'_>)> = None;
                for (score, fit) in wanted.iter().filter_map(|layout| fit(layout, line)) {
                    if best.as_ref().is_none_or(|(known, _)| score > *known) {
                        best = Some((score, fit));
                    }
                }
                if let Some((_, fit)) = best {
                    return Table::new(fit).read(&lines, index, content.ends_with('\n'));
                }
            }
        }
    }
    Err(unknown(nearest_miss))
}

fn unknown(lines: usize) -> Fault {
    Fault::new(
        Code::LayoutUnknown,
        format!("前 {HEAD_MAX} 行（共 {lines} 行）中没有任何布局认识的表头"),
        format!("no layout knows a row of column names in the first {HEAD_MAX} lines (of {lines})"),
    )
    .at("file")
}

struct Table<'a> {
    fit: Fit<'a>,
    book: Book,
    totals: Totals,
    /// What labels say.
    said: BTreeMap<&'static str, String>,
    statements: BTreeMap<(String, String), Statement>,
}

impl<'a> Table<'a> {
    fn new(fit: Fit<'a>) -> Table<'a> {
        let book = Book { format: fit.layout.name.clone(), ..Book::default() };
        Table { fit, book, totals: Totals::default(), said: BTreeMap::new(), statements: BTreeMap::new() }
    }

    fn read(mut self, lines: &[Line], header: usize, is_whole: bool) -> Result<Book, Fault> {
        let names = lines.get(header).map(|line| line.cells.clone()).unwrap_or_default();
        for line in lines.iter().take(header + 1) {
            self.labels(line);
            self.skip(line, Why::Head);
        }
        let mut rest = lines.iter().skip(header + 1);
        while let Some(line) = rest.next() {
            if line.filled() == 0 {
                continue;
            }
            if line.cells == names {
                self.skip(line, Why::Head);
            } else if let Some(columns) = self.totals.columns(self.fit.layout, line) {
                self.skip(line, Why::Foot);
                let Some(values) = rest.next() else {
                    return Err(cut(line.place));
                };
                self.totals.row(&columns, values.place, &values.cells)?;
                self.skip(values, Why::Foot);
            } else if self.is_foot(line)? {
                self.labels(line);
                self.skip(line, Why::Foot);
            } else if !is_whole && rest.len() == 0 && line.cells.len() < names.len() {
                // Nothing ends the last row, and it is short: who knows what its last cell was to say.
                return Err(cut(line.place));
            } else {
                self.row(line)?;
            }
        }
        self.end()
    }

    fn skip(&mut self, line: &Line, why: Why) {
        if line.filled() > 0 {
            self.book.skipped.push(Skipped { place: line.place, why });
        }
    }

    /// Takes what labels beside the rows say of the account.
    fn labels(&mut self, line: &Line) {
        let labels = &self.fit.layout.labels;
        for (index, cell) in line.cells.iter().enumerate() {
            let shown = text::name(text::clean(cell));
            let shown = shown.trim_start_matches('#');
            for what in ["account", "opening", "closing", "currency"] {
                for label in labels.get(what).into_iter().flatten() {
                    let Some(rest) = shown.strip_prefix(label.as_str()) else { continue };
                    let value = match rest.strip_prefix(':') {
                        Some("") => text::name(text::clean(line.cell(index + 1))),
                        Some(value) => value.to_owned(),
                        None if rest.is_empty() => text::name(text::clean(line.cell(index + 1))),
                        None if rest.starts_with('[') => rest.to_owned(),
                        None => continue,
                    };
                    let value = value.trim_matches(['[', ']']).to_owned();
                    let fits = match what {
                        "account" => {
                            value.len() >= 4
                                && value
                                    .chars()
                                    .all(|one| one.is_ascii_alphanumeric() || one == '*' || one == '-')
                                && value.chars().any(|one| one.is_ascii_digit())
                        }
                        "currency" => text::currency(&value).is_some(),
                        _ => text::amount(value.trim_end_matches('元')).is_ok_and(|amount| amount.is_some()),
                    };
                    if fits {
                        self.said.entry(what).or_insert(value);
                    }
                }
            }
        }
    }

    /// Whether a line below the column names is no row: totals, remarks, who printed it.
    fn is_foot(&mut self, line: &Line) -> Result<bool, Fault> {
        if self.totals.line(&self.fit, line)? {
            return Ok(true);
        }
        if line.first().starts_with('#') {
            return Ok(true);
        }
        if text::moment(self.fit.cell(line, "date")).is_some() {
            return Ok(false);
        }
        let amounts = ["in", "out", "amount"].iter().any(|role| !text::is_empty(self.fit.cell(line, role)));
        if amounts || line.filled() > 4 {
            let fault = Fault::new(Code::DateInvalid, "没有可读的日期", "there is no readable day");
            return Err(in_row(fault, line.place, "date"));
        }
        Ok(true)
    }

    fn row(&mut self, line: &Line) -> Result<(), Fault> {
        let place = line.place;
        // A row that ends before its figures do was cut off, perhaps in the middle of one.
        let figures = ["date", "in", "out", "amount", "direction", "balance", "fee", "status"];
        let needed = figures.iter().filter_map(|role| self.fit.column(role)).max();
        if needed.is_some_and(|last| line.cells.len() <= last) {
            return Err(cut(place));
        }
        let (signed, is_undone) = self.money(line)?;
        let fee = self.fit.amount(line, "fee")?.filter(|fee| !fee.is_zero());
        let booked = &self.fit.layout.booked;
        let is_booked = booked.is_empty()
            || self
                .fit
                .cells(line, "status")
                .filter(|cell| *cell != "0")
                .all(|cell| booked.iter().any(|word| word == cell));
        self.totals.add(signed, is_undone, fee, is_booked)?;
        if !is_booked {
            self.skip(line, Why::NotSuccessful);
            return Ok(());
        }
        if signed.is_zero() {
            self.skip(line, Why::Zero);
            return Ok(());
        }
        let (date, time) = text::moment(self.fit.cell(line, "date")).ok_or_else(|| cut(place))?;
        let mut row = Row::new(place, date, signed);
        row.time = time.or_else(|| {
            let cell = self.fit.cell(line, "time");
            text::time_of_day(cell).or_else(|| text::moment(cell).and_then(|(_, time)| time))
        });
        let value_date = self.fit.cell(line, "value_date");
        if !text::is_empty(value_date) {
            let wrong = || in_row(Fault::new(Code::DateInvalid, "不是日期", "no day"), place, "value_date");
            row.value_date = Some(text::moment(value_date).ok_or_else(wrong)?.0);
        }
        row.balance = self.fit.amount(line, "balance")?;
        row.fee = fee;
        row.kind = self.kind(line, is_undone);
        row.other_name = self.fit.text(line, "other_name");
        row.other_account = self.fit.text(line, "other_account");
        row.other_bank = self.fit.text(line, "other_bank");
        row.text = self.fit.text(line, "text");
        row.reference = self.fit.reference(line, "reference");
        row.own_reference = self.fit.reference(line, "own_reference");
        let key = (self.account(line)?, self.currency(line)?);
        let (account, currency) = key.clone();
        self.statements.entry(key).or_insert_with(|| Statement::new(account, currency)).rows.push(row);
        Ok(())
    }

    /// What moved, money in positive; and whether its sign says that it undoes something.
    fn money(&self, line: &Line) -> Result<(Decimal, bool), Fault> {
        let place = line.place;
        let turned = |amount: Decimal| if self.fit.layout.out_is_negative { -amount } else { amount };
        let wrong = |code, zh: &str, en: &str| in_row(Fault::new(code, zh, en), place, "amount");
        if self.fit.columns.contains_key("amount") {
            let Some(amount) = self.fit.amount(line, "amount")? else {
                return Err(wrong(Code::FieldMissing, "没有金额", "there is no amount"));
            };
            if !self.fit.columns.contains_key("direction") {
                return Ok((amount, false));
            }
            let word = text::clean(self.fit.cell(line, "direction"));
            let is = |words: &[String]| words.iter().any(|known| known == word);
            return match (is(&self.fit.layout.words_in), is(&self.fit.layout.words_out)) {
                (true, false) => Ok((amount, amount < Decimal::ZERO)),
                (false, true) => Ok((-turned(amount), turned(amount) < Decimal::ZERO)),
                _ => Err(in_row(
                    Fault::new(
                        Code::ValueUnmapped,
                        "收支方向无法识别",
                        "which way the money went is not known",
                    ),
                    place,
                    "direction",
                )),
            };
        }
        let (money_in, out) = (self.fit.amount(line, "in")?, self.fit.amount(line, "out")?);
        let some = |amount: Option<Decimal>| amount.filter(|amount| !amount.is_zero());
        match (some(money_in), some(out)) {
            (Some(amount), None) => Ok((amount, amount < Decimal::ZERO)),
            (None, Some(amount)) => {
                let amount = turned(amount);
                // The platform writes every payment with a minus: a row without one is not what the layout takes it for.
                if self.fit.layout.out_is_negative && amount < Decimal::ZERO {
                    return Err(wrong(Code::FieldType, "支出应为负数", "money out should be negative"));
                }
                Ok((-amount, amount < Decimal::ZERO))
            }
            (Some(_), Some(_)) => Err(wrong(
                Code::FieldType,
                "收入与支出同时有值",
                "there is money in and money out in one row",
            )),
            (None, None) if money_in.or(out).is_some() => Ok((Decimal::ZERO, false)),
            (None, None) => Err(wrong(Code::FieldMissing, "没有金额", "there is no amount")),
        }
    }

    fn kind(&self, line: &Line, is_undone: bool) -> Kind {
        let says = |words: &[String]| {
            self.fit.cells(line, "kind").any(|cell| words.iter().any(|word| cell.contains(word.as_str())))
        };
        if is_undone || says(&self.fit.layout.reversal) {
            Kind::Reversal
        } else if says(&self.fit.layout.refund) {
            Kind::Refund
        } else {
            Kind::Ordinary
        }
    }

    /// The row's account, else what the file says above its rows, else nothing: the connection may know.
    fn account(&self, line: &Line) -> Result<String, Fault> {
        let cell = self.fit.cell(line, "account");
        if !text::is_empty(cell) {
            return Ok(text::clean(cell).to_owned());
        }
        Ok(self.said.get("account").cloned().unwrap_or_default())
    }

    fn currency(&self, line: &Line) -> Result<String, Fault> {
        let cell = self.fit.cell(line, "currency");
        let said = self.said.get("currency").map(String::as_str);
        let shown =
            if text::is_empty(cell) { said.or(self.fit.layout.currency.as_deref()) } else { Some(cell) };
        let fault = || {
            let fault = Fault::new(Code::CurrencyMismatch, "币种无法识别", "the currency is not known")
                .remedy(
                    "在该连接的布局中写明 currency。",
                    "Name the `currency` in a layout of the connection.",
                );
            in_row(fault, line.place, "currency")
        };
        shown.and_then(text::currency).ok_or_else(fault)
    }

    fn end(self) -> Result<Book, Fault> {
        let Table { mut book, totals, said, statements, .. } = self;
        book.statements = statements.into_values().collect();
        totals.check(&mut book)?;
        // What stands beside the rows is of one account, and of no other.
        if let [only] = book.statements.as_mut_slice() {
            let of = |what: &str| match said.get(what) {
                Some(value) => text::amount(value.trim_end_matches('元')),
                None => Ok(None),
            };
            (only.opening, only.closing) = (of("opening")?, of("closing")?);
        }
        Ok(book)
    }
}

fn cut(place: usize) -> Fault {
    Fault::new(Code::BodyInvalid, format!("文件在第 {place} 行中断"), format!("the file ends in row {place}"))
        .at(row_field(place))
        .remedy("请重新下载完整的文件。", "Download the whole file again.")
}

/// The total of a name, for reports.
pub fn total_name(total: Total) -> (&'static str, &'static str, &'static str) {
    match total {
        Total::Count => ("total-count", "笔数", "number of rows"),
        Total::In => ("total-in", "收入合计", "sum of money in"),
        Total::Out => ("total-out", "支出合计", "sum of money out"),
        Total::Fee => ("total-fee", "手续费合计", "sum of fees"),
    }
}
