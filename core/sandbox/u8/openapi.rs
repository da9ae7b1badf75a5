//! U8's other door, the OpenAPI: `GET /system/token` and `/system/tradeid`, `/api/<resource>/<method>`, JSON.
//!
//! The vendor's cloud relays calls to an agent beside the customer's server, which imports as EAI does: the documents are the
//! same, one added by either door is seen by the other, and an error carries EAI's text. Sources: the vendor's .NET SDK and
//! its examples, clients generated from the vendor's pages, integrators' lists of errors. Codes for a lost token, a missing
//! permission and a quota are published nowhere; those here are made up and are settings of
//! [`U8OpenApiConfig`](crate::U8OpenApiConfig), and so is what a repeated `biz_id` comes to.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{
    archives,
    import::{self, Item},
    openapi_documents::{self as documents, resource},
    store::{State, get, put},
    templates::Template,
    xml::Tag,
};
use crate::{
    faults::{Fault, System},
    u8::RUNTIME,
    wire::{
        drive::html,
        message::{Incoming, Job as Call, Reply, Step},
    },
    world::{World, lock},
};

/// Tokens, trade ids and jobs that are kept; the oldest give way.
const KEPT: usize = 100_000;

/// Path everything lies below, so that one listener can serve all systems.
const ROOT: &str = "/u8open";

/// What the door remembers.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// Until when each token is good.
    tokens: BTreeMap<String, i64>,
    /// Trade ids handed out, and the job each was used for.
    trades: BTreeMap<String, Option<u64>>,
    /// The job of each upstream key, by `resource|biz_id`.
    keys: BTreeMap<String, u64>,
    jobs: BTreeMap<u64, Job>,
    count: u64,
}

/// One accepted `add`.
#[derive(Debug)]
struct Job {
    template: &'static Template,
    /// What is still to be imported, and from when on.
    waiting: Option<(i64, Tag)>,
    /// Answers "still at it" that are left; `None` for ever.
    polls: Option<u32>,
    /// What the import came to.
    items: Vec<Item>,
    trade: String,
    is_lost: bool,
}

impl Door {
    fn number(&mut self) -> u64 {
        self.count += 1;
        while self.tokens.len() > KEPT {
            self.tokens.pop_first();
        }
        while self.trades.len() > KEPT {
            self.trades.pop_first();
        }
        while self.jobs.len() > KEPT {
            self.jobs.pop_first();
        }
        self.count
    }

    /// Forgets all tokens.
    pub fn drop_tokens(&mut self) {
        self.tokens.clear();
    }
}

/// Whether a path belongs to this door.
pub(crate) fn serves(path: &str) -> bool {
    path.starts_with("/u8open/")
}

/// Prepares a call. Everything is work, for it is the platform that checks tokens, not its front.
pub(crate) fn accept(_: &World, request: Incoming) -> Step {
    let path = request.path.strip_prefix(ROOT).unwrap_or_default().to_owned();
    let parts: Vec<String> = path.trim_start_matches('/').split('/').map(str::to_owned).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let posts = request.method == Method::POST;
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let call = match parts.as_slice() {
        ["system", name @ ("token" | "tradeid")] if !posts => {
            work(name, Vec::new(), System::U8OpenApi, system((*name).to_owned(), request))
        }
        ["result", id] if !posts => {
            let id = id.parse().unwrap_or_default();
            work(
                "result",
                Vec::new(),
                System::U8OpenApi,
                Box::new(move |world, _| result(world, id, &request)),
            )
        }
        ["api", name, method] => {
            let (name, method) = ((*name).to_owned(), (*method).to_owned());
            let keys = documents::keys(&name, &method, &body, &request);
            let operation = format!("{name}/{method}");
            let run = move |world: &World, fault: Option<&Fault>| {
                api(world, &Asked { name, method, body, request }, fault)
            };
            work(&operation, keys, System::U8OpenApi, Box::new(run))
        }
        _ => return Step::Done(html(404, None)),
    };
    Step::Work(call)
}

fn work(operation: &str, keys: Vec<String>, system: System, run: crate::wire::message::Work) -> Call {
    Call { system, operation: operation.to_owned(), keys, run }
}

/// A business call.
pub(super) struct Asked {
    pub name: String,
    pub method: String,
    pub body: Value,
    pub request: Incoming,
}

impl Asked {
    pub fn value(&self, name: &str) -> String {
        self.request.query_value(name).unwrap_or_default()
    }
}

pub(super) fn error(code: &str, text: impl Into<String>) -> Reply {
    Reply::json(200, &json!({"errcode": code, "errmsg": text.into()}))
}

/// EAI's text as the platform hands it on.
pub(super) fn refused(key: &str, text: &str) -> Reply {
    error("20005", format!("U8 服务调用失败:key='{key}';{text};"))
}

fn busy(world: &World) -> Reply {
    error(&world.config.u8_openapi.quota_code, "接口调用过于频繁，请稍后再试")
}

