//! What a rule has to say now, and whether it says it now. Pure: time is a parameter.
//!
//! A rule's state is stored with each notice it makes, in one transaction, and changes in no other way. What is held back
//! (the fold window is open, too many messages, quiet hours) is therefore told by the next notice, together with what came
//! since, and what is over by then is not told at all.

use crate::config::{Matter, NoticeRule};
use crate::hearing::Hearing;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tongbao_delivery::attention::{Health, Parked};
use tongbao_model::record::{Notice, NoticeLine, Time};
use tongbao_model::{Class, Code, Owner, Text};

/// Lines of a notice.
const LINES_MAX: usize = 20;
/// What stands where other lines name a connection.
const STATEMENTS: &str = "statements";
/// Connections that a title names.
const NAMED_MAX: usize = 3;

/// What a rule has told so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Notices made.
    pub count: u64,
    /// What was parked before this is told; milliseconds since 1970.
    pub until_ms: i64,
    /// When the latest notices were made, oldest first: no more than are allowed at a time.
    pub made_ms: Vec<i64>,
    /// Connections that were told to be broken, and since when they are.
    pub broken: BTreeMap<String, i64>,
    /// Connections that were told to be unreadable, and since when they are.
    #[serde(default)]
    pub unread: BTreeMap<String, i64>,
}

/// What the store counted.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Parked since what was told, before `until_ms`.
    pub parked: Vec<Parked>,
    /// Before this, everything is counted; milliseconds since 1970.
    pub until_ms: i64,
    /// Connections that fail, and those that were told to be broken.
    pub health: Vec<Health>,
    /// Streams that are polled.
    pub reads: Vec<Read>,
    /// Statements that were disputed since what was told, before `until_ms`: number, and when.
    pub disputed: Vec<(String, i64)>,
    /// Customers' months of which the books differ too much, likewise.
    pub drifted: Vec<(String, i64)>,
}

/// How one stream of a connection is doing.
#[derive(Debug, Clone)]
pub struct Read {
    /// Connection.
    pub connection: String,
    /// How it is doing.
    pub hearing: Hearing,
}

/// A line, not yet with its examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `parked`, `drift`, `disputed`, `books`, `broken`, `recovered`, `unreadable` or `readable`.
    pub what: &'static str,
    /// Connection.
    pub connection: String,
    /// Fault code.
    pub code: Option<String>,
    /// Who can do something about it.
    pub owner: Option<Owner>,
    /// Documents.
    pub count: u64,
    /// Since when; milliseconds since 1970.
    pub since_ms: i64,
}

/// A notice that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Lines, in the order in which they are shown.
    pub lines: Vec<Line>,
    /// Lines that are left out.
    pub more: usize,
    /// Documents of all lines, those left out too.
    pub total: u64,
    /// Documents parked.
    pub parked: u64,
    /// Documents whose amounts differ.
    pub drift: u64,
    /// Statements that are disputed.
    pub disputed: u64,
    /// Customers' months of which the books differ too much.
    pub books: u64,
    /// When what it tells of began; milliseconds since 1970.
    pub from_ms: i64,
    /// What the rule has told once this is stored.
    pub told: Told,
}

/// The notice that is due now, if one is.
pub fn due(rule: &NoticeRule, told: &Told, seen: &Seen, now_ms: i64) -> Option<Due> {
    let mut lines = parked(rule, seen);
    lines.extend(noted(rule, Matter::Disputed, "disputed", &seen.disputed));
    lines.extend(noted(rule, Matter::Drift, "books", &seen.drifted));
    let (mut broken, mut unread) = (told.broken.clone(), told.unread.clone());
    if rule.on.contains(&Matter::Broken) {
        lines.extend(connections(rule, &mut broken, &seen.health, now_ms));
        lines.extend(streams(rule, &mut unread, &seen.reads, now_ms));
    }
    let from_ms = lines.iter().map(|line| line.since_ms).min()?;
    if !may(rule, told, from_ms, now_ms) {
        return None;
    }
    lines.sort_by_key(|line| (rank(line.what), Reverse(line.count), line.connection.clone()));
    let of = |what| lines.iter().filter(|line| line.what == what).map(|line| line.count).sum();
    let (parked, drift) = (of("parked"), of("drift"));
    let (disputed, books) = (of("disputed"), of("books"));
    let total = lines.iter().fold(0_u64, |sum, line| sum.saturating_add(line.count));
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    let kept = rule.at_most.map_or(1, |at_most| at_most.count);
    let mut made_ms = told.made_ms.clone();
    made_ms.push(now_ms);
    made_ms.drain(..made_ms.len().saturating_sub(kept));
    let until_ms = seen.until_ms.max(told.until_ms);
    let told = Told { count: told.count + 1, until_ms, made_ms, broken, unread };
    Some(Due { lines, more, total, parked, drift, disputed, books, from_ms, told })
}

/// Connections before documents: what is broken explains what is parked.
fn rank(what: &str) -> u8 {
    match what {
        "broken" => 0,
        "unreadable" => 1,
        "recovered" => 2,
        "readable" => 3,
        "disputed" | "books" => 4,
        "drift" => 5,
        _ => 6,
    }
}

