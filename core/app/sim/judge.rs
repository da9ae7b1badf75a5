//! What must be true at the end of a run, worked out from its script.

use super::Story;
use super::script::Contract;
use crate::ledger;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tongbao_delivery::port::{DeliveryView, Filter, State, Store};
use tongbao_delivery::sim::{FarDocument, Sim};
use tongbao_model::event::kinds;
use tongbao_model::{Code, decimal};
use tongbao_recon::Account;

struct End<'a> {
    sim: &'a Sim,
    deliveries: Vec<DeliveryView>,
    documents: Vec<FarDocument>,
}

/// Judges a run: the first thing that is not as it should be.
pub async fn judge(story: &Story, sim: &Sim) -> Result<(), String> {
    let all = Filter { limit: 10_000, ..Filter::default() };
    let deliveries = sim.store.deliveries(all).await.map_err(|error| error.to_string())?;
    let end = End { sim, deliveries, documents: sim.far.documents() };
    end.everything_ended(story)?;
    end.money_is_conserved(story)?;
    for contract in &story.contracts {
        let told = |wrong: String| format!("{}: {wrong}", contract.number);
        end.order(contract).map_err(told)?;
        end.invoice(contract).map_err(told)?;
        end.credit(contract).map_err(told)?;
        let account = end.account(contract).await.map_err(told)?;
        end.commission(contract, &account).map_err(told)?;
        end.stage(contract, &account).map_err(told)?;
    }
    Ok(())
}

