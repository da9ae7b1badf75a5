//! Shapes: what fields a document has, of which kind. Both ends of a mapping are described by one.

use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// A document's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name, e.g. `contract` or `SAL_SaleOrder`.
    pub name: Cow<'static, str>,
    /// One or two sentences.
    pub doc: Cow<'static, str>,
    /// Fields in their usual order.
    pub fields: Vec<Field>,
    /// What its lines sum up to, where the document has amounts on lines.
    pub total: Option<Total>,
}

/// How a document's amounts add up: what a header total must equal, and what may not change on the way from one
/// document to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The header field that states the sum; `None` when the document leaves it to the reader.
    pub header: Option<&'static str>,
    /// The list of lines.
    pub list: &'static str,
    /// Amount fields of a line, signs included: a discount is negative.
    pub amounts: &'static [&'static str],
    /// Quantity and price of a line whose amount the far system works out itself, rounded half up to cents.
    pub product: Option<(&'static str, &'static str)>,
}

/// A field's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, one path step.
    pub name: Cow<'static, str>,
    /// For people, with the unit.
    pub doc: Cow<'static, str>,
    /// What it holds.
    pub kind: Kind,
    /// Must be there.
    pub required: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text, at most so many units long.
    Text(Option<Length>),
    /// Exact decimal.
    Decimal {
        /// What the number means.
        sense: Sense,
        /// Decimal places the document keeps; `None` when any.
        scale: Option<u32>,
        /// How the target wants it written.
        form: NumberForm,
    },
    /// Whole number.
    Integer,
    /// True or false.
    Bool,
    /// Calendar date, `yyyy-MM-dd`.
    Date,
    /// Point in time; a target may want another text form.
    DateTime(TimeForm),
    /// A nested document.
    Record(Vec<Field>),
    /// A list of nested documents.
    List(Vec<Field>),
}

/// A length limit and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// At most.
    pub max: usize,
    /// Counted in.
    pub unit: LengthUnit,
}

/// What a length counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthUnit {
    /// Unicode scalar values.
    Characters,
    /// Bytes in GBK: one for ASCII, two for Chinese.
    GbkBytes,
}

/// What a decimal means. Amounts of different senses never meet in a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// Plain number.
    Number,
    /// Quantity.
    Quantity,
    /// Rate as a fraction: 0.13.
    Rate,
    /// Price per unit, tax included.
    PriceTaxIncluded,
    /// Price per unit, tax excluded.
    PriceTaxExcluded,
    /// Amount with tax.
    TaxIncluded,
    /// Amount without tax.
    TaxExcluded,
    /// Amount of tax.
    Tax,
    /// Money that moved.
    Money,
}

/// How a decimal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberForm {
    /// As a JSON number with exactly its digits.
    Number,
    /// As text.
    Text,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeForm {
    /// RFC 3339 with offset.
    Rfc3339,
    /// `yyyy-MM-dd HH:mm:ss` in the target's zone.
    Local,
}

impl Sense {
    /// Whether it is an amount of money, which may not vanish in a mapping.
    pub fn is_amount(self) -> bool {
        match self {
            Sense::TaxIncluded | Sense::TaxExcluded | Sense::Tax | Sense::Money => true,
            Sense::Number
            | Sense::Quantity
            | Sense::Rate
            | Sense::PriceTaxIncluded
            | Sense::PriceTaxExcluded => false,
        }
    }

    /// Stable name, as in schemas and declared fields.
    pub fn name(self) -> &'static str {
        match self {
            Sense::Number => "decimal",
            Sense::Quantity => "quantity",
            Sense::Rate => "rate",
            Sense::PriceTaxIncluded => "price-tax-included",
            Sense::PriceTaxExcluded => "price-tax-excluded",
            Sense::TaxIncluded => "amount-tax-included",
            Sense::TaxExcluded => "amount-tax-excluded",
            Sense::Tax => "tax",
            Sense::Money => "money",
        }
    }

    /// The sense of a name.
    pub fn from_name(name: &str) -> Option<Sense> {
        [
            Sense::Number,
            Sense::Quantity,
            Sense::Rate,
            Sense::PriceTaxIncluded,
            Sense::PriceTaxExcluded,
            Sense::TaxIncluded,
            Sense::TaxExcluded,
            Sense::Tax,
            Sense::Money,
        ]
        .into_iter()
        .find(|sense| sense.name() == name)
    }
}

impl Kind {
    /// Exact decimal of a sense, any scale, written as a number.
    pub fn decimal(sense: Sense) -> Kind {
        Kind::Decimal { sense, scale: None, form: NumberForm::Number }
    }

    /// Fields below this one.
    pub fn children(&self) -> Option<&[Field]> {
        match self {
            Kind::Record(fields) | Kind::List(fields) => Some(fields),
            Kind::Text(_)
            | Kind::Decimal { .. }
            | Kind::Integer
            | Kind::Bool
            | Kind::Date
            | Kind::DateTime(_) => None,
        }
    }

    /// For messages.
    pub fn name(&self) -> String {
        match self {
            Kind::Text(_) => "text".into(),
            Kind::Decimal { sense, .. } => sense.name().into(),
            Kind::Integer => "integer".into(),
            Kind::Bool => "bool".into(),
            Kind::Date => "date".into(),
            Kind::DateTime(_) => "datetime".into(),
            Kind::Record(_) => "record".into(),
            Kind::List(_) => "list".into(),
        }
    }
}

impl Field {
    /// An optional field.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: Kind, doc: impl Into<Cow<'static, str>>) -> Field {
        Field { name: name.into(), doc: doc.into(), kind, required: false }
    }

    /// The same, required.
    pub fn required(mut self) -> Field {
        self.required = true;
        self
    }
}

impl Shape {
    /// The field at a dotted path; lists are passed through.
    pub fn find(&self, path: &str) -> Option<&Field> {
        find(&self.fields, path)
    }

    /// JSON Schema (draft 2020-12) of the document.
    pub fn json_schema(&self) -> Value {
        let mut schema = object_schema(&self.fields);
        if let Value::Object(map) = &mut schema {
            map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
            map.insert("title".into(), json!(self.name));
            map.insert("description".into(), json!(self.doc));
        }
        schema
    }
}

/// The field at a dotted path below `fields`.
pub fn find<'a>(fields: &'a [Field], path: &str) -> Option<&'a Field> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let field = fields.iter().find(|field| field.name == head)?;
    match rest {
        None => Some(field),
        Some(rest) => find(field.kind.children()?, rest),
    }
}

fn object_schema(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = kind_schema(&field.kind);
            if let (Value::Object(map), false) = (&mut schema, field.doc.is_empty()) {
                map.insert("description".into(), json!(field.doc));
            }
            (field.name.to_string(), schema)
        })
        .collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name.as_ref()).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn kind_schema(kind: &Kind) -> Value {
    match kind {
        Kind::Text(None) => json!({"type": "string"}),
        Kind::Text(Some(length)) => json!({"type": "string", "maxLength": length.max}),
        Kind::Decimal { sense, .. } => json!({
            "type": ["string", "number"],
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "x-sense": sense.name(),
        }),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::DateTime(_) => json!({"type": "string", "format": "date-time"}),
        Kind::Record(fields) => object_schema(fields),
        Kind::List(fields) => json!({"type": "array", "items": object_schema(fields)}),
    }
}
