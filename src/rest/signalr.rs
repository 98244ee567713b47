//! The operations of Azure SignalR Service's data plane, as requests (REST API 2024-12-01).

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use url::form_urlencoded;

use crate::clock::Now;
use crate::endpoint::{Endpoints, HubAddress, Service};
use crate::error::{Code, Error, Result};
use crate::jwt::Template;
use crate::keys::SigningKey;
use crate::negotiate::{Identity, TOKEN_MAX, invalid_user_id};
use crate::rest::unsigned::{API_VERSION, encode};
use crate::rest::{ACCESS_KEY, ADD_USER_TO_GROUP, KEY_PROOF, Method, Request, SEND_TO_ALL, Unsigned};
use crate::secret::Secret;

/// The largest body that the service takes: 1 MB, as its reference of limits says.
const MESSAGE_MAX: usize = 1024 * 1024;

/// The longest name of a group, in UTF-16 units, which is what .NET counts (data-plane specification 2024-12-01).
const GROUP_MAX: usize = 1024;

/// The longest `ttl`: the service reads it as a 32-bit number (the same specification).
const TTL_MAX: Duration = Duration::from_secs(i32::MAX.unsigned_abs() as u64);

/// How long a request's token is valid, as in Microsoft's SDK. It is made anew for each request; the length only has to
/// cover clocks that differ.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// How long the proof of a key may take: callers may be waiting, and the key is probably good.
const PROOF_MAX: Duration = Duration::from_secs(5);

/// A call of a method on clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    body: Secret,
}

impl Message {
    /// A call of `target` with arguments. The names of the envelope's members are those that Microsoft's SDK sends.
    pub fn new(target: &str, arguments: &[Value]) -> Result<Self> {
        if target.trim().is_empty() {
            return Err(invalid_message(
                "The target of a message is empty.",
                "Pass target= with the name of the clients' method, such as client.send_to_all(\"newMessage\", text).",
            ));
        }
        let body = serde_json::json!({"Target": target, "Arguments": arguments}).to_string();
        if body.len() > MESSAGE_MAX {
            return Err(invalid_message(
                format!("The message has {} bytes, and the service accepts {MESSAGE_MAX}.", body.len()),
                "Pass smaller arguments to send_to_all(), or a URL from which clients fetch the rest.",
            ));
        }
        Ok(Self { body: Secret::new(body) })
    }
}

/// The error for a message that cannot be sent.
pub fn invalid_message(message: impl Into<String>, hint: &str) -> Error {
    Error::new(Code::InvalidMessage, message, hint)
}

/// Sends a message to every client of a hub, except the connections in `excluded`.
pub fn send_to_all(endpoints: &Endpoints, address: &HubAddress, message: Message, excluded: &[String]) -> Unsigned {
    let hub = encode(address.hub.as_str());
    let mut query = application_query(address);
    for connection_id in excluded {
        query.append_pair("excluded", connection_id);
    }
    Unsigned {
        service: Service::SignalR,
        purpose: SEND_TO_ALL.name,
        method: Method::Post,
        resource: endpoints.server.join(&format!("api/hubs/{hub}/:send")),
        query: query.finish(),
        body: Some(message.body),
    }
}

/// Lets a user be in a group: with the connections that it has, and with those that it makes within `ttl`.
pub fn add_user_to_group(
    endpoints: &Endpoints,
    address: &HubAddress,
    user_id: &str,
    group: &str,
    ttl: Option<Duration>,
) -> Result<Unsigned> {
    Identity::user(user_id)?;
    if is_dots(user_id) {
        return Err(invalid_user_id("A request cannot name a user whose id is \".\" or \"..\"."));
    }
    if is_dots(group) {
        return Err(Error::new(
            Code::InvalidGroup,
            "A request cannot name a group that is called \".\" or \"..\".",
            "Pass group= with another name: these mean something else in the path of a URL.",
        ));
    }
    if group.trim().is_empty() || group.encode_utf16().count() > GROUP_MAX {
        return Err(Error::new(
            Code::InvalidGroup,
            "The group has a blank name, or one of more than 1024 characters.",
            "Pass group= as a text with 1 to 1024 characters.",
        ));
    }
    let mut query = application_query(address);
    if let Some(ttl) = ttl {
        if ttl.subsec_nanos() != 0 || ttl > TTL_MAX {
            return Err(Error::new(
                Code::InvalidArgument,
                "The ttl is not a number of whole seconds, at most 2147483647.",
                "Pass ttl=timedelta(seconds=...), or leave it out for as long as the service remembers.",
            ));
        }
        query.append_pair("ttl", &ttl.as_secs().to_string());
    }
    let [hub, user, group] = [address.hub.as_str(), user_id, group].map(encode);
    Ok(Unsigned {
        service: Service::SignalR,
        purpose: ADD_USER_TO_GROUP.name,
        method: Method::Put,
        resource: endpoints.server.join(&format!("api/hubs/{hub}/users/{user}/groups/{group}")),
        query: query.finish(),
        body: None,
    })
}