/// Whether it may be told now: the fold window of the oldest has closed, the last notice is as long ago, there were not too
/// many of late, and people are awake.
fn may(rule: &NoticeRule, told: &Told, from_ms: i64, now_ms: i64) -> bool {
    let closed = |since_ms: i64| now_ms.saturating_sub(since_ms) >= rule.every_ms;
    let rare = rule.at_most.is_none_or(|at_most| {
        let of_late = |made_ms: &&i64| now_ms.saturating_sub(**made_ms) < at_most.within_ms;
        told.made_ms.iter().filter(of_late).count() < at_most.count
    });
    closed(from_ms)
        && told.made_ms.last().is_none_or(|last_ms| closed(*last_ms))
        && rare
        && !rule.quiet.is_some_and(|quiet| quiet.holds(now_ms))
}

fn is_wanted(rule: &NoticeRule, connection: &str, owner: Option<Owner>) -> bool {
    (rule.connections.is_empty() || rule.connections.iter().any(|wanted| wanted == connection))
        && rule.owner.is_none_or(|wanted| owner == Some(wanted))
}

fn parked(rule: &NoticeRule, seen: &Seen) -> Vec<Line> {
    let tells = |matter| rule.on.contains(&matter);
    let line = |group: &Parked| {
        let code = group.code.as_deref().and_then(Code::from_text);
        let class = group.class.as_deref().and_then(Class::from_name);
        let owner = code.map(Code::owner).or(class.map(Class::owner));
        let differs = code == Some(Code::AmountMismatch);
        let what = match (differs, tells(Matter::Drift), tells(Matter::Parked)) {
            (true, true, _) => "drift",
            (_, _, true) => "parked",
            _ => return None,
        };
        let named = rule.codes.is_empty() || code.is_some_and(|code| rule.codes.contains(&code));
        (named && is_wanted(rule, &group.target, owner)).then(|| Line {
            what,
            connection: group.target.clone(),
            code: group.code.clone(),
            owner,
            count: group.count,
            since_ms: group.first_ms,
        })
    };
    // The class tells no more than the code: groups that differ in it alone are one line.
    let mut lines: Vec<Line> = Vec::new();
    for line in seen.parked.iter().filter_map(line) {
        let same = |one: &&mut Line| one.connection == line.connection && one.code == line.code;
        match lines.iter_mut().find(same) {
            Some(one) => {
                one.count = one.count.saturating_add(line.count);
                one.since_ms = one.since_ms.min(line.since_ms);
            }
            None => lines.push(line),
        }
    }
    lines
}

/// What was noted on statements: of no connection, and for finance.
fn noted(rule: &NoticeRule, on: Matter, what: &'static str, noted: &[(String, i64)]) -> Option<Line> {
    let owner = Some(Owner::Finance);
    let is_told = rule.on.contains(&on) && rule.owner.is_none_or(|wanted| owner == Some(wanted));
    let since_ms = noted.iter().map(|(_, at_ms)| *at_ms).min().filter(|_| is_told)?;
    let count = u64::try_from(noted.len()).unwrap_or(u64::MAX);
    Some(Line { what, connection: STATEMENTS.to_owned(), code: None, owner, count, since_ms })
}

/// What has broken or recovered since it was told; `broken` becomes what will have been told.
fn connections(
    rule: &NoticeRule,
    broken: &mut BTreeMap<String, i64>,
    health: &[Health],
    now_ms: i64,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for one in health {
        let owner = Some(Owner::Operations);
        if !is_wanted(rule, &one.target, owner) {
            continue;
        }
        let line = |what, count, since_ms| Line {
            what,
            connection: one.target.clone(),
            code: None,
            owner,
            count,
            since_ms,
        };
        match broken.get(&one.target).copied() {
            // Only what was posted since proves that it works again; that nothing fails any more may have many reasons.
            Some(since_ms) => {
                if let Some(posted_ms) = one.posted_at_ms.filter(|posted_ms| *posted_ms > since_ms) {
                    broken.remove(&one.target);
                    lines.push(line("recovered", 0, posted_ms));
                }
            }
            None => {
                let since_ms = one.failing_since_ms();
                if let Some(since_ms) =
                    since_ms.filter(|since_ms| now_ms.saturating_sub(*since_ms) >= rule.for_ms)
                {
                    broken.insert(one.target.clone(), since_ms);
                    lines.push(line("broken", one.failing, since_ms));
                }
            }
        }
    }
    lines
}

