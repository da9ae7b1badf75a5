//! What stands and what does not get through.

use super::{Row, Tables};
use crate::attention::{GROUPS_MAX, Health, POSTED_LOOKED_AT, Parked};
use crate::policy::trips_circuit;
use crate::port::State;
use std::cmp::Reverse;
use std::collections::BTreeMap;

impl Tables {
    fn in_state(&self, state: State, but: &str) -> impl Iterator<Item = &Row> {
        self.rows.values().filter(move |row| {
            row.state == state && self.events.get(&row.event).is_none_or(|(event, _)| event.kind != but)
        })
    }

    pub(super) fn parked(&self, from_ms: i64, before_ms: i64, but: &str) -> Vec<Parked> {
        let mut groups: BTreeMap<(String, Option<String>, Option<String>), Parked> = BTreeMap::new();
        let within = |row: &&Row| (from_ms..before_ms).contains(&row.changed_at_ms);
        for row in self.in_state(State::Parked, but).filter(within) {
            let code = row.fault.as_ref().map(|fault| fault.code.to_string());
            let class = row.class.map(|class| class.name().to_owned());
            let first_ms = row.changed_at_ms;
            let group = groups
                .entry((row.target.clone(), code.clone(), class.clone()))
                .or_insert_with(|| Parked { target: row.target.clone(), code, class, count: 0, first_ms });
            group.count += 1;
            group.first_ms = group.first_ms.min(first_ms);
        }
        let mut all: Vec<Parked> = groups.into_values().collect();
        all.sort_by_key(|group| Reverse(group.count));
        all.truncate(usize::try_from(GROUPS_MAX).unwrap_or(usize::MAX));
        all
    }

    pub(super) fn health(&self, targets: &[String], but: &str) -> Vec<Health> {
        let mut all: BTreeMap<&str, Health> =
            targets.iter().map(|one| (one.as_str(), Health::default())).collect();
        for row in self.in_state(State::Waiting, but) {
            let Some(class) = row.class.filter(|class| trips_circuit(*class)) else { continue };
            let one = all.entry(&row.target).or_default();
            one.failing += 1;
            let name = class.name().to_owned();
            one.class = Some(one.class.take().map_or(name.clone(), |known| known.min(name)));
            let since_ms = row.window_start_ms;
            one.tried_since_ms = Some(one.tried_since_ms.map_or(since_ms, |known| known.min(since_ms)));
        }
        let looked_at = usize::try_from(POSTED_LOOKED_AT).unwrap_or(usize::MAX);
        all.into_iter()
            .map(|(target, one)| {
                let posted = self.rows.values().rev();
                let posted = posted.filter(|row| row.state == State::Posted && row.target == target);
                let posted_at_ms = posted.take(looked_at).map(|row| row.changed_at_ms).max();
                Health { target: target.to_owned(), posted_at_ms, ..one }
            })
            .collect()
    }
}
