//! What finance books in the ERP by an invoice: receivables that appear, are un-audited or voided.

use rust_decimal::Decimal;

use super::{
    receipts::{Change, change_of, customer_for, finish},
    store::{Bill, Fields, FieldsExt, Row, Val},
};
use crate::{
    clock,
    world::{World, lock},
};

/// Form id of receivables.
pub(crate) const RECEIVABLE: &str = "AR_receivable";

/// Books an audited receivable for an order: one entry of so much with tax at 13 %; its id, or why not.
pub(crate) fn book(world: &World, order: &str, amount: Decimal, number: &str) -> Result<i64, String> {
    let config = &world.config.kingdee;
    let mut store = lock(&world.kingdee.store);
    let customer = customer_for(&store, (RECEIVABLE, "receivable"), number, order)?;
    let now = world.clock.now_ms();
    let mut bill = Bill { number: number.to_owned(), ..Bill::default() };
    let (day, org) = (Val::Text(clock::local_day(now)), Val::Ref("100".to_owned()));
    for (key, val) in [
        ("FBILLTYPEID", Val::Ref("YSD01_SYS".to_owned())),
        ("FDATE", day.clone()),
        ("FENDDATE_H", day),
        ("FCUSTOMERID", customer),
        ("FCURRENCYID", Val::Ref("PRE001".to_owned())),
        ("FSETTLEORGID", org.clone()),
        ("FPAYORGID", org),
        ("FCANCELSTATUS", Val::Text("A".to_owned())),
    ] {
        bill.fields.put(key, val);
    }
    let mut fields = Fields::new();
    for (key, val) in [
        ("FPRICEQTY", Val::Num(Decimal::ONE)),
        ("FTAXPRICE", Val::Num(amount)),
        ("FENTRYTAXRATE", Val::Num(Decimal::from(13))),
        ("FORDERNUMBER", Val::Text(order.to_owned())),
    ] {
        fields.put(key, val);
    }
    let row = Row { id: store.new_entry_id(), fields, ..Row::default() };
    bill.entities.insert("FENTITYDETAIL".to_owned(), vec![row]);
    finish(&mut store, config, RECEIVABLE, bill, now, false)
}

/// Voids a receivable.
pub(crate) fn void(world: &World, number: &str) -> Result<(), String> {
    change_of(world, RECEIVABLE, number, Change::Void)
}
