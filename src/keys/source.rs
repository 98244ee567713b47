//! Where the signing key comes from: a shared access key, or temporary keys bought with Entra tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::clock::Now;
use crate::credential::{AccessToken, Caller, Fault, Tokens};
use crate::endpoint::{Endpoints, HubAddress};
use crate::error::{Code, Error, Result};
use crate::keys::proof::KeyProof;
use crate::keys::ring::{Absorbed, KeyRing, Reported, TemporaryKey};
use crate::keys::{KeyPolicy, SigningKey};
use crate::observe::Event;
use crate::refresh::{Acquired, Held, Lease};
use crate::rest::answer::{Verdict, temporary_key};
use crate::rest::signalr::access_key;
use crate::world::World;

/// How often one caller begins a fetch.
const LEADS_MAX: u32 = 2;

/// A key that may sign now.
#[derive(Clone)]
pub struct KeyInHand {
    /// The key.
    pub key: Arc<SigningKey>,
    /// When the service forgets it, in seconds since 1970; a shared access key has no end.
    pub ends: Option<u64>,
}

/// The keys of one service.
pub enum KeySource {
    /// A shared access key, which its owner may replace.
    Shared(ArcSwap<SigningKey>),
    /// Keys that live for an hour and a half.
    Temporary(Arc<TemporaryKeys>),
}

/// Temporary keys, with what it takes to get them.
pub struct TemporaryKeys {
    ring: KeyRing,
    tokens: Arc<Tokens>,
    endpoints: Endpoints,
    /// What a fetched key proves itself by, if it has to.
    proof: Option<KeyProof>,
    world: World,
    counters: Counters,
}

/// How often things happened since the client was made.
#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    renewed: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// What is held and planned, without secrets.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// The name of the credential.
    pub credential: String,
    /// The name of the key in hand.
    pub kid: Option<String>,
    /// Whether that key may sign.
    pub is_usable: bool,
    /// How long ago its request was sent.
    pub age: Option<Duration>,
    /// When this process renews it.
    pub renews_in: Option<Duration>,
    /// When it signs no more.
    pub expires_in: Option<Duration>,
    /// Why the last renewal failed; `None` after a success.
    pub last_error: Option<Error>,
    /// Requests for a key.
    pub requests: u64,
    /// Keys that replaced another or none.
    pub renewed: u64,
    /// Answers with the key in hand.
    pub unchanged: u64,
    /// Keys that did not prove themselves.
    pub refused: u64,
    /// Fetches that failed.
    pub failed: u64,
}

impl TemporaryKeys {
    /// Keys of a service, bought with these tokens. None is fetched yet. A key that has to prove itself does so at the hub
    /// of `address`, as any hub would do.
    pub fn new(
        policy: KeyPolicy,
        tokens: Arc<Tokens>,
        endpoints: Endpoints,
        address: &HubAddress,
        world: World,
    ) -> Arc<Self> {
        let proof = policy.is_verified().then(|| KeyProof::new(endpoints.clone(), address.clone()));
        Arc::new(Self { ring: KeyRing::new(policy), tokens, endpoints, proof, world, counters: Counters::default() })
    }

    /// A key, if one is in hand; if it is due, somebody begins to fetch the next. `None`: wait with [`Self::obtain`].
    ///
    /// `caller` is asked for only if it has to lead.
    pub fn in_hand(self: &Arc<Self>, now: Now, caller: impl FnOnce() -> Caller) -> Result<Option<KeyInHand>> {
        match self.ring.acquire(now, &*self.world.place) {
            Acquired::Serve(key) => Ok(Some(self.hand_out(&key, now))),
            Acquired::ServeAndLead(key, lease) => {
                // Without threads for it the lease is dropped and somebody else leads; this key is good all the same.
                let _ = self.lead(lease, caller());
                Ok(Some(self.hand_out(&key, now)))
            }
            Acquired::Lead(lease) => self.lead(lease, caller()).map(|()| None),
            Acquired::Wait(_) => Ok(None),
            Acquired::Fail(error) => Err(error),
        }
    }

    /// A key that is good now. Somebody fetches one if need be; this caller only waits.
    pub async fn obtain(self: &Arc<Self>, caller: &Caller) -> Result<KeyInHand> {
        let mut times_led = 0;
        loop {
            let now = self.world.clock.now();
            match self.ring.acquire(now, &*self.world.place) {
                Acquired::Serve(key) => return Ok(self.hand_out(&key, now)),
                Acquired::ServeAndLead(key, lease) => {
                    let _ = self.lead(lease, caller.clone());
                    return Ok(self.hand_out(&key, now));
                }
                // A fetch whose task was cancelled is begun once more, and then left to others.
                Acquired::Lead(_) if times_led == LEADS_MAX => return Err(Error::caller_gone()),
                Acquired::Lead(lease) => {
                    times_led += 1;
                    let ticket = lease.ticket();
                    self.lead(lease, caller.clone())?;
                    ticket.await;
                }
                Acquired::Wait(ticket) => ticket.await,
                Acquired::Fail(error) => return Err(error),
            }
        }
    }

    /// Takes a report that the key of this name is dead. Says whether a key was dropped.
    pub fn report(&self, kid: &str, now: Now) -> bool {
        let reported = self.ring.report(kid, now, &*self.world.place);
        self.world.tell(&Event::KeyReported { reported });
        reported == Reported::Dropped
    }

