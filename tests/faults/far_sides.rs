//! The systems at the other end down, crowded, slow, or talking nonsense: no document is lost or sent twice,
//! and what waits goes on by itself.

use super::databases::{SOME, ends_as_undisturbed};
use super::documents::Batch;
use super::process::{Household, Life};
use crate::Case;
use crate::proxy::{Mode, Proxy};
use crate::world::until;
use tongbao_sandbox::{Fault, Rule, System};

/// The cases.
pub fn cases() -> Vec<(String, Case)> {
    let case = |name: &str, case: Case| (format!("far_side::{name}"), case);
    vec![
        case("erp_down_for_long", Box::new(|| Box::pin(erp_down_for_long()))),
        case("erp_hangs", Box::new(|| Box::pin(erp_hangs()))),
        case("all_are_crowded", Box::new(|| Box::pin(all_are_crowded()))),
        case("answers_drip", Box::new(|| Box::pin(answers_drip()))),
        case("half_a_body", Box::new(|| Box::pin(half_a_body()))),
        case("garbage", Box::new(|| Box::pin(garbage()))),
    ]
}

/// Calls that send documents, by system.
const CALLS: &[(System, &str)] = &[
    (System::Kingdee, "Save"),
    (System::Kingdee, "Submit"),
    (System::Kingdee, "Audit"),
    (System::Kingdee, "View"),
    (System::Kingdee, "ExecuteBillQuery"),
    (System::Nuonuo, "requestBillingNew"),
    (System::Nuonuo, "queryInvoiceResult"),
    (System::Crm, "PATCH contracts"),
    (System::Crm, "PATCH opportunities"),
    (System::Crm, "PUT commissions"),
];

async fn serving(name: &str) -> (Household, Life) {
    let household = Household::over(name, None, None).await;
    let mut life = household.start(None);
    life.ready(&household).await;
    (household, life)
}

/// The ERP behind a proxy; the service is not started yet.
pub async fn behind_a_proxy(name: &str) -> (Household, Proxy) {
    let household = Household::over(name, None, None).await;
    let sandbox = household.sandbox.url();
    let port: u16 = sandbox.rsplit_once(':').unwrap().1.parse().unwrap();
    let proxy = Proxy::start(port).await;
    let through = format!("http://127.0.0.1:{}/k3cloud", proxy.port());
    household.rewrite(&[(&format!("{sandbox}/k3cloud"), &through)]);
    (household, proxy)
}

/// Runs a batch while each of these calls goes wrong so often, of a million.
async fn under(name: &str, faults: &[(System, &str, Fault)], per_million: u32) {
    let (mut household, life) = serving(name).await;
    for (system, operation, fault) in faults {
        household.sandbox.fault(Rule::new(fault.clone()).on(*system, operation).per_million(per_million));
    }
    ends_as_undisturbed(&mut household, life, &mut Batch::new("F1", SOME), SOME).await;
    let injected = household.sandbox.faults_injected();
    println!("{name}: {injected:?}");
    for (_, _, fault) in faults {
        assert!(
            injected.get(fault.kind()).is_some_and(|count| *count > 10),
            "{}: {injected:?}",
            fault.kind()
        );
    }
}

/// Retries and the circuit's cool-down are a thousand times as quick as in earnest, so seconds stand for an
/// hour. What goes elsewhere does not wait.
async fn erp_down_for_long() {
    let (mut household, proxy) = behind_a_proxy("erp down").await;
    proxy.set(Mode::Refuse);
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("E1", SOME);
    batch.flood(&household.sender, &household.sandbox, 4).await;
    let issued = |household: &Household| {
        household.sandbox.invoices().iter().filter(|invoice| invoice.number.is_some()).count()
    };
    until("all invoices are issued", async || issued(&household) == SOME).await;
    let tried = proxy.connections();
    until("the ERP was tried again and again", async || proxy.connections() > tried + 20).await;
    assert!(household.sandbox.orders().is_empty());
    proxy.set(Mode::Pass);
    until("work is under way", async || household.sandbox.orders().len() > 3).await;
    // Once more, in the middle of calls.
    proxy.set(Mode::Refuse);
    proxy.cut();
    let tried = proxy.connections();
    until("it was tried again", async || proxy.connections() > tried + 5).await;
    proxy.set(Mode::Pass);
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

/// Calls under way get no answer within their time; what they did is looked up.
async fn erp_hangs() {
    let (mut household, proxy) = behind_a_proxy("erp hangs").await;
    let mut life = household.start(None);
    life.ready(&household).await;
    let mut batch = Batch::new("E2", SOME);
    batch.flood(&household.sender, &household.sandbox, 4).await;
    until("work is under way", async || household.sandbox.orders().len() > 3).await;
    proxy.set(Mode::Stall);
    until("calls were given up", async || {
        let waiting = household.get("/api/deliveries?state=waiting&target=erp").await.unwrap();
        waiting["deliveries"].as_array().unwrap().iter().any(|one| one["fault"]["code"] == "outcome-unknown")
    })
    .await;
    proxy.set(Mode::Pass);
    ends_as_undisturbed(&mut household, life, &mut batch, SOME).await;
}

async fn all_are_crowded() {
    let faults: Vec<_> = CALLS
        .iter()
        .map(|(system, call)| {
            // Only the CRM's protocol says for how long.
            let retry_after = (*system == System::Crm).then_some(1);
            (*system, *call, Fault::Throttled { retry_after })
        })
        .collect();
    under("all are crowded", &faults, 300_000).await;
}

async fn answers_drip() {
    let mut faults: Vec<_> =
        CALLS.iter().map(|(system, call)| (*system, *call, Fault::Drip { ms: 10 })).collect();
    // Some so slowly that the call is given up in the middle of the answer.
    let (mut household, life) = serving("answers drip").await;
    for (system, call) in CALLS.iter().filter(|(system, _)| *system != System::Crm) {
        household.sandbox.fault(Rule::new(Fault::Drip { ms: 200 }).on(*system, call).times(2));
    }
    for (system, call, fault) in faults.drain(..) {
        household.sandbox.fault(Rule::new(fault).on(system, call).per_million(300_000));
    }
    ends_as_undisturbed(&mut household, life, &mut Batch::new("F2", SOME), SOME).await;
    let injected = household.sandbox.faults_injected();
    assert!(injected["drip"] > 30, "{injected:?}");
}

async fn half_a_body() {
    let mut faults: Vec<_> =
        CALLS.iter().map(|(system, call)| (*system, *call, Fault::ResetMidBody)).collect();
    faults.extend(CALLS.iter().map(|(system, call)| (*system, *call, Fault::TruncatedJson)));
    under("half a body", &faults, 150_000).await;
}

async fn garbage() {
    let faults: Vec<_> = CALLS.iter().map(|(system, call)| (*system, *call, Fault::Garbage)).collect();
    under("garbage", &faults, 250_000).await;
}
