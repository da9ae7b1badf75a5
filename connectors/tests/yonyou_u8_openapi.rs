//! `yonyou-u8-openapi`: orders out.

use crate::kit::{
    Connection, already, calls, cannot_tell, connect, decimal, done, failed, foreign, found, partial,
    pending, reached, said, sandbox_with, secret, task, wrong,
};
use crate::yonyou_u8_eai;
use std::time::Duration;
use tongbao_connect::{Lookup, Outcome, Receipt, Task};
use tongbao_model::{Class, Code};
use tongbao_sandbox::{Fault, Rule, Sandbox, SandboxConfig, System};

const ADD: &str = "saleorder/add";
const VERIFY: &str = "saleorder/verify";
const GET: &str = "saleorder/get";

/// A stand-in whose secret is among those that every outcome is searched for.
pub async fn stand_in(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    sandbox_with(|config| {
        yonyou_u8_eai::registered(config);
        config.u8_openapi.app_secret = secret("CRM_SECRET").to_owned();
        change(config);
    })
    .await
}

/// Settings of a connection to a sandbox; `more` goes behind them.
pub fn settings(sandbox: &Sandbox, more: &str) -> String {
    format!(
        "base_url: {}/u8open\nfrom_account: sandbox-caller\nto_account: test_sandbox\n\
         app_key: opa0123456789abcdef\napp_secret: {{ env: CRM_SECRET }}\n{more}",
        sandbox.url()
    )
}

pub fn connection(sandbox: &Sandbox, more: &str) -> Connection {
    connect("yonyou-u8-openapi", &settings(sandbox, more))
}

fn order(key: &str) -> Task {
    task("saleorder", key, yonyou_u8_eai::document(), "439.05")
}

fn once(operation: &str, fault: Fault) -> Rule {
    Rule::new(fault).on(System::U8OpenApi, operation).times(1)
}

fn count(sandbox: &Sandbox, operation: &str) -> u64 {
    calls(sandbox, &format!("u8-openapi {operation}"))
}

/// The order stands once, with its amounts.
fn stands(sandbox: &Sandbox, key: &str) {
    let order = sandbox.u8_order(key).unwrap_or_else(|| panic!("{key} is not there"));
    assert_eq!((order.same_number, order.gross), (1, decimal("439.05")), "{key}");
}

fn is_whole(receipt: &Receipt, key: &str, step: &str) {
    assert_eq!(receipt.total_tax_included, Some(decimal("439.05")));
    assert_eq!(receipt.currency.as_deref(), Some("人民币"));
    assert_eq!((receipt.remote.number.as_str(), receipt.remote.step.as_str()), (key, step));
}

/// As the engine does, until it stands.
async fn settles(connection: &Connection, task: &Task) -> Receipt {
    let mut task = task.clone();
    for _ in 0..12 {
        match connection.lookup(&task).await {
            Lookup::Found(receipt) => return receipt,
            Lookup::Partial(remote) => task.reached = Some(remote),
            Lookup::Absent => task.reached = None,
            Lookup::Pending(remote) => {
                task.reached = Some(remote);
                connection.advance(Duration::from_secs(60));
                continue;
            }
            Lookup::Foreign(failure) | Lookup::NobodyToAsk(failure) => panic!("{}: {failure:?}", task.key),
            Lookup::CannotTell(failure) => {
                assert_ne!(failure.class, Class::Unknown, "{failure:?}");
                continue;
            }
        }
        match connection.apply(&task).await {
            Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => return receipt,
            Outcome::Failed(failure) => task.reached = failure.reached,
        }
    }
    panic!("{} does not settle", task.key)
}

