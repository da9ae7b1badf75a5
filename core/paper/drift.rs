//! The books held against each other, as rows: beside a statement, and never a part of it.

use crate::grid::{Cell, Role, Row, Sheet, note, text};
use tongbao_model::record::Time;
use tongbao_recon::statement::drift::{Book, Differing, Drift, Figure, Measure, Side};
use tongbao_recon::statement::money;

/// Name of the sheet.
pub const NAME: &str = "账账核对";

/// The sheet: each difference with both books, what they say and when they said so, and the documents behind it.
pub fn sheet(figures: &[Figure], drifts: &[Drift]) -> Sheet {
    let mut rows = vec![Row { role: Role::Title, cells: vec![text("账账核对 The books compared")] }];
    if figures.is_empty() {
        rows.push(note("没有可核对的账 / there are no books to compare"));
    } else if drifts.is_empty() {
        rows.push(note("各账一致 / the books agree"));
    } else {
        let names = [
            "项目 what",
            "币别 currency",
            "一方 one",
            "另一方 other",
            "一方金额 one",
            "另一方金额 other",
            "差异 difference",
        ];
        rows.push(Row { role: Role::Header, cells: names.map(text).into() });
    }
    for drift in drifts {
        rows.push(total(drift));
        rows.extend(drift.documents.iter().map(document));
    }
    Sheet { name: NAME.to_owned(), rows }
}

fn total(drift: &Drift) -> Row {
    let over = if drift.is_over { " 超限 over" } else { "" };
    let cells = vec![
        text(&format!("{}{over}", measure(drift.measure))),
        text(&drift.currency),
        text(&side(&drift.left, drift.measure)),
        text(&side(&drift.right, drift.measure)),
        Cell::Amount(drift.left.amount.0),
        Cell::Amount(drift.right.amount.0),
        Cell::Amount(drift.difference.0),
    ];
    Row { role: Role::Opening, cells }
}

fn document(one: &Differing) -> Row {
    let amount =
        |amount: Option<tongbao_model::Exact>| amount.map_or(Cell::Blank, |amount| Cell::Amount(amount.0));
    let zero = tongbao_model::Exact(rust_decimal::Decimal::ZERO);
    let difference = tongbao_model::decimal::add(one.left.unwrap_or(zero).0, -one.right.unwrap_or(zero).0);
    let cells = vec![
        Cell::Blank,
        Cell::Blank,
        text(&one.number),
        Cell::Blank,
        amount(one.left),
        amount(one.right),
        difference.map_or(Cell::Blank, |difference| Cell::Amount(money(difference).0)),
    ];
    Row { role: Role::Line, cells }
}

fn side(side: &Side, measure: Measure) -> String {
    let as_of = Time::in_china(side.as_of_ms).map(|time| time.0).unwrap_or_default();
    let minute = as_of.get(..16).unwrap_or(&as_of).replace('T', " ");
    format!("{}（{minute}）", book(side.book, measure))
}

fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Ordered => "订货 ordered",
        Measure::Invoiced => "开票 invoiced",
        Measure::Received => "收款 received",
    }
}

fn book(book: Book, measure: Measure) -> &'static str {
    match book {
        Book::ErpReceivable if measure == Measure::Received => "ERP 收款 receipt",
        Book::CrmContract => "CRM 合同 contract",
        Book::ErpOrder => "ERP 订单 order",
        Book::ErpReceivable => "ERP 应收 receivable",
        Book::TaxInvoice => "税务发票 invoice",
        Book::Bank => "银行 bank",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;
    use std::collections::BTreeMap;
    use tongbao_recon::statement::drift::{LIMIT, drifts};

    fn figure(book: Book, documents: &[(&str, i64)]) -> Figure {
        let documents =
            documents.iter().map(|(number, cents)| ((*number).to_owned(), Decimal::new(*cents, 2)));
        Figure {
            book,
            measure: Measure::Ordered,
            currency: "CNY".into(),
            as_of_ms: 1_795_330_800_000,
            documents: documents.collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn each_difference_is_told_with_both_times_and_its_documents() {
        let shown = |figures: &[Figure]| -> Vec<String> {
            let sheet = sheet(figures, &drifts(figures, LIMIT).unwrap());
            let row = |row: &Row| row.cells.iter().map(Cell::shown).collect::<Vec<_>>().join("|");
            sheet.rows.iter().skip(1).map(row).collect()
        };
        let crm = figure(Book::CrmContract, &[("A", 10_000), ("B", 5_000)]);
        let erp = figure(Book::ErpOrder, &[("A", 10_000)]);
        assert_eq!(
            shown(&[crm.clone(), erp]),
            [
                "项目 what|币别 currency|一方 one|另一方 other|一方金额 one|另一方金额 other|差异 difference",
                "订货 ordered 超限 over|CNY|CRM 合同 contract（2026-11-22 15:00）|ERP 订单 order（2026-11-22 15:00）|150.00|100.00|50.00",
                "||B||50.00||50.00",
            ]
        );
        let same = Figure { book: Book::ErpOrder, ..crm.clone() };
        assert_eq!(shown(&[crm, same]), ["各账一致 / the books agree"]);
        assert_eq!(shown(&[]), ["没有可核对的账 / there are no books to compare"]);
    }

    #[test]
    fn what_the_erp_is_owed_is_no_receipt() {
        let told = [Measure::Invoiced, Measure::Received].map(|measure| book(Book::ErpReceivable, measure));
        assert_eq!(told, ["ERP 应收 receivable", "ERP 收款 receipt"]);
    }
}
