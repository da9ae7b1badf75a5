//! The pack as one page: no script, nothing from elsewhere, two pages A4 when printed.

use super::{DSO, Named, Pack, payments, roll, walk};
use rust_decimal::Decimal;
use std::fmt::Write;
use tongbao_model::Exact;
use tongbao_recon::pack::{Part, Point};

/// Customers shown; the others are summed.
const CUSTOMERS: usize = 30;

const STYLE: &str = "body{font:14px/1.5 'Noto Sans CJK SC','Noto Sans SC','PingFang SC','Microsoft YaHei',sans-serif;color:#1c2430;margin:32px auto;max-width:1040px;padding:0 20px}\
h1{font-size:24px;margin:0}h2{font-size:17px;margin:28px 0 8px;border-bottom:2px solid #1f4e79;padding-bottom:4px;color:#1f4e79}h3{font-size:14px;margin:16px 0 6px}\
p.about{color:#5b6675;margin:4px 0 0}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{padding:4px 10px;border-bottom:1px solid #e3e7ec;text-align:left;white-space:nowrap}td.n,th.n{text-align:right}tr.sum td{font-weight:600;border-top:1px solid #1c2430}\
.two{display:grid;grid-template-columns:1fr 1fr;gap:24px}.key{font-size:30px;font-weight:600}.keys{display:flex;gap:48px;margin:8px 0}.keys small{display:block;font-size:12px;font-weight:400;color:#5b6675}\
.bad{color:#b42318}svg{width:100%;height:auto}svg text{font-size:11px;fill:#5b6675}\
@media (max-width:720px){.two{grid-template-columns:1fr}body{margin:16px auto}.wide{overflow-x:auto}}@media print{body{margin:0;max-width:none}h2{break-after:avoid}table{break-inside:avoid}}";

/// Writes the page.
pub fn write(pack: &Pack<'_>) -> String {
    let mut out = String::new();
    let month = pack.month;
    let state = if pack.is_closed { "已结账 closed" } else { "未结账 open" };
    let _ = write!(
        out,
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>月结包 {month}</title><style>{STYLE}</style></head><body><h1>月结包 {month}</h1>\
         <p class=\"about\">{state} · 账面截至 {} · 信用期 {} 天</p>",
        escaped(pack.as_of),
        pack.credit_days
    );
    if pack.parts.is_empty() {
        out.push_str("<p>无往来，无余额 / nothing happened, nothing is open</p>");
    }
    for part in pack.parts {
        write_part(&mut out, pack, part);
    }
    out.push_str("</body></html>\n");
    out
}

fn write_part(out: &mut String, pack: &Pack<'_>, part: &Part) {
    let _ = write!(out, "<h2>{}</h2>", escaped(&part.currency));
    if let Some(point) = part.trend.last() {
        let days = |days: Option<Exact>| days.map_or_else(|| "—".to_owned(), |days| days.to_string());
        let _ = write!(
            out,
            "<div class=\"keys\"><div class=\"key\">{}<small>期末应收 closing</small></div>\
             <div class=\"key\">{}<small>DSO 余额法 balance（天）</small></div>\
             <div class=\"key\">{}<small>DSO 倒推法 count-back（天）</small></div></div>\
             <p class=\"about\">{}：{}<br>{}</p>",
            grouped(part.roll.closing),
            days(point.dso.balance),
            days(point.dso.count_back),
            DSO[0],
            escaped(&point.dso.formula(part.roll.closing)),
            DSO[1]
        );
    }
    out.push_str("<div class=\"two\"><div><h3>应收变动 receivables</h3>");
    table(out, &roll(part));
    out.push_str("</div><div><h3>收款 payments</h3>");
    table(out, &payments(part));
    out.push_str("</div></div>");
    if let Some(books) = pack.books {
        out.push_str("<h3>账面与银行调节 from the books to the bank</h3>");
        table(out, &walk(&part.walk, books));
    }
    write_ageing(out, part);
    out.push_str("<h3>趋势 trend</h3>");
    chart(out, &part.trend);
    write_trend(out, &part.trend);
    write_customers(out, part);
}

fn table(out: &mut String, rows: &[Named]) {
    out.push_str("<table>");
    for (name, count, amount) in rows {
        let is_sum = name.starts_with('=');
        let is_bad = (name.contains("unexplained") || name.ends_with("left")) && !amount.0.is_zero();
        let class = if is_sum { " class=\"sum\"" } else { "" };
        let count = count.map(|count| count.to_string()).unwrap_or_default();
        let bad = if is_bad { " bad" } else { "" };
        let _ = write!(
            out,
            "<tr{class}><td>{}</td><td class=\"n\">{count}</td><td class=\"n{bad}\">{}</td></tr>",
            escaped(name),
            grouped(*amount)
        );
    }
    out.push_str("</table>");
}

fn write_ageing(out: &mut String, part: &Part) {
    out.push_str("<h3>账龄 ageing</h3><div class=\"wide\"><table><tr>");
    let buckets = part.ageing.told();
    for (zh, en, _) in &buckets {
        let _ = write!(out, "<th class=\"n\">{zh}<br><small>{en}</small></th>");
    }
    out.push_str("</tr><tr>");
    for (.., amount) in &buckets {
        let _ = write!(out, "<td class=\"n\">{}</td>", grouped(*amount));
    }
    out.push_str("</tr></table></div>");
}

