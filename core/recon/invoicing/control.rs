//! What may be invoiced of a contract, what was, and what is left; requests judged against it.

use super::{Amounts, Ask, LineKey, Refusal, Share, take};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::record::{ContractLine, InvoiceRequest};
use tongbao_model::{Code, Fault, decimal};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A line of the contract.
    Contracted,
    /// A line of a credit note, with its sign: less than zero.
    Credited,
    /// A line of a request that was let through, by the request's number.
    Asked(String),
    /// A line of a blue invoice; with the number of the request it answers, if it answers one.
    Invoiced(Option<String>),
    /// A line of a red invoice, with its sign: less than zero.
    Red,
}

/// One line of one paper, in its newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Which line of the contract the paper means.
    pub key: LineKey,
    /// How much of it.
    pub share: Share,
}

/// How one line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Contracted less credited.
    pub may: Share,
    /// Asked for, whether invoiced by now or not.
    pub asked: Share,
    /// On blue invoices.
    pub invoiced: Share,
    /// On red invoices: zero or less.
    pub red: Share,
    /// What may still be asked for. Less than zero where a credit note came after the invoice: a red one is due.
    pub left: Share,
}

/// How all lines of a contract stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Contract number.
    pub contract: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Every line of the contract.
    pub lines: BTreeMap<LineKey, Standing>,
}

/// What a request takes of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which line of the contract.
    pub key: LineKey,
    /// What the request says with tax. The last part may differ from it by the tolerance: it takes what remains.
    pub asked: Decimal,
    /// What it takes.
    pub share: Share,
}

/// Lines of a paper with their amounts after discount. `None`: sums leave the range of exact arithmetic.
pub fn positions(lines: &[ContractLine]) -> Option<Vec<(LineKey, Share)>> {
    let one = |line: &ContractLine| {
        let rate = line.tax_rate.0;
        let discount = line.discount_tax_included.map_or(Decimal::ZERO, |discount| discount.0);
        // As invoices print them: line and discount are rounded each.
        let amounts = Amounts::of(line.amount_tax_included.0, rate)?.plus(Amounts::of(discount, rate)?)?;
        let key = LineKey { line: line.line, product: line.product.code.clone(), rate };
        Some((key, Share { quantity: line.quantity.0, amounts }))
    };
    lines.iter().map(one).collect()
}

impl Control {
    /// How the lines stand after these entries, in whatever order. A paper's line that the contract does not have under
    /// its number is the only one of its product and rate; where there is none or several, the fault names it.
    pub fn of(contract: &str, currency: &str, entries: &[Entry]) -> Result<Control, Fault> {
        let own = entries.iter().filter(|entry| entry.kind == EntryKind::Contracted);
        let lines = own.map(|entry| (entry.key.clone(), Standing::default())).collect();
        let mut control = Control { contract: contract.into(), currency: currency.into(), lines };
        let mut requests: BTreeMap<(&str, LineKey), (Share, Share)> = BTreeMap::new();
        for entry in entries {
            let key = control.place(&entry.key).ok_or_else(|| unplaced(contract, &entry.key))?;
            let line = control.lines.entry(key.clone()).or_default();
            line.book(&entry.kind, entry.share).ok_or_else(out_of_range)?;
            let (request, is_asked) = match &entry.kind {
                EntryKind::Asked(request) => (request, true),
                EntryKind::Invoiced(Some(request)) => (request, false),
                _ => continue,
            };
            let (asked, invoiced) = requests.entry((request, key)).or_default();
            let side = if is_asked { asked } else { invoiced };
            *side = side.plus(entry.share).ok_or_else(out_of_range)?;
        }
        control.settle(&requests).ok_or_else(out_of_range)?;
        Ok(control)
    }

    /// Takes off what is invoiced, and what is asked for and not invoiced yet.
    fn settle(&mut self, requests: &BTreeMap<(&str, LineKey), (Share, Share)>) -> Option<()> {
        for line in self.lines.values_mut() {
            line.left = line.may.less(line.invoiced)?.less(line.red)?;
        }
        for ((_, key), (asked, invoiced)) in requests {
            let pending = asked.less(*invoiced)?;
            if let Some(line) = self.lines.get_mut(key)
                && !pending.is_below_zero()
            {
                line.left = line.left.less(pending)?;
            }
        }
        Some(())
    }

    /// The contract's line that a paper means: the one under its number, else the only one of its product and rate.
    pub fn place(&self, key: &LineKey) -> Option<LineKey> {
        if self.lines.contains_key(key) {
            return Some(key.clone());
        }
        let same = |own: &&LineKey| own.product == key.product && own.rate == key.rate;
        let mut found = self.lines.keys().filter(same);
        found.next().filter(|_| found.next().is_none()).cloned()
    }

