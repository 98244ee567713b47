//! The door of the network: the only file that opens sockets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use azure_core::Bytes;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Client, ClientBuilder, redirect};
use url::Url;
use zeroize::Zeroizing;

use crate::endpoint::Endpoint;
use crate::env::{ProxyVariables, TrustVariables};
use crate::error::{Code, Error, Result};
use crate::process::{self, PerProcess, ProcessState};
use crate::rest::answer::unexpected;
use crate::rest::failure::transport_error;
use crate::rest::proxy::{Proxy, ProxyRules};
use crate::rest::trust;
use crate::rest::{Answer, BODY_MAX, Method, Party, Request};
use crate::secret::Secret;
use crate::world::Pending;

/// What we call ourselves in requests.
const USER_AGENT: &str = concat!("hubpass/", env!("CARGO_PKG_VERSION"));

/// The longest that one request may take. The caller's own time is usually shorter; this ends what nobody waits for.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(30);

/// How long a connection is kept without use. Shorter than what services and proxies allow, because a request on a
/// connection that the other side is just closing fails, and one that acts must not be sent twice.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The way to the network. Simulations have their own.
pub trait Transport: Send + Sync {
    /// Sends a request and reads its answer, whatever its status. Redirects are not followed: they would carry a bearer to
    /// another place.
    fn send(&self, request: Request) -> Pending<'_, Result<Answer>>;

    /// The proxy that requests have taken, if any has.
    fn proxy_taken(&self) -> Option<&Proxy> {
        None
    }

    /// Lets go of connections that nothing uses, and keeps none from then on. Requests under way go on, and so may those
    /// that follow from them.
    fn close(&self) {}
}

/// Sends requests over HTTPS, and over HTTP to this machine.
pub struct HttpTransport {
    rules: ProxyRules,
    trust: TrustVariables,
    ca_file: Option<PathBuf>,
    /// Connections that take no proxy, whatever the environment says.
    direct: PerProcess<Client>,
    proxied: PerProcess<Client>,
    has_taken_proxy: AtomicBool,
    closed: AtomicBool,
}

impl HttpTransport {
    /// A transport that will use these proxies, and trust the certificates of `ca_file` (PEM) beside those of the system, or
    /// those that the environment puts in their place. Nothing is read or opened before the first request.
    pub fn new(proxies: ProxyVariables, trust: TrustVariables, ca_file: Option<PathBuf>) -> Self {
        let rules = ProxyRules::new(&proxies);
        let (direct, proxied) = (PerProcess::default(), PerProcess::default());
        let (has_taken_proxy, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { rules, trust, ca_file, direct, proxied, has_taken_proxy, closed }
    }

    fn client(&self, process: &ProcessState, proxy: Option<&Proxy>) -> Result<Client> {
        let connections = if proxy.is_some() { &self.proxied } else { &self.direct };
        let made = connections.try_get(process.id(), || self.build(proxy))?;
        if self.closed.load(Ordering::Acquire) {
            connections.let_go();
        }
        Ok(Client::clone(&made))
    }

    fn build(&self, proxy: Option<&Proxy>) -> Result<Client> {
        self.builder(proxy)?.build().map_err(|error| {
            Error::new(
                Code::TransportUnavailable,
                "No connections can be made.",
                "Check the limits of this process: ulimit -a",
            )
            .with_source(error)
        })
    }

    #[allow(clippy::disallowed_methods, reason = "this file is the door of the network")]
    fn builder(&self, proxy: Option<&Proxy>) -> Result<ClientBuilder> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .tls_backend_preconfigured(trust::tls(&self.trust, self.ca_file.as_deref())?)
            .no_proxy();
        if let Some(proxy) = proxy {
            let made = reqwest::Proxy::https(proxy.url.expose()).map_err(|_| {
                Error::new(
                    Code::TransportUnavailable,
                    format!("The proxy in the environment variable {} cannot be used.", proxy.variable),
                    format!("Set {}=http://<host>:<port>, or unset it.", proxy.variable),
                )
            })?;
            builder = builder.proxy(made);
        }
        Ok(builder)
    }

