use super::*;
use crate::MovementKind::{self, Fee, Invoiced as Billed, Ordered, Received};
use crate::statement::{Entry, Question, statement};
use tongbao_model::china;

fn entry(kind: MovementKind, contract: &str, origin: &str, day: &str, cents: i64) -> Entry {
    Entry {
        contract: contract.into(),
        kind,
        origin: origin.into(),
        revision: 1,
        amount: Decimal::new(cents, 2),
        currency: "CNY".into(),
        at_ms: china::begin_ms(day.parse().unwrap()).unwrap(),
        stored_ms: 0,
        customer: (kind == Ordered).then(|| format!("C{contract}")),
    }
}

fn given(entries: &[Entry], months: &[&str]) -> Given {
    let month = |text: &&str| {
        let month: Month = text.parse().unwrap();
        let of =
            |customer| statement(entries, &[], Question { customer, month, as_of_ms: 9, credit_days: 0 });
        (month, vec![of("C1").unwrap(), of("C2").unwrap()])
    };
    Given { months: months.iter().map(month).collect(), ..Given::default() }
}

#[test]
fn all_customers_together_and_the_months_before() {
    let entries = [
        entry(Ordered, "1", "1", "2026-08-01", 100_000),
        entry(Ordered, "2", "2", "2026-08-01", 100_000),
        entry(Billed, "1", "F1", "2026-08-31", 31_000),
        entry(Billed, "2", "F2", "2026-09-01", 30_000),
        entry(Received, "1", "R1", "2026-09-10", 20_000),
        entry(Billed, "1", "F3", "2026-10-05", 15_500),
        entry(Received, "2", "R2", "2026-10-06", 29_950),
        entry(Fee, "2", "R2", "2026-10-06", 50),
    ];
    let parts = parts(&given(&entries, &["2026-08", "2026-09", "2026-10"])).unwrap();
    let [part] = parts.as_slice() else { panic!("{parts:?}") };
    let roll = &part.roll;
    let amounts = [roll.opening, roll.invoiced, roll.received, roll.fees, roll.adjusted, roll.closing];
    assert_eq!(amounts.map(|one| one.to_string()), ["410.00", "155.00", "299.50", "0.50", "0.00", "265.00"]);
    let rows: Vec<String> = part
        .customers
        .iter()
        .map(|row| format!("{} {} {}", row.customer, row.closing, row.overdue))
        .collect();
    assert_eq!(rows, ["C1 265.00 265.00", "C2 0.00 0.00"]);
    assert_eq!(part.ageing.to_30.to_string(), "155.00");
    let trend: Vec<String> = part
        .trend
        .iter()
        .map(|point| {
            let days = |days: Option<Exact>| days.map_or_else(|| "-".into(), |days| days.to_string());
            let dso = &point.dso;
            format!("{} {} {} {}", point.month, point.closing, days(dso.balance), days(dso.count_back))
        })
        .collect();
    // October: 265.00 ÷ 765.00 × 92; the 31 days of October for 155.00, and of September's 300.00 the 110.00 that are left.
    assert_eq!(trend, ["2026-08 310.00 31.0 31.0", "2026-09 410.00 41.0 41.0", "2026-10 265.00 31.9 42.0"]);
}

#[test]
fn a_currency_in_which_only_money_moved_is_a_part_too() {
    let mut given = given(&[], &["2026-10"]);
    given.walks.insert("USD".into(), Walk::default());
    let parts = parts(&given).unwrap();
    assert_eq!(parts.iter().map(|part| part.currency.as_str()).collect::<Vec<_>>(), ["USD"]);
    assert_eq!(
        parts[0].roll,
        Roll {
            opening: money(Decimal::ZERO),
            invoiced: money(Decimal::ZERO),
            received: money(Decimal::ZERO),
            fees: money(Decimal::ZERO),
            adjusted: money(Decimal::ZERO),
            closing: money(Decimal::ZERO)
        }
    );
}