    /// What is held and planned.
    pub fn status(&self, now: Now) -> KeyStatus {
        let place = &*self.world.place;
        let plan = self.ring.plan(place);
        let current = self.ring.current();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let age = current.as_ref().map(|held| held.age(now));
        KeyStatus {
            credential: self.tokens.credential_name().to_owned(),
            kid: current.as_ref().map(|held| held.value().kid().to_owned()),
            is_usable: current.as_ref().is_some_and(|held| held.is_usable(now)),
            renews_in: age.zip(plan.renew_at).map(|(age, renew_at)| renew_at.saturating_sub(age)),
            expires_in: age.map(|age| self.ring.policy().usable_for().saturating_sub(age)),
            age,
            last_error: plan.pause.map(|pause| pause.error),
            requests: count(&self.counters.requests),
            renewed: count(&self.counters.renewed),
            unchanged: count(&self.counters.unchanged),
            refused: count(&self.counters.refused),
            failed: count(&self.counters.failed),
        }
    }

    /// The tokens that buy the keys.
    pub fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// The keys in hand.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    fn hand_out(&self, held: &Held<TemporaryKey>, now: Now) -> KeyInHand {
        let ends = self.ring.policy().key_ends(held.timeline().sent, now);
        KeyInHand { key: Arc::clone(held.value().signing()), ends: Some(ends) }
    }

    fn lead(self: &Arc<Self>, lease: Lease<TemporaryKey>, caller: Caller) -> Result<()> {
        if !self.tokens.can_fetch_for(&caller) {
            return Err(Error::caller_gone());
        }
        let keys = Arc::clone(self);
        self.world.place.spawn(Box::pin(async move { keys.fly(lease, caller).await }))
    }

    async fn fly(&self, lease: Lease<TemporaryKey>, caller: Caller) {
        let place = &*self.world.place;
        match self.fetch_proven(&lease, &caller).await {
            Ok((key, sent)) => {
                let kid = key.kid().to_owned();
                match self.ring.absorb(lease, key, sent, self.world.clock.now(), place) {
                    Absorbed::Renewed => {
                        self.counters.renewed.fetch_add(1, Ordering::Relaxed);
                        self.world.tell(&Event::KeyRenewed { kid });
                    }
                    Absorbed::Unchanged => {
                        self.counters.unchanged.fetch_add(1, Ordering::Relaxed);
                        self.world.tell(&Event::KeyUnchanged { kid });
                    }
                    Absorbed::Late => {}
                }
            }
            // The lease is dropped, and one of those who wait leads with a loop of its own.
            Err(Fault::Abandoned) => {}
            Err(Fault::Failed(error)) => {
                // Who hears of it and asks for the status finds what it has heard of.
                lease.fail(error.clone(), self.world.clock.now(), place);
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                self.world.tell(&Event::KeyFailed { error });
            }
        }
    }

    /// A key that has proved itself, if it has to. One that the service does not know is replaced once, at once: the service
    /// may have given it out just before it was revoked.
    async fn fetch_proven(&self, lease: &Lease<TemporaryKey>, caller: &Caller) -> Result<(TemporaryKey, Now), Fault> {
        let (key, sent) = self.fetch(lease, caller).await?;
        if self.prove(&key).await.is_ok() {
            return Ok((key, sent));
        }
        let (key, sent) = self.fetch(lease, caller).await?;
        self.prove(&key).await?;
        Ok((key, sent))
    }

    /// Whether a key signs what the service accepts. What cannot be found out counts as accepted: a key is worth more
    /// than the certainty about it.
    async fn prove(&self, key: &TemporaryKey) -> Result<()> {
        let Some(proof) = &self.proof else { return Ok(()) };
        match proof.ask(key.signing(), &self.world).await {
            Verdict::Accepted => Ok(()),
            Verdict::Unknown(error) => {
                self.world.tell(&Event::KeyUnproven { kid: key.kid().to_owned(), error });
                Ok(())
            }
            Verdict::Refused(error) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                self.world.tell(&Event::KeyRefused { kid: key.kid().to_owned() });
                // The service may have answered with the key in hand, which is then as dead.
                self.ring.report(key.kid(), self.world.clock.now(), &*self.world.place);
                Err(error)
            }
        }
    }

    /// Asks the service for a key. A token that the service does not accept is renewed once.
    async fn fetch(&self, lease: &Lease<TemporaryKey>, caller: &Caller) -> Result<(TemporaryKey, Now), Fault> {
        let token = self.token(lease, caller).await?;
        match self.request(token.value()).await {
            Err(Fault::Failed(error)) if error.code() == Code::Unauthorized => {
                self.tokens.forget(&token);
                let token = self.token(lease, caller).await?;
                self.request(token.value()).await
            }
            outcome => outcome,
        }
    }

    /// A token for a fetch that still counts. While a credential hangs, fetches are given up one after the other; when it
    /// is back, only the last of them goes on.
    async fn token(&self, lease: &Lease<TemporaryKey>, caller: &Caller) -> Result<Arc<Held<AccessToken>>, Fault> {
        // Before, because to ask may begin a fetch; after, because it may have taken long.
        if !lease.is_under_way() {
            return Err(Fault::Abandoned);
        }
        let token = self.tokens.obtain(caller).await?;
        if lease.is_under_way() { Ok(token) } else { Err(Fault::Abandoned) }
    }

    async fn request(&self, token: &AccessToken) -> Result<(TemporaryKey, Now), Fault> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let sent = self.world.clock.now();
        let request = access_key(&self.endpoints).with_bearer(token.secret());
        let answer = self.world.transport.send(request).await?;
        let key = temporary_key(&token.proof(), token.secret(), &answer)?;
        Ok((key, sent))
    }
}
