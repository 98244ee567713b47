//! The native half of `SignalRServiceClient`, sync and async alike.

use std::sync::Arc;
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::client;
use crate::client::SignalROptions;
use crate::connection_string::ConnectionString;
use crate::endpoint::{ApplicationName, Endpoints, Hub, Service};
use crate::error::Result;
use crate::keys::KeyStatus;
use crate::negotiate::Negotiation;
use crate::python::construction::{Keywords, from_arguments, from_connection_string, from_env, warn_of_plain_http};
use crate::python::credential::caller;
use crate::python::negotiation::{Answer, Asked};
use crate::python::references::References;
use crate::python::status::{error_status, seconds};
use crate::python::{bridge, convert, exit};
use crate::rest::signalr::Message;

/// A client of one hub.
#[pyclass(frozen, module = "hubpass._native")]
pub struct SignalRClient {
    client: Arc<client::SignalRClient>,
    /// The application's objects. A key in its credential is looked at again at each call.
    references: Py<References>,
    url: Py<PyString>,
    is_async: bool,
}

#[pymethods]
impl SignalRClient {
    #[new]
    #[allow(
        clippy::too_many_arguments,
        reason = "one for each positional argument of the public constructor, and its kind"
    )]
    fn new(
        py: Python<'_>,
        endpoint: &Bound<'_, PyAny>,
        hub: &Bound<'_, PyAny>,
        credential: Option<&Bound<'_, PyAny>>,
        client_endpoint: Option<&Bound<'_, PyAny>>,
        server_endpoint: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let _inside = exit::enter(py)?;
        let endpoint = convert::text_argument("endpoint", endpoint)?;
        let client = client_endpoint.map(|text| convert::text_argument("client_endpoint", text)).transpose()?;
        let server = server_endpoint.map(|text| convert::text_argument("server_endpoint", text)).transpose()?;
        let endpoints = Endpoints::from_arguments(&endpoint, client.as_deref(), server.as_deref())?;
        let (parts, references) = from_arguments(py, Service::SignalR, endpoints, credential, is_async, &keywords)?;
        Self::make(py, parts.signalr(&keywords)?, hub, references.unbind(), is_async)
    }

    /// A client from a connection string.
    #[staticmethod]
    fn from_connection_string(
        py: Python<'_>,
        connection_string: &Bound<'_, PyAny>,
        hub: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let _inside = exit::enter(py)?;
        let text = convert::text_argument("connection_string", connection_string)?;
        let parsed = ConnectionString::parse(&text)?;
        let (parts, references) = from_connection_string(py, Service::SignalR, &parsed, &keywords)?;
        Self::make(py, parts.signalr(&keywords)?, hub, references.unbind(), is_async)
    }

    /// A client of the service that the environment names.
    #[staticmethod]
    fn from_env(
        py: Python<'_>,
        hub: &Bound<'_, PyAny>,
        credential: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let _inside = exit::enter(py)?;
        let (parts, references) = from_env(py, Service::SignalR, credential, is_async, &keywords)?;
        Self::make(py, parts.signalr(&keywords)?, hub, references.unbind(), is_async)
    }

    /// A client for another hub that shares this one's credential, keys and connections.
    fn for_hub(&self, py: Python<'_>, hub: &Bound<'_, PyAny>) -> PyResult<Self> {
        let _inside = exit::enter(py)?;
        self.client.check_open()?;
        let client = self.client.for_hub(Hub::parse(&convert::text_argument("hub", hub)?)?);
        Ok(Self::wrap(py, client, self.references.clone_ref(py), self.is_async))
    }

    /// Signs a token; see `SignalRServiceClient.negotiate`. Without a key in hand a sync client waits for one, and an async
    /// one gives a `PendingAnswer`.
    #[allow(clippy::too_many_arguments, reason = "one for each argument of the public method")]
    fn negotiate<'py>(
        &self,
        py: Python<'py>,
        user_id: Option<&Bound<'py, PyAny>>,
        anonymous: &Bound<'py, PyAny>,
        claims: Option<&Bound<'py, PyAny>>,
        lifetime: &Bound<'py, PyAny>,
        allow_long_lifetime: &Bound<'py, PyAny>,
        close_on_authentication_expiration: &Bound<'py, PyAny>,
        authentication_expires_on: Option<&Bound<'py, PyAny>>,
        transports: Option<&Bound<'py, PyAny>>,
        enable_detailed_errors: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inside = exit::enter(py)?;
        let mut buffer = None;
        let negotiation = Negotiation {
            claims: claims.map(convert::claims).transpose()?.unwrap_or_default(),
            lifetime: lifetime_argument(py, lifetime)?,
            allow_long_lifetime: convert::flag("allow_long_lifetime", allow_long_lifetime)?,
            close_on_authentication_expiration: convert::flag(
                "close_on_authentication_expiration",
                close_on_authentication_expiration,
            )?,
            authentication_expires_on: authentication_expires_on.map(convert::unix_seconds).transpose()?,
            transports: transports.map(convert::transports).transpose()?,
            enable_detailed_errors: convert::flag("enable_detailed_errors", enable_detailed_errors)?,
            ..Negotiation::new(convert::identity(user_id, anonymous, &mut buffer)?)
        };
        let timeout = convert::timeout(timeout)?;
        self.follow_credential(py)?;
        let now = self.client.now();
        let mut lent = None;
        let lend = || lent.insert(caller(py, self.is_async)).clone();
        if let Some(key) = self.client.key_in_hand(now, lend)? {
            let negotiated = self.client.sign(now, &negotiation, &key)?;
            return Ok(Answer { negotiated, url: self.url.clone_ref(py) }.response_with_warning(py)?.into_any());
        }
        // What is wrong with the negotiation itself is told now and not after the wait.
        negotiation.check(now)?;
        let caller = lent.unwrap_or_else(|| caller(py, self.is_async));
        let (client, url, asked) = (Arc::clone(&self.client), self.url.clone_ref(py), Asked::new(negotiation));
        let answer = asked.answer(client, url, caller, timeout);
        if self.is_async {
            return Ok(Bound::new(py, bridge::PendingAnswer::new(answer))?.into_any());
        }
        let (answer, _inside) = bridge::wait(py, inside, answer)?;
        Ok(answer.response_with_warning(py)?.into_any())
    }

    /// Sends and waits.
    fn send_to_all(
        &self,
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        excluded: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inside = exit::enter(py)?;
        bridge::wait(py, inside, self.sending(py, target, arguments, excluded, timeout)?).map(drop)
    }

    /// Sends; `deliver(None, error or None)` is called when it is done.
    fn start_send_to_all(
        &self,
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        excluded: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
        deliver: Py<PyAny>,
    ) -> PyResult<bridge::Flight> {
        let _inside = exit::enter(py)?;
        bridge::start(self.sending(py, target, arguments, excluded, timeout)?, deliver)
    }

    /// Puts a user into a group and waits.
    fn add_user_to_group(
        &self,
        py: Python<'_>,
        user_id: &Bound<'_, PyAny>,
        group: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let inside = exit::enter(py)?;
        bridge::wait(py, inside, self.adding(py, user_id, group, ttl, timeout)?).map(drop)
    }

    /// Puts a user into a group; `deliver(None, error or None)` is called when it is done.
    fn start_add_user_to_group(
        &self,
        py: Python<'_>,
        user_id: &Bound<'_, PyAny>,
        group: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        deliver: Py<PyAny>,
    ) -> PyResult<bridge::Flight> {
        let _inside = exit::enter(py)?;
        bridge::start(self.adding(py, user_id, group, ttl, timeout)?, deliver)
    }

    /// Gets a key and waits.
    fn warm_up(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let inside = exit::enter(py)?;
        bridge::wait(py, inside, self.warming_up(py, timeout)?).map(drop)
    }

    /// Gets a key; `deliver(None, error or None)` is called when it is done.
    fn start_warm_up(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
        deliver: Py<PyAny>,
    ) -> PyResult<bridge::Flight> {
        let _inside = exit::enter(py)?;
        bridge::start(self.warming_up(py, timeout)?, deliver)
    }

    fn invalidate_key(&self, kid: &Bound<'_, PyAny>) -> PyResult<bool> {
        let _inside = exit::enter(kid.py())?;
        Ok(self.client.invalidate_key(&convert::text_argument("kid", kid)?)?)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _inside = exit::enter(py)?;
        let status = PyDict::new(py);
        let keys = self.client.status();
        status.set_item("ready", self.client.is_ready(keys.as_ref()))?;
        match &keys {
            None => status.set_item("mode", "access_key")?,
            Some(keys) => describe(&status, keys)?,
        }
        Ok(status)
    }

    fn close(&self) {
        self.client.close();
    }

    /// The collector clears the references themselves, which breaks every cycle that this client is in.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.references)
    }

    #[getter]
    fn endpoint(&self) -> String {
        self.client.endpoints().endpoint.origin()
    }

    #[getter]
    fn client_endpoint(&self) -> String {
        self.client.endpoints().client.as_text()
    }

    #[getter]
    fn server_endpoint(&self) -> String {
        self.client.endpoints().server.as_text()
    }

    #[getter]
    fn hub(&self) -> &str {
        self.client.address().hub.as_str()
    }

    #[getter]
    fn application_name(&self) -> Option<&str> {
        self.client.address().application.as_ref().map(ApplicationName::as_str)
    }
}

