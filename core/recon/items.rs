//! What is open on a contract, paper by paper: its invoices, and what of it was not invoiced yet.
//!
//! Money that names its invoice pays that one. All other money, and red invoices, pay the oldest first, as finance people do
//! by hand. So what is open of the papers together is what is open of the contract.

use crate::matching::Item;
use rust_decimal::Decimal;
use tongbao_model::decimal;

/// An invoice on a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its number.
    pub number: String,
    /// When it was issued, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// With tax, in the contract's currency; negative for a red one.
    pub amount: Decimal,
}

/// Money on a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// Number of the invoice that it is for; `None` for the contract as a whole.
    pub paper: Option<String>,
    /// In the contract's currency, with what a bank kept of it.
    pub amount: Decimal,
}

/// A contract with everything on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Its number.
    pub number: String,
    /// Code of the customer.
    pub customer: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Ordered less credited, with tax.
    pub due: Decimal,
    /// Invoices.
    pub papers: Vec<Paper>,
    /// Money.
    pub paid: Vec<Paid>,
    /// Other numbers that it goes by, such as its order's in the ERP.
    pub numbers: Vec<String>,
}

impl Contract {
    /// Its items: one for each invoice that is not red, named `contract:invoice`, and one for what was not invoiced, named as the
    /// contract. What is paid is in it with nothing open. `None`: amounts leave the range of exact arithmetic.
    pub fn items(&self) -> Option<Vec<Item>> {
        let mut papers: Vec<(&Paper, Decimal)> = Vec::new();
        // What pays the oldest first, and what was not invoiced.
        let (mut rest, mut uninvoiced) = (Decimal::ZERO, self.due);
        for paper in &self.papers {
            uninvoiced = decimal::add(uninvoiced, -paper.amount)?;
            if paper.amount > Decimal::ZERO {
                papers.push((paper, paper.amount));
            } else {
                rest = decimal::add(rest, -paper.amount)?;
            }
        }
        papers.sort_by_key(|(paper, _)| (paper.at_ms, &paper.number));
        if uninvoiced < Decimal::ZERO {
            // Less is due than was invoiced: a credit note without its red invoice.
            rest = decimal::add(rest, -uninvoiced)?;
            uninvoiced = Decimal::ZERO;
        }
        for paid in &self.paid {
            let named = paid.paper.as_ref();
            match papers.iter_mut().find(|(paper, _)| Some(&paper.number) == named) {
                Some((_, open)) => *open = decimal::add(*open, -paid.amount)?,
                None => rest = decimal::add(rest, paid.amount)?,
            }
        }
        for (_, open) in &mut papers {
            // Too much for one paper is there for the others.
            let over = (*open).min(Decimal::ZERO);
            *open = decimal::add(*open, -over)?;
            rest = decimal::add(rest, -over)?;
        }
        let mut items = Vec::with_capacity(papers.len() + 1);
        let mut take = |open: Decimal| -> Option<Decimal> {
            let taken = open.min(rest).max(Decimal::ZERO);
            rest = decimal::add(rest, -taken)?;
            decimal::add(open, -taken)
        };
        for (paper, open) in papers {
            items.push(self.item(Some(&paper.number), take(open)?));
        }
        let uninvoiced = take(uninvoiced)?;
        // More went back than ever came in: it is owed again, and no invoice says so.
        let back = rest.min(Decimal::ZERO);
        items.push(self.item(None, decimal::add(uninvoiced, -back)?));
        Some(items)
    }

    fn item(&self, paper: Option<&str>, open: Decimal) -> Item {
        let own = paper.into_iter().map(str::to_owned);
        let contract = std::iter::once(self.number.clone()).chain(self.numbers.iter().cloned());
        Item {
            id: id(&self.number, paper),
            customer: self.customer.clone(),
            references: own.chain(contract).collect(),
            currency: self.currency.clone(),
            open,
        }
    }
}

