//! A letter and the post that carries it: addresses that are checked when the connection is made, and a message in which
//! nothing from a document can become a header. Pure.

use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};
use sha2::{Digest, Sha256};
use std::time::{Duration, UNIX_EPOCH};
use tongbao_connect::letter::{self, Attached};
use tongbao_connect::notice::{self, Language, Words};
use tongbao_connect::{Failure, Task};
use tongbao_model::record::Notice;
use tongbao_model::{Code, Fault};

/// Most recipients of one connection. RFC 5321 has servers take 100.
const RECIPIENTS_MAX: usize = 50;
/// Most bytes of a text: far more than a notice has.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a subject, as people read it.
const SUBJECT_BYTES_MAX: usize = 400;

/// Most bytes of a letter's files together. Base64 makes a third more of them, and common servers take 20 to 50 MB.
const FILES_BYTES_MAX: usize = 14 * 1024 * 1024;

/// What is written.
#[derive(Clone)]
pub struct Letter {
    /// Message-ID with its brackets: the same in every attempt, so that mail systems show one message.
    pub id: String,
    /// Subject, without the prefix.
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub text: String,
    /// Whom it goes to; where it names nobody, to the connection's own recipients.
    pub to: Vec<Mailbox>,
    /// Who gets a copy.
    pub copy: Vec<Mailbox>,
    /// Files that come with it.
    pub files: Vec<Attached>,
}

impl Letter {
    /// Of a notice: its title is the subject.
    pub fn of_notice(notice: &Notice, language: Language, id: String) -> Letter {
        let words = Words::of(notice, language);
        let (subject, text) = (words.title.clone(), words.fitted(TEXT_BYTES_MAX) + "\n");
        Letter { id, subject, text, to: Vec::new(), copy: Vec::new(), files: Vec::new() }
    }

    /// Of a task that is a letter. What is wrong with an address is told by its place, without it.
    pub fn of_task(task: &Task, id: String) -> Result<Letter, Failure> {
        let letter::Letter { to, copy, subject, text } = letter::read(task)?;
        if to.is_empty() || to.len() + copy.len() > RECIPIENTS_MAX {
            return Err(refused(
                "to",
                Code::FieldMissing,
                "没有收件人，或收件人过多",
                "nobody to send it to, or too many",
            ));
        }
        let read = |field: &str, all: &[String]| {
            let one = |(at, text): (usize, &String)| {
                let (zh, en) = (
                    format!("第 {} 个邮箱地址有误", at + 1),
                    format!("mail address number {} is wrong", at + 1),
                );
                mailbox(text).ok_or_else(|| refused(field, Code::FieldType, &zh, &en))
            };
            all.iter().enumerate().map(one).collect::<Result<Vec<Mailbox>, Failure>>()
        };
        let (to, copy) = (read("to", &to)?, read("copy", &copy)?);
        if task.files.iter().map(|file| file.bytes.len()).sum::<usize>() > FILES_BYTES_MAX {
            let most = FILES_BYTES_MAX / (1024 * 1024);
            let (zh, en) =
                (format!("附件合计超过 {most} MB"), format!("the files have more than {most} MB together"));
            return Err(refused("files", Code::DocumentLimit, &zh, &en));
        }
        Ok(Letter {
            id,
            subject,
            text: notice::cut(&text, TEXT_BYTES_MAX),
            to,
            copy,
            files: task.files.clone(),
        })
    }
}

/// Sender, recipients and what stands before each subject.
#[derive(Clone)]
pub struct Post {
    from: Mailbox,
    to: Vec<Mailbox>,
    prefix: String,
}

