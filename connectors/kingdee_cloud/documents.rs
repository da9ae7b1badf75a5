//! The bills this connector knows, as mappings see them. Keys and obligations: the vendor's per-form documents.

use tongbao_connect::DocumentKind;
use tongbao_model::shape::{Field, Kind, Length, LengthUnit, NumberForm, Sense, Shape, TimeForm, Total};

/// Bills that are polled.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Form, as it is called in `polls`.
    pub name: &'static str,
    /// Columns of its query, in order.
    pub keys: &'static [&'static str],
    /// The column with the id of the entry.
    pub entry_key: &'static str,
}

/// All of them.
pub const STREAMS: [Stream; 2] = [
    Stream { name: "AR_RECEIVEBILL", keys: RECEIPT_KEYS, entry_key: "FRECEIVEBILLENTRY_FEntryID" },
    Stream { name: "AR_receivable", keys: RECEIVABLE_KEYS, entry_key: "FEntityDetail_FEntryID" },
];

const RECEIPT_KEYS: &[&str] = &[
    "FID",
    "FBillNo",
    "FDATE",
    "FDOCUMENTSTATUS",
    "FCancelStatus",
    "FCONTACTUNIT.FNumber",
    "FCURRENCYID.FNumber",
    "FModifyDate",
    "FTHIRDBILLNO",
    "FRECEIVEBILLENTRY_FEntryID",
    "FRECTOTALAMOUNTFOR",
    "FRECEIVEITEM",
    "FSALEORDERNO",
    "FSETTLENO",
];

const RECEIVABLE_KEYS: &[&str] = &[
    "FID",
    "FBillNo",
    "FDATE",
    "FDOCUMENTSTATUS",
    "FCancelStatus",
    "FCUSTOMERID.FNumber",
    "FCURRENCYID.FNumber",
    "FModifyDate",
    "FEntityDetail_FEntryID",
    "FALLAMOUNTFOR_D",
    "FORDERNUMBER",
    "FSourceBillNo",
];

fn text(name: &'static str, max: usize, doc: &'static str) -> Field {
    Field::new(name, Kind::Text(Some(Length { max, unit: LengthUnit::Characters })), doc)
}

fn number(name: &'static str, sense: Sense, scale: u32, doc: &'static str) -> Field {
    Field::new(name, Kind::Decimal { sense, scale: Some(scale), form: NumberForm::Number }, doc)
}

/// A reference to base data: an object with the code key; a plain text would be ignored by the server.
fn base(name: &'static str, key: &'static str, doc: &'static str) -> Field {
    let inner =
        Field::new(key, Kind::Text(Some(Length { max: 80, unit: LengthUnit::Characters })), "").required();
    Field::new(name, Kind::Record(vec![inner]), doc)
}

/// All documents.
pub fn all() -> Vec<DocumentKind> {
    vec![sale_order(), receipt(), receivable()]
}

