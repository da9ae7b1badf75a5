//! What customers do with their links: look, confirm, dispute. Looking changes nothing, for the machines that read mail look
//! too; and nobody is asked who they are, for the link is what they hold.

use super::desk::{Due, first_due};
use super::history::Standing;
use super::link::{self, Link, Refused};
use super::{Books, Failed};
use crate::config::StatementRules;
use crate::paper::Sheet;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use tongbao_delivery::port::{Store, Stored};
use tongbao_delivery::statements::{Note, NoteKind, Wanted};
use tongbao_model::Text;
use tongbao_recon::statement::Question;

/// Characters of a name.
pub const NAME_MAX: usize = 60;
/// Characters of a remark.
pub const REMARK_MAX: usize = 1_000;
/// Answers to one revision; whoever has more to say should call.
const ANSWERS_MAX: i64 = 20;
/// Requests by one link in a minute.
const PER_MINUTE: usize = 60;
/// Links that are counted at a time.
const LINKS_MAX: usize = 4_096;
const MINUTE_MS: i64 = 60_000;
/// Times that an answer is stored again when somebody else's note was first.
const TRIES: u32 = 8;

/// What a customer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it agrees.
    pub is_confirmed: bool,
    /// Who says so.
    pub who: String,
    /// Why it does not.
    pub remark: String,
}

impl Said {
    /// From the fields of a form.
    ///
    /// # Errors
    /// Nothing was chosen, or a field is empty or too long.
    pub fn read(fields: &HashMap<String, String>) -> Result<Said, Text> {
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let is_confirmed = match field("answer") {
            "confirm" => true,
            "dispute" => false,
            _ => return Err(Text::new("请选择确认或提出异议", "choose to confirm or to dispute")),
        };
        let who = plain(field("name"), false);
        if who.is_empty() || who.chars().count() > NAME_MAX {
            return Err(Text::new(
                format!("请填写姓名，至多 {NAME_MAX} 个字"),
                format!("give your name, at most {NAME_MAX} characters"),
            ));
        }
        let remark = if is_confirmed { String::new() } else { plain(field("remark"), true) };
        let is_said = is_confirmed || !remark.is_empty();
        if !is_said || remark.chars().count() > REMARK_MAX {
            return Err(Text::new(
                format!("请说明异议，至多 {REMARK_MAX} 个字"),
                format!("say what is wrong, in at most {REMARK_MAX} characters"),
            ));
        }
        Ok(Said { is_confirmed, who, remark })
    }
}

/// Without control characters, but for the ends of lines where they are allowed.
fn plain(text: &str, with_lines: bool) -> String {
    let one = |one: char| if one.is_control() && !(with_lines && one == '\n') { ' ' } else { one };
    text.replace("\r\n", "\n").chars().map(one).collect::<String>().trim().to_owned()
}

/// What a link opens.
pub enum Opened {
    /// The statement.
    Statement(Box<Open>),
    /// Nobody here made the link.
    Forged,
    /// Its time is over.
    Expired,
    /// A newer revision took its place.
    Superseded,
    /// The books do not give it any more: archived, or not as they were.
    Gone,
}

/// A statement that a link opened.
pub struct Open {
    /// The link.
    pub link: Link,
    /// Where it stands.
    pub standing: Standing,
    /// What it says.
    pub sheet: Sheet,
}

/// Opens a link that is good. Changes nothing.
///
/// # Errors
/// What the database said.
pub async fn opened(
    rules: &StatementRules,
    store: &dyn Store,
    token: &str,
    now_ms: i64,
) -> Result<Opened, Failed> {
    let link = match link::read(token, &rules.keys, now_ms) {
        Ok(link) => link,
        Err(Refused::Forged) => return Ok(Opened::Forged),
        Err(Refused::Expired) => return Ok(Opened::Expired),
    };
    let Some(standing) = standing(store, &link).await? else { return Ok(Opened::Gone) };
    if standing.revision != link.revision {
        return Ok(Opened::Superseded);
    }
    let Some(due) = first_due(store, &standing).await? else { return Ok(Opened::Gone) };
    Ok(match sheet(rules, store, &link, &due).await? {
        Some(sheet) => Opened::Statement(Box::new(Open { link, standing, sheet })),
        None => Opened::Gone,
    })
}

async fn standing(store: &dyn Store, link: &Link) -> Stored<Option<Standing>> {
    let notes = store.statement_notes(&Wanted::of(&link.customer, &link.month.to_string())).await?;
    Ok(Standing::of(&notes))
}

