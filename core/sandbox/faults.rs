//! Scripted faults: which call goes wrong, and how.
//!
//! A rule names a system, an operation, a business key and which matching call it means ("the 3rd Save"), or a rate.
//! Rates are decided from (seed, rule, system, operation, business key, how many times this key was called), so the
//! outcome of one document does not depend on the order in which concurrent calls arrive.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

use crate::world::lock;

/// One of the far sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// Kingdee Cloud Galaxy WebAPI.
    Kingdee,
    /// Nuonuo e-invoice platform.
    Nuonuo,
    /// The generic REST CRM.
    Crm,
    /// Jiandaoyun.
    Jdy,
    /// Yonyou U8 EAI.
    U8,
    /// Yonyou U8 OpenAPI.
    U8OpenApi,
    /// e签宝.
    Esign,
    /// 法大大 FASC.
    Fadada,
    /// WeCom group robot.
    Wecom,
    /// DingTalk group robot.
    Dingtalk,
    /// Mail server.
    Mail,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The work is committed, then the connection is closed without a byte of the answer.
    LostAnswerAfterCommit,
    /// The same symptom with nothing committed.
    LostBeforeCommit,
    /// The work is committed and the connection closes in the middle of the body.
    ResetMidBody,
    /// The answer takes `ms` milliseconds longer; the work is done even when the caller has gone.
    Slow {
        /// Extra milliseconds, bounded by `SandboxConfig::max_delay`.
        ms: u64,
        /// Commit first and then wait; otherwise wait first and then commit.
        #[serde(default)]
        after_commit: bool,
    },
    /// An HTTP error with an HTML body, as proxies send it.
    Http {
        /// Status code, e.g. 500, 502, 503, 504.
        status: u16,
        /// Value of `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
        /// Whether the work is committed before.
        #[serde(default)]
        after_commit: bool,
    },
    /// HTTP 403 with an empty body (the virtual directory is missing); nothing is committed.
    EmptyForbidden,
    /// HTTP 302 to an HTML page; nothing is committed.
    RedirectHtml,
    /// The session is gone: nothing is committed, the far side's own session-lost answer comes back.
    SessionDropped,
    /// Too many calls: Kingdee `MsgCode` 14, CRM 429 with `Retry-After`, Nuonuo E9999, U8 "系统忙".
    Throttled {
        /// Seconds for `Retry-After` where the protocol has it.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// The work is committed and the answer says "duplicate".
    DuplicateAccepted,
    /// `Audit` answers success but the bill is still in review (a workflow runs).
    AuditPending,
    /// `Audit` is refused by the business (credit limit, closed period); the bill stays in review.
    AuditFails {
        /// The message of the refusal; a credit-limit text when empty.
        #[serde(default)]
        message: String,
    },
    /// Another user has the document open; transient.
    EditLock,
    /// The user lacks the permission (Kingdee `MsgCode` 2).
    NoPermission,
    /// The user may not use the WebAPI at all (Kingdee `MsgCode` 11).
    WebApiForbidden,
    /// The JSON text ends in the middle; the HTTP framing is sound.
    TruncatedJson,
    /// The work is committed and the body is bytes that are no JSON in any charset.
    Garbage,
    /// The work is committed and the body comes in sixteen pieces with `ms` milliseconds before each.
    Drip {
        /// Milliseconds before each piece, all of them together bounded by `SandboxConfig::max_delay`.
        ms: u64,
    },
    /// The body starts with `response_error:`; nothing is committed.
    ResponseErrorPrefix,
    /// The content type names a charset the body is not in.
    BadCharset,
    /// The body starts with a UTF-8 byte-order mark.
    Bom,
    /// The body is gzip-compressed when the caller accepts that.
    Gzip,
    /// Asynchronous tasks started by this call never end.
    TaskNeverEnds,
    /// Asynchronous tasks started by this call are forgotten.
    TaskLost,
    /// Nuonuo: the invoice ends in status 22 with this cause.
    InvoiceFails {
        /// `failCause`.
        cause: String,
    },
    /// Nuonuo: the invoice ends in status 24 (issued, file missing).
    SealFails,
    /// U8: the answer says yes with an empty key, and nothing was written.
    NothingWritten,
    /// U8: a runtime error of the page stands in the answer.
    RuntimeError {
        /// Whether the work was committed before.
        #[serde(default)]
        after_commit: bool,
    },
    /// Another answer in place of the far side's own.
    Answer {
        /// HTTP status.
        status: u16,
        /// Content type.
        content_type: String,
        /// Body.
        body: String,
        /// Whether the work is committed before.
        #[serde(default)]
        after_commit: bool,
    },
    /// The work is committed and the answer begins with 33 MiB of blanks, which JSON allows.
    Oversize,
    /// The work is committed with a total of one cent more than it comes to.
    CentOff,
}

