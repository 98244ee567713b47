//! Azure Pipelines: the job's own token buys an assertion of its service connection ("Workload identity federation" of
//! the documentation of Azure DevOps).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::credential::application::Lookup;
use crate::credential::exchange::{Proof, Prover};
use crate::credential::{Caller, Fault};
use crate::error::{Code, Error, Result};
use crate::rest::answer::object;
use crate::rest::transport::Transport;
use crate::rest::{Method, Party, Request};
use crate::secret::Secret;
use crate::world::{Pending, World};

/// The variable that names the endpoint, in jobs whose tasks may use service connections.
const VARIABLE: &str = "SYSTEM_OIDCREQUESTURI";

/// The version of the endpoint's interface.
const API_VERSION: &str = "7.1";

/// What the request is called in errors.
const PURPOSE: &str = "The request for an assertion of the service connection";

/// How long the endpoint has to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A service connection.
pub struct ServiceConnection {
    endpoint: Option<Url>,
    id: String,
    system_access_token: Secret,
    transport: Arc<dyn Transport>,
}

impl ServiceConnection {
    /// The connection with this id, for a job with this token.
    pub fn new(id: &str, system_access_token: Secret, lookup: Lookup<'_>, world: &World) -> Result<Self> {
        if id.is_empty() || system_access_token.expose().is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                "The service connection or the job's token is empty.",
                "Pass service_connection_id= (resourceId in the URL of the connection) and system_access_token=os.environ[\"SYSTEM_ACCESSTOKEN\"], which the job maps: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
            ));
        }
        let endpoint = match lookup(VARIABLE) {
            None => None,
            Some(text) => Some(Url::parse(&text).map_err(|_| {
                Error::new(
                    Code::SettingsInvalid,
                    format!("The environment variable {VARIABLE} is not a URL."),
                    format!("Leave {VARIABLE} as Azure Pipelines sets it."),
                )
            })?),
        };
        Ok(Self { endpoint, id: id.to_owned(), system_access_token, transport: Arc::clone(&world.transport) })
    }

    async fn assertion(&self) -> Result<Proof> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(rename = "oidcToken")]
            token: Secret,
        }
        let mut url = self.endpoint.clone().ok_or_else(|| {
            Error::new(
                Code::CredentialUnavailable,
                format!("This is no job of Azure Pipelines: the environment variable {VARIABLE} is not set."),
                "Use this credential in a task with a service connection, such as AzureCLI@2; elsewhere use another one.",
            )
        })?;
        url.query_pairs_mut().append_pair("api-version", API_VERSION).append_pair("serviceConnectionId", &self.id);
        let bearer = Secret::new(format!("Bearer {}", self.system_access_token.expose()));
        let request = Request {
            purpose: PURPOSE,
            party: Party::Pipelines,
            method: Method::Post,
            url: url.into(),
            // Without the second header a refusal is a redirect to a page for people.
            headers: vec![("authorization", bearer), ("x-tfs-fedauthredirect", Secret::new("Suppress".to_owned()))],
            body: None,
            limit: Some(LIMIT),
        };
        let answer = self.transport.send(request).await?;
        let body: Option<Body> = if answer.status == 200 { object(&answer.body) } else { None };
        let token = body.map(|body| body.token).filter(|token| !token.expose().is_empty());
        token.map(Proof::Assertion).ok_or_else(|| {
            Error::new(
                Code::IdentityUnavailable,
                format!("{PURPOSE} was refused (status {}).", answer.status),
                "Check service_connection_id=, and that system_access_token= is the token of this job: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
            )
            .with_status(answer.status)
        })
    }
}

impl Prover for ServiceConnection {
    fn prove<'a>(&'a self, _token_endpoint: &'a str, _caller: Caller) -> Pending<'a, Result<Proof, Fault>> {
        Box::pin(async { Ok(self.assertion().await?) })
    }
}
