//! `nuonuo`: e-invoices (数电票) through the Nuonuo open platform.
//!
//! Issuing is asynchronous: a submitted order is asked about until the invoice stands. Our order number is unique
//! per enterprise, so a repeated submit is answered as a duplicate and never issues twice. The callback is
//! unsigned: it only makes us ask sooner. The protocol's facts and their sources are in `README.md`.

pub mod amounts;
mod client;
mod invoices;
pub mod kit;
mod reds;
mod sign;
mod target;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tongbao_connect::{
    Built, Connector, Context, Decoded, DocumentKind, Inbound, Settings, Source, Target, settings,
};
use tongbao_model::diagnostic::Findings;
use tongbao_model::shape::{Field, Kind, Length, LengthUnit, NumberForm, Sense, Shape, TimeForm, Total};
use tongbao_model::{Code, Fault};

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "nuonuo",
    summary: (
        "诺诺开放平台：数电票开具、红冲与结果查询",
        "Nuonuo open platform: e-invoices issued, taken back and asked about",
    ),
    spec: NuonuoSettings::spec,
    documents: || vec![invoice(), red_invoice()],
    build,
};

settings! {
    /// Settings of a `nuonuo` connection.
    NuonuoSettings {
        /// Address of the services, e.g. `https://sdk.nuonuo.com/open/v1/services`.
        base_url: url::Url => (required),
        /// Address of the token service, e.g. `https://open.nuonuo.com/accessToken`.
        token_url: url::Url => (required),
        /// App key.
        app_key: String => (required),
        /// App secret.
        app_secret: SecretString => (required),
        /// Our tax number: `userTax` and `salerTaxNum`.
        tax_number: String => (required),
        /// Our name, for confirmation forms of red invoices; the platform has it by the tax number.
        seller_name: Option<String> => (optional),
        /// Seller's telephone, as printed.
        seller_phone: String => (required),
        /// Seller's address, as printed.
        seller_address: String => (required),
        /// Seller's bank and account, as printed.
        seller_account: Option<String> => (optional),
        /// Clerk, as printed.
        clerk: String => (required),
        /// Address the platform calls back, ending in `/in/<connection>/<callback token>`.
        callback_url: Option<String> => (optional),
        /// Last path part of the callback; callbacks are unsigned, so it must not be guessable.
        callback_token: Option<SecretString> => (optional),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (30_000),
        /// How long a submitted order may be unknown to the platform's query, in seconds.
        grace_s: u64 => (600),
        /// How long a confirmation form that waits for the buyer is left before it is asked about again, in seconds.
        red_wait_s: u64 => (600),
        /// How long a refused token request is not repeated, in seconds; the platform allows about 50 in 30 days.
        token_cool_down_s: u64 => (600),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = NuonuoSettings::read(settings, findings)?;
    let source: Arc<dyn Source> = Arc::new(Callbacks { token: checked.callback_token.clone() });
    let target: Arc<dyn Target> =
        Arc::new(target::Platform::new(client::NuonuoClient::new(checked, context)));
    Some(Built { source: Some(source), target: Some(target), ..Built::default() })
}

/// Takes callbacks as hints.
struct Callbacks {
    token: Option<SecretString>,
}

#[async_trait]
impl Source for Callbacks {
    fn verify(&self, request: &Inbound, _: i64) -> Result<(), Fault> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = request.path.trim_matches('/');
        if bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes())) {
            return Ok(());
        }
        Err(Fault::new(
            Code::SignatureInvalid,
            "回调路径中的令牌不符",
            "the token in the callback's path is wrong",
        ))
    }

    fn decode(&self, request: &Inbound) -> Result<Decoded, Fault> {
        let order = form_urlencoded::parse(&request.body)
            .find(|(name, _)| name == "orderno")
            .map(|(_, value)| value.into_owned())
            .filter(|order| !order.is_empty() && order.len() <= 64);
        // Whatever it says, only our own query counts; a callback without an order number is answered all the same,
        // or the platform would repeat it for hours.
        let reply = json!({"status": "0000", "message": "同步成功"});
        Ok(Decoded { documents: Vec::new(), hints: order.into_iter().collect(), reply: Some(reply) })
    }
}

fn text(name: &'static str, max: usize, doc: &'static str) -> Field {
    Field::new(name, Kind::Text(Some(Length { max, unit: LengthUnit::Characters })), doc)
}

fn number(name: &'static str, sense: Sense, scale: u32, doc: &'static str) -> Field {
    Field::new(name, Kind::Decimal { sense, scale: Some(scale), form: NumberForm::Text }, doc)
}

