//! Payments whose truth is known: every kind of text, payer and amount that a matcher meets, and the near misses that look
//! like a match and are none. Made from a seed, so that a result can be had again.

use super::{Item, Payers, Payment, Verdict};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Invoices of one customer, at most, at the beginning.
const ITEMS: u64 = 6;
/// Payments that one customer makes, about.
const PAYMENTS: u64 = 2;

/// What a payment is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The text names the invoice.
    Named,
    /// The text names several invoices, as a list or a range.
    List,
    /// The text names the contract of one invoice.
    Contract,
    /// From a known account, and nothing else is said.
    Account,
    /// Under the customer's name, as banks write it.
    Name,
    /// Under a name that was confirmed before.
    Alias,
    /// Under the customer's name, for several invoices.
    Sum,
    /// A part of the named invoice.
    Short,
    /// More than the named invoice.
    Over,
    /// Less what a bank has kept.
    Fee,
    /// An invoice less a red one; both are named.
    Netted,
    /// Another company pays what it names.
    ThirdParty,
    /// Near miss: two invoices of one amount, and nothing says which.
    Alike,
    /// Near miss: a branch of the customer pays an amount of the customer's, for itself.
    Branch,
    /// Near miss: the text names an invoice that we do not have, of a known amount.
    UnknownNumber,
    /// Near miss: the same payment twice.
    Twice,
    /// Near miss: a stranger pays somebody's amount.
    Stranger,
    /// Near miss: the text names a paid invoice, another one has that amount.
    Paid,
    /// Near miss: an advance of the customer, for nothing that is open.
    Advance,
}

/// Each class in the order in which they are planted.
const CLASSES: [Class; 19] = [
    Class::Named,
    Class::List,
    Class::Contract,
    Class::Account,
    Class::Name,
    Class::Alias,
    Class::Sum,
    Class::Short,
    Class::Over,
    Class::Fee,
    Class::Netted,
    Class::ThirdParty,
    Class::Alike,
    Class::Branch,
    Class::UnknownNumber,
    Class::Twice,
    Class::Stranger,
    Class::Paid,
    Class::Advance,
];

impl Class {
    /// Whether nobody could match it from what is known, however much it looks like a match.
    pub fn is_near_miss(self) -> bool {
        self >= Class::Alike
    }

    /// For people, Chinese and English.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Class::Named => ("摘要写明发票", "the text names the invoice"),
            Class::List => ("摘要写明多张发票", "the text names several invoices"),
            Class::Contract => ("摘要写明合同", "the text names the contract"),
            Class::Account => ("已知账号", "from a known account"),
            Class::Name => ("客户户名", "under the customer's name"),
            Class::Alias => ("确认过的户名", "under a name confirmed before"),
            Class::Sum => ("一笔付多张", "one payment for several invoices"),
            Class::Short => ("部分付款", "a part"),
            Class::Over => ("多付", "too much"),
            Class::Fee => ("扣手续费", "less a bank's fee"),
            Class::Netted => ("扣红票", "less a red invoice"),
            Class::ThirdParty => ("第三方代付", "another company pays"),
            Class::Alike => ("近似：金额相同的两张", "near miss: two invoices of one amount"),
            Class::Branch => ("近似：分公司付款", "near miss: a branch pays"),
            Class::UnknownNumber => ("近似：没有的发票号", "near miss: an unknown number"),
            Class::Twice => ("近似：重复付款", "near miss: the same payment twice"),
            Class::Stranger => ("近似：陌生付款方", "near miss: a stranger pays"),
            Class::Paid => ("近似：已结清的发票", "near miss: a paid invoice is named"),
            Class::Advance => ("近似：预付款", "near miss: an advance"),
        }
    }
}

/// How the payments of a class came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Matched without a person, as the truth is.
    pub right: usize,
    /// Matched without a person, and not as the truth is.
    pub wrong: usize,
    /// Left to a person, with a proposal or a tie.
    pub shown: usize,
    /// All of the class.
    pub all: usize,
}

