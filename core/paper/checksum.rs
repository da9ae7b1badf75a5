//! The checksum on every file: SHA-256 over a canonical text of the statement, so that it does not depend on the format.
//!
//! The text has a line for the customer, the month and the credit days, and for each currency its opening, lines, sums, closing
//! and ageing. It has not when the books were read, nor whether the month is closed: the same figures have the same checksum.

use rust_decimal::Decimal;
use tongbao_model::digest;
use tongbao_recon::statement::{Section, Statement, money};

/// What every checksum begins with.
pub const PREFIX: &str = "sha256:";

/// The checksum of a statement.
pub fn of(statement: &Statement) -> String {
    format!("{PREFIX}{}", digest::of_bytes(canonical(statement).as_bytes()))
}

/// The text over which it is made. Fields are parted by tabs; a field's own tabs, line ends and backslashes are escaped.
pub fn canonical(statement: &Statement) -> String {
    let mut text = String::from("tongbao-statement\t1\n");
    line(&mut text, &["customer", &statement.customer]);
    line(&mut text, &["month", &statement.month.to_string()]);
    line(&mut text, &["credit-days", &statement.credit_days.to_string()]);
    statement.sections.iter().for_each(|one| section(&mut text, one));
    text
}

fn section(text: &mut String, section: &Section) {
    line(text, &["currency", &section.currency]);
    line(text, &["opening", &amount(section.opening.0)]);
    for one in &section.lines {
        let day = one.day.to_string();
        let amounts = [one.debit, one.credit, one.balance].map(|value| amount(value.0));
        let [debit, credit, balance] = amounts.each_ref().map(String::as_str);
        line(text, &["line", &day, one.kind.told().1, &one.number, &one.contract, debit, credit, balance]);
    }
    line(text, &["debit", &amount(section.debit.0)]);
    line(text, &["credit", &amount(section.credit.0)]);
    line(text, &["closing", &amount(section.closing.0)]);
    let ageing = section.ageing.told().map(|(_, _, value)| amount(value.0));
    let fields: Vec<&str> = std::iter::once("ageing").chain(ageing.iter().map(String::as_str)).collect();
    line(text, &fields);
}

fn line(text: &mut String, fields: &[&str]) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push('\t');
        }
        for symbol in field.chars() {
            match symbol {
                '\\' => text.push_str("\\\\"),
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                other => text.push(other),
            }
        }
    }
    text.push('\n');
}

/// An amount as it is written everywhere.
pub fn amount(value: Decimal) -> String {
    money(value).text()
}
