//! Addresses: an endpoint, a client endpoint, a server endpoint, a hub and an application name, a line each.

use std::net::IpAddr;

use hubpass::Code;
use hubpass::endpoint::{ApplicationName, Endpoint, Endpoints, Hub, HubAddress};
use hubpass::rest::signalr::{Message, send_to_all};
use hubpass::secret::Secret;
use url::{Host, Url, form_urlencoded};

use super::canary;

/// Endpoints are what the crate `url` sees in the same text; names are those of the service's pattern; and what is made of
/// both is a URL that says what it was made of.
pub fn check(data: &[u8]) {
    if canary::is_known_to(data) {
        return;
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = canary::plant_text(text);
    let mut lines = text.split('\n');
    let [endpoint, client, server, hub, application] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    for text in [endpoint, client, server] {
        match Endpoint::parse(text) {
            Ok(endpoint) => check_endpoint(text, &endpoint),
            Err(_) => check_refused(text),
        }
    }
    let endpoints = Endpoints::from_arguments(
        endpoint,
        Some(client).filter(|line| !line.is_empty()),
        Some(server).filter(|line| !line.is_empty()),
    );
    let hub_name = check_hub(hub);
    let application = check_application(application);
    match (endpoints, hub_name, application) {
        (Ok(endpoints), Some(hub_name), Some(application)) => {
            check_urls(&endpoints, &HubAddress { hub: hub_name, application }, endpoint);
        }
        (Err(error), ..) => {
            assert_eq!(error.code(), Code::InvalidEndpoint);
            canary::check_error(&error);
        }
        _ => {}
    }
}

fn check_endpoint(text: &str, endpoint: &Endpoint) {
    let url = Url::parse(text).unwrap_or_else(|error| panic!("{text:?} is no URL: {error}"));
    assert!(is_plain(&url), "{text:?}");
    assert_eq!(endpoint.origin(), url.origin().ascii_serialization(), "{text:?}");
    assert_eq!(Some(endpoint.host()), url.host_str(), "{text:?}");

    let audience = Url::parse(&endpoint.audience_base()).expect("an audience is a URL");
    assert_eq!(audience.as_str(), endpoint.audience_base(), "{text:?}");
    assert_eq!((audience.scheme(), audience.host()), (url.scheme(), url.host()), "{text:?}");
    assert_eq!((audience.port(), audience.path(), audience.query()), (None, "/", None), "{text:?}");

    let written = endpoint.as_text();
    let again = Endpoint::parse(&written).unwrap_or_else(|fault| panic!("{written:?} is refused: {fault}"));
    assert!(again == *endpoint && again.as_text() == written, "{written:?} becomes {again:?}");
    for ending in ["/", "///"] {
        assert_eq!(Endpoint::parse(&format!("{text}{ending}")).as_ref(), Ok(endpoint), "{text:?}");
    }

    let joined = endpoint.join("client/?hub=x");
    let url_joined = Url::parse(&joined).expect("an endpoint and a path are a URL");
    assert_eq!(url_joined.as_str(), joined, "{text:?}");
    assert_eq!(url_joined.origin(), url.origin(), "{text:?}");
    let path = format!("{}/client/", url.path().trim_end_matches('/'));
    assert_eq!((url_joined.path(), url_joined.query()), (path.as_str(), Some("hub=x")), "{text:?}");

    for port in [1, 80, 443, 8443] {
        let (moved, mut expected) = (endpoint.with_port(port), url.clone());
        expected.set_port(Some(port)).expect("a URL with a host takes a port");
        assert_eq!(moved.origin(), expected.origin().ascii_serialization(), "{text:?}");
        assert_eq!(moved.audience_base(), endpoint.audience_base(), "{text:?}");
    }

    let host = endpoint.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let is_loopback = host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
    assert_eq!(endpoint.is_loopback(), is_loopback, "{text:?}");
    assert_eq!(endpoint.is_private(), is_loopback || url.scheme() == "https", "{text:?}");
}

/// What is refused is no plain http or https URL, or needs forgiving to be one.
fn check_refused(text: &str) {
    let needs_forgiving =
        !text.contains("://") || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\' || c == '@');
    let is_plain = Url::parse(text).is_ok_and(|url| is_plain(&url));
    assert!(needs_forgiving || !is_plain, "{text:?} is refused for no reason");
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host().is_some_and(|host| is_host(&host))
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// An address, or labels of 1 to 63 letters, digits, hyphens and underscores, 253 characters in all; a last dot is no label.
fn is_host(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return true };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_other = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    !name.contains(is_other) && name.len() < 254 && name.split('.').all(|label| !label.is_empty() && label.len() < 64)
}

fn check_hub(text: &str) -> Option<Hub> {
    let is_name = is_name(text, b"_`,.[]");
    match Hub::parse(text) {
        Ok(hub) => {
            assert!(is_name, "{text:?}");
            assert_eq!(hub.as_str(), text.to_ascii_lowercase());
            assert_eq!(Hub::parse(hub.as_str()).as_ref().ok(), Some(&hub));
            Some(hub)
        }
        Err(error) => {
            assert!(!is_name, "{text:?}");
            assert_eq!(error.code(), Code::InvalidHub);
            canary::check_error(&error);
            None
        }
    }
}

fn check_application(text: &str) -> Option<Option<ApplicationName>> {
    match ApplicationName::parse(text) {
        Ok(application) => {
            assert_eq!(application.as_ref().map_or("", ApplicationName::as_str), text);
            assert!(text.is_empty() || is_name(text, b"_"), "{text:?}");
            Some(application)
        }
        Err(error) => {
            assert!(!text.is_empty() && !is_name(text, b"_"), "{text:?}");
            assert_eq!(error.code(), Code::InvalidApplicationName);
            canary::check_error(&error);
            None
        }
    }
}

/// A letter, then letters, digits and some others: 1 to 128 of them.
fn is_name(text: &str, others: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || others.contains(byte);
    match text.as_bytes() {
        [first, rest @ ..] => first.is_ascii_alphabetic() && rest.len() < 128 && rest.iter().all(is_allowed),
        [] => false,
    }
}

fn check_urls(endpoints: &Endpoints, address: &HubAddress, excluded: &str) {
    let hub = address.hub.as_str();
    let application = address.application.as_ref().map(|name| name.as_str().to_ascii_lowercase());
    let name = application.as_ref().map_or(hub.to_owned(), |application| format!("{application}_{hub}"));

    let audience = Url::parse(&address.client_audience(endpoints)).expect("an audience is a URL");
    assert_eq!((audience.host_str(), audience.port()), (Some(endpoints.endpoint.host()), None));
    assert_eq!((audience.path(), pairs(&audience)), ("/client/", vec![("hub".to_owned(), name.clone())]));

    let client = Url::parse(&address.client_url(endpoints)).expect("a client URL is a URL");
    assert_eq!(client.origin().ascii_serialization(), endpoints.client.origin());
    assert_eq!(pairs(&client), [("hub".to_owned(), name)]);

    let message = Message::new("target", &[]).expect("a small message");
    let excluded = excluded.to_owned();
    let request = send_to_all(endpoints, address, message, std::slice::from_ref(&excluded))
        .with_bearer(&Secret::new("bearer".to_owned()));
    let url = Url::parse(&request.url).expect("a request's URL is a URL");
    assert_eq!(url.as_str(), request.url);
    assert_eq!(url.origin().ascii_serialization(), endpoints.server.origin());
    let segments: Vec<_> = url.path_segments().expect("a path").collect();
    let [.., "api", "hubs", segment, ":send"] = segments[..] else { panic!("{url}") };
    assert_eq!(decoded(segment), hub);
    let own = application.map(|application| ("application".to_owned(), application));
    let rest = [("api-version".to_owned(), "2024-12-01".to_owned()), ("excluded".to_owned(), excluded)];
    assert_eq!(pairs(&url), own.into_iter().chain(rest).collect::<Vec<_>>());
}

fn pairs(url: &Url) -> Vec<(String, String)> {
    url.query_pairs().into_owned().collect()
}

/// A path segment without its percent-encoding. No name holds a plus sign, which alone means something else in forms.
fn decoded(segment: &str) -> String {
    form_urlencoded::parse(segment.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
