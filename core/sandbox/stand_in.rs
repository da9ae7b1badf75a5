//! A sandbox as the connectors' conformance kit wants it: trouble by the kit's names, documents as it counts them.

use async_trait::async_trait;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use tongbao_connect::kit::{Listed, StandIn, StandIns, Standing, Trouble};

use crate::{
    clock,
    config::SandboxConfig,
    faults::{Fault, Rule, System},
    kingdee::ReceiptSpec,
    masters::{self, MasterSpec, StockSpec},
    robots::RobotMessage,
    sandbox::Sandbox,
    state::call_name,
};

/// Lends a sandbox for every stand-in asked for, each on free ports: `kingdee`, `nuonuo`, `u8`, `u8-openapi`, `crm`, `jdy`,
/// `esign`, `fadada`, `wecom`, `dingtalk` and `mail`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sandboxes;

struct Lent {
    sandbox: Sandbox,
    system: System,
}

#[async_trait]
impl StandIns for Sandboxes {
    async fn start(&self, system: &str) -> Result<Box<dyn StandIn>, String> {
        let mut config = SandboxConfig::default();
        // The kit's documents name their records; forms that are there already are the other tests' matter.
        config.jdy.auto_create = true;
        config.esign.auto_create = true;
        config.fadada.auto_create = true;
        let system = match system {
            "kingdee" => System::Kingdee,
            "nuonuo" => System::Nuonuo,
            "crm" => System::Crm,
            "jdy" => System::Jdy,
            "u8" => System::U8,
            "u8-openapi" => System::U8OpenApi,
            "esign" => System::Esign,
            "fadada" => System::Fadada,
            "wecom" => System::Wecom,
            "dingtalk" => System::Dingtalk,
            "mail" => System::Mail,
            other => return Err(format!("there is no stand-in named {other}")),
        };
        let sandbox = Sandbox::start(config).await.map_err(|error| error.to_string())?;
        Ok(Box::new(Lent { sandbox, system }))
    }

    fn now_ms(&self) -> i64 {
        clock::wall_ms()
    }
}

fn fault(trouble: Trouble) -> Fault {
    match trouble {
        Trouble::LostBefore => Fault::LostBeforeCommit,
        Trouble::LostAfter => Fault::LostAnswerAfterCommit,
        Trouble::Cut => Fault::ResetMidBody,
        Trouble::Half => Fault::TruncatedJson,
        Trouble::Drip { ms } => Fault::Drip { ms },
        Trouble::Throttled => Fault::Throttled { retry_after: None },
        Trouble::Status { status, retry_after, committed } => {
            Fault::Http { status, retry_after, after_commit: committed }
        }
        Trouble::Answer { name: _, status, content_type, body, committed } => {
            Fault::Answer { status, content_type, body, after_commit: committed }
        }
        Trouble::Oversize => Fault::Oversize,
        Trouble::WrongCharset => Fault::BadCharset,
        Trouble::CentOff => Fault::CentOff,
    }
}

/// The kit's keys in messages, in whatever words they stand.
fn said(messages: Vec<RobotMessage>) -> impl Iterator<Item = String> {
    messages.into_iter().filter_map(|message| kit_key(&message.content))
}

/// The first key of the kit in a text.
pub(crate) fn kit_key(text: &str) -> Option<String> {
    let (_, after) = text.split_once("KIT-")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("KIT-{digits}"))
}

impl Lent {
    /// Refuses what only ERPs keep.
    fn erp(&self) -> Result<(), String> {
        match self.system {
            System::Kingdee | System::U8 | System::U8OpenApi => Ok(()),
            System::Nuonuo
            | System::Crm
            | System::Jdy
            | System::Esign
            | System::Fadada
            | System::Wecom
            | System::Dingtalk
            | System::Mail => Err("it keeps no master data".to_owned()),
        }
    }
}

impl StandIn for Lent {
    fn url(&self) -> String {
        match self.system {
            System::Mail => format!("smtp://{}", self.sandbox.mail_address()),
            _ => self.sandbox.url(),
        }
    }

    fn script(&self, operation: &str, times: u64, trouble: Trouble) -> Result<(), String> {
        let books = matches!(self.system, System::Kingdee | System::Nuonuo | System::U8 | System::U8OpenApi);
        if !books && trouble == Trouble::CentOff {
            return Err("it keeps records without a total".to_owned());
        }
        self.sandbox.fault(Rule::new(fault(trouble)).on(self.system, operation).times(times));
        Ok(())
    }

    fn clear(&self) {
        self.sandbox.clear_faults();
    }

    fn met(&self) -> u64 {
        self.sandbox.faults_injected().values().sum()
    }

