//! The door of the network: the only file that opens sockets.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, NoProxy, Proxy, redirect};
use url::Url;

use crate::endpoint::Endpoint;
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::process::ProcessState;
use crate::rest::answer::unexpected;
use crate::rest::{Answer, BODY_MAX, Method, Request};

/// What we call ourselves in requests.
const USER_AGENT: &str = concat!("hubpass/", env!("CARGO_PKG_VERSION"));

/// How long a connection is kept without use. Shorter than what services and proxies allow, because a request on a
/// connection that the other side is just closing fails, and one that acts must not be sent twice.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Hosts that are never reached through a proxy: the link that managed identities are served on. This machine is not
/// among them because its connections are kept apart.
const NEVER_PROXIED: &str = "169.254.0.0/16";

/// Sends requests over HTTPS, and over HTTP to this machine.
pub struct HttpTransport {
    /// Connections to this machine, which never take the way of a proxy.
    local: Connections,
    remote: Connections,
}

/// The connections of the process that made them. They are dead in a forked child, which makes its own.
struct Connections {
    proxies: ProxyVariables,
    made: ArcSwapOption<(u32, Client)>,
}

impl HttpTransport {
    /// A transport that will use these proxies. Nothing is opened before the first request.
    pub fn new(proxies: ProxyVariables) -> Self {
        Self { local: Connections::new(ProxyVariables::default()), remote: Connections::new(proxies) }
    }

    /// Sends a request and reads its answer. Redirects are not followed: they would carry the bearer elsewhere.
    pub async fn send(&self, process: &ProcessState, request: Request) -> Result<Answer> {
        let endpoint = check_destination(&request)?;
        let connections = if endpoint.is_loopback() { &self.local } else { &self.remote };
        let client = connections.client(process)?;
        let failed = |error: reqwest::Error| transport_error(&request, &endpoint, error);
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", request.bearer.expose())).map_err(|_| {
                Error::new(
                    Code::CredentialUnsupported,
                    "The credential's token has characters that no HTTP header can carry.",
                    "Pass a credential whose get_token() returns an access token as Microsoft Entra ID issues it.",
                )
            })?;
        authorization.set_sensitive(true);
        let mut builder = match request.method {
            Method::Get => client.get(&request.url),
            Method::Post => client.post(&request.url),
        };
        builder = builder.header(AUTHORIZATION, authorization);
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json; charset=utf-8").body(body.clone());
        }
        let mut response = builder.send().await.map_err(failed)?;
        let mut answer = Answer {
            status: response.status().as_u16(),
            www_authenticate: text(response.headers(), &WWW_AUTHENTICATE),
            retry_after: text(response.headers(), &RETRY_AFTER),
            error_code: text(response.headers(), &HeaderName::from_static("x-ms-error-code")),
            body: Vec::new(),
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            let room = BODY_MAX - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                if response.status().is_success() {
                    let message = format!("{} was answered with more than {BODY_MAX} bytes.", request.operation);
                    return Err(unexpected(message).with_status(answer.status));
                }
                // The status of a refusal says enough.
                break;
            }
        }
        Ok(answer)
    }
}

impl Connections {
    fn new(proxies: ProxyVariables) -> Self {
        Self { proxies, made: ArcSwapOption::empty() }
    }

    fn client(&self, process: &ProcessState) -> Result<Client> {
        if let Some((_, client)) = self.made.load().as_deref().filter(|(made_in, _)| *made_in == process.id()) {
            return Ok(client.clone());
        }
        let client = self.build()?;
        let replaced = self.made.swap(Some(Arc::new((process.id(), client.clone()))));
        // Connections of a parent process belong to its runtime: closing them here would wait for threads that are gone.
        if let Some(inherited) = replaced.filter(|replaced| replaced.0 != process.id()) {
            std::mem::forget(inherited);
        }
        Ok(client)
    }

    #[allow(clippy::disallowed_methods, reason = "this file is the door of the network")]
    fn build(&self) -> Result<Client> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .pool_idle_timeout(IDLE_MAX)
            .no_proxy();
        let unusable =
            |what: &str, hint: &str| Error::new(Code::TransportUnavailable, format!("{what} cannot be used."), hint);
        if let Some(url) = &self.proxies.https {
            let proxy = Proxy::https(url.expose()).map_err(|_| {
                unusable(
                    "The proxy in the environment variable HTTPS_PROXY (or ALL_PROXY)",
                    "Set HTTPS_PROXY=http://<host>:<port>, or unset it.",
                )
            })?;
            let more = self.proxies.exceptions.as_deref().unwrap_or_default();
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&format!("{NEVER_PROXIED},{more}"))));
        }
        builder.build().map_err(|error| {
            unusable(
                "The system's store of trusted certificates",
                "Install it (apt-get install ca-certificates), or set SSL_CERT_FILE=<file of PEM certificates>.",
            )
            .with_source(error)
        })
    }
}

/// Nothing secret leaves this machine in the clear.
fn check_destination(request: &Request) -> Result<Endpoint> {
    let unsendable = |message: String, hint: &str| Error::new(Code::InsecureEndpoint, message, hint);
    let origin = Url::parse(&request.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    let endpoint = Endpoint::parse(&origin).map_err(|fault| {
        unsendable(format!("{} has no valid address: {fault}.", request.operation), "Check the endpoint.")
    })?;
    if endpoint.is_private() {
        return Ok(endpoint);
    }
    Err(unsendable(
        format!("{} would send a token over plain http to {}.", request.operation, endpoint.host()),
        "Use https:// in the endpoint (or server_endpoint=); plain http is for this machine only.",
    ))
}

/// A header's value; the lines of one that comes more than once are one list (RFC 9110 section 5.3).
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// What a failure on the way means. The text of the innermost cause is a system's message and holds no secret.
fn transport_error(request: &Request, endpoint: &Endpoint, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let mut causes = Vec::new();
    let mut next: Option<&dyn StdError> = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let has = |sign: &str| causes.iter().any(|cause| cause.to_ascii_lowercase().contains(sign));
    let cause = causes.last().cloned().unwrap_or_else(|| error.to_string());
    let host = endpoint.host();
    let operation = request.operation;
    if has("invalid http") || has("invalid chunk") || has("message head is too large") {
        return unexpected(format!("{operation} was answered by {host} with something that is not HTTP ({cause})."));
    }
    let (code, message, hint) = if has("dns") || has("failed to lookup") || has("name resolution") {
        (
            Code::NameResolutionFailed,
            format!("{operation} failed: the name {host} does not resolve ({cause})."),
            "Check Endpoint, and with a private endpoint the DNS zone privatelink.service.signalr.net.",
        )
    } else if has("corrupt message") {
        (
            Code::TlsFailed,
            format!("{operation} failed: {host} does not speak TLS at this port ({cause})."),
            "Check the port in Endpoint or Port=; the service listens for https on 443.",
        )
    } else if has("certificate") || has("tls") {
        (
            Code::TlsFailed,
            format!("{operation} failed: the certificate of {host} is not accepted ({cause})."),
            "If a company proxy inspects TLS, set SSL_CERT_FILE=<file with its root certificate>.",
        )
    } else if has("tunnel") || has("proxy") {
        (
            Code::NetworkBlocked,
            format!("{operation} failed: the proxy did not let it through to {host} ({cause})."),
            "Allow the host at the proxy, or add it to NO_PROXY.",
        )
    } else {
        (
            Code::ConnectionFailed,
            format!("{operation} failed: no answer came from {host} ({cause})."),
            "Check that the endpoint can be reached from this machine: curl -I https://<host>/api/health",
        )
    };
    Error::new(code, message, hint).with_source(error)
}
