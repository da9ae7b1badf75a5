//! All payments against all rules, rule by rule.

use super::clues::Clues;
use super::fits::{Answer, Way, fit};
use super::outcome::{Match, Reason, Take, Verdict};
use super::references::Numbers;
use super::{Fit, Item, MatchError, Payers, Payment, Policy, Rule};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Decimals of the smallest unit that amounts are counted in.
const SCALE: u32 = 4;

/// Matches payments to items. Both in any order, with the same result, by payment.
///
/// The items may include paid ones, whose numbers are known then: a payment that names one of them is not about another.
pub fn matched(
    items: &[Item],
    payments: &[Payment],
    payers: &Payers,
    policy: &Policy,
) -> Result<BTreeMap<String, Verdict>, MatchError> {
    let mut books = Books::of(items)?;
    let mut verdicts = BTreeMap::new();
    let mut undecided = Vec::new();
    for payment in sorted(payments, |payment| &payment.id)? {
        let amount = units(payment.amount).ok_or_else(|| MatchError::Range(payment.id.clone()))?;
        if amount <= 0 {
            return Err(MatchError::NotIn(payment.id.clone()));
        }
        let clues = Clues::of(payment, amount, &books, payers);
        let foreign = clues.foreign(&books);
        if foreign.is_empty() {
            undecided.push(clues);
        } else {
            verdicts.insert(payment.id.clone(), Verdict::OtherCurrency(foreign));
        }
    }
    let mut claimed = HashSet::new();
    for rule in &policy.rules {
        let round = Round { rule, policy };
        let (decided, left) = round.run(&mut books, &mut claimed, undecided);
        verdicts.extend(decided);
        undecided = left;
    }
    let open = undecided.iter().map(|clues| (clues.payment.id.clone(), Verdict::Open(clues.against(&books))));
    verdicts.extend(open);
    Ok(verdicts)
}

/// In the order of their ids, each there once: the order that they came in decides nothing.
fn sorted<T>(all: &[T], id: impl Fn(&T) -> &String) -> Result<Vec<&T>, MatchError> {
    let mut sorted: Vec<&T> = all.iter().collect();
    sorted.sort_by(|one, other| id(one).cmp(id(other)));
    match sorted.windows(2).find_map(|pair| match pair {
        [one, other] if id(one) == id(other) => Some(id(one).clone()),
        _ => None,
    }) {
        Some(twice) => Err(MatchError::Twice(twice)),
        None => Ok(sorted),
    }
}

/// An amount in the smallest unit, if it is exact there.
fn units(amount: Decimal) -> Option<i64> {
    let amount = amount.normalize();
    let factor = 10_i128.checked_pow(SCALE.checked_sub(amount.scale())?)?;
    i64::try_from(amount.mantissa().checked_mul(factor)?).ok()
}

/// An amount for people: with two decimals, or as many as it has.
fn decimal(units: i64) -> Decimal {
    let mut amount = Decimal::new(units, SCALE).normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    amount
}

/// The items with what is open of them now.
pub(super) struct Books<'m> {
    /// By id.
    pub(super) items: Vec<&'m Item>,
    pub(super) numbers: Numbers<usize>,
    open: Vec<i64>,
    by_customer: HashMap<(&'m str, &'m str), Vec<usize>>,
    by_amount: HashMap<(&'m str, i64), Vec<usize>>,
}

