//! What must be true afterwards, asserted and shown.

use super::{Document, LeftOut};
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_app::stage::Stage;
use tongbao_delivery::port::{DeliveryView, Filter, State};

/// State and fault code of each delivery of a flow, by business key.
type Ends = BTreeMap<String, DeliveryView>;

async fn ends(stage: &Stage, flow: &str) -> Result<Ends, String> {
    let filter = Filter { flow: Some(flow.into()), limit: 10_000, ..Filter::default() };
    let list = stage.store().deliveries(filter).await.map_err(|error| error.to_string())?;
    let count = list.len();
    let ends: Ends = list.into_iter().map(|delivery| (delivery.key.clone(), delivery)).collect();
    assert_eq!(ends.len(), count, "{flow}: one delivery per document");
    Ok(ends)
}

pub async fn judge(
    stage: &Stage,
    contracts: &[Document],
    notes: &[Document],
    left_out: &LeftOut,
    paid: &BTreeMap<String, (Decimal, usize)>,
) -> Result<(), String> {
    let orders = ends(stage, "order").await?;
    let invoices = ends(stage, "invoice").await?;
    let returns = ends(stage, "return-order").await?;
    let mut table = Table::default();
    for contract in contracts {
        let end = &orders[&contract.number];
        assert_eq!(
            reason(end),
            expected_order(contract, left_out),
            "order {}: {:?}",
            contract.number,
            end.fault
        );
        table.add("order 订单", end, contract.total);
        let end = &invoices[&contract.number];
        assert_eq!(reason(end), expected_invoice(contract), "invoice {}: {:?}", contract.number, end.fault);
        table.add("invoice 发票", end, contract.total);
    }
    for note in notes {
        let end = &returns[&note.number];
        assert_eq!(reason(end), expected_order(note, left_out), "return {}: {:?}", note.number, end.fault);
        table.add("return 退货", end, note.total);
    }
    let sum = |documents: &[Document]| documents.iter().map(|document| document.total).sum::<Decimal>();
    for (flow, total) in
        [("order 订单", sum(contracts)), ("invoice 发票", sum(contracts)), ("return 退货", sum(notes))]
    {
        assert_eq!(table.total(flow), total, "{flow}: posted + parked + rejected = all, to the cent");
    }
    far_orders(stage, contracts, notes, &orders, &returns);
    far_invoices(stage, contracts, &invoices);
    payments(stage, contracts, paid).await?;
    table.print();
    println!("faults injected 注入的故障: {:?}", stage.sandbox.faults_injected());
    Ok(())
}

/// `posted`, or the state with the fault's code.
fn reason(end: &DeliveryView) -> String {
    match (end.state, &end.fault) {
        (State::Posted, _) => "posted".into(),
        (state, Some(fault)) => format!("{} {}", state.name(), fault.code),
        (state, None) => state.name().into(),
    }
}

/// What a finance department expects of a contract or credit note: nothing to post for a total of zero, parked without a
/// customer or with a code that the tables do not hold.
fn expected_order(document: &Document, left_out: &LeftOut) -> String {
    let missing_material = document.materials.iter().any(|code| left_out.materials.contains(code));
    match &document.customer {
        _ if document.total.is_zero() => "rejected refused",
        None => "parked field-missing",
        Some(code) if left_out.customers.contains(code) || missing_material => "parked code-table-miss",
        Some(_) => "posted",
    }
    .into()
}

fn expected_invoice(document: &Document) -> String {
    match &document.customer {
        _ if document.total.is_zero() => "rejected refused",
        None => "parked field-missing",
        Some(_) => "posted",
    }
    .into()
}

/// Every posted contract and credit note is one order of exactly its total that stands, and there is no other order.
fn far_orders(stage: &Stage, contracts: &[Document], notes: &[Document], orders: &Ends, returns: &Ends) {
    let far: BTreeMap<_, _> = stage.orders().into_iter().map(|order| (order.number.clone(), order)).collect();
    let mut expected = BTreeSet::new();
    for (documents, ends) in [(contracts, orders), (notes, returns)] {
        for document in documents.iter().filter(|document| ends[&document.number].state == State::Posted) {
            let order = &far[&document.number];
            assert!(order.same_number == 1 && stage.stands(order), "{}: {order:?}", document.number);
            assert_eq!(order.gross, document.total, "{}: the ERP's total", document.number);
            expected.insert(document.number.clone());
        }
    }
    let found: BTreeSet<String> = far.into_keys().collect();
    assert_eq!(found, expected, "orders in the ERP");
}

