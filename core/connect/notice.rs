//! Messages to people: what the connectors that write them have in common. A notice comes as a document of [`KIND`]; here
//! it becomes sentences, in one language or both, cut to what a message may hold. Pure.

use crate::document::DocumentKind;
use crate::outcome::{Failure, Lookup};
use crate::settings::Settings;
use crate::target::Task;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tongbao_model::diagnostic::Findings;
use tongbao_model::record::{Notice, NoticeLine, Time};
use tongbao_model::{Class, Code, Fault, Text};

/// Kind of the documents that carry a notice.
pub const KIND: &str = "notice";

/// Milliseconds in which a robot counts its messages.
const MINUTE_MS: i64 = 60_000;

/// The document: the canonical record as it is.
pub fn document() -> DocumentKind {
    DocumentKind { shape: Notice::shape(), open: false, key: Some("number") }
}

/// Reads the notice of a task.
pub fn read(task: &Task) -> Result<Notice, Failure> {
    serde_json::from_str(task.document.text()).map_err(|error| {
        let fault = Fault::new(
            Code::FieldType,
            format!("通知内容无法读取：{error}"),
            format!("the notice cannot be read: {error}"),
        );
        Failure::new(fault)
    })
}

/// Language of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
    /// Chinese, then English.
    Both,
}

impl Language {
    /// The text in this language.
    pub fn of(self, text: &Text) -> String {
        match self {
            Language::Zh => text.zh.clone(),
            Language::En => text.en.clone(),
            Language::Both => text.to_string(),
        }
    }
}

/// One of a few words that a setting may hold; the findings say which there are.
pub fn choice<T: Copy>(
    name: &str,
    text: &str,
    all: &[(&str, T)],
    settings: &Settings<'_>,
    findings: &mut Findings,
) -> Option<T> {
    let found = all.iter().find(|(known, _)| *known == text).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = all.iter().map(|(known, _)| *known).collect();
        findings.error(
            "config-value",
            settings.node.get(name).map_or(settings.node.place, |node| node.place),
            format!("{name} 应为 {}", known.join("、")),
            format!("{name} must be one of {}", known.join(", ")),
        );
    }
    found
}

/// What `language` may say.
pub const LANGUAGES: &[(&str, Language)] =
    &[("zh", Language::Zh), ("en", Language::En), ("both", Language::Both)];

/// What `on_unknown` may say: whether a message that may have been lost is sent again.
pub const ON_UNKNOWN: &[(&str, bool)] = &[("send-again", true), ("park", false)];

/// The answer of a system that cannot be asked about a message.
pub fn cannot_ask() -> Lookup {
    let fault = Fault::new(
        Code::OutcomeUnknown,
        "消息是否送达无法查询",
        "nobody can be asked whether the message arrived",
    )
    .remedy(
        "在群或收件箱中核对；没有收到再重放，重放会再发一次。",
        "Look into the group or the mailbox; replay what is not there, and it is sent again.",
    );
    Lookup::NobodyToAsk(Failure::new(fault))
}

/// A notice in sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Title.
    pub title: String,
    /// One sentence for each line.
    pub lines: Vec<String>,
    /// Lines that the notice itself leaves out.
    pub hidden: u64,
    /// Times, number and link.
    pub foot: Vec<String>,
    language: Language,
}

impl Words {
    /// Of a notice. Control characters in what came from documents become blanks.
    pub fn of(notice: &Notice, language: Language) -> Words {
        let tell = |text: Text| plain(&language.of(&text));
        let span = Text::new(
            format!("时间 {} 至 {}", minute(&notice.from), minute(&notice.to)),
            format!("from {} to {}", minute(&notice.from), minute(&notice.to)),
        );
        let number = Text::new(format!("编号 {}", notice.number), format!("number {}", notice.number));
        let title = Text::new(notice.title.clone(), notice.title_en.clone());
        Words {
            title: tell(title),
            lines: notice.lines.iter().map(|line| tell(sentence(line))).collect(),
            hidden: u64::try_from(notice.more).unwrap_or(0),
            foot: [tell(span), tell(number)]
                .into_iter()
                .chain(notice.link.iter().map(|link| plain(link)))
                .collect(),
            language,
        }
    }

