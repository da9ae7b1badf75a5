//! Invoices to be issued (开票单): what a request that was let through becomes, alone or put together with others, and what takes
//! an invoice back.

use super::merge::{Asking, Merged, merge};
use super::split::{Billed, Channel, Invoice, InvoiceKind, split};
use super::{Amounts, Ask, Control, LineKey, Part, Refusal, Share, positions, red};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_model::record::{Contract, InvoiceLine, InvoiceOrder, InvoiceRequest, RedRequest};
use tongbao_model::{Code, Exact, Fault, decimal};

/// A request that was let through, as one invoice with final amounts.
///
/// # Errors
/// Amounts leave the range.
pub fn draft(request: &InvoiceRequest, parts: &[Part], control: &Control) -> Result<InvoiceOrder, Fault> {
    let mut lines = Vec::new();
    for part in parts {
        let theirs = |line: &&tongbao_model::record::ContractLine| {
            let key = LineKey { line: line.line, product: line.product.code.clone(), rate: line.tax_rate.0 };
            control.place(&key).as_ref() == Some(&part.key)
        };
        let asked: Vec<_> = request.lines.iter().filter(theirs).collect();
        let Some(first) = asked.first() else { continue };
        let discounts = asked.iter().filter_map(|line| line.discount_tax_included);
        let discount = discounts.map(|one| one.0).try_fold(Decimal::ZERO, decimal::add).ok_or_else(range)?;
        let off = Amounts::of(discount, part.key.rate).ok_or_else(range)?;
        let amount = part.share.amounts.plus(off.negated()).ok_or_else(range)?;
        lines.push(InvoiceLine {
            contract_number: request.contract_number.clone(),
            line: part.key.line,
            product: first.product.clone(),
            quantity: Some(Exact(part.share.quantity)),
            unit_price_tax_included: Some(first.unit_price_tax_included),
            tax_rate: Exact(part.key.rate),
            amount_tax_included: Exact(amount.gross),
            amount_tax_excluded: Exact(amount.net),
            tax: Exact(amount.tax),
            discount_tax_included: (!discount.is_zero()).then_some(Exact(discount)),
        });
    }
    totalled(InvoiceOrder {
        number: request.number.clone(),
        request_number: request.number.clone(),
        contract_number: request.contract_number.clone(),
        requested_at: request.requested_at.clone(),
        kind: request.kind.clone(),
        customer: request.customer.clone(),
        currency: request.currency.clone(),
        lines,
        total_tax_included: Exact(Decimal::ZERO),
        total_tax_excluded: Exact(Decimal::ZERO),
        total_tax: Exact(Decimal::ZERO),
        note: request.note.clone(),
        blue_invoice: None,
        reason: None,
        is_whole: None,
    })
}

/// A request as the invoice that was made of it without any control.
///
/// # Errors
/// Amounts leave the range.
pub fn uncontrolled(request: &InvoiceRequest) -> Result<InvoiceOrder, Fault> {
    let shares = positions(&request.lines).ok_or_else(range)?;
    let parts: Vec<Part> = shares
        .iter()
        .map(|(key, share)| Part { key: key.clone(), asked: share.amounts.gross, share: *share })
        .collect();
    let lines = shares.into_iter().map(|(key, _)| (key, super::Standing::default())).collect();
    let own =
        Control { contract: request.contract_number.clone(), currency: request.currency.clone(), lines };
    draft(request, &parts, &own)
}

/// A whole contract as the invoice that was made of it without any control: a special one for a buyer with a tax number.
///
/// # Errors
/// Amounts leave the range.
pub fn whole(contract: &Contract) -> Result<InvoiceOrder, Fault> {
    uncontrolled(&asked_by(contract, &contract.number))
}

