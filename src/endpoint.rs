//! Where a service lives: endpoints, hubs and application names, and the URLs and audiences made of them.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::error::{Code, Error, Result};

/// The longest hub name, as in the pattern of the data-plane specification (2024-12-01).
const HUB_MAX: usize = 128;

/// One of the two services that share their identity system, their addresses and most of their rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Azure SignalR Service.
    SignalR,
    /// Azure Web PubSub.
    WebPubSub,
}

impl Service {
    /// The scope of its Entra tokens in the public cloud.
    pub fn scope(self) -> &'static str {
        match self {
            Self::SignalR => "https://signalr.azure.com/.default",
            Self::WebPubSub => "https://webpubsub.azure.com/.default",
        }
    }

    /// What an endpoint looks like.
    pub fn example(self) -> &'static str {
        match self {
            Self::SignalR => "https://<resource>.service.signalr.net",
            Self::WebPubSub => "https://<resource>.webpubsub.azure.com",
        }
    }

    /// The zone in which the names of private endpoints are resolved ("Azure Private Endpoint private DNS zone values" of
    /// Microsoft's documentation).
    pub fn private_zone(self) -> &'static str {
        match self {
            Self::SignalR => "privatelink.service.signalr.net",
            Self::WebPubSub => "privatelink.webpubsub.azure.com",
        }
    }

    /// The group of commands that manages it in the Azure CLI.
    pub fn commands(self) -> &'static str {
        match self {
            Self::SignalR => "az signalr",
            Self::WebPubSub => "az webpubsub",
        }
    }

    /// The command that shows its access keys.
    pub fn command_for_keys(self) -> &'static str {
        match self {
            Self::SignalR => "az signalr key list",
            Self::WebPubSub => "az webpubsub key show",
        }
    }

    /// The Python class of its clients.
    pub fn client_class(self) -> &'static str {
        match self {
            Self::SignalR => "SignalRServiceClient",
            Self::WebPubSub => "WebPubSubServiceClient",
        }
    }
}

/// An absolute http or https URL of a service, without user information, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme and host in lower case, a port that is the scheme's own dropped, the path ending in one slash.
    url: Url,
}

/// Why a text is no endpoint. It never repeats the text, which may hold a password or a misplaced key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointFault(&'static str);

impl fmt::Display for EndpointFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Endpoint {
    /// Parses an endpoint. Trailing slashes do not matter; a path is kept.
    pub fn parse(text: &str) -> Result<Self, EndpointFault> {
        const NOT_A_URL: EndpointFault = EndpointFault("it must be an absolute http:// or https:// URL");
        // The URL standard forgives blanks, backslashes and missing slashes; a setting that needs forgiving is a mistake.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') || !text.contains("://") {
            return Err(NOT_A_URL);
        }
        let mut url = Url::parse(text).map_err(|_| NOT_A_URL)?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(NOT_A_URL);
        }
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(EndpointFault("it must not hold a user name or a password"));
        }
        if url.host_str().is_none_or(|host| !is_host(host)) {
            return Err(EndpointFault("its host is neither a name nor an address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointFault("it must not have a query or a fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url })
    }

    /// The same endpoint on another port (the `Port` of a connection string).
    pub fn with_port(&self, port: u16) -> Self {
        let mut url = self.url.clone();
        // Setting a port fails only for URLs without a host, and every endpoint has one.
        let _ = url.set_port(Some(port));
        Self { url }
    }

    /// `scheme://host`, with the port if it is not the scheme's own, without the path.
    pub fn origin(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}://{}:{port}", self.url.scheme(), self.host()),
            None => format!("{}://{}", self.url.scheme(), self.host()),
        }
    }

    /// `scheme://host/`: what audiences of client tokens begin with. Neither port nor path belongs to it, as in
    /// Microsoft's own SDK (`ServiceEndpoint` of Azure/azure-signalr).
    pub fn audience_base(&self) -> String {
        format!("{}://{}/", self.url.scheme(), self.host())
    }

    /// The whole URL with `relative` (which has no leading slash) behind its path.
    pub fn join(&self, relative: &str) -> String {
        format!("{}{}{relative}", self.origin(), self.url.path())
    }

    /// The URL as text; no slash at its end unless it has a path.
    pub fn as_text(&self) -> String {
        if self.url.path() == "/" { self.origin() } else { self.join("") }
    }

    /// The host as it stands in a URL; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whether the endpoint is on this machine, where plain http is no risk.
    ///
    /// Of the names only `localhost` itself counts. That `localhost.` and what ends in `.localhost` are this machine too is
    /// a rule for those who resolve names (RFC 6761 section 6.3), and not all follow it: where they ask the DNS, whoever
    /// answers would be sent tokens over plain http.
    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            None => false,
        }
    }

    /// The host: a name or an address.
    pub fn address(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// The port, whether it is written or the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.url.port_or_known_default()
    }

    /// Whether the endpoint is on the link of this machine, where a platform serves managed identities (RFC 3927, and
    /// RFC 4291 section 2.5.6 for IPv6).
    pub fn is_link_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_link_local(),
            Some(Host::Ipv6(address)) => match IpAddr::V6(address).to_canonical() {
                IpAddr::V4(address) => address.is_link_local(),
                IpAddr::V6(address) => address.is_unicast_link_local(),
            },
            _ => false,
        }
    }

    /// Whether what is sent there cannot be read on the way: https, or http that stays on this machine.
    pub fn is_private(&self) -> bool {
        self.url.scheme() == "https" || self.is_loopback()
    }
}

