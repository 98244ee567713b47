//! What can go wrong, as values: a kind to catch, a code to match, a message to read, and a hint that says what to change.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The family of an error. Each has one Python class of the same name with `Error` appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// An identity was tried, and refused or not confirmed.
    ClientAuthentication,
    /// The client was used after `close()`.
    ClientClosed,
    /// The connection string, the credential or the environment cannot work.
    Configuration,
    /// A credential has nothing to try with: another one may.
    CredentialUnavailable,
    /// The time given to the call ran out.
    DeadlineExceeded,
    /// An argument of the call cannot work.
    InvalidArgument,
    /// The service's network access rules, a proxy or a firewall refused the call.
    NetworkBlocked,
    /// The identity lacks a role.
    PermissionMissing,
    /// The service refused the call, failed, or could not be reached.
    Service,
    /// The client token would be longer than the service accepts.
    TokenTooLong,
}

/// Declares the codes once: the enum, its text, its kind and the list of all of them.
macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal => $kind:ident,)+) => {
        /// What exactly went wrong: stable, for matching by programs. The text is the `code` attribute in Python.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])+ $variant,)+ }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable text of the code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text,)+ }
            }

            /// The family that the code belongs to.
            pub const fn kind(self) -> ErrorKind {
                match self { $(Code::$variant => ErrorKind::$kind,)+ }
            }
        }
    };
}

