//! The example configuration with what finance adds to it, as shipped.

const INVOICING: &str = include_str!("../../deploy/invoicing.yaml");
const MATCHING: &str = include_str!("../../deploy/matching.yaml");
const RECEIVABLES: &str = include_str!("../../deploy/receivables.yaml");
const STATEMENTS: &str = include_str!("../../deploy/statements.yaml");

/// A shipped addition as its flows and its section.
fn parts(addition: &str, section: &str) -> (String, String) {
    let (flows, section) =
        addition.split_once("\nflows:\n").unwrap().1.split_once(&format!("\n{section}:\n")).unwrap();
    (flows.trim_end().to_owned(), section.to_owned())
}

fn line_with(text: &str, part: &str) -> String {
    text.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("no {part}")).to_owned()
}

/// With invoices under control; requests of these customers wait to be put together.
pub fn controlled(text: &str, together: &str) -> String {
    let (flows, section) = parts(INVOICING, "invoicing");
    let section = section.replace("together: []", &format!("together: [{together}]"));
    let received = line_with(text, "invoice_request: {");
    let red = "      red_request: { event: red_invoice.requested, mapping: webhook-red-request, order_by: contract_number }";
    let edited = text
        .replace(&line_with(text, "name: invoice,"), &flows)
        .replace(&format!("{}\n", line_with(text, "name: invoice-on-request,")), "")
        .replace(&received, &format!("{received}\n{red}"));
    format!("{edited}\ninvoicing:\n{section}")
}

/// With payments that are allocated: those of a book, looked at as often as is said.
pub fn pooled(text: &str, book: &str, every: &str) -> String {
    let (flows, section) = parts(MATCHING, "matching");
    let section = section.replace("book: erp", &format!("book: {book}")).replace("every_ms: 5000", every);
    let edited = text.replace(&line_with(text, "name: account-payment,"), &flows);
    format!("{edited}\nmatching:\n{section}")
}

/// With the ERP's receivables, which are read that often.
pub fn received(text: &str, every: &str) -> String {
    let (polls, flows) = RECEIVABLES.split_once("    polls:\n").unwrap().1.split_once("\nflows:\n").unwrap();
    let polls = polls.trim_end().replace("every_ms: 60000", every);
    text.replacen("    polls:\n", &format!("    polls:\n{polls}\n"), 1).replacen(
        "\nflows:\n",
        &format!("\nflows:\n{}\n", flows.trim_end()),
        1,
    )
}

/// With statements that go out by a mail server, and are reminded of as is said.
pub fn stating(text: &str, server: &str, remind: &str) -> String {
    let (_, more) = STATEMENTS.split_once("\nconnections:\n").unwrap();
    let (connections, section) = more.split_once("\nstatements:\n").unwrap();
    let connections = connections.replace("127.0.0.1:8492", server);
    let listen = text.lines().find_map(|line| line.trim().strip_prefix("listen: ")).unwrap();
    let listen = listen.split_whitespace().next().unwrap();
    let section =
        section.replace("127.0.0.1:8480", listen).replace("remind: { after: 5d, times: 2 }", remind);
    let text = text.replace("\nflows:\n", &format!("\n{connections}\nflows:\n"));
    format!("{}\nstatements:\n{section}", text.trim_end())
}
