//! `proc="add"` and `"delete"`: a document is checked against its template and stored, each on its own.

use rust_decimal::Decimal;

use super::{
    store::{Document, Fields, State, get, put},
    templates::{Of, Template},
    xml::Tag,
};
use crate::money;

/// One `<item>` of a receipt.
#[derive(Debug)]
pub(super) struct Item {
    pub key: String,
    pub succeed: String,
    pub text: String,
    pub u8key: String,
    /// Of vouchers only: the entry it is about, empty for the whole.
    pub entry: Option<String>,
}

impl Item {
    pub fn failed(key: &str, code: &str, text: impl Into<String>) -> Item {
        Item {
            key: key.to_owned(),
            succeed: code.to_owned(),
            text: text.into(),
            u8key: String::new(),
            entry: None,
        }
    }
}

/// Header and lines of a document that came in, whatever their layout.
fn parts<'a>(template: &Template, document: &'a Tag) -> (Option<&'a Tag>, Vec<&'a Tag>) {
    let bodies = document.children.iter().filter(|tag| tag.name == template.body);
    if template.head.is_empty() {
        (Some(document), Vec::new())
    } else if template.bodies {
        (document.child(template.head), bodies.collect())
    } else {
        let entries = bodies.flat_map(|body| body.children.iter().filter(|tag| tag.name == "entry"));
        (document.child(template.head), entries.collect())
    }
}

/// The number a document that came in carries.
pub(super) fn number(template: &Template, document: &Tag) -> String {
    let tag = if template.number.is_empty() { "reserve2" } else { template.number };
    let (head, _) = parts(template, document);
    head.and_then(|head| head.child(tag)).map(|tag| tag.text.clone()).unwrap_or_default()
}

/// Imports one document. A document with one bad line fails as a whole.
pub(super) fn add(
    state: &mut State,
    template: &'static Template,
    document: &Tag,
    recompute: bool,
) -> Vec<Item> {
    let asked = number(template, document);
    match checked(state, template, document, recompute) {
        Ok(mut ready) => {
            ready.id = state.next_id();
            // An empty number is filled in, so the same message sent again makes another document.
            if get(&ready.head, template.number).is_empty() && !template.number.is_empty() {
                put(&mut ready.head, template.number, format!("{:010}", ready.id - 1_000_000_000));
            }
            let key = if template.number.is_empty() {
                String::new()
            } else {
                get(&ready.head, template.number).to_owned()
            };
            if matches!(template.roottag, "customer" | "inventory") {
                state.add_code(template.roottag, &key);
            }
            let id = ready.id.to_string();
            state.insert(template.roottag, ready);
            let entry = template.number.is_empty().then(String::new);
            vec![Item { key, succeed: "0".to_owned(), text: "ok".to_owned(), u8key: id, entry }]
        }
        Err(refusal) if template.number.is_empty() => {
            // One item for the bad entry and one for the voucher.
            let summary =
                Item { entry: Some(String::new()), ..Item::failed("", "1", "凭证分录数据有错") };
            match refusal.line {
                Some(line) => {
                    let bad =
                        Item { entry: Some((line + 1).to_string()), ..Item::failed("", "1", refusal.text) };
                    vec![bad, summary]
                }
                None => vec![Item { text: refusal.text, ..summary }],
            }
        }
        Err(refusal) => vec![Item::failed(&asked, refusal.code, refusal.text)],
    }
}

struct Refusal {
    code: &'static str,
    text: String,
    line: Option<usize>,
}

fn refuse(text: impl Into<String>) -> Refusal {
    Refusal { code: "1", text: text.into(), line: None }
}

fn checked(state: &State, template: &Template, document: &Tag, recompute: bool) -> Result<Document, Refusal> {
    let (head, entries) = parts(template, document);
    let head = head.ok_or_else(|| refuse("导入的数据格式不正确，缺少表头！"))?;
    let head = fields(state, template, head, template.header, template.required, template.defines)?;
    let number = get(&head, template.number);
    if !number.is_empty() && state.by_number(template, number).is_some() {
        let text = match template.taken {
            "101" => "客户编码已经存在，不可重复！".to_owned(),
            _ => format!("{}编号 {number} 已经存在，不可重复！", template.label),
        };
        return Err(Refusal { code: template.taken, text, line: None });
    }
    let mut lines = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let line = fields(state, template, entry, template.entry, template.entry_required, "define");
        let mut line = line.map_err(|refusal| Refusal { line: Some(index), ..refusal })?;
        if template.roottag == "saleorder" {
            let quantity = money::parse(get(&line, "quantity")).unwrap_or_default();
            if quantity <= Decimal::ZERO {
                return Err(refuse(format!("第{}行数量必须大于零！", index + 1)));
            }
            amounts(&mut line, quantity, recompute);
        }
        lines.push(line);
    }
    if !template.head.is_empty() && lines.is_empty() {
        return Err(refuse(format!("{}表体不能为空！", template.label)));
    }
    if template.roottag == "accept" {
        receipt(&head)?;
    }
    if template.roottag == "voucher" {
        balance(&lines)?;
    }
    Ok(Document { id: 0, head, lines })
}

