//! The platform's callback: a form POST without any signature, repeated until `{"status":"0000"}`.
//!
//! Count and spacing of the repeats are unknown; three tries after 1, 5 and 30 minutes are assumed and scaled by a
//! setting. One task sends them from a bounded queue.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{
    bill,
    state::{End, State},
};
use crate::{
    money,
    wire::client,
    world::{World, lock},
};

/// Callbacks on their way at the same time.
const MAX_SENDING: usize = 128;
/// Longest wait for the receiver's answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tries remembered for inspection.
const MAX_LOG: usize = 10_000;

/// A callback to send.
pub(crate) struct CallbackJob {
    url: String,
    order_no: String,
    form: String,
    tried: Option<oneshot::Sender<()>>,
}

impl CallbackJob {
    /// A callback with the given content.
    pub fn new(url: &str, operater: &str, order_no: &str, content: &Value) -> Self {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("operater", operater)
            .append_pair("orderno", order_no)
            .append_pair("content", &content.to_string())
            .finish();
        Self { url: url.to_owned(), order_no: order_no.to_owned(), form, tried: None }
    }
}

/// Puts a callback into the queue; false (and counted) when it is full.
pub(super) fn enqueue(world: &World, job: CallbackJob) -> bool {
    let queued = world.callbacks.try_send(job).is_ok();
    if !queued {
        lock(&world.nuonuo).callbacks_dropped += 1;
    }
    queued
}

/// Queues the callback of an ended invoice; the receiver fires when it was tried once. `state` is the held lock.
pub(super) fn of(world: &World, state: &mut State, order_no: &str) -> Option<oneshot::Receiver<()>> {
    let config = &world.config.nuonuo;
    let invoice = state.invoices.get(order_no)?;
    if invoice.callback_url.is_empty() {
        return None;
    }
    let status = match invoice.end {
        End::Issued => "1",
        End::Failed(_) => "2",
        End::SealFailed => "3",
    };
    let mut content = json!({
        "c_status": status, "c_orderno": invoice.order_no, "c_fpqqlsh": invoice.serial,
        "c_saletaxnum": config.tax_number,
    });
    if let Value::Object(map) = &mut content {
        // Only tenants with "call back on failure" get the status; without it a callback means success.
        if !config.callback_status {
            map.remove("c_status");
        }
        if let End::Failed(cause) = &invoice.end {
            map.insert("c_errorMessage".to_owned(), Value::from(cause.clone()));
        } else {
            let number = invoice.number.clone().unwrap_or_default();
            for (key, value) in [
                ("c_fpdm", Value::from("")),
                ("c_fphm", Value::from(number.clone())),
                ("allElectronicInvoiceNumber", Value::from(number)),
                ("c_kprq", Value::from(invoice.issued_ms)),
                ("c_bhsje", Value::from(money::two(invoice.net))),
                ("c_hjse", Value::from(money::two(invoice.tax))),
                ("c_url", Value::from(bill::file_url(invoice, "pdf"))),
                ("c_invoice_line", Value::from(invoice.kind.clone())),
                ("buyername", Value::from(invoice.buyer.clone())),
                ("c_remark", Value::from(invoice.remark.clone())),
                ("invoiceItems", bill::items(invoice)),
            ] {
                map.insert(key.to_owned(), value);
            }
        }
    }
    // Nobody is told about a failure unless the tenant asked for it.
    if matches!(invoice.end, End::Failed(_)) && !config.callback_status {
        return None;
    }
    let mut first = None;
    for _ in 0..config.callback_copies.max(1) {
        let mut job = CallbackJob::new(&invoice.callback_url, "callback", order_no, &content);
        let (send, receive) = oneshot::channel();
        job.tried = Some(send);
        if world.callbacks.try_send(job).is_err() {
            state.callbacks_dropped += 1;
        } else if first.is_none() {
            first = Some(receive);
        }
    }
    first
}

/// The sending task; it ends at shutdown and takes its unfinished callbacks with it.
pub(crate) async fn run(
    world: Arc<World>,
    mut queue: mpsc::Receiver<CallbackJob>,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(client) = client::build(TIMEOUT) else {
        tracing::error!("sandbox cannot build an HTTP client, callbacks are off");
        return;
    };
    let slots = Arc::new(Semaphore::new(MAX_SENDING));
    let mut sending = JoinSet::new();
    loop {
        let job = tokio::select! {
            job = queue.recv() => job,
            _ = stop.wait_for(|stopped| *stopped) => None,
        };
        let Some(job) = job else { break };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let (client, world) = (client.clone(), Arc::clone(&world));
        sending.spawn(async move {
            deliver(&client, &world, job).await;
            drop(slot);
        });
        while sending.try_join_next().is_some() {}
    }
    sending.shutdown().await;
}

async fn deliver(client: &reqwest::Client, world: &World, mut job: CallbackJob) {
    let mut pauses = world.config.nuonuo.callback_retries.iter();
    loop {
        let (status, done) = attempt(client, &job).await;
        if let Some(tried) = job.tried.take() {
            let _ = tried.send(());
        }
        {
            let mut state = lock(&world.nuonuo);
            if state.callbacks_sent.len() < MAX_LOG {
                state.callbacks_sent.push((job.order_no.clone(), status, done));
            }
        }
        if done {
            return;
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return,
        }
    }
}

/// HTTP status (0 without an answer) and whether the receiver acknowledged.
async fn attempt(client: &reqwest::Client, job: &CallbackJob) -> (u16, bool) {
    let sent = client
        .post(&job.url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(job.form.clone())
        .send()
        .await;
    let Ok(response) = sent else { return (0, false) };
    let status = response.status().as_u16();
    let Ok(body) = response.bytes().await else { return (status, false) };
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (status, status == 200 && answer.get("status").and_then(Value::as_str) == Some("0000"))
}
