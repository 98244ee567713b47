//! The native half of `SignalRServiceClient`, sync and async alike.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::client::{self, SignalROptions};
use crate::clock::Now;
use crate::connection_string::{Auth, ConnectionString};
use crate::endpoint::{ApplicationName, Endpoint, Endpoints, Hub};
use crate::env::ProxyVariables;
use crate::error::{Code, Error, Result};
use crate::keys::SigningKey;
use crate::negotiate::Negotiation;
use crate::observe::Observer;
use crate::process;
use crate::python::observer::PyObserver;
use crate::python::{bridge, convert};
use crate::rest::signalr::Message;

/// How many Python frames lie between a warning and the code that it is for: the public method.
const STACK_LEVEL: i32 = 2;

/// A client of one hub.
#[pyclass(frozen, module = "hubpass._native")]
pub struct SignalRClient {
    client: Arc<client::SignalRClient>,
    /// The credential whose key is looked at again at each call, if there is one.
    credential: Option<Arc<KeyCredential>>,
    url: Py<PyString>,
}

/// A credential with a `key` that its owner may replace at any time (`AzureKeyCredential` of azure-core).
struct KeyCredential {
    credential: Py<PyAny>,
    /// The text that the client's signing key was made of.
    seen: ArcSwap<Py<PyAny>>,
}

#[pymethods]
impl SignalRClient {
    #[new]
    #[allow(clippy::too_many_arguments, reason = "one for each argument of the public constructor")]
    fn new(
        py: Python<'_>,
        endpoint: &Bound<'_, PyAny>,
        hub: &Bound<'_, PyAny>,
        credential: Option<Bound<'_, PyAny>>,
        client_endpoint: Option<&Bound<'_, PyAny>>,
        server_endpoint: Option<&Bound<'_, PyAny>>,
        application_name: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        on_event: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let endpoint = convert::text_argument("endpoint", endpoint)?;
        let client = client_endpoint.map(|text| convert::text_argument("client_endpoint", text)).transpose()?;
        let server = server_endpoint.map(|text| convert::text_argument("server_endpoint", text)).transpose()?;
        let endpoints = Endpoints::from_arguments(&endpoint, client.as_deref(), server.as_deref())?;
        let credential = credential.ok_or_else(no_credential)?;
        let key = current_key(&credential)?;
        let access_key = SigningKey::new(&key.to_cow()?, None);
        let credential =
            KeyCredential { credential: credential.unbind(), seen: ArcSwap::from_pointee(key.into_any().unbind()) };
        let options = options(endpoints, access_key, application_name, timeout, on_event)?;
        Self::make(py, options, hub, Some(Arc::new(credential)))
    }

    /// A client from a connection string that holds an access key.
    #[staticmethod]
    fn from_connection_string(
        py: Python<'_>,
        connection_string: &Bound<'_, PyAny>,
        hub: &Bound<'_, PyAny>,
        application_name: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        on_event: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let text = convert::text_argument("connection_string", connection_string)?;
        let parsed = ConnectionString::parse(&text)?;
        for warning in &parsed.warnings {
            warn(py, warning)?;
        }
        let access_key = match &parsed.auth {
            Auth::AccessKey(key) => SigningKey::new(key.expose(), None),
            other => return Err(entra_unsupported(other.kind()).into()),
        };
        let options = options(parsed.endpoints(), access_key, application_name, timeout, on_event)?;
        Self::make(py, options, hub, None)
    }

    /// A client for another hub that shares this one's credential, key and connections.
    fn for_hub(&self, py: Python<'_>, hub: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.client.check_open()?;
        let client = self.client.for_hub(Hub::parse(&convert::text_argument("hub", hub)?)?);
        Ok(Self::wrap(py, client, self.credential.clone()))
    }

    /// Signs a token; see `SignalRServiceClient.negotiate`.
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
    ) -> PyResult<Bound<'py, PyDict>> {
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
        convert::timeout(timeout)?;
        self.follow_credential(py)?;
        self.answer(py, &negotiation)
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
        bridge::wait(py, self.sending(py, target, arguments, excluded, timeout)?)
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
        bridge::start(py, self.sending(py, target, arguments, excluded, timeout)?, deliver)
    }

    fn close(&self) {
        self.client.close();
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

    #[getter]
    fn closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl SignalRClient {
    fn make(
        py: Python<'_>,
        options: SignalROptions,
        hub: &Bound<'_, PyAny>,
        credential: Option<Arc<KeyCredential>>,
    ) -> PyResult<Self> {
        let hub = Hub::parse(&convert::text_argument("hub", hub)?)?;
        let browsers = &options.endpoints.client;
        if !browsers.is_private() {
            let host = browsers.host();
            warn(
                py,
                &format!("Clients will send their tokens over plain http to {host}. Use https:// in its endpoint."),
            )?;
        }
        Ok(Self::wrap(py, client::SignalRClient::new(options, hub), credential))
    }

    fn wrap(py: Python<'_>, client: client::SignalRClient, credential: Option<Arc<KeyCredential>>) -> Self {
        let url = PyString::new(py, client.client_url()).unbind();
        Self { client: Arc::new(client), credential, url }
    }

    /// Takes a new key from the credential if its owner has replaced it since the last look.
    fn follow_credential(&self, py: Python<'_>) -> PyResult<()> {
        let Some(held) = &self.credential else { return Ok(()) };
        let key = current_key(held.credential.bind(py))?;
        if !key.is(&**held.seen.load()) {
            self.client.set_access_key(SigningKey::new(&key.to_cow()?, None));
            held.seen.store(Arc::new(key.into_any().unbind()));
        }
        Ok(())
    }

    fn answer<'py>(&self, py: Python<'py>, negotiation: &Negotiation<'_>) -> PyResult<Bound<'py, PyDict>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let negotiated = self.client.negotiate(Now::read(), negotiation)?;
        if negotiated.warn_of_length {
            warn(py, &negotiated.length_warning())?;
        }
        let signed = negotiated.signed;
        let answer = CLASS.import(py, "hubpass.models", "NegotiationResponse")?.call0()?;
        let members = answer.cast::<PyDict>()?;
        members.set_item(intern!(py, "url"), &self.url)?;
        members.set_item(intern!(py, "accessToken"), signed.token)?;
        answer.setattr(intern!(py, "_kid"), signed.kid.as_deref())?;
        answer.setattr(intern!(py, "_expires_on"), signed.expires_on)?;
        Ok(answer.cast_into()?)
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
        let client = Arc::clone(&self.client);
        Ok(async move { client.send_to_all(process::current()?, message, excluded, timeout).await })
    }
}

