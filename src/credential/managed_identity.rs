//! The managed identity of App Service, Functions and Container Apps: one GET to an address in the environment
//! ("How to use managed identities for App Service and Azure Functions" of Microsoft's documentation).

use std::sync::Arc;

use url::Url;

use crate::clock::Clock;
use crate::credential::token_answer::TokenAnswer;
use crate::credential::{Caller, Fault, FetchedToken, TokenSource};
use crate::env::IdentityVariables;
use crate::error::{Code, Error, Result};
use crate::rest::transport::Transport;
use crate::rest::{Method, Party, Request};
use crate::secret::Secret;
use crate::world::Pending;

/// The version of the endpoint's interface.
const API_VERSION: &str = "2019-08-01";

/// What the request is called in errors.
const PURPOSE: &str = "The request for a managed identity's token";

/// A managed identity.
pub struct ManagedIdentitySource {
    url: String,
    header: Secret,
    clock: Clock,
    transport: Arc<dyn Transport>,
}

impl ManagedIdentitySource {
    /// The system-assigned identity, or the user-assigned one with this client id.
    pub fn new(
        variables: &IdentityVariables,
        scope: &str,
        client_id: Option<&str>,
        clock: Clock,
        transport: Arc<dyn Transport>,
    ) -> Result<Self> {
        let (Some(endpoint), Some(header)) = (&variables.endpoint, &variables.header) else {
            return Err(Error::new(
                Code::CredentialUnsupported,
                "This is not App Service, Functions or Container Apps: IDENTITY_ENDPOINT and IDENTITY_HEADER are not set.",
                "On a virtual machine or AKS pass credential=ManagedIdentityCredential() of azure.identity.",
            ));
        };
        let mut url = Url::parse(endpoint).map_err(|_| {
            Error::new(
                Code::CredentialUnsupported,
                "The environment variable IDENTITY_ENDPOINT is not a URL.",
                "Leave IDENTITY_ENDPOINT as the platform sets it.",
            )
        })?;
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut().append_pair("api-version", API_VERSION).append_pair("resource", resource);
        if let Some(client_id) = client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        Ok(Self { url: url.into(), header: header.clone(), clock, transport })
    }

    async fn get(&self) -> Result<FetchedToken> {
        let sent = self.clock.now();
        let request = Request {
            purpose: PURPOSE,
            party: Party::Platform,
            method: Method::Get,
            url: self.url.clone(),
            headers: vec![("x-identity-header", self.header.clone())],
            body: None,
            limit: None,
        };
        let answer = self.transport.send(request).await?;
        if answer.status == 400 {
            return Err(Error::new(
                Code::IdentityUnavailable,
                format!("{PURPOSE} was refused: the app has no such identity, or there is no such resource."),
                "Assign it: az webapp identity assign -n <app> -g <group>; for a user-assigned one check ClientId=; else check scope=.",
            )
            .with_status(400));
        }
        if matches!(answer.status, 401 | 403) {
            return Err(Error::new(
                Code::IdentityUnavailable,
                format!("{PURPOSE} was refused: the platform does not know this process."),
                "Leave IDENTITY_HEADER and IDENTITY_ENDPOINT as the platform sets them for this process.",
            )
            .with_status(answer.status));
        }
        TokenAnswer::read(&answer, PURPOSE)?.token(self.clock.now().rebased(sent))
    }
}

impl TokenSource for ManagedIdentitySource {
    fn fetch(&self, _caller: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        Box::pin(async { Ok(self.get().await?) })
    }

    fn name(&self) -> &str {
        "ManagedIdentityCredential"
    }
}
