//! What the conformance kit needs to know of `esign`. The samples were signed with Python's `hmac`.

use super::client::RULES;
use tongbao_connect::kit::{Part, Place, Profile, Pushes, Refusals, Sample, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "esign",
    settings: "base_url: {url}\napp_id: '7438900001'\napp_secret: { env: APP_SECRET }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("APP_SECRET", "esign-sandbox-secret")],
    pushes: Part::Has(Pushes {
        samples: &[
            Sample {
                path: "/",
                query: &[("tenant", "t1")],
                headers: &[
                    ("x-tsign-open-app-id", "7438900001"),
                    ("x-tsign-open-timestamp", "1764561600456"),
                    (
                        "x-tsign-open-signature",
                        "ca98b9a47aea6438030e7dc9a78ca7a207d8fb0cc070c560128ceb4f2a93ccac",
                    ),
                    ("x-tsign-open-signature-algorithm", "hmac-sha256"),
                ],
                body: r#"{"action":"SIGN_FLOW_COMPLETE","timestamp":1764561600123,"signFlowId":"kit-flow-1","signFlowTitle":"销售合同 KIT","signFlowStatus":"2","statusDescription":"完成","signFlowFinishTime":1764561599000}"#,
                at_s: 1_764_561_600,
                documents: 1,
            },
            Sample {
                path: "/",
                query: &[],
                headers: &[
                    ("x-tsign-open-app-id", "7438900001"),
                    ("x-tsign-open-timestamp", "1764561600456"),
                    (
                        "x-tsign-open-signature",
                        "f7bfc020759f45078dae28249afcb30a3d41af0bb1bdce862761d84bede77cc9",
                    ),
                    ("x-tsign-open-signature-algorithm", "hmac-sha256"),
                ],
                body: r#"{"action":"SIGN_MISSON_COMPLETE","timestamp":1764561600000,"signFlowId":"kit-flow-1","signOrder":1,"signResult":2,"customBizNum":"HT-KIT-1"}"#,
                at_s: 1_764_561_600,
                documents: 1,
            },
        ],
        signed: &[Place::Header("x-tsign-open-timestamp"), Place::Header("x-tsign-open-signature")],
        window_s: 604_800,
    }),
    polls: Part::Lacks("只接收回调，不轮询", "takes callbacks, polls nothing"),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Lacks("电子签平台没有客户与物料档案", "keeps no customers and materials of an ERP"),
    writes: Part::Has(Writes {
        kind: "signature-status",
        document: r#"{"flow_id":"{key}","claimed":"signed","contract_number":"HT-{key}"}"#,
        total: None,
        writes: &[],
        reads: &["detail"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Lacks("每次请求单独签名，没有登录", "each request is signed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "detail",
        body: r#"{"code":{code},"message":"{text}","data":null}"#,
        examples: &[
            example(200, "1435011", "流程不存在", "rejected", Code::TargetRejected),
            example(200, "1436116", "用户未授权", "misconfigured", Code::TargetMisconfigured),
            example(200, "401", "TOKEN_CANT_BE_NULL", "unauthorized", Code::TargetUnauthorized),
            example(401, "401", "", "unauthorized", Code::TargetUnauthorized),
            example(403, "403", "", "unauthorized", Code::TargetUnauthorized),
            example(429, "429", "", "throttled", Code::TargetThrottled),
            example(302, "302", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "404", "", "misconfigured", Code::TargetMisconfigured),
            example(408, "408", "", "unavailable", Code::TargetUnavailable),
            example(500, "500", "", "unavailable", Code::TargetUnavailable),
            example(200, "1435001", "服务异常", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[(
        "amounts-read-back",
        "只查询签署状态，没有总额",
        "the status of a signature is asked for: there is no total",
    )],
};
