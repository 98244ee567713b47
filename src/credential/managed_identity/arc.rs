//! Azure Arc: machines elsewhere, whose agent gives out tokens to whoever can read the files that it writes
//! ("Authenticate against Azure resources with Azure Arc-enabled servers" of Microsoft's documentation).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::{LIMIT, Network, PURPOSE, Platform, UserAssigned, address, no_such_identity, url_for};
use crate::error::{Code, Error, Result};
use crate::files;
use crate::rest::Answer;
use crate::rest::answer::object;
use crate::secret::Secret;
use crate::world::Pending;

/// The version of the agent's interface.
const API_VERSION: &str = "2020-06-01";

/// Where the agent puts its keys, on Linux. A file elsewhere is none of its: whoever answers in its place must not have
/// files of its choice sent.
const KEYS: &str = "/var/opt/azcmagent/tokens";

/// The most that a key holds.
const KEY_MAX: usize = 4096;

/// The agent.
pub struct AzureArc {
    url: Url,
    user_assigned: Option<UserAssigned>,
    keys: PathBuf,
}

impl AzureArc {
    /// The agent at this address.
    pub fn new(endpoint: &str, user_assigned: Option<UserAssigned>, keys: Option<PathBuf>) -> Result<Self> {
        let keys = keys.unwrap_or_else(|| PathBuf::from(KEYS));
        Ok(Self { url: address("IDENTITY_ENDPOINT", endpoint)?, user_assigned, keys })
    }

    /// The key that the agent asks for. It names a file of its own.
    fn key(&self, challenge: Option<&str>) -> Result<Secret> {
        let path =
            challenge.and_then(|challenge| challenge.split_once("realm=")).map(|(_, path)| path.trim_matches('"'));
        let path = path.map(Path::new).filter(|path| {
            path.parent() == Some(&self.keys) && path.extension().is_some_and(|extension| extension == "key")
        });
        let path = path.ok_or_else(|| unusable("it does not name a key in its own directory"))?;
        let content = files::read(path).map_err(|error| unusable(&files::reason(&error)))?;
        let text = std::str::from_utf8(&content).ok().filter(|text| text.len() <= KEY_MAX);
        text.map(|text| Secret::new(text.trim().to_owned())).ok_or_else(|| unusable("the key is no short text"))
    }

    /// Agents that know no user-assigned identities give out the token of the system-assigned one.
    fn confirm(&self, answer: &Answer) -> Result<()> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            client_id: Option<String>,
            object_id: Option<String>,
            msi_res_id: Option<String>,
            mi_res_id: Option<String>,
        }
        let Some(identity) = &self.user_assigned else { return Ok(()) };
        let body: Body = object(&answer.body).unwrap_or_default();
        let (asked, given) = match identity {
            UserAssigned::ClientId(id) => (id, body.client_id),
            UserAssigned::ObjectId(id) => (id, body.object_id),
            UserAssigned::ResourceId(id) => (id, body.msi_res_id.or(body.mi_res_id)),
        };
        if given.is_some_and(|given| given.eq_ignore_ascii_case(asked)) {
            return Ok(());
        }
        Err(Error::new(
            Code::IdentityUnavailable,
            "The agent of Azure Arc did not confirm that its token is that of the user-assigned identity.",
            "Update the agent (azcmagent version), or leave client_id= and identity_config= out to use the system-assigned identity.",
        ))
    }
}

impl Platform for AzureArc {
    fn ask<'a>(&'a self, resource: &'a str, network: &'a Network) -> Pending<'a, Result<Answer>> {
        Box::pin(async move {
            let url = url_for(&self.url, API_VERSION, resource, self.user_assigned.as_ref(), "msi_res_id");
            let metadata = || ("metadata", Secret::new("true".to_owned()));
            let mut answer = network.get(url.clone(), vec![metadata()], LIMIT).await?;
            if answer.status == 401 {
                let key = self.key(answer.www_authenticate.as_deref())?;
                let authorization = Secret::new(format!("Basic {}", key.expose()));
                answer = network.get(url, vec![metadata(), ("authorization", authorization)], LIMIT).await?;
            }
            match answer.status {
                200 => self.confirm(&answer).map(|()| answer),
                400 => Err(no_such_identity(
                    "Check that the machine is connected (azcmagent show); for a user-assigned identity check client_id= (AZURE_CLIENT_ID).",
                )),
                _ => Ok(answer),
            }
        })
    }
}

/// The error for a challenge that cannot be met.
fn unusable(what: &str) -> Error {
    Error::new(
        Code::IdentityUnavailable,
        format!("{PURPOSE} failed: the agent of Azure Arc wants a key that cannot be sent, because {what}."),
        "Let this process read the agent's keys: sudo usermod -aG himds <user>",
    )
}
