//! Managed identities: the platform that this process runs on vouches for it.
//!
//! The environment says which platform that is. Only where it says nothing there may be the Instance Metadata Service of
//! a virtual machine, which has to be asked to be found.

mod app_service;
mod arc;
mod imds;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::credential::application::{Authority, Lookup};
use crate::credential::default::CHOICE;
use crate::credential::flow::{Flow, Unavailable};
use crate::credential::token_answer::TokenAnswer;
use crate::credential::workload_identity::WorkloadIdentity;
use crate::credential::{Caller, Fault, FetchedToken, TokenRequest};
use crate::error::{Code, Error, Result};
use crate::rest::transport::Transport;
use crate::rest::{Answer, Method, Party, Request};
use crate::secret::Secret;
use crate::world::{Pending, World};

/// The name of the credential.
pub const NAME: &str = "ManagedIdentityCredential";

/// What the request is called in errors.
const PURPOSE: &str = "The request for a managed identity's token";

/// How long the platform has to answer. The first token of a machine takes it some seconds.
const LIMIT: Duration = Duration::from_secs(20);

/// A user-assigned identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAssigned {
    /// By its client id.
    ClientId(String),
    /// By its object (principal) id.
    ObjectId(String),
    /// By its resource id (`/subscriptions/...`).
    ResourceId(String),
}

impl UserAssigned {
    /// As a parameter; platforms disagree on how a resource id is called.
    fn parameter(&self, resource_id: &'static str) -> (&'static str, &str) {
        match self {
            Self::ClientId(id) => ("client_id", id),
            Self::ObjectId(id) => ("object_id", id),
            Self::ResourceId(id) => (resource_id, id),
        }
    }
}

/// What the caller says of a managed identity; the environment says the rest.
#[derive(Debug, Default)]
pub struct ManagedIdentity {
    /// The identity, if it is not the system-assigned one.
    pub user_assigned: Option<UserAssigned>,
    /// Whether a workload identity of Kubernetes counts as a managed one, as with azure-identity.
    pub includes_workload: bool,
    /// Where the agent of Azure Arc puts its keys, if not where it always does.
    pub arc_keys: Option<PathBuf>,
}

impl ManagedIdentity {
    /// The flow of the platform that we are on.
    pub fn flow(self, lookup: Lookup<'_>, world: &World) -> Result<Arc<dyn Flow>> {
        let platform: Box<dyn Platform> = match (lookup("IDENTITY_ENDPOINT"), lookup("IDENTITY_HEADER")) {
            (Some(_), Some(_)) if lookup("IDENTITY_SERVER_THUMBPRINT").is_some() => {
                return Ok(Arc::new(not_spoken_to("Service Fabric")));
            }
            (Some(endpoint), Some(header)) => {
                Box::new(app_service::AppService::new(&endpoint, Secret::new(header), self.user_assigned)?)
            }
            (Some(endpoint), None) if lookup("IMDS_ENDPOINT").is_some() => {
                Box::new(arc::AzureArc::new(&endpoint, self.user_assigned, self.arc_keys)?)
            }
            (Some(_), None) => {
                return Ok(Arc::new(Unavailable::because(
                    NAME,
                    "There is IDENTITY_ENDPOINT and neither IDENTITY_HEADER nor IMDS_ENDPOINT, which is no platform that is known.",
                    "Leave IDENTITY_ENDPOINT and IDENTITY_HEADER as the platform sets them, or unset both.",
                )));
            }
            (None, _) if lookup("MSI_ENDPOINT").is_some() => {
                let is_ml = lookup("MSI_SECRET").is_some();
                return Ok(Arc::new(not_spoken_to(if is_ml { "Azure Machine Learning" } else { "Azure Cloud Shell" })));
            }
            _ if self.includes_workload && is_workload(lookup) => {
                let client_id = match self.user_assigned {
                    Some(UserAssigned::ClientId(id)) => Some(id),
                    _ => None,
                };
                let workload = WorkloadIdentity { client_id, ..WorkloadIdentity::default() };
                return Ok(Arc::new(workload.flow(Authority::choose(None, lookup)?, lookup, world)?));
            }
            _ => Box::new(imds::Imds::new(
                lookup("AZURE_POD_IDENTITY_AUTHORITY_HOST").as_deref(),
                self.user_assigned,
                lookup(CHOICE).is_some_and(|choice| choice.trim().eq_ignore_ascii_case(NAME)),
            )?),
        };
        let network = Network { clock: world.clock.clone(), transport: Arc::clone(&world.transport) };
        Ok(Arc::new(ManagedIdentityFlow { platform, network }))
    }
}

