//! The native half of the classes of `hubpass.identity`, sync and async alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::command::Programs;
use crate::credential::application::Application;
use crate::credential::certificate::{Certificate, CertificateFile};
use crate::credential::chain::Chain;
use crate::credential::cli::{AzureCli, AzureDeveloperCli};
use crate::credential::default::{DefaultCredential, Member};
use crate::credential::environment;
use crate::credential::exchange::{ApplicationFlow, Prover};
use crate::credential::flow::Flow;
use crate::credential::managed_identity::ManagedIdentity;
use crate::credential::pipelines::ServiceConnection;
use crate::credential::workload_identity::WorkloadIdentity;
use crate::credential::{self, Caller, Fault, TokenRequest};
use crate::env;
use crate::error::{Code, Error, Result};
use crate::python::bridge::{self, PendingAnswer};
use crate::python::construction::unsupported_credential;
use crate::python::credential::{AssertionFunction, AsyncCredential, SyncCredential, caller, is_async};
use crate::python::identity_arguments::{
    Keywords, certificate_missing, password_argument, process_limit, text_keyword, user_assigned,
};
use crate::python::references::{References, WeakReferences};
use crate::python::token_answer::{Given, GivenBefore};
use crate::python::{convert, exit};
use crate::secret::Secret;
use crate::world::World;

/// The longest that a caller waits for a token. Each source has a deadline of its own; this is for all members of a chain.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A credential.
#[pyclass(frozen, weakref, module = "hubpass._native")]
pub struct Credential {
    core: Arc<credential::Credential>,
    /// The application's objects: a function, members of a chain.
    references: Vec<Py<References>>,
    is_async: bool,
    needs_loop: bool,
    given: GivenBefore,
}

