//! The documents this connector knows, as mappings see them, and how each is laid out in XML.
//!
//! Fields carry the tags of the vendor's templates (`SaleOrder.xml`, `Accept.xml`, `customer.xml`, `SaleInvoice.xml`,
//! `Voucher.xml`). A document is flat here: header fields side by side and the lines under `entry`, which is also the
//! form of U8's OpenAPI, so that one mapping can serve both doors. Lengths are those of the templates' `varchar`, which
//! counts bytes of GBK.

use std::collections::BTreeMap;
use tongbao_connect::DocumentKind;
use tongbao_model::shape::{
    Field, Kind as Holds, Length, LengthUnit, NumberForm, Sense, Shape, TimeForm, Total,
};

/// Member of a document that holds its lines.
pub const LINES: &str = "entry";

/// Stream of receipts, one document for each entry.
pub const RECEIPT_STREAM: &str = "accept_entry";

/// Where header and lines stand in XML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Fields directly under the root.
    Flat,
    /// `<head>` and `<body><entry/>…</body>`.
    Entries { head: &'static str, body: &'static str },
    /// `<header>` and one `<body>` for each line: the invoice template has no `<entry>`.
    Bodies,
}

/// Where the stamp goes that tells our documents from others'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// The setting `stamp_field`.
    Header,
    /// The setting `customer_stamp_field`.
    Customer,
    /// Nowhere: vouchers have room for the key only.
    None,
}

/// Where a document's total with tax is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalIn {
    /// Sum of a field over the lines.
    Lines(&'static str),
    /// A field of the header.
    Header(&'static str),
    /// It has none.
    Nowhere,
}

/// One document.
#[derive(Debug)]
pub struct Kind {
    /// `roottag` and element name, lower case.
    pub name: &'static str,
    /// Tag that carries the business key.
    pub number: &'static str,
    /// Database column of the number unless the settings say otherwise; empty when none is known.
    pub column: &'static str,
    /// Whether `code_length` bounds the number.
    pub is_short: bool,
    /// Layout.
    pub layout: Layout,
    /// Stamp.
    pub stamp: Stamp,
    /// Total.
    pub total: TotalIn,
    /// Tag of the header's currency, by name; empty when it has none.
    pub currency: &'static str,
    /// Tag of the header's date; empty when it has none.
    pub date: &'static str,
}

/// All kinds that are written.
const KINDS: &[Kind] = &[
    Kind {
        name: "saleorder",
        number: "code",
        column: "cSOCode",
        is_short: true,
        layout: Layout::Entries { head: "header", body: "body" },
        stamp: Stamp::Header,
        total: TotalIn::Lines("sum"),
        currency: "currency",
        date: "date",
    },
    Kind {
        name: "customer",
        number: "code",
        column: "cCusCode",
        is_short: false,
        layout: Layout::Flat,
        stamp: Stamp::Customer,
        total: TotalIn::Nowhere,
        currency: "",
        date: "",
    },
    Kind {
        name: "accept",
        number: "vouchcode",
        column: "cVouchID",
        is_short: false,
        layout: Layout::Entries { head: "header", body: "body" },
        stamp: Stamp::Header,
        total: TotalIn::Header("originalamount"),
        currency: "foreigncurrency",
        date: "vouchdate",
    },
    Kind {
        name: "saleinvoice",
        number: "invoiceno",
        column: "cSBVCode",
        is_short: true,
        layout: Layout::Bodies,
        stamp: Stamp::Header,
        total: TotalIn::Lines("originalsum"),
        currency: "foreigncurrency",
        date: "date",
    },
    Kind {
        name: "voucher",
        number: "reserve2",
        column: "",
        is_short: false,
        layout: Layout::Entries { head: "voucher_head", body: "voucher_body" },
        stamp: Stamp::None,
        total: TotalIn::Nowhere,
        currency: "",
        date: "date",
    },
];

/// The kind of a name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Whether documents of a name can be looked up: one that bears no stamp could be found, but not told from another's.
pub fn can_be_found(name: &str) -> bool {
    kind(name).is_some_and(|kind| kind.stamp != Stamp::None)
}

/// Database columns of the numbers. `cSOCode` stands in the vendor's own query; the others are U8's usual names.
pub fn columns() -> BTreeMap<String, String> {
    let known = KINDS.iter().filter(|kind| !kind.column.is_empty());
    known.map(|kind| (kind.name.to_owned(), kind.column.to_owned())).collect()
}

/// All documents.
pub fn all() -> Vec<DocumentKind> {
    vec![sale_order(), customer(), accept(), sale_invoice(), voucher(), receipt_entry()]
}

fn text(name: &'static str, max: usize, doc: &'static str) -> Field {
    Field::new(name, Holds::Text(Some(Length { max, unit: LengthUnit::GbkBytes })), doc)
}

fn number(name: &'static str, sense: Sense, scale: u32, doc: &'static str) -> Field {
    Field::new(name, Holds::Decimal { sense, scale: Some(scale), form: NumberForm::Number }, doc)
}

fn date(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Holds::Date, doc)
}

