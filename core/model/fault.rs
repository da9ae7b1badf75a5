//! Faults: what went wrong with one document, in words for people, under a code that never changes.
//!
//! A fault names the field, the value (masked where it may be personal) and the way out. Each code has a
//! page in `faults/<code>.md`; a test keeps the list and the folder together.

use crate::class::{Class, Owner};
use crate::mask;
use serde::{Deserialize, Serialize};

/// A sentence in the product's two languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Text {
    /// Both languages at once.
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Text { zh: zh.into(), en: en.into() }
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} / {}", self.zh, self.en)
    }
}

/// One thing that went wrong with one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which kind of fault.
    pub code: Code,
    /// Path of the field it is about, in the document that was read or written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The offending value, shortened; never a secret, never personal data.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
    /// What happened.
    pub message: Text,
    /// What to do about it.
    pub remedy: Text,
}

impl Fault {
    /// A fault with the remedy its code usually has.
    pub fn new(code: Code, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Fault { code, field: None, value: None, message: Text::new(zh, en), remedy: code.remedy() }
    }

    /// Names the field. A field that may hold secrets or personal data takes its value off again.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        if mask::is_hidden(&field) {
            self.value = None;
        }
        self.field = Some(field);
        self
    }

    /// Shows the value, cut to 80 characters; not that of a field that may hold secrets or personal data.
    pub fn value(mut self, value: impl AsRef<str>) -> Self {
        if self.field.as_deref().is_some_and(mask::is_hidden) {
            return self;
        }
        let text = value.as_ref();
        let short: String = text.chars().take(80).collect();
        self.value = Some(if short.len() < text.len() { format!("{short}…") } else { short });
        self
    }

    /// Replaces the usual remedy by a more exact one.
    pub fn remedy(mut self, zh: impl Into<String>, en: impl Into<String>) -> Self {
        self.remedy = Text::new(zh, en);
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "[{}]", self.code)?;
        if let Some(field) = &self.field {
            write!(out, " {field}")?;
        }
        if let Some(value) = &self.value {
            write!(out, " = {value:?}")?;
        }
        write!(out, ": {}", self.message)
    }
}

impl std::error::Error for Fault {}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $class:expr, $zh:literal, $en:literal;)+) => {
        /// The closed list of fault codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code, in the order of this list.
            pub const ALL: &'static [Code] = &[$(Code::$name),+];

            /// The stable text of the code.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code,)+ }
            }

            /// The outcome class a delivery gets from it.
            pub fn class(self) -> Class {
                match self { $(Code::$name => $class,)+ }
            }

            /// What usually helps.
            pub fn remedy(self) -> Text {
                match self { $(Code::$name => Text::new($zh, $en),)+ }
            }
        }
    };
}

