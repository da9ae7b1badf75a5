//! The month-end pack (月结包): what all customers' statements come to, how the money in the books becomes the money at the bank,
//! what is not matched, how old what is open is, and for how many days of sales it stands (DSO), with the months before.

pub mod dso;
pub mod walk;

use crate::statement::{Ageing, LineKind, Statement, money};
use dso::{Dso, Invoiced};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;
use tongbao_model::{Exact, Month, decimal};
use walk::Walk;

/// Months that the trend shows, the pack's own among them.
pub const TREND: usize = 12;
/// Months whose sales a balance is held against.
pub const BALANCE_MONTHS: usize = 3;

/// Why there is no pack: a sum leaves the range of exact arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sums leave the range of exact arithmetic")]
pub struct OutOfRange;

/// What all statements of a month come to, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Roll {
    /// Balance before the month.
    pub opening: Exact,
    /// Invoices of the month; red ones are negative.
    pub invoiced: Exact,
    /// Receipts of the month.
    pub received: Exact,
    /// What banks kept of them.
    pub fees: Exact,
    /// Late news of closed months: what they add to the balance.
    pub adjusted: Exact,
    /// Balance at its end.
    pub closing: Exact,
}

/// A customer in the pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Code.
    pub customer: String,
    /// Balance before the month.
    pub opening: Exact,
    /// Debits.
    pub debit: Exact,
    /// Credits.
    pub credit: Exact,
    /// Balance at its end.
    pub closing: Exact,
    /// Of it, due and not paid.
    pub overdue: Exact,
}

/// How many payments, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// Together.
    pub amount: Exact,
}

/// What came in within the month, and what was paid too much or too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Payments {
    /// Allocated by a rule, by a person, or by the document itself.
    pub matched: Count,
    /// Not allocated yet.
    pub open: Count,
    /// Contracts on which more came in than is due, as known now, and by how much.
    pub over: Count,
    /// Contracts that are invoiced in full and paid in part, as known now, and what is open of them.
    pub under: Count,
}

/// A month of the trend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Which.
    pub month: Month,
    /// Sales with tax: debits of all statements.
    pub invoiced: Exact,
    /// Credits of all statements.
    pub received: Exact,
    /// Balance at its end.
    pub closing: Exact,
    /// Days of sales outstanding.
    pub dso: Dso,
}

/// The pack in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// ISO 4217 code.
    pub currency: String,
    /// All statements together.
    pub roll: Roll,
    /// How old what is open is.
    pub ageing: Ageing,
    /// Customers, the greatest balance first.
    pub customers: Vec<Row>,
    /// Payments.
    pub payments: Payments,
    /// From the books to the bank.
    pub walk: Walk,
    /// Months, the oldest first; the last one is the pack's.
    pub trend: Vec<Point>,
}

/// What a part is made of.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// All customers' statements of each month of the trend and of those before it that its balances are held against, oldest
    /// month first.
    pub months: Vec<(Month, Vec<Statement>)>,
    /// By currency.
    pub payments: BTreeMap<String, Payments>,
    /// By currency.
    pub walks: BTreeMap<String, Walk>,
}

/// The parts of a pack, by currency.
///
/// # Errors
/// Sums that leave the range of exact arithmetic.
pub fn parts(given: &Given) -> Result<Vec<Part>, OutOfRange> {
    let sections = given.months.iter().flat_map(|(_, all)| all).flat_map(|one| &one.sections);
    let mut currencies: Vec<&str> = sections.map(|section| section.currency.as_str()).collect();
    currencies.extend(given.walks.keys().chain(given.payments.keys()).map(String::as_str));
    currencies.sort_unstable();
    currencies.dedup();
    currencies.into_iter().map(|currency| part(currency, given)).collect()
}