fn flag(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Holds::Bool, doc)
}

/// Custom fields of a header: those that hold text.
fn defines(prefix: &'static str) -> Vec<Field> {
    let sizes =
        [(1, 20), (2, 20), (3, 20), (8, 4), (9, 8), (10, 60), (11, 120), (12, 120), (13, 120), (14, 120)];
    let length = |max| Holds::Text(Some(Length { max, unit: LengthUnit::GbkBytes }));
    sizes
        .map(|(index, max)| Field::new(format!("{prefix}{index}"), length(max), "自定义项 / custom field"))
        .into()
}

fn written(name: &'static str, doc: &'static str, fields: Vec<Field>, total: Option<Total>) -> DocumentKind {
    let shape = Shape { name: name.into(), doc: doc.into(), fields, total };
    DocumentKind { shape, open: false, key: kind(name).map(|kind| kind.number) }
}

/// Amounts of lines in their original currency add up to the document's total.
fn lines_total(amount: &'static [&'static str]) -> Option<Total> {
    Some(Total { header: None, list: LINES, amounts: amount, product: None })
}

fn sale_order() -> DocumentKind {
    use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, Tax, TaxExcluded, TaxIncluded};
    let entry = vec![
        text("inventorycode", 20, "存货编码 / item").required(),
        number("quantity", Quantity, 6, "数量，大于零 / quantity above 0").required(),
        number("num", Quantity, 6, "件数，仅多计量单位存货 / auxiliary quantity"),
        number("quotedprice", PriceTaxIncluded, 10, "报价 / quoted price"),
        number("taxunitprice", PriceTaxIncluded, 10, "含税单价，原币 / price with tax"),
        number("unitprice", PriceTaxExcluded, 10, "无税单价，原币 / price without tax"),
        number("money", TaxExcluded, 2, "无税金额，原币 / amount without tax").required(),
        number("tax", Tax, 2, "税额，原币 / tax").required(),
        number("sum", TaxIncluded, 2, "价税合计，原币 / amount with tax").required(),
        number("discount", TaxIncluded, 2, "折扣额，原币 / discount"),
        number("natunitprice", PriceTaxExcluded, 10, "本币无税单价 / price without tax, base currency"),
        number("natmoney", TaxExcluded, 2, "本币无税金额 / amount without tax, base currency"),
        number("nattax", Tax, 2, "本币税额 / tax, base currency"),
        number("natsum", TaxIncluded, 2, "本币价税合计 / amount with tax, base currency"),
        number("taxrate", Number, 6, "税率，百分数：13 / tax rate in percent").required(),
        text("unitcode", 35, "销售单位 / sales unit"),
        number("unitrate", Number, 6, "换算率 / conversion"),
        number("irowno", Number, 0, "行号 / line number"),
        date("dpredate", "预发货日期 / planned shipping date"),
        date("dpremodate", "预完工日期 / planned finish date"),
        flag("bgift", "是否赠品 / free of charge"),
        text("memo", 60, "备注 / remark"),
    ];
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
    fields.extend(defines("define"));
    fields.push(Field::new(LINES, Holds::List(entry), "订单明细 / lines").required());
    written("saleorder", "销售订单 / sales order", fields, lines_total(&["sum"]))
}

fn customer() -> DocumentKind {
    let mut fields = vec![
        text("code", 20, "客户编码：业务键 / code: the business key").required(),
        text("name", 98, "客户名称 / name").required(),
        text("abbrname", 60, "客户简称 / short name").required(),
        text("sort_code", 12, "客户分类编码 / class").required(),
        date("seed_date", "发展日期 / since").required(),
        text("ccusexch_name", 8, "币种名称：人民币 / currency by name").required(),
        text("ccusmngtypecode", 4, "管理类型编码：999 / management type").required(),
        text("tax_reg_code", 50, "税号 / tax number"),
        text("bank_open", 100, "开户银行 / bank"),
        text("bank_acc_number", 50, "银行账号 / bank account"),
        text("address", 255, "地址 / address"),
        text("contact", 50, "联系人 / contact"),
        text("phone", 100, "电话 / phone"),
        text("mobile", 100, "手机 / mobile"),
        text("pay_condition", 3, "付款条件 / terms of payment"),
        text("spec_operator", 20, "专管业务员编码 / salesperson"),
        text("super_dept", 12, "分管部门编码 / department"),
        text("InvoiceCompany", 20, "开票单位编码 / invoiced customer"),
    ];
    fields.extend(defines("self_define"));
    written("customer", "客户档案 / customer archive", fields, None)
}

