//! The arguments of credentials as the core's.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString};

use crate::clock::Clock;
use crate::credential::application::{Application, Authority};
use crate::credential::managed_identity::UserAssigned;
use crate::endpoint::Endpoint;
use crate::env;
use crate::error::{Code, Error, Result};
use crate::python::construction::world;
use crate::python::convert;
use crate::python::references::References;
use crate::secret::Secret;
use crate::world::World;

/// The keywords that all credentials share.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Keywords<'py> {
    #[pyo3(default)]
    additionally_allowed_tenants: Option<Bound<'py, PyAny>>,
    #[pyo3(default)]
    authority: Option<Bound<'py, PyAny>>,
    ca_file: Option<Bound<'py, PyAny>>,
    #[cfg(feature = "testing")]
    #[pyo3(default)]
    clock: Option<Bound<'py, crate::python::testing::ManualClock>>,
    #[cfg(feature = "testing")]
    #[pyo3(default)]
    arc_keys: Option<PathBuf>,
}

impl Keywords<'_> {
    pub fn authority(&self) -> Result<Authority> {
        Authority::choose(self.authority_text()?.as_deref(), &env::variable)
    }

    pub fn authority_text(&self) -> Result<Option<String>> {
        text_keyword("authority", self.authority.as_ref())
    }

    pub fn allowed_tenants(&self) -> PyResult<Vec<String>> {
        let Some(tenants) = &self.additionally_allowed_tenants else { return Ok(Vec::new()) };
        convert::texts(tenants)?.ok_or_else(|| {
            Error::new(
                Code::InvalidArgument,
                "The argument additionally_allowed_tenants is not a list of tenants.",
                "Pass additionally_allowed_tenants=[\"<tenant id>\", ...], or [\"*\"].",
            )
            .into()
        })
    }

    pub fn application(&self, tenant_id: &Bound<'_, PyAny>, client_id: &Bound<'_, PyAny>) -> PyResult<Application> {
        let tenant_id = convert::text_argument("tenant_id", tenant_id)?;
        let client_id = convert::text_argument("client_id", client_id)?;
        let allowed = self.allowed_tenants()?;
        Ok(Application::new(&tenant_id, &client_id, self.authority()?, allowed, &env::variable)?)
    }

    #[cfg(feature = "testing")]
    pub fn arc_keys(&self) -> Option<PathBuf> {
        self.arc_keys.clone()
    }

    #[cfg(not(feature = "testing"))]
    pub fn arc_keys(&self) -> Option<PathBuf> {
        None
    }

    /// What a credential works in. A local Azure has its own time.
    pub fn world(&self, references: &Bound<'_, References>) -> PyResult<World> {
        world(references, self.ca_file.as_ref(), self.clock())
    }

    pub fn clock(&self) -> Clock {
        #[cfg(feature = "testing")]
        if let Some(clock) = &self.clock {
            return Clock::Manual(clock.get().clock());
        }
        let platform = ["IDENTITY_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"];
        let is_local = |name: &str| {
            let address = env::variable(name)?;
            Endpoint::parse(&address).ok().map(|endpoint| endpoint.is_loopback())
        };
        let has_local_authority = self.authority().is_ok_and(|authority| authority.is_loopback());
        if has_local_authority || platform.into_iter().any(|name| is_local(name) == Some(true)) {
            Clock::Local
        } else {
            Clock::System
        }
    }
}

/// A text that need not be there.
pub fn text_keyword(name: &str, value: Option<&Bound<'_, PyAny>>) -> Result<Option<String>> {
    value.map(|value| convert::text_argument(name, value).map(std::borrow::Cow::into_owned)).transpose()
}

/// The seconds that a tool may take.
pub fn process_limit(value: &Bound<'_, PyAny>) -> Result<Duration> {
    let limit = convert::timeout(Some(value)).map_err(|error| {
        let message = "The argument process_timeout is not a positive number of seconds.";
        Error::new(error.code(), message, "Pass process_timeout=10 (seconds, up to a day).")
    })?;
    Ok(limit.unwrap_or_default())
}

/// A password as text, or as the bytes of its UTF-8 form.
pub fn password_argument(value: &Bound<'_, PyAny>) -> Result<Secret> {
    let text = match value.cast::<PyBytes>() {
        Ok(bytes) => String::from_utf8(bytes.as_bytes().to_vec()).ok(),
        Err(_) => convert::text(value).map(std::borrow::Cow::into_owned),
    };
    text.map(Secret::new).ok_or_else(|| {
        Error::new(
            Code::InvalidArgument,
            "The argument password is neither a text nor the bytes of one in UTF-8.",
            "Pass password=\"...\", or leave it out.",
        )
    })
}

pub fn certificate_missing(message: &str) -> Error {
    let hint =
        "Pass certificate_path=\"/path/to/certificate.pem\", or certificate_data= with the bytes of such a file.";
    Error::new(Code::InvalidArgument, message, hint)
}

/// Which identity is meant: azure-identity's two ways of saying it.
pub fn user_assigned(
    client_id: Option<&Bound<'_, PyAny>>,
    config: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<UserAssigned>> {
    let invalid = |message: &str| {
        Error::new(
            Code::InvalidArgument,
            message,
            "Pass client_id=\"...\", or identity_config={\"object_id\": \"...\"} or {\"resource_id\": \"/subscriptions/...\"}.",
        )
    };
    let mut found: Vec<UserAssigned> = Vec::new();
    found.extend(text_keyword("client_id", client_id)?.map(UserAssigned::ClientId));
    if let Some(config) = config {
        let config =
            config.cast::<PyMapping>().map_err(|_| invalid("The argument identity_config is not a mapping."))?;
        for item in config.items()? {
            let (name, id): (Bound<'_, PyString>, String) = item
                .extract()
                .map_err(|_| invalid("The argument identity_config has something that is not a text."))?;
            found.push(match name.to_cow()?.as_ref() {
                "client_id" => UserAssigned::ClientId(id),
                "object_id" => UserAssigned::ObjectId(id),
                "resource_id" => UserAssigned::ResourceId(id),
                _ => return Err(invalid("The argument identity_config has a key that names no kind of id.").into()),
            });
        }
    }
    if found.len() > 1 {
        return Err(invalid("More than one user-assigned identity was named.").into());
    }
    let identity = found.pop();
    let is_empty = |identity: &UserAssigned| match identity {
        UserAssigned::ClientId(id) | UserAssigned::ObjectId(id) | UserAssigned::ResourceId(id) => id.is_empty(),
    };
    // An empty client id is what an empty variable gives: the system-assigned identity, as with azure-identity.
    Ok(identity.filter(|identity| !is_empty(identity)))
}
