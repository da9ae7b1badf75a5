//! Reading answers: a receipt with one or several items, or documents in the layout of their template.

use serde_json::{Value, json};
use tongbao_connect::rules::{Rule, Said, first, said as rule};
use tongbao_connect::xml::{self, Charset, Element, Limits};
use tongbao_connect::{Failure, Reply};
use tongbao_model::{Class, Code, Fault};

/// What refusals mean, in order; the first that fits decides. Codes and texts as integrators recorded them: there is no
/// published table, and `succeed` other than `0` says no more than "failed".
pub const RULES: &[Rule] = &[
    rule("number-taken-code", &["101"], &[], Class::Conflict, Code::NumberTaken),
    rule(
        "number-taken",
        &[],
        &["已经存在", "已存在", "不可重复", "不能重复", "重复"],
        Class::Conflict,
        Code::NumberTaken,
    ),
    rule("busy", &[], &["系统忙", "稍后再试"], Class::Throttled(None), Code::TargetThrottled),
    // A runtime error of the page: it may have come before the commit or after it.
    rule("page-fault", &[], &["With block", "对象变量", "运行时错误"], Class::Unknown, Code::OutcomeUnknown),
    rule("our-fields", &[], &["数据库没有提供的字段"], Class::Misconfigured, Code::TargetMisconfigured),
    rule("not-offered", &[], &["暂不提供此项功能"], Class::Misconfigured, Code::TargetMisconfigured),
    rule("not-registered", &[], &["未注册", "没有注册"], Class::Unauthorized, Code::TargetUnauthorized),
    rule("content", &[], &[], Class::Rejected, Code::TargetRejected),
];

/// Answers are bounded like all XML; lists of documents have many small nodes.
const LIMITS: Limits =
    Limits { bytes: 32 * 1024 * 1024, depth: 16, attributes: 64, text: 1024 * 1024, nodes: 1_500_000 };

/// Texts kept of one receipt.
const TEXTS_MAX: usize = 5;

/// What a receipt says was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Items {
    /// U8's own key of the document, or the voucher's number; may be out of date, may be empty.
    pub id: String,
    /// Keys the items name: our number or, by the vendor's text, those of the lines.
    pub keys: Vec<String>,
    /// The items, for people.
    pub shown: Value,
}

/// What U8 says is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Class by [`RULES`].
    pub class: Class,
    /// In words.
    pub fault: Fault,
    /// The items.
    pub items: Value,
}

impl Refusal {
    /// As a failure.
    pub fn failure(self) -> Failure {
        Failure::new(self.fault).class(self.class).response(self.items)
    }
}

/// The envelope of a complete HTTP answer. One that cannot be read says nothing about what was done.
pub fn read(reply: &Reply, charset: Option<Charset>) -> Result<Element, Failure> {
    if reply.status != 200 {
        return Err(http_failure(reply));
    }
    let root = xml::read(&reply.body, charset, reply.header("content-type"), &LIMITS)
        .map_err(|error| Failure::new(error.fault(Code::OutcomeUnknown)))?;
    if root.name == "ufinterface" { Ok(root) } else { Err(strange("ufinterface", &root.name)) }
}

/// Documents of a query's answer.
pub fn documents(answer: &Element, kind: &str) -> Result<Vec<Element>, Failure> {
    let roottag = answer.attribute("roottag").unwrap_or_default();
    if answer.first("item").is_some() {
        items(answer)?.map_err(Refusal::failure)?;
    } else if !roottag.eq_ignore_ascii_case(kind) {
        return Err(strange("roottag", roottag));
    }
    Ok(answer.named(kind).cloned().collect())
}

