//! The arguments of a client's constructors, as the core's options.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::client::{Credential as ClientCredential, SignalROptions, WebPubSubCredential, WebPubSubOptions};
use crate::clock::Clock;
use crate::connection_string::{Auth, ConnectionString};
use crate::credential::application::{Application, Authority};
use crate::credential::certificate::{Certificate, CertificateFile};
use crate::credential::default::DefaultCredential;
use crate::credential::exchange::ApplicationFlow;
use crate::credential::flow::{Flow, FlowSource};
use crate::credential::managed_identity::{ManagedIdentity, UserAssigned};
use crate::credential::{TokenRequest, TokenSource, Tokens};
use crate::endpoint::{ApplicationName, Endpoints, Service};
use crate::env::{self, ProxyVariables, TrustVariables};
use crate::error::{Code, Error, Result};
use crate::keys::{KeyPolicy, SigningKey};
use crate::observe::Observer;
use crate::process::ThisProcess;
use crate::python::convert;
use crate::python::credential::{AsyncCredential, SyncCredential, is_async};
use crate::python::identity::Credential;
use crate::python::observer::PyObserver;
use crate::python::references::{References, WeakReferences};
use crate::python::warnings::warn;
use crate::refresh::CellPolicy;
use crate::rest::transport::HttpTransport;
use crate::settings::Names;
use crate::world::World;

/// The keywords that both ways of making a client share. The clients of Web PubSub have no application and no keys.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Keywords<'py> {
    #[pyo3(default)]
    application_name: Option<Bound<'py, PyAny>>,
    authority: Option<Bound<'py, PyAny>>,
    ca_file: Option<Bound<'py, PyAny>>,
    #[pyo3(default)]
    key_policy: Option<Bound<'py, PyAny>>,
    on_event: Option<Bound<'py, PyAny>>,
    scope: Option<Bound<'py, PyAny>>,
    timeout: Option<Bound<'py, PyAny>>,
    #[pyo3(default)]
    verify_keys: Option<Bound<'py, PyAny>>,
    #[cfg(feature = "testing")]
    #[pyo3(default)]
    clock: Option<Bound<'py, crate::python::testing::ManualClock>>,
}

/// What a client is made of, whichever service it is for.
pub struct Parts {
    endpoints: Endpoints,
    proven: Proven,
    timeout: Duration,
    world: World,
}

/// What proves who we are.
enum Proven {
    AccessKey(SigningKey),
    Entra(Arc<Tokens>),
}

impl Parts {
    /// As the options of a client of Azure SignalR Service.
    pub fn signalr(self, keywords: &Keywords<'_>) -> PyResult<SignalROptions> {
        let Self { endpoints, proven, timeout, world } = self;
        let credential = match proven {
            Proven::AccessKey(key) => ClientCredential::AccessKey(key),
            Proven::Entra(tokens) => ClientCredential::Entra(tokens, keywords.key_policy()?),
        };
        let application = match &keywords.application_name {
            Some(name) => ApplicationName::parse(&convert::text_argument("application_name", name)?)?,
            None => None,
        };
        Ok(SignalROptions { endpoints, credential, application, timeout, world })
    }

    /// As the options of a client of Azure Web PubSub.
    pub fn web_pubsub(self) -> WebPubSubOptions {
        let Self { endpoints, proven, timeout, world } = self;
        let credential = match proven {
            Proven::AccessKey(key) => WebPubSubCredential::AccessKey(key),
            Proven::Entra(tokens) => WebPubSubCredential::Entra(tokens),
        };
        WebPubSubOptions { endpoints, credential, timeout, world }
    }
}

