//! `yonyou-u8-openapi`: Yonyou U8 (用友 U8) over its OpenAPI, JSON relayed by the vendor's cloud to an agent beside the
//! customer's server.
//!
//! Out: sales orders, added at once or in the background, approved where the settings say so, read back. In: receipts,
//! polled by their date; customers, materials and stock when asked for. The protocol's facts, their sources and what is not certain are in `README.md`.

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
use std::sync::Arc;
use tongbao_connect::{Built, Connector, Context, Masters, Settings, Source, Target, settings};
use tongbao_model::diagnostic::Findings;

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "yonyou-u8-openapi",
    summary: (
        "用友 U8（OpenAPI）：销售订单写入、审核并核对，收款单、客户、存货与现存量读取",
        "Yonyou U8 over OpenAPI: orders out, approved and read back; receipts, customers, materials and stock in",
    ),
    spec: OpenApiSettings::spec,
    documents: documents::all,
    build,
};

settings! {
    /// Settings of a `yonyou-u8-openapi` connection.
    OpenApiSettings {
        /// Address of the platform, e.g. `https://api.yonyouup.com/`.
        base_url: url::Url => (required),
        /// Account that calls.
        from_account: String => (required),
        /// Account whose U8 is called; test accounts begin with `test_`.
        to_account: String => (required),
        /// Key of the application.
        app_key: String => (required),
        /// Its secret.
        app_secret: SecretString => (required),
        /// Number of the data source where there are several account sets; left out: the first.
        ds_sequence: Option<String> => (optional),
        /// What makes an `add` ours on the platform: `biz_id` (the business key) or `tradeid` (a fresh id for each call).
        key_by: String => ("biz_id".to_owned()),
        /// Ask for the result in the first answer (`sync=1`).
        sync: bool => (false),
        /// How long one call waits for the result of an accepted document, in milliseconds; what takes longer is asked
        /// about later. Keep `delivery.call_timeout_ms` above it.
        wait_ms: u64 => (5_000),
        /// How long an accepted document may be neither ended nor found, in seconds.
        grace_s: u64 => (600),
        /// Have U8 number orders: `code` is not sent, and the stamp alone says which order is ours.
        u8_numbers: bool => (false),
        /// Approve each order after it was added (`verify`, without a workflow).
        verify: bool => (false),
        /// Header field that carries our stamp, by which an order is known as ours.
        stamp_field: String => ("define11".to_owned()),
        /// Room in the stamp field, in bytes of GBK; a longer stamp ends in its hash.
        stamp_bytes: u64 => (120),
        /// Longest order number the version takes, in characters; old templates say 10.
        code_length: u64 => (30),
        /// Send every value as text, as the platform itself answers; otherwise numbers are sent as numbers.
        values_as_text: bool => (true),
        /// Codes (`errcode`) that mean the token is over; texts that name the token are known besides.
        token_codes: Vec<String> => (Vec::new()),
        /// Codes that mean a missing permission.
        permission_codes: Vec<String> => (Vec::new()),
        /// Codes that mean too many calls.
        quota_codes: Vec<String> => (Vec::new()),
        /// How long before its end a token is renewed, in seconds.
        token_margin_s: u64 => (300),
        /// How long a refused token request is not repeated, in seconds.
        token_cool_down_s: u64 => (600),
        /// Rows of one page of a list.
        rows_per_page: u64 => (200),
        /// Most pages of one list that are read.
        pages_max: u64 => (50),
        /// Member of `currentstock` with the quantity on hand.
        stock_quantity_field: String => ("qty".to_owned()),
        /// Member of `currentstock` with the quantity that is free.
        stock_available_field: String => ("availqty".to_owned()),
        /// Query parameter of a list's first day; empty where the platform knows none.
        date_begin: String => ("date_begin".to_owned()),
        /// Query parameter of a list's last day; empty where the platform knows none.
        date_end: String => ("date_end".to_owned()),
        /// Writes under way at once; nothing promises more than one for each account set.
        writes_at_once: u64 => (1),
        /// Time for one request, in milliseconds; keep `delivery.call_timeout_ms` above it. Slow answers are normal.
        timeout_ms: u64 => (60_000),
        /// How many days of receipts every poll reads again: changes to older ones are not seen.
        poll_days: u64 => (45),
        /// The very first poll begins at this day (`yyyy-MM-dd`); without it `poll_days` ago.
        poll_since: Option<String> => (optional),
        /// Take approved receipts only: those that name a `verifier`.
        poll_verified: bool => (false),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = OpenApiSettings::read(settings, findings)?;
    let mut is_sound = true;
    let mut wrong = |name: &str, zh: String, en: String| {
        is_sound = false;
        let place = settings.node.get(name).map_or(settings.node.place, |node| node.place);
        findings.error("config-value", place, zh, en);
    };
    if !matches!(checked.key_by.as_str(), "biz_id" | "tradeid") {
        let text = ("key_by 为 biz_id 或 tradeid", "`key_by` is `biz_id` or `tradeid`");
        wrong("key_by", text.0.to_owned(), text.1.to_owned());
    }
    if checked.poll_since.as_deref().is_some_and(|day| day.parse::<jiff::civil::Date>().is_err()) {
        let text = ("poll_since 应形如 2026-01-01", "`poll_since` must look like 2026-01-01");
        wrong("poll_since", text.0.to_owned(), text.1.to_owned());
    }
    for (name, value) in [("rows_per_page", checked.rows_per_page), ("pages_max", checked.pages_max)] {
        if value == 0 {
            wrong(name, format!("{name} 至少为 1"), format!("`{name}` is at least 1"));
        }
    }
    if !is_sound {
        return None;
    }
    let client = Arc::new(client::OpenClient::new(checked, context));
    let target: Arc<dyn Target> = Arc::new(target::Orders::new(Arc::clone(&client)));
    let masters: Arc<dyn Masters> = Arc::new(masters::Archives::new(Arc::clone(&client)));
    let source: Arc<dyn Source> = Arc::new(receipts::Receipts::new(client));
    Some(Built { source: Some(source), target: Some(target), masters: Some(masters) })
}