/// All that is left of a contract as one invoice; nothing where nothing is left. Lines that are invoiced as they were agreed
/// have price and discount on it; of others the rest is told as an amount.
///
/// # Errors
/// Amounts leave the range.
pub fn rest(contract: &Contract, number: &str, control: &Control) -> Result<Option<InvoiceOrder>, Fault> {
    let agreed: BTreeMap<LineKey, Share> =
        positions(&contract.lines).ok_or_else(range)?.into_iter().collect();
    let is_left = |share: &Share| share.quantity > Decimal::ZERO && share.amounts.gross > Decimal::ZERO;
    let parts: Vec<Part> = control
        .lines
        .iter()
        .filter(|(_, line)| is_left(&line.left))
        .map(|(key, line)| Part { key: key.clone(), asked: line.left.amounts.gross, share: line.left })
        .collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let as_agreed: BTreeSet<i64> = parts
        .iter()
        .filter(|part| agreed.get(&part.key) == Some(&part.share))
        .map(|part| part.key.line)
        .collect();
    let mut request = asked_by(contract, number);
    for line in request.lines.iter_mut().filter(|line| !as_agreed.contains(&line.line)) {
        line.discount_tax_included = None;
    }
    let mut order = draft(&request, &parts, control)?;
    for line in order.lines.iter_mut().filter(|line| !as_agreed.contains(&line.line)) {
        line.unit_price_tax_included = None;
    }
    Ok(Some(order))
}

/// A contract as a request for all of it: a special invoice for a buyer with a tax number.
fn asked_by(contract: &Contract, number: &str) -> InvoiceRequest {
    let has_number = contract.customer.as_ref().is_some_and(|buyer| buyer.tax_number.is_some());
    let kind = if has_number { InvoiceKind::Special } else { InvoiceKind::Ordinary };
    InvoiceRequest {
        number: number.to_owned(),
        contract_number: contract.number.clone(),
        requested_at: contract.signed_at.clone(),
        kind: kind.name().to_owned(),
        customer: contract.customer.clone(),
        currency: contract.currency.clone(),
        lines: contract.lines.clone(),
        total_tax_included: contract.total_tax_included,
        note: None,
    }
}

/// The invoices of one or several drafts: together what one customer gets in one currency and kind, apart what no invoice
/// holds. Whatever order the drafts come in, the same line is on the same invoice under the same number.
///
/// # Errors
/// Two drafts of one number that are not the same, a kind nobody knows, a number longer than the channel takes.
pub fn orders(drafts: &[InvoiceOrder], channel: Channel) -> Result<Vec<InvoiceOrder>, Fault> {
    let asking = drafts.iter().map(asking).collect::<Result<Vec<Asking>, Fault>>()?;
    let mut orders = Vec::new();
    for together in merge(&asking)? {
        let Merged { number, kind, lines, .. } = &together;
        for invoice in split(number, *kind, lines, channel)? {
            orders.push(issued_as(drafts, number, invoice)?);
        }
    }
    Ok(orders)
}

fn asking(draft: &InvoiceOrder) -> Result<Asking, Fault> {
    Ok(Asking {
        number: draft.number.clone(),
        customer: draft.customer.as_ref().map(|customer| customer.code.clone()).unwrap_or_default(),
        currency: draft.currency.clone(),
        kind: kind_of(draft)?,
        lines: draft.lines.iter().map(billed).collect::<Option<Vec<Billed>>>().ok_or_else(range)?,
    })
}

fn kind_of(order: &InvoiceOrder) -> Result<InvoiceKind, Fault> {
    InvoiceKind::from_name(&order.kind).ok_or_else(|| {
        Fault::new(Code::ValueUnmapped, "开票种类未知", "an unknown kind of invoice")
            .at("kind")
            .value(&order.kind)
            .remedy("种类为 special（专票）或 ordinary（普票）。", "The kind is `special` or `ordinary`.")
    })
}

/// An invoice of drafts as an order. What is not on its lines is the first draft's.
fn issued_as(drafts: &[InvoiceOrder], first: &str, invoice: Invoice) -> Result<InvoiceOrder, Fault> {
    let known: BTreeMap<(&str, LineKey), &InvoiceLine> = drafts
        .iter()
        .flat_map(|draft| &draft.lines)
        .map(|line| ((line.contract_number.as_str(), key_of(line)), line))
        .collect();
    let mut lines = Vec::new();
    for billed in &invoice.lines {
        let line = known.get(&(billed.contract.as_str(), billed.key.clone())).ok_or_else(range)?;
        lines.push(InvoiceLine {
            quantity: Some(Exact(billed.quantity)),
            amount_tax_included: Exact(billed.amount.gross),
            amount_tax_excluded: Exact(billed.amount.net),
            tax: Exact(billed.amount.tax),
            discount_tax_included: billed.discount.map(|discount| Exact(discount.gross)),
            ..(*line).clone()
        });
    }
    let draft = drafts.iter().find(|draft| draft.number == first).ok_or_else(range)?;
    let contract = lines.first().map_or(&draft.contract_number, |line| &line.contract_number).clone();
    totalled(InvoiceOrder {
        number: invoice.number,
        contract_number: contract,
        kind: invoice.kind.name().to_owned(),
        lines,
        ..draft.clone()
    })
}

