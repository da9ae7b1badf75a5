//! What all stand-ins share: settings, clock, fault plan, counters and each system's own state.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, watch};

use crate::{
    clock::Clock,
    config::SandboxConfig,
    crm, faults,
    faults::{Faults, System},
    jdy, kingdee, mail, nuonuo, robots, signing,
};

/// Takes a lock; a poisoned one is used as it is, since every critical section leaves the state consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole sandbox behind its listeners.
pub(crate) struct World {
    pub config: SandboxConfig,
    pub clock: Clock,
    pub faults: Faults,
    pub calls: Mutex<BTreeMap<(System, String), u64>>,
    pub kingdee: kingdee::Kingdee,
    pub nuonuo: Mutex<nuonuo::State>,
    pub crm: Mutex<crm::State>,
    pub jdy: Mutex<jdy::State>,
    pub u8: Mutex<crate::u8::State>,
    pub esign: Mutex<signing::Flows>,
    pub fadada: Mutex<signing::fadada::State>,
    pub wecom: Mutex<robots::State>,
    pub dingtalk: Mutex<robots::State>,
    pub mail: Mutex<mail::State>,
    pub callbacks: mpsc::Sender<nuonuo::CallbackJob>,
    pub stop: watch::Receiver<bool>,
}

impl World {
    /// Counts one call of an operation.
    pub fn count(&self, system: System, operation: &str) {
        let mut calls = lock(&self.calls);
        // The common case must not allocate a key; the map is small and ordered, so a scan by key range is cheap.
        if let Some((_, count)) = calls.iter_mut().find(|((s, o), _)| *s == system && o == operation) {
            *count += 1;
        } else {
            calls.insert((system, operation.to_owned()), 1);
        }
    }

    /// A random-looking but reproducible hex text of `length` characters from the seed and `parts`.
    pub fn hex(&self, length: usize, parts: &[&str]) -> String {
        let mut rng = fastrand::Rng::with_seed(faults::hash(
            format!("{}|{}", self.config.seed, parts.join("|")).as_bytes(),
        ));
        (0..length).filter_map(|_| char::from_digit(rng.u32(0..16), 16)).collect()
    }
}
