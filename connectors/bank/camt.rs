//! CAMT.053: ISO 20022's statement. Elements go by their local names, so that versions .02 to .08 read alike.

use super::statement::{Book, Kind, Row, Skipped, Statement, Why, in_row, mismatch};
use super::text;
use jiff::civil::{Date, Time};
use rust_decimal::Decimal;
use tongbao_connect::xml::{Element, Limits, read as read_xml};
use tongbao_model::{Code, Fault, china};

/// Name in reports.
pub const FORMAT: &str = "camt.053";
/// Longest text kept of an entry, in characters.
const TEXT_MAX: usize = 4_000;

/// Whether a text is XML, which only CAMT is here.
pub fn is_it(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn all<'e>(element: &'e Element, name: &'e str) -> impl Iterator<Item = &'e Element> {
    element.elements().filter(move |child| local(&child.name) == name)
}

/// The first element down a path of local names.
fn at<'e>(element: &'e Element, path: &str) -> Option<&'e Element> {
    path.split('/')
        .try_fold(element, |element, name| element.elements().find(|child| local(&child.name) == name))
}

/// Its text, where there is any.
fn said(element: &Element, path: &str) -> Option<String> {
    at(element, path).map(Element::text).filter(|text| !text.is_empty())
}

fn first_said(element: &Element, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| said(element, path))
}

fn missing(place: usize, name: &str) -> Fault {
    let fault = Fault::new(Code::FieldMissing, "缺失或无法读取", "is missing or cannot be read");
    in_row(fault, place, name)
}

/// Reads a file.
pub fn read(bytes: &[u8]) -> Result<Book, Fault> {
    let root = read_xml(bytes, None, None, &Limits::default()).map_err(|error| {
        error
            .fault(Code::BodyInvalid)
            .at("file")
            .remedy("请重新下载完整的 CAMT.053 文件。", "Download the whole CAMT.053 file again.")
    })?;
    let Some(report) = at(&root, "BkToCstmrStmt").filter(|_| local(&root.name) == "Document") else {
        return Err(Fault::new(Code::LayoutUnknown, "XML 不是 CAMT.053", "the XML is no CAMT.053").at("file"));
    };
    let mut book = Book { format: FORMAT.to_owned(), ..Book::default() };
    let mut place = 0;
    for statement in all(report, "Stmt") {
        let read = one(statement, &mut place, &mut book)?;
        book.statements.push(read);
    }
    if book.statements.is_empty() {
        return Err(Fault::new(Code::BodyInvalid, "没有 Stmt", "there is no Stmt").at("file"));
    }
    Ok(book)
}

fn one(element: &Element, place: &mut usize, book: &mut Book) -> Result<Statement, Fault> {
    let account =
        first_said(element, &["Acct/Id/IBAN", "Acct/Id/Othr/Id"]).ok_or_else(|| missing(0, "Acct/Id"))?;
    let mut balances = Vec::new();
    for balance in all(element, "Bal") {
        let code = said(balance, "Tp/CdOrPrtry/Cd").unwrap_or_default();
        balances.push((code, money(balance, 0)?));
    }
    let stated =
        |code: &str| balances.iter().find(|(known, _)| known == code).map(|(_, found)| found.clone());
    let currency = said(element, "Acct/Ccy")
        .or_else(|| balances.first().map(|(_, (_, currency))| currency.clone()))
        .or_else(|| {
            all(element, "Ntry").find_map(|entry| at(entry, "Amt")?.attribute("Ccy").map(str::to_owned))
        });
    let currency = currency.ok_or_else(|| missing(0, "Acct/Ccy"))?;
    let mut statement = Statement::new(account, currency);
    statement.id = said(element, "Id");
    statement.opening = stated("OPBD").or_else(|| stated("PRCD")).map(|(amount, _)| amount);
    statement.closing = stated("CLBD").map(|(amount, _)| amount);
    let mut sums = [Sums::default(), Sums::default()];
    for entry in all(element, "Ntry") {
        *place += 1;
        let status =
            first_said(entry, &["Sts/Cd", "Sts/Prtry", "Sts"]).ok_or_else(|| missing(*place, "Sts"))?;
        let (amount, entry_currency) = money(entry, *place)?;
        let is_booked = status == "BOOK";
        for sums in sums.iter_mut().take(if is_booked { 2 } else { 1 }) {
            sums.add(amount)?;
        }
        if !is_booked || amount.is_zero() {
            book.skipped
                .push(Skipped { place: *place, why: if is_booked { Why::Zero } else { Why::Pending } });
            continue;
        }
        if entry_currency != statement.currency {
            let fault = Fault::new(Code::CurrencyMismatch, "与账户币种不同", "is not the account's currency");
            return Err(in_row(fault.value(entry_currency), *place, "Amt@Ccy"));
        }
        entry_rows(entry, *place, amount, book, &mut statement.rows)?;
    }
    summary(element, &sums, book)?;
    Ok(statement)
}

