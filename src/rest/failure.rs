//! What a failure on the way means: which of name, network, proxy, certificate, clock or address is wrong, and what to
//! change.
//!
//! The libraries below say it with a chain of errors, most of which have a type; two of them have only a text.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::error::{Code, Error};
use crate::rest::answer::unexpected;
use crate::rest::certificate::{refused_certificate, refused_handshake};
use crate::rest::proxy::Proxy;
use crate::rest::transport::REQUEST_MAX;
use crate::rest::{Party, Request};

/// How hyper-util begins what it says of a tunnel through a proxy, in an error whose type is not public.
const TUNNEL: &str = "tunnel error: ";

/// Whom a request was on its way to when it failed: the host itself, or a proxy before it.
pub struct Peer<'a> {
    /// What the request is for.
    pub operation: &'static str,
    /// What the host is called in errors.
    pub name: String,
    /// The setting that names the host.
    pub setting: &'a str,
    /// Whose host it is; `None` is a proxy's.
    pub party: Option<Party>,
    /// Whether the host was to be spoken to in TLS.
    pub is_https: bool,
}

/// Reads the failure of a request to `endpoint`, which went through `proxy` if there is one.
pub fn transport_error(request: &Request, endpoint: &Endpoint, proxy: Option<&Proxy>, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let is_timeout = error.is_timeout();
    let causes = Causes::of(&error);
    let host = Peer {
        operation: request.purpose,
        name: endpoint.host().to_owned(),
        setting: request.party.setting(),
        party: Some(request.party),
        is_https: endpoint.origin().starts_with("https:"),
    };
    let read = match (proxy, causes.tunnel()) {
        _ if is_timeout => slow(&host, request.limit.unwrap_or(REQUEST_MAX)),
        (Some(proxy), Some(finding)) => {
            refused_by_proxy(&host, proxy, &finding).unwrap_or_else(|| read(&as_peer(proxy, &host), &causes))
        }
        _ => read(&host, &causes),
    };
    read.with_source(error)
}

/// A failure between us and the proxy is the proxy's, not the host's.
fn as_peer<'a>(proxy: &'a Proxy, host: &Peer<'_>) -> Peer<'a> {
    Peer {
        operation: host.operation,
        name: format!("the proxy {}", proxy.address),
        setting: proxy.variable,
        party: None,
        is_https: proxy.url.expose().starts_with("https:"),
    }
}

fn slow(peer: &Peer<'_>, limit: Duration) -> Error {
    let Peer { operation, name, setting, .. } = peer;
    Error::new(
        Code::DeadlineExceeded,
        format!("{operation} failed: {name} did not answer within {} seconds.", limit.as_secs()),
        format!("Check the network to {name}, and {setting}."),
    )
}

/// What a proxy answered that was reached and makes no tunnel; `None` if it answered nothing.
fn refused_by_proxy(host: &Peer<'_>, proxy: &Proxy, finding: &str) -> Option<Error> {
    let Peer { operation, name, .. } = host;
    let Proxy { address, variable, .. } = proxy;
    match finding {
        "proxy authorization required" => Some(
            Error::new(
                Code::NetworkBlocked,
                format!("{operation} failed: the proxy {address} wants a user name and password, or others."),
                format!(
                    "Set {variable}=http://<user>:<password>@{address}, with special characters of the password percent-encoded (@ is %40)."
                ),
            )
            .with_status(407),
        ),
        "unsuccessful" | "proxy response headers too long" => Some(Error::new(
            Code::NetworkBlocked,
            format!("{operation} failed: the proxy {address} did not let it through to {name}."),
            format!(
                "Allow {name} at the proxy, or set NO_PROXY={name} if it is reached without one. The answer to the same request: curl -v -x http://{address} https://{name}"
            ),
        )),
        _ => None,
    }
}

fn read(peer: &Peer<'_>, causes: &Causes<'_>) -> Error {
    let Peer { operation, name, .. } = peer;
    let cause = &causes.innermost;
    if causes.has_text("dns error") {
        return unknown_name(peer, cause);
    }
    match causes.tls {
        Some(rustls::Error::InvalidCertificate(error)) => return refused_certificate(peer, error),
        Some(error) => return refused_handshake(peer, error),
        None => {}
    }
    if causes.is_not_http() {
        let message = format!("{operation} was answered by {name} with something that is not HTTP ({cause}).");
        return match peer.party {
            Some(party) if peer.is_https => unexpected(party, message),
            Some(_) => Error::new(Code::UnexpectedResponse, message, plain_http(peer)),
            None => Error::new(
                Code::UnexpectedResponse,
                message,
                format!("Set {} to the address of an HTTP proxy.", peer.setting),
            ),
        };
    }
    if causes.is_break() {
        return Error::new(
            Code::ConnectionFailed,
            format!("{operation} failed: {name} broke the connection off ({cause})."),
            if peer.is_https || peer.party.is_none() {
                format!("Try again; should it last, check {} and what stands between.", peer.setting)
            } else {
                format!("Try again. {}", plain_http(peer))
            },
        );
    }
    unreachable_host(peer, cause)
}

