//! Nuonuo (诺诺) e-invoice platform: `POST /open/v1/services` with a signed query string, `POST /accessToken`.
//!
//! Sources: the vendor's SDKs and their public ports (`@axolo/node-nuonuo` and others; transport and signature, certain),
//! the Odoo addon `l10n_cn_edi_nuonuo` and public Go/C# SDKs with the vendor's field comments (methods, fields, states).
//! What they leave open (timestamp window, replay, callback plan, number length) is a setting of
//! [`NuonuoConfig`](crate::NuonuoConfig).

mod bill;
mod callback;
mod check;
mod red;
mod sign;
mod state;
#[cfg(test)]
mod tests;

use axum::http::Method;
use serde_json::{Value, json};

pub(crate) use self::{
    callback::{CallbackJob, run as run_callbacks},
    red::set_bill_status,
    state::{Invoice, State},
};
use crate::{
    clock,
    faults::{Fault, System},
    wire::{
        drive::html,
        message::{Incoming, Job, Reply, Step},
    },
    world::{World, lock},
};

/// Prefix of the current method family.
const FAMILY: &str = "nuonuo.OpeMplatform.";
/// Pairs of `senid` and `nonce` remembered for the replay switch.
const MAX_SEEN: usize = 100_000;
/// Live tokens; the quota keeps them few.
const TOKEN_LENGTH: usize = 32;

/// A business outcome other than success: code and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: &'static str,
    pub text: String,
}

