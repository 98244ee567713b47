//! Single troubles that a seed would have to be very unlucky to bring about.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hubpass::clock::Clock;
use hubpass::credential::{Caller, Fault, FetchedToken, TokenSource, Tokens};
use hubpass::endpoint::{Endpoints, Hub, HubAddress};
use hubpass::keys::{KeyPolicy, TemporaryKeys};
use hubpass::process::{Place, Whereabouts};
use hubpass::refresh::CellPolicy;
use hubpass::rest::transport::Transport;
use hubpass::rest::{Answer, Request};
use hubpass::secret::Secret;
use hubpass::testing::{ManualClock, SimulatedProcess};
use hubpass::world::{Pending, World};

const BEGINNING: u64 = 1_767_225_600;

fn hub() -> HubAddress {
    HubAddress { hub: Hub::parse("chat").expect("a hub"), application: None }
}

/// A credential that gives tokens while it is open and says nothing while it is not.
struct Gate {
    clock: ManualClock,
    is_open: AtomicBool,
    refresh_on: Option<u64>,
    requests: AtomicU64,
}

impl TokenSource for Gate {
    fn fetch(&self, _: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        Box::pin(poll_fn(|_| {
            if !self.is_open.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
            let expires_on = self.clock.now().unix_seconds() + 3600;
            Poll::Ready(Ok(FetchedToken {
                token: Secret::new("token".to_owned()),
                expires_on,
                refresh_on: self.refresh_on,
            }))
        }))
    }

    fn name(&self) -> &str {
        "Gate"
    }
}

/// A service that answers every request with the next key.
#[derive(Default)]
struct Service {
    requests: AtomicU64,
}

impl Transport for Service {
    fn send(&self, _: Request) -> Pending<'_, hubpass::Result<Answer>> {
        Box::pin(async {
            let number = self.requests.fetch_add(1, Ordering::SeqCst);
            let body = format!(r#"{{"KeyId":"k{number}","AccessKey":"text"}}"#).into_bytes().into();
            Ok(Answer { status: 200, body, ..Answer::default() })
        })
    }
}

struct Scene {
    clock: ManualClock,
    process: Arc<SimulatedProcess>,
    gate: Arc<Gate>,
    service: Arc<Service>,
    tokens: Arc<Tokens>,
    keys: Arc<TemporaryKeys>,
}

impl Scene {
    fn new(is_open: bool, refresh_on: Option<u64>) -> Self {
        let clock = ManualClock::starting_at(BEGINNING);
        let process = Arc::new(SimulatedProcess::steady(1, 0.5));
        let gate = Arc::new(Gate {
            clock: clock.clone(),
            is_open: AtomicBool::new(is_open),
            refresh_on,
            requests: AtomicU64::default(),
        });
        let service = Arc::new(Service::default());
        let place = Arc::clone(&process) as Arc<dyn Place>;
        let transport = Arc::clone(&service) as Arc<dyn Transport>;
        let world = World::new(Clock::Manual(clock.clone()), place, transport, None);
        let tokens = Tokens::new(Arc::clone(&gate) as Arc<dyn TokenSource>, CellPolicy::default(), world.clone());
        let endpoints = Endpoints::from_arguments("https://sim.service.signalr.net", None, None).expect("an endpoint");
        let keys = TemporaryKeys::new(KeyPolicy::default(), Arc::clone(&tokens), endpoints, &hub(), world);
        Self { clock, process, gate, service, tokens, keys }
    }

    /// Asks for a key without waiting for it.
    fn ask(&self) -> bool {
        let key = self.keys.in_hand(self.clock.now(), Caller::default).expect("no failure");
        self.process.run();
        key.is_some()
    }

    fn token_requests(&self) -> u64 {
        self.gate.requests.load(Ordering::SeqCst)
    }

    fn key_requests(&self) -> u64 {
        self.service.requests.load(Ordering::SeqCst)
    }
}