impl<'m> Books<'m> {
    fn of(items: &'m [Item]) -> Result<Books<'m>, MatchError> {
        let items = sorted(items, |item| &item.id)?;
        let mut books = Books {
            items: Vec::new(),
            numbers: Numbers::default(),
            open: Vec::with_capacity(items.len()),
            by_customer: HashMap::new(),
            by_amount: HashMap::new(),
        };
        for (place, item) in items.iter().enumerate() {
            let open = units(item.open).ok_or_else(|| MatchError::Range(item.id.clone()))?;
            books.open.push(open);
            books.by_customer.entry((&item.customer, &item.currency)).or_default().push(place);
            books.by_amount.entry((&item.currency, open)).or_default().push(place);
            for number in &item.references {
                books.numbers.add(number, place);
            }
        }
        books.items = items;
        Ok(books)
    }

    fn open_at(&self, place: usize) -> i64 {
        self.open.get(place).copied().unwrap_or_default()
    }

    pub(super) fn is_open(&self, place: usize) -> bool {
        self.open_at(place) != 0
    }

    pub(super) fn open_of_customer(&self, customer: &str, currency: &str) -> Vec<usize> {
        let places = self.by_customer.get(&(customer, currency)).into_iter().flatten().copied();
        places.filter(|place| self.is_open(*place)).collect()
    }

    /// Those whose whole amount it was at the beginning and is now.
    pub(super) fn open_of_amount(&self, currency: &str, amount: i64) -> Vec<usize> {
        let places = self.by_amount.get(&(currency, amount)).into_iter().flatten().copied();
        places.filter(|place| self.open_at(*place) == amount).collect()
    }

    /// Of the item with this id.
    pub(super) fn customer(&self, id: &str) -> Option<&'m str> {
        let place = self.items.binary_search_by(|item| item.id.as_str().cmp(id)).ok()?;
        self.items.get(place).map(|item| item.customer.as_str())
    }

    fn take(&mut self, way: &Way) {
        for (place, amount) in &way.takes {
            if let Some(open) = self.open.get_mut(*place) {
                *open -= amount;
            }
        }
    }
}

/// One rule for all payments that none before it had an answer for.
struct Round<'m> {
    rule: &'m Rule,
    policy: &'m Policy,
}

