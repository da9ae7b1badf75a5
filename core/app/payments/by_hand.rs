//! What a person decides about a payment.

use super::books::{Books, exact};
use super::decision::Decision;
use super::plan::parts;
use super::verdict::{Kind, Told};
use crate::routes::Routes;
use rust_decimal::Decimal;
use tongbao_delivery::payments::{Allocation, Payment, PaymentBook, Undoing};
use tongbao_delivery::port::{Store, Stored};
use tongbao_model::{Text, decimal};
use tongbao_recon::items;

/// Money of a payment, and what it pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Contract.
    pub contract: String,
    /// Invoice; `None` for the contract as a whole.
    pub invoice: Option<String>,
    /// Money.
    pub amount: Decimal,
    /// What a bank kept.
    pub fee: Decimal,
    /// Code of the customer, as far as known.
    pub customer: Option<String>,
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whose payment.
    pub book: PaymentBook,
    /// Its number.
    pub number: String,
    /// Who asks.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Times that a decision is tried again where somebody else decided something meanwhile.
const TRIES: u32 = 5;

/// A refusal in words.
type Refused<T> = Result<T, Text>;

/// Allocates a payment, all of it. What stands of it is replaced.
///
/// # Errors
/// What the database said; the inner error says why it is not done.
pub async fn allocate(
    store: &dyn Store,
    routes: &Routes,
    asked: &Asked,
    wanted: Vec<Part>,
    now_ms: i64,
) -> Stored<Refused<()>> {
    decide(store, routes, asked, now_ms, |books, payment| allowed(books, payment, wanted.clone()).map(Some))
        .await
}

/// Allocates a payment as it was proposed: the first way is 1.
///
/// # Errors
/// As of [`allocate`].
pub async fn choose(
    store: &dyn Store,
    routes: &Routes,
    asked: &Asked,
    choice: usize,
    now_ms: i64,
) -> Stored<Refused<()>> {
    decide(store, routes, asked, now_ms, |books, payment| {
        let told = Told::read(payment.verdict.as_deref()).filter(|told| told.kind != Kind::Matched);
        let ways = told.map(|told| told.ways).unwrap_or_default();
        let Some(way) = choice.checked_sub(1).and_then(|place| ways.get(place)) else {
            return Err(Text::new(
                format!("收款 {} 有 {} 个建议，没有第 {choice} 个", asked.number, ways.len()),
                format!("{} ways are proposed for {}, and none is number {choice}", ways.len(), asked.number),
            ));
        };
        allowed(books, payment, parts(way, books)).map(Some)
    })
    .await
}

/// Takes back what stands of a payment. From then on only a person decides about it.
///
/// # Errors
/// As of [`allocate`].
pub async fn undo(store: &dyn Store, routes: &Routes, asked: &Asked, now_ms: i64) -> Stored<Refused<()>> {
    decide(store, routes, asked, now_ms, |books, payment| {
        if books.standing(payment).is_empty() {
            return Err(Text::new(
                format!("收款 {} 没有核销", asked.number),
                format!("nothing of {} is allocated", asked.number),
            ));
        }
        Ok(None)
    })
    .await
}

/// Decides over the books as they are, and again where somebody else was faster: what a person wants is held against what is
/// true then.
async fn decide(
    store: &dyn Store,
    routes: &Routes,
    asked: &Asked,
    now_ms: i64,
    wanted: impl Fn(&Books, &Payment) -> Refused<Option<Vec<Part>>>,
) -> Stored<Refused<()>> {
    for _ in 0..TRIES {
        let (books, payment) = match looked_up(store, asked).await? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let settling = wanted(&books, &payment)
            .and_then(|parts| decision(asked, &books, &payment, parts).settling(routes, now_ms));
        let settling = match settling {
            Ok(settling) => settling,
            Err(why) => return Ok(Err(why)),
        };
        if store.settle(books.turn, vec![settling], now_ms).await? {
            return Ok(Ok(()));
        }
    }
    Ok(Err(Text::new("其间不断有其他核销，请重试", "somebody else kept deciding: try again")))
}

/// The payment, with the accounts as they are now.
async fn looked_up(store: &dyn Store, asked: &Asked) -> Stored<Refused<(Books, Payment)>> {
    let mut books = Books::load_for(store, asked.book, &asked.number).await?;
    let Some(payment) = books.open.pop() else {
        return Ok(Err(Text::new(
            format!("没有收款 {}", asked.number),
            format!("there is no payment {}", asked.number),
        )));
    };
    if payment.said.reversed {
        return Ok(Err(Text::new(
            format!("收款 {} 已作废", asked.number),
            format!("the payment {} was taken back at its source", asked.number),
        )));
    }
    Ok(Ok((books, payment)))
}

