//! The section `invoicing`: what the control of invoices goes by.

use super::read::Reader;
use super::{Config, INVOICING, LEDGER};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use tongbao_connect::settings::refuse_unknown;
use tongbao_model::decimal;
use tongbao_model::diagnostic::{Findings, Place};
use tongbao_model::event::kinds;
use tongbao_model::yaml::Node;
use tongbao_recon::invoicing::Channel;

const NAMES: &[&str] = &["rows_max", "number_max", "tolerance", "together"];
/// What asks for an invoice, and what is made of it when it is let through.
const ASKED: [(&str, &str); 3] = [
    (kinds::CONTRACT_SIGNED, kinds::INVOICE_APPROVED),
    (kinds::INVOICE_REQUESTED, kinds::INVOICE_APPROVED),
    (kinds::RED_INVOICE_REQUESTED, kinds::RED_INVOICE_APPROVED),
];
const APPROVED: [&str; 2] = [kinds::INVOICE_APPROVED, kinds::RED_INVOICE_APPROVED];
/// Largest tolerance: beyond it, what is asked for is something else.
const TOLERANCE_MAX: Decimal = Decimal::ONE;

/// What the control of invoices goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoicingRules {
    /// What the invoice platform takes.
    pub channel: Channel,
    /// How much the last request of a line may differ from what is left of it, with tax; it takes what is left.
    pub tolerance: Decimal,
    /// Codes of the customers whose requests wait until a person puts them together.
    pub together: BTreeSet<String>,
}

impl Default for InvoicingRules {
    fn default() -> Self {
        InvoicingRules {
            channel: Channel { rows_max: 2_000, number_max: 20 },
            tolerance: Decimal::new(5, 2),
            together: BTreeSet::new(),
        }
    }
}

/// Whether any flow goes to the control.
pub fn is_used(config: &Config) -> bool {
    config.flows.iter().any(|flow| flow.to == INVOICING)
}

/// What would let an invoice past the control, or keep one from ever being issued.
pub fn check(config: &Config, findings: &mut Findings) {
    let mut wrong = |place: Place, zh: String, en: String| findings.error("flow-event", place, zh, en);
    for one in config.connections.iter().flat_map(|connection| {
        connection.receives.iter().chain(connection.polls.iter().map(|polls| &polls.receives))
    }) {
        if APPROVED.contains(&one.event.as_str()) {
            wrong(
                one.place,
                format!("{} 只能由开票控制产生，不能由外部推入", one.event),
                format!(
                    "`{}` is made by the control of invoices alone and never comes from outside",
                    one.event
                ),
            );
        }
    }
    let ours = || config.flows.iter().filter(|flow| flow.to == INVOICING);
    let is_asked = |flow: &super::Flow| ASKED.iter().any(|(asked, _)| flow.on == *asked);
    for flow in ours().filter(|flow| !is_asked(flow)) {
        let [signed, blue, red] = ASKED.map(|(asked, _)| asked);
        wrong(
            flow.place,
            format!("invoicing 只处理 {signed}、{blue} 与 {red}"),
            format!("`invoicing` takes only `{signed}`, `{blue}` and `{red}`"),
        );
    }
    let Some(first) = ours().next() else { return };
    let issues = |flow: &&super::Flow| flow.emits.as_deref() == Some(kinds::INVOICE_ISSUED);
    for flow in config.flows.iter().filter(issues).filter(|flow| !APPROVED.contains(&flow.on.as_str())) {
        wrong(
            flow.place,
            format!(
                "此流程绕过开票控制：{} 直接开票；请去掉，或改为 on: {}",
                flow.on,
                kinds::INVOICE_APPROVED
            ),
            format!(
                "this flow passes the control by: `{}` is invoiced at once; take it out, or have it `on: {}`",
                flow.on,
                kinds::INVOICE_APPROVED
            ),
        );
    }
    for approved in APPROVED {
        let is_asked = ours().any(|flow| ASKED.contains(&(flow.on.as_str(), approved)));
        if is_asked && !config.flows.iter().filter(issues).any(|flow| flow.on == approved) {
            wrong(
                first.place,
                format!(
                    "通过的申请不会开票：请加流程 {{ on: {approved}, to: <开票连接>, mapping: …, emits: {} }}",
                    kinds::INVOICE_ISSUED
                ),
                format!(
                    "what is let through would never be issued: add a flow {{ on: {approved}, to: <invoice platform>, mapping: …, emits: {} }}",
                    kinds::INVOICE_ISSUED
                ),
            );
        }
    }
    if !config.flows.iter().any(|flow| flow.to == LEDGER && flow.on == kinds::INVOICE_ISSUED) {
        wrong(
            first.place,
            format!("开出的发票不会入账：请加流程 {{ on: {}, to: ledger }}", kinds::INVOICE_ISSUED),
            format!(
                "issued invoices would never be booked: add a flow {{ on: {}, to: ledger }}",
                kinds::INVOICE_ISSUED
            ),
        );
    }
}

impl Reader<'_> {
    /// Reads the section.
    pub(super) fn invoicing(&mut self, node: &Node) -> InvoicingRules {
        refuse_unknown(node, NAMES, self.findings);
        let usual = InvoicingRules::default();
        let rows_max = self.number(node, "rows_max", usual.channel.rows_max);
        let number_max = self.number(node, "number_max", usual.channel.number_max);
        if rows_max < 2 || number_max == 0 {
            self.wrong(
                node.place,
                "rows_max 至少为 2，number_max 至少为 1",
                "`rows_max` is 2 at least, `number_max` 1",
            );
        }
        let tolerance = match node.get("tolerance") {
            None => usual.tolerance,
            Some(inner) => {
                let read = inner.text().and_then(|text| decimal::parse(text).ok());
                let fits = |one: &Decimal| !one.is_sign_negative() && *one <= TOLERANCE_MAX;
                read.filter(fits).unwrap_or_else(|| {
                    self.wrong(
                        inner.place,
                        &format!("tolerance 应为 0 到 {TOLERANCE_MAX} 的金额"),
                        &format!("`tolerance` is an amount from 0 to {TOLERANCE_MAX}"),
                    );
                    usual.tolerance
                })
            }
        };
        let codes = node.get("together").map(Node::items).unwrap_or_default();
        let mut together = BTreeSet::new();
        for code in codes {
            match code.text().filter(|text| !text.is_empty()) {
                Some(text) => drop(together.insert(text.to_owned())),
                None => self.wrong(
                    code.place,
                    "together 应为客户编码的列表",
                    "`together` is a list of customers' codes",
                ),
            }
        }
        InvoicingRules { channel: Channel { rows_max, number_max }, tolerance, together }
    }
}
