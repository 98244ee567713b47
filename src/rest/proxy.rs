//! Which requests take the way of the proxy that the environment names, and which never do.

use std::net::IpAddr;

use url::{Host, Url};

use crate::endpoint::Endpoint;
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::rest::Party;
use crate::secret::Secret;

/// A proxy that tunnels (RFC 9110 section 9.3.6, the method CONNECT).
#[derive(Clone)]
pub struct Proxy {
    /// The whole URL, with user and password if it has them.
    pub url: Secret,
    /// `host:port`, which errors may show.
    pub address: String,
    /// The environment variable that names it.
    pub variable: &'static str,
}

/// The proxy of a client, and who is reached without it.
pub struct ProxyRules {
    /// The proxy; an error if the variable names none that can be used. Only who needs it hears of it.
    proxy: Option<Result<Proxy>>,
    exceptions: Vec<Exception>,
}

impl ProxyRules {
    /// The rules that the environment gives.
    pub fn new(variables: &ProxyVariables) -> Self {
        let exceptions = variables.exceptions.as_deref().unwrap_or_default();
        Self {
            proxy: variables.https.as_ref().map(|(name, url)| parse(name, url)),
            exceptions: exceptions.split([',', ' ', '\t']).filter_map(Exception::parse).collect(),
        }
    }

    /// The proxy, if there is one that can be used.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().and_then(|proxy| proxy.as_ref().ok())
    }

    /// The proxy that a request takes, if it takes one. Never: requests to this machine, to its link, where platforms
    /// serve metadata and identities, and to the platform wherever that is.
    pub fn proxy_for(&self, party: Party, endpoint: &Endpoint) -> Result<Option<&Proxy>> {
        let is_near = party == Party::Platform || endpoint.is_loopback() || endpoint.is_link_local();
        let Some(proxy) = self.proxy.as_ref().filter(|_| !is_near) else { return Ok(None) };
        if self.exceptions.iter().any(|exception| exception.covers(endpoint)) {
            return Ok(None);
        }
        let proxy = proxy.as_ref().map_err(Error::clone)?;
        match endpoint.address() {
            // The HTTP library opens the tunnel, and then takes the brackets for a part of the certificate's name.
            Some(Host::Ipv6(address)) => Err(Error::new(
                Code::TransportUnavailable,
                format!("The IPv6 address {address} cannot be reached through a proxy."),
                format!(
                    "Put the host's name into {}, or set NO_PROXY={address} if it is reached without a proxy.",
                    party.setting()
                ),
            )),
            _ => Ok(Some(proxy)),
        }
    }
}

/// Reads the URL of a proxy; without a scheme it is http, as everywhere. Errors never repeat it, for its password.
fn parse(variable: &'static str, text: &Secret) -> Result<Proxy> {
    let unusable = |what: &str, hint: String| {
        let message = format!("The proxy in the environment variable {variable} cannot be used: {what}.");
        Err(Error::new(Code::TransportUnavailable, message, hint))
    };
    let text = text.expose();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    // A bare word is more often something that does not belong here than a host, and errors show the host.
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.trim_end_matches('/').parse::<u16>().is_ok());
    let is_address = |url: &Url| url.host_str().is_some_and(is_host) && (with_scheme == text || has_port);
    match Url::parse(&with_scheme).ok() {
        Some(url) if matches!(url.scheme(), "http" | "https") && is_address(&url) => {
            let host = url.host_str().unwrap_or_default();
            let address = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
            Ok(Proxy { url: Secret::new(url.to_string()), address, variable })
        }
        Some(url) if url.scheme().starts_with("socks") => unusable(
            "it is a SOCKS proxy",
            format!("Set HTTPS_PROXY=http://<host>:<port> to an HTTP proxy, or unset {variable}."),
        ),
        _ => unusable(
            "it is not the URL of an HTTP proxy",
            format!(
                "Set {variable}=http://<user>:<password>@<host>:<port>, with special characters of the password percent-encoded (@ is %40), or unset it."
            ),
        ),
    }
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._[]:".contains(c))
}