impl<'py> Keywords<'py> {
    fn scope(&self, service: Service) -> Result<String> {
        let Some(scope) = &self.scope else { return Ok(service.scope().to_owned()) };
        let scope = convert::text_argument("scope", scope)?;
        let is_sendable = scope.bytes().all(|byte| byte.is_ascii_graphic());
        if is_sendable && scope.strip_suffix("/.default").is_some_and(|resource| !resource.is_empty()) {
            return Ok(scope.into_owned());
        }
        Err(Error::new(
            Code::InvalidArgument,
            "The argument scope is not the scope of a resource.",
            format!("Pass scope=\"{}\", or that of your cloud; it ends with /.default.", service.scope()),
        ))
    }

    fn authority(&self) -> Result<Option<String>> {
        let text = self.authority.as_ref().map(|text| convert::text_argument("authority", text)).transpose()?;
        Ok(text.map(Cow::into_owned))
    }

    fn key_policy(&self) -> PyResult<KeyPolicy> {
        let verified = self.verify_keys.as_ref().map(|flag| convert::flag("verify_keys", flag)).transpose()?;
        Ok(self.life_of_keys()?.verified(verified.unwrap_or_default()))
    }

    fn life_of_keys(&self) -> PyResult<KeyPolicy> {
        let Some(policy) = &self.key_policy else { return Ok(KeyPolicy::default()) };
        let invalid = |name: &str| {
            Error::new(
                Code::InvalidArgument,
                format!("The key policy has no usable {name}."),
                format!("Pass key_policy=KeyPolicy({name}=...), with two timedeltas for renew_after and retry_after."),
            )
        };
        let setting = |name: &str| policy.getattr(name).map_err(|_| invalid(name));
        let duration = |name: &str| convert::duration(name, &setting(name)?);
        let pair = |name: &str| {
            let both: Vec<Bound<'_, PyAny>> = setting(name)?.extract().map_err(|_| invalid(name))?;
            let [from, to] = both.as_slice() else { return Err(invalid(name)) };
            Ok((convert::duration(name, from)?, convert::duration(name, to)?))
        };
        Ok(KeyPolicy::new(duration("lifetime")?, pair("renew_after")?, duration("margin")?, pair("retry_after")?)?)
    }

    fn clock(&self, endpoints: &Endpoints) -> Clock {
        #[cfg(feature = "testing")]
        if let Some(clock) = &self.clock {
            return Clock::Manual(clock.get().clock());
        }
        if endpoints.endpoint.is_loopback() && endpoints.server.is_loopback() { Clock::Local } else { Clock::System }
    }

    /// What the client is going to refer to: the callback, and the credential if there is one.
    fn references(&self, py: Python<'py>, credential: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, References>> {
        if self.on_event.as_ref().is_some_and(|callback| !callback.is_callable()) {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument on_event cannot be called.",
                "Pass on_event= with a function that takes one hubpass.Event.",
            )
            .into());
        }
        References::new(py, self.on_event.as_ref(), credential)
    }

    fn world(&self, references: &Bound<'_, References>, endpoints: &Endpoints) -> PyResult<World> {
        world(references, self.ca_file.as_ref(), self.clock(endpoints))
    }

    fn parts(&self, endpoints: Endpoints, proven: Proven, world: World) -> Result<Parts> {
        /// Ten seconds: long enough for a slow answer, short enough for a user who waits.
        const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
        let timeout = convert::timeout(self.timeout.as_ref())?.unwrap_or(DEFAULT_TIMEOUT);
        Ok(Parts { endpoints, proven, timeout, world })
    }
}

/// The outside, as the environment and `ca_file` describe it.
pub fn world(references: &Bound<'_, References>, ca_file: Option<&Bound<'_, PyAny>>, clock: Clock) -> PyResult<World> {
    let ca_file: Option<PathBuf> = ca_file.map(|path| path.extract()).transpose().map_err(|_| {
        Error::new(Code::InvalidArgument, "The argument ca_file is not a path.", "Pass ca_file=\"/path/to/ca.pem\".")
    })?;
    let observer: Arc<dyn Observer> = Arc::new(PyObserver::new(WeakReferences::new(references)?));
    let transport = Arc::new(HttpTransport::new(ProxyVariables::read(), TrustVariables::read(), ca_file));
    Ok(World::new(clock, Arc::new(ThisProcess), transport, Some(observer)))
}

