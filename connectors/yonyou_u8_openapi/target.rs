//! Orders out: added at once or in the background, approved where the settings say so, read back by their number.

use super::client::OpenClient;
use super::documents::ORDER;
use super::reply::{Refusal, Stage};
use super::wire::{self, Marks, NUMBER, text};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tongbao_connect::{Failure, Lookup, Outcome, Receipt, Remote, Target, Task};
use tongbao_model::{Class, Code, Fault};

/// Steps in `Remote::step`: `accepted:<ms>` (`id`: where the result will be), `refused`, `added`, `verified`.
const ACCEPTED: &str = "accepted:";
const REFUSED: &str = "refused";
const ADDED: &str = "added";
const VERIFIED: &str = "verified";

/// Times a result is asked for within one call; the vendor's SDK gives up after as many.
const POLLS_MAX: u32 = 20;

/// Orders of one customer and day that are looked into where the list does not show the stamp.
const CANDIDATES_MAX: usize = 50;

/// Writes orders.
pub struct Orders {
    client: Arc<OpenClient>,
}

/// What stands under a key.
enum Found {
    Nothing,
    /// Ours; `true`: no step is missing.
    Ours(Receipt, bool),
    Theirs(Failure),
}

impl Orders {
    pub fn new(client: Arc<OpenClient>) -> Self {
        Orders { client }
    }

    fn stamp(&self, task: &Task) -> String {
        wire::stamp(&task.origin, usize::try_from(self.client.settings.stamp_bytes).unwrap_or(120))
    }

