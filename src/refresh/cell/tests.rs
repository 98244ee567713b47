//! What a cell promises, as orders of events. Nothing here waits: time stands until a test moves it.

use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;
use crate::error::Code;
use crate::testing::{ManualClock, SimulatedProcess};

#[path = "tests/clocks.rs"] // As this file is named by its parent, so are its own.
mod clocks;
#[path = "tests/forks.rs"]
mod forks;

const RENEW_FROM: Duration = Duration::from_secs(45 * 60);
const RENEW_TO: Duration = Duration::from_secs(55 * 60);
const USABLE_FOR: Duration = Duration::from_secs(85 * 60);
const MOMENT: Duration = Duration::from_millis(1);

/// A cell with a clock and a process.
struct Bench {
    clock: ManualClock,
    place: SimulatedProcess,
    cell: Cell<&'static str>,
}

impl Bench {
    fn new() -> Self {
        Self::with_luck(0.5)
    }

    fn with_luck(luck: f64) -> Self {
        Self {
            clock: ManualClock::starting_at(1_767_225_600),
            place: SimulatedProcess::steady(1, luck),
            cell: Cell::new(CellPolicy::default()),
        }
    }

    /// A bench that holds "first", requested just now.
    fn holding() -> Self {
        let bench = Self::new();
        bench.complete(bench.lead(), "first");
        bench
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn timeline(&self) -> Timeline {
        timeline_from(self.now())
    }

    fn acquire(&self) -> Acquired<&'static str> {
        self.cell.acquire(self.now(), &self.place)
    }

    /// Acquires where nothing but a lease without a value is right.
    fn lead(&self) -> Lease<&'static str> {
        match self.acquire() {
            Acquired::Lead(lease) => lease,
            other => panic!("{} instead of a lease", name(&other)),
        }
    }

    fn serve_and_lead(&self) -> Lease<&'static str> {
        match self.acquire() {
            Acquired::ServeAndLead(_, lease) => lease,
            other => panic!("{} instead of a value and a lease", name(&other)),
        }
    }

    fn wait(&self) -> Waiter {
        match self.acquire() {
            Acquired::Wait(ticket) => Waiter::new(ticket),
            other => panic!("{} instead of a ticket", name(&other)),
        }
    }

    fn refusal(&self) -> Error {
        match self.acquire() {
            Acquired::Fail(error) => error,
            other => panic!("{} instead of an error", name(&other)),
        }
    }

    fn outcome(&self) -> String {
        name(&self.acquire())
    }

    /// Ends a lease with a value that was requested just now.
    fn complete(&self, lease: Lease<&'static str>, value: &'static str) {
        self.complete_late(lease, value, self.timeline());
    }

    /// Ends a lease with a value that was requested some time ago.
    fn complete_late(&self, lease: Lease<&'static str>, value: &'static str, timeline: Timeline) {
        lease.complete(Arc::new(value), timeline, self.now(), &self.place);
    }

    /// Fails the next flight and says how long the pause is.
    fn fail_next(&self, error: Error) -> Duration {
        self.lead().fail(error, self.now(), &self.place);
        self.refusal().retry_after().expect("a pause")
    }
}

fn timeline_from(sent: Now) -> Timeline {
    Timeline { sent, renew_after: (RENEW_FROM, RENEW_TO), usable_for: USABLE_FOR }
}

/// An answer as a text that a failed assertion can show.
fn name(acquired: &Acquired<&'static str>) -> String {
    match acquired {
        Acquired::Serve(held) => format!("serve {}", held.value()),
        Acquired::ServeAndLead(held, _) => format!("serve {} and lead", held.value()),
        Acquired::Lead(_) => "lead".to_owned(),
        Acquired::Wait(_) => "wait".to_owned(),
        Acquired::Fail(error) => format!("fail {}", error.code().as_str()),
    }
}

fn failure() -> Error {
    Error::new(Code::ServiceUnavailable, "The service failed.", "Try again later.")
}

fn throttled(seconds: u64) -> Error {
    Error::new(Code::Throttled, "Fewer calls, please.", "Wait.").with_retry_after(Some(Duration::from_secs(seconds)))
}

/// Somebody who waits, and how often they were woken.
struct Waiter {
    ticket: Pin<Box<Ticket>>,
    woken: Arc<Alarm>,
}

#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Waiter {
    fn new(ticket: Ticket) -> Self {
        let mut waiter = Self { ticket: Box::pin(ticket), woken: Arc::default() };
        assert!(!waiter.is_released(), "a wait that is over before it began");
        waiter
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }

    fn is_released(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.ticket.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
    }
}

#[test]
fn the_first_leads_the_others_wait_and_all_are_served() {
    let bench = Bench::new();
    let lease = bench.lead();
    let mut waiters = [bench.wait(), bench.wait()];
    bench.complete(lease, "first");
    for waiter in &mut waiters {
        assert_eq!(waiter.woken(), 1);
        assert!(waiter.is_released());
    }
    assert_eq!(bench.outcome(), "serve first");
}

