use crate::grid::sheets;
use crate::verify::{self, Found, differences, read, read_csv, read_xlsx};
use crate::{Paper, checksum, csv, xlsx};
use proptest::prelude::*;
use rust_decimal::Decimal;
use tongbao_model::china;
use tongbao_recon::MovementKind::{self, Invoiced, Ordered, Received};
use tongbao_recon::statement::{Entry, Question, Statement, statement};

fn entry(kind: MovementKind, origin: &str, amount: Decimal, currency: &str, day: &str) -> Entry {
    let at_ms = china::begin_ms(day.parse().unwrap()).unwrap();
    Entry {
        contract: "HT-1".into(),
        kind,
        origin: origin.into(),
        revision: 1,
        amount,
        currency: currency.into(),
        at_ms,
        stored_ms: at_ms,
        customer: Some("=C1".into()),
    }
}

/// A statement with these invoices, and receipts where they are below zero.
fn made(amounts: &[(Decimal, &str)]) -> Statement {
    let mut entries = vec![entry(Ordered, "HT-1", Decimal::ONE, "CNY", "2026-09-01")];
    for (number, (amount, currency)) in amounts.iter().enumerate() {
        let kind = if amount.is_sign_negative() { Received } else { Invoiced };
        // What a far side calls a document is text, whatever it looks like.
        let origin = format!("=HYPERLINK({number})");
        let day = if number == 0 { "2026-09-30" } else { "2026-10-15" };
        entries.push(entry(kind, &origin, amount.abs(), currency, day));
    }
    let question = Question {
        customer: "=C1",
        month: "2026-10".parse().unwrap(),
        as_of_ms: china::begin_ms("2026-11-02".parse().unwrap()).unwrap() + 1,
        credit_days: 30,
    };
    statement(&entries, &[], question).unwrap()
}

fn cents(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

fn two_currencies() -> Statement {
    made(&[(cents(113_000), "CNY"), (cents(22_600), "CNY"), (cents(-50_010), "CNY"), (cents(999), "USD")])
}

fn on_paper(statement: &Statement) -> Paper<'_> {
    Paper { statement, seller: Some("@某某科技有限公司"), buyer: Some("甲, \"乙\"公司") }
}

/// Both kinds of file, read back.
fn read_back(paper: &Paper<'_>) -> [Found; 2] {
    [read_csv(&csv::write(paper).unwrap()).unwrap(), read_xlsx(&xlsx::write(paper).unwrap()).unwrap()]
}

#[test]
fn every_file_reads_back_and_has_one_checksum() {
    let wide = made(&[(Decimal::from_str_exact("9007199254740993.17").unwrap(), "CNY"), (cents(1), "CNY")]);
    let fine = made(&[(Decimal::new(100_125, 3), "CNY"), (cents(-1), "CNY")]);
    for statement in [two_currencies(), made(&[]), wide, fine] {
        let paper = on_paper(&statement);
        for found in read_back(&paper) {
            assert_eq!(differences(&found, &paper), []);
            assert_eq!(
                (found.customer.as_str(), found.month, found.credit_days),
                ("=C1", statement.month, 30)
            );
            assert_eq!((found.as_of_ms, &found.checksum), (statement.as_of_ms, &checksum::of(&statement)));
            assert_eq!((found.seller.as_deref(), found.buyer.as_deref()), (paper.seller, paper.buyer));
        }
    }
    let statement = two_currencies();
    let same = [xlsx::write(&on_paper(&statement)).unwrap(), xlsx::write(&on_paper(&statement)).unwrap()];
    assert_eq!(same[0], same[1], "the same statement is the same file");
}

#[test]
fn the_checksum_is_of_the_figures() {
    let statement = two_currencies();
    let sum = checksum::of(&statement);
    let expected = "tongbao-statement\t1\ncustomer\t=C1\nmonth\t2026-10\ncredit-days\t30\n\
        currency\tCNY\nopening\t1130.00\n\
        line\t2026-10-15\tinvoice\t=HYPERLINK(1)\tHT-1\t226.00\t0.00\t1356.00\n\
        line\t2026-10-15\treceipt\t=HYPERLINK(2)\tHT-1\t0.00\t500.10\t855.90\n\
        debit\t226.00\ncredit\t500.10\nclosing\t855.90\nageing\t226.00\t629.90\t0.00\t0.00\t0.00\t0.00\n\
        currency\tUSD\nopening\t0.00\nline\t2026-10-15\tinvoice\t=HYPERLINK(3)\tHT-1\t9.99\t0.00\t9.99\n\
        debit\t9.99\ncredit\t0.00\nclosing\t9.99\nageing\t9.99\t0.00\t0.00\t0.00\t0.00\t0.00\n";
    assert_eq!(checksum::canonical(&statement), expected);
    assert_eq!(sum, "sha256:21d74f6bd6a8da024dfe18004226ff37073a820206c511683fe3bf59ace095e0");
    let later = Statement { as_of_ms: 1, is_closed: true, ..statement.clone() };
    assert_eq!(checksum::of(&later), sum);
    let mut other = statement.clone();
    other.sections[0].lines[0].number.push('\t');
    assert_ne!(checksum::of(&other), sum);
    // A field cannot pass for two.
    let mut tabs = statement.clone();
    tabs.customer = "C1\nmonth\t2026-10".into();
    assert!(
        checksum::canonical(&tabs).starts_with("tongbao-statement\t1\ncustomer\tC1\\nmonth\\t2026-10\nmonth")
    );
}

