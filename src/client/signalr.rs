//! The client of Azure SignalR Service.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::client::core::{Closing, Core};
use crate::clock::Now;
use crate::credential::{Caller, Tokens};
use crate::endpoint::{ApplicationName, Endpoints, Hub, HubAddress, Service};
use crate::error::Result;
use crate::jwt::Template;
use crate::keys::{KeyInHand, KeyPolicy, KeySource, KeyStatus, SigningKey, TemporaryKeys};
use crate::negotiate::{Negotiation, Signed, TOKEN_LARGE, TOKEN_MAX};
use crate::observe::{Event, Once};
use crate::rest::answer::expect_success;
use crate::rest::signalr::{Message, add_user_to_group, send_to_all};
use crate::rest::{ADD_USER_TO_GROUP, Answer, Operation, Proof, SEND_TO_ALL, Unsigned};
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
    core: Core,
    keys: KeySource,
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
    closing: Closing,
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
        Self::on(Arc::new(Shared { core: Core::new(endpoints, timeout, world), keys }), address)
    }

    /// A client for another hub of the same service, which shares keys and connections.
    pub fn for_hub(&self, hub: Hub) -> Self {
        Self::on(Arc::clone(&self.shared), HubAddress { hub, application: self.address.application.clone() })
    }

    fn on(shared: Arc<Shared>, address: HubAddress) -> Self {
        shared.core.open();
        Self {
            client_url: address.client_url(&shared.core.endpoints),
            client_audience: address.client_audience(&shared.core.endpoints),
            address,
            shared,
            template: ArcSwapOption::empty(),
            large_token_told: Once::default(),
            closing: Closing::default(),
        }
    }

    /// The service's addresses.
    pub fn endpoints(&self) -> &Endpoints {
        &self.shared.core.endpoints
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
        self.shared.core.world.clock.now()
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
                self.shared.core.within(timeout, "The request for a temporary key", keys.obtain(caller)).await
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
            self.shared.core.world.tell(&Event::LargeToken { length: signed.token.len(), limit: TOKEN_MAX });
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
        let unsigned = || Ok(send_to_all(&self.shared.core.endpoints, &self.address, message, &excluded));
        self.perform(&SEND_TO_ALL, unsigned, caller, timeout).await
    }

    /// Lets a user be in a group, with the connections that it has and with those that it makes within `ttl`.
    pub async fn add_user_to_group(
        &self,
        user_id: &str,
        group: &str,
        ttl: Option<Duration>,
        caller: &Caller,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let unsigned = || add_user_to_group(&self.shared.core.endpoints, &self.address, user_id, group, ttl);
        self.perform(&ADD_USER_TO_GROUP, unsigned, caller, timeout).await
    }

    /// Does an operation that gives nothing but success.
    async fn perform(
        &self,
        operation: &'static Operation,
        unsigned: impl FnOnce() -> Result<Unsigned>,
        caller: &Caller,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let work = async {
            self.check_open()?;
            let unsigned = unsigned()?;
            let world = &self.shared.core.world;
            match &self.shared.keys {
                KeySource::Shared(key) => {
                    let request = unsigned.sign(&key.load_full(), world.clock.now(), &world.place.name()?)?;
                    expect_success(operation, &Proof::AccessKey, &world.transport.send(request).await?)
                }
                KeySource::Temporary(keys) => {
                    let read = |proof: &Proof, answer: &Answer| expect_success(operation, proof, answer);
                    self.shared.core.send_with_token(keys.tokens(), caller, unsigned, read).await
                }
            }
        };
        self.shared.core.perform(operation, timeout, work).await
    }

    /// Refuses further calls; those under way go on. Clients of other hubs made from this one go on, too, and the last of
    /// them takes the connections with it.
    pub fn close(&self) {
        self.closing.close(&self.shared.core);
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closing.is_closed()
    }

    /// Refuses the use of a closed client.
    pub fn check_open(&self) -> Result<()> {
        self.closing.check(Service::SignalR)
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
