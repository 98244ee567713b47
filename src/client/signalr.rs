//! The client of Azure SignalR Service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::clock::Now;
use crate::endpoint::{ApplicationName, Endpoints, Hub, HubAddress};
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::jwt::Template;
use crate::keys::SigningKey;
use crate::negotiate::{Negotiation, Signed, TOKEN_LARGE, TOKEN_MAX};
use crate::observe::{Event, Observer, Once};
use crate::process::ProcessState;
use crate::rest::answer::expect_status;
use crate::rest::signalr::{Message, send_to_all};
use crate::rest::transport::HttpTransport;

/// What a client is made of.
pub struct SignalROptions {
    /// The service's addresses.
    pub endpoints: Endpoints,
    /// The access key that signs.
    pub access_key: SigningKey,
    /// The application that the hubs belong to.
    pub application: Option<ApplicationName>,
    /// The time that a call has if it says nothing else.
    pub timeout: Duration,
    /// Who is told of events.
    pub observer: Option<Arc<dyn Observer>>,
    /// The proxies of the environment.
    pub proxies: ProxyVariables,
}

/// What the clients of all hubs of one service share.
struct Shared {
    endpoints: Endpoints,
    key: ArcSwap<SigningKey>,
    timeout: Duration,
    observer: Option<Arc<dyn Observer>>,
    transport: HttpTransport,
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
        let SignalROptions { endpoints, access_key, application, timeout, observer, proxies } = options;
        let transport = HttpTransport::new(proxies);
        let key = ArcSwap::from_pointee(access_key);
        let shared = Arc::new(Shared { endpoints, key, timeout, observer, transport });
        Self::on(shared, HubAddress { hub, application })
    }

    /// A client for another hub of the same service, which shares key and connections.
    pub fn for_hub(&self, hub: Hub) -> Self {
        Self::on(Arc::clone(&self.shared), HubAddress { hub, application: self.address.application.clone() })
    }

    fn on(shared: Arc<Shared>, address: HubAddress) -> Self {
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

    /// Replaces the access key, for all hubs; the next token is signed by it.
    pub fn set_access_key(&self, key: SigningKey) {
        self.shared.key.store(Arc::new(key));
    }

    /// Signs a token for a client.
    pub fn negotiate(&self, now: Now, negotiation: &Negotiation<'_>) -> Result<Negotiated> {
        self.check_open()?;
        let key = self.shared.key.load();
        let held = self.template.load();
        let signed = match held.as_ref().filter(|template| Arc::ptr_eq(template.key(), &key)) {
            Some(template) => negotiation.sign(template, now)?,
            None => {
                let template = Arc::new(Template::new(Arc::clone(&key), &self.client_audience));
                self.template.store(Some(Arc::clone(&template)));
                negotiation.sign(&template, now)?
            }
        };
        let warn_of_length = signed.is_large && self.large_token_told.first();
        if let Some(observer) = self.shared.observer.as_ref().filter(|_| warn_of_length) {
            observer.observe(&Event::LargeToken { length: signed.token.len(), limit: TOKEN_MAX });
        }
        Ok(Negotiated { signed, warn_of_length })
    }

    /// Sends a message to every client of the hub, except the connections in `excluded`.
    ///
    /// It is not sent again after a failure: the service may have delivered it.
    pub async fn send_to_all(
        &self,
        process: &ProcessState,
        message: Message,
        excluded: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<()> {
        const OPERATION: &str = "send_to_all";
        const ACCEPTED: u16 = 202;
        let work = async {
            self.check_open()?;
            let unsigned = send_to_all(&self.shared.endpoints, &self.address, message, &excluded);
            let request = unsigned.sign(&self.shared.key.load_full(), Now::read(), process.name())?;
            let answer = self.shared.transport.send(process, request).await?;
            expect_status(OPERATION, &answer, ACCEPTED)
        };
        let limit = timeout.unwrap_or(self.shared.timeout);
        let outcome =
            tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(deadline_exceeded(OPERATION, limit)));
        outcome.inspect_err(|error| {
            let (code, status) = (error.code().as_str(), error.status());
            if let Some(observer) = self.shared.observer.clone() {
                // Not here: an observer that waits would keep a thread of the runtime from serving others.
                process.spawn_blocking(move || {
                    observer.observe(&Event::RequestFailed { operation: OPERATION, code, status });
                });
            }
        })
    }

    /// Refuses further calls. Clients of other hubs made from this one go on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
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