/// What a red invoice takes back of a blue one's lines of a contract. `reds` are those let through before.
///
/// # Errors
/// Every line that cannot be taken back, and why.
pub fn red_order(
    request: &RedRequest,
    blue: &InvoiceOrder,
    reds: &[InvoiceOrder],
) -> Result<InvoiceOrder, Vec<Fault>> {
    let contract = &request.contract_number;
    let one = |fault: Fault| vec![fault];
    if request.currency != blue.currency {
        let fault = Fault::new(
            Code::CurrencyMismatch,
            format!("红字申请币别 {}，原发票币别 {}", request.currency, blue.currency),
            format!("the request is in {}, the invoice in {}", request.currency, blue.currency),
        );
        return Err(one(fault.at("currency")));
    }
    let of_blue = summed(std::slice::from_ref(blue), contract).map_err(one)?;
    let taken = summed(reds, contract).map_err(one)?;
    let asks = asks(request, &of_blue, &taken)?;
    let given = red(&of_blue, &taken, &asks).map_err(|refused| {
        refused.iter().map(|(key, refusal)| told(request, key, *refusal)).collect::<Vec<Fault>>()
    })?;
    let given_all = of_blue.iter().all(|(key, share)| given.get(key) == Some(&share.negated()));
    let whole =
        taken.is_empty() && given_all && blue.lines.iter().all(|line| line.contract_number == *contract);
    let lines = given.into_iter().filter_map(|(key, share)| red_line(blue, contract, &key, share)).collect();
    totalled(InvoiceOrder {
        number: request.number.clone(),
        request_number: request.number.clone(),
        contract_number: contract.clone(),
        requested_at: request.requested_at.clone(),
        lines,
        note: request.note.clone(),
        blue_invoice: Some(request.blue_invoice.clone()),
        reason: Some(request.reason.clone()),
        is_whole: Some(whole),
        ..blue.clone()
    })
    .map_err(one)
}

/// What is asked for of each line: all that is left where no line is named.
fn asks(
    request: &RedRequest,
    blue: &BTreeMap<LineKey, Share>,
    taken: &BTreeMap<LineKey, Share>,
) -> Result<BTreeMap<LineKey, Ask>, Vec<Fault>> {
    if request.lines.is_empty() {
        let is_left = |key: &&LineKey| {
            let whole = blue.get(*key).copied().unwrap_or_default();
            let left = whole.plus(taken.get(*key).copied().unwrap_or_default());
            left.is_none_or(|left| left != Share::default())
        };
        let asks: BTreeMap<LineKey, Ask> =
            blue.keys().filter(is_left).map(|key| (key.clone(), Ask::Rest)).collect();
        if asks.is_empty() {
            let fault = Fault::new(
                Code::OverInvoiced,
                format!("发票 {} 已全部红冲", request.blue_invoice),
                format!("all of the invoice {} was taken back", request.blue_invoice),
            );
            return Err(vec![fault.at("blue_invoice")]);
        }
        return Ok(asks);
    }
    let (mut asks, mut faults) = (BTreeMap::new(), Vec::new());
    for line in &request.lines {
        let (key, at) = (blue.keys().find(|key| key.line == line.line), format!("lines[{}]", line.line));
        let Some(key) = key else {
            let fault = Fault::new(
                Code::OverInvoiced,
                format!("发票 {} 没有合同第 {} 行", request.blue_invoice, line.line),
                format!("the invoice {} has nothing of line {}", request.blue_invoice, line.line),
            );
            faults.push(fault.at(at));
            continue;
        };
        let ask = match (line.quantity, line.amount_tax_included) {
            (None, None) => Ask::Rest,
            (Some(quantity), None) => Ask::Quantity(quantity.0),
            (None, Some(amount)) => Ask::Amount(amount.0),
            (Some(quantity), Some(amount)) => Ask::Both(quantity.0, amount.0),
        };
        if asks.insert(key.clone(), ask).is_some() {
            let fault = Fault::new(
                Code::CheckFailed,
                format!("第 {} 行出现两次", line.line),
                format!("line {} is there twice", line.line),
            );
            faults.push(fault.at(at));
        }
    }
    if faults.is_empty() { Ok(asks) } else { Err(faults) }
}

