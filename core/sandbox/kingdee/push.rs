//! Push (下推): order → receivable → receipt.
//!
//! `AR_recableToRecBill` is a rule id seen in public clients. The id of the order's rule and the exact text of the
//! "nothing left" refusal are not certain.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    amounts,
    envelope::Params,
    lifecycle::named,
    reply::{CODE_PARAMETER, CODE_VALIDATION, Failure, Shape, error, result, status},
    store::{Bill, Fields, FieldsExt, Row, Store, Val, print_id},
};
use crate::{
    clock,
    config::KingdeeConfig,
    wire::message::Reply,
    world::{World, lock},
};

/// Source form, target form, rule.
const RULES: &[(&str, &str, &str)] = &[
    ("SAL_SaleOrder", "AR_receivable", "AR_SaleOrderToReceivable"),
    ("AR_receivable", "AR_RECEIVEBILL", "AR_recableToRecBill"),
];

/// Runs a push.
pub(super) fn run(world: &World, form_id: &str, data: &Params, user: &str) -> Reply {
    let config = &world.config.kingdee;
    let now_ms = world.clock.now_ms();
    let (rule_id, target) = (data.text("RuleId"), data.text("TargetFormId"));
    let default = data.flag("IsEnableDefaultRule", false);
    let fail = |failure: Failure| {
        let conversion = status(std::slice::from_ref(&failure), Vec::new(), Vec::new());
        let saving = status(std::slice::from_ref(&failure), Vec::new(), Vec::new());
        result(saving, vec![("ConvertResponseStatus", conversion)])
    };
    if rule_id.is_empty() && !default {
        return fail(Failure::new(None, "未启用默认转换规则，转换规则内码（RuleId）必填", CODE_PARAMETER));
    }
    let rule = RULES.iter().find(|(source, to, id)| {
        source.eq_ignore_ascii_case(form_id)
            && if rule_id.is_empty() {
                target.is_empty() || to.eq_ignore_ascii_case(&target)
            } else {
                *id == rule_id
            }
    });
    let Some((source, target, rule_id)) = rule else {
        return fail(Failure::new(None, "没有找到可用的单据转换规则", super::reply::CODE_MISSING));
    };
    let mut store = lock(&world.kingdee.store);
    let ids = match named(&store, source, data) {
        Ok(ids) => ids,
        Err(failure) => return error(Shape::Object, &[failure]),
    };
    let (mut converted, mut saved, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for (index, id) in ids.into_iter().enumerate() {
        let plan = Plan { source, target, rule: rule_id, now: clock::local_text(now_ms), user };
        match plan.one(config, &mut store, id) {
            Err(failure) => failures.push(failure.at(index)),
            Ok(bill) => {
                converted.push(json!({"Id": print_id(config, id), "Number": bill.0, "DIndex": index}));
                saved.push(json!({"Id": print_id(config, bill.1), "Number": bill.2, "DIndex": index}));
            }
        }
    }
    let conversion = status(&failures, converted, Vec::new());
    result(status(&failures, saved, Vec::new()), vec![("ConvertResponseStatus", conversion)])
}

struct Plan<'a> {
    source: &'a str,
    target: &'a str,
    rule: &'a str,
    now: String,
    user: &'a str,
}