/// Checks the addresses; what is wrong goes to `wrong` by the setting's name, without the address.
pub fn post(
    from: &str,
    to: &[String],
    prefix: &str,
    wrong: &mut impl FnMut(&str, &str, &str),
) -> Option<Post> {
    let sender = mailbox(from);
    if sender.is_none() {
        wrong(
            "from",
            "应为 name@example.com 或 名称 <name@example.com>",
            "expected name@example.com or Name <name@example.com>",
        );
    }
    let recipients: Vec<Mailbox> = to.iter().filter_map(|text| mailbox(text)).collect();
    let is_right = recipients.len() == to.len() && (1..=RECIPIENTS_MAX).contains(&to.len());
    if !is_right {
        let at = to.iter().position(|text| mailbox(text).is_none()).map_or(0, |at| at + 1);
        wrong(
            "to",
            &format!("应为 1 至 {RECIPIENTS_MAX} 个邮箱地址（第 {at} 个有误，0 表示个数有误）"),
            &format!(
                "expected 1 to {RECIPIENTS_MAX} mail addresses (number {at} is wrong; 0: it is how many)"
            ),
        );
    }
    let is_plain = !prefix.chars().any(char::is_control) && prefix.len() <= SUBJECT_BYTES_MAX / 2;
    if !is_plain {
        wrong("subject_prefix", "应为一行短文本", "expected a short text of one line");
    }
    (is_right && is_plain).then_some(Post { from: sender?, to: recipients, prefix: prefix.to_owned() })
}

/// One address, ASCII but for the name in front of it. Control characters, which could end a header, are in none.
fn mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let mailbox: Mailbox = text.trim().parse().ok()?;
    let address: &str = mailbox.email.as_ref();
    let is_plain = address.is_ascii() && !address.contains([' ', '"', '<', '>', ',', ';', '\\']);
    (is_plain && is_host(mailbox.email.domain())).then_some(mailbox)
}

/// Whether a text can name a host in a command.
pub fn is_host(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.chars().all(|one| one.is_ascii_alphanumeric() || one == '-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

impl Post {
    /// The sender's address.
    pub fn sender(&self) -> &str {
        self.from.email.as_ref()
    }

    /// The sender's domain.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// The sender and whom a letter goes to.
    pub fn envelope<'a>(&'a self, letter: &'a Letter) -> (&'a str, Vec<&'a str>) {
        let all = self.to(letter).iter().chain(&letter.copy);
        (self.sender(), all.map(|one| one.email.as_ref()).collect())
    }

    fn to<'a>(&'a self, letter: &'a Letter) -> &'a [Mailbox] {
        if letter.to.is_empty() { &self.to } else { &letter.to }
    }

    /// The Message-ID of a document: the same for the same document.
    pub fn id(&self, origin: &str, key: &str) -> String {
        let hash =
            hex::encode(Sha256::new().chain_update(origin).chain_update([0]).chain_update(key).finalize());
        format!("<{}@{}>", hash.get(..32).unwrap_or_default(), self.domain())
    }

    /// The message in bytes, lines ended by CR LF.
    pub fn message(&self, letter: &Letter, now_ms: i64) -> Result<Vec<u8>, Failure> {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        let subject = plain(&format!("{} {}", self.prefix, letter.subject), &[]);
        // RFC 3834: nobody's absence is to be answered to a machine.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let mut builder = Message::builder()
            .from(self.from.clone())
            .date(now)
            .message_id(Some(letter.id.clone()))
            .subject(notice::cut(subject.trim(), SUBJECT_BYTES_MAX))
            .header(MIME_VERSION_1_0)
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
        for to in self.to(letter) {
            builder = builder.to(to.clone());
        }
        for copy in &letter.copy {
            builder = builder.cc(copy.clone());
        }
        let text = plain(&letter.text, &['\n']);
        let message = if letter.files.is_empty() {
            builder.header(ContentType::TEXT_PLAIN).body(text)
        } else {
            let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(text));
            for file in &letter.files {
                parts = parts.singlepart(attachment(file)?);
            }
            builder.multipart(parts)
        };
        Ok(message.map_err(|error| unmade(&error))?.formatted())
    }
}

/// A file as a part of a message. Its name is ASCII without anything that could end a header.
fn attachment(file: &Attached) -> Result<SinglePart, Failure> {
    let kind = ContentType::parse(&file.media_type).map_err(|error| unmade(&error))?;
    let is_plain = |one: &char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    let name = file.name.chars().filter(is_plain).collect();
    Ok(Attachment::new(name).body(file.bytes.as_ref().clone(), kind))
}

fn unmade(error: &dyn std::fmt::Display) -> Failure {
    let fault =
        Fault::new(Code::Defect, format!("邮件无法生成：{error}"), format!("no mail can be made: {error}"));
    Failure::new(fault)
}

