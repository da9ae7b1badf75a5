//! A part of a line.

use super::{Amounts, LineKey, Share};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tongbao_model::decimal;

/// Places of a quantity that follows from an amount: what invoices print at most.
const QUANTITY_PLACES: u32 = 8;

/// How much of a line is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// So many, at the line's price.
    Quantity(Decimal),
    /// So much with tax; the quantity follows in proportion.
    Amount(Decimal),
    /// So many for so much with tax.
    Both(Decimal, Decimal),
    /// All that is left.
    Rest,
}

/// Why a part cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is asked for, less than nothing, or an amount of more than two places.
    Nothing,
    /// More is asked for than is left.
    Over {
        /// What is left.
        left: Share,
    },
    /// The sums leave the range of exact arithmetic.
    Range,
}

/// Takes a part of what `taken` has left of `whole`.
///
/// Net is what all parts up to this one come to, less what the earlier ones had, and never leaves more or less than the
/// rest can hold. So it differs from the part's own rounding by a cent at most, and whoever comes last gets what remains
/// in net and in tax.
pub fn take(whole: Share, taken: Share, rate: Decimal, ask: Ask) -> Result<Share, Refusal> {
    let left = whole.less(taken).ok_or(Refusal::Range)?;
    if left.is_below_zero() {
        return Err(Refusal::Over { left });
    }
    let (quantity, gross) = sized(whole, taken, left, ask)?;
    let is_nothing = quantity <= Decimal::ZERO && gross <= Decimal::ZERO;
    if is_nothing || quantity < Decimal::ZERO || gross < Decimal::ZERO || gross.normalize().scale() > 2 {
        return Err(Refusal::Nothing);
    }
    if quantity > left.quantity || gross > left.amounts.gross {
        return Err(Refusal::Over { left });
    }
    let amounts = priced(taken, left, rate, gross).ok_or(Refusal::Range)?;
    Ok(Share { quantity, amounts })
}

/// Quantity and gross of an ask.
fn sized(whole: Share, taken: Share, left: Share, ask: Ask) -> Result<(Decimal, Decimal), Refusal> {
    let gross = left.amounts.gross;
    match ask {
        Ask::Quantity(asked) | Ask::Amount(asked) if asked <= Decimal::ZERO => Err(Refusal::Nothing),
        Ask::Both(quantity, gross) => Ok((quantity, gross)),
        Ask::Rest => Ok((left.quantity, gross)),
        Ask::Quantity(asked) if asked == left.quantity => Ok((asked, gross)),
        Ask::Amount(asked) if asked == gross => Ok((left.quantity, asked)),
        Ask::Quantity(asked) if asked > left.quantity => Err(Refusal::Over { left }),
        Ask::Amount(asked) if asked > gross => Err(Refusal::Over { left }),
        Ask::Quantity(asked) => {
            let priced = ratio(whole.amounts.gross, asked, whole.quantity, 2).ok_or(Refusal::Range)?;
            Ok((asked, priced.min(gross)))
        }
        Ask::Amount(asked) => {
            let so_far = decimal::add(taken.amounts.gross, asked);
            let reached = so_far
                .and_then(|so_far| ratio(whole.quantity, so_far, whole.amounts.gross, QUANTITY_PLACES))
                .ok_or(Refusal::Range)?;
            let quantity = reached.checked_sub(taken.quantity).ok_or(Refusal::Range)?;
            Ok((quantity.max(Decimal::ZERO).min(left.quantity), asked))
        }
    }
}

/// `of × part ÷ whole`, rounded half up.
fn ratio(of: Decimal, part: Decimal, whole: Decimal, places: u32) -> Option<Decimal> {
    Some(decimal::round_half_up(decimal::multiply(of, part)?.checked_div(whole)?, places))
}

fn priced(taken: Share, left: Share, rate: Decimal, gross: Decimal) -> Option<Amounts> {
    let so_far = Amounts::of(decimal::add(taken.amounts.gross, gross)?, rate)?;
    let net = so_far.net.checked_sub(taken.amounts.net)?;
    // Tax has room for no more than is left of it, and for no less than nothing.
    let least = gross.checked_sub(left.amounts.tax)?.max(Decimal::ZERO);
    let net = net.max(least).min(left.amounts.net.min(gross));
    Some(Amounts { net, tax: gross.checked_sub(net)?, gross })
}

/// Takes a red invoice from a blue one: what each line of it gives back, less than zero. `reds` is what earlier red
/// invoices gave back of it, with their sign. All lines, or none with each line that cannot be taken and why.
///
/// A line that the blue invoice does not have has nothing left.
pub fn red(
    blue: &BTreeMap<LineKey, Share>,
    reds: &BTreeMap<LineKey, Share>,
    asks: &BTreeMap<LineKey, Ask>,
) -> Result<BTreeMap<LineKey, Share>, BTreeMap<LineKey, Refusal>> {
    let (mut given, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for (key, ask) in asks {
        let whole = blue.get(key).copied().unwrap_or_default();
        let taken = reds.get(key).copied().unwrap_or_default().negated();
        match take(whole, taken, key.rate, *ask) {
            Ok(share) => drop(given.insert(key.clone(), share.negated())),
            Err(refusal) => drop(refused.insert(key.clone(), refusal)),
        }
    }
    if refused.is_empty() { Ok(given) } else { Err(refused) }
}