/// Holds verdicts against the truth.
pub fn score(planted: &Planted, verdicts: &BTreeMap<String, Verdict>) -> BTreeMap<Class, Score> {
    let mut scores: BTreeMap<Class, Score> = BTreeMap::new();
    for (id, truth) in &planted.truth {
        let score = scores.entry(truth.class).or_default();
        score.all += 1;
        match verdicts.get(id) {
            Some(Verdict::Matched(found)) => {
                let takes = found.takes.iter().map(|take| (take.item.clone(), take.amount));
                let is_right = takes.collect::<BTreeMap<String, Decimal>>() == truth.takes;
                score.right += usize::from(is_right);
                score.wrong += usize::from(!is_right);
            }
            Some(Verdict::Proposed(_) | Verdict::Tie(_)) => score.shown += 1,
            Some(Verdict::TooMany(_) | Verdict::OtherCurrency(_) | Verdict::Open(_)) | None => {}
        }
    }
    scores
}

/// What is true of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// What it is an example of.
    pub class: Class,
    /// What it pays, by item; empty when that is nothing, or when nobody can tell from what is known.
    pub takes: BTreeMap<String, Decimal>,
}

/// A planted world.
#[derive(Debug, Clone, Default)]
pub struct Planted {
    /// What is open, and some that is paid.
    pub items: Vec<Item>,
    /// What came in.
    pub payments: Vec<Payment>,
    /// What is known of payers.
    pub payers: Payers,
    /// By payment.
    pub truth: BTreeMap<String, Truth>,
}

struct Planter {
    dice: fastrand::Rng,
    made: Planted,
    invoices: u64,
}

/// A customer while its payments are planted.
struct Customer {
    code: String,
    name: String,
    account: String,
    /// Places of invoices that no payment is for yet.
    free: Vec<usize>,
}

/// Plants at least so many payments.
pub fn plant(seed: u64, payments: usize) -> Planted {
    let mut planter = Planter { dice: fastrand::Rng::with_seed(seed), made: Planted::default(), invoices: 0 };
    let mut customer = 0;
    let mut classes = CLASSES.iter().copied().cycle();
    while planter.made.payments.len() < payments {
        customer += 1;
        let mut customer = planter.customer(customer);
        for class in classes.by_ref().take(usize::try_from(PAYMENTS).unwrap_or(1)) {
            planter.payment(class, &mut customer);
        }
    }
    // In no order at all.
    let Planter { mut dice, mut made, .. } = planter;
    dice.shuffle(&mut made.items);
    dice.shuffle(&mut made.payments);
    made
}

impl Planter {
    fn customer(&mut self, number: u64) -> Customer {
        let code = format!("C{number:06}");
        let name = format!("样例{number}号贸易有限公司");
        let account = format!("33010{number:014}");
        self.made.payers.add_name(&name, &code);
        self.made.payers.add_account(&account, &code);
        self.made.payers.add_alias(&format!("张三{number}"), &code);
        let mut customer = Customer { code, name, account, free: Vec::new() };
        for _ in 0..self.dice.u64(1..=ITEMS) {
            let amount = self.amount();
            let place = self.item(&customer.code, amount);
            customer.free.push(place);
        }
        customer
    }

    /// Between 100 and a million, to the cent; some are round.
    fn amount(&mut self) -> Decimal {
        let cents = self.dice.i64(10_000..100_000_000);
        Decimal::new(if self.dice.u8(0..5) == 0 { cents / 100_000 * 100_000 + 100_000 } else { cents }, 2)
    }

    fn item(&mut self, customer: &str, open: Decimal) -> usize {
        self.invoices += 1;
        let invoice = format!("FP{:07}", self.invoices);
        let contract = format!("HT-2026-{:07}", self.invoices);
        self.made.items.push(Item {
            id: invoice.clone(),
            customer: customer.to_owned(),
            references: vec![invoice, contract],
            currency: "CNY".into(),
            open,
        });
        self.made.items.len() - 1
    }

    /// An invoice that no payment is for yet.
    fn fresh(&mut self, customer: &mut Customer) -> (String, Decimal) {
        let place = match customer.free.pop() {
            Some(place) => place,
            None => {
                let amount = self.amount();
                self.item(&customer.code, amount)
            }
        };
        self.made.items.get(place).map(|item| (item.id.clone(), item.open)).unwrap_or_default()
    }

