//! The control listener: everything [`Sandbox`](crate::Sandbox) can do, over HTTP with JSON, for demos and tests in other
//! languages. It is a listener of its own, so that nothing of it shows on the protocol surface.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    catalogue,
    faults::Rule,
    kingdee::{self, ReceiptSpec, receipts},
    money, nuonuo, signing, state,
    u8::{self, U8Change},
    world::{World, lock},
};

pub(crate) type Shared = State<Arc<World>>;

/// All routes.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({"ok": true})) }))
        .route("/clock", get(clock))
        .route("/clock/advance", post(advance))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/seed/{form}", post(seed))
        .route("/kingdee/pay", post(pay))
        .route("/kingdee/receipts", post(book))
        .route("/kingdee/receipts/{number}/{change}", post(change))
        .route("/kingdee/refund", post(refund))
        .route("/kingdee/hide", post(hide))
        .route("/kingdee/drop-sessions", post(drop_sessions))
        .route("/u8/pay", post(u8_pay))
        .route("/u8/receipts", post(u8_book))
        .route("/u8/receipts/{number}/{change}", post(u8_change))
        .route("/nuonuo/settle", post(settle))
        .route("/nuonuo/bureau", post(bureau))
        .route("/nuonuo/red", post(red))
        .route("/nuonuo/forge", post(forge))
        .route("/crm/{collection}/{id}", post(seed_crm))
        .route("/jdy/{app}/{entry}/{id}", post(seed_jdy))
        .merge(signing::control::routes())
        .route("/state", get(summary))
        .route("/state/{what}", get(list))
        .route("/state/{what}/{key}", get(one))
        .route("/state/{what}/{key}/{id}", get(record))
        .with_state(world)
}

pub(crate) fn done(value: &Value) -> Response {
    Json(value.clone()).into_response()
}

pub(crate) fn refused(message: &str) -> Response {
    (StatusCode::CONFLICT, Json(json!({"error": message}))).into_response()
}

pub(crate) fn missing() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "no such thing"}))).into_response()
}

pub(crate) fn outcome<T: serde::Serialize>(result: Result<T, String>) -> Response {
    match result {
        Ok(value) => done(&json!({"ok": value})),
        Err(message) => refused(&message),
    }
}

async fn clock(State(world): Shared) -> Response {
    done(&json!({"now_ms": world.clock.now_ms()}))
}

#[derive(Deserialize)]
struct Advance {
    ms: i64,
}

async fn advance(State(world): Shared, Json(body): Json<Advance>) -> Response {
    let now = world.clock.advance(body.ms);
    nuonuo::tick(&world);
    done(&json!({"now_ms": now}))
}

async fn faults(State(world): Shared) -> Response {
    done(&json!({"injected": world.faults.injected()}))
}

/// One rule or a list of rules.
#[derive(Deserialize)]
#[serde(untagged)]
enum Rules {
    Many(Vec<Rule>),
    One(Box<Rule>),
}

async fn add_faults(State(world): Shared, Json(body): Json<Rules>) -> Response {
    let rules = match body {
        Rules::Many(rules) => rules,
        Rules::One(rule) => vec![*rule],
    };
    let count = rules.len();
    rules.into_iter().for_each(|rule| world.faults.add(rule));
    done(&json!({"added": count}))
}

async fn clear_faults(State(world): Shared) -> Response {
    world.faults.clear();
    done(&json!({"ok": true}))
}

async fn seed(
    State(world): Shared,
    Path(form): Path<String>,
    Json(items): Json<Vec<(String, String)>>,
) -> Response {
    // Customers and materials go into both ERPs, as `u8-<archive>` others go into U8 only.
    let both = match form.as_str() {
        "customers" => Some(("BD_Customer", "customer")),
        "materials" => Some(("BD_MATERIAL", "inventory")),
        _ => None,
    };
    if let Some(both) = both {
        return done(&json!({"added": catalogue::load_both(&world, both, items)}));
    }
    if let Some(archive) = form.strip_prefix("u8-") {
        let mut state = lock(&world.u8);
        let added = items.iter().filter(|(code, name)| state.seed(archive, code, name)).count();
        return done(&json!({"added": added}));
    }
    let form = match form.as_str() {
        "salers" => "BD_Saler",
        "units" => "BD_UNIT",
        "currencies" => "BD_Currency",
        "orgs" => "ORG_Organizations",
        other => other,
    };
    done(&json!({"added": catalogue::load(&world.kingdee, form, items)}))
}

