//! What the conformance kit needs to know of `yonyou-u8-openapi`.

use super::reply::RULES;
use tongbao_connect::MasterKind;
use tongbao_connect::kit::{Login, MasterLists, Part, Polls, Profile, Refusals, StockOn, Writes, example};
use tongbao_model::Code;

/// The profile: orders are added in the background and then approved.
pub static PROFILE: Profile = Profile {
    system: "u8-openapi",
    settings: "base_url: {url}/u8open/\nfrom_account: sandbox-caller\nto_account: test_sandbox\n\
               app_key: opa0123456789abcdef\napp_secret: { env: APP_SECRET }\nverify: true\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("APP_SECRET", "u8-openapi-sandbox-secret")],
    pushes: Part::Lacks("U8 不推送单据", "U8 pushes nothing"),
    polls: Part::Has(Polls { stream: "accept", operation: "acceptlist/batch_get" }),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Has(MasterLists {
        lists: &[
            (MasterKind::Customers, "customer/batch_get"),
            (MasterKind::Materials, "inventory/batch_get"),
        ],
        small: Some(
            "base_url: {url}/u8open/\nfrom_account: sandbox-caller\nto_account: test_sandbox\n\
             app_key: opa0123456789abcdef\napp_secret: { env: APP_SECRET }\nrows_per_page: 3\n\
             timeout_ms: {timeout_ms}\n",
        ),
        stock: Part::Has(StockOn { operation: "currentstock/batch_get" }),
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
        writes: &["saleorder/add", "saleorder/verify"],
        reads: &["saleorder/get"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Has(Login {
        settings: None,
        operation: "token",
        wrong: &[("APP_SECRET", "FFFFFFFFFFFFFFFF")],
    }),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "saleorder/add",
        body: r#"{"errcode":"{code}","errmsg":"{text}"}"#,
        examples: &[
            example(200, "30025", "操作正在执行", "throttled", Code::TargetThrottled),
            example(200, "20005", "单据号已经存在", "conflict", Code::NumberTaken),
            example(200, "20005", "系统忙，请稍后再试", "throttled", Code::TargetThrottled),
            example(200, "20005", "运行时错误 91", "unknown", Code::OutcomeUnknown),
            example(200, "20005", "数据库没有提供的字段 x", "misconfigured", Code::TargetMisconfigured),
            example(200, "20005", "该客户不合法", "rejected", Code::TargetRejected),
            example(200, "10001", "平台错误", "unknown", Code::OutcomeUnknown),
            example(200, "7", "token已过期", "unauthorized", Code::TargetUnauthorized),
            example(200, "7", "没有权限", "unauthorized", Code::TargetUnauthorized),
            example(200, "7", "调用过于频繁", "throttled", Code::TargetThrottled),
            example(200, "7", "代理未启动", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[],
};
