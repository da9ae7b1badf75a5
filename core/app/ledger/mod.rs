//! The built-in target `ledger`: keeps each contract's receivable account and says what a movement changed.
//!
//! The movement, the status event and the releases of commission are stored in the same transaction as the
//! outcome. All deliveries of one contract go through one lane, so that an account is never changed twice at once.

mod releases;

use crate::emit;
use releases::{is_of_the_whole, releases};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_delivery::handler::Report;
use tongbao_delivery::port::{Intake, KEY_CHARACTERS, LedgerEntry, Store, Work};
use tongbao_model::event::kinds;
use tongbao_model::record::{Commission, OpportunityStatus, Time};
use tongbao_model::{Class, Code, Event, Exact, Fault, china, decimal, digest};
use tongbao_recon::{Account, AccountError, Movement, MovementKind, Stage};

use crate::intake::{at, store_unavailable};
use crate::routes::Routes;

/// Takes one event into the accounts.
pub async fn handle(store: &Arc<dyn Store>, routes: &Routes, work: &Work, now_ms: i64) -> Report {
    let moved = match moved(&work.event) {
        Ok(moved) => moved,
        Err(fault) => return Report::fault(fault),
    };
    let before = match store.ledger(&moved.entry.contract).await {
        Ok(entries) => entries,
        Err(error) => return Report::fault(store_unavailable(&error)),
    };
    match settle(&work.event, &work.delivery.id, moved, before, now_ms) {
        Ok((entries, events)) => Report {
            entries,
            follow_on: events.into_iter().map(|event| routes.intake(event)).collect::<Vec<Intake>>(),
            ..Report::new(Class::Done)
        },
        Err(fault) => Report::fault(fault),
    }
}

/// The contract whose account an event moves, if it names one.
pub fn contract(event: &Event) -> Option<String> {
    if event.kind == kinds::CONTRACT_SIGNED {
        return Some(event.key.clone());
    }
    contract_named(&serde_json::from_str(&event.record).ok()?)
}

fn contract_named(record: &Value) -> Option<String> {
    at(record, "contract_number").and_then(Value::as_str).map(str::to_owned)
}

/// What an event moves.
struct Moved {
    entry: LedgerEntry,
    /// What a bank kept of it.
    fee: Option<LedgerEntry>,
}

/// The movement an event means.
fn moved(event: &Event) -> Result<Moved, Fault> {
    let record: Value = serde_json::from_str(&event.record)
        .map_err(|_| Fault::new(Code::Defect, "事件内容无法读取", "the event's record cannot be read"))?;
    let text = |path: &str| at(&record, path).and_then(Value::as_str).map(str::to_owned);
    let (kind, amount, contract) = match event.kind.as_str() {
        kinds::CONTRACT_SIGNED => (MovementKind::Ordered, "total_tax_included", Some(event.key.clone())),
        kinds::CREDIT_NOTE_SIGNED => (MovementKind::Credited, "total_tax_included", contract_named(&record)),
        kinds::INVOICE_ISSUED => (MovementKind::Invoiced, "total_tax_included", contract_named(&record)),
        kinds::RECEIVABLE_BOOKED => (MovementKind::Booked, "amount", contract_named(&record)),
        kinds::PAYMENT_RECEIVED | kinds::PAYMENT_ALLOCATED => {
            (MovementKind::Received, "amount", contract_named(&record))
        }
        other => {
            return Err(Fault::new(
                Code::TargetMisconfigured,
                format!("台账不处理事件 {other}"),
                format!("the ledger takes no event `{other}`"),
            ));
        }
    };
    let contract = contract.ok_or_else(|| {
        Fault::new(Code::ContractUnknown, "单据未指明合同号", "the document names no contract")
            .at("contract_number")
    })?;
    let reversed = text("status").as_deref() == Some("reversed");
    let amount = if reversed { "0".to_owned() } else { text(amount).unwrap_or_else(|| "0".into()) };
    let facts = json!({
        "opportunity": text("opportunity.id"),
        "salesperson": text("salesperson.code"),
        "status": text("status"),
        "customer_name": text("customer.name"),
    });
    // One payment, or one invoice, may be for several contracts: on each account it has its own number.
    let own_number = match event.kind.as_str() {
        kinds::PAYMENT_ALLOCATED => text("payment_number"),
        kinds::INVOICE_ISSUED => text("number"),
        _ => None,
    };
    let entry = LedgerEntry {
        contract,
        kind: kind.name().into(),
        origin: own_number.unwrap_or_else(|| event.key.clone()),
        revision: event.revision,
        amount,
        currency: text("currency").unwrap_or_else(|| "CNY".into()),
        event: event.id.clone(),
        at_ms: event.occurred_at_ms,
        customer: text("customer.code"),
        facts: facts.to_string(),
    };
    let fee = (event.kind == kinds::PAYMENT_ALLOCATED).then(|| LedgerEntry {
        kind: MovementKind::Fee.name().into(),
        amount: text("fee").unwrap_or_else(|| "0".into()),
        ..entry.clone()
    });
    Ok(Moved { entry, fee })
}