/// Whether a host that the URL standard has read can be one. That standard lets characters pass that no name in the DNS or in
/// a file of hosts has (RFC 1123 section 2.1; underscores are common inside of networks).
fn is_host(host: &str) -> bool {
    const NAME_MAX: usize = 253;
    const LABEL_MAX: usize = 63;
    let is_label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    host.starts_with('[') || (name.len() <= NAME_MAX && name.split('.').all(is_label))
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_text())
    }
}

/// The three addresses of one service: its own, the one for browsers, and the one for us. The latter two differ from
/// the first behind a reverse proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The service's own address, from which audiences are made.
    pub endpoint: Endpoint,
    /// Where clients connect (`ClientEndpoint`).
    pub client: Endpoint,
    /// Where this process sends its requests (`ServerEndpoint`).
    pub server: Endpoint,
}

impl Endpoints {
    /// The addresses of a service; those not given are the service's own.
    pub fn new(endpoint: Endpoint, client: Option<Endpoint>, server: Option<Endpoint>) -> Self {
        let client = client.unwrap_or_else(|| endpoint.clone());
        let server = server.unwrap_or_else(|| endpoint.clone());
        Self { endpoint, client, server }
    }

    /// Addresses of Azure SignalR Service from three arguments of a constructor.
    pub fn from_arguments(endpoint: &str, client: Option<&str>, server: Option<&str>) -> Result<Self> {
        Self::for_service(Service::SignalR, endpoint, client, server)
    }

    /// Addresses from three arguments of a constructor; the error names the argument at fault.
    pub fn for_service(service: Service, endpoint: &str, client: Option<&str>, server: Option<&str>) -> Result<Self> {
        let parse = |name: &str, text: &str| {
            Endpoint::parse(text).map_err(|fault| {
                Error::new(
                    Code::InvalidEndpoint,
                    format!("The argument {name} is not an endpoint: {fault}."),
                    format!("Pass {name}=\"{}\".", service.example()),
                )
            })
        };
        Ok(Self::new(
            parse("endpoint", endpoint)?,
            client.map(|text| parse("client_endpoint", text)).transpose()?,
            server.map(|text| parse("server_endpoint", text)).transpose()?,
        ))
    }
}

/// The name of a hub. The services ignore its case, and a token's audience must have the case of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hub(String);

impl Hub {
    /// The name of a hub of Azure SignalR Service, in lower case, as in Microsoft's SDK.
    pub fn parse(text: &str) -> Result<Self> {
        Self::keeping_case(text).map(|Self(name)| Self(name.to_ascii_lowercase()))
    }

