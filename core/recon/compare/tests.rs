//! Whole files, cut into blocks of any size.

use super::*;
use encoding_rs::{Encoding, GB18030};
use proptest::prelude::*;
use std::hash::RandomState;

/// What is compared in these tests, and how.
struct How {
    currency: bool,
    block: usize,
    encoding: Option<&'static Encoding>,
    keys_max: usize,
}

const PLAIN: How = How { currency: false, block: 7, encoding: None, keys_max: 1000 };

/// Class, key, currency, rows and sums of a line.
type Told = (Class, String, String, [u64; 2], [String; 2]);

struct Compared {
    outcome: Outcome,
    lines: Vec<Told>,
    read: [Read; 2],
}

fn columns(currency: bool) -> Columns {
    Columns { key: "单号".into(), amount: "金额".into(), currency: currency.then(|| "币别".into()) }
}

/// As a file is read: a block at a time, what is left over before the next.
fn compared(files: [&[u8]; 2], how: &How) -> Result<Compared, String> {
    let hasher = RandomState::new();
    let mut books = Books::new(how.keys_max, how.currency);
    let mut read = [Read::default(), Read::default()];
    for ((side, file), read) in [Side::Left, Side::Right].into_iter().zip(files).zip(&mut read) {
        let mut reader = Reader::new(columns(how.currency), how.encoding, hasher.clone());
        let (mut bytes, mut blocks) = (Vec::new(), file.chunks(how.block).peekable());
        loop {
            bytes.extend_from_slice(blocks.next().unwrap_or_default());
            let (mut batches, is_last) = (<[Batch; PARTS]>::default(), blocks.peek().is_none());
            let used = reader.read(&bytes, is_last, &mut batches).map_err(|why| why.to_string())?;
            for (part, batch) in books.parts().iter_mut().zip(&batches) {
                part.add(side, batch).map_err(|why| why.to_string())?;
            }
            bytes.drain(..used);
            if is_last {
                break;
            }
        }
        *read = reader.finish().map_err(|why| why.to_string())?;
    }
    let differing = books.differing([false; 2]);
    let lines = differing.lines().map(|line| {
        let sums = line.tally.sums.map(|sum| sum.to_string());
        (line.class, line.key.to_owned(), line.currency.to_owned(), line.tally.rows, sums)
    });
    let (lines, outcome) = (lines.collect(), books.outcome());
    assert!(outcome.is_of(&read));
    Ok(Compared { outcome, lines, read })
}

fn of(left: &str, right: &str) -> Compared {
    let head = "单号,金额\n";
    compared([format!("{head}{left}").as_bytes(), format!("{head}{right}").as_bytes()], &PLAIN).unwrap()
}

fn line(class: Class, key: &str, rows: [u64; 2], sums: [&str; 2]) -> Told {
    (class, key.to_owned(), String::new(), rows, sums.map(str::to_owned))
}

#[test]
fn classes() {
    let found =
        of("A,100.00\nB,200\nC,300.00\nD,0.30\nE,1\n", "D,0.10\nB,200.00\nA,60\nD,0.2\nA,39.99\nF,-5\n");
    assert_eq!(found.outcome.keys(Class::Equal), 2);
    assert_eq!(
        found.lines,
        [
            line(Class::OnlyLeft, "C", [1, 0], ["300.00", "0.00"]),
            line(Class::OnlyRight, "F", [0, 1], ["0.00", "-5.00"]),
            line(Class::OnlyLeft, "E", [1, 0], ["1.00", "0.00"]),
            line(Class::Different, "A", [1, 2], ["100.00", "99.99"]),
        ]
    );
    assert_eq!(found.outcome.repeated, [0, 2]);
    let sums = found.read.map(|read| read.sum.to_string());
    assert_eq!(sums, ["601.30", "295.29"]);
}

#[test]
fn several_rows_of_either_side_stand_against_each_other() {
    let found = of("A,1\nA,2\nA,-3\nB,0.5\nB,0.5\n", "A,0\nB,1\n");
    assert_eq!(found.lines, []);
    assert_eq!(found.outcome.repeated, [2, 0]);
}

#[test]
fn currencies_are_never_added_up() {
    let left = "单号,币别,金额\nA,CNY,100\nA,USD,100\nB,人民币,5\nC,,1\n";
    let right = "币别;金额;单号\nusd;99;A\nRMB;100;A\nCNY;5;B\n";
    let found = compared([left.as_bytes(), right.as_bytes()], &How { currency: true, ..PLAIN }).unwrap();
    let usd =
        (Class::Different, "A".to_owned(), "USD".to_owned(), [1, 1], ["100.00", "99.00"].map(str::to_owned));
    assert_eq!(found.lines, [usd]);
    assert_eq!(found.outcome.currencies.keys().collect::<Vec<_>>(), ["CNY", "USD"]);
    assert_eq!(
        found.outcome.currencies["CNY"].of(Class::Equal).sums.map(|sum| sum.to_string()),
        ["105.00"; 2]
    );
    assert_eq!(found.read[0].refused.first, [Refusal { line: 5, reason: Reason::NoCurrency }]);
}