/// The account after a movement, and what follows from it. Pure.
fn settle(
    event: &Event,
    delivery: &str,
    Moved { entry, fee }: Moved,
    mut entries: Vec<LedgerEntry>,
    now_ms: i64,
) -> Result<(Vec<LedgerEntry>, Vec<Event>), Fault> {
    let same = |one: &LedgerEntry| one.kind == entry.kind && one.origin == entry.origin;
    if entries.iter().any(|one| same(one) && one.revision >= entry.revision) {
        // Seen before, or older than what is known: nothing changes and nobody is told again.
        return Ok((Vec::new(), Vec::new()));
    }
    if is_reversal(&entry) && !entries.iter().any(same) {
        // A receipt that was never received (a draft in the ERP, or voided before we saw it) is no payment.
        return Ok((Vec::new(), Vec::new()));
    }
    let of_fee = |one: &LedgerEntry| {
        fee.as_ref().is_some_and(|fee| (&one.kind, &one.origin) == (&fee.kind, &fee.origin))
    };
    // Most payments come without a fee, and an entry of nothing only takes one back.
    let has_fee = fee.as_ref().is_some_and(|fee| !is_zero(&fee.amount)) || entries.iter().any(of_fee);
    entries.retain(|one| !same(one) && !of_fee(one));
    entries.push(entry.clone());
    let mut stored = vec![entry.clone()];
    stored.extend(fee.filter(|_| has_fee));
    entries.extend(stored.iter().skip(1).cloned());
    let account = match account(&entries) {
        Ok(account) => account,
        // Money can come before its contract; it is told about when the contract comes.
        Err(AccountError::NoContract) => return Ok((stored, Vec::new())),
        Err(error) => return Err(no_account(error)),
    };
    let news = News { account: &account, entry: &entry, entries: &entries, delivery, now_ms };
    let mut events = Vec::new();
    let is_silent = [kinds::INVOICE_ISSUED, kinds::RECEIVABLE_BOOKED].contains(&event.kind.as_str());
    if account.stage() != Stage::Open && !is_silent {
        events.push(news.status());
    }
    if account.is_paid_in_full() && !account.settled {
        stored.push(LedgerEntry {
            kind: MovementKind::Settled.name().into(),
            origin: entry.contract.clone(),
            revision: 1,
            amount: account.due.to_string(),
            ..entry.clone()
        });
    }
    for (receipt, base) in releases(&entries, &account)? {
        events.push(news.commission(receipt, base));
        stored.push(LedgerEntry {
            kind: MovementKind::Released.name().into(),
            revision: account.revision,
            amount: base.to_string(),
            event: entry.event.clone(),
            ..receipt.clone()
        });
    }
    Ok((stored, events))
}

/// Contract and payment as one number.
pub fn joint_number(contract: &str, payment: &str) -> String {
    let number = format!("{contract}:{payment}");
    if number.chars().count() <= KEY_CHARACTERS { number } else { digest::of_bytes(number.as_bytes()) }
}

fn no_account(error: AccountError) -> Fault {
    match error {
        AccountError::Currency { contract, movement } => Fault::new(
            Code::CurrencyMismatch,
            format!("合同币别 {contract}，单据币别 {movement}"),
            format!("the contract is in {contract}, the document in {movement}"),
        )
        .at("currency"),
        AccountError::Range | AccountError::NoContract => {
            Fault::new(Code::NumberRange, "金额超出范围", "the amounts leave the range")
        }
    }
}

