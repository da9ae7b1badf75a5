//! Names of payers, as banks write them: full-width letters, either kind of brackets, blanks within, two words for one legal
//! form. What is left is compared as it stands: `某某有限公司宁波分公司` is not `某某有限公司`.

use unicode_normalization::UnicodeNormalization;

/// Legal forms and what they are written as; longest first, for one is the end of another.
const FORMS: [(&str, &str); 10] = [
    ("有限责任公司", "有限公司"),
    ("COMPANYLIMITED", "COLTD"),
    ("CO,LIMITED", "COLTD"),
    ("CO.,LTD.", "COLTD"),
    ("CO.,LTD", "COLTD"),
    ("CO.LTD.", "COLTD"),
    ("CO.LTD", "COLTD"),
    ("CO,LTD.", "COLTD"),
    ("CO,LTD", "COLTD"),
    ("LIMITED", "LTD"),
];

/// A name to compare by. Empty when nothing of it is left.
///
/// Compatibility forms are folded (NFKC), letters are upper case, blanks and quotation marks are dropped, brackets keep
/// what they hold, and the words for one legal form become one.
pub fn normal(name: &str) -> String {
    let folded: String = name
        .nfkc()
        .flat_map(char::to_uppercase)
        .nfkc()
        .filter(|sign| !sign.is_whitespace() && !matches!(sign, '"' | '\'' | '“' | '”' | '‘' | '’' | '`'))
        .filter_map(|sign| match sign {
            '〔' | '【' | '[' | '{' | '(' | '〕' | '】' | ']' | '}' | ')' => None,
            '。' | '｡' => Some('.'),
            '，' | '、' => Some(','),
            other => Some(other),
        })
        .collect();
    // What was apart until now may belong together.
    let mut name: String = folded.nfkc().collect();
    for (form, word) in FORMS {
        if name.contains(form) {
            name = name.replace(form, word);
        }
    }
    name.trim_matches(['.', ',', '-', '*']).to_owned()
}

/// A number, an account, a reference, as it is compared: letters and digits only, upper case.
pub(crate) fn bare(number: &str) -> String {
    number.nfkc().filter(char::is_ascii_alphanumeric).map(|sign| sign.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_company_in_many_hands() {
        for (one, other) in [
            ("宁波样例贸易有限公司", "宁波样例贸易有限责任公司"),
            ("宁波样例（集团）有限公司", "宁波样例(集团) 有限公司"),
            ("宁波样例(集团)有限公司", "宁波样例集团有限公司"),
            ("ＡＢＣ样例科技有限公司", "abc样例科技有限公司"),
            ("样例　贸易有限公司", "样例贸易有限公司"),
            ("Sample Trading Co., Ltd.", "SAMPLE TRADING CO.,LTD"),
            ("Sample Trading Company Limited", "sample trading co. ltd"),
            ("\"样例\"贸易有限公司", "样例贸易有限公司"),
        ] {
            assert_eq!(normal(one), normal(other), "{one} / {other}");
        }
    }

    #[test]
    fn two_companies() {
        for (one, other) in [
            ("宁波样例贸易有限公司", "宁波样例贸易有限公司杭州分公司"),
            ("宁波样例贸易有限公司", "宁波样例贸易股份有限公司"),
            ("宁波样例贸易有限公司", "上海样例贸易有限公司"),
            ("样例贸易有限公司", "样例贸易商行"),
            ("Sample Trading Co., Ltd.", "Sample Trading Ltd."),
        ] {
            assert_ne!(normal(one), normal(other), "{one} / {other}");
        }
        assert_eq!(normal(" “（）” "), "");
    }

    proptest! {
        #[test]
        fn normal_is_normal(name in "\\PC{0,40}") {
            let once = normal(&name);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
