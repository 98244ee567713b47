//! One day: what happens in which order, to the client and to the model alike, and what must be true after each step.

use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::azure::{self, Azure, KeyId, Refusal};
use crate::client::{Outcome, Subject};
use crate::model::{Expected, Model};
use crate::script::{DAY, Happening, Script};

/// How long after a key's death somebody tells the client.
const REPORTED_AFTER: Duration = Duration::from_secs(5);

/// From this age on a key must not sign: 90 minutes less the margin of 5.
const SIGNS_UNTIL: Duration = Duration::from_secs(85 * 60);

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since the day began.
    pub at: Duration,
    /// Since 1970, as far as the machine knows.
    pub wall: Duration,
}

impl Moment {
    /// The larger of what the two clocks say.
    pub fn since(self, earlier: Self) -> Duration {
        (self.at - earlier.at).max(self.wall.saturating_sub(earlier.wall))
    }

    /// The moment so long before this one, if nobody has touched the wall clock.
    pub fn before(self, by: Duration) -> Self {
        Self { at: self.at - by, wall: self.wall - by }
    }
}

/// What happened during a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub signed: u64,
    pub refused: u64,
    pub timed_out: u64,
    /// Tokens that the service did not accept, because nobody had told the client that the key is dead.
    pub signed_by_a_dead_key: u64,
    pub keys_asked: u64,
    pub tokens_asked: u64,
    pub reports: u64,
    pub reports_that_dropped: u64,
    pub forks: u64,
    pub steps_of_the_wall_clock: u64,
    pub suspends: u64,
}

impl Report {
    /// Whether everything that the script can do has been seen.
    pub fn covers_everything(&self) -> bool {
        let Self { signed, refused, timed_out, signed_by_a_dead_key, keys_asked, tokens_asked, .. } = *self;
        let Self { reports, reports_that_dropped, forks, steps_of_the_wall_clock, suspends, .. } = *self;
        let outcomes = [signed, refused, timed_out, signed_by_a_dead_key, keys_asked, tokens_asked];
        let happenings =
            [reports - reports_that_dropped, reports_that_dropped, forks, steps_of_the_wall_clock, suspends];
        outcomes.into_iter().chain(happenings).all(|count| count > 0)
    }
}

impl Add for Report {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            signed: self.signed + other.signed,
            refused: self.refused + other.refused,
            timed_out: self.timed_out + other.timed_out,
            signed_by_a_dead_key: self.signed_by_a_dead_key + other.signed_by_a_dead_key,
            keys_asked: self.keys_asked + other.keys_asked,
            tokens_asked: self.tokens_asked + other.tokens_asked,
            reports: self.reports + other.reports,
            reports_that_dropped: self.reports_that_dropped + other.reports_that_dropped,
            forks: self.forks + other.forks,
            steps_of_the_wall_clock: self.steps_of_the_wall_clock + other.steps_of_the_wall_clock,
            suspends: self.suspends + other.suspends,
        }
    }
}

impl Sum for Report {
    fn sum<I: Iterator<Item = Self>>(days: I) -> Self {
        days.fold(Self::default(), Self::add)
    }
}

pub struct Day {
    seed: u64,
    every: Duration,
    script: Arc<Script>,
    client: Subject,
    model: Model,
    next_tick: Duration,
    happened: usize,
    /// Keys that have died, and when the client hears of it.
    deaths: Vec<(Duration, KeyId)>,
    /// Keys of whose death the client has heard.
    known_dead: Vec<KeyId>,
    negotiations: u64,
    report: Report,
}

impl Day {
    pub fn new(seed: u64, every: Duration) -> Self {
        let script = Arc::new(Script::new(seed));
        let azure = || Azure::new(Arc::clone(&script));
        Self {
            seed,
            every,
            client: Subject::new(azure(), script.luck),
            model: Model::new(azure(), script.luck),
            script,
            next_tick: Duration::ZERO,
            happened: 0,
            deaths: Vec::new(),
            known_dead: Vec::new(),
            negotiations: 0,
            report: Report::default(),
        }
    }

    pub fn run(mut self) -> Report {
        loop {
            let at = self.next_moment();
            if at >= DAY {
                break;
            }
            self.client.advance_to(at);
            self.note_keys();
            self.model.advance_to(self.client.moment());
            self.compare();
            self.hear_of_deaths();
            self.let_things_happen();
            if at >= self.next_tick {
                self.negotiations += 1;
                self.client.negotiate(self.negotiations);
                self.note_keys();
                self.model.negotiate(self.negotiations, self.client.moment());
                self.compare();
                while self.next_tick <= self.now().at {
                    self.next_tick += self.every;
                }
            }
        }
        let azure = self.client.azure();
        let asked = (azure.key_requests, azure.token_requests);
        drop(azure);
        (self.report.keys_asked, self.report.tokens_asked) = asked;
        self.report
    }

    fn now(&self) -> Moment {
        self.client.moment()
    }

    fn next_moment(&self) -> Duration {
        let now = self.now().at;
        let happening =
            self.script.happenings().get(self.happened).map(|&(at, _)| at.max(now + Duration::from_secs(1)));
        let death = self.deaths.first().map(|&(at, _)| at);
        let arrivals = [self.client.next_moment(), self.model.next_arrival(), happening, death];
        // After a suspend some of it is in the past.
        arrivals.into_iter().flatten().fold(self.next_tick, Duration::min).max(now)
    }

    /// Two clients that hold different keys would be given different answers by a service that repeats them.
    fn note_keys(&mut self) {
        self.model.azure.in_hand = self.model.key_in_hand();
    }