    /// The number to ask for: ours, or the one that U8 is known to have given.
    fn number<'a>(&self, task: &'a Task) -> Option<&'a str> {
        if !self.client.settings.u8_numbers {
            return Some(&task.key);
        }
        let known = task.reached.as_ref().filter(|remote| matches!(remote.step.as_str(), ADDED | VERIFIED));
        known.map(|remote| remote.number.as_str()).filter(|number| !number.is_empty())
    }

    /// Asks by the number, and where U8 gives nothing for it, in the list.
    async fn find(&self, task: &Task, number: Option<&str>) -> Result<Found, Failure> {
        if let Some(number) = number
            && let Some(order) = self.client.get(ORDER, number).await?
            && text(&order, NUMBER) == number
        {
            return Ok(self.judge(task, &order));
        }
        let document = task.document.members();
        let day: String = text(&document, "date").chars().take(10).collect();
        let mut filters = vec![("custcode", text(&document, "custcode"))];
        if !day.is_empty() {
            filters.extend(self.client.days(day.clone(), Some(day)));
        }
        let rows = self.client.list("saleorderlist", &filters).await?;
        if self.client.settings.u8_numbers {
            return self.stamped(task, &rows, &document).await;
        }
        match rows.iter().filter(|row| text(row, NUMBER) == task.key).count() {
            0 => Ok(Found::Nothing),
            1 => Err(Failure::new(Fault::new(
                Code::TargetUnavailable,
                format!("U8 清单中有 {}，但取不到该单据", task.key),
                format!("U8 lists {} and does not give it out", task.key),
            ))),
            many => Ok(Found::Theirs(taken(&task.key, many))),
        }
    }

    /// The order with our stamp among rows of a list that may or may not show stamps.
    async fn stamped(
        &self,
        task: &Task,
        rows: &[Map<String, Value>],
        document: &Map<String, Value>,
    ) -> Result<Found, Failure> {
        let (field, stamp) = (&self.client.settings.stamp_field, self.stamp(task));
        let customer = text(document, "custcode");
        let of_customer = |row: &&Map<String, Value>| text(row, "custcode") == customer;
        let rows: Vec<_> = rows.iter().filter(of_customer).collect();
        let shows = rows.iter().any(|row| row.contains_key(field));
        let likely = rows.iter().filter(|row| !shows || text(row, field) == stamp);
        let numbers: Vec<String> = likely.map(|row| text(row, NUMBER)).collect();
        if numbers.len() > CANDIDATES_MAX {
            let fault = Fault::new(
                Code::TargetMisconfigured,
                "清单不显示标记，同客户同日订单过多，无法确认",
                "the list shows no stamps, and the customer has too many orders of that day to look into",
            );
            return Err(Failure::new(fault.at("u8_numbers")));
        }
        let mut ours = Vec::new();
        for number in numbers {
            let order = self.client.get(ORDER, &number).await?;
            ours.extend(order.filter(|order| text(order, field) == stamp));
        }
        match ours.as_slice() {
            [] => Ok(Found::Nothing),
            [one] => Ok(self.judge(task, one)),
            many => Ok(Found::Theirs(taken(&stamp, many.len()))),
        }
    }

    fn judge(&self, task: &Task, order: &Map<String, Value>) -> Found {
        let settings = &self.client.settings;
        if text(order, &settings.stamp_field) != self.stamp(task) {
            return Found::Theirs(taken(&task.key, 1));
        }
        // Empty members are left out: an order that nobody approved names no `verifier`.
        let is_verified = !text(order, "verifier").is_empty();
        let step = if is_verified { VERIFIED } else { ADDED };
        let remote = Remote { id: text(order, "id"), number: text(order, NUMBER), step: step.into() };
        let currency = Some(text(order, "currency")).filter(|currency| !currency.is_empty());
        let facts = json!({"id": remote.id, "number": remote.number, "status": remote.step});
        let receipt = Receipt { remote, total_tax_included: wire::total(order, "sum"), currency, facts };
        Found::Ours(receipt, is_verified || !settings.verify)
    }

    async fn add(&self, task: &Task) -> Result<Outcome, Failure> {
        let settings = &self.client.settings;
        let number = (!settings.u8_numbers).then_some(task.key.as_str());
        let max = usize::try_from(settings.code_length).unwrap_or(usize::MAX);
        if number.is_some_and(|number| number.chars().count() > max) {
            let fault = Fault::new(
                Code::FieldTooLong,
                format!("编号超过 {max} 个字符，U8 会截断或拒绝"),
                format!("the number has more than {max} characters: U8 would cut it off or refuse it"),
            );
            return Err(Failure::new(fault.at(NUMBER).value(&task.key)));
        }
        let stamp = self.stamp(task);
        let marks =
            Marks { number, stamp: (&settings.stamp_field, &stamp), as_text: settings.values_as_text };
        let body = wire::order(&task.document.value(), marks).map_err(Failure::new)?;
        let stage = self.client.add(&task.key, body).await?;
        let accepted = self.accepted(task, &stage).await;
        self.follow(task, stage, accepted).await
    }

    /// What is kept of an accepted document: when, and where its result will be.
    async fn accepted(&self, task: &Task, stage: &Stage) -> Remote {
        let place = match stage {
            Stage::Running { url: Some(url), .. } => self.client.place(url).await,
            Stage::Running { url: None, .. } | Stage::Done(_) | Stage::Refused(_) => None,
        };
        let number = if self.client.settings.u8_numbers { String::new() } else { task.key.clone() };
        let step = format!("{ACCEPTED}{}", self.client.context.now_ms());
        Remote { id: place.unwrap_or_default(), number, step }
    }

    /// From any first answer to an outcome. A document that is accepted is waited for as long as the settings say.
    async fn follow(&self, task: &Task, first: Stage, accepted: Remote) -> Result<Outcome, Failure> {
        let end = Instant::now() + Duration::from_millis(self.client.settings.wait_ms);
        let mut stage = first;
        for _ in 0..POLLS_MAX {
            let pause = match stage {
                Stage::Done(number) => return self.added(task, &number).await,
                Stage::Refused(refusal) => return self.refused(task, refusal, accepted).await,
                Stage::Running { ping_after_s, .. } => Duration::from_secs(ping_after_s.min(3_600)),
            };
            if accepted.id.is_empty() || Instant::now() + pause > end {
                return Err(running(accepted, pause));
            }
            sleep(pause).await;
            // It was accepted: whatever keeps us from hearing of it, it is asked about again.
            stage = self
                .client
                .result(&accepted.id)
                .await
                .map_err(|failure| failure.class(Class::Unknown).reached(accepted.clone()))?;
        }
        Err(running(accepted, Duration::from_secs(3)))
    }

    /// The platform says it stands: believed when it is found.
    async fn added(&self, task: &Task, number: &str) -> Result<Outcome, Failure> {
        let own = self.number(task);
        let asked = own.or(Some(number).filter(|number| !number.is_empty()));
        let known =
            Remote { id: String::new(), number: asked.unwrap_or_default().into(), step: ADDED.into() };
        let found = self.find(task, asked).await.map_err(|failure| {
            // Added for all we know; what failed is the question about it.
            failure.class(Class::Unknown).reached(known.clone())
        })?;
        match found {
            Found::Ours(receipt, whole) => self.finish(task, receipt, whole, true).await,
            Found::Theirs(failure) => Err(failure),
            Found::Nothing => Err(Failure::new(Fault::new(
                Code::OutcomeUnknown,
                "U8 称写入成功，但查询不到本单",
                "U8 says the order stands, and it is not found",
            ))),
        }
    }

    /// Texts for "number taken" are not published. What stands under the number decides, not the wording.
    async fn refused(&self, task: &Task, refusal: Refusal, accepted: Remote) -> Result<Outcome, Failure> {
        if refusal.is_running {
            return Err(refusal.failure().reached(accepted));
        }
        if !refusal.is_of_content() {
            return Err(refusal.failure());
        }
        match self.find(task, self.number(task)).await? {
            Found::Ours(receipt, whole) => self.finish(task, receipt, whole, false).await,
            Found::Theirs(failure) => Err(failure),
            Found::Nothing => Err(refusal.failure().reached(Remote { step: REFUSED.into(), ..accepted })),
        }
    }

    /// The step that is missing, if one is.
    async fn finish(
        &self,
        task: &Task,
        receipt: Receipt,
        whole: bool,
        fresh: bool,
    ) -> Result<Outcome, Failure> {
        if whole {
            return Ok(if fresh { Outcome::Done(receipt) } else { Outcome::AlreadyThere(receipt) });
        }
        let (number, reached) = (receipt.remote.number.clone(), receipt.remote);
        let said = self.client.verify(&number).await.map_err(|failure| failure.reached(reached.clone()))?;
        // One who approved it before us is refused too: what stands there decides.
        let refusal = said.err();
        if let Some(refusal) = refusal.clone().filter(|refusal| !refusal.is_of_content()) {
            return Err(refusal.failure().reached(reached));
        }
        let found = self.find(task, Some(&number)).await.map_err(|failure| {
            let failure = if refusal.is_none() { failure.class(Class::Unknown) } else { failure };
            failure.reached(reached.clone())
        })?;
        match (found, refusal) {
            (Found::Ours(receipt, true), _) => Ok(Outcome::Done(receipt)),
            (_, Some(refusal)) => Err(refusal.failure().reached(reached)),
            (Found::Ours(_, false), None) => Err(running(reached, Duration::from_secs(60))),
            (Found::Theirs(failure), None) => Err(failure),
            (Found::Nothing, None) => Err(Failure::new(Fault::new(
                Code::OutcomeUnknown,
                "审核后查询不到本单",
                "the order is not found after it was approved",
            ))
            .reached(reached)),
        }
    }

    /// Goes on with a document that was accepted earlier.
    async fn resume(&self, task: &Task, remote: &Remote) -> Result<Outcome, Failure> {
        if !remote.id.is_empty() {
            let stage = self.client.result(&remote.id).await;
            let stage = stage.map_err(|failure| failure.class(Class::Unknown).reached(remote.clone()))?;
            return self.follow(task, stage, remote.clone()).await;
        }
        match self.find(task, self.number(task)).await? {
            Found::Ours(receipt, whole) => self.finish(task, receipt, whole, true).await,
            Found::Theirs(failure) => Err(failure),
            Found::Nothing if self.is_young(remote) => Err(running(remote.clone(), Duration::from_secs(3))),
            Found::Nothing => self.add(task).await,
        }
    }

    async fn run(&self, task: &Task) -> Result<Outcome, Failure> {
        if task.kind != ORDER {
            return Err(unknown_kind(&task.kind));
        }
        match &task.reached {
            Some(remote) if remote.step.starts_with(ACCEPTED) => self.resume(task, remote).await,
            Some(remote) if matches!(remote.step.as_str(), ADDED | VERIFIED) => {
                match self.find(task, self.number(task)).await? {
                    Found::Ours(receipt, whole) => self.finish(task, receipt, whole, true).await,
                    Found::Theirs(failure) => Err(failure),
                    // Deleted since, or never written.
                    Found::Nothing => self.add(task).await,
                }
            }
            Some(_) | None => self.add(task).await,
        }
    }

    fn is_young(&self, remote: &Remote) -> bool {
        let since = remote.step.strip_prefix(ACCEPTED).and_then(|at| at.parse::<i64>().ok());
        let grace_ms = i64::try_from(self.client.settings.grace_s).unwrap_or(600).saturating_mul(1000);
        since.is_some_and(|at| self.client.context.now_ms() < at.saturating_add(grace_ms))
    }

    async fn ask(&self, task: &Task) -> Result<Lookup, Failure> {
        if task.kind != ORDER {
            return Err(unknown_kind(&task.kind));
        }
        let accepted = task.reached.as_ref().filter(|remote| remote.step.starts_with(ACCEPTED));
        let mut number = self.number(task).map(str::to_owned);
        let mut is_refused = false;
        if let Some(remote) = accepted.filter(|remote| !remote.id.is_empty()) {
            match self.client.result(&remote.id).await? {
                Stage::Running { .. } if self.is_young(remote) => return Ok(Lookup::Pending(remote.clone())),
                Stage::Running { .. } => {}
                Stage::Done(given) => number = number.or(Some(given)).filter(|number| !number.is_empty()),
                Stage::Refused(refusal) => is_refused = refusal.is_of_content(),
            }
        }
        let found = match (self.find(task, number.as_deref()).await?, accepted) {
            (Found::Ours(receipt, true), _) => Lookup::Found(receipt),
            (Found::Ours(receipt, false), _) => Lookup::Partial(receipt.remote),
            (Found::Theirs(failure), _) => Lookup::Foreign(failure),
            // The refusal is told by the next `apply`, which reads it again.
            (Found::Nothing, Some(remote)) if is_refused => Lookup::Partial(remote.clone()),
            (Found::Nothing, Some(remote)) if self.is_young(remote) => Lookup::Pending(remote.clone()),
            // A number of ours keeps a late one from standing beside another; U8's own does not.
            (Found::Nothing, Some(_)) if self.client.settings.u8_numbers => {
                return Err(Failure::new(Fault::new(
                    Code::OutcomeUnknown,
                    "U8 已受理但迟迟没有结果，请人工核对后重放",
                    "U8 accepted it and names no result: see for yourself, then replay",
                ))
                .class(Class::Conflict));
            }
            (Found::Nothing, _) => Lookup::Absent,
        };
        Ok(found)
    }
}

