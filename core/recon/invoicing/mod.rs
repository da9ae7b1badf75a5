//! What may be invoiced of a contract, line by line; what of it a request takes, and how that becomes invoices.
//!
//! A part of a line takes net and tax so that all parts together are the line, to the cent, whatever parts it was taken
//! in: see [`take`]. A red invoice is taken from its blue one in the same way, so the last takes what remains.
//!
//! Amounts are those after discount. A line is known by its number, its product and its tax rate.

mod control;
mod merge;
mod order;
mod part;
mod split;
#[cfg(test)]
mod tests;

pub use control::{Control, Entry, EntryKind, Part, Standing, positions};
pub use merge::{Asking, Merged, merge};
pub use order::{draft, orders, red_order, rest, summed, uncontrolled, whole};
pub use part::{Ask, Refusal, red, take};
pub use split::{Billed, Channel, Invoice, InvoiceKind, split};

use rust_decimal::Decimal;
use tongbao_model::decimal;

/// Which line of a contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// Line number, from 1.
    pub line: i64,
    /// Code of the product.
    pub product: String,
    /// Tax rate as a fraction.
    pub rate: Decimal,
}

/// Amounts of one line, two places each; gross is net and tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amounts {
    /// Without tax.
    pub net: Decimal,
    /// Tax.
    pub tax: Decimal,
    /// With tax.
    pub gross: Decimal,
}

/// Quantity and amounts of a line, or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// How many.
    pub quantity: Decimal,
    /// For how much.
    pub amounts: Amounts,
}

impl Amounts {
    /// An amount with tax as invoices print it: net is rounded, tax is what remains. `None`: out of range.
    pub fn of(gross: Decimal, rate: Decimal) -> Option<Amounts> {
        let (net, tax) = decimal::split_tax(gross, rate)?;
        Some(Amounts { net, tax, gross })
    }

    /// Both together; `None` when digits would be lost.
    pub fn plus(self, other: Amounts) -> Option<Amounts> {
        Some(Amounts {
            net: decimal::add(self.net, other.net)?,
            tax: decimal::add(self.tax, other.tax)?,
            gross: decimal::add(self.gross, other.gross)?,
        })
    }

    /// The same with the other sign.
    pub fn negated(self) -> Amounts {
        Amounts { net: -self.net, tax: -self.tax, gross: -self.gross }
    }
}

impl Share {
    /// Both together; `None` when digits would be lost.
    pub fn plus(self, other: Share) -> Option<Share> {
        let quantity = decimal::add(self.quantity, other.quantity)?;
        Some(Share { quantity, amounts: self.amounts.plus(other.amounts)? })
    }

    /// This without the other; `None` when digits would be lost.
    pub fn less(self, other: Share) -> Option<Share> {
        self.plus(other.negated())
    }

    /// The same with the other sign.
    pub fn negated(self) -> Share {
        Share { quantity: -self.quantity, amounts: self.amounts.negated() }
    }

    fn is_below_zero(self) -> bool {
        let Amounts { net, tax, gross } = self.amounts;
        [self.quantity, net, tax, gross].into_iter().any(|one| one < Decimal::ZERO)
    }
}
