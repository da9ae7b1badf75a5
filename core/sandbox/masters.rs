//! Master data and stock that stand in both ERPs: what finance and the warehouse keep there by hand.

use rust_decimal::Decimal;

use crate::{
    kingdee::{Bill, FieldsExt, Row, Val},
    u8,
    world::{World, lock},
};

/// Kingdee's form of stock on hand.
const INVENTORY: &str = "STK_Inventory";

/// A customer or a material.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MasterSpec {
    /// Code.
    pub code: String,
    /// Name, as somebody typed it.
    pub name: String,
    /// Short name, of customers.
    pub short_name: String,
    /// Tax number, of customers.
    pub tax_number: String,
    /// Specification, of materials.
    pub specification: String,
    /// Code of the unit, of materials.
    pub unit: String,
    /// Forbidden in Kingdee, ended in U8.
    pub disabled: bool,
}

impl MasterSpec {
    /// One with a code and a name.
    pub fn new(code: &str, name: &str) -> MasterSpec {
        MasterSpec { code: code.to_owned(), name: name.to_owned(), ..MasterSpec::default() }
    }
}

/// A lot of a material in a warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockSpec {
    /// Code of the material.
    pub material: String,
    /// Code of the warehouse.
    pub warehouse: String,
    /// Quantity on hand.
    pub on_hand: Decimal,
    /// What of it is free.
    pub available: Decimal,
}

/// Kingdee's form and U8's archive of a list.
pub(crate) fn places(list: &str) -> Option<(&'static str, &'static str)> {
    match list {
        "customers" => Some(("BD_Customer", "customer")),
        "materials" => Some(("BD_MATERIAL", "inventory")),
        _ => None,
    }
}

fn text(text: &str) -> Val {
    Val::Text(text.to_owned())
}

/// Puts a row into both ERPs, or changes it there.
pub(crate) fn put(world: &World, list: &str, spec: &MasterSpec) -> Result<(), String> {
    let (form, archive) = places(list).ok_or_else(|| format!("no list {list:?}"))?;
    let mut store = lock(&world.kingdee.store);
    store.seed(form, &spec.code, &spec.name, &[]);
    let table = store.table_mut(form);
    let found = table.by_number.get(&spec.code).and_then(|id| table.bills.get_mut(id));
    let bill = found.ok_or_else(|| format!("{form} has no {}", spec.code))?;
    for (key, val) in [
        ("FNAME", text(&spec.name)),
        ("FSHORTNAME", text(&spec.short_name)),
        ("FSOCIALCRECODE", text(&spec.tax_number)),
        ("FSPECIFICATION", text(&spec.specification)),
        ("FUSEORGID", Val::Ref("100".to_owned())),
        ("FFORBIDSTATUS", text(if spec.disabled { "B" } else { "A" })),
    ] {
        bill.fields.put(key, val);
    }
    let mut head = Row::default();
    head.fields.put("FBASEUNITID", Val::Ref(spec.unit.clone()));
    bill.entities.insert("SUBHEADENTITY".to_owned(), vec![head]);
    drop(store);
    u8::put_archive(world, archive, spec);
    Ok(())
}

/// Takes a row out of both ERPs.
pub(crate) fn remove(world: &World, list: &str, code: &str) -> Result<(), String> {
    let (form, archive) = places(list).ok_or_else(|| format!("no list {list:?}"))?;
    let mut store = lock(&world.kingdee.store);
    let table = store.table_mut(form);
    let id = table.by_number.get(code).copied();
    id.and_then(|id| table.remove(id)).ok_or_else(|| format!("{form} has no {code}"))?;
    drop(store);
    u8::remove_archive(world, archive, code);
    Ok(())
}

/// Codes of a list in Kingdee, each with whether it is forbidden.
pub(crate) fn kingdee_rows(world: &World, list: &str) -> Result<Vec<(String, bool)>, String> {
    let (form, _) = places(list).ok_or_else(|| format!("no list {list:?}"))?;
    let store = lock(&world.kingdee.store);
    let bills = store.table(form).into_iter().flat_map(|table| table.bills.values());
    let is_forbidden = |bill: &Bill| bill.fields.val("FFORBIDSTATUS").text() == "B" || bill.status() != "C";
    Ok(bills.map(|bill| (bill.number.clone(), is_forbidden(bill))).collect())
}

/// Puts a lot into a warehouse of both ERPs; a warehouse that is not there comes into being.
pub(crate) fn add_stock(world: &World, spec: &StockSpec) {
    let mut store = lock(&world.kingdee.store);
    store.seed("BD_STOCK", &spec.warehouse, &format!("仓库 {}", spec.warehouse), &[]);
    let unit = store.base("BD_MATERIAL", &spec.material).map_or_else(String::new, |bill| {
        bill.rows("SUBHEADENTITY").first().map_or("", |row| row.fields.val("FBASEUNITID").text()).to_owned()
    });
    let id = store.new_id();
    let mut bill = Bill { id, ..Bill::default() };
    for (key, val) in [
        ("FID", text(&world.hex(32, &["stock", &id.to_string()]))),
        ("FSTOCKORGID", Val::Ref("100".to_owned())),
        ("FMATERIALID", Val::Ref(spec.material.clone())),
        ("FSTOCKID", Val::Ref(spec.warehouse.clone())),
        ("FLOT", text(&id.to_string())),
        ("FBASEUNITID", Val::Ref(unit)),
        ("FBASEQTY", Val::Num(spec.on_hand)),
        ("FBASEAVBQTY", Val::Num(spec.available)),
    ] {
        bill.fields.put(key, val);
    }
    store.table_mut(INVENTORY).insert(bill);
    drop(store);
    u8::add_stock(world, spec);
}

/// What is there before anything is put in: units, tax numbers, and a little in stock.
pub(crate) fn load_default(world: &World) {
    let customer = |code: &str, name: &str, tax_number: &str| MasterSpec {
        tax_number: tax_number.to_owned(),
        ..MasterSpec::new(code, name)
    };
    let material = |code: &str, name: &str, unit: &str, specification: &str| MasterSpec {
        unit: unit.to_owned(),
        specification: specification.to_owned(),
        ..MasterSpec::new(code, name)
    };
    let rows = [
        // Invented numbers with a right check digit.
        ("customers", customer("CUST0001", "示例客户", "91330200MA2EXAMP1W")),
        ("customers", customer("CUST0002", "宁波样例贸易有限公司", "91330200MA2EXAMP20")),
        ("materials", material("MAT0001", "软件平台", "TAO", "标准版")),
        ("materials", material("MAT0002", "实施服务", "NIAN", "")),
    ];
    for (list, spec) in &rows {
        // The list is one of the two.
        let _ = put(world, list, spec);
    }
    add_stock(
        world,
        &StockSpec {
            material: "MAT0001".to_owned(),
            warehouse: "CK001".to_owned(),
            on_hand: Decimal::new(120, 0),
            available: Decimal::new(1005, 1),
        },
    );
}