fn entra(source: Arc<dyn TokenSource>, world: &World) -> Proven {
    Proven::Entra(Tokens::new(source, CellPolicy::default(), world.clone()))
}

/// What a client is made of, from its addresses and a credential, and what it has to refer to.
pub fn from_arguments<'py>(
    py: Python<'py>,
    service: Service,
    endpoints: Endpoints,
    credential: Option<&Bound<'py, PyAny>>,
    client_is_async: bool,
    keywords: &Keywords<'py>,
) -> PyResult<(Parts, Bound<'py, References>)> {
    let Some(credential) = credential else {
        return with_flow(py, service, endpoints, &Auth::Default, keywords);
    };
    let references = keywords.references(credential.py(), Some(credential))?;
    let world = keywords.world(&references, &endpoints)?;
    if let Some(key) = current_key(credential)? {
        let shared = Proven::AccessKey(SigningKey::new(&key.to_cow()?, None));
        references.get().remember_key(key);
        return Ok((keywords.parts(endpoints, shared, world)?, references));
    }
    let weak = WeakReferences::new(&references)?;
    let scope = keywords.scope(service)?;
    let flow: Arc<dyn Flow> = match Credential::unwrapped(credential)? {
        Some(ours) if ours.get().needs_loop() && !client_is_async => {
            return Err(other_kind(service, credential, client_is_async).into());
        }
        Some(ours) => Arc::clone(ours.get().core()) as Arc<dyn Flow>,
        None => match is_async(credential)? {
            Some(true) if client_is_async => Arc::new(AsyncCredential::new(credential, weak)),
            Some(false) if !client_is_async => Arc::new(SyncCredential::new(credential, weak)),
            Some(_) => return Err(other_kind(service, credential, client_is_async).into()),
            None => return Err(unsupported_credential(credential).into()),
        },
    };
    let source = FlowSource::new(flow, TokenRequest::new(vec![scope])?);
    let proven = entra(Arc::new(source), &world);
    Ok((keywords.parts(endpoints, proven, world)?, references))
}

/// What a client is made of, from what the environment says of its service. A credential takes the place of the identity
/// that it names.
pub fn from_env<'py>(
    py: Python<'py>,
    service: Service,
    credential: Option<&Bound<'py, PyAny>>,
    client_is_async: bool,
    keywords: &Keywords<'py>,
) -> PyResult<(Parts, Bound<'py, References>)> {
    let parsed = Names::of(service).read(env::variable, |text| ConnectionString::for_service(service, text))?;
    match credential {
        Some(_) => from_arguments(py, service, parsed.endpoints(), credential, client_is_async, keywords),
        None => from_connection_string(py, service, &parsed, keywords),
    }
}

/// What a client is made of, from a connection string, and what it has to refer to.
pub fn from_connection_string<'py>(
    py: Python<'py>,
    service: Service,
    parsed: &ConnectionString,
    keywords: &Keywords<'py>,
) -> PyResult<(Parts, Bound<'py, References>)> {
    for warning in &parsed.warnings {
        warn(py, warning)?;
    }
    with_flow(py, service, parsed.endpoints(), &parsed.auth, keywords)
}

/// What a client is made of that proves itself in one of the ways that connection strings know.
fn with_flow<'py>(
    py: Python<'py>,
    service: Service,
    endpoints: Endpoints,
    auth: &Auth,
    keywords: &Keywords<'py>,
) -> PyResult<(Parts, Bound<'py, References>)> {
    let references = keywords.references(py, None)?;
    let world = keywords.world(&references, &endpoints)?;
    if let Auth::AccessKey(key) = auth {
        let shared = Proven::AccessKey(SigningKey::new(key.expose(), None));
        return Ok((keywords.parts(endpoints, shared, world)?, references));
    }
    let request = TokenRequest::new(vec![keywords.scope(service)?])?;
    let source = FlowSource::new(flow(auth, keywords.authority()?, &world)?, request);
    let proven = entra(Arc::new(source), &world);
    Ok((keywords.parts(endpoints, proven, world)?, references))
}

