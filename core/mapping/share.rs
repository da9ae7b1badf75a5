//! A header amount spread over lines, to the cent: largest remainder.

use rust_decimal::Decimal;
use tongbao_model::decimal;

/// Shares of `amount` in proportion to `weights`, each a multiple of ten to the minus `places`, that add up to
/// `amount` exactly. What rounding towards zero leaves over goes, a unit each, to the largest remainders; of equal
/// ones to the earlier line. `None` when the amount has more places, the weights are of both signs or all zero, or
/// the numbers leave the range of exact arithmetic.
pub fn shares(amount: Decimal, weights: &[Decimal], places: u32) -> Option<Vec<Decimal>> {
    if amount.normalize().scale() > places {
        return None;
    }
    let mixed = weights.iter().any(|weight| *weight > Decimal::ZERO)
        && weights.iter().any(|weight| *weight < Decimal::ZERO);
    let total = weights.iter().try_fold(Decimal::ZERO, |sum, weight| decimal::add(sum, weight.abs()))?;
    if mixed || total.is_zero() {
        return None;
    }
    let unit = Decimal::new(1, places);
    let whole = amount.abs();
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = whole;
    for (index, weight) in weights.iter().enumerate() {
        let product = decimal::multiply(whole, weight.abs())?;
        let mut share = product.checked_div(total)?.trunc_with_scale(places);
        let mut remainder = product.checked_sub(decimal::multiply(share, total)?)?;
        if remainder < Decimal::ZERO {
            // The quotient was rounded up in its last digit.
            share -= unit;
            remainder += decimal::multiply(unit, total)?;
        }
        left -= share;
        shares.push(share);
        remainders.push((index, remainder));
    }
    remainders.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    for (index, _) in remainders {
        if left < unit {
            break;
        }
        if let Some(share) = shares.get_mut(index) {
            *share += unit;
            left -= unit;
        }
    }
    for share in &mut shares {
        share.rescale(places);
        if amount.is_sign_negative() && !share.is_zero() {
            *share = -*share;
        }
    }
    left.is_zero().then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(amount: &str, weights: &[&str]) -> Option<Vec<String>> {
        let weights: Vec<Decimal> = weights.iter().map(|text| decimal::parse(text).unwrap()).collect();
        let shares = shares(decimal::parse(amount).unwrap(), &weights, 2)?;
        Some(shares.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_left_goes_to_the_largest_remainder() {
        assert_eq!(texts("100", &["1", "1", "1"]).unwrap(), ["33.34", "33.33", "33.33"]);
        assert_eq!(texts("-100", &["1", "1", "1"]).unwrap(), ["-33.34", "-33.33", "-33.33"]);
        assert_eq!(texts("10", &["-339", "-452", "0"]).unwrap(), ["4.29", "5.71", "0.00"]);
        assert_eq!(texts("0.01", &["1", "2"]).unwrap(), ["0.00", "0.01"]);
        assert_eq!(texts("0", &["1", "2"]).unwrap(), ["0.00", "0.00"]);
        for (amount, weights) in
            [("1", vec!["0", "0"]), ("1", vec!["1", "-1"]), ("0.001", vec!["1"]), ("1", vec![])]
        {
            assert_eq!(texts(amount, &weights), None, "{amount} over {weights:?}");
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_within_a_unit(
            cents in -10_000_000_000i64..10_000_000_000,
            weights in prop::collection::vec(0i64..1_000_000_000, 1..40),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let amount = Decimal::new(cents, 2);
            let weights: Vec<Decimal> = weights.into_iter().map(|weight| Decimal::new(weight, 3)).collect();
            let shares = shares(amount, &weights, 2).unwrap();
            prop_assert_eq!(shares.iter().sum::<Decimal>(), amount);
            let total: Decimal = weights.iter().sum();
            for (share, weight) in shares.iter().zip(&weights) {
                let ideal = amount * weight / total;
                prop_assert!((*share - ideal).abs() < Decimal::new(1, 2), "{} for {}", share, ideal);
            }
        }
    }
}
