//! Values the server fills in by itself: defaults of omitted fields, row amounts and bill totals.
//!
//! Amounts are half-up to two decimals per row, totals are sums of rounded rows. Tax-inclusive orders split the gross
//! (`tax = gross - net`), tax-exclusive ones add the rounded tax.

use rust_decimal::Decimal;

use super::{
    forms::Form,
    store::{Bill, Fields, FieldsExt, Row, Store, Val},
};
use crate::{config::KingdeeConfig, money};

fn set_if_absent(fields: &mut Fields, key: &str, val: Val) {
    if fields.val(key).is_empty() {
        fields.put(key, val);
    }
}

fn text(text: &str) -> Val {
    Val::Text(text.to_owned())
}

/// Fills what the product fills when the caller leaves it out (units, organisations, limits).
pub(super) fn defaults(store: &Store, config: &KingdeeConfig, form: &Form, bill: &mut Bill) {
    for (key, value) in [("FCLOSESTATUS", "A"), ("FCANCELSTATUS", "A"), ("FFORBIDSTATUS", "A")] {
        if form.head.fields.contains_key(key) {
            set_if_absent(&mut bill.fields, key, text(value));
        }
    }
    match form.id.as_str() {
        "SAL_SaleOrder" => order_defaults(store, config, bill),
        "AR_RECEIVEBILL" => receipt_defaults(bill),
        "BD_Customer" | "BD_MATERIAL" => {
            let creator = bill.fields.val("FCREATEORGID").clone();
            set_if_absent(&mut bill.fields, "FUSEORGID", creator);
        }
        _ => {}
    }
}

fn order_defaults(store: &Store, config: &KingdeeConfig, bill: &mut Bill) {
    let org = bill.fields.val("FSALEORGID").clone();
    let customer = bill.fields.val("FCUSTID").clone();
    for key in ["FRECEIVEID", "FSETTLEID", "FCHARGEID"] {
        set_if_absent(&mut bill.fields, key, customer.clone());
    }
    if let Some(finance) = bill.entities.get_mut("FSALEORDERFINANCE").and_then(|rows| rows.first_mut()) {
        set_if_absent(&mut finance.fields, "FISINCLUDEDTAX", Val::Flag(true));
        set_if_absent(&mut finance.fields, "FEXCHANGERATE", Val::Num(Decimal::ONE));
    }
    for row in bill.entities.entry("FSALEORDERENTRY".to_owned()).or_default() {
        let fields = &mut row.fields;
        let material = fields.val("FMATERIALID").text().to_owned();
        let unit = store
            .base("BD_MATERIAL", &material)
            .and_then(|record| record.rows("SUBHEADENTITY").first())
            .map_or_else(|| Val::Ref("Pcs".to_owned()), |sub| sub.fields.val("FBASEUNITID").clone());
        set_if_absent(fields, "FUNITID", unit);
        let unit = fields.val("FUNITID").clone();
        for key in ["FPRICEUNITID", "FSTOCKUNITID", "FOUTLMTUNITID"] {
            set_if_absent(fields, key, unit.clone());
        }
        for key in ["FSETTLEORGIDS", "FSTOCKORGID", "FSUPPLYORGID", "FOWNERID"] {
            set_if_absent(fields, key, org.clone());
        }
        for (key, value) in [
            ("FROWTYPE", "Standard"),
            ("FOWNERTYPEID", "BD_OwnerOrg"),
            ("FRESERVETYPE", "1"),
            ("FOUTLMTUNIT", "SAL"),
            ("FMRPCLOSESTATUS", "A"),
            ("FMRPFREEZESTATUS", "A"),
            ("FMRPTERMINATESTATUS", "A"),
        ] {
            set_if_absent(fields, key, text(value));
        }
        let rate = money::parse(&config.default_tax_rate).unwrap_or_default();
        set_if_absent(fields, "FENTRYTAXRATE", Val::Num(rate));
        let quantity = fields.num_or_zero("FQTY");
        for key in ["FSTOCKQTY", "FSTOCKBASEQTY", "FPRICEBASEQTY"] {
            fields.put(key, Val::Num(quantity));
        }
    }
}

fn receipt_defaults(bill: &mut Bill) {
    let currency = bill.fields.val("FCURRENCYID").clone();
    for (key, val) in [
        ("FCONTACTUNITTYPE", text("BD_Customer")),
        ("FPAYUNITTYPE", text("BD_Customer")),
        ("FPAYUNIT", bill.fields.val("FCONTACTUNIT").clone()),
        ("FSETTLECUR", currency.clone()),
        ("FSETTLEMAINBOOKID", currency),
        ("FPAYORGID", bill.fields.val("FSETTLEORGID").clone()),
        ("FBUSINESSTYPE", text("1")),
        ("FWRITTENOFFSTATUS", text("A")),
        ("FEXCHANGERATE", Val::Num(Decimal::ONE)),
    ] {
        set_if_absent(&mut bill.fields, key, val);
    }
    let date = bill.fields.val("FDATE").clone();
    for row in bill.entities.entry("FRECEIVEBILLENTRY".to_owned()).or_default() {
        set_if_absent(&mut row.fields, "FPOSTDATE", date.clone());
        set_if_absent(&mut row.fields, "FWRITTENOFFSTATUS_D", text("A"));
    }
}

/// Computes row amounts and totals. Amounts the caller sent for computed fields are overwritten.
pub(super) fn compute(form: &Form, bill: &mut Bill) {
    match form.id.as_str() {
        "SAL_SaleOrder" => order(bill),
        "AR_RECEIVEBILL" => receipt(bill),
        "AR_REFUNDBILL" => refund(bill),
        "AR_receivable" => receivable(bill),
        _ => {}
    }
}

