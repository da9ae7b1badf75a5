//! What a run is fed with: contracts, amendments, credit notes and receipts, drawn from the seed.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tongbao_delivery::sim::Dice;

/// A contract and everything that happens to it.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Number.
    pub number: String,
    /// Lines (quantity, price in cents) of each revision, from 1.
    pub revisions: Vec<Vec<(u64, u64)>>,
    /// Whether the code table knows its customer from the beginning.
    pub is_known: bool,
    /// Whether ERP and tax platform refuse its documents at first.
    pub is_refused: bool,
    /// Receipts: cents, and whether they are taken back later.
    pub receipts: Vec<(u64, bool)>,
    /// A credit note's quantity of the last revision's first line, and its price.
    pub credit: Option<(u64, u64)>,
}

/// Draws the contracts of a run.
pub fn contracts(dice: &Dice) -> Vec<Contract> {
    (1..=dice.between(2, 7)).map(|number| contract(dice, number)).collect()
}

fn contract(dice: &Dice, number: u64) -> Contract {
    let free = dice.per_mille(40);
    let lines = |_| -> Vec<(u64, u64)> {
        let line = |_| (dice.between(1, 9), if free { 0 } else { dice.between(1, 100_000) });
        (0..dice.between(1, 3)).map(line).collect()
    };
    let amendments = if free { 0 } else { dice.one_of(&[0, 0, 0, 1, 2]) };
    let revisions: Vec<Vec<(u64, u64)>> = (0..=amendments).map(lines).collect();
    let last = revisions.last().cloned().unwrap_or_default();
    let credit = (dice.per_mille(250) && !free).then(|| last.first().copied()).flatten();
    let credit = credit.map(|(quantity, price)| (dice.between(1, quantity), price));
    let due = cents(&last) - credit.map_or(0, |(quantity, price)| quantity * price);
    Contract {
        number: format!("HT-{number:04}"),
        revisions,
        is_known: !dice.per_mille(120),
        is_refused: dice.per_mille(80),
        receipts: receipts(dice, due),
        credit,
    }
}

/// Nothing, a part, all of it in parts, or too much.
fn receipts(dice: &Dice, due: u64) -> Vec<(u64, bool)> {
    let count = dice.between(0, 3);
    let mut left = due;
    let mut receipts = Vec::new();
    for index in 0..count {
        let all = index + 1 == count && dice.per_mille(600);
        let cents = if all { left } else { dice.between(0, left) };
        if cents == 0 {
            continue;
        }
        left -= cents;
        receipts.push((cents, dice.per_mille(150)));
    }
    receipts
}

fn cents(lines: &[(u64, u64)]) -> u64 {
    lines.iter().map(|(quantity, price)| quantity * price).sum()
}

/// Cents as an amount.
pub fn amount(cents: u64) -> Decimal {
    Decimal::new(i64::try_from(cents).unwrap_or(i64::MAX), 2)
}

impl Contract {
    /// Customer code in the CRM.
    pub fn customer(&self) -> String {
        let kind = if self.is_known { "C" } else { "N" };
        format!("{kind}-{}", self.number)
    }

    /// Total with tax of a revision, from 1.
    pub fn total(&self, revision: usize) -> Decimal {
        amount(self.revisions.get(revision.saturating_sub(1)).map_or(0, |lines| cents(lines)))
    }

    /// Total with tax of the newest revision.
    pub fn newest(&self) -> Decimal {
        self.total(self.revisions.len())
    }

    /// Total of the credit note, negative.
    pub fn credited(&self) -> Decimal {
        -self.credit.map_or(Decimal::ZERO, |(quantity, price)| amount(quantity * price))
    }

    /// What was received and not taken back.
    pub fn received(&self) -> Decimal {
        self.receipts.iter().filter(|(_, taken_back)| !taken_back).map(|(cents, _)| amount(*cents)).sum()
    }

    /// The credit note's number.
    pub fn credit_number(&self) -> String {
        format!("TH-{}", self.number)
    }

    /// A revision as the CRM posts it.
    pub fn document(&self, revision: usize) -> Value {
        let lines = self.revisions.get(revision.saturating_sub(1)).cloned().unwrap_or_default();
        let line = |(index, (quantity, price)): (usize, &(u64, u64))| {
            json!({
                "line": index + 1, "product": {"code": "P-100", "name": "软件平台"},
                "quantity": quantity.to_string(), "unit_price_tax_included": amount(*price).to_string(),
                "tax_rate": "0.13",
            })
        };
        json!({
            "number": self.number, "revision": revision, "signed_at": "2026-11-20T10:00:00+08:00",
            "customer": {"code": self.customer(), "name": "宁波样例贸易有限公司"},
            "opportunity": {"id": format!("OPP-{}", self.number)}, "currency": "CNY",
            "lines": lines.iter().enumerate().map(line).collect::<Vec<_>>(),
            "total_tax_included": self.total(revision).to_string(),
        })
    }

    /// The credit note as the CRM posts it.
    pub fn credit_document(&self) -> Option<Value> {
        let (quantity, price) = self.credit?;
        Some(json!({
            "number": self.credit_number(), "contract_number": self.number,
            "signed_at": "2026-11-21T10:00:00+08:00",
            "customer": {"code": self.customer(), "name": "宁波样例贸易有限公司"}, "currency": "CNY",
            "lines": [{
                "line": 1, "product": {"code": "P-100", "name": "软件平台"},
                "quantity": format!("-{quantity}"), "unit_price_tax_included": amount(price).to_string(),
                "tax_rate": "0.13",
            }],
            "total_tax_included": self.credited().to_string(),
        }))
    }

    /// A receipt as Kingdee lists it: first as received, later perhaps as voided.
    pub fn receipt_document(&self, index: usize, voided: bool) -> Option<Value> {
        let (cents, _) = self.receipts.get(index)?;
        let hour = if voided { 18 } else { 14 };
        Some(json!({
            "FID": "1", "FBillNo": format!("SK-{}", self.number), "FDATE": "2026-11-25T00:00:00",
            "FDOCUMENTSTATUS": "C", "FCancelStatus": if voided { "B" } else { "A" },
            "FCONTACTUNIT": {"FNumber": "CUST"}, "FCURRENCYID": {"FNumber": "PRE001"},
            "FModifyDate": format!("2026-11-25T{hour}:00:00"), "FTHIRDBILLNO": null,
            "FRECEIVEBILLENTRY_FEntryID": (index + 1).to_string(),
            "FRECTOTALAMOUNTFOR": amount(*cents).to_string(), "FRECEIVEITEM": null,
            "FSALEORDERNO": self.number, "FSETTLENO": null,
        }))
    }
}
