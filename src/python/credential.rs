//! Credentials written in Python: anything with azure-core's `get_token` or `get_token_info`, sync or async.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};
use tokio::sync::oneshot;

use crate::credential::exchange::{Proof, Prover};
use crate::credential::flow::Flow;
use crate::credential::{Caller, CallerContext, Fault, FetchedToken, TokenRequest};
use crate::error::{Code, Error};
use crate::process::Birthplace;
use crate::python::exit;
use crate::python::references::WeakReferences;
use crate::python::{attach, convert};
use crate::secret::Secret;
use crate::world::Pending;

/// How often a wait for a token looks whether the event loop that fetches it still runs.
const LOOP_INTERVAL: Duration = Duration::from_millis(250);

/// Whether a credential's methods are coroutines, or `None` if it has none that we know.
pub fn is_async(credential: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(method) = token_method(credential)? else { return Ok(None) };
    let inspect = credential.py().import("inspect")?;
    inspect.call_method1("iscoroutinefunction", (method,))?.extract().map(Some)
}

/// `get_token_info` where there is one, because it says when to renew (azure-core's `SupportsTokenInfo`), or `get_token`.
fn token_method<'py>(credential: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = credential.py();
    Ok(match credential.getattr_opt(intern!(py, "get_token_info"))? {
        Some(method) => Some(method),
        None => credential.getattr_opt(intern!(py, "get_token"))?,
    })
}

/// Reads azure-core's `AccessToken` or `AccessTokenInfo`.
fn read_token(token: &Bound<'_, PyAny>) -> PyResult<FetchedToken> {
    let text: String = token.getattr("token")?.extract()?;
    if text.is_empty() {
        return Err(PyValueError::new_err("the token is empty"));
    }
    let refresh_on = token.getattr_opt("refresh_on")?.filter(|time| !time.is_none());
    Ok(FetchedToken {
        token: Secret::new(text),
        expires_on: seconds(&token.getattr("expires_on")?)?,
        refresh_on: refresh_on.map(|time| seconds(&time)).transpose()?,
    })
}

/// Some credentials write times as floats.
fn seconds(time: &Bound<'_, PyAny>) -> PyResult<u64> {
    time.extract::<u64>().or_else(|_| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        time.extract::<f64>().map(|time| time as u64)
    })
}

/// The error for what a credential raised. Its own text goes along as the cause and not in ours, because we cannot know
/// what is in it.
fn refused(py: Python<'_>, name: &str, scope: &str, raised: PyErr) -> Error {
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let class = raised.get_type(py).name().map_or_else(|_| "an exception".to_owned(), |class| class.to_string());
    let code = if is_unavailable(py, &raised) { Code::CredentialUnavailable } else { Code::IdentityUnavailable };
    Error::new(
        code,
        format!("{name} gave no token: it raised {class}."),
        format!(
            "The exception's __cause__ says why. Whether the identity itself works: az account get-access-token --resource {resource}"
        ),
    )
    .with_source(raised)
}

/// Whether a credential says that it has nothing to try with, as those of azure-identity and ours do.
fn is_unavailable(py: Python<'_>, raised: &PyErr) -> bool {
    let loaded = |module: &str| {
        let modules = py.import("sys")?.getattr("modules")?;
        modules.get_item(module)?.getattr("CredentialUnavailableError")?.cast_into::<PyType>().map_err(PyErr::from)
    };
    ["hubpass.exceptions", "azure.identity"]
        .iter()
        .any(|module| loaded(module).is_ok_and(|class| raised.is_instance(py, &class)))
}

/// What is called for a token: with the scope alone, if that is all that is asked for, because there are credentials
/// that take nothing else.
fn token_call<'py>(credential: &Bound<'py, PyAny>, request: &TokenRequest) -> PyResult<(Bound<'py, PyAny>, String)> {
    let py = credential.py();
    let scopes = request.scopes();
    let last = scopes.last().cloned().unwrap_or_default();
    let method = token_method(credential)?
        .ok_or_else(|| PyValueError::new_err("the credential has neither get_token_info nor get_token any more"))?;
    let options = PyDict::new(py);
    if let Some(claims) = &request.claims {
        options.set_item("claims", claims)?;
    }
    if let Some(tenant_id) = &request.tenant_id {
        options.set_item("tenant_id", tenant_id)?;
    }
    if request.enable_cae {
        options.set_item("enable_cae", true)?;
    }
    if scopes.len() == 1 && options.is_empty() {
        return Ok((method, last));
    }
    let takes_options = credential.hasattr(intern!(py, "get_token_info"))?;
    let keywords = if takes_options { PyDict::new(py) } else { options.clone() };
    if takes_options && !options.is_empty() {
        keywords.set_item("options", options)?;
    }
    let mut arguments = vec![method];
    for scope in scopes.iter().take(scopes.len() - 1) {
        arguments.push(PyString::new(py, scope).into_any());
    }
    let partial = py.import("functools")?.getattr("partial")?;
    Ok((partial.call(pyo3::types::PyTuple::new(py, arguments)?, Some(&keywords))?, last))
}

