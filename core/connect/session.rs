//! A session shared by all workers of a connection: opened once, renewed once, never stampeded, and a failed
//! login not hammered (vendors lock accounts and meter tokens).

use crate::outcome::Failure;
use std::future::Future;
use tokio::sync::Mutex;

/// A shared session of some type.
pub struct Session<T> {
    state: Mutex<State<T>>,
    /// Milliseconds for which a failed login is answered from memory.
    cool_down_ms: i64,
}

enum State<T> {
    Closed,
    Open { generation: u64, value: T, until_ms: i64 },
    Refused { failure: Box<Failure>, until_ms: i64, generation: u64 },
}

/// A session value and which opening it came from.
#[derive(Debug, Clone)]
pub struct Lease<T> {
    /// The value.
    pub value: T,
    generation: u64,
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
            State::Open { generation, value, until_ms } if now_ms < *until_ms => {
                return Ok(Lease { value: value.clone(), generation: *generation });
            }
            State::Refused { failure, until_ms, .. } if now_ms < *until_ms => return Err((**failure).clone()),
            State::Open { generation, .. } | State::Refused { generation, .. } => generation + 1,
            State::Closed => 1,
        };
        match login().await {
            Ok((value, until_ms)) => {
                *state = State::Open { generation, value: value.clone(), until_ms };
                Ok(Lease { value, generation })
            }
            Err(failure) => {
                *state = State::Refused {
                    failure: Box::new(failure.clone()),
                    until_ms: now_ms + self.cool_down_ms,
                    generation,
                };
                Err(failure)
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};
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
}