    fn hear_of_deaths(&mut self) {
        let now = self.now();
        while let Some(&(at, key)) = self.deaths.first().filter(|&&(at, _)| at <= now.at) {
            let _ = at;
            self.deaths.remove(0);
            let dropped = self.client.report(key);
            let expected = self.model.report(key, now);
            self.note_keys();
            assert_eq!(dropped, expected, "{}: whether the report of {} dropped it", self.place(), azure::kid(key));
            self.report.reports += 1;
            if dropped {
                self.known_dead.push(key);
                self.report.reports_that_dropped += 1;
            }
        }
    }

    fn let_things_happen(&mut self) {
        let now = self.now();
        let Some(&(_, happening)) = self.script.happenings().get(self.happened).filter(|&&(at, _)| at <= now.at) else {
            return;
        };
        // What the clocks do to an answer that is on its way depends on where exactly it is: let it come first.
        let is_calm = self.client.next_arrival().is_none() && !self.client.is_waiting();
        match happening {
            Happening::WallClock(_) | Happening::Suspend(_) if !is_calm => return,
            Happening::WallClock(by) => {
                let by_seconds = Duration::from_secs(by.unsigned_abs());
                let wall = if by < 0 { now.wall - by_seconds } else { now.wall + by_seconds };
                self.client.set_wall(wall);
                self.report.steps_of_the_wall_clock += 1;
            }
            Happening::Suspend(length) => {
                self.client.advance_to(now.at + length);
                self.report.suspends += 1;
            }
            Happening::Fork => {
                self.client.fork();
                self.model.fork();
                self.report.forks += 1;
            }
            Happening::RevokeKey => {
                if let Some(key) = self.client.key_in_hand() {
                    self.client.azure().revoke_key(key);
                    self.model.azure.revoke_key(key);
                    self.deaths.push((now.at + REPORTED_AFTER, key));
                }
            }
            Happening::RevokeTokens => {
                self.client.azure().revoke_tokens(now.at);
                self.model.azure.revoke_tokens(now.at);
            }
        }
        self.happened += 1;
    }

    /// Both have come to the same, and what the client came to is right.
    fn compare(&mut self) {
        let now = self.now();
        let settled = self.client.take_settled();
        let expected = self.model.take_settled();
        let short: Vec<(u64, Expected)> =
            settled.iter().map(|(number, outcome)| (*number, expectation(outcome))).collect();
        assert_eq!(short, expected, "{}: what became of negotiations (the model is on the right)", self.place());
        for (_, outcome) in settled {
            match outcome {
                Outcome::Signed(token, key) => {
                    self.report.signed += 1;
                    self.check_token(&token, key, now);
                }
                Outcome::Refused(error) => {
                    self.report.refused += 1;
                    assert!(error.retry_after().is_some(), "{}: refused without a time: {error:?}", self.place());
                    self.check_refusal();
                }
                Outcome::TimedOut => {
                    self.report.timed_out += 1;
                    self.check_refusal();
                }
            }
        }
        let azure = self.client.azure();
        let asked = (azure.key_requests, azure.token_requests);
        drop(azure);
        let expected = (self.model.azure.key_requests, self.model.azure.token_requests);
        assert_eq!(asked, expected, "{}: requests for keys and tokens (the model is on the right)", self.place());
        assert_eq!(self.client.key_in_hand(), self.model.key_in_hand(), "{}: the key in hand", self.place());
    }

    /// The service is asked, with a library that is not ours, and knows the age of its key.
    fn check_token(&mut self, token: &str, key: KeyId, now: Moment) {
        let mut validation = Validation::new(Algorithm::HS256);
        // The machine's wall clock may be wrong; the service's would not let such a token in, whatever we do.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let text = azure::key_text(key);
        let decoded = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(text.as_bytes()), &validation)
            .unwrap_or_else(|error| panic!("{}: {error}", self.place()));
        assert_eq!(decoded.header.kid.as_deref(), Some(azure::kid(key).as_str()));
        assert_eq!(decoded.claims.iat, now.wall.as_secs());

        let azure = self.client.azure();
        let age = now.at - azure.issued(key);
        let verdict = azure.verdict(key, now.at);
        drop(azure);
        assert!(age < SIGNS_UNTIL, "{}: a key of {age:?} signed", self.place());
        if verdict == Err(Refusal::Revoked) {
            self.report.signed_by_a_dead_key += 1;
            assert!(!self.known_dead.contains(&key), "{}: a key signed that was known to be dead", self.place());
        } else {
            assert_eq!(verdict, Ok(()), "{}", self.place());
        }
    }

    /// Nobody is refused who could have been served: the key that the client was given last is of no use.
    fn check_refusal(&self) {
        let held = self.client.key_in_hand();
        assert_eq!(held, self.model.key_in_hand(), "{}", self.place());
        let is_good = held.is_some_and(|key| {
            let azure = self.client.azure();
            // By the clock that nobody sets; the other one may have aged the key, which costs one renewal.
            self.now().at - azure.issued(key) < SIGNS_UNTIL && self.report.steps_of_the_wall_clock == 0
        });
        assert!(!is_good, "{}: refused with a good key in hand", self.place());
    }

    fn place(&self) -> String {
        format!("seed {}, one negotiation in {:?}, at {:?}", self.seed, self.every, self.now().at)
    }
}

/// What is read of a token here; the other tests read the rest.
#[derive(Deserialize)]
struct Claims {
    iat: u64,
}

fn expectation(outcome: &Outcome) -> Expected {
    match outcome {
        Outcome::Signed(_, key) => Expected::Signed(*key),
        Outcome::Refused(error) => Expected::Refused(error.retry_after().unwrap_or_default()),
        Outcome::TimedOut => Expected::TimedOut,
    }
}