    async fn exchange(&self, request: Request) -> Result<Answer> {
        let process = process::current()?;
        let endpoint = check_destination(&request)?;
        let proxy = self.rules.proxy_for(request.party, &endpoint)?;
        if proxy.is_some() {
            self.has_taken_proxy.store(true, Ordering::Relaxed);
        }
        let client = self.client(process, proxy)?;
        let failed = |error: reqwest::Error| transport_error(&request, &endpoint, proxy, error);
        let mut builder = match request.method {
            Method::Get => client.get(&request.url),
            Method::Post => client.post(&request.url),
            Method::Put => client.put(&request.url),
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, header_value(value)?);
        }
        if let Some(limit) = request.limit {
            builder = builder.timeout(limit);
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, body.content_type).body(wiped_copy(&body.text));
        } else if request.method != Method::Get {
            // The library leaves it out, and without it gateways refuse a POST or a PUT with 411 (RFC 9110 section 8.6).
            builder = builder.header(CONTENT_LENGTH, 0);
        }
        let mut response = builder.send().await.map_err(failed)?;
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
        let capacity = announced.map_or(BODY_MAX, |length| length.min(BODY_MAX));
        let mut answer = Answer {
            status: response.status().as_u16(),
            www_authenticate: text(response.headers(), &WWW_AUTHENTICATE),
            retry_after: text(response.headers(), &RETRY_AFTER),
            error_code: text(response.headers(), &HeaderName::from_static("x-ms-error-code"))
                .filter(|code| !request.holds(code)),
            // A buffer that grew would leave what it held behind, unwiped.
            body: Zeroizing::new(Vec::with_capacity(capacity)),
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            let room = BODY_MAX - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                if response.status().is_success() {
                    let message = format!("{} was answered with more than {BODY_MAX} bytes.", request.purpose);
                    return Err(unexpected(request.party, message).with_status(answer.status));
                }
                // The status of a refusal says enough.
                break;
            }
        }
        Ok(answer)
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request) -> Pending<'_, Result<Answer>> {
        Box::pin(self.exchange(request))
    }

    fn proxy_taken(&self) -> Option<&Proxy> {
        self.rules.proxy().filter(|_| self.has_taken_proxy.load(Ordering::Relaxed))
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.direct.let_go();
        self.proxied.let_go();
    }
}

/// A header's value that no log of the HTTP library shows.
fn header_value(value: &Secret) -> Result<HeaderValue> {
    let sendable = value.expose().is_ascii().then(|| HeaderValue::from_maybe_shared(wiped_copy(value)).ok()).flatten();
    let mut value = sendable.ok_or_else(|| {
        Error::new(
            Code::CredentialUnsupported,
            "The credential's token has characters that no HTTP header can carry.",
            "Pass a credential whose get_token() returns an access token as Microsoft Entra ID issues it.",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A copy for the HTTP library, which is wiped when the library drops it.
fn wiped_copy(secret: &Secret) -> Bytes {
    Bytes::from_owner(Zeroizing::new(secret.expose().as_bytes().to_vec()))
}

/// Nothing secret leaves this machine in the clear.
fn check_destination(request: &Request) -> Result<Endpoint> {
    let unsendable = |message: String, hint: &str| Error::new(Code::InsecureEndpoint, message, hint);
    let origin = Url::parse(&request.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let endpoint = Endpoint::parse(&origin).map_err(|fault| {
        unsendable(
            format!("{} has no valid address: {fault}.", request.purpose),
            &format!("Check {}.", request.party.setting()),
        )
    })?;
    let is_on_link = request.party == Party::Platform && endpoint.is_link_local();
    if endpoint.is_private() || is_on_link {
        return Ok(endpoint);
    }
    Err(unsendable(
        format!("{} would send a token over plain http to {}.", request.purpose, endpoint.host()),
        &format!("Use https:// in {}; plain http is for this machine only.", request.party.setting()),
    ))
}

/// A header's value; the lines of one that comes more than once are one list (RFC 9110 section 5.3).
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A name of two addresses, of which one has nobody who listens.
    #[tokio::test]
    async fn a_name_is_reached_at_the_address_that_answers() {
        let addresses = [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)];
        for here in addresses {
            let Ok(listener) = TcpListener::bind((here, 0)).await else {
                // A machine without IPv6 has one address less to try.
                assert!(here.is_ipv6());
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let served = tokio::spawn(async move {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(connection.read_u8().await.unwrap());
                }
                connection.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            });
            let transport = HttpTransport::new(ProxyVariables::default(), TrustVariables::default(), None);
            let both = addresses.map(|address| SocketAddr::new(address, port));
            let client = transport.builder(None).unwrap().resolve_to_addrs("both.example", &both).build().unwrap();
            let answer = client.get(format!("http://both.example:{port}/")).send().await.unwrap();
            assert_eq!(answer.status(), 202, "{here}");
            served.await.unwrap();
        }
    }
}
