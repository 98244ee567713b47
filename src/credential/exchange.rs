//! The client-credentials flow: an application proves itself, with a secret or an assertion, and gets a token.
//!
//! The request is that of the `azure_identity` crate. Its cache, retries and clock are not used: each fetch makes a new
//! credential over our own transport, and the token, its times and Entra's errors are read from the answer that the
//! transport saw. What the crate cannot ask for, claims, is added to its form.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body as AzureBody, ClientMethodOptions, ClientOptions, HttpClient, RetryOptions,
    Transport as AzureTransport,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::clock::Clock;
use crate::credential::application::Application;
use crate::credential::flow::Flow;
use crate::credential::token_answer::TokenAnswer;
use crate::credential::{Caller, Fault, FetchedToken, TokenRequest};
use crate::error::{Code, Error, Result};
use crate::rest::transport::Transport;
use crate::rest::{Answer, Body, Method, Party, Request};
use crate::secret::Secret;
use crate::world::{Pending, World};

/// What the request is called in errors.
const PURPOSE: &str = "The request for an Entra token";

/// How long Entra has to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What an application proves itself with.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A secret that Entra knows.
    Secret(Secret),
    /// A token that somebody whom Entra trusts has signed (RFC 7523 section 2.2).
    Assertion(Secret),
}

/// Where the proof comes from. It is asked at each exchange.
pub trait Prover: Send + Sync {
    /// A proof for the authority whose token endpoint this is.
    fn prove<'a>(&'a self, token_endpoint: &'a str, caller: Caller) -> Pending<'a, Result<Proof, Fault>>;

    /// As [`crate::credential::TokenSource::can_fetch_for`].
    fn can_prove_for(&self, _caller: &Caller) -> bool {
        true
    }

    /// What to look at when Entra refuses the application.
    fn settings(&self) -> &'static str {
        "the application's ClientId and its federated credential"
    }
}

impl Prover for Secret {
    fn prove<'a>(&'a self, _token_endpoint: &'a str, _caller: Caller) -> Pending<'a, Result<Proof, Fault>> {
        Box::pin(std::future::ready(Ok(Proof::Secret(self.clone()))))
    }

    fn settings(&self) -> &'static str {
        "the application's ClientId and ClientSecret"
    }
}

/// Tokens of an application.
pub struct ApplicationFlow {
    name: &'static str,
    application: Application,
    prover: Box<dyn Prover>,
    clock: Clock,
    transport: Arc<dyn Transport>,
}

impl ApplicationFlow {
    /// An application that `prover` proves.
    pub fn new(name: &'static str, application: Application, prover: Box<dyn Prover>, world: &World) -> Self {
        let (clock, transport) = (world.clock.clone(), Arc::clone(&world.transport));
        Self { name, application, prover, clock, transport }
    }

    async fn get(&self, request: &TokenRequest, caller: Caller) -> Result<FetchedToken, Fault> {
        let tenant_id = self.application.tenants.of(request)?;
        let endpoint = self.application.token_endpoint(&tenant_id);
        let proof = self.prover.prove(&endpoint, caller).await?;
        let sent = self.clock.now();
        let seen = Arc::new(Seen {
            url: endpoint,
            claims: claims(request)?,
            transport: Arc::clone(&self.transport),
            outcome: Mutex::default(),
        });
        let scopes: Vec<&str> = request.scopes().iter().map(String::as_str).collect();
        // What the crate makes of the answer is dropped: it would be one more copy of the token, which nobody wipes.
        let _ = self.credential(&tenant_id, proof, &seen)?.get_token(&scopes, None).await;
        Ok(match seen.take() {
            Some(Err(error)) => Err(error),
            Some(Ok(answer)) if answer.status == 200 => {
                TokenAnswer::read(&answer, PURPOSE)?.token(self.clock.now().rebased(sent))
            }
            Some(Ok(answer)) => Err(TokenAnswer::refusal(&answer, PURPOSE, self.prover.settings())),
            None => Err(Error::new(
                Code::IdentityUnavailable,
                "The request for an Entra token was not sent.",
                "Check tenant_id= and client_id= (TenantId= and ClientId= in a connection string).",
            )),
        }?)
    }

    fn credential(&self, tenant_id: &str, proof: Proof, seen: &Arc<Seen>) -> Result<Arc<dyn TokenCredential>> {
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = self.application.authority.origin();
        let client_options = ClientOptions {
            transport: Some(AzureTransport::new(Arc::clone(seen) as Arc<dyn HttpClient>)),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..ClientOptions::default()
        };
        let client_id = self.application.client_id.clone();
        let made: azure_core::Result<Arc<dyn TokenCredential>> = match proof {
            Proof::Secret(secret) => {
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(tenant_id, client_id, secret.expose().to_owned().into(), Some(options))
                    .map(|made| made as Arc<dyn TokenCredential>)
            }
            Proof::Assertion(assertion) => {
                let options = ClientAssertionCredentialOptions { client_options };
                ClientAssertionCredential::new(tenant_id.to_owned(), client_id, Ready(assertion), Some(options))
                    .map(|made| made as Arc<dyn TokenCredential>)
            }
        };
        made.map_err(|_| {
            Error::new(
                Code::CredentialUnsupported,
                "The application's tenant id, client id or authority cannot be used.",
                "Check tenant_id= and client_id= (TenantId= and ClientId= in a connection string), and that authority= is an https:// URL.",
            )
        })
    }
}

impl Flow for ApplicationFlow {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(self.get(request, caller))
    }

    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        let tenant_id = self.application.tenants.of(&request)?;
        Ok(TokenRequest { tenant_id: Some(tenant_id), ..request })
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        self.prover.can_prove_for(caller)
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// The claims to ask for: those of the request, and, if the caller can handle that a service revokes a token, the
/// capability of the client that says so ("Claims challenges, claims requests, and client capabilities" of Microsoft's
/// documentation).
fn claims(request: &TokenRequest) -> Result<Option<String>> {
    if !request.enable_cae {
        return Ok(request.claims.clone());
    }
    let mut claims: Value = match &request.claims {
        None => json!({}),
        Some(text) => serde_json::from_str(text).ok().filter(Value::is_object).ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                "The claims that a token was asked for with are not a JSON object.",
                "Pass claims= as the WWW-Authenticate header of the service has it, decoded from base64.",
            )
        })?,
    };
    if let Some(members) = claims.as_object_mut() {
        let token = members.entry("access_token").or_insert_with(|| json!({}));
        if let Some(token) = token.as_object_mut() {
            token.insert("xms_cc".to_owned(), json!({"values": ["CP1"]}));
        }
    }
    Ok(Some(claims.to_string()))
}

/// An assertion that is at hand.
struct Ready(Secret);

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ready").field(&self.0).finish()
    }
}

#[async_trait]
impl ClientAssertion for Ready {
    async fn secret(&self, _options: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        Ok(self.0.expose().to_owned())
    }
}

/// Our transport as the `azure_core` crate wants it, which remembers the answer.
struct Seen {
    url: String,
    claims: Option<String>,
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
        let mut text = match request.body() {
            AzureBody::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        };
        if let Some(claims) = &self.claims {
            text = form_urlencoded::Serializer::new(text).append_pair("claims", claims).finish();
        }
        let body = Body { content_type: "application/x-www-form-urlencoded", text: Secret::new(text) };
        let request = Request {
            purpose: PURPOSE,
            party: Party::Authority,
            method: Method::Post,
            url: self.url.clone(),
            headers: Vec::new(),
            body: Some(body),
            limit: Some(LIMIT),
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