    fn calls(&self, operation: &str) -> u64 {
        self.sandbox.calls().get(&call_name(self.system, operation)).copied().unwrap_or(0)
    }

    fn expire_sessions(&self) {
        self.sandbox.drop_sessions();
        self.sandbox.drop_tokens();
    }

    fn seed(&self) -> Result<(), String> {
        let book = match self.system {
            System::Kingdee => Sandbox::book_receipt,
            System::U8 | System::U8OpenApi => Sandbox::u8_book,
            System::Nuonuo
            | System::Crm
            | System::Jdy
            | System::Esign
            | System::Fadada
            | System::Wecom
            | System::Dingtalk
            | System::Mail => {
                return Err("it has nothing that is polled".to_owned());
            }
        };
        for (number, yuan) in [("KIT-RECEIPT-1", 100), ("KIT-RECEIPT-2", 339)] {
            let paying = ReceiptSpec::paying("KIT-ORDER", Decimal::from(yuan), number);
            let spec = ReceiptSpec { customer: Some("CUST0001".to_owned()), ..paying };
            book(&self.sandbox, &spec)?;
        }
        Ok(())
    }

    fn add_master(&self, list: &str, code: &str, disabled: bool) -> Result<(), String> {
        self.erp()?;
        // A name as people type it: blanks around it and full-width letters in it.
        let name = format!("　样例（{code}）ＫＩＴ 有限公司 ");
        let spec = MasterSpec { disabled, unit: "Pcs".to_owned(), ..MasterSpec::new(code, &name) };
        self.sandbox.put_master(list, &spec)
    }

    fn drop_master(&self, list: &str, code: &str) -> Result<(), String> {
        self.erp()?;
        self.sandbox.remove_master(list, code)
    }

    fn masters(&self, list: &str) -> Result<Vec<Listed>, String> {
        self.erp()?;
        let (_, archive) = masters::places(list).ok_or_else(|| format!("no list {list:?}"))?;
        let rows = match self.system {
            System::Kingdee => self.sandbox.kingdee_masters(list)?,
            _ => self.sandbox.u8_archive(archive),
        };
        Ok(rows.into_iter().map(|(code, disabled)| Listed { code, disabled }).collect())
    }

    fn add_stock(
        &self,
        material: &str,
        warehouse: &str,
        on_hand: Decimal,
        available: Decimal,
    ) -> Result<(), String> {
        self.erp()?;
        let (material, warehouse) = (material.to_owned(), warehouse.to_owned());
        self.sandbox.add_stock(&StockSpec { material, warehouse, on_hand, available });
        Ok(())
    }

    fn documents(&self) -> Vec<Standing> {
        let standing = |key, gross, complete| Standing { key, total: Some(gross), complete };
        let record = |key| Standing { key, total: None, complete: true };
        match self.system {
            System::Kingdee => {
                let orders = self.sandbox.orders().into_iter();
                orders.map(|order| standing(order.number, order.gross, order.status == "C")).collect()
            }
            System::Nuonuo => {
                let invoices = self.sandbox.invoices().into_iter();
                invoices
                    .map(|invoice| standing(invoice.order_no, invoice.gross, invoice.status == "2"))
                    .collect()
            }
            // The import has no audit; by the OpenAPI it is a step of its own.
            System::U8 | System::U8OpenApi => {
                let audited = |status: &str| self.system == System::U8 || status == "审核";
                let orders = self.sandbox.u8_orders().into_iter();
                orders.map(|order| standing(order.number, order.gross, audited(&order.status))).collect()
            }
            // Flows that were asked about.
            System::Esign => {
                self.sandbox.esign_flows().into_iter().map(|flow| record(flow.spec.id)).collect()
            }
            System::Fadada => {
                self.sandbox.fadada_flows().into_iter().map(|flow| record(flow.spec.id)).collect()
            }
            // One for each time that a message came.
            System::Wecom => said(self.sandbox.wecom_messages()).map(record).collect(),
            System::Dingtalk => said(self.sandbox.dingtalk_messages()).map(record).collect(),
            System::Mail => {
                let messages = self.sandbox.mail_messages().into_iter();
                messages.filter_map(|message| kit_key(&message.text())).map(record).collect()
            }
            // A record has one state, however often it is written.
            System::Crm | System::Jdy => {
                let (crm, jdy) = (self.sandbox.crm_writes(), self.sandbox.jdy_writes());
                let ids: BTreeSet<String> = crm.into_iter().chain(jdy).map(|write| write.id).collect();
                ids.into_iter().map(record).collect()
            }
        }
    }
}