fn write_trend(out: &mut String, trend: &[Point]) {
    out.push_str("<div class=\"wide\"><table><tr><th>月份</th><th class=\"n\">开票 invoiced</th><th class=\"n\">收款 received</th><th class=\"n\">期末 closing</th><th class=\"n\">DSO 余额法</th><th class=\"n\">DSO 倒推法</th></tr>");
    let days = |days: Option<Exact>| days.map_or_else(|| "—".to_owned(), |days| days.to_string());
    for point in trend {
        let _ = write!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            point.month,
            grouped(point.invoiced),
            grouped(point.received),
            grouped(point.closing),
            days(point.dso.balance),
            days(point.dso.count_back)
        );
    }
    out.push_str("</table></div>");
}

fn write_customers(out: &mut String, part: &Part) {
    out.push_str("<h3>客户 customers</h3><div class=\"wide\"><table><tr><th>客户</th><th class=\"n\">期初</th><th class=\"n\">借方</th><th class=\"n\">贷方</th><th class=\"n\">期末</th><th class=\"n\">其中逾期 overdue</th></tr>");
    let row = |out: &mut String, class: &str, name: &str, amounts: [Exact; 5]| {
        let _ = write!(out, "<tr{class}><td>{}</td>", escaped(name));
        for amount in amounts {
            let _ = write!(out, "<td class=\"n\">{}</td>", grouped(amount));
        }
        out.push_str("</tr>");
    };
    for one in part.customers.iter().take(CUSTOMERS) {
        row(out, "", &one.customer, [one.opening, one.debit, one.credit, one.closing, one.overdue]);
    }
    let others = part.customers.len().saturating_sub(CUSTOMERS);
    if others > 0 {
        let mut sums = [Decimal::ZERO; 5];
        for one in part.customers.iter().skip(CUSTOMERS) {
            let amounts = [one.opening, one.debit, one.credit, one.closing, one.overdue];
            for (sum, amount) in sums.iter_mut().zip(amounts) {
                *sum = sum.checked_add(amount.0).unwrap_or(*sum);
            }
        }
        let sums = sums.map(tongbao_recon::statement::money);
        row(out, " class=\"sum\"", &format!("其余 {others} 户 others"), sums);
    }
    out.push_str("</table></div>");
}

const WIDTH: i64 = 960;
const HEIGHT: i64 = 240;
const LEFT: i64 = 20;
const BOTTOM: i64 = 210;
const TOP: i64 = 24;

/// Columns of what was invoiced and received, and a line of days by count-back, or by balance where the sales do not reach.
fn chart(out: &mut String, trend: &[Point]) {
    let most = |of: &dyn Fn(&Point) -> Decimal| trend.iter().map(of).max().unwrap_or_default();
    let money = most(&|point| point.invoiced.0.max(point.received.0));
    let days_of = |point: &Point| point.dso.count_back.or(point.dso.balance).map(|days| days.0);
    let days = most(&|point| days_of(point).unwrap_or_default());
    let count = i64::try_from(trend.len()).unwrap_or(1).max(1);
    let step = (WIDTH - 2 * LEFT) / count;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"开票、收款与 DSO 趋势\">\
         <rect x=\"{LEFT}\" y=\"4\" width=\"10\" height=\"10\" fill=\"#7aa6d8\"/><text x=\"34\" y=\"13\">开票 invoiced</text>\
         <rect x=\"140\" y=\"4\" width=\"10\" height=\"10\" fill=\"#8cc29a\"/><text x=\"154\" y=\"13\">收款 received</text>\
         <line x1=\"256\" y1=\"9\" x2=\"276\" y2=\"9\" stroke=\"#c2410c\" stroke-width=\"2\"/><text x=\"282\" y=\"13\">DSO 倒推法（天）count-back, days</text>\
         <line x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{}\" y2=\"{BOTTOM}\" stroke=\"#9aa4b2\"/>",
        WIDTH - LEFT
    );
    let mut line: Vec<(i64, i64, Decimal)> = Vec::new();
    for (place, point) in (0_i64..).zip(trend) {
        let x = LEFT + place * step;
        let bar = (step / 3).max(4);
        for (offset, amount, fill) in
            [(step / 6, point.invoiced.0, "#7aa6d8"), (step / 6 + bar, point.received.0, "#8cc29a")]
        {
            let height = height(amount, money);
            let _ = write!(
                out,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\" fill=\"{fill}\"/>",
                x + offset,
                BOTTOM - height,
                bar - 2
            );
        }
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x + step / 2,
            BOTTOM + 16,
            point.month
        );
        if let Some(value) = days_of(point) {
            line.push((x + step / 2, BOTTOM - height(value, days), value));
        }
    }
    let points: Vec<String> = line.iter().map(|(x, y, _)| format!("{x},{y}")).collect();
    let _ = write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#c2410c\" stroke-width=\"2\"/>",
        points.join(" ")
    );
    for (x, y, value) in line {
        let _ = write!(
            out,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"#c2410c\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" style=\"fill:#c2410c\">{value}</text>",
            y - 7
        );
    }
    out.push_str("</svg>");
}

/// In units of the chart; nothing for what is less than nothing.
fn height(value: Decimal, most: Decimal) -> i64 {
    if most <= Decimal::ZERO || value <= Decimal::ZERO {
        return 0;
    }
    let share = value.checked_div(most).and_then(|share| share.checked_mul((BOTTOM - TOP - 14).into()));
    share.and_then(|height| i64::try_from(height.round()).ok()).unwrap_or(0)
}

/// With commas between thousands.
fn grouped(amount: Exact) -> String {
    let text = amount.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, rest) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::from(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_and_text() {
        for (amount, expected) in
            [("0.00", "0.00"), ("-1234567.10", "-1,234,567.10"), ("999", "999"), ("1000", "1,000")]
        {
            assert_eq!(grouped(Exact(tongbao_model::decimal::parse(amount).unwrap())), expected);
        }
        assert_eq!(escaped("<b>\"甲\" & 乙"), "&lt;b&gt;&quot;甲&quot; &amp; 乙");
    }
}