codes! {
    /// The client was closed and then used.
    ClientClosed = "client_closed" => ClientClosed,
    /// The connection string cannot be read.
    InvalidConnectionString = "invalid_connection_string" => Configuration,
    /// A key of the connection string looks like a known one with a typing mistake.
    ConnectionStringKeyMisspelt = "connection_string_key_misspelt" => Configuration,
    /// The certificate of an application, or its private key, cannot be read.
    CertificateUnusable = "certificate_unusable" => ClientAuthentication,
    /// The credential has nothing to try with: a setting, a tool, a login or a managed identity is missing.
    CredentialUnavailable = "credential_unavailable" => CredentialUnavailable,
    /// The credential is of a kind that this client cannot use.
    CredentialUnsupported = "credential_unsupported" => Configuration,
    /// The endpoint is plain http on a host that is not this machine, and something secret was to be sent to it.
    InsecureEndpoint = "insecure_endpoint" => Configuration,
    /// No environment variable says where the service is.
    SettingsMissing = "settings_missing" => Configuration,
    /// Two environment variables say different things.
    SettingsConflict = "settings_conflict" => Configuration,
    /// An environment variable cannot be read.
    SettingsInvalid = "settings_invalid" => Configuration,
    /// The trust roots or the proxy settings of this process cannot be used.
    TransportUnavailable = "transport_unavailable" => Configuration,
    /// The call's time ran out.
    DeadlineExceeded = "deadline_exceeded" => DeadlineExceeded,
    /// An argument that has no code of its own cannot work.
    InvalidArgument = "invalid_argument" => InvalidArgument,
    /// The endpoint is not an absolute http or https URL of a service.
    InvalidEndpoint = "invalid_endpoint" => InvalidArgument,
    /// The hub name is not one that the service accepts.
    InvalidHub = "invalid_hub" => InvalidArgument,
    /// The application name is not one that the service accepts.
    InvalidApplicationName = "invalid_application_name" => InvalidArgument,
    /// Neither a user id nor `anonymous=True` was given.
    IdentityMissing = "identity_missing" => InvalidArgument,
    /// Both a user id and `anonymous=True` were given.
    IdentityConflict = "identity_conflict" => InvalidArgument,
    /// The user id cannot name a user.
    InvalidUserId = "invalid_user_id" => InvalidArgument,
    /// The lifetime is not within the bounds.
    InvalidLifetime = "invalid_lifetime" => InvalidArgument,
    /// The end of the app's own authentication is not an aware datetime in the future.
    InvalidAuthenticationExpiresOn = "invalid_authentication_expires_on" => InvalidArgument,
    /// A transport has no such name, or none is left.
    InvalidTransports = "invalid_transports" => InvalidArgument,
    /// The kind of client is not one that the service knows.
    InvalidClientProtocol = "invalid_client_protocol" => InvalidArgument,
    /// A role cannot stand in a token.
    InvalidRole = "invalid_role" => InvalidArgument,
    /// A group has no name that the service accepts.
    InvalidGroup = "invalid_group" => InvalidArgument,
    /// A header of a token cannot be set, or not to this value.
    InvalidJwtHeader = "invalid_jwt_header" => InvalidArgument,
    /// A claim's name or value cannot stand in a token.
    InvalidClaim = "invalid_claim" => InvalidArgument,
    /// A claim uses a name that belongs to the service.
    ReservedClaim = "reserved_claim" => InvalidArgument,
    /// An anonymous negotiation carries a claim that the service takes for the user id.
    ClaimNamesUser = "claim_names_user" => InvalidArgument,
    /// A message cannot be written as JSON, has no target, or is larger than the service accepts.
    InvalidMessage = "invalid_message" => InvalidArgument,
    /// No identity could be had: the credential, Entra or the managed-identity endpoint refused or failed.
    IdentityUnavailable = "identity_unavailable" => ClientAuthentication,
    /// The service gave a key out and then did not know what it signed (`verify_keys=True`).
    KeyRefused = "key_refused" => Service,
    /// The service answered a renewal with the key that is in hand, which is too old or about to be.
    KeyUnchanged = "key_unchanged" => Service,
    /// The service's network access rules, or a proxy, refused the call.
    NetworkBlocked = "network_blocked" => NetworkBlocked,
    /// The identity lacks a role for the call.
    PermissionMissing = "permission_missing" => PermissionMissing,
    /// The service found a fault in the request (HTTP 400 and other 4xx).
    RequestRefused = "request_refused" => Service,
    /// The service does not accept our token (HTTP 401).
    Unauthorized = "unauthorized" => Service,
    /// There is no such resource at the endpoint (HTTP 404).
    NotFound = "not_found" => Service,
    /// The service or the identity endpoint asks for fewer calls (HTTP 429).
    Throttled = "throttled" => Service,
    /// The service failed (HTTP 5xx).
    ServiceUnavailable = "service_unavailable" => Service,
    /// The answer is not what the protocol says.
    UnexpectedResponse = "unexpected_response" => Service,
    /// The answer was a redirect, which would carry a credential to another place.
    RedirectRefused = "redirect_refused" => Service,
    /// No connection could be made, or it broke.
    ConnectionFailed = "connection_failed" => Service,
    /// The host name does not resolve.
    NameResolutionFailed = "name_resolution_failed" => Service,
    /// The server's certificate is not trusted, expired, or made for another host.
    TlsFailed = "tls_failed" => Service,
    /// The token would be longer than 4,096 characters, or the URL of the request for it longer than 8,000.
    TokenTooLong = "token_too_long" => TokenTooLong,
}

/// An error of Hubpass. Neither message nor hint ever holds a key, a token or a value of a connection string.
#[derive(Clone)]
pub struct Error {
    code: Code,
    message: String,
    hint: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with what happened (`message`) and what to change (`hint`).
    pub fn new(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into(), status: None, retry_after: None, source: None }
    }

    /// The error of a call whose event loop is gone, so that nobody will see it.
    pub(crate) fn caller_gone() -> Self {
        Self::new(
            Code::ClientClosed,
            "The event loop of the call is closed.",
            "Await the call on a loop that runs until it returns.",
        )
    }

    /// The same error with another hint, for a call that takes other arguments.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same error with the HTTP status of the answer that caused it.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// The same error with the time after which another try makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The same error with the error that caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What exactly went wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The family that decides the class in Python.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// What happened, as a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to change: an exact command, variable, keyword or setting.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How long to wait before another try, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.message, self.hint)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code)
            .field("message", &self.message)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_snake_case() {
        let texts: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|text| text.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