impl Plan<'_> {
    /// Source number, target id, target number.
    fn one(
        &self,
        config: &KingdeeConfig,
        store: &mut Store,
        id: i64,
    ) -> Result<(String, i64, String), Failure> {
        let table = store.table_mut(self.source);
        let label = table.form.label.clone();
        let Some(bill) = table.bills.get_mut(&id) else { return Err(Failure::not_found(&id.to_string())) };
        let refuse = |reason: &str| {
            let message = format!("单据编号为“{}”的{label}，{reason}！", bill.number);
            Err(Failure::new(Some(""), message, CODE_VALIDATION))
        };
        if bill.status() != "C" || bill.fields.val("FCLOSESTATUS").text() == "B" {
            return refuse("单据未审核或已关闭，不能下推");
        }
        let (entity, quantity) = match self.source {
            "SAL_SaleOrder" => ("FSALEORDERENTRY", "FQTY"),
            _ => ("FENTITYDETAIL", "FALLAMOUNTFOR_D"),
        };
        let open: Vec<(Row, Decimal)> = bill
            .rows(entity)
            .iter()
            .map(|row| {
                let left =
                    row.fields.num_or_zero(quantity) - bill.pushed.get(&row.id).copied().unwrap_or_default();
                (row.clone(), left)
            })
            .filter(|(_, left)| !left.is_zero())
            .collect();
        if open.is_empty() {
            return refuse("分录的关联数量已经超过可下推数量，不能下推");
        }
        for (row, left) in &open {
            *bill.pushed.entry(row.id).or_default() += *left;
        }
        let origin = bill.clone();
        let mut target = if self.source == "SAL_SaleOrder" {
            self.receivable(store, &origin, &open)
        } else {
            self.receipt(store, &origin, &open)
        };
        let form = store.form(self.target);
        target.id = store.new_id();
        target.number = store.new_number(&form.id);
        target.set_status("A");
        for key in ["FCREATEDATE", "FMODIFYDATE"] {
            target.fields.put(key, Val::Text(self.now.clone()));
        }
        target.fields.put("FCREATORID", Val::Ref(self.user.to_owned()));
        amounts::defaults(store, config, &form, &mut target);
        amounts::compute(&form, &mut target);
        let made = (origin.number, target.id, target.number.clone());
        store.table_mut(self.target).insert(target);
        Ok(made)
    }

    fn link(&self, prefix: &str, table: &str, bill: i64, row: i64) -> Row {
        let mut fields = Fields::new();
        for (key, value) in [
            ("FRULEID", self.rule.to_owned()),
            ("FSTABLENAME", table.to_owned()),
            ("FSBILLID", bill.to_string()),
            ("FSID", row.to_string()),
        ] {
            fields.put(&format!("{prefix}_{key}"), Val::Text(value));
        }
        Row { fields, ..Row::default() }
    }

    fn day(&self) -> Val {
        let day = self.now.get(..10).unwrap_or_default();
        Val::Text(format!("{day}T00:00:00"))
    }

    fn receivable(&self, store: &mut Store, order: &Bill, open: &[(Row, Decimal)]) -> Bill {
        let mut bill = Bill::default();
        let org = order.fields.val("FSALEORGID").clone();
        let currency = order
            .rows("FSALEORDERFINANCE")
            .first()
            .map_or(Val::Null, |row| row.fields.val("FSETTLECURRID").clone());
        for (key, val) in [
            ("FBILLTYPEID", Val::Ref("YSD01_SYS".to_owned())),
            ("FDATE", self.day()),
            ("FENDDATE_H", self.day()),
            ("FCUSTOMERID", order.fields.val("FCUSTID").clone()),
            ("FCURRENCYID", currency),
            ("FSETTLEORGID", org.clone()),
            ("FPAYORGID", org.clone()),
            ("FSALEORGID", org),
            ("FSALEERID", order.fields.val("FSALERID").clone()),
            ("FBUSINESSTYPE", Val::Text("BZ".to_owned())),
            ("FSETACCOUNTTYPE", Val::Text("1".to_owned())),
            ("FCANCELSTATUS", Val::Text("A".to_owned())),
        ] {
            bill.fields.put(key, val);
        }
        let rows = open.iter().map(|(row, left)| {
            let mut fields = Fields::new();
            for (to, from) in [
                ("FMATERIALID", "FMATERIALID"),
                ("FPRICEUNITID", "FPRICEUNITID"),
                ("FTAXPRICE", "FTAXPRICE"),
                ("FENTRYTAXRATE", "FENTRYTAXRATE"),
                ("FENTRYDISCOUNTRATE", "FDISCOUNTRATE"),
            ] {
                fields.put(to, row.fields.val(from).clone());
            }
            fields.put("FPRICEQTY", Val::Num(*left));
            fields.put("FSOURCETYPE", Val::Text("SAL_SaleOrder".to_owned()));
            fields.put("FSOURCEBILLNO", Val::Text(order.number.clone()));
            fields.put("FORDERNUMBER", Val::Text(order.number.clone()));
            let link = self.link("FENTITYDETAIL_LINK", "T_SAL_ORDERENTRY", order.id, row.id);
            let subs = [("FENTITYDETAIL_LINK".to_owned(), vec![link])].into();
            Row { id: store.new_entry_id(), fields, subs }
        });
        let rows = rows.collect();
        bill.entities.insert("FENTITYDETAIL".to_owned(), rows);
        bill
    }

    fn receipt(&self, store: &mut Store, receivable: &Bill, open: &[(Row, Decimal)]) -> Bill {
        let mut bill = Bill::default();
        let customer = receivable.fields.val("FCUSTOMERID").clone();
        for (key, val) in [
            ("FBILLTYPEID", Val::Ref("SKDLX01_SYS".to_owned())),
            ("FDATE", self.day()),
            ("FCONTACTUNIT", customer.clone()),
            ("FPAYUNIT", customer),
            ("FCURRENCYID", receivable.fields.val("FCURRENCYID").clone()),
            ("FSETTLEORGID", receivable.fields.val("FSETTLEORGID").clone()),
        ] {
            bill.fields.put(key, val);
        }
        let total: Decimal = open.iter().map(|(_, left)| *left).sum();
        let order = open.first().map_or(Val::Null, |(row, _)| row.fields.val("FORDERNUMBER").clone());
        let mut entry = Fields::new();
        entry.put("FSETTLETYPEID", Val::Ref("JSFS04_SYS".to_owned()));
        entry.put("FPURPOSEID", Val::Ref("SFKYT01_SYS".to_owned()));
        entry.put("FRECTOTALAMOUNTFOR", Val::Num(total));
        entry.put("FSALEORDERNO", order.clone());
        let entry = Row { id: store.new_entry_id(), fields: entry, ..Row::default() };
        bill.entities.insert("FRECEIVEBILLENTRY".to_owned(), vec![entry]);
        let mut source = Fields::new();
        source.put("FSRCBILLTYPEID", Val::Text("AR_receivable".to_owned()));
        source.put("FSRCBILLNO", Val::Text(receivable.number.clone()));
        source.put("FSRCBILLID", Val::Num(Decimal::from(receivable.id)));
        source.put("FREALRECAMOUNTFOR_S", Val::Num(total));
        source.put("FORDERBILLNO", order);
        let link = self.link("FRECEIVEBILLSRCENTRY_LINK", "t_AR_receivablePlan", receivable.id, 0);
        let subs = [("FRECEIVEBILLSRCENTRY_LINK".to_owned(), vec![link])].into();
        let source = Row { id: store.new_entry_id(), fields: source, subs };
        bill.entities.insert("FRECEIVEBILLSRCENTRY".to_owned(), vec![source]);
        bill
    }
}

/// Rules by source and target, for the control surface.
pub(crate) fn rules() -> Value {
    RULES
        .iter()
        .map(|(source, target, rule)| json!({"source": source, "target": target, "rule": rule}))
        .collect()
}
