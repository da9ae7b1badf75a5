//! One contract's account.

use rust_decimal::Decimal;
use tongbao_model::decimal;

/// What a movement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MovementKind {
    /// The contract's total with tax.
    Ordered,
    /// A credit note's total with tax: negative.
    Credited,
    /// An invoice's total with tax.
    Invoiced,
    /// Money received; zero once the receipt was taken back.
    Received,
    /// What a bank kept of a receipt: closes what is owed, without money.
    Fee,
    /// What the ERP has booked as owed by an invoice: compared with what is invoiced, and counted nowhere.
    Booked,
    /// Commission was released on this base for a receipt.
    Released,
    /// All that is due had been received once. Written once, never taken off by later movements.
    Settled,
}

/// One movement. Amounts carry their sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// What it is.
    pub kind: MovementKind,
    /// Amount in `currency`.
    pub amount: Decimal,
    /// ISO 4217 code.
    pub currency: String,
    /// Revision of its cause, from 1.
    pub revision: i64,
}

/// How far payment has come. Never goes back: see [`Account::stage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing received yet.
    Open,
    /// Something was received.
    PartPaid,
    /// All of it was received at some time.
    Paid,
}

/// The account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// ISO 4217 code of the contract.
    pub currency: String,
    /// Ordered less credited, with tax.
    pub due: Decimal,
    /// Invoiced, with tax.
    pub invoiced: Decimal,
    /// Received.
    pub received: Decimal,
    /// What banks kept of it on the way.
    pub fees: Decimal,
    /// Due less received and fees; negative when too much came in.
    pub open: Decimal,
    /// Invoiced and not received yet (应收); zero where more came in than was invoiced.
    pub receivable: Decimal,
    /// Received before it was invoiced (预收); zero where less came in than was invoiced.
    pub advance: Decimal,
    /// Commission was released on this base, for all receipts together.
    pub released: Decimal,
    /// Whether all that was due had been received at some time.
    pub settled: bool,
    /// Rises with every movement and every newer revision of one.
    pub revision: i64,
    has_receipts: bool,
}

/// Why there is no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountError {
    /// No contract has been seen under this number yet.
    NoContract,
    /// A movement is in another currency than the contract.
    Currency {
        /// The contract's.
        contract: String,
        /// The movement's.
        movement: String,
    },
    /// The sums leave the range of exact arithmetic.
    Range,
}

impl MovementKind {
    /// Stable name, as stored.
    pub fn name(self) -> &'static str {
        match self {
            MovementKind::Ordered => "ordered",
            MovementKind::Credited => "credited",
            MovementKind::Invoiced => "invoiced",
            MovementKind::Received => "received",
            MovementKind::Fee => "fee",
            MovementKind::Booked => "booked",
            MovementKind::Released => "released",
            MovementKind::Settled => "settled",
        }
    }

    /// The kind of a stored name.
    pub fn from_name(name: &str) -> Option<MovementKind> {
        [
            MovementKind::Ordered,
            MovementKind::Credited,
            MovementKind::Invoiced,
            MovementKind::Received,
            MovementKind::Fee,
            MovementKind::Booked,
            MovementKind::Released,
            MovementKind::Settled,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

impl Stage {
    /// Stable name, as in `opportunity_status.stage`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Open => "open",
            Stage::PartPaid => "part-paid",
            Stage::Paid => "paid",
        }
    }
}

impl Account {
    /// The account from all its movements.
    pub fn of(movements: &[Movement]) -> Result<Account, AccountError> {
        let contract = movements
            .iter()
            .find(|movement| movement.kind == MovementKind::Ordered)
            .ok_or(AccountError::NoContract)?;
        let mut account = Account {
            currency: contract.currency.clone(),
            due: Decimal::ZERO,
            invoiced: Decimal::ZERO,
            received: Decimal::ZERO,
            fees: Decimal::ZERO,
            open: Decimal::ZERO,
            receivable: Decimal::ZERO,
            advance: Decimal::ZERO,
            released: Decimal::ZERO,
            settled: false,
            revision: 0,
            has_receipts: false,
        };
        for movement in movements {
            account.take(movement)?;
        }
        let paid = decimal::add(account.received, account.fees).ok_or(AccountError::Range)?;
        let less_received = |what| decimal::add(what, -paid).ok_or(AccountError::Range);
        let (open, uncovered) = (less_received(account.due)?, less_received(account.invoiced)?);
        account.open = open;
        // Not by the greater of two: the negative of nothing is a nothing with a sign, and would be shown with it.
        if uncovered > Decimal::ZERO {
            account.receivable = uncovered;
        } else if uncovered < Decimal::ZERO {
            account.advance = -uncovered;
        }
        Ok(account)
    }

    fn take(&mut self, movement: &Movement) -> Result<(), AccountError> {
        if movement.currency != self.currency {
            return Err(AccountError::Currency {
                contract: self.currency.clone(),
                movement: movement.currency.clone(),
            });
        }
        let sum = |total, amount| decimal::add(total, amount).ok_or(AccountError::Range);
        match movement.kind {
            MovementKind::Ordered | MovementKind::Credited => self.due = sum(self.due, movement.amount)?,
            MovementKind::Invoiced => self.invoiced = sum(self.invoiced, movement.amount)?,
            MovementKind::Received => {
                self.received = sum(self.received, movement.amount)?;
                self.has_receipts = true;
            }
            MovementKind::Fee => self.fees = sum(self.fees, movement.amount)?,
            // The ERP's word for what is invoiced here: held against it, and no second time counted.
            MovementKind::Booked => {}
            MovementKind::Released => self.released = sum(self.released, movement.amount)?,
            MovementKind::Settled => self.settled = true,
        }
        // These are consequences of the other movements, or come with one; counting them would make news of no news.
        if !matches!(
            movement.kind,
            MovementKind::Fee | MovementKind::Booked | MovementKind::Released | MovementKind::Settled
        ) {
            self.revision = self.revision.checked_add(movement.revision).ok_or(AccountError::Range)?;
        }
        Ok(())
    }

