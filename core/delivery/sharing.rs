//! How several processes share the queues: who is to take from which, and who they are.
//!
//! Each partition of a connection has one owner among the processes that live. All processes work it out by
//! themselves from the same list, so that nobody has to hand anything out. A list that is wrong for a while costs
//! evenness and nothing else: the broker gives each partition to one process at a time whoever owns it, and the
//! store alone decides who may work on a delivery.

use crate::engine::{Shared, Stop};
use crate::fnv;
use crate::port::Presence;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A process notes so often that it lives.
const NOTE: Duration = Duration::from_secs(5);
/// A process whose note has not changed for so long is gone. Counted by who looks: clocks need not agree.
const GONE: Duration = Duration::from_secs(20);
/// Notes this old are removed, by clocks that may differ by much less.
const FORGOTTEN_MS: i64 = 3_600_000;
/// A process that ends waits no longer than this for its note to be removed.
const LEAVE: Duration = Duration::from_secs(2);

/// The processes that share the queues, as one of them sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    me: String,
    all: BTreeSet<String>,
}

impl Sharing {
    /// This process and the others.
    pub fn new(me: impl Into<String>, others: impl IntoIterator<Item = String>) -> Self {
        let me = me.into();
        let all = others.into_iter().chain([me.clone()]).collect();
        Sharing { me, all }
    }

    /// Every process.
    pub fn all(&self) -> &BTreeSet<String> {
        &self.all
    }

    /// Partitions of a connection that are for this process to take from.
    pub fn mine(&self, target: &str, partitions: u16) -> Vec<bool> {
        owners(target, partitions, &self.all).into_iter().map(|owner| owner == self.me).collect()
    }
}

/// The owner of each partition of a connection.
///
/// Rendezvous hashing with equal shares: a partition goes to the process that scores highest for it and has not got
/// its share yet. Each process gets its share of every connection, give or take one partition; who gets the odd
/// ones differs from connection to connection.
pub fn owners<'all>(target: &str, partitions: u16, processes: &'all BTreeSet<String>) -> Vec<&'all str> {
    let mut ranked: Vec<&str> = processes.iter().map(String::as_str).collect();
    ranked.sort_by_key(|process| Reverse((score(&[target, process]), *process)));
    let count = ranked.len().max(1);
    let (share, odd) = (usize::from(partitions) / count, usize::from(partitions) % count);
    let mut left: Vec<(&str, usize)> = ranked
        .into_iter()
        .enumerate()
        .map(|(rank, process)| (process, share + usize::from(rank < odd)))
        .collect();
    let mut owners = Vec::with_capacity(usize::from(partitions));
    for partition in 0..partitions {
        let partition = partition.to_string();
        let best = left
            .iter_mut()
            .filter(|(_, left)| *left > 0)
            .max_by_key(|(process, _)| (score(&[target, &partition, process]), *process));
        if let Some((process, left)) = best {
            *left -= 1;
            owners.push(*process);
        }
    }
    owners
}