/// Documents of period 0 are not imported.
fn receipt(head: &Fields) -> Result<(), Refusal> {
    if money::parse(get(head, "period")).is_none_or(|period| period.is_zero()) {
        return Err(refuse("会计期间为零的单据不能导入！"));
    }
    if !matches!(get(head, "vouchtype"), "48" | "49") || !matches!(get(head, "flag"), "AR" | "AP") {
        return Err(refuse("单据类型或应收应付标志不合法！"));
    }
    Ok(())
}

/// Debit equals credit.
fn balance(lines: &[Fields]) -> Result<(), Refusal> {
    let side = |tag: &str| -> Decimal {
        lines.iter().map(|line| money::parse(get(line, tag)).unwrap_or_default()).sum()
    };
    let (debit, credit) = (side("natural_debit_currency"), side("natural_credit_currency"));
    if debit == credit { Ok(()) } else { Err(refuse("借贷不平衡")) }
}

/// Amounts that were left out follow from the price with tax; those that were sent are stored as sent, unless the switch
/// says otherwise: which of the two a real server does is not known.
fn amounts(line: &mut Fields, quantity: Decimal, recompute: bool) {
    let price = money::parse(get(line, "taxunitprice"));
    let stated = money::parse(get(line, "sum"));
    let sum = match (price, stated) {
        (Some(price), None) => money::round(price * quantity, 2),
        (Some(price), Some(_)) if recompute => money::round(price * quantity, 2),
        (_, Some(sum)) => sum,
        (None, None) => return,
    };
    let rate = money::parse(get(line, "taxrate")).unwrap_or_default() / Decimal::ONE_HUNDRED;
    let (net, tax) = money::split_gross(sum, rate);
    let missing = |line: &Fields, tag: &str| get(line, tag).is_empty();
    for (tag, value) in [("sum", sum), ("money", net), ("tax", tax)] {
        if recompute || missing(line, tag) {
            put(line, tag, value.to_string());
        }
    }
}

/// A header's or line's tags, each known to the template and each of its kind.
fn fields(
    state: &State,
    template: &Template,
    given: &Tag,
    known: &[(&str, Of)],
    required: &[&str],
    defines: &str,
) -> Result<Fields, Refusal> {
    let mut fields = Fields::new();
    for tag in &given.children {
        let custom = || {
            let index = tag.name.strip_prefix(defines).filter(|_| !defines.is_empty())?;
            index.parse().ok().filter(|index: &u32| (1..=37).contains(index)).map(|_| Of::Text(120))
        };
        let of = known.iter().find(|(name, _)| *name == tag.name).map(|(_, of)| *of).or_else(custom);
        // The text names the tag in lower case, whatever was sent.
        let unfit = || {
            refuse(format!(
                "数据库没有提供的字段({})! 或者提供该字段的值格式不正确!;",
                tag.name.to_lowercase()
            ))
        };
        let text = tag.text.as_str();
        let fits = match of {
            None => false,
            Some(_) if text.is_empty() => true,
            Some(Of::Text(max)) => encoding_rs::GBK.encode(text).0.len() <= max,
            Some(Of::Number) => money::parse(text).is_some(),
            Some(Of::Date) => text.get(..10).is_some_and(|date| date.parse::<jiff::civil::Date>().is_ok()),
            Some(Of::Code(archive)) if state.has_code(archive, text) => true,
            Some(Of::Code(archive)) => {
                return Err(refuse(format!("该{}不合法,请重新输入。;", named(archive))));
            }
        };
        if !fits {
            return Err(unfit());
        }
        fields.push((tag.name.clone(), text.to_owned()));
    }
    if let Some(tag) = required.iter().find(|tag| get(&fields, tag).is_empty()) {
        return Err(refuse(format!("{}的{tag}不能为空！", template.label)));
    }
    Ok(fields)
}

fn named(archive: &str) -> &str {
    match archive {
        "customer" => "客户",
        "department" => "部门",
        "person" => "业务员",
        "inventory" => "存货",
        "currency" => "币种",
        "operator" => "操作员",
        "saletype" => "销售类型",
        "warehouse" => "仓库",
        "account" => "科目",
        other => other,
    }
}