#[test]
fn what_is_due_is_served_and_one_caller_leads() {
    let bench = Bench::holding();
    bench.clock.advance((RENEW_FROM + RENEW_TO) / 2 - MOMENT);
    assert_eq!(bench.outcome(), "serve first");
    bench.clock.advance(MOMENT);
    let lease = bench.serve_and_lead();
    assert_eq!(bench.outcome(), "serve first", "somebody leads already");
    bench.complete(lease, "second");
    assert_eq!(bench.outcome(), "serve second");
}

#[test]
fn nothing_is_served_from_the_end_of_its_time_on() {
    let bench = Bench::holding();
    bench.clock.advance(USABLE_FOR - MOMENT);
    let lease = bench.serve_and_lead();
    bench.clock.advance(MOMENT);
    assert_eq!(bench.outcome(), "wait", "the flight began while the value was good");
    drop(lease);
    assert_eq!(bench.outcome(), "lead");
}

/// The moment at which the request was sent counts, because the other side may have made the value right then.
#[test]
fn age_counts_from_the_request_and_not_from_the_answer() {
    let bench = Bench::new();
    let (lease, sent) = (bench.lead(), bench.timeline());
    bench.clock.advance(Duration::from_secs(20));
    bench.complete_late(lease, "slow", sent);
    bench.clock.advance(USABLE_FOR - Duration::from_secs(20));
    assert_eq!(bench.outcome(), "lead");
}

#[test]
fn a_dropped_lease_releases_all_and_one_of_them_leads() {
    let bench = Bench::new();
    let lease = bench.lead();
    let mut waiters = [bench.wait(), bench.wait(), bench.wait()];
    drop(lease);
    assert!(waiters.iter_mut().all(|waiter| waiter.woken() == 1 && waiter.is_released()));
    let _lease = bench.lead();
    assert_eq!([bench.outcome(), bench.outcome()], ["wait", "wait"], "one lease at a time, and no pause");
}

#[test]
fn a_failure_releases_all_and_nobody_tries_again_during_the_pause() {
    let bench = Bench::new();
    let lease = bench.lead();
    let mut waiters = [bench.wait(), bench.wait()];
    lease.fail(failure(), bench.now(), &bench.place);
    assert!(waiters.iter_mut().all(|waiter| waiter.woken() == 1 && waiter.is_released()));
    let pause = bench.refusal().retry_after().expect("a pause");
    bench.clock.advance(pause - MOMENT);
    let refusal = bench.refusal();
    assert_eq!((refusal.code(), refusal.retry_after()), (Code::ServiceUnavailable, Some(MOMENT)));
    bench.clock.advance(MOMENT);
    assert_eq!(bench.outcome(), "lead");
}

/// A caller that stops waiting leaves nothing behind that has to be woken or looked through later.
#[test]
fn who_gives_up_is_forgotten() {
    let bench = Bench::new();
    let lease = bench.lead();
    let (mut patient, impatient) = (bench.wait(), bench.wait());
    let alarm = Arc::clone(&impatient.woken);
    drop(impatient);
    bench.complete(lease, "first");
    assert!(patient.woken() == 1 && patient.is_released());
    assert_eq!(Arc::strong_count(&alarm), 1);
}

#[test]
fn a_failed_renewal_takes_nothing_away() {
    let bench = Bench::holding();
    bench.clock.advance(RENEW_TO);
    bench.serve_and_lead().fail(failure(), bench.now(), &bench.place);
    assert_eq!(bench.outcome(), "serve first", "nobody leads during the pause");
    bench.clock.advance(Duration::from_secs(5));
    bench.serve_and_lead().fail(failure(), bench.now(), &bench.place);
    bench.clock.advance(USABLE_FOR - RENEW_TO - Duration::from_secs(5) - MOMENT);
    bench.serve_and_lead().fail(failure(), bench.now(), &bench.place);
    bench.clock.advance(MOMENT);
    assert_eq!(bench.outcome(), "fail service_unavailable", "it was good to its last moment");
}

#[test]
fn pauses_double_up_to_the_longest_and_are_spread() {
    for (luck, spread) in [(0.0, 0.75), (0.5, 0.875)] {
        let bench = Bench::with_luck(luck);
        for seconds in [5, 10, 20, 30, 30] {
            let pause = bench.fail_next(failure());
            assert_eq!(pause, Duration::from_secs(seconds).mul_f64(spread));
            bench.clock.advance(pause);
        }
        bench.complete(bench.lead(), "first");
        bench.clock.advance(USABLE_FOR);
        assert_eq!(bench.fail_next(failure()), Duration::from_secs(5).mul_f64(spread), "a success forgets failures");
    }
}

#[test]
fn the_other_side_may_ask_for_a_longer_pause_within_reason() {
    let policy = CellPolicy::default();
    for asked in [1, 5, 77, 300, 3600] {
        let bench = Bench::with_luck(0.0);
        let pause = bench.fail_next(throttled(asked));
        let within_reason = Duration::from_secs(asked).clamp(policy.pause_first, policy.retry_after_max);
        assert_eq!(pause, within_reason, "asked for {asked}");
    }
}