    /// How far payment has come. A receipt taken back lowers `received` and raises `open`, and leaves the stage
    /// where it was: people, not a late message, move an opportunity back.
    pub fn stage(&self) -> Stage {
        if self.settled || self.is_paid_in_full() {
            Stage::Paid
        } else if self.has_receipts {
            Stage::PartPaid
        } else {
            Stage::Open
        }
    }

    /// What has been received, no less than nothing and no more than is due: what commission is due on.
    pub fn earned(&self) -> Decimal {
        self.received.min(self.due).max(Decimal::ZERO)
    }

    /// Whether everything due has been received, and something was due.
    pub fn is_paid_in_full(&self) -> bool {
        self.has_receipts && self.due > Decimal::ZERO && self.open <= Decimal::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MovementKind::{Credited, Fee, Invoiced, Ordered, Received, Released, Settled};
    use proptest::prelude::*;

    fn movement(kind: MovementKind, cents: i64) -> Movement {
        Movement { kind, amount: Decimal::new(cents, 2), currency: "CNY".into(), revision: 1 }
    }

    #[test]
    fn stages() {
        for (movements, open, stage, full) in [
            (vec![(Ordered, 10_000)], 10_000, Stage::Open, false),
            (vec![(Ordered, 10_000), (Received, 4_000)], 6_000, Stage::PartPaid, false),
            (vec![(Ordered, 10_000), (Received, 4_000), (Received, 6_000)], 0, Stage::Paid, true),
            (vec![(Ordered, 10_000), (Received, 10_001)], -1, Stage::Paid, true),
            (vec![(Ordered, 10_000), (Credited, -1_000), (Received, 9_000)], 0, Stage::Paid, true),
            // Taken back after full payment: the amounts go back, the stage does not.
            (vec![(Ordered, 10_000), (Received, 0), (Settled, 10_000)], 10_000, Stage::Paid, false),
            (vec![(Ordered, 10_000), (Received, 4_000), (Released, 4_000)], 6_000, Stage::PartPaid, false),
            (vec![(Ordered, 10_000), (Received, 0)], 10_000, Stage::PartPaid, false),
            (vec![(Ordered, 0), (Received, 0)], 0, Stage::PartPaid, false),
            (vec![(Ordered, 10_000), (Invoiced, 10_000)], 10_000, Stage::Open, false),
            // The bank kept five: nothing is open, and nobody was paid for it.
            (vec![(Ordered, 10_000), (Received, 9_500), (Fee, 500)], 0, Stage::Paid, true),
        ] {
            let movements: Vec<_> =
                movements.into_iter().map(|(kind, cents)| movement(kind, cents)).collect();
            let account = Account::of(&movements).unwrap();
            assert_eq!(account.open, Decimal::new(open, 2), "{movements:?}");
            assert_eq!((account.stage(), account.is_paid_in_full()), (stage, full), "{movements:?}");
        }
    }

    /// Ordered, invoiced, received → open, receivable, advance.
    #[test]
    fn what_is_owed_by_invoice_and_by_contract() {
        for (ordered, invoiced, received, expected) in [
            (100, 0, 0, [100, 0, 0]),
            (100, 40, 0, [100, 40, 0]),
            (100, 40, 30, [70, 10, 0]),
            (100, 40, 60, [40, 0, 20]),
            (100, 100, 100, [0, 0, 0]),
            (100, 100, 110, [-10, 0, 10]),
            // A red invoice after payment: what was paid is an advance again.
            (100, -10, 30, [70, 0, 40]),
        ] {
            let movements = [(Ordered, ordered), (Invoiced, invoiced), (Received, received)];
            let account = Account::of(&movements.map(|(kind, cents)| movement(kind, cents))).unwrap();
            let found = [account.open, account.receivable, account.advance];
            assert!(
                found.iter().all(|amount| !amount.is_sign_negative() || *amount < Decimal::ZERO),
                "{found:?}"
            );
            assert_eq!(found, expected.map(|cents| Decimal::new(cents, 2)), "{movements:?}");
        }
    }

    #[test]
    fn no_contract_and_foreign_currency_are_told() {
        assert_eq!(Account::of(&[movement(Received, 1)]), Err(AccountError::NoContract));
        let foreign = Movement { currency: "USD".into(), ..movement(Received, 1) };
        assert!(matches!(
            Account::of(&[movement(Ordered, 1), foreign]),
            Err(AccountError::Currency { contract, movement }) if contract == "CNY" && movement == "USD"
        ));
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_no_cent_is_lost(
            receipts in proptest::collection::vec(0i64..1_000_000, 0..20),
            total in 1i64..20_000_000,
            seed in any::<u64>(),
        ) {
            let mut movements = vec![movement(Ordered, total)];
            movements.extend(receipts.iter().map(|cents| movement(Received, *cents)));
            let straight = Account::of(&movements).unwrap();
            prop_assert_eq!(straight.due - straight.received, straight.open);
            prop_assert_eq!(straight.received, Decimal::new(receipts.iter().sum(), 2));
            // A deterministic shuffle from the seed.
            let mut state = seed | 1;
            for index in (1..movements.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let other = usize::try_from(state >> 33).unwrap() % (index + 1);
                movements.swap(index, other);
            }
            prop_assert_eq!(Account::of(&movements).unwrap(), straight);
        }
    }
}
