//! Expressions: small, closed, decimal.
//!
//! `or` `and` `not`, `== != < <= > >=`, `+ - *`, unary `-`, calls, paths, numbers, "text", `true`, `false`.
//! There is no `/`: a division needs a rounding, so it is the function `divide(a, b, places)`.

use rust_decimal::Decimal;

/// An expression with the column it begins at (from 0, in the expression's own text).
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub column: usize,
    pub node: ExprNode,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprNode {
    Number(Decimal),
    Text(String),
    Bool(bool),
    Path(String),
    Call(String, Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub column: usize,
    pub zh: String,
    pub en: String,
}

const DEPTH_MAX: usize = 64;

pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, end: text.chars().count(), depth: 0 };
    let expr = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some((column, token)) => Err(unexpected(*column, &token.shown())),
    }
}

fn unexpected(column: usize, shown: &str) -> SyntaxError {
    SyntaxError { column, zh: format!("此处不应出现 {shown}"), en: format!("unexpected {shown}") }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(Decimal),
    Text(String),
    Word(String),
    Symbol(&'static str),
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Token::Number(number) => number.to_string(),
            Token::Text(text) => format!("{text:?}"),
            Token::Word(word) => format!("`{word}`"),
            Token::Symbol(symbol) => format!("`{symbol}`"),
        }
    }
}

const SYMBOLS: &[&str] = &["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut column = 0;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if first == '"' || first == '\'' {
            let (token, length) = quoted(rest, first, column)?;
            found.push((column, token));
            length
        } else if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest.get(..length).unwrap_or("");
            let value = tongbao_model::decimal::parse(number).map_err(|error| SyntaxError {
                column,
                zh: format!("{number} 不是可精确表示的数字"),
                en: format!("{number}: {error}"),
            })?;
            found.push((column, Token::Number(value)));
            length
        } else if first.is_alphabetic() || first == '_' {
            let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
            let length = rest.find(|c: char| !inside(c)).unwrap_or(rest.len());
            found.push((column, Token::Word(rest.get(..length).unwrap_or("").to_owned())));
            length
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            found.push((column, Token::Symbol(symbol)));
            symbol.len()
        } else if first == '/' {
            return Err(SyntaxError {
                column,
                zh: "除法必须写明舍入：请用 divide(被除数, 除数, 小数位数)".into(),
                en: "a division needs its rounding: write divide(a, b, places)".into(),
            });
        } else {
            return Err(unexpected(column, &format!("`{first}`")));
        };
        let (done, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        column += done.chars().count();
        rest = left;
    }
    Ok(found)
}

