//! What a ring promises: keys do not grow younger, and reports of dead keys count.

use super::*;
use crate::testing::{ManualClock, SimulatedProcess};

const MINUTE: Duration = Duration::from_secs(60);

/// A ring with the default policy, a clock and a process that renews keys at 50 minutes.
struct Bench {
    clock: ManualClock,
    place: SimulatedProcess,
    ring: KeyRing,
}

impl Bench {
    fn new() -> Self {
        Self {
            clock: ManualClock::starting_at(1_767_225_600),
            place: SimulatedProcess::steady(1, 0.5),
            ring: KeyRing::new(KeyPolicy::default()),
        }
    }

    /// A ring that has had these keys, each fetched when the one before it was due; the last one is new.
    fn with_keys(kids: &[&str]) -> Self {
        let bench = Self::new();
        for (position, kid) in kids.iter().enumerate() {
            if position > 0 {
                bench.clock.advance(50 * MINUTE);
            }
            assert_eq!(bench.fetch(kid), Absorbed::Renewed);
        }
        bench
    }

    fn acquire(&self) -> Acquired<TemporaryKey> {
        self.ring.acquire(self.clock.now(), &self.place)
    }

    /// A lease, whether something good is held or not.
    fn lead(&self) -> Lease<TemporaryKey> {
        match self.acquire() {
            Acquired::Lead(lease) | Acquired::ServeAndLead(_, lease) => lease,
            other => panic!("{} instead of a lease", name(&other)),
        }
    }

    /// Leads a fetch that the service answers at once with this key.
    fn fetch(&self, kid: &str) -> Absorbed {
        self.answer(self.lead(), kid, self.clock.now())
    }

    /// The answer to a request that was sent then.
    fn answer(&self, lease: Lease<TemporaryKey>, kid: &str, sent: Now) -> Absorbed {
        self.ring.absorb(lease, key(kid), sent, self.clock.now(), &self.place)
    }

    fn report(&self, kid: &str) -> Reported {
        self.ring.report(kid, self.clock.now(), &self.place)
    }

    fn outcome(&self) -> String {
        name(&self.acquire())
    }

    /// Whether the current key is used at this time and dropped a moment later.
    fn dies_in(&self, left: Duration) -> bool {
        let moment = Duration::from_millis(1);
        self.clock.advance(left - moment);
        let serves = self.outcome().starts_with("serve");
        self.clock.advance(moment);
        serves && !self.outcome().starts_with("serve")
    }
}

fn key(kid: &str) -> TemporaryKey {
    TemporaryKey::new(kid.to_owned(), Secret::new(format!("text of {kid}")))
}

fn name(acquired: &Acquired<TemporaryKey>) -> String {
    match acquired {
        Acquired::Serve(held) => format!("serve {}", held.value().kid()),
        Acquired::ServeAndLead(held, _) => format!("serve {} and lead", held.value().kid()),
        Acquired::Lead(_) => "lead".to_owned(),
        Acquired::Wait(_) => "wait".to_owned(),
        Acquired::Fail(error) => format!("fail {}", error.code().as_str()),
    }
}

#[test]
fn a_key_signs_until_its_margin_begins() {
    let bench = Bench::with_keys(&["a"]);
    assert_eq!(bench.outcome(), "serve a");
    assert!(bench.dies_in(85 * MINUTE));
}

#[test]
fn a_renewal_with_the_same_key_resets_nothing_and_is_tried_again_with_pauses() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    assert_eq!(bench.fetch("a"), Absorbed::Unchanged);
    assert_eq!(bench.outcome(), "serve a", "nobody leads during the pause");
    for _ in 0..3 {
        bench.clock.advance(Duration::from_secs(30));
        assert_eq!(bench.fetch("a"), Absorbed::Unchanged);
    }
    assert!(bench.dies_in(35 * MINUTE - Duration::from_secs(90)));
}

