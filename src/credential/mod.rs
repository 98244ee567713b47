//! Where Entra access tokens come from, and how they are kept.
//!
//! A token authenticates this process to the service. It buys the temporary keys that sign client tokens ([`crate::keys`])
//! and stands in the REST calls itself.

pub mod aadsts;
pub mod application;
mod cached;
pub mod certificate;
pub mod chain;
pub mod cli;
pub mod default;
mod der;
mod encryption;
pub mod environment;
pub mod exchange;
pub mod flow;
mod key_file;
pub mod managed_identity;
pub mod pipelines;
mod pkcs12;
mod request;
pub mod token_answer;
mod tokens;
pub mod workload_identity;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub use cached::Credential;
pub use request::TokenRequest;
pub use tokens::{AccessToken, TokenStatus, Tokens};

use crate::error::Error;
use crate::secret::Secret;
use crate::world::Pending;

/// Something that gets tokens.
pub trait TokenSource: Send + Sync {
    /// Gets a token for the scope that the source was made for. `caller` is whoever the token is for; a source that needs
    /// an event loop borrows the caller's.
    fn fetch(&self, caller: Caller) -> Pending<'_, Result<FetchedToken, Fault>>;

    /// Whether a token can be fetched for this caller: one that has no event loop cannot run a coroutine.
    fn can_fetch_for(&self, _caller: &Caller) -> bool {
        true
    }

    /// Forgets a token that the service did not accept, if the source keeps tokens itself.
    fn forget(&self, _token: &Secret) {}

    /// The name of the credential, for errors and status.
    fn name(&self) -> &str;
}

/// A token as its source gave it.
#[derive(Clone, Debug)]
pub struct FetchedToken {
    /// The token.
    pub token: Secret,
    /// When it expires, in seconds since 1970.
    pub expires_on: u64,
    /// When its source would like it to be renewed, in seconds since 1970.
    pub refresh_on: Option<u64>,
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Whoever was fetching went away (a loop closed, a task was cancelled): another caller should try.
    Abandoned,
    /// The source refused or failed.
    Failed(Error),
}

impl Fault {
    /// The fault as an error, for a call that has nobody else to try.
    pub fn into_error(self) -> Error {
        match self {
            Self::Abandoned => Error::caller_gone(),
            Self::Failed(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Who asks for a token, as far as a source needs to know: an event loop, or nobody in particular.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<dyn CallerContext>>);

/// What a source may borrow from its caller.
pub trait CallerContext: Any + Send + Sync {}

impl Caller {
    /// A caller with something to lend.
    pub fn new(context: Arc<dyn CallerContext>) -> Self {
        Self(Some(context))
    }

    /// What the caller lends, if it is of this type.
    pub fn context<T: CallerContext>(&self) -> Option<&T> {
        let context: &dyn Any = &**self.0.as_ref()?;
        context.downcast_ref()
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("lends", &self.0.is_some()).finish()
    }
}