/// Fetches are given up one after the other meanwhile; only the last of them has any business to go on.
#[test]
fn a_credential_that_hangs_for_an_hour_costs_one_key_request_when_it_is_back() {
    let scene = Scene::new(false, None);
    for _ in 0..3600 {
        assert!(!scene.ask());
        scene.clock.advance(Duration::from_secs(1));
    }
    assert_eq!((scene.token_requests(), scene.key_requests()), (60, 0), "one fetch a minute");
    scene.gate.is_open.store(true, Ordering::SeqCst);
    scene.process.run();
    assert!(scene.ask());
    assert_eq!(scene.key_requests(), 1);
    assert_eq!(scene.process.pending(), 0, "nothing of the hour is left");
}

/// A credential keeps a token of its own and gives it out again while its own renewal fails.
#[test]
fn a_token_that_should_have_been_renewed_is_not_fetched_at_every_call() {
    let scene = Scene::new(true, Some(BEGINNING - 1));
    for _ in 0..100 {
        let (tokens, is_served) = (Arc::clone(&scene.tokens), Arc::new(AtomicBool::new(false)));
        let served = Arc::clone(&is_served);
        let asking = async move {
            served.store(tokens.obtain(&Caller::default()).await.is_ok(), Ordering::SeqCst);
        };
        scene.process.spawn(Box::pin(asking)).expect("a simulated process starts every task");
        scene.process.run();
        assert!(is_served.load(Ordering::SeqCst));
        scene.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(scene.token_requests(), 1);
}

/// The token's end is told in the time of day as it is when the token comes, not as it was when it was asked for.
#[test]
fn a_wall_clock_set_while_a_token_is_fetched_spoils_nothing() {
    for hours in [0, 24, 72] {
        let scene = Scene::new(false, None);
        scene.clock.set_wall(Duration::from_secs(BEGINNING + 24 * 3600));
        scene.ask();
        scene.clock.set_wall(Duration::from_secs(BEGINNING + hours * 3600));
        scene.gate.is_open.store(true, Ordering::SeqCst);
        scene.process.run();
        assert!(scene.ask(), "the wall clock set to hour {hours}");
        assert_eq!((scene.token_requests(), scene.key_requests()), (1, 1));
    }
}

/// A place that is shutting down may take a task and drop it. Whoever waits for that task has to be told, instead of
/// starting it again and again.
#[test]
fn a_place_that_refuses_tasks_is_an_error_and_not_a_loop() {
    struct Closing(Mutex<u64>);

    impl Place for Closing {
        fn process(&self) -> u32 {
            1
        }

        fn whereabouts(&self) -> Whereabouts {
            Arc::new(|| 1)
        }

        fn random(&self) -> f64 {
            0.5
        }

        fn name(&self) -> hubpass::Result<String> {
            Ok("closing".to_owned())
        }

        fn spawn(&self, _: Pending<'static, ()>) -> hubpass::Result<()> {
            *self.0.lock().expect("one thread") += 1;
            Err(hubpass::Error::new(hubpass::Code::ClientClosed, "The process ends.", "Stop calling."))
        }
    }

    let scene = Scene::new(true, None);
    let place = Arc::new(Closing(Mutex::new(0)));
    let transport = Arc::clone(&scene.service) as Arc<dyn Transport>;
    let world = World::new(Clock::Manual(scene.clock.clone()), Arc::clone(&place) as Arc<dyn Place>, transport, None);
    let endpoints = Endpoints::from_arguments("https://sim.service.signalr.net", None, None).expect("an endpoint");
    let keys = TemporaryKeys::new(KeyPolicy::default(), Arc::clone(&scene.tokens), endpoints, &hub(), world);
    let outcome = Arc::new(Mutex::new(None));
    let told = Arc::clone(&outcome);
    let asking = async move {
        let obtained = keys.obtain(&Caller::default()).await;
        *told.lock().expect("one thread") = Some(obtained.map(|_| ()).map_err(|error| error.code()));
        pending::<()>().await;
    };
    scene.process.spawn(Box::pin(asking)).expect("a simulated process starts every task");
    scene.process.run();
    assert_eq!(*outcome.lock().expect("one thread"), Some(Err(hubpass::Code::ClientClosed)));
    assert_eq!(*place.0.lock().expect("one thread"), 1);
}
