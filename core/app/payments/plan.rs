//! One look at all open payments: what is sure is decided, of the rest it is said what can be said. Pure.

use super::books::{Books, day, exact};
use super::by_hand::Part;
use super::decision::Decision;
use super::verdict::{Kind, Told, Way};
use crate::config::Matching;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap, HashSet};
use tongbao_delivery::payments::{Allocation, Payment, Undoing};
use tongbao_delivery::port::Stored;
use tongbao_model::Text;
use tongbao_recon::items::Paid;
use tongbao_recon::matching::{self, Item, MatchError, Verdict, matched};
use tongbao_recon::pairing::{Pair, PairedBy, Pairing, Seen, pair};

/// Days after a payment in which a reversal of it is recognised.
const REVERSAL_DAYS: u32 = 62;

/// Everything to be decided, of open payments and of those that are paired or undone. Those of the other book first.
///
/// # Errors
/// The database holds an amount that is none.
pub fn plan<'b>(books: &'b mut Books, matching: &Matching) -> Stored<Vec<Decision<'b>>> {
    let named = take_named(books)?;
    let books = &*books;
    let pairing = pairs(books, matching.pair_days)?;
    let reversals = reversals(books)?;
    let verdicts = verdicts(books, &named, &pairing, matching)?;
    let mut decisions: BTreeMap<(bool, &str), Decision<'b>> = BTreeMap::new();
    for payment in &books.open {
        let decision = decided(payment, books, &named, &verdicts);
        decisions.insert((true, &payment.said.number), decision);
    }
    undo_reversed(books, &reversals, &mut decisions);
    pair_up(books, &pairing, &mut decisions);
    Ok(decisions.into_values().filter(Decision::is_news).collect())
}

/// Open payments whose document names the contract, with their amounts, which are taken off the contracts first.
fn take_named(books: &mut Books) -> Stored<HashMap<String, Part>> {
    let mut named = HashMap::new();
    for payment in &books.open {
        let said = &payment.said;
        let is_free = !said.reversed && !payment.by_hand && said.kind != "reversal";
        let (Some(contract), true) = (&said.contract, is_free && keeps(books, payment)?.is_none()) else {
            continue;
        };
        let amount = exact(&said.amount)?;
        let known = books.contracts.get_mut(contract);
        if known.as_ref().is_some_and(|known| known.currency != said.currency) {
            continue;
        }
        let customer = known.as_ref().map(|known| known.customer.clone()).or_else(|| said.customer.clone());
        if let Some(known) = known {
            known.paid.push(Paid { paper: None, amount });
        }
        let part = Part { contract: contract.clone(), invoice: None, amount, fee: Decimal::ZERO, customer };
        named.insert(said.number.clone(), part);
    }
    Ok(named)
}

/// Whether what stands of a payment fits what is said of it now. `None`: nothing stands.
fn keeps(books: &Books, payment: &Payment) -> Stored<Option<bool>> {
    let standing = books.standing(payment);
    let said = &payment.said;
    let Some(first) = standing.first() else { return Ok(None) };
    let mut sum = Decimal::ZERO;
    for one in standing {
        sum = sum.checked_add(exact(&one.amount)?).unwrap_or_default();
    }
    let is_there = |one: &Allocation| said.contract.as_ref().is_none_or(|contract| *contract == one.contract);
    let fits = sum == exact(&said.amount)?
        && first.currency == said.currency
        && (first.who.is_some() || standing.iter().all(is_there));
    Ok(Some(fits && !said.reversed))
}