fn equal(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

/// `token` and `tradeid`. They take no `to_account`.
fn system(name: String, request: Incoming) -> crate::wire::message::Work {
    Box::new(move |world, fault| {
        let config = &world.config.u8_openapi;
        let of = |name: &str| request.query_value(name).unwrap_or_default();
        if matches!(fault, Some(Fault::Throttled { .. })) {
            return busy(world);
        }
        let is_known =
            equal(&of("from_account"), &config.from_account) && equal(&of("app_key"), &config.app_key);
        let mut state = lock(&world.u8);
        let number = state.open.number();
        if name == "token" {
            if !is_known || !equal(&of("app_secret"), &config.app_secret) {
                return error(&config.login_code, "app_key 或 app_secret 不正确");
            }
            let id = world.hex(32, &["u8-token", &number.to_string()]);
            state.open.tokens.insert(id.clone(), world.clock.now_ms() + config.token_life_s * 1000);
            let token = json!({"id": id, "appKey": config.app_key, "expiresIn": config.token_life_s});
            return Reply::json(200, &json!({"errcode": "0", "errmsg": "", "token": token}));
        }
        if fault == Some(&Fault::SessionDropped) || !is_known || !has_token(world, &state, &of("token")) {
            return error(&config.token_code, "token 无效或已过期");
        }
        let id = world.hex(32, &["u8-trade", &number.to_string()]);
        state.open.trades.insert(id.clone(), None);
        Reply::json(200, &json!({"errcode": "0", "errmsg": "", "trade": {"id": id}}))
    })
}

fn has_token(world: &World, state: &State, token: &str) -> bool {
    state.open.tokens.get(token).is_some_and(|until| world.clock.now_ms() < *until)
}

/// Imports what is due.
pub(crate) fn tick(world: &World) {
    settle(world, &mut lock(&world.u8));
}

fn settle(world: &World, state: &mut State) {
    let now_ms = world.clock.now_ms();
    let mut due = Vec::new();
    for (id, job) in &mut state.open.jobs {
        if let Some((_, document)) = job.waiting.take_if(|(at, _)| *at <= now_ms) {
            due.push((*id, job.template, document));
        }
    }
    for (id, template, document) in due {
        let items = import::add(state, template, &document, world.config.u8.recompute);
        if let Some(job) = state.open.jobs.get_mut(&id) {
            job.items = items;
        }
    }
}

fn api(world: &World, asked: &Asked, fault: Option<&Fault>) -> Reply {
    let config = &world.config.u8_openapi;
    let mut state = lock(&world.u8);
    settle(world, &mut state);
    let dropped = fault == Some(&Fault::SessionDropped);
    if dropped
        || !equal(&asked.value("app_key"), &config.app_key)
        || !has_token(world, &state, &asked.value("token"))
    {
        return error(&config.token_code, "token 无效或已过期");
    }
    let is_ours =
        asked.value("from_account") == config.from_account && asked.value("to_account") == config.to_account;
    if !is_ours || fault == Some(&Fault::NoPermission) {
        return error(&config.permission_code, "没有访问该接口的权限");
    }
    let key = documents::keys(&asked.name, &asked.method, &asked.body, &asked.request);
    let key = key.first().map_or("", String::as_str);
    match fault {
        Some(Fault::Throttled { .. }) => return busy(world),
        Some(Fault::EditLock) => return refused(key, "系统忙，稍后再试！"),
        Some(Fault::RuntimeError { after_commit: false }) => return refused(key, RUNTIME),
        _ => {}
    }
    if (asked.name.as_str(), asked.method.as_str()) == ("currentstock", "batch_get") {
        return archives::stock(&state.stock, asked, world.config.u8.ignore_conditions);
    }
    let Some(known) = resource(&asked.name) else { return error("10001", "平台错误：接口不存在") };
    match asked.method.as_str() {
        "add" if asked.request.method == Method::POST => add(world, &mut state, known, asked, fault),
        "get" if known.roottag == asked.name => documents::one(&state, known, &asked.value("id")),
        // An order is not offered as a list by its own name.
        "batch_get" if asked.name != "saleorder" => documents::list(world, &state, known, asked),
        "verify" | "unverify" if matches!(known.roottag, "saleorder" | "accept") => {
            let done = verify(&mut state, known, &asked.name, asked, fault);
            if matches!(fault, Some(Fault::RuntimeError { .. })) { refused(key, RUNTIME) } else { done }
        }
        _ => error("10001", "平台错误：接口不存在"),
    }
}

/// Approves without a workflow. What is approved already is refused.
fn verify(
    state: &mut State,
    known: &'static Template,
    name: &str,
    asked: &Asked,
    fault: Option<&Fault>,
) -> Reply {
    let code = asked
        .body
        .get(name)
        .and_then(|one| one.get("voucher_code"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let on = asked.method == "verify";
    let Some(found) = state.by_number_mut(known, code) else { return refused(code, "单据不存在！") };
    if let Some(Fault::AuditFails { message }) = fault {
        let text =
            if message.is_empty() { "客户信用额度不足，不能审核！" } else { message.as_str() };
        return refused(code, text);
    }
    if on != get(&found.head, "!verifier").is_empty() {
        return refused(code, if on { "单据已审核，不能再次审核！" } else { "单据未审核！" });
    }
    if fault != Some(&Fault::AuditPending) {
        put(&mut found.head, "!verifier", if on { "demo" } else { "" });
        if known.roottag == "accept" {
            put(&mut found.head, "!checker", if on { "demo" } else { "" });
        }
    }
    Reply::json(200, &json!({"errcode": "0", "errmsg": "", "id": code}))
}

fn add(
    world: &World,
    state: &mut State,
    known: &'static Template,
    asked: &Asked,
    fault: Option<&Fault>,
) -> Reply {
    let config = &world.config.u8_openapi;
    let (trade, biz) = (asked.value("tradeid"), asked.value("biz_id"));
    if trade.is_empty() == biz.is_empty() {
        return error("10001", "tradeid 与 biz_id 必须且只能提供一个");
    }
    let Some(given) = asked.body.get(known.roottag).filter(|one| one.is_object()) else {
        return refused("", "导入的数据格式不正确！");
    };
    let document = documents::tag(world, known, given);
    let number = import::number(known, &document);
    let slot = format!("{}|{biz}", known.roottag);
    let earlier = if biz.is_empty() {
        match state.open.trades.get(&trade) {
            None => return error("10001", "平台错误：tradeid 不存在"),
            Some(job) => *job,
        }
    } else {
        state.open.keys.get(&slot).copied()
    };
    if let Some(job) = earlier.and_then(|id| state.open.jobs.get(&id)) {
        let stands = job.items.first().filter(|item| item.succeed == "0").map(|item| item.key.clone());
        match stands {
            _ if job.waiting.is_some() || (job.polls.is_none() && !job.is_lost) => {
                return error("30025", "操作正在执行，请稍候");
            }
            Some(id) if config.repeats_first => {
                return Reply::json(
                    200,
                    &json!({"errcode": "0", "errmsg": "", "tradeid": job.trade, "id": id}),
                );
            }
            Some(_) => return refused(&number, "该业务单据已经存在，不可重复！"),
            None if biz.is_empty() => return error("10001", "平台错误：tradeid 已使用"),
            None => {}
        }
    }
    if fault == Some(&Fault::NothingWritten) {
        return Reply::json(200, &json!({"errcode": "0", "errmsg": "", "tradeid": trade, "id": ""}));
    }
    let now = asked.value("sync") == "1" || config.answers_at_once;
    let id = state.open.number();
    let trade = if trade.is_empty() { world.hex(32, &["u8-trade", &id.to_string()]) } else { trade };
    let is_lost = fault == Some(&Fault::TaskLost);
    let due = world.clock.now_ms() + if now { 0 } else { config.run_ms };
    let job = Job {
        template: known,
        waiting: (!is_lost).then_some((due, document)),
        polls: (fault != Some(&Fault::TaskNeverEnds)).then_some(config.polls),
        items: Vec::new(),
        trade: trade.clone(),
        is_lost,
    };
    state.open.jobs.insert(id, job);
    if biz.is_empty() {
        state.open.trades.insert(trade.clone(), Some(id));
    } else {
        state.open.keys.insert(slot, id);
    }
    settle(world, state);
    match fault {
        Some(Fault::RuntimeError { .. }) => return refused(&number, RUNTIME),
        Some(Fault::DuplicateAccepted) => return refused(&number, "单据编号已经存在，不可重复！"),
        _ => {}
    }
    match state.open.jobs.get(&id) {
        Some(job) if now && job.waiting.is_none() && !is_lost => ended(job),
        _ => at_it(&world.config.u8_openapi.result_base, &asked.request, config.ping_after_s, id, &trade),
    }
}

/// Accepted, or still at it: no `errcode` at all.
fn at_it(base: &Option<String>, request: &Incoming, ping_after_s: u64, id: u64, trade: &str) -> Reply {
    let own = || format!("http://{}", request.header("host").unwrap_or("127.0.0.1"));
    let base = base.clone().unwrap_or_else(own);
    let url = format!("{base}{ROOT}/result/{id}");
    Reply::json(200, &json!({"url": url, "ping_after": ping_after_s, "tradeid": trade}))
}

fn ended(job: &Job) -> Reply {
    match job.items.first() {
        Some(item) if item.succeed == "0" => {
            let answer = json!({"errcode": "0", "errmsg": "", "tradeid": job.trade, "id": item.key});
            Reply::json(200, &answer)
        }
        Some(item) => refused(&item.key, &item.text),
        None => error("10001", "平台错误"),
    }
}

/// `GET` of a result's address: no token, no parameters.
fn result(world: &World, id: u64, request: &Incoming) -> Reply {
    let config = &world.config.u8_openapi;
    let mut state = lock(&world.u8);
    settle(world, &mut state);
    let Some(job) = state.open.jobs.get_mut(&id).filter(|job| !job.is_lost) else {
        return error("10001", "平台错误：任务不存在");
    };
    let left = job.polls.unwrap_or(1);
    if left > 0 || job.waiting.is_some() {
        job.polls = job.polls.map(|polls| polls.saturating_sub(1));
        return at_it(&config.result_base, request, config.ping_after_s, id, &job.trade);
    }
    ended(job)
}
