//! The section `matching`: by what payments are allocated, and how often that is looked at.

use super::read::Reader;
use super::{Config, LEDGER, PAYMENTS};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tongbao_connect::settings::refuse_unknown;
use tongbao_delivery::payments::PaymentBook;
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::event::kinds;
use tongbao_model::yaml::Node;
use tongbao_model::{Exact, decimal};
use tongbao_recon::matching::{Fee, Policy, Rule};

const MATCHING: &[&str] = &["book", "every_ms", "pair_days", "fees", "rules"];
const FEE: &[&str] = &["name", "currency", "limit"];
const RULE: &[&str] = &["name", "by", "fit", "confirm"];
/// Shortest pause between two looks, in milliseconds.
const EVERY_MS_MIN: u64 = 100;
/// Days that one receipt may be apart in two books, at most.
const PAIR_DAYS_MAX: u32 = 31;

/// How payments are allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matching {
    /// Whose payments are allocated; those of the other book are paired with them and never counted.
    pub book: PaymentBook,
    /// Pause between two looks, in milliseconds; 0 looks only when asked.
    pub every_ms: u64,
    /// Days that one receipt may be apart in the two books.
    pub pair_days: u32,
    /// Rules and fees.
    pub policy: Policy,
}

impl Default for Matching {
    fn default() -> Self {
        Matching { book: PaymentBook::Erp, every_ms: 5_000, pair_days: 5, policy: Policy::default() }
    }
}

/// The event kind whose payments a book holds.
pub fn kind_of(book: PaymentBook) -> &'static str {
    match book {
        PaymentBook::Erp => kinds::PAYMENT_RECEIVED,
        PaymentBook::Bank => kinds::BANK_BOOKED,
    }
}

/// Whether any flow goes to the payments.
pub fn is_used(config: &Config) -> bool {
    config.flows.iter().any(|flow| flow.to == PAYMENTS)
}

/// What makes payments be counted twice, or never.
pub fn check(config: &Config, findings: &mut Findings) {
    let mut wrong = |place: Place, zh: String, en: String| findings.error("flow-event", place, zh, en);
    let ours = || config.flows.iter().filter(|flow| flow.to == PAYMENTS);
    for flow in
        ours().filter(|flow| ![kinds::PAYMENT_RECEIVED, kinds::BANK_BOOKED].contains(&flow.on.as_str()))
    {
        wrong(
            flow.place,
            format!("payments 只处理 {} 与 {}", kinds::PAYMENT_RECEIVED, kinds::BANK_BOOKED),
            format!("`payments` takes only `{}` and `{}`", kinds::PAYMENT_RECEIVED, kinds::BANK_BOOKED),
        );
    }
    let Some(first) = ours().next() else { return };
    let twice = |flow: &&super::Flow| flow.to == LEDGER && flow.on == kinds::PAYMENT_RECEIVED;
    if let Some(flow) = config.flows.iter().find(twice) {
        wrong(
            flow.place,
            format!(
                "收款会入账两次：{} 既到 ledger 又经 payments 核销；请去掉此流程",
                kinds::PAYMENT_RECEIVED
            ),
            format!(
                "payments would be booked twice: `{}` goes to `ledger`, and `payments` allocates it; take this flow out",
                kinds::PAYMENT_RECEIVED
            ),
        );
    }
    if !config.flows.iter().any(|flow| flow.to == LEDGER && flow.on == kinds::PAYMENT_ALLOCATED) {
        wrong(
            first.place,
            format!("核销结果不会入账：请加流程 {{ on: {}, to: ledger }}", kinds::PAYMENT_ALLOCATED),
            format!(
                "what is allocated would never be booked: add a flow {{ on: {}, to: ledger }}",
                kinds::PAYMENT_ALLOCATED
            ),
        );
    }
    let lead = kind_of(config.matching.book);
    if !ours().any(|flow| flow.on == lead) {
        wrong(
            first.place,
            format!("matching.book 为 {}，但没有 {lead} 到 payments 的流程", config.matching.book.name()),
            format!(
                "`matching.book` is `{}`, and no flow brings `{lead}` to `payments`",
                config.matching.book.name()
            ),
        );
    }
}

