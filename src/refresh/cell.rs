//! The cell: what is held, whether it is due, who fetches, who waits.
//!
//! What is held is plain data behind an atomic pointer; it survives a fork. Who fetches and who waits belongs to one
//! process: a forked child, whose parent's fetches will never end in it, begins anew.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::Now;
use crate::error::Error;
use crate::process::{Place, Whereabouts};
use crate::refresh::shim::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, Slot};

/// When something that is held has to be renewed, and how long it is good. Counted from the moment its request was sent,
/// because the other side may have made it at any time from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// When the request was sent.
    pub sent: Now,
    /// The bounds between which each process draws the age at which it renews.
    pub renew_after: (Duration, Duration),
    /// The age from which it is not used any more.
    pub usable_for: Duration,
}

/// How often a process that renews late looks closer while others may be renewing.
const LOOKS_IN_WINDOW: u32 = 64;

/// How a cell behaves in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellPolicy {
    /// The pause after a first failure; it doubles with each further one.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// The longest pause that the other side may ask for.
    pub retry_after_max: Duration,
    /// The age at which a fetch counts as lost, so that another may begin. Its outcome is still welcome.
    pub flight_max: Duration,
}

impl Default for CellPolicy {
    fn default() -> Self {
        Self {
            pause_first: Duration::from_secs(5),
            pause_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(300),
            flight_max: Duration::from_secs(60),
        }
    }
}

/// Something held, with its times.
pub struct Held<T> {
    value: Arc<T>,
    timeline: Timeline,
    /// The age in milliseconds from which a caller has to look closer. It starts at the lower bound and moves to what the
    /// process draws, so that a child forked early draws for itself.
    look_after: AtomicU64,
}

impl<T> Held<T> {
    fn new(value: Arc<T>, timeline: Timeline) -> Arc<Self> {
        let look_after = AtomicU64::new(milliseconds(timeline.renew_after.0));
        Arc::new(Self { value, timeline, look_after })
    }

    /// The thing itself.
    pub fn value(&self) -> &Arc<T> {
        &self.value
    }

    /// Its times.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How old it is.
    pub fn age(&self, now: Now) -> Duration {
        now.age_of(self.timeline.sent)
    }

    /// Whether it is good.
    pub fn is_usable(&self, now: Now) -> bool {
        self.age(now) < self.timeline.usable_for
    }

    /// Whether it is good and nobody need think of a renewal.
    fn is_fresh(&self, now: Now) -> bool {
        let age = self.age(now);
        age < self.timeline.usable_for && milliseconds(age) < self.look_after.load(Ordering::Relaxed)
    }

    /// Whether it would be good if nobody had set the wall clock.
    fn is_young_since_boot(&self, now: Now) -> bool {
        now.since_boot().saturating_sub(self.timeline.sent.since_boot()) < self.timeline.usable_for
    }

    /// The age at which a process renews that drew `fraction`.
    fn renew_at(&self, fraction: f64) -> Duration {
        let (from, to) = self.timeline.renew_after;
        from + to.saturating_sub(from).mul_f64(fraction)
    }
}

/// The answer to whoever asks a cell.
pub enum Acquired<T> {
    /// Here it is.
    Serve(Arc<Held<T>>),
    /// Here it is; it is due, and the caller has to see to it that it is fetched, without waiting for that.
    ServeAndLead(Arc<Held<T>>, Lease<T>),
    /// Nothing good is held, and the caller has to see to it that it is fetched.
    Lead(Lease<T>),
    /// Nothing good is held, and somebody is fetching: wait, then ask again.
    Wait(Ticket),
    /// Nothing good is held, the last fetch failed, and it is too early for another.
    Fail(Error),
}

/// Keeps one thing that expires.
pub struct Cell<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    policy: CellPolicy,
    held: Slot<Held<T>>,
    flights: Slot<Flights>,
}

/// What belongs to one process.
struct Flights {
    process: u32,
    whereabouts: Whereabouts,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The fetch under way: its number, and when it began.
    flight: Option<(u64, Now)>,
    flights_begun: u64,
    tickets_given: u64,
    /// Those who wait, by the number of their ticket.
    wakers: BTreeMap<u64, Waker>,
    /// How many fetches have failed in a row.
    failures: u32,
    pause: Option<Pause>,
    /// Whether a pause was cut short because the wall clock had jumped, since the last value came.
    jump_forgiven: bool,
    /// What this process drew, between 0 and 1.
    fraction: Option<f64>,
}