fn accept() -> DocumentKind {
    use Sense::{Money, Number};
    let entry = vec![
        text("type", 1, "款项类型：0 应收款，1 预收款，2 其他 / 0 receivable, 1 advance, 2 other").required(),
        text("customercode", 20, "客户编码 / customer").required(),
        number("originalamount", Money, 2, "原币金额 / amount").required(),
        number("amount", Money, 2, "本币金额 / amount, base currency").required(),
        text("itemcode", 40, "科目编码（不是存货）/ GL account, not an item"),
        text("departmentcode", 12, "部门编码 / department"),
        text("personcode", 8, "业务员编码 / salesperson"),
        text("orderid", 30, "订单号 / order number"),
    ];
    let mut fields = vec![
        text("vouchcode", 30, "单据编号：业务键 / number: the business key").required(),
        text("vouchtype", 2, "48 收款单，49 付款单 / 48 receipt, 49 payment").required(),
        date("vouchdate", "单据日期 / date").required(),
        number("period", Number, 0, "会计期间；0 不导入 / period; documents of period 0 are not imported")
            .required(),
        text("flag", 2, "AR 应收，AP 应付 / AR or AP").required(),
        text("customercode", 20, "客户编码 / customer").required(),
        text("departmentcode", 12, "部门编码 / department"),
        text("personcode", 8, "业务员编码 / salesperson"),
        text("balancecode", 3, "结算方式编码 / settlement type"),
        text("balanceitemcode", 40, "结算科目 / settlement account"),
        text("notecode", 30, "票据号 / bank reference"),
        text("digest", 60, "摘要 / summary"),
        text("orderid", 30, "订单号 / order number"),
        text("foreigncurrency", 8, "币种名称 / currency by name").required(),
        number("currencyrate", Number, 10, "汇率 / exchange rate").required(),
        number("originalamount", Money, 2, "原币金额 / amount").required(),
        number("amount", Money, 2, "本币金额 / amount, base currency").required(),
        text("operator", 20, "录入人，须为 U8 操作员 / operator, a U8 user").required(),
    ];
    fields.extend(defines("define"));
    fields.push(Field::new(LINES, Holds::List(entry), "收款明细 / lines").required());
    let total =
        Total { header: Some("originalamount"), list: LINES, amounts: &["originalamount"], product: None };
    written("accept", "收款单 / receipt", fields, Some(total))
}

fn sale_invoice() -> DocumentKind {
    use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, Tax, TaxExcluded, TaxIncluded};
    let entry = vec![
        text("warehousecode", 10, "仓库编码 / warehouse").required(),
        text("inventorycode", 20, "存货编码 / item").required(),
        number("quantity", Quantity, 6, "数量 / quantity").required(),
        number("originalprice", PriceTaxExcluded, 10, "原币无税单价 / price without tax"),
        number("originaltaxedprice", PriceTaxIncluded, 10, "原币含税单价 / price with tax"),
        number("originalmoney", TaxExcluded, 2, "原币无税金额 / amount without tax").required(),
        number("originaltax", Tax, 2, "原币税额 / tax").required(),
        number("originalsum", TaxIncluded, 2, "原币价税合计 / amount with tax").required(),
        // Unlike in an order these three are of the base currency.
        number("money", TaxExcluded, 2, "本币无税金额 / amount without tax, base currency"),
        number("tax", Tax, 2, "本币税额 / tax, base currency"),
        number("sum", TaxIncluded, 2, "本币价税合计 / amount with tax, base currency"),
        number("taxrate", Number, 6, "税率，百分数 / tax rate in percent").required(),
        text("cordercode", 30, "销售订单号 / sales order"),
        number("iorderrowno", Number, 0, "订单行号 / line of the order"),
        number("irowno", Number, 0, "行号 / line number"),
        text("memory", 60, "备注 / remark"),
    ];
    let mut fields = vec![
        text("invoiceno", 60, "发票号：业务键，长度见 code_length / number: the business key").required(),
        text("vouchertype", 2, "26 专用，27 普通，28 调拨，29 日报 / 26 special VAT, 27 ordinary").required(),
        date("date", "开票日期 / date").required(),
        text("saletypecode", 2, "销售类型编码 / sales type").required(),
        text("businesstype", 20, "业务类型 / business type"),
        text("customercode", 20, "客户编码 / customer").required(),
        text("customername", 120, "客户名称 / customer's name"),
        text("departmentcode", 12, "部门编码 / department").required(),
        text("personcode", 8, "业务员编码 / salesperson"),
        text("foreigncurrency", 8, "币种名称 / currency by name").required(),
        number("currencyrate", Number, 10, "汇率 / exchange rate").required(),
        number("taxrate", Number, 6, "表头税率，百分数 / tax rate in percent"),
        flag("isnegative", "红字发票 / red invoice"),
        flag("ispayedfirst", "1 先发货，0 先开票 / 1 shipped first, 0 invoiced first"),
        text("memory", 60, "备注 / remark"),
        text("maker", 20, "制单人姓名 / maker's name").required(),
    ];
    fields.extend(defines("define"));
    fields.push(Field::new(LINES, Holds::List(entry), "发票明细 / lines").required());
    written("saleinvoice", "销售发票 / sales invoice", fields, lines_total(&["originalsum"]))
}

