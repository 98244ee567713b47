//! An application that the environment describes.

use std::sync::Arc;

use crate::credential::application::{Application, Authority, Lookup};
use crate::credential::certificate::{Certificate, CertificateFile};
use crate::credential::exchange::ApplicationFlow;
use crate::credential::flow::{Flow, Unavailable};
use crate::error::Result;
use crate::secret::Secret;
use crate::world::World;

/// The name of the credential.
pub const NAME: &str = "EnvironmentCredential";

const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const CERTIFICATE: &str = "AZURE_CLIENT_CERTIFICATE_PATH";

/// The application that the environment describes, with a secret or else with a certificate.
pub fn flow(
    authority: Authority,
    additionally_allowed_tenants: Vec<String>,
    lookup: Lookup<'_>,
    world: &World,
) -> Result<Arc<dyn Flow>> {
    let (secret, path) = (lookup(SECRET).map(Secret::new), lookup(CERTIFICATE));
    let (Some(tenant_id), Some(client_id)) = (lookup(TENANT), lookup(CLIENT)) else {
        return Ok(Arc::new(incomplete(lookup)));
    };
    let application = Application::new(&tenant_id, &client_id, authority, additionally_allowed_tenants, lookup)?;
    match (secret, path) {
        (Some(secret), _) => Ok(Arc::new(ApplicationFlow::new(NAME, application, Box::new(secret), world))),
        (None, Some(path)) => {
            let is_chain_sent = lookup("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN").is_some();
            let password = lookup("AZURE_CLIENT_CERTIFICATE_PASSWORD").map(Secret::new);
            let file = Certificate::File(CertificateFile { path: path.into(), password });
            let prover = file.prover(&application.client_id, is_chain_sent, world);
            Ok(Arc::new(ApplicationFlow::new(NAME, application, Box::new(prover), world)))
        }
        (None, None) => Ok(Arc::new(incomplete(lookup))),
    }
}

fn incomplete(lookup: Lookup<'_>) -> Unavailable {
    let names = [TENANT, CLIENT, SECRET, CERTIFICATE];
    let set: Vec<&str> = names.into_iter().filter(|name| lookup(name).is_some()).collect();
    let message = if lookup("AZURE_PASSWORD").is_some() && lookup("AZURE_USERNAME").is_some() {
        "The environment has a user name and a password, with which Hubpass does not sign in.".to_owned()
    } else if set.is_empty() {
        "The environment describes no application.".to_owned()
    } else {
        format!("The environment describes an application in part: only {} is set.", set.join(", "))
    };
    Unavailable::because(NAME, message, format!("Set {TENANT}, {CLIENT} and {SECRET} or {CERTIFICATE}."))
}
