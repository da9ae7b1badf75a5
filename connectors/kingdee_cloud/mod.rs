//! `kingdee-cloud`: Kingdee Cloud Galaxy (金蝶云星空) over its WebAPI.
//!
//! Out: a bill is saved, submitted and audited; each step is resumed where the last attempt got to. In: receipts
//! (`AR_RECEIVEBILL`) and receivables (`AR_receivable`) are polled by modification time. Customers, materials and stock are read when asked for. The protocol's facts and their sources are in `README.md`.

mod auth;
mod bills;
mod client;
mod documents;
pub mod kit;
mod masters;
mod polls;
mod reply;

use secrecy::SecretString;
use std::sync::Arc;
use tongbao_connect::{Built, Connector, Context, Masters, Settings, Source, Target, settings};
use tongbao_model::diagnostic::Findings;

/// The registry's entry.
pub static CONNECTOR: Connector = Connector {
    name: "kingdee-cloud",
    summary: (
        "金蝶云星空：销售订单写入（保存、提交、审核），收款单、客户、物料与库存读取",
        "Kingdee Cloud Galaxy: sales orders out (save, submit, audit); receipts, customers, materials and stock in",
    ),
    spec: KingdeeSettings::spec,
    documents: documents::all,
    build,
};

settings! {
    /// Settings of a `kingdee-cloud` connection.
    KingdeeSettings {
        /// Base address of the site, e.g. `https://erp.example.com/k3cloud/`.
        base_url: url::Url => (required),
        /// Data centre id (账套).
        acct_id: String => (required),
        /// Integration user.
        user_name: String => (required),
        /// App id of the third-party login, `<client id>_<32 characters>`.
        app_id: String => (String::new()),
        /// App secret of the third-party login.
        app_secret: SecretString => (SecretString::from(String::new())),
        /// Password; only for `auth: password` (ValidateUser), which the vendor calls deprecated.
        password: Option<SecretString> => (optional),
        /// `signature` (signed headers, no session), `sign-login` (LoginBySign) or `password` (ValidateUser).
        auth: String => ("signature".to_owned()),
        /// Language of messages: 2052 Chinese, 1033 English.
        lcid: u32 => (2052),
        /// Organisation number in the signed headers; `0` for the user's own.
        org_num: String => ("0".to_owned()),
        /// Sign logins with SHA-1, for servers older than 8.0.0.202205.
        sign_sha1: bool => (false),
        /// How long a session is used before a new login, in seconds; sites close idle ones after 20 to 30 minutes.
        session_s: u64 => (900),
        /// How long a refused login is not repeated, in seconds; about five wrong passwords lock an account.
        login_cool_down_s: u64 => (300),
        /// Header field that carries our stamp, by which a bill is known as ours.
        stamp_field: String => ("FNetOrderBillNo".to_owned()),
        /// Time for one call, in milliseconds.
        timeout_ms: u64 => (60_000),
        /// How far a poll looks back behind what it has seen, in seconds: bills saved late carry earlier times.
        poll_overlap_s: u64 => (300),
        /// The very first poll reads bills modified since this day (`yyyy-MM-dd`, or with a time, in the site's own
        /// zone); without it the whole history. Later polls go by their cursor.
        poll_since: Option<String> => (optional),
        /// Rows of one query; the site's version allows 2000 or 10000.
        page_rows: u64 => (2_000),
        /// Number of the organisation whose customers and materials are read (`FUseOrgId`); empty for those of all.
        use_org: String => (String::new()),
        /// Fields of a customer that may hold its tax number; the first that is not empty counts.
        tax_number_fields: Vec<String> => (["FSOCIALCRECODE", "FTAXREGISTERCODE"].map(str::to_owned).to_vec()),
        /// Number of the organisation whose stock is asked for (`FStockOrgId`); empty for that of all.
        stock_org: String => (String::new()),
        /// Field of `STK_Inventory` with the quantity on hand, in the unit of `stock_unit_field`.
        stock_quantity_field: String => ("FBaseQty".to_owned()),
        /// Field of `STK_Inventory` with the quantity that is free, in the same unit.
        stock_available_field: String => ("FBaseAVBQty".to_owned()),
        /// Field of `STK_Inventory` with the code of the unit that both are in.
        stock_unit_field: String => ("FBaseUnitId.FNumber".to_owned()),
    }
}

fn build(settings: &Settings<'_>, context: Context, findings: &mut Findings) -> Option<Built> {
    let checked = KingdeeSettings::read(settings, findings)?;
    let place = settings.node.place;
    let complete = match checked.auth.as_str() {
        "signature" | "sign-login" => !checked.app_id.is_empty(),
        "password" => checked.password.is_some(),
        _ => {
            findings.error(
                "config-value",
                settings.node.get("auth").map_or(place, |node| node.place),
                "auth 为 signature、sign-login 或 password",
                "`auth` is `signature`, `sign-login` or `password`",
            );
            return None;
        }
    };
    if !complete {
        findings.error(
            "config-missing",
            place,
            format!("auth: {} 还缺少 app_id/app_secret 或 password", checked.auth),
            format!("`auth: {}` also needs `app_id` and `app_secret`, or `password`", checked.auth),
        );
        return None;
    }
    if let Some(since) = &checked.poll_since
        && polls::first(since).is_none()
    {
        findings.error(
            "config-value",
            settings.node.get("poll_since").map_or(place, |node| node.place),
            "poll_since 应形如 2026-01-01 或 2026-01-01T08:00:00",
            "`poll_since` must look like 2026-01-01 or 2026-01-01T08:00:00",
        );
        return None;
    }
    let client = Arc::new(client::KingdeeClient::new(checked, context));
    let target: Arc<dyn Target> = Arc::new(bills::Bills::new(client.clone()));
    let masters: Arc<dyn Masters> = Arc::new(masters::BaseData::new(client.clone()));
    let source: Arc<dyn Source> = Arc::new(polls::Polls::new(client));
    Some(Built { source: Some(source), target: Some(target), masters: Some(masters) })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings for tests, with the values of the signature vectors.
    pub fn settings(base: &str) -> KingdeeSettings {
        KingdeeSettings {
            base_url: base.parse().unwrap(),
            acct_id: "64f0c0ffee0001".into(),
            user_name: "integration".into(),
            app_id: "210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX".into(),
            app_secret: "0123456789abcdef0123456789abcdef".to_owned().into(),
            password: None,
            auth: "signature".into(),
            lcid: 2052,
            org_num: "0".into(),
            sign_sha1: false,
            session_s: 900,
            login_cool_down_s: 300,
            stamp_field: "FNetOrderBillNo".into(),
            timeout_ms: 5_000,
            poll_overlap_s: 300,
            poll_since: None,
            page_rows: 2_000,
            use_org: String::new(),
            tax_number_fields: Vec::new(),
            stock_org: String::new(),
            stock_quantity_field: "FBaseQty".into(),
            stock_available_field: "FBaseAVBQty".into(),
            stock_unit_field: "FBaseUnitId.FNumber".into(),
        }
    }
}
