//! What a case posts: contracts with amendments, an unknown customer, receipts in the ERP.

use futures::StreamExt;
use serde_json::json;
use tongbao_sandbox::Sandbox;
use tongbao_sandbox::crm::WebhookSender;

/// One body for the webhook, with what it must come after.
struct Document {
    body: String,
    /// Index of the document that must be accepted first: revisions are sent in their order, as a CRM does.
    after: Option<usize>,
}

/// A receipt to be booked once its order is audited.
struct Payment {
    order: String,
    amount: u64,
    receipt: String,
}

/// Contracts and receipts under one prefix, and how far their sender has come.
pub struct Batch {
    /// Begins every number of the batch.
    pub prefix: String,
    documents: Vec<Document>,
    accepted: Vec<bool>,
    payments: Vec<Payment>,
    booked: usize,
    /// Deliveries that exist once everything has settled.
    pub deliveries: usize,
}

/// Yuan a contract comes to.
fn total(index: usize) -> u64 {
    339 + 3 * u64::try_from(index).unwrap()
}

fn contract(number: &str, index: usize, revision: u32, customer: &str) -> String {
    let price = 113 + index;
    let note = if revision > 1 { "补充条款：延期交货" } else { "标准条款" };
    json!({
        "number": number, "revision": revision, "signed_at": "2026-11-20T10:00:00+08:00", "currency": "CNY",
        "customer": {"code": customer, "name": "宁波样例贸易有限公司", "phone": "0574-12345678"},
        "opportunity": {"id": format!("OP-{number}")}, "note": note,
        "lines": [{"line": 1, "product": {"code": "P-100", "name": "软件平台"}, "quantity": "3",
            "unit_price_tax_included": format!("{price}.00"), "tax_rate": "0.13"}],
        "total_tax_included": format!("{}.00", total(index)),
    })
    .to_string()
}

impl Batch {
    /// `count` contracts. Of every twelve one has an unknown customer and parks, two are amended later, and
    /// three are paid: in full, in two parts, and half.
    pub fn new(prefix: &str, count: usize) -> Batch {
        let mut batch = Batch {
            prefix: format!("{prefix}-"),
            documents: Vec::new(),
            accepted: Vec::new(),
            payments: Vec::new(),
            booked: 0,
            deliveries: 0,
        };
        let mut amendments = Vec::new();
        for index in 0..count {
            let number = format!("{prefix}-{index:03}");
            let parks = index % 12 == 5;
            let customer = if parks { "C404" } else { "C1" };
            batch.documents.push(Document { body: contract(&number, index, 1, customer), after: None });
            // Order, invoice, the account; then the invoice back and on the account.
            batch.deliveries += 5;
            // The order's number goes back only where there is an order.
            batch.deliveries += usize::from(!parks);
            if matches!(index % 12, 2 | 9) {
                let body = contract(&number, index, 2, customer);
                amendments.push(Document { body, after: Some(index) });
                // What follows from an amended order or invoice is what followed from the first.
                batch.deliveries += 3;
            }
            let half = total(index) / 2;
            let parts: &[u64] = match index % 12 {
                0 => &[total(index)],
                1 => &[half, total(index) - half],
                3 => &[half],
                _ => &[],
            };
            for (part, amount) in parts.iter().enumerate() {
                let receipt = format!("SK{number}-{part}");
                batch.payments.push(Payment { order: number.clone(), amount: *amount, receipt });
                // On the account, the opportunity's stage, and the commission.
                batch.deliveries += 3;
            }
        }
        batch.documents.extend(amendments);
        batch.accepted = vec![false; batch.documents.len()];
        batch
    }

    /// Whether everything was accepted and every receipt booked.
    pub fn is_sent(&self) -> bool {
        self.accepted.iter().all(|accepted| *accepted) && self.booked == self.payments.len()
    }

    /// Sends what has got no 202 yet, at most so many, and books the receipts of orders that stand. Gives up
    /// at the first failure, as a sender does that comes back later.
    pub async fn send(&mut self, sender: &WebhookSender, sandbox: &Sandbox, at_most: usize) {
        let mut sent = 0;
        for index in 0..self.documents.len() {
            let document = &self.documents[index];
            if self.accepted[index] || document.after.is_some_and(|before| !self.accepted[before]) {
                continue;
            }
            if sent == at_most {
                return;
            }
            sent += 1;
            match sender.send(document.body.clone()).await {
                Ok(answer) if answer.status == 202 => self.accepted[index] = true,
                // Come back later: that is what a sender is told, or what no answer means.
                Ok(answer) if answer.status == 503 => return,
                Ok(answer) => panic!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(_) => return,
            }
        }
        self.book(sandbox);
    }

    /// The same with so many requests at once.
    pub async fn flood(&mut self, sender: &WebhookSender, sandbox: &Sandbox, width: usize) {
        let open: Vec<(usize, String)> = (0..self.documents.len())
            .filter(|index| !self.accepted[*index])
            .filter(|index| self.documents[*index].after.is_none_or(|before| self.accepted[before]))
            .map(|index| (index, self.documents[index].body.clone()))
            .collect();
        let requests = open.into_iter().map(async |(index, body)| (index, sender.send(body).await));
        let mut answers = futures::stream::iter(requests).buffer_unordered(width);
        while let Some((index, answer)) = answers.next().await {
            match answer.map(|answer| answer.status) {
                Ok(202) => self.accepted[index] = true,
                Ok(503) | Err(_) => {}
                Ok(status) => panic!("HTTP {status}"),
            }
        }
        self.book(sandbox);
    }

    /// The body of a contract that is not part of any batch.
    pub fn stray(number: &str) -> String {
        contract(number, 0, 1, "C1")
    }

    /// Books receipts in their order.
    fn book(&mut self, sandbox: &Sandbox) {
        while let Some(next) = self.payments.get(self.booked) {
            if sandbox.order(&next.order).is_none_or(|order| order.status != "C") {
                return;
            }
            sandbox.pay(&next.order, next.amount.into(), &next.receipt).unwrap();
            self.booked += 1;
        }
    }
}
