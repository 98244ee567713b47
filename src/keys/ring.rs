//! The temporary keys of one service: the current one, and the one before it.
//!
//! The service never tells us that a key has died, so age and reports are all there is to go by. A key is as old as the
//! request for it, whatever the service answers later.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::Now;
use crate::error::{Code, Error};
use crate::keys::{KeyPolicy, SigningKey};
use crate::process::Place;
use crate::refresh::{Acquired, Cell, Held, Lease, Plan, Settlement, Timeline};
use crate::secret::Secret;

/// The shortest time between two fetches that reports of dead keys can force. Reports come from outside, and each one
/// costs a request.
const FORCED_FETCH_EVERY: Duration = Duration::from_secs(60);

/// A key that the service made for us.
pub struct TemporaryKey {
    kid: String,
    text: Secret,
    signing: Arc<SigningKey>,
}

impl TemporaryKey {
    /// A key by its name and its text.
    pub fn new(kid: String, text: Secret) -> Self {
        let signing = Arc::new(SigningKey::new(text.expose(), Some(&kid)));
        Self { kid, text, signing }
    }

    /// The name that the service gave it (`KeyId`).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key, ready to sign.
    pub fn signing(&self) -> &Arc<SigningKey> {
        &self.signing
    }
}

impl fmt::Debug for TemporaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemporaryKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// What became of a key that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absorbed {
    /// It signs from now on.
    Renewed,
    /// It is the key that we have; it has not become any younger.
    Unchanged,
    /// A younger key, or a report that it is dead, had come before it.
    Late,
}

/// What became of a report that a key is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The key does not sign any more.
    Dropped,
    /// The key is not one of ours.
    Unknown,
    /// A report has forced a fetch just before.
    TooSoon,
}

/// A key that was reported dead.
struct ReportedKey {
    held: Arc<Held<TemporaryKey>>,
    at: Now,
}

/// The keys in hand.
pub struct KeyRing {
    policy: KeyPolicy,
    cell: Cell<TemporaryKey>,
    /// The key before the current one, for the case that the current one turns out dead.
    previous: ArcSwapOption<Held<TemporaryKey>>,
    /// The key that was reported dead last: if the service gives it out again, it is as old as it was.
    reported: ArcSwapOption<ReportedKey>,
    /// When a report last forced a fetch, in milliseconds since boot; 0 is never.
    forced_at: AtomicU64,
}

