//! `tongbao recon compare`.

use crate::cli::{Charset, CompareArgs, Once};
use crate::comparing::{Source, compare};
use crate::output::{self, Exit};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use tongbao_paper::csv::{MARK, guarded};
use tongbao_recon::compare::{
    Class, Columns, Differing, Encoding, GB18030, Line, Outcome, Read, Refusals, Tally, UTF_8,
};

/// Lines of refused rows that are shown for a reason.
const LINES_SHOWN: usize = 10;

/// Compares. Fails when the files do not agree, or a row of them could not be compared.
pub fn run(args: &CompareArgs, as_json: bool) -> Exit {
    let [left, right] = sources(args);
    if let Some(out) = &args.out
        && [&left.path, &right.path].into_iter().any(|file| is_same(file, out))
    {
        output::note("--out 会覆盖被比对的文件 / --out would overwrite a file that is compared");
        return Exit::Usage;
    }
    let begun = Instant::now();
    let compared = match compare(&left, &right, args.keys_max) {
        Ok(compared) => compared,
        Err(why) => {
            output::note(&why.to_string());
            return Exit::Failed;
        }
    };
    let once = [Once::Left, Once::Right].map(|side| args.once.contains(&side));
    let (outcome, differing) = (compared.books.outcome(), compared.books.differing(once));
    let told = Told { args, read: &compared.read, outcome, differing, took: begun.elapsed() };
    if !told.outcome.is_of(told.read) {
        output::note(
            "合计与所读各行不符，请报告此缺陷 / the sums are not those of the rows: report this defect",
        );
        return Exit::Failed;
    }
    if let Some(out) = &args.out
        && let Err(error) = told.write(out)
    {
        output::note(&format!("{}: {error}", out.display()));
        return Exit::Failed;
    }
    if as_json {
        output::json(&told.json())
    } else {
        told.show()
    }
    if told.agrees() { Exit::Ok } else { Exit::Failed }
}

/// Both files, as the options describe them.
fn sources(args: &CompareArgs) -> [Source; 2] {
    let encoding = |charset: Option<Charset>| -> Option<&'static Encoding> {
        charset.map(|charset| match charset {
            Charset::Utf8 => UTF_8,
            Charset::Gb18030 => GB18030,
        })
    };
    let (key, amount, currency) = (&args.key, &args.amount, &args.currency);
    let columns = Columns { key: key.clone(), amount: amount.clone(), currency: currency.clone() };
    let right = Columns {
        key: args.right_key.as_ref().unwrap_or(key).clone(),
        amount: args.right_amount.as_ref().unwrap_or(amount).clone(),
        currency: args.right_currency.as_ref().or(currency.as_ref()).cloned(),
    };
    [
        Source { path: args.left.clone(), columns, encoding: encoding(args.encoding) },
        Source { path: args.right.clone(), columns: right, encoding: encoding(args.right_encoding) },
    ]
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}

/// What is told.
struct Told<'t> {
    args: &'t CompareArgs,
    read: &'t [Read; 2],
    outcome: Outcome,
    differing: Differing<'t>,
    took: Duration,
}

