//! A day of a client without a shared key, in simulated time: tokens and keys are fetched from a service that fails, is
//! late, hangs, answers out of order and revokes keys, while clocks jump and the process is suspended and forked.
//!
//! Everything follows from a seed. Each step is done twice, by the client and by a [`model`] of what the client promises,
//! which shares no code with it; after each step both must have given the same answer, and at the end both must have
//! asked as often. A failure names its seed: `HUBPASS_SEED=<seed> cargo test --features testing --test simulation`.
#![cfg(feature = "testing")]

mod azure;
mod client;
mod day;
mod model;
mod scenarios;
mod script;

use std::time::Duration;

use crate::day::{Day, Report};

/// A negotiation every second, which is what a busy server does.
const EACH_SECOND: Duration = Duration::from_secs(1);

/// A negotiation every minute: most of what happens, happens while nobody asks.
const EACH_MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_day_with_a_negotiation_each_second() {
    let report = run(0, EACH_SECOND);
    assert!(report.signed > 70_000, "{report:?}");
}

#[test]
fn days_with_a_negotiation_each_minute() {
    let total = run_all(0..200);
    assert!(total.covers_everything(), "the script leaves something out: {total:?}");
}

/// Runs one day again: `HUBPASS_SEED=17`, and `HUBPASS_EACH_SECOND=1` for the day with more negotiations.
#[test]
#[allow(clippy::disallowed_methods, reason = "a person chooses the seed on the command line")]
fn the_day_of_the_seed_in_the_environment() {
    let Some(seed) = std::env::var("HUBPASS_SEED").ok() else { return };
    let every = if std::env::var_os("HUBPASS_EACH_SECOND").is_some() { EACH_SECOND } else { EACH_MINUTE };
    println!("{:#?}", run(seed.parse().expect("HUBPASS_SEED is a number"), every));
}

#[test]
#[ignore = "takes minutes; part of `make chaos`"]
fn ten_thousand_days() {
    let total = run_all(1_000..11_000);
    println!("{total:#?}");
}

fn run_all(seeds: std::ops::Range<u64>) -> Report {
    let seeds: Vec<u64> = seeds.collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let shares: Vec<_> = seeds
            .chunks(seeds.len().div_ceil(threads))
            .map(|share| scope.spawn(|| share.iter().map(|&seed| run(seed, EACH_MINUTE)).sum::<Report>()))
            .collect();
        shares.into_iter().map(|share| share.join().expect("a day went wrong, see above")).sum()
    })
}

fn run(seed: u64, every: Duration) -> Report {
    Day::new(seed, every).run()
}