    /// The name of a hub of Azure Web PubSub, as it was written, as in Microsoft's SDK. The pattern is that of the
    /// data-plane specifications (2024-12-01) of both services.
    pub fn keeping_case(text: &str) -> Result<Self> {
        let rest_is_allowed = |c: char| c.is_ascii_alphanumeric() || "_`,.[]".contains(c);
        if text.len() <= HUB_MAX
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(rest_is_allowed)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(
            Code::InvalidHub,
            "The hub name is not one that the service accepts.",
            "Pass hub= with 1 to 128 characters: a letter first, then letters, digits and _ ` , . [ ], such as hub=\"chat\".",
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The prefix that lets several applications share one service (`ApplicationName` of Microsoft's SDK).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationName(String);

impl ApplicationName {
    /// Checks a name; an empty one means none, as in Microsoft's SDK.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        if text.is_empty() {
            return Ok(None);
        }
        let rest_is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if text.len() <= HUB_MAX
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(rest_is_allowed)
        {
            return Ok(Some(Self(text.to_owned())));
        }
        Err(Error::new(
            Code::InvalidApplicationName,
            "The application name is not one that the service accepts.",
            "Pass application_name= with a letter first, then letters, digits and _, such as application_name=\"shop\".",
        ))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One hub of one application: what a client connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress {
    /// The hub.
    pub hub: Hub,
    /// The application that the hub belongs to, if several share the service.
    pub application: Option<ApplicationName>,
}

impl HubAddress {
    /// The hub as clients name it: `hub`, or `application_hub`, in lower case.
    fn key(&self) -> String {
        match &self.application {
            Some(application) => format!("{}_{}", application.as_str().to_ascii_lowercase(), self.hub.as_str()),
            None => self.hub.as_str().to_owned(),
        }
    }

    /// The URL that a client connects to.
    pub fn client_url(&self, endpoints: &Endpoints) -> String {
        endpoints.client.join(&format!("client/?hub={}", self.key()))
    }

    /// The URL of a client's negotiation with the service, as this process reaches it.
    pub fn negotiate_url(&self, endpoints: &Endpoints) -> String {
        endpoints.server.join(&format!("client/negotiate?hub={}&negotiateVersion=1", self.key()))
    }

    /// The audience of a client token. It is made of the service's own endpoint, whatever address clients use.
    pub fn client_audience(&self, endpoints: &Endpoints) -> String {
        format!("{}client/?hub={}", endpoints.endpoint.audience_base(), self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn normal_form_drops_what_does_not_matter() {
        assert_eq!(endpoint("HTTPS://AAA:443///").as_text(), "https://aaa");
        assert_eq!(endpoint("http://aaa:443").as_text(), "http://aaa:443");
        assert_eq!(endpoint("https://a/b/").as_text(), "https://a/b/");
        assert_eq!(endpoint("https://a/b").join("client/"), "https://a/b/client/");
        assert_eq!(endpoint("https://[::1]:8080").audience_base(), "https://[::1]/");
        assert_eq!(endpoint("https://a:500").with_port(443).origin(), "https://a");
    }

    #[test]
    fn refuses_what_is_no_service_address() {
        for text in
            ["", "aaa", "localhost:5050", "ftp://a", "ws://a", "https://", "https:aaa", "https://a b", "https:\\\\a"]
        {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
        for text in
            ["https://a%3Bb", "https://a;b", "https://a..b", "https://.a", "https://*.a", "https://a'b", "https://a,b"]
        {
            assert_eq!(
                Endpoint::parse(text),
                Err(EndpointFault("its host is neither a name nor an address")),
                "{text}"
            );
        }
        let label = "a".repeat(63);
        assert!(Endpoint::parse(&format!("https://{label}.a_b-c.example.")).is_ok());
        assert!(Endpoint::parse(&format!("https://{label}a.example")).is_err());
        assert!(Endpoint::parse(&format!("https://{0}.{0}.{0}.{0}", label)).is_err());
        for text in ["https://u@a", "https://u:p@a", "https://a?b", "https://a/#c", "https://@a"] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_what_stays_on_this_machine() {
        for text in ["http://localhost:1", "http://127.0.0.9", "http://[::1]", "http://[::ffff:127.0.0.1]"] {
            assert!(endpoint(text).is_private(), "{text}");
        }
        for text in ["http://localhost.", "http://a.localhost", "http://a.localhost."] {
            assert!(!endpoint(text).is_private(), "{text}");
        }
        for text in ["http://localhost.example.com", "http://10.0.0.1", "http://[::2]", "http://aaa"] {
            assert!(!endpoint(text).is_private(), "{text}");
        }
        assert!(endpoint("https://aaa").is_private());
    }

    #[test]
    fn hub_names_follow_the_pattern() {
        assert_eq!(Hub::parse("Chat_`,.[]9").unwrap().as_str(), "chat_`,.[]9");
        let longest = format!("a{}", "b".repeat(127));
        assert!(Hub::parse(&longest).is_ok());
        for text in ["", "1a", "_a", "a b", "a/b", "a-b", "ä", &format!("{longest}c")] {
            assert_eq!(Hub::parse(text).unwrap_err().code(), Code::InvalidHub, "{text}");
        }
    }
}
