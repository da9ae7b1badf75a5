use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tongbao_model::record::{
    Contract, ContractLine, InvoiceLine, InvoiceOrder, InvoiceRequest, Product, Time,
};
use tongbao_model::{Code, Exact};

fn dec(text: &str) -> Decimal {
    decimal::parse(text).unwrap()
}

fn key(line: i64, product: &str, rate: &str) -> LineKey {
    LineKey { line, product: product.into(), rate: dec(rate) }
}

fn share(quantity: &str, gross: &str, rate: &str) -> Share {
    Share { quantity: dec(quantity), amounts: Amounts::of(dec(gross), dec(rate)).unwrap() }
}

fn of(quantity: &str, net: &str, tax: &str, gross: &str) -> Share {
    Share { quantity: dec(quantity), amounts: Amounts { net: dec(net), tax: dec(tax), gross: dec(gross) } }
}

#[test]
fn parts_and_the_last_one() {
    let whole = share("3", "100.00", "0.13");
    let none = Share::default();
    for (taken, ask, expected) in [
        (none, Ask::Rest, Ok(of("3", "88.50", "11.50", "100.00"))),
        (none, Ask::Quantity(dec("1")), Ok(of("1", "29.50", "3.83", "33.33"))),
        // 66.66 is 58.99 without tax: 29.49 are for the second, though 33.33 alone is 29.50.
        (of("1", "29.50", "3.83", "33.33"), Ask::Quantity(dec("1")), Ok(of("1", "29.49", "3.84", "33.33"))),
        (of("2", "58.99", "7.67", "66.66"), Ask::Quantity(dec("1")), Ok(of("1", "29.51", "3.83", "33.34"))),
        (none, Ask::Amount(dec("50.00")), Ok(of("1.5", "44.25", "5.75", "50.00"))),
        (none, Ask::Quantity(dec("3.001")), Err(Refusal::Over { left: whole })),
        (none, Ask::Amount(dec("100.01")), Err(Refusal::Over { left: whole })),
        (none, Ask::Both(dec("3"), dec("100.01")), Err(Refusal::Over { left: whole })),
        (none, Ask::Both(dec("1"), dec("0.005")), Err(Refusal::Nothing)),
        (none, Ask::Quantity(dec("0")), Err(Refusal::Nothing)),
        (none, Ask::Amount(dec("-1")), Err(Refusal::Nothing)),
        (whole, Ask::Rest, Err(Refusal::Nothing)),
        // A credit note came after the invoice: nothing is left, a red one is due.
        (
            share("4", "133.33", "0.13"),
            Ask::Rest,
            Err(Refusal::Over { left: of("-1", "-29.49", "-3.84", "-33.33") }),
        ),
    ] {
        let found = take(whole, taken, dec("0.13"), ask);
        assert_eq!(found, expected, "{taken:?} {ask:?}");
    }
}

fn line(number: i64, product: &str, quantity: &str, gross: &str) -> ContractLine {
    let product = Product { code: product.into(), name: None, spec: None, unit: None, tax_code: None };
    ContractLine {
        line: number,
        product,
        quantity: Exact(dec(quantity)),
        unit_price_tax_included: Exact(Decimal::ONE),
        tax_rate: Exact(dec("0.13")),
        amount_tax_included: Exact(dec(gross)),
        discount_tax_included: None,
        delivery_date: None,
        note: None,
        internal_note: None,
    }
}

fn request(lines: Vec<ContractLine>) -> InvoiceRequest {
    InvoiceRequest {
        number: "KP-1".into(),
        contract_number: "HT-1".into(),
        requested_at: Time("2026-11-22T09:30:00+08:00".into()),
        kind: "special".into(),
        customer: None,
        currency: "CNY".into(),
        total_tax_included: Exact(lines.iter().map(|line| line.amount_tax_included.0).sum()),
        lines,
        note: None,
    }
}

fn entry(kind: EntryKind, line: i64, product: &str, quantity: &str, gross: &str) -> Entry {
    Entry { kind, key: key(line, product, "0.13"), share: share(quantity, gross, "0.13") }
}

