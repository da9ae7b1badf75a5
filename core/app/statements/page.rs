//! The page behind a link, in words and HTML. No script, nothing from elsewhere, and every text from a document or a person
//! escaped. Pure.

use super::answers::{NAME_MAX, Open, REMARK_MAX};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;
use tongbao_model::{Exact, Text, china};
use tongbao_paper::{checksum, grid};
use tongbao_recon::statement::{Line, Section, Statement};

/// The page's own style, and the only one that the policy allows.
const STYLE: &str = include_str!("page.css");

/// What browsers may do with the page: its own style, forms to itself, and nothing else.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// A text as HTML shows it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page that says one thing.
pub fn message(text: &Text) -> String {
    let body = format!(
        "<main class=\"card only\"><h1>对账单 <span lang=\"en\">Statement of account</span></h1>\
         <p class=\"say\">{}</p><p class=\"en\" lang=\"en\">{}</p></main>",
        escaped(&text.zh),
        escaped(&text.en)
    );
    whole("对账单", &body)
}

/// The statement with both forms; `wrong` says what was wrong with the last answer.
pub fn statement(open: &Open, wrong: Option<&Text>) -> String {
    let statement = &open.sheet.statement;
    let mut body = String::from("<main>");
    body.push_str(&heading(open));
    body.push_str(&standing(open));
    if let Some(why) = wrong {
        let _ = write!(
            body,
            "<p class=\"note bad\" role=\"alert\">{}<br><span lang=\"en\">{}</span></p>",
            escaped(&why.zh),
            escaped(&why.en)
        );
    }
    if statement.sections.is_empty() {
        body.push_str("<section class=\"card\"><p>本月无往来，无余额 <span lang=\"en\">nothing happened, nothing is open</span></p></section>");
    }
    statement.sections.iter().for_each(|one| body.push_str(&section(one)));
    body.push_str(&forms());
    body.push_str(&foot(open, statement));
    body.push_str("</main>");
    whole(&format!("{} 对账单", statement.month), &body)
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escaped(title)
    )
}

fn heading(open: &Open) -> String {
    let (sheet, statement) = (&open.sheet, &open.sheet.statement);
    let (year, month) = (statement.month.first().year(), statement.month.first().month());
    let buyer = sheet.buyer.as_deref().unwrap_or(&statement.customer);
    let from = sheet.seller.as_deref().map(|seller| {
        format!("<div><dt>出具单位 <span lang=\"en\">issued by</span></dt><dd>{}</dd></div>", escaped(seller))
    });
    let state = if statement.is_closed { "已结账 closed" } else { "未结账 open" };
    format!(
        "<header class=\"card\"><h1>{year} 年 {month} 月客户对账单 <span lang=\"en\">Statement of account</span></h1>\
         <dl class=\"facts\"><div><dt>客户 <span lang=\"en\">customer</span></dt><dd>{}（{}）</dd></div>{}\
         <div><dt>账面截至 <span lang=\"en\">as of</span></dt><dd>{}，{state}</dd></div></dl></header>",
        escaped(buyer),
        escaped(&statement.customer),
        from.unwrap_or_default(),
        escaped(&minute(statement.as_of_ms)),
    )
}

/// What was answered, if anything.
fn standing(open: &Open) -> String {
    let Some(answer) = &open.standing.answer else { return String::new() };
    let (who, at) = (escaped(&answer.who), escaped(&minute(answer.at_ms)));
    if answer.is_confirmed {
        return format!(
            "<p class=\"note good\" role=\"status\">已由 {who} 于 {at} 确认无误。\
             <span lang=\"en\">Confirmed by {who}, {at}.</span></p>"
        );
    }
    format!(
        "<p class=\"note bad\" role=\"status\">{who} 已于 {at} 提出异议，我们会与您联系。\
         <span lang=\"en\">Disputed by {who}, {at}; we will be in touch.</span><br><q>{}</q></p>",
        escaped(&answer.remark)
    )
}

fn section(section: &Section) -> String {
    let sums = [
        ("期初余额", "opening", section.opening),
        ("借方（开票）", "invoiced", section.debit),
        ("贷方（收款）", "received", section.credit),
        ("期末余额", "closing", section.closing),
    ];
    let sums: String = sums
        .iter()
        .map(|(zh, en, sum)| {
            format!("<div><dt>{zh} <span lang=\"en\">{en}</span></dt><dd>{}</dd></div>", grouped(*sum))
        })
        .collect();
    let lines: String = section.lines.iter().map(line).collect();
    let table = if section.lines.is_empty() {
        "<p>本月无发生额 <span lang=\"en\">nothing happened in this month</span></p>".to_owned()
    } else {
        format!(
            "<table><thead><tr><th>日期 <span lang=\"en\">date</span></th><th>类别 <span lang=\"en\">kind</span></th>\
             <th>单号 <span lang=\"en\">number</span></th><th>合同 <span lang=\"en\">contract</span></th>\
             <th class=\"sum\">借方（开票） <span lang=\"en\">invoiced</span></th><th class=\"sum\">贷方（收款） <span lang=\"en\">received</span></th><th class=\"sum\">余额 <span lang=\"en\">balance</span></th></tr></thead>\
             <tbody>{lines}</tbody></table>"
        )
    };
    let ageing: String = section
        .ageing
        .told()
        .iter()
        .map(|(zh, en, sum)| {
            format!("<div><dt>{zh} <span lang=\"en\">{en}</span></dt><dd>{}</dd></div>", grouped(*sum))
        })
        .collect();
    format!(
        "<section class=\"card\"><h2>{}</h2><dl class=\"sums\">{sums}</dl>{table}\
         <h3>账龄 <span lang=\"en\">ageing</span></h3><dl class=\"ages\">{ageing}</dl></section>",
        escaped(&section.currency)
    )
}