fn far_invoices(stage: &Stage, contracts: &[Document], invoices: &Ends) {
    let all = stage.sandbox.invoices();
    let far: BTreeMap<_, _> = all.iter().map(|invoice| (invoice.order_no.clone(), invoice)).collect();
    assert_eq!(far.len(), all.len(), "no order number was invoiced twice");
    let numbers: BTreeSet<_> = all.iter().filter_map(|invoice| invoice.number.clone()).collect();
    assert_eq!(numbers.len(), all.len(), "every invoice has a number of its own");
    let mut expected = 0;
    for contract in contracts.iter().filter(|contract| invoices[&contract.number].state == State::Posted) {
        let invoice = far[&contract.number];
        assert_eq!(invoice.gross, contract.total, "{}: invoiced", contract.number);
        assert_eq!(invoice.net + invoice.tax, invoice.gross, "{}", contract.number);
        let crm = stage.sandbox.crm_record("contracts", &contract.number).unwrap_or(Value::Null);
        assert_eq!(crm["invoice_number"].as_str(), invoice.number.as_deref(), "{}", contract.number);
        assert!(
            crm["invoice_pdf"].as_str().is_some_and(|url| url.starts_with("https://")),
            "{}",
            contract.number
        );
        expected += 1;
    }
    assert_eq!(all.len(), expected, "invoices at the tax platform");
}

/// The opportunity says what was paid and never went back; commission was released once for each payment, in proportion.
async fn payments(
    stage: &Stage,
    contracts: &[Document],
    paid: &BTreeMap<String, (Decimal, usize)>,
) -> Result<(), String> {
    let commissions = ends(stage, "commission").await?;
    let mut released: BTreeMap<&str, (Decimal, usize)> = BTreeMap::new();
    for number in commissions.keys() {
        let crm = stage.sandbox.crm_record("commissions", number).unwrap_or(Value::Null);
        let base = crm["base"].as_str().and_then(|text| Decimal::from_str_exact(text).ok());
        let (sum, count) = released.entry(number.split_once(':').unwrap().0).or_default();
        *sum += base.unwrap_or_else(|| panic!("{number}: {crm}"));
        *count += 1;
    }
    let (mut full, mut part) = (0, 0);
    for contract in contracts {
        let Some((amount, receipts)) = paid.get(&contract.number).filter(|(_, receipts)| *receipts > 0)
        else {
            assert!(
                stage.sandbox.crm_record("opportunities", &contract.number).is_none(),
                "{}",
                contract.number
            );
            continue;
        };
        let crm = stage.sandbox.crm_record("opportunities", &contract.number).unwrap_or(Value::Null);
        let order_back = stage.sandbox.crm_record("contracts", &contract.number).unwrap_or(Value::Null);
        assert_eq!(order_back["erp_order_number"].as_str(), Some(contract.number.as_str()));
        let received = crm["received"].as_str().and_then(|text| Decimal::from_str_exact(text).ok());
        assert_eq!(received, Some(*amount), "{}: received ({receipts} receipts)", contract.number);
        let stages: Vec<u8> = stage
            .sandbox
            .crm_writes_of("opportunities", &contract.number)
            .iter()
            .map(|write| u8::from(write.after["stage"] == "全额回款"))
            .collect();
        assert!(stages.is_sorted(), "{}: the stage went back: {stages:?}", contract.number);
        let earned = released.get(contract.number.as_str());
        assert_eq!(earned, Some(&(*amount, *receipts)), "{}: commission", contract.number);
        if *amount == contract.total {
            assert_eq!(crm["stage"], "全额回款", "{}", contract.number);
            full += 1;
        } else {
            assert_eq!(crm["stage"], "部分回款", "{}", contract.number);
            part += 1;
        }
    }
    assert_eq!(released.len(), full + part, "no commission for what nobody paid");
    println!(
        "paid in full 全额回款: {full}, in part 部分回款: {part}, commissions 佣金: {}",
        commissions.len()
    );
    Ok(())
}

/// Counts and sums by flow and end.
#[derive(Default)]
struct Table(BTreeMap<(String, String), (u64, Decimal)>);

impl Table {
    fn add(&mut self, flow: &str, end: &DeliveryView, total: Decimal) {
        let row = self.0.entry((flow.to_owned(), reason(end))).or_default();
        row.0 += 1;
        row.1 += total;
    }

    fn total(&self, flow: &str) -> Decimal {
        self.0.iter().filter(|((of, _), _)| of == flow).map(|(_, (_, total))| total).sum()
    }

    fn print(&self) {
        for ((flow, end), (count, total)) in &self.0 {
            println!("{flow:<12} {end:<24} {count:>5} {total:>14}");
        }
    }
}
