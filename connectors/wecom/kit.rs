//! What the conformance kit needs to know of `wecom`.

use super::RULES;
use tongbao_connect::kit::{Part, Profile, Refusals, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "wecom",
    settings: "base_url: {url}\nkey: { env: KEY }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("KEY", "wecom-sandbox-key")],
    pushes: Part::Lacks("只发不收", "sends only"),
    polls: Part::Lacks("只发不收", "sends only"),
    files: Part::Lacks("只发不收", "sends only"),
    writes: Part::Has(Writes {
        kind: "notice",
        document: NOTICE,
        total: None,
        writes: &["send"],
        reads: &[],
        enough: &[],
        repeats: Some((
            "机器人不能查询：可能丢失的消息会再发一次",
            "a robot cannot be asked: what may be lost is sent again",
        )),
    }),
    session: Part::Lacks("key 是固定的，没有登录", "the key is fixed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "send",
        body: r#"{"errcode":{code},"errmsg":"{text}"}"#,
        examples: &[
            example(200, "-1", "system busy", "unknown", Code::OutcomeUnknown),
            example(200, "45009", "api freq out of limit", "throttled", Code::TargetThrottled),
            example(200, "93000", "invalid webhook url", "unauthorized", Code::TargetUnauthorized),
            example(200, "40008", "invalid message type", "rejected", Code::TargetRejected),
            example(302, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(500, "0", "", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[("amounts-read-back", "消息没有金额", "a message has no amount")],
};

/// A notice of one line.
const NOTICE: &str = r#"{"number":"{key}","rule":"ops","severity":"warning","title":"通宝：2 张单据挂起",
    "title_en":"Tongbao: 2 documents are parked","from":"2026-11-22T15:00:00+08:00","to":"2026-11-22T15:05:00+08:00",
    "total":2,"lines":[{"what":"parked","connection":"erp","code":"code-table-miss","owner":"finance","count":2,
    "examples":"HT-1, HT-2","since":"2026-11-22T15:00:00+08:00"}],"more":0}"#;