async fn sheet(
    rules: &StatementRules,
    store: &dyn Store,
    link: &Link,
    due: &Due,
) -> Result<Option<Sheet>, Failed> {
    let books = Books::load(store, &link.customer).await?;
    let question = Question {
        customer: &link.customer,
        month: link.month,
        as_of_ms: due.as_of_ms,
        credit_days: due.credit_days,
    };
    let statement = books.statement(question).map_err(Failed::Told)?;
    if tongbao_paper::checksum::of(&statement) != due.checksum {
        return Ok(None);
    }
    let buyer = books.customer(store).await?.and_then(|customer| customer.name);
    Ok(Some(Sheet { statement, seller: rules.seller.clone(), buyer, compared: None }))
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// It is in the history and stands.
    Taken,
    /// A newer revision took the place of the one that was answered.
    Superseded,
    /// There were too many.
    TooMany,
}

/// Stores an answer: it stands until a newer one comes.
///
/// # Errors
/// What the database said.
pub async fn answered(store: &dyn Store, link: &Link, said: &Said, now_ms: i64) -> Result<Answered, Failed> {
    for _ in 0..TRIES {
        let standing = standing(store, link).await?;
        let Some(standing) = standing.filter(|standing| standing.revision == link.revision) else {
            return Ok(Answered::Superseded);
        };
        if standing.answers >= ANSWERS_MAX {
            return Ok(Answered::TooMany);
        }
        let kind = if said.is_confirmed { NoteKind::Confirmed } else { NoteKind::Disputed };
        let note =
            Note { who: said.who.clone(), remark: said.remark.clone(), ..standing.note(kind, 0, now_ms) };
        if store.note_statement(vec![note], None, now_ms).await? {
            metrics::counter!("tongbao_statement_answers_total", "kind" => kind.name()).increment(1);
            return Ok(Answered::Taken);
        }
    }
    Ok(Answered::TooMany)
}

/// Counts the requests by each link: so many a minute, and the next ones are told to wait.
#[derive(Debug, Default)]
pub struct Gate {
    seen: Mutex<HashMap<(String, String, i64), VecDeque<i64>>>,
}

impl Gate {
    /// Whether one more request by a link is served. Only links that are good are counted.
    pub fn takes(&self, link: &Link, now_ms: i64) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |at_ms: &i64| (0..MINUTE_MS).contains(&now_ms.saturating_sub(*at_ms));
        if seen.len() >= LINKS_MAX {
            seen.retain(|_, times| times.back().is_some_and(is_fresh));
        }
        let key = (link.customer.clone(), link.month.to_string(), link.revision);
        if seen.len() >= LINKS_MAX && !seen.contains_key(&key) {
            return false;
        }
        let times = seen.entry(key).or_default();
        times.retain(is_fresh);
        if times.len() >= PER_MINUTE {
            return false;
        }
        times.push_back(now_ms);
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded_and_has_no_control_characters() {
        let read = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Said::read(&fields.collect())
        };
        let confirmed = read(&[("answer", "confirm"), ("name", " 李\u{7}四 "), ("remark", "x")]).unwrap();
        assert_eq!(confirmed, Said { is_confirmed: true, who: "李 四".into(), remark: String::new() });
        let disputed =
            read(&[("answer", "dispute"), ("name", "A"), ("remark", "<b>少\r\n一笔\u{1b}</b>")]).unwrap();
        assert_eq!(disputed.remark, "<b>少\n一笔 </b>");
        let (long_name, long_remark) = ("名".repeat(NAME_MAX + 1), "字".repeat(REMARK_MAX + 1));
        for wrong in [
            vec![],
            vec![("answer", "yes"), ("name", "A")],
            vec![("answer", "confirm")],
            vec![("answer", "confirm"), ("name", " \t ")],
            vec![("answer", "confirm"), ("name", long_name.as_str())],
            vec![("answer", "dispute"), ("name", "A")],
            vec![("answer", "dispute"), ("name", "A"), ("remark", "\n")],
            vec![("answer", "dispute"), ("name", "A"), ("remark", long_remark.as_str())],
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_link_is_served_so_often_a_minute() {
        let link = |revision| Link {
            customer: "C1".into(),
            month: "2026-10".parse().unwrap(),
            revision,
            expires_s: 0,
        };
        let gate = Gate::default();
        let served = |revision, now_ms| (0..100).filter(|_| gate.takes(&link(revision), now_ms)).count();
        assert_eq!((served(1, 0), served(1, 59_999), served(1, 60_000)), (PER_MINUTE, 0, PER_MINUTE));
        assert_eq!(served(2, 60_000), PER_MINUTE, "each link for itself");
        for revision in 0..10_000 {
            gate.takes(&link(revision), 70_000);
        }
        assert!(gate.seen.lock().unwrap().len() <= LINKS_MAX);
        assert!(gate.takes(&link(20_000), 200_000), "they are forgotten");
    }
}
