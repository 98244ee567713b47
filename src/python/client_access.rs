//! The arguments of a Web PubSub client's methods as the core's, and its answers as Python sees them.

use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyInt, PyString, PyType};
use serde_json::{Map, Value};

use crate::client::ClientToken;
use crate::client_access::{
    ClientAccess, ClientProtocol, Lifetime, check_jwt_headers, invalid_client_protocol, invalid_groups, invalid_roles,
};
use crate::error::{Code, Error, Result};
use crate::negotiate::Identity;
use crate::python::convert;
use crate::python::warnings::warn;

/// How deep the value of a token's header may be nested.
const HEADER_DEPTH_MAX: usize = 8;

/// What the arguments that both methods share say, as they came.
pub struct Asked<'a, 'py> {
    pub client_protocol: &'a Bound<'py, PyAny>,
    pub roles: Option<&'a Bound<'py, PyAny>>,
    pub groups: Option<&'a Bound<'py, PyAny>>,
}

impl Asked<'_, '_> {
    /// The same as the core sees it.
    pub fn access(&self, identity: Identity<'_>, lifetime: Lifetime) -> PyResult<ClientAccess> {
        let protocol = convert::text(self.client_protocol).and_then(|name| ClientProtocol::parse(&name));
        let protocol = protocol.ok_or_else(invalid_client_protocol)?;
        let roles = list(self.roles, "roles", invalid_roles)?;
        let groups = list(self.groups, "groups", invalid_groups)?;
        Ok(ClientAccess::new(identity, roles, groups, lifetime, protocol)?)
    }
}

/// Texts of an iterable; `None` stands for none. One text is refused although it can be iterated: its letters are no roles.
fn list(value: Option<&Bound<'_, PyAny>>, name: &str, refused: fn(&str) -> Error) -> PyResult<Vec<String>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let read = convert::texts(value)?;
    read.ok_or_else(|| {
        let type_name = convert::type_name(value);
        refused(&format!("The argument {name} is {type_name}, and not an iterable of texts.")).into()
    })
}

/// A user, or nobody in particular if no user id is given.
pub fn user_if_any<'a>(
    user_id: Option<&'a Bound<'_, PyAny>>,
    buffer: &'a mut Option<std::borrow::Cow<'a, str>>,
) -> Result<Identity<'a>> {
    let Some(user_id) = user_id else { return Ok(Identity::Anonymous) };
    convert::user(user_id, buffer).map_err(|error| {
        error.with_hint(
            "Pass user_id= with the id of a user as text, such as str(user.id); for a client without a user leave it out.",
        )
    })
}

/// A lifetime in whole minutes.
pub fn minutes(value: &Bound<'_, PyAny>) -> Result<Lifetime> {
    let is_number = value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>();
    let read = value.extract::<u32>().ok().filter(|_| is_number).and_then(Lifetime::from_minutes);
    read.ok_or_else(|| {
        Error::new(
            Code::InvalidLifetime,
            "The lifetime is not a whole number of minutes from 1 on.",
            "Pass minutes_to_expire=60, or another int from 1 to 2147483647.",
        )
    })
}

/// A lifetime as a `timedelta`; the default object of the public signature is known by its identity.
pub fn lifetime(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Lifetime> {
    static DEFAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is(DEFAULT.import(py, "hubpass.models", "DEFAULT_LIFETIME")?) {
        return Ok(Lifetime::default());
    }
    let refused = |message: String| {
        Error::new(
            Code::InvalidLifetime,
            message,
            "Pass lifetime=timedelta(hours=1), between 1 minute and 24 hours; get_client_access_token(minutes_to_expire=...) takes longer ones.",
        )
    };
    let read: Option<Duration> = convert::timedelta(value)
        .ok_or_else(|| refused(format!("The lifetime is {} and not a timedelta.", convert::type_name(value))))?;
    let lifetime = read.and_then(Lifetime::from_duration);
    Ok(lifetime.ok_or_else(|| refused("The lifetime is not between 1 minute and 24 hours.".to_owned()))?)
}

/// Headers for a token; `None` and an empty mapping stand for none.
pub fn jwt_headers(value: Option<&Bound<'_, PyAny>>) -> PyResult<Map<String, Value>> {
    let Some(value) = value else { return Ok(Map::new()) };
    let Value::Object(headers) = convert::json(value, HEADER_DEPTH_MAX)
        .map_err(|fault| fault.into_error(Code::InvalidJwtHeader, "The argument jwt_headers"))?
    else {
        return Err(Error::new(
            Code::InvalidJwtHeader,
            format!("The headers of a token are {} and not a mapping.", convert::type_name(value)),
            "Pass jwt_headers={\"kid\": \"<name of the key>\"} or leave it out.",
        )
        .into());
    };
    check_jwt_headers(&headers)?;
    Ok(headers)
}

/// The error for headers of a token that somebody else signs.
pub fn no_headers_for_the_service() -> Error {
    Error::new(
        Code::InvalidJwtHeader,
        "With an Entra credential the service signs the token, and its headers cannot be set.",
        "Leave jwt_headers= out, or make the client with an access key.",
    )
}

/// What a method gives back.
#[derive(Clone, Copy)]
pub enum Form {
    /// `ClientAccessToken`: what Microsoft's SDK gives.
    AccessToken,
    /// `WebPubSubNegotiationResponse`: what the JavaScript clients read.
    Negotiation,
}

/// A token on its way to its caller.
pub struct Answer {
    pub form: Form,
    pub client_url: String,
    pub token: ClientToken,
}

impl Answer {
    /// The answer, after a warning to the caller on whose thread we are.
    pub fn with_warning<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.token.warn_of_length {
            warn(py, &self.token.length_warning())?;
        }
        Ok(self.into_pyobject(py)?.into_any())
    }
}

impl<'py> IntoPyObject<'py> for Answer {
    type Target = PyDict;
    type Output = Bound<'py, PyDict>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        static ACCESS_TOKEN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static NEGOTIATION: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let Self { form, client_url, token: ClientToken { token, expires_on, .. } } = self;
        let class = match form {
            Form::AccessToken => ACCESS_TOKEN.import(py, "hubpass.models", "ClientAccessToken")?,
            Form::Negotiation => NEGOTIATION.import(py, "hubpass.models", "WebPubSubNegotiationResponse")?,
        };
        let answer = class.call0()?;
        let members = answer.cast::<PyDict>()?;
        let url = PyString::new(py, &format!("{client_url}?access_token={token}"));
        if let Form::AccessToken = form {
            members.set_item(intern!(py, "baseUrl"), client_url)?;
            members.set_item(intern!(py, "token"), token)?;
        }
        members.set_item(intern!(py, "url"), url)?;
        answer.setattr(intern!(py, "_expires_on"), expires_on)?;
        Ok(answer.cast_into()?)
    }
}
