//! The far sides: what they hold, what reaches them, and what they say about it.
//!
//! A request that has left a process takes effect whatever becomes of the process: the effect runs in a task of
//! the world's.

use super::Sim;
use super::process::Fate;
use super::watch::{CALL, Call, Request};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How a far side treats a document kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nature {
    /// Refuses a key twice, takes a document through save, submit and audit, like an ERP.
    #[default]
    Steps,
    /// Refuses a key twice, and takes a while to finish, like a tax platform.
    Issued,
    /// Takes every document as a new one, and can be asked.
    Append,
    /// Keeps the last state written under a key, like a field of a CRM record.
    Put,
}

impl Nature {
    /// Whether a key is refused the second time.
    pub fn refuses_twice(self) -> bool {
        matches!(self, Nature::Steps | Nature::Issued)
    }
}

/// The last step of a document that takes several.
pub const STEPS: [&str; 3] = ["saved", "submitted", "audited"];

/// A document in a far system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarDocument {
    /// Connection.
    pub target: String,
    /// Kind.
    pub kind: String,
    /// Business key.
    pub key: String,
    /// Whose it is.
    pub origin: String,
    /// Internal id.
    pub id: String,
    /// Step reached.
    pub step: String,
    /// Total with tax, as text.
    pub total: Option<String>,
    /// What was written, for [`Nature::Put`] and for looking at.
    pub body: String,
    /// When it is finished, for [`Nature::Issued`].
    pub ready_at: Instant,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Connection.
    pub target: String,
    /// Kind.
    pub kind: String,
    /// Business key.
    pub key: String,
    /// Whose it is.
    pub origin: String,
    /// Total with tax, as text.
    pub total: Option<String>,
    /// The document.
    pub body: String,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The document as it is now; whether this call made it.
    Stands(Box<FarDocument>, bool),
    /// There is no document of that key.
    Absent,
    /// Somebody else's document has the key.
    Foreign,
    /// Come back later.
    Throttled(Duration),
    /// Nothing was done.
    Unavailable,
    /// Nobody knows.
    Nothing,
}

