//! Slots: how many calls to a target are under way at once.
//!
//! A slot is for the call alone. Its delivery is begun before there is one, and its outcome is stored when the slot is
//! free again, so that the database's time is not taken from the far side's. A delivery that was begun waits for its
//! slot only as long as its lease leaves time for a whole call; then it is given back, which nobody need ask about.

use crate::circuit::{Change, Circuit, Pass};
use crate::engine::{Shared, Stop};
use crate::handler::Report;
use crate::policy::trips_circuit;
use crate::settings::{LEASE_MARGIN_MS, TargetSettings};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tongbao_model::{Class, Code, Fault};

/// A lease that leaves less than this beside the call is not begun before there is a slot.
const LEAST_SLACK: Duration = Duration::from_secs(1);

/// How long a delivery rests that was given back because no slot had become free. Others take its place meanwhile.
const BUSY_REST: Duration = Duration::from_secs(10);

/// The slots of one target in one process.
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// What a lease leaves beside a call, if that is enough to wait in.
    slack: Option<Duration>,
    circuit: Arc<Circuit>,
    stop: Stop,
}

/// The way of one delivery to its call.
pub(crate) struct Way {
    pub(crate) slots: Arc<Slots>,
    pub(crate) pass: Pass,
    /// The slot, where deliveries are not begun without one.
    pub(crate) early: Option<OwnedSemaphorePermit>,
}

/// Leave to make one call.
pub(crate) struct Leave {
    pass: Pass,
    slot: OwnedSemaphorePermit,
}

/// Why a delivery that was begun is not sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The process stops, or the connection was paused.
    Resting,
    /// No call has ended in time.
    Busy,
    /// The circuit has opened and stays so for so long.
    Open(Duration),
}

impl Slots {
    /// As the target's settings say.
    pub(crate) fn new(target: &TargetSettings, circuit: Arc<Circuit>, stop: Stop) -> Arc<Slots> {
        let beside = target.lease_ms.saturating_sub(target.call_timeout_ms).saturating_sub(LEASE_MARGIN_MS);
        let beside = Duration::from_millis(u64::from(beside));
        let slack = (beside >= LEAST_SLACK).then_some(beside);
        let free = Arc::new(Semaphore::new(usize::from(target.in_flight)));
        Arc::new(Slots { free, slack, circuit, stop })
    }

    /// Deliveries that may be under way in whatever phase: as many as are called, and as many again that are being
    /// begun or stored. Bounded, or a database that stands still would gather them without end.
    pub(crate) fn places(target: &TargetSettings) -> usize {
        usize::from(target.in_flight) * 2
    }

    /// A slot before the delivery is begun, where it could not wait for one afterwards.
    pub(crate) async fn early(&self) -> Option<OwnedSemaphorePermit> {
        if self.slack.is_some() { None } else { self.free.clone().acquire_owned().await.ok() }
    }
}

impl Way {
    /// Waits for a slot.
    pub(crate) async fn leave(self, shared: &Shared, target: &TargetSettings) -> Result<Leave, Kept> {
        let slots = self.slots;
        if let Some(slot) = self.early {
            return Ok(Leave { pass: self.pass, slot });
        }
        let slot = tokio::select! {
            biased;
            () = slots.stop.told() => return Err(Kept::Resting),
            () = shared.holds.when(&target.name, true) => return Err(Kept::Resting),
            slot = slots.free.clone().acquire_owned() => slot,
            () = tokio::time::sleep(slots.slack.unwrap_or_default()) => return Err(Kept::Busy),
        };
        let Ok(slot) = slot else { return Err(Kept::Resting) };
        if !self.pass.is_probe() && slots.circuit.is_open() {
            return Err(Kept::Open(Duration::from_millis(u64::from(target.circuit_cool_down_ms))));
        }
        Ok(Leave { pass: self.pass, slot })
    }
}

impl Leave {
    /// The call was made: the slot is free, and the circuit knows.
    pub(crate) fn called(self, shared: &Shared, target: &TargetSettings, class: Class) {
        match self.pass.called(trips_circuit(class)) {
            Change::Opened => {
                tracing::warn!(class = class.name(), "target left alone for a while");
                shared.observer.circuit(&target.name, true);
            }
            Change::Closed => shared.observer.circuit(&target.name, false),
            Change::None => {}
        }
        drop(self.slot);
    }
}

impl Kept {
    /// What is stored of the attempt: nothing was sent, and there is nothing to ask about.
    pub(crate) fn report(self) -> Report {
        let (wait, zh, en) = match self {
            Kept::Resting => {
                (Duration::ZERO, "连接已暂停或服务正在停止", "the connection rests or the service stops")
            }
            Kept::Busy => {
                (BUSY_REST, "连接的并发调用均未结束", "all calls to the connection are still under way")
            }
            Kept::Open(wait) => {
                (wait, "目标系统连续失败，暂不调用", "the target failed repeatedly and is left alone")
            }
        };
        let fault = Fault::new(Code::TargetThrottled, format!("未发送：{zh}"), format!("not sent: {en}"));
        Report { fault: Some(fault), ..Report::new(Class::Throttled(Some(wait))) }
    }
}
