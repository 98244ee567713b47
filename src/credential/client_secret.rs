//! An Entra application that proves itself with a secret: the client-credentials flow.
//!
//! The request is that of the `azure_identity` crate. Its cache, retries and clock are not used: each fetch makes a new
//! credential over our own transport, and the token, its times and Entra's errors are read from the answer that the
//! transport saw.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body as AzureBody, ClientOptions, HttpClient, RetryOptions, Transport as AzureTransport,
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};

use crate::clock::Clock;
use crate::credential::token_answer::TokenAnswer;
use crate::credential::{Caller, Fault, FetchedToken, TokenSource};
use crate::error::{Code, Error, Result};
use crate::rest::transport::Transport;
use crate::rest::{Answer, Body, Method, Party, Request};
use crate::secret::Secret;
use crate::world::Pending;

/// The authority of the public cloud.
pub const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// What the request is called in errors.
const PURPOSE: &str = "The request for an Entra token";

/// An application with a secret.
pub struct ClientSecretSource {
    tenant_id: String,
    client_id: String,
    secret: Secret,
    scope: String,
    authority: String,
    clock: Clock,
    transport: Arc<dyn Transport>,
}

impl ClientSecretSource {
    /// A source for one scope. `authority` is an https URL without a path.
    pub fn new(
        (tenant_id, client_id, secret): (String, String, Secret),
        scope: String,
        authority: String,
        clock: Clock,
        transport: Arc<dyn Transport>,
    ) -> Self {
        Self { tenant_id, client_id, secret, scope, authority, clock, transport }
    }

    async fn get(&self) -> Result<FetchedToken> {
        let sent = self.clock.now();
        let seen = Arc::new(Seen { transport: Arc::clone(&self.transport), outcome: Mutex::default() });
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.authority.clone();
        let client_options = ClientOptions {
            transport: Some(AzureTransport::new(Arc::clone(&seen) as Arc<dyn HttpClient>)),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        };
        let credential = ClientSecretCredential::new(
            &self.tenant_id,
            self.client_id.clone(),
            self.secret.expose().to_owned().into(),
            Some(ClientSecretCredentialOptions { client_options }),
        )
        .map_err(|_| {
            Error::new(
                Code::CredentialUnsupported,
                "The application's tenant id, client id or authority cannot be used.",
                "Check TenantId= and ClientId= in the connection string, and that authority= is an https:// URL.",
            )
        })?;
        // What the crate makes of the answer is dropped: it would be one more copy of the token, which nobody wipes.
        let _ = credential.get_token(&[&self.scope], None).await;
        match seen.take() {
            Some(Err(error)) => Err(error),
            Some(Ok(answer)) if answer.status == 200 => {
                TokenAnswer::read(&answer, PURPOSE)?.token(self.clock.now().rebased(sent))
            }
            Some(Ok(answer)) => {
                Err(TokenAnswer::refusal(&answer, PURPOSE, "the application's ClientId and ClientSecret"))
            }
            None => Err(Error::new(
                Code::IdentityUnavailable,
                "The request for an Entra token was not sent.",
                "Check TenantId= and ClientId= in the connection string.",
            )),
        }
    }
}

impl TokenSource for ClientSecretSource {
    fn fetch(&self, _caller: Caller) -> Pending<'_, Result<FetchedToken, Fault>> {
        Box::pin(async { Ok(self.get().await?) })
    }

    fn name(&self) -> &str {
        "ClientSecretCredential"
    }
}

/// Our transport as the `azure_core` crate wants it, which remembers the answer.
struct Seen {
    transport: Arc<dyn Transport>,
    outcome: Mutex<Option<Result<Answer>>>,
}

impl Seen {
    fn take(&self) -> Option<Result<Answer>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Seen {
    async fn execute_request(&self, request: &azure_core::http::Request) -> azure_core::Result<AsyncRawResponse> {
        let text = match request.body() {
            AzureBody::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        let body = Body { content_type: "application/x-www-form-urlencoded", text: Secret::new(text) };
        let request = Request {
            purpose: PURPOSE,
            party: Party::Authority,
            method: Method::Post,
            url: request.url().to_string(),
            headers: Vec::new(),
            body: Some(body),
            limit: None,
        };
        let outcome = self.transport.send(request).await;
        let response = match &outcome {
            // The status is all that the crate is told; the body is read here, from memory that is wiped.
            Ok(answer) => Ok(AsyncRawResponse::from_bytes(answer.status.into(), Headers::new(), Vec::new())),
            Err(_) => Err(azure_core::Error::with_message(ErrorKind::Io, "the transport failed")),
        };
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        response
    }
}
