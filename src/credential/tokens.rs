//! The token of one credential for one scope, kept and renewed.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::clock::Now;
use crate::credential::{Caller, Fault, FetchedToken, TokenSource};
use crate::error::{Code, Error, Result};
use crate::observe::Event;
use crate::refresh::{Acquired, Cell, CellPolicy, Held, Lease, Timeline};
use crate::rest::Proof;
use crate::rest::answer::unverified_payload;
use crate::secret::Secret;
use crate::world::World;

/// A token with less than this left is not sent any more: it would expire on the way.
const MARGIN: Duration = Duration::from_secs(30);

/// How long before its end a token is renewed if its source says nothing (azure-core's and azure-identity's rule).
const RENEW_BEFORE_END: Duration = Duration::from_secs(300);

/// The youngest age at which a token is renewed because its source says so. A source that hands out a token again which
/// it would like to have renewed is not asked at every call.
const RENEW_NOT_BEFORE: Duration = Duration::from_secs(30);

/// From this lifetime on a token is renewed at half of it (azure-identity's and MSAL's rule).
const LONG_LIFETIME: Duration = Duration::from_secs(7200);

/// An Entra access token.
#[derive(Debug)]
pub struct AccessToken {
    secret: Secret,
    expires_on: u64,
    refresh_on: Option<u64>,
}

impl AccessToken {
    /// A token by its text, whose times nobody asks for.
    pub fn new(secret: Secret) -> Self {
        Self { secret, expires_on: 0, refresh_on: None }
    }

    /// When it expires and when it is best renewed, as its source said, in Unix seconds.
    pub fn times(&self) -> (u64, Option<u64>) {
        (self.expires_on, self.refresh_on)
    }

    /// The token with the times that its source gave it.
    pub fn fetched(&self) -> FetchedToken {
        FetchedToken { token: self.secret.clone(), expires_on: self.expires_on, refresh_on: self.refresh_on }
    }

    /// The token itself, for the moment in which it is sent.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What the token proves to the service.
    pub fn proof(&self) -> Proof {
        Proof::Entra { object_id: self.object_id() }
    }

    /// The object id of the identity, read from the token without verifying it: for messages to its owner.
    pub fn object_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Payload {
            oid: String,
        }
        let Payload { oid } = unverified_payload(self.secret.expose())?;
        let is_an_id = (1..=64).contains(&oid.len()) && oid.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        is_an_id.then_some(oid)
    }
}

/// What is held and planned, without secrets.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    /// The name of the credential.
    pub credential: String,
    /// Whether there is a token that may be sent.
    pub is_usable: bool,
    /// How long ago the token was asked for.
    pub age: Option<Duration>,
    /// When this process renews it.
    pub renews_in: Option<Duration>,
    /// When it is sent no more.
    pub expires_in: Option<Duration>,
    /// Why the last renewal failed; `None` after a success.
    pub last_error: Option<Error>,
}

/// Keeps the token of one credential.
pub struct Tokens {
    cell: Cell<AccessToken>,
    source: Arc<dyn TokenSource>,
    world: World,
}

impl Tokens {
    /// Tokens of a source; none is fetched yet.
    pub fn new(source: Arc<dyn TokenSource>, policy: CellPolicy, world: World) -> Arc<Self> {
        Arc::new(Self { cell: Cell::new(policy), source, world })
    }