impl End<'_> {
    fn of<'e>(&'e self, target: &'e str, kind: &'e str, key: &'e str) -> Vec<&'e FarDocument> {
        let same = |one: &&FarDocument| one.target == target && one.kind == kind && one.key == key;
        self.documents.iter().filter(same).collect()
    }

    fn flow<'e>(&'e self, flow: &'e str, key: &'e str) -> impl Iterator<Item = &'e DeliveryView> {
        self.deliveries.iter().filter(move |one| one.flow == flow && one.key == key)
    }

    /// Only one reason to stop is left when everything has been mended: an amendment after the document was made.
    fn everything_ended(&self, story: &Story) -> Result<(), String> {
        for delivery in self.deliveries.iter().filter(|one| one.state == State::Parked) {
            let amended =
                story.contracts.iter().any(|one| one.number == delivery.key && one.revisions.len() > 1);
            let mismatch = delivery.fault.as_ref().is_some_and(|fault| fault.code == Code::AmountMismatch);
            if !(amended && mismatch) {
                return Err(format!(
                    "delivery {} of {} to {} is still parked: {:?}",
                    delivery.id,
                    delivery.key,
                    delivery.target,
                    delivery.fault.as_ref().map(|fault| fault.code)
                ));
            }
        }
        Ok(())
    }

    /// Every amount that was accepted is in exactly one state.
    fn money_is_conserved(&self, story: &Story) -> Result<(), String> {
        let mut by_state: BTreeMap<&str, Decimal> = BTreeMap::new();
        let mut sent = Decimal::ZERO;
        for contract in &story.contracts {
            let count = self.flow("order", &contract.number).count();
            if count != contract.revisions.len() {
                return Err(format!("{} has {count} deliveries to the ERP", contract.number));
            }
            // Revisions are told apart by their events' order of acceptance, amounts by what was sent.
            for delivery in self.flow("order", &contract.number) {
                let record = self.sim.record(&delivery.event).ok_or("an event is gone")?;
                let total = amount(&record, "total_tax_included").ok_or("an event has no total")?;
                *by_state.entry(delivery.state.name()).or_default() += total;
            }
            sent += (1..=contract.revisions.len()).map(|revision| contract.total(revision)).sum::<Decimal>();
        }
        let kept: Decimal = by_state.values().sum();
        if kept != sent {
            return Err(format!("{sent} were sent and {kept} are there: {by_state:?}"));
        }
        Ok(())
    }

    /// Exactly one document of the contract, of the revision that is posted.
    fn one(&self, contract: &Contract, flow: &str, target: &str, kind: &str) -> Result<(), String> {
        let documents = self.of(target, kind, &contract.number);
        if contract.newest().is_zero() {
            return match documents.len() {
                0 => Ok(()),
                count => Err(format!("{count} documents in {target} for a total of zero")),
            };
        }
        let [document] = documents.as_slice() else {
            return Err(format!("{} documents in {target}", documents.len()));
        };
        if !self.sim.far.is_complete(document) {
            return Err(format!("the document in {target} is not complete: {}", document.step));
        }
        let posted: Vec<&DeliveryView> =
            self.flow(flow, &contract.number).filter(|one| one.state == State::Posted).collect();
        let [posted] = posted.as_slice() else {
            return Err(format!("{} deliveries of {flow} are posted", posted.len()));
        };
        let record = self.sim.record(&posted.event).ok_or("an event is gone")?;
        let sent = amount(&record, "total_tax_included").map(|total| total.to_string());
        if document.total != sent {
            return Err(format!("{target} has {:?}, sent was {sent:?}", document.total));
        }
        Ok(())
    }

    fn order(&self, contract: &Contract) -> Result<(), String> {
        self.one(contract, "order", "erp", "SAL_SaleOrder")
    }

    fn invoice(&self, contract: &Contract) -> Result<(), String> {
        self.one(contract, "invoice", "tax", "invoice")
    }

    fn credit(&self, contract: &Contract) -> Result<(), String> {
        let key = contract.credit_number();
        let found = self.of("erp", "SAL_SaleOrder", &key).len();
        let wanted = usize::from(contract.credit.is_some());
        if found == wanted { Ok(()) } else { Err(format!("{found} return orders instead of {wanted}")) }
    }

    /// The account says what the script says, in whatever order its movements came.
    async fn account(&self, contract: &Contract) -> Result<Account, String> {
        let entries = self.sim.store.ledger(&contract.number).await.map_err(|error| error.to_string())?;
        let account = ledger::account(&entries).map_err(|error| format!("{error:?}"))?;
        let due = contract.newest() + contract.credited();
        if (account.due, account.received) != (due, contract.received()) {
            return Err(format!(
                "the account has due {} and received {}, it should be {due} and {}",
                account.due,
                account.received,
                contract.received()
            ));
        }
        if account.is_paid_in_full() && !account.settled {
            return Err("paid in full, and it is not remembered".to_owned());
        }
        if account.released != account.earned() {
            return Err(format!("commission on {} instead of {}", account.released, account.earned()));
        }
        Ok(account)
    }

    /// The CRM has one document for each payment that ever counted, and together they are what was earned.
    fn commission(&self, contract: &Contract, account: &Account) -> Result<(), String> {
        let of_contract = format!("{}:", contract.number);
        let told: BTreeSet<&str> = self
            .deliveries
            .iter()
            .filter(|one| one.kind == kinds::COMMISSION_RELEASED && one.key.starts_with(&of_contract))
            .map(|one| one.key.as_str())
            .collect();
        let mut released = Decimal::ZERO;
        for key in &told {
            let documents = self.of("crm", "commission", key);
            let [document] = documents.as_slice() else {
                return Err(format!("{} commissions of {key} in the CRM", documents.len()));
            };
            let body: Value = serde_json::from_str(&document.body).map_err(|error| error.to_string())?;
            released +=
                amount(&body, "base").ok_or_else(|| format!("a commission without a base: {body}"))?;
        }
        // Where an early state can be written over a later one, the amounts are not to be relied upon.
        if !self.sim.is_severe() && released != account.earned() {
            return Err(format!("the CRM has commission on {released}, earned is {}", account.earned()));
        }
        Ok(())
    }

    /// The opportunity shows the account as it is.
    fn stage(&self, contract: &Contract, account: &Account) -> Result<(), String> {
        let shown = self.of("crm", "stage_back", &contract.number);
        if account.stage() == tongbao_recon::Stage::Open {
            return if shown.is_empty() { Ok(()) } else { Err("a stage was told without cause".to_owned()) };
        }
        let [shown] = shown.as_slice() else {
            return Err(format!("{} states of the opportunity", shown.len()));
        };
        if self.sim.is_severe() {
            return Ok(());
        }
        let body: Value = serde_json::from_str(&shown.body).map_err(|error| error.to_string())?;
        let (open, received) = (amount(&body, "open"), amount(&body, "received"));
        if (open, received) != (Some(account.open), Some(account.received)) {
            return Err(format!("the opportunity shows {body}, the account is {account:?}"));
        }
        Ok(())
    }
}

fn amount(record: &Value, name: &str) -> Option<Decimal> {
    let value = record.get(name)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    decimal::parse(&text).ok()
}
