//! Tags of the vendor's import templates (`SaleOrder.xml`, `Accept.xml`, `customer.xml`, `SaleInvoice.xml`, `Voucher.xml`)
//! with what the server checks of each.

/// What the server makes of a tag's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Any text of at most so many bytes in GBK.
    Text(usize),
    /// A number.
    Number,
    /// `yyyy-MM-dd`, with a time or without.
    Date,
    /// A code that must exist in this archive.
    Code(&'static str),
}

/// One template.
#[derive(Debug)]
pub(super) struct Template {
    pub roottag: &'static str,
    /// What people call it, in messages.
    pub label: &'static str,
    /// Tag of the number; empty where there is none of our choice.
    pub number: &'static str,
    /// Element that holds the header; empty for archives, which are flat.
    pub head: &'static str,
    /// Element that holds the lines.
    pub body: &'static str,
    /// Lines are repeated `body` elements: the invoice template has no `entry`.
    pub bodies: bool,
    pub header: &'static [(&'static str, Of)],
    pub entry: &'static [(&'static str, Of)],
    /// Header tags without which the import fails.
    pub required: &'static [&'static str],
    /// The same of a line.
    pub entry_required: &'static [&'static str],
    /// Prefix of the sixteen custom fields.
    pub defines: &'static str,
    /// Database columns that queries may name, and the header tags they show under.
    pub columns: &'static [(&'static str, &'static str)],
    /// Code of a "number taken" refusal.
    pub taken: &'static str,
}

use Of::{Code, Date, Number, Text};

const ORDER: Template = Template {
    roottag: "saleorder",
    label: "销售订单",
    number: "code",
    head: "header",
    body: "body",
    bodies: false,
    header: &[
        ("id", Text(20)),
        ("outid", Text(40)),
        ("typecode", Code("saletype")),
        ("date", Date),
        ("code", Text(60)),
        ("custcode", Code("customer")),
        ("deptcode", Code("department")),
        ("personcode", Code("person")),
        ("sendcode", Text(2)),
        ("sendaddress", Text(40)),
        ("paycondition_code", Text(3)),
        ("currency", Code("currency")),
        ("currencyrate", Number),
        ("taxrate", Number),
        ("earnest", Number),
        ("memo", Text(60)),
        ("maker", Text(20)),
        ("businesstype", Text(20)),
        ("disflag", Text(1)),
        ("cusname", Text(120)),
        ("dpredatebt", Date),
        ("dpremodatebt", Date),
    ],
    entry: &[
        ("id", Text(20)),
        ("mid", Text(20)),
        ("body_outid", Text(40)),
        ("inventorycode", Code("inventory")),
        ("quantity", Number),
        ("num", Number),
        ("quotedprice", Number),
        ("unitprice", Number),
        ("taxunitprice", Number),
        ("money", Number),
        ("tax", Number),
        ("sum", Number),
        ("discount", Number),
        ("natunitprice", Number),
        ("natmoney", Number),
        ("nattax", Number),
        ("natsum", Number),
        ("taxrate", Number),
        ("unitcode", Text(35)),
        ("unitrate", Number),
        ("irowno", Number),
        ("dpredate", Date),
        ("dpremodate", Date),
        ("bgift", Text(1)),
        ("memo", Text(60)),
    ],
    required: &["typecode", "date", "custcode", "deptcode", "currency", "maker"],
    entry_required: &["inventorycode", "quantity"],
    defines: "define",
    columns: &[
        ("cSOCode", "code"),
        ("dDate", "date"),
        ("cCusCode", "custcode"),
        ("cDepCode", "deptcode"),
        ("cDefine10", "define10"),
        ("cDefine11", "define11"),
    ],
    taken: "1",
};

