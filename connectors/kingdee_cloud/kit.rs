//! What the conformance kit needs to know of `kingdee-cloud`.

use super::reply::RULES;
use tongbao_connect::MasterKind;
use tongbao_connect::kit::{Login, MasterLists, Part, Polls, Profile, Refusals, StockOn, Writes, example};
use tongbao_model::Code;

/// The profile.
pub static PROFILE: Profile = Profile {
    system: "kingdee",
    settings: "base_url: {url}/k3cloud/\nacct_id: 64f0c0ffee0001\nuser_name: integration\n\
               app_id: 210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\napp_secret: { env: APP_SECRET }\n\
               timeout_ms: {timeout_ms}\n",
    secrets: &[("APP_SECRET", "0123456789abcdef0123456789abcdef"), ("PASSWORD", "sandbox-password")],
    pushes: Part::Lacks("金蝶不推送单据", "Kingdee pushes nothing"),
    polls: Part::Has(Polls { stream: "AR_RECEIVEBILL", operation: "ExecuteBillQuery" }),
    files: Part::Lacks("不读文件", "reads no files"),
    masters: Part::Has(MasterLists {
        lists: &[(MasterKind::Customers, "ExecuteBillQuery"), (MasterKind::Materials, "ExecuteBillQuery")],
        small: Some(
            "base_url: {url}/k3cloud/\nacct_id: 64f0c0ffee0001\nuser_name: integration\n\
             app_id: 210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\napp_secret: { env: APP_SECRET }\npage_rows: 3\n\
             timeout_ms: {timeout_ms}\n",
        ),
        stock: Part::Has(StockOn { operation: "ExecuteBillQuery" }),
    }),
    writes: Part::Has(Writes {
        kind: "SAL_SaleOrder",
        document: r#"{"FBillTypeID":{"FNUMBER":"XSDD01_SYS"},"FDate":"2026-11-20","FSaleOrgId":{"FNumber":"100"},
            "FCustId":{"FNumber":"CUST0001"},"FSalerId":{"FNumber":"SP0001"},"FNote":"合同 {key}",
            "FSaleOrderFinance":{"FSettleCurrId":{"FNumber":"PRE001"}},
            "FSaleOrderEntry":[
              {"FMaterialId":{"FNumber":"MAT0001"},"FQty":3,"FTaxPrice":113,"FEntryTaxRate":13,
               "FDeliveryDate":"2026-12-20"},
              {"FMaterialId":{"FNumber":"MAT0002"},"FQty":1,"FTaxPrice":100,"FEntryTaxRate":13,
               "FDeliveryDate":"2026-12-20"}]}"#,
        total: Some("439.00"),
        writes: &["Save", "Submit", "Audit"],
        reads: &["ExecuteBillQuery"],
        repeats: None,
        enough: &[],
    }),
    session: Part::Has(Login {
        settings: Some(
            "base_url: {url}/k3cloud/\nacct_id: 64f0c0ffee0001\nuser_name: integration\nauth: password\n\
             password: { env: PASSWORD }\ntimeout_ms: {timeout_ms}\n",
        ),
        operation: "ValidateUser",
        wrong: &[("PASSWORD", "no-such-password")],
    }),
    refusals: Part::Has(Refusals {
        rules: RULES,
        operation: "Save",
        body: r#"{"Result":{"ResponseStatus":{"ErrorCode":500,"IsSuccess":false,"Errors":[{"FieldName":"","Message":"{text}","DIndex":0}],"SuccessEntitys":[],"SuccessMessages":[],"MsgCode":{code}}}}"#,
        examples: &[
            example(200, "11", "编码唯一。[SO1]在当前系统中已经被使用。", "conflict", Code::NumberTaken),
            example(200, "13", "x", "throttled", Code::TargetLocked),
            example(200, "0", "业务操作冲突，请稍候再使用。", "throttled", Code::TargetLocked),
            example(200, "14", "接口调用次数超过限制", "throttled", Code::TargetThrottled),
            example(200, "2", "x", "unauthorized", Code::TargetUnauthorized),
            example(200, "11", "当前用户未指定允许调用WebAPI接口", "unauthorized", Code::TargetUnauthorized),
            example(200, "7", "许可不足", "throttled", Code::TargetThrottled),
            example(200, "6", "x", "unknown", Code::OutcomeUnknown),
            example(200, "0", "数据库执行异常", "unknown", Code::OutcomeUnknown),
            example(200, "8", "接口参数data不能为空", "misconfigured", Code::TargetMisconfigured),
            example(
                200,
                "9",
                "元数据中标识为FNoSuch的字段不存在",
                "misconfigured",
                Code::TargetMisconfigured,
            ),
            example(200, "9", "编码值不存在", "rejected", Code::TargetRejected),
        ],
    }),
    cannot: &[],
};
