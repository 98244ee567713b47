//! The client of Azure Web PubSub.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::client::core::{Closing, Core};
use crate::client_access::{ClientAccess, ClientProtocol};
use crate::credential::{Caller, TokenStatus, Tokens};
use crate::endpoint::{Endpoints, Hub, Service};
use crate::error::Result;
use crate::jwt::Template;
use crate::keys::SigningKey;
use crate::negotiate::{EXPIRES_ON_MAX, TOKEN_LARGE, TOKEN_MAX};
use crate::observe::{Event, Once};
use crate::process::PerProcess;
use crate::rest::GENERATE_TOKEN;
use crate::rest::answer::{client_token, unverified_payload};
use crate::rest::webpubsub::generate_token;
use crate::world::World;

/// How many tokens are generated at a time for the clients of one service. A crowd that comes at once shares these
/// connections; without a bound each would open one of its own, and the service would throttle them all.
const GENERATED_AT_A_TIME: usize = 32;

/// What proves to the service who we are.
pub enum WebPubSubCredential {
    /// A shared access key, which signs the tokens of clients here.
    AccessKey(SigningKey),
    /// Entra tokens, with which the service is asked to sign.
    Entra(Arc<Tokens>),
}

/// What a client is made of.
pub struct WebPubSubOptions {
    /// The service's addresses.
    pub endpoints: Endpoints,
    /// What proves who we are.
    pub credential: WebPubSubCredential,
    /// The time that a call has if it says nothing else.
    pub timeout: Duration,
    /// Time, process and network.
    pub world: World,
}

/// What the clients of all hubs of one service share.
struct Shared {
    core: Core,
    signer: Signer,
}

/// Who signs the tokens of clients.
enum Signer {
    /// This process, with a key that its owner may replace.
    Ourselves(ArcSwap<SigningKey>),
    /// The service.
    Service {
        tokens: Arc<Tokens>,
        /// A forked child has its own: those of its parent may be taken for ever.
        slots: PerProcess<Semaphore>,
    },
}

/// A client of one hub. It is made without I/O and starts no thread.
pub struct WebPubSubClient {
    shared: Arc<Shared>,
    hub: Hub,
    /// One for each protocol, in their order.
    addresses: [ClientAddress; ClientProtocol::ALL.len()],
    large_token_told: Once,
    closing: Closing,
}

/// Where clients of one protocol connect.
struct ClientAddress {
    url: String,
    audience: String,
    /// The beginning of every client token, made anew when the key changes.
    template: ArcSwapOption<Template>,
}

impl ClientAddress {
    /// The rules of Microsoft's SDK: the endpoint in lower case with its port and path, then the hub as it is written; the
    /// URL has the scheme of WebSockets.
    fn new(endpoints: &Endpoints, hub: &Hub, protocol: ClientProtocol) -> Self {
        let base = |text: String| text.trim_end_matches('/').to_ascii_lowercase();
        let rest = format!("{}{}", protocol.path(), hub.as_str());
        let client = base(endpoints.client.as_text());
        Self {
            url: format!("ws{}{rest}", client.strip_prefix("http").unwrap_or(&client)),
            audience: format!("{}{rest}", base(endpoints.endpoint.as_text())),
            template: ArcSwapOption::empty(),
        }
    }

    fn template(&self, key: &Arc<SigningKey>) -> Arc<Template> {
        if let Some(template) = self.template.load_full().filter(|template| Arc::ptr_eq(template.key(), key)) {
            return template;
        }
        let template = Arc::new(Template::without_issuer(Arc::clone(key), &self.audience, &Map::new()));
        self.template.store(Some(Arc::clone(&template)));
        template
    }
}

impl WebPubSubClient {
    /// A client for a hub.
    pub fn new(options: WebPubSubOptions, hub: Hub) -> Self {
        let WebPubSubOptions { endpoints, credential, timeout, world } = options;
        let signer = match credential {
            WebPubSubCredential::AccessKey(key) => Signer::Ourselves(ArcSwap::from_pointee(key)),
            WebPubSubCredential::Entra(tokens) => Signer::Service { tokens, slots: PerProcess::default() },
        };
        Self::on(Arc::new(Shared { core: Core::new(endpoints, timeout, world), signer }), hub)
    }

    /// A client for another hub of the same service, which shares key, tokens and connections.
    pub fn for_hub(&self, hub: Hub) -> Self {
        Self::on(Arc::clone(&self.shared), hub)
    }