/// The items of a receipt: the document stands only where every one of them says so.
pub fn items(answer: &Element) -> Result<Result<Items, Refusal>, Failure> {
    let roottag = answer.attribute("roottag").unwrap_or_default();
    let items: Vec<&Element> = answer.named("item").collect();
    // `return`, and `voucheraddreturn` for vouchers.
    if items.is_empty() || !roottag.to_ascii_lowercase().ends_with("return") {
        return Err(strange("roottag", roottag));
    }
    let of = |item: &Element, name: &str| item.attribute(name).unwrap_or_default().trim().to_owned();
    let shown: Value = items
        .iter()
        .take(TEXTS_MAX)
        .map(|item| json!({"key": of(item, "key"), "succeed": of(item, "succeed"), "dsc": of(item, "dsc"), "u8key": of(item, "u8key")}))
        .collect();
    let failed: Vec<&&Element> = items.iter().filter(|item| of(item, "succeed") != "0").collect();
    if let Some(worst) = failed.first() {
        let texts: Vec<String> = failed
            .iter()
            .map(|item| of(item, "dsc"))
            .filter(|text| !text.is_empty())
            .take(TEXTS_MAX)
            .collect();
        let text = texts.join("；");
        let code = of(worst, "succeed");
        let said = Said { status: 200, code: &code, text: &text };
        let (class, fault) = first(RULES, said)
            .map_or((Class::Unknown, Code::OutcomeUnknown), |rule| (rule.class, rule.fault));
        let fault = Fault::new(fault, format!("U8（{code}）：{text}"), format!("U8 says ({code}): {text}"));
        return Ok(Err(Refusal { class, fault, items: shown }));
    }
    let mut ids = items.iter().flat_map(|item| [of(item, "u8key"), of(item, "u8voucher_id")]);
    let id = ids.rfind(|id| !id.is_empty()).unwrap_or_default();
    let keys = items.iter().map(|item| of(item, "key")).filter(|key| !key.is_empty()).collect();
    Ok(Ok(Items { id, keys, shown }))
}

/// An answer that fits nothing we know leaves the outcome open.
pub fn strange(what: &str, found: &str) -> Failure {
    let found: String = found.chars().take(40).collect();
    Failure::new(Fault::new(
        Code::OutcomeUnknown,
        format!("U8 的答复不是预期的形状：{what} 为 {found:?}"),
        format!("U8's answer has a shape we do not know: {what} is {found:?}"),
    ))
}