#[test]
fn one_file_in_several_forms() {
    let text = "单号,备注,金额\n合同-甲,\"一,二\n三\",\"1,234.50\"\nHT-2,x,7\n";
    let gb18030 = GB18030.encode(text).0;
    let marked = format!("\u{feff}{text}");
    let titled = format!("某公司 对账\n\n制表：甲,\n{text}");
    let windows = text.replace('\n', "\r\n");
    let tabs = "金额\t单号\n1234.5\t=\"合同-甲\"\n 7.00\t'HT-2 \n\t\n\n";
    let quoted = "\"单号\",\"备注\",\"金额\"\n\"合同-甲\",\"\",\"1,234.50\"\n\" HT-2\",\"\"\"\",\"7\"";
    let forms: [&[u8]; 7] = [
        text.as_bytes(),
        &gb18030,
        marked.as_bytes(),
        titled.as_bytes(),
        windows.as_bytes(),
        tabs.as_bytes(),
        quoted.as_bytes(),
    ];
    for (left, right) in forms.iter().flat_map(|left| forms.iter().map(move |right| (left, right))) {
        // Of a short text in GB18030 a few bytes are not enough to be told from UTF-8.
        for block in [60, 4096] {
            let found = compared([left, right], &How { block, ..PLAIN }).unwrap();
            assert_eq!(found.lines, [], "{}", String::from_utf8_lossy(right));
            assert_eq!(found.outcome.keys(Class::Equal), 2);
            assert_eq!(found.read.map(|read| (read.rows, read.refused.count())), [(2, 0); 2]);
        }
    }
}

#[test]
fn refused_rows_are_counted_and_named() {
    let text = "单号,金额,备注\nA,1\n,2,合计\nB,,x\nC,1.23456,x\nD,1,2,3\nE,一,x\n\"F\"x,1,x\n,,\n\"G\n\",4,\"\n\n\"\nH,9e3,x\n\
                I,9999999999999999,x\n甲\u{0},3,x\n";
    let long = format!("{text}{},1,x\n", "k".repeat(KEY_MAX + 1));
    let found = compared([long.as_bytes(), "单号,金额\nG,4\n".as_bytes()], &PLAIN).unwrap();
    let refused: Vec<(u64, Reason)> =
        found.read[0].refused.first.iter().map(|one| (one.line, one.reason)).collect();
    use Reason::{Columns, LongKey, NoAmount, NoKey, NoNumber, Places, Quotes, TooLarge};
    assert_eq!(
        refused,
        [
            (2, Columns),
            (3, NoKey),
            (4, NoAmount),
            (5, Places),
            (6, Columns),
            (7, NoNumber),
            (8, Quotes),
            (14, NoNumber),
            (15, TooLarge),
            (17, LongKey),
        ]
    );
    assert_eq!(found.read[0].rows, 2);
    assert_eq!(found.outcome.keys(Class::Equal), 1, "G, on lines 10 to 13");
    for reason in found.read[0].refused.counts.keys() {
        let text = reason.text();
        assert!(!text.zh.is_ascii() && text.en.is_ascii());
    }
}

#[test]
fn what_cannot_be_read_says_why_and_what_to_do() {
    let good = "单号,金额\nA,1\n".as_bytes();
    let endless = format!("单号,金额\nA,1\n\"B,2\n{}", "C,3\n".repeat(RECORD_MAX / 3));
    let one_line = "x".repeat(RECORD_MAX * 2);
    let many: String = (0..1001).map(|number| format!("K{number},1\n")).collect();
    let many = format!("单号,金额\n{many}");
    let long: String = (0..300).map(|number| format!("{}{number},1\n", "k".repeat(300))).collect();
    let long = format!("单号,金额\n{long}");
    for (file, wanted) in [
        (&b""[..], "none of the first 0 lines"),
        (b"\n", "--key"),
        ("单号,数额\nA,1\n".as_bytes(), "`单号`, `金额`"),
        ("单号,金额,金额\nA,1,2\n".as_bytes(), "two columns of the name `金额`"),
        (b"PK\x03\x04abcdefgh", "Excel workbook"),
        (b"\xff\xfe\x00\x01abcdefgh", "UTF-16"),
        (b"\x00\x00\x00\x00\x00\x00", "--key"),
        ("单号,金额\nA,1\n\"B,2\n".as_bytes(), "line 3 does not end"),
        (endless.as_bytes(), "line 3 does not end"),
        (one_line.as_bytes(), "line 1 does not end"),
        (many.as_bytes(), "more than 1000 different keys"),
        (long.as_bytes(), "--keys-max"),
    ] {
        for files in [[file, good], [good, file]] {
            let why = compared(files, &How { block: 1 << 16, ..PLAIN }).map(|_| ()).unwrap_err();
            assert!(why.contains(wanted) && why.contains(" / "), "{why}");
        }
    }
}