/// The way to get tokens that a connection string names.
fn flow(auth: &Auth, authority: Option<String>, world: &World) -> Result<Arc<dyn Flow>> {
    let application = |tenant_id: &str, client_id: &str| {
        let authority = Authority::choose(authority.as_deref(), &env::variable)?;
        Application::new(tenant_id, client_id, authority, Vec::new(), &env::variable)
    };
    let managed = |user_assigned| {
        ManagedIdentity { user_assigned, includes_workload: true, ..ManagedIdentity::default() }
            .flow(&env::variable, world)
    };
    Ok(match auth {
        Auth::ClientSecret { client_id, tenant_id, secret } => {
            let application = application(tenant_id, client_id)?;
            Arc::new(ApplicationFlow::new("ClientSecretCredential", application, Box::new(secret.clone()), world))
        }
        Auth::ClientCertificate { client_id, tenant_id, path } => {
            let application = application(tenant_id, client_id)?;
            let file = Certificate::File(CertificateFile { path: PathBuf::from(path), password: None });
            let prover = file.prover(client_id, false, world);
            Arc::new(ApplicationFlow::new("CertificateCredential", application, Box::new(prover), world))
        }
        Auth::ManagedIdentitySystem => managed(None)?,
        Auth::ManagedIdentityUser { client_id } => managed(Some(UserAssigned::ClientId(client_id.clone())))?,
        Auth::AccessKey(_) | Auth::Default => {
            Arc::new(DefaultCredential { authority, ..DefaultCredential::default() }.flow(&env::variable, world)?)
        }
    })
}

/// Warns of an endpoint at which everybody on the way can read the tokens of clients.
pub fn warn_of_plain_http(py: Python<'_>, endpoints: &Endpoints) -> PyResult<()> {
    if endpoints.client.is_private() {
        return Ok(());
    }
    let host = endpoints.client.host();
    warn(py, &format!("Clients will send their tokens over plain http to {host}. Use https:// in its endpoint."))
}

/// The key of a credential as it is now, if it has one.
pub fn current_key<'py>(credential: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
    let key = credential.getattr_opt(intern!(credential.py(), "key"))?.and_then(|key| key.cast_into().ok());
    Ok(key.filter(|key: &Bound<'_, PyString>| key.to_cow().is_ok_and(|key| !key.is_empty())))
}

/// The error for a credential that proves nothing to the service.
pub fn unsupported_credential(credential: &Bound<'_, PyAny>) -> Error {
    let hint = if credential.is_instance_of::<PyString>() {
        "Pass credential=AzureKeyCredential(key) of azure.core.credentials, or use from_connection_string()."
    } else {
        "Pass credential=DefaultAzureCredential() of azure.identity, or AzureKeyCredential(key) of azure.core.credentials with a key that is not empty."
    };
    let message = format!(
        "The credential is {}, which has neither an access key nor get_token().",
        convert::type_name(credential)
    );
    Error::new(Code::CredentialUnsupported, message, hint)
}

/// A credential of the other world: its methods would block an event loop, or need one that is not there.
fn other_kind(service: Service, credential: &Bound<'_, PyAny>, client_is_async: bool) -> Error {
    let (name, client) = (convert::type_name(credential), service.client_class());
    let (message, hint) = if client_is_async {
        (
            format!("The credential {name} blocks, and this client is async."),
            format!("Pass a credential of azure.identity.aio, or use hubpass.{client}."),
        )
    } else {
        (
            format!("The credential {name} is async, and this client is not."),
            format!("Pass a credential of azure.identity, or use hubpass.aio.{client}."),
        )
    };
    Error::new(Code::CredentialUnsupported, message, hint)
}
