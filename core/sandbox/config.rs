//! Settings of a sandbox. Every protocol fact that is not certain is a setting here, with its default.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::mail::MailConfig;
pub use crate::robots::{DingtalkConfig, WecomConfig};
pub use crate::signing::config::{EsignConfig, FadadaConfig};
use crate::u8::U8OpenApiConfig;

/// Everything a sandbox needs to start. `Default` is a usable sandbox on free ports with documented credentials.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Port of the protocol listener on 127.0.0.1; 0 takes a free one.
    pub protocol_port: u16,
    /// Port of the control listener on 127.0.0.1; 0 takes a free one.
    pub control_port: u16,
    /// Port of the mail listener on 127.0.0.1; 0 takes a free one.
    pub mail_port: u16,
    /// Seed of everything random-looking: session ids, tokens, fault rates.
    pub seed: u64,
    /// Start of the virtual clock in Unix milliseconds; `None` follows the machine's clock.
    pub fixed_clock_ms: Option<i64>,
    /// Largest request body in bytes; larger ones get HTTP 413.
    pub max_body: usize,
    /// Longest time a slow or held reply may take, whatever a fault script says.
    pub max_delay: Duration,
    /// Load the small default catalogue (see the `catalogue` module).
    pub default_catalogue: bool,
    /// Kingdee Cloud Galaxy settings.
    pub kingdee: KingdeeConfig,
    /// Nuonuo settings.
    pub nuonuo: NuonuoConfig,
    /// Generic CRM settings.
    pub crm: CrmConfig,
    /// Jiandaoyun settings.
    pub jdy: JdyConfig,
    /// Yonyou U8 settings.
    pub u8: U8Config,
    /// The same U8 by its OpenAPI.
    pub u8_openapi: U8OpenApiConfig,
    /// e签宝 settings.
    pub esign: EsignConfig,
    /// 法大大 settings.
    pub fadada: FadadaConfig,
    /// WeCom robot settings.
    pub wecom: WecomConfig,
    /// DingTalk robot settings.
    pub dingtalk: DingtalkConfig,
    /// Mail server settings.
    pub mail: MailConfig,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            protocol_port: 0,
            control_port: 0,
            mail_port: 0,
            seed: 1,
            fixed_clock_ms: None,
            max_body: 16 * 1024 * 1024,
            max_delay: Duration::from_secs(300),
            default_catalogue: true,
            kingdee: KingdeeConfig::default(),
            nuonuo: NuonuoConfig::default(),
            crm: CrmConfig::default(),
            jdy: JdyConfig::default(),
            u8: U8Config::default(),
            u8_openapi: U8OpenApiConfig::default(),
            esign: EsignConfig::default(),
            fadada: FadadaConfig::default(),
            wecom: WecomConfig::default(),
            dingtalk: DingtalkConfig::default(),
            mail: MailConfig::default(),
        }
    }
}

/// How a call with a bad header signature is refused. Which one a real site uses is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The session-lost object with HTTP 200 (default).
    SessionLost,
    /// A body that starts with `response_error:`.
    ResponseError,
    /// HTTP 519 with `{"errcode":4002,...}`, as the retired public gateway answered in 2020.
    Gateway519,
}

/// How quantities and prices are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumberStyle {
    /// `3.0`, `113.0` (default).
    Float,
    /// Quantities and prices with ten decimals, `10.0000000000`; amounts stay `339.0`.
    Padded,
}

/// A field a customer's developer added to a form (`F_ABCD_Text1`); unknown keys are dropped silently otherwise.
#[derive(Debug, Clone)]
pub struct CustomField {
    /// Form id, e.g. `SAL_SaleOrder`.
    pub form: String,
    /// Entity key for an entry field; `None` for a header field.
    pub entity: Option<String>,
    /// Field key, e.g. `F_TB_ContractNo`.
    pub key: String,
}