/// What is decided of one open payment, apart from pairs and reversals.
fn decided<'b>(
    payment: &'b Payment,
    books: &'b Books,
    named: &HashMap<String, Part>,
    verdicts: &BTreeMap<String, Verdict>,
) -> Decision<'b> {
    let said = &payment.said;
    let standing = books.standing(payment);
    let told = |kind| Decision::telling(payment, standing, Told::of(kind));
    match keeps(books, payment) {
        Ok(Some(true)) => {
            let kind =
                if standing.iter().any(|one| one.who.is_some()) { Kind::ByHand } else { Kind::Matched };
            let known = standing.first().and_then(|one| Told::read(Some(&one.reasons)));
            return Decision {
                told: known.unwrap_or_else(|| Told::of(kind)),
                open: false,
                ..Decision::telling(payment, standing, Told::of(kind))
            };
        }
        Ok(Some(false)) => {
            let (zh, en) = if said.reversed {
                ("收款已作废", "the payment was taken back at its source")
            } else {
                ("收款单据已变更", "the document says something else now")
            };
            let undo = Undoing { who: "document".to_owned(), why: format!("{zh} / {en}") };
            let kind = if said.reversed { Kind::Void } else { Kind::Open };
            // What it pays now is for the next look, over books that know that this is gone.
            return Decision { undo: Some(undo), open: !said.reversed, ..told(kind) };
        }
        Ok(None) | Err(_) => {}
    }
    if said.reversed {
        return Decision { open: false, ..told(Kind::Void) };
    }
    if let Some(part) = named.get(&said.number) {
        let rule = "document".to_owned();
        return Decision { parts: vec![part.clone()], rule, open: false, ..told(Kind::Named) };
    }
    if let Some(contract) = said.contract.as_ref().filter(|_| !payment.by_hand) {
        // Not taken as named: its currency is another.
        let told = Told { numbers: vec![contract.clone()], ..Told::of(Kind::OtherCurrency) };
        return Decision::telling(payment, standing, told);
    }
    match verdicts.get(&said.number) {
        None => told(Kind::Out),
        Some(verdict) => by_rules(payment, standing, verdict, books),
    }
}

fn by_rules<'b>(
    payment: &'b Payment,
    standing: &'b [Allocation],
    verdict: &Verdict,
    books: &Books,
) -> Decision<'b> {
    let told = Told::by_rules(verdict.clone(), books);
    let Verdict::Matched(found) = verdict else { return Decision::telling(payment, standing, told) };
    if payment.by_hand {
        // A person has taken back what was decided before: whatever the rules are sure of is a proposal.
        let told = Told { kind: Kind::Proposed, ..told };
        return Decision::telling(payment, standing, told);
    }
    let parts = told.ways.first().map(|way| parts(way, books)).unwrap_or_default();
    let rule = found.rule.clone();
    Decision { parts, rule, open: false, ..Decision::telling(payment, standing, told) }
}

/// The money of a way: what a bank keeps is taken off the largest item, what is left is an advance on the last contract.
pub fn parts(way: &Way, books: &Books) -> Vec<Part> {
    let customer = |contract: &str| books.contracts.get(contract).map(|one| one.customer.clone());
    let mut parts: Vec<Part> = way
        .takes
        .iter()
        .map(|take| Part {
            contract: take.contract.clone(),
            invoice: take.invoice.clone(),
            amount: take.amount.0,
            fee: Decimal::ZERO,
            customer: customer(&take.contract),
        })
        .collect();
    if let Some(largest) = parts.iter_mut().max_by_key(|part| part.amount).filter(|_| !way.fee.0.is_zero()) {
        largest.amount -= way.fee.0;
        largest.fee = way.fee.0;
    }
    if let Some(last) = parts.last().filter(|_| !way.advance.0.is_zero()).cloned() {
        parts.push(Part { invoice: None, amount: way.advance.0, fee: Decimal::ZERO, ..last });
    }
    parts
}

