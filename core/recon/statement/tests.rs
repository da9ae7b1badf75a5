use super::*;
use MovementKind::{Invoiced, Ordered, Received};
use proptest::prelude::*;

/// Noon in China.
fn noon(day: &str) -> i64 {
    china::begin_ms(day.parse().unwrap()).unwrap() + 43_200_000
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn entry(contract: &str, kind: MovementKind, origin: &str, cents: i64, day: &str, stored: &str) -> Entry {
    Entry {
        contract: contract.into(),
        kind,
        origin: origin.into(),
        revision: 1,
        amount: Decimal::new(cents, 2),
        currency: "CNY".into(),
        at_ms: noon(day),
        stored_ms: noon(stored),
        customer: Some("C1".into()),
    }
}

fn closing(month_text: &str, day: &str) -> Closing {
    Closing { month: month(month_text), closed_ms: noon(day) }
}

fn ask(entries: &[Entry], closings: &[Closing], of: &str) -> Statement {
    let question = Question { customer: "C1", month: month(of), as_of_ms: i64::MAX, credit_days: 0 };
    statement(entries, closings, question).unwrap()
}

/// Opening, lines and closing of the first section, as people would say them.
fn told(statement: &Statement) -> Vec<String> {
    let Some(section) = statement.sections.first() else { return Vec::new() };
    let lines = section.lines.iter().map(|line| {
        let kind = line.kind.told().1;
        format!("{} {kind} {} {} {} {}", line.day, line.number, line.debit.0, line.credit.0, line.balance.0)
    });
    let ends = [format!("{} in", section.opening.0), format!("{} out", section.closing.0)];
    let [opening, end] = ends;
    std::iter::once(opening).chain(lines).chain([end]).collect()
}

fn contract() -> Entry {
    entry("HT-1", Ordered, "HT-1", 100_000, "2026-08-01", "2026-08-01")
}

#[test]
fn a_month_with_both_sides() {
    let entries = [
        contract(),
        entry("HT-1", Invoiced, "F1", 60_000, "2026-09-10", "2026-09-10"),
        entry("HT-1", Received, "R1", 50_000, "2026-09-30", "2026-10-01"),
        entry("HT-1", Invoiced, "F2", 40_000, "2026-10-05", "2026-10-05"),
        entry("HT-1", Received, "R2", 70_000, "2026-10-20", "2026-10-20"),
        entry("HT-1", Invoiced, "F3", -5_000, "2026-10-31", "2026-10-31"),
        entry("HT-1", Invoiced, "F4", 1, "2026-11-01", "2026-11-01"),
    ];
    let expected = [
        "100.00 in",
        "2026-10-05 invoice F2 400.00 0.00 500.00",
        "2026-10-20 receipt R2 0.00 700.00 -200.00",
        "2026-10-31 invoice F3 -50.00 0.00 -250.00",
        "-250.00 out",
    ];
    let october = ask(&entries, &[], "2026-10");
    assert_eq!(told(&october), expected);
    let section = &october.sections[0];
    assert_eq!((section.debit.text(), section.credit.text()), ("350.00".into(), "700.00".into()));
    assert_eq!(section.ageing, Ageing { unapplied: Exact(Decimal::new(25_000, 2)), ..section.ageing });
    assert_eq!(told(&ask(&entries, &[], "2026-08")), [""; 0]);
    // The last second of September in China is still UTC's September, and the first of October is too.
    let late = Entry { at_ms: china::begin_ms(month("2026-10").first()).unwrap(), ..entries[1].clone() };
    for (at_ms, expected) in [(late.at_ms, "2026-10"), (late.at_ms - 1, "2026-09")] {
        let found = ask(&[contract(), Entry { at_ms, ..late.clone() }], &[], expected);
        assert_eq!(found.sections[0].lines.len(), 1, "{expected}");
    }
}

#[test]
fn what_comes_after_the_closing_is_an_adjustment_in_the_first_open_month() {
    let first = entry("HT-1", Invoiced, "F1", 10_000, "2026-09-10", "2026-09-10");
    let corrected = |cents, revision, stored: &str| Entry {
        revision,
        amount: Decimal::new(cents, 2),
        stored_ms: noon(stored),
        ..first.clone()
    };
    let closed = [closing("2026-09", "2026-10-03"), closing("2026-10", "2026-11-03")];
    for (late, october, november) in [
        // A receipt of September that is heard of in October, and one that is heard of in November.
        (
            entry("HT-1", Received, "R1", 4_000, "2026-09-28", "2026-10-04"),
            vec!["100.00 in", "2026-09-28 adjustment R1 0.00 40.00 60.00", "60.00 out"],
            vec!["60.00 in", "60.00 out"],
        ),
        (
            entry("HT-1", Received, "R1", 4_000, "2026-09-28", "2026-11-04"),
            vec!["100.00 in", "100.00 out"],
            vec!["100.00 in", "2026-09-28 adjustment R1 0.00 40.00 60.00", "60.00 out"],
        ),
        // The invoice is corrected, taken back, and dated into an open month.
        (
            corrected(12_000, 2, "2026-10-04"),
            vec!["100.00 in", "2026-09-10 adjustment F1 20.00 0.00 120.00", "120.00 out"],
            vec!["120.00 in", "120.00 out"],
        ),
        (
            corrected(0, 2, "2026-10-04"),
            vec!["100.00 in", "2026-09-10 adjustment F1 -100.00 0.00 0.00", "0.00 out"],
            vec![],
        ),
        (
            Entry { at_ms: noon("2026-11-02"), ..corrected(10_000, 2, "2026-10-04") },
            vec!["100.00 in", "2026-09-10 adjustment F1 -100.00 0.00 0.00", "0.00 out"],
            vec!["0.00 in", "2026-11-02 invoice F1 100.00 0.00 100.00", "100.00 out"],
        ),
        // Another currency, and the contract has gone to another customer.
        (
            Entry { currency: "USD".into(), ..corrected(10_000, 2, "2026-10-04") },
            vec!["100.00 in", "2026-09-10 adjustment F1 -100.00 0.00 0.00", "0.00 out"],
            vec!["100.00 in", "100.00 out"],
        ),
        (
            Entry { customer: Some("C2".into()), revision: 2, stored_ms: noon("2026-10-04"), ..contract() },
            vec!["100.00 in", "2026-09-10 adjustment F1 -100.00 0.00 0.00", "0.00 out"],
            vec![],
        ),
    ] {
        let entries = [contract(), first.clone(), late];
        let september = ask(&entries, &closed, "2026-09");
        assert_eq!(told(&september), ["0.00 in", "2026-09-10 invoice F1 100.00 0.00 100.00", "100.00 out"]);
        assert_eq!((september.is_closed, september.as_of_ms), (true, closed[0].closed_ms));
        assert_eq!(told(&ask(&entries, &closed, "2026-10")), october, "{:?}", entries[2]);
        assert_eq!(told(&ask(&entries, &closed, "2026-11")), november, "{:?}", entries[2]);
    }
}

#[test]
fn the_oldest_is_paid_first_and_within_its_contract() {
    let second = Entry {
        customer: Some("C1".into()),
        ..entry("HT-2", Ordered, "HT-2", 1, "2026-01-01", "2026-01-01")
    };
    let entries = [
        contract(),
        second,
        entry("HT-1", Invoiced, "F1", 100, "2026-07-01", "2026-07-01"),
        entry("HT-1", Invoiced, "F2", 200, "2026-08-01", "2026-08-01"),
        entry("HT-1", Invoiced, "F3", 400, "2026-10-01", "2026-10-01"),
        entry("HT-1", Invoiced, "F4", 800, "2026-10-31", "2026-10-31"),
        entry("HT-1", Received, "R1", 150, "2026-10-02", "2026-10-02"),
        entry("HT-2", Received, "R2", 70, "2026-10-02", "2026-10-02"),
    ];
    for (credit_days, expected) in [
        // F1 is paid, of F2 (91 days) half.
        (0, ["8.00", "4.00", "0.00", "0.00", "1.50", "0.70"]),
        (1, ["8.00", "4.00", "0.00", "1.50", "0.00", "0.70"]),
        (30, ["12.00", "0.00", "0.00", "1.50", "0.00", "0.70"]),
        (31, ["12.00", "0.00", "1.50", "0.00", "0.00", "0.70"]),
        (91, ["13.50", "0.00", "0.00", "0.00", "0.00", "0.70"]),
    ] {
        let question = Question { customer: "C1", month: month("2026-10"), as_of_ms: i64::MAX, credit_days };
        let found = statement(&entries, &[], question).unwrap().sections[0].ageing.told();
        assert_eq!(found.map(|(_, _, amount)| amount.0.to_string()), expected, "{credit_days} days");
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let question = Question { customer: "C1", month: month("2026-10"), as_of_ms: i64::MAX, credit_days: 0 };
    let far = Entry { at_ms: i64::MAX, ..entry("HT-1", Invoiced, "F1", 1, "2026-10-01", "2026-10-01") };
    let found = statement(&[contract(), far], &[], question);
    assert_eq!(found, Err(StatementError::Range("F1".into())));
    let huge = |origin| Entry {
        amount: Decimal::MAX,
        ..entry("HT-1", Invoiced, origin, 1, "2026-10-01", "2026-10-01")
    };
    assert!(statement(&[contract(), huge("F1"), huge("F2")], &[], question).is_err());
    for wrong in [
        [closing("2026-09", "2026-10-03"), closing("2026-09", "2026-10-04")],
        [closing("2026-09", "2026-10-03"), closing("2026-10", "2026-10-02")],
    ] {
        assert!(matches!(statement(&[], &wrong, question), Err(StatementError::Closings(_))));
    }
}

const DAY_MS: i64 = 86_400_000;

/// Documents over half a year: contract, number, side, customer, cents, days after the begin: of the document, of storing.
fn documents() -> impl Strategy<Value = Vec<Entry>> {
    let one = (0u8..3, 0u8..6, 0u8..5, any::<bool>(), -5_000i64..20_000, 0i64..180, 0i64..240);
    proptest::collection::vec(one, 1..40).prop_map(|all| {
        let begin = noon("2026-01-01");
        let entry = |(revision, (contract, number, side, is_theirs, cents, at, stored))| {
            let contract = format!("HT-{contract}");
            let (kind, origin) = match side {
                0 => (Ordered, contract.clone()),
                1 | 2 => (Invoiced, format!("F{number}")),
                _ => (Received, format!("R{number}")),
            };
            Entry {
                contract,
                kind,
                origin,
                revision,
                amount: Decimal::new(cents, 2),
                currency: if cents % 7 == 0 { "USD".into() } else { "CNY".into() },
                at_ms: begin + at * DAY_MS,
                stored_ms: begin + stored * DAY_MS,
                customer: Some(if is_theirs { "C1".into() } else { "C2".into() }),
            }
        };
        (1i64..).zip(all).map(entry).collect()
    })
}

const MONTHS: [&str; 9] =
    ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06", "2026-07", "2026-08", "2026-09"];

/// Some months are closed, days to months after their end.
fn closings() -> impl Strategy<Value = Vec<Closing>> {
    proptest::collection::vec((any::<bool>(), 0i64..45), 6).prop_map(|chosen| {
        let mut closings: Vec<Closing> = Vec::new();
        for (text, (_, after)) in MONTHS.iter().zip(chosen).filter(|(_, (is_closed, _))| *is_closed) {
            let end = noon(&month(text).last().to_string()) + after * DAY_MS;
            let after_the_last = closings.last().map_or(end, |last| end.max(last.closed_ms + 1));
            closings.push(Closing { month: month(text), closed_ms: after_the_last });
        }
        closings
    })
}

/// Closing balances by currency.
fn balances(statement: &Statement) -> BTreeMap<String, Decimal> {
    let open = statement.sections.iter().filter(|section| !section.closing.0.is_zero());
    open.map(|section| (section.currency.clone(), section.closing.0)).collect()
}

proptest! {
    #[test]
    fn months_hang_together_and_nothing_is_lost(entries in documents(), closings in closings()) {
        let mut before = BTreeMap::new();
        for text in MONTHS {
            let found = ask(&entries, &closings, text);
            let openings: BTreeMap<_, _> = found.sections.iter()
                .filter(|section| !section.opening.0.is_zero())
                .map(|section| (section.currency.clone(), section.opening.0)).collect();
            prop_assert_eq!(&openings, &before, "the opening of {} is the closing before it", text);
            for section in &found.sections {
                let Section { opening, debit, credit, closing, .. } = section;
                prop_assert_eq!(opening.0 + debit.0 - credit.0, closing.0);
                let [.., advance] = section.ageing.told().map(|(_, _, amount)| amount.0);
                let open: Decimal = section.ageing.told()[..5].iter().map(|(_, _, amount)| amount.0).sum();
                prop_assert_eq!(open - advance, closing.0, "ageing is of the balance");
            }
            before = balances(&found);
        }
        // In the end everything in force is in it, once, whatever was closed when.
        let unclosed = ask(&entries, &[], "2026-09");
        prop_assert_eq!(before, balances(&unclosed));
    }

    #[test]
    fn order_does_not_matter(entries in documents(), closings in closings(), turn in 0usize..40) {
        let mut turned = entries.clone();
        turned.reverse();
        let length = turned.len();
        turned.rotate_left(turn % length);
        let mut backwards = closings.clone();
        backwards.reverse();
        for text in MONTHS {
            prop_assert_eq!(ask(&entries, &closings, text), ask(&turned, &backwards, text));
        }
    }

    #[test]
    fn a_closed_month_stays_whatever_comes_later(entries in documents(), closings in closings()) {
        for (index, closing) in closings.iter().enumerate() {
            let known: Vec<Entry> =
                entries.iter().filter(|entry| entry.stored_ms <= closing.closed_ms).cloned().collect();
            for text in MONTHS.iter().filter(|text| month(text) <= closing.month) {
                prop_assert_eq!(
                    ask(&known, &closings[..=index], text), ask(&entries, &closings, text), "{} of {}", text, closing.month
                );
            }
        }
    }
}

/// What was released is frozen with its month; what is taken back later is in the month that was open then.
#[test]
fn commission_by_month() {
    let one = |origin: &str, revision, day: &str, stored_ms, amount: i64| Entry {
        contract: "HT-1".into(),
        kind: MovementKind::Released,
        origin: origin.into(),
        revision,
        amount: Decimal::new(amount, 0),
        currency: "CNY".into(),
        at_ms: china::begin_ms(day.parse().unwrap()).unwrap(),
        stored_ms,
        customer: None,
    };
    let ordered =
        Entry { kind: Ordered, customer: Some("C1".into()), ..one("HT-1", 1, "2026-09-01", 1, 100) };
    let entries = [
        ordered,
        one("R1", 1, "2026-10-05", 10, 40),
        one("R2", 1, "2026-10-06", 11, 60),
        // October was closed at 20. R1 is taken back after it, and November's payment counts for what it did.
        one("R1", 2, "2026-10-05", 30, 0),
        one("R3", 1, "2026-11-02", 31, 40),
    ];
    let closings = [Closing { month: "2026-10".parse().unwrap(), closed_ms: 20 }];
    let told = |month: &str| -> Vec<String> {
        let month = month.parse().unwrap();
        let question = Question { customer: "C1", month, as_of_ms: 99, credit_days: 0 };
        let releases = releases(&entries, &closings, question).unwrap();
        releases.iter().map(|one| format!("{} {} {}", one.payment, one.base, one.is_adjustment)).collect()
    };
    assert_eq!(told("2026-10"), ["R1 40.00 false", "R2 60.00 false"]);
    assert_eq!(told("2026-11"), ["R1 -40.00 true", "R3 40.00 false"]);
    assert!(told("2026-12").is_empty());
}
