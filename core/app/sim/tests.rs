use super::*;

fn shipped() -> Arc<Shipped> {
    Arc::new(Shipped::new().unwrap())
}

#[test]
fn the_same_seed_is_the_same_run() {
    let shipped = shipped();
    for seed in 1..=40 {
        let first = run(&shipped, seed, None, true).unwrap();
        let second = run(&shipped, seed, None, true).unwrap();
        let pairs = first.trace.iter().zip(&second.trace);
        let differs = pairs.enumerate().find(|(_, (a, b))| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second);
        assert!(first.steps > 10, "seed {seed}: {} steps", first.steps);
    }
}

#[test]
fn two_thousand_seeds_hold() {
    let tally = many(&shipped(), 1, 2_000, None);
    let first = tally.violations.first();
    let told = first.map(|one| format!("seed {}: {:?}\n{}", one.seed, one.violation, one.trace.join("\n")));
    assert_eq!(told, None, "{} seeds fail", tally.violations.len());
    assert_eq!(tally.runs, 2_000);
    // The faults did happen.
    assert!(tally.crashes > 2_000 && tally.freezes > 1_000 && tally.fenced > 500, "{tally:?}");
}

/// Each deliberate mistake is seen within a few seeds, told for what it is, and told again by the same seed.
#[test]
fn deliberate_mistakes_are_seen() {
    let table: [(Bug, &[&str]); 8] = [
        (Bug::MarkerBeforeEffect, &["has nothing of it"]),
        (Bug::NoLookup, &["is sent again without asking"]),
        (Bug::AckBeforeCommit, &["was answered and is not stored"]),
        (Bug::NoFencing, &["posted became", "of the same lane is"]),
        (Bug::FreshKey, &["a second document in"]),
        (Bug::NoOrder, &["of the same lane is", "took effect after its successor's"]),
        (Bug::NoSweeper, &["does not end"]),
        (Bug::EndlessLine, &["does not end"]),
    ];
    assert_eq!(table.len(), Bug::ALL.len());
    let shipped = shipped();
    for (bug, telling) in table {
        let mut runs = (1..=60).map(|seed| run(&shipped, seed, Some(bug), false).unwrap());
        let seen = runs.find(|verdict| verdict.violation.is_some());
        let seen = seen.unwrap_or_else(|| panic!("{bug:?} is not seen"));
        let violation = seen.violation.clone().unwrap_or_default();
        assert!(telling.iter().any(|text| violation.contains(text)), "{bug:?}: {violation}");
        let again = run(&shipped, seen.seed, Some(bug), false).unwrap();
        assert_eq!(again, seen);
        println!("{bug:?}: seed {}: {violation}", seen.seed);
    }
}