const CUSTOMER: Template = Template {
    roottag: "customer",
    label: "客户",
    number: "code",
    head: "",
    body: "",
    bodies: false,
    header: &[
        ("code", Text(20)),
        ("name", Text(98)),
        ("abbrname", Text(60)),
        ("sort_code", Text(12)),
        ("seed_date", Date),
        ("ccusexch_name", Code("currency")),
        ("ccusmngtypecode", Text(4)),
        ("tax_reg_code", Text(50)),
        ("bank_open", Text(100)),
        ("bank_acc_number", Text(50)),
        ("address", Text(255)),
        ("contact", Text(50)),
        ("phone", Text(100)),
        ("mobile", Text(100)),
        ("pay_condition", Text(3)),
        ("spec_operator", Code("person")),
        ("super_dept", Code("department")),
        ("InvoiceCompany", Code("customer")),
        ("end_date", Date),
    ],
    entry: &[],
    required: &["code", "name", "abbrname", "sort_code", "seed_date", "ccusexch_name", "ccusmngtypecode"],
    entry_required: &[],
    defines: "self_define",
    columns: &[("cCusCode", "code"), ("cCusName", "name")],
    taken: "101",
};

/// Of all archives the only one with a header and a body. Tags: integrators' notes measured on U8 12.0, and the OpenAPI's
/// names, which are EAI's.
const INVENTORY: Template = Template {
    roottag: "inventory",
    label: "存货",
    number: "code",
    head: "header",
    body: "body",
    bodies: false,
    header: &[
        ("code", Text(60)),
        ("name", Text(255)),
        ("specs", Text(255)),
        ("sort_code", Text(12)),
        ("main_measure", Text(35)),
        ("unitgroup_code", Text(35)),
        ("tax_rate", Number),
        ("start_date", Date),
        ("end_date", Date),
    ],
    entry: &[],
    required: &["code", "name", "sort_code", "main_measure", "unitgroup_code"],
    entry_required: &[],
    defines: "self_define",
    columns: &[("cInvCode", "code"), ("cInvName", "name")],
    taken: "1",
};

const ACCEPT: Template = Template {
    roottag: "accept",
    label: "收款单",
    number: "vouchcode",
    head: "header",
    body: "body",
    bodies: false,
    header: &[
        ("vouchtype", Text(2)),
        ("vouchcode", Text(30)),
        ("vouchdate", Date),
        ("period", Number),
        ("customercode", Code("customer")),
        ("departmentcode", Code("department")),
        ("personcode", Code("person")),
        ("orderid", Text(30)),
        ("balancecode", Text(3)),
        ("notecode", Text(30)),
        ("digest", Text(60)),
        ("oppositebankcode", Text(50)),
        ("foreigncurrency", Code("currency")),
        ("currencyrate", Number),
        ("amount", Number),
        ("originalamount", Number),
        ("operator", Code("operator")),
        ("balanceitemcode", Text(40)),
        ("flag", Text(2)),
        ("startflag", Text(1)),
        ("sourceflag", Text(1)),
    ],
    entry: &[
        ("mainid", Text(20)),
        ("type", Text(1)),
        ("customercode", Code("customer")),
        ("originalamount", Number),
        ("amount", Number),
        ("itemcode", Text(40)),
        ("departmentcode", Code("department")),
        ("personcode", Code("person")),
        ("orderid", Text(30)),
    ],
    required: &["vouchtype", "vouchdate", "period", "customercode", "foreigncurrency", "operator", "flag"],
    entry_required: &["type", "customercode", "originalamount"],
    defines: "define",
    columns: &[
        ("cVouchID", "vouchcode"),
        ("dVouchDate", "vouchdate"),
        ("cVouchType", "vouchtype"),
        ("cFlag", "flag"),
        ("cDwCode", "customercode"),
        // Not part of the template: a query may name it, no answer shows it.
        ("cCheckMan", "!checker"),
    ],
    taken: "1",
};