/// Two lines; of the first one was credited, two asked for and invoiced, one of them taken back, one more asked for.
fn entries() -> Vec<Entry> {
    vec![
        entry(EntryKind::Contracted, 1, "A", "10", "1000.00"),
        entry(EntryKind::Contracted, 2, "B", "3", "100.00"),
        entry(EntryKind::Credited, 1, "A", "-1", "-100.00"),
        entry(EntryKind::Asked("K1".into()), 1, "A", "2", "200.00"),
        entry(EntryKind::Invoiced(Some("K1".into())), 1, "A", "2", "200.00"),
        entry(EntryKind::Red, 1, "A", "-1", "-100.00"),
        entry(EntryKind::Asked("K2".into()), 1, "A", "1", "100.00"),
        // By hand, on the platform; under a number of its own.
        entry(EntryKind::Invoiced(None), 9, "B", "1", "33.33"),
    ]
}

#[test]
fn every_line_stands_where_its_papers_say() {
    let control = Control::of("HT-1", "CNY", &entries()).unwrap();
    let first = control.lines[&key(1, "A", "0.13")];
    let figures = |share: Share| (share.quantity.to_string(), share.amounts.gross.to_string());
    let both = |quantity: &str, gross: &str| (quantity.to_owned(), gross.to_owned());
    assert_eq!(figures(first.may), both("9", "900.00"));
    assert_eq!(figures(first.asked), both("3", "300.00"));
    assert_eq!(figures(first.invoiced), both("2", "200.00"));
    assert_eq!(figures(first.red), both("-1", "-100.00"));
    assert_eq!(figures(first.left), both("7", "700.00"));
    assert_eq!(figures(control.lines[&key(2, "B", "0.13")].left), both("2", "66.67"));
}

#[test]
fn requests_are_let_through_or_refused_with_what_is_left() {
    let control = Control::of("HT-1", "CNY", &entries()).unwrap();
    let cent = dec("0.05");
    let parts = control.judge(&request(vec![line(1, "A", "7", "700.00"), line(2, "B", "1", "33.33")]), cent);
    let parts = parts.unwrap();
    assert_eq!(parts[0].share.quantity, dec("7"));
    assert_eq!(parts[1].share.amounts.gross, dec("33.33"));
    // Two at 33.33 are 66.66; the last takes what remains, net and tax with it.
    let last = control.judge(&request(vec![line(2, "B", "2", "66.66")]), cent).unwrap();
    let whole = Amounts::of(dec("100.00"), dec("0.13")).unwrap();
    let before = Amounts::of(dec("33.33"), dec("0.13")).unwrap();
    assert_eq!(last[0].share.amounts, whole.plus(before.negated()).unwrap());
    assert_eq!(last[0].asked, dec("66.66"));
    for (lines, code, said) in [
        (
            vec![line(1, "A", "8", "700.00")],
            Code::OverInvoiced,
            "8 for 700.00 were asked for, 7 for 700.00 are left",
        ),
        (
            vec![line(1, "A", "7", "700.01"), line(2, "B", "1", "90.00")],
            Code::OverInvoiced,
            "1 for 90.00 were asked",
        ),
        // One line twice is one ask.
        (vec![line(2, "B", "1", "33.33"), line(2, "B", "2", "66.66")], Code::OverInvoiced, "3 for 99.99"),
        (vec![line(1, "C", "1", "1.00")], Code::OverInvoiced, "has no line 1 (C, tax rate 13%)"),
        (vec![line(1, "A", "-1", "-1.00")], Code::CheckFailed, "must be above zero"),
    ] {
        let faults = control.judge(&request(lines), cent).unwrap_err();
        let last = faults.last().unwrap();
        assert_eq!(last.code, code);
        let text = faults.iter().map(|fault| fault.message.en.as_str()).collect::<Vec<_>>().join("; ");
        assert!(text.contains(said), "{text}");
        assert!(faults.iter().all(|fault| fault.field.is_some() && !fault.message.zh.is_empty()));
    }
    let mut dollars = request(vec![line(1, "A", "1", "100.00")]);
    dollars.currency = "USD".into();
    assert_eq!(control.judge(&dollars, cent).unwrap_err()[0].code, Code::CurrencyMismatch);
}