codes! {
    /// A code table has no row for a value.
    CodeTableMiss = "code-table-miss", Class::Rejected,
        "在对照表中补上该编码后重放。", "Add the code to the table, then replay.";
    /// A value is not in the mapping's own `values` list.
    ValueUnmapped = "value-unmapped", Class::Misconfigured,
        "在映射文件的 values 中补上该值，或在来源单据中更正。", "Add the value to the mapping's `values`, or correct the source document.";
    /// A field the target needs is missing in the source document.
    FieldMissing = "field-missing", Class::Rejected,
        "在来源系统补全该字段后重新发送。", "Fill in the field in the source system and send again.";
    /// A value is of the wrong type.
    FieldType = "field-type", Class::Rejected,
        "在来源系统更正该值后重新发送。", "Correct the value in the source system and send again.";
    /// A text does not fit the target's length.
    FieldTooLong = "field-too-long", Class::Rejected,
        "缩短来源文本，或在映射中声明截断。", "Shorten the text at the source, or declare a cut in the mapping.";
    /// A number has more decimal places than the target keeps.
    ScaleLoss = "scale-loss", Class::Rejected,
        "更正来源数值，或在映射中声明舍入。", "Correct the number at the source, or name a rounding in the mapping.";
    /// A number is outside the range that can be computed or stored exactly.
    NumberRange = "number-range", Class::Rejected,
        "检查该数值。", "Check the number.";
    /// A date or time cannot be read.
    DateInvalid = "date-invalid", Class::Rejected,
        "在来源系统更正日期后重新发送。", "Correct the date in the source system and send again.";
    /// A check declared in the mapping does not hold.
    CheckFailed = "check-failed", Class::Rejected,
        "核对来源单据的金额：合计须等于明细之和。", "Check the amounts of the source document: totals must equal the sum of their lines.";
    /// The mapping declares that documents of this kind are not carried.
    Refused = "refused", Class::Rejected,
        "按映射文件中写明的原因处理。", "Act on the reason given in the mapping file.";
    /// A mapping named by the configuration does not exist or does not compile.
    MappingInvalid = "mapping-invalid", Class::Misconfigured,
        "运行 tongbao check 并更正映射文件。", "Run `tongbao check` and correct the mapping file.";
    /// The signature of an incoming request does not fit its bytes.
    SignatureInvalid = "signature-invalid", Class::Unauthorized,
        "核对双方的签名密钥与算法。", "Compare the signing secret and method on both sides.";
    /// The signed time of an incoming request is outside the window.
    SignatureExpired = "signature-expired", Class::Unauthorized,
        "校准发送方时钟后重新发送。", "Correct the sender's clock and send again.";
    /// An incoming body is larger than allowed.
    BodyTooLarge = "body-too-large", Class::Rejected,
        "拆分单据，或提高 server.body_bytes_max。", "Split the document, or raise `server.body_bytes_max`.";
    /// A document is larger or has more lines than a mapping takes.
    DocumentLimit = "document-limit", Class::Rejected,
        "拆分单据后重新发送。", "Split the document and send again.";
    /// An incoming body cannot be read.
    BodyInvalid = "body-invalid", Class::Rejected,
        "按连接器文档更正请求体。", "Correct the body as the connector's page describes.";
    /// The same key and revision came before with other content.
    EventConflict = "event-conflict", Class::Conflict,
        "内容有变更时请提高修订号再发送。", "Raise the revision when the content changes, then send again.";
    /// So much waits to be delivered that nothing more is accepted for now.
    BacklogFull = "backlog-full", Class::Unavailable,
        "发送方无需更改，稍后重发即可；请检查消息中间件与目标系统为何积压。", "Senders need change nothing and send again later; find out why deliveries pile up: the broker, or a far system.";
    /// No connection is configured under this name.
    ConnectionUnknown = "connection-unknown", Class::Misconfigured,
        "核对 tongbao.yaml 中的 connections。", "Compare with `connections` in tongbao.yaml.";
    /// The far system refused the document for what is in it.
    TargetRejected = "target-rejected", Class::Rejected,
        "按目标系统的提示更正单据或基础资料后重放。", "Correct the document or the base data as the far system says, then replay.";
    /// A document with this number exists in the far system and is not ours.
    NumberTaken = "number-taken", Class::Conflict,
        "在目标系统核对该编号的单据：若确属本合同，登记关联；否则更换编号。", "Look at the document of that number in the far system: bind it if it is this contract's, else change the number.";
    /// Amounts read back from the far system differ from what was sent.
    AmountMismatch = "amount-mismatch", Class::Conflict,
        "财务核对双方金额后决定作废或更正。", "Finance compares both amounts and decides to void or to correct.";
    /// The far system could not be reached or served no one.
    TargetUnavailable = "target-unavailable", Class::Unavailable,
        "无需处理，恢复后自动续传；长时间不恢复请检查网络与目标系统。", "Nothing to do: it goes on by itself. If it lasts, check the network and the far system.";
    /// The far system asked for fewer calls.
    TargetThrottled = "target-throttled", Class::Throttled(None),
        "无需处理，稍后自动重试。", "Nothing to do: it is tried again later.";
    /// Another user or process holds the document in the far system.
    TargetLocked = "target-locked", Class::Throttled(None),
        "无需处理，稍后自动重试。", "Nothing to do: it is tried again later.";
    /// The far system refuses our credentials.
    TargetUnauthorized = "target-unauthorized", Class::Unauthorized,
        "检查该连接的账号、密钥与授权，再重放。", "Check the connection's account, secret and permissions, then replay.";
    /// Nobody can tell whether the call took effect.
    OutcomeUnknown = "outcome-unknown", Class::Unknown,
        "系统会先查询再决定；若目标系统不能查询，请人工核对后重放或登记关联。", "It is looked up before anything is sent again. If it cannot be looked up, check by hand, then replay or bind.";
    /// The connection's settings do not fit the far system.
    TargetMisconfigured = "target-misconfigured", Class::Misconfigured,
        "更正连接设置后重放。", "Correct the connection's settings, then replay.";
    /// The retry schedule is used up.
    RetriesExhausted = "retries-exhausted", Class::Unavailable,
        "排除故障后重放。", "Remove the cause, then replay.";
    /// The tax platform could not issue the invoice.
    InvoiceFailed = "invoice-failed", Class::Rejected,
        "按失败原因更正开票信息后重放。", "Correct the invoice data as the reason says, then replay.";
    /// More is asked for than may still be invoiced of a contract's line.
    OverInvoiced = "over-invoiced", Class::Rejected,
        "减少申请数量或金额；合同有变更的先推送新修订，开错的先红冲，再以新申请号申请。", "Ask for less, or send the contract's new revision or take back a wrong invoice first; then ask under a new number.";
    /// A statement file contradicts itself: a running balance or a total is not what its rows come to.
    StatementMismatch = "statement-mismatch", Class::Rejected,
        "文件未导入任何一行：请向银行重新下载完整的对账单，不要手工改动文件。", "Nothing of the file was imported: download the whole statement again, and do not edit it by hand.";
    /// A statement file fits no known format and no column layout.
    LayoutUnknown = "layout-unknown", Class::Misconfigured,
        "在该连接的 layouts 中描述此文件的列名，或以 UTF-8/GBK 的 CSV 重新导出。", "Describe the file's columns under the connection's `layouts`, or export it again as CSV in UTF-8 or GBK.";
    /// A payment names a contract this service does not know.
    ContractUnknown = "contract-unknown", Class::Rejected,
        "核对收款单上的订单号；合同到达后重放。", "Check the order number on the receipt; replay once the contract has arrived.";
    /// A record that the document refers to has not arrived.
    RelatedMissing = "related-missing", Class::Throttled(None),
        "关联单据到达后自动继续；一直不到时，请来源系统补发，或核对单据上的编号后重放。", "It goes on by itself once the record arrives. If it does not, have the source send it, or compare the number on the document, then replay.";
    /// A payment is in another currency than its contract.
    CurrencyMismatch = "currency-mismatch", Class::Rejected,
        "在 ERP 更正收款币别，或拆分收款。", "Correct the receipt's currency in the ERP, or split the receipt.";
    /// A mistake in Tongbao or in a connector.
    Defect = "defect", Class::Defect,
        "请附上投递编号报告此问题。", "Report this with the delivery's id.";
}

