//! The section `statements`: how statements reach customers. Without it nothing is sent and no page is served.

use super::read::Reader;
use super::{Config, Flow};
use crate::statements::link::LinkKey;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tongbao_connect::settings::refuse_unknown;
use tongbao_model::decimal;
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::event::kinds;
use tongbao_model::yaml::Node;
use tongbao_recon::statement::drift::LIMIT;

const STATEMENTS: &[&str] = &[
    "to",
    "keys",
    "url",
    "link_days",
    "send",
    "remind",
    "seller",
    "credit_days",
    "copy",
    "customers",
    "drift_limit",
    "font",
];
const KEY: &[&str] = &["id", "secret"];
const SEND: &[&str] = &["day", "hour"];
const REMIND: &[&str] = &["after", "times"];
const CUSTOMER: &[&str] = &["email", "send", "drift_limit"];
/// Bytes of a secret that signs links: fewer could be guessed.
const SECRET_BYTES_MIN: usize = 16;
/// Connector that posts letters.
const CONNECTOR: &str = "mail";

/// Where the events of statements come from, as flows name it. No connection can have this name.
pub const SOURCE: &str = "tongbao/statements";

/// Day of the month and hour in China.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendAt {
    /// 1 to 28.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
}

/// When customers are reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remind {
    /// So long after the last letter, in milliseconds.
    pub after_ms: i64,
    /// At most so often for each revision.
    pub times: u32,
}

/// What is different for one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerRule {
    /// Where its statements go; empty: where its newest contract says.
    pub email: Vec<String>,
    /// Whether the schedule sends to it.
    pub send: bool,
    /// Above which share of the larger amount its books differ too much.
    pub drift_limit: Option<Decimal>,
}

/// How statements reach customers.
#[derive(Debug, Clone)]
pub struct StatementRules {
    /// Where the section stands in the file.
    pub place: Place,
    /// Connection that posts them.
    pub to: String,
    /// Secrets of links: the first one signs, all of them are known.
    pub keys: Vec<LinkKey>,
    /// Address under which customers reach this service; ends with `/`.
    pub url: String,
    /// Days that a link is good for.
    pub link_days: u32,
    /// When last month's statements are made and sent; `None`: only by hand.
    pub send: Option<SendAt>,
    /// Reminders; `None`: never.
    pub remind: Option<Remind>,
    /// Who issues them.
    pub seller: Option<String>,
    /// Days after its date for which an invoice is not due.
    pub credit_days: u32,
    /// Who gets a copy of each.
    pub copy: Vec<String>,
    /// Above which share of the larger amount two books differ too much.
    pub drift_limit: Decimal,
    /// By code of the customer.
    pub customers: BTreeMap<String, CustomerRule>,
    /// Font with Chinese for the PDF; one that is installed unless set.
    pub font: Option<PathBuf>,
}

/// The flow that carries statements: everything that is checked of a flow is checked of it.
pub fn flow(config: &Config) -> Option<Flow> {
    let rules = config.statements.as_ref()?;
    Some(Flow {
        name: "statement".to_owned(),
        place: rules.place,
        on: kinds::STATEMENT_DUE.to_owned(),
        from: Some(SOURCE.to_owned()),
        to: rules.to.clone(),
        mapping: None,
        emits: None,
    })
}

/// What names mean: the connection posts letters.
pub fn check(config: &Config, findings: &mut Findings) {
    let Some(rules) = &config.statements else { return };
    let connection = config.connections.iter().find(|connection| connection.name == rules.to);
    if connection.is_some_and(|connection| connection.connector != CONNECTOR) {
        findings.error(
            "connector-role",
            rules.place,
            format!("statements.to 须为 {CONNECTOR} 连接，{} 不是", rules.to),
            format!("`statements.to` must be a connection by `{CONNECTOR}`, and `{}` is none", rules.to),
        );
    }
}