#[tokio::test]
async fn an_order_is_added_approved_and_read_back() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "verify: true\n");
    let receipt = done(connection.apply(&order("SO-1")).await);
    is_whole(&receipt, "SO-1", "verified");
    let stored = sandbox.u8_order("SO-1").unwrap();
    assert_eq!((stored.id.to_string(), stored.status.as_str()), (receipt.remote.id.clone(), "审核"));
    assert_eq!((stored.lines, stored.net, stored.tax), (2, decimal("388.54"), decimal("50.51")));
    let whole = sandbox.u8_document("saleorder", "SO-1").unwrap();
    assert_eq!(whole["header"]["memo"], "合同 <镕&基> \"9' é");
    assert_eq!(whole["header"]["define11"], "crm/contract/SO-1");
    assert_eq!(whole["entry"][0]["bgift"], "0");
    assert_eq!(connection.probe().await.unwrap(), "OpenAPI · saleorderlist: 1");
    // Once more: it is there, and stays one.
    assert_eq!(already(connection.apply(&order("SO-1")).await).remote, receipt.remote);
    assert_eq!(found(connection.lookup(&order("SO-1")).await).remote, receipt.remote);
    let (adds, verifies) = (count(&sandbox, ADD), count(&sandbox, VERIFY));
    done(connection.apply(&reached(&order("SO-1"), &receipt.remote)).await);
    assert_eq!((count(&sandbox, ADD), count(&sandbox, VERIFY)), (adds, verifies));
    assert_eq!(count(&sandbox, "token"), 1);
    stands(&sandbox, "SO-1");
}

#[tokio::test]
async fn each_first_answer_is_told_apart() {
    // At once, by the platform's habit and because it was asked for.
    let sandbox = stand_in(|config| config.u8_openapi.answers_at_once = true).await;
    is_whole(&done(connection(&sandbox, "").apply(&order("SO-1")).await), "SO-1", "added");
    assert_eq!(count(&sandbox, "result"), 0);
    let sandbox = stand_in(|config| config.u8_openapi.ping_after_s = 3).await;
    is_whole(&done(connection(&sandbox, "sync: true\n").apply(&order("SO-1")).await), "SO-1", "added");
    assert_eq!(count(&sandbox, "result"), 0);
    // Accepted: no success. A call that may not wait so long leaves it to look-ups.
    let hasty = connection(&sandbox, "wait_ms: 2999\n");
    let failure = failed(hasty.apply(&order("SO-2")).await);
    assert_eq!(failure.class, Class::Throttled(Some(Duration::from_secs(3))));
    assert_eq!(count(&sandbox, "result"), 0);
    let remote = failure.reached.unwrap();
    assert!(remote.step.starts_with("accepted:") && remote.step.len() <= 64, "{remote:?}");
    assert!(remote.id.starts_with("/u8open/result/"), "{remote:?}");
    is_whole(&found(hasty.lookup(&reached(&order("SO-2"), &remote)).await), "SO-2", "added");
    // Waited for, asked several times.
    let sandbox = stand_in(|config| config.u8_openapi.polls = 3).await;
    is_whole(&done(connection(&sandbox, "").apply(&order("SO-3")).await), "SO-3", "added");
    assert_eq!(count(&sandbox, "result"), 4);
    // Refused at once, and refused in the result.
    let mut unknown = order("SO-4");
    crate::kit::change(&mut unknown, |document| document["custcode"] = "NOBODY".into());
    for more in ["sync: true\n", ""] {
        let failure = failed(connection(&sandbox, more).apply(&unknown).await);
        assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
        assert!(failure.fault.message.zh.contains("key='SO-4';该客户不合法"), "{failure:?}");
    }
    // Neither: nothing is known.
    for body in ["{}", r#"{"errmsg":"","id":"SO-5"}"#] {
        sandbox.fault(once(ADD, answer(body)));
        assert_eq!(failed(connection(&sandbox, "").apply(&order("SO-5")).await).class, Class::Unknown);
    }
    // Yes without a document.
    sandbox.fault(once(ADD, Fault::NothingWritten));
    assert_eq!(failed(connection(&sandbox, "").apply(&order("SO-5")).await).class, Class::Unknown);
    assert_eq!(connection(&sandbox, "").lookup(&order("SO-5")).await, Lookup::Absent);
}

fn answer(body: &str) -> Fault {
    let content_type = "application/json".to_owned();
    Fault::Answer { status: 200, content_type, body: body.to_owned(), after_commit: false }
}

