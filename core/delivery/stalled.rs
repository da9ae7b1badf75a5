//! What counts as stalled: published so long ago that it should have been taken.

use crate::broker::partition;
use std::collections::BTreeMap;

/// Times of publishing before which a delivery that has not been taken counts as stalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    usual_ms: i64,
    others_ms: i64,
    lines: BTreeMap<String, Vec<i64>>,
    patience_ms: i64,
}

impl Stalled {
    /// Whatever was published before a time.
    pub fn before(ms: i64) -> Self {
        Stalled { usual_ms: ms, others_ms: ms, lines: BTreeMap::new(), patience_ms: i64::MAX }
    }

    /// So long before the present, or before where a line has come to, lie the times. Unless it is told, each lease that
    /// ran out counts.
    #[must_use]
    pub fn with_patience(mut self, patience_ms: i64) -> Self {
        self.patience_ms = patience_ms;
        self
    }

    /// All queues are known to be empty.
    pub fn everything() -> Self {
        Stalled::before(i64::MAX)
    }

    /// Other times for the partitions of a connection, whose queues tell how far they have come; [`i64::MIN`] where
    /// nothing is to count as stalled.
    #[must_use]
    pub fn with_line(mut self, target: impl Into<String>, partitions: Vec<i64>) -> Self {
        self.lines.insert(target.into(), partitions);
        self
    }

    /// Nothing of connections without a line counts as stalled.
    #[must_use]
    pub fn only_lines(mut self) -> Self {
        self.others_ms = i64::MIN;
        self
    }

    /// The time without regard to lines.
    pub fn usual_ms(&self) -> i64 {
        self.usual_ms
    }

    /// The time for connections without a line.
    pub fn others_ms(&self) -> i64 {
        self.others_ms
    }

    /// The latest of all times: nothing published later has stalled.
    pub fn latest_ms(&self) -> i64 {
        self.lines().map(|(_, ms)| ms).chain([self.others_ms]).max().unwrap_or(i64::MIN)
    }

    /// Connections with a line, each with the latest time of its partitions.
    pub fn lines(&self) -> impl Iterator<Item = (&str, i64)> {
        let latest = |partitions: &Vec<i64>| partitions.iter().copied().max().unwrap_or(i64::MIN);
        self.lines.iter().map(move |(target, partitions)| (target.as_str(), latest(partitions)))
    }

    /// How far the line has come to which one of these times belongs: a call whose lease ended before has stalled.
    ///
    /// Its message was handed out again when its worker died, and stands in line. While the line has not come that far,
    /// another message would only be a copy, and a process that dies of its work again and again would add one for each
    /// of its calls with every life.
    pub fn come_to_ms(&self, before_ms: i64) -> i64 {
        if before_ms == i64::MIN { before_ms } else { before_ms.saturating_add(self.patience_ms) }
    }

    /// The time for an order key of a connection.
    pub fn before_ms(&self, target: &str, order_key: &str) -> i64 {
        let Some(partitions) = self.lines.get(target) else { return self.others_ms };
        let count = u16::try_from(partitions.len()).unwrap_or(u16::MAX);
        partitions.get(usize::from(partition(order_key, count))).copied().unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_time() {
        let stalled = Stalled::before(500).with_line("erp", vec![10, i64::MIN]).with_line("tax", vec![]);
        let keys: Vec<String> = (0..20).map(|number| format!("HT-{number}")).collect();
        for key in &keys {
            let expected = if partition(key, 2) == 0 { 10 } else { i64::MIN };
            assert_eq!(stalled.before_ms("erp", key), expected);
            assert_eq!((stalled.before_ms("crm", key), stalled.before_ms("tax", key)), (500, i64::MIN));
        }
        assert_eq!(stalled.lines().collect::<Vec<_>>(), [("erp", 10), ("tax", i64::MIN)]);
        assert_eq!((stalled.latest_ms(), stalled.usual_ms()), (500, 500));
        let stalled = stalled.only_lines();
        assert_eq!(
            (stalled.latest_ms(), stalled.usual_ms(), stalled.before_ms("crm", "k")),
            (10, 500, i64::MIN)
        );
        assert_eq!(Stalled::everything().before_ms("erp", "k"), i64::MAX);
        assert_eq!(stalled.come_to_ms(10), i64::MAX, "without patience, every lease");
        let stalled = stalled.with_patience(90);
        assert_eq!((stalled.come_to_ms(10), stalled.come_to_ms(i64::MIN)), (100, i64::MIN));
    }
}
