//! When a consumer steps back: a process that is given what another is to take goes to the end of the waiting line.

use std::time::Duration;
use tokio::time::Instant;

/// Between the first two times; doubled each time after, for the owner may not be in the line at all.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause between two times.
const LONGEST: Duration = Duration::from_secs(60);

/// How often one consumer may step back.
#[derive(Debug)]
pub(super) struct Turn {
    next: Option<Instant>,
    pause: Duration,
}

impl Turn {
    /// At once the first time.
    pub(super) fn new() -> Self {
        Turn { next: None, pause: FIRST }
    }

    /// Whether to step back now, having been given what is not ours.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        // After a long time it is another story: the owner was away and is back.
        if self.next.is_some_and(|next| now.duration_since(next) > LONGEST) {
            self.pause = FIRST;
        }
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_owner_that_never_comes_costs_little() {
        let mut turn = Turn::new();
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..600 {
            if turn.is_over(Instant::now()) {
                times.push(begun.elapsed().as_secs());
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363, 423, 483, 543]);
        tokio::time::advance(LONGEST * 3).await;
        assert!(turn.is_over(Instant::now()) && !turn.is_over(Instant::now()));
        tokio::time::advance(FIRST).await;
        assert!(turn.is_over(Instant::now()), "from the beginning");
    }
}