#[pymethods]
impl Credential {
    /// An application with a secret.
    #[staticmethod]
    fn client_secret(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        client_id: &Bound<'_, PyAny>,
        client_secret: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let application = keywords.application(tenant_id, client_id)?;
        let secret = Secret::new(convert::text_argument("client_secret", client_secret)?.into_owned());
        if secret.expose().is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument client_secret is empty.",
                "Pass client_secret= with the value of the secret: az ad app credential reset --id <client id>",
            )
            .into());
        }
        Self::of_application(py, "ClientSecretCredential", application, &keywords, is_async, |_| Ok(Box::new(secret)))
    }

    /// An application with a certificate, in a file or in memory.
    #[staticmethod]
    #[allow(clippy::too_many_arguments, reason = "one for each argument of the public constructor")]
    fn certificate(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        client_id: &Bound<'_, PyAny>,
        path: Option<&Bound<'_, PyAny>>,
        data: Option<&Bound<'_, PyAny>>,
        password: Option<&Bound<'_, PyAny>>,
        send_chain: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let application = keywords.application(tenant_id, client_id)?;
        let password = password.map(password_argument).transpose()?;
        let certificate = match (path, data) {
            (Some(path), None) => {
                let path =
                    path.extract().map_err(|_| certificate_missing("The argument certificate_path is no path."))?;
                Certificate::File(CertificateFile { path, password })
            }
            (None, Some(data)) => {
                let data = data
                    .cast::<PyBytes>()
                    .map_err(|_| certificate_missing("The argument certificate_data is not bytes."))?;
                Certificate::from_bytes(data.as_bytes(), password.as_ref())?
            }
            _ => {
                let message = "Not exactly one of certificate_path and certificate_data was passed.";
                return Err(certificate_missing(message).into());
            }
        };
        let is_chain_sent = convert::flag("send_certificate_chain", send_chain)?;
        let client_id = application.client_id.clone();
        Self::of_application(py, "CertificateCredential", application, &keywords, is_async, |world| {
            Ok(Box::new(certificate.prover(&client_id, is_chain_sent, world)))
        })
    }

    /// An application for which a function gives assertions.
    #[staticmethod]
    fn client_assertion(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        client_id: &Bound<'_, PyAny>,
        func: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        const NAME: &str = "ClientAssertionCredential";
        let application = keywords.application(tenant_id, client_id)?;
        if !func.is_callable() {
            return Err(Error::new(
                Code::InvalidArgument,
                "The argument func cannot be called.",
                "Pass func= with a function that takes no arguments and returns a JSON Web Token as a str.",
            )
            .into());
        }
        let references = References::new(py, None, Some(func))?;
        let prover = AssertionFunction::new(WeakReferences::new(&references)?, NAME);
        let world = keywords.world(&references)?;
        let flow = ApplicationFlow::new(NAME, application, Box::new(prover), &world);
        Ok(Self::make(Arc::new(flow), world, vec![references.unbind()], is_async))
    }

    /// A service connection of Azure Pipelines.
    #[staticmethod]
    fn azure_pipelines(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        client_id: &Bound<'_, PyAny>,
        service_connection_id: &Bound<'_, PyAny>,
        system_access_token: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let application = keywords.application(tenant_id, client_id)?;
        let id = convert::text_argument("service_connection_id", service_connection_id)?;
        let token = convert::text_argument("system_access_token", system_access_token)?;
        let token = Secret::new(token.into_owned());
        Self::of_application(py, "AzurePipelinesCredential", application, &keywords, is_async, |world| {
            Ok(Box::new(ServiceConnection::new(&id, token, &env::variable, world)?))
        })
    }

    /// A workload of Kubernetes.
    #[staticmethod]
    fn workload_identity(
        py: Python<'_>,
        tenant_id: Option<&Bound<'_, PyAny>>,
        client_id: Option<&Bound<'_, PyAny>>,
        token_file_path: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let path: Option<PathBuf> = token_file_path.map(|path| path.extract()).transpose().map_err(|_| {
            Error::new(
                Code::InvalidArgument,
                "The argument token_file_path is not a path.",
                "Pass token_file_path=\"/var/run/secrets/azure/tokens/azure-identity-token\", or leave it out.",
            )
        })?;
        let workload = WorkloadIdentity {
            tenant_id: text_keyword("tenant_id", tenant_id)?,
            client_id: text_keyword("client_id", client_id)?,
            token_file_path: path.map(|path| path.to_string_lossy().into_owned()),
            additionally_allowed_tenants: keywords.allowed_tenants()?,
        };
        let authority = keywords.authority()?;
        Self::simple(py, &keywords, is_async, |world| Ok(Arc::new(workload.flow(authority, &env::variable, world)?)))
    }

    /// A managed identity.
    #[staticmethod]
    fn managed_identity(
        py: Python<'_>,
        client_id: Option<&Bound<'_, PyAny>>,
        identity_config: Option<&Bound<'_, PyAny>>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let user_assigned = user_assigned(client_id, identity_config)?;
        let arc_keys = keywords.arc_keys();
        Self::simple(py, &keywords, is_async, |world| {
            ManagedIdentity { user_assigned, includes_workload: true, arc_keys }.flow(&env::variable, world)
        })
    }

    /// An application that the environment describes.
    #[staticmethod]
    fn environment(py: Python<'_>, keywords: Keywords<'_>, is_async: bool) -> PyResult<Self> {
        let (authority, allowed) = (keywords.authority()?, keywords.allowed_tenants()?);
        Self::simple(py, &keywords, is_async, |world| environment::flow(authority, allowed, &env::variable, world))
    }

    /// Whoever has signed in with the Azure CLI.
    #[staticmethod]
    fn azure_cli(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        subscription: Option<&Bound<'_, PyAny>>,
        process_timeout: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let tenant_id = convert::text_argument("tenant_id", tenant_id)?;
        let subscription = text_keyword("subscription", subscription)?;
        let programs = Programs::new(env::all(), process_limit(process_timeout)?);
        let allowed = keywords.allowed_tenants()?;
        Self::simple(py, &keywords, is_async, |_| {
            Ok(Arc::new(AzureCli::new(subscription, &tenant_id, allowed, programs, &env::variable)?))
        })
    }

    /// Whoever has signed in with the Azure Developer CLI.
    #[staticmethod]
    fn azure_developer_cli(
        py: Python<'_>,
        tenant_id: &Bound<'_, PyAny>,
        process_timeout: &Bound<'_, PyAny>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let tenant_id = convert::text_argument("tenant_id", tenant_id)?;
        let programs = Programs::new(env::all(), process_limit(process_timeout)?);
        let allowed = keywords.allowed_tenants()?;
        Self::simple(py, &keywords, is_async, |_| {
            Ok(Arc::new(AzureDeveloperCli::new(&tenant_id, allowed, programs, &env::variable)?))
        })
    }

    /// Members in the order in which they are tried: ours, or the application's.
    #[staticmethod]
    fn chained(py: Python<'_>, members: &Bound<'_, PyTuple>, keywords: Keywords<'_>, is_async: bool) -> PyResult<Self> {
        let own = References::new(py, None, None)?;
        let world = keywords.world(&own)?;
        let mut references = vec![own.unbind()];
        let (mut flows, mut needs_loop): (Vec<Arc<dyn Flow>>, _) = (Vec::new(), false);
        for member in members {
            if let Some(credential) = Self::unwrapped(&member)? {
                let credential = credential.get();
                needs_loop |= credential.needs_loop;
                references.extend(credential.references.iter().map(|reference| reference.clone_ref(py)));
                flows.push(Arc::clone(&credential.core) as Arc<dyn Flow>);
                continue;
            }
            let member_references = References::new(py, None, Some(&member))?;
            let weak = WeakReferences::new(&member_references)?;
            references.push(member_references.unbind());
            flows.push(match self::is_async(&member)? {
                Some(true) => {
                    needs_loop = true;
                    Arc::new(AsyncCredential::new(&member, weak))
                }
                Some(false) => Arc::new(SyncCredential::new(&member, weak)),
                None => return Err(unsupported_credential(&member).into()),
            });
        }
        if needs_loop && !is_async {
            return Err(Error::new(
                Code::CredentialUnsupported,
                "A member of the chain is async, and the chain is not.",
                "Pass credentials of azure.identity, or use hubpass.identity.aio.ChainedTokenCredential.",
            )
            .into());
        }
        let hint = "Take up what one of them says, or put another credential into the chain.";
        let chain = Chain::new("ChainedTokenCredential", flows, Vec::new(), hint)?;
        let core = credential::Credential::new(Arc::new(chain), world);
        Ok(Self { core, references, is_async, needs_loop, given: GivenBefore::default() })
    }

    /// Whatever identity the machine offers.
    #[staticmethod]
    fn default(
        py: Python<'_>,
        exclusions: &Bound<'_, PyDict>,
        options: &Bound<'_, PyDict>,
        keywords: Keywords<'_>,
        is_async: bool,
    ) -> PyResult<Self> {
        let exclusions = exclusions.iter().filter(|(_, value)| !value.is_none()).map(|(name, value)| {
            let name = convert::text_argument("exclude_*", &name)?.into_owned();
            let member = Member::ALL.into_iter().find(|member| member.keyword() == name);
            let is_excluded = convert::flag(&name, &value)?;
            Ok(member.map(|member| (member, is_excluded)))
        });
        let exclusions: Vec<_> = exclusions.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        // A key that is there with None in it says that the environment does not count.
        let given = |name: &str| -> PyResult<Option<Option<String>>> {
            Ok(match options.get_item(name)? {
                Some(value) => Some(text_keyword(name, Some(&value).filter(|value| !value.is_none()))?),
                None => None,
            })
        };
        let process_timeout = options.get_item("process_timeout")?;
        let require_envvar = options.get_item("require_envvar")?;
        let mut chain = DefaultCredential {
            authority: keywords.authority_text()?,
            exclusions,
            managed_identity_client_id: given("managed_identity_client_id")?,
            workload_identity_client_id: given("workload_identity_client_id")?,
            workload_identity_tenant_id: given("workload_identity_tenant_id")?.flatten(),
            additionally_allowed_tenants: keywords.allowed_tenants()?,
            ..DefaultCredential::default()
        };
        if let Some(limit) = process_timeout {
            chain.process_timeout = process_limit(&limit)?;
        }
        if let Some(flag) = require_envvar {
            chain.require_envvar = convert::flag("require_envvar", &flag)?;
        }
        Self::simple(py, &keywords, is_async, |world| Ok(Arc::new(chain.flow(&env::variable, world)?)))
    }

    /// The `AccessToken` that was given last, if it was for the same scope and nothing else and is still the one to give. It
    /// runs no Python code and never waits.
    fn again(&self, py: Python<'_>, scopes: &Bound<'_, PyTuple>) -> Option<Py<PyAny>> {
        self.given.again(py, scopes)
    }

    /// A token as azure-core's `AccessToken`, or as its `AccessTokenInfo`. Without one in hand a sync credential waits, and
    /// an async one gives a `PendingAnswer`.
    #[allow(clippy::too_many_arguments, reason = "one for each option of the public methods, and which of them it is")]
    fn get_token<'py>(
        &self,
        py: Python<'py>,
        scopes: &Bound<'py, PyTuple>,
        claims: Option<&Bound<'py, PyAny>>,
        tenant_id: Option<&Bound<'py, PyAny>>,
        enable_cae: &Bound<'py, PyAny>,
        is_info: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inside = exit::enter(py)?;
        let texts = scopes.iter().map(|scope| Ok(convert::text_argument("scopes", &scope)?.into_owned()));
        let request = TokenRequest {
            claims: text_keyword("claims", claims)?,
            tenant_id: text_keyword("tenant_id", tenant_id)?,
            enable_cae: convert::flag("enable_cae", enable_cae)?,
            ..TokenRequest::new(texts.collect::<Result<_>>()?)?
        };
        // What was fetched with claims replaces what is kept without them.
        if request.claims.is_none() {
            let tokens = self.core.tokens(request.clone())?;
            if let Some(outcome) = tokens.in_hand(|| caller(py, self.is_async)) {
                let token = outcome?;
                let given = Given { token: Arc::clone(&token), is_info }.into_pyobject(py)?;
                if !is_info && request.tenant_id.is_none() && !request.enable_cae {
                    self.given.keep(scopes, tokens, token, &given)?;
                }
                return Ok(given);
            }
        }
        let core = Arc::clone(&self.core);
        let waiting = obtain(core, request, caller(py, self.is_async), is_info);
        if self.is_async {
            return Ok(Bound::new(py, PendingAnswer::new(waiting))?.into_any());
        }
        let (given, _inside) = bridge::wait(py, inside, waiting)?;
        given.into_pyobject(py)
    }

    /// Lets go of connections.
    fn close(&self) {
        self.given.forget();
        self.core.close();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.references.iter().try_for_each(|references| visit.call(references))
    }
}