/// Net, tax and gross of a priced row. `discount` and `rate` in percent.
fn row_amounts(fields: &mut Fields, quantity: &str, discount: &str) -> (Decimal, Decimal, Decimal) {
    let hundred = Decimal::ONE_HUNDRED;
    let rate = fields.num_or_zero("FENTRYTAXRATE") / hundred;
    let quantity = fields.num_or_zero(quantity);
    let factor = Decimal::ONE - fields.num_or_zero(discount) / hundred;
    let (price, tax_price) = (fields.num_or_zero("FPRICE"), fields.num_or_zero("FTAXPRICE"));
    if tax_price.is_zero() && !price.is_zero() {
        let net = money::round(quantity * price * factor, 2);
        let tax = money::round(net * rate, 2);
        fields.put("FTAXPRICE", Val::Num(money::round(price * (Decimal::ONE + rate), 10)));
        return (net, tax, net + tax);
    }
    let gross = money::round(quantity * tax_price * factor, 2);
    let (net, tax) = money::split_gross(gross, rate);
    let price = tax_price.checked_div(Decimal::ONE + rate).unwrap_or(tax_price);
    fields.put("FPRICE", Val::Num(money::round(price, 10)));
    (net, tax, gross)
}

fn order(bill: &mut Bill) {
    let mut totals = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    for row in bill.entities.entry("FSALEORDERENTRY".to_owned()).or_default() {
        let free = row.fields.val("FISFREE") == &Val::Flag(true);
        let (net, tax, gross) = if free {
            (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO)
        } else {
            row_amounts(&mut row.fields, "FQTY", "FDISCOUNTRATE")
        };
        for (key, value) in [("FAMOUNT", net), ("FTAXAMOUNT", tax), ("FALLAMOUNT", gross)] {
            row.fields.put(key, Val::Num(value));
        }
        totals = (totals.0 + net, totals.1 + tax, totals.2 + gross);
    }
    let finance = bill.entities.entry("FSALEORDERFINANCE".to_owned()).or_default();
    if finance.is_empty() {
        finance.push(Row::default());
    }
    if let Some(row) = finance.first_mut() {
        for (key, value) in
            [("FBILLAMOUNT", totals.0), ("FBILLTAXAMOUNT", totals.1), ("FBILLALLAMOUNT", totals.2)]
        {
            row.fields.put(key, Val::Num(value));
        }
    }
}

fn receipt(bill: &mut Bill) {
    let (mut total, mut real) = (Decimal::ZERO, Decimal::ZERO);
    let rows = bill.entities.entry("FRECEIVEBILLENTRY".to_owned()).or_default();
    for row in rows.iter_mut() {
        let fields = &mut row.fields;
        let amount = match fields.val("FRECTOTALAMOUNTFOR").num() {
            Some(amount) => amount,
            None => fields.num_or_zero("FRECAMOUNTFOR_E"),
        };
        let received = amount - fields.num_or_zero("FHANDLINGCHARGEFOR");
        for (key, value) in [
            ("FRECTOTALAMOUNTFOR", amount),
            ("FRECAMOUNTFOR_E", amount),
            ("FSETTLERECAMOUNTFOR", amount),
            ("FREALRECAMOUNTFOR_D", received),
        ] {
            fields.put(key, Val::Num(value));
        }
        total += amount;
        real += received;
    }
    for (key, value) in
        [("FRECEIVEAMOUNTFOR_H", total), ("FRECAMOUNTFOR", total), ("FREALRECAMOUNTFOR", real)]
    {
        bill.fields.put(key, Val::Num(value));
    }
}

fn refund(bill: &mut Bill) {
    let mut total = Decimal::ZERO;
    for row in bill.entities.entry("FREFUNDBILLENTRY".to_owned()).or_default() {
        let amount = row.fields.num_or_zero("FREFUNDAMOUNTFOR");
        row.fields.put("FREFUNDAMOUNTFOR_E", Val::Num(amount));
        total += amount;
    }
    bill.fields.put("FREFUNDTOTALAMOUNTFOR", Val::Num(total));
    bill.fields.put("FREALREFUNDAMOUNTFOR", Val::Num(total));
}

fn receivable(bill: &mut Bill) {
    let mut totals = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    for row in bill.entities.entry("FENTITYDETAIL".to_owned()).or_default() {
        let (net, tax, gross) = row_amounts(&mut row.fields, "FPRICEQTY", "FENTRYDISCOUNTRATE");
        for (key, value) in [("FNOTAXAMOUNTFOR_D", net), ("FTAXAMOUNTFOR_D", tax), ("FALLAMOUNTFOR_D", gross)]
        {
            row.fields.put(key, Val::Num(value));
        }
        totals = (totals.0 + net, totals.1 + tax, totals.2 + gross);
    }
    let received = bill.fields.num_or_zero("FRECEIVEAMOUNT");
    for (key, value) in [
        ("FALLAMOUNTFOR", totals.2),
        ("FNORECEIVEAMOUNT", totals.2 - received),
        ("FOPENAMOUNTFOR", Decimal::ZERO),
        ("FNOINVOICEAMOUNT", totals.2),
    ] {
        bill.fields.put(key, Val::Num(value));
    }
    let finance = bill.entities.entry("FSUBHEADFINC".to_owned()).or_default();
    if finance.is_empty() {
        finance.push(Row::default());
    }
    if let Some(row) = finance.first_mut() {
        row.fields.put("FNOTAXAMOUNTFOR", Val::Num(totals.0));
        row.fields.put("FTAXAMOUNTFOR", Val::Num(totals.1));
    }
}