/// A server of TLS answers plain http with an alert, with nothing, or with a reset.
fn plain_http(peer: &Peer<'_>) -> String {
    format!("Check the port in {}; if TLS is spoken there, write https://.", peer.setting)
}

fn unknown_name(peer: &Peer<'_>, cause: &str) -> Error {
    let Peer { operation, name, setting, .. } = peer;
    Error::new(
        Code::NameResolutionFailed,
        format!("{operation} failed: the name of {name} does not resolve ({cause})."),
        match peer.party {
            Some(Party::Service(service)) => format!(
                "Check {setting}, and with a private endpoint the DNS zone {}: getent hosts {name}",
                service.private_zone()
            ),
            _ => format!("Check {setting}, and the DNS of this machine."),
        },
    )
}

fn unreachable_host(peer: &Peer<'_>, cause: &str) -> Error {
    let Peer { operation, name, setting, .. } = peer;
    Error::new(
        Code::ConnectionFailed,
        format!("{operation} failed: no answer came from {name} ({cause})."),
        match peer.party {
            Some(Party::Service(_)) => {
                "Check that the endpoint can be reached from this machine: curl -I https://<host>/api/health".to_owned()
            }
            _ => format!("Check {setting}, and that this machine can reach {name}."),
        },
    )
}

/// The chain of errors below one of reqwest's.
struct Causes<'a> {
    texts: Vec<String>,
    tls: Option<&'a rustls::Error>,
    http: Option<&'a hyper::Error>,
    io: Option<io::ErrorKind>,
    /// What the last of them says: a system's or a protocol's message, which holds no secret.
    innermost: String,
}