    /// The same for Markdown: the title bold, a list of lines, and nothing from a document that Markdown would take for its
    /// own.
    pub fn marked(&self) -> Words {
        let list = |lines: &[String]| lines.iter().map(|line| format!("> {}", unmarked(line))).collect();
        Words {
            title: format!("**{}**", unmarked(&self.title)),
            lines: list(&self.lines),
            foot: list(&self.foot),
            ..self.clone()
        }
    }

    /// Says that so many lines are left out.
    fn more(&self, count: u64) -> String {
        self.language.of(&Text::new(format!("… 还有 {count} 条"), format!("… {count} more")))
    }

    /// Title, lines and foot in at most `bytes_max` bytes of UTF-8. Whole lines are left out, and how many is said; only
    /// where not even the title fits is a line cut, between two characters.
    pub fn fitted(&self, bytes_max: usize) -> String {
        self.joined("\n", bytes_max)
    }

    /// The same with something else between lines.
    pub fn joined(&self, between: &str, bytes_max: usize) -> String {
        for shown in (0..=self.lines.len()).rev() {
            let left = u64::try_from(self.lines.len() - shown).unwrap_or(0).saturating_add(self.hidden);
            let mut all = vec![self.title.clone()];
            all.extend(self.lines.iter().take(shown).cloned());
            if left > 0 {
                all.push(self.more(left));
            }
            all.extend(self.foot.iter().cloned());
            let text = all.join(between);
            if text.len() <= bytes_max {
                return text;
            }
        }
        cut(&self.title, bytes_max)
    }
}

/// A text of at most `bytes_max` bytes, cut between two characters, with an ellipsis where it was cut and there is room.
pub fn cut(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let (room, mark) = match bytes_max.checked_sub(MARK.len()) {
        Some(room) => (room, MARK),
        None => (bytes_max, ""),
    };
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{mark}", text.get(..end).unwrap_or_default())
}

/// Full-width signs in place of those that Markdown and HTML read.
fn unmarked(text: &str) -> String {
    let wide = |one| match one {
        '<' => '＜',
        '>' => '＞',
        '[' => '［',
        ']' => '］',
        '*' => '＊',
        '`' => '｀',
        '\\' => '＼',
        other => other,
    };
    text.chars().map(wide).collect()
}

