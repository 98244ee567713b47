//! What a client promises, written down as plainly as possible: one thread, no locks, no futures, no code of the client.
//!
//! The rules are those of the documentation. Something that is held serves while it is good; from an age on that the
//! process drew, the next call fetches another. One fetch is under way at a time; after a minute it counts as lost, a
//! success of it is still welcome and a failure is not. After a failure nothing is fetched for five seconds, doubling up
//! to thirty, or for as long as the other side asks, up to five minutes; who finds nothing good then is refused at once.
//! But what is too old by the wall clock alone may well be good, and the first fetch then waits for nothing.

use std::time::Duration;

use crate::azure::{Azure, KeyAnswer, KeyId, TokenAnswer, TokenId};
use crate::client::PATIENCE;
use crate::day::Moment;

const MINUTE: Duration = Duration::from_secs(60);
const KEY_GOOD_FOR: Duration = Duration::from_secs(85 * 60);
const KEY_RENEWED_FROM: Duration = Duration::from_secs(45 * 60);
const KEY_RENEWED_TO: Duration = Duration::from_secs(55 * 60);
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);
const PAUSE_ASKED_LONGEST: Duration = Duration::from_secs(300);

/// What became of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Signed(KeyId),
    /// Refused, and how long until another try makes sense.
    Refused(Duration),
    TimedOut,
}

/// Something held.
#[derive(Clone, Copy)]
struct Kept<T> {
    what: T,
    sent: Moment,
    renewed_at: Duration,
    good_for: Duration,
}

impl<T> Kept<T> {
    fn is_good(&self, now: Moment) -> bool {
        now.since(self.sent) < self.good_for
    }

    fn is_due(&self, now: Moment) -> bool {
        // Nobody promises a finer grain than the millisecond.
        now.since(self.sent).as_millis() >= self.renewed_at.as_millis()
    }
}

/// One of a kind: the token, or the key.
struct Keeper<T> {
    held: Option<Kept<T>>,
    /// The fetch under way: its number, and when it began.
    flying: Option<(u64, Duration)>,
    fetches: u64,
    failures: u32,
    quiet_until: Duration,
    /// Whether a step of the wall clock has already had its fetch, since the last success.
    step_was_answered: bool,
}

impl<T: Copy> Keeper<T> {
    fn new() -> Self {
        let quiet_until = Duration::ZERO;
        Self { held: None, flying: None, fetches: 0, failures: 0, quiet_until, step_was_answered: false }
    }

    fn good(&self, now: Moment) -> Option<Kept<T>> {
        self.held.filter(|held| held.is_good(now))
    }

    /// Whether a caller has to fetch; if so, it has begun.
    fn begins(&mut self, now: Moment) -> Option<u64> {
        let is_fresh = self.good(now).is_some_and(|held| !held.is_due(now));
        if is_fresh || self.is_worth_waiting_for(now) {
            return None;
        }
        let is_old_by_wall_clock_alone =
            self.held.is_some_and(|held| !held.is_good(now) && now.at - held.sent.at < held.good_for);
        let is_excused = is_old_by_wall_clock_alone && !self.step_was_answered;
        self.step_was_answered |= is_excused;
        if now.at < self.quiet_until && !is_excused {
            return None;
        }
        self.fetches += 1;
        self.flying = Some((self.fetches, now.at));
        Some(self.fetches)
    }

    /// Whether a fetch is under way that is not lost.
    fn is_worth_waiting_for(&self, now: Moment) -> bool {
        self.flying.is_some_and(|(_, began)| now.at - began < MINUTE)
    }

    fn is_current(&self, number: u64) -> bool {
        self.flying.is_some_and(|(current, _)| current == number)
    }

    /// A success. It is of no use if something younger is held already.
    fn succeeds(&mut self, number: u64, fetched: Kept<T>) -> bool {
        let is_younger = self.held.is_none_or(|held| held.sent.at <= fetched.sent.at);
        if is_younger {
            self.held = Some(fetched);
            self.failures = 0;
            self.quiet_until = Duration::ZERO;
            self.step_was_answered = false;
            self.flying = None;
        } else if self.is_current(number) {
            self.flying = None;
        }
        is_younger
    }

    fn fails(&mut self, number: u64, asked: Option<Duration>, luck: f64, now: Moment) {
        if !self.is_current(number) {
            return;
        }
        self.flying = None;
        self.failures += 1;
        let doubled = PAUSE_FIRST * 2_u32.pow(self.failures.min(10) - 1);
        let pause = match asked {
            Some(asked) => asked.max(PAUSE_FIRST).mul_f64(1.0 + luck / 4.0).min(PAUSE_ASKED_LONGEST),
            None => doubled.min(PAUSE_LONGEST).mul_f64(0.75 + luck / 4.0),
        };
        self.quiet_until = now.at + pause;
    }

    fn forks(&mut self) {
        self.flying = None;
        self.failures = 0;
        self.quiet_until = Duration::ZERO;
        self.step_was_answered = false;
    }
}

/// The fetch of a token that will come back.
struct TokenFlight {
    number: u64,
    sent: Moment,
    arrives: Duration,
    answer: TokenAnswer,
}

