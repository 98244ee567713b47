//! The client of Azure SignalR Service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::clock::Now;
use crate::credential::{Caller, Fault, Tokens};
use crate::endpoint::{ApplicationName, Endpoints, Hub, HubAddress};
use crate::error::{Code, Error, Result};
use crate::jwt::Template;
use crate::keys::{KeyInHand, KeyPolicy, KeySource, KeyStatus, SigningKey, TemporaryKeys};
use crate::negotiate::{Negotiation, Signed, TOKEN_LARGE, TOKEN_MAX};
use crate::observe::{Event, Once};
use crate::rest::answer::expect_success;
use crate::rest::signalr::{Message, send_to_all};
use crate::rest::{Proof, SEND_TO_ALL};
use crate::world::World;

/// What proves to the service who we are.
pub enum Credential {
    /// A shared access key.
    AccessKey(SigningKey),
    /// Entra tokens, and the policy of the temporary keys that they buy.
    Entra(Arc<Tokens>, KeyPolicy),
}

/// What a client is made of.
pub struct SignalROptions {
    /// The service's addresses.
    pub endpoints: Endpoints,
    /// What proves who we are.
    pub credential: Credential,
    /// The application that the hubs belong to.
    pub application: Option<ApplicationName>,
    /// The time that a call has if it says nothing else.
    pub timeout: Duration,
    /// Time, process and network.
    pub world: World,
}

/// What the clients of all hubs of one service share.
struct Shared {
    endpoints: Endpoints,
    keys: KeySource,
    timeout: Duration,
    world: World,
    /// Whether the last request failed, so that its success after that is told once.
    request_failed: AtomicBool,
    /// How many clients are not closed. The last one takes the connections with it.
    open: AtomicUsize,
}

/// A client of one hub. It is made without I/O and starts no thread.
pub struct SignalRClient {
    shared: Arc<Shared>,
    address: HubAddress,
    client_url: String,
    client_audience: String,
    /// The beginning of every client token, made anew when the key changes.
    template: ArcSwapOption<Template>,
    large_token_told: Once,
    closed: AtomicBool,
}

impl SignalRClient {
    /// A client for a hub.
    pub fn new(options: SignalROptions, hub: Hub) -> Self {
        let SignalROptions { endpoints, credential, application, timeout, world } = options;
        let address = HubAddress { hub, application };
        let keys = match credential {
            Credential::AccessKey(key) => KeySource::Shared(ArcSwap::from_pointee(key)),
            Credential::Entra(tokens, policy) => {
                KeySource::Temporary(TemporaryKeys::new(policy, tokens, endpoints.clone(), &address, world.clone()))
            }
        };
        let (request_failed, open) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Shared { endpoints, keys, timeout, world, request_failed, open };
        Self::on(Arc::new(shared), address)
    }

    /// A client for another hub of the same service, which shares keys and connections.
    pub fn for_hub(&self, hub: Hub) -> Self {
        Self::on(Arc::clone(&self.shared), HubAddress { hub, application: self.address.application.clone() })
    }