/// What a movement has to tell.
struct News<'a> {
    account: &'a Account,
    entry: &'a LedgerEntry,
    entries: &'a [LedgerEntry],
    delivery: &'a str,
    now_ms: i64,
}

impl News<'_> {
    /// A fact the contract brought along.
    fn fact(&self, key: &str) -> Option<String> {
        let ordered = self.entries.iter().find(|one| one.kind == MovementKind::Ordered.name())?;
        serde_json::from_str::<Value>(&ordered.facts).ok()?.get(key)?.as_str().map(str::to_owned)
    }

    fn event(&self, kind: &str, key: &str, record: &Value) -> Event {
        let (contract, revision) = (&self.entry.contract, self.account.revision);
        emit::event(kind, key, revision, contract, record, self.delivery, self.now_ms)
    }

    fn status(&self) -> Event {
        let account = self.account;
        let status = emit::record(&OpportunityStatus {
            contract_number: self.entry.contract.clone(),
            revision: account.revision,
            opportunity_id: self.fact("opportunity"),
            stage: account.stage().name().into(),
            currency: account.currency.clone(),
            due: Exact(account.due),
            received: Exact(account.received),
            open: Exact(account.open),
        });
        self.event(kinds::PAYMENT_MATCHED, &self.entry.contract, &status)
    }

    /// Of one receipt, with a revision that rises with every movement on the account.
    fn commission(&self, receipt: &LedgerEntry, base: Decimal) -> Event {
        let contract = &self.entry.contract;
        let number = joint_number(contract, &receipt.origin);
        let commission = emit::record(&Commission {
            number: number.clone(),
            revision: self.account.revision,
            contract_number: contract.clone(),
            payment_number: receipt.origin.clone(),
            salesperson: self.fact("salesperson"),
            currency: self.account.currency.clone(),
            base: Exact(base),
            released_at: Time(rfc3339(receipt.at_ms)),
        });
        self.event(kinds::COMMISSION_RELEASED, &number, &commission)
    }
}

fn is_zero(amount: &str) -> bool {
    decimal::parse(amount).is_ok_and(|amount| amount.is_zero())
}

fn is_reversal(entry: &LedgerEntry) -> bool {
    let facts: Value = serde_json::from_str(&entry.facts).unwrap_or(Value::Null);
    facts.get("status").and_then(Value::as_str) == Some("reversed")
}

/// The account of stored entries.
pub fn account(entries: &[LedgerEntry]) -> Result<Account, AccountError> {
    let movements: Vec<Movement> = entries
        .iter()
        .filter_map(|entry| {
            let whole = is_of_the_whole(entry, entries);
            Some(Movement {
                kind: if whole { MovementKind::Settled } else { MovementKind::from_name(&entry.kind)? },
                amount: decimal::parse(&entry.amount).ok()?,
                currency: entry.currency.clone(),
                revision: entry.revision,
            })
        })
        .collect();
    if movements.len() != entries.len() {
        return Err(AccountError::Range);
    }
    Account::of(&movements)
}