/// The time after a failure in which no fetch begins.
#[derive(Clone, Debug)]
pub struct Pause {
    /// When it ends, in time since boot.
    pub ends: Duration,
    /// The failure.
    pub error: Error,
}

impl Pause {
    fn remaining(&self, now: Now) -> Option<Duration> {
        self.ends.checked_sub(now.since_boot()).filter(|remaining| !remaining.is_zero())
    }
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and a torn state could not be worse than a refusal for ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they came here by a fork. Their lock may then be taken for ever, and those who wait are of no runtime that
    /// is alive.
    fn are_inherited(&self) -> bool {
        (self.whereabouts)() != self.process
    }
}

impl Drop for Flights {
    fn drop(&mut self) {
        if self.are_inherited() {
            // To drop the wakers would be to touch the tasks of the parent.
            std::mem::forget(std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

impl<T> Cell<T> {
    /// An empty cell.
    pub fn new(policy: CellPolicy) -> Self {
        Self { inner: Arc::new(Inner { policy, held: Slot::empty(), flights: Slot::empty() }) }
    }

    /// Asks for what is held. While it is fresh this is two atomic reads and a comparison: no lock, no process id.
    pub fn acquire(&self, now: Now, place: &dyn Place) -> Acquired<T> {
        if let Some(held) = self.inner.held.load().as_ref()
            && held.is_fresh(now)
        {
            return Acquired::Serve(Arc::clone(held));
        }
        self.decide(now, place)
    }

    /// Whether this is what [`Self::acquire`] would serve without a further look.
    pub fn is_fresh(&self, this: &Arc<Held<T>>, now: Now) -> bool {
        self.inner.held.load().as_ref().is_some_and(|held| Arc::ptr_eq(held, this)) && this.is_fresh(now)
    }

    fn decide(&self, now: Now, place: &dyn Place) -> Acquired<T> {
        let flights = self.inner.flights(place);
        let mut state = flights.lock();
        // Read again under the lock: a fetch may have ended since.
        let newest = self.inner.held.load_full();
        let held = newest.clone().filter(|held| held.is_usable(now));
        if let Some(held) = &held {
            let fraction = *state.fraction.get_or_insert_with(|| place.random());
            let renew_at = held.renew_at(fraction);
            // Not much further than now: a child that is forked in the window looks, and draws, for itself.
            let (from, to) = held.timeline.renew_after;
            let look_after = renew_at.min(held.age(now) + to.saturating_sub(from) / LOOKS_IN_WINDOW);
            held.look_after.store(milliseconds(look_after), Ordering::Relaxed);
            if milliseconds(held.age(now)) < milliseconds(renew_at) {
                return Acquired::Serve(Arc::clone(held));
            }
        }
        // Elapsed time, and not age: a wall clock that was set forward loses no fetch.
        if let Some((number, began)) = state.flight
            && now.since_boot().saturating_sub(began.since_boot()) < self.inner.policy.flight_max
        {
            return match held {
                Some(held) => Acquired::Serve(held),
                None => Acquired::Wait(Ticket::new(&flights, &mut state, number)),
            };
        }
        // A value that is too old by the wall clock alone is probably good, and a fetch will tell: it does not wait for the
        // end of a pause, but once.
        let is_aged_by_jump = held.is_none() && newest.is_some_and(|newest| newest.is_young_since_boot(now));
        let is_forgiven = is_aged_by_jump && !std::mem::replace(&mut state.jump_forgiven, true);
        let pause = state.pause.as_ref().filter(|_| !is_forgiven);
        if let Some((pause, remaining)) = pause.and_then(|pause| Some((pause, pause.remaining(now)?))) {
            let error = || pause.error.clone().with_retry_after(Some(remaining));
            return held.map_or_else(|| Acquired::Fail(error()), Acquired::Serve);
        }
        state.flights_begun += 1;
        let number = state.flights_begun;
        state.flight = Some((number, now));
        // Those who wait for a fetch that is given up go on to wait for this one.
        let waiting = std::mem::take(&mut state.wakers);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        let lease = Lease { cell: Arc::clone(&self.inner), flights, number, ended: false };
        match held {
            Some(held) => Acquired::ServeAndLead(held, lease),
            None => Acquired::Lead(lease),
        }
    }

    /// What is held, good or not, with its times.
    pub fn held(&self) -> Option<Arc<Held<T>>> {
        self.inner.held.load_full()
    }

    /// Puts something else in place of what is held, or nothing, if `decide` says so when it sees what is held. A pause
    /// after failures then ends, so that the next caller may fetch.
    pub fn replace(
        &self,
        place: &dyn Place,
        decide: impl FnOnce(Option<&Arc<Held<T>>>) -> Option<Replacement<T>>,
    ) -> bool {
        let flights = self.inner.flights(place);
        let mut state = flights.lock();
        let Some(replacement) = decide(self.inner.held.load().as_ref()) else { return false };
        self.inner.held.store(replacement.map(|(value, timeline)| Held::new(value, timeline)));
        state.pause = None;
        true
    }

    /// What the cell is going to do, for those who want to know.
    pub fn plan(&self, place: &dyn Place) -> Plan {
        let flights = self.inner.flights(place);
        let mut state = flights.lock();
        let fraction = *state.fraction.get_or_insert_with(|| place.random());
        Plan {
            renew_at: self.inner.held.load().as_ref().map(|held| held.renew_at(fraction)),
            pause: state.pause.clone(),
        }
    }
}

/// What is to be held instead; `None` is nothing.
pub type Replacement<T> = Option<(Arc<T>, Timeline)>;

/// What a cell is going to do.
pub struct Plan {
    /// The age at which this process renews what is held.
    pub renew_at: Option<Duration>,
    /// The pause since the last failure, over or not; `None` after a success.
    pub pause: Option<Pause>,
}

impl<T> Inner<T> {
    fn flights(&self, place: &dyn Place) -> Arc<Flights> {
        let process = place.process();
        loop {
            let published = self.flights.load_full();
            if let Some(flights) = published.as_ref().filter(|flights| flights.process == process) {
                return Arc::clone(flights);
            }
            let made = Arc::new(Flights { process, whereabouts: place.whereabouts(), state: Mutex::default() });
            let before = self.flights.compare_and_swap(&published, Some(Arc::clone(&made)));
            let was_first = before.as_ref().map(Arc::as_ptr) == published.as_ref().map(Arc::as_ptr);
            // A parent's flights hold a lock that a thread which does not exist here may have taken: leave them be.
            if let Some(inherited) = published.filter(|flights| flights.process != process) {
                std::mem::forget(inherited);
            }
            if was_first {
                return made;
            }
        }
    }
}

/// The duty to fetch. It ends with a value or an error; dropped, it wakes those who wait, and one of them leads.
pub struct Lease<T> {
    cell: Arc<Inner<T>>,
    flights: Arc<Flights>,
    number: u64,
    ended: bool,
}

/// How a lease ends.
pub enum Settlement<T> {
    /// With a value. It is as welcome if the lease was given up meanwhile: it then ends the wait for the one that followed.
    Renew(Arc<T>, Timeline),
    /// With the value that is held already, perhaps with other times, and a pause as after an error: it is good, but no
    /// younger than it was.
    Keep(Arc<T>, Timeline, Error),
    /// With an error, and a pause before the next fetch. What is held stays.
    Fail(Error),
    /// With nothing: one of those who wait leads.
    Drop,
}

impl<T> Lease<T> {
    /// A ticket to wait for the end of this lease.
    pub fn ticket(&self) -> Ticket {
        Ticket::new(&self.flights, &mut self.flights.lock(), self.number)
    }

    /// Whether the cell still counts on this lease. One that was given up has no business to begin anything new.
    pub fn is_under_way(&self) -> bool {
        self.flights.lock().flight.is_some_and(|(under_way, _)| under_way == self.number)
    }

    /// Ends with a value. One whose request was sent before that of what is held comes too late and changes nothing.
    pub fn complete(self, value: Arc<T>, timeline: Timeline, now: Now, place: &dyn Place) {
        self.settle(now, place, |held| {
            let is_late = held.is_some_and(|held| !held.timeline.sent.is_not_after(timeline.sent));
            if is_late { Settlement::Drop } else { Settlement::Renew(value, timeline) }
        });
    }

    /// Ends with an error.
    pub fn fail(self, error: Error, now: Now, place: &dyn Place) {
        self.settle(now, place, |_| Settlement::Fail(error));
    }

    /// Ends as `decide` says when it sees what is held, which nobody can change meanwhile.
    pub fn settle(mut self, now: Now, place: &dyn Place, decide: impl FnOnce(Option<&Arc<Held<T>>>) -> Settlement<T>) {
        self.ended = true;
        let waiting = {
            let mut state = self.flights.lock();
            let held = self.cell.held.load_full();
            match decide(held.as_ref()) {
                Settlement::Renew(value, timeline) => {
                    self.cell.held.store(Some(Held::new(value, timeline)));
                    state.failures = 0;
                    state.pause = None;
                    state.jump_forgiven = false;
                    state.flight = None;
                    std::mem::take(&mut state.wakers)
                }
                Settlement::Keep(value, timeline, reason) => {
                    self.cell.held.store(Some(Held::new(value, timeline)));
                    self.pause(&mut state, reason, now, place)
                }
                Settlement::Fail(error) => self.pause(&mut state, error, now, place),
                Settlement::Drop => state.end(self.number).unwrap_or_default(),
            }
        };
        // Waking may run code of those who wait, and therefore happens outside the lock.
        waiting.into_values().for_each(Waker::wake);
    }

    /// Ends the flight with a pause. The failure of a lease that was given up says nothing about the one that followed.
    fn pause(&self, state: &mut State, error: Error, now: Now, place: &dyn Place) -> BTreeMap<u64, Waker> {
        let Some(waiting) = state.end(self.number) else { return BTreeMap::new() };
        state.failures = state.failures.saturating_add(1);
        let length = self.cell.policy.pause(state.failures, &error, place);
        state.pause = Some(Pause { ends: now.since_boot() + length, error });
        waiting
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        if !self.ended && !self.flights.are_inherited() {
            let waiting = self.flights.lock().end(self.number).unwrap_or_default();
            waiting.into_values().for_each(Waker::wake);
        }
    }
}

impl State {
    /// Ends a flight if it is the one under way, and gives those who wait for it.
    fn end(&mut self, number: u64) -> Option<BTreeMap<u64, Waker>> {
        let (under_way, _) = self.flight?;
        (under_way == number).then(|| {
            self.flight = None;
            std::mem::take(&mut self.wakers)
        })
    }
}

impl CellPolicy {
    /// The pause after so many failures in a row: doubled each time and spread by a quarter, so that a fleet that failed
    /// together does not come back together; or what the other side asks for.
    fn pause(&self, failures: u32, error: &Error, place: &dyn Place) -> Duration {
        if let Some(asked) = error.retry_after() {
            let spread = asked.max(self.pause_first).mul_f64(1.0 + place.random() / 4.0);
            return spread.min(self.retry_after_max);
        }
        let doubled = self.pause_first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
        doubled.min(self.pause_max).mul_f64(0.75 + place.random() / 4.0)
    }
}

/// A wait for the end of a fetch, whatever it is. Afterwards the cell has to be asked again.
pub struct Ticket {
    flights: Arc<Flights>,
    number: u64,
    own: u64,
}

impl Ticket {
    fn new(flights: &Arc<Flights>, state: &mut State, number: u64) -> Self {
        state.tickets_given += 1;
        Self { flights: Arc::clone(flights), number, own: state.tickets_given }
    }
}

impl Future for Ticket {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.flights.lock();
        if state.flight.is_none_or(|(under_way, _)| under_way != self.number) {
            return Poll::Ready(());
        }
        let replaced = state.wakers.insert(self.own, context.waker().clone());
        drop(state);
        // A waker may run foreign code when it is dropped, too.
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Ticket {
    /// A caller that gives up leaves nothing behind.
    fn drop(&mut self) {
        if self.flights.are_inherited() {
            return;
        }
        let waker = self.flights.lock().wakers.remove(&self.own);
        drop(waker);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(all(test, feature = "testing"))]
#[path = "cell/tests.rs"] // Named, because the model checker includes this file from elsewhere.
mod tests;
