//! Answers of token endpoints: a byte that chooses the status, then the body.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hubpass::Code;
use hubpass::clock::Clock;
use hubpass::credential::token_answer::TokenAnswer;
use hubpass::credential::{Caller, Fault, FetchedToken, TokenSource, Tokens};
use hubpass::env::{ProxyVariables, TrustVariables};
use hubpass::refresh::CellPolicy;
use hubpass::rest::Answer;
use hubpass::rest::transport::HttpTransport;
use hubpass::testing::{ManualClock, SimulatedProcess};
use hubpass::world::{Pending, World};
use serde_json::Value;

use super::canary;
use super::json::Members;
use super::reader::Reader;

/// The statuses that are tried beside 200.
const OTHERS: [u16; 8] = [201, 302, 400, 401, 404, 410, 429, 503];

/// When the token is asked for.
const NOW: u64 = 1_767_225_600;

/// The members that are read.
const MEMBERS: [&str; 4] = ["access_token", "expires_in", "expires_on", "refresh_in"];

/// A token is taken from an object that has one, and expires when the object says; whatever the times are, it can be kept
/// and is used no longer than that; and no error repeats anything of the body but an Entra code.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let mut reader = Reader::new(data);
    let status = OTHERS.get(usize::from(reader.byte())).copied().unwrap_or(200);
    let body = canary::plant(reader.rest());
    let answer = Answer { status, body: body.clone().into(), ..Answer::default() };
    let clock = ManualClock::starting_at(NOW);
    let token = TokenAnswer::read(&answer, "The request").and_then(|read| read.token(clock.now()));
    let expected = if status == 200 { token_in(&body) } else { None };
    match token {
        Ok(token) => {
            let (text, expires_on, refresh_on) = expected.expect("a token was made of what is none");
            assert!(token.token.expose() == text, "another token than the one that was given");
            assert_eq!((token.expires_on, token.refresh_on), (expires_on, refresh_on));
            assert!(!canary::shows_in(&format!("{token:?}")), "{token:?}");
            check_kept(token, clock);
        }
        Err(error) => {
            assert!(expected.is_none(), "a token is refused: {error}");
            assert!(error.status().is_none_or(|shown| shown == status), "{error:?}");
            canary::check_error(&error);
        }
    }
}

/// The token, when it expires and when it would like to be renewed.
fn token_in(body: &[u8]) -> Option<(String, u64, Option<u64>)> {
    let members = Members::read(body, &MEMBERS)?;
    if !members.are_single(&MEMBERS) {
        return None;
    }
    let text = members.only("access_token")?.as_str().filter(|text| !text.is_empty())?;
    let number = |name: &str| members.only(name).and_then(number);
    let expires_on = number("expires_on").or_else(|| NOW.checked_add(number("expires_in")?));
    Some((text.to_owned(), expires_on?, number("refresh_in").and_then(|seconds| NOW.checked_add(seconds))))
}

/// A number that is not negative, or its digits as a text.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

/// Gives out one token.
struct Source(FetchedToken);

impl TokenSource for Source {
    fn fetch(&self, _caller: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn name(&self) -> &str {
        "Source"
    }
}

fn check_kept(token: FetchedToken, clock: ManualClock) {
    let place = Arc::new(SimulatedProcess::new(1, token.expires_on));
    let transport = Arc::new(HttpTransport::new(ProxyVariables::default(), TrustVariables::default(), None));
    let world = World::new(Clock::Manual(clock.clone()), place.clone(), transport, None);
    let (text, expires_on) = (token.token.clone(), token.expires_on);
    let tokens = Tokens::new(Arc::new(Source(token)), CellPolicy::default(), world);
    // From now on to a year later, which is more than any token lives that does not live for ever.
    for later in [0, 60, 3_000, 3_600, 86_400, 31_536_000] {
        clock.advance(Duration::from_secs(later));
        let now = clock.now().unix_seconds();
        match obtain(&tokens, &place) {
            Ok(held) => {
                assert!(held.value().secret() == &text, "another token than the one that was given");
                assert!(now < expires_on, "used at {now}, although it expires on {expires_on}");
            }
            Err(Fault::Failed(error)) => {
                assert_eq!(error.code(), Code::IdentityUnavailable);
                assert!(now >= expires_on, "not used at {now}, although it expires on {expires_on}");
                canary::check_error(&error);
            }
            Err(Fault::Abandoned) => panic!("nobody gave up"),
        }
        place.run();
    }
}

/// Waits for a token, while the tasks of the process run.
fn obtain(
    tokens: &Arc<Tokens>,
    place: &SimulatedProcess,
) -> Result<Arc<hubpass::refresh::Held<hubpass::credential::AccessToken>>, Fault> {
    let caller = Caller::default();
    let mut call = Box::pin(tokens.obtain(&caller));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..4 {
        if let Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
            return outcome;
        }
        place.run();
    }
    panic!("nobody fetches");
}
