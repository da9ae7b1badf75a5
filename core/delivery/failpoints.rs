//! Named places between two persistence steps where a test can make the process die.
//!
//! Compiled always, so that what is tested is what is shipped; inert (one relaxed load) until a name is armed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// Every name, in the order in which a delivery passes them.
///
/// `…-before-commit` lies inside a database transaction whose writes are all made; `cursor-` is passed by
/// polls that bring news, `swept-` by sweeps that find something, `requeued-` by a broker that keeps delays
/// durably.
pub const NAMES: [&str; 13] = [
    "accepted-before-commit",
    "cursor-before-commit",
    "after-accept-commit",
    "published-before-confirm",
    "after-publish-before-mark",
    "marked-before-commit",
    "requeued-before-ack",
    "begun-before-commit",
    "after-begin",
    "after-call-before-finish",
    "finished-before-commit",
    "after-finish-before-ack",
    "swept-before-commit",
];

/// What happens at an armed place.
#[derive(Clone)]
pub enum Action {
    /// The process dies at once, without unwinding, flushing or saying goodbye.
    Abort,
    /// The process dies when the place is passed for the n-th time (from 1).
    AbortAt(u64),
    /// A function of the test's is called.
    Call(Arc<dyn Fn() + Send + Sync>),
    /// A function of the test's is called with the delivery that passes, or nothing where that is not known.
    CallWith(Arc<dyn Fn(&str) + Send + Sync>),
}

static ARMED: AtomicBool = AtomicBool::new(false);

fn table() -> &'static Mutex<HashMap<&'static str, (Action, u64)>> {
    static TABLE: OnceLock<Mutex<HashMap<&'static str, (Action, u64)>>> = OnceLock::new();
    TABLE.get_or_init(Mutex::default)
}

/// Arms a place. Answers whether there is one of that name.
pub fn arm(name: &str, action: Action) -> bool {
    let Some(known) = NAMES.iter().find(|known| **known == name) else { return false };
    let mut table = table().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    table.insert(known, (action, 0));
    ARMED.store(true, Ordering::Release);
    true
}

/// Arms what a line of text asks for: `name` dies at the first pass, `name=N` at the N-th. Answers what is
/// wrong with it.
pub fn arm_to_abort(line: &str) -> Result<(), String> {
    let (name, pass) = match line.split_once('=') {
        Some((name, pass)) => (name, pass.parse().ok().filter(|pass| *pass > 0)),
        None => (line, Some(1)),
    };
    let Some(pass) = pass else { return Err(format!("{line:?}: the pass is a number from 1")) };
    if arm(name, Action::AbortAt(pass)) {
        return Ok(());
    }
    Err(format!("there is no failpoint {name:?}; there are: {}", NAMES.join(", ")))
}

/// Disarms every place.
pub fn disarm() {
    let mut table = table().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    table.clear();
    ARMED.store(false, Ordering::Release);
}

/// Passes the place of this name.
pub fn failpoint(name: &str) {
    failpoint_of(name, "");
}

/// Passes the place of this name with a delivery.
pub fn failpoint_of(name: &str, delivery: &str) {
    if !ARMED.load(Ordering::Relaxed) {
        return;
    }
    let action = {
        let mut table = table().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some((action, passed)) = table.get_mut(name) else { return };
        *passed += 1;
        match action {
            Action::AbortAt(at) if *passed < *at => return,
            other => other.clone(),
        }
    };
    match action {
        Action::Abort | Action::AbortAt(_) => std::process::abort(),
        Action::Call(call) => call(),
        Action::CallWith(call) => call(delivery),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn only_the_armed_place_acts() {
        let hits = Arc::new(AtomicU32::new(0));
        let seen = hits.clone();
        assert!(!arm("no-such-place", Action::Abort));
        assert!(
            arm_to_abort("no-such-place=2").is_err_and(|why| NAMES.iter().all(|name| why.contains(name)))
        );
        assert!(arm_to_abort("after-begin=0").is_err() && arm_to_abort("after-begin=often").is_err());
        failpoint("after-begin");
        assert!(arm(
            "after-begin",
            Action::Call(Arc::new(move || {
                seen.fetch_add(1, Ordering::SeqCst);
            }))
        ));
        failpoint("after-begin");
        failpoint("after-accept-commit");
        assert_eq!(hits.load(Ordering::SeqCst), 1);
        disarm();
        failpoint("after-begin");
        assert_eq!(hits.load(Ordering::SeqCst), 1);
    }
}
