//! The door of the network: the only file that opens sockets.

use std::error::Error as StdError;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, NoProxy, Proxy, redirect};
use url::Url;

use crate::endpoint::Endpoint;
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::process::ProcessState;
use crate::rest::{Answer, BODY_MAX, Method, Request};
use crate::secret::Secret;

/// What we call ourselves in requests.
const USER_AGENT: &str = concat!("hubpass/", env!("CARGO_PKG_VERSION"));

/// Hosts that are never reached through a proxy: this machine, and the link that managed identities are served on.
const NEVER_PROXIED: &str = "localhost,127.0.0.0/8,::1,169.254.0.0/16";

/// Sends requests over HTTPS, and over HTTP to this machine.
pub struct HttpTransport {
    proxies: ProxyVariables,
    /// The connections of the process that made them. They are dead in a forked child, which makes its own.
    connections: ArcSwapOption<Connections>,
}

struct Connections {
    process: u32,
    client: Client,
}

impl HttpTransport {
    /// A transport that will use these proxies. Nothing is opened before the first request.
    pub fn new(proxies: ProxyVariables) -> Self {
        Self { proxies, connections: ArcSwapOption::empty() }
    }

    /// Sends a request and reads its answer. Redirects are not followed: they would carry the bearer elsewhere.
    pub async fn send(&self, process: &ProcessState, request: Request) -> Result<Answer> {
        let endpoint = check_destination(&request)?;
        let client = self.client(process)?;
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
            if answer.body.len() + chunk.len() > BODY_MAX {
                return Err(Error::new(
                    Code::UnexpectedResponse,
                    format!("{} was answered with more than {BODY_MAX} bytes.", request.operation),
                    "Check that the endpoint is the service's own address and not that of a proxy's page.",
                )
                .with_status(answer.status));
            }
            answer.body.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn client(&self, process: &ProcessState) -> Result<Client> {
        if let Some(connections) = self.connections.load().as_ref().filter(|held| held.process == process.id()) {
            return Ok(connections.client.clone());
        }
        let client = self.build()?;
        let replaced =
            self.connections.swap(Some(Arc::new(Connections { process: process.id(), client: client.clone() })));
        // Connections of a parent process belong to its runtime: closing them here would wait for threads that are gone.
        if let Some(inherited) = replaced.filter(|held| held.process != process.id()) {
            std::mem::forget(inherited);
        }
        Ok(client)
    }

    #[allow(clippy::disallowed_methods, reason = "this file is the door of the network")]
    fn build(&self) -> Result<Client> {
        let mut builder = Client::builder().user_agent(USER_AGENT).redirect(redirect::Policy::none()).no_proxy();
        let exceptions = match &self.proxies.exceptions {
            Some(more) => format!("{NEVER_PROXIED},{more}"),
            None => NEVER_PROXIED.to_owned(),
        };
        let unusable =
            |what: &str, hint: &str| Error::new(Code::TransportUnavailable, format!("{what} cannot be used."), hint);
        for (name, url, is_https) in
            [("HTTPS_PROXY", &self.proxies.https, true), ("HTTP_PROXY", &self.proxies.http, false)]
        {
            let Some(url) = url.as_ref().map(Secret::expose) else { continue };
            let proxy = if is_https { Proxy::https(url) } else { Proxy::http(url) };
            let proxy = proxy.map_err(|_| {
                unusable(
                    &format!("The proxy in the environment variable {name} (or ALL_PROXY)"),
                    &format!("Set {name}=http://<host>:<port>, or unset it."),
                )
            })?;
            builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&exceptions)));
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

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
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
    let (code, message, hint) = if has("dns") || has("failed to lookup") || has("name resolution") {
        (
            Code::NameResolutionFailed,
            format!("{operation} failed: the name {host} does not resolve ({cause})."),
            "Check Endpoint, and with a private endpoint the DNS zone privatelink.service.signalr.net.",
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
