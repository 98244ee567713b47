//! Threads that meet at a cell, in every order that they can meet in. A wait that nobody ends shows as a deadlock, which
//! loom reports with the order that led to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use hubpass_model::clock::Now;
use hubpass_model::error::{Code, Error};
use hubpass_model::process::{Place, Whereabouts};
use hubpass_model::refresh::cell::{Acquired, Cell, CellPolicy, Lease, Settlement, Timeline};
use loom::future::block_on;
use loom::thread;

/// How often threads may be interrupted at will, besides the waits of their own. Every bug that was tried on this needs
/// three at most.
const INTERRUPTIONS: usize = 3;

/// The same where three threads do the same, so that there are many orders and most are alike.
const INTERRUPTIONS_OF_EQUALS: usize = 2;

const RENEW_AFTER: Duration = Duration::from_secs(100);
const USABLE_FOR: Duration = Duration::from_secs(200);

struct Process(u32);

impl Place for Process {
    fn process(&self) -> u32 {
        self.0
    }

    fn whereabouts(&self) -> Whereabouts {
        let id = self.0;
        std::sync::Arc::new(move || id)
    }

    fn random(&self) -> f64 {
        0.5
    }
}

/// What the threads share.
struct Meeting {
    cell: Cell<&'static str>,
    /// Leases that nobody has ended, those that were given up apart.
    live: AtomicUsize,
    leases: AtomicUsize,
}

impl Meeting {
    fn new() -> Arc<Self> {
        let cell = Cell::new(CellPolicy::default());
        Arc::new(Self { cell, live: AtomicUsize::new(0), leases: AtomicUsize::new(0) })
    }

    /// A meeting at a cell that holds something.
    fn holding(value: &'static str) -> Arc<Self> {
        let meeting = Self::new();
        let Acquired::Lead(lease) = meeting.cell.acquire(at(0), &Process(1)) else { panic!("an empty cell leads") };
        lease.complete(Arc::new(value), sent_at(0), at(0), &Process(1));
        meeting
    }

    fn begin(&self) {
        assert_eq!(self.live.fetch_add(1, Ordering::SeqCst), 0, "two leases at once");
        self.leases.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a lease as ended, just before it is.
    fn end(&self) {
        self.live.fetch_sub(1, Ordering::SeqCst);
    }

    fn leases(&self) -> usize {
        self.leases.load(Ordering::SeqCst)
    }

    /// Asks until there is a value or an error, as clients do; `lead` is what becomes of a lease.
    fn obtain(&self, now: Now, lead: impl Fn(Lease<&'static str>)) -> Result<&'static str, Code> {
        let lead = |lease| {
            self.begin();
            lead(lease);
        };
        loop {
            match self.cell.acquire(now, &Process(1)) {
                Acquired::Serve(held) => return Ok(**held.value()),
                Acquired::ServeAndLead(held, lease) => {
                    lead(lease);
                    return Ok(**held.value());
                }
                Acquired::Lead(lease) => {
                    let ticket = lease.ticket();
                    lead(lease);
                    block_on(ticket);
                }
                Acquired::Wait(ticket) => block_on(ticket),
                Acquired::Fail(error) => return Err(error.code()),
            }
        }
    }

    fn complete(&self, lease: Lease<&'static str>, value: &'static str, now: Now) {
        self.end();
        lease.complete(Arc::new(value), timeline(now), now, &Process(1));
    }

    fn fail(&self, lease: Lease<&'static str>, now: Now) {
        self.end();
        lease.fail(failure(), now, &Process(1));
    }

    fn drop(&self, lease: Lease<&'static str>) {
        self.end();
        drop(lease);
    }
}

fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(1_000_000 + seconds);
    Now::at(since, since)
}

fn timeline(sent: Now) -> Timeline {
    Timeline { sent, renew_after: (RENEW_AFTER, RENEW_AFTER), usable_for: USABLE_FOR }
}

fn sent_at(seconds: u64) -> Timeline {
    timeline(at(seconds))
}

fn failure() -> Error {
    Error::new(Code::ServiceUnavailable, "The service failed.", "Try again later.")
}

/// Tries every order in which threads can run `meet`.
fn in_every_order(interruptions: usize, meet: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(interruptions);
    builder.max_branches = 10_000;
    builder.check(meet);
}

/// Runs two threads beside this one and gives what the three came to.
fn three<T: Send + 'static>(meeting: &Arc<Meeting>, run: impl Fn(&Meeting) -> T + Copy + Send + 'static) -> [T; 3] {
    let start = || {
        let meeting = Arc::clone(meeting);
        thread::spawn(move || run(&meeting))
    };
    let (first, second) = (start(), start());
    let own = run(meeting);
    [own, first.join().expect("no panic"), second.join().expect("no panic")]
}

#[test]
fn one_of_three_leads_and_all_are_served() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::new();
        let outcomes = three(&meeting, |meeting| meeting.obtain(at(0), |lease| meeting.complete(lease, "new", at(0))));
        assert_eq!(outcomes, [Ok("new"); 3]);
        assert_eq!(meeting.leases(), 1);
    });
}

#[test]
fn one_of_three_fails_and_all_are_told() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::new();
        let outcomes = three(&meeting, |meeting| meeting.obtain(at(0), |lease| meeting.fail(lease, at(0))));
        assert_eq!(outcomes, [Err(Code::ServiceUnavailable); 3]);
        assert_eq!(meeting.leases(), 1, "nobody tries again during the pause");
    });
}

#[test]
fn a_dropped_lease_is_taken_over() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::new();
        let outcomes = three(&meeting, |meeting| {
            meeting.obtain(at(0), |lease| match meeting.leases() {
                1 => meeting.drop(lease),
                _ => meeting.complete(lease, "new", at(0)),
            })
        });
        assert_eq!(outcomes, [Ok("new"); 3]);
        assert_eq!(meeting.leases(), 2);
    });
}

