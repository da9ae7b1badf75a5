//! The totals that a table states of itself, and what its rows come to.

use super::fit::Fit;
use super::layout::{Layout, Total};
use super::statement::{Book, in_row, mismatch};
use super::table::{Line, total_name};
use super::text;
use rust_decimal::Decimal;
use tongbao_model::Fault;

/// Sums of rows.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    money_in: Decimal,
    out: Decimal,
    fee: Decimal,
    count_in: u32,
    count_out: u32,
}

/// What a total is stated of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stated {
    Sum(Total),
    CountIn,
    CountOut,
}

/// Totals, stated and counted. A file's total may be of all its rows or of those that are booked: either holds.
#[derive(Debug, Default)]
pub struct Totals {
    stated: Vec<(usize, Stated, Decimal)>,
    all: Sums,
    booked: Sums,
}

impl Totals {
    /// Counts a row. What undoes something lowers the sum of its own column.
    pub fn add(
        &mut self,
        signed: Decimal,
        is_undone: bool,
        fee: Option<Decimal>,
        is_booked: bool,
    ) -> Result<(), Fault> {
        let sums = [Some(&mut self.all), is_booked.then_some(&mut self.booked)];
        for sums in sums.into_iter().flatten() {
            sums.fee = text::sum(sums.fee, fee.unwrap_or_default())?;
            // The reversal of a payment is money in, and stands among the payments.
            if (signed > Decimal::ZERO) != is_undone {
                sums.money_in = text::sum(sums.money_in, signed)?;
                sums.count_in += 1;
            } else {
                sums.out = text::sum(sums.out, -signed)?;
                sums.count_out += 1;
            }
        }
        Ok(())
    }

    /// The columns of a line that names totals.
    pub fn columns(&self, layout: &Layout, line: &Line) -> Option<Vec<Option<Total>>> {
        let of = |cell: &String| {
            let name = text::name(text::clean(cell));
            layout.total_columns.iter().find(|(known, _)| *known == name).map(|(_, total)| *total)
        };
        let columns: Vec<Option<Total>> = line.cells.iter().map(of).collect();
        (columns.iter().flatten().count() >= 2).then_some(columns)
    }

    /// Takes the totals below such a line.
    pub fn row(&mut self, columns: &[Option<Total>], place: usize, cells: &[String]) -> Result<(), Fault> {
        for (total, cell) in columns.iter().zip(cells) {
            let Some(total) = total else { continue };
            if let Some(amount) = text::amount(cell).map_err(|fault| in_row(fault, place, "total"))? {
                self.stated.push((place, Stated::Sum(*total), amount));
            }
        }
        Ok(())
    }

    /// Takes the totals that a line states, by its words or below the columns; whether there are any.
    pub fn line(&mut self, fit: &Fit<'_>, line: &Line) -> Result<bool, Fault> {
        let layout = fit.layout;
        let first = line.first();
        let mut found = false;
        if layout.total_rows.iter().any(|word| word == first.trim_end_matches(':')) {
            for (role, total) in [("in", Total::In), ("out", Total::Out)] {
                let cell = fit.column(role).and_then(|index| line.cells.get(index));
                let cell = cell.map_or("", String::as_str);
                if let Some(amount) = text::amount(cell).map_err(|fault| in_row(fault, line.place, role))? {
                    self.stated.push((line.place, Stated::Sum(total), amount));
                }
            }
            return Ok(true);
        }
        let joined: Vec<String> = line.cells.iter().map(|cell| text::name(text::clean(cell))).collect();
        let joined = joined.join(" ");
        let begins = |word: &String| first.trim_start_matches('#').starts_with(word.as_str());
        if !layout.total_in.iter().chain(&layout.total_out).any(begins) {
            return Ok(false);
        }
        let labels = [(&layout.total_in, Total::In), (&layout.total_out, Total::Out)];
        for (words, total) in labels {
            let Some((at, word)) = words.iter().find_map(|word| Some((joined.find(word.as_str())?, word)))
            else {
                continue;
            };
            let rest = joined.get(at + word.len()..).unwrap_or_default();
            let end = labels
                .iter()
                .flat_map(|(words, _)| words.iter())
                .filter_map(|word| rest.find(word.as_str()))
                .min();
            self.words(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default(), total, line.place)?;
            found = true;
        }
        Ok(found)
    }

    /// Figures in words: one before `笔` counts, another is the sum.
    fn words(&mut self, text: &str, total: Total, place: usize) -> Result<(), Fault> {
        let is_figure = |one: char| one.is_ascii_digit() || matches!(one, '.' | ',' | '-');
        let mut rest = text;
        while let Some(at) = rest.find(is_figure) {
            let from = rest.get(at..).unwrap_or_default();
            let end = from.find(|one| !is_figure(one)).unwrap_or(from.len());
            let (figure, after) = from.split_at(end);
            rest = after;
            let figure = figure.trim_matches(',');
            if figure.is_empty() || figure.chars().all(|one| one == '-') {
                continue;
            }
            let amount = text::amount(figure).map_err(|fault| in_row(fault, place, "total"))?;
            let Some(amount) = amount else { continue };
            let stated = match (after.trim_start().starts_with('笔'), total) {
                (true, Total::In) => Stated::CountIn,
                (true, _) => Stated::CountOut,
                (false, total) => Stated::Sum(total),
            };
            self.stated.push((place, stated, amount));
        }
        Ok(())
    }

    /// Holds what is stated to what was counted.
    pub fn check(&self, book: &mut Book) -> Result<(), Fault> {
        for (place, stated, amount) in &self.stated {
            let (name, zh, en) = match stated {
                Stated::Sum(total) => total_name(*total),
                Stated::CountIn => ("count-in", "收入笔数", "number of rows of money in"),
                Stated::CountOut => ("count-out", "支出笔数", "number of rows of money out"),
            };
            let of = |sums: &Sums| match stated {
                Stated::Sum(Total::In) => sums.money_in,
                // Some files write the sum of money out with its minus.
                Stated::Sum(Total::Out) if amount.is_sign_negative() => -sums.out,
                Stated::Sum(Total::Out) => sums.out,
                Stated::Sum(Total::Fee) => sums.fee,
                Stated::Sum(Total::Count) => Decimal::from(sums.count_in + sums.count_out),
                Stated::CountIn => sums.count_in.into(),
                Stated::CountOut => sums.count_out.into(),
            };
            if of(&self.booked) != *amount && of(&self.all) != *amount {
                return Err(mismatch(*place, (zh, en), *amount, of(&self.booked)));
            }
            book.held(name);
        }
        Ok(())
    }
}
