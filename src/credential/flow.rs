//! Ways to get a token, whatever it is for.

use std::sync::Arc;

use crate::credential::{Caller, Fault, FetchedToken, TokenRequest, TokenSource};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use crate::world::Pending;

/// A way to get tokens. It keeps none.
pub trait Flow: Send + Sync {
    /// Gets a token.
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>>;

    /// The request as far as it matters here: two that come out alike are answered with the same token. An error if it
    /// can never be answered.
    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        Ok(request)
    }

    /// As [`TokenSource::can_fetch_for`].
    fn can_fetch_for(&self, _caller: &Caller) -> bool {
        true
    }

    /// As [`TokenSource::forget`].
    fn forget(&self, _token: &Secret) {}

    /// From now on there are others to try, so that it is worth finding out quickly whether there is anything here.
    fn join_chain(&self) {}

    /// The name of the credential, for errors and status.
    fn name(&self) -> &str;
}

/// A flow for one request.
pub struct FlowSource {
    flow: Arc<dyn Flow>,
    request: TokenRequest,
}

impl FlowSource {
    /// A source of tokens that answer `request`.
    pub fn new(flow: Arc<dyn Flow>, request: TokenRequest) -> Self {
        Self { flow, request }
    }
}

impl TokenSource for FlowSource {
    fn fetch(&self, caller: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        self.flow.fetch(&self.request, caller)
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.flow.can_fetch_for(caller)
    }

    fn forget(&self, token: &Secret) {
        self.flow.forget(token);
    }

    fn name(&self) -> &str {
        self.flow.name()
    }
}

/// A flow that can give nothing, and says why: a member of a chain whose settings are not there.
pub struct Unavailable {
    name: &'static str,
    reason: Error,
}

impl Unavailable {
    /// A flow that fails with this reason, whatever kind of error it is.
    pub fn new(name: &'static str, reason: &Error) -> Self {
        let reason = Error::new(Code::CredentialUnavailable, reason.message(), reason.hint());
        Self { name, reason }
    }

    /// A flow that lacks something.
    pub fn because(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, reason: Error::new(Code::CredentialUnavailable, message, hint) }
    }
}

impl Flow for Unavailable {
    fn fetch<'a>(&'a self, _request: &'a TokenRequest, _caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(std::future::ready(Err(Fault::Failed(self.reason.clone()))))
    }

    fn name(&self) -> &str {
        self.name
    }
}