#[derive(Deserialize)]
struct Booking {
    order: String,
    #[serde(with = "crate::money::exact")]
    amount: Decimal,
    number: String,
}

async fn pay(State(world): Shared, Json(body): Json<Booking>) -> Response {
    outcome(receipts::pay(&world, &body.order, body.amount, &body.number))
}

async fn refund(State(world): Shared, Json(body): Json<Booking>) -> Response {
    outcome(receipts::refund(&world, &body.order, body.amount, &body.number))
}

async fn book(State(world): Shared, Json(spec): Json<ReceiptSpec>) -> Response {
    outcome(receipts::book(&world, &spec))
}

async fn u8_pay(State(world): Shared, Json(body): Json<Booking>) -> Response {
    outcome(u8::pay(&world, &body.order, body.amount, &body.number))
}

async fn u8_book(State(world): Shared, Json(spec): Json<ReceiptSpec>) -> Response {
    outcome(u8::book(&world, &spec))
}

/// Changes the first row's amount, drops it, sets the date, audits, un-audits or deletes.
async fn u8_change(
    State(world): Shared,
    Path((number, change)): Path<(String, String)>,
    body: Option<Json<Value>>,
) -> Response {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let amount = body.get("amount").and_then(money::decimal);
    let date = body.get("date").and_then(Value::as_str);
    let change = match (change.as_str(), amount, date) {
        ("amount", Some(amount), _) => U8Change::Amount(0, amount),
        ("date", _, Some(date)) => U8Change::Date(date.to_owned()),
        ("drop-row", ..) => U8Change::DropRow(0),
        ("audit", ..) => U8Change::Audit,
        ("unaudit", ..) => U8Change::Unaudit,
        ("delete", ..) => U8Change::Delete,
        _ => return missing(),
    };
    outcome(u8::change(&world, &number, &change))
}

#[derive(Deserialize, Default)]
struct Amount {
    #[serde(default)]
    amount: Value,
}

async fn change(
    State(world): Shared,
    Path((number, change)): Path<(String, String)>,
    body: Option<Json<Amount>>,
) -> Response {
    let amount = body.and_then(|Json(body)| money::decimal(&body.amount));
    let change = match (change.as_str(), amount) {
        ("amount", Some(amount)) => receipts::Change::Amount(amount),
        ("audit", _) => receipts::Change::Audit,
        ("unaudit", _) => receipts::Change::Unaudit,
        ("void", _) => receipts::Change::Void,
        ("delete", _) => receipts::Change::Delete,
        _ => return missing(),
    };
    outcome(receipts::change(&world, &number, change))
}

#[derive(Deserialize)]
struct Hide {
    form: String,
    number: String,
    #[serde(default = "yes")]
    hidden: bool,
}

fn yes() -> bool {
    true
}

async fn hide(State(world): Shared, Json(body): Json<Hide>) -> Response {
    kingdee::hide(&world, &body.form, &body.number, body.hidden);
    done(&json!({"ok": true}))
}

async fn drop_sessions(State(world): Shared) -> Response {
    lock(&world.kingdee.sessions).drop_all();
    done(&json!({"ok": true}))
}

#[derive(Deserialize, Default)]
struct Settle {
    order: Option<String>,
}

async fn settle(State(world): Shared, body: Option<Json<Settle>>) -> Response {
    let order = body.and_then(|Json(body)| body.order);
    done(&json!({"ended": nuonuo::settle(&world, order.as_deref())}))
}

#[derive(Deserialize)]
struct Bureau {
    logged_out: bool,
}

async fn bureau(State(world): Shared, Json(body): Json<Bureau>) -> Response {
    lock(&world.nuonuo).bureau_logged_out = body.logged_out;
    done(&json!({"ok": true}))
}