/// Kingdee Cloud Galaxy: credentials and the points that differ from site to site.
#[derive(Clone)]
pub struct KingdeeConfig {
    /// Data-centre (account set) id, `acctId`.
    pub acct_id: String,
    /// Integration user.
    pub user_name: String,
    /// Further users that may sign with the same application.
    pub extra_users: Vec<String>,
    /// Password for `ValidateUser`.
    pub password: String,
    /// Full application id `<client id>_<32 characters>`.
    pub app_id: String,
    /// Application secret.
    pub app_secret: String,
    /// Check `X-Api-Signature` too. On private sites it is not certain that the server does.
    pub verify_api_signature: bool,
    /// Largest distance of `x-api-timestamp` from the machine's clock in seconds; `None` switches the check off.
    pub signature_window_secs: Option<i64>,
    /// How a bad signature is refused.
    pub refusal: Refusal,
    /// Accept the SHA-1 form of `LoginBySign` (servers before 8.0.0.202205) besides SHA-256.
    pub login_sha1: bool,
    /// Wrong passwords that lock the user.
    pub lock_after: u32,
    /// Text a successful login carries in `Message` (licence or password-age reminder); empty for none.
    pub login_reminder: String,
    /// Idle seconds after which a session is lost. A site setting; no published figure.
    pub session_idle_secs: i64,
    /// Status after `UnAudit`: `D` by usual product behaviour, `B` in one measured note.
    pub unaudit_status: String,
    /// Whether `Audit` of a bill that was never submitted is refused (most bills do).
    pub audit_needs_submit: bool,
    /// Whether `IsAutoSubmitAndAudit` works; it is not in the official list.
    pub auto_submit_and_audit: bool,
    /// Rows returned when `Limit` is 0 or absent.
    pub default_limit: usize,
    /// Largest `Limit`; 2000 in old documents, 10000 in new ones.
    pub max_limit: usize,
    /// `MsgCode` of an edit-lock refusal: 0 in a real sample, 13 by the newer table.
    pub edit_lock_code: u32,
    /// `MsgCode` of "not in review" and "audited, cannot be changed": 11 or 12, not seen in a source.
    pub not_operable_code: u32,
    /// Whether bills may use base data that is not audited or is forbidden.
    pub require_usable_base_data: bool,
    /// Tax rate in percent of an order row that names none.
    pub default_tax_rate: String,
    /// Polls of `QueryAsyncResult` that still answer "running" before the task is complete.
    pub async_polls: u32,
    /// How quantities and prices are printed.
    pub numbers: NumberStyle,
    /// Print bill ids as strings.
    pub ids_as_strings: bool,
    /// Coded operators of the array form of `FilterString`, code to operator (`("67", "=")`). The codes are not
    /// published in a source that could be read, so none is set; operators written out always work.
    pub compare_codes: Vec<(String, String)>,
    /// Custom fields of the account set.
    pub custom_fields: Vec<CustomField>,
}

impl std::fmt::Debug for KingdeeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KingdeeConfig")
            .field("acct_id", &self.acct_id)
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

impl Default for KingdeeConfig {
    fn default() -> Self {
        Self {
            acct_id: "64f0c0ffee0001".to_owned(),
            user_name: "integration".to_owned(),
            extra_users: vec!["集成用户".to_owned()],
            password: "sandbox-password".to_owned(),
            app_id: "210001_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX".to_owned(),
            app_secret: "0123456789abcdef0123456789abcdef".to_owned(),
            verify_api_signature: true,
            signature_window_secs: Some(600),
            refusal: Refusal::SessionLost,
            login_sha1: true,
            lock_after: 5,
            login_reminder: String::new(),
            session_idle_secs: 1200,
            unaudit_status: "D".to_owned(),
            audit_needs_submit: true,
            auto_submit_and_audit: false,
            default_limit: 2000,
            max_limit: 10_000,
            edit_lock_code: 0,
            not_operable_code: 11,
            require_usable_base_data: true,
            default_tax_rate: "13".to_owned(),
            async_polls: 1,
            numbers: NumberStyle::Float,
            ids_as_strings: false,
            compare_codes: Vec::new(),
            custom_fields: Vec::new(),
        }
    }
}

/// How an accepted invoice moves from 20 (issuing) over 21 (sealing) to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Every query moves the invoice on: the first `n` answers say 20, the next `n` say 21, then the end state.
    Polls(u32),
    /// By the virtual clock: 21 after the first number of milliseconds, the end state after the second.
    Clock(i64, i64),
}

/// Nuonuo: credentials and the points its documents leave open.
#[derive(Clone)]
pub struct NuonuoConfig {
    /// Application key.
    pub app_key: String,
    /// Application secret; also the HMAC key of the request signature.
    pub app_secret: String,
    /// The seller's tax number; `userTax`, when sent, and `salerTaxNum` must be this.
    pub tax_number: String,
    /// The seller's name, printed on results.
    pub seller_name: String,
    /// Path whose segments enter the signature (`a=services&l=v1&p=open`).
    pub signed_path: String,
    /// Token calls before 070306.
    pub token_quota: u32,
    /// Life of a token in seconds (virtual clock).
    pub token_secs: i64,
    /// Largest distance of `timestamp` from the machine's clock in seconds; not published, `None` switches it off.
    pub window_secs: Option<i64>,
    /// Refuse a `senid`+`nonce` pair seen before; there is no public proof that the gateway does.
    pub reject_replay: bool,
    /// Life cycle of an accepted invoice.
    pub lifecycle: Lifecycle,
    /// Queries right after the submit that answer E9500.
    pub not_found_polls: u32,
    /// Tries of one order number within one day before E9613.
    pub daily_tries: u32,
    /// Allowed length of `orderNo`; documents say 20 and 64.
    pub order_no_max: usize,
    /// Waiting times between tries of a callback. The vendor's plan is unknown; 1, 5 and 30 minutes scaled down.
    pub callback_retries: Vec<Duration>,
    /// Every callback is sent this many times (1 = no duplicates).
    pub callback_copies: u32,
    /// Deliver the callback before the answer to the submit (only with a life cycle of zero polls or zero time).
    pub callback_before_reply: bool,
    /// `c_status` in success callbacks; only present when the tenant enabled callbacks on failure.
    pub callback_status: bool,
    /// The tax bureau issues the red invoice by itself as soon as a confirmation needs nobody's consent (`01`).
    pub bureau_issues_red: bool,
    /// Callbacks waiting to be sent; beyond that they are dropped and counted.
    pub callback_queue: usize,
}