/// One entry of `NO_PROXY`. There is no standard; these are the forms that curl, Go and Python agree on.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    /// `*`: no proxy at all.
    Everything,
    /// A domain and all that is below it, at one port or any. A leading dot or `*.` changes nothing.
    Domain(String, Option<u16>),
    /// Addresses whose first bits are these, at one port or any.
    Network(IpAddr, u8, Option<u16>),
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = unbracketed(address).parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(address))?;
            return Some(Self::Network(address, bits, None));
        }
        if let Ok(address) = unbracketed(entry).parse::<IpAddr>() {
            return Some(Self::Network(address, width(address), None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Ok(address) = unbracketed(host).parse::<IpAddr>() {
            return Some(Self::Network(address, width(address), port));
        }
        let domain = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_ascii_lowercase();
        (!domain.is_empty()).then_some(Self::Domain(domain, port))
    }

    fn covers(&self, endpoint: &Endpoint) -> bool {
        let is_port = |port: Option<u16>| port.is_none_or(|port| endpoint.port() == Some(port));
        match (self, endpoint.address()) {
            (Self::Everything, _) => true,
            (Self::Domain(domain, port), Some(Host::Domain(name))) => {
                let above = name.trim_end_matches('.').strip_suffix(domain.as_str());
                is_port(*port) && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (Self::Network(network, bits, port), Some(Host::Ipv4(address))) => {
                is_port(*port) && begins_with(IpAddr::V4(address), *network, *bits)
            }
            (Self::Network(network, bits, port), Some(Host::Ipv6(address))) => {
                is_port(*port) && begins_with(IpAddr::V6(address), *network, *bits)
            }
            _ => false,
        }
    }
}

fn unbracketed(address: &str) -> &str {
    address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address)
}

/// How many bits an address has.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Whether two addresses of one kind share their first bits (RFC 4632).
fn begins_with(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (differing, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits() ^ other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits(), 128),
        _ => return false,
    };
    differing.checked_shr(width - u32::from(bits)).unwrap_or_default() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Service;

    const PROXY: &str = "http://user:canary@proxy.example:3128";

    fn rules(url: &str, exceptions: &str) -> ProxyRules {
        ProxyRules::new(&ProxyVariables {
            https: Some(("HTTPS_PROXY", Secret::new(url.to_owned()))),
            exceptions: Some(exceptions.to_owned()),
        })
    }

    fn is_proxied(exceptions: &str, party: Party, endpoint: &str) -> bool {
        let rules = rules(PROXY, exceptions);
        // An IPv6 address is refused where a proxy would be needed.
        !matches!(rules.proxy_for(party, &Endpoint::parse(endpoint).unwrap()), Ok(None))
    }

    #[test]
    fn what_is_near_is_never_proxied() {
        for near in [
            "http://localhost:1",
            "https://localhost",
            "https://127.9.9.9",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "http://169.254.169.254",
            "https://169.254.1.2",
            "https://[fe80::1]",
            "https://[::ffff:169.254.169.254]",
        ] {
            assert!(!is_proxied("", Party::Service(Service::SignalR), near), "{near}");
        }
        assert!(!is_proxied("", Party::Platform, "https://identity.example"));
        assert!(is_proxied("", Party::Authority, "https://login.example"));
        assert!(is_proxied("", Party::Service(Service::SignalR), "https://169.253.1.1"));
    }

    #[test]
    fn the_forms_of_no_proxy() {
        for (exceptions, endpoint, exempt) in [
            ("*", "https://a.example", true),
            ("other.example, *", "https://a.example", true),
            ("a.example", "https://a.example", true),
            ("a.example", "https://b.a.example", true),
            ("a.example", "https://ba.example", false),
            (".a.example", "https://b.a.example", true),
            (".a.example", "https://a.example", true),
            ("*.a.example", "https://b.a.example", true),
            ("A.Example.", "https://a.example", true),
            ("a.example", "https://a.example.", true),
            ("x,a.example y", "https://a.example", true),
            ("a.example:443", "https://a.example", true),
            ("a.example:443", "https://a.example:8443", false),
            ("a.example:8443", "https://a.example:8443", true),
            (".a.example:8443", "https://b.a.example:8443", true),
            ("10.0.0.0/8", "https://10.1.2.3", true),
            ("10.0.0.0/8", "https://11.1.2.3", false),
            ("10.1.0.0/15", "https://10.0.9.9", true),
            ("0.0.0.0/0", "https://11.1.2.3", true),
            ("0.0.0.0/0", "https://[2001:db8::1]", false),
            ("10.1.2.3", "https://10.1.2.3", true),
            ("10.1.2.3", "https://10.1.2.4", false),
            ("10.1.2.3:8443", "https://10.1.2.3", false),
            ("10.1.2.3:443", "https://10.1.2.3", true),
            ("2001:db8::/32", "https://[2001:db8:1::1]", true),
            ("[2001:db8::1]", "https://[2001:db8::1]", true),
            ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
            ("::/0", "https://[2001:db8::1]", true),
            ("10.0.0.0/33", "https://10.1.2.3", false),
            ("10.0.0.0/x", "https://10.1.2.3", false),
            ("a.example:port", "https://a.example", false),
            (", ,.,*.", "https://a.example", false),
            ("", "https://a.example", false),
        ] {
            assert_eq!(
                is_proxied(exceptions, Party::Service(Service::SignalR), endpoint),
                !exempt,
                "{exceptions} {endpoint}"
            );
        }
    }

    #[test]
    fn an_ipv6_address_is_refused_rather_than_misread() {
        let rules = rules(PROXY, "");
        let endpoint = Endpoint::parse("https://[2001:db8::1]").unwrap();
        let error = rules.proxy_for(Party::Authority, &endpoint).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::TransportUnavailable);
        assert!(error.hint().contains("authority=") && error.hint().contains("NO_PROXY=2001:db8::1"));
    }

    #[test]
    fn urls_of_proxies() {
        let endpoint = Endpoint::parse("https://a.example").unwrap();
        for (url, address) in [
            (PROXY, "proxy.example:3128"),
            ("proxy.example:3128", "proxy.example:3128"),
            ("user:pass@proxy.example:3128", "proxy.example:3128"),
            ("proxy.example:80", "proxy.example:80"),
            ("https://proxy.example/", "proxy.example:443"),
            ("http://[::1]:3128", "[::1]:3128"),
        ] {
            let rules = rules(url, "");
            let proxy = rules.proxy_for(Party::Service(Service::SignalR), &endpoint).unwrap().unwrap();
            assert_eq!(proxy.address, address, "{url}");
        }
        for (url, hint) in [
            ("socks5://canary@proxy.example", "HTTPS_PROXY=http://<host>:<port>"),
            ("socks5h://proxy.example:1080", "unset HTTPS_PROXY"),
            ("ftp://user:canary@proxy.example", "HTTPS_PROXY=http://<user>"),
            ("http://[canary", "%40"),
            ("not a proxy", "HTTPS_PROXY=http://<user>"),
            ("canary", "HTTPS_PROXY=http://<user>"),
            ("http://canary=", "HTTPS_PROXY=http://<user>"),
            ("http://", "HTTPS_PROXY=http://<user>"),
        ] {
            let Err(error) = rules(url, "").proxy_for(Party::Service(Service::SignalR), &endpoint).map(|_| ()) else {
                panic!("{url} was taken for a proxy")
            };
            assert_eq!(error.code(), Code::TransportUnavailable);
            assert!(error.hint().contains(hint), "{url}: {}", error.hint());
            assert!(!error.to_string().contains("canary"));
        }
    }
}