impl Reader<'_> {
    /// Reads the section, if it is there.
    pub(super) fn statements(
        &mut self,
        node: Option<&Node>,
        public_url: Option<&str>,
        folder: &Path,
    ) -> Option<StatementRules> {
        let node = node?;
        refuse_unknown(node, STATEMENTS, self.findings);
        let to = self.required(node, "to", node.place);
        let keys = self.keys(node);
        let url = self.url_of(node, public_url);
        let link_days = self.within(node, "link_days", 30, 1, 366);
        let send = node.get("send").map(|node| {
            refuse_unknown(node, SEND, self.findings);
            // Every month has a 28th.
            let (day, hour) = (self.within(node, "day", 1, 1, 28), self.within(node, "hour", 9, 0, 23));
            SendAt { day: u8::try_from(day).unwrap_or(1), hour: u8::try_from(hour).unwrap_or(9) }
        });
        let remind = node.get("remind").map(|node| {
            refuse_unknown(node, REMIND, self.findings);
            let after_ms =
                self.said(node, "after", super::notices::duration_ms, "时长，如 5d", "a time such as 5d");
            Remind {
                after_ms: after_ms.unwrap_or(5 * 86_400_000),
                times: self.within(node, "times", 2, 1, 12),
            }
        });
        let seller = node.get("seller").and_then(|_| self.required(node, "seller", node.place));
        let font = node.get("font").and_then(|_| self.required(node, "font", node.place));
        let customers = self.customers(node);
        let credit_days = self.within(node, "credit_days", 0, 0, 3_650);
        let drift_limit = self.share(node).unwrap_or(LIMIT);
        let copy = self.all_of(node, "copy", address, "邮箱地址", "mail addresses");
        Some(StatementRules {
            place: node.place,
            to: to?,
            keys,
            // A finding says what is wrong with it, and the rest is looked at all the same.
            url: url.unwrap_or_default(),
            link_days,
            send,
            remind,
            seller,
            credit_days,
            copy,
            drift_limit,
            customers,
            font: font.map(|path| folder.join(path)),
        })
    }

    fn keys(&mut self, node: &Node) -> Vec<LinkKey> {
        let mut keys: Vec<LinkKey> = Vec::new();
        let Some(list) = node.get("keys") else {
            let _ = self.required(node, "keys", node.place);
            return keys;
        };
        if list.items().is_empty() {
            self.must_be(
                list.place,
                "keys",
                "列表，如 [{ id: k1, secret: { env: 变量名 } }]",
                "a list such as [{ id: k1, secret: { env: NAME } }]",
            );
        }
        for one in list.items() {
            refuse_unknown(one, KEY, self.findings);
            let id = self.required(one, "id", one.place);
            let secret: Option<secrecy::SecretString> = self.optional(one, "secret");
            if one.get("secret").is_none() {
                let _ = self.required(one, "secret", one.place);
            }
            let (Some(id), Some(secret)) = (id, secret) else { continue };
            if !super::read::is_name(&id) || keys.iter().any(|key| key.id == id) {
                self.must_be(
                    one.place,
                    "id",
                    "不重复的小写字母、数字、连字符",
                    "lower-case letters, digits and hyphens, each its own",
                );
            }
            if secret.expose_secret().len() < SECRET_BYTES_MIN && !self.environment.pretend {
                self.must_be(
                    one.place,
                    "secret",
                    &format!("至少 {SECRET_BYTES_MIN} 个字节"),
                    &format!("at least {SECRET_BYTES_MIN} bytes long"),
                );
            }
            keys.push(LinkKey { id, secret });
        }
        keys
    }

    /// Ends with `/`, so that a path can be put behind it.
    fn url_of(&mut self, node: &Node, public_url: Option<&str>) -> Option<String> {
        let own: Option<reqwest::Url> = self.optional(node, "url");
        let place = node.get("url").map_or(node.place, |inner| inner.place);
        let text = match (node.get("url").is_some(), own, public_url) {
            (true, own, _) => own?.to_string(),
            (false, _, Some(public)) => public.to_owned(),
            (false, _, None) => {
                self.wrong(
                    place,
                    "缺少 statements.url（或 server.public_url）：客户打开链接的地址",
                    "`statements.url` (or `server.public_url`) is missing: the address under which customers open their links",
                );
                return None;
            }
        };
        if !text.starts_with("https://") && !text.starts_with("http://") || text.contains(['?', '#']) {
            self.must_be(
                place,
                "url",
                "http 或 https 地址，不含 ? 与 #",
                "an http or https address without ? and #",
            );
            return None;
        }
        Some(format!("{}/", text.trim_end_matches('/')))
    }

    fn customers(&mut self, node: &Node) -> BTreeMap<String, CustomerRule> {
        let mut customers = BTreeMap::new();
        for entry in node.get("customers").map(Node::entries).unwrap_or_default() {
            let node = &entry.value;
            refuse_unknown(node, CUSTOMER, self.findings);
            let email = self.all_of(node, "email", address, "邮箱地址", "mail addresses");
            let yes = |text: &str| match text {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            };
            let send = self.said(node, "send", yes, " true 或 false", "true or false").unwrap_or(true);
            let drift_limit = self.share(node);
            customers.insert(entry.key.clone(), CustomerRule { email, send, drift_limit });
        }
        customers
    }

    fn share(&mut self, node: &Node) -> Option<Decimal> {
        self.said(node, "drift_limit", share, "百分数，如 5%", "a percentage such as 5%")
    }

    fn within(&mut self, node: &Node, key: &str, default: u32, least: u32, most: u32) -> u32 {
        let number = self.number(node, key, default);
        if !(least..=most).contains(&number) {
            let place = node.get(key).map_or(node.place, |inner| inner.place);
            self.must_be(place, key, &format!(" {least} 至 {most}"), &format!("from {least} to {most}"));
        }
        number
    }
}

/// `5%` or `0.5%` as a share, from nothing to all.
fn share(text: &str) -> Option<Decimal> {
    let percent = decimal::parse(text.strip_suffix('%')?).ok()?;
    let is_share = percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED && percent.scale() <= 4;
    is_share.then(|| percent.checked_mul(Decimal::new(1, 2))).flatten()
}

/// What can be an address; the connector looks closer when it posts.
fn address(text: &str) -> Option<String> {
    let (name, host) = text.split_once('@')?;
    let is_plain =
        text.is_ascii() && !text.contains(|one: char| one.is_control() || " <>,;\"\\".contains(one));
    (is_plain && !name.is_empty() && !host.is_empty() && !host.contains('@')).then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_addresses() {
        for (text, expected) in
            [("5%", Some("0.05")), ("0.5%", Some("0.005")), ("0%", Some("0")), ("100%", Some("1"))]
        {
            assert_eq!(
                share(text).map(|share| share.normalize()),
                expected.map(|text| text.parse().unwrap()),
                "{text}"
            );
        }
        for text in ["5", "0.05", "-1%", "101%", "%", "5 %", "0.00001%", "五%"] {
            assert_eq!(share(text), None, "{text}");
        }
        assert!(address("ap@customer.example.com").is_some());
        for text in ["ap", "@x", "a@", "a@b@c", "a b@c", "A <a@b>", "a@b\r\nBcc: c@d", "财@x"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