impl Credential {
    /// What a credential of `hubpass.identity` is over, so that it is never called through Python. A class that is derived
    /// from one of ours may do things its own way.
    pub fn unwrapped<'py>(credential: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Self>>> {
        let py = credential.py();
        let module = credential.get_type().module()?;
        let is_ours =
            module.to_cow().is_ok_and(|name| name == "hubpass.identity" || name.starts_with("hubpass.identity."));
        if !is_ours {
            return Ok(None);
        }
        Ok(credential.getattr_opt(intern!(py, "_native"))?.and_then(|native| native.cast_into().ok()))
    }

    /// The core.
    pub fn core(&self) -> &Arc<credential::Credential> {
        &self.core
    }

    /// Whether a member is a Python credential whose methods are coroutines.
    pub fn needs_loop(&self) -> bool {
        self.needs_loop
    }

    fn make(flow: Arc<dyn Flow>, world: World, references: Vec<Py<References>>, is_async: bool) -> Self {
        let core = credential::Credential::new(flow, world);
        Self { core, references, is_async, needs_loop: false, given: GivenBefore::default() }
    }

    /// A credential that refers to nothing of the application.
    fn simple(
        py: Python<'_>,
        keywords: &Keywords<'_>,
        is_async: bool,
        flow: impl FnOnce(&World) -> Result<Arc<dyn Flow>>,
    ) -> PyResult<Self> {
        let references = References::new(py, None, None)?;
        let world = keywords.world(&references)?;
        Ok(Self::make(flow(&world)?, world, vec![references.unbind()], is_async))
    }

    fn of_application(
        py: Python<'_>,
        name: &'static str,
        application: Application,
        keywords: &Keywords<'_>,
        is_async: bool,
        prover: impl FnOnce(&World) -> Result<Box<dyn Prover>>,
    ) -> PyResult<Self> {
        Self::simple(py, keywords, is_async, |world| {
            Ok(Arc::new(ApplicationFlow::new(name, application, prover(world)?, world)))
        })
    }
}

async fn obtain(
    core: Arc<credential::Credential>,
    request: TokenRequest,
    caller: Caller,
    is_info: bool,
) -> Result<Given> {
    let token = tokio::time::timeout(WAIT_MAX, core.obtain(request, &caller)).await.map_err(|_| {
        Error::new(
            Code::DeadlineExceeded,
            format!("{} gave no token within {} seconds.", core.name(), WAIT_MAX.as_secs()),
            "Pass the one credential that is meant, which fails with its own reason.",
        )
    })?;
    Ok(Given { token: token.map_err(Fault::into_error)?, is_info })
}
