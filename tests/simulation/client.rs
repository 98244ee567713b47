//! The client under test, in a world that the script plays.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hubpass::client::{Credential, SignalRClient, SignalROptions};
use hubpass::clock::{Clock, Now};
use hubpass::credential::{Caller, Fault, FetchedToken, TokenSource, Tokens};
use hubpass::endpoint::{Endpoints, Hub};
use hubpass::keys::{KeyInHand, KeyPolicy, KeySource, TemporaryKeys};
use hubpass::negotiate::{Identity, Negotiation};
use hubpass::process::Place;
use hubpass::refresh::CellPolicy;
use hubpass::rest::transport::Transport;
use hubpass::rest::{Answer, Request};
use hubpass::secret::Secret;
use hubpass::testing::{ManualClock, SimulatedProcess};
use hubpass::world::{Pending, World};
use hubpass::{Code, Error};

use crate::azure::{self, Azure, KeyAnswer, KeyId, TokenAnswer};
use crate::day::Moment;
use crate::script::Delay;

/// The wall clock at the beginning: 2026-01-01T00:00:00Z.
const BEGINNING: u64 = 1_767_225_600;

/// The manual clock begins an hour after boot.
const UPTIME: Duration = Duration::from_secs(3600);

/// How long a negotiation waits for a key.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a negotiation.
pub enum Outcome {
    /// A token, and the name of the key that signed it.
    Signed(String, KeyId),
    Refused(Error),
    TimedOut,
}

/// A key, or why there is none: an error, or nothing if the time has run out.
type Obtained = Result<KeyInHand, Option<Error>>;

/// The world as the client sees it.
pub struct Outside {
    clock: ManualClock,
    azure: Mutex<Azure>,
    /// When answers come back.
    arrivals: Mutex<BTreeSet<Duration>>,
}

impl Outside {
    fn moment(&self) -> Moment {
        moment(self.clock.now())
    }

    pub fn azure(&self) -> MutexGuard<'_, Azure> {
        self.azure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as the script says.
    fn pass(&self, delay: Delay) -> Passing<'_> {
        let until = delay.map(|delay| self.moment().at + delay);
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).extend(until);
        Passing { clock: &self.clock, until }
    }
}

fn moment(now: Now) -> Moment {
    Moment { at: now.since_boot() - UPTIME, wall: now.since_epoch() }
}

struct Passing<'a> {
    clock: &'a ManualClock,
    until: Option<Duration>,
}

impl Future for Passing<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // Nobody has to be woken: the simulated process polls all its tasks whenever it runs.
        let is_over = self.until.is_some_and(|until| moment(self.clock.now()).at >= until);
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl TokenSource for Outside {
    fn fetch(&self, _: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        Box::pin(async {
            let (delay, answer) = self.azure().ask_token(self.moment().at);
            self.pass(delay).await;
            let now = self.clock.now().unix_seconds();
            let token = |name: String, expires_on, refresh_on| FetchedToken {
                token: Secret::new(name),
                expires_on,
                refresh_on,
            };
            match answer {
                TokenAnswer::Token(id, life, names_renewal) => {
                    Ok(token(format!("token-{id}"), now + life, names_renewal.then_some(now + life / 2)))
                }
                TokenAnswer::Expired => Ok(token("token-old".to_owned(), now - 10, None)),
                TokenAnswer::Throttled(seconds) => {
                    Err(Fault::Failed(identity_error().with_retry_after(Some(Duration::from_secs(seconds)))))
                }
                TokenAnswer::Failed => Err(Fault::Failed(identity_error())),
            }
        })
    }

    fn name(&self) -> &str {
        "ScriptedCredential"
    }
}

fn identity_error() -> Error {
    Error::new(Code::IdentityUnavailable, "The script has no token.", "Try again later.")
}

/// The transport is the same outside; the trait is on a type of its own because it is for requests to the service alone.
struct Network(Arc<Outside>);

impl Transport for Network {
    fn send(&self, request: Request) -> Pending<'_, hubpass::Result<Answer>> {
        Box::pin(async move {
            assert_eq!(request.url, "https://sim.service.signalr.net/api/v1/auth/accessKey");
            let bearer = request.headers.iter().find(|(name, _)| *name == "authorization").expect("a bearer");
            let token =
                bearer.1.expose().strip_prefix("Bearer token-").and_then(|id| id.parse().ok()).expect("a token");
            let (delay, answer) = self.0.azure().ask_key(self.0.moment().at, token);
            self.0.pass(delay).await;
            let body = |text: String| text.into_bytes().into();
            match answer {
                KeyAnswer::Key(key) => {
                    let (kid, text) = (azure::kid(key), azure::key_text(key));
                    let body = body(format!(r#"{{"KeyId":"{kid}","AccessKey":"{text}"}}"#));
                    Ok(Answer { status: 200, body, ..Answer::default() })
                }
                KeyAnswer::Status(status, retry_after) => {
                    let retry_after = retry_after.map(|seconds| seconds.to_string());
                    Ok(Answer { status, retry_after, ..Answer::default() })
                }
                KeyAnswer::Garbage => {
                    Ok(Answer { status: 200, body: body("<html>Welcome</html>".to_owned()), ..Answer::default() })
                }
                KeyAnswer::Disconnected => {
                    Err(Error::new(Code::ConnectionFailed, "The connection broke.", "Check the network."))
                }
            }
        })
    }
}

/// A client with a world of its own.
pub struct Subject {
    outside: Arc<Outside>,
    process: Arc<SimulatedProcess>,
    client: SignalRClient,
    keys: Arc<TemporaryKeys>,
    settled: Arc<Mutex<Vec<(u64, Obtained)>>>,
    deadlines: BTreeSet<Duration>,
}

impl Subject {
    pub fn new(azure: Azure, luck: f64) -> Self {
        let clock = ManualClock::starting_at(BEGINNING);
        let outside = Arc::new(Outside { clock: clock.clone(), azure: Mutex::new(azure), arrivals: Mutex::default() });
        let process = Arc::new(SimulatedProcess::steady(1, luck));
        let place = Arc::clone(&process) as Arc<dyn Place>;
        let transport = Arc::new(Network(Arc::clone(&outside)));
        let world = World::new(Clock::Manual(clock), place, transport, None);
        let source = Arc::clone(&outside) as Arc<dyn TokenSource>;
        let options = SignalROptions {
            endpoints: Endpoints::from_arguments("https://sim.service.signalr.net", None, None).expect("an endpoint"),
            credential: Credential::Entra(
                Tokens::new(source, CellPolicy::default(), world.clone()),
                KeyPolicy::default(),
            ),
            application: None,
            timeout: PATIENCE,
            world,
        };
        let client = SignalRClient::new(options, Hub::parse("chat").expect("a hub"));
        let KeySource::Temporary(keys) = client.keys() else { panic!("temporary keys") };
        let keys = Arc::clone(keys);
        Self { outside, process, client, keys, settled: Arc::default(), deadlines: BTreeSet::new() }
    }