    fn on(shared: Arc<Shared>, address: HubAddress) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self {
            client_url: address.client_url(&shared.endpoints),
            client_audience: address.client_audience(&shared.endpoints),
            address,
            shared,
            template: ArcSwapOption::empty(),
            large_token_told: Once::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The service's addresses.
    pub fn endpoints(&self) -> &Endpoints {
        &self.shared.endpoints
    }

    /// The hub and its application.
    pub fn address(&self) -> &HubAddress {
        &self.address
    }

    /// The URL that clients are sent to.
    pub fn client_url(&self) -> &str {
        &self.client_url
    }

    /// Where the keys come from.
    pub fn keys(&self) -> &KeySource {
        &self.shared.keys
    }

    /// Reads the clocks that this client goes by.
    pub fn now(&self) -> Now {
        self.shared.world.clock.now()
    }

    /// Replaces the access key, for all hubs; the next token is signed by it. Temporary keys are not replaced by hand.
    pub fn set_access_key(&self, key: SigningKey) {
        if let KeySource::Shared(held) = &self.shared.keys {
            held.store(Arc::new(key));
        }
    }

    /// A key to sign with, if one is in hand. `None`: wait with [`Self::obtain_key`].
    pub fn key_in_hand(&self, now: Now, caller: impl FnOnce() -> Caller) -> Result<Option<KeyInHand>> {
        self.check_open()?;
        match &self.shared.keys {
            KeySource::Shared(key) => Ok(Some(KeyInHand { key: key.load_full(), ends: None })),
            KeySource::Temporary(keys) => keys.in_hand(now, caller),
        }
    }

    /// A key to sign with, fetched if need be, within the time given.
    pub async fn obtain_key(&self, caller: &Caller, timeout: Option<Duration>) -> Result<KeyInHand> {
        self.check_open()?;
        match &self.shared.keys {
            KeySource::Shared(key) => Ok(KeyInHand { key: key.load_full(), ends: None }),
            KeySource::Temporary(keys) => {
                self.within(timeout, "The request for a temporary key", keys.obtain(caller)).await
            }
        }
    }

    /// Signs a token for a client.
    pub fn sign(&self, now: Now, negotiation: &Negotiation<'_>, key: &KeyInHand) -> Result<Negotiated> {
        let held = self.template.load();
        let mut signed = match held.as_ref().filter(|template| Arc::ptr_eq(template.key(), &key.key)) {
            Some(template) => negotiation.sign(template, now)?,
            None => {
                let template = Arc::new(Template::new(Arc::clone(&key.key), &self.client_audience));
                self.template.store(Some(Arc::clone(&template)));
                negotiation.sign(&template, now)?
            }
        };
        if let Some(ends) = key.ends {
            signed.expires_on = signed.expires_on.min(ends);
        }
        let warn_of_length = signed.is_large && self.large_token_told.first();
        if warn_of_length {
            self.shared.world.tell(&Event::LargeToken { length: signed.token.len(), limit: TOKEN_MAX });
        }
        Ok(Negotiated { signed, warn_of_length })
    }

    /// Takes a report that the temporary key of this name is dead. Says whether a key was dropped.
    pub fn invalidate_key(&self, kid: &str) -> Result<bool> {
        self.check_open()?;
        match &self.shared.keys {
            KeySource::Shared(_) => Ok(false),
            KeySource::Temporary(keys) => Ok(keys.report(kid, self.now())),
        }
    }

    /// Whether a negotiation would be answered without waiting, as far as `keys`, the status of the keys, tells.
    pub fn is_ready(&self, keys: Option<&KeyStatus>) -> bool {
        !self.is_closed() && keys.is_none_or(|keys| keys.is_usable)
    }

    /// What this client holds and plans, without secrets; `None` with an access key, of which there is nothing to say.
    pub fn status(&self) -> Option<KeyStatus> {
        match &self.shared.keys {
            KeySource::Shared(_) => None,
            KeySource::Temporary(keys) => Some(keys.status(self.now())),
        }
    }

    /// Sends a message to every client of the hub, except the connections in `excluded`.
    ///
    /// It is not sent again after a failure, because the service may have delivered it; but a refused Entra token is
    /// renewed once, because with that the service has delivered nothing.
    pub async fn send_to_all(
        &self,
        message: Message,
        excluded: Vec<String>,
        caller: &Caller,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let operation = &SEND_TO_ALL;
        let work = async {
            self.check_open()?;
            let unsigned = send_to_all(&self.shared.endpoints, &self.address, message, &excluded);
            let world = &self.shared.world;
            match &self.shared.keys {
                KeySource::Shared(key) => {
                    let request = unsigned.sign(&key.load_full(), world.clock.now(), &world.place.name()?)?;
                    expect_success(operation, &Proof::AccessKey, &world.transport.send(request).await?)
                }
                KeySource::Temporary(keys) => {
                    let token = keys.tokens().obtain(caller).await.map_err(Fault::into_error)?;
                    let request = unsigned.clone().with_bearer(token.value().secret());
                    let outcome =
                        expect_success(operation, &token.value().proof(), &world.transport.send(request).await?);
                    if !matches!(&outcome, Err(error) if error.code() == Code::Unauthorized) {
                        return outcome;
                    }
                    keys.tokens().forget(&token);
                    let token = keys.tokens().obtain(caller).await.map_err(Fault::into_error)?;
                    let request = unsigned.with_bearer(token.value().secret());
                    expect_success(operation, &token.value().proof(), &world.transport.send(request).await?)
                }
            }
        };
        let outcome = self.within(timeout, operation.name, work).await;
        let had_failed = self.shared.request_failed.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(error) => {
                let (code, status) = (error.code().as_str(), error.status());
                self.shared.world.tell(&Event::RequestFailed { operation: operation.name, code, status });
            }
            Ok(()) if had_failed => self.shared.world.tell(&Event::RequestSucceeded { operation: operation.name }),
            Ok(()) => {}
        }
        outcome
    }

    async fn within<T>(
        &self,
        timeout: Option<Duration>,
        what: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = timeout.unwrap_or(self.shared.timeout);
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(deadline_exceeded(what, limit)))
    }

    /// Refuses further calls; those under way go on. Clients of other hubs made from this one go on, too, and the last of
    /// them takes the connections with it.
    pub fn close(&self) {
        let was_open = !self.closed.swap(true, Ordering::AcqRel);
        if was_open && self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.world.transport.close();
        }
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses the use of a closed client.
    pub fn check_open(&self) -> Result<()> {
        if !self.is_closed() {
            return Ok(());
        }
        Err(Error::new(
            Code::ClientClosed,
            "The client is closed.",
            "Make one SignalRServiceClient for each process, and call close() when the process ends.",
        ))
    }
}

impl Drop for SignalRClient {
    fn drop(&mut self) {
        self.close();
    }
}

/// A token, and whether to warn of its length.
pub struct Negotiated {
    /// The signed token.
    pub signed: Signed,
    /// Whether this is the client's first token of more than [`TOKEN_LARGE`] characters.
    pub warn_of_length: bool,
}

impl Negotiated {
    /// The warning for a token that comes near the limit.
    pub fn length_warning(&self) -> String {
        format!(
            "A client token has {} characters; above {TOKEN_LARGE} it is near the {TOKEN_MAX} that the service accepts. Pass less in claims=.",
            self.signed.token.len()
        )
    }
}

fn deadline_exceeded(operation: &str, limit: Duration) -> Error {
    Error::new(
        Code::DeadlineExceeded,
        format!("{operation} took longer than {} seconds.", limit.as_secs_f64()),
        "Pass a longer timeout= (seconds) to the call or to the client, or check the network to the endpoint.",
    )
}