/// The fetch of a key.
struct KeyFlight {
    number: u64,
    /// Whether a token was refused before.
    is_second: bool,
    stage: Stage,
}

enum Stage {
    WantsToken,
    /// On its way, with the token that it carries.
    Asked {
        sent: Moment,
        token: TokenId,
        arrives: Option<Duration>,
        answer: KeyAnswer,
    },
}

pub struct Model {
    pub azure: Azure,
    luck: f64,
    token: Keeper<TokenId>,
    key: Keeper<KeyId>,
    previous: Option<Kept<KeyId>>,
    reported: Option<Kept<KeyId>>,
    forced: Option<Duration>,
    token_flights: Vec<TokenFlight>,
    key_flights: Vec<KeyFlight>,
    waiting: Vec<(u64, Duration)>,
    settled: Vec<(u64, Expected)>,
}

impl Model {
    pub fn new(azure: Azure, luck: f64) -> Self {
        Self {
            azure,
            luck,
            token: Keeper::new(),
            key: Keeper::new(),
            previous: None,
            reported: None,
            forced: None,
            token_flights: Vec::new(),
            key_flights: Vec::new(),
            waiting: Vec::new(),
            settled: Vec::new(),
        }
    }

    pub fn key_in_hand(&self) -> Option<KeyId> {
        self.key.held.map(|held| held.what)
    }

    /// When the next answer comes back.
    pub fn next_arrival(&self) -> Option<Duration> {
        let keys = self.key_flights.iter().filter_map(|flight| match flight.stage {
            Stage::Asked { arrives, .. } => arrives,
            Stage::WantsToken => None,
        });
        self.token_flights.iter().map(|flight| flight.arrives).chain(keys).min()
    }

    /// Takes what has come back by now, and sees who can stop waiting.
    pub fn advance_to(&mut self, now: Moment) {
        while let Some(position) = self.token_flights.iter().position(|flight| flight.arrives <= now.at) {
            let flight = self.token_flights.remove(position);
            self.token_arrives(&flight, now);
        }
        let has_arrived =
            |flight: &KeyFlight| matches!(flight.stage, Stage::Asked { arrives: Some(at), .. } if at <= now.at);
        while let Some(position) = self.key_flights.iter().position(has_arrived) {
            let flight = self.key_flights.remove(position);
            self.key_arrives(flight, now);
        }
        self.settle(now);
    }

    pub fn negotiate(&mut self, number: u64, now: Moment) {
        self.see_to_the_key(now);
        if self.key.good(now).is_none() && self.key.flying.is_some() && !self.key.is_worth_waiting_for(now) {
            // The fetch for a step of the wall clock is lost, and the pause that it did not wait for is not over.
            self.settled.push((number, Expected::Refused(self.key.quiet_until.saturating_sub(now.at))));
            return;
        }
        self.waiting.push((number, now.at + PATIENCE));
        self.settle(now);
    }

    pub fn take_settled(&mut self) -> Vec<(u64, Expected)> {
        let mut settled = std::mem::take(&mut self.settled);
        settled.sort_by_key(|&(number, _)| number);
        settled
    }

    pub fn report(&mut self, key: KeyId, now: Moment) -> bool {
        let is = |kept: &Option<Kept<KeyId>>| kept.is_some_and(|kept| kept.what == key);
        if !is(&self.key.held) {
            let is_previous = is(&self.previous);
            if is_previous {
                self.previous = None;
            }
            return is_previous;
        }
        if self.forced.is_some_and(|forced| now.at - forced < MINUTE) {
            return false;
        }
        self.forced = Some(now.at);
        self.reported = self.key.held;
        let usable_again = self.previous.take().filter(|previous| previous.is_good(now));
        self.key.held = usable_again.map(|previous| Kept { renewed_at: Duration::ZERO, ..previous });
        self.key.quiet_until = Duration::ZERO;
        true
    }

    /// What is fetched and who waits belongs to the parent; what is held is in both.
    pub fn fork(&mut self) {
        self.token.forks();
        self.key.forks();
        self.token_flights.clear();
        self.key_flights.clear();
        self.waiting.clear();
    }

    fn settle(&mut self, now: Moment) {
        let is_flying = self.key.flying.is_some();
        if !is_flying && !self.waiting.is_empty() {
            self.see_to_the_key(now);
        }
        let good = self.key.good(now);
        let is_flying = self.key.flying.is_some();
        let left = self.key.quiet_until.saturating_sub(now.at);
        self.waiting.retain(|&(number, deadline)| {
            let outcome = match good {
                Some(key) => Expected::Signed(key.what),
                None if !is_flying => Expected::Refused(left),
                None if now.at >= deadline => Expected::TimedOut,
                None => return true,
            };
            self.settled.push((number, outcome));
            false
        });
    }

    fn see_to_the_key(&mut self, now: Moment) {
        let Some(number) = self.key.begins(now) else { return };
        // A lost fetch that has not even asked will not ask any more; one that has may still bring something.
        self.key_flights.retain(|flight| matches!(flight.stage, Stage::Asked { .. }));
        self.flies(KeyFlight { number, is_second: false, stage: Stage::WantsToken }, now);
    }