impl SignalRClient {
    fn make(
        py: Python<'_>,
        options: SignalROptions,
        hub: &Bound<'_, PyAny>,
        references: Py<References>,
        is_async: bool,
    ) -> PyResult<Self> {
        let hub = Hub::parse(&convert::text_argument("hub", hub)?)?;
        warn_of_plain_http(py, &options.endpoints)?;
        Ok(Self::wrap(py, client::SignalRClient::new(options, hub), references, is_async))
    }

    fn wrap(py: Python<'_>, client: client::SignalRClient, references: Py<References>, is_async: bool) -> Self {
        let url = PyString::new(py, client.client_url()).unbind();
        Self { client: Arc::new(client), references, url, is_async }
    }

    /// Takes a new key from the credential if its owner has replaced it since the last look.
    fn follow_credential(&self, py: Python<'_>) -> PyResult<()> {
        self.references.get().follow_credential(py, |key| self.client.set_access_key(key))
    }

    fn sending(
        &self,
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyTuple>,
        excluded: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<impl Future<Output = Result<()>> + Send + 'static> {
        self.client.check_open()?;
        let message = Message::new(&convert::text_argument("target", target)?, &convert::json_arguments(arguments)?)?;
        let excluded = convert::excluded(excluded)?;
        let timeout = convert::timeout(timeout)?;
        self.follow_credential(py)?;
        let (client, caller) = (Arc::clone(&self.client), caller(py, self.is_async));
        Ok(async move { client.send_to_all(message, excluded, &caller, timeout).await })
    }

