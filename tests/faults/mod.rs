//! The cases by name.

mod brokers;
mod crashing;
mod databases;
mod digest;
mod documents;
mod far_sides;
mod finance;
mod joining;
mod pressure;
mod process;
mod routing;
mod scale;
mod stating;
mod waiting;

use crate::Case;

/// Every case with its name. Most of the crash matrix keeps the processors busy and most of the others wait,
/// some of them for each other, so they are taken by turns.
pub fn all() -> Vec<(String, Case)> {
    let mut others = [
        brokers::cases(),
        routing::cases(),
        waiting::cases(),
        pressure::cases(),
        databases::cases(),
        far_sides::cases(),
        finance::cases(),
        stating::cases(),
        scale::cases(),
        joining::cases(),
    ]
    .into_iter()
    .flatten();
    let mut all = Vec::new();
    for (index, case) in crashing::cases().into_iter().enumerate() {
        all.push(case);
        if index % 3 == 0 {
            all.extend(others.next());
        }
    }
    all.extend(others);
    all
}
