//! `FilterString`: a small SQL-like language, read by a tokeniser and a recursive-descent parser.
//!
//! Known from working clients: `=`, `<>`, comparison, `like`, `in`, `and`/`or`, parentheses, quotes doubled inside text.
//! `not`, `between` and `is null` are accepted besides. Text compares case-sensitively here; a site's database
//! collation may not.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    column::{Column, Place, Resolver, Spot},
    forms::Kind,
    reply::{CODE_PARAMETER, Failure},
    save_fields::date_text,
    store::{Store, Val},
    tokens::{Token, tokens},
};

/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: u32 = 64;

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
}

/// A parsed filter.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test {
        column: Column,
        test: Test,
        values: Vec<Val>,
    },
    /// Two literals (`1=1`), as some clients send them.
    Fixed(bool),
}

/// How a column is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Compare(Op),
    In,
    Null,
}

fn unreadable(text: &str) -> Failure {
    Failure::new(None, format!("当前查询串无法解析--{text}"), CODE_PARAMETER)
}

struct Parser<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    resolver: &'a mut Resolver,
    depth: u32,
}

/// Parses a filter; empty text matches everything.
pub(super) fn parse(text: &str, resolver: &mut Resolver) -> Result<Option<Expr>, Failure> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let tokens = tokens(text).ok_or_else(|| unreadable(text))?;
    let mut parser = Parser { text, tokens: tokens.into_iter().peekable(), resolver, depth: 0 };
    let expr = parser.any()?;
    if parser.tokens.peek().is_some() { Err(unreadable(text)) } else { Ok(Some(expr)) }
}

impl Parser<'_> {
    fn fail<T>(&self) -> Result<T, Failure> {
        Err(unreadable(self.text))
    }

    fn word(&mut self, wanted: &str) -> bool {
        let hit = matches!(self.tokens.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted));
        if hit {
            self.tokens.next();
        }
        hit
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let hit = matches!(self.tokens.peek(), Some(Token::Sign(sign)) if *sign == wanted);
        if hit {
            self.tokens.next();
        }
        hit
    }

    fn any(&mut self) -> Result<Expr, Failure> {
        let first = self.all()?;
        let mut list = vec![first];
        while self.word("or") {
            list.push(self.all()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::Or(list) })
    }

    fn all(&mut self) -> Result<Expr, Failure> {
        let first = self.one()?;
        let mut list = vec![first];
        while self.word("and") {
            list.push(self.one()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::And(list) })
    }

    fn one(&mut self) -> Result<Expr, Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail();
        }
        let expr = if self.word("not") {
            Expr::Not(Box::new(self.one()?))
        } else if self.sign("(") {
            let inner = self.any()?;
            if !self.sign(")") {
                return self.fail();
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr, Failure> {
        let name = match self.tokens.next() {
            Some(Token::Word(name)) => name,
            Some(literal @ (Token::Number(_) | Token::Text(_))) if self.sign("=") => {
                let same = self.tokens.next().is_some_and(|other| other == literal);
                return Ok(Expr::Fixed(same));
            }
            _ => return self.fail(),
        };
        let column = self.resolver.resolve(&name)?;
        let negated = self.word("not");
        let expr = self.comparison(column)?;
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    fn comparison(&mut self, column: Column) -> Result<Expr, Failure> {
        if self.word("in") {
            return self.list(column);
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("null") {
                return self.fail();
            }
            let test = Expr::Test { column, test: Test::Null, values: Vec::new() };
            return Ok(if negated { Expr::Not(Box::new(test)) } else { test });
        }
        if self.word("between") {
            let low = self.literal(&column)?;
            if !self.word("and") {
                return self.fail();
            }
            let high = self.literal(&column)?;
            return Ok(Expr::And(vec![single(column.clone(), Op::Ge, low), single(column, Op::Le, high)]));
        }
        let op = if self.word("like") {
            Op::Like
        } else {
            match self.tokens.next() {
                Some(Token::Sign("=")) => Op::Eq,
                Some(Token::Sign("<>")) => Op::Ne,
                Some(Token::Sign("<")) => Op::Lt,
                Some(Token::Sign("<=")) => Op::Le,
                Some(Token::Sign(">")) => Op::Gt,
                Some(Token::Sign(">=")) => Op::Ge,
                _ => return self.fail(),
            }
        };
        let value = self.literal(&column)?;
        Ok(single(column, op, value))
    }

    fn list(&mut self, column: Column) -> Result<Expr, Failure> {
        if !self.sign("(") {
            return self.fail();
        }
        let mut values = vec![self.literal(&column)?];
        while self.sign(",") {
            values.push(self.literal(&column)?);
        }
        if !self.sign(")") {
            return self.fail();
        }
        Ok(Expr::Test { column, test: Test::In, values })
    }

    fn literal(&mut self, column: &Column) -> Result<Val, Failure> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(literal(column, &text)),
            Some(Token::Number(number)) => Ok(Val::Num(number)),
            _ => self.fail(),
        }
    }
}

