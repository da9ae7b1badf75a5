//! What a document says of a payment.

use crate::intake::at;
use serde_json::Value;
use tongbao_delivery::handler::Report;
use tongbao_delivery::payments::{PaymentBook, PaymentSaid};
use tongbao_delivery::port::{KEY_CHARACTERS, Work};
use tongbao_model::event::kinds;
use tongbao_model::{Class, Code, Event, Fault, decimal};

/// Keeps what a receipt or a line of a bank statement says. Money that we paid out is nobody's receipt and is left.
pub fn handle(work: &Work) -> Report {
    match said(&work.event) {
        Ok(said) => Report { payments: said.into_iter().collect(), ..Report::new(Class::Done) },
        Err(fault) => Report::fault(fault),
    }
}

fn said(event: &Event) -> Result<Option<PaymentSaid>, Fault> {
    let record: Value = serde_json::from_str(&event.record)
        .map_err(|_| Fault::new(Code::Defect, "事件内容无法读取", "the event's record cannot be read"))?;
    let text = |path: &str| at(&record, path).and_then(Value::as_str).map(str::to_owned);
    let amount = text("amount").and_then(|amount| decimal::parse(&amount).ok());
    let amount = amount.ok_or_else(|| {
        Fault::new(Code::NumberRange, "金额无法读取", "the amount cannot be read").at("amount")
    })?;
    let one = PaymentSaid {
        book: PaymentBook::Erp,
        number: event.key.clone(),
        revision: event.revision,
        event: event.id.clone(),
        kind: "ordinary".to_owned(),
        reversed: text("status").as_deref() == Some("reversed"),
        amount: amount.to_string(),
        currency: text("currency").unwrap_or_else(|| "CNY".into()),
        at_ms: event.occurred_at_ms,
        reference: text("bank_reference"),
        party: text("payer_name"),
        party_account: text("payer_account"),
        text: text("text"),
        customer: fitting(text("customer_code"), "customer_code")?,
        contract: fitting(text("contract_number"), "contract_number")?,
    };
    match event.kind.as_str() {
        kinds::PAYMENT_RECEIVED if amount.is_sign_negative() => {
            Ok(Some(PaymentSaid { kind: "refund".to_owned(), ..one }))
        }
        kinds::PAYMENT_RECEIVED => Ok(Some(one)),
        kinds::BANK_BOOKED => {
            let kind = text("kind").unwrap_or_else(|| "ordinary".into());
            let is_out = text("direction").as_deref() == Some("out");
            if is_out && kind == "ordinary" {
                return Ok(None);
            }
            let words: Vec<String> = [text("text"), text("own_reference")].into_iter().flatten().collect();
            Ok(Some(PaymentSaid {
                book: PaymentBook::Bank,
                kind,
                amount: if is_out { -amount } else { amount }.to_string(),
                party: text("other_name"),
                party_account: text("other_account"),
                text: (!words.is_empty()).then(|| words.join(" ")),
                ..one
            }))
        }
        other => Err(Fault::new(
            Code::TargetMisconfigured,
            format!("payments 不处理事件 {other}"),
            format!("`payments` takes no event `{other}`"),
        )),
    }
}

/// A number that is kept as a key.
fn fitting(number: Option<String>, field: &str) -> Result<Option<String>, Fault> {
    match number {
        Some(number) if number.chars().count() > KEY_CHARACTERS => Err(Fault::new(
            Code::FieldTooLong,
            format!("编码超过 {KEY_CHARACTERS} 个字符"),
            format!("it has more than {KEY_CHARACTERS} characters"),
        )
        .at(field)),
        number => Ok(number.filter(|number| !number.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit;
    use serde_json::json;

    fn read(kind: &str, record: Value) -> Result<Option<String>, Fault> {
        let event = emit::event(kind, "R1", 3, "R1", &record, "d", 7);
        let told = |one: PaymentSaid| {
            let texts = [one.reference, one.party, one.party_account, one.text, one.customer, one.contract];
            let texts: Vec<String> = texts.into_iter().map(Option::unwrap_or_default).collect();
            format!("{} {} {} {} {}", one.book.name(), one.kind, one.reversed, one.amount, texts.join("|"))
        };
        said(&event).map(|said| said.map(told))
    }

    #[test]
    fn receipts_and_lines_of_statements() {
        let receipt = |more: Value| {
            let mut record = json!({"amount": "100.00", "currency": "CNY", "status": "received"});
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            read(kinds::PAYMENT_RECEIVED, record).unwrap().unwrap()
        };
        assert_eq!(receipt(json!({})), "erp ordinary false 100.00 |||||");
        assert_eq!(receipt(json!({"status": "reversed"})), "erp ordinary true 100.00 |||||");
        assert_eq!(receipt(json!({"amount": "-5.10"})), "erp refund false -5.10 |||||");
        assert_eq!(
            receipt(
                json!({"contract_number": "HT-1", "customer_code": "C1", "payer_name": "甲", "text": "货款"})
            ),
            "erp ordinary false 100.00 |甲||货款|C1|HT-1"
        );
        let line = |direction: &str, kind: &str| {
            let record = json!({"amount": "8.00", "currency": "CNY", "direction": direction, "kind": kind,
                "text": "HT-1", "own_reference": "FP-2", "other_name": "甲", "bank_reference": "B9"});
            read(kinds::BANK_BOOKED, record).unwrap()
        };
        assert_eq!(line("in", "ordinary").unwrap(), "bank ordinary false 8.00 B9|甲||HT-1 FP-2||");
        assert_eq!(line("out", "reversal").unwrap(), "bank reversal false -8.00 B9|甲||HT-1 FP-2||");
        assert_eq!(line("out", "refund").unwrap(), "bank refund false -8.00 B9|甲||HT-1 FP-2||");
        assert_eq!(line("out", "ordinary"), None, "what we paid");
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        for (kind, record, code) in [
            (kinds::PAYMENT_RECEIVED, json!({"amount": "1,00"}), Code::NumberRange),
            (
                kinds::PAYMENT_RECEIVED,
                json!({"amount": "1", "contract_number": "X".repeat(191)}),
                Code::FieldTooLong,
            ),
            (kinds::CONTRACT_SIGNED, json!({"amount": "1"}), Code::TargetMisconfigured),
        ] {
            assert_eq!(read(kind, record).unwrap_err().code, code);
        }
    }
}
