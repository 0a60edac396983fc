//! Random programs of system calls do natively and under Postern the same.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::fuzz::Fuzzer;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CALLS: u32 = 60;
const BATCH: u64 = 250;

fn check(fuzzer: &Fuzzer, first: u64, count: u64) {
    let found = fuzzer.run(first, count, CALLS).unwrap();
    for difference in &found {
        println!(
            "seed {}\n  natively {}\n  postern  {}",
            difference.seed, difference.native, difference.postern
        );
    }
    if let Some(difference) = found.first() {
        panic!("{} differ; {}", found.len(), fuzzer.shrink(difference, CALLS).unwrap());
    }
}

/// The same programs every time, for two minutes at most.
#[test]
fn programs_that_ran_before() {
    let end = Instant::now() + Duration::from_secs(120);
    let fuzzer = Fuzzer::new().unwrap();
    for first in (1..=12_000).step_by(BATCH as usize) {
        if Instant::now() < end {
            check(&fuzzer, first, BATCH);
        }
    }
}

/// For `POSTERN_FUZZ_SECONDS`, others every time.
#[test]
#[ignore = "finds something new now and then: run by `make fuzz`"]
fn programs_that_never_ran_before() {
    let seconds = std::env::var("POSTERN_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(120);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() * 100_000;
    let fuzzer = Fuzzer::new().unwrap();
    while Instant::now() < end {
        check(&fuzzer, seed, BATCH);
        seed += BATCH;
    }
}