#[test]
fn the_same_key_heals_after_the_wall_clock_was_set_forward() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(10 * MINUTE);
    bench.clock.set_wall(bench.clock.now().since_epoch() + 600 * MINUTE);
    assert_eq!(bench.outcome(), "lead", "by the wall clock the key is too old");
    assert_eq!(bench.fetch("a"), Absorbed::Unchanged);
    assert_eq!(bench.outcome(), "serve a");
    assert!(bench.dies_in(75 * MINUTE), "its age is what the clock says that nobody can set");
}

/// The service may make a new text for a name that it has used; the text that it gave last is the one that it knows.
#[test]
fn the_same_name_with_another_text_signs_with_that_text() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    let other = TemporaryKey::new("a".to_owned(), Secret::new("another text".to_owned()));
    let expected = Arc::clone(other.signing());
    let absorbed = bench.ring.absorb(bench.lead(), other, bench.clock.now(), bench.clock.now(), &bench.place);
    assert_eq!(absorbed, Absorbed::Unchanged);
    let current = bench.ring.current().expect("a key");
    assert!(Arc::ptr_eq(current.value().signing(), &expected));
    assert!(bench.dies_in(35 * MINUTE));
}

#[test]
fn an_answer_out_of_order_does_not_replace_a_younger_key() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    let (lost, sent) = (bench.lead(), bench.clock.now());
    bench.clock.advance(MINUTE);
    assert_eq!(bench.fetch("c"), Absorbed::Renewed);
    assert_eq!(bench.answer(lost, "b", sent), Absorbed::Late);
    assert_eq!(bench.outcome(), "serve c");
}

#[test]
fn a_report_makes_the_next_call_fetch() {
    let bench = Bench::with_keys(&["a"]);
    assert_eq!(bench.report("a"), Reported::Dropped);
    assert_eq!(bench.fetch("b"), Absorbed::Renewed);
    assert_eq!(bench.outcome(), "serve b");
}

#[test]
fn a_report_of_a_key_that_is_not_in_hand_changes_nothing() {
    let bench = Bench::with_keys(&["a", "b", "c"]);
    for unknown in ["a", "", "someone's"] {
        assert_eq!(bench.report(unknown), Reported::Unknown);
    }
    assert_eq!(bench.outcome(), "serve c");
    assert_eq!(bench.report("c"), Reported::Dropped, "they did not count as reports");
}

#[test]
fn reports_force_one_fetch_a_minute() {
    let bench = Bench::with_keys(&["a"]);
    assert_eq!(bench.report("a"), Reported::Dropped);
    bench.fetch("b");
    bench.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(bench.report("b"), Reported::TooSoon);
    assert_eq!(bench.outcome(), "serve b");
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.report("b"), Reported::Dropped);
    assert_eq!(bench.outcome(), "lead");
}

/// The minute is of the clock that nobody can set.
#[test]
fn a_step_of_the_wall_clock_allows_no_further_report() {
    let bench = Bench::with_keys(&["a"]);
    assert_eq!(bench.report("a"), Reported::Dropped);
    bench.fetch("b");
    bench.clock.set_wall(bench.clock.now().since_epoch() + 2 * MINUTE);
    assert_eq!(bench.report("b"), Reported::TooSoon);
}

#[test]
fn the_key_before_serves_while_another_is_fetched() {
    let bench = Bench::with_keys(&["a", "b"]);
    assert_eq!(bench.report("b"), Reported::Dropped);
    let lease = match bench.acquire() {
        Acquired::ServeAndLead(held, lease) if held.value().kid() == "a" => lease,
        other => panic!("{}", name(&other)),
    };
    assert_eq!(bench.outcome(), "serve a");
    drop(lease);
    assert!(bench.dies_in(35 * MINUTE), "it is as old as it was");
}

#[test]
fn the_key_before_is_of_no_use_past_its_time_or_once_reported() {
    let bench = Bench::with_keys(&["a", "b"]);
    bench.clock.advance(35 * MINUTE);
    assert_eq!(bench.report("b"), Reported::Dropped);
    assert_eq!(bench.outcome(), "lead");

    let bench = Bench::with_keys(&["a", "b"]);
    assert_eq!(bench.report("a"), Reported::Dropped);
    assert_eq!(bench.outcome(), "serve b", "the current key goes on");
    assert_eq!(bench.report("b"), Reported::Dropped, "no fetch was forced before");
    assert_eq!(bench.outcome(), "lead");
}