impl Told<'_> {
    /// Two files without a row are two mistakes, not an agreement.
    fn agrees(&self) -> bool {
        self.differing.count() == 0
            && self.read.iter().all(|read| read.refused.count() == 0)
            && self.read.iter().any(|read| read.rows > 0)
    }

    fn show(&self) {
        self.show_classes();
        let [left, right] = self.outcome.repeated;
        output::line(&format!(
            "\n多行同键：左 {left}，右 {right} / keys of several rows: {left} left, {right} right"
        ));
        for (file, read) in self.files() {
            show_refused(file, &read.refused);
        }
        self.show_differing();
        output::line(match (self.agrees(), self.read.iter().any(|read| read.rows > 0)) {
            (true, _) => "\n✓ 一致 / they agree",
            (false, true) => "\n✗ 不一致 / they do not agree",
            (false, false) => "\n✗ 没有可比对的行 / there is no row to compare",
        });
    }

    fn show_classes(&self) {
        let mut rows = Vec::new();
        for (currency, tallies) in &self.outcome.currencies {
            let row = |name: &str, tally: &Tally| {
                let start = self.args.currency.as_ref().map(|_| currency.clone());
                let figures = std::iter::once(tally.keys.to_string()).chain(figures(tally));
                start.into_iter().chain([name.to_owned()]).chain(figures).collect::<Vec<_>>()
            };
            rows.extend(Class::ALL.iter().map(|class| row(named(*class), tallies.of(*class))));
            rows.push(row("合计 / total", &tallies.total()));
        }
        let currency = self.args.currency.as_ref().map(|_| "币别 / currency");
        let head: Vec<&str> =
            currency.into_iter().chain(["类别 / class", "键 / keys"]).chain(FIGURES).collect();
        output::line(output::table(&head, &rows).trim_end());
    }

    fn show_differing(&self) {
        let (count, shown) = (self.differing.count(), self.args.show);
        if count > 0 && shown > 0 {
            let rows: Vec<Vec<String>> =
                self.differing.lines().take(shown).map(|line| cells(&line)).collect();
            output::line(&format!("\n{}", output::table(&head().collect::<Vec<_>>(), &rows).trim_end()));
        }
        if count > shown && self.args.out.is_none() {
            output::line(&format!(
                "共 {count} 个，全部写入文件：--out 文件.csv / {count} in all; --out writes them to a file"
            ));
        }
    }

    fn files(&self) -> impl Iterator<Item = (&Path, &Read)> {
        [&self.args.left, &self.args.right].into_iter().map(|path| path.as_path()).zip(self.read)
    }

    /// All that differs, as a file that spreadsheets take for UTF-8 and in which they find no formula.
    fn write(&self, out: &Path) -> Result<(), csv::Error> {
        let mut file = BufWriter::new(File::create(out)?);
        file.write_all(MARK.as_bytes())?;
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(head())?;
        for line in self.differing.lines() {
            let names = [line.key, line.currency].map(guarded);
            // Amounts are ours: what begins with a minus there is a number.
            let rest = cells(&line).into_iter().skip(names.len()).map(Into::into);
            csv.write_record(names.into_iter().chain(rest).map(|cell: Cow<'_, str>| cell.into_owned()))?;
        }
        Ok(csv.flush()?)
    }

    fn json(&self) -> Value {
        let by_class = self.outcome.currencies.iter().flat_map(|(currency, tallies)| {
            Class::ALL.iter().map(move |class| (currency.as_str(), *class, *tallies.of(*class)))
        });
        let classes: Vec<Value> =
            by_class.map(|(currency, class, tally)| told(None, currency, class, &tally)).collect();
        let files = self.files().map(|(file, read)| {
            json!({"file": file.display().to_string(), "rows": read.rows, "refused": read.refused})
        });
        let largest = self.differing.lines().take(self.args.show);
        let largest = largest.map(|line| told(Some(line.key), line.currency, line.class, &line.tally));
        json!({
            "agree": self.agrees(), "files": files.collect::<Vec<_>>(), "classes": classes,
            "repeated": self.outcome.repeated, "differing": self.differing.count(), "largest": largest.collect::<Vec<_>>(),
            "milliseconds": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

const FIGURES: [&str; 5] =
    ["左行 / left rows", "右行 / right rows", "左 / left", "右 / right", "右减左 / right less left"];

/// Columns of what differs, on the screen and in the file.
fn head() -> impl Iterator<Item = &'static str> {
    ["键 / key", "币别 / currency", "类别 / class"].into_iter().chain(FIGURES)
}

fn cells(line: &Line<'_>) -> Vec<String> {
    let names = [line.key, line.currency, named(line.class)].map(str::to_owned);
    names.into_iter().chain(figures(&line.tally)).collect()
}

fn figures(tally: &Tally) -> impl Iterator<Item = String> {
    let sums = tally.sums.into_iter().chain([tally.difference()]);
    tally.rows.into_iter().map(|rows| rows.to_string()).chain(sums.map(|sum| sum.to_string()))
}

fn named(class: Class) -> &'static str {
    match class {
        Class::Equal => "一致 / equal",
        Class::Different => "金额不同 / different",
        Class::OnlyLeft => "仅左 / left only",
        Class::OnlyRight => "仅右 / right only",
    }
}

fn told(key: Option<&str>, currency: &str, class: Class, tally: &Tally) -> Value {
    let count = key.is_none().then(|| ("keys", json!(tally.keys)));
    let key = key.map(|key| ("key", json!(key)));
    let currency = (!currency.is_empty()).then(|| ("currency", json!(currency)));
    let sums = tally.sums.map(|sum| sum.to_string());
    let rest = [
        ("class", json!(class)),
        ("rows", json!(tally.rows)),
        ("sums", json!(sums)),
        ("difference", json!(tally.difference().to_string())),
    ];
    let members = key.into_iter().chain(count).chain(currency).chain(rest);
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn show_refused(file: &Path, refused: &Refusals) {
    for (reason, count) in &refused.counts {
        let lines = refused.first.iter().filter(|one| one.reason == *reason).map(|one| one.line.to_string());
        let lines: Vec<String> = lines.take(LINES_SHOWN).collect();
        let (file, reason, lines) = (file.display(), reason.text(), lines.join(", "));
        output::note(&format!(
            "✗ {file}：{count} 行未比对（第 {lines} 行）：{} / {count} not compared (lines {lines}): {}",
            reason.zh, reason.en
        ));
    }
}