    fn adding(
        &self,
        py: Python<'_>,
        user_id: &Bound<'_, PyAny>,
        group: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<impl Future<Output = Result<()>> + Send + 'static> {
        self.client.check_open()?;
        let user_id = convert::user_text(user_id)?.into_owned();
        let group = convert::text_argument("group", group)?.into_owned();
        let ttl = ttl.map(|ttl| convert::duration("ttl", ttl)).transpose()?;
        let timeout = convert::timeout(timeout)?;
        self.follow_credential(py)?;
        let (client, caller) = (Arc::clone(&self.client), caller(py, self.is_async));
        Ok(async move { client.add_user_to_group(&user_id, &group, ttl, &caller, timeout).await })
    }

    fn warming_up(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<impl Future<Output = Result<()>> + Send + 'static> {
        self.client.check_open()?;
        let timeout = convert::timeout(timeout)?;
        self.follow_credential(py)?;
        let (client, caller) = (Arc::clone(&self.client), caller(py, self.is_async));
        Ok(async move { client.obtain_key(&caller, timeout).await.map(drop) })
    }
}

/// The lifetime; the default object of the public signature is known by its identity, which saves reading it.
fn lifetime_argument(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    static DEFAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is(DEFAULT.import(py, "hubpass.models", "DEFAULT_LIFETIME")?) {
        return Ok(Negotiation::<'_>::DEFAULT_LIFETIME);
    }
    Ok(convert::lifetime(value)?)
}

/// What `status()` says of temporary keys.
fn describe(status: &Bound<'_, PyDict>, keys: &KeyStatus) -> PyResult<()> {
    let counters = PyDict::new(status.py());
    counters.set_item("key_requests", keys.requests)?;
    counters.set_item("keys_renewed", keys.renewed)?;
    counters.set_item("keys_unchanged", keys.unchanged)?;
    counters.set_item("keys_refused", keys.refused)?;
    counters.set_item("keys_failed", keys.failed)?;
    status.set_item("mode", "entra")?;
    status.set_item("credential", &keys.credential)?;
    status.set_item("kid", keys.kid.as_deref())?;
    status.set_item("age", seconds(keys.age))?;
    status.set_item("renews_in", seconds(keys.renews_in))?;
    status.set_item("expires_in", seconds(keys.expires_in))?;
    status.set_item("last_error", error_status(status.py(), keys.last_error.as_ref())?)?;
    status.set_item("counters", counters)
}