fn quoted(rest: &str, quote: char, column: usize) -> Result<(Token, usize), SyntaxError> {
    let body = rest.get(1..).unwrap_or("");
    match body.find(quote) {
        Some(end) => Ok((Token::Text(body.get(..end).unwrap_or("").to_owned()), end + 2)),
        None => {
            Err(SyntaxError { column, zh: "引号未闭合".into(), en: "the quote is not closed".into() })
        }
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.at)
    }

    fn operator(&self, level: usize) -> Option<Operator> {
        let (_, token) = self.peek()?;
        let found = match token {
            Token::Word(word) if word == "or" => (0, Operator::Or),
            Token::Word(word) if word == "and" => (1, Operator::And),
            Token::Symbol("==") => (2, Operator::Equal),
            Token::Symbol("!=") => (2, Operator::NotEqual),
            Token::Symbol("<") => (2, Operator::Less),
            Token::Symbol("<=") => (2, Operator::LessEqual),
            Token::Symbol(">") => (2, Operator::Greater),
            Token::Symbol(">=") => (2, Operator::GreaterEqual),
            Token::Symbol("+") => (3, Operator::Add),
            Token::Symbol("-") => (3, Operator::Subtract),
            Token::Symbol("*") => (4, Operator::Multiply),
            Token::Number(_) | Token::Text(_) | Token::Word(_) | Token::Symbol(_) => return None,
        };
        (found.0 == level).then_some(found.1)
    }

    /// Left-associative binary operators, from the loosest level 0 to the tightest 4.
    fn binary(&mut self, level: usize) -> Result<Expr, SyntaxError> {
        if level > 4 {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.operator(level) {
            let column = left.column;
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = Expr { column, node: ExprNode::Binary(operator, Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, SyntaxError> {
        let Some((column, token)) = self.peek().cloned() else {
            return Err(SyntaxError {
                column: self.end,
                zh: "表达式不完整".into(),
                en: "the expression ends too early".into(),
            });
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SyntaxError { column, zh: "嵌套过深".into(), en: "nested too deeply".into() });
        }
        self.at += 1;
        let node = match token {
            Token::Number(value) => ExprNode::Number(value),
            Token::Text(text) => ExprNode::Text(text),
            Token::Symbol("-") => ExprNode::Negate(Box::new(self.unary()?)),
            Token::Symbol("(") => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                inner.node
            }
            Token::Word(word) if word == "not" => ExprNode::Not(Box::new(self.binary(2)?)),
            Token::Word(word) if word == "true" => ExprNode::Bool(true),
            Token::Word(word) if word == "false" => ExprNode::Bool(false),
            Token::Word(word) if matches!(self.peek(), Some((_, Token::Symbol("(")))) => {
                self.at += 1;
                ExprNode::Call(word, self.arguments()?)
            }
            Token::Word(word) => ExprNode::Path(word),
            Token::Symbol(symbol) => return Err(unexpected(column, &format!("`{symbol}`"))),
        };
        self.depth -= 1;
        Ok(Expr { column, node })
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, SyntaxError> {
        let mut arguments = Vec::new();
        if let Some((_, Token::Symbol(")"))) = self.peek() {
            self.at += 1;
            return Ok(arguments);
        }
        loop {
            arguments.push(self.binary(0)?);
            match self.peek().cloned() {
                Some((_, Token::Symbol(","))) => self.at += 1,
                _ => {
                    self.expect(")")?;
                    return Ok(arguments);
                }
            }
        }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), SyntaxError> {
        match self.peek() {
            Some((_, Token::Symbol(found))) if *found == symbol => {
                self.at += 1;
                Ok(())
            }
            Some((column, token)) => Err(unexpected(*column, &token.shown())),
            None => Err(SyntaxError {
                column: self.end,
                zh: format!("缺少 {symbol}"),
                en: format!("`{symbol}` is missing"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expr: &Expr) -> String {
        match &expr.node {
            ExprNode::Number(value) => value.to_string(),
            ExprNode::Text(text) => format!("{text:?}"),
            ExprNode::Bool(value) => value.to_string(),
            ExprNode::Path(path) => path.clone(),
            ExprNode::Call(name, arguments) => {
                format!("{name}[{}]", arguments.iter().map(shown).collect::<Vec<_>>().join(" "))
            }
            ExprNode::Not(inner) => format!("(not {})", shown(inner)),
            ExprNode::Negate(inner) => format!("(- {})", shown(inner)),
            ExprNode::Binary(operator, left, right) => {
                format!("({operator:?} {} {})", shown(left), shown(right))
            }
        }
    }

    #[test]
    fn precedence_and_associativity() {
        for (text, expect) in [
            ("a - b - c", "(Subtract (Subtract a b) c)"),
            ("a + b * 2 == c.d and not e or f", "(Or (And (Equal (Add a (Multiply b 2)) c.d) (not e)) f)"),
            ("-(a + 1) * -2.50", "(Multiply (- (Add a 1)) (- 2.50))"),
            ("concat(\"合同 \", number, f())", "concat[\"合同 \" number f[]]"),
            ("not a == b", "(not (Equal a b))"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), expect, "{text}");
        }
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column) in [
            ("a +", 3),
            ("a / b", 2),
            ("(a", 2),
            ("a b", 2),
            ("\"x", 0),
            ("f(a,,b)", 4),
            ("", 0),
            ("合同 # 1", 3),
        ] {
            assert_eq!(parse(text).unwrap_err().column, column, "{text}");
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
        assert!(parse(&"-".repeat(10_000)).is_err());
    }
}