/// The variables that the webhook of workload identity sets.
fn is_workload(lookup: Lookup<'_>) -> bool {
    ["AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"].iter().all(|name| lookup(name).is_some())
}

/// A platform whose managed identities we do not know how to ask.
fn not_spoken_to(platform: &str) -> Unavailable {
    Unavailable::because(
        NAME,
        format!("This is {platform}, whose managed identities Hubpass does not speak to."),
        "Pass credential=ManagedIdentityCredential() of azure.identity.",
    )
}

/// The means of a platform's flow.
struct Network {
    clock: Clock,
    transport: Arc<dyn Transport>,
}

impl Network {
    async fn get(&self, url: String, headers: Vec<(&'static str, Secret)>, limit: Duration) -> Result<Answer> {
        let limit = Some(limit);
        let request =
            Request { purpose: PURPOSE, party: Party::Platform, method: Method::Get, url, headers, body: None, limit };
        self.transport.send(request).await
    }
}

/// A platform that gives out tokens.
trait Platform: Send + Sync {
    /// Asks for a token.
    fn ask<'a>(&'a self, resource: &'a str, network: &'a Network) -> Pending<'a, Result<Answer>>;

    /// As [`Flow::join_chain`].
    fn join_chain(&self) {}
}

/// The managed identity of a platform.
struct ManagedIdentityFlow {
    platform: Box<dyn Platform>,
    network: Network,
}

impl ManagedIdentityFlow {
    async fn get(&self, request: &TokenRequest) -> Result<FetchedToken> {
        let resource = request.resource()?;
        let sent = self.network.clock.now();
        let answer = self.platform.ask(resource, &self.network).await?;
        TokenAnswer::read(&answer, PURPOSE)?.token(self.network.clock.now().rebased(sent))
    }
}

impl Flow for ManagedIdentityFlow {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, _caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async { Ok(self.get(request).await?) })
    }

    /// The identity has one tenant, and its tokens are good for all callers.
    fn normalized(&self, request: TokenRequest) -> Result<TokenRequest> {
        request.resource()?;
        Ok(TokenRequest { tenant_id: None, enable_cae: false, ..request })
    }

    fn join_chain(&self) {
        self.platform.join_chain();
    }

    fn name(&self) -> &str {
        NAME
    }
}

/// Where a platform is asked.
fn address(variable: &str, text: &str) -> Result<Url> {
    Url::parse(text).map_err(|_| {
        Error::new(
            Code::CredentialUnsupported,
            format!("The environment variable {variable} is not a URL."),
            format!("Leave {variable} as the platform sets it."),
        )
    })
}

/// The URL of a request for a token.
fn url_for(
    base: &Url,
    version: &str,
    resource: &str,
    user_assigned: Option<&UserAssigned>,
    resource_id: &'static str,
) -> String {
    let mut url = base.clone();
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
    if let Some(identity) = user_assigned {
        let (name, id) = identity.parameter(resource_id);
        url.query_pairs_mut().append_pair(name, id);
    }
    url.into()
}

/// The error for a machine that has no such identity.
fn no_such_identity(hint: &str) -> Error {
    Error::new(
        Code::CredentialUnavailable,
        format!("{PURPOSE} was refused: there is no such identity here, or no such resource."),
        hint,
    )
    .with_status(400)
}
