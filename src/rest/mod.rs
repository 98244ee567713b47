//! Requests to the service as values: what is asked, what was answered, and what an answer means.
//!
//! Building a request and reading an answer touch no network, so that both are tested without one; [`transport`] is the
//! only place that opens a socket.

pub mod answer;
mod certificate;
mod failure;
pub mod proxy;
pub mod signalr;
pub mod transport;
mod trust;
mod unsigned;
pub mod webpubsub;

pub use unsigned::Unsigned;

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::endpoint::Service;
use crate::secret::Secret;

/// The most that an answer may hold. The service's answers are small; a larger one comes from somebody else.
pub const BODY_MAX: usize = 64 * 1024;

/// An operation of the service: what errors say of it, and what it needs.
#[derive(Debug)]
pub struct Operation {
    /// The service that offers it.
    pub service: Service,
    /// What it is called: the name of the public method, or what it is for.
    pub name: &'static str,
    /// The one status that means success.
    pub success: u16,
    /// The built-in roles that allow it, the least one first.
    pub roles: &'static [&'static str],
    /// The data action that it is, as roles name it.
    pub action: &'static str,
}

/// `POST /api/hubs/{hub}/:send`.
pub static SEND_TO_ALL: Operation = Operation {
    service: Service::SignalR,
    name: "send_to_all",
    success: 202,
    roles: &["SignalR REST API Owner", "SignalR Service Owner"],
    action: "Microsoft.SignalRService/SignalR/hub/send/action",
};

/// `PUT /api/hubs/{hub}/users/{user}/groups/{group}`.
pub static ADD_USER_TO_GROUP: Operation = Operation {
    service: Service::SignalR,
    name: "add_user_to_group",
    success: 200,
    roles: &["SignalR REST API Owner", "SignalR Service Owner"],
    action: "Microsoft.SignalRService/SignalR/group/write",
};

/// `GET /api/v1/auth/accessKey`.
pub static ACCESS_KEY: Operation = Operation {
    service: Service::SignalR,
    name: "The request for a temporary key",
    success: 200,
    roles: &["SignalR App Server", "SignalR Service Owner"],
    action: "Microsoft.SignalRService/SignalR/auth/accessKey/action",
};

/// What a temporary key proves itself by: `POST /client/negotiate`.
pub const KEY_PROOF: &str = "The proof of a temporary key";
/// `POST /api/hubs/{hub}/:generateToken` of Azure Web PubSub. Of the built-in roles only the owner's has this action
/// ("Azure built-in roles for Web and Mobile" of Microsoft's documentation); it also has `clientConnection/write`, which
/// the service demands of whoever had a token generated when a client connects with it.
pub static GENERATE_TOKEN: Operation = Operation {
    service: Service::WebPubSub,
    name: "generate_token",
    success: 200,
    roles: &["Web PubSub Service Owner"],
    action: "Microsoft.SignalRService/WebPubSub/clientConnection/generateToken/action",
};

/// What proves who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A token signed by the access key.
    AccessKey,
    /// An Entra token of the identity with this object id, if the token says it.
    Entra {
        /// The object id.
        object_id: Option<String>,
    },
}

/// A request, before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it is for, in errors.
    pub purpose: &'static str,
    /// Whom it goes to.
    pub party: Party,
    /// The HTTP method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// Headers, all of which are kept out of logs.
    pub headers: Vec<(&'static str, Secret)>,
    /// The body with its type.
    pub body: Option<Body>,
    /// How long it may take, if that is less than any request may.
    pub limit: Option<Duration>,
}

impl Request {
    /// Whether a text stands in something secret that the request carries: an answer may repeat what it was sent.
    pub fn holds(&self, text: &str) -> bool {
        let body = self.body.as_ref().map(|body| &body.text);
        !text.is_empty() && self.headers.iter().map(|(_, value)| value).chain(body).any(|s| s.expose().contains(text))
    }
}

/// Whom a request goes to, which decides where plain http is safe, whether a proxy may stand in between, and which setting
/// an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The Entra authority.
    Authority,
    /// Azure Pipelines.
    Pipelines,
    /// The platform that this machine runs on: this machine or its own link (169.254.0.0/16). Never by proxy.
    Platform,
    /// A service.
    Service(Service),
}

impl Party {
    /// The setting that holds the address.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Authority => "authority=",
            Self::Pipelines => "the environment variable SYSTEM_OIDCREQUESTURI",
            Self::Platform => "the environment variable IDENTITY_ENDPOINT",
            Self::Service(_) => "Endpoint (or server_endpoint=)",
        }
    }
}

/// The body of a request. It may hold a client secret.
#[derive(Clone, Debug)]
pub struct Body {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub text: Secret,
}

/// The HTTP methods that the service's operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Makes something be so.
    Put,
}

/// An answer, whole and within bounds. It may hold a token or a key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `WWW-Authenticate`: where the service says why it does not accept a token.
    pub www_authenticate: Option<String>,
    /// `Retry-After` as it came.
    pub retry_after: Option<String>,
    /// `x-ms-error-code`.
    pub error_code: Option<String>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).field("length", &self.body.len()).finish_non_exhaustive()
    }
}