/// Whether URLs drop such a segment of a path, in any spelling (URL Standard, "double-dot URL path segment").
fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// The beginning of a query: the application, if there is one, and the version of the operations.
fn application_query(address: &HubAddress) -> form_urlencoded::Serializer<'static, String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(application) = &address.application {
        query.append_pair("application", &application.as_str().to_ascii_lowercase());
    }
    query.append_pair("api-version", API_VERSION);
    query
}

/// Negotiates as a client does that has this token ("Transport Protocols" in dotnet/aspnetcore). No connection is made.
pub fn client_negotiate(endpoints: &Endpoints, address: &HubAddress, token: &Secret) -> Request {
    let resource = address.negotiate_url(endpoints);
    let unsigned = Unsigned {
        service: Service::SignalR,
        purpose: KEY_PROOF,
        method: Method::Post,
        resource,
        query: String::new(),
        body: None,
    };
    Request { limit: Some(PROOF_MAX), ..unsigned.with_bearer(token) }
}

/// Asks for a temporary key (`MicrosoftEntraAccessKey` in Azure/azure-signalr).
pub fn access_key(endpoints: &Endpoints) -> Unsigned {
    let resource = endpoints.server.join("api/v1/auth/accessKey");
    Unsigned {
        service: Service::SignalR,
        purpose: ACCESS_KEY.name,
        method: Method::Get,
        resource,
        query: String::new(),
        body: None,
    }
}

impl Unsigned {
    /// The same request with a token signed by an access key. The audience is the URL without its query, as in the newer
    /// versions of Microsoft's SDK; `name` is what the service calls this process in its logs.
    pub fn sign(self, key: &Arc<SigningKey>, now: Now, name: &str) -> Result<Request> {
        let template = Template::new(Arc::clone(key), &self.resource);
        let issued_at = now.unix_seconds();
        let expires_on = issued_at + TOKEN_LIFETIME.as_secs();
        let mut payload = template.payload();
        let claims = format!(r#","nameid":"{name}","nbf":{issued_at},"exp":{expires_on},"iat":{issued_at}"#);
        payload.bytes.extend_from_slice(claims.as_bytes());
        if payload.token_length() > TOKEN_MAX {
            return Err(Error::new(
                Code::TokenTooLong,
                "The token of the request would be longer than the service accepts.",
                "Use a shorter endpoint path in ServerEndpoint.",
            ));
        }
        let bearer = Secret::new(payload.sign());
        Ok(self.with_bearer(&bearer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{ApplicationName, Hub};
    use serde_json::json;

    fn broadcast(endpoint: &str, hub: &str, excluded: &[&str]) -> Request {
        let endpoints = Endpoints::from_arguments(endpoint, None, None).unwrap();
        let application = ApplicationName::parse("Shop").unwrap();
        let address = HubAddress { hub: Hub::parse(hub).unwrap(), application };
        let message = Message::new("say", &[json!("hi"), json!(null)]).unwrap();
        let excluded: Vec<String> = excluded.iter().map(|&id| id.to_owned()).collect();
        let key = Arc::new(SigningKey::new("key", None));
        send_to_all(&endpoints, &address, message, &excluded)
            .sign(&key, Now::at(Duration::from_secs(7), Duration::ZERO), "me")
            .unwrap()
    }

    #[test]
    fn a_broadcast_is_the_documented_request() {
        let request = broadcast("https://a.example:8443/base", "Chat[1]", &["c/1", "c 2"]);
        assert_eq!(
            request.url,
            "https://a.example:8443/base/api/hubs/chat%5B1%5D/:send?application=shop&api-version=2024-12-01&excluded=c%2F1&excluded=c+2"
        );
        assert_eq!(request.body.unwrap().text.expose(), r#"{"Target":"say","Arguments":["hi",null]}"#);
    }

    #[test]
    fn what_the_service_would_refuse_is_refused_here() {
        assert_eq!(Message::new(" ", &[]).unwrap_err().code(), Code::InvalidMessage);
        let large = Value::from("x".repeat(MESSAGE_MAX));
        assert_eq!(Message::new("say", &[large]).unwrap_err().code(), Code::InvalidMessage);
    }
}
