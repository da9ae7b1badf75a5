//! What the conformance kit needs to know of `nuonuo`.

use super::client::RULES;
use tongbao_connect::kit::{Login, Part, Profile, Refusals, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "nuonuo",
    settings: "base_url: {url}/open/v1/services\ntoken_url: {url}/accessToken\napp_key: '94729384'\n\
               app_secret: { env: APP_SECRET }\ntax_number: '339902999999789113'\nseller_phone: 0571-00000000\n\
               seller_address: 杭州市示例路1号\nclerk: 开票员\ntimeout_ms: {timeout_ms}\n",
    secrets: &[("APP_SECRET", "A1B2C3D4E5F60718")],
    pushes: Part::Lacks(
        "回调无签名，只当提示，不产生单据",
        "callbacks are unsigned: hints, from which no document is made",
    ),
    polls: Part::Lacks("没有可轮询的清单", "there is no list to poll"),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Lacks("开票平台没有客户与物料编码", "knows no codes of customers and materials"),
    writes: Part::Has(Writes {
        kind: "invoice",
        document: r#"{"orderNo":"{key}","invoiceLine":"bs","invoiceDate":"2026-11-01 10:00:00",
            "buyerName":"宁波样例贸易有限公司","buyerTaxNum":"91330200MA0000000X","remark":"合同",
            "invoiceDetail":[
              {"goodsName":"软件平台","goodsCode":"1060201010000000000","price":"1000","num":"1","unit":"套",
               "taxRate":"0.13","taxIncludedAmount":"1000.00","taxExcludedAmount":"884.96","tax":"115.04",
               "discount":"-125.00"},
              {"goodsName":"实施服务","taxRate":"0.06","taxIncludedAmount":"100.00",
               "taxExcludedAmount":"94.34","tax":"5.66"}]}"#,
        total: Some("975.00"),
        writes: &["requestBillingNew"],
        reads: &["queryInvoiceResult"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Has(Login {
        settings: None,
        operation: "accessToken",
        wrong: &[("APP_SECRET", "FFFFFFFFFFFFFFFF")],
    }),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "requestBillingNew",
        body: r#"{"code":"{code}","describe":"{text}","result":null}"#,
        examples: &[
            // The query does not know the order: it is waited for, not sent again.
            example(200, "E9106", "订单编号重复", "throttled", Code::TargetThrottled),
            example(200, "E9500", "未查到", "unavailable", Code::TargetUnavailable),
            example(200, "E9613", "当日重试次数过多", "throttled", Code::TargetThrottled),
            example(200, "070304", "access_token不正确", "unauthorized", Code::TargetUnauthorized),
            example(200, "070306", "获取token次数已用完", "unauthorized", Code::TargetUnauthorized),
            example(200, "070101", "appKey不合法", "misconfigured", Code::TargetMisconfigured),
            example(200, "E9999", "签名验证失败", "unauthorized", Code::TargetUnauthorized),
            example(200, "E9999", "请求过于频繁", "throttled", Code::TargetThrottled),
            example(200, "E9999", "申请号重复", "throttled", Code::TargetThrottled),
            example(200, "E9999", "系统异常", "unknown", Code::OutcomeUnknown),
            example(200, "E0012", "税号不合法", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[],
};
