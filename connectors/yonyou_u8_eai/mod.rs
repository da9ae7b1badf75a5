//! `yonyou-u8-eai`: Yonyou U8 (用友 U8) over EAI, XML posted to the page `import.asp` on the customer's own server.
//!
//! Out: sales orders, customers, receipts, sales invoices and vouchers; what was written is asked for by its number and
//! its amounts are read back. In: receipts, polled by their date; customers and materials when asked for. The protocol's facts, their sources and what is not
//! certain are in `README.md`.

mod client;
mod documents;
pub mod kit;
mod masters;
mod memory;
mod receipts;
mod reply;
mod target;
mod wire;

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tongbao_connect::xml::Charset;
use tongbao_connect::{Built, Connector, Context, Masters, Settings, Source, Target, settings};
use tongbao_model::diagnostic::Findings;

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "yonyou-u8-eai",
    summary: (
        "用友 U8（EAI 接口）：销售订单、客户、收款单、销售发票、凭证写入并核对，收款单、客户与存货读取",
        "Yonyou U8 over EAI: orders, customers, receipts, invoices and vouchers out; receipts, customers and materials in",
    ),
    spec: U8Settings::spec,
    documents: documents::all,
    build,
};

settings! {
    /// Settings of a `yonyou-u8-eai` connection.
    U8Settings {
        /// Address of the EAI page, e.g. `http://u8.example.com/U8EAI/import.asp`.
        url: url::Url => (required),
        /// Code under which our system is registered in U8 (外部系统编码). Whoever knows it may write: it is a secret.
        sender: SecretString => (required),
        /// What the envelope names as its receiver.
        receiver: String => ("u8".to_owned()),
        /// Charset of requests: `utf-8`, `gb18030`, `gbk` or `gb2312` (GBK bytes under the old label).
        request_charset: String => ("utf-8".to_owned()),
        /// Charset of answers: `auto` goes by mark, declaration, header and bytes; else one of the above.
        response_charset: String => ("auto".to_owned()),
        /// `version` of the envelope; empty to leave it out.
        version: String => ("2.0".to_owned()),
        /// Have U8 translate our codes through its own comparison table (`codeexchanged`).
        codes_exchanged: bool => (false),
        /// Log in with the document's date (`dynamicdate`) instead of the server's.
        dynamic_date: bool => (false),
        /// Have U8 number vouchers (`renewproofno`).
        voucher_renumber: bool => (true),
        /// Header field that carries our stamp, by which an order, receipt or invoice is known as ours.
        stamp_field: String => ("define11".to_owned()),
        /// The same in the customer archive.
        customer_stamp_field: String => ("self_define11".to_owned()),
        /// Room in the stamp field, in bytes of GBK; a longer stamp ends in its hash.
        stamp_bytes: u64 => (120),
        /// Longest order and invoice number the version takes, in characters; old templates say 10.
        code_length: u64 => (30),
        /// Database column of the number, by document; one that is left out cannot be looked up.
        number_columns: BTreeMap<String, String> => (documents::columns()),
        /// Most documents of one answer (`maxdataitems`); an answer that long is taken as cut off.
        max_items: u64 => (5_000),
        /// Most customers or materials of one answer; an archive that long is taken as cut off.
        archive_items_max: u64 => (20_000),
        /// Writes under way at once; no version is known to promise more than one for each account set.
        writes_at_once: u64 => (1),
        /// Time for one call, in milliseconds; keep `delivery.call_timeout_ms` above it. Slow answers are normal.
        timeout_ms: u64 => (60_000),
        /// Database column of a receipt's date, by which polls ask.
        poll_date_column: String => ("dVouchDate".to_owned()),
        /// More conditions of a poll, each `column operator value`, e.g. `cCheckMan <> ''` for audited ones only.
        poll_conditions: Vec<String> => (Vec::new()),
        /// How many days of receipts every poll reads again: changes to older ones are not seen.
        poll_days: u64 => (45),
        /// The very first poll begins at this day (`yyyy-MM-dd`); without it `poll_days` ago.
        poll_since: Option<String> => (optional),
    }
}

impl U8Settings {
    fn request_charset(&self) -> Charset {
        Charset::of_label(&self.request_charset).unwrap_or(Charset::Utf8)
    }

    /// `None`: go by the answer.
    fn response_charset(&self) -> Option<Charset> {
        Charset::of_label(&self.response_charset)
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = U8Settings::read(settings, findings)?;
    let mut wrong = |name: &str, zh: String, en: String| {
        let place = settings.node.get(name).map_or(settings.node.place, |node| node.place);
        findings.error("config-value", place, zh, en);
    };
    let mut is_sound = true;
    for (name, label, auto) in [
        ("request_charset", &checked.request_charset, false),
        ("response_charset", &checked.response_charset, true),
    ] {
        if Charset::of_label(label).is_none() && !(auto && label == "auto") {
            is_sound = false;
            let more = if auto { "auto, " } else { "" };
            let known = format!("{more}utf-8, gb18030, gbk, gb2312");
            wrong(name, format!("{name} 为 {known} 之一"), format!("`{name}` is one of {known}"));
        }
    }
    if let Some(name) = checked.number_columns.keys().find(|name| !documents::can_be_found(name)) {
        is_sound = false;
        wrong(
            "number_columns",
            format!("number_columns 中的 {name} 不是可按编号查询的单据"),
            format!("`number_columns` names `{name}`, which is no document that can be looked up"),
        );
    }
    if checked.poll_since.as_deref().is_some_and(|day| day.parse::<jiff::civil::Date>().is_err()) {
        is_sound = false;
        wrong(
            "poll_since",
            "poll_since 应形如 2026-01-01".to_owned(),
            "`poll_since` must look like 2026-01-01".to_owned(),
        );
    }
    if let Some(text) = checked.poll_conditions.iter().find(|text| client::Condition::parse(text).is_none()) {
        is_sound = false;
        wrong(
            "poll_conditions",
            format!("{text:?} 应形如 列 运算符 值"),
            format!("{text:?} must look like `column operator value`"),
        );
    }
    if !is_sound {
        return None;
    }
    let client = Arc::new(client::EaiClient::new(checked, context));
    let target: Arc<dyn Target> = Arc::new(target::Documents::new(client.clone()));
    let masters: Arc<dyn Masters> = Arc::new(masters::Archives::new(client.clone()));
    let source: Arc<dyn Source> = Arc::new(receipts::Receipts::new(client));
    Some(Built { source: Some(source), target: Some(target), masters: Some(masters) })
}