/// Amount, negative for a debit, with its currency. `CdtDbtInd` tells where the money went, for reversals too.
fn money(element: &Element, place: usize) -> Result<(Decimal, String), Fault> {
    let amount = at(element, "Amt").ok_or_else(|| missing(place, "Amt"))?;
    let value = plain(&amount.text(), place)?;
    let currency = amount.attribute("Ccy").ok_or_else(|| missing(place, "Amt@Ccy"))?.to_owned();
    match said(element, "CdtDbtInd").as_deref() {
        Some("CRDT") => Ok((value, currency)),
        Some("DBIT") => Ok((-value, currency)),
        _ => Err(missing(place, "CdtDbtInd")),
    }
}

/// Digits with a point; XML's decimals have no separators of thousands.
fn plain(text: &str, place: usize) -> Result<Decimal, Fault> {
    let value = if text.contains([',', '-', '+', '¥']) {
        None
    } else {
        text::amount(text).map_err(|fault| in_row(fault, place, "Amt"))?
    };
    value.ok_or_else(|| missing(place, "Amt"))
}

/// Sums and counts of entries.
#[derive(Default)]
struct Sums {
    credit: (Decimal, u32),
    debit: (Decimal, u32),
}

impl Sums {
    fn add(&mut self, amount: Decimal) -> Result<(), Fault> {
        let side = if amount < Decimal::ZERO { &mut self.debit } else { &mut self.credit };
        *side = (text::sum(side.0, amount.abs())?, side.1 + 1);
        Ok(())
    }
}

/// `TxsSummry` is of all entries or of those that are booked: either holds.
fn summary(element: &Element, [all, booked]: &[Sums; 2], book: &mut Book) -> Result<(), Fault> {
    let sides = [
        ("TxsSummry/TtlCdtNtries", all.credit, booked.credit, ("total-in", "收入合计", "sum of credits")),
        ("TxsSummry/TtlDbtNtries", all.debit, booked.debit, ("total-out", "支出合计", "sum of debits")),
    ];
    for (path, all, booked, (check, zh, en)) in sides {
        let Some(stated) = at(element, path) else { continue };
        if let Some(sum) = said(stated, "Sum") {
            let sum = plain(&sum, 0)?;
            let rows = if sum == all.0 { all.0 } else { booked.0 };
            book.check(check, 0, (zh, en), sum, rows)?;
        }
        if let Some(count) = said(stated, "NbOfNtries") {
            let count = plain(&count, 0)?;
            let rows = if count == all.1.into() { all.1 } else { booked.1 };
            book.check(
                "count",
                0,
                (&format!("{zh}笔数"), &format!("number in the {en}")),
                count,
                rows.into(),
            )?;
        }
    }
    Ok(())
}

/// An entry, or each payment of a batch whose payments have amounts of their own.
fn entry_rows(
    entry: &Element,
    place: usize,
    amount: Decimal,
    book: &mut Book,
    rows: &mut Vec<Row>,
) -> Result<(), Fault> {
    let booked = first_said(entry, &["BookgDt/DtTm", "BookgDt/Dt"]).and_then(|text| moment(&text));
    let value = first_said(entry, &["ValDt/Dt", "ValDt/DtTm"]).and_then(|text| moment(&text));
    let (date, time) = booked.or(value).ok_or_else(|| missing(place, "BookgDt"))?;
    let is_reversal = said(entry, "RvslInd").is_some_and(|text| matches!(text.as_str(), "true" | "1"));
    let mut whole = Row::new(place, date, amount);
    whole.time = time;
    whole.value_date = value.map(|(date, _)| date);
    whole.kind = if is_reversal { Kind::Reversal } else { Kind::Ordinary };
    whole.reference = said(entry, "AcctSvcrRef");
    whole.text = said(entry, "AddtlNtryInf").map(short);
    whole.fee = fee(entry, place)?;
    let details: Vec<&Element> = all(entry, "NtryDtls").flat_map(|details| all(details, "TxDtls")).collect();
    let mut parts = Vec::new();
    for details in &details {
        if let Some(part) = part(details, amount, place)? {
            parts.push(part);
        }
    }
    if parts.len() == details.len() && !parts.is_empty() {
        let mut sum = Decimal::ZERO;
        for part in &parts {
            sum = text::sum(sum, *part)?;
        }
        if sum != amount {
            return Err(mismatch(place, ("批次合计", "sum of the batch"), amount, sum));
        }
        book.held("batch");
    } else if !parts.is_empty() {
        return Err(missing(place, "TxDtls/Amt"));
    }
    match (details.as_slice(), parts.len()) {
        ([], _) => rows.push(whole),
        ([one], _) => rows.push(described(whole, one, place)?),
        (_, 0) => {
            // The payments of the batch are not told apart.
            rows.push(whole);
        }
        (many, _) => {
            for (details, part) in many.iter().zip(parts).filter(|(_, part)| !part.is_zero()) {
                let row = Row { amount: part, fee: None, ..whole.clone() };
                rows.push(described(row, details, place)?);
            }
            // What is charged for the batch is told once.
            let begun = rows.len().saturating_sub(many.len());
            if let Some(first) = rows.get_mut(begun).filter(|first| first.fee.is_none()) {
                first.fee = whole.fee;
            }
        }
    }
    Ok(())
}