/// The web server or a proxy answered, not EAI: a 4xx is about address and size, not about the document.
fn http_failure(reply: &Reply) -> Failure {
    let status = reply.status;
    let (class, code) = match reply.class_of_status() {
        Class::Unauthorized => (Class::Unauthorized, Code::TargetUnauthorized),
        Class::Throttled(after) => (Class::Throttled(after), Code::TargetThrottled),
        Class::Misconfigured | Class::Rejected => (Class::Misconfigured, Code::TargetMisconfigured),
        Class::Done
        | Class::AlreadyThere
        | Class::Conflict
        | Class::Unavailable
        | Class::Unknown
        | Class::Defect => (Class::Unknown, Code::OutcomeUnknown),
    };
    let mut fault = Fault::new(
        code,
        format!("U8 服务器返回 HTTP {status}"),
        format!("the U8 server answered HTTP {status}"),
    );
    if status == 413 {
        fault = fault.remedy(
            "报文超过 IIS 的请求上限：在 U8 应用服务器的 EAI 配置中点击“自动设置IIS”。",
            "The message exceeds the request limit of IIS: use 自动设置IIS in the EAI settings of the U8 server.",
        );
    }
    Failure::new(fault).class(class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_connect::rules::shadowed;

    fn answer(body: &str) -> Result<Element, Failure> {
        read(&Reply { status: 200, headers: Vec::new(), body: body.to_owned().into() }, None)
    }

    fn receipt(roottag: &str, items_text: &str) -> Result<Result<Items, Refusal>, Failure> {
        items(&answer(&format!("<ufinterface roottag=\"{roottag}\">{items_text}</ufinterface>")).unwrap())
    }

    #[test]
    fn no_rule_is_shadowed() {
        assert_eq!(shadowed(RULES), []);
    }

    #[test]
    fn receipts_of_every_shape() {
        let ours = |id: &str, keys: &[&str], text: &str| {
            let items = receipt("return", text).unwrap().unwrap();
            assert_eq!(
                (items.id.as_str(), items.keys.iter().map(String::as_str).collect::<Vec<_>>()),
                (id, keys.to_vec()),
                "{text}"
            );
        };
        ours("1000", &["SO1"], "<item key='SO1' succeed='0' dsc='ok' u8key='1000'/>");
        ours("1000", &["SO1"], "<item succeed='0' u8key='1000' dsc='' key='SO1'></item>");
        ours("", &["SO1"], "<item key='SO1' succeed='0' dsc='ok'/>");
        ours(
            "",
            &["MAT1", "MAT2"],
            "<item key='MAT1' succeed='0' dsc=''/><item key='MAT2' succeed='0' dsc=''/>",
        );
        ours("", &[], "<item key='' succeed='0' dsc='' u8key=''/>");
        let voucher = receipt(
            "voucheraddreturn",
            "<item voucher_id='7' entry_id='' succeed='0' dsc='凭证已成功保存' u8voucher_id='12'/>",
        );
        assert_eq!(voucher.unwrap().unwrap().id, "12");
        // One bad line and the summary: all texts are kept.
        let bad = receipt(
            "voucheraddreturn",
            "<item entry_id='2' succeed='1' dsc='项目非法'/><item entry_id='' succeed='1' dsc='凭证分录数据有错'/>",
        );
        let refusal = bad.unwrap().unwrap_err();
        assert_eq!(
            (refusal.class, refusal.fault.message.zh.as_str()),
            (Class::Rejected, "U8（1）：项目非法；凭证分录数据有错")
        );
        // One of two failed: the document does not stand.
        let mixed =
            receipt("return", "<item key='a' succeed='0' dsc='ok'/><item key='b' succeed='1' dsc='x'/>");
        assert_eq!(mixed.unwrap().unwrap_err().class, Class::Rejected);
        for odd in [
            "<item key='a' dsc='ok'/>",
            "<item key='a' succeed='-1' dsc=''/>",
            "<item key='a' succeed='00' dsc='ok'/>",
        ] {
            assert_eq!(receipt("return", odd).unwrap().unwrap_err().class, Class::Rejected, "{odd}");
        }
        assert_eq!(receipt("return", "").unwrap_err().class, Class::Unknown);
        assert_eq!(receipt("saleorder", "<item key='a' succeed='0'/>").unwrap_err().class, Class::Unknown);
    }

    #[test]
    fn every_text_by_its_rule() {
        for (code, text, class) in [
            ("101", "客户编码已经存在，不可重复！", Class::Conflict),
            ("1", "单据编号重复，请重新输入！", Class::Conflict),
            ("1", "系统忙，稍后再试！", Class::Throttled(None)),
            ("1", "未设置对象变量或 With block 变量", Class::Unknown),
            ("1", "数据库没有提供的字段(custcod)! 或者提供该字段的值格式不正确!;", Class::Misconfigured),
            ("1", "暂不提供此项功能", Class::Misconfigured),
            ("1", "外部系统未注册", Class::Unauthorized),
            ("1", "该业务员不合法,请重新输入。;", Class::Rejected),
            ("9", "", Class::Rejected),
        ] {
            let item = format!("<item key='' succeed='{code}' dsc='{text}'/>");
            assert_eq!(receipt("return", &item).unwrap().unwrap_err().class, class, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        for body in [
            "",
            "正常",
            "<html><body>500</body></html>",
            "<ufinterface roottag='return'><item",
            "<!DOCTYPE html><html/>",
        ] {
            assert_eq!(answer(body).unwrap_err().class, Class::Unknown, "{body}");
        }
        for (status, class) in [
            (500, Class::Unknown),
            (502, Class::Unknown),
            (404, Class::Misconfigured),
            (413, Class::Misconfigured),
            (401, Class::Unauthorized),
            (302, Class::Misconfigured),
        ] {
            let reply = Reply { status, headers: Vec::new(), body: "".into() };
            assert_eq!(read(&reply, None).unwrap_err().class, class);
        }
    }

    #[test]
    fn a_query_answers_documents_or_a_receipt() {
        let get = |text: &str| documents(&answer(text).unwrap(), "accept").map(|found| found.len());
        assert_eq!(get("<ufinterface roottag='accept'><accept/><accept/></ufinterface>"), Ok(2));
        assert_eq!(get("<ufinterface roottag='Accept'/>"), Ok(0));
        assert_eq!(get("<ufinterface roottag='return'><item succeed='0' dsc='ok'/></ufinterface>"), Ok(0));
        let refused = get("<ufinterface roottag='return'><item succeed='1' dsc='系统忙'/></ufinterface>");
        assert_eq!(refused.unwrap_err().class, Class::Throttled(None));
        assert_eq!(get("<ufinterface roottag='saleorder'/>").unwrap_err().class, Class::Unknown);
    }
}
