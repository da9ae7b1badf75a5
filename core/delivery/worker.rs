//! From the broker to the handler: one delivery, one attempt, one outcome.

use crate::broker::{Message, Received};
use crate::engine::{Shared, Stop};
use crate::failpoints::failpoint;
use crate::fnv;
use crate::handler::Report;
use crate::observer::Stage;
use crate::policy::{Moment, decide};
use crate::port::{Begin, Finish, Finished, Next, StoreError, Work};
use crate::relay::Pause;
use crate::settings::{LEASE_MARGIN_MS, TargetSettings};
use crate::slots::{Slots, Way};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tongbao_model::{Class, Code, Fault};
use tracing::Instrument;

/// How long a message rests that cannot be begun because the store fails.
const STORE_REST: Duration = Duration::from_millis(500);
/// How long a message rests whose delivery the store cannot read: it will not get better by itself soon.
const CORRUPT_REST_MS: i64 = 60_000;

/// Takes and works on a target's messages until told to stop; then waits for the calls under way.
pub(crate) async fn run_worker(shared: Arc<Shared>, target: TargetSettings, stop: Stop) {
    let Some(circuit) = shared.circuits.get(&target.name).cloned() else { return };
    let target = Arc::new(target);
    let places = Arc::new(Semaphore::new(Slots::places(&target)));
    let slots = Slots::new(&target, circuit.clone(), stop.clone());
    let mut calls = JoinSet::new();
    let mut pause = Pause::new();
    shared.let_relays_begin(&stop).await;
    'subscribed: loop {
        // Nothing is taken while the connection is paused; without a subscription, the broker keeps it all.
        tokio::select! {
            biased;
            () = stop.told() => break,
            () = shared.holds.when(&target.name, false) => {}
        }
        // A broker that has gone silent may take its time.
        let subscribed = tokio::select! {
            biased;
            () = stop.told() => break,
            subscribed = shared.broker.subscribe(&target.name) => subscribed,
        };
        let mut messages = match subscribed {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(target_name = target.name, %error, "cannot subscribe");
                if stop.within(pause.longer()).await {
                    break;
                }
                continue;
            }
        };
        loop {
            // Place and circuit first: a message that is taken and then waits would be withheld from other
            // processes' workers.
            let take = async {
                let place = places.clone().acquire_owned().await.ok()?;
                let way =
                    Way { early: slots.early().await, pass: circuit.pass().await, slots: slots.clone() };
                let received = messages.next().await?;
                Some((place, way, received))
            };
            tokio::select! {
                biased;
                () = stop.told() => break 'subscribed,
                () = shared.holds.when(&target.name, true) => continue 'subscribed,
                taken = take => match taken {
                    Some((place, way, received)) => {
                        pause.reset();
                        let (shared, target) = (shared.clone(), target.clone());
                        calls.spawn(async move {
                            one(&shared, &target, way, received).await;
                            drop(place);
                        });
                    }
                    None => continue 'subscribed,
                },
            }
            while calls.try_join_next().is_some() {}
        }
    }
    while calls.join_next().await.is_some() {}
}

/// One message from begin to settling.
async fn one(shared: &Shared, target: &TargetSettings, way: Way, received: Received) {
    let now_ms = shared.clock.now_ms();
    let Message { delivery, not_before_ms, .. } = received.message.clone();
    if not_before_ms > now_ms {
        return received.requeue(not_before_ms).await;
    }
    let lease_until_ms = now_ms.saturating_add(i64::from(target.lease_ms));
    let asked = Instant::now();
    let begun = shared.store.begin(&delivery, &shared.worker_name, lease_until_ms, now_ms).await;
    shared.observer.stage(Stage::Begin, asked.elapsed());
    match begun {
        Ok(Begin::Run(work)) => {
            let span = tracing::info_span!(
                "attempt",
                delivery = work.delivery.id,
                target_name = target.name,
                attempt = work.attempt
            );
            attempt(shared, target, way, received, *work, lease_until_ms).instrument(span).await;
        }
        Ok(Begin::Behind | Begin::Settled) => received.ack().await,
        Ok(Begin::NotDue(at_ms)) => received.requeue(at_ms).await,
        Ok(Begin::Leased(until_ms)) => received.requeue(until_ms).await,
        Err(StoreError::Unavailable(reason)) => {
            shared.observer.store_failed();
            tracing::warn!(delivery, reason, "cannot begin; the message waits");
            // The place is held meanwhile, so that a dead database is not asked in a loop.
            tokio::time::sleep(STORE_REST).await;
            received.requeue(shared.clock.now_ms()).await;
        }
        Err(error @ (StoreError::Corrupt(_) | StoreError::Invalid(_))) => {
            shared.observer.store_failed();
            tracing::error!(delivery, %error, "cannot begin; the message waits");
            received.requeue(now_ms.saturating_add(CORRUPT_REST_MS)).await;
        }
    }
}

