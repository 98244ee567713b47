//! Requests to a service that lack only what authenticates them.

use crate::endpoint::Service;
use crate::rest::{Body, Method, Party, Request};
use crate::secret::Secret;

/// The version of the operations, of both services.
pub const API_VERSION: &str = "2024-12-01";

/// A request that lacks only what authenticates it.
#[derive(Clone, Debug)]
pub struct Unsigned {
    pub(super) service: Service,
    pub(super) purpose: &'static str,
    pub(super) method: Method,
    /// The URL without its query: also the audience of the token.
    pub(super) resource: String,
    pub(super) query: String,
    pub(super) body: Option<Secret>,
}

impl Unsigned {
    /// The whole URL.
    pub fn url(&self) -> String {
        if self.query.is_empty() { self.resource.clone() } else { format!("{}?{}", self.resource, self.query) }
    }

    /// The same request with a token from elsewhere.
    pub fn with_bearer(self, bearer: &Secret) -> Request {
        let url = self.url();
        let authorization = Secret::new(format!("Bearer {}", bearer.expose()));
        let body = self.body.map(|text| Body { content_type: "application/json; charset=utf-8", text });
        Request {
            purpose: self.purpose,
            party: Party::Service(self.service),
            method: self.method,
            url,
            headers: vec![("authorization", authorization)],
            body,
            limit: None,
        }
    }
}

/// A path segment, percent-encoded but for the unreserved characters of RFC 3986.
pub fn encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
