//! Two exports compared by the command line.

use super::*;

const INVOICES: &str =
    "发票号,日期,价税合计\nF-1,20251103,\"1,000.00\"\nF-2,20251104,200\n=F-3,20251105,5.50\n";
const PAYMENTS: &str = "票据号;金额\nF-1;400.00\nF-1;600.00\nF-2;199.99\n";
const NAMES: [&str; 8] =
    ["--key", "发票号", "--amount", "价税合计", "--right-key", "票据号", "--right-amount", "金额"];

fn compared(folder: &Path, files: [&str; 2], more: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.current_dir(folder).args(["--json", "recon", "compare"]).args(files).args(NAMES).args(more);
    command.output().unwrap()
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn what_differs_is_told_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "invoices.csv", &format!("\u{feff}{INVOICES}"));
    write(folder, "payments.csv", PAYMENTS);
    let output = compared(folder, ["invoices.csv", "payments.csv"], &["--out", "differing.csv"]);
    assert_eq!(output.status.code(), Some(1));
    let told = told(&output);
    assert_eq!((&told["agree"], &told["differing"]), (&json!(false), &json!(2)));
    assert_eq!(told["repeated"], json!([0, 1]));
    let equal = json!({"class": "equal", "keys": 1, "rows": [1, 2], "sums": ["1000.00", "1000.00"], "difference": "0.00"});
    assert_eq!(told["classes"][0], equal);
    let written = std::fs::read_to_string(folder.join("differing.csv")).unwrap();
    let rows: Vec<&str> = written.lines().skip(1).collect();
    assert_eq!(
        rows,
        ["'=F-3,,仅左 / left only,1,0,5.50,0.00,-5.50", "F-2,,金额不同 / different,1,1,200.00,199.99,-0.01",]
    );
}

#[test]
fn only_what_agrees_with_every_row_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = |rows: &str| format!("发票号,价税合计,票据号,金额\n{rows}");
    write(folder, "a.csv", &rows("F-1,3.00,F-1,1\n,,F-1,2\n"));
    write(folder, "b.csv", &rows("F-1,3,F-1,3\n"));
    write(folder, "c.csv", &rows("F-1,3,F-1,1\n,,F-1,2\n"));
    write(folder, "none.csv", &rows(""));
    for (files, more, code) in [
        (["b.csv", "b.csv"], &[][..], 0),
        (["b.csv", "c.csv"], &[], 0),
        (["b.csv", "c.csv"], &["--once", "left"], 0),
        (["b.csv", "c.csv"], &["--once", "right"], 1),
        // A row of the left file has neither key nor amount.
        (["a.csv", "c.csv"], &[], 1),
        (["none.csv", "none.csv"], &[], 1),
        (["b.csv", "absent.csv"], &[], 1),
        (["b.csv", "c.csv"], &["--keys-max", "0"], 1),
        (["b.csv", "c.csv"], &["--out", "c.csv"], 2),
        (["b.csv", "c.csv"], &["--right-currency", "币别"], 2),
    ] {
        let output = compared(folder, files, more);
        assert_eq!(output.status.code(), Some(code), "{files:?} {more:?} {output:?}");
    }
    let same = std::fs::read_to_string(folder.join("c.csv")).unwrap();
    assert_eq!(same, rows("F-1,3,F-1,1\n,,F-1,2\n"), "no export is overwritten");
}
