//! What a forked child does with what it inherits.

use std::sync::mpsc::channel;

use super::*;

/// The copy of a cell that a forked child has: the same memory, locks included, in another place.
fn memory_of(cell: &Cell<&'static str>) -> Cell<&'static str> {
    let held = cell.inner.held.load_full().map(|held| {
        let look_after = AtomicU64::new(held.look_after.load(Ordering::SeqCst));
        Arc::new(Held { value: Arc::clone(&held.value), timeline: held.timeline, look_after })
    });
    let inner = Inner { policy: cell.inner.policy, held: Slot::empty(), flights: Slot::empty() };
    inner.held.store(held);
    inner.flights.store(cell.inner.flights.load_full());
    Cell { inner: Arc::new(inner) }
}

#[test]
fn a_forked_child_leads_its_own_flight_and_never_waits_for_its_parents() {
    let bench = Bench::new();
    let _parents = bench.lead();
    assert_eq!(bench.outcome(), "wait");
    let child =
        Bench { clock: bench.clock.clone(), place: SimulatedProcess::steady(2, 0.5), cell: memory_of(&bench.cell) };
    let lease = child.lead();
    assert_eq!(child.outcome(), "wait");
    child.complete(lease, "the child's");
    assert_eq!(child.outcome(), "serve the child's");
    assert_eq!(bench.outcome(), "wait", "the parent goes on as before");
}

#[test]
fn a_forked_child_serves_what_it_holds_and_forgets_its_parents_pause() {
    let bench = Bench::holding();
    bench.clock.advance(RENEW_TO);
    bench.serve_and_lead().fail(throttled(300), bench.now(), &bench.place);
    let child =
        Bench { clock: bench.clock.clone(), place: SimulatedProcess::steady(2, 0.5), cell: memory_of(&bench.cell) };
    let lease = child.serve_and_lead();
    assert_eq!([child.outcome(), bench.outcome()], ["serve first", "serve first"]);
    drop(lease);
    bench.clock.advance(USABLE_FOR);
    assert_eq!([child.outcome(), bench.outcome()], ["lead", "lead"]);
}

/// The same through tasks: the flight of the parent is a task, which is not in the child.
#[test]
fn a_flight_under_way_at_a_fork_is_not_in_the_child() {
    let clock = ManualClock::starting_at(1_767_225_600);
    let place = SimulatedProcess::new(1, 7);
    let cell: Cell<&'static str> = Cell::new(CellPolicy::default());
    let Acquired::Lead(lease) = cell.acquire(clock.now(), &place) else { panic!("a lease") };
    place
        .spawn(Box::pin(async move {
            std::future::pending::<()>().await;
            drop(lease);
        }))
        .unwrap();
    place.run();
    assert_eq!(name(&cell.acquire(clock.now(), &place)), "wait");
    place.fork(2);
    assert_eq!(place.pending(), 0);
    let Acquired::Lead(lease) = cell.acquire(clock.now(), &place) else { panic!("a lease of its own") };
    lease.complete(Arc::new("the child's"), timeline_from(clock.now()), clock.now(), &place);
    assert_eq!(name(&cell.acquire(clock.now(), &place)), "serve the child's");
}

/// A thread of the parent that does not exist in the child may hold the lock for ever.
#[test]
fn a_forked_child_does_not_touch_the_lock_of_its_parent() {
    let bench = Bench::holding();
    bench.clock.advance(RENEW_TO);
    let inherited = bench.cell.inner.flights(&bench.place);
    let _held_for_ever = inherited.lock();
    let child = memory_of(&bench.cell);
    let now = bench.now();
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        let answer = name(&child.acquire(now, &SimulatedProcess::steady(2, 0.5)));
        sender.send(answer).unwrap();
    });
    let answer = receiver.recv_timeout(Duration::from_secs(30)).expect("the child waits for its parent's lock");
    assert_eq!(answer, "serve first and lead");
    thread.join().unwrap();
}

/// What of a parent's flights is dropped in a child takes no lock, wakes nobody and lets go of nobody.
#[test]
fn a_forked_child_drops_leases_and_tickets_of_its_parent_without_a_touch() {
    let bench = Bench::new();
    let (lease, waiter) = (bench.lead(), bench.wait());
    let (given_up, woken) = (bench.wait(), Arc::clone(&waiter.woken));
    let flights = bench.cell.inner.flights(&bench.place);
    bench.place.fork(2);
    let held_for_ever = flights.lock();
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || {
        drop((lease, given_up));
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(30)).expect("the child waits for its parent's lock");
    thread.join().unwrap();
    assert_eq!(waiter.woken(), 0);
    drop(held_for_ever);
    drop((waiter, flights, bench));
    // The waker that was registered is left where it is.
    assert_eq!(Arc::strong_count(&woken), 2);
}

/// The ages at which 32 children that are forked at `fork_at` begin to renew, if each is asked all the time.
fn renewals_of_children(fork_at: Duration) -> Vec<Duration> {
    const STEP: Duration = Duration::from_secs(1);
    let bench = Bench::holding();
    let sent = bench.now();
    bench.clock.advance(fork_at);
    bench.acquire();
    let luck = SimulatedProcess::new(0, 32);
    let children = (2..34).map(|id| {
        let child = Bench {
            clock: ManualClock::starting_at(0),
            place: SimulatedProcess::steady(id, luck.random()),
            cell: memory_of(&bench.cell),
        };
        let mut age = fork_at;
        loop {
            let then = Now::at(sent.since_epoch() + age, sent.since_boot() + age);
            if matches!(child.cell.acquire(then, &child.place), Acquired::ServeAndLead(..)) {
                return age;
            }
            age += STEP;
        }
    });
    children.collect()
}

/// No quarter of the window is without renewals, and none has half of them.
fn assert_spread(ages: &[Duration]) {
    let quarter = (RENEW_TO - RENEW_FROM) / 4;
    for part in 0..4 {
        let (begin, end) = (RENEW_FROM + quarter * part, RENEW_FROM + quarter * (part + 1));
        let count = ages.iter().filter(|&&age| begin < age && age <= end).count();
        assert!((1..ages.len() / 2).contains(&count), "{count} of {} renew from {begin:?} to {end:?}", ages.len());
    }
}

#[test]
fn renewals_of_forked_children_are_spread_over_the_whole_window() {
    assert_spread(&renewals_of_children(Duration::from_secs(60)));
}

/// By then the parent has looked and knows when it will renew itself; that is nothing to its children.
#[test]
fn renewals_of_children_forked_in_the_window_are_spread_over_its_rest() {
    assert_spread(&renewals_of_children(RENEW_FROM + Duration::from_secs(5)));
}