#[tokio::test]
async fn a_refusal_that_comes_late_is_told_once_and_can_be_replayed() {
    let sandbox = stand_in(|config| config.u8_openapi.polls = 1).await;
    let connection = connection(&sandbox, "");
    let mut task = order("SO-1");
    crate::kit::change(&mut task, |document| document["custcode"] = "LATE01".into());
    // The question about the result is lost: it was accepted, and how it ended is not known.
    sandbox.fault(once("result", Fault::LostBeforeCommit));
    let failure = failed(connection.apply(&task).await);
    assert_eq!(failure.class, Class::Unknown);
    let accepted = failure.reached.unwrap();
    assert_eq!(pending(connection.lookup(&reached(&task, &accepted)).await), accepted);
    assert_eq!(partial(connection.lookup(&reached(&task, &accepted)).await), accepted);
    let failure = failed(connection.apply(&reached(&task, &accepted)).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    let refused = failure.reached.unwrap();
    assert_eq!(refused.step, "refused");
    // Finance enters the customer and replays.
    sandbox.seed_customers([("LATE01".to_owned(), "迟到客户".to_owned())]);
    assert_eq!(connection.lookup(&reached(&task, &refused)).await, Lookup::Absent);
    is_whole(&settles(&connection, &task).await, "SO-1", "added");
    stands(&sandbox, "SO-1");
}

#[tokio::test]
async fn a_result_elsewhere_is_not_followed() {
    let other = stand_in(|_| ()).await;
    let url = other.url();
    let sandbox = stand_in(|config| config.u8_openapi.result_base = Some(url)).await;
    let connection = connection(&sandbox, "");
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    let remote = failure.reached.unwrap();
    assert_eq!((remote.id.as_str(), remote.number.as_str()), ("", "SO-1"));
    // It is known by its number all the same, by a look-up and by going on.
    is_whole(&found(connection.lookup(&reached(&order("SO-1"), &remote)).await), "SO-1", "added");
    is_whole(&done(connection.apply(&reached(&order("SO-1"), &remote)).await), "SO-1", "added");
    assert_eq!(other.calls().len(), 0);
    // Nor is one that was not ours to begin with.
    let forged = tongbao_connect::Remote { id: format!("//{}/x", &other.url()[7..]), ..remote };
    is_whole_or_told(&connection.lookup(&reached(&order("SO-1"), &forged)).await);
    assert_eq!(other.calls().len(), 0);
}

fn is_whole_or_told(lookup: &Lookup) {
    assert!(
        matches!(lookup, Lookup::CannotTell(failure) if failure.class == Class::Unavailable),
        "{lookup:?}"
    );
}

#[tokio::test]
async fn a_result_that_never_comes_is_settled_by_the_number() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "");
    sandbox.fault(once(ADD, Fault::TaskNeverEnds));
    let remote = failed(connection.apply(&order("SO-1")).await).reached.unwrap();
    assert_eq!(count(&sandbox, "result"), 20, "no more than the vendor's SDK");
    assert_eq!(pending(connection.lookup(&reached(&order("SO-1"), &remote)).await), remote);
    // The same add is answered "still executing" for as long as it takes.
    let again = failed(connection.apply(&order("SO-1")).await);
    assert!(
        matches!(again.class, Class::Throttled(_)) && again.fault.message.zh.contains("30025"),
        "{again:?}"
    );
    connection.advance(Duration::from_secs(601));
    is_whole(&found(connection.lookup(&reached(&order("SO-1"), &remote)).await), "SO-1", "added");
    // One the platform forgot: absent when its time is over, and sent again.
    sandbox.fault(once(ADD, Fault::TaskLost));
    let hasty = self::connection(&sandbox, "");
    assert_eq!(failed(hasty.apply(&order("SO-2")).await).class, Class::Unknown);
    is_whole(&settles(&hasty, &order("SO-2")).await, "SO-2", "added");
    stands(&sandbox, "SO-2");
}

#[tokio::test]
async fn an_import_that_runs_late_stands_once() {
    let sandbox = stand_in(|config| config.u8_openapi.run_ms = 60_000).await;
    let connection = connection(&sandbox, "wait_ms: 0\n");
    // The answer is lost, and U8 has yet to import: it is not there, and not free either.
    sandbox.fault(once(ADD, Fault::LostAnswerAfterCommit));
    assert_eq!(failed(connection.apply(&order("SO-1")).await).class, Class::Unknown);
    assert_eq!(connection.lookup(&order("SO-1")).await, Lookup::Absent);
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    let remote = failure.reached.unwrap();
    assert_eq!(pending(connection.lookup(&reached(&order("SO-1"), &remote)).await), remote);
    sandbox.advance_ms(60_000);
    is_whole(&found(connection.lookup(&reached(&order("SO-1"), &remote)).await), "SO-1", "added");
    stands(&sandbox, "SO-1");
}

