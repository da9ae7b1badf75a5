//! Column layouts: data that says which columns of a table hold what. Checked before the first file like a program.

use super::text;
use std::collections::BTreeMap;
use tongbao_connect::settings::refuse_unknown;
use tongbao_model::Text;
use tongbao_model::diagnostic::{Findings, Place, nearest};
use tongbao_model::yaml::{self, Content, Node};

/// Layouts that come with the connector.
const BUILT_IN: &[(&str, &str)] = &[
    ("alipay-account", include_str!("layouts/alipay-account.yaml")),
    ("counter-flag", include_str!("layouts/counter-flag.yaml")),
    ("counter-signed", include_str!("layouts/counter-signed.yaml")),
    ("counter-two-columns", include_str!("layouts/counter-two-columns.yaml")),
    ("wechat-trade", include_str!("layouts/wechat-trade.yaml")),
];

/// What a column can hold.
pub const ROLES: &[&str] = &[
    "date",
    "time",
    "value_date",
    "in",
    "out",
    "amount",
    "direction",
    "balance",
    "fee",
    "currency",
    "account",
    "other_name",
    "other_account",
    "other_bank",
    "text",
    "reference",
    "own_reference",
    "status",
    "kind",
];
const KEYS: &[&str] = &[
    "layout",
    "columns",
    "needs",
    "direction",
    "out_sign",
    "status",
    "kinds",
    "labels",
    "totals",
    "quote",
    "currency",
];

/// What a total is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Rows.
    Count,
    /// Money in.
    In,
    /// Money out.
    Out,
    /// Fees.
    Fee,
}

/// A layout.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Name.
    pub name: String,
    /// Column names by role, in the form of [`text::name`], the likelier ones first.
    pub columns: BTreeMap<String, Vec<String>>,
    /// Roles whose column a file must have, besides those of dates and amounts.
    pub needs: Vec<String>,
    /// Words for money in.
    pub words_in: Vec<String>,
    /// Words for money out.
    pub words_out: Vec<String>,
    /// Amounts of money out are written as negative numbers; else a negative one is a reversal.
    pub out_is_negative: bool,
    /// States in which a row counts; any, when empty.
    pub booked: Vec<String>,
    /// Words of a reversal.
    pub reversal: Vec<String>,
    /// Words of a refund.
    pub refund: Vec<String>,
    /// Labels of the account, the opening and the closing balance and the currency, above or below the rows.
    pub labels: BTreeMap<String, Vec<String>>,
    /// Words before the sum of money in.
    pub total_in: Vec<String>,
    /// Words before the sum of money out.
    pub total_out: Vec<String>,
    /// First words of a row with sums below their columns.
    pub total_rows: Vec<String>,
    /// Columns of a row of totals that has a header of its own.
    pub total_columns: Vec<(String, Total)>,
    /// Values begin with a backtick and are parted by comma and backtick.
    pub has_backticks: bool,
    /// ISO 4217 code where the file names none.
    pub currency: Option<String>,
}

/// The layouts that come with the connector. What is wrong in them goes to `findings`.
pub fn built_in(findings: &mut Findings) -> Vec<Layout> {
    let read = |(name, text): &(&str, &str)| {
        let mut own = Findings::new(format!("{name}.yaml"));
        let layout = yaml::parse(text, &mut own).and_then(|node| read(name, &node, &mut own));
        for finding in own.into_sorted() {
            findings.error("layout-built-in", Place::default(), finding.to_string(), finding.to_string());
        }
        layout
    };
    BUILT_IN.iter().filter_map(read).collect()
}

/// Reads a layout. Everything wrong with it goes to `findings`, with its line and column.
pub fn read(name: &str, node: &Node, findings: &mut Findings) -> Option<Layout> {
    let mut reader = Reader { findings, is_sound: true };
    let layout = reader.layout(name, node);
    reader.is_sound.then_some(layout)
}

struct Reader<'a> {
    findings: &'a mut Findings,
    is_sound: bool,
}

