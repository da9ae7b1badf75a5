//! Who pays: accounts, names, and the names that finance has confirmed for a customer.

use super::names::{bare, normal};
use super::policy::By;
use std::collections::{BTreeSet, HashMap};

/// What is known of payers.
#[derive(Debug, Clone, Default)]
pub struct Payers {
    accounts: HashMap<String, BTreeSet<String>>,
    names: HashMap<String, BTreeSet<String>>,
    aliases: HashMap<String, BTreeSet<String>>,
}

impl Payers {
    /// An account from which a customer pays.
    pub fn add_account(&mut self, account: &str, customer: &str) {
        add(&mut self.accounts, bare(account), customer);
    }

    /// A customer's own name.
    pub fn add_name(&mut self, name: &str, customer: &str) {
        add(&mut self.names, normal(name), customer);
    }

    /// A name under which a customer pays, learned from what a person has confirmed.
    pub fn add_alias(&mut self, name: &str, customer: &str) {
        add(&mut self.aliases, normal(name), customer);
    }

    /// Customers that a payer may be. Several have one name, or pay from one account, where it is nobody's proof.
    pub(super) fn customers(
        &self,
        by: By,
        account: Option<&str>,
        name: Option<&str>,
    ) -> Option<&BTreeSet<String>> {
        match by {
            By::Account => self.accounts.get(&bare(account?)),
            By::Alias => self.aliases.get(&normal(name?)),
            By::Name => self.names.get(&normal(name?)),
            By::Reference | By::Amount => None,
        }
    }
}

fn add(map: &mut HashMap<String, BTreeSet<String>>, key: String, customer: &str) {
    if !key.is_empty() {
        map.entry(key).or_default().insert(customer.to_owned());
    }
}