#[tokio::test]
async fn lost_answers_are_asked_about() {
    for repeats_first in [false, true] {
        let sandbox = stand_in(|config| config.u8_openapi.repeats_first = repeats_first).await;
        let connection = connection(&sandbox, "verify: true\n");
        let faults = [
            Fault::LostBeforeCommit,
            Fault::LostAnswerAfterCommit,
            Fault::ResetMidBody,
            Fault::TruncatedJson,
            Fault::Garbage,
            Fault::RuntimeError { after_commit: true },
            Fault::RuntimeError { after_commit: false },
            Fault::Http { status: 502, retry_after: None, after_commit: true },
        ];
        for (index, operation) in [ADD, VERIFY].into_iter().enumerate() {
            for (number, fault) in faults.iter().enumerate() {
                let task = order(&format!("SO-{index}-{number}-{repeats_first}"));
                sandbox.fault(once(operation, fault.clone()));
                let failure = failed(connection.apply(&task).await);
                assert_eq!(failure.class, Class::Unknown, "{operation} {fault:?}: {failure:?}");
                // A process that died knows nothing of how far it came.
                is_whole(&settles(&connection, &task).await, &task.key, "verified");
                stands(&sandbox, &task.key);
            }
        }
        // Sent again without asking, as after a restored database: refused or answered with the first, one stands.
        sandbox.fault(once(ADD, Fault::DuplicateAccepted));
        is_whole(&success(connection.apply(&order("SO-2")).await), "SO-2", "verified");
        is_whole(&success(connection.apply(&order("SO-2")).await), "SO-2", "verified");
        stands(&sandbox, "SO-2");
    }
}

fn success(outcome: Outcome) -> Receipt {
    match outcome {
        Outcome::Done(receipt) | Outcome::AlreadyThere(receipt) => receipt,
        Outcome::Failed(failure) => panic!("{failure:?}"),
    }
}

#[tokio::test]
async fn the_approval_is_resumed() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "verify: true\n");
    sandbox.fault(once(VERIFY, Fault::AuditFails { message: String::new() }));
    let failure = failed(connection.apply(&order("SO-1")).await);
    assert_eq!(said(&failure), (Class::Rejected, Code::TargetRejected));
    assert!(failure.fault.message.zh.contains("信用额度"), "{failure:?}");
    let added = failure.reached.unwrap();
    assert_eq!(added.step, "added");
    assert_eq!(partial(connection.lookup(&order("SO-1")).await), added);
    is_whole(&done(connection.apply(&reached(&order("SO-1"), &added)).await), "SO-1", "verified");
    assert_eq!(count(&sandbox, ADD), 1);
    // Throttled on the way: how far it came is kept.
    sandbox.fault(once(VERIFY, Fault::Throttled { retry_after: None }));
    let failure = failed(connection.apply(&order("SO-2")).await);
    assert!(matches!(failure.class, Class::Throttled(_)), "{failure:?}");
    assert_eq!(failure.reached.as_ref().unwrap().step, "added");
    // Someone approves it meanwhile: U8 refuses to do it twice, and it is approved.
    let other = self::connection(&sandbox, "verify: true\n");
    done(other.apply(&reached(&order("SO-2"), failure.reached.as_ref().unwrap())).await);
    sandbox.fault(once(VERIFY, Fault::LostAnswerAfterCommit));
    assert_eq!(failed(connection.apply(&order("SO-3")).await).class, Class::Unknown);
    is_whole(&found(connection.lookup(&order("SO-3")).await), "SO-3", "verified");
    // Yes, and not approved: a workflow has it.
    sandbox.fault(once(VERIFY, Fault::AuditPending));
    let failure = failed(connection.apply(&order("SO-4")).await);
    assert!(matches!(failure.class, Class::Throttled(Some(_))), "{failure:?}");
    is_whole(&settles(&connection, &order("SO-4")).await, "SO-4", "verified");
    // Deleted after it was added: written again.
    let gone = tongbao_connect::Remote { id: "1".into(), number: "SO-5".into(), step: "added".into() };
    is_whole(&done(connection.apply(&reached(&order("SO-5"), &gone)).await), "SO-5", "verified");
}