fn line(line: &Line) -> String {
    let (zh, en) = line.kind.told();
    let sum = |name: &str, sum: Exact| {
        let blank = if sum.0.is_zero() && name != "余额" { " blank" } else { "" };
        format!("<td class=\"sum{blank}\" data-name=\"{name}\">{}</td>", grouped(sum))
    };
    format!(
        "<tr><td data-name=\"日期\">{}</td><td data-name=\"类别\"><span>{zh} <span lang=\"en\">{en}</span></span></td>\
         <td data-name=\"单号\">{}</td><td data-name=\"合同\">{}</td>{}{}{}</tr>",
        line.day,
        escaped(&line.number),
        escaped(&line.contract),
        sum("借方（开票）", line.debit),
        sum("贷方（收款）", line.credit),
        sum("余额", line.balance),
    )
}

/// Two forms with one button each: looking at the page sends neither.
fn forms() -> String {
    let name = |id: &str| {
        format!(
            "<label for=\"{id}\">姓名 <span lang=\"en\">your name</span></label>\
             <input id=\"{id}\" name=\"name\" required maxlength=\"{NAME_MAX}\" autocomplete=\"name\">"
        )
    };
    format!(
        "<div class=\"forms\"><form class=\"card\" method=\"post\"><h2>确认无误 <span lang=\"en\">Confirm</span></h2>\
         <input type=\"hidden\" name=\"answer\" value=\"confirm\">{}\
         <button>确认无误 <span lang=\"en\">I agree</span></button></form>\
         <form class=\"card\" method=\"post\"><h2>提出异议 <span lang=\"en\">Dispute</span></h2>\
         <input type=\"hidden\" name=\"answer\" value=\"dispute\">{}\
         <label for=\"remark\">哪里不符 <span lang=\"en\">what is wrong</span></label>\
         <textarea id=\"remark\" name=\"remark\" required maxlength=\"{REMARK_MAX}\" rows=\"4\"></textarea>\
         <button class=\"second\">提出异议 <span lang=\"en\">I disagree</span></button></form></div>",
        name("confirm-name"),
        name("dispute-name"),
    )
}

fn foot(open: &Open, statement: &Statement) -> String {
    format!(
        "<footer><p>余额 = 期初 + 借方 - 贷方；正数为应收，负数为预收。再次答复时以最后一次为准。\
         <span lang=\"en\">Above zero it is owed, below zero an advance. Of several answers the last one stands.</span></p>\
         <p>链接有效期至 {}（北京时间） <span lang=\"en\">this link is good until then</span></p>\
         <p class=\"check\">{} {}</p></footer>",
        escaped(&minute(open.link.expires_s.saturating_mul(1_000))),
        grid::label::CHECKSUM,
        escaped(&checksum::of(statement)),
    )
}

fn minute(at_ms: i64) -> String {
    china::moment(at_ms).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
}

/// An amount with its thousands apart.
fn grouped(amount: Exact) -> String {
    let text = amount.text();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if rest.is_empty() { format!("{sign}{out}") } else { format!("{sign}{out}.{rest}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_thousands_apart() {
        for (amount, expected) in [
            ("0.00", "0.00"),
            ("999.99", "999.99"),
            ("1000.00", "1,000.00"),
            ("-1234567.890", "-1,234,567.890"),
            ("-100.00", "-100.00"),
            ("79228162514264337593543950335", "79,228,162,514,264,337,593,543,950,335"),
        ] {
            assert_eq!(grouped(Exact(amount.parse().unwrap())), expected);
        }
    }

    #[test]
    fn nothing_that_people_write_is_markup() {
        assert_eq!(escaped("<script>'&\"</script>"), "&lt;script&gt;&#39;&amp;&quot;&lt;/script&gt;");
        let page = message(&Text::new("<b>", "a & b"));
        assert!(page.contains("&lt;b&gt;") && page.contains("a &amp; b") && !page.contains("<b>"), "{page}");
        assert!(POLICY.contains("default-src 'none'") && !POLICY.contains("unsafe"), "{}", *POLICY);
    }
}