#[async_trait]
impl Target for Orders {
    /// Numbers of orders are unique; where U8 gives them, nothing is.
    fn refuses_twice(&self) -> bool {
        !self.client.settings.u8_numbers
    }

    async fn apply(&self, task: &Task) -> Outcome {
        self.run(task).await.unwrap_or_else(Outcome::Failed)
    }

    async fn lookup(&self, task: &Task) -> Lookup {
        self.ask(task).await.unwrap_or_else(|failure| {
            // How far it came is not forgotten by a question without an answer.
            let reached = failure.reached.clone().or_else(|| task.reached.clone());
            Lookup::CannotTell(Failure { reached, ..failure })
        })
    }

    async fn probe(&self) -> Result<String, Failure> {
        let answer = self.client.page("saleorderlist", &[], 1, 1).await?;
        Ok(format!("OpenAPI · saleorderlist: {}", text(&answer, "row_count")))
    }
}

fn unknown_kind(kind: &str) -> Failure {
    Failure::new(Fault::new(
        Code::TargetMisconfigured,
        format!("U8 开放平台连接器不写 {kind}"),
        format!("this connector does not write {kind}"),
    ))
}

fn taken(number: &str, count: usize) -> Failure {
    let fault = if count > 1 {
        Fault::new(
            Code::NumberTaken,
            format!("U8 中有 {count} 张 {number}"),
            format!("U8 holds {count} orders {number}"),
        )
    } else {
        Fault::new(
            Code::NumberTaken,
            format!("U8 中已有编号为 {number} 的订单，且没有我们的标记"),
            format!("U8 holds an order numbered {number} without our stamp"),
        )
    };
    Failure::new(fault.at(NUMBER).value(number))
}

/// Still at work there.
fn running(remote: Remote, pause: Duration) -> Failure {
    let fault = Fault::new(
        Code::TargetThrottled,
        "U8 已受理，尚未完成，稍后查询",
        "U8 accepted the order and is still at it; asked again soon",
    );
    let pause = pause.max(Duration::from_secs(1));
    Failure::new(fault).class(Class::Throttled(Some(pause))).reached(remote)
}