/// What the rules say of the payments that neither stand nor name their contract.
fn verdicts(
    books: &Books,
    named: &HashMap<String, Part>,
    pairing: &Pairing,
    matching: &Matching,
) -> Stored<BTreeMap<String, Verdict>> {
    let fresh: HashMap<&str, &str> =
        pairing.pairs.iter().map(|pair| (pair.erp.as_str(), pair.bank.as_str())).collect();
    let other: HashMap<&str, &Payment> =
        books.other.iter().map(|one| (one.said.number.as_str(), one)).collect();
    let mut payments = Vec::new();
    for payment in &books.open {
        let said = &payment.said;
        let amount = exact(&said.amount)?;
        let is_asked = !said.reversed
            && said.kind != "reversal"
            && amount > Decimal::ZERO
            && !named.contains_key(&said.number)
            && (said.contract.is_none() || payment.by_hand)
            && books.standing(payment).is_empty();
        if is_asked {
            let known = payment.pair.as_ref().and_then(|pair| books.pairs.get(pair));
            let pair = known.or_else(|| other.get(fresh.get(said.number.as_str())?).copied());
            payments.push(asked(payment, amount, pair));
        }
    }
    let mut items: Vec<Item> = Vec::new();
    for contract in books.contracts.values() {
        // One whose amounts leave the range can be paid by hand.
        items.extend(contract.items().unwrap_or_default());
    }
    decide(&items, payments, books, matching)
}

/// Asks the rules. A payment or an item with an amount that cannot be worked with is left out, and the others are asked again.
fn decide(
    items: &[Item],
    mut payments: Vec<matching::Payment>,
    books: &Books,
    how: &Matching,
) -> Stored<BTreeMap<String, Verdict>> {
    let mut items = items.to_vec();
    let mut left_out = BTreeMap::new();
    loop {
        let error = match matched(&items, &payments, &books.payers, &how.policy) {
            Ok(mut verdicts) => {
                verdicts.append(&mut left_out);
                return Ok(verdicts);
            }
            Err(error) => error,
        };
        let (MatchError::Range(id) | MatchError::NotIn(id) | MatchError::Twice(id)) = error;
        let before = payments.len() + items.len();
        payments.retain(|one| one.id != id);
        items.retain(|one| one.id != id);
        left_out.insert(id, Verdict::Open(Vec::new()));
        if payments.len() + items.len() == before {
            return Ok(left_out);
        }
    }
}

/// A payment with everything that its own document and that of its pair say.
fn asked(payment: &Payment, amount: Decimal, pair: Option<&Payment>) -> matching::Payment {
    let said = &payment.said;
    let other = pair.map(|pair| &pair.said);
    let text: Vec<&str> =
        [said.text.as_deref(), other.and_then(|other| other.text.as_deref())].into_iter().flatten().collect();
    let either = |own: &Option<String>, theirs: Option<&Option<String>>| {
        own.clone().or_else(|| theirs.cloned().flatten())
    };
    matching::Payment {
        id: said.number.clone(),
        currency: said.currency.clone(),
        amount,
        text: text.join(" "),
        payer_name: either(&said.party, other.map(|other| &other.party)),
        payer_account: either(&said.party_account, other.map(|other| &other.party_account)),
    }
}

fn seen(payment: &Payment, amount: Decimal) -> Seen {
    let said = &payment.said;
    Seen {
        id: said.number.clone(),
        currency: said.currency.clone(),
        amount,
        day: day(said.at_ms),
        reference: said.reference.clone(),
        party: said.party.clone(),
    }
}

/// Payments of the other book (`bank` here) with those of the leading one (`erp`). Whichever leads: the sides are alike.
fn pairs(books: &Books, days: u32) -> Stored<Pairing> {
    let free = |one: &&Payment| one.pair.is_none() && !one.said.reversed;
    let side = |payments: &mut dyn Iterator<Item = &Payment>| -> Stored<Vec<Seen>> {
        payments.filter(free).map(|one| Ok(seen(one, exact(&one.said.amount)?))).collect()
    };
    let other = side(&mut books.other.iter())?;
    if other.is_empty() {
        return Ok(Pairing::default());
    }
    let lead = side(&mut books.open.iter().chain(&books.near))?;
    Ok(pair(&other, &lead, days))
}

