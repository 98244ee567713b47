//! Requests to the service as values: what is asked, what was answered, and what an answer means.
//!
//! Building a request and reading an answer touch no network, so that both are tested without one; [`transport`] is the
//! only place that opens a socket.

pub mod answer;
pub mod signalr;
pub mod transport;

use crate::secret::Secret;

/// The most that an answer may hold. The service's answers are small; a larger one comes from somebody else.
pub const BODY_MAX: usize = 64 * 1024;

/// A request, before it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it is for, in errors and events: the name of the public method.
    pub operation: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// What authenticates us.
    pub bearer: Secret,
    /// A JSON body.
    pub body: Option<Vec<u8>>,
}

/// The HTTP methods that the service's operations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
}

/// An answer, whole and within bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub body: Vec<u8>,
}