const INVOICE: Template = Template {
    roottag: "saleinvoice",
    label: "销售发票",
    number: "invoiceno",
    head: "header",
    body: "body",
    bodies: true,
    header: &[
        ("id", Text(20)),
        ("invoiceno", Text(60)),
        ("vouchertype", Text(2)),
        ("saletypecode", Code("saletype")),
        ("date", Date),
        ("departmentcode", Code("department")),
        ("personcode", Code("person")),
        ("customercode", Code("customer")),
        ("foreigncurrency", Code("currency")),
        ("memory", Text(60)),
        ("currencyrate", Number),
        ("taxrate", Number),
        ("isnegative", Text(1)),
        ("maker", Text(20)),
        ("businesstype", Text(20)),
        ("ispayedfirst", Text(1)),
        ("customername", Text(120)),
    ],
    entry: &[
        ("mainid", Text(20)),
        ("warehousecode", Code("warehouse")),
        ("inventorycode", Code("inventory")),
        ("quantity", Number),
        ("originalprice", Number),
        ("originaltaxedprice", Number),
        ("originalmoney", Number),
        ("originaltax", Number),
        ("originalsum", Number),
        ("money", Number),
        ("tax", Number),
        ("sum", Number),
        ("taxrate", Number),
        ("cordercode", Text(30)),
        ("iorderrowno", Number),
        ("irowno", Number),
        ("memory", Text(60)),
    ],
    required: &[
        "vouchertype",
        "saletypecode",
        "date",
        "departmentcode",
        "customercode",
        "foreigncurrency",
        "maker",
    ],
    entry_required: &["warehousecode", "inventorycode", "quantity"],
    defines: "define",
    columns: &[("cSBVCode", "invoiceno"), ("dDate", "date"), ("cCusCode", "customercode")],
    taken: "1",
};

const VOUCHER: Template = Template {
    roottag: "voucher",
    label: "凭证",
    number: "",
    head: "voucher_head",
    body: "voucher_body",
    bodies: false,
    header: &[
        ("company", Text(20)),
        ("voucher_type", Text(8)),
        ("fiscal_year", Number),
        ("accounting_period", Number),
        ("voucher_id", Text(10)),
        ("attachment_number", Number),
        ("date", Date),
        ("enter", Code("operator")),
        ("voucher_making_system", Text(4)),
        ("memo1", Text(60)),
        ("memo2", Text(60)),
        ("reserve1", Text(60)),
        ("reserve2", Text(60)),
        ("revokeflag", Text(1)),
    ],
    entry: &[
        ("entry_id", Number),
        ("account_code", Code("account")),
        ("abstract", Text(60)),
        ("currency", Code("currency")),
        ("exchange_rate1", Number),
        ("debit_quantity", Number),
        ("primary_debit_amount", Number),
        ("natural_debit_currency", Number),
        ("credit_quantity", Number),
        ("primary_credit_amount", Number),
        ("natural_credit_currency", Number),
        ("auxiliary_accounting", Text(4000)),
    ],
    required: &["voucher_type", "fiscal_year", "accounting_period", "date", "enter"],
    entry_required: &["account_code", "abstract"],
    defines: "",
    columns: &[],
    taken: "1",
};

/// The template of a `roottag`, case-sensitive as element names are.
pub(super) fn template(roottag: &str) -> Option<&'static Template> {
    [&ORDER, &CUSTOMER, &INVENTORY, &ACCEPT, &INVOICE, &VOUCHER]
        .into_iter()
        .find(|one| one.roottag == roottag)
}

/// Archives that exist before anything is imported.
pub(super) const SEED: &[(&str, &str, &str)] = &[
    ("saletype", "01", "普通销售"),
    ("department", "0201", "示例销售部"),
    ("person", "SP0001", "示例销售员"),
    ("person", "SP0002", "示例销售员乙"),
    ("currency", "人民币", "人民币"),
    ("currency", "美元", "美元"),
    ("operator", "demo", "demo"),
    ("warehouse", "01", "示例仓库"),
    ("account", "1122", "应收账款"),
    ("account", "1002", "银行存款"),
    ("account", "6001", "主营业务收入"),
    ("customer", "CUST0001", "示例客户"),
    ("customer", "CUST0002", "宁波样例贸易有限公司"),
    ("inventory", "MAT0001", "软件平台"),
    ("inventory", "MAT0002", "实施服务"),
];