impl std::fmt::Debug for NuonuoConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NuonuoConfig").field("tax_number", &self.tax_number).finish_non_exhaustive()
    }
}

impl Default for NuonuoConfig {
    fn default() -> Self {
        Self {
            app_key: "94729384".to_owned(),
            app_secret: "A1B2C3D4E5F60718".to_owned(),
            tax_number: "339902999999789113".to_owned(),
            seller_name: "杭州示例科技有限公司".to_owned(),
            signed_path: "/open/v1/services".to_owned(),
            token_quota: 50,
            token_secs: 86_400,
            window_secs: Some(300),
            reject_replay: false,
            lifecycle: Lifecycle::Polls(1),
            not_found_polls: 0,
            daily_tries: 20,
            order_no_max: 20,
            callback_retries: vec![
                Duration::from_millis(60),
                Duration::from_millis(300),
                Duration::from_millis(1800),
            ],
            callback_copies: 1,
            callback_before_reply: false,
            callback_status: true,
            bureau_issues_red: false,
            callback_queue: 1024,
        }
    }
}

/// The generic REST CRM.
#[derive(Clone)]
pub struct CrmConfig {
    /// Token expected in `Authorization: Bearer`.
    pub token: String,
    /// Create a record on the first write; otherwise an unknown id is 404.
    pub auto_create: bool,
    /// Writes kept in the history; older ones are dropped.
    pub history_limit: usize,
    /// Fields that may not be set to `null` or empty (422).
    pub required_fields: Vec<String>,
}

impl std::fmt::Debug for CrmConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CrmConfig").field("auto_create", &self.auto_create).finish_non_exhaustive()
    }
}

impl Default for CrmConfig {
    fn default() -> Self {
        Self {
            token: "crm-sandbox-token".to_owned(),
            auto_create: true,
            history_limit: 1_000_000,
            required_fields: Vec::new(),
        }
    }
}

/// Jiandaoyun.
#[derive(Clone)]
pub struct JdyConfig {
    /// API key expected in `Authorization: Bearer`.
    pub api_key: String,
    /// Secret of the data push.
    pub secret: String,
    /// Create a record on the first update; otherwise an unknown `data_id` is refused.
    pub auto_create: bool,
    /// Error code of an unknown `data_id` (HTTP 400). Not certain.
    pub unknown_data_code: u32,
    /// Updates kept in the history.
    pub history_limit: usize,
}

impl std::fmt::Debug for JdyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JdyConfig").field("auto_create", &self.auto_create).finish_non_exhaustive()
    }
}

impl Default for JdyConfig {
    fn default() -> Self {
        Self {
            api_key: "jdy-sandbox-key".to_owned(),
            secret: "jdy-secret".to_owned(),
            auto_create: false,
            unknown_data_code: 4001,
            history_limit: 1_000_000,
        }
    }
}

/// Charset of U8's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum U8Charset {
    /// UTF-8 (default).
    Utf8,
    /// The code page of a Chinese Windows, declared as `gb2312`.
    Gbk,
}

/// Yonyou U8 EAI.
#[derive(Clone)]
pub struct U8Config {
    /// Code under which the caller is registered.
    pub sender: String,
    /// What an unknown sender is told; the real text is not known.
    pub unknown_sender: String,
    /// Charset of answers.
    pub response_charset: U8Charset,
    /// Whether answers declare their charset; many come with `<?xml version="1.0"?>` or nothing.
    pub declare_encoding: bool,
    /// Print dates with a time.
    pub dates_with_time: bool,
    /// Work amounts of orders out anew from the price, as the OpenAPI does; otherwise they are stored as sent.
    pub recompute: bool,
    /// Queries answer everything, as was measured for one archive.
    pub ignore_conditions: bool,
    /// Items of receipts name a line's code instead of the document's number, as the vendor's text has it.
    pub keys_of_lines: bool,
    /// Largest request in bytes; IIS has one until "自动设置IIS" is used. `None`: only the sandbox's own.
    pub request_limit: Option<usize>,
}

impl std::fmt::Debug for U8Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("U8Config").field("response_charset", &self.response_charset).finish_non_exhaustive()
    }
}

impl Default for U8Config {
    fn default() -> Self {
        Self {
            sender: "u8-sandbox-sender".to_owned(),
            unknown_sender: "外部系统未注册！".to_owned(),
            response_charset: U8Charset::Utf8,
            declare_encoding: false,
            dates_with_time: true,
            recompute: false,
            ignore_conditions: false,
            keys_of_lines: false,
            request_limit: None,
        }
    }
}