/// The parts, if the payment is exactly used up, in its own currency, for contracts and invoices that are there.
fn allowed(books: &Books, payment: &Payment, wanted: Vec<Part>) -> Refused<Vec<Part>> {
    let said = &payment.said;
    let out_of_range = || Text::new("金额超出范围", "the amounts leave the range of exact arithmetic");
    let total = exact(&said.amount).map_err(|_| out_of_range())?;
    let mut sum = Decimal::ZERO;
    let mut parts = Vec::with_capacity(wanted.len());
    for part in wanted {
        sum = decimal::add(sum, part.amount).ok_or_else(out_of_range)?;
        let Some(contract) = books.contracts.get(&part.contract) else {
            return Err(Text::new(
                format!("台账中没有合同 {}", part.contract),
                format!("there is no contract {} on the accounts", part.contract),
            ));
        };
        if contract.currency != said.currency {
            return Err(Text::new(
                format!(
                    "收款 {} 为 {}，合同 {} 为 {}",
                    said.number, said.currency, part.contract, contract.currency
                ),
                format!(
                    "the payment {} is in {}, the contract {} in {}",
                    said.number, said.currency, part.contract, contract.currency
                ),
            ));
        }
        if let Some(invoice) = &part.invoice {
            fits_invoice(books, payment, &part, invoice)?;
        }
        parts.push(Part { customer: Some(contract.customer.clone()).filter(|one| !one.is_empty()), ..part });
    }
    if sum != total {
        return Err(Text::new(
            format!("核销合计 {sum}，收款为 {total}：须全部分配；多出的记在合同上即为预收"),
            format!(
                "the parts are {sum} together, the payment is {total}: all of it is allocated; what is too much goes on a contract, as an advance"
            ),
        ));
    }
    Ok(parts)
}

/// An invoice is there, and no more is paid of it than is open without what stands of this payment.
fn fits_invoice(books: &Books, payment: &Payment, part: &Part, invoice: &str) -> Refused<()> {
    let contract = books.contracts.get(&part.contract);
    let mut contract = contract.cloned().ok_or_else(|| Text::new("没有合同", "there is no such contract"))?;
    for one in books.standing(payment).iter().filter(|one| one.contract == part.contract) {
        let amount = exact(&one.amount).unwrap_or_default() + exact(&one.fee).unwrap_or_default();
        let place = contract.paid.iter().position(|paid| paid.paper == one.paper && paid.amount == amount);
        if let Some(place) = place {
            contract.paid.remove(place);
        }
    }
    let wanted = items::id(&part.contract, Some(invoice));
    let item = contract.items().into_iter().flatten().find(|item| item.id == wanted);
    let Some(item) = item else {
        return Err(Text::new(
            format!("合同 {} 没有发票 {invoice}", part.contract),
            format!("the contract {} has no invoice {invoice}", part.contract),
        ));
    };
    let closed = part.amount + part.fee;
    if closed > item.open {
        return Err(Text::new(
            format!("发票 {invoice} 未收 {}，不能核销 {closed}；多出的记在合同上", item.open),
            format!(
                "{} is open of the invoice {invoice}, {closed} cannot be paid of it; what is more goes on the contract",
                item.open
            ),
        ));
    }
    Ok(())
}

/// What a person says becomes of a payment: it is allocated, or nothing of it.
fn decision<'p>(
    asked: &Asked,
    books: &'p Books,
    payment: &'p Payment,
    parts: Option<Vec<Part>>,
) -> Decision<'p> {
    let standing: &[Allocation] = books.standing(payment);
    let why = Text::new(asked.why.clone(), asked.why.clone());
    let reasons = if asked.why.is_empty() { Vec::new() } else { vec![why] };
    let undo = Undoing { who: asked.who.clone(), why: asked.why.clone() };
    let is_allocated = parts.is_some();
    let kind = if is_allocated { Kind::ByHand } else { Kind::Open };
    Decision {
        undo: (!standing.is_empty()).then_some(undo),
        parts: parts.unwrap_or_default(),
        rule: if is_allocated { Allocation::BY_HAND.to_owned() } else { String::new() },
        who: Some(asked.who.clone()),
        open: !is_allocated,
        by_hand: true,
        ..Decision::telling(payment, standing, Told { reasons, ..Told::of(kind) })
    }
}