    pub fn moment(&self) -> Moment {
        self.outside.moment()
    }

    pub fn azure(&self) -> MutexGuard<'_, Azure> {
        self.outside.azure()
    }

    /// Lets time pass, and everything happen that happens then.
    pub fn advance_to(&mut self, at: Duration) {
        self.outside.clock.advance(at - self.moment().at);
        self.run();
        let is_over = |arrival: &Duration| *arrival <= at;
        self.outside.arrivals.lock().unwrap_or_else(PoisonError::into_inner).retain(|arrival| !is_over(arrival));
        self.deadlines.retain(|deadline| !is_over(deadline));
    }

    pub fn set_wall(&self, wall: Duration) {
        self.outside.clock.set_wall(wall);
    }

    pub fn fork(&mut self) {
        self.process.fork(self.process.process() + 1);
        self.deadlines.clear();
    }

    /// When something comes back or somebody gives up.
    pub fn next_moment(&self) -> Option<Duration> {
        self.next_arrival().into_iter().chain(self.deadlines.first().copied()).min()
    }

    /// Whether something is on its way back.
    pub fn next_arrival(&self) -> Option<Duration> {
        self.outside.arrivals.lock().unwrap_or_else(PoisonError::into_inner).first().copied()
    }

    pub fn is_waiting(&self) -> bool {
        !self.deadlines.is_empty()
    }

    /// The current key, good or not.
    pub fn key_in_hand(&self) -> Option<KeyId> {
        self.keys.ring().current().map(|held| azure::key_of(held.value().kid()))
    }

    pub fn report(&self, key: KeyId) -> bool {
        let dropped = self.keys.report(&azure::kid(key), self.outside.clock.now());
        self.note_key();
        dropped
    }

    /// Negotiates as the binding does: at once if a key is in hand, and otherwise within the time that a call has.
    pub fn negotiate(&mut self, number: u64) {
        let now = self.outside.clock.now();
        match self.client.key_in_hand(now, Caller::default) {
            Ok(Some(key)) => self.settle(number, Ok(key)),
            Err(error) => self.settle(number, Err(Some(error))),
            Ok(None) => {
                let deadline = self.moment().at + PATIENCE;
                self.deadlines.insert(deadline);
                let (keys, outside, settled) =
                    (Arc::clone(&self.keys), Arc::clone(&self.outside), Arc::clone(&self.settled));
                let waiting = async move {
                    let caller = Caller::default();
                    let mut obtaining = std::pin::pin!(keys.obtain(&caller));
                    let outcome = std::future::poll_fn(|context| match obtaining.as_mut().poll(context) {
                        Poll::Ready(outcome) => Poll::Ready(outcome.map_err(Some)),
                        Poll::Pending if outside.moment().at >= deadline => Poll::Ready(Err(None)),
                        Poll::Pending => Poll::Pending,
                    });
                    let obtained = (number, outcome.await);
                    settled.lock().unwrap_or_else(PoisonError::into_inner).push(obtained);
                };
                self.process.spawn(Box::pin(waiting)).expect("a simulated process starts every task");
            }
        }
        self.run();
    }

    fn run(&self) {
        self.process.run();
        self.note_key();
    }

    fn note_key(&self) {
        let key = self.key_in_hand();
        self.azure().in_hand = key;
    }

    fn settle(&self, number: u64, obtained: Obtained) {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).push((number, obtained));
    }

    /// What has become of negotiations since this was last asked, in the order in which they began. It has to be asked
    /// in the moment in which they settle, because a key that was obtained signs here.
    pub fn take_settled(&self) -> Vec<(u64, Outcome)> {
        let mut settled = std::mem::take(&mut *self.settled.lock().unwrap_or_else(PoisonError::into_inner));
        settled.sort_by_key(|&(number, _)| number);
        settled.into_iter().map(|(number, obtained)| (number, self.sign(obtained))).collect()
    }

    fn sign(&self, obtained: Obtained) -> Outcome {
        match obtained {
            Ok(key) => {
                let negotiation = Negotiation::new(Identity::User("ada"));
                let signed = self.client.sign(self.outside.clock.now(), &negotiation, &key).expect("a token").signed;
                Outcome::Signed(signed.token, azure::key_of(&signed.kid.expect("a kid")))
            }
            Err(Some(error)) => Outcome::Refused(error),
            Err(None) => Outcome::TimedOut,
        }
    }
}