/// FNV-1a over the parts, mixed until each bit counts; the same in every process.
fn score(parts: &[&str]) -> u64 {
    let hash = fnv::hash(fnv::START, parts.iter().flat_map(|part| part.bytes().chain([0xff])));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Notes of the other processes with the time at which each was seen to change.
#[derive(Debug, Default)]
struct Roll {
    known: BTreeMap<String, (i64, Instant)>,
}

impl Roll {
    /// Takes what was read; answers who lives. A note met for the first time counts as fresh.
    fn read(&mut self, notes: Vec<Presence>, now: Instant) -> Vec<String> {
        let mut before = std::mem::take(&mut self.known);
        for note in notes {
            let same = before.remove(&note.process).filter(|(seen_ms, _)| *seen_ms == note.seen_ms);
            let since = same.map_or(now, |(_, since)| since);
            self.known.insert(note.process, (note.seen_ms, since));
        }
        let living = self.known.iter().filter(|(_, (_, since))| now.duration_since(*since) < GONE);
        living.map(|(process, _)| process.clone()).collect()
    }

    /// The store did not answer: others may have been unable to note anything either.
    fn excuse(&mut self, now: Instant) {
        self.known.values_mut().for_each(|(_, since)| *since = now);
    }
}

/// Notes that this process lives and tells the broker who else does, until told to stop.
pub(crate) async fn run_sharing(shared: Arc<Shared>, stop: Stop) {
    let pause = Duration::from_millis(u64::from(shared.relay.follow_ms));
    let mut roll = Roll::default();
    let mut noted: Option<Instant> = None;
    let mut told: Option<Sharing> = None;
    loop {
        let due = noted.is_none_or(|at| at.elapsed() >= NOTE);
        match shared.who_lives(due).await {
            Ok(notes) => {
                noted = if due { Some(Instant::now()) } else { noted };
                let sharing = Sharing::new(shared.worker_name.as_str(), roll.read(notes, Instant::now()));
                if told.as_ref() != Some(&sharing) {
                    tracing::info!(processes = ?sharing.all(), "these processes share the queues");
                    shared.broker.share(&sharing);
                    told = Some(sharing);
                }
            }
            Err(error) => {
                shared.observer.store_failed();
                tracing::warn!(%error, "who else is at work could not be read");
                roll.excuse(Instant::now());
            }
        }
        if stop.within(pause).await {
            break;
        }
    }
    // Others find out by themselves if this fails, only later.
    if !matches!(tokio::time::timeout(LEAVE, shared.store.depart(&shared.worker_name)).await, Ok(Ok(()))) {
        tracing::debug!("the note of this process stays behind");
    }
}

impl Shared {
    async fn who_lives(&self, note: bool) -> crate::port::Stored<Vec<Presence>> {
        if note {
            let now_ms = self.clock.now_ms();
            self.store.attend(&self.worker_name, now_ms, now_ms.saturating_sub(FORGOTTEN_MS)).await?;
        }
        self.store.present().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> BTreeSet<String> {
        (0..count).map(|number| format!("{number}-0190-process")).collect()
    }

    #[test]
    fn everybody_gets_the_same_share_of_every_connection() {
        for target in ["erp", "tax", "crm", "ledger"] {
            for count in 1..=9 {
                let processes = names(count);
                for partitions in [1_u16, 2, 4, 8, 64] {
                    let owners = owners(target, partitions, &processes);
                    assert_eq!(owners.len(), usize::from(partitions));
                    let of = |process: &String| owners.iter().filter(|owner| *owner == process).count();
                    let shares: Vec<usize> = processes.iter().map(of).collect();
                    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                    assert!(most - least <= 1, "{target} {count} {partitions}: {shares:?}");
                }
            }
        }
    }

    #[test]
    fn all_agree_and_the_odd_ones_are_spread() {
        let all = ["a", "b", "c"].map(str::to_owned);
        let by = all.clone().map(|me| Sharing::new(me, all.clone()).mine("erp", 8));
        for partition in 0..8 {
            assert_eq!(by.iter().filter(|mine| mine[partition]).count(), 1, "{by:?}");
        }
        assert_eq!(Sharing::new("a", []).mine("erp", 3), [true; 3]);
        // One partition each: not always the same process.
        let processes = names(3);
        let lucky: BTreeSet<&str> =
            (0..30).flat_map(|number| owners(&format!("t{number}"), 1, &processes)).collect();
        assert_eq!(lucky.len(), 3);
    }

    #[test]
    fn who_joins_takes_its_share_and_hardly_more_moves() {
        let (three, four) = (names(3), names(4));
        let (before, after) = (owners("erp", 64, &three), owners("erp", 64, &four));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        // A quarter has to; a plain list of turns would move three quarters.
        assert!((16..=32).contains(&moved), "{moved} of 64");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_change_its_note_is_gone() {
        let note = |process: &str, seen_ms| Presence { process: process.into(), seen_ms };
        let mut roll = Roll::default();
        assert_eq!(roll.read(vec![note("a", 5), note("b", -9)], Instant::now()), ["a", "b"]);
        tokio::time::advance(GONE / 2).await;
        // A clock that was set back is a change as well.
        assert_eq!(roll.read(vec![note("a", 3), note("b", -9)], Instant::now()), ["a", "b"]);
        tokio::time::advance(GONE / 2).await;
        assert_eq!(roll.read(vec![note("a", 3), note("b", -9)], Instant::now()), ["a"]);
        assert_eq!(roll.read(vec![note("a", 3), note("b", 0)], Instant::now()), ["a", "b"]);
        assert_eq!(roll.read(vec![note("b", 0)], Instant::now()), ["b"]);
        tokio::time::advance(GONE).await;
        roll.excuse(Instant::now());
        assert_eq!(roll.read(vec![note("b", 0)], Instant::now()), ["b"], "nobody could note anything");
    }
}
