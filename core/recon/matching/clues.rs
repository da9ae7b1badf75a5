//! What is known of a payment before any rule is asked.

use super::outcome::Reason;
use super::payers::Payers;
use super::policy::By;
use super::round::Books;
use super::{Match, Payment};
use std::collections::BTreeSet;

/// A payment with what it says of itself.
pub(super) struct Clues<'m> {
    pub(super) payment: &'m Payment,
    /// In the smallest unit.
    pub(super) amount: i64,
    /// Known numbers in its text, with the places of their items.
    named: Vec<(String, Vec<usize>)>,
    unknown: BTreeSet<String>,
    account: Option<&'m BTreeSet<String>>,
    alias: Option<&'m BTreeSet<String>>,
    name: Option<&'m BTreeSet<String>>,
}

impl<'m> Clues<'m> {
    pub(super) fn of(payment: &'m Payment, amount: i64, books: &Books<'_>, payers: &'m Payers) -> Clues<'m> {
        let named = books.numbers.named(&payment.text);
        let payer =
            |by| payers.customers(by, payment.payer_account.as_deref(), payment.payer_name.as_deref());
        Clues {
            payment,
            amount,
            named: named.known,
            unknown: named.unknown,
            account: payer(By::Account),
            alias: payer(By::Alias),
            name: payer(By::Name),
        }
    }

    /// Numbers in the text whose items are in another currency.
    pub(super) fn foreign(&self, books: &Books<'_>) -> Vec<String> {
        let is_foreign = |places: &[usize]| {
            let mut items = places.iter().filter_map(|place| books.items.get(*place));
            items.any(|item| item.currency != self.payment.currency)
        };
        self.named.iter().filter(|(_, places)| is_foreign(places)).map(|(number, _)| number.clone()).collect()
    }

    /// The items that a rule may use, by their places, ascending.
    pub(super) fn candidates(&self, by: By, books: &Books<'_>) -> Vec<usize> {
        let currency = &self.payment.currency;
        match by {
            By::Reference => self.items_named(books),
            // Whoever names items means those.
            _ if !self.named.is_empty() => Vec::new(),
            By::Account | By::Alias | By::Name => {
                let customers = self.payer(by).into_iter().flatten();
                let mut customers = customers.map(String::as_str);
                match (customers.next(), customers.next()) {
                    (Some(only), None) => books.open_of_customer(only, currency),
                    _ => Vec::new(),
                }
            }
            By::Amount if self.known_payer().is_some() => Vec::new(),
            By::Amount => books.open_of_amount(currency, self.amount),
        }
    }

    /// Those that all the numbers have in common, such as an invoice and its contract; otherwise all of them together.
    fn items_named(&self, books: &Books<'_>) -> Vec<usize> {
        let mut sets = self.named.iter().map(|(_, places)| {
            places.iter().copied().filter(|place| books.is_open(*place)).collect::<BTreeSet<usize>>()
        });
        let Some(first) = sets.next() else { return Vec::new() };
        let (mut common, mut all) = (first.clone(), first);
        for set in sets {
            common.retain(|place| set.contains(place));
            all.extend(set);
        }
        if common.is_empty() { all } else { common }.into_iter().collect()
    }

    fn payer(&self, by: By) -> Option<&'m BTreeSet<String>> {
        match by {
            By::Account => self.account,
            By::Alias => self.alias,
            By::Name => self.name,
            By::Reference | By::Amount => None,
        }
    }

    /// Who pays, by the strongest that is known of it.
    fn known_payer(&self) -> Option<&'m BTreeSet<String>> {
        self.account.or(self.alias).or(self.name)
    }

    /// What speaks for a match by a rule, beyond its amount.
    pub(super) fn reasons(&self, by: By) -> Vec<Reason> {
        match by {
            By::Reference => self.named.iter().map(|(number, _)| Reason::Named(number.clone())).collect(),
            By::Account => vec![Reason::Account],
            By::Alias => vec![Reason::Alias],
            By::Name => vec![Reason::Name],
            By::Amount => Vec::new(),
        }
    }

    /// What speaks against using the payment at all.
    pub(super) fn against(&self, books: &Books<'_>) -> Vec<Reason> {
        let unknown = self.unknown.iter().cloned().map(Reason::UnknownNumber);
        let is_closed = |places: &[usize]| !places.iter().any(|place| books.is_open(*place));
        let closed = self.named.iter().filter(|(_, places)| is_closed(places));
        unknown.chain(closed.map(|(number, _)| Reason::Closed(number.clone()))).collect()
    }

    /// What speaks against this way of using it: account and name are two witnesses, and neither may be of another mind.
    pub(super) fn against_match(&self, found: &Match, books: &Books<'_>) -> BTreeSet<Reason> {
        let customers = found.takes.iter().filter_map(|take| books.customer(&take.item));
        let customers: BTreeSet<&str> = customers.collect();
        let mut against = BTreeSet::new();
        for payer in [self.account, self.alias, self.name].into_iter().flatten() {
            if customers.iter().any(|customer| !payer.contains(*customer)) {
                against.extend(payer.iter().cloned().map(Reason::OtherPayer));
            }
        }
        against
    }
}