fn rfc3339(at_ms: i64) -> String {
    china::moment(at_ms).map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, key: &str, revision: i64, record: Value) -> Event {
        emit::event(kind, key, revision, "HT-1", &record, "d", 0)
    }

    /// Feeds events in order; gives the stages told, the commissions told as payment and base, and the final open amount.
    fn run(events: &[Event]) -> (Vec<String>, Vec<String>, String) {
        let mut entries: Vec<LedgerEntry> = Vec::new();
        let (mut stages, mut released) = (Vec::new(), Vec::new());
        for event in events {
            let (stored, told) = settle(event, "d", moved(event).unwrap(), entries.clone(), 0).unwrap();
            for one in stored {
                entries.retain(|old| (&old.kind, &old.origin) != (&one.kind, &one.origin));
                entries.push(one);
            }
            for event in told {
                let record: Value = serde_json::from_str(&event.record).unwrap();
                let text = |name: &str| record[name].as_str().unwrap().to_owned();
                match event.kind.as_str() {
                    kinds::PAYMENT_MATCHED => stages.push(text("stage")),
                    _ => {
                        assert_eq!(event.key, format!("HT-1:{}", text("payment_number")));
                        released.push(format!("{} {}", text("payment_number"), text("base")));
                    }
                }
            }
        }
        let account = account(&entries).unwrap();
        assert_eq!(account.released, account.earned());
        (stages, released, account.open.to_string())
    }

    fn contract() -> Event {
        event(kinds::CONTRACT_SIGNED, "HT-1", 1, json!({"total_tax_included": "100.00", "currency": "CNY"}))
    }

    fn payment(number: &str, revision: i64, status: &str, amount: &str) -> Event {
        let record =
            json!({"contract_number": "HT-1", "amount": amount, "currency": "CNY", "status": status});
        event(kinds::PAYMENT_RECEIVED, number, revision, record)
    }

    #[test]
    fn part_then_full_then_reversal() {
        let events = [
            contract(),
            payment("R1", 1, "received", "40.00"),
            payment("R1", 1, "received", "40.00"),
            payment("R2", 1, "received", "60.00"),
            payment("R2", 2, "reversed", "60.00"),
            payment("R2", 1, "received", "60.00"),
            payment("R3", 1, "received", "60.00"),
        ];
        let (stages, released, open) = run(&events);
        assert_eq!(stages, ["part-paid", "paid", "paid", "paid"]);
        // Once for each payment, whatever comes twice; taken back with it.
        assert_eq!(released, ["R1 40.00", "R2 60.00", "R2 0.00", "R3 60.00"]);
        assert_eq!(open, "0.00");
    }

    #[test]
    fn what_was_credited_earns_no_commission() {
        let note = event(
            kinds::CREDIT_NOTE_SIGNED,
            "TH-1",
            1,
            json!({"contract_number": "HT-1", "total_tax_included": "-30.00", "currency": "CNY"}),
        );
        let paid =
            [contract(), payment("R1", 1, "received", "80.00"), payment("R2", 1, "received", "20.00"), note];
        let (_, released, open) = run(&paid);
        assert_eq!(released, ["R1 80.00", "R2 20.00", "R1 70.00", "R2 0.00"]);
        assert_eq!(open, "-30.00");
    }

    #[test]
    fn a_contract_whose_commission_was_released_as_a_whole_gets_no_other() {
        let receipt = moved(&payment("R1", 1, "received", "100.00")).unwrap().entry;
        let whole = LedgerEntry { kind: "released".into(), origin: "HT-1".into(), ..receipt.clone() };
        let entries = vec![moved(&contract()).unwrap().entry, receipt, whole];
        let refund = payment("R2", 1, "received", "-10.00");
        assert_eq!(account(&entries).unwrap().stage(), Stage::Paid);
        let (_, told) = settle(&refund, "d", moved(&refund).unwrap(), entries, 0).unwrap();
        assert!(told.iter().all(|event| event.kind != kinds::COMMISSION_RELEASED));
        assert!(told[0].record.contains(r#""stage":"paid""#), "{}", told[0].record);
    }

    #[test]
    fn a_number_that_is_too_long_is_another_one() {
        assert_eq!(joint_number("HT-1", "R1"), "HT-1:R1");
        let long = "9".repeat(KEY_CHARACTERS);
        assert!(joint_number(&long, "R1").chars().count() <= KEY_CHARACTERS);
        assert_ne!(joint_number(&long, "R1"), joint_number(&long, "R2"));
    }

    #[test]
    fn money_before_its_contract_and_a_credit_note() {
        let note = event(
            kinds::CREDIT_NOTE_SIGNED,
            "TH-1",
            1,
            json!({"contract_number": "HT-1", "total_tax_included": "-10.00", "currency": "CNY"}),
        );
        let (stages, released, open) = run(&[payment("R1", 1, "received", "90.00"), contract(), note]);
        assert_eq!(stages, ["part-paid", "paid"]);
        assert_eq!((released, open.as_str()), (vec!["R1 90.00".to_owned()], "0.00"));
    }
}