fn single(column: Column, op: Op, value: Val) -> Expr {
    Expr::Test { column, test: Test::Compare(op), values: vec![value] }
}

/// Text compared with a date column is brought to the stored form, so that `2026-01-01` is its midnight.
fn literal(column: &Column, text: &str) -> Val {
    if column.kind == Kind::Date
        && let Some(date) = date_text(text)
    {
        return Val::Text(date);
    }
    Val::Text(text.to_owned())
}

/// The array form: `{Left, FieldName, Compare, Value, Right, Logic}`, Logic 0 AND, 1 OR (applies to what follows).
/// `codes` translates coded operators; operators written out are taken as they are.
pub(super) fn array_text(items: &[Value], codes: &[(String, String)]) -> Result<String, Failure> {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        let member = |name: &str| match item.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let compare = member("Compare");
        let op = codes.iter().find(|(code, _)| *code == compare).map_or(compare.as_str(), |(_, op)| op);
        let known = ["=", "<>", "!=", ">", ">=", "<", "<=", "like", "in", "not like", "not in"];
        if !known.contains(&op.to_ascii_lowercase().as_str()) {
            return Err(unreadable(&item.to_string()));
        }
        let value = member("Value").replace('\'', "''");
        let value = if op.to_ascii_lowercase().ends_with("in") {
            let parts: Vec<String> = value.split(',').map(|part| format!("'{}'", part.trim())).collect();
            format!("({})", parts.join(","))
        } else {
            format!("'{value}'")
        };
        text.push_str(&format!("{}{} {op} {value}{}", member("Left"), member("FieldName"), member("Right")));
        if index + 1 < items.len() {
            text.push_str(if member("Logic") == "1" { " or " } else { " and " });
        }
    }
    Ok(text)
}

/// Order of two values; empty ones first, numbers as numbers.
pub(super) fn order(left: &Val, right: &Val) -> Ordering {
    match (left, right) {
        (Val::Null, Val::Null) => Ordering::Equal,
        (Val::Null, _) => Ordering::Less,
        (_, Val::Null) => Ordering::Greater,
        (Val::Flag(left), right) => left.cmp(&truth(right)),
        (left, Val::Flag(right)) => truth(left).cmp(right),
        (Val::Num(left), right) => right.num().map_or(Ordering::Less, |right| left.cmp(&right)),
        (left, Val::Num(right)) => left.num().map_or(Ordering::Greater, |left| left.cmp(right)),
        (left, right) => left.text().cmp(right.text()),
    }
}

fn truth(val: &Val) -> bool {
    match val {
        Val::Flag(flag) => *flag,
        Val::Num(number) => !number.is_zero(),
        other => other.text() == "1" || other.text().eq_ignore_ascii_case("true"),
    }
}

/// SQL `like` with `%` and `_`.
fn like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '_' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_p, star_t)) => {
                    star = Some((star_p, star_t + 1));
                    p = star_p + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|c| *c == '%'))
}

impl Expr {
    /// Whether a row passes.
    pub fn holds(&self, store: &Store, spot: &Spot<'_>) -> bool {
        match self {
            Self::And(list) => list.iter().all(|expr| expr.holds(store, spot)),
            Self::Or(list) => list.iter().any(|expr| expr.holds(store, spot)),
            Self::Not(expr) => !expr.holds(store, spot),
            Self::Fixed(value) => *value,
            Self::Test { column, test, values } => {
                let val = column.val(store, spot);
                match test {
                    Test::Null => val.is_empty(),
                    Test::In => values.iter().any(|value| order(&val, value) == Ordering::Equal),
                    Test::Compare(op) => values.first().is_some_and(|value| compare(*op, &val, value)),
                }
            }
        }
    }