/// The order of `requestBillingNew`; seller fields come from the settings. Names and lengths: the vendor's field
/// comments in its SDKs.
fn invoice() -> DocumentKind {
    let line = vec![
        text("goodsName", 90, "商品名称 / goods").required(),
        text("goodsCode", 19, "税收分类编码，19 位 / tax classification code"),
        text("selfCode", 16, "自有编码 / own code"),
        number("num", Sense::Quantity, 8, "数量 / quantity"),
        number("price", Sense::PriceTaxIncluded, 8, "含税单价 / price, tax included"),
        text("unit", 20, "单位 / unit"),
        text("specType", 40, "规格型号 / specification"),
        number("taxRate", Sense::Rate, 6, "税率，小数：0.13 / tax rate as a fraction").required(),
        number("taxIncludedAmount", Sense::TaxIncluded, 2, "含税金额 / amount, tax included").required(),
        number("taxExcludedAmount", Sense::TaxExcluded, 2, "不含税金额 / amount, tax excluded").required(),
        number("tax", Sense::Tax, 2, "税额 / tax").required(),
        number(
            "discount",
            Sense::TaxIncluded,
            2,
            "含税折扣，零或负；写出为折扣行 / discount with tax, written as a discount line",
        ),
        text("favouredPolicyFlag", 2, "优惠政策标识 / tax policy"),
        text("zeroRateFlag", 1, "零税率标识 / zero rate flag"),
    ];
    DocumentKind {
        shape: Shape {
            name: "invoice".into(),
            doc: "蓝字发票开具申请 / blue invoice".into(),
            fields: vec![
                text("orderNo", 20, "订单号：业务键 / order number: the business key").required(),
                text("invoiceLine", 2, "bs 数电专票，pc 数电普票 / bs special, pc ordinary").required(),
                Field::new("invoiceDate", Kind::DateTime(TimeForm::Local), "订单时间 / order time")
                    .required(),
                text("buyerName", 100, "购方名称 / buyer").required(),
                text("buyerTaxNum", 20, "购方税号 / buyer's tax number"),
                text("buyerTel", 50, "购方电话 / buyer's telephone"),
                text("buyerAddress", 80, "购方地址 / buyer's address"),
                text("buyerAccount", 100, "购方开户行及账号 / buyer's bank and account"),
                text("email", 50, "交付邮箱 / e-mail to deliver to"),
                text("remark", 200, "备注 / remark"),
                Field::new("invoiceDetail", Kind::List(line), "明细 / lines").required(),
            ],
            total: Some(Total {
                header: None,
                list: "invoiceDetail",
                amounts: &["taxIncludedAmount", "discount"],
                product: None,
            }),
        },
        open: false,
        key: Some("orderNo"),
    }
}

/// The confirmation form and the red invoice that follows from it. Names and states: the vendor's SDKs; the names of the
/// lines are those of blue invoices.
fn red_invoice() -> DocumentKind {
    let line = vec![
        text("goodsName", 90, "商品名称 / goods").required(),
        text("goodsCode", 19, "税收分类编码，19 位 / tax classification code"),
        number("num", Sense::Quantity, 8, "数量，负数 / quantity, negative"),
        text("unit", 20, "单位 / unit"),
        text("specType", 40, "规格型号 / specification"),
        number("taxRate", Sense::Rate, 6, "税率，小数：0.13 / tax rate as a fraction").required(),
        number("taxIncludedAmount", Sense::TaxIncluded, 2, "含税金额，负数 / amount, tax included, negative")
            .required(),
        number(
            "taxExcludedAmount",
            Sense::TaxExcluded,
            2,
            "不含税金额，负数 / amount, tax excluded, negative",
        )
        .required(),
        number("tax", Sense::Tax, 2, "税额，负数 / tax, negative").required(),
    ];
    DocumentKind {
        shape: Shape {
            name: target::RED_INVOICE.into(),
            doc: "红字发票：确认单与红票 / red invoice: confirmation form and invoice".into(),
            fields: vec![
                text("orderNo", 20, "订单号，也是确认单的 billId：业务键 / order number and the form's billId: the business key")
                    .required(),
                text("invoiceLine", 2, "蓝票种类：bs 数电专票，pc 数电普票 / kind of the blue invoice").required(),
                text("blueInvoice", 20, "蓝票号码，20 位 / number of the blue invoice").required(),
                text("redReason", 1, "1 销货退回，2 开票有误，3 服务中止，4 销售折让 / 1 returned, 2 wrong, 3 service ended, 4 allowance")
                    .required(),
                text("whole", 1, "1 全额红冲，不传明细 / 1: the whole invoice, no lines are sent").required(),
                text("buyerName", 100, "购方名称 / buyer").required(),
                text("buyerTaxNum", 20, "购方税号 / buyer's tax number"),
                Field::new("invoiceDetail", Kind::List(line), "红冲明细 / lines").required(),
            ],
            total: Some(Total {
                header: None,
                list: "invoiceDetail",
                amounts: &["taxIncludedAmount"],
                product: None,
            }),
        },
        open: false,
        key: Some("orderNo"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_hint_and_needs_the_token() {
        let source = Callbacks { token: Some("t0ken".to_owned().into()) };
        let body = "operater=callback&orderno=SO20261101-0007&content=%7B%22c_status%22%3A%221%22%7D";
        let request = |path: &str| Inbound { path: path.into(), body: body.into(), ..Inbound::default() };
        assert!(source.verify(&request("/t0ken"), 0).is_ok());
        assert!(source.verify(&request("/other"), 0).is_err());
        let decoded = source.decode(&request("/t0ken")).unwrap();
        assert_eq!((decoded.documents.len(), decoded.hints), (0, vec!["SO20261101-0007".to_owned()]));
        assert_eq!(decoded.reply.unwrap()["status"], "0000");
    }
}