    /// What a request takes of each line, or every reason why it is refused. One that takes all that is left of a line in
    /// quantity takes what remains in amounts too, where what it says differs from that by `tolerance` at most.
    ///
    /// The request itself is not among the control's entries.
    pub fn judge(&self, request: &InvoiceRequest, tolerance: Decimal) -> Result<Vec<Part>, Vec<Fault>> {
        if request.currency != self.currency {
            return Err(vec![other_currency(&self.currency, &request.currency)]);
        }
        let positions = positions(&request.lines).ok_or_else(|| vec![out_of_range()])?;
        let mut asks: BTreeMap<LineKey, Share> = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for (key, share) in positions {
            let Some(own) = self.place(&key) else {
                unknown.insert(key);
                continue;
            };
            let ask = asks.entry(own).or_default();
            *ask = ask.plus(share).ok_or_else(|| vec![out_of_range()])?;
        }
        let mut faults: Vec<Fault> = unknown.iter().map(|key| unplaced(&self.contract, key)).collect();
        let mut parts = Vec::new();
        for (key, asked) in asks {
            let standing = self.lines.get(&key).copied().unwrap_or_default();
            match standing.part(key.rate, asked, tolerance) {
                Ok(share) => parts.push(Part { key, asked: asked.amounts.gross, share }),
                Err(refusal) => faults.push(refused(&key, asked, refusal)),
            }
        }
        if faults.is_empty() { Ok(parts) } else { Err(faults) }
    }
}

impl Standing {
    fn book(&mut self, kind: &EntryKind, share: Share) -> Option<()> {
        let column = match kind {
            EntryKind::Contracted | EntryKind::Credited => &mut self.may,
            EntryKind::Asked(_) => &mut self.asked,
            EntryKind::Invoiced(_) => &mut self.invoiced,
            EntryKind::Red => &mut self.red,
        };
        *column = column.plus(share)?;
        Some(())
    }

    fn part(&self, rate: Decimal, asked: Share, tolerance: Decimal) -> Result<Share, Refusal> {
        let (quantity, gross) = (asked.quantity, asked.amounts.gross);
        let off = gross.checked_sub(self.left.amounts.gross).ok_or(Refusal::Range)?.abs();
        let is_last = quantity == self.left.quantity && gross > Decimal::ZERO && off <= tolerance;
        let ask = if is_last { Ask::Rest } else { Ask::Both(quantity, gross) };
        let taken = self.may.less(self.left).ok_or(Refusal::Range)?;
        take(self.may, taken, rate, ask)
    }
}

/// The line in words, in both languages.
fn named(key: &LineKey) -> (String, String) {
    let rate = decimal::multiply(key.rate, Decimal::ONE_HUNDRED).unwrap_or(key.rate).normalize();
    let (line, product) = (key.line, &key.product);
    (format!("第 {line} 行（{product}，税率 {rate}%）"), format!("line {line} ({product}, tax rate {rate}%)"))
}

fn refused(key: &LineKey, asked: Share, refusal: Refusal) -> Fault {
    let ((zh, en), field) = (named(key), format!("lines[{}]", key.line));
    let (many, much) = (asked.quantity.normalize(), asked.amounts.gross);
    match refusal {
        Refusal::Range => out_of_range().at(field),
        Refusal::Nothing => Fault::new(
            Code::CheckFailed,
            format!("{zh}开票数量或金额须大于零，金额最多两位小数：申请数量 {many}，价税合计 {much}"),
            format!("{en}: quantity or amount must be above zero, the amount of two places at most: {many} for {much} were asked for"),
        )
        .at(field),
        Refusal::Over { left } => {
            let (left_many, left_much) = (left.quantity.normalize(), left.amounts.gross);
            Fault::new(
                Code::OverInvoiced,
                format!("{zh}超开：申请数量 {many}，价税合计 {much}；可开数量 {left_many}，价税合计 {left_much}"),
                format!("{en} would be over-invoiced: {many} for {much} were asked for, {left_many} for {left_much} are left"),
            )
            .at(field)
            .value(much.to_string())
        }
    }
}

fn unplaced(contract: &str, key: &LineKey) -> Fault {
    let (zh, en) = named(key);
    Fault::new(
        Code::OverInvoiced,
        format!("合同 {contract} 没有{zh}，或同一产品与税率有多行而行号不符"),
        format!("contract {contract} has no {en}, or several of this product and rate under other numbers"),
    )
    .at(format!("lines[{}]", key.line))
}

fn other_currency(contract: &str, request: &str) -> Fault {
    Fault::new(
        Code::CurrencyMismatch,
        format!("开票申请币别 {request} 与合同币别 {contract} 不同"),
        format!("the request is in {request}, the contract in {contract}"),
    )
    .at("currency")
    .remedy("在来源系统按合同币别重新申请。", "Ask again in the contract's currency.")
}

fn out_of_range() -> Fault {
    Fault::new(
        Code::NumberRange,
        "数量或金额超出可精确计算的范围",
        "quantities or amounts leave the range of exact arithmetic",
    )
}