fn sale_order() -> DocumentKind {
    use Sense::{Number, PriceTaxExcluded, PriceTaxIncluded, Quantity, TaxExcluded, TaxIncluded};
    let finance = vec![
        base("FSettleCurrId", "FNumber", "结算币别；PRE001 为人民币 / settlement currency").required(),
        base("FRecConditionId", "FNumber", "收款条件 / terms of payment"),
        base("FSettleModeId", "FNumber", "结算方式 / settlement type"),
        Field::new("FIsIncludedTax", Kind::Bool, "价外税：是否含税 / prices include tax"),
        Field::new("FIsPriceExcludeTax", Kind::Bool, "价外税 / tax on top of the price"),
        base("FExchangeTypeId", "FNumber", "汇率类型 / rate type"),
        number("FExchangeRate", Number, 10, "汇率 / exchange rate"),
    ];
    let entry = vec![
        base("FMaterialId", "FNumber", "物料编码 / material").required(),
        base("FUnitID", "FNumber", "销售单位 / unit"),
        number("FQty", Quantity, 10, "销售数量 / quantity").required(),
        number("FPrice", PriceTaxExcluded, 10, "单价（不含税）/ price, tax excluded"),
        number("FTaxPrice", PriceTaxIncluded, 10, "含税单价 / price, tax included"),
        number("FEntryTaxRate", Number, 6, "税率，百分数：13 / tax rate in percent"),
        number("FDiscountRate", Number, 6, "折扣率，百分数 / discount in percent"),
        number("FAmount", TaxExcluded, 2, "金额 / amount, tax excluded"),
        number("FAllAmount", TaxIncluded, 2, "价税合计 / amount, tax included"),
        Field::new("FIsFree", Kind::Bool, "是否赠品 / free of charge"),
        Field::new("FDeliveryDate", Kind::Date, "要货日期 / delivery date"),
        text("FEntryNote", 255, "备注 / remark"),
    ];
    let plan = vec![
        Field::new("FNeedRecAdvance", Kind::Bool, "是否预收 / advance"),
        number("FRecAdvanceRate", Number, 6, "应收比例，百分数 / share in percent"),
        number("FRecAdvanceAmount", TaxIncluded, 2, "应收金额 / amount"),
        Field::new("FMustDate", Kind::Date, "到期日 / due date"),
    ];
    DocumentKind {
        shape: Shape {
            name: "SAL_SaleOrder".into(),
            doc: "销售订单 / sales order".into(),
            fields: vec![
                base("FBillTypeID", "FNUMBER", "单据类型；XSDD01_SYS 标准，XSDD05_SYS 退货 / bill type")
                    .required(),
                text("FBillNo", 80, "单据编号：业务键 / number: the business key").required(),
                Field::new("FDate", Kind::Date, "日期 / date").required(),
                base("FSaleOrgId", "FNumber", "销售组织 / sales organisation").required(),
                base("FCustId", "FNumber", "客户 / customer").required(),
                base("FSalerId", "FNumber", "销售员 / salesperson").required(),
                base("FSaleDeptId", "FNumber", "销售部门 / department"),
                text("FNote", 255, "备注 / remark"),
                Field::new("FSaleOrderFinance", Kind::Record(finance), "财务信息 / finance").required(),
                Field::new("FSaleOrderEntry", Kind::List(entry), "订单明细 / lines").required(),
                Field::new("FSaleOrderPlan", Kind::List(plan), "收款计划 / payment plan"),
            ],
            // The server works the amounts out: quantity × price with tax, rounded half up.
            total: Some(Total {
                header: None,
                list: "FSaleOrderEntry",
                amounts: &[],
                product: Some(("FQty", "FTaxPrice")),
            }),
        },
        open: false,
        key: Some("FBillNo"),
    }
}

fn receipt() -> DocumentKind {
    polled(
        "AR_RECEIVEBILL",
        "收款单，一行一条明细 / receipt, one document per entry",
        base("FCONTACTUNIT", "FNumber", "往来单位 / customer"),
        vec![
            plain("FTHIRDBILLNO", "第三方单据编号 / third-party number"),
            plain("FRECEIVEBILLENTRY_FEntryID", "明细内码 / entry id").required(),
            Field::new("FRECTOTALAMOUNTFOR", Kind::decimal(Sense::Money), "收款金额 / amount received")
                .required(),
            plain("FRECEIVEITEM", "预收项目：订单号 / order number of an advance"),
            plain("FSALEORDERNO", "销售订单号 / sales order number"),
            plain("FSETTLENO", "结算号 / bank reference"),
        ],
    )
}

fn receivable() -> DocumentKind {
    polled(
        "AR_receivable",
        "应收单，一行一条明细 / receivable, one document per entry",
        base("FCUSTOMERID", "FNumber", "客户 / customer"),
        vec![
            plain("FEntityDetail_FEntryID", "明细内码 / entry id").required(),
            Field::new("FALLAMOUNTFOR_D", Kind::decimal(Sense::TaxIncluded), "价税合计 / amount with tax")
                .required(),
            plain("FORDERNUMBER", "销售订单号 / sales order number"),
            plain("FSourceBillNo", "源单编号 / number of the bill it was made from"),
        ],
    )
}

fn plain(name: &'static str, doc: &'static str) -> Field {
    Field::new(name, Kind::Text(None), doc)
}

/// A bill that is polled, one document for each of its entries: what every bill has, with whose it is, and what this one has.
fn polled(name: &'static str, doc: &'static str, partner: Field, own: Vec<Field>) -> DocumentKind {
    let local = || Kind::DateTime(TimeForm::Local);
    let mut fields = vec![
        plain("FID", "单据内码 / internal id").required(),
        plain("FBillNo", "单据编号 / number").required(),
        Field::new("FDATE", local(), "业务日期 / date").required(),
        plain("FDOCUMENTSTATUS", "单据状态：C 已审核 / status: C is audited").required(),
        plain("FCancelStatus", "作废状态：B 已作废 / B is voided"),
        partner,
        base("FCURRENCYID", "FNumber", "币别 / currency"),
        Field::new("FModifyDate", local(), "修改日期 / modified at").required(),
    ];
    fields.extend(own);
    DocumentKind {
        shape: Shape { name: name.into(), doc: doc.into(), fields, total: None },
        open: false,
        key: None,
    }
}