    /// A payment of a class, with what goes with it.
    fn payment(&mut self, class: Class, customer: &mut Customer) {
        let (invoice, open) = self.fresh(customer);
        let contract = invoice.replace("FP", "HT-2026-");
        let digits = invoice.get(2..).unwrap_or_default().to_owned();
        let spelled = [
            format!("货款{invoice}"),
            format!("付{}款", invoice.to_lowercase()),
            format!("ＦＰ{digits}"),
            format!("20261103{invoice} 谢谢"),
            format!("发票:{invoice},{open}元"),
        ];
        let named = self.dice.choice(&spelled).cloned().unwrap_or_default();
        let own = customer.name.clone();
        let spelled = [
            own.clone(),
            own.replace("有限公司", "有限责任公司"),
            own.replace("贸易", " 贸易　"),
            format!("“{own}”"),
        ];
        let name = self.dice.choice(&spelled).cloned().unwrap_or_default();
        let whole = |open| vec![(invoice.clone(), open)];
        let (text, name, account, amount, takes) = match class {
            Class::Named => (named, Some(name), None, open, whole(open)),
            Class::Contract => (format!("合同{contract}款"), Some(name), None, open, whole(open)),
            Class::List => {
                let more: Vec<(String, Decimal)> =
                    (0..self.dice.usize(1..4)).map(|_| self.fresh(customer)).collect();
                let sign = self.dice.choice(['/', '、', ' ', ';', '+']).unwrap_or('/');
                let mut text = format!("货款{invoice}");
                for (other, _) in &more {
                    // Written out, or its digits alone.
                    let short = sign == '/' && self.dice.bool();
                    text.push(sign);
                    text.push_str(other.get(if short { 2 } else { 0 }..).unwrap_or_default());
                }
                let sum = more.iter().map(|(_, amount)| *amount).sum::<Decimal>() + open;
                (text, Some(name), None, sum, whole(open).into_iter().chain(more).collect())
            }
            Class::Account => ("货款".into(), None, Some(customer.account.clone()), open, whole(open)),
            Class::Name => ("货款".into(), Some(name), None, open, whole(open)),
            Class::Alias => {
                let alias = format!("张三{}", customer.code.trim_start_matches(['C', '0']));
                (String::new(), Some(alias), None, open, whole(open))
            }
            Class::Sum => {
                let (other, more) = self.fresh(customer);
                ("往来款".into(), Some(name), None, open + more, vec![(invoice.clone(), open), (other, more)])
            }
            Class::Short => {
                let part = (open / Decimal::from(3)).round_dp(2);
                (named, Some(name), None, part, whole(part))
            }
            Class::Over => (named, Some(name), None, open + Decimal::new(12_345, 2), whole(open)),
            Class::Fee => (named, Some(name), None, open - Decimal::new(1_500, 2), whole(open)),
            Class::Netted => {
                let red = -(open / Decimal::from(4)).round_dp(2);
                let place = self.item(&customer.code, red);
                let id = self.made.items.get(place).map(|item| item.id.clone()).unwrap_or_default();
                let text = format!("{invoice}扣{id}");
                (text, Some(name), None, open + red, vec![(invoice.clone(), open), (id, red)])
            }
            Class::ThirdParty => {
                let other = format!("代付{own}");
                (named, Some(other), None, open, whole(open))
            }
            Class::Alike => {
                self.item(&customer.code, open);
                ("货款".into(), Some(name), None, open, Vec::new())
            }
            Class::Branch => ("货款".into(), Some(format!("{own}宁波分公司")), None, open, Vec::new()),
            Class::UnknownNumber => ("货款FP9999999".into(), Some(name), None, open, Vec::new()),
            Class::Twice => {
                self.add(named.clone(), Some(name.clone()), None, open, Class::Twice, Vec::new());
                (named, Some(name), None, open, Vec::new())
            }
            Class::Stranger => ("货款".into(), Some("路人甲商行".into()), None, open, Vec::new()),
            Class::Paid => {
                let place = self.item(&customer.code, Decimal::ZERO);
                let id = self.made.items.get(place).map(|item| item.id.clone()).unwrap_or_default();
                (format!("货款{id}"), Some(name), None, open, Vec::new())
            }
            Class::Advance => {
                // To the cent, or it may well be somebody's round amount after all.
                let amount = self.amount().trunc() + Decimal::new(37, 2);
                ("预付款".into(), Some(name), None, amount, Vec::new())
            }
        };
        self.add(text, name, account, amount, class, takes);
    }

    fn add(
        &mut self,
        text: String,
        payer_name: Option<String>,
        payer_account: Option<String>,
        amount: Decimal,
        class: Class,
        takes: Vec<(String, Decimal)>,
    ) {
        let id = format!("P{:07}", self.made.payments.len());
        self.made.truth.insert(id.clone(), Truth { class, takes: takes.into_iter().collect() });
        let currency = "CNY".to_owned();
        self.made.payments.push(Payment { id, currency, amount, text, payer_name, payer_account });
    }
}