    /// Goes on with the fetch of a key, which needs a token first.
    fn flies(&mut self, mut flight: KeyFlight, now: Moment) {
        if !self.key.is_current(flight.number) {
            return;
        }
        if let Some(number) = self.token.begins(now)
            && let (Some(delay), answer) = self.azure.ask_token(now.at)
        {
            self.token_flights.push(TokenFlight { number, sent: now, arrives: now.at + delay, answer });
        }
        if let Some(token) = self.token.good(now) {
            let (delay, answer) = self.azure.ask_key(now.at, token.what);
            let arrives = delay.map(|delay| now.at + delay);
            flight.stage = Stage::Asked { sent: now, token: token.what, arrives, answer };
            self.key_flights.push(flight);
        } else if self.token.is_worth_waiting_for(now) {
            flight.stage = Stage::WantsToken;
            self.key_flights.push(flight);
        } else {
            let left = self.token.quiet_until - now.at;
            self.key.fails(flight.number, Some(left), self.luck, now);
        }
    }

    fn token_arrives(&mut self, flight: &TokenFlight, now: Moment) {
        match flight.answer {
            TokenAnswer::Token(token, life, names_renewal) => {
                let second = |moment: Moment| moment.wall.as_secs();
                // The source speaks of times of day; what counts is how long they are after the request.
                let after = |time_of_day: u64| Duration::from_secs(time_of_day - second(flight.sent));
                let whole = after(second(now) + life);
                let good_for = whole - (whole / 10).min(Duration::from_secs(30));
                let renewed_by = if names_renewal {
                    after(second(now) + life / 2).min(good_for)
                } else if whole >= Duration::from_secs(7200) {
                    whole / 2
                } else {
                    whole.saturating_sub(5 * MINUTE).max(whole / 2).min(good_for)
                };
                let from = renewed_by.mul_f64(0.9);
                let renewed_at = from + (renewed_by - from).mul_f64(self.luck);
                let kept = Kept { what: token, sent: flight.sent, renewed_at, good_for };
                self.token.succeeds(flight.number, kept);
            }
            TokenAnswer::Expired | TokenAnswer::Failed => self.token.fails(flight.number, None, self.luck, now),
            TokenAnswer::Throttled(seconds) => {
                self.token.fails(flight.number, Some(Duration::from_secs(seconds)), self.luck, now);
            }
        }
        // Whoever waits for a lost fetch goes on waiting for the one that followed.
        if self.token.good(now).is_some() || self.token.flying.is_none() {
            let (waiting, asked) = std::mem::take(&mut self.key_flights)
                .into_iter()
                .partition(|flight| matches!(flight.stage, Stage::WantsToken));
            self.key_flights = asked;
            for flight in waiting {
                self.flies(flight, now);
            }
        }
    }

    fn key_arrives(&mut self, flight: KeyFlight, now: Moment) {
        let Stage::Asked { sent, token, answer, .. } = flight.stage else { unreachable!("it has arrived") };
        match answer {
            KeyAnswer::Key(key) => self.key_is_brought(flight.number, key, sent, now),
            KeyAnswer::Status(401, _) if !flight.is_second => {
                if self.token.held.is_some_and(|held| held.what == token) {
                    self.token.held = None;
                    self.token.quiet_until = Duration::ZERO;
                }
                self.flies(KeyFlight { is_second: true, stage: Stage::WantsToken, ..flight }, now);
            }
            KeyAnswer::Status(_, retry_after) => {
                self.key.fails(flight.number, retry_after.map(Duration::from_secs), self.luck, now);
            }
            KeyAnswer::Garbage | KeyAnswer::Disconnected => self.key.fails(flight.number, None, self.luck, now),
        }
    }

    fn key_is_brought(&mut self, number: u64, key: KeyId, sent: Moment, now: Moment) {
        let renewed_at = KEY_RENEWED_FROM + (KEY_RENEWED_TO - KEY_RENEWED_FROM).mul_f64(self.luck);
        let kept = |sent| Kept { what: key, sent, renewed_at, good_for: KEY_GOOD_FOR };
        if self.key.held.is_some_and(|held| held.sent.at > sent.at) {
            if self.key.is_current(number) {
                self.key.flying = None;
            }
            return;
        }
        let known = [self.key.held, self.previous, self.reported].into_iter().flatten().find(|known| known.what == key);
        let Some(known) = known else {
            let before = self.key.held;
            if self.key.succeeds(number, kept(sent)) {
                self.previous = before;
            }
            return;
        };
        // A key from before never takes the place of a younger one that is good.
        let is_current = self.key.held.is_some_and(|held| held.what == key);
        if !is_current && self.key.good(now).is_some() {
            self.key.fails(number, None, self.luck, now);
            return;
        }
        // It is as old as the clock says that nobody can set.
        let began = now.before(now.at - known.sent.at);
        if now.since(began) < KEY_RENEWED_FROM {
            self.key.held = None;
            self.key.succeeds(number, kept(began));
        } else {
            self.key.held = Some(kept(began));
            self.key.fails(number, None, self.luck, now);
        }
    }
}
