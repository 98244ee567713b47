//! What the clocks do: the wall clock is set, the machine is suspended, time passes during a pause.

use super::*;

#[test]
fn a_wall_clock_set_forward_costs_one_renewal() {
    let bench = Bench::holding();
    bench.clock.set_wall(bench.now().since_epoch() + USABLE_FOR);
    bench.complete(bench.lead(), "second");
    assert_eq!(bench.outcome(), "serve second");
    bench.clock.advance(RENEW_FROM - MOMENT);
    assert_eq!(bench.outcome(), "serve second");
}

#[test]
fn a_wall_clock_set_back_makes_nothing_younger() {
    let bench = Bench::holding();
    bench.clock.set_wall(bench.now().since_epoch() - Duration::from_secs(86_400));
    bench.clock.advance(RENEW_TO);
    bench.serve_and_lead().fail(failure(), bench.now(), &bench.place);
    bench.clock.advance(USABLE_FOR - RENEW_TO);
    assert_eq!(bench.outcome(), "lead");
}

/// A suspend shows on both clocks here, and on the wall clock alone where no clock counts it.
#[test]
fn a_suspend_counts() {
    for boot_misses_it in [false, true] {
        let bench = Bench::holding();
        if boot_misses_it {
            bench.clock.set_wall(bench.now().since_epoch() + USABLE_FOR);
        } else {
            bench.clock.advance(USABLE_FOR);
        }
        assert_eq!(bench.outcome(), "lead");
    }
}

#[test]
fn a_pause_takes_its_time_whatever_the_wall_clock_says() {
    for wall in [Duration::ZERO, Duration::from_secs(4_000_000_000)] {
        let bench = Bench::new();
        let pause = bench.fail_next(throttled(60));
        bench.clock.set_wall(wall);
        bench.clock.advance(pause - MOMENT);
        assert_eq!(bench.outcome(), "fail throttled");
        bench.clock.advance(MOMENT);
        assert_eq!(bench.outcome(), "lead");
    }
}

/// What is too old by the wall clock alone is probably good, and a fetch will tell. A second one waits like any other.
#[test]
fn a_wall_clock_set_forward_during_a_pause_is_answered_by_one_fetch() {
    let bench = Bench::holding();
    bench.clock.advance(RENEW_TO);
    bench.serve_and_lead().fail(throttled(300), bench.now(), &bench.place);
    bench.clock.set_wall(bench.now().since_epoch() + USABLE_FOR);
    bench.lead().fail(throttled(300), bench.now(), &bench.place);
    assert_eq!(bench.outcome(), "fail throttled");
    bench.clock.set_wall(bench.now().since_epoch() + USABLE_FOR);
    assert_eq!(bench.outcome(), "fail throttled", "a clock that goes on jumping does not make a flood of fetches");
}

/// Age that the other clock confirms excuses nothing.
#[test]
fn what_is_really_too_old_waits_for_the_end_of_the_pause() {
    let bench = Bench::holding();
    bench.clock.advance(USABLE_FOR - MOMENT);
    bench.serve_and_lead().fail(throttled(300), bench.now(), &bench.place);
    bench.clock.advance(MOMENT);
    bench.clock.set_wall(bench.now().since_epoch() + USABLE_FOR);
    assert_eq!(bench.outcome(), "fail throttled");
}

#[test]
fn a_step_of_the_wall_clock_loses_no_flight() {
    let bench = Bench::new();
    let _lease = bench.lead();
    bench.clock.set_wall(bench.now().since_epoch() + Duration::from_secs(3600));
    assert_eq!(bench.outcome(), "wait", "one lease at a time");
}
