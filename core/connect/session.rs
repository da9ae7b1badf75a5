//! A session shared by all workers of a connection: opened once, renewed once, never stampeded, and a failed
//! login not hammered (vendors lock accounts and meter tokens).

use crate::outcome::Failure;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use tongbao_model::Class;

/// Milliseconds for which a login that got no answer is answered from memory: long enough for the callers that waited
/// for it, short enough not to outlast a network hiccup.
const UNREACHED_MS: i64 = 1_000;

/// A shared session of some type.
pub struct Session<T> {
    state: Mutex<State<T>>,
    /// Milliseconds for which a refused login is answered from memory.
    cool_down_ms: i64,
}

enum State<T> {
    Closed,
    Open { generation: u64, value: T, until_ms: i64, proved: Arc<AtomicBool> },
    Refused { failure: Box<Failure>, until_ms: i64, generation: u64 },
}

/// A session value and which opening it came from.
#[derive(Debug, Clone)]
pub struct Lease<T> {
    /// The value.
    pub value: T,
    generation: u64,
    proved: Arc<AtomicBool>,
}

impl<T> Lease<T> {
    /// Says that the far side has honoured this session at least once.
    pub fn honoured(&self) {
        self.proved.store(true, Ordering::Relaxed);
    }
}

impl<T: Clone> Session<T> {
    /// A closed session.
    pub fn new(cool_down_ms: i64) -> Self {
        Session { state: Mutex::new(State::Closed), cool_down_ms }
    }

    /// The open session, or opens it. While one caller logs in, the others wait for its result. `login` answers
    /// the value and until when it is good (milliseconds since 1970).
    pub async fn get<F>(&self, now_ms: i64, login: impl FnOnce() -> F) -> Result<Lease<T>, Failure>
    where
        F: Future<Output = Result<(T, i64), Failure>>,
    {
        let mut state = self.state.lock().await;
        let generation = match &*state {
            State::Open { generation, value, until_ms, proved } if now_ms < *until_ms => {
                let (generation, proved) = (*generation, Arc::clone(proved));
                return Ok(Lease { value: value.clone(), generation, proved });
            }
            State::Refused { failure, until_ms, .. } if now_ms < *until_ms => return Err((**failure).clone()),
            State::Open { generation, .. } | State::Refused { generation, .. } => generation + 1,
            State::Closed => 1,
        };
        match login().await {
            Ok((value, until_ms)) => {
                let proved = Arc::new(AtomicBool::new(false));
                let lease = Lease { value: value.clone(), generation, proved: Arc::clone(&proved) };
                *state = State::Open { generation, value, until_ms, proved };
                Ok(lease)
            }
            Err(failure) => {
                let until_ms = now_ms.saturating_add(self.memory_ms(&failure));
                *state = State::Refused { failure: Box::new(failure.clone()), until_ms, generation };
                Err(failure)
            }
        }
    }

    /// A refusal must not be repeated soon; a login that nobody answered may be.
    fn memory_ms(&self, failure: &Failure) -> i64 {
        match failure.class {
            Class::Unauthorized | Class::Misconfigured | Class::Throttled(_) => self.cool_down_ms,
            Class::Done
            | Class::AlreadyThere
            | Class::Rejected
            | Class::Conflict
            | Class::Unavailable
            | Class::Unknown
            | Class::Defect => self.cool_down_ms.min(UNREACHED_MS),
        }
    }

    /// Says that the far side no longer honours this session. Only the first of many callers with the same
    /// opening closes it; a newer one stays.
    pub async fn lost(&self, lease: &Lease<T>) {
        let mut state = self.state.lock().await;
        if let State::Open { generation, until_ms, .. } = &mut *state
            && *generation == lease.generation
        {
            // Expired rather than closed: the generation must go on counting.
            *until_ms = i64::MIN;
        }
    }

    /// Says that a session which was opened just now is not honoured either. When it never was, a new login would
    /// change nothing, and is held back like one after a refused login; else it was merely lost.
    pub async fn refused(&self, lease: &Lease<T>, failure: &Failure, now_ms: i64) {
        if lease.proved.load(Ordering::Relaxed) {
            return self.lost(lease).await;
        }
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Open { generation, .. } if *generation == lease.generation) {
            *state = State::Refused {
                failure: Box::new(failure.clone()),
                until_ms: now_ms.saturating_add(self.cool_down_ms),
                generation: lease.generation,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;
    use tongbao_model::{Code, Fault};

    #[tokio::test]
    async fn many_losers_of_one_session_renew_it_once() {
        let session = Session::new(1000);
        let logins = AtomicI64::new(0);
        let get = || session.get(0, || async { Ok((logins.fetch_add(1, Ordering::SeqCst) + 1, i64::MAX)) });
        let leases = futures::future::join_all((0..20).map(|_| get())).await;
        assert_eq!(logins.load(Ordering::SeqCst), 1);
        for lease in &leases {
            session.lost(lease.as_ref().unwrap()).await;
        }
        assert_eq!(get().await.unwrap().value, 2);
        session.lost(leases[0].as_ref().unwrap()).await;
        assert_eq!(get().await.unwrap().value, 2, "an old lease does not close a newer session");
    }

    #[tokio::test]
    async fn a_failed_login_is_not_hammered() {
        let session: Session<()> = Session::new(1000);
        let logins = AtomicI64::new(0);
        for now_ms in [0, 1, 999, 1000, 1500] {
            let result = session
                .get(now_ms, || async {
                    logins.fetch_add(1, Ordering::SeqCst);
                    Err(Failure::new(Fault::new(Code::TargetUnauthorized, "x", "x")))
                })
                .await;
            assert!(result.is_err());
        }
        assert_eq!(logins.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_login_without_an_answer_is_tried_again_soon() {
        let session: Session<()> = Session::new(300_000);
        let logins = AtomicI64::new(0);
        for now_ms in [0, 999, 1000, 1500] {
            let result = session
                .get(now_ms, || async {
                    logins.fetch_add(1, Ordering::SeqCst);
                    Err(Failure::new(Fault::new(Code::TargetUnavailable, "x", "x")))
                })
                .await;
            assert!(result.is_err());
        }
        assert_eq!(logins.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_fresh_session_that_is_refused_is_not_renewed() {
        let session = Session::new(1000);
        let logins = AtomicI64::new(0);
        let get = |now_ms| {
            session.get(now_ms, || async { Ok((logins.fetch_add(1, Ordering::SeqCst) + 1, i64::MAX)) })
        };
        let failure = Failure::new(Fault::new(Code::TargetUnauthorized, "x", "x"));
        let old = get(0).await.unwrap();
        session.lost(&old).await;
        let fresh = get(0).await.unwrap();
        session.refused(&old, &failure, 0).await;
        assert_eq!(get(1).await.unwrap().value, 2, "an old lease does not close a newer session");
        session.refused(&fresh, &failure, 0).await;
        assert_eq!(get(999).await.unwrap_err(), failure);
        let good = get(1000).await.unwrap();
        assert_eq!(good.value, 3);
        good.honoured();
        session.refused(&good, &failure, 1000).await;
        assert_eq!(get(1000).await.unwrap().value, 4, "a session that worked was merely lost");
    }
}
