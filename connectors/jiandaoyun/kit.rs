//! What the conformance kit needs to know of `jiandaoyun`. The sample was signed with Python's `hashlib`.

use super::reply::RULES;
use tongbao_connect::kit::{Part, Place, Profile, Pushes, Refusals, Sample, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "jdy",
    settings: "secret: { env: SECRET }\nkinds: { form1: contract }\nbase_url: {url}/jdy/\napi_key: { env: KEY }\n\
               entries: { order_back: app1/form1 }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("SECRET", "jdy-secret"), ("KEY", "jdy-sandbox-key")],
    pushes: Part::Has(Pushes {
        samples: &[Sample {
            path: "/",
            query: &[("timestamp", "1764561600"), ("nonce", "kit-nonce-1")],
            headers: &[
                ("x-jdy-signature", "cf6613d8376fc43fa39b3be549cd3b40f248c7f8"),
                ("x-jdy-deliverid", "6564a1-1"),
            ],
            body: r#"{"op":"data_update","data":{"_id":"6564a1","entryId":"form1","flowState":1,"amount":12000.10,"customer":"宁波样例贸易有限公司"},"opTime":1764561600000}"#,
            at_s: 1_764_561_600,
            documents: 1,
        }],
        signed: &[Place::Query("timestamp"), Place::Query("nonce"), Place::Header("x-jdy-signature")],
        window_s: 600,
    }),
    polls: Part::Lacks("只接收推送，不轮询", "takes pushes, polls nothing"),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Lacks(
        "它是来源一侧：编码从单据中得知",
        "is the side that codes are translated from: documents name them",
    ),
    writes: Part::Has(Writes {
        kind: "order_back",
        document: r#"{"data_id":"{key}","erp_number":"SO-{key}","_widget_2":439.00}"#,
        total: None,
        writes: &["update"],
        reads: &["get"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Lacks("API Key 是固定的，没有登录", "the API key is fixed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "update",
        body: r#"{"code":{code},"msg":"{text}"}"#,
        examples: &[
            example(400, "8301", "API Key 无效", "unauthorized", Code::TargetUnauthorized),
            example(400, "8303", "请求频率超限", "throttled", Code::TargetThrottled),
            example(400, "4001", "数据不存在", "rejected", Code::TargetRejected),
            example(401, "0", "", "unauthorized", Code::TargetUnauthorized),
            example(403, "0", "", "unauthorized", Code::TargetUnauthorized),
            example(429, "0", "", "throttled", Code::TargetThrottled),
            example(302, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(409, "0", "", "unknown", Code::OutcomeUnknown),
            example(400, "3000", "请求参数不合法", "rejected", Code::TargetRejected),
            example(500, "0", "", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[(
        "amounts-read-back",
        "写回的是表单字段，没有总额",
        "widgets of a form are written: there is no total",
    )],
};
