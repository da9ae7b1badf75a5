//! One call: an envelope out, a tree back.

use super::U8Settings;
use super::documents::Kind;
use super::reply::{self, Items, Refusal};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::sync::Semaphore;
use tongbao_connect::xml::{self, Element};
use tongbao_connect::{Context, Failure, Sent};
use tongbao_model::{Code, Fault};

/// A condition of a query: a database column, an operator, a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub column: String,
    pub operator: String,
    pub value: String,
}

impl Condition {
    pub fn new(column: &str, operator: &str, value: impl Into<String>) -> Self {
        Condition { column: column.to_owned(), operator: operator.to_owned(), value: value.into() }
    }

    /// `cCheckMan <> ''` or `iPeriod > 0`; `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, ' ');
        let (column, operator) = (parts.next()?, parts.next()?);
        let value = parts.next()?.trim();
        let known = ["=", "<>", "<", "<=", ">", ">=", "like"];
        let is_column =
            !column.is_empty() && column.chars().all(|one| one.is_ascii_alphanumeric() || one == '_');
        let value = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(value);
        let is_known = known.iter().any(|one| one.eq_ignore_ascii_case(operator));
        (is_column && is_known).then(|| Condition::new(column, operator, value))
    }
}

/// A connection's client, shared by its workers.
pub struct EaiClient {
    pub settings: U8Settings,
    pub context: Context,
    writes: Semaphore,
}

impl EaiClient {
    pub fn new(settings: U8Settings, context: Context) -> Self {
        let at_once = usize::try_from(settings.writes_at_once).unwrap_or(1).max(1);
        EaiClient { settings, context, writes: Semaphore::new(at_once.min(Semaphore::MAX_PERMITS)) }
    }

    /// Adds a document. `Err` outside: no readable answer, so nobody knows. `Err` inside: it was refused.
    pub async fn add(
        &self,
        kind: &Kind,
        document: Element,
        date: Option<&str>,
    ) -> Result<Result<Items, Refusal>, Failure> {
        // Closed never: the permit always comes.
        let _permit = self.writes.acquire().await.ok();
        let mut envelope = self.envelope(kind.name, "add");
        if kind.name == "voucher" {
            // Of the six combinations that are legal these two add a fresh voucher.
            let renumber = if self.settings.voucher_renumber { "y" } else { "n" };
            envelope = envelope.with("renewproofno", renumber).with("newadd", "y").with("import", "n");
        }
        if let Some((year, month, day)) = date.filter(|_| self.settings.dynamic_date).and_then(split_date) {
            envelope = envelope.with("dynamicdate", format!("{month}/{day}/{year}"));
        }
        let answer = self.send(&envelope.child(document)).await?;
        reply::items(&answer)
    }

    /// Asks for documents of a kind. The far side's filter is not trusted: the caller filters again. `true` with it: so
    /// many came that there may be more.
    pub async fn query(
        &self,
        kind: &Kind,
        conditions: &[Condition],
    ) -> Result<(Vec<Element>, bool), Failure> {
        self.query_at_most(kind, conditions, self.settings.max_items).await
    }

    /// The same with another bound than `max_items`.
    pub async fn query_at_most(
        &self,
        kind: &Kind,
        conditions: &[Condition],
        max: u64,
    ) -> Result<(Vec<Element>, bool), Failure> {
        let mut asked = Element::new(kind.name)
            .with("importfile", "")
            .with("exportfile", "")
            .with("code", "")
            .with("bincrementout", "n");
        for (index, condition) in conditions.iter().enumerate() {
            let logic = if index + 1 < conditions.len() { "and" } else { "" };
            asked.push(
                Element::new("field")
                    .with("display", "")
                    .with("name", condition.column.as_str())
                    .with("operation", condition.operator.as_str())
                    .with("value", condition.value.as_str())
                    .with("logic", logic),
            );
        }
        let max = max.max(2);
        let envelope = self.envelope(kind.name, "query").with("maxdataitems", max.to_string()).child(asked);
        let answer = self.send(&envelope).await.map_err(Failure::of_question)?;
        let found = reply::documents(&answer, kind.name).map_err(Failure::of_question)?;
        let is_full = u64::try_from(found.len()).is_ok_and(|count| count >= max);
        Ok((found, is_full))
    }

    fn envelope(&self, roottag: &str, operation: &str) -> Element {
        let yes = |flag: bool| if flag { "Y" } else { "N" };
        let envelope = Element::new("ufinterface")
            .with("sender", self.settings.sender.expose_secret())
            .with("receiver", self.settings.receiver.as_str())
            .with("roottag", roottag)
            // An echo of another message, from a cache or a mixed-up proxy, is no answer to this one.
            .with("docid", format!("{:016x}", (self.context.random)()))
            .with("proc", operation)
            .with("codeexchanged", yes(self.settings.codes_exchanged))
            .with("exportneedexch", "N");
        if self.settings.version.is_empty() {
            envelope
        } else {
            envelope.with("version", self.settings.version.as_str())
        }
    }

    async fn send(&self, envelope: &Element) -> Result<Element, Failure> {
        // What XML cannot hold stands in the document: the sender can correct it.
        let charset = self.settings.request_charset();
        let body =
            xml::write(envelope, charset).map_err(|error| Failure::new(error.fault(Code::FieldType)))?;
        let sent = Sent {
            method: reqwest::Method::POST,
            url: self.settings.url.clone(),
            headers: vec![("content-type".into(), format!("application/xml; charset={}", charset.label()))],
            body: body.into(),
            timeout: Duration::from_millis(self.settings.timeout_ms),
        };
        let reply = self.context.http.send(sent).await.map_err(|error| Failure::new(error.fault()))?;
        let answer = reply::read(&reply, self.settings.response_charset())?;
        let echo = answer.attribute("docid").unwrap_or_default();
        if !echo.is_empty() && Some(echo) != envelope.attribute("docid") {
            return Err(Failure::new(Fault::new(
                Code::OutcomeUnknown,
                "U8 的答复属于另一条报文",
                "U8's answer belongs to another message",
            )));
        }
        Ok(answer)
    }
}

/// Year, month and day of `2026-01-05` with or without a time.
fn split_date(text: &str) -> Option<(&str, &str, &str)> {
    let date = text.get(..10)?;
    let mut parts = date.split('-');
    let split = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(split.0) && digits(split.1) && digits(split.2)).then_some(split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        assert_eq!(Condition::parse("cCheckMan <> ''"), Some(Condition::new("cCheckMan", "<>", "")));
        assert_eq!(Condition::parse("cMemo like a b%"), Some(Condition::new("cMemo", "like", "a b%")));
        for text in ["", "a", "a =", "a;b = 1", "a drop b", "a=1"] {
            assert_eq!(Condition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_split() {
        assert_eq!(split_date("2026-01-05 08:00:00"), Some(("2026", "01", "05")));
        assert_eq!(split_date("20260105"), None);
        assert_eq!(split_date("2026/01/05"), None);
    }
}