#[tokio::test]
async fn a_look_up_tells_every_answer_apart() {
    let sandbox = stand_in(|_| ()).await;
    let (connection, approving) = (connection(&sandbox, ""), connection(&sandbox, "verify: true\n"));
    assert_eq!(connection.lookup(&order("SO-1")).await, Lookup::Absent);
    done(connection.apply(&order("SO-1")).await);
    is_whole(&found(connection.lookup(&order("SO-1")).await), "SO-1", "added");
    assert_eq!(partial(approving.lookup(&order("SO-1")).await).step, "added");
    let other = Task { origin: "crm2/contract/SO-1".into(), ..order("SO-1") };
    assert_eq!(said(&foreign(connection.lookup(&other).await)), (Class::Conflict, Code::NumberTaken));
    assert_eq!(said(&failed(connection.apply(&other).await)), (Class::Conflict, Code::NumberTaken));
    // The number of another in other letters is not ours, and U8 takes both for the same.
    assert_eq!(connection.lookup(&order("so-1")).await, Lookup::Absent);
    // Neither yes nor no.
    for fault in [
        Fault::Throttled { retry_after: None },
        Fault::NoPermission,
        Fault::RuntimeError { after_commit: false },
        Fault::LostBeforeCommit,
        answer(r#"{"errcode":"99999","errmsg":"?"}"#),
        answer(r#"{"page_index":1}"#),
    ] {
        for (operation, key) in [(GET, "SO-1"), ("saleorderlist/batch_get", "SO-2")] {
            sandbox.fault(once(operation, fault.clone()));
            let failure = cannot_tell(connection.lookup(&order(key)).await);
            assert_ne!(failure.class, Class::Unknown, "{operation} {fault:?}");
        }
    }
    // It lists the order and does not give it out.
    sandbox.fault(once(GET, answer(r#"{"errcode":"20005","errmsg":"没有找到"}"#)));
    assert_eq!(cannot_tell(connection.lookup(&order("SO-1")).await).class, Class::Unavailable);
}

#[tokio::test]
async fn a_list_is_read_to_its_end_or_proves_nothing() {
    let sandbox = stand_in(|config| config.u8.ignore_conditions = true).await;
    let connection = connection(&sandbox, "");
    for index in 0..5 {
        done(connection.apply(&order(&format!("SO-{index}"))).await);
    }
    // Filters are not honoured: every page is read, and ours is not among them.
    let narrow = self::connection(&sandbox, "rows_per_page: 2\n");
    let before = count(&sandbox, "saleorderlist/batch_get");
    assert_eq!(narrow.lookup(&order("SO-9")).await, Lookup::Absent);
    assert_eq!(count(&sandbox, "saleorderlist/batch_get") - before, 3);
    let bounded = self::connection(&sandbox, "rows_per_page: 2\npages_max: 2\n");
    let failure = cannot_tell(bounded.lookup(&order("SO-9")).await);
    assert_eq!((failure.class, failure.fault.field.as_deref()), (Class::Misconfigured, Some("pages_max")));
    // One without counts is at its end where a page is empty, and proves nothing where pages repeat.
    let list = "saleorderlist/batch_get";
    let page = |rows: &str| answer(&format!(r#"{{"errcode":"0","saleorderlist":[{rows}]}}"#));
    for rows in [r#"{"code":"SO-7"}"#, r#"{"code":"SO-8"}"#, ""] {
        sandbox.fault(once(list, page(rows)));
    }
    assert_eq!(connection.lookup(&order("SO-9")).await, Lookup::Absent);
    sandbox.fault(Rule::new(page(r#"{"code":"SO-7"}"#)).on(System::U8OpenApi, list).times(2));
    assert_eq!(cannot_tell(connection.lookup(&order("SO-9")).await).class, Class::Unavailable);
    // A list that states more than it gives is read again later.
    let body =
        r#"{"errcode":"0","errmsg":"","page_index":"1","row_count":"3","saleorderlist":[{"code":"SO-0"}]}"#;
    sandbox.fault(Rule::new(answer(body)).on(System::U8OpenApi, "saleorderlist/batch_get").times(2));
    assert_eq!(cannot_tell(connection.lookup(&order("SO-9")).await).class, Class::Unavailable);
}

#[tokio::test]
async fn both_doors_lead_to_the_same_documents() {
    let sandbox = stand_in(|_| ()).await;
    let (eai, open) = (yonyou_u8_eai::connection(&sandbox, ""), connection(&sandbox, ""));
    done(eai.apply(&order("SO-1")).await);
    is_whole(&found(open.lookup(&order("SO-1")).await), "SO-1", "added");
    is_whole(&already(open.apply(&order("SO-1")).await), "SO-1", "added");
    done(open.apply(&order("SO-2")).await);
    assert_eq!(already(eai.apply(&order("SO-2")).await).remote.number, "SO-2");
    assert_eq!(sandbox.u8_orders().len(), 2);
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end() {
    let sandbox = stand_in(|config| config.u8_openapi.token_life_s = 7_200).await;
    let connection = connection(&sandbox, "");
    done(connection.apply(&order("SO-1")).await);
    connection.advance(Duration::from_secs(6_890));
    found(connection.lookup(&order("SO-1")).await);
    assert_eq!(count(&sandbox, "token"), 1);
    connection.advance(Duration::from_secs(20));
    found(connection.lookup(&order("SO-1")).await);
    assert_eq!(count(&sandbox, "token"), 2);
    // Codes that only this site knows.
    let odd = r#"{"errcode":"4711","errmsg":"?"}"#;
    sandbox.fault(once(GET, answer(odd)));
    assert_eq!(cannot_tell(connection.lookup(&order("SO-1")).await).class, Class::Unavailable);
    let told = self::connection(&sandbox, "token_codes: ['4711']\n");
    sandbox.fault(once(GET, answer(odd)));
    found(told.lookup(&order("SO-1")).await);
    assert_eq!(count(&sandbox, "token"), 4);
    let told = self::connection(&sandbox, "quota_codes: ['4711']\n");
    sandbox.fault(once(GET, answer(odd)));
    assert!(matches!(cannot_tell(told.lookup(&order("SO-1")).await).class, Class::Throttled(_)));
    let told = self::connection(&sandbox, "permission_codes: ['4711']\n");
    sandbox.fault(once(GET, answer(odd)));
    assert_eq!(cannot_tell(told.lookup(&order("SO-1")).await).class, Class::Unauthorized);
}

#[tokio::test]
async fn a_trade_id_is_fetched_for_each_add() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "key_by: tradeid\n");
    is_whole(&done(connection.apply(&order("SO-1")).await), "SO-1", "added");
    is_whole(&already(connection.apply(&order("SO-1")).await), "SO-1", "added");
    assert_eq!(count(&sandbox, "tradeid"), 2);
    // None was given: nothing was sent.
    let error = answer(r#"{"errcode":"10001","errmsg":"平台错误"}"#);
    for fault in [error, Fault::LostBeforeCommit, answer("{}")] {
        sandbox.fault(once("tradeid", fault));
        assert_eq!(failed(connection.apply(&order("SO-2")).await).class, Class::Unavailable);
    }
    assert_eq!(count(&sandbox, ADD), 2);
    sandbox.fault(once(ADD, Fault::LostAnswerAfterCommit));
    assert_eq!(failed(connection.apply(&order("SO-2")).await).class, Class::Unknown);
    is_whole(&settles(&connection, &order("SO-2")).await, "SO-2", "added");
    stands(&sandbox, "SO-2");
}

#[tokio::test]
async fn numbers_that_u8_gives_are_found_by_the_stamp() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "u8_numbers: true\nverify: true\n");
    done(connection.apply(&order("HT-0")).await);
    assert_eq!(connection.lookup(&order("HT-1")).await, Lookup::Absent);
    sandbox.fault(once(ADD, Fault::LostAnswerAfterCommit));
    assert_eq!(failed(connection.apply(&order("HT-1")).await).class, Class::Unknown);
    let added = partial(connection.lookup(&order("HT-1")).await);
    assert!(added.number != "HT-1" && !added.number.is_empty(), "{added:?}");
    let receipt = done(connection.apply(&reached(&order("HT-1"), &added)).await);
    is_whole(&receipt, &added.number, "verified");
    is_whole(
        &found(connection.lookup(&reached(&order("HT-1"), &receipt.remote)).await),
        &added.number,
        "verified",
    );
    is_whole(&found(connection.lookup(&order("HT-1")).await), &added.number, "verified");
    assert_eq!(sandbox.u8_orders().len(), 2);
    // Accepted and never heard of again: another would stand beside it, so a person decides.
    sandbox.fault(once(ADD, Fault::TaskLost));
    let hasty = self::connection(&sandbox, "u8_numbers: true\nwait_ms: 0\n");
    drop(hasty.apply(&order("HT-2")).await);
    let lost = tongbao_connect::Remote { step: "accepted:1".into(), ..tongbao_connect::Remote::default() };
    assert_eq!(cannot_tell(hasty.lookup(&reached(&order("HT-2"), &lost)).await).class, Class::Conflict);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let base = "base_url: http://127.0.0.1:1/\nfrom_account: a\nto_account: b\napp_key: c\napp_secret: { env: CRM_SECRET }\n";
    for more in ["key_by: uuid", "poll_since: last year", "rows_per_page: 0", "pages_max: 0"] {
        assert_eq!(wrong("yonyou-u8-openapi", &format!("{base}{more}")), ["config-value"], "{more}");
    }
    assert_eq!(wrong("yonyou-u8-openapi", &format!("{base}charset: gbk")), ["config-unknown-key"]);
    assert_eq!(wrong("yonyou-u8-openapi", &base.replace("app_key: c\n", "")), ["config-missing"]);
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    let sandbox = stand_in(|_| ()).await;
    let connection = connection(&sandbox, "code_length: 10\n");
    let failure = failed(connection.apply(&order("SO-20261120-0001")).await);
    assert_eq!(failure.fault.code, Code::FieldTooLong);
    let other = task("customer", "C-1", serde_json::json!({}), "0");
    assert_eq!(failed(connection.apply(&other).await).class, Class::Misconfigured);
    assert_eq!(cannot_tell(connection.lookup(&other).await).class, Class::Misconfigured);
    assert_eq!(count(&sandbox, ADD), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_under_random_faults_stand_once_each() {
    let sandbox = stand_in(|config| config.u8_openapi.polls = 1).await;
    let faults = [
        Fault::LostBeforeCommit,
        Fault::LostAnswerAfterCommit,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::RuntimeError { after_commit: true },
        Fault::DuplicateAccepted,
        Fault::Throttled { retry_after: None },
        Fault::SessionDropped,
        Fault::NothingWritten,
        Fault::TaskLost,
        Fault::Http { status: 504, retry_after: None, after_commit: true },
    ];
    for fault in faults {
        for operation in [ADD, VERIFY, GET, "result", "saleorderlist/batch_get"] {
            sandbox.fault(Rule::new(fault.clone()).on(System::U8OpenApi, operation).per_million(25_000));
        }
    }
    let connection = std::sync::Arc::new(connection(&sandbox, "verify: true\nwrites_at_once: 8\n"));
    let runs = (0..120).map(|index| {
        let connection = std::sync::Arc::clone(&connection);
        tokio::spawn(async move {
            let task = order(&format!("SO-{index:03}"));
            for _ in 0..40 {
                let mut now = task.clone();
                match connection.lookup(&now).await {
                    Lookup::Found(receipt) => return is_whole(&receipt, &task.key, "verified"),
                    Lookup::Partial(remote) => now.reached = Some(remote),
                    Lookup::Absent => {}
                    // Two fresh tokens in a row that chance refuses hold all others back for a while.
                    Lookup::Pending(_) | Lookup::CannotTell(_) => {
                        connection.advance(Duration::from_secs(60));
                        continue;
                    }
                    Lookup::Foreign(failure) | Lookup::NobodyToAsk(failure) => panic!("{failure:?}"),
                }
                drop(connection.apply(&now).await);
            }
            panic!("{} does not settle", task.key)
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    assert!(sandbox.faults_injected().values().sum::<u64>() > 100, "{:?}", sandbox.faults_injected());
    assert_eq!(sandbox.u8_orders().len(), 120);
    for index in 0..120 {
        let key = format!("SO-{index:03}");
        stands(&sandbox, &key);
        assert_eq!(sandbox.u8_order(&key).unwrap().status, "审核");
    }
}