fn red_line(blue: &InvoiceOrder, contract: &str, key: &LineKey, share: Share) -> Option<InvoiceLine> {
    let line = blue.lines.iter().find(|line| line.contract_number == contract && key_of(line) == *key)?;
    Some(InvoiceLine {
        quantity: (!share.quantity.is_zero()).then_some(Exact(share.quantity)),
        amount_tax_included: Exact(share.amounts.gross),
        amount_tax_excluded: Exact(share.amounts.net),
        tax: Exact(share.amounts.tax),
        discount_tax_included: None,
        ..line.clone()
    })
}

/// Quantity and amounts after discount of an order's lines of a contract, one for each line of the contract.
///
/// # Errors
/// Amounts leave the range.
pub fn summed(orders: &[InvoiceOrder], contract: &str) -> Result<BTreeMap<LineKey, Share>, Fault> {
    let mut sums: BTreeMap<LineKey, Share> = BTreeMap::new();
    for line in orders.iter().flat_map(|order| &order.lines).filter(|line| line.contract_number == contract) {
        let sum = sums.entry(key_of(line)).or_default();
        let share = share_of(line).ok_or_else(range)?;
        *sum = sum.plus(share).ok_or_else(range)?;
    }
    Ok(sums)
}

/// With the sums of its lines as totals.
fn totalled(order: InvoiceOrder) -> Result<InvoiceOrder, Fault> {
    let add = |sum: Amounts, line: &InvoiceLine| sum.plus(share_of(line)?.amounts);
    let totals = order.lines.iter().try_fold(Amounts::default(), add).ok_or_else(range)?;
    Ok(InvoiceOrder {
        total_tax_included: Exact(totals.gross),
        total_tax_excluded: Exact(totals.net),
        total_tax: Exact(totals.tax),
        ..order
    })
}

fn key_of(line: &InvoiceLine) -> LineKey {
    LineKey { line: line.line, product: line.product.code.clone(), rate: line.tax_rate.0 }
}

fn amounts_of(line: &InvoiceLine) -> Amounts {
    Amounts { net: line.amount_tax_excluded.0, tax: line.tax.0, gross: line.amount_tax_included.0 }
}

fn discount_of(line: &InvoiceLine) -> Option<Amounts> {
    Amounts::of(line.discount_tax_included.map_or(Decimal::ZERO, |discount| discount.0), line.tax_rate.0)
}

fn share_of(line: &InvoiceLine) -> Option<Share> {
    let quantity = line.quantity.map_or(Decimal::ZERO, |quantity| quantity.0);
    Some(Share { quantity, amounts: amounts_of(line).plus(discount_of(line)?)? })
}

fn billed(line: &InvoiceLine) -> Option<Billed> {
    let discount = line.discount_tax_included.map(|_| discount_of(line));
    Some(Billed {
        contract: line.contract_number.clone(),
        key: key_of(line),
        quantity: line.quantity.map_or(Decimal::ZERO, |quantity| quantity.0),
        amount: amounts_of(line),
        discount: match discount {
            Some(discount) => Some(discount?),
            None => None,
        },
    })
}

fn told(request: &RedRequest, key: &LineKey, refusal: Refusal) -> Fault {
    let (line, invoice) = (key.line, &request.blue_invoice);
    let fault = match refusal {
        Refusal::Range => range(),
        Refusal::Nothing => Fault::new(
            Code::CheckFailed,
            format!("第 {line} 行红冲数量或金额须大于零，金额最多两位小数"),
            format!("line {line}: quantity or amount must be above zero, the amount of two places at most"),
        ),
        Refusal::Over { left } => {
            let (many, much) = (left.quantity.normalize(), left.amounts.gross);
            Fault::new(
                Code::OverInvoiced,
                format!("第 {line} 行红冲超过发票 {invoice} 的剩余：可冲数量 {many}，价税合计 {much}"),
                format!("line {line}: more than is left of the invoice {invoice}: {many} for {much}"),
            )
            .remedy("减少红冲的数量或金额后，以新申请号申请。", "Take back less, under a new request number.")
        }
    };
    fault.at(format!("lines[{line}]"))
}

fn range() -> Fault {
    Fault::new(
        Code::NumberRange,
        "数量或金额超出可精确计算的范围",
        "quantities or amounts leave the range of exact arithmetic",
    )
}
