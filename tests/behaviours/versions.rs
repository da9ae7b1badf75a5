//! What made a document can be looked at later: texts of mappings, rows of code tables.

use super::world::{Combination, World};
use tongbao_delivery::port::{ImportMode, MappingFile, MappingVersion, TableRow};

pub async fn code_tables_are_known_as_they_were(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let row = |source: &str, target: &str, note: &str| TableRow {
        table: "customers".into(),
        source: source.into(),
        target: target.into(),
        note: note.into(),
        ..TableRow::default()
    };
    let (a, b, c) = (row("A", "1", ""), row("B", "2", "乙"), row("C", "3", ""));
    store.import_table("customers", vec![a.clone(), b.clone()], ImportMode::Merge).await.unwrap();
    let materials = TableRow { table: "materials".into(), ..row("m", "1", "") };
    store.import_table("materials", vec![materials], ImportMode::Merge).await.unwrap();
    // Until a day, which is a change like any other.
    let noted = TableRow { valid_to: "2026-06-30".into(), ..row("A", "1", "甲") };
    store.import_table("customers", vec![noted.clone(), c.clone()], ImportMode::Merge).await.unwrap();
    store.import_table("customers", vec![row("B", "9", "")], ImportMode::Replace).await.unwrap();
    store.import_table("customers", vec![a.clone()], ImportMode::Merge).await.unwrap();
    let expected = [
        Some(vec![]),
        Some(vec![a.clone(), b.clone()]),
        Some(vec![a.clone(), b.clone()]),
        Some(vec![noted, b, c]),
        Some(vec![row("B", "9", "")]),
        Some(vec![a, row("B", "9", "")]),
        None,
    ];
    for (revision, expected) in (0..).zip(expected) {
        assert_eq!(store.table_rows_at("customers", revision).await.unwrap(), expected, "{revision}");
    }
    assert_eq!(store.table_rows_at("customers", -1).await.unwrap(), None);
    let now = store.table_rows_at("materials", 5).await.unwrap();
    assert_eq!(now, Some(store.table_rows(Some("materials")).await.unwrap()));
    store.close().await;
}

pub async fn a_version_of_a_mapping_is_kept_once(combination: Combination) {
    let world = World::new(combination).await;
    let store = &world.store;
    let file = |path: &str, text: &str| MappingFile { path: path.into(), text: text.into() };
    let version =
        |version: &str, files| MappingVersion { version: version.into(), name: "订单".into(), files };
    // Longer than a MySQL `TEXT`, with what a careless layer would lose.
    let long = format!("# 注释 'quoted' \\ \"{}\"\n", "列".repeat(30_000));
    let one =
        version("1-aaaaaaaaaaaa", vec![file("m/order.yaml", &long), file("parts/a.yaml", "ignore: []\n")]);
    let two = version("1-bbbbbbbbbbbb", vec![file("m/order.yaml", "mapping: x\n")]);
    store.keep_mappings(vec![], 1).await.unwrap();
    store.keep_mappings(vec![one.clone()], 1).await.unwrap();
    let again = version("1-aaaaaaaaaaaa", vec![]);
    store.keep_mappings(vec![again, two.clone()], 2).await.unwrap();
    assert_eq!(store.mapping("1-aaaaaaaaaaaa").await.unwrap(), Some(one));
    assert_eq!(store.mapping("1-bbbbbbbbbbbb").await.unwrap(), Some(two));
    assert_eq!(store.mapping("1-AAAAAAAAAAAA").await.unwrap(), None);
    store.close().await;
}