    fn on(shared: Arc<Shared>, hub: Hub) -> Self {
        shared.core.open();
        Self {
            addresses: ClientProtocol::ALL.map(|protocol| ClientAddress::new(&shared.core.endpoints, &hub, protocol)),
            shared,
            hub,
            large_token_told: Once::default(),
            closing: Closing::default(),
        }
    }

    /// The service's addresses.
    pub fn endpoints(&self) -> &Endpoints {
        &self.shared.core.endpoints
    }

    /// The hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The URL that clients of a protocol connect to, without their token.
    pub fn client_url(&self, protocol: ClientProtocol) -> &str {
        &self.address(protocol).url
    }

    fn address(&self, protocol: ClientProtocol) -> &ClientAddress {
        let [default, mqtt, socket_io] = &self.addresses;
        match protocol {
            ClientProtocol::Default => default,
            ClientProtocol::Mqtt => mqtt,
            ClientProtocol::SocketIo => socket_io,
        }
    }

    /// Replaces the access key, for all hubs; the next token is signed by it. With Entra there is none to replace.
    pub fn set_access_key(&self, key: SigningKey) {
        if let Signer::Ourselves(held) = &self.shared.signer {
            held.store(Arc::new(key));
        }
    }

    /// Whether this process signs by itself, which never waits.
    pub fn signs(&self) -> bool {
        matches!(self.shared.signer, Signer::Ourselves(_))
    }

    /// Signs a token for a client. `None`: the service signs; wait for [`Self::generate`].
    pub fn sign(&self, access: &ClientAccess, headers: &Map<String, Value>) -> Result<Option<ClientToken>> {
        self.check_open()?;
        let Signer::Ourselves(key) = &self.shared.signer else { return Ok(None) };
        self.sign_with(&key.load_full(), access, headers).map(Some)
    }

    fn sign_with(
        &self,
        key: &Arc<SigningKey>,
        access: &ClientAccess,
        headers: &Map<String, Value>,
    ) -> Result<ClientToken> {
        let (address, world) = (self.address(access.protocol()), &self.shared.core.world);
        let template = if headers.is_empty() {
            address.template(key)
        } else {
            Arc::new(Template::without_issuer(Arc::clone(key), &address.audience, headers))
        };
        let signed = access.sign(&template, world.clock.now())?;
        let warn_of_length = signed.is_large && self.large_token_told.first();
        if warn_of_length {
            world.tell(&Event::LargeToken { length: signed.token.len(), limit: TOKEN_MAX });
        }
        Ok(ClientToken { token: signed.token, expires_on: signed.expires_on, warn_of_length })
    }

    /// Has a token for a client signed, by the service if it is the one who signs, within the time given; waiting for a turn
    /// counts.
    pub async fn generate(
        &self,
        access: &ClientAccess,
        caller: &Caller,
        timeout: Option<Duration>,
    ) -> Result<ClientToken> {
        self.check_open()?;
        let (tokens, slots) = match &self.shared.signer {
            Signer::Ourselves(key) => return self.sign_with(&key.load_full(), access, &Map::new()),
            Signer::Service { tokens, slots } => (tokens, slots),
        };
        let core = &self.shared.core;
        let request = generate_token(&core.endpoints, &self.hub, access)?;
        let slots = slots.try_get(core.world.place.process(), || Ok(Semaphore::new(GENERATED_AT_A_TIME)))?;
        let work = async {
            // Nobody closes the semaphore; should it be, the bound is lost and not the call.
            let _turn = slots.acquire().await;
            let now = core.world.clock.now();
            let token = core.send_with_token(tokens, caller, request, client_token).await?;
            let expires_on = expiry_in(token.expose()).unwrap_or_else(|| access.lifetime().ends(now));
            Ok(ClientToken { token: token.expose().to_owned(), expires_on, warn_of_length: false })
        };
        core.perform(&GENERATE_TOKEN, timeout, work).await
    }

    /// Gets an Entra token, opens a connection and has the service sign once, so that the first user does not wait, and a
    /// role that is missing is told at the start. With an access key there is nothing to get.
    pub async fn warm_up(&self, caller: &Caller, timeout: Option<Duration>) -> Result<()> {
        self.check_open()?;
        if self.signs() {
            return Ok(());
        }
        self.generate(&ClientAccess::least(), caller, timeout).await.map(drop)
    }

