//! Protocol-faithful stand-ins of the far sides Tongbao talks to, with scripted faults: Kingdee Cloud Galaxy WebAPI,
//! the Nuonuo e-invoice platform, Yonyou U8 by EAI and by OpenAPI, a generic REST CRM, Jiandaoyun, the e-signature
//! platforms e签宝 and 法大大, the group robots of WeCom and DingTalk, and a mail server.
//!
//! The package is a reading of the vendors' documents, SDKs and published samples, and of nothing else. It does not
//! know the connectors, mapping or delivery, and it shares no wire code with them: signatures, envelopes and amounts
//! are written a second time here, so that one misreading is not made twice.
//!
//! A [`Sandbox`] opens three listeners on 127.0.0.1. The *protocol* listener serves only what the vendors serve
//! (`/k3cloud/…`, `/accessToken`, `/open/v1/services`, `/U8EAI/import.asp`, `/u8open/…`, `/crm/…`, `/jdy/…`,
//! `/v3/sign-flow/…`, `/api/v5/…`, `/cgi-bin/webhook/send`, `/robot/send`), the *mail* listener speaks SMTP. The *control* listener seeds base data,
//! scripts faults, moves the clock, books receipts and shows the state; the same functions are methods of [`Sandbox`].
//! Everything lives in memory and is reproducible from the seed. [`Sandboxes`] lends a sandbox to the conformance kit of
//! connectors: of that package its two ports are known here, and nothing else.

mod catalogue;
mod clock;
mod config;
mod control;
pub mod crm;
pub mod faults;
pub mod jdy;
pub mod kingdee;
pub mod mail;
mod masters;
mod money;
pub mod nuonuo;
pub mod robots;
mod sandbox;
pub mod signing;
mod stand_in;
mod state;
#[cfg(test)]
mod tests;
pub mod u8;
mod wire;
mod world;

pub use config::{
    CrmConfig, CustomField, DingtalkConfig, EsignConfig, FadadaConfig, JdyConfig, KingdeeConfig, Lifecycle,
    MailConfig, NumberStyle, NuonuoConfig, Refusal, SandboxConfig, U8Charset, U8Config, WecomConfig,
};
pub use faults::{Fault, Rule, System};
pub use mail::MailMessage;
pub use masters::{MasterSpec, StockSpec};
pub use robots::RobotMessage;
pub use sandbox::Sandbox;
pub use stand_in::Sandboxes;
pub use state::{CrmWrite, InvoiceLineState, InvoiceState, OrderState, ReceiptLineState, ReceiptState};
pub use u8::U8OpenApiConfig;