impl Code {
    /// Who looks after it.
    pub fn owner(self) -> Owner {
        match self {
            // A missing row is filled by those who keep the tables, whatever the class of a value fault.
            Code::CodeTableMiss | Code::RelatedMissing => Owner::Finance,
            Code::ValueUnmapped => Owner::Developer,
            other => other.class().owner(),
        }
    }

    /// The code of a stored text.
    pub fn from_text(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Code::from_text(&text).ok_or_else(|| serde::de::Error::custom(format!("unknown fault code {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("faults");
        let mut pages: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        pages.sort();
        let mut codes: Vec<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        codes.sort();
        assert_eq!(pages, codes);
        for code in Code::ALL {
            let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).unwrap();
            assert!(page.starts_with(&format!("# {code}\n")), "{code}: heading");
            assert!(page.contains("\n## 含义"), "{code}: Chinese part");
            assert!(page.contains("\n## What to do"), "{code}: English part");
        }
    }

    #[test]
    fn personal_values_are_not_shown() {
        let fault = || Fault::new(Code::FieldTooLong, "过长", "too long");
        assert_eq!(fault().at("number").value("HT-1").value.as_deref(), Some("HT-1"));
        assert_eq!(fault().at("customer.phone").value("0574-12345678").value, None);
        assert_eq!(fault().value("0574-12345678").at("customer.phone").value, None);
    }

    #[test]
    fn codes_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_text(code.as_str()), Some(*code));
        }
    }
}