#[test]
fn a_line_that_could_be_two_is_not_guessed() {
    let twins = [
        entry(EntryKind::Contracted, 1, "A", "1", "10.00"),
        entry(EntryKind::Contracted, 2, "A", "1", "10.00"),
        entry(EntryKind::Credited, 3, "A", "-1", "-10.00"),
    ];
    let fault = Control::of("HT-1", "CNY", &twins).unwrap_err();
    assert_eq!((fault.code, fault.field.as_deref()), (Code::OverInvoiced, Some("lines[3]")));
}

#[test]
fn a_red_invoice_gives_back_no_more_than_its_blue_one_has() {
    let (a, b) = (key(1, "A", "0.13"), key(2, "B", "0.06"));
    let blue = BTreeMap::from([(a.clone(), share("3", "100.00", "0.13"))]);
    let first =
        red(&blue, &BTreeMap::new(), &BTreeMap::from([(a.clone(), Ask::Quantity(dec("1")))])).unwrap();
    assert_eq!(first[&a], of("-1", "-29.50", "-3.83", "-33.33"));
    let asks = BTreeMap::from([(a.clone(), Ask::Amount(dec("66.68"))), (b.clone(), Ask::Rest)]);
    let refused = red(&blue, &first, &asks).unwrap_err();
    assert_eq!(refused[&a], Refusal::Over { left: of("2", "59.00", "7.67", "66.67") });
    assert_eq!(refused[&b], Refusal::Nothing);
    let rest = red(&blue, &first, &BTreeMap::from([(a.clone(), Ask::Rest)])).unwrap();
    assert_eq!(rest[&a].plus(first[&a]).unwrap(), blue[&a].negated());
}

/// What is invoiced as it was agreed has price and discount; of the rest of a line there is the amount.
#[test]
fn the_rest_of_a_contract() {
    let discounted =
        |line: ContractLine| ContractLine { discount_tax_included: Some(Exact(dec("-10.00"))), ..line };
    let lines = [
        discounted(line(1, "A", "2", "100.00")),
        discounted(line(2, "B", "4", "200.00")),
        line(3, "C", "1", "0.00"),
    ];
    let contract = Contract {
        number: "HT-1".into(),
        revision: None,
        signed_at: Time("2026-11-22T09:30:00+08:00".into()),
        customer: None,
        opportunity: None,
        salesperson: None,
        currency: "CNY".into(),
        lines: lines.to_vec(),
        total_tax_included: Exact(dec("280.00")),
        note: None,
    };
    let left = |taken: &[(LineKey, Share)]| {
        let agreed = positions(&contract.lines).unwrap();
        let agreed = agreed.into_iter().map(|(key, share)| Entry { kind: EntryKind::Contracted, key, share });
        let taken =
            taken.iter().cloned().map(|(key, share)| Entry { kind: EntryKind::Invoiced(None), key, share });
        let entries: Vec<Entry> = agreed.chain(taken).collect();
        rest(&contract, "HT-1-R2", &Control::of("HT-1", "CNY", &entries).unwrap()).unwrap()
    };
    let told = |order: &InvoiceOrder| -> Vec<String> {
        let text = |amount: Option<Exact>| amount.map_or("-".to_owned(), |amount| amount.to_string());
        let one = |line: &InvoiceLine| {
            let (price, discount) = (text(line.unit_price_tax_included), text(line.discount_tax_included));
            format!("{} {} {price} {discount}", line.product.code, line.amount_tax_included)
        };
        order.lines.iter().map(one).collect()
    };
    let all = left(&[]).unwrap();
    assert_eq!(told(&all), ["A 100.00 1 -10.00", "B 200.00 1 -10.00"]);
    assert_eq!(
        (all.number.as_str(), all.kind.as_str(), all.total_tax_included.0),
        ("HT-1-R2", "ordinary", dec("280.00"))
    );
    let taken = [
        (key(1, "A", "0.13"), share("2", "90.00", "0.13")),
        (key(2, "B", "0.13"), share("1", "47.50", "0.13")),
    ];
    let more = left(&taken).unwrap();
    assert_eq!(told(&more), ["B 142.50 - -"]);
    assert_eq!(more.total_tax_included.0, dec("142.50"));
    let over = [
        (key(1, "A", "0.13"), share("3", "120.00", "0.13")),
        (key(2, "B", "0.13"), share("4", "190.00", "0.13")),
    ];
    assert_eq!(left(&over), None, "less than nothing is left of one, nothing of the others");
}