/// What a request asks for.
#[derive(Debug, Clone)]
enum Act {
    Create(Sent),
    Step(Sent, &'static str),
    Look(Sent),
}

/// All far systems.
#[derive(Debug, Default)]
pub struct Far {
    natures: BTreeMap<(String, String), Nature>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    documents: Vec<FarDocument>,
    /// (connection, order key) → sequence number of the newest delivery that took effect.
    newest: BTreeMap<(String, String), i64>,
}

impl Far {
    /// Far sides of these natures; what is not named is [`Nature::Steps`].
    pub fn new(natures: BTreeMap<(String, String), Nature>) -> Self {
        Far { natures, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nature of a kind.
    pub fn nature(&self, target: &str, kind: &str) -> Nature {
        self.natures.get(&(target.to_owned(), kind.to_owned())).copied().unwrap_or_default()
    }

    /// Everything that stands.
    pub fn documents(&self) -> Vec<FarDocument> {
        self.state().documents.clone()
    }

    /// Whether a document of this origin stands, complete.
    pub fn stands(&self, target: &str, origin: &str) -> bool {
        self.state().documents.iter().any(|document| {
            document.target == target && document.origin == origin && self.is_complete(document)
        })
    }

    /// Whether a document has taken all its steps.
    pub fn is_complete(&self, document: &FarDocument) -> bool {
        match self.nature(&document.target, &document.kind) {
            Nature::Steps => document.step == STEPS[2],
            Nature::Issued => document.ready_at <= Instant::now(),
            Nature::Append | Nature::Put => true,
        }
    }

    fn act(&self, sim: &Sim, act: &Act, by: Option<&Call>) -> Answer {
        match act {
            Act::Look(sent) => self.look(sent),
            Act::Create(sent) => self.create(sim, sent, by),
            Act::Step(sent, step) => self.step(sent, step),
        }
    }

    fn look(&self, sent: &Sent) -> Answer {
        let state = self.state();
        let found = state
            .documents
            .iter()
            .find(|one| one.target == sent.target && one.kind == sent.kind && one.key == sent.key);
        match found {
            None => Answer::Absent,
            Some(found) if found.origin != sent.origin => Answer::Foreign,
            Some(found) => Answer::Stands(Box::new(found.clone()), false),
        }
    }

    fn create(&self, sim: &Sim, sent: &Sent, by: Option<&Call>) -> Answer {
        let nature = self.nature(&sent.target, &sent.kind);
        let mut state = self.state();
        let at = state
            .documents
            .iter()
            .position(|one| one.target == sent.target && one.kind == sent.kind && one.key == sent.key);
        if let Some(call) = by {
            let lane = (sent.target.clone(), call.order_key.clone());
            let newest = state.newest.entry(lane).or_insert(call.seq);
            if call.seq < *newest && nature == Nature::Put && !sim.is_severe() {
                sim.violate(format!(
                    "{} of delivery {} took effect after its successor's (sequence {} after {})",
                    sent.key, call.delivery, call.seq, newest
                ));
            }
            *newest = call.seq.max(*newest);
        }
        let mine = state
            .documents
            .iter()
            .any(|one| one.target == sent.target && one.kind == sent.kind && one.origin == sent.origin);
        match (nature, at.and_then(|at| state.documents.get_mut(at))) {
            (Nature::Put, Some(found)) => {
                found.body.clone_from(&sent.body);
                found.origin.clone_from(&sent.origin);
                return Answer::Stands(Box::new(found.clone()), true);
            }
            (Nature::Steps | Nature::Issued, Some(found)) if found.origin != sent.origin => {
                return Answer::Foreign;
            }
            (Nature::Steps | Nature::Issued, Some(found)) => {
                return Answer::Stands(Box::new(found.clone()), false);
            }
            (Nature::Append, Some(_)) | (_, None) => {}
        }
        if mine && nature != Nature::Put && !(nature == Nature::Append && sim.is_severe()) {
            sim.violate(format!("a second document in {} for {}", sent.target, sent.origin));
        }
        let document = FarDocument {
            target: sent.target.clone(),
            kind: sent.kind.clone(),
            key: sent.key.clone(),
            origin: sent.origin.clone(),
            id: (state.documents.len() + 1).to_string(),
            step: STEPS[0].to_owned(),
            total: sent.total.clone(),
            body: sent.body.clone(),
            ready_at: Instant::now()
                + if nature == Nature::Issued { sim.dice.millis(0, 20_000) } else { Duration::ZERO },
        };
        sim.trace.note(&format!("far {} makes {} {}", sent.target, sent.kind, sent.key));
        state.documents.push(document.clone());
        Answer::Stands(Box::new(document), true)
    }

    fn step(&self, sent: &Sent, step: &'static str) -> Answer {
        let mut state = self.state();
        let found = state
            .documents
            .iter_mut()
            .find(|one| one.target == sent.target && one.kind == sent.kind && one.key == sent.key);
        let Some(found) = found else { return Answer::Absent };
        if found.origin != sent.origin {
            return Answer::Foreign;
        }
        let reached = STEPS.iter().position(|one| *one == found.step);
        if reached < STEPS.iter().position(|one| *one == step) {
            step.clone_into(&mut found.step);
        }
        Answer::Stands(Box::new(found.clone()), true)
    }
}

/// The far sides as one process reaches them.
#[derive(Clone)]
pub struct FarDoor {
    fate: Arc<Fate>,
    lease_ms: u64,
}

impl FarDoor {
    pub(super) fn new(fate: Arc<Fate>, lease_ms: u64) -> Self {
        FarDoor { fate, lease_ms }
    }

    /// The simulation.
    pub fn sim(&self) -> &Arc<Sim> {
        &self.fate.sim
    }

    /// Makes the document, unless the far side refuses its key twice and has it.
    pub async fn create(&self, sent: Sent) -> Answer {
        let nature = self.fate.sim.far.nature(&sent.target, &sent.kind);
        if nature != Nature::Put {
            super::watch::about_to_create(&self.fate.sim, &sent);
        }
        self.request(Act::Create(sent)).await
    }

    /// Takes one step with a document that is there.
    pub async fn step(&self, sent: Sent, step: &'static str) -> Answer {
        self.request(Act::Step(sent, step)).await
    }

    /// Asks for the document of a key.
    pub async fn look(&self, sent: Sent) -> Answer {
        let answer = self.request(Act::Look(sent)).await;
        if matches!(answer, Answer::Stands(_, _) | Answer::Absent | Answer::Foreign) {
            super::watch::has_looked();
        }
        answer
    }

    /// How long a request is under way to its effect.
    fn way(&self, is_question: bool, by: Option<&Call>) -> Duration {
        let (dice, chaos) = (&self.fate.sim.dice, self.fate.sim.chaos());
        if !is_question && dice.per_mille(chaos.far_after_lease) {
            return dice.millis(self.lease_ms, self.lease_ms * 3);
        }
        let usual = dice.millis(1, 120);
        let way = if dice.per_mille(chaos.far_slow) { dice.millis(1_000, self.lease_ms) } else { usual };
        // Up to the caller's patience and a little beyond, not beyond the lease.
        let left = by.map(|call| call.lease_end.saturating_duration_since(Instant::now()));
        left.map_or(way, |left| way.min(left.saturating_sub(Duration::from_millis(500))))
    }

    async fn request(&self, act: Act) -> Answer {
        let sim = self.fate.sim.clone();
        let (dice, chaos) = (&sim.dice, sim.chaos());
        self.fate.point("far request").await;
        if dice.per_mille(chaos.request_lost) {
            if let (Act::Create(_), Ok(call)) = (&act, CALL.try_with(|calling| calling.call.clone())) {
                sim.watch.request(&call, Request::Nothing);
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
            return Answer::Nothing;
        }
        let by = CALL.try_with(|calling| calling.call.clone()).ok();
        let way = self.way(matches!(act, Act::Look(_)), by.as_ref());
        let (done, answer) = oneshot::channel();
        let world = sim.clone();
        let (down, throttled) = (dice.per_mille(chaos.far_down), dice.per_mille(chaos.far_throttles));
        tokio::spawn(async move {
            tokio::time::sleep(way).await;
            let answer = if down {
                Answer::Unavailable
            } else if throttled {
                Answer::Throttled(Duration::from_secs(world.dice.between(1, 20)))
            } else {
                world.far.act(&world, &act, by.as_ref())
            };
            if let (Act::Create(_), Some(call)) = (&act, &by) {
                let nothing = matches!(answer, Answer::Unavailable | Answer::Throttled(_) | Answer::Foreign);
                world.watch.request(call, if nothing { Request::Nothing } else { Request::Acted });
            }
            // The caller may be gone; the effect is not.
            drop(done.send(answer));
        });
        let answer = answer.await.unwrap_or(Answer::Nothing);
        if dice.per_mille(chaos.answer_lost) {
            tokio::time::sleep(Duration::from_secs(10)).await;
            self.fate.gate().await;
            return Answer::Nothing;
        }
        tokio::time::sleep(dice.millis(1, 60)).await;
        self.fate.point("far answer").await;
        answer
    }
}