/// A connection string, read; for tests of the reader.
#[pyclass(frozen, get_all, module = "hubpass._native")]
pub struct ParsedConnectionString {
    kind: &'static str,
    endpoint: String,
    client_endpoint: Option<String>,
    server_endpoint: Option<String>,
    version: Option<String>,
    warnings: Vec<String>,
}

/// Reads a connection string without making a client.
#[pyfunction]
pub fn parse_connection_string(text: &str) -> Result<ParsedConnectionString> {
    let ConnectionString { endpoint, client_endpoint, server_endpoint, auth, version, warnings } =
        ConnectionString::parse(text)?;
    Ok(ParsedConnectionString {
        kind: auth.kind(),
        endpoint: endpoint.as_text(),
        client_endpoint: client_endpoint.as_ref().map(Endpoint::as_text),
        server_endpoint: server_endpoint.as_ref().map(Endpoint::as_text),
        version,
        warnings,
    })
}

/// The lifetime; the default object of the public signature is known by its identity, which saves reading it.
fn lifetime_argument(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    static DEFAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is(DEFAULT.import(py, "hubpass.models", "DEFAULT_LIFETIME")?) {
        return Ok(Negotiation::<'_>::DEFAULT_LIFETIME);
    }
    Ok(convert::lifetime(value)?)
}

fn options(
    endpoints: Endpoints,
    access_key: SigningKey,
    application_name: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
    on_event: Option<Bound<'_, PyAny>>,
) -> Result<SignalROptions> {
    /// Ten seconds: long enough for a slow answer, short enough for a user who waits.
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    let application = match application_name {
        Some(name) => ApplicationName::parse(&convert::text_argument("application_name", name)?)?,
        None => None,
    };
    let observer = match on_event {
        Some(callback) if !callback.is_callable() => {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument on_event cannot be called.",
                "Pass on_event= with a function that takes one hubpass.Event.",
            ));
        }
        callback => callback.map(|callback| Arc::new(PyObserver::new(callback.unbind())) as Arc<dyn Observer>),
    };
    let timeout = convert::timeout(timeout)?.unwrap_or(DEFAULT_TIMEOUT);
    Ok(SignalROptions { endpoints, access_key, application, timeout, observer, proxies: ProxyVariables::read() })
}

/// The key of a credential as it is now.
fn current_key<'py>(credential: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let key = credential.getattr_opt(intern!(credential.py(), "key"))?.and_then(|key| key.cast_into().ok());
    let key = key.filter(|key: &Bound<'_, PyString>| key.to_cow().is_ok_and(|key| !key.is_empty()));
    key.ok_or_else(|| unsupported_credential(credential).into())
}

fn unsupported_credential(credential: &Bound<'_, PyAny>) -> Error {
    let hint = if credential.is_instance_of::<PyString>() {
        "Pass credential=AzureKeyCredential(key) of azure.core.credentials, or use from_connection_string()."
    } else if credential.hasattr("get_token").unwrap_or(false) {
        "Microsoft Entra ID is not supported in this version: pass credential=AzureKeyCredential(key) of azure.core.credentials."
    } else {
        "Pass credential=AzureKeyCredential(key) of azure.core.credentials, with a key that is not empty."
    };
    let name = credential.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    Error::new(
        Code::CredentialUnsupported,
        format!("The credential is {name}, which has no access key to sign with."),
        hint,
    )
}

fn no_credential() -> Error {
    Error::new(
        Code::CredentialMissing,
        "No credential was passed.",
        "Pass credential=AzureKeyCredential(key) of azure.core.credentials, or use from_connection_string().",
    )
}

fn entra_unsupported(kind: &str) -> Error {
    Error::new(
        Code::CredentialUnsupported,
        format!("The connection string asks for Microsoft Entra ID ({kind}), which this version does not support."),
        "Use a connection string with AccessKey=...; : az signalr key list -n <resource> -g <group>",
    )
}

/// Warns the caller of the public method.
fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    static CATEGORY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let category = CATEGORY.import(py, "hubpass.exceptions", "HubpassWarning")?;
    let message = CString::new(message).unwrap_or_default();
    PyErr::warn(py, category, &message, STACK_LEVEL)
}