/// Amount of one payment in the entry's sign, if it has one of its own.
fn part(details: &Element, entry: Decimal, place: usize) -> Result<Option<Decimal>, Fault> {
    let Some(amount) = ["Amt", "AmtDtls/TxAmt/Amt"].iter().find_map(|path| at(details, path)) else {
        return Ok(None);
    };
    let value = plain(&amount.text(), place)?;
    Ok(Some(match said(details, "CdtDbtInd").as_deref() {
        Some("CRDT") => value,
        Some("DBIT") => -value,
        _ if entry < Decimal::ZERO => -value,
        _ => value,
    }))
}

/// Adds what the details say of the other party and the purpose.
fn described(mut row: Row, details: &Element, place: usize) -> Result<Row, Fault> {
    // The money of a reversal goes back to where it came from: the parties stay those of the payment.
    let is_payer = (row.amount > Decimal::ZERO) != (row.kind == Kind::Reversal);
    let (party, agent) = if is_payer { ("Dbtr", "DbtrAgt") } else { ("Cdtr", "CdtrAgt") };
    let of = |paths: &[String]| paths.iter().find_map(|path| said(details, path));
    row.other_name = of(&[format!("RltdPties/{party}/Nm"), format!("RltdPties/{party}/Pty/Nm")]);
    row.other_account =
        of(&[format!("RltdPties/{party}Acct/Id/IBAN"), format!("RltdPties/{party}Acct/Id/Othr/Id")]);
    row.other_bank = of(&[
        format!("RltdAgts/{agent}/FinInstnId/Nm"),
        format!("RltdAgts/{agent}/FinInstnId/BICFI"),
        format!("RltdAgts/{agent}/FinInstnId/BIC"),
    ]);
    let mut texts: Vec<String> = Vec::new();
    for remittance in all(details, "RmtInf") {
        texts.extend(all(remittance, "Ustrd").map(Element::text));
        texts.extend(all(remittance, "Strd").filter_map(|one| said(one, "CdtrRefInf/Ref")));
    }
    texts.extend(said(details, "AddtlTxInf"));
    texts.retain(|text| !text.is_empty());
    if !texts.is_empty() {
        row.text = Some(short(texts.join(" ")));
    }
    row.own_reference = said(details, "Refs/EndToEndId").filter(|text| text != "NOTPROVIDED");
    row.reference = row.reference.or_else(|| said(details, "Refs/AcctSvcrRef"));
    row.fee = match fee(details, place)? {
        None => row.fee,
        own => own,
    };
    Ok(row)
}

fn short(text: String) -> String {
    if text.chars().count() > TEXT_MAX { text.chars().take(TEXT_MAX).collect() } else { text }
}

/// Charges: those of the records, or the amount of versions without records.
fn fee(element: &Element, place: usize) -> Result<Option<Decimal>, Fault> {
    let mut total: Option<Decimal> = None;
    for charges in all(element, "Chrgs") {
        let records: Vec<&Element> = all(charges, "Rcrd").collect();
        let charged = if records.is_empty() { vec![charges] } else { records };
        for one in charged {
            let Some(amount) = said(one, "Amt") else { continue };
            let value = plain(&amount, place)?;
            let value = if said(one, "CdtDbtInd").as_deref() == Some("CRDT") { -value } else { value };
            total = Some(text::sum(total.unwrap_or_default(), value)?);
        }
    }
    Ok(total.filter(|total| !total.is_zero()))
}

/// A day, or a time, which is China's: with an offset it is converted, without one it is taken as it stands.
fn moment(text: &str) -> Option<(Date, Option<Time>)> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        let at = at.to_zoned(china::zone());
        return Some((at.date(), Some(at.time())));
    }
    text::moment(text)
}