#[test]
fn a_reported_key_that_is_given_out_again_keeps_its_age() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(30 * MINUTE);
    assert_eq!(bench.report("a"), Reported::Dropped);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.fetch("a"), Absorbed::Unchanged, "the report was wrong");
    assert_eq!(bench.outcome(), "serve a");
    assert!(bench.dies_in(55 * MINUTE - Duration::from_secs(1)));
}

#[test]
fn a_reported_key_that_is_given_out_again_is_renewed_when_it_is_due() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(29 * MINUTE);
    bench.report("a");
    bench.clock.advance(MINUTE);
    bench.fetch("a");
    bench.clock.advance(20 * MINUTE);
    assert_eq!(bench.outcome(), "serve a and lead");
}

/// The answer was made before the key died.
#[test]
fn an_answer_to_a_request_before_the_report_does_not_bring_the_dead_key_back() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    let (lease, sent) = (bench.lead(), bench.clock.now());
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.report("a"), Reported::Dropped);
    bench.clock.advance(Duration::from_secs(1));
    bench.answer(lease, "a", sent);
    assert!(!bench.outcome().starts_with("serve"), "the report forces a fetch of its own");
}

#[test]
fn an_answer_to_a_request_before_the_report_is_welcome_if_it_is_another_key() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    let (lease, sent) = (bench.lead(), bench.clock.now());
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.report("a"), Reported::Dropped);
    assert_eq!(bench.answer(lease, "b", sent), Absorbed::Renewed);
    assert_eq!(bench.outcome(), "serve b");
}

/// A replica of the service that lags behind may answer a renewal with a key of yesterday.
#[test]
fn a_key_reported_long_ago_does_not_take_a_younger_one_away() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(MINUTE);
    bench.report("a");
    bench.fetch("b");
    bench.clock.advance(50 * MINUTE);
    bench.fetch("a");
    assert_eq!(bench.outcome(), "serve b", "and a pause, because the renewal has failed");
    assert!(bench.dies_in(35 * MINUTE));
}

#[test]
fn a_report_that_was_wrong_is_corrected_by_the_service() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    bench.fetch("b");
    bench.report("b");
    bench.fetch("a");
    assert_eq!(bench.outcome(), "serve a", "a pause follows");
    bench.clock.advance(Duration::from_secs(30));
    bench.fetch("b");
    assert!(!bench.outcome().ends_with("and lead"), "one fetch, then none for a while");
}

#[test]
fn the_key_before_that_comes_back_is_as_old_as_it_was() {
    let bench = Bench::with_keys(&["a", "b"]);
    bench.clock.advance(50 * MINUTE);
    bench.fetch("a");
    assert_eq!(bench.outcome(), "serve b", "a key of 100 minutes signs nothing");
    bench.clock.advance(Duration::from_secs(30));
    assert_eq!(bench.fetch("c"), Absorbed::Renewed);
}

#[test]
fn a_report_ends_the_pause_after_a_failure() {
    let bench = Bench::with_keys(&["a"]);
    bench.clock.advance(50 * MINUTE);
    let throttled = Error::new(Code::Throttled, "Fewer calls.", "Wait.").with_retry_after(Some(5 * MINUTE));
    bench.lead().fail(throttled, bench.clock.now(), &bench.place);
    assert_eq!(bench.outcome(), "serve a");
    bench.report("a");
    assert_eq!(bench.outcome(), "lead");
}

/// Keys are data and survive a fork; so do the reports about them.
#[test]
fn a_child_goes_on_with_its_parents_keys() {
    let bench = Bench::with_keys(&["a", "b"]);
    bench.report("b");
    let _parents = bench.lead();
    bench.place.fork(2);
    assert_eq!(bench.outcome(), "serve a and lead");
    bench.fetch("c");
    assert_eq!(bench.report("c"), Reported::TooSoon);
    assert_eq!(bench.outcome(), "serve c");
}

#[test]
fn a_ring_shows_no_key_text() {
    assert!(!format!("{:?}", key("a")).contains("text of"));
}
