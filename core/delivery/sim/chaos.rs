//! What may go wrong in a run, and how often.

use super::dice::Dice;

/// Rates in a thousand. Each seed draws its own mix, some of them zero: faults hide each other, and a run with few
/// kinds of them reaches further than one with all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Chaos {
    /// The process dies, at each persistence point: before and after every statement, publish and far call.
    pub crash: u32,
    /// The process stands still for minutes, then goes on where it was.
    pub freeze: u32,
    /// A statement fails and nothing of it is stored.
    pub store_refuses: u32,
    /// A transaction is committed and its answer is lost.
    pub store_mute: u32,
    /// The broker does not take a message.
    pub publish_refused: u32,
    /// The broker takes a message and its confirm is lost.
    pub confirm_lost: u32,
    /// The broker confirms a message and loses it.
    pub message_vanishes: u32,
    /// A message is handed out twice.
    pub message_doubled: u32,
    /// A message comes up to half a minute late, after those published behind it.
    pub message_late: u32,
    /// A request never reaches the far side.
    pub request_lost: u32,
    /// The far side acts and its answer is lost.
    pub answer_lost: u32,
    /// The far side says that it cannot serve.
    pub far_down: u32,
    /// The far side asks for patience.
    pub far_throttles: u32,
    /// The far side takes most of the call's time.
    pub far_slow: u32,
    /// The far side acts after its caller has given up and the lease has run out.
    pub far_after_lease: u32,
    /// Clocks of processes stand apart by up to so many seconds, and jump.
    pub skew_s: u32,
    /// All queues of the broker are emptied, tried once a minute.
    pub wipe: u32,
}

impl Chaos {
    /// The mix of a seed.
    pub fn draw(dice: &Dice) -> Self {
        let severe = dice.per_mille(400);
        let rate = |usual: u32| dice.one_of(&[0, 0, usual, usual * 4]);
        Chaos {
            crash: rate(4),
            freeze: rate(2),
            store_refuses: rate(10),
            store_mute: rate(10),
            publish_refused: rate(30),
            confirm_lost: rate(30),
            message_vanishes: rate(30),
            message_doubled: rate(60),
            message_late: rate(60),
            request_lost: rate(30),
            answer_lost: rate(40),
            far_down: rate(40),
            far_throttles: rate(40),
            far_slow: rate(20),
            far_after_lease: if severe { rate(15) } else { 0 },
            skew_s: if severe { dice.one_of(&[0, 30, 300]) } else { 0 },
            wipe: rate(100),
        }
    }

    /// Whether a call may take effect after its lease. Then only a far side that refuses a key twice keeps a
    /// document single; for others the promise ends here, as the documentation says.
    pub fn is_severe(&self) -> bool {
        self.far_after_lease > 0 || self.skew_s > 0
    }
}