impl<'a> Causes<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        let mut causes = Self { texts: Vec::new(), tls: None, http: None, io: None, innermost: error.to_string() };
        let mut next = error.source();
        while let Some(cause) = next {
            causes.texts.push(cause.to_string());
            causes.tls = causes.tls.or_else(|| cause.downcast_ref());
            causes.http = causes.http.or_else(|| cause.downcast_ref());
            let io = cause.downcast_ref::<io::Error>();
            causes.io = io.map(io::Error::kind).or(causes.io);
            // An io::Error names as its source that of the error which it wraps, and so leaves out the wrapped one.
            next = match io.and_then(io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => cause.source(),
            };
        }
        if let Some(innermost) = causes.texts.last() {
            // What rustls says of a missing goodbye ends with the address of its manual.
            let (says, _) = innermost.split_once(": https://").unwrap_or((innermost, ""));
            causes.innermost = says.to_owned();
        }
        causes
    }

    fn has_text(&self, beginning: &str) -> bool {
        self.texts.iter().any(|text| text.starts_with(beginning))
    }

    /// What is said of the tunnel through a proxy, if that is where it failed.
    fn tunnel(&self) -> Option<String> {
        self.texts.iter().find_map(|text| text.strip_prefix(TUNNEL)).map(str::to_owned)
    }

    /// Whether the head of the answer, or the chunks of its body, are not those of HTTP.
    fn is_not_http(&self) -> bool {
        let are_chunks_wrong = matches!(self.io, Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData));
        self.http.is_some_and(|error| error.is_parse() || are_chunks_wrong)
    }

    /// Whether there was a connection that ended too early.
    fn is_break(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        let is_io =
            |kind| matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof);
        // Only who is connected gets to an error of hyper itself.
        self.io.is_some_and(is_io)
            || self.http.is_some()
            || self.tunnel().is_some_and(|finding| finding == "unexpected end of file")
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::endpoint::Service;
    use crate::secret::Secret;

    /// An error as the libraries below nest them.
    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<dyn StdError + Send + Sync>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Layer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.1.as_deref().map(|source| source as &(dyn StdError + 'static))
        }
    }

    fn layers(texts: &[&'static str], innermost: impl StdError + Send + Sync + 'static) -> Layer {
        let mut error: Box<dyn StdError + Send + Sync> = Box::new(innermost);
        for text in texts {
            error = Box::new(Layer(text, Some(error)));
        }
        Layer("client error (Connect)", Some(error))
    }

    fn host(party: Party) -> Peer<'static> {
        Peer {
            operation: "send_to_all",
            name: "a.example".to_owned(),
            setting: party.setting(),
            party: Some(party),
            is_https: true,
        }
    }

    fn proxy() -> Proxy {
        Proxy {
            url: Secret::new("http://user:canary@proxy.example:3128".to_owned()),
            address: "proxy.example:3128".to_owned(),
            variable: "https_proxy",
        }
    }

    const SERVICE: Party = Party::Service(Service::SignalR);

    fn reading(error: &Layer) -> Error {
        read(&host(SERVICE), &Causes::of(error))
    }

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let inner = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        let chain = layers(&["tls handshake"], io::Error::other(inner));
        assert_eq!(Causes::of(&chain).tls, Some(&rustls::Error::DecryptError));
        assert_eq!(reading(&chain).code(), Code::TlsFailed);
    }

    #[test]
    fn names_that_do_not_resolve() {
        let chain = layers(&["dns error"], io::Error::other("failed to lookup address information"));
        let error = reading(&chain);
        assert_eq!(error.code(), Code::NameResolutionFailed);
        assert!(error.hint().contains("privatelink.service.signalr.net"), "{}", error.hint());
        let error = read(&host(Party::Authority), &Causes::of(&chain));
        assert!(error.hint().contains("authority=") && !error.hint().contains("privatelink"), "{}", error.hint());
    }

    #[test]
    fn a_host_that_says_dns_itself_is_not_one_without_a_name() {
        let chain = layers(&["tcp connect error"], io::Error::other("no dns error at all"));
        assert_eq!(reading(&chain).code(), Code::ConnectionFailed);
    }

    #[test]
    fn connections_that_break() {
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof] {
            let error = reading(&layers(&["connection error"], io::Error::from(kind)));
            assert_eq!(error.code(), Code::ConnectionFailed);
            assert!(error.message().contains("broke the connection off"), "{}", error.message());
        }
        let error = reading(&layers(&["tcp connect error"], io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert_eq!(error.code(), Code::ConnectionFailed);
        assert!(error.message().contains("no answer came from a.example"), "{}", error.message());
    }

    #[test]
    fn the_address_of_a_manual_is_left_out() {
        let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "no close_notify: https://docs.example/manual");
        let message = reading(&layers(&[], cause)).message().to_owned();
        assert!(message.ends_with("(no close_notify)."), "{message}");
    }

    #[test]
    fn what_a_proxy_says() {
        for (finding, code, hint) in [
            ("proxy authorization required", Some((Code::NetworkBlocked, Some(407))), "https_proxy=http://<user>"),
            ("unsuccessful", Some((Code::NetworkBlocked, None)), "NO_PROXY=a.example"),
            ("proxy response headers too long", Some((Code::NetworkBlocked, None)), "NO_PROXY=a.example"),
            ("unexpected end of file", None, ""),
            ("failed to create underlying connection", None, ""),
        ] {
            let read = refused_by_proxy(&host(SERVICE), &proxy(), finding);
            assert_eq!(read.as_ref().map(|error| (error.code(), error.status())), code, "{finding}");
            assert!(read.is_none_or(|error| error.hint().contains(hint) && !error.to_string().contains("canary")));
        }
    }

    #[test]
    fn a_failure_before_the_tunnel_is_the_proxys() {
        let chain = layers(
            &["dns error", "tunnel error: failed to create underlying connection"],
            io::Error::other("Name or service not known"),
        );
        let causes = Causes::of(&chain);
        assert_eq!(causes.tunnel().as_deref(), Some("failed to create underlying connection"));
        let proxy = proxy();
        let error = read(&as_peer(&proxy, &host(SERVICE)), &causes);
        assert_eq!(error.code(), Code::NameResolutionFailed);
        assert!(error.message().contains("the proxy proxy.example:3128"), "{}", error.message());
        assert!(error.hint().contains("https_proxy"), "{}", error.hint());
        assert!(!error.to_string().contains("canary"));
    }

    #[test]
    fn every_party_has_its_own_setting_in_the_hint() {
        for (party, setting) in
            [(SERVICE, "server_endpoint="), (Party::Authority, "authority="), (Party::Platform, "IDENTITY_ENDPOINT")]
        {
            let error = unexpected(party, "It was odd.".to_owned());
            assert_eq!(error.code(), Code::UnexpectedResponse);
            assert!(error.hint().contains(setting), "{}", error.hint());
        }
    }
}