impl Refusal {
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Outcome of a method: `describe` and `result`.
pub(crate) type Outcome = Result<(&'static str, Value), Refusal>;

fn answer(outcome: Outcome) -> Reply {
    let value = match outcome {
        Ok((describe, result)) => json!({"code": "E0000", "describe": describe, "result": result}),
        Err(refusal) => json!({"code": refusal.code, "describe": refusal.text, "result": null}),
    };
    Reply::json(200, &value)
}

/// Whether a path belongs to this system; both paths also work below `/nuonuo`.
pub(crate) fn serves(world: &World, path: &str) -> bool {
    let path = path.strip_prefix("/nuonuo").unwrap_or(path);
    path == "/accessToken" || path == world.config.nuonuo.signed_path
}

/// Checks transport, token and signature, and prepares the work.
pub(crate) fn accept(world: &World, request: Incoming) -> Step {
    if request.method != Method::POST {
        return Step::Done(html(405, None));
    }
    if request.path.ends_with("/accessToken") {
        return job("accessToken", Vec::new(), Box::new(move |world, _| token(world, &request)));
    }
    let method = request.header("method").unwrap_or("").to_owned();
    if let Err(refusal) = admit(world, &request) {
        return Step::Done(answer(Err(refusal)));
    }
    let name = method.strip_prefix(FAMILY).unwrap_or(&method).to_owned();
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(_) => return Step::Done(answer(Err(Refusal::new("E9999", "请求报文不是合法的JSON")))),
    };
    let keys = keys(&body);
    let operation = name.clone();
    job(
        &operation,
        keys,
        Box::new(move |world, fault| match fault {
            Some(Fault::SessionDropped) => {
                answer(Err(Refusal::new("070305", "access_token已过期，请重新获取")))
            }
            Some(Fault::Throttled { .. }) => answer(Err(Refusal::new("E9999", "请求过于频繁，请稍后再试"))),
            Some(Fault::DuplicateAccepted) => {
                let _ = dispatch(world, &name, &body, None);
                answer(Err(Refusal::new("E9106", "订单编号重复")))
            }
            other => dispatch(world, &name, &body, other),
        }),
    )
}

fn job(operation: &str, keys: Vec<String>, run: crate::wire::message::Work) -> Step {
    Step::Work(Job { system: System::Nuonuo, operation: operation.to_owned(), keys, run })
}

/// Order numbers a request is about, for fault scripts.
fn keys(body: &Value) -> Vec<String> {
    let one = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let mut keys: Vec<String> = Vec::new();
    keys.extend(one(body.pointer("/order/orderNo")));
    for name in ["orderNo", "orderno", "billId"] {
        keys.extend(one(body.get(name)));
    }
    if let Some(Value::Array(list)) = body.get("orderNos") {
        keys.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    keys
}

/// `grant_type=client_credentials`, form-encoded; a strict quota of calls.
fn token(world: &World, request: &Incoming) -> Reply {
    let config = &world.config.nuonuo;
    let field = |name: &str| {
        form_urlencoded::parse(&request.body)
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let refuse =
        |code: &str, text: &str| Reply::json(200, &json!({"error": code, "error_description": text}));
    if field("client_id") != config.app_key {
        return refuse("070101", "appKey不合法");
    }
    if !sign::same(&field("client_secret"), &config.app_secret) || field("grant_type") != "client_credentials"
    {
        return refuse("070304", "client_secret或grant_type不正确");
    }
    let now = world.clock.now_ms();
    let mut state = lock(&world.nuonuo);
    if state.token_calls >= config.token_quota {
        return refuse("070306", "获取token次数已用完");
    }
    state.token_calls += 1;
    let token = world.hex(TOKEN_LENGTH, &["nuonuo-token", &state.token_calls.to_string()]);
    state.tokens.retain(|_, expires| *expires > now);
    state.tokens.insert(token.clone(), now.saturating_add(config.token_secs.saturating_mul(1000)));
    Reply::json(200, &json!({"access_token": token, "expires_in": config.token_secs}))
}

/// Token, seller and signature of a service call.
fn admit(world: &World, request: &Incoming) -> Result<(), Refusal> {
    let config = &world.config.nuonuo;
    let query = |name: &str| request.query_value(name).unwrap_or_default();
    if query("appkey") != config.app_key {
        return Err(Refusal::new("070101", "appKey不合法"));
    }
    let token = request.header("accesstoken").unwrap_or("");
    let now = world.clock.now_ms();
    match lock(&world.nuonuo).tokens.get(token) {
        None => return Err(Refusal::new("070304", "access_token不正确")),
        Some(expires) if *expires <= now => {
            return Err(Refusal::new("070305", "access_token已过期，请重新获取"));
        }
        Some(_) => {}
    }
    let (senid, nonce, timestamp) = (query("senid"), query("nonce"), query("timestamp"));
    if senid.chars().count() != 32 || nonce.parse::<u32>().is_err() {
        return Err(Refusal::new("E9999", "senid或nonce不合法"));
    }
    let expected = sign::sign(
        &config.app_secret,
        &sign::message(&config.signed_path, &config.app_key, &senid, &nonce, &timestamp, &request.body),
    );
    if !sign::same(&expected, request.header("x-nuonuo-sign").unwrap_or("")) {
        return Err(Refusal::new("E9999", "签名验证失败"));
    }
    let seconds: i64 = timestamp.parse().map_err(|_| Refusal::new("E9999", "timestamp不合法"))?;
    if config.window_secs.is_some_and(|window| (clock::wall_ms() / 1000 - seconds).abs() > window) {
        return Err(Refusal::new("E9999", "请求已过期"));
    }
    if config.reject_replay {
        let mut state = lock(&world.nuonuo);
        if state.seen.len() >= MAX_SEEN {
            state.seen.clear();
        }
        if !state.seen.insert(format!("{senid}|{nonce}")) {
            return Err(Refusal::new("E9999", "重复的请求"));
        }
    }
    match request.header("usertax") {
        Some(tax) if !tax.is_empty() && tax != config.tax_number => {
            Err(Refusal::new("070304", "userTax与授权不符"))
        }
        _ => Ok(()),
    }
}

fn dispatch(world: &World, method: &str, body: &Value, fault: Option<&Fault>) -> Reply {
    match method {
        "requestBillingNew" => return bill::request(world, body, fault),
        "queryInvoiceResult" => return answer(bill::query(world, body)),
        _ => {}
    }
    answer(match method {
        "reInvoice" => bill::again(world, body),
        "saveInvoiceRedConfirm" => red::save(world, body),
        "queryInvoiceRedConfirm" => red::query(world, body),
        "refreshInvoiceRedConfirm" => red::query(world, body),
        "confirm" => red::confirm(world, body),
        "confirmInfoCancel" => red::cancel(world, body),
        "fastInvoiceRed" => red::fast(world, body),
        "getCertificationStatus" => {
            let logged_in = !lock(&world.nuonuo).bureau_logged_out;
            Ok(("查询成功", json!({"status": if logged_in { "1" } else { "0" }})))
        }
        other => Err(Refusal::new("E9999", format!("不支持的接口：{other}"))),
    })
}

/// Moves every waiting invoice on by the virtual clock and sends the callbacks that are due.
pub(crate) fn tick(world: &World) {
    bill::tick(world);
}

/// Puts one cent on top of an invoice's amounts.
pub(crate) fn cent_off(world: &World, order_no: &str) {
    if let Some(invoice) = lock(&world.nuonuo).invoices.get_mut(order_no) {
        invoice.net += crate::money::CENT;
        invoice.gross += crate::money::CENT;
    }
}

/// Brings one order, or all, to its end at once.
pub(crate) fn settle(world: &World, order_no: Option<&str>) -> usize {
    bill::settle(world, order_no)
}

/// Sends a callback nobody signed for an order, whatever its real state.
pub(crate) fn forge(world: &World, url: &str, content: &Value) -> bool {
    let order = content.get("c_orderno").and_then(Value::as_str).unwrap_or("").to_owned();
    callback::enqueue(world, CallbackJob::new(url, "callback", &order, content))
}