impl Round<'_> {
    /// Asks until nothing more is confirmed, for what was one of two ways may be the only one left. Whatever is confirmed in
    /// one pass was so before any of it was taken.
    fn run<'m>(
        &self,
        books: &mut Books<'_>,
        claimed: &mut HashSet<usize>,
        payments: Vec<Clues<'m>>,
    ) -> (Vec<(String, Verdict)>, Vec<Clues<'m>>) {
        let (mut asked, mut left, mut decided) = (Vec::new(), Vec::new(), Vec::new());
        for clues in payments {
            match self.ask(&clues, books) {
                Answer::Nothing => left.push(clues),
                answer => asked.push((clues, answer)),
            }
        }
        loop {
            let contested = contested(&asked, books, claimed);
            let (mut taken, mut rest) = (Vec::new(), Vec::new());
            for (clues, answer) in asked {
                let sure = match &answer {
                    Answer::One(way) => self.sure(&clues, way, books, &contested),
                    Answer::Nothing | Answer::Several(_) | Answer::TooMany => None,
                };
                match (sure, answer) {
                    (Some(found), Answer::One(way)) => {
                        decided.push((clues.payment.id.clone(), Verdict::Matched(found)));
                        taken.push(way);
                    }
                    (_, answer) => rest.push((clues, answer)),
                }
            }
            taken.iter().for_each(|way| books.take(way));
            if taken.is_empty() {
                decided.extend(self.leave(rest, books, claimed, &contested, &mut left));
                return (decided, left);
            }
            asked = rest
                .into_iter()
                .map(|(clues, _)| {
                    let answer = self.ask(&clues, books);
                    (clues, answer)
                })
                .collect();
        }
    }

    fn ask(&self, clues: &Clues<'_>, books: &Books<'_>) -> Answer {
        let places = clues.candidates(self.rule.by, books);
        let items: Vec<(usize, i64)> =
            places.into_iter().map(|place| (place, books.open_at(place))).collect();
        let limit = self.policy.fee(&clues.payment.currency).and_then(|(_, limit)| units(limit)).unwrap_or(0);
        fit(self.rule.fit, clues.amount, &items, limit, self.policy.bounds)
    }

    /// The match, if it needs no person.
    fn sure(
        &self,
        clues: &Clues<'_>,
        way: &Way,
        books: &Books<'_>,
        contested: &HashSet<usize>,
    ) -> Option<Match> {
        let is_contested = way.takes.iter().any(|(place, _)| contested.contains(place));
        if !self.rule.confirm || is_contested {
            return None;
        }
        let found = self.told(clues, way, books);
        (!found.reasons.iter().any(Reason::is_against)).then_some(found)
    }

    /// Verdicts on what was not confirmed; it lays claim to its items.
    fn leave<'m>(
        &self,
        rest: Vec<(Clues<'m>, Answer)>,
        books: &Books<'_>,
        claimed: &mut HashSet<usize>,
        contested: &HashSet<usize>,
        left: &mut Vec<Clues<'m>>,
    ) -> Vec<(String, Verdict)> {
        let mut verdicts = Vec::new();
        for (clues, answer) in rest {
            let ways = match answer {
                Answer::Nothing => {
                    left.push(clues);
                    continue;
                }
                Answer::TooMany => {
                    verdicts.push((clues.payment.id.clone(), Verdict::TooMany(self.rule.name.clone())));
                    continue;
                }
                Answer::One(way) => vec![way],
                Answer::Several(ways) => ways,
            };
            let is_contested = |way: &Way| way.takes.iter().any(|(place, _)| contested.contains(place));
            let is_tie = ways.len() > 1 || ways.iter().any(is_contested);
            let mut found: Vec<Match> = ways.iter().map(|way| self.told(&clues, way, books)).collect();
            claimed.extend(ways.iter().flat_map(|way| way.takes.iter().map(|(place, _)| *place)));
            let verdict = match found.pop() {
                Some(only) if !is_tie => Verdict::Proposed(only),
                last => {
                    found.extend(last);
                    found.sort();
                    Verdict::Tie(found)
                }
            };
            verdicts.push((clues.payment.id.clone(), verdict));
        }
        verdicts
    }

    /// A way in words.
    fn told(&self, clues: &Clues<'_>, way: &Way, books: &Books<'_>) -> Match {
        let take = |(place, amount): &(usize, i64)| {
            books.items.get(*place).map(|item| Take { item: item.id.clone(), amount: decimal(*amount) })
        };
        let mut reasons = clues.reasons(self.rule.by);
        reasons.push(match (self.rule.fit, way.takes.len()) {
            (Fit::Short, _) => Reason::Part,
            (Fit::Over, _) => Reason::Advance(decimal(way.advance)),
            (Fit::Fee, _) => {
                let name = self.policy.fee(&clues.payment.currency).map_or("", |(name, _)| name);
                Reason::Fee { name: name.to_owned(), amount: decimal(way.fee) }
            }
            (Fit::All | Fit::One | Fit::Subset, 1) => Reason::Amount,
            (Fit::All | Fit::One | Fit::Subset, _) => Reason::Sum,
        });
        reasons.extend(way.by_chance.then_some(Reason::Chance));
        reasons.extend(clues.against(books));
        let mut found = Match {
            rule: self.rule.name.clone(),
            takes: way.takes.iter().filter_map(take).collect(),
            fee: decimal(way.fee),
            advance: decimal(way.advance),
            reasons,
        };
        found.reasons.extend(clues.against_match(&found, books));
        found
    }
}

/// Items that more is wanted of than is open, and those that a payment has laid claim to under a rule before.
fn contested(asked: &[(Clues<'_>, Answer)], books: &Books<'_>, claimed: &HashSet<usize>) -> HashSet<usize> {
    let mut wanted: HashMap<usize, (u32, i128)> = HashMap::new();
    for (_, answer) in asked {
        let Answer::One(way) = answer else { continue };
        for (place, amount) in &way.takes {
            let (count, sum) = wanted.entry(*place).or_default();
            *count += 1;
            *sum += i128::from(*amount);
        }
    }
    let too_much = wanted.into_iter().filter(|(place, (count, sum))| {
        *count > 1 && sum.unsigned_abs() > u128::from(books.open_at(*place).unsigned_abs())
    });
    too_much.map(|(place, _)| place).chain(claimed.iter().copied()).collect()
}