#[test]
fn a_row_that_was_altered_is_named_alone() {
    let statement = two_currencies();
    let paper = on_paper(&statement);
    let text = String::from_utf8(csv::write(&paper).unwrap()).unwrap();
    let told = |text: &str| {
        let found = read_csv(text.as_bytes()).unwrap();
        let all = differences(&found, &paper).into_iter();
        all.map(|one| (one.place, one.found.is_some(), one.expected.is_some())).collect::<Vec<_>>()
    };
    let place = |line: usize| Some(format!("第 {line} 行 row {line}"));
    let receipt = text.lines().position(|line| line.contains("500.10")).unwrap();
    let altered = text.replacen("0.00,500.10,", "0.00,500.20,", 1);
    assert_ne!(altered, text);
    assert_eq!(told(&altered), [(place(receipt + 1), true, true)]);
    let removed: Vec<&str> =
        text.lines().enumerate().filter(|(line, _)| *line != receipt).map(|(_, line)| line).collect();
    assert_eq!(told(&removed.join("\r\n")), [(None, false, true)]);
    let added =
        text.replacen("2026-10-15,", "2026-10-15,收款 receipt,R,HT-1,0.00,1.00,1.00\r\n2026-10-15,", 1);
    assert_eq!(told(&added).len(), 1);
    // Another program may write the same amounts with fewer or more zeros.
    assert_eq!(told(&text.replace("500.10", "500.1000")), []);
}

#[test]
fn what_is_no_statement_is_refused_with_the_missing_line() {
    let statement = two_currencies();
    let text = String::from_utf8(csv::write(&on_paper(&statement)).unwrap()).unwrap();
    for (from, to, told) in [
        ("月份 month", "月", "月份 month"),
        ("2026-10\r\n", "2026-13\r\n", "2026-13"),
        ("校验 checksum", "x", "校验 checksum"),
        ("2026-11-02T", "2.11.", "2.11."),
    ] {
        assert!(text.contains(from), "{from}");
        let why = read_csv(text.replace(from, to).as_bytes()).unwrap_err();
        assert!(why.zh.contains(told) && why.en.contains(told), "{why}");
    }
    assert!(read_xlsx(b"PK no").is_err());
    assert!(read_csv(&vec![b'a'; crate::verify::BYTES_MAX + 1]).unwrap_err().en.contains("too large"));
}

#[test]
fn a_pdf_carries_whose_it_is() {
    let statement = two_currencies();
    let found = read(format!("%PDF-1.7 /Keywords ({}) /Pages", verify::mark(&statement)).as_bytes()).unwrap();
    assert!(!found.has_rows() && differences(&found, &on_paper(&statement)).is_empty());
    assert_eq!((found.customer.as_str(), found.month, found.credit_days), ("=C1", statement.month, 30));
    assert_eq!((found.as_of_ms, found.checksum), (statement.as_of_ms, checksum::of(&statement)));
    for other in ["%PDF-1.7", "%PDF-1.7 tongbao-statement:00zz", "%PDF-1.7 tongbao-statement:f"] {
        assert!(read(other.as_bytes()).unwrap_err().en.contains("was altered"), "{other}");
    }
}

/// The formulas of a sheet, and the shared parts of the file that say how it is printed.
#[test]
fn totals_are_formulas_and_texts_are_not() {
    use calamine::{Data, Reader, Xlsx};
    let statement = two_currencies();
    let bytes = xlsx::write(&on_paper(&statement)).unwrap();
    let mut book: Xlsx<_> = Xlsx::new(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(book.sheet_names(), ["CNY", "USD"]);
    let formulas = book.worksheet_formula("CNY").unwrap();
    let formulas: Vec<&String> = formulas.used_cells().map(|(_, _, formula)| formula).collect();
    assert_eq!(formulas, ["ROUND(SUM(E12:E13),2)", "ROUND(SUM(F12:F13),2)", "ROUND(G11+E14-F14,2)"]);
    let cells = book.worksheet_range("CNY").unwrap();
    assert_eq!(
        cells.get_value((13, 6)),
        Some(&Data::Float(855.9)),
        "the result is there before Excel computes"
    );
    assert!(matches!(cells.get_value((11, 0)), Some(Data::DateTime(_))));
    assert_eq!(cells.get_value((11, 2)), Some(&Data::String("=HYPERLINK(1)".into())));
    assert_eq!(sheets(&on_paper(&statement)).len(), 2);
}

proptest! {
    #[test]
    fn any_amounts_read_back(
        amounts in proptest::collection::vec((any::<i64>(), 0u32..40, 0u32..7), 0..12)
    ) {
        let amounts: Vec<_> =
            amounts.into_iter().map(|(digits, bits, scale)| (Decimal::new(digits >> bits, scale), "CNY")).collect();
        let statement = made(&amounts);
        let paper = on_paper(&statement);
        for found in read_back(&paper) {
            prop_assert_eq!(differences(&found, &paper), []);
        }
    }
}
