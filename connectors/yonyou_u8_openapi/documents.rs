//! The documents this connector knows, as mappings see them.
//!
//! Names are the tags of U8's import templates (`SaleOrder.xml`, `Accept.xml`), which the OpenAPI shares: a mapping for one
//! door of U8 serves the other. Lengths are those of the templates' `varchar`, in bytes of GBK.

use tongbao_connect::DocumentKind;
use tongbao_model::shape::{
    Field, Kind as Holds, Length, LengthUnit, NumberForm, Sense, Shape, TimeForm, Total,
};

/// The document that is written.
pub const ORDER: &str = "saleorder";

/// The stream that is polled, one document for each entry of a receipt.
pub const RECEIPT: &str = "accept";

/// Member of a document that holds its lines.
pub const LINES: &str = "entry";

/// Custom header fields that hold text, and their room.
const DEFINES: [(u32, usize); 10] =
    [(1, 20), (2, 20), (3, 20), (8, 4), (9, 8), (10, 60), (11, 120), (12, 120), (13, 120), (14, 120)];

/// All documents.
pub fn all() -> Vec<DocumentKind> {
    vec![sale_order(), receipt_entry()]
}

fn room(max: usize) -> Holds {
    Holds::Text(Some(Length { max, unit: LengthUnit::GbkBytes }))
}

fn text(name: &'static str, max: usize, doc: &'static str) -> Field {
    Field::new(name, room(max), doc)
}

fn number(name: &'static str, sense: Sense, scale: u32, doc: &'static str) -> Field {
    Field::new(name, Holds::Decimal { sense, scale: Some(scale), form: NumberForm::Number }, doc)
}

fn date(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Holds::Date, doc)
}

fn line() -> Vec<Field> {
    use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, Tax, TaxExcluded, TaxIncluded};
    vec![
        text("inventorycode", 20, "存货编码 / item").required(),
        number("irowno", Number, 0, "行号 / line number"),
        number("quantity", Quantity, 6, "数量，大于零 / quantity above 0").required(),
        number("num", Quantity, 6, "件数，仅多计量单位存货 / auxiliary quantity"),
        number("quotedprice", PriceTaxIncluded, 10, "报价 / quoted price"),
        number("taxunitprice", PriceTaxIncluded, 10, "含税单价，原币 / price with tax"),
        number(
            "unitprice",
            PriceTaxExcluded,
            10,
            "无税单价，原币；填写后平台按价格重算金额 / price without tax; stated, the platform works amounts out anew",
        ),
        number("sum", TaxIncluded, 2, "价税合计，原币 / amount with tax").required(),
        number("money", TaxExcluded, 2, "无税金额，原币 / amount without tax").required(),
        number("tax", Tax, 2, "税额，原币 / tax").required(),
        number("discount", TaxIncluded, 2, "折扣额，原币 / discount"),
        number("natunitprice", PriceTaxExcluded, 10, "本币无税单价 / price without tax, base currency"),
        number("natsum", TaxIncluded, 2, "本币价税合计 / amount with tax, base currency"),
        number("natmoney", TaxExcluded, 2, "本币无税金额 / amount without tax, base currency"),
        number("nattax", Tax, 2, "本币税额 / tax, base currency"),
        // The platform's own rate for a line without one is out of date.
        number("taxrate", Number, 6, "税率，百分数：13；平台缺省值已过时 / tax rate in percent").required(),
        text("unitcode", 35, "销售单位 / sales unit"),
        number("unitrate", Number, 6, "换算率 / conversion"),
        date("dpredate", "预发货日期 / planned shipping date"),
        date("dpremodate", "预完工日期 / planned finish date"),
        Field::new("bgift", Holds::Bool, "是否赠品 / free of charge"),
        text("memo", 60, "备注 / remark"),
    ]
}

fn sale_order() -> DocumentKind {
    use Sense::Number;
    let mut fields = vec![
        text("code", 60, "订单号：业务键，长度见 code_length / number: the business key").required(),
        date("date", "单据日期 / date").required(),
        text("typecode", 2, "销售类型编码 / sales type").required(),
        text("businesstype", 20, "业务类型：普通销售 / business type"),
        text("custcode", 20, "客户编码 / customer").required(),
        text("cusname", 120, "客户名称 / customer's name"),
        text("deptcode", 12, "部门编码 / department").required(),
        text("personcode", 8, "业务员编码 / salesperson"),
        text("paycondition_code", 3, "付款条件 / terms of payment"),
        text("sendcode", 2, "发运方式 / shipping mode"),
        text("sendaddress", 40, "发货地址 / shipping address"),
        text("currency", 8, "币种名称：人民币 / currency by name").required(),
        number("currencyrate", Number, 10, "汇率，本币为 1 / exchange rate, 1 for the base currency")
            .required(),
        number("taxrate", Number, 6, "表头税率，百分数 / tax rate in percent"),
        number("earnest", Sense::Money, 2, "定金 / deposit"),
        date("dpredatebt", "预发货日期 / planned shipping date"),
        date("dpremodatebt", "预完工日期 / planned finish date"),
        text("memo", 60, "备注 / remark"),
        text("maker", 20, "制单人姓名 / maker's name").required(),
    ];
    let define = |(index, max)| Field::new(format!("define{index}"), room(max), "自定义项 / custom field");
    fields.extend(DEFINES.map(define));
    fields.push(Field::new(LINES, Holds::List(line()), "订单明细 / lines").required());
    let total = Total { header: None, list: LINES, amounts: &["sum"], product: None };
    let shape =
        Shape { name: ORDER.into(), doc: "销售订单 / sales order".into(), fields, total: Some(total) };
    DocumentKind { shape, open: false, key: Some("code") }
}

/// A receipt's entry as it is polled. `row`, `revision` and `state` are the connector's own.
fn receipt_entry() -> DocumentKind {
    let plain = |name: &'static str, doc: &'static str| Field::new(name, Holds::Text(None), doc);
    let money = |name: &'static str, doc: &'static str| Field::new(name, Holds::decimal(Sense::Money), doc);
    let fields = vec![
        plain("vouchcode", "单据编号 / number").required(),
        plain("row", "明细行次，从 1 起 / row, from 1").required(),
        Field::new("revision", Holds::Integer, "版本，随内容变化增大 / rises with every change").required(),
        plain("state", "standing 存在，gone 已删除或已移走 / gone: deleted or no longer a row").required(),
        Field::new("vouchdate", Holds::DateTime(TimeForm::Local), "单据日期 / date").required(),
        plain("vouchtype", "48 收款单 / 48 receipt"),
        plain("type", "款项类型：0 应收款，1 预收款，2 其他 / 0 receivable, 1 advance, 2 other"),
        plain("customercode", "客户编码 / customer"),
        plain("orderid", "订单号 / order number"),
        plain("foreigncurrency", "币种名称 / currency by name").required(),
        money("originalamount", "原币金额 / amount").required(),
        money("amount", "本币金额 / amount, base currency"),
        plain("balancecode", "结算方式编码 / settlement type"),
        plain("notecode", "票据号 / bank reference"),
        plain("digest", "摘要 / summary"),
    ];
    let doc = "收款单明细，一行一条 / receipt, one document per entry";
    let shape = Shape { name: RECEIPT.into(), doc: doc.into(), fields, total: None };
    DocumentKind { shape, open: false, key: None }
}