impl Fault {
    /// The name used in counters, same as the `kind` of the JSON form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LostAnswerAfterCommit => "lost_answer_after_commit",
            Self::LostBeforeCommit => "lost_before_commit",
            Self::ResetMidBody => "reset_mid_body",
            Self::Slow { .. } => "slow",
            Self::Http { .. } => "http",
            Self::EmptyForbidden => "empty_forbidden",
            Self::RedirectHtml => "redirect_html",
            Self::SessionDropped => "session_dropped",
            Self::Throttled { .. } => "throttled",
            Self::DuplicateAccepted => "duplicate_accepted",
            Self::AuditPending => "audit_pending",
            Self::AuditFails { .. } => "audit_fails",
            Self::EditLock => "edit_lock",
            Self::NoPermission => "no_permission",
            Self::WebApiForbidden => "web_api_forbidden",
            Self::TruncatedJson => "truncated_json",
            Self::Garbage => "garbage",
            Self::Drip { .. } => "drip",
            Self::ResponseErrorPrefix => "response_error_prefix",
            Self::BadCharset => "bad_charset",
            Self::Bom => "bom",
            Self::Gzip => "gzip",
            Self::TaskNeverEnds => "task_never_ends",
            Self::TaskLost => "task_lost",
            Self::InvoiceFails { .. } => "invoice_fails",
            Self::SealFails => "seal_fails",
            Self::NothingWritten => "nothing_written",
            Self::RuntimeError { .. } => "runtime_error",
            Self::Answer { .. } => "answer",
            Self::Oversize => "oversize",
            Self::CentOff => "cent_off",
        }
    }
}

/// A fault and the calls it hits. Absent conditions match everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Only this system.
    #[serde(default)]
    pub system: Option<System>,
    /// Only this operation, any letter case (`Save`, `Audit`, `requestBillingNew`, `PATCH contracts`).
    #[serde(default)]
    pub operation: Option<String>,
    /// Only calls that concern this business key (bill number, order number, record id).
    #[serde(default)]
    pub key: Option<String>,
    /// Only the n-th matching call, counted from 1.
    #[serde(default)]
    pub nth: Option<u64>,
    /// At most this many times.
    #[serde(default)]
    pub times: Option<u64>,
    /// Chance per million calls; absent means always.
    #[serde(default)]
    pub per_million: Option<u32>,
    /// What goes wrong.
    pub fault: Fault,
}

impl Rule {
    /// A rule that hits every call; narrow it with the other methods.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { system: None, operation: None, key: None, nth: None, times: None, per_million: None, fault }
    }

    /// Only `operation` of `system`.
    #[must_use]
    pub fn on(mut self, system: System, operation: &str) -> Self {
        self.system = Some(system);
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only calls about `key`.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only the n-th matching call, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// At most `times` times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// By chance, `per_million` of a million calls.
    #[must_use]
    pub fn per_million(mut self, per_million: u32) -> Self {
        self.per_million = Some(per_million);
        self
    }

    fn matches(&self, system: System, operation: &str, keys: &[String]) -> bool {
        self.system.is_none_or(|wanted| wanted == system)
            && self.operation.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(operation))
            && self.key.as_ref().is_none_or(|wanted| keys.iter().any(|key| key == wanted))
    }
}

#[derive(Default)]
struct Plan {
    rules: Vec<Scripted>,
    /// How often each (system, operation, first key) was called; only kept while a rate rule exists.
    calls: HashMap<(System, String, String), u32>,
    injected: BTreeMap<&'static str, u64>,
}

struct Scripted {
    rule: Rule,
    seen: u64,
    used: u64,
}

