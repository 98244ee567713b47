//! The native half of `WebPubSubServiceClient`, sync and async alike.

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

use crate::client;
use crate::client::WebPubSubOptions;
use crate::client_access::ClientAccess;
use crate::connection_string::ConnectionString;
use crate::endpoint::{Endpoints, Hub, Service};
use crate::error::Result;
use crate::python::client_access::{
    Answer, Asked, Form, jwt_headers, lifetime, minutes, no_headers_for_the_service, user_if_any,
};
use crate::python::construction::{Keywords, from_arguments, from_connection_string, from_env, warn_of_plain_http};
use crate::python::credential::caller;
use crate::python::exit::Inside;
use crate::python::references::References;
use crate::python::status::{error_status, seconds};
use crate::python::{bridge, convert, exit};

/// A client of one hub.
#[pyclass(frozen, module = "hubpass._native")]
pub struct WebPubSubClient {
    client: Arc<client::WebPubSubClient>,
    /// What the application has handed over, which the garbage collector follows.
    references: Py<References>,
    is_async: bool,
}

#[pymethods]
impl WebPubSubClient {
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
        let endpoints = Endpoints::for_service(Service::WebPubSub, &endpoint, client.as_deref(), server.as_deref())?;
        let (parts, references) = from_arguments(py, Service::WebPubSub, endpoints, credential, is_async, &keywords)?;
        Self::make(py, parts.web_pubsub(), hub, references.unbind(), is_async)
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
        let parsed = ConnectionString::for_service(Service::WebPubSub, &text)?;
        let (parts, references) = from_connection_string(py, Service::WebPubSub, &parsed, &keywords)?;
        Self::make(py, parts.web_pubsub(), hub, references.unbind(), is_async)
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
        let (parts, references) = from_env(py, Service::WebPubSub, credential, is_async, &keywords)?;
        Self::make(py, parts.web_pubsub(), hub, references.unbind(), is_async)
    }

    /// A client for another hub that shares this one's credential and connections.
    fn for_hub(&self, py: Python<'_>, hub: &Bound<'_, PyAny>) -> PyResult<Self> {
        let _inside = exit::enter(py)?;
        self.client.check_open()?;
        let client = self.client.for_hub(Hub::keeping_case(&convert::text_argument("hub", hub)?)?);
        let references = self.references.clone_ref(py);
        Ok(Self { client: Arc::new(client), references, is_async: self.is_async })
    }

    /// A token in the form of Microsoft's SDK. With Entra a sync client waits for it, and an async one gives a
    /// `PendingAnswer`.
    #[allow(clippy::too_many_arguments, reason = "one for each argument of the public method")]
    fn get_client_access_token<'py>(
        &self,
        py: Python<'py>,
        client_protocol: &Bound<'py, PyAny>,
        user_id: Option<&Bound<'py, PyAny>>,
        roles: Option<&Bound<'py, PyAny>>,
        minutes_to_expire: &Bound<'py, PyAny>,
        groups: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inside = exit::enter(py)?;
        let mut buffer = None;
        let identity = user_if_any(user_id, &mut buffer)?;
        let access = Asked { client_protocol, roles, groups }.access(identity, minutes(minutes_to_expire)?)?;
        let headers = jwt_headers(headers)?;
        if !headers.is_empty() && !self.client.signs() {
            return Err(no_headers_for_the_service().into());
        }
        self.answer(py, inside, (Form::AccessToken, access, &headers), timeout)
    }

    /// A token as the answer to `POST /negotiate`; the same otherwise.
    #[allow(clippy::too_many_arguments, reason = "one for each argument of the public method")]
    fn negotiate<'py>(
        &self,
        py: Python<'py>,
        user_id: Option<&Bound<'py, PyAny>>,
        anonymous: &Bound<'py, PyAny>,
        roles: Option<&Bound<'py, PyAny>>,
        groups: Option<&Bound<'py, PyAny>>,
        lifetime_argument: &Bound<'py, PyAny>,
        client_protocol: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inside = exit::enter(py)?;
        let mut buffer = None;
        let identity = convert::identity(user_id, anonymous, &mut buffer)?;
        let access = Asked { client_protocol, roles, groups }.access(identity, lifetime(py, lifetime_argument)?)?;
        self.answer(py, inside, (Form::Negotiation, access, &Map::new()), timeout)
    }

    /// Has the service sign once and waits.
    fn warm_up(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let inside = exit::enter(py)?;
        bridge::wait(py, inside, self.warming_up(py, timeout)?).map(drop)
    }

    /// Has the service sign once; `deliver(None, error or None)` is called when it is done.
    fn start_warm_up(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
        deliver: Py<PyAny>,
    ) -> PyResult<bridge::Flight> {
        let _inside = exit::enter(py)?;
        bridge::start(self.warming_up(py, timeout)?, deliver)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let _inside = exit::enter(py)?;
        let status = PyDict::new(py);
        let tokens = self.client.status();
        status.set_item("ready", self.client.is_ready(tokens.as_ref()))?;
        let Some(tokens) = tokens else {
            status.set_item("mode", "access_key")?;
            return Ok(status);
        };
        status.set_item("mode", "entra")?;
        status.set_item("credential", &tokens.credential)?;
        status.set_item("age", seconds(tokens.age))?;
        status.set_item("renews_in", seconds(tokens.renews_in))?;
        status.set_item("expires_in", seconds(tokens.expires_in))?;
        status.set_item("last_error", error_status(py, tokens.last_error.as_ref())?)?;
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
        self.client.endpoints().endpoint.as_text()
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
        self.client.hub().as_str()
    }
}

impl WebPubSubClient {
    fn make(
        py: Python<'_>,
        options: WebPubSubOptions,
        hub: &Bound<'_, PyAny>,
        references: Py<References>,
        is_async: bool,
    ) -> PyResult<Self> {
        let hub = Hub::keeping_case(&convert::text_argument("hub", hub)?)?;
        warn_of_plain_http(py, &options.endpoints)?;
        Ok(Self { client: Arc::new(client::WebPubSubClient::new(options, hub)), references, is_async })
    }

    /// Takes a new key from the credential if its owner has replaced it since the last look.
    fn follow_credential(&self, py: Python<'_>) -> PyResult<()> {
        self.references.get().follow_credential(py, |key| self.client.set_access_key(key))
    }

    fn answer<'py>(
        &self,
        py: Python<'py>,
        inside: Inside,
        (form, access, headers): (Form, ClientAccess, &Map<String, Value>),
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let timeout = convert::timeout(timeout)?;
        self.follow_credential(py)?;
        let client_url = self.client.client_url(access.protocol()).to_owned();
        if let Some(token) = self.client.sign(&access, headers)? {
            return Answer { form, client_url, token }.with_warning(py);
        }
        let (client, caller) = (Arc::clone(&self.client), caller(py, self.is_async));
        let generated = async move {
            let token = client.generate(&access, &caller, timeout).await?;
            Ok(Answer { form, client_url, token })
        };
        if self.is_async {
            return Ok(Bound::new(py, bridge::PendingAnswer::new(generated))?.into_any());
        }
        let (answer, _inside) = bridge::wait(py, inside, generated)?;
        answer.with_warning(py)
    }

    fn warming_up(
        &self,
        py: Python<'_>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<impl Future<Output = Result<()>> + Send + 'static> {
        self.client.check_open()?;
        let timeout = convert::timeout(timeout)?;
        let (client, caller) = (Arc::clone(&self.client), caller(py, self.is_async));
        Ok(async move { client.warm_up(&caller, timeout).await })
    }
}