fn billed(contract: &str, number: i64, rate: &str, gross: &str, discount: Option<&str>) -> Billed {
    let rate = dec(rate);
    Billed {
        contract: contract.into(),
        key: LineKey { line: number, product: format!("P{number}"), rate },
        quantity: Decimal::ONE,
        amount: Amounts::of(dec(gross), rate).unwrap(),
        discount: discount.map(|discount| Amounts::of(dec(discount), rate).unwrap()),
    }
}

const CHANNEL: Channel = Channel { rows_max: 2, number_max: 20 };

#[test]
fn exempt_lines_and_discounts() {
    let lines = [
        billed("HT-1", 3, "0", "50.00", None),
        billed("HT-1", 1, "0.13", "1000.00", None),
        billed("HT-1", 2, "0.13", "1000.00", Some("-125.00")),
    ];
    let invoices = split("KP-1", InvoiceKind::Special, &lines, CHANNEL).unwrap();
    let shown: Vec<_> = invoices
        .iter()
        .map(|one| (one.number.as_str(), one.kind, one.lines[0].key.line, one.totals.gross.to_string()))
        .collect();
    assert_eq!(
        shown,
        [
            ("KP-1-1", InvoiceKind::Special, 1, "1000.00".into()),
            ("KP-1-2", InvoiceKind::Special, 2, "875.00".into()),
            ("KP-1-3", InvoiceKind::Ordinary, 3, "50.00".into()),
        ]
    );
    assert_eq!(invoices[1].totals, Amounts { net: dec("774.34"), tax: dec("100.66"), gross: dec("875.00") });
    let wide = Channel { rows_max: 2000, ..CHANNEL };
    let ordinary = split("KP-1", InvoiceKind::Ordinary, &lines, wide).unwrap();
    assert_eq!((ordinary.len(), ordinary[0].number.as_str()), (1, "KP-1"));
    let narrow = Channel { rows_max: 1, ..CHANNEL };
    assert_eq!(split("KP-1", InvoiceKind::Special, &lines, narrow).unwrap_err().code, Code::DocumentLimit);
    let short = Channel { number_max: 5, ..CHANNEL };
    assert_eq!(split("KP-1", InvoiceKind::Special, &lines, short).unwrap_err().code, Code::FieldTooLong);
}

#[test]
fn merged_by_customer_currency_and_kind() {
    let asking = |number: &str, customer: &str, contract: &str| Asking {
        number: number.into(),
        customer: customer.into(),
        currency: "CNY".into(),
        kind: InvoiceKind::Ordinary,
        lines: vec![billed(contract, 1, "0.13", "10.00", None)],
    };
    let mut requests =
        vec![asking("K3", "C1", "HT-1"), asking("K1", "C1", "HT-2"), asking("K2", "C2", "HT-3")];
    requests.push(requests[0].clone());
    let merged = merge(&requests).unwrap();
    assert_eq!(merged.len(), 2);
    assert_eq!((merged[0].number.as_str(), merged[0].requests.join(" ")), ("K1", "K1 K3".into()));
    let contracts: Vec<&str> = merged[0].lines.iter().map(|line| line.contract.as_str()).collect();
    assert_eq!(contracts, ["HT-1", "HT-2"]);
    requests.reverse();
    assert_eq!(merge(&requests).unwrap(), merged);
    requests.push(asking("K2", "C2", "HT-4"));
    assert_eq!(merge(&requests).unwrap_err().code, Code::EventConflict);
}

fn an_ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        (1..40_i64).prop_map(|many| Ask::Quantity(Decimal::new(many, 1))),
        (1..5_000_i64).prop_map(|cents| Ask::Amount(Decimal::new(cents, 2))),
        ((0..20_i64), (0..3_000_i64))
            .prop_map(|(many, cents)| Ask::Both(Decimal::new(many, 1), Decimal::new(cents, 2))),
    ]
}

fn a_rate() -> impl Strategy<Value = Decimal> {
    prop::sample::select(vec!["0", "0.01", "0.03", "0.06", "0.09", "0.13"]).prop_map(dec)
}