#[test]
fn a_pause_that_was_asked_for_is_spread_too() {
    let (first, last) = (Bench::with_luck(0.0), Bench::with_luck(0.999));
    assert!(
        first.fail_next(throttled(60)) < last.fail_next(throttled(60)),
        "processes that were throttled together do not come back together"
    );
}

#[test]
fn a_lost_flight_is_followed_by_another_that_its_waiters_join() {
    let bench = Bench::new();
    let lost = bench.lead();
    let mut waiter = bench.wait();
    bench.clock.advance(CellPolicy::default().flight_max - MOMENT);
    assert_eq!(bench.outcome(), "wait");
    bench.clock.advance(MOMENT);
    let second = bench.lead();
    assert!(waiter.woken() == 1 && waiter.is_released(), "nobody waits for what is lost");
    let mut waiter = bench.wait();
    drop(lost);
    assert!(!waiter.is_released(), "the end of a lost flight says nothing about the next");
    assert_eq!(bench.outcome(), "wait", "one lease at a time");
    bench.complete(second, "second");
    assert!(waiter.woken() > 0 && waiter.is_released());
    assert_eq!(bench.outcome(), "serve second");
}

#[test]
fn a_late_success_is_welcome() {
    let bench = Bench::new();
    let (lost, sent) = (bench.lead(), bench.timeline());
    bench.clock.advance(CellPolicy::default().flight_max);
    let second = bench.lead();
    let mut waiter = bench.wait();
    bench.complete_late(lost, "late", sent);
    assert!(waiter.woken() > 0 && waiter.is_released(), "nobody waits while something good is held");
    assert_eq!(bench.outcome(), "serve late");
    bench.complete(second, "second");
    assert_eq!(bench.outcome(), "serve second");
}

#[test]
fn a_late_failure_is_ignored() {
    let bench = Bench::new();
    let lost = bench.lead();
    bench.clock.advance(CellPolicy::default().flight_max);
    let second = bench.lead();
    let mut waiter = bench.wait();
    lost.fail(throttled(300), bench.now(), &bench.place);
    assert!(!waiter.is_released());
    assert_eq!(bench.outcome(), "wait", "no pause, and no second lease");
    drop(second);
    assert_eq!(bench.outcome(), "lead");
}

#[test]
fn of_two_successes_the_younger_request_wins() {
    let bench = Bench::new();
    let (lost, sent) = (bench.lead(), bench.timeline());
    bench.clock.advance(CellPolicy::default().flight_max);
    bench.complete(bench.lead(), "second");
    bench.complete_late(lost, "out of order", sent);
    assert_eq!(bench.outcome(), "serve second");
}

/// What comes too late to be stored says nothing about the flight under way, nor about the health of the other side.
#[test]
fn an_outdated_success_ends_neither_a_flight_nor_a_pause() {
    let bench = Bench::new();
    let leads_and_is_lost = || {
        let outdated = (bench.lead(), bench.timeline());
        bench.clock.advance(CellPolicy::default().flight_max);
        outdated
    };
    let outdated = [leads_and_is_lost(), leads_and_is_lost()];
    bench.complete(bench.lead(), "good");
    let [first, second] = outdated;

    bench.clock.advance(RENEW_TO);
    let renewal = bench.serve_and_lead();
    bench.complete_late(first.0, "outdated", first.1);
    assert_eq!(bench.outcome(), "serve good", "one lease at a time");
    renewal.fail(throttled(300), bench.now(), &bench.place);
    bench.complete_late(second.0, "outdated", second.1);
    assert_eq!(bench.outcome(), "serve good", "the pause goes on");
}

#[test]
fn keeping_serves_on_and_pauses() {
    let bench = Bench::holding();
    let first = bench.cell.held().expect("a value");
    bench.clock.advance(RENEW_TO);
    let renewal = bench.serve_and_lead();
    renewal.settle(bench.now(), &bench.place, |held| {
        assert!(held.is_some_and(|held| Arc::ptr_eq(held, &first)), "it sees what is held");
        Settlement::Keep(Arc::clone(first.value()), *first.timeline(), failure())
    });
    assert_eq!(bench.outcome(), "serve first");
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.outcome(), "serve first and lead");
    bench.clock.advance(USABLE_FOR - RENEW_TO);
    assert_eq!(bench.outcome(), "lead", "it is no younger than it was");
}

#[test]
fn replacing_ends_a_pause() {
    let bench = Bench::new();
    bench.fail_next(throttled(300));
    assert!(!bench.cell.replace(&bench.place, |_| None));
    assert_eq!(bench.outcome(), "fail throttled", "nothing was replaced");
    assert!(bench.cell.replace(&bench.place, |_| Some(None)));
    assert_eq!(bench.outcome(), "lead");
    assert!(bench.cell.replace(&bench.place, |_| Some(Some((Arc::new("other"), bench.timeline())))));
    assert_eq!(bench.outcome(), "serve other");
}