fn refused(field: &str, code: Code, zh: &str, en: &str) -> Failure {
    Failure::new(Fault::new(code, zh, en).at(field))
}

/// Blanks in place of control characters: a lone CR is no end of a line to one server, and is one to the next.
fn plain(text: &str, but: &[char]) -> String {
    text.chars().map(|one| if one.is_control() && !but.contains(&one) { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(from: &str, to: &[&str], prefix: &str) -> Result<Post, Vec<String>> {
        let mut wrong = Vec::new();
        let to: Vec<String> = to.iter().map(|one| (*one).to_owned()).collect();
        let post = post(from, &to, prefix, &mut |name, _, _| wrong.push(name.to_owned()));
        post.ok_or(wrong)
    }

    #[test]
    fn addresses_are_checked_and_cannot_hold_a_header() {
        let fine = "ops@example.com";
        for from in [fine, "通宝 <ops@example.com>", "Tongbao <ops@mail.example.com>", "ops@localhost"] {
            assert!(taken(from, &[fine], "[通宝]").is_ok(), "{from}");
        }
        for from in [
            "",
            "ops",
            "ops@",
            "@example.com",
            "ops@example.com\r\nBcc: x@evil.cn",
            "通宝\r\nBcc: x@evil.cn <ops@example.com>",
            "ops@example.com> SIZE=1",
            "ops@exa mple.com",
            "<ops@example.com>, x@evil.cn",
            "\"a b\"@example.com",
            "财务@example.com",
            "ops@[127.0.0.1]",
        ] {
            assert_eq!(taken(from, &[fine], "").err(), Some(vec!["from".to_owned()]), "{from:?}");
            assert_eq!(taken(fine, &[fine, from], "").err(), Some(vec!["to".to_owned()]), "{from:?}");
        }
        assert_eq!(taken(fine, &[], "").err(), Some(vec!["to".to_owned()]));
        assert_eq!(taken(fine, &[fine; 51], "").err(), Some(vec!["to".to_owned()]));
        assert_eq!(
            taken(fine, &[fine], "a\r\nBcc: x@evil.cn").err(),
            Some(vec!["subject_prefix".to_owned()])
        );
    }

    #[test]
    fn a_message_is_ascii_of_bounded_lines_whatever_is_in_it() {
        let post =
            taken("通宝 <ops@example.com>", &["a@example.com", "财务 <b@example.com>"], "[通宝]").unwrap();
        for (subject, text) in [
            ("单据挂起".to_owned(), "合同-1 挂起\n.\n..\n".to_owned()),
            ("a\r\nBcc: x@evil.cn".to_owned(), "a\r\n.\r\nMAIL FROM:<x@evil.cn>\r\n".to_owned()),
            ("单".repeat(1_000), "据".repeat(20_000)),
            ("x".repeat(2_000), "y".repeat(5_000)),
            ("a\rb\nc\0".to_owned(), "a\rb\nc\0d\u{7f}".to_owned()),
        ] {
            let letter = Letter {
                id: post.id("origin", "ops-1"),
                subject,
                text,
                to: Vec::new(),
                copy: Vec::new(),
                files: Vec::new(),
            };
            let message = String::from_utf8(post.message(&letter, 1_795_000_000_000).unwrap()).unwrap();
            assert!(message.is_ascii());
            let head = message.split("\r\n\r\n").next().unwrap();
            assert!(!head.contains("\nBcc"), "{head}");
            assert!(!message.replace("\r\n", "").contains(['\r', '\n']), "{message:?}");
            assert!(message.lines().all(|line| line.len() <= 998), "{message}");
        }
    }

    #[test]
    fn the_message_id_is_the_documents() {
        let post = taken("ops@example.com", &["a@example.com"], "").unwrap();
        let id = post.id("notices/ops/notice.due/ops-7", "ops-7");
        assert_eq!(id, post.id("notices/ops/notice.due/ops-7", "ops-7"));
        assert_ne!(id, post.id("notices/ops/notice.due/ops-8", "ops-8"));
        assert!(id.starts_with('<') && id.ends_with("@example.com>") && id.len() == 46, "{id}");
    }
}