/// The error for an answer of a credential that is no token. What was wrong with it may quote it and stays untold.
fn not_a_token(name: &str, answer: &Bound<'_, PyAny>) -> Error {
    Error::new(
        Code::IdentityUnavailable,
        format!("{name} gave something that is not an access token ({}).", convert::type_name(answer)),
        "get_token() has to return an object with token (a str) and expires_on (seconds since 1970), as azure.core.credentials.AccessToken has.",
    )
}

/// A credential whose methods block.
pub struct SyncCredential {
    references: WeakReferences,
    name: String,
}

impl SyncCredential {
    /// `references` are to `credential`, which is looked at here and not kept.
    pub fn new(credential: &Bound<'_, PyAny>, references: WeakReferences) -> Self {
        Self { references, name: convert::type_name(credential) }
    }

    /// Begins to call the credential, on a thread that Python made. A thread of ours would be unwound through Rust frames
    /// when the interpreter ends while the credential runs Python code, which aborts the process.
    fn begin(&self, py: Python<'_>, request: &TokenRequest, delivery: TokenDelivery) -> PyResult<()> {
        // Without a client nobody waits: the delivery is dropped, which says so.
        let Some((credential, context)) = self.references.credential(py)? else { return Ok(()) };
        let (call, scope) = token_call(&credential, request)?;
        let begin = py.import("hubpass._threads")?.getattr("begin_token")?;
        begin.call1((context, call, scope, delivery)).map(drop)
    }
}

impl Flow for SyncCredential {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, _caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async {
            let (sender, receiver) = oneshot::channel();
            let scope = request.scopes().join(" ");
            let delivery = TokenDelivery::new(sender, &self.name, &scope);
            match attach::try_attach(|py| {
                self.begin(py, request, delivery).map_err(|raised| refused(py, &self.name, &scope, raised))
            }) {
                Some(begun) => begun?,
                // The interpreter is gone, and with it everybody who waits.
                None => return Err(Fault::Abandoned),
            }
            Ok(receiver.await.map_err(|_| Fault::Abandoned)??)
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A function of the application that gives assertions. It is called as the methods of a credential that block.
pub struct AssertionFunction {
    references: WeakReferences,
    name: &'static str,
}

impl AssertionFunction {
    /// `references` are to the function.
    pub fn new(references: WeakReferences, name: &'static str) -> Self {
        Self { references, name }
    }

    fn begin(&self, py: Python<'_>, delivery: TokenDelivery) -> PyResult<()> {
        // Without a credential nobody waits: the delivery is dropped, which says so.
        let Some((function, context)) = self.references.credential(py)? else { return Ok(()) };
        let begin = py.import("hubpass._threads")?.getattr("begin_assertion")?;
        begin.call1((context, function, delivery)).map(drop)
    }
}

impl Prover for AssertionFunction {
    fn prove<'a>(&'a self, _token_endpoint: &'a str, _caller: Caller) -> Pending<'a, Result<Proof, Fault>> {
        Box::pin(async {
            let (sender, receiver) = oneshot::channel();
            let delivery = TokenDelivery::new(sender, self.name, "");
            let begun =
                attach::try_attach(|py| self.begin(py, delivery).map_err(|raised| refused(py, self.name, "", raised)));
            begun.ok_or(Fault::Abandoned)??;
            let given = receiver.await.map_err(|_| Fault::Abandoned)??;
            Ok(Proof::Assertion(given.token))
        })
    }
}

/// A credential whose methods are coroutines. They run on the event loop of whoever needs the token.
pub struct AsyncCredential {
    references: WeakReferences,
    name: String,
}

impl AsyncCredential {
    /// `references` are to `credential`, which is looked at here and not kept.
    pub fn new(credential: &Bound<'_, PyAny>, references: WeakReferences) -> Self {
        Self { references, name: convert::type_name(credential) }
    }

    /// Begins a task on the caller's loop, which delivers through `delivery`.
    fn begin(
        &self,
        py: Python<'_>,
        request: &TokenRequest,
        caller: &LoopContext,
        delivery: TokenDelivery,
    ) -> PyResult<Py<TaskHolder>> {
        let holder = Py::new(py, TaskHolder::default())?;
        // Without a client nobody waits: the delivery is dropped, which says so.
        let Some((credential, context)) = self.references.credential(py)? else { return Ok(holder) };
        let (call, scope) = token_call(&credential, request)?;
        let beginner = py.import("hubpass.aio._bridge")?.getattr("token_beginner")?;
        let begin = beginner.call1((call, scope, delivery, &holder))?;
        let keywords = PyDict::new(py);
        keywords.set_item("context", context)?;
        caller.event_loop.bind(py).call_method("call_soon_threadsafe", (begin,), Some(&keywords))?;
        Ok(holder)
    }
}

impl Flow for AsyncCredential {
    fn fetch<'a>(&'a self, request: &'a TokenRequest, caller: Caller) -> Pending<'a, Result<FetchedToken, Fault>> {
        Box::pin(async move {
            let Some(context) = caller.context::<LoopContext>() else { return Err(Fault::Abandoned) };
            let (sender, mut receiver) = oneshot::channel();
            let delivery = TokenDelivery::new(sender, &self.name, &request.scopes().join(" "));
            let begun = attach::try_attach(|py| self.begin(py, request, context, delivery));
            // A loop that is closed takes nothing any more.
            let Some(Ok(_holder)) = begun else { return Err(Fault::Abandoned) };
            loop {
                tokio::select! {
                    outcome = &mut receiver => return match outcome {
                        Ok(outcome) => Ok(outcome?),
                        // The task was cancelled.
                        Err(_) => Err(Fault::Abandoned),
                    },
                    () = tokio::time::sleep(LOOP_INTERVAL) => if !context.is_alive() { return Err(Fault::Abandoned) },
                }
            }
        })
    }

