//! Canonical records: the one form in which every system's documents meet.
//!
//! Each record is a Rust type and, from the same lines, a [`Shape`] that mappings are checked against and
//! that JSON Schemas are generated from. Amounts and quantities are exact decimals; times carry an offset.
//! Intake is generous and posting is strict: a record may lack what only some target needs (a contract
//! without a customer is kept and shown; the mapping to the ERP then says what is missing).

use crate::china;
use crate::decimal::Exact;
use crate::fault::{Code, Fault};
use crate::json::Tree;
use crate::mask;
use crate::shape::{Field, Kind, NumberForm, Sense, Shape, TimeForm, Total};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A calendar date, `yyyy-MM-dd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub String);

/// A point in time, RFC 3339 with offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub String);

impl Time {
    /// Of so many milliseconds since 1970 UTC, with the offset of China. `None` beyond the calendar.
    pub fn in_china(at_ms: i64) -> Option<Time> {
        let at = china::moment(at_ms)?;
        Some(Time(at.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()))
    }
}

/// A type that can be a field of a canonical record.
trait Described {
    /// Its kind.
    fn kind() -> Kind;
    /// Whether it may be absent.
    const OPTIONAL: bool = false;
}

impl Described for String {
    fn kind() -> Kind {
        Kind::Text(None)
    }
}

impl Described for Exact {
    fn kind() -> Kind {
        Kind::Decimal { sense: Sense::Number, scale: None, form: NumberForm::Text }
    }
}

impl Described for i64 {
    fn kind() -> Kind {
        Kind::Integer
    }
}

impl Described for bool {
    fn kind() -> Kind {
        Kind::Bool
    }
}

impl Described for Date {
    fn kind() -> Kind {
        Kind::Date
    }
}

impl Described for Time {
    fn kind() -> Kind {
        Kind::DateTime(TimeForm::Rfc3339)
    }
}

impl<T: Described> Described for Option<T> {
    fn kind() -> Kind {
        T::kind()
    }
    const OPTIONAL: bool = true;
}

impl<T: Described> Described for Vec<T> {
    fn kind() -> Kind {
        match T::kind() {
            Kind::Record(fields) => Kind::List(fields),
            other => other,
        }
    }
}

fn marked(kind: Kind, mark: Option<Sense>) -> Kind {
    match (kind, mark) {
        (Kind::Decimal { scale, form, .. }, Some(sense)) => Kind::Decimal { sense, scale, form },
        (kind, _) => kind,
    }
}

macro_rules! records {
    ($(
        $(#[doc = $doc:literal])+
        $type:ident = $name:literal {
            $($(#[doc = $field_doc:literal])+ $field:ident : $field_type:ty $([$sense:ident])? ,)+
        }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $type {
                $($(#[doc = $field_doc])+
                pub $field: $field_type,)+
            }

            impl Described for $type {
                fn kind() -> Kind {
                    Kind::Record(vec![$(Field {
                        name: stringify!($field).into(),
                        doc: concat!($($field_doc),+).trim().into(),
                        kind: marked(
                            <$field_type as Described>::kind(),
                            [$(Sense::$sense)?].first().copied(),
                        ),
                        required: !<$field_type as Described>::OPTIONAL,
                    }),+])
                }
            }

            impl $type {
                /// The record's name in mappings and events.
                pub const NAME: &'static str = $name;

                /// Its description.
                pub fn shape() -> Shape {
                    let fields = match <$type as Described>::kind() {
                        Kind::Record(fields) => fields,
                        _ => Vec::new(),
                    };
                    Shape { name: $name.into(), doc: concat!($($doc),+).trim().into(), fields, total: total_of($name) }
                }
            }
        )+

        /// Names of the canonical records.
        const NAMES: &[&str] = &[$($name),+];

        /// All canonical records, by name.
        pub fn shapes() -> Vec<Shape> {
            vec![$($type::shape()),+]
        }
    };
}

records! {
    /// A customer: who buys and who pays.
    Customer = "customer" {
        /// Code in the source system.
        code: String,
        /// Registered name.
        name: Option<String>,
        /// Unified social credit code or tax number.
        tax_number: Option<String>,
        /// Country or region.
        region: Option<String>,
        /// Registered address.
        address: Option<String>,
        /// Telephone for invoices.
        phone: Option<String>,
        /// Address for e-invoices.
        email: Option<String>,
        /// Bank and account number, as printed on invoices.
        bank_account: Option<String>,
    }
    /// A product or service.
    Product = "product" {
        /// Code in the source system.
        code: String,
        /// Name.
        name: Option<String>,
        /// Specification.
        spec: Option<String>,
        /// Unit of measure.
        unit: Option<String>,
        /// Tax classification code, 19 digits.
        tax_code: Option<String>,
    }
    /// An employee, as salesperson.
    Employee = "employee" {
        /// Code in the source system.
        code: String,
        /// Name.
        name: Option<String>,
        /// Department code.
        department: Option<String>,
    }
    /// A sales opportunity.
    Opportunity = "opportunity" {
        /// Id in the CRM.
        id: String,
        /// Name.
        name: Option<String>,
        /// Stage in the CRM's words.
        stage: Option<String>,
        /// Expected amount with tax.
        amount_tax_included: Option<Exact> [TaxIncluded],
        /// Owner.
        owner: Option<Employee>,
    }
    /// A line of a contract.
    ContractLine = "contract_line" {
        /// Line number, from 1.
        line: i64,
        /// What is sold.
        product: Product,
        /// How many; negative on credit notes.
        quantity: Exact [Quantity],
        /// Price per unit with tax.
        unit_price_tax_included: Exact [PriceTaxIncluded],
        /// Tax rate as a fraction: 0.13.
        tax_rate: Exact [Rate],
        /// Amount with tax, two places: quantity × price, rounded half up.
        amount_tax_included: Exact [TaxIncluded],
        /// Discount on this line with tax, zero or negative.
        discount_tax_included: Option<Exact> [TaxIncluded],
        /// Promised delivery.
        delivery_date: Option<Date>,
        /// Remark for the customer.
        note: Option<String>,
        /// Remark that leaves the CRM in no document.
        internal_note: Option<String>,
    }
    /// A signed contract.
    Contract = "contract" {
        /// Contract number: the business key.
        number: String,
        /// Revision, from 1; an amendment raises it.
        revision: Option<i64>,
        /// Signed at.
        signed_at: Time,
        /// Who buys. May be missing at intake; no order is posted without.
        customer: Option<Customer>,
        /// Opportunity that led to it.
        opportunity: Option<Opportunity>,
        /// Salesperson.
        salesperson: Option<Employee>,
        /// ISO 4217 code.
        currency: String,
        /// Lines.
        lines: Vec<ContractLine>,
        /// Total with tax: the sum of the lines.
        total_tax_included: Exact [TaxIncluded],
        /// Remark.
        note: Option<String>,
    }
    /// What is said of a signing flow: by a callback, or by its provider when asked.
    Signature = "signature" {
        /// The provider's id of the flow: the business key.
        flow_id: String,
        /// Which news this is: rises with each.
        revision: Option<i64>,
        /// Provider, e.g. `esign`.
        provider: String,
        /// Contract number, the key we gave the flow. A flow without one is none of ours.
        contract_number: Option<String>,
        /// `signing`, `signed`, `rejected`, `revoked`, `expired` or `annulled`.
        state: String,
        /// When it came to that, as the provider says.
        at: Option<Time>,
        /// Title of the flow.
        title: Option<String>,
    }
    /// Goods returned or a price corrected: a contract's mirror with negative quantities.
    CreditNote = "credit_note" {
        /// Number: the business key.
        number: String,
        /// Revision, from 1.
        revision: Option<i64>,
        /// Contract it corrects, where the source names one.
        contract_number: Option<String>,
        /// Agreed at.
        signed_at: Time,
        /// Who bought.
        customer: Option<Customer>,
        /// Salesperson.
        salesperson: Option<Employee>,
        /// ISO 4217 code.
        currency: String,
        /// Lines, quantities negative.
        lines: Vec<ContractLine>,
        /// Total with tax, negative.
        total_tax_included: Exact [TaxIncluded],
        /// Why: 1 returned, 2 wrong, 3 service ended, 4 allowance.
        reason: Option<String>,
    }
    /// An order as the ERP holds it.
    SalesOrder = "sales_order" {
        /// Number in the ERP.
        number: String,
        /// Internal id in the ERP.
        id: String,
        /// Contract it came from.
        contract_number: String,
        /// Step reached in the ERP, e.g. `audited`.
        status: String,
        /// ISO 4217 code.
        currency: String,
        /// Total with tax, as the ERP reports it; absent when it reports none.
        total_tax_included: Option<Exact> [TaxIncluded],
    }
    /// Somebody asks for an invoice.
    InvoiceRequest = "invoice_request" {
        /// Request number: the business key.
        number: String,
        /// Contract it bills.
        contract_number: String,
        /// Asked at.
        requested_at: Time,
        /// `special` (专票) or `ordinary` (普票).
        kind: String,
        /// Buyer.
        customer: Option<Customer>,
        /// ISO 4217 code.
        currency: String,
        /// Lines to bill.
        lines: Vec<ContractLine>,
        /// Total with tax.
        total_tax_included: Exact [TaxIncluded],
        /// Printed remark.
        note: Option<String>,
    }
    /// Somebody asks to take an invoice back, in part or wholly: for a red one.
    RedRequest = "red_request" {
        /// Request number: the business key.
        number: String,
        /// Contract that was billed.
        contract_number: String,
        /// Number of the blue invoice.
        blue_invoice: String,
        /// Asked at.
        requested_at: Time,
        /// Why: 1 returned, 2 wrong, 3 service ended, 4 allowance.
        reason: String,
        /// ISO 4217 code.
        currency: String,
        /// What of it; no lines: all that is left of the invoice.
        lines: Vec<RedRequestLine>,
        /// Printed remark.
        note: Option<String>,
    }
    /// What of a line of the blue invoice is taken back; without quantity and amount all that is left of it.
    RedRequestLine = "red_request_line" {
        /// Number of the contract's line, from 1.
        line: i64,
        /// How many, above zero.
        quantity: Option<Exact> [Quantity],
        /// How much with tax, above zero.
        amount_tax_included: Option<Exact> [TaxIncluded],
    }
    /// A request for an invoice was refused.
    InvoiceRefusal = "invoice_refusal" {
        /// Number of the request: the business key.
        number: String,
        /// Contract that was to be billed.
        contract_number: String,
        /// Code of the fault.
        code: String,
        /// Why, in Chinese.
        reason: String,
        /// Why, in English.
        reason_en: String,
    }
    /// An invoice to be issued (开票单), let through by the control: every amount is final.
    InvoiceOrder = "invoice_order" {
        /// Order number at the platform: the business key.
        number: String,
        /// Request it answers; of several put together the first.
        request_number: String,
        /// Contract it bills; of several put together the first.
        contract_number: String,
        /// Asked at.
        requested_at: Time,
        /// `special` (专票) or `ordinary` (普票).
        kind: String,
        /// Buyer.
        customer: Option<Customer>,
        /// ISO 4217 code.
        currency: String,
        /// Lines as they are printed; on red ones quantities and amounts are negative.
        lines: Vec<InvoiceLine>,
        /// Total with tax: the sum of the lines, discounts taken off.
        total_tax_included: Exact [TaxIncluded],
        /// Total without tax, after discounts.
        total_tax_excluded: Exact [TaxExcluded],
        /// Tax, after discounts.
        total_tax: Exact [Tax],
        /// Printed remark.
        note: Option<String>,
        /// Number of the blue invoice that this takes back. Absent on blue ones.
        blue_invoice: Option<String>,
        /// Why it is taken back: 1 returned, 2 wrong, 3 service ended, 4 allowance. Absent on blue ones.
        reason: Option<String>,
        /// Whether a red one takes back its blue one wholly, of which nothing was taken back before. Absent on blue ones.
        is_whole: Option<bool>,
    }
    /// A line of an invoice to be issued.
    InvoiceLine = "invoice_line" {
        /// Contract it bills.
        contract_number: String,
        /// Number of the contract's line, from 1.
        line: i64,
        /// What is sold.
        product: Product,
        /// How many.
        quantity: Option<Exact> [Quantity],
        /// Price per unit with tax.
        unit_price_tax_included: Option<Exact> [PriceTaxIncluded],
        /// Tax rate as a fraction: 0.13.
        tax_rate: Exact [Rate],
        /// Amount with tax before discount, two places.
        amount_tax_included: Exact [TaxIncluded],
        /// The same without tax.
        amount_tax_excluded: Exact [TaxExcluded],
        /// Tax on it: what is with tax less what is without.
        tax: Exact [Tax],
        /// Discount with tax, zero or negative.
        discount_tax_included: Option<Exact> [TaxIncluded],
    }
    /// An invoice the tax platform issued.
    Invoice = "invoice" {
        /// Invoice number, 20 digits for fully digital ones.
        number: String,
        /// Serial of the platform.
        serial: Option<String>,
        /// Our order number at the platform.
        order_number: String,
        /// Contract it bills.
        contract_number: String,
        /// `issued`, `issued-no-file`, `voided`.
        status: String,
        /// Issued at.
        issued_at: Option<Time>,
        /// ISO 4217 code.
        currency: String,
        /// Total with tax.
        total_tax_included: Option<Exact> [TaxIncluded],
        /// Total without tax.
        total_tax_excluded: Option<Exact> [TaxExcluded],
        /// Tax.
        total_tax: Option<Exact> [Tax],
        /// Link to the PDF.
        pdf_url: Option<String>,
        /// Link to the original OFD.
        ofd_url: Option<String>,
    }
    /// Money received, as the ERP or the bank tells it.
    Payment = "payment" {
        /// Receipt number with its entry: the business key.
        number: String,
        /// Which state of the receipt: rises with every change at the source.
        revision: Option<i64>,
        /// `received`, or `reversed` when the receipt was taken back.
        status: String,
        /// Contract it pays, where the receipt names one.
        contract_number: Option<String>,
        /// Customer code in the ERP.
        customer_code: Option<String>,
        /// Received at.
        received_at: Time,
        /// ISO 4217 code.
        currency: String,
        /// Amount received.
        amount: Exact [Money],
        /// Bank's reference.
        bank_reference: Option<String>,
        /// Name of who pays.
        payer_name: Option<String>,
        /// Account that it was paid from.
        payer_account: Option<String>,
        /// What it is for, as payer or receipt say.
        text: Option<String>,
    }
    /// What a customer owes by an invoice, as the ERP has booked it (应收单), or a part of it for one order.
    Receivable = "receivable" {
        /// Number with its entry: the business key.
        number: String,
        /// Which state of it: rises with every change at the source.
        revision: Option<i64>,
        /// `booked`, or `reversed` when it is not audited, or voided.
        status: String,
        /// Contract it is for, where it names one.
        contract_number: Option<String>,
        /// Customer code in the ERP.
        customer_code: Option<String>,
        /// Day of it.
        booked_at: Time,
        /// ISO 4217 code.
        currency: String,
        /// Amount with tax.
        amount: Exact [TaxIncluded],
    }
    /// A line of a bank statement: money that moved on an account of ours.
    BankEntry = "bank_entry" {
        /// Made of account, day and the bank's reference, or of what the line says: the business key.
        number: String,
        /// Which version of the entry this is, from 1.
        revision: Option<i64>,
        /// Account of ours that it moved on.
        account: String,
        /// Day it was booked, in China. Its month is this day's.
        booking_date: Date,
        /// When it was booked; midnight in China where the statement tells the day alone.
        booked_at: Time,
        /// Day from which it bears interest.
        value_date: Option<Date>,
        /// `in` or `out`: where the money went, for reversals too.
        direction: String,
        /// Amount that moved, positive.
        amount: Exact [Money],
        /// ISO 4217 code.
        currency: String,
        /// Balance after it, as the statement says.
        balance_after: Option<Exact> [Money],
        /// Charge that is reported with it; negative when it is given back. No part of `amount` unless the statement says so.
        fee: Option<Exact> [Money],
        /// `ordinary`, `reversal` (an earlier entry is undone) or `refund` (money of a payment goes back).
        kind: String,
        /// Name of the other party.
        other_name: Option<String>,
        /// Its account.
        other_account: Option<String>,
        /// Its bank.
        other_bank: Option<String>,
        /// What it is for, as the statement says.
        text: Option<String>,
        /// The bank's reference.
        bank_reference: Option<String>,
        /// The payer's or our own reference.
        own_reference: Option<String>,
        /// Statement it is in, where it has a number.
        statement: Option<String>,
        /// Line of the file, or number of the entry in it, from 1.
        place: Option<i64>,
    }
    /// What of a payment is for a contract.
    Allocation = "allocation" {
        /// Contract and payment: the business key.
        number: String,
        /// Rises with every decision about the payment.
        revision: i64,
        /// Contract number.
        contract_number: String,
        /// Number of the payment.
        payment_number: String,
        /// ISO 4217 code.
        currency: String,
        /// Money of it that is for the contract; zero once it was taken back.
        amount: Exact [Money],
        /// What a bank kept: closes what is owed, without money.
        fee: Exact [Money],
        /// When the payment came in.
        received_at: Time,
        /// Rule that decided, or `by-hand`.
        rule: String,
        /// Who decided or took back, if a person did.
        by: Option<String>,
    }
    /// What a payment did to an opportunity.
    OpportunityStatus = "opportunity_status" {
        /// Contract number: the business key.
        contract_number: String,
        /// Rises with every movement on the contract's account.
        revision: i64,
        /// Opportunity in the CRM, if the contract named one.
        opportunity_id: Option<String>,
        /// `part-paid` or `paid`; never goes back.
        stage: String,
        /// ISO 4217 code.
        currency: String,
        /// Contract total with tax, credit notes taken off.
        due: Exact [TaxIncluded],
        /// Received so far.
        received: Exact [Money],
        /// Still open; negative when more came in than was due.
        open: Exact [Money],
    }
    /// What commission is due on for one payment of a contract.
    Commission = "commission" {
        /// Contract and payment: the business key.
        number: String,
        /// Rises with every movement on the contract's account.
        revision: i64,
        /// Contract number.
        contract_number: String,
        /// Number of the receipt.
        payment_number: String,
        /// Salesperson code.
        salesperson: Option<String>,
        /// ISO 4217 code.
        currency: String,
        /// What of the payment counts: all of it up to what is due. Zero once it was taken back, negative for a refund.
        base: Exact [Money],
        /// When the payment came in.
        released_at: Time,
    }
    /// One line of a notice: what is alike is one line.
    NoticeLine = "notice_line" {
        /// `parked`, `drift`, `disputed`, `books`, `broken`, `recovered`, `unreadable` or `readable`.
        what: String,
        /// Connection it is about.
        connection: String,
        /// Fault code that the documents stopped with.
        code: Option<String>,
        /// Who can do something about it: `operations`, `finance` or `developer`.
        owner: Option<String>,
        /// How many documents.
        count: i64,
        /// Numbers of the first few of them, with commas between.
        examples: Option<String>,
        /// Since when.
        since: Option<Time>,
    }
    /// A message to people: everything a rule had to say at one time, folded.
    Notice = "notice" {
        /// Number of the message: rule and count; the business key.
        number: String,
        /// Rule that made it.
        rule: String,
        /// `info`, `warning` or `error`.
        severity: String,
        /// Who it is for, where all its lines are for the same people.
        owner: Option<String>,
        /// Title in Chinese.
        title: String,
        /// Title in English.
        title_en: String,
        /// What it tells of began.
        from: Time,
        /// Looked at last.
        to: Time,
        /// Documents it tells of.
        total: i64,
        /// Lines, those with most documents first.
        lines: Vec<NoticeLine>,
        /// Further lines that are left out.
        more: i64,
        /// Where to look, if the service has an address that people reach.
        link: Option<String>,
    }
}

/// Records with lines state their total: the sum of the lines' amounts, discounts taken off.
fn total_of(record: &str) -> Option<Total> {
    matches!(record, "contract" | "credit_note" | "invoice_request" | "invoice_order").then_some(Total {
        header: Some("total_tax_included"),
        list: "lines",
        amounts: &["amount_tax_included", "discount_tax_included"],
        product: None,
    })
}

/// Whether there is a canonical record of that name.
pub fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The shape of a canonical record.
pub fn shape(name: &str) -> Option<Shape> {
    shapes().into_iter().find(|shape| shape.name == name)
}

/// Reads a record (or any exact value) from JSON that is already parsed, without a binary float on the way.
pub fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    serde_json::from_str(&value.to_string())
}

/// Checks a record against its shape: every required field there, every value of its kind, nothing unknown.
/// The first fault is enough for the sender; it names the path.
pub fn validate(shape: &Shape, record: &Tree<'_>) -> Result<(), Fault> {
    validate_fields(&shape.fields, record, Path::Top)
}

fn validate_fields(fields: &[Field], value: &Tree<'_>, path: Path<'_>) -> Result<(), Fault> {
    let Tree::Object(members) = value else {
        return Err(type_fault(path, "record", value));
    };
    for (name, _) in members {
        if !fields.iter().any(|field| field.name == *name) {
            let fault = Fault::new(Code::FieldType, "未知字段", "unknown field");
            return Err(fault.at(Path::Member(&path, name).to_string()));
        }
    }
    for field in fields {
        let path = Path::Member(&path, &field.name);
        match value.get(&field.name) {
            None | Some(Tree::Null) if field.required => {
                let fault = Fault::new(Code::FieldMissing, "缺少必填字段", "a required field is missing");
                return Err(fault.at(path.to_string()));
            }
            None | Some(Tree::Null) => {}
            Some(value) => validate_kind(&field.kind, value, path)?,
        }
    }
    Ok(())
}

fn validate_kind(kind: &Kind, value: &Tree<'_>, path: Path<'_>) -> Result<(), Fault> {
    let fits = match (kind, value) {
        (Kind::Text(_), Tree::Text(_)) | (Kind::Bool, Tree::Bool(_)) => true,
        (Kind::Decimal { .. }, Tree::Text(text) | Tree::Number(text)) => crate::decimal::parse(text).is_ok(),
        (Kind::Integer, Tree::Number(number)) => number.parse::<i64>().is_ok(),
        (Kind::Date, Tree::Text(text)) => text.parse::<jiff::civil::Date>().is_ok(),
        (Kind::DateTime(_), Tree::Text(text)) => text.parse::<jiff::Timestamp>().is_ok(),
        (Kind::Record(fields), value) => return validate_fields(fields, value, path),
        (Kind::List(fields), Tree::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                validate_fields(fields, item, Path::Item(&path, index + 1))?;
            }
            true
        }
        (_, _) => false,
    };
    if fits { Ok(()) } else { Err(type_fault(path, &kind.name(), value)) }
}

fn type_fault(path: Path<'_>, expected: &str, value: &Tree<'_>) -> Fault {
    let shown = match value {
        Tree::Object(_) | Tree::List(_) => String::new(),
        scalar => mask::text(scalar),
    };
    Fault::new(Code::FieldType, format!("应为 {expected}"), format!("expected {expected}"))
        .at(path.to_string())
        .value(shown)
}

/// Where a value stands, written out only when there is something to say of it.
#[derive(Clone, Copy)]
enum Path<'p> {
    Top,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Top => Ok(()),
            Path::Member(Path::Top, name) => out.write_str(name),
            Path::Member(above, name) => write!(out, "{above}.{name}"),
            Path::Item(above, number) => write!(out, "{above}[{number}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(total: &str) -> Value {
        serde_json::from_str(&format!(
            r#"{{"number":"HT-1","signed_at":"2026-11-20T10:00:00+08:00","currency":"CNY","lines":[{{"line":1,
            "product":{{"code":"P1"}},"quantity":"3","unit_price_tax_included":113.00,"tax_rate":"0.13",
            "amount_tax_included":"339.00"}}],"total_tax_included":{total}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_contract_reads_exactly_from_numbers_and_text() {
        for total in ["10000000.015", "\"10000000.015\""] {
            let value = contract(total);
            validate(&Contract::shape(), &Tree::from(&value)).unwrap();
            let contract: Contract = read(&value).unwrap();
            assert_eq!(contract.total_tax_included.text(), "10000000.015");
            assert_eq!(contract.lines[0].unit_price_tax_included.text(), "113.00");
        }
    }

    #[test]
    fn faults_name_the_path() {
        let mut value = contract("1");
        value["lines"][0]["quantity"] = "3,0".into();
        let fault = validate(&Contract::shape(), &Tree::from(&value)).unwrap_err();
        assert_eq!((fault.code, fault.field.as_deref()), (Code::FieldType, Some("lines[1].quantity")));
        let mut value = contract("1");
        value["lines"][0]["product"] = serde_json::json!({});
        let fault = validate(&Contract::shape(), &Tree::from(&value)).unwrap_err();
        assert_eq!((fault.code, fault.field.as_deref()), (Code::FieldMissing, Some("lines[1].product.code")));
        let mut value = contract("1");
        value["colour"] = "red".into();
        assert_eq!(
            validate(&Contract::shape(), &Tree::from(&value)).unwrap_err().field.as_deref(),
            Some("colour")
        );
        let mut value = contract("1");
        value["signed_at"] = "yesterday".into();
        assert_eq!(
            validate(&Contract::shape(), &Tree::from(&value)).unwrap_err().field.as_deref(),
            Some("signed_at")
        );
    }

    #[test]
    fn the_schema_says_what_the_type_says() {
        let schema = Contract::shape().json_schema();
        assert_eq!(
            schema["required"],
            serde_json::json!(["number", "signed_at", "currency", "lines", "total_tax_included"])
        );
        assert_eq!(schema["properties"]["total_tax_included"]["x-sense"], "amount-tax-included");
        assert_eq!(shapes().len(), 24);
    }
}
