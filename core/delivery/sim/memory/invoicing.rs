//! Papers for the control of invoices.

use super::Tables;
use crate::invoicing::{InvoicePaper, PaperFilter};
use crate::port::{Accepted, Intake, StoreError, Stored};
use std::collections::BTreeMap;

/// Papers in one answer when the caller names no number, and at most: as in the databases.
const USUAL: u64 = 1_000;
const MOST: u64 = 10_000;

/// Contract, kind and number.
type Key = (String, String, String);

/// All papers.
#[derive(Debug, Default)]
pub struct Papers(BTreeMap<Key, InvoicePaper>);

fn key(paper: &InvoicePaper) -> Key {
    (paper.contract.clone(), paper.kind.clone(), paper.number.clone())
}

impl Papers {
    pub(super) fn keep(&mut self, paper: &InvoicePaper) {
        let known = self.0.get(&key(paper));
        if known.is_none_or(|known| known.revision < paper.revision) {
            self.0.insert(key(paper), paper.clone());
        }
    }

    pub(super) fn of_contract(&self, contract: &str) -> Vec<InvoicePaper> {
        self.0.values().filter(|one| one.contract == contract).cloned().collect()
    }

    pub(super) fn list(&self, filter: &PaperFilter) -> Vec<InvoicePaper> {
        let limit = if filter.limit == 0 { USUAL } else { filter.limit.min(MOST) };
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let found = self.0.iter().filter(|(key, _)| filter.after.as_ref().is_none_or(|after| *key > after));
        found
            .map(|(_, one)| one)
            .filter(|one| is(&filter.kind, &one.kind) && is(&filter.state, &one.state))
            .filter(|one| is(&filter.number, &one.number))
            .filter(|one| filter.customer.is_none() || filter.customer == one.customer)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    fn stands_before(&self, paper: &InvoicePaper) -> bool {
        let revision = self.0.get(&key(paper)).map_or(0, |known| known.revision);
        revision.checked_add(1) == Some(paper.revision)
    }
}

impl Tables {
    pub(super) fn revise_invoice_papers(
        &mut self,
        papers: &[InvoicePaper],
        intakes: &[Intake],
        now_ms: i64,
    ) -> Stored<bool> {
        if !papers.iter().all(|paper| self.papers.stands_before(paper)) {
            return Ok(false);
        }
        for intake in intakes {
            if self.accept(intake, now_ms) != Accepted::New {
                let why = format!("the event {} {} is there already", intake.event.kind, intake.event.key);
                return Err(StoreError::Invalid(why));
            }
        }
        for paper in papers {
            self.papers.keep(paper);
        }
        Ok(true)
    }
}