/// How long a call may take of a lease: its outcome is stored in the rest. `None` when too little is left for a call.
fn call_limit(target: &TargetSettings, lease_until_ms: i64, now_ms: i64) -> Option<Duration> {
    let left = u32::try_from(lease_until_ms.saturating_sub(now_ms).max(0)).unwrap_or(u32::MAX);
    let left = left.checked_sub(LEASE_MARGIN_MS).filter(|left| *left > 0)?;
    Some(Duration::from_millis(u64::from(target.call_timeout_ms.min(left))))
}

/// A begun attempt: a slot, the call, its outcome.
async fn attempt(
    shared: &Shared,
    target: &TargetSettings,
    way: Way,
    received: Received,
    work: Work,
    lease_until_ms: i64,
) {
    failpoint("after-begin");
    let (report, took) = match way.leave(shared, target).await {
        Ok(leave) => {
            let Some(limit) = call_limit(target, lease_until_ms, shared.clock.now_ms()) else {
                // The database or this process took the lease's time. Nothing was called; whoever begins next sees
                // an intent without outcome and asks first.
                tracing::warn!(delivery = work.delivery.id, "the lease was over before the call");
                return received.requeue(lease_until_ms).await;
            };
            let begun = Instant::now();
            let report = call(shared, target, &work, limit).await;
            failpoint("after-call-before-finish");
            leave.called(shared, target, report.class);
            (report, begun.elapsed())
        }
        Err(kept) => (kept.report(), Duration::ZERO),
    };
    settle(shared, target, received, work, report, took, lease_until_ms).await;
}

/// Stores what came of an attempt, and settles its message.
async fn settle(
    shared: &Shared,
    target: &TargetSettings,
    received: Received,
    work: Work,
    report: Report,
    took: Duration,
    lease_until_ms: i64,
) {
    let now_ms = shared.clock.now_ms();
    // The time to try in does not run while nobody may.
    let held_ms = shared.held().held_ms(&target.name, work.window_start_ms, now_ms);
    let moment = Moment {
        tries: work.tries,
        window_start_ms: work.window_start_ms.saturating_add(held_ms),
        now_ms,
        over_at_ms: (!target.refuses_twice).then_some(lease_until_ms),
    };
    let finish = outcome(&work, report, target, &moment);
    let (class, next) = (finish.class, finish.next.clone());
    let follow_on: Vec<String> = finish
        .follow_on
        .iter()
        .flat_map(|intake| intake.deliveries.iter().map(|delivery| delivery.target.clone()))
        .collect();
    let ended = Instant::now();
    let stored = store_outcome(shared, finish).await;
    shared.observer.stage(Stage::Finish, ended.elapsed());
    match stored {
        Some(Finished::Stored) => {
            failpoint("after-finish-before-ack");
            tracing::info!(class = class.name(), ?next, "attempt ended");
            shared.observer.attempt(&target.name, class, &next, took);
            received.ack().await;
            shared.wake(&target.name);
            follow_on.iter().for_each(|target| shared.wake(target));
        }
        Some(Finished::Fenced) => {
            tracing::warn!(class = class.name(), "outcome came too late: another attempt has the delivery");
            shared.observer.fenced(&target.name);
            received.ack().await;
        }
        // Nobody knows the outcome but this process, which is giving up: after the lease the next attempt
        // finds an intent without outcome and asks first.
        None => drop(received),
    }
}

