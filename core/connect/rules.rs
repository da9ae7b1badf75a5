//! Response rules as data: the first rule that matches decides; a rule that can never win is refused.

use tongbao_model::{Class, Code};

/// One rule: conditions that must all hold, and what they mean.
#[derive(Debug, Clone)]
pub struct Rule {
    /// For reports.
    pub name: &'static str,
    /// HTTP status, both ends included.
    pub status: Option<(u16, u16)>,
    /// The system's own code is one of these; empty means any, or none at all.
    pub codes: &'static [&'static str],
    /// The system's text contains one of these; empty means any.
    pub texts: &'static [&'static str],
    /// What it came to.
    pub class: Class,
    /// Fault code for people.
    pub fault: Code,
}

/// What a reply says, as far as rules look at it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    /// HTTP status.
    pub status: u16,
    /// The system's own code, as text.
    pub code: &'a str,
    /// The system's text.
    pub text: &'a str,
}

/// A rule over what the system says under any HTTP status: the common form.
pub const fn said(
    name: &'static str,
    codes: &'static [&'static str],
    texts: &'static [&'static str],
    class: Class,
    fault: Code,
) -> Rule {
    Rule { name, status: None, codes, texts, class, fault }
}

impl Rule {
    fn matches(&self, said: Said<'_>) -> bool {
        self.status.is_none_or(|(from, to)| (from..=to).contains(&said.status))
            && (self.codes.is_empty() || self.codes.contains(&said.code))
            && (self.texts.is_empty() || self.texts.iter().any(|text| said.text.contains(text)))
    }

    /// Whether everything that `later` matches is matched here already.
    fn covers(&self, later: &Rule) -> bool {
        let status = match (self.status, later.status) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(here), Some(there)) => here.0 <= there.0 && there.1 <= here.1,
        };
        let codes = self.codes.is_empty()
            || (!later.codes.is_empty() && later.codes.iter().all(|code| self.codes.contains(code)));
        let texts = self.texts.is_empty()
            || (!later.texts.is_empty()
                && later.texts.iter().all(|text| self.texts.iter().any(|here| text.contains(here))));
        status && codes && texts
    }
}

/// The first rule that matches.
pub fn first<'a>(rules: &'a [Rule], said: Said<'_>) -> Option<&'a Rule> {
    rules.iter().find(|rule| rule.matches(said))
}

/// Pairs of rules (earlier, later) of which the later can never win.
pub fn shadowed(rules: &[Rule]) -> Vec<(&'static str, &'static str)> {
    let mut pairs = Vec::new();
    for (index, later) in rules.iter().enumerate() {
        if let Some(earlier) = rules.iter().take(index).find(|earlier| earlier.covers(later)) {
            pairs.push((earlier.name, later.name));
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &'static str, codes: &'static [&'static str], texts: &'static [&'static str]) -> Rule {
        Rule { name, status: None, codes, texts, class: Class::Rejected, fault: Code::TargetRejected }
    }

    #[test]
    fn the_first_match_wins_and_the_unreachable_is_named() {
        let rules =
            [rule("taken", &["11"], &["已经被使用"]), rule("invalid", &["11"], &[]), rule("rest", &[], &[])];
        let name = |code, text| first(&rules, Said { status: 200, code, text }).map(|rule| rule.name);
        assert_eq!(name("11", "[SO1]在当前系统中已经被使用。"), Some("taken"));
        assert_eq!(name("11", "必填"), Some("invalid"));
        assert_eq!(name("4", ""), Some("rest"));
        assert!(shadowed(&rules).is_empty());
        let wrong = [rule("invalid", &["11"], &[]), rule("taken", &["11"], &["已经被使用"])];
        assert_eq!(shadowed(&wrong), [("invalid", "taken")]);
    }
}
