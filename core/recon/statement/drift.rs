//! Books that should say the same, and where they do not.

use super::{StatementError, money, plus};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::{Exact, decimal};

/// The difference at which a drift is flagged unless set otherwise: 5 %, as a share of the larger amount.
pub const LIMIT: Decimal = Decimal::from_parts(5, 0, 0, false, 2);

/// Whose account of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Book {
    /// Contracts in the CRM.
    CrmContract,
    /// Orders in the ERP.
    ErpOrder,
    /// Receivables in the ERP.
    ErpReceivable,
    /// Invoices at the tax authority's platform.
    TaxInvoice,
    /// Bank statements.
    Bank,
}

/// What the books are compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// What was ordered.
    Ordered,
    /// What was invoiced.
    Invoiced,
    /// What was received.
    Received,
}

/// What one book says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Which book.
    pub book: Book,
    /// Of what.
    pub measure: Measure,
    /// ISO 4217 code.
    pub currency: String,
    /// When the book said so.
    pub as_of_ms: i64,
    /// Amounts by the number under which both books know the document. Their sum is what is compared.
    pub documents: BTreeMap<String, Decimal>,
}

/// A difference between two books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Of what.
    pub measure: Measure,
    /// ISO 4217 code.
    pub currency: String,
    /// The one book.
    pub left: Side,
    /// The other.
    pub right: Side,
    /// Left less right. It may be nothing where documents differ.
    pub difference: Exact,
    /// Whether it is more than the limit allows.
    pub is_over: bool,
    /// The documents of which the books do not say the same.
    pub documents: Vec<Differing>,
}

/// One of two books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Which.
    pub book: Book,
    /// What it says.
    pub amount: Exact,
    /// When it said so.
    pub as_of_ms: i64,
}

/// A document of which two books do not say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// Its number.
    pub number: String,
    /// `None`: the one book does not know it.
    pub left: Option<Exact>,
    /// `None`: the other book does not know it.
    pub right: Option<Exact>,
}

/// Compares each two books that tell the same measure in the same currency. Where they agree to the cent and document by
/// document, nothing is told.
///
/// # Errors
/// A sum leaves the range of exact arithmetic.
pub fn drifts(figures: &[Figure], limit: Decimal) -> Result<Vec<Drift>, StatementError> {
    let mut sorted: Vec<&Figure> = figures.iter().collect();
    sorted.sort_by_key(|figure| (figure.measure, &figure.currency, figure.book, figure.as_of_ms));
    let mut drifts = Vec::new();
    for (index, left) in sorted.iter().enumerate() {
        for right in sorted.iter().skip(index + 1) {
            if (left.measure, &left.currency) != (right.measure, &right.currency) || left.book == right.book {
                continue;
            }
            drifts.extend(between(left, right, limit)?);
        }
    }
    Ok(drifts)
}

fn between(left: &Figure, right: &Figure, limit: Decimal) -> Result<Option<Drift>, StatementError> {
    let numbers: BTreeSet<&String> = left.documents.keys().chain(right.documents.keys()).collect();
    let differing = |number: &String| {
        let (one, other) = (left.documents.get(number), right.documents.get(number));
        let exact = |amount: Option<&Decimal>| amount.copied().map(money);
        (one != other).then(|| Differing { number: number.clone(), left: exact(one), right: exact(other) })
    };
    let documents: Vec<Differing> = numbers.into_iter().filter_map(differing).collect();
    if documents.is_empty() {
        return Ok(None);
    }
    let (one, other) = (side(left)?, side(right)?);
    let difference = plus(one.amount.0, -other.amount.0, &left.currency)?;
    let larger = one.amount.0.abs().max(other.amount.0.abs());
    let allowed =
        decimal::multiply(larger, limit).ok_or_else(|| StatementError::Range(left.currency.clone()))?;
    Ok(Some(Drift {
        measure: left.measure,
        currency: left.currency.clone(),
        left: one,
        right: other,
        difference: money(difference),
        is_over: difference.abs() > allowed,
        documents,
    }))
}

fn side(figure: &Figure) -> Result<Side, StatementError> {
    let amount = figure
        .documents
        .iter()
        .try_fold(Decimal::ZERO, |sum, (number, amount)| plus(sum, *amount, number))?;
    Ok(Side { book: figure.book, amount: money(amount), as_of_ms: figure.as_of_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(book: Book, measure: Measure, documents: &[(&str, i64)]) -> Figure {
        Figure {
            book,
            measure,
            currency: "CNY".into(),
            as_of_ms: 7,
            documents: documents
                .iter()
                .map(|(number, cents)| ((*number).into(), Decimal::new(*cents, 2)))
                .collect(),
        }
    }

    #[test]
    fn differences_are_told_with_their_documents_and_flagged_above_the_limit() {
        use Book::{Bank, CrmContract, ErpOrder, ErpReceivable, TaxInvoice};
        use Measure::{Invoiced, Ordered, Received};
        let left = [("A", 10_000), ("B", 10_000)];
        for (right, expected) in [
            (&[("A", 10_000), ("B", 10_000)][..], None),
            // Just at the limit, and a cent above it.
            (&[("A", 10_000), ("B", 9_000)], Some(("10.00", false, vec!["B"]))),
            (&[("A", 10_000), ("B", 8_999)], Some(("10.01", true, vec!["B"]))),
            (&[("A", 10_000)], Some(("100.00", true, vec!["B"]))),
            (&[], Some(("200.00", true, vec!["A", "B"]))),
            // The sums are the same and the documents are not.
            (&[("A", 9_000), ("B", 11_000)], Some(("0.00", false, vec!["A", "B"]))),
        ] {
            let figures = [figure(ErpOrder, Ordered, right), figure(CrmContract, Ordered, &left)];
            let found = drifts(&figures, LIMIT).unwrap();
            let told = found.first().map(|drift| {
                assert_eq!((drift.left.book, drift.left.as_of_ms), (CrmContract, 7));
                let numbers = drift.documents.iter().map(|one| one.number.as_str()).collect();
                (drift.difference.0.to_string(), drift.is_over, numbers)
            });
            let expected = expected.map(|(difference, over, numbers)| (difference.to_owned(), over, numbers));
            assert_eq!(told, expected, "{right:?}");
        }
        // Other measures, other currencies and one book twice are not compared.
        let other = Figure { currency: "USD".into(), ..figure(ErpReceivable, Invoiced, &[("A", 1)]) };
        let figures = [
            figure(TaxInvoice, Invoiced, &left),
            other,
            figure(Bank, Received, &[("A", 2)]),
            figure(Bank, Received, &[("A", 3)]),
        ];
        assert_eq!(drifts(&figures, LIMIT).unwrap(), []);
    }
}
