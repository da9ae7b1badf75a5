//! Tokens of `FilterString`.

use rust_decimal::Decimal;

use crate::money;

/// A word, a quoted text, a number or a sign.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(Decimal),
    Sign(&'static str),
}

/// Splits a filter; `None` for an open quote or a stray character.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&next) = chars.peek() {
        if next.is_whitespace() {
            chars.next();
        } else if next == '\'' {
            chars.next();
            out.push(Token::Text(quoted(&mut chars)?));
        } else if let Some(sign) = sign(&mut chars) {
            out.push(Token::Sign(sign));
        } else {
            let mut word = String::new();
            while let Some(&c) = chars.peek() {
                if c.is_whitespace() || "'()=<>!,".contains(c) {
                    break;
                }
                word.push(c);
                chars.next();
            }
            if word.is_empty() {
                return None;
            }
            let numeric = word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
            out.push(match money::parse(&word) {
                Some(number) if numeric => Token::Number(number),
                _ => Token::Word(word),
            });
        }
    }
    Some(out)
}

/// The rest of a quoted text; a doubled quote is one quote.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                text.push('\'');
            }
            '\'' => return Some(text),
            other => text.push(other),
        }
    }
}

fn sign(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<&'static str> {
    let first = *chars.peek()?;
    let single = match first {
        '(' => "(",
        ')' => ")",
        ',' => ",",
        '=' => "=",
        '<' => "<",
        '>' => ">",
        '!' => "!",
        _ => return None,
    };
    chars.next();
    let double = match (first, chars.peek()) {
        ('<', Some('>')) | ('!', Some('=')) => "<>",
        ('<', Some('=')) => "<=",
        ('>', Some('=')) => ">=",
        _ => return Some(single),
    };
    chars.next();
    Some(double)
}
