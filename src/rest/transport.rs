//! The door of the network: the only file that opens sockets.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use azure_core::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, NoProxy, Proxy, redirect};
use url::Url;
use zeroize::Zeroizing;

use crate::endpoint::Endpoint;
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::process::{self, PerProcess, ProcessState};
use crate::rest::answer::unexpected;
use crate::rest::{Answer, BODY_MAX, Method, Party, Request};
use crate::secret::Secret;
use crate::world::Pending;

/// What we call ourselves in requests.
const USER_AGENT: &str = concat!("hubpass/", env!("CARGO_PKG_VERSION"));

/// The longest that one request may take. The caller's own time is usually shorter; this ends what nobody waits for.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// How long a connection is kept without use. Shorter than what services and proxies allow, because a request on a
/// connection that the other side is just closing fails, and one that acts must not be sent twice.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Hosts that are never reached through a proxy: the link that managed identities are served on. This machine is not
/// among them because its connections are kept apart.
const NEVER_PROXIED: &str = "169.254.0.0/16";

/// The way to the network. Simulations have their own.
pub trait Transport: Send + Sync {
    /// Sends a request and reads its answer, whatever its status. Redirects are not followed: they would carry a bearer to
    /// another place.
    fn send(&self, request: Request) -> Pending<'_, Result<Answer>>;
}

/// Sends requests over HTTPS, and over HTTP to this machine.
pub struct HttpTransport {
    /// Connections to this machine, which never take the way of a proxy.
    local: Connections,
    remote: Connections,
}

/// Connections of one kind.
struct Connections {
    proxies: ProxyVariables,
    ca_file: Option<PathBuf>,
    made: PerProcess<Client>,
}

impl HttpTransport {
    /// A transport that will use these proxies, and trust the certificates of `ca_file` (PEM) beside those of the system.
    /// Nothing is read or opened before the first request.
    pub fn new(proxies: ProxyVariables, ca_file: Option<PathBuf>) -> Self {
        let local = Connections::new(ProxyVariables::default(), ca_file.clone());
        Self { local, remote: Connections::new(proxies, ca_file) }
    }

    async fn exchange(&self, request: Request) -> Result<Answer> {
        let process = process::current()?;
        let endpoint = check_destination(&request)?;
        let is_near = endpoint.is_loopback() || request.party == Party::Platform;
        let connections = if is_near { &self.local } else { &self.remote };
        let client = connections.client(process)?;
        let failed = |error: reqwest::Error| transport_error(&request, &endpoint, error);
        let mut builder = match request.method {
            Method::Get => client.get(&request.url),
            Method::Post => client.post(&request.url),
        };
        for (name, value) in &request.headers {
            builder = builder.header(*name, header_value(value)?);
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, body.content_type).body(wiped_copy(&body.text));
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
                    return Err(unexpected(message).with_status(answer.status));
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

impl Connections {
    fn new(proxies: ProxyVariables, ca_file: Option<PathBuf>) -> Self {
        Self { proxies, ca_file, made: PerProcess::default() }
    }

    fn client(&self, process: &ProcessState) -> Result<Client> {
        let made = self.made.try_get(process.id(), || self.build())?;
        Ok(Client::clone(&made))
    }

    #[allow(clippy::disallowed_methods, reason = "this file is the door of the network")]
    fn build(&self) -> Result<Client> {
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_MAX)
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
        if let Some(path) = &self.ca_file {
            let read = std::fs::read(path).ok().and_then(|pem| Certificate::from_pem_bundle(&pem).ok());
            let certificates = read.filter(|certificates| !certificates.is_empty()).ok_or_else(|| {
                unusable("The file of certificates", "Pass ca_file= with the path of a readable PEM file.")
            })?;
            builder = builder.tls_certs_merge(certificates);
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
        unsendable(format!("{} has no valid address: {fault}.", request.purpose), "Check the endpoint.")
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
    let operation = request.purpose;
    if has("invalid http") || has("invalid chunk") || has("message head is too large") {
        return unexpected(format!("{operation} was answered by {host} with something that is not HTTP ({cause})."));
    }
    let setting = request.party.setting();
    let broke_off = ["close_notify", "unexpected eof", "unexpected end of file", "connection reset", "broken pipe"];
    let (code, message, hint) = if error.is_timeout() {
        (
            Code::DeadlineExceeded,
            format!("{operation} failed: {host} did not answer within {} seconds.", REQUEST_MAX.as_secs()),
            format!("Check the network to {host}, and {setting}."),
        )
    } else if has("dns") || has("failed to lookup") || has("name resolution") {
        (
            Code::NameResolutionFailed,
            format!("{operation} failed: the name {host} does not resolve ({cause})."),
            match request.party {
                Party::Service => {
                    format!(
                        "Check {setting}, and with a private endpoint the DNS zone privatelink.service.signalr.net."
                    )
                }
                _ => format!("Check {setting}."),
            },
        )
    } else if broke_off.iter().any(|sign| has(sign)) {
        (
            Code::ConnectionFailed,
            format!("{operation} failed: {host} broke the connection off ({cause})."),
            format!("Try again; should it last, check {setting} and what stands between."),
        )
    } else if has("corrupt message") {
        (
            Code::TlsFailed,
            format!("{operation} failed: {host} does not speak TLS at this port ({cause})."),
            format!("Check the port in {setting}, or Port= in the connection string; https is on 443."),
        )
    } else if has("certificate") || has("tls") {
        (
            Code::TlsFailed,
            format!("{operation} failed: the certificate of {host} is not accepted ({cause})."),
            "If a company proxy inspects TLS, pass ca_file=<file with its root certificate>, or set SSL_CERT_FILE."
                .to_owned(),
        )
    } else if has("tunnel") || has("proxy") {
        (
            Code::NetworkBlocked,
            format!("{operation} failed: the proxy did not let it through to {host} ({cause})."),
            "Allow the host at the proxy, or add it to NO_PROXY.".to_owned(),
        )
    } else {
        (
            Code::ConnectionFailed,
            format!("{operation} failed: no answer came from {host} ({cause})."),
            match request.party {
                Party::Service => {
                    "Check that the endpoint can be reached from this machine: curl -I https://<host>/api/health"
                        .to_owned()
                }
                _ => format!("Check {setting}, and that this machine can reach {host}."),
            },
        )
    };
    Error::new(code, message, hint).with_source(error)
}
