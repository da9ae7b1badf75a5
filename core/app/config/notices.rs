//! The section `notices`: which people are told what, where, and how often.

use super::read::Reader;
use tongbao_connect::settings::refuse_unknown;
use tongbao_model::diagnostic::{Findings, Place, nearest};
use tongbao_model::event::kinds;
use tongbao_model::yaml::Node;
use tongbao_model::{Code, Owner, Text};

use super::{BUILTIN, Config, Flow};

const NOTICE: &[&str] =
    &["name", "on", "connections", "owner", "codes", "to", "every", "for", "at_most", "quiet", "examples"];
const MINUTE_MS: i64 = 60_000;
/// Characters that the database keeps of a flow's name.
const FLOW_NAME_MAX: usize = 64;
const DAY_MINUTES: i64 = 24 * 60;
/// China has one hour, and no summer time.
const CHINA_MINUTES: i64 = 8 * 60;

/// What people are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Deliveries that were parked.
    Parked,
    /// Those parked because amounts differ between two systems.
    Drift,
    /// Statements that their customers dispute.
    Disputed,
    /// A connection that nothing gets through to, and its recovery.
    Broken,
}

/// A number of messages within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtMost {
    /// Messages.
    pub count: usize,
    /// Milliseconds.
    pub within_ms: i64,
}

/// Hours of the day in China in which nobody is told anything; from before midnight to after it where the end is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: i64,
    to: i64,
}

impl Quiet {
    /// From one minute of the day on, before another.
    pub fn within(from: i64, to: i64) -> Quiet {
        Quiet { from, to }
    }

    /// Whether a time is within; milliseconds since 1970.
    pub fn holds(self, now_ms: i64) -> bool {
        let minute = (now_ms.div_euclid(MINUTE_MS) + CHINA_MINUTES).rem_euclid(DAY_MINUTES);
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct NoticeRule {
    /// Name.
    pub name: String,
    /// Where it stands in the file.
    pub place: Place,
    /// What it tells of.
    pub on: Vec<Matter>,
    /// Only of these connections; empty means all.
    pub connections: Vec<String>,
    /// Only what these people can do something about.
    pub owner: Option<Owner>,
    /// Only documents with these fault codes; empty means all.
    pub codes: Vec<Code>,
    /// Connections that take its notices.
    pub to: Vec<String>,
    /// What happens within this time is one message, in milliseconds.
    pub every_ms: i64,
    /// How long nothing gets through before a connection counts as broken, in milliseconds.
    pub for_ms: i64,
    /// Messages at most.
    pub at_most: Option<AtMost>,
    /// When nobody is told anything.
    pub quiet: Option<Quiet>,
    /// Document numbers in each line.
    pub examples: u64,
}

/// Where the events of a rule come from, as flows name it.
pub fn source(rule: &str) -> String {
    format!("notices/{rule}")
}

/// The flows that carry a rule's notices, one for each connection of `to`: everything that is checked of a flow is checked of
/// them.
pub fn flows(config: &Config) -> Vec<Flow> {
    let mut flows = Vec::new();
    for rule in &config.notices {
        for to in &rule.to {
            let connection = config.connections.iter().find(|connection| connection.name == *to);
            flows.push(Flow {
                name: flow_name(&rule.name, to),
                place: rule.place,
                on: kinds::NOTICE_DUE.to_owned(),
                from: Some(source(&rule.name)),
                to: to.clone(),
                mapping: connection.map(|connection| format!("notice-to-{}", connection.connector)),
                emits: None,
            });
        }
    }
    flows
}

fn flow_name(rule: &str, to: &str) -> String {
    format!("notice-{rule}-{to}")
}

/// What names mean: connections are there, and none of them is built in.
pub fn check(config: &Config, findings: &mut Findings) {
    for rule in &config.notices {
        for to in rule.to.iter().filter(|to| BUILTIN.contains(&to.as_str())) {
            findings.error(
                "connection-unknown",
                rule.place,
                format!("{to} 不能接收通知"),
                format!("`{to}` takes no notices"),
            );
        }
        for to in rule.to.iter().filter(|to| flow_name(&rule.name, to).len() > FLOW_NAME_MAX) {
            findings.error(
                "flow-name",
                rule.place,
                format!("通知规则名 {} 与连接名 {to} 合起来过长", rule.name),
                format!(
                    "the names of the notice rule `{}` and the connection `{to}` are too long together",
                    rule.name
                ),
            );
        }
        let known = |name: &str| {
            BUILTIN.contains(&name) || config.connections.iter().any(|connection| connection.name == name)
        };
        for name in rule.connections.iter().filter(|name| !known(name)) {
            let all = config.connections.iter().map(|connection| connection.name.as_str());
            let suggestion = nearest(name, all)
                .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
            findings.error_with(
                "connection-unknown",
                rule.place,
                Text::new(format!("没有连接 {name}"), format!("there is no connection `{name}`")),
                suggestion,
            );
        }
    }
}

/// `90s`, `5m`, `2h` or `1d` in milliseconds; at least a second, at most 31 days.
pub(super) fn duration_ms(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = unit_ms(unit)?;
    let ms = number.parse::<u32>().ok().and_then(|number| i64::from(number).checked_mul(unit_ms))?;
    (1_000..=31 * 86_400_000).contains(&ms).then_some(ms)
}

fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit {
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        "d" => DAY_MINUTES * MINUTE_MS,
        _ => return None,
    })
}