impl Reader<'_> {
    /// Reads the section.
    pub(super) fn matching(&mut self, node: &Node) -> Matching {
        refuse_unknown(node, MATCHING, self.findings);
        let usual = Matching::default();
        let book = match node.get("book") {
            None => usual.book,
            Some(inner) => {
                let found = inner.text().and_then(PaymentBook::from_name);
                if found.is_none() {
                    self.wrong(inner.place, "book 应为 erp 或 bank", "`book` is `erp` or `bank`");
                }
                found.unwrap_or(usual.book)
            }
        };
        let every_ms = self.number(node, "every_ms", usual.every_ms);
        let pair_days = self.number(node, "pair_days", usual.pair_days);
        if every_ms != 0 && every_ms < EVERY_MS_MIN {
            self.wrong(
                node.place,
                &format!("every_ms 至少为 {EVERY_MS_MIN}，或为 0（只在要求时核销）"),
                &format!("`every_ms` is {EVERY_MS_MIN} at least, or 0 to look only when asked"),
            );
        }
        if pair_days > PAIR_DAYS_MAX {
            self.wrong(
                node.place,
                &format!("pair_days 不超过 {PAIR_DAYS_MAX}"),
                &format!("`pair_days` is {PAIR_DAYS_MAX} at most"),
            );
        }
        let items = |name: &str| node.get(name).map(Node::items).unwrap_or_default();
        let fees: Vec<Fee> = items("fees").iter().filter_map(|node| self.fee(node)).collect();
        for (place, fee) in fees.iter().enumerate() {
            if fees.iter().take(place).any(|earlier| earlier.currency == fee.currency) {
                self.wrong(
                    node.place,
                    &format!("币别 {} 有两个手续费限额", fee.currency),
                    &format!("there are two limits of fees in {}", fee.currency),
                );
            }
        }
        let rules: Vec<Rule> = items("rules").iter().filter_map(|node| self.rule(node)).collect();
        let rules = if node.get("rules").is_some() { rules } else { usual.policy.rules };
        Matching { book, every_ms, pair_days, policy: Policy { rules, fees, ..usual.policy } }
    }

    fn fee(&mut self, node: &Node) -> Option<Fee> {
        refuse_unknown(node, FEE, self.findings);
        let name = self.required(node, "name", node.place);
        let currency = self.required(node, "currency", node.place);
        let limit = self.required(node, "limit", node.place)?;
        let limit = decimal::parse(&limit).ok().filter(|limit| limit.is_sign_positive() && !limit.is_zero());
        if limit.is_none() {
            self.wrong(node.place, "limit 应为大于零的金额", "`limit` is an amount above zero");
        }
        Some(Fee { name: name?, currency: currency?, limit: Exact(limit?) })
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        refuse_unknown(node, RULE, self.findings);
        let name = self.required(node, "name", node.place);
        let by = self.word(node, "by", "reference|account|alias|name|amount");
        let fit = self.word(node, "fit", "all|one|subset|fee|short|over");
        let confirm = self.required(node, "confirm", node.place).and_then(|text| text.parse::<bool>().ok());
        if confirm.is_none() {
            self.wrong(node.place, "confirm 应为 true 或 false", "`confirm` is true or false");
        }
        Some(Rule { name: name?, by: by?, fit: fit?, confirm: confirm? })
    }

    /// One of the words that a type knows.
    fn word<T: DeserializeOwned>(&mut self, node: &Node, name: &str, words: &str) -> Option<T> {
        let text = self.required(node, name, node.place)?;
        let found = serde_json::from_value(Value::String(text)).ok();
        if found.is_none() {
            self.wrong(
                node.place,
                &format!("{name} 应为 {words} 之一"),
                &format!("`{name}` is one of {words}"),
            );
        }
        found
    }
}