/// Connections that nobody could read, or can again, since that was told; `unread` becomes what will have been told. A
/// connection with several streams is readable when all of them are.
fn streams(rule: &NoticeRule, unread: &mut BTreeMap<String, i64>, reads: &[Read], now_ms: i64) -> Vec<Line> {
    let mut all: BTreeMap<&str, Vec<Hearing>> = BTreeMap::new();
    for read in reads {
        all.entry(&read.connection).or_default().push(read.hearing);
    }
    let owner = Some(Owner::Operations);
    let mut lines = Vec::new();
    for (connection, hearings) in all {
        if !is_wanted(rule, connection, owner) {
            continue;
        }
        let line = |what, since_ms| Line {
            what,
            connection: connection.to_owned(),
            code: None,
            owner,
            count: 0,
            since_ms,
        };
        let deaf_ms = hearings.iter().filter_map(|one| one.deaf_since_ms).min();
        let heard_ms = hearings.iter().filter_map(|one| one.heard_ms).max();
        match (unread.contains_key(connection), deaf_ms) {
            (false, Some(since_ms)) if now_ms.saturating_sub(since_ms) >= rule.for_ms => {
                unread.insert(connection.to_owned(), since_ms);
                lines.push(line("unreadable", since_ms));
            }
            (true, None) => {
                unread.remove(connection);
                lines.push(line("readable", heard_ms.unwrap_or(now_ms)));
            }
            (false, Some(_) | None) | (true, Some(_)) => {}
        }
    }
    lines
}

impl Due {
    /// The record; `examples` are those of the lines, in their order.
    pub fn notice(
        &self,
        rule: &NoticeRule,
        examples: Vec<Option<String>>,
        link: Option<&str>,
        now_ms: i64,
    ) -> Notice {
        let title = self.title();
        let time = |at_ms| Time::in_china(at_ms).unwrap_or_else(|| Time("1970-01-01T08:00:00+08:00".into()));
        let owners: Vec<Option<Owner>> = self.lines.iter().map(|line| line.owner).collect();
        let owner =
            owners.first().copied().flatten().filter(|one| owners.iter().all(|other| *other == Some(*one)));
        let lines = self.lines.iter().zip(examples).map(|(line, examples)| NoticeLine {
            what: line.what.to_owned(),
            connection: line.connection.clone(),
            code: line.code.clone(),
            owner: line.owner.map(|owner| owner.name().to_owned()),
            count: whole(line.count),
            examples,
            since: Some(time(line.since_ms)),
        });
        Notice {
            number: self.number(rule),
            rule: rule.name.clone(),
            severity: self.severity().to_owned(),
            owner: owner.map(|owner| owner.name().to_owned()),
            title: title.zh,
            title_en: title.en,
            from: time(self.from_ms),
            to: time(now_ms),
            total: whole(self.total),
            lines: lines.collect(),
            more: i64::try_from(self.more).unwrap_or(i64::MAX),
            link: link.map(str::to_owned),
        }
    }

    /// Number of the notice: no two processes give different notices of one rule the same.
    pub fn number(&self, rule: &NoticeRule) -> String {
        format!("{}-{}", rule.name, self.told.count)
    }

    fn severity(&self) -> &'static str {
        match self.lines.first().map(|line| line.what) {
            Some("broken" | "unreadable") => "error",
            Some(_) if self.lines.iter().all(|line| matches!(line.what, "recovered" | "readable")) => "info",
            _ => "warning",
        }
    }

    fn title(&self) -> Text {
        let named = |what: &str, comma: &str, zh: bool| -> Option<String> {
            let all: Vec<&str> = self
                .lines
                .iter()
                .filter(|line| line.what == what)
                .map(|line| line.connection.as_str())
                .collect();
            match all.len() {
                0 => None,
                1..=NAMED_MAX => Some(all.join(comma)),
                many if zh => Some(format!("{many} 个连接")),
                many => Some(format!("{many} connections")),
            }
        };
        let counted = |count: u64| (count > 0).then(|| count.to_string());
        let zh = [
            named("broken", "、", true).map(|all| format!("{all} 连接不通")),
            named("unreadable", "、", true).map(|all| format!("{all} 读取不到")),
            named("recovered", "、", true).map(|all| format!("{all} 已恢复")),
            named("readable", "、", true).map(|all| format!("{all} 恢复读取")),
            counted(self.disputed).map(|count| format!("{count} 份对账单有异议")),
            counted(self.books).map(|count| format!("{count} 位客户账账不符")),
            counted(self.drift).map(|count| format!("{count} 张单据金额有差异")),
            counted(self.parked).map(|count| format!("{count} 张单据挂起")),
        ];
        let en = [
            named("broken", ", ", false).map(|all| format!("no connection to {all}")),
            named("unreadable", ", ", false).map(|all| format!("{all} cannot be read")),
            named("recovered", ", ", false).map(|all| format!("connected again to {all}")),
            named("readable", ", ", false).map(|all| format!("{all} can be read again")),
            counted(self.disputed).map(|count| format!("{count} statements are disputed")),
            counted(self.books).map(|count| format!("the books of {count} customers differ")),
            counted(self.drift).map(|count| format!("{count} documents differ in their amounts")),
            counted(self.parked).map(|count| format!("{count} documents are parked")),
        ];
        Text::new(
            format!("通宝：{}", zh.into_iter().flatten().collect::<Vec<_>>().join("，")),
            format!("Tongbao: {}", en.into_iter().flatten().collect::<Vec<_>>().join("; ")),
        )
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
