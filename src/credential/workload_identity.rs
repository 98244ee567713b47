//! Workload identity of Kubernetes: a file that the cluster writes holds a token of the service account, which Entra
//! takes for a proof ("Use Microsoft Entra Workload ID with AKS" of Microsoft's documentation).

use std::path::PathBuf;

use crate::credential::application::{Application, Authority, Lookup};
use crate::credential::exchange::{ApplicationFlow, Proof, Prover};
use crate::credential::{Caller, Fault};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::secret::Secret;
use crate::world::{Pending, World};

const NAME: &str = "WorkloadIdentityCredential";

/// What the caller says of a workload; the environment says the rest.
#[derive(Debug, Default)]
pub struct WorkloadIdentity {
    /// The tenant, if it is not `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// The application, if it is not `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// The file, if it is not `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file_path: Option<String>,
    /// Further tenants.
    pub additionally_allowed_tenants: Vec<String>,
}

impl WorkloadIdentity {
    /// The flow of this workload.
    pub fn flow(self, authority: Authority, lookup: Lookup<'_>, world: &World) -> Result<ApplicationFlow> {
        let given = |argument: Option<String>, variable: &str| {
            argument.filter(|value| !value.is_empty()).or_else(|| lookup(variable))
        };
        let tenant_id = given(self.tenant_id, "AZURE_TENANT_ID");
        let client_id = given(self.client_id, "AZURE_CLIENT_ID");
        let path = given(self.token_file_path, "AZURE_FEDERATED_TOKEN_FILE");
        let (Some(tenant_id), Some(client_id), Some(path)) = (&tenant_id, &client_id, &path) else {
            let missing: Vec<&str> = [
                ("tenant_id= (AZURE_TENANT_ID)", tenant_id.is_none()),
                ("client_id= (AZURE_CLIENT_ID)", client_id.is_none()),
                ("token_file_path= (AZURE_FEDERATED_TOKEN_FILE)", path.is_none()),
            ]
            .into_iter()
            .filter_map(|(name, is_missing)| is_missing.then_some(name))
            .collect();
            return Err(Error::new(
                Code::InvalidArgument,
                format!("{NAME} lacks {}.", missing.join(", ")),
                "Label the pod azure.workload.identity/use: \"true\" and let its service account name the client id, or pass what is missing.",
            ));
        };
        let application = Application::new(tenant_id, client_id, authority, self.additionally_allowed_tenants, lookup)?;
        Ok(ApplicationFlow::new(NAME, application, Box::new(TokenFile(PathBuf::from(path))), world))
    }
}

/// A file that holds an assertion, and is replaced from time to time. It is read anew for each exchange.
struct TokenFile(PathBuf);

impl TokenFile {
    fn read(&self) -> Result<Proof> {
        let unusable = |what: &str| {
            Error::new(
                Code::CredentialUnavailable,
                format!("The federated token file cannot be used: {what}."),
                "Check token_file_path= (AZURE_FEDERATED_TOKEN_FILE), and that the pod is labelled azure.workload.identity/use: \"true\".",
            )
        };
        let content = files::read(&self.0).map_err(|error| unusable(&files::reason(&error)))?;
        let text = std::str::from_utf8(&content).map_err(|_| unusable("it is no text"))?.trim();
        if text.is_empty() {
            return Err(unusable("it is empty"));
        }
        Ok(Proof::Assertion(Secret::new(text.to_owned())))
    }
}

impl Prover for TokenFile {
    fn prove<'a>(&'a self, _token_endpoint: &'a str, _caller: Caller) -> Pending<'a, Result<Proof, Fault>> {
        Box::pin(std::future::ready(self.read().map_err(Fault::from)))
    }
}