fn part(currency: &str, given: &Given) -> Result<Part, OutOfRange> {
    let mut sold: Vec<Invoiced> = Vec::with_capacity(given.months.len());
    let mut trend = Vec::with_capacity(TREND);
    for (month, statements) in &given.months {
        let (mut debit, mut credit, mut closing) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for section in sections(statements, currency) {
            debit = plus(debit, section.debit.0)?;
            credit = plus(credit, section.credit.0)?;
            closing = plus(closing, section.closing.0)?;
        }
        sold.push(Invoiced { month: *month, amount: debit });
        trend.push(Point {
            month: *month,
            invoiced: money(debit),
            received: money(credit),
            closing: money(closing),
            dso: Dso::of(closing, &sold).ok_or(OutOfRange)?,
        });
    }
    // Not before there was anything, and the pack's own month whatever there was.
    let is_something =
        |point: &Point| [point.invoiced, point.received, point.closing].iter().any(|one| !one.0.is_zero());
    let last_place = trend.len().saturating_sub(1);
    let begun = trend.iter().position(is_something).unwrap_or(last_place);
    let from = trend.len().saturating_sub(TREND).max(begun);
    let last = given.months.last().map(|(_, statements)| statements.as_slice()).unwrap_or_default();
    Ok(Part {
        currency: currency.to_owned(),
        roll: roll(last, currency)?,
        ageing: ageing(last, currency)?,
        customers: customers(last, currency)?,
        payments: given.payments.get(currency).copied().unwrap_or_default(),
        walk: given.walks.get(currency).cloned().unwrap_or_default(),
        trend: trend.split_off(from),
    })
}

fn sections<'s>(
    statements: &'s [Statement],
    currency: &'s str,
) -> impl Iterator<Item = &'s crate::statement::Section> {
    statements.iter().flat_map(|one| &one.sections).filter(move |section| section.currency == currency)
}

fn plus(sum: Decimal, amount: Decimal) -> Result<Decimal, OutOfRange> {
    decimal::add(sum, amount).ok_or(OutOfRange)
}

fn roll(statements: &[Statement], currency: &str) -> Result<Roll, OutOfRange> {
    let (mut opening, mut closing) = (Decimal::ZERO, Decimal::ZERO);
    let (mut invoiced, mut received, mut fees, mut adjusted) =
        (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    for section in sections(statements, currency) {
        opening = plus(opening, section.opening.0)?;
        closing = plus(closing, section.closing.0)?;
        for line in &section.lines {
            match line.kind {
                LineKind::Invoice => invoiced = plus(invoiced, line.debit.0)?,
                LineKind::Receipt => received = plus(received, line.credit.0)?,
                LineKind::Fee => fees = plus(fees, line.credit.0)?,
                LineKind::Adjustment => adjusted = plus(plus(adjusted, line.debit.0)?, -line.credit.0)?,
            }
        }
    }
    Ok(Roll {
        opening: money(opening),
        invoiced: money(invoiced),
        received: money(received),
        fees: money(fees),
        adjusted: money(adjusted),
        closing: money(closing),
    })
}

fn ageing(statements: &[Statement], currency: &str) -> Result<Ageing, OutOfRange> {
    let mut sum = Ageing::default();
    let fields: [fn(&mut Ageing) -> &mut Exact; 6] = [
        |one| &mut one.not_due,
        |one| &mut one.to_30,
        |one| &mut one.to_60,
        |one| &mut one.to_90,
        |one| &mut one.over_90,
        |one| &mut one.unapplied,
    ];
    for section in sections(statements, currency) {
        let mut one = section.ageing;
        for field in fields {
            *field(&mut sum) = money(plus(field(&mut sum).0, field(&mut one).0)?);
        }
    }
    for field in fields {
        *field(&mut sum) = money(field(&mut sum).0);
    }
    Ok(sum)
}

fn customers(statements: &[Statement], currency: &str) -> Result<Vec<Row>, OutOfRange> {
    let mut rows = Vec::new();
    for statement in statements {
        for section in statement.sections.iter().filter(|section| section.currency == currency) {
            let ageing = &section.ageing;
            let mut overdue = Decimal::ZERO;
            for amount in [ageing.to_30, ageing.to_60, ageing.to_90, ageing.over_90] {
                overdue = plus(overdue, amount.0)?;
            }
            rows.push(Row {
                customer: statement.customer.clone(),
                opening: section.opening,
                debit: section.debit,
                credit: section.credit,
                closing: section.closing,
                overdue: money(overdue),
            });
        }
    }
    rows.sort_by(|one, other| (other.closing.0, &one.customer).cmp(&(one.closing.0, &other.customer)));
    Ok(rows)
}

#[cfg(test)]
mod tests;