/// The id of an item: `contract:invoice`, or the contract for what was not invoiced.
pub fn id(contract: &str, paper: Option<&str>) -> String {
    paper.map_or_else(|| contract.to_owned(), |paper| format!("{contract}:{paper}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contract(due: i64, papers: &[i64], paid: &[(&str, i64)]) -> Contract {
        let paper = |(place, cents): (usize, &i64)| Paper {
            number: format!("FP{place}"),
            at_ms: i64::try_from(place).unwrap(),
            amount: Decimal::new(*cents, 2),
        };
        let money = |(paper, cents): &(&str, i64)| Paid {
            paper: (!paper.is_empty()).then(|| (*paper).to_owned()),
            amount: Decimal::new(*cents, 2),
        };
        Contract {
            number: "HT-1".into(),
            customer: "C1".into(),
            currency: "CNY".into(),
            due: Decimal::new(due, 2),
            papers: papers.iter().enumerate().map(paper).collect(),
            paid: paid.iter().map(money).collect(),
            numbers: vec!["XSDD1".into()],
        }
    }

    #[test]
    fn what_is_open_of_each() {
        for (due, papers, paid, expected) in [
            (100, &[][..], &[][..], &["HT-1 1.00"][..]),
            (100, &[60, 40], &[], &["HT-1:FP0 0.60", "HT-1:FP1 0.40", "HT-1 0.00"]),
            // Money for the contract pays the oldest; money for an invoice pays that one.
            (100, &[60, 40], &[("", 70)], &["HT-1:FP0 0.00", "HT-1:FP1 0.30", "HT-1 0.00"]),
            (100, &[60, 40], &[("FP1", 40)], &["HT-1:FP0 0.60", "HT-1:FP1 0.00", "HT-1 0.00"]),
            (100, &[60], &[("", 70)], &["HT-1:FP0 0.00", "HT-1 0.30"]),
            // Too much for one invoice is there for the others, and too much for all is nobody's.
            (100, &[60, 40], &[("FP1", 50)], &["HT-1:FP0 0.50", "HT-1:FP1 0.00", "HT-1 0.00"]),
            (100, &[60], &[("FP0", 130)], &["HT-1:FP0 0.00", "HT-1 0.00"]),
            // A red invoice, and a credit note without one.
            (80, &[100, -20], &[], &["HT-1:FP0 0.80", "HT-1 0.00"]),
            (80, &[100], &[], &["HT-1:FP0 0.80", "HT-1 0.00"]),
            // Paid back: open again.
            (100, &[100], &[("", 100), ("", -30)], &["HT-1:FP0 0.30", "HT-1 0.00"]),
            // Paid back more than ever came in.
            (100, &[60], &[("", 20), ("", -30)], &["HT-1:FP0 0.60", "HT-1 0.50"]),
            // For an invoice that nobody knows.
            (100, &[60], &[("FP9", 10)], &["HT-1:FP0 0.50", "HT-1 0.40"]),
        ] {
            let items = contract(due, papers, paid).items().unwrap();
            let told: Vec<String> = items
                .iter()
                .map(|item| {
                    let mut open = item.open;
                    open.rescale(2);
                    format!("{} {open}", item.id)
                })
                .collect();
            assert_eq!(told, expected, "{due} {papers:?} {paid:?}");
            assert!(items.iter().all(|item| item.references.ends_with(&["HT-1".into(), "XSDD1".into()])));
        }
    }

    proptest! {
        /// Together what is open of the contract, whatever order everything came in.
        #[test]
        fn together_what_is_open(
            due in 0..2_000_i64,
            papers in prop::collection::vec(-300..600_i64, 0..6),
            paid in prop::collection::vec((0..8_usize, -200..500_i64), 0..6),
            seed: u64,
        ) {
            let names: Vec<String> = (0..8).map(|place| format!("FP{place}")).collect();
            let paid: Vec<(&str, i64)> = paid
                .iter()
                .map(|(place, cents)| (names.get(*place).filter(|_| *place < 6).map_or("", String::as_str), *cents))
                .collect();
            let mut contract = contract(due, &papers, &paid);
            let items = contract.items().unwrap();
            let open: Decimal = items.iter().map(|item| item.open).sum();
            let received: i64 = paid.iter().map(|(_, cents)| cents).sum();
            prop_assert!(items.iter().all(|item| item.open >= Decimal::ZERO));
            prop_assert_eq!(open, Decimal::new((due - received).max(0), 2));
            let mut dice = fastrand::Rng::with_seed(seed);
            dice.shuffle(&mut contract.papers);
            dice.shuffle(&mut contract.paid);
            prop_assert_eq!(contract.items().unwrap(), items);
        }
    }
}
