//! What a token is asked for: the scopes, and what azure-core's clients may add to them.

use crate::error::{Code, Error, Result};

/// A request for a token, which is also what a cached token is kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    pub(crate) scopes: Vec<String>,
    /// The tenant to ask, if it is not the credential's own.
    pub tenant_id: Option<String>,
    /// Further claims that the token has to have, as JSON: what a service answers that has revoked a token.
    pub claims: Option<String>,
    /// Whether the caller can handle such an answer (continuous access evaluation).
    pub enable_cae: bool,
}

impl TokenRequest {
    /// A request for these scopes.
    pub fn new(scopes: Vec<String>) -> Result<Self> {
        let is_scope = |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
        if scopes.is_empty() || !scopes.iter().all(is_scope) {
            return Err(Error::new(
                Code::InvalidArgument,
                "A token was asked for without a scope, or with one that is empty, has blanks or is not ASCII.",
                "Pass the scope of a resource: get_token(\"https://<resource>/.default\").",
            ));
        }
        Ok(Self { scopes, tenant_id: None, claims: None, enable_cae: false })
    }

    /// The scopes.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The resource of the one scope, for sources that know resources only.
    pub fn resource(&self) -> Result<&str> {
        match self.scopes.as_slice() {
            [scope] => Ok(scope.strip_suffix("/.default").unwrap_or(scope)),
            _ => Err(Error::new(
                Code::InvalidArgument,
                "A token was asked for with several scopes, and this credential gives tokens for one resource.",
                "Pass one scope: get_token(\"https://<resource>/.default\").",
            )),
        }
    }
}