#[test]
fn what_is_due_is_renewed_once_and_everybody_is_served() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::holding("old");
        let now = at(RENEW_AFTER.as_secs());
        let outcomes = three(&meeting, move |meeting| meeting.obtain(now, |lease| meeting.complete(lease, "new", now)));
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok("old" | "new"))), "{outcomes:?}");
        assert_eq!(meeting.leases(), 1);
        assert_eq!(meeting.obtain(now, |_| panic!("it is fresh")), Ok("new"));
    });
}

#[test]
fn a_failed_renewal_takes_nothing_away() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::holding("old");
        let now = at(RENEW_AFTER.as_secs());
        let outcomes = three(&meeting, move |meeting| meeting.obtain(now, |lease| meeting.fail(lease, now)));
        assert_eq!(outcomes, [Ok("old"); 3]);
        assert_eq!(meeting.leases(), 1);
    });
}

/// One thread finds that what is held is dead while another renews it and a third one asks.
#[test]
fn who_takes_away_what_is_dead_takes_nothing_else_away() {
    in_every_order(INTERRUPTIONS, || {
        let meeting = Meeting::holding("old");
        let now = at(RENEW_AFTER.as_secs());
        let renewing = Arc::clone(&meeting);
        let renewing = thread::spawn(move || renewing.obtain(now, |lease| renewing.complete(lease, "new", now)));
        let asking = Arc::clone(&meeting);
        let asking = thread::spawn(move || asking.obtain(now, |lease| asking.complete(lease, "new", now)));
        meeting.cell.replace(&Process(1), |held| held.filter(|held| **held.value() == "old").map(|_| None));
        assert_eq!(meeting.obtain(now, |lease| meeting.complete(lease, "new", now)), Ok("new"));
        for outcome in [renewing.join().expect("no panic"), asking.join().expect("no panic")] {
            assert!(matches!(outcome, Ok("old" | "new")), "{outcome:?}");
        }
        assert_eq!(**meeting.cell.held().expect("a value").value(), "new");
    });
}

/// One lease is given up by a caller that comes a minute later; the first one still ends, in each way that there is, while
/// somebody waits for it.
#[test]
fn a_lost_lease_leaves_nobody_waiting_and_nothing_older_in_place() {
    for end in [
        |lease: Lease<&'static str>| lease.complete(Arc::new("late"), sent_at(0), at(60), &Process(1)),
        |lease: Lease<&'static str>| lease.fail(failure(), at(60), &Process(1)),
        |lease: Lease<&'static str>| lease.settle(at(60), &Process(1), |_| Settlement::Drop),
        |lease: Lease<&'static str>| drop(lease),
    ] {
        in_every_order(INTERRUPTIONS, move || {
            let meeting = Meeting::new();
            let Acquired::Lead(lost) = meeting.cell.acquire(at(0), &Process(1)) else { panic!("an empty cell leads") };
            let Acquired::Wait(ticket) = meeting.cell.acquire(at(0), &Process(1)) else { panic!("it is under way") };
            let next = Arc::clone(&meeting);
            let next = thread::spawn(move || next.obtain(at(60), |lease| next.complete(lease, "next", at(60))));
            let waiting = Arc::clone(&meeting);
            let waiting = thread::spawn(move || {
                block_on(ticket);
                waiting.obtain(at(60), |lease| waiting.complete(lease, "next", at(60)))
            });
            end(lost);
            let outcomes = [next.join().expect("no panic"), waiting.join().expect("no panic")];
            let held = meeting.cell.held().map(|held| **held.value());
            if meeting.leases() > 0 {
                assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok("late" | "next"))), "{outcomes:?}");
                assert_eq!(held, Some("next"));
            } else {
                // It ended before anybody gave it up.
                let outcome = held.ok_or(Code::ServiceUnavailable);
                assert_eq!(outcomes, [outcome; 2]);
            }
        });
    }
}

/// A caller that looks once and gives up leaves the others as they were.
#[test]
fn who_stops_waiting_takes_nothing_from_the_others() {
    in_every_order(INTERRUPTIONS, || {
        let meeting = Meeting::new();
        let Acquired::Lead(lease) = meeting.cell.acquire(at(0), &Process(1)) else { panic!("an empty cell leads") };
        meeting.begin();
        let impatient = Arc::clone(&meeting);
        let impatient = thread::spawn(move || {
            if let Acquired::Wait(ticket) = impatient.cell.acquire(at(0), &Process(1)) {
                let _ = pin!(ticket).poll(&mut Context::from_waker(Waker::noop()));
            }
        });
        let patient = Arc::clone(&meeting);
        let patient = thread::spawn(move || patient.obtain(at(0), |_| panic!("somebody leads")));
        meeting.complete(lease, "new", at(0));
        impatient.join().expect("no panic");
        assert_eq!(patient.join().expect("no panic"), Ok("new"));
    });
}

/// The threads of a forked child meet for the first time, at a cell whose parent was fetching.
#[test]
fn the_threads_of_a_forked_child_share_one_lease() {
    in_every_order(INTERRUPTIONS_OF_EQUALS, || {
        let meeting = Meeting::new();
        let Acquired::Lead(parents) = meeting.cell.acquire(at(0), &Process(0)) else { panic!("an empty cell leads") };
        // No thread of the parent is in the child.
        std::mem::forget(parents);
        let outcomes =
            three(&meeting, |meeting| meeting.obtain(at(0), |lease| meeting.complete(lease, "the child's", at(0))));
        assert_eq!(outcomes, [Ok("the child's"); 3]);
        assert_eq!(meeting.leases(), 1);
    });
}