/// Without `bill`, the state new confirmations get.
#[derive(Deserialize)]
struct Red {
    bill: Option<String>,
    status: String,
}

async fn red(State(world): Shared, Json(body): Json<Red>) -> Response {
    match body.bill {
        Some(bill) if nuonuo::set_bill_status(&world, &bill, &body.status) => done(&json!({"ok": true})),
        Some(_) => missing(),
        None => {
            lock(&world.nuonuo).new_bill_status = Some(body.status);
            done(&json!({"ok": true}))
        }
    }
}

#[derive(Deserialize)]
struct Forge {
    url: String,
    content: Value,
}

async fn forge(State(world): Shared, Json(body): Json<Forge>) -> Response {
    done(&json!({"queued": nuonuo::forge(&world, &body.url, &body.content)}))
}

async fn seed_crm(
    State(world): Shared,
    Path((collection, id)): Path<(String, String)>,
    Json(fields): Json<Map<String, Value>>,
) -> Response {
    lock(&world.crm).seed(&collection, &id, fields);
    done(&json!({"ok": true}))
}

async fn seed_jdy(
    State(world): Shared,
    Path((app, entry, id)): Path<(String, String, String)>,
    Json(widgets): Json<Map<String, Value>>,
) -> Response {
    lock(&world.jdy).seed(&app, &entry, &id, widgets);
    done(&json!({"ok": true}))
}

async fn summary(State(world): Shared) -> Response {
    done(&state::summary(&world))
}

async fn list(State(world): Shared, Path(what): Path<String>) -> Response {
    match what.as_str() {
        "orders" => Json(state::orders(&world)).into_response(),
        "receipts" => Json(state::receipts(&world, receipts::RECEIPT)).into_response(),
        "u8-orders" => Json(u8::orders(&world)).into_response(),
        "u8-receipts" => Json(u8::receipts(&world)).into_response(),
        "refunds" => Json(state::receipts(&world, receipts::REFUND)).into_response(),
        "invoices" => Json(state::invoices(&world)).into_response(),
        "crm" => Json(lock(&world.crm).history()).into_response(),
        "jdy" => Json(lock(&world.jdy).history()).into_response(),
        "esign" => Json(lock(&world.esign).all.values().cloned().collect::<Vec<_>>()).into_response(),
        "fadada" => Json(lock(&world.fadada).flows.all.values().cloned().collect::<Vec<_>>()).into_response(),
        "wecom" => Json(lock(&world.wecom).messages()).into_response(),
        "dingtalk" => Json(lock(&world.dingtalk).messages()).into_response(),
        "mail" => Json(lock(&world.mail).messages()).into_response(),
        "calls" => Json(state::calls(&world)).into_response(),
        "faults" => Json(world.faults.injected()).into_response(),
        "callbacks" => Json(lock(&world.nuonuo).callbacks_sent.clone()).into_response(),
        "push-rules" => done(&kingdee::rules()),
        _ => missing(),
    }
}

async fn one(State(world): Shared, Path((what, key)): Path<(String, String)>) -> Response {
    let found = match what.as_str() {
        "orders" => state::order(&world, &key).map(|order| json!(order)),
        "invoices" => state::invoice(&world, &key).map(|invoice| json!(invoice)),
        "jdy" => lock(&world.jdy).record(&key),
        _ => None,
    };
    found.map_or_else(missing, |value| done(&value))
}

/// `/state/bills/{form}/{number}`, `/state/u8/{roottag}/{number}` and `/state/crm/{collection}/{id}` (record and its writes).
async fn record(State(world): Shared, Path((what, key, id)): Path<(String, String, String)>) -> Response {
    let found = match what.as_str() {
        "bills" => state::bill(&world, &key, &id),
        "u8" => u8::document(&world, &key, &id),
        "crm" => {
            let crm = lock(&world.crm);
            crm.record(&key, &id).map(|record| json!({"record": record, "writes": crm.history_of(&key, &id)}))
        }
        _ => None,
    };
    found.map_or_else(missing, |value| done(&value))
}
