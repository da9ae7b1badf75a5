//! What the conformance kit needs to know of `webhook`. The samples were signed with Python's `hmac`.

use tongbao_connect::kit::{Part, Place, Profile, Pushes, Refusals, Sample, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "crm",
    settings: "secret: { env: SECRET }\nbase_url: {url}/crm/\ntoken: { env: TOKEN }\ntimeout_ms: {timeout_ms}\n\
               operations:\n  order_back: PATCH /contracts/{key}\n",
    secrets: &[("SECRET", "crm-push-secret"), ("TOKEN", "crm-sandbox-token")],
    pushes: Part::Has(Pushes {
        samples: &[
            Sample {
                path: "/contract",
                query: &[],
                headers: &[
                    ("x-tongbao-timestamp", "1764561600"),
                    (
                        "x-tongbao-signature",
                        "sha256=fc52f14ae6cbd6f89d5a30e3b88fe4c790cca43f694b1e152cba0fe273e5be08",
                    ),
                ],
                body: r#"{"number":"HT-2026-001","customer":{"name":"宁波样例贸易有限公司"},"total":439.00}"#,
                at_s: 1_764_561_600,
                documents: 1,
            },
            Sample {
                path: "/contract",
                query: &[],
                headers: &[
                    ("x-tongbao-timestamp", "1764561600"),
                    (
                        "x-tongbao-signature",
                        "sha256=347e0d76e3f34e3ba664b3169a16e327ae92e4d03cea091fec775e5eaa7b6b25",
                    ),
                ],
                body: r#"[{"number":"HT-2026-002","total":1.10},{"number":"HT-2026-003","total":2.20}]"#,
                at_s: 1_764_561_600,
                documents: 2,
            },
        ],
        signed: &[Place::Header("x-tongbao-timestamp"), Place::Header("x-tongbao-signature")],
        window_s: 300,
    }),
    polls: Part::Lacks("只接收推送，不轮询", "takes pushes, polls nothing"),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Lacks(
        "它是来源一侧：编码从单据中得知",
        "is the side that codes are translated from: documents name them",
    ),
    writes: Part::Has(Writes {
        kind: "order_back",
        document: r#"{"erp_number":"SO-{key}","paid":"439.00","stage":"signed"}"#,
        total: None,
        writes: &["PATCH contracts"],
        reads: &["GET contracts"],
        repeats: None,
        enough: &[
            (
                "an empty body under 200",
                "REST 常以空正文应答成功",
                "plain REST answers a success with no body",
            ),
            (
                "other JSON under 200",
                "REST 应答的形状由各系统自定",
                "each REST system answers in a shape of its own",
            ),
            (
                "a JSON scalar under 200",
                "REST 应答的形状由各系统自定",
                "each REST system answers in a shape of its own",
            ),
        ],
    }),
    session: Part::Lacks("令牌是固定的，没有登录", "the token is fixed, there is no login"),
    refusals: Part::Has(Refusals {
        rules: &[],
        operation: "PATCH contracts",
        body: r#"{"error":{"code":"{code}","message":"{text}"}}"#,
        examples: &[
            example(302, "moved", "", "misconfigured", Code::TargetMisconfigured),
            example(400, "bad_request", "no JSON", "rejected", Code::TargetRejected),
            example(401, "unauthorized", "wrong token", "unauthorized", Code::TargetUnauthorized),
            example(403, "forbidden", "", "unauthorized", Code::TargetUnauthorized),
            example(404, "not_found", "no such record", "misconfigured", Code::TargetMisconfigured),
            example(408, "timeout", "", "unknown", Code::OutcomeUnknown),
            example(409, "conflict", "edited", "unknown", Code::OutcomeUnknown),
            example(422, "unprocessable", "stage must not be empty", "rejected", Code::TargetRejected),
            example(429, "too_many_requests", "", "throttled", Code::TargetThrottled),
            example(500, "internal", "", "unknown", Code::OutcomeUnknown),
        ],
    }),
    cannot: &[(
        "amounts-read-back",
        "写回的是状态，任意 REST 系统没有约定的总额字段",
        "states are written; a REST system of any kind has no agreed total",
    )],
};