impl KeyRing {
    /// An empty ring.
    pub fn new(policy: KeyPolicy) -> Self {
        Self {
            policy,
            cell: Cell::new(policy.cell()),
            previous: ArcSwapOption::empty(),
            reported: ArcSwapOption::empty(),
            forced_at: AtomicU64::new(0),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &KeyPolicy {
        &self.policy
    }

    /// A key to sign with, or what has to happen first.
    pub fn acquire(&self, now: Now, place: &dyn Place) -> Acquired<TemporaryKey> {
        self.cell.acquire(now, place)
    }

    /// The current key with its times, good or not.
    pub fn current(&self) -> Option<Arc<Held<TemporaryKey>>> {
        self.cell.held()
    }

    /// What the cell is going to do.
    pub fn plan(&self, place: &dyn Place) -> Plan {
        self.cell.plan(place)
    }

    /// Takes a fetched key, whose request was sent at `sent`.
    pub fn absorb(
        &self,
        lease: Lease<TemporaryKey>,
        fetched: TemporaryKey,
        sent: Now,
        now: Now,
        place: &dyn Place,
    ) -> Absorbed {
        let mut absorbed = Absorbed::Late;
        lease.settle(now, place, |current| {
            let (settlement, what) = self.judge(current, fetched, sent, now);
            absorbed = what;
            settlement
        });
        absorbed
    }

    /// What a fetched key is worth beside the current one.
    fn judge(
        &self,
        current: Option<&Arc<Held<TemporaryKey>>>,
        fetched: TemporaryKey,
        sent: Now,
        now: Now,
    ) -> (Settlement<TemporaryKey>, Absorbed) {
        let reported = self.reported.load_full().filter(|reported| reported.held.age(now) < self.policy.lifetime());
        if reported.is_none() {
            self.reported.store(None);
        }
        let is_fetched = |key: &TemporaryKey| key.kid == fetched.kid;
        let outdated_by_report = reported
            .as_ref()
            .is_some_and(|reported| is_fetched(reported.held.value()) && !reported.at.is_not_after(sent));
        if outdated_by_report || current.is_some_and(|current| !current.timeline().sent.is_not_after(sent)) {
            return (Settlement::Drop, Absorbed::Late);
        }
        let previous = self.previous.load_full();
        let reported = reported.as_ref().map(|reported| &reported.held);
        let known = [current, previous.as_ref(), reported].into_iter().flatten().find(|held| is_fetched(held.value()));
        let Some(known) = known else {
            self.previous.store(current.cloned());
            return (Settlement::Renew(Arc::new(fetched), self.policy.timeline(sent)), Absorbed::Renewed);
        };
        // A key from before never takes the place of a younger one that is good.
        let is_current = current.is_some_and(|current| Arc::ptr_eq(current, known));
        if !is_current && current.is_some_and(|current| current.is_usable(now)) {
            return (Settlement::Fail(unchanged()), Absorbed::Unchanged);
        }
        let key = if known.value().text == fetched.text { Arc::clone(known.value()) } else { Arc::new(fetched) };
        // The service has just given this key out, so it is not as old as a wall clock that was set forward says.
        let timeline = self.policy.timeline(now.rebased(known.timeline().sent));
        let settlement = if now.age_of(timeline.sent) < self.policy.renew_from() {
            Settlement::Renew(key, timeline)
        } else {
            Settlement::Keep(key, timeline, unchanged())
        };
        (settlement, Absorbed::Unchanged)
    }

    /// Takes a report that a key is dead. Without it we could not know: the service tells only the client, at connect.
    pub fn report(&self, kid: &str, now: Now, place: &dyn Place) -> Reported {
        let mut outcome = Reported::Unknown;
        self.cell.replace(place, |current| {
            let previous = self.previous.load_full();
            let Some(current) = current.filter(|current| current.value().kid == kid) else {
                if previous.is_some_and(|previous| previous.value().kid == kid) {
                    self.previous.store(None);
                    outcome = Reported::Dropped;
                }
                return None;
            };
            if !self.may_force(now) {
                outcome = Reported::TooSoon;
                return None;
            }
            outcome = Reported::Dropped;
            self.reported.store(Some(Arc::new(ReportedKey { held: Arc::clone(current), at: now })));
            self.previous.store(None);
            // The key before it serves while another is fetched, which is due at once.
            Some(previous.filter(|previous| previous.is_usable(now)).map(|previous| {
                let at_once = (Duration::ZERO, Duration::ZERO);
                (Arc::clone(previous.value()), Timeline { renew_after: at_once, ..*previous.timeline() })
            }))
        });
        outcome
    }

    fn may_force(&self, now: Now) -> bool {
        let now = u64::try_from(now.since_boot().as_millis()).unwrap_or(u64::MAX).max(1);
        let every = u64::try_from(FORCED_FETCH_EVERY.as_millis()).unwrap_or(u64::MAX);
        let forced_at = self.forced_at.load(Ordering::Relaxed);
        (forced_at == 0 || now.saturating_sub(forced_at) >= every)
            && self.forced_at.compare_exchange(forced_at, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn unchanged() -> Error {
    Error::new(
        Code::KeyUnchanged,
        "The service answered the renewal with the key that is in hand.",
        "Nothing needs to be done while the key is valid; should it last, open a support request for the resource.",
    )
}

#[cfg(all(test, feature = "testing"))]
mod tests;