fn voucher() -> DocumentKind {
    use Sense::{Money, Number, Quantity};
    let aux = ["dept_id", "personnel_id", "cust_id", "supplier_id", "item_class", "item_id", "operator"];
    let aux = aux.map(|name| text(name, 60, "辅助核算 / auxiliary accounting"));
    let entry = vec![
        number("entry_id", Number, 0, "分录号 / entry number").required(),
        text("account_code", 40, "科目编码 / account").required(),
        text("abstract", 60, "摘要 / summary").required(),
        text("currency", 8, "币种名称 / currency by name"),
        number("exchange_rate1", Number, 10, "汇率 / exchange rate"),
        number("debit_quantity", Quantity, 6, "借方数量 / debit quantity"),
        number("primary_debit_amount", Money, 2, "原币借方金额 / debit"),
        number("natural_debit_currency", Money, 2, "本币借方金额 / debit, base currency"),
        number("credit_quantity", Quantity, 6, "贷方数量 / credit quantity"),
        number("primary_credit_amount", Money, 2, "原币贷方金额 / credit"),
        number("natural_credit_currency", Money, 2, "本币贷方金额 / credit, base currency"),
        Field::new("auxiliary_accounting", Holds::Record(aux.into()), "辅助核算 / auxiliary accounting"),
    ];
    let fields = vec![
        text("voucher_type", 8, "凭证类别字：记 / voucher type").required(),
        number("fiscal_year", Number, 0, "会计年度 / fiscal year").required(),
        number("accounting_period", Number, 0, "会计期间 / period").required(),
        text("voucher_id", 10, "凭证号；重新编号时可空 / number; may be empty where U8 numbers"),
        date("date", "制单日期 / date").required(),
        text("enter", 20, "制单人姓名 / maker's name").required(),
        number("attachment_number", Number, 0, "附单据数 / attachments"),
        text("voucher_making_system", 4, "GL"),
        text("memo1", 60, "备注 / remark"),
        text("reserve1", 60, "外部凭证类型 / external type"),
        text("reserve2", 60, "外部凭证号：业务键 / external number: the business key").required(),
        Field::new(LINES, Holds::List(entry), "分录 / entries").required(),
    ];
    written("voucher", "凭证 / voucher", fields, None)
}

/// A receipt's entry as it is polled. `revision` and `state` are the connector's own: the template states neither when a
/// receipt changed nor that it is gone.
fn receipt_entry() -> DocumentKind {
    let plain = |name: &'static str, doc: &'static str| Field::new(name, Holds::Text(None), doc);
    let money = |name: &'static str, doc: &'static str| Field::new(name, Holds::decimal(Sense::Money), doc);
    let fields = vec![
        plain("vouchcode", "单据编号 / number").required(),
        plain("row", "明细行次，从 1 起 / row, from 1").required(),
        Field::new(
            "revision",
            Holds::Integer,
            "版本：首次见到该内容的时刻，毫秒 / when this content was first seen",
        )
        .required(),
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
    let shape = Shape {
        name: RECEIPT_STREAM.into(),
        doc: "收款单明细，一行一条 / receipt, one document per entry".into(),
        fields,
        total: None,
    };
    DocumentKind { shape, open: false, key: None }
}