fn plain(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// Month, day, hour and minute of a time as it is written.
fn minute(time: &Time) -> String {
    time.0.get(5..16).map_or_else(|| time.0.clone(), |short| short.replace('T', " "))
}

fn owner(name: &str) -> (&str, &str) {
    match name {
        "operations" => ("运维处理", "for operations"),
        "finance" => ("财务处理", "for finance"),
        "developer" => ("开发处理", "for developers"),
        other => (other, other),
    }
}

fn sentence(line: &NoticeLine) -> Text {
    let NoticeLine { connection, count, .. } = line;
    let notes = |pick: fn((&str, &str)) -> String| {
        let owner = line.owner.as_deref().map(|name| pick(owner(name)));
        line.code.clone().into_iter().chain(owner).collect::<Vec<_>>()
    };
    let around = |notes: Vec<String>, open, comma: &str, close| match notes.as_slice() {
        [] => String::new(),
        notes => format!("{open}{}{close}", notes.join(comma)),
    };
    let zh = around(notes(|(zh, _)| zh.to_owned()), "（", "，", "）");
    let en = around(notes(|(_, en)| en.to_owned()), " (", ", ", ")");
    let examples =
        |mark: &str| line.examples.as_ref().map(|list| format!("{mark}{list}")).unwrap_or_default();
    let since = line.since.as_ref().map(minute).unwrap_or_default();
    match line.what.as_str() {
        "broken" => Text::new(
            format!("{connection}：{since} 起连接不通，{count} 张单据在等待{zh}"),
            format!("{connection}: no connection since {since}, {count} documents wait{en}"),
        ),
        "recovered" => Text::new(
            format!("{connection}：{since} 起已恢复"),
            format!("{connection}: works again since {since}"),
        ),
        "unreadable" => Text::new(
            format!("{connection}：{since} 起读取不到，新单据暂不能取回{zh}"),
            format!("{connection}: cannot be read since {since}, nothing new comes in{en}"),
        ),
        "readable" => Text::new(
            format!("{connection}：{since} 起恢复读取"),
            format!("{connection}: can be read again since {since}"),
        ),
        "books" => Text::new(
            format!("{count} 位客户账账不符，超过限额{zh}{}", examples("：")),
            format!("the books of {count} customers differ by more than allowed{en}{}", examples(": ")),
        ),
        "disputed" => Text::new(
            format!("{count} 份对账单有异议{zh}{}", examples("：")),
            format!("{count} statements are disputed{en}{}", examples(": ")),
        ),
        "drift" => Text::new(
            format!("{connection}：{count} 张单据金额有差异{zh}{}", examples("：")),
            format!("{connection}: {count} documents differ in their amounts{en}{}", examples(": ")),
        ),
        _ => Text::new(
            format!("{connection}：{count} 张单据挂起{zh}{}", examples("：")),
            format!("{connection}: {count} documents are parked{en}{}", examples(": ")),
        ),
    }
}

/// So many messages a minute, as this process counts them. Other processes' are the far side's to count.
#[derive(Debug)]
pub struct Pace {
    per_minute: usize,
    /// When the last ones were sent, oldest first; never more than `per_minute`.
    sent: Mutex<VecDeque<i64>>,
}

impl Pace {
    /// Of a number a minute, at least one.
    pub fn new(per_minute: u32) -> Pace {
        let per_minute = usize::try_from(per_minute.max(1)).unwrap_or(1);
        Pace { per_minute, sent: Mutex::default() }
    }

    /// Takes a place, or says how long there is none.
    pub fn take(&self, now_ms: i64) -> Result<(), Failure> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not hold messages up for longer than a minute.
        sent.retain(|at_ms| (0..MINUTE_MS).contains(&now_ms.saturating_sub(*at_ms)));
        if sent.len() < self.per_minute {
            sent.push_back(now_ms);
            return Ok(());
        }
        let free_ms = sent.front().map_or(MINUTE_MS, |first| MINUTE_MS - (now_ms - first));
        let after = Duration::from_millis(u64::try_from(free_ms.max(1)).unwrap_or(1));
        let fault = Fault::new(
            Code::TargetThrottled,
            format!("每分钟至多 {} 条消息", self.per_minute),
            format!("{} messages a minute at most", self.per_minute),
        );
        Err(Failure::new(fault).class(Class::Throttled(Some(after))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(what: &str, connection: &str, count: i64, examples: &str) -> NoticeLine {
        NoticeLine {
            what: what.into(),
            connection: connection.into(),
            code: matches!(what, "parked" | "drift").then(|| "code-table-miss".into()),
            owner: Some("finance".into()),
            count,
            examples: Some(examples.to_owned()).filter(|list| !list.is_empty()),
            since: Some(Time("2026-11-22T15:03:20+08:00".into())),
        }
    }

    fn notice(lines: Vec<NoticeLine>, more: i64) -> Notice {
        Notice {
            number: "ops-7".into(),
            rule: "ops".into(),
            severity: "warning".into(),
            owner: None,
            title: "通宝：500 张单据挂起".into(),
            title_en: "Tongbao: 500 documents are parked".into(),
            from: Time("2026-11-22T15:00:00+08:00".into()),
            to: Time("2026-11-22T15:05:00+08:00".into()),
            total: 500,
            lines,
            more,
            link: Some("https://tongbao.example.com/".into()),
        }
    }

    #[test]
    fn sentences_in_both_languages() {
        let all = vec![
            line("parked", "erp", 488, "HT-1, HT-2"),
            line("drift", "erp", 2, "HT-3"),
            line("disputed", "statements", 1, "C1:2026-10"),
            line("broken", "tax", 12, ""),
            line("recovered", "crm", 0, ""),
            line("unreadable", "bank", 0, ""),
            line("readable", "bank", 0, ""),
        ];
        let zh = Words::of(&notice(all.clone(), 0), Language::Zh).fitted(4_096);
        assert_eq!(
            zh,
            "通宝：500 张单据挂起\n\
             erp：488 张单据挂起（code-table-miss，财务处理）：HT-1, HT-2\n\
             erp：2 张单据金额有差异（code-table-miss，财务处理）：HT-3\n\
             1 份对账单有异议（财务处理）：C1:2026-10\n\
             tax：11-22 15:03 起连接不通，12 张单据在等待（财务处理）\n\
             crm：11-22 15:03 起已恢复\n\
             bank：11-22 15:03 起读取不到，新单据暂不能取回（财务处理）\n\
             bank：11-22 15:03 起恢复读取\n\
             时间 11-22 15:00 至 11-22 15:05\n编号 ops-7\nhttps://tongbao.example.com/"
        );
        let en = Words::of(&notice(all, 0), Language::En);
        assert_eq!(en.lines[0], "erp: 488 documents are parked (code-table-miss, for finance): HT-1, HT-2");
        assert_eq!(en.lines[3], "tax: no connection since 11-22 15:03, 12 documents wait (for finance)");
        assert_eq!(en.lines[5], "bank: cannot be read since 11-22 15:03, nothing new comes in (for finance)");
        let odd = Words::of(&notice(vec![line("parked", "erp", 1, "HT\n1\u{1b}[2J")], 0), Language::Both);
        assert!(!odd.lines[0].chars().any(char::is_control), "{:?}", odd.lines[0]);
    }

    /// At every size: within it, valid, and every line either shown or counted.
    #[test]
    fn cutting_keeps_to_the_bytes_and_counts_what_it_leaves_out() {
        let lines: Vec<NoticeLine> =
            (0..40).map(|n| line("parked", &format!("erp-{n:02}"), n, "合同-1, 合同-2")).collect();
        let words = Words::of(&notice(lines, 3), Language::Zh);
        let full = words.fitted(usize::MAX);
        assert!(full.contains("… 还有 3 条"), "{full}");
        for bytes_max in 0..full.len() {
            let text = words.fitted(bytes_max);
            assert!(text.len() <= bytes_max, "{} > {bytes_max}", text.len());
            if text.lines().count() < 4 {
                continue; // Only a part of the title.
            }
            let shown = text.lines().filter(|line| line.starts_with("erp-")).count();
            assert!(text.contains(&format!("… 还有 {} 条", 43 - shown)), "{bytes_max}: {text}");
            assert!(text.ends_with("https://tongbao.example.com/"), "{bytes_max}: {text}");
        }
        assert_eq!(words.fitted(2_048).lines().next(), Some("通宝：500 张单据挂起"));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        for (text, bytes_max, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "…"),
            ("通宝通宝", 8, "通…"),
            ("通宝", 2, ""),
            ("a通", 3, "…"),
            ("", 0, ""),
        ] {
            assert_eq!(cut(text, bytes_max), expected, "{text} {bytes_max}");
        }
    }

    #[test]
    fn a_minute_holds_so_many_and_then_says_when() {
        let pace = Pace::new(20);
        let wait = |now_ms| match pace.take(now_ms).map_err(|failure| failure.class) {
            Ok(()) => None,
            Err(Class::Throttled(after)) => after,
            Err(other) => panic!("{other:?}"),
        };
        for n in 0..20 {
            assert_eq!(wait(1_000_000 + n * 1_000), None, "{n}");
        }
        assert_eq!(wait(1_019_500), Some(Duration::from_millis(40_500)));
        assert_eq!(wait(1_059_999), Some(Duration::from_millis(1)));
        assert_eq!(wait(1_060_000), None);
        assert_eq!(wait(1_060_500), Some(Duration::from_millis(500)));
        // Set back by an hour: nothing of the future counts.
        assert_eq!(wait(1_060_000 - 3_600_000), None);
    }
}
