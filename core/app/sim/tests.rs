use super::*;

fn shipped() -> Arc<Shipped> {
    Arc::new(Shipped::new().unwrap())
}

#[test]
fn the_same_seed_is_the_same_run() {
    let shipped = shipped();
    for seed in 1..=60 {
        let first = run(&shipped, seed, None, true).unwrap();
        let second = run(&shipped, seed, None, true).unwrap();
        let pairs = first.trace.iter().zip(&second.trace);
        let differs = pairs.enumerate().find(|(_, (a, b))| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second);
        assert!(first.steps > 10, "seed {seed}: {} steps", first.steps);
    }
}