/// The handler's report, whatever the handler does.
async fn call(shared: &Shared, target: &TargetSettings, work: &Work, limit: Duration) -> Report {
    let handled = AssertUnwindSafe(shared.handler.handle(work, shared.clock.now_ms())).catch_unwind();
    // The clock is looked at first: a process that was frozen beyond its lease must not go on with the call.
    let ended = tokio::select! {
        biased;
        () = tokio::time::sleep(limit) => None,
        ended = handled => Some(ended),
    };
    match ended {
        Some(Ok(report)) => report,
        Some(Err(_panic)) => {
            shared.observer.panicked(&target.name);
            tracing::error!("the handler panicked");
            Report::fault(Fault::new(
                Code::Defect,
                "处理该投递时程序内部出错。",
                "The program failed while working on this delivery.",
            ))
        }
        None => {
            let seconds = limit.as_secs_f32();
            Report::fault(Fault::new(
                Code::OutcomeUnknown,
                format!("调用在 {seconds} 秒内没有结果。"),
                format!("The call had no result within {seconds} seconds."),
            ))
        }
    }
}

/// Report and policy together.
fn outcome(work: &Work, report: Report, target: &TargetSettings, moment: &Moment) -> Finish {
    let seed = seed(&work.delivery.id, work.attempt);
    let mut next = decide(report.class, moment, &target.schedule, seed);
    if report.class == Class::Rejected && report.final_rejection {
        next = Next::Rejected;
    }
    if report.for_person {
        next = Next::Parked;
    }
    Finish {
        delivery: work.delivery.id.clone(),
        attempt: work.attempt,
        now_ms: moment.now_ms,
        next,
        class: report.class,
        fault: report.fault,
        // A step once reached stays known when a later attempt fails before it could read it again.
        remote: report.remote.or_else(|| work.previous.as_ref().and_then(|previous| previous.remote.clone())),
        request: report.request,
        response: report.response,
        mapping: report.mapping,
        tables_revision: report.tables_revision,
        binding: report.binding,
        follow_on: report.follow_on,
        entries: report.entries,
        payments: report.payments,
        papers: report.papers,
    }
}

/// The same delivery and attempt give the same jitter, in every process.
fn seed(delivery: &str, attempt: u32) -> u64 {
    fnv::hash(fnv::START ^ u64::from(attempt), delivery.bytes())
}

/// Stores the outcome, however long the database is away: what is lost here has to be looked up later.
async fn store_outcome(shared: &Shared, mut finish: Finish) -> Option<Finished> {
    let mut pause = Pause::new();
    loop {
        let error = match shared.store.finish(finish.clone()).await {
            Ok(finished) => return Some(finished),
            Err(error) => error,
        };
        shared.observer.store_failed();
        match error {
            StoreError::Unavailable(reason) => {
                tracing::warn!(reason, "the outcome cannot be stored yet");
                tokio::time::sleep(pause.longer()).await;
                finish.now_ms = shared.clock.now_ms();
            }
            StoreError::Invalid(reason) if finish.next != Next::Parked => {
                tracing::error!(reason, "the outcome contradicts what is stored; parked");
                finish = parked_instead(finish, &reason);
            }
            StoreError::Invalid(reason) | StoreError::Corrupt(reason) => {
                tracing::error!(reason, "the outcome cannot be stored");
                return None;
            }
        }
    }
}

/// The outcome without what the store refused, for a person to look at.
fn parked_instead(finish: Finish, reason: &str) -> Finish {
    Finish {
        next: Next::Parked,
        class: Class::Defect,
        fault: Some(Fault::new(
            Code::Defect,
            format!("结果与已存数据矛盾：{reason}"),
            format!("The outcome contradicts what is stored: {reason}"),
        )),
        binding: None,
        follow_on: Vec::new(),
        entries: Vec::new(),
        ..finish
    }
}