    /// Whether a token can be fetched for this caller.
    pub fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.source.can_fetch_for(caller)
    }

    /// The name of the credential.
    pub fn credential_name(&self) -> &str {
        self.source.name()
    }

    /// A token that is good now. Somebody fetches one if need be; this caller only waits.
    pub async fn obtain(self: &Arc<Self>, caller: &Caller) -> Result<Arc<Held<AccessToken>>, Fault> {
        let mut has_led = false;
        loop {
            match self.cell.acquire(self.world.clock.now(), &*self.world.place) {
                Acquired::Serve(token) => return Ok(token),
                Acquired::ServeAndLead(token, lease) => {
                    // A caller that cannot lead gives the lease back by dropping it; the token is good all the same.
                    let _ = self.lead(lease, caller);
                    return Ok(token);
                }
                // Whoever has led in vain, because its task was cancelled, leaves it to others.
                Acquired::Lead(_) if has_led => return Err(Fault::Abandoned),
                Acquired::Lead(lease) => {
                    has_led = true;
                    let ticket = lease.ticket();
                    self.lead(lease, caller)?;
                    ticket.await;
                }
                Acquired::Wait(ticket) => ticket.await,
                Acquired::Fail(error) => return Err(Fault::Failed(error)),
            }
        }
    }

    /// A token that is good now, if there is one in hand, or why there is none and none is fetched so soon after a failure.
    /// `None`: wait with [`Self::obtain`].
    pub fn in_hand(self: &Arc<Self>, caller: impl FnOnce() -> Caller) -> Option<Result<Arc<Held<AccessToken>>>> {
        match self.cell.acquire(self.world.clock.now(), &*self.world.place) {
            Acquired::Serve(token) => Some(Ok(token)),
            Acquired::ServeAndLead(token, lease) => {
                // As in `obtain`.
                let _ = self.lead(lease, &caller());
                Some(Ok(token))
            }
            Acquired::Fail(error) => Some(Err(error)),
            Acquired::Lead(_) | Acquired::Wait(_) => None,
        }
    }

    /// Whether this token is the one to give, and nobody need think of a renewal.
    pub fn is_fresh(&self, token: &Arc<Held<AccessToken>>) -> bool {
        self.cell.is_fresh(token, self.world.clock.glance())
    }

    /// Forgets a token that the service did not accept, unless another has taken its place already. So does its source.
    pub fn forget(&self, token: &Arc<Held<AccessToken>>) {
        self.cell.replace(&*self.world.place, |held| held.filter(|held| Arc::ptr_eq(held, token)).map(|_| None));
        self.source.forget(token.value().secret());
    }

    /// Forgets what is held if it is this token, because whoever has it from here was refused with it.
    pub fn forget_text(&self, text: &Secret) {
        self.cell.replace(&*self.world.place, |held| held.filter(|held| held.value().secret() == text).map(|_| None));
        self.source.forget(text);
    }

    /// Takes over a token that was fetched elsewhere for the same purpose, and is newer.
    pub fn adopt(&self, token: &Arc<Held<AccessToken>>) {
        let (value, timeline) = (token.value(), *token.timeline());
        self.cell.replace(&*self.world.place, |held| {
            let is_newer = held.is_some_and(|held| !timeline.sent.is_not_after(held.timeline().sent));
            is_newer.then(|| Some((Arc::clone(value), timeline)))
        });
    }

    /// What is held and planned.
    pub fn status(&self) -> TokenStatus {
        let now = self.world.clock.now();
        let (held, plan) = (self.cell.held(), self.cell.plan(&*self.world.place));
        let age = held.as_ref().map(|held| held.age(now));
        TokenStatus {
            credential: self.source.name().to_owned(),
            is_usable: held.as_ref().is_some_and(|held| held.is_usable(now)),
            age,
            renews_in: age.zip(plan.renew_at).map(|(age, renew_at)| renew_at.saturating_sub(age)),
            expires_in: age.zip(held).map(|(age, held)| held.timeline().usable_for.saturating_sub(age)),
            last_error: plan.pause.map(|pause| pause.error),
        }
    }

    /// Fetches in a task of its own, so that a caller that stops waiting takes nothing from the others.
    fn lead(self: &Arc<Self>, lease: Lease<AccessToken>, caller: &Caller) -> Result<(), Fault> {
        if !self.source.can_fetch_for(caller) {
            return Err(Fault::Abandoned);
        }
        let (tokens, caller) = (Arc::clone(self), caller.clone());
        Ok(self.world.place.spawn(Box::pin(async move { tokens.fly(lease, caller).await }))?)
    }

    async fn fly(&self, lease: Lease<AccessToken>, caller: Caller) {
        let sent = self.world.clock.now();
        let outcome = match self.source.fetch(caller).await {
            Ok(fetched) => self.accept(fetched, sent),
            Err(Fault::Abandoned) => return,
            Err(Fault::Failed(error)) => Err(error),
        };
        match outcome {
            Ok((token, timeline)) => {
                lease.complete(Arc::new(token), timeline, self.world.clock.now(), &*self.world.place);
                self.world.tell(&Event::TokenRenewed { credential: self.source.name().to_owned() });
            }
            Err(error) => {
                // Who hears of it and asks for the status finds what it has heard of.
                lease.fail(error.clone(), self.world.clock.now(), &*self.world.place);
                self.world.tell(&Event::TokenFailed { credential: self.source.name().to_owned(), error });
            }
        }
    }

    fn accept(&self, fetched: FetchedToken, sent: Now) -> Result<(AccessToken, Timeline)> {
        let now = self.world.clock.now();
        // Sources count from the wall clock as it is now; it may have been set since the request was sent.
        let sent = now.rebased(sent);
        let left = |until: u64| Duration::from_secs(until.saturating_sub(sent.unix_seconds()));
        let life = left(fetched.expires_on);
        // Short-lived tokens keep at least nine tenths of their life.
        let usable_for = life.saturating_sub(MARGIN.min(life / 10));
        if fetched.expires_on <= now.unix_seconds() || usable_for.is_zero() {
            return Err(Error::new(
                Code::IdentityUnavailable,
                format!("{} gave a token that has expired already.", self.source.name()),
                "Set this machine's clock: timedatectl set-ntp true",
            ));
        }
        let renew_after = match fetched.refresh_on.map(left) {
            Some(refresh_after) => refresh_after.max(RENEW_NOT_BEFORE).min(usable_for),
            None if life >= LONG_LIFETIME => life / 2,
            None => life.saturating_sub(RENEW_BEFORE_END).max(life / 2).min(usable_for),
        };
        // A tenth of the time is left to luck, so that processes which began together do not renew together.
        let timeline = Timeline { sent, renew_after: (renew_after.mul_f64(0.9), renew_after), usable_for };
        let FetchedToken { token, expires_on, refresh_on } = fetched;
        Ok((AccessToken { secret: token, expires_on, refresh_on }, timeline))
    }
}
