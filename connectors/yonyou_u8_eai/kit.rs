//! What the conformance kit needs to know of `yonyou-u8-eai`.

use super::reply::RULES;
use tongbao_connect::MasterKind;
use tongbao_connect::kit::{MasterLists, Part, Polls, Profile, Refusals, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "u8",
    settings: "url: {url}/U8EAI/import.asp\nsender: { env: SENDER }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("SENDER", "u8-sandbox-sender")],
    pushes: Part::Lacks("U8 不推送单据", "U8 pushes nothing"),
    polls: Part::Has(Polls { stream: "accept_entry", operation: "query accept" }),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Has(MasterLists {
        lists: &[(MasterKind::Customers, "query customer"), (MasterKind::Materials, "query inventory")],
        small: None,
        stock: Part::Lacks("EAI 没有现存量的单据", "no EAI document holds stock on hand"),
    }),
    writes: Part::Has(Writes {
        kind: "saleorder",
        document: r#"{"date":"2026-11-20","typecode":"01","businesstype":"普通销售","custcode":"CUST0001",
            "deptcode":"0201","personcode":"SP0001","currency":"人民币","currencyrate":1,"taxrate":13,"maker":"demo",
            "memo":"合同 {key}","entry":[
              {"inventorycode":"MAT0001","quantity":3,"taxunitprice":113,"money":300,"tax":39,"sum":339,
               "taxrate":13,"dpredate":"2026-12-20","bgift":false},
              {"inventorycode":"MAT0002","quantity":1,"taxunitprice":100,"money":88.5,"tax":11.5,"sum":100,
               "taxrate":13,"dpredate":"2026-12-20","bgift":false}]}"#,
        total: Some("439.00"),
        writes: &["add saleorder"],
        reads: &["query saleorder"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Lacks(
        "EAI 没有登录，每次调用自带注册编码",
        "EAI has no login: every call carries the registered code",
    ),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "add saleorder",
        body: r#"<?xml version="1.0" encoding="utf-8"?><ufinterface roottag="return" receiver="x" sender="u8"><item key="" succeed="{code}" dsc="{text}" u8key="" /></ufinterface>"#,
        examples: &[
            example(200, "101", "x", "conflict", Code::NumberTaken),
            example(200, "1", "单据号已经存在", "conflict", Code::NumberTaken),
            example(200, "1", "系统忙，请稍后再试", "throttled", Code::TargetThrottled),
            example(200, "1", "运行时错误 91", "unknown", Code::OutcomeUnknown),
            example(200, "1", "数据库没有提供的字段 x", "misconfigured", Code::TargetMisconfigured),
            example(200, "1", "暂不提供此项功能", "misconfigured", Code::TargetMisconfigured),
            example(200, "1", "外部系统未注册！", "unauthorized", Code::TargetUnauthorized),
            example(200, "1", "该客户不合法", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[],
};