    /// The numbers or ids a row must have to pass, when the filter pins them; lets queries skip the scan.
    pub fn pinned(&self, place: &Place) -> Option<&[Val]> {
        match self {
            Self::And(list) => list.iter().find_map(|expr| expr.pinned(place)),
            Self::Test { column, test: Test::Compare(Op::Eq) | Test::In, values }
                if column.place == *place =>
            {
                Some(values)
            }
            _ => None,
        }
    }
}

fn compare(op: Op, left: &Val, right: &Val) -> bool {
    // An empty text and a missing one are the same to the server's filters.
    let empty = left.is_empty() && right.is_empty();
    match op {
        Op::Eq => empty || order(left, right) == Ordering::Equal,
        Op::Ne => !empty && order(left, right) != Ordering::Equal,
        Op::Like => like(left.text(), right.text()),
        _ if left.is_empty() => false,
        Op::Lt => order(left, right) == Ordering::Less,
        Op::Le => order(left, right) != Ordering::Greater,
        Op::Gt => order(left, right) == Ordering::Greater,
        Op::Ge => order(left, right) != Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kingdee::{forms::Forms, store::Bill};

    fn check(filter: &str) -> Result<bool, String> {
        let store = Store::new(&crate::KingdeeConfig::default());
        let form = Forms::new(&[]).get("SAL_SaleOrder");
        let mut bill = Bill { id: 100_001, number: "SO'1".into(), ..Bill::default() };
        bill.set_status("C");
        bill.fields.insert("FDATE".into(), Val::Text("2026-11-20T00:00:00".into()));
        bill.fields.insert("FCUSTID".into(), Val::Ref("CUST0001".into()));
        bill.fields.insert("FNOTE".into(), Val::Text("合同 A_1".into()));
        let mut resolver = Resolver::new(Arc::clone(&form));
        let expr = parse(filter, &mut resolver).map_err(|failure| failure.message)?;
        let spot = Spot { bill: &bill, rows: &[] };
        Ok(expr.is_none_or(|expr| expr.holds(&store, &spot)))
    }

    #[test]
    fn reads_the_language() {
        for (filter, expected) in [
            ("", true),
            ("FBillNo='SO''1'", true),
            ("fbillno = 'SO1'", false),
            ("FID=100001", true),
            ("FID in (1, 100001)", true),
            ("FDate>='2026-11-20' and FDate<'2026-11-21'", true),
            ("FDate>='2026-11-20 00:00:01'", false),
            ("FDate between '2026-11-01' and '2026-11-30'", true),
            ("FCustId.FNumber='CUST0001' and (FDocumentStatus='B' or FDocumentStatus='C')", true),
            ("FCustId.FNumber='X' or FDocumentStatus='B' and 1=1", false),
            ("not FDocumentStatus='C'", false),
            ("FNote like '合同%'", true),
            ("FNote like '%A_1'", true),
            ("FNote not like '%B%'", true),
            ("FNetOrderBillNo is null", true),
            ("FNetOrderBillNo=''", true),
            ("FBillNo not in ('a','b')", true),
            ("FBillNo != 'a'", true),
        ] {
            assert_eq!(check(filter), Ok(expected), "{filter}");
        }
    }

    #[test]
    fn names_what_it_cannot_read() {
        assert_eq!(check("FNoSuch='1'").unwrap_err(), "元数据中标识为FNoSuch的字段不存在");
        for bad in [
            "FBillNo='open",
            "FBillNo=",
            "(FID=1",
            "FID=1)",
            "FBillNo 'x'",
            "FBillNo in ()",
            "FID=1 and",
            "=",
        ] {
            assert!(check(bad).unwrap_err().starts_with("当前查询串无法解析--"), "{bad}");
        }
        assert!(check(&"(".repeat(1000)).is_err());
    }

    #[test]
    fn array_form_becomes_text() {
        let items: Value = serde_json::from_str(
            r#"[{"Left":"(","FieldName":"FBillNo","Compare":"67","Value":"S'1","Right":"","Logic":1},
                {"Left":"","FieldName":"FID","Compare":">","Value":"5","Right":")","Logic":0}]"#,
        )
        .unwrap();
        let codes = [("67".to_owned(), "=".to_owned())];
        let text = array_text(items.as_array().unwrap(), &codes).unwrap();
        assert_eq!(text, "(FBillNo = 'S''1' or FID > '5')");
        assert!(array_text(items.as_array().unwrap(), &[]).is_err());
    }
}