impl Reader<'_> {
    fn wrong(&mut self, place: Place, zh: String, en: String) {
        self.is_sound = false;
        self.findings.error("layout-value", place, zh, en);
    }

    fn known(&mut self, node: &Node, keys: &[&str]) {
        self.is_sound &= node.entries().iter().all(|entry| keys.contains(&entry.key.as_str()));
        refuse_unknown(node, keys, self.findings);
    }

    fn layout(&mut self, name: &str, node: &Node) -> Layout {
        self.known(node, KEYS);
        let empty = Node { place: node.place, content: Content::Null };
        let section = |key: &str| node.get(key).unwrap_or(&empty);
        let mut layout = Layout { name: name.to_owned(), ..Layout::default() };
        let mut taken: Vec<String> = Vec::new();
        for entry in section("columns").entries() {
            if !ROLES.contains(&entry.key.as_str()) {
                self.unknown_role(&entry.key, entry.place);
            }
            let names: Vec<String> = self.words(&entry.value).iter().map(|word| text::name(word)).collect();
            // What a row is for may also say what it is; one column may be day and time.
            if !["kind", "status", "time"].contains(&entry.key.as_str()) {
                for name in &names {
                    if taken.contains(name) {
                        let (zh, en) =
                            (format!("列名 {name} 用了两次"), format!("the column `{name}` is used twice"));
                        self.wrong(entry.value.place, zh, en);
                    }
                    taken.push(name.clone());
                }
            }
            layout.columns.insert(entry.key.clone(), names);
        }
        self.amounts(&layout, node.place);
        for item in section("needs").items() {
            let role = item.text().unwrap_or_default();
            if !layout.columns.contains_key(role) {
                let (zh, en) =
                    (format!("columns 中没有 {role}"), format!("there is no `{role}` in `columns`"));
                self.wrong(item.place, zh, en);
            }
            layout.needs.push(role.to_owned());
        }
        (layout.words_in, layout.words_out) = self.pair(section("direction"), "in", "out");
        if layout.columns.contains_key("direction")
            && (layout.words_in.is_empty() || layout.words_out.is_empty())
        {
            let zh = "direction 列需要 direction: { in: […], out: […] }".to_owned();
            let en = "a `direction` column needs `direction: { in: […], out: […] }`".to_owned();
            self.wrong(node.place, zh, en);
        }
        (layout.reversal, layout.refund) = self.pair(section("kinds"), "reversal", "refund");
        self.known(section("status"), &["booked"]);
        layout.booked = section("status").get("booked").map(|node| self.words(node)).unwrap_or_default();
        self.known(section("labels"), &["account", "opening", "closing", "currency"]);
        for entry in section("labels").entries() {
            let names = self.words(&entry.value).iter().map(|word| text::name(word)).collect();
            layout.labels.insert(entry.key.clone(), names);
        }
        self.totals(section("totals"), &mut layout);
        layout.out_is_negative = self.choice(section("out_sign"), "positive", "negative");
        layout.has_backticks = self.choice(section("quote"), "csv", "backtick");
        if let Some(node) = node.get("currency") {
            layout.currency = node.text().and_then(text::currency);
            if layout.currency.is_none() {
                let zh = "currency 应为 ISO 4217 代码".to_owned();
                self.wrong(node.place, zh, "`currency` is an ISO 4217 code".to_owned());
            }
        }
        layout
    }

    fn unknown_role(&mut self, role: &str, place: Place) {
        self.is_sound = false;
        let suggestion = nearest(role, ROLES.iter().copied())
            .map(|name| Text::new(format!("是否为 {name}？"), format!("did you mean `{name}`?")));
        let message = Text::new(format!("没有列用途 {role}"), format!("a column cannot be `{role}`"));
        self.findings.error_with("layout-role", place, message, suggestion);
    }

    fn amounts(&mut self, layout: &Layout, place: Place) {
        let has = |role: &str| layout.columns.contains_key(role);
        if !has("date") {
            self.wrong(place, "columns 缺少 date".to_owned(), "`columns` has no `date`".to_owned());
        }
        let given = ["in", "out", "amount", "direction"].map(has);
        let fits = matches!(given, [true, true, false, false] | [false, false, true, _]);
        if !fits {
            let zh = "columns 需要 in 与 out，或仅 amount（可带 direction）".to_owned();
            let en = "`columns` needs `in` and `out`, or `amount` alone, perhaps with `direction`".to_owned();
            self.wrong(place, zh, en);
        }
    }

    fn totals(&mut self, node: &Node, layout: &mut Layout) {
        self.known(node, &["in", "out", "rows", "columns"]);
        let mut words = |key: &str| {
            let found = node.get(key).map(|node| self.words(node)).unwrap_or_default();
            found.iter().map(|word| text::name(word)).collect::<Vec<_>>()
        };
        layout.total_in = words("in");
        layout.total_out = words("out");
        layout.total_rows = words("rows");
        for entry in node.get("columns").map(Node::entries).unwrap_or_default() {
            let total = match entry.value.text() {
                Some("count") => Total::Count,
                Some("in") => Total::In,
                Some("out") => Total::Out,
                Some("fee") => Total::Fee,
                _ => {
                    let en = "a total is `count`, `in`, `out` or `fee`".to_owned();
                    self.wrong(entry.value.place, "合计为 count、in、out 或 fee".to_owned(), en);
                    continue;
                }
            };
            layout.total_columns.push((text::name(&entry.key), total));
        }
    }

    fn pair(&mut self, node: &Node, first: &str, second: &str) -> (Vec<String>, Vec<String>) {
        self.known(node, &[first, second]);
        let mut words = |key: &str| node.get(key).map(|node| self.words(node)).unwrap_or_default();
        (words(first), words(second))
    }

    fn words(&mut self, node: &Node) -> Vec<String> {
        let words: Vec<String> = match &node.content {
            Content::Scalar { text, .. } => vec![text.clone()],
            _ => node.items().iter().filter_map(|item| item.text().map(str::to_owned)).collect(),
        };
        if words.is_empty()
            || words.len() < node.items().len()
            || words.iter().any(|word| word.trim().is_empty())
        {
            self.wrong(node.place, "应为文本列表".to_owned(), "expected a list of texts".to_owned());
        }
        words
    }

    /// Whether the second of two words is written; neither is the first.
    fn choice(&mut self, node: &Node, first: &str, second: &str) -> bool {
        match node.text() {
            None if node.content == Content::Null => false,
            Some(word) if word == first || word == second => word == second,
            _ => {
                self.wrong(
                    node.place,
                    format!("应为 {first} 或 {second}"),
                    format!("expected `{first}` or `{second}`"),
                );
                false
            }
        }
    }
}