proptest! {
    #[test]
    fn whatever_the_parts_no_cent_is_lost(
        cents in 1..200_000_i64,
        discount in 0..1_000_i64,
        many in 1..300_i64,
        rate in a_rate(),
        asks in prop::collection::vec(an_ask(), 0..30),
    ) {
        let gross = Amounts::of(Decimal::new(cents, 2), rate).unwrap();
        let discount = Amounts::of(Decimal::new(-discount.min(cents - 1), 2), rate).unwrap();
        let amounts = gross.plus(discount).unwrap();
        prop_assume!(amounts.net >= Decimal::ZERO && amounts.tax >= Decimal::ZERO);
        let whole = Share { quantity: Decimal::new(many, 1), amounts };
        let mut taken = Share::default();
        for ask in asks {
            match take(whole, taken, rate, ask) {
                Ok(part) => {
                    prop_assert!(!part.is_below_zero());
                    prop_assert_eq!(part.amounts.net + part.amounts.tax, part.amounts.gross);
                    // Within what the channels allow a line to be off, with a discount's rounding in it.
                    let own = Amounts::of(part.amounts.gross, rate).unwrap();
                    prop_assert!((own.net - part.amounts.net).abs() <= dec("0.03"), "{:?}", part);
                    taken = taken.plus(part).unwrap();
                }
                Err(Refusal::Over { left }) => prop_assert_eq!(left, whole.less(taken).unwrap()),
                Err(refusal) => prop_assert_eq!(refusal, Refusal::Nothing),
            }
        }
        match take(whole, taken, rate, Ask::Rest) {
            Ok(last) => taken = taken.plus(last).unwrap(),
            Err(refusal) => prop_assert_eq!(refusal, Refusal::Nothing),
        }
        prop_assert_eq!(taken, whole);
    }

    #[test]
    fn the_order_of_papers_means_nothing(seed: u64) {
        let mut papers = entries();
        let control = Control::of("HT-1", "CNY", &papers).unwrap();
        fastrand::Rng::with_seed(seed).shuffle(&mut papers);
        prop_assert_eq!(Control::of("HT-1", "CNY", &papers).unwrap(), control);
    }

    #[test]
    fn split_invoices_are_the_request_again(
        rows in prop::collection::vec((0..90_000_i64, 0..100_i64, a_rate()), 0..40),
        rows_max in 2..12_usize,
        seed: u64,
    ) {
        let lines: Vec<Billed> = rows
            .iter()
            .zip(1..)
            .map(|((cents, off, rate), number)| {
                let discount = Decimal::new(-*off, 2).to_string();
                let discount = (*off > 50).then_some(discount.as_str());
                billed("HT-1", number, &rate.to_string(), &Decimal::new(*cents, 2).to_string(), discount)
            })
            .collect();
        let channel = Channel { rows_max, ..CHANNEL };
        let invoices = split("KP-1", InvoiceKind::Special, &lines, channel).unwrap();
        let mut back: Vec<Billed> = Vec::new();
        for invoice in &invoices {
            let rows: usize = invoice.lines.iter().map(|line| 1 + usize::from(line.discount.is_some())).sum();
            prop_assert!((1..=rows_max).contains(&rows));
            let is_exempt = |line: &Billed| line.key.rate.is_zero();
            prop_assert!(invoice.lines.iter().all(|line| is_exempt(line) == (invoice.kind == InvoiceKind::Ordinary)));
            prop_assert_eq!(invoice.totals.net + invoice.totals.tax, invoice.totals.gross);
            back.extend(invoice.lines.iter().cloned());
        }
        let sum = |totals: Vec<Amounts>| totals.into_iter().fold(Amounts::default(), |sum, one| sum.plus(one).unwrap());
        let of_lines = |line: &Billed| line.amount.plus(line.discount.unwrap_or_default()).unwrap();
        prop_assert_eq!(
            sum(invoices.iter().map(|one| one.totals).collect()),
            sum(lines.iter().map(of_lines).collect())
        );
        let mut wanted = lines.clone();
        wanted.sort();
        back.sort();
        prop_assert_eq!(back, wanted);
        let mut others = lines;
        fastrand::Rng::with_seed(seed).shuffle(&mut others);
        prop_assert_eq!(split("KP-1", InvoiceKind::Special, &others, channel).unwrap(), invoices);
    }
}