/// Reversals with the payments that they undo: the bank's reference or the other party says so, and the amounts agree to the
/// cent.
fn reversals(books: &Books) -> Stored<Vec<Pair>> {
    let is_one = |one: &&Payment| one.said.kind == "reversal" && !one.said.reversed && !one.by_hand;
    let mut undoing = Vec::new();
    for one in books.open.iter().filter(is_one) {
        undoing.push(seen(one, -exact(&one.said.amount)?));
    }
    if undoing.is_empty() {
        return Ok(Vec::new());
    }
    let mut undone = Vec::new();
    for one in books.open.iter().chain(&books.near).filter(|one| one.said.kind != "reversal") {
        let is_gone = Told::read(one.verdict.as_deref()).is_some_and(|told| told.kind == Kind::Reversed);
        if !one.said.reversed && !is_gone {
            undone.push(seen(one, exact(&one.said.amount)?));
        }
    }
    let found = pair(&undone, &undoing, REVERSAL_DAYS);
    let is_sure = |pair: &Pair| {
        pair.by != PairedBy::Amount && pair.drift.is_some_and(|drift| drift.is_zero()) && pair.days >= 0
    };
    Ok(found.pairs.into_iter().filter(is_sure).collect())
}

/// Takes back what was undone, and closes both.
fn undo_reversed<'b>(
    books: &'b Books,
    reversals: &[Pair],
    decisions: &mut BTreeMap<(bool, &'b str), Decision<'b>>,
) {
    let find = |number: &str| books.open.iter().chain(&books.near).find(|one| one.said.number == number);
    for found in reversals {
        let (Some(undone), Some(undoing)) = (find(&found.bank), find(&found.erp)) else { continue };
        for (payment, other) in [(undone, undoing), (undoing, undone)] {
            let standing = books.standing(payment);
            let told = Told { numbers: vec![other.said.number.clone()], ..Told::of(Kind::Reversed) };
            let why = Text::new(
                format!("被 {} 冲销", other.said.number),
                format!("undone by {}", other.said.number),
            );
            let undo = Undoing { who: "reversal".to_owned(), why: format!("{} / {}", why.zh, why.en) };
            let decision = Decision {
                undo: (!standing.is_empty()).then_some(undo),
                open: false,
                ..Decision::telling(payment, standing, told)
            };
            decisions.insert((true, &payment.said.number), decision);
        }
    }
}

/// Notes pairs on both sides, and of the other book what has none.
fn pair_up<'b>(books: &'b Books, pairing: &Pairing, decisions: &mut BTreeMap<(bool, &'b str), Decision<'b>>) {
    let lead: HashMap<&str, &Payment> =
        books.open.iter().chain(&books.near).map(|one| (one.said.number.as_str(), one)).collect();
    let partner: HashMap<&str, &str> =
        pairing.pairs.iter().map(|pair| (pair.bank.as_str(), pair.erp.as_str())).collect();
    let mut taken = HashSet::new();
    for payment in &books.other {
        let number = payment.said.number.as_str();
        let told = |told: Told| Decision::telling(payment, &[], told);
        let kept = payment.pair.clone().filter(|_| !payment.said.reversed);
        let found = kept.or_else(|| partner.get(number).map(|one| (*one).to_owned()));
        let decision = match found {
            _ if payment.said.reversed => Decision { open: false, pair: None, ..told(Told::of(Kind::Void)) },
            Some(found) => {
                let with = Told { numbers: vec![found.clone()], ..Told::of(Kind::Paired) };
                Decision { open: false, pair: Some(found), ..told(with) }
            }
            None => {
                let candidates = pairing.bank.get(number).into_iter().flatten().cloned().collect();
                told(Told { numbers: candidates, ..Told::of(Kind::Unpaired) })
            }
        };
        let theirs = decision.pair.clone().or_else(|| payment.pair.clone());
        if let Some(one) = theirs.and_then(|theirs| lead.get(theirs.as_str()).copied())
            && taken.insert(one.said.number.as_str())
        {
            let number = decision.pair.as_ref().map(|_| number.to_owned());
            let mine = decisions.entry((true, one.said.number.as_str())).or_insert_with(|| {
                let told = Told::read(one.verdict.as_deref()).unwrap_or_else(|| Told::of(Kind::Open));
                Decision::telling(one, books.standing(one), told)
            });
            mine.pair = number;
        }
        decisions.insert((false, number), decision);
    }
}