    fn can_fetch_for(&self, caller: &Caller) -> bool {
        caller.context::<LoopContext>().is_some_and(LoopContext::is_alive)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// The event loop of a caller.
pub struct LoopContext {
    event_loop: Py<PyAny>,
}

impl LoopContext {
    /// The loop that runs on this thread.
    pub fn running(py: Python<'_>) -> PyResult<Self> {
        Ok(Self { event_loop: py.import("asyncio")?.call_method0("get_running_loop")?.unbind() })
    }
}

impl CallerContext for LoopContext {}

/// Who calls: to an async client, the loop that runs on this thread. Without one the caller has nothing to lend.
pub fn caller(py: Python<'_>, is_async: bool) -> Caller {
    let running = if is_async { LoopContext::running(py).ok() } else { None };
    running.map_or_else(Caller::default, |context| Caller::new(Arc::new(context)))
}

impl LoopContext {
    /// Whether the loop runs.
    fn is_alive(&self) -> bool {
        let is_running = |py: Python<'_>| self.event_loop.bind(py).call_method0("is_running")?.extract::<bool>();
        attach::try_attach(|py| is_running(py).unwrap_or(false)).unwrap_or(false)
    }
}

/// Where the task of an async credential puts what it got. Dropped without that, it tells that the task is gone.
#[pyclass(frozen, module = "hubpass._native")]
pub struct TokenDelivery {
    sender: Mutex<Option<oneshot::Sender<Result<FetchedToken, Error>>>>,
    name: String,
    scope: String,
    birthplace: Birthplace,
}

impl TokenDelivery {
    fn new(sender: oneshot::Sender<Result<FetchedToken, Error>>, name: &str, scope: &str) -> Self {
        let (name, scope, birthplace) = (name.to_owned(), scope.to_owned(), Birthplace::here());
        Self { sender: Mutex::new(Some(sender)), name, scope, birthplace }
    }

    fn take(&self) -> Option<oneshot::Sender<Result<FetchedToken, Error>>> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        if self.birthplace.is_here() {
            return Some(sender);
        }
        // Who waits is a task of the parent; to drop the sender would be to wake it.
        std::mem::forget(sender);
        None
    }

    fn send(&self, outcome: Result<FetchedToken, Error>) {
        if let Some(sender) = self.take() {
            // Nobody waits any more: the token is lost, as it is to a cancelled caller.
            let _ = sender.send(outcome);
        }
    }
}

#[pymethods]
impl TokenDelivery {
    fn complete(&self, token: &Bound<'_, PyAny>) {
        // A token that comes when the interpreter ends is nobody's any more.
        let Ok(_inside) = exit::enter(token.py()) else { return };
        self.send(read_token(token).map_err(|_| not_a_token(&self.name, token)));
    }

    /// As `complete`, with what a function gave that was called for an assertion.
    fn complete_assertion(&self, assertion: &Bound<'_, PyAny>) {
        let Ok(_inside) = exit::enter(assertion.py()) else { return };
        let text = assertion.extract::<String>().ok().filter(|text| !text.is_empty());
        self.send(text.map_or_else(
            || {
                Err(Error::new(
                    Code::IdentityUnavailable,
                    format!(
                        "The function that {} calls gave no assertion ({}).",
                        self.name,
                        convert::type_name(assertion)
                    ),
                    "Pass func= with a function that takes no arguments and returns a JSON Web Token as a str.",
                ))
            },
            |text| Ok(FetchedToken { token: Secret::new(text), expires_on: u64::MAX, refresh_on: None }),
        ));
    }

    fn fail(&self, py: Python<'_>, error: Bound<'_, PyAny>) {
        self.send(Err(refused(py, &self.name, &self.scope, PyErr::from_value(error))));
    }

    /// Says that nothing will come, unless something has come already.
    fn abandon(&self) {
        drop(self.take());
    }
}

impl Drop for TokenDelivery {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Keeps the task alive while its token is waited for: an event loop holds its tasks only weakly.
#[pyclass(frozen, module = "hubpass._native")]
#[derive(Default)]
pub struct TaskHolder {
    task: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl TaskHolder {
    fn hold(&self, task: Py<PyAny>) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }
}