#[test]
fn an_encoding_that_is_named_is_taken() {
    let text = "单号,金额\nA甲,1\n";
    let gb18030 = GB18030.encode(text).0;
    let named = How { encoding: Some(GB18030), ..PLAIN };
    let found = compared([&gb18030, &gb18030], &named).unwrap();
    assert_eq!(found.outcome.keys(Class::Equal), 1);
    // A key that is no text of the file's encoding, which its head has told.
    let mixed = [text.as_bytes(), b"\xb1\xb1\xbe\xa9,2\n"].concat();
    let found = compared([&mixed, text.as_bytes()], &How { block: 20, ..PLAIN }).unwrap();
    assert_eq!(found.read[0].refused.first, [Refusal { line: 3, reason: Reason::Encoding }]);
}

/// Rows of few keys, short and long, so that they meet.
fn rows() -> impl Strategy<Value = Vec<(u8, i64)>> {
    proptest::collection::vec((0u8..40, -10_000_000_000i64..10_000_000_000), 0..120)
}

fn file(rows: &[(u8, i64)]) -> String {
    let row = |(key, units): &(u8, i64)| {
        let tail = if key % 3 == 0 { "一个很长的单号，放不进定长的位置" } else { "" };
        format!("K{key}{tail},\"{}\"\n", Sum(i128::from(*units)))
    };
    std::iter::once("单号,金额\n".to_owned()).chain(rows.iter().map(row)).collect()
}

fn shuffled(rows: &[(u8, i64)], seed: u64) -> Vec<(u8, i64)> {
    let mut rows = rows.to_vec();
    fastrand::Rng::with_seed(seed).shuffle(&mut rows);
    rows
}

proptest! {
    #[test]
    fn order_does_not_matter_and_no_cent_is_lost(left in rows(), right in rows(), seed in any::<u64>(), block in 1usize..200) {
        let straight = compared([file(&left).as_bytes(), file(&right).as_bytes()], &How { block: 4096, ..PLAIN }).unwrap();
        let other = [file(&shuffled(&left, seed)), file(&shuffled(&right, seed ^ 1))];
        let other = compared([other[0].as_bytes(), other[1].as_bytes()], &How { block, ..PLAIN }).unwrap();
        prop_assert_eq!(&straight.outcome, &other.outcome);
        prop_assert_eq!(&straight.lines, &other.lines);
        prop_assert_eq!(&straight.read, &other.read);

        let sum = |rows: &[(u8, i64)]| rows.iter().map(|(_, units)| i128::from(*units)).sum::<i128>();
        let tallies = straight.outcome.currencies.values().copied().next().unwrap_or_default();
        let total = |at: usize| Class::ALL.iter().map(|class| tallies.of(*class).sums[at].0).sum::<i128>();
        let counted = |at: usize| Class::ALL.iter().map(|class| tallies.of(*class).rows[at]).sum::<u64>();
        for (at, rows) in [&left, &right].into_iter().enumerate() {
            prop_assert_eq!(total(at), sum(rows));
            prop_assert_eq!(straight.read[at].sum, Sum(sum(rows)));
            prop_assert_eq!(counted(at), u64::try_from(rows.len()).unwrap());
        }
        let mut wanted = std::collections::BTreeMap::<u8, [Vec<i64>; 2]>::new();
        for (at, rows) in [&left, &right].into_iter().enumerate() {
            for (key, units) in rows.iter() {
                wanted.entry(*key).or_default()[at].push(*units);
            }
        }
        let class = |[left, right]: &[Vec<i64>; 2]| match (left.is_empty(), right.is_empty()) {
            (false, true) => Class::OnlyLeft,
            (true, _) => Class::OnlyRight,
            _ if left.iter().sum::<i64>() == right.iter().sum::<i64>() => Class::Equal,
            _ => Class::Different,
        };
        for of in Class::ALL {
            let keys = wanted.values().filter(|sides| class(sides) == of).count();
            prop_assert_eq!(tallies.of(of).keys, u64::try_from(keys).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(left in proptest::collection::vec(any::<u8>(), 0..300), text in "[AB\",;\n\r\t.1 -]{0,200}", block in 1usize..64) {
        let good = "单号,金额\nA,1\n".as_bytes();
        let _ = compared([&left, good], &How { block, ..PLAIN });
        let headed = [good, &left].concat();
        let _ = compared([good, &headed], &How { block, ..PLAIN });
        // However it is cut, the same text is the same.
        let text = format!("单号,金额\n{text}");
        let [one, other] = [block, 4096].map(|block| {
            compared([text.as_bytes(), good], &How { block, ..PLAIN }).map(|found| (found.outcome, found.lines, found.read))
        });
        prop_assert_eq!(one, other);
    }
}
