//! Base data of the account set: the default seed and bulk loading.
//!
//! The default seed holds the product's preset codes (currencies, bill types, settlement types, purposes) and a few
//! invented customers, materials and salespersons. The currency row `PRE001` with `FCODE` `CNY` is what the vendor's
//! Java SDK queries to check a login (`CheckAuthInfo`).

use crate::{
    kingdee::{Kingdee, SEED, Val},
    world::{World, lock},
};

/// Loads the default seed.
pub(crate) fn load_default(kingdee: &Kingdee) {
    let mut store = lock(&kingdee.store);
    for (form, number, name) in SEED {
        let code = match *number {
            "PRE001" => "CNY",
            "PRE007" => "USD",
            _ => "",
        };
        let more = [("FCODE", Val::Text(code.to_owned()))];
        store.seed(form, number, name, if code.is_empty() { &[] } else { &more });
    }
}

/// Adds audited base data `(number, name)` to a form; numbers that are there stay as they are. Returns how many are new.
pub(crate) fn load(
    kingdee: &Kingdee,
    form: &str,
    items: impl IntoIterator<Item = (String, String)>,
) -> usize {
    let mut added = 0;
    for (number, name) in items {
        // One lock per record: bulk loading must not stop a running sandbox.
        if lock(&kingdee.store).seed(form, &number, &name, &[]) {
            added += 1;
        }
    }
    added
}

/// Adds base data to Kingdee's form and to U8's archive; how many are new to Kingdee.
pub(crate) fn load_both(
    world: &World,
    (form, archive): (&str, &str),
    items: impl IntoIterator<Item = (String, String)>,
) -> usize {
    let items = items.into_iter().inspect(|(code, name)| {
        lock(&world.u8).seed(archive, code, name);
    });
    load(&world.kingdee, form, items)
}