/// The running fault plan.
pub struct Faults {
    seed: u64,
    plan: Mutex<Plan>,
}

impl Faults {
    /// An empty plan.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, plan: Mutex::new(Plan::default()) }
    }

    /// Adds a rule; earlier rules win.
    pub fn add(&self, rule: Rule) {
        lock(&self.plan).rules.push(Scripted { rule, seen: 0, used: 0 });
    }

    /// Removes all rules and forgets how often keys were called; the counters stay.
    pub fn clear(&self) {
        let mut plan = lock(&self.plan);
        plan.rules.clear();
        plan.calls.clear();
    }

    /// How often each kind was injected.
    #[must_use]
    pub fn injected(&self) -> BTreeMap<String, u64> {
        lock(&self.plan).injected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
    }

    /// Decides about one call. Every rule that matches counts it, the first one that fires wins.
    pub(crate) fn decide(&self, system: System, operation: &str, keys: &[String]) -> Option<Fault> {
        let mut plan = lock(&self.plan);
        if plan.rules.is_empty() {
            return None;
        }
        let first = keys.first().cloned().unwrap_or_default();
        let call = if plan.rules.iter().any(|scripted| scripted.rule.per_million.is_some()) {
            let count = plan.calls.entry((system, operation.to_owned(), first.clone())).or_insert(0);
            *count += 1;
            *count
        } else {
            0
        };
        let mut chosen = None;
        for (index, scripted) in plan.rules.iter_mut().enumerate() {
            if !scripted.rule.matches(system, operation, keys) {
                continue;
            }
            scripted.seen += 1;
            if chosen.is_some()
                || scripted.rule.nth.is_some_and(|nth| nth != scripted.seen)
                || scripted.rule.times.is_some_and(|times| scripted.used >= times)
            {
                continue;
            }
            let fires = scripted.rule.per_million.is_none_or(|rate| {
                let text = format!("{}|{index}|{system:?}|{operation}|{first}|{call}", self.seed);
                fastrand::Rng::with_seed(hash(text.as_bytes())).u32(0..1_000_000) < rate
            });
            if fires {
                scripted.used += 1;
                chosen = Some(scripted.rule.fault.clone());
            }
        }
        if let Some(fault) = &chosen {
            *plan.injected.entry(fault.kind()).or_insert(0) += 1;
        }
        chosen
    }
}

/// FNV-1a, 64 bit: a stable hash, unlike the standard library's, whose keys differ from process to process.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |state, byte| {
        (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_the_nth_matching_call_only() {
        let faults = Faults::new(1);
        faults.add(Rule::new(Fault::EditLock).on(System::Kingdee, "save").nth(2));
        let call = |operation: &str| faults.decide(System::Kingdee, operation, &["SO1".to_owned()]);
        assert_eq!(call("Save"), None);
        assert_eq!(call("Audit"), None);
        assert_eq!(call("Save"), Some(Fault::EditLock));
        assert_eq!(call("Save"), None);
        assert_eq!(faults.injected().get("edit_lock"), Some(&1));
    }

    #[test]
    fn rates_do_not_depend_on_the_order_of_calls() {
        let run = |reverse: bool| {
            let faults = Faults::new(7);
            faults.add(Rule::new(Fault::LostAnswerAfterCommit).per_million(300_000));
            let mut keys: Vec<String> = (0..500).map(|n| format!("SO{n}")).collect();
            if reverse {
                keys.reverse();
            }
            let mut hit: Vec<String> = keys
                .into_iter()
                .filter(|key| faults.decide(System::Kingdee, "Save", std::slice::from_ref(key)).is_some())
                .collect();
            hit.sort();
            hit
        };
        let (one, two) = (run(false), run(true));
        assert_eq!(one, two);
        assert!((100..200).contains(&one.len()), "{} of 500 at 30 %", one.len());
    }

    #[test]
    fn a_rule_reads_from_json() {
        let rule: Rule = serde_json::from_str(
            r#"{"system":"kingdee","operation":"Audit","times":2,"fault":{"kind":"slow","ms":50}}"#,
        )
        .unwrap();
        assert_eq!(rule.fault, Fault::Slow { ms: 50, after_commit: false });
    }
}
