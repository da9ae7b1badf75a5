//! A variant as a short file over another.

use super::*;
use std::collections::HashMap;

struct Folder(HashMap<&'static str, String>);

impl Files for Folder {
    fn read(&self, name: &str) -> Result<String, String> {
        self.0.get(name).cloned().ok_or_else(|| format!("{name}: not there"))
    }
}

fn with(text: &str, files: &[(&'static str, &str)]) -> (Option<Mapping>, Vec<Diagnostic>) {
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    compile_with("variant.yaml", text, &Both, &Folder(files))
}

#[test]
fn a_variant_replaces_adds_and_takes_away() {
    let variant = "mapping: contract-to-order-of-acme\nversion: 2\nextends: base/order.yaml\ninclude: [notes.yaml]\nset:\n  \
                   Cust.Number: { const: ACME }\n  Net: ~\n  Rows: { set: { Item: { expr: 'left(product.code, 20)' }, Rate: ~ } }\n\
                   ignore: [customer.code, lines.tax_rate]\n";
    let notes = "set:\n  Cust.Note: { const: 订制 }\n";
    let (mapping, found) = with(variant, &[("base/order.yaml", &good()), ("notes.yaml", notes)]);
    let mapping = mapping.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(
        mapping.run(&contract(), &tables()).unwrap().document.to_string(),
        r#"{"No":"HT-1","Date":"2026-11-21","Cust":{"Number":"ACME","Note":"订制"},"Total":99.90,"Rows":[{"Item":"P1","Qty":3,"Price":33.3}]}"#
    );
    let (alone, _) = with(&good(), &[]);
    assert_ne!(alone.unwrap().version, mapping.version);
    let (again, _) = with(variant, &[("base/order.yaml", &format!("{}\n", good())), ("notes.yaml", notes)]);
    assert_ne!(again.unwrap().version, mapping.version, "a change of the base is a new version");
}

#[test]
fn findings_name_the_file_they_are_in() {
    let base = good().replace("signed_at", "signed_on");
    let (mapping, found) =
        with("mapping: v\nversion: 2\nextends: base.yaml\nset: { Totl: ~ }\n", &[("base.yaml", &base)]);
    assert!(mapping.is_none());
    let shown: Vec<_> = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| (finding.file.as_str(), finding.code))
        .collect();
    assert_eq!(shown, [("variant.yaml", "rule"), ("base.yaml", "source-unknown")]);
    for (files, code) in [
        (&[][..], "reuse-file"),
        (&[("base.yaml", "mapping: b\nversion: 2\nextends: ./base.yaml\n")][..], "reuse-cycle"),
    ] {
        let (mapping, found) = with("mapping: v\nversion: 2\nextends: base.yaml\n", files);
        assert!(mapping.is_none() && found[0].code == code, "{found:#?}");
    }
}