    /// What this client holds and plans, without secrets; `None` with an access key, of which there is nothing to say.
    pub fn status(&self) -> Option<TokenStatus> {
        match &self.shared.signer {
            Signer::Ourselves(_) => None,
            Signer::Service { tokens, .. } => Some(tokens.status()),
        }
    }

    /// Whether a token would be had with no more than one request to the service, as far as `tokens`, the status of the
    /// Entra token, tells.
    pub fn is_ready(&self, tokens: Option<&TokenStatus>) -> bool {
        !self.closing.is_closed() && tokens.is_none_or(|tokens| tokens.is_usable)
    }

    /// Refuses further calls; those under way go on. Clients of other hubs made from this one go on, too, and the last of
    /// them takes the connections with it.
    pub fn close(&self) {
        self.closing.close(&self.shared.core);
    }

    /// Refuses the use of a closed client.
    pub fn check_open(&self) -> Result<()> {
        self.closing.check(Service::WebPubSub)
    }
}

impl Drop for WebPubSubClient {
    fn drop(&mut self) {
        self.close();
    }
}

/// A token for a client.
pub struct ClientToken {
    /// The token. It is a secret until it expires.
    pub token: String,
    /// When it expires, in seconds since 1970.
    pub expires_on: u64,
    /// Whether this is the client's first token of more than [`TOKEN_LARGE`] characters.
    pub warn_of_length: bool,
}

impl ClientToken {
    /// The warning for a token that comes near the limit.
    pub fn length_warning(&self) -> String {
        format!(
            "A client token has {} characters; above {TOKEN_LARGE} it is near the {TOKEN_MAX} at which browsers and proxies stop. Pass fewer roles= and groups=.",
            self.token.len()
        )
    }
}

/// When a token of the service's expires, read without verifying it: for its owner to know.
fn expiry_in(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Payload {
        exp: u64,
    }
    let Payload { exp } = unverified_payload(token)?;
    (exp <= EXPIRES_ON_MAX).then_some(exp)
}

#[cfg(test)]
mod tests {
    use base64_simd::URL_SAFE_NO_PAD;

    use super::*;

    fn addresses(endpoint: &str, client: Option<&str>, hub: &str) -> Vec<(String, String)> {
        let endpoints = Endpoints::for_service(Service::WebPubSub, endpoint, client, None).unwrap();
        let hub = Hub::keeping_case(hub).unwrap();
        ClientProtocol::ALL
            .map(|protocol| ClientAddress::new(&endpoints, &hub, protocol))
            .map(|address| (address.url, address.audience))
            .to_vec()
    }

    #[test]
    fn urls_and_audiences_follow_the_official_rules() {
        let expected = ["client/hubs", "clients/mqtt/hubs", "clients/socketio/hubs"].map(|path| {
            (
                format!("wss://my.host.com:8443/base/path/{path}/Hub1"),
                format!("https://my.host.com:8443/base/path/{path}/Hub1"),
            )
        });
        assert_eq!(addresses("HTTPS://My.Host.com:8443/Base/Path//", None, "Hub1"), expected);
        let (url, audience) = addresses("http://127.0.0.1:8080", None, "h").swap_remove(0);
        assert_eq!((&*url, &*audience), ("ws://127.0.0.1:8080/client/hubs/h", "http://127.0.0.1:8080/client/hubs/h"));
    }

    #[test]
    fn a_proxy_for_clients_changes_their_url_and_not_the_audience() {
        let (url, audience) = addresses("https://a.example", Some("https://edge.example/ps/"), "h").swap_remove(0);
        assert_eq!((&*url, &*audience), ("wss://edge.example/ps/client/hubs/h", "https://a.example/client/hubs/h"));
    }

    #[test]
    fn the_expiry_of_a_token_is_read_if_it_can_be() {
        let token = |payload: &str| format!("e30.{}.x", URL_SAFE_NO_PAD.encode_to_string(payload));
        assert_eq!(expiry_in(&token(r#"{"exp":7}"#)), Some(7));
        for payload in ["{}", r#"{"exp":"7"}"#, r#"{"exp":999999999999999}"#, "x"] {
            assert_eq!(expiry_in(&token(payload)), None, "{payload}");
        }
        assert_eq!(expiry_in("no token"), None);
    }
}