/// `12/h`.
fn at_most(text: &str) -> Option<AtMost> {
    let (count, unit) = text.split_once('/')?;
    let count: usize = count.parse().ok()?;
    (1..=1_000).contains(&count).then_some(AtMost { count, within_ms: unit_ms(unit)? })
}

/// `22:00-08:00`.
fn quiet(text: &str) -> Option<Quiet> {
    let (from, to) = text.split_once('-')?;
    let quiet = Quiet::within(minute_of_day(from)?, minute_of_day(to)?);
    (quiet.from != quiet.to).then_some(quiet)
}

fn minute_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 60 + minute)
}

fn matter(text: &str) -> Option<Matter> {
    Some(match text {
        "parked" => Matter::Parked,
        "drift" => Matter::Drift,
        "disputed" => Matter::Disputed,
        "broken" => Matter::Broken,
        _ => return None,
    })
}

fn owner(text: &str) -> Option<Owner> {
    [Owner::Operations, Owner::Finance, Owner::Developer].into_iter().find(|owner| owner.name() == text)
}

impl Reader<'_> {
    /// Reads the list.
    pub(super) fn notices(&mut self, node: &Node) -> Vec<NoticeRule> {
        let rules: Vec<NoticeRule> = node.items().iter().filter_map(|node| self.notice(node)).collect();
        for (index, rule) in rules.iter().enumerate() {
            if rules.iter().take(index).any(|earlier| earlier.name == rule.name) {
                self.wrong(
                    rule.place,
                    &format!("通知规则名 {} 重复", rule.name),
                    &format!("the notice rule `{}` is there twice", rule.name),
                );
            }
        }
        rules
    }

    fn notice(&mut self, node: &Node) -> Option<NoticeRule> {
        refuse_unknown(node, NOTICE, self.findings);
        let name = self.required(node, "name", node.place)?;
        if !super::read::is_name(&name) {
            self.wrong(
                node.place,
                &format!("通知规则名 {name} 不可用：小写字母、数字、连字符"),
                &format!("`{name}` cannot name a notice rule: lower-case letters, digits and hyphens"),
            );
        }
        let on = self.all_of(
            node,
            "on",
            matter,
            "parked、drift、broken、disputed",
            "parked, drift, broken or disputed",
        );
        let codes = self.all_of(node, "codes", Code::from_text, "故障代码", "fault codes");
        let to = self.all_of(node, "to", |text| Some(text.to_owned()), "连接名", "names of connections");
        for (key, list) in [("on", on.is_empty()), ("to", to.is_empty())] {
            if list && node.get(key).is_none() {
                let _ = self.required(node, key, node.place);
            }
        }
        let connections =
            self.all_of(node, "connections", |text| Some(text.to_owned()), "连接名", "names of connections");
        Some(NoticeRule {
            name,
            place: node.place,
            on,
            connections,
            owner: self.said(
                node,
                "owner",
                owner,
                "operations、finance 或 developer",
                "operations, finance or developer",
            ),
            codes,
            to,
            every_ms: self
                .said(node, "every", duration_ms, "时长，如 5m", "a time such as 5m")
                .unwrap_or(300_000),
            for_ms: self
                .said(node, "for", duration_ms, "时长，如 5m", "a time such as 5m")
                .unwrap_or(300_000),
            at_most: self.said(node, "at_most", at_most, "次数，如 12/h", "a number such as 12/h"),
            quiet: self.said(node, "quiet", quiet, "时段，如 22:00-08:00", "hours such as 22:00-08:00"),
            examples: self.number(node, "examples", 5_u64).min(20),
        })
    }

    pub(super) fn wrong(&mut self, place: Place, zh: &str, en: &str) {
        self.findings.error("config-value", place, zh, en);
    }

    pub(super) fn must_be(&mut self, place: Place, key: &str, zh: &str, en: &str) {
        self.wrong(place, &format!("{key} 应为{zh}"), &format!("`{key}` must be {en}"));
    }

    /// One value that `read` understands.
    pub(super) fn said<T>(
        &mut self,
        node: &Node,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        zh: &str,
        en: &str,
    ) -> Option<T> {
        let inner = node.get(key)?;
        let found = inner.text().and_then(read);
        if found.is_none() {
            self.must_be(inner.place, key, zh, en);
        }
        found
    }

    /// One value or a list of them.
    pub(super) fn all_of<T>(
        &mut self,
        node: &Node,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        zh: &str,
        en: &str,
    ) -> Vec<T> {
        let Some(inner) = node.get(key) else { return Vec::new() };
        let items = if inner.text().is_some() { std::slice::from_ref(inner) } else { inner.items() };
        if items.is_empty() {
            self.must_be(inner.place, key, zh, en);
        }
        let mut found = Vec::new();
        for item in items {
            match item.text().and_then(&read) {
                Some(value) => found.push(value),
                None => self.must_be(item.place, key, zh, en),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers() {
        for (text, expected) in [
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("0m", None),
            ("32d", None),
            ("5", None),
            ("m", None),
            ("", None),
            ("-5m", None),
            ("5分", None),
            ("99999999999m", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
        assert_eq!(at_most("12/h"), Some(AtMost { count: 12, within_ms: 3_600_000 }));
        for text in ["0/h", "12", "/h", "12/", "12/y", "1001/h"] {
            assert_eq!(at_most(text), None, "{text}");
        }
        for text in ["22:00", "22:00-22:00", "24:00-08:00", "22:60-08:00", "2:00-08:00", "22-8"] {
            assert_eq!(quiet(text), None, "{text}");
        }
    }

    #[test]
    fn quiet_hours_are_those_of_china_and_go_over_midnight() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let (night, noon) = (quiet("22:00-08:00").unwrap(), quiet("12:00-13:30").unwrap());
        for (time, by_night, at_noon) in [
            ("2026-11-22T21:59:59+08:00", false, false),
            ("2026-11-22T22:00:00+08:00", true, false),
            ("2026-11-23T00:00:00+08:00", true, false),
            ("2026-11-23T07:59:59+08:00", true, false),
            ("2026-11-23T08:00:00+08:00", false, false),
            ("2026-11-23T12:00:00+08:00", false, true),
            ("2026-11-23T13:30:00+08:00", false, false),
            ("2026-11-22T23:30:00Z", true, false),
            ("1969-12-31T15:00:00Z", true, false),
        ] {
            assert_eq!((night.holds(at(time)), noon.holds(at(time))), (by_night, at_noon), "{time}");
        }
    }
}
