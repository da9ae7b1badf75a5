//! What the conformance kit needs to know of `fadada`. The sample was signed with Python's `hmac`.

use super::client::RULES;
use tongbao_connect::kit::{Login, Part, Place, Profile, Pushes, Refusals, Sample, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "fadada",
    settings: "base_url: {url}/api/v5\napp_id: '80001234'\napp_secret: { env: APP_SECRET }\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("APP_SECRET", "fadada-sandbox-secret")],
    pushes: Part::Has(Pushes {
        samples: &[Sample {
            path: "/",
            query: &[],
            headers: &[
                ("x-fasc-app-id", "80001234"),
                ("x-fasc-event", "sign-task-finished"),
                ("x-fasc-nonce", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
                ("x-fasc-sign-type", "HMAC-SHA256"),
                ("x-fasc-timestamp", "1764561600000"),
                ("x-fasc-sign", "8f443274b04d3ef061fb1f459cbe9918fac35011a9b4430a34f9f0faa4192611"),
            ],
            body: "bizContent=%7B%22eventTime%22%3A%221764561600000%22%2C%22signTaskId%22%3A%22kit-task-1%22%2C%22signTaskStatus%22%3A%22task_finished%22%2C%22transReferenceId%22%3A%22HT-KIT-1%22%7D",
            at_s: 1_764_561_600,
            documents: 1,
        }],
        signed: &[
            Place::Header("x-fasc-app-id"),
            Place::Header("x-fasc-event"),
            Place::Header("x-fasc-nonce"),
            Place::Header("x-fasc-sign-type"),
            Place::Header("x-fasc-timestamp"),
            Place::Header("x-fasc-sign"),
        ],
        window_s: 300,
    }),
    polls: Part::Lacks("只接收回调，不轮询", "takes callbacks, polls nothing"),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Lacks("电子签平台没有客户与物料档案", "keeps no customers and materials of an ERP"),
    writes: Part::Has(Writes {
        kind: "signature-status",
        document: r#"{"flow_id":"{key}","claimed":"signed","contract_number":"HT-{key}"}"#,
        total: None,
        writes: &[],
        reads: &["get-detail"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Has(Login {
        settings: None,
        operation: "get-access-token",
        wrong: &[("APP_SECRET", "another-fadada-secret")],
    }),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "get-detail",
        body: r#"{"code":"{code}","msg":"{text}","data":null}"#,
        examples: &[
            example(401, "100002", "accessToken已过期", "unauthorized", Code::TargetUnauthorized),
            example(200, "100012", "请求头缺少参数", "misconfigured", Code::TargetMisconfigured),
            example(200, "100016", "IP不在白名单", "unauthorized", Code::TargetUnauthorized),
            example(200, "210001", "签署任务不存在", "rejected", Code::TargetRejected),
            example(200, "100001", "签名错误", "unauthorized", Code::TargetUnauthorized),
            example(401, "0", "", "unauthorized", Code::TargetUnauthorized),
            example(403, "0", "", "unauthorized", Code::TargetUnauthorized),
            example(429, "0", "", "throttled", Code::TargetThrottled),
            example(302, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(404, "0", "", "misconfigured", Code::TargetMisconfigured),
            example(408, "0", "", "unavailable", Code::TargetUnavailable),
            example(500, "0", "", "unavailable", Code::TargetUnavailable),
            example(200, "100001", "系统异常", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[
        (
            "signature-bytes",
            "签名针对表单解码后的 bizContent，与表单的编码方式无关",
            "the signature is over `bizContent` as it was before it was put into the form",
        ),
        (
            "amounts-read-back",
            "只查询签署状态，没有总额",
            "the status of a signature is asked for: there is no total",
        ),
    ],
};
