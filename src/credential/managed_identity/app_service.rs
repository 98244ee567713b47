//! The managed identity of App Service, Functions and Container Apps: one GET to an address in the environment
//! ("How to use managed identities for App Service and Azure Functions" of Microsoft's documentation).

use url::Url;

use super::{LIMIT, Network, PURPOSE, Platform, UserAssigned, address, no_such_identity, url_for};
use crate::error::{Code, Error, Result};
use crate::rest::Answer;
use crate::secret::Secret;
use crate::world::Pending;

/// The version of the endpoint's interface.
const API_VERSION: &str = "2019-08-01";

/// The endpoint of an app.
pub struct AppService {
    url: Url,
    header: Secret,
    user_assigned: Option<UserAssigned>,
}

impl AppService {
    /// The endpoint at this address; `header` proves that a request comes from inside.
    pub fn new(endpoint: &str, header: Secret, user_assigned: Option<UserAssigned>) -> Result<Self> {
        Ok(Self { url: address("IDENTITY_ENDPOINT", endpoint)?, header, user_assigned })
    }
}

impl Platform for AppService {
    fn ask<'a>(&'a self, resource: &'a str, network: &'a Network) -> Pending<'a, Result<Answer>> {
        Box::pin(async move {
            let url = url_for(&self.url, API_VERSION, resource, self.user_assigned.as_ref(), "mi_res_id");
            let answer = network.get(url, vec![("x-identity-header", self.header.clone())], LIMIT).await?;
            match answer.status {
                400 => Err(no_such_identity(
                    "Assign it: az webapp identity assign -n <app> -g <group>; for a user-assigned one check ClientId= (client_id=); else check scope=.",
                )),
                401 | 403 => Err(Error::new(
                    Code::IdentityUnavailable,
                    format!("{PURPOSE} was refused: the platform does not know this process."),
                    "Leave IDENTITY_HEADER and IDENTITY_ENDPOINT as the platform sets them for this process.",
                )
                .with_status(answer.status)),
                _ => Ok(answer),
            }
        })
    }
}
