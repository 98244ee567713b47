//! A token as the Python object that azure-core's protocols name.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::credential::{AccessToken, Tokens};
use crate::refresh::Held;

/// A token on its way to Python.
pub struct Given {
    pub token: Arc<Held<AccessToken>>,
    /// Whether azure-core's `AccessTokenInfo` is wanted.
    pub is_info: bool,
}

impl<'py> IntoPyObject<'py> for Given {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let token = self.token.value();
        let (text, (expires_on, refresh_on)) = (token.secret().expose(), token.times());
        if self.is_info {
            ACCESS_TOKEN_INFO.function(py)?.call1((text, expires_on, refresh_on))
        } else {
            ACCESS_TOKEN.make_plain(py, text, expires_on)
        }
    }
}

/// The object that was given last for one scope and nothing else, so that whoever asks again for what is still in hand gets
/// it without another being made. azure-core's `AccessToken` cannot be changed, and so can be shared.
#[derive(Default)]
pub struct GivenBefore(ArcSwapOption<Kept>);

struct Kept {
    scope: Py<PyAny>,
    tokens: Arc<Tokens>,
    token: Arc<Held<AccessToken>>,
    object: Py<PyAny>,
}

impl GivenBefore {
    /// The object again, if it is for the very scope and its token is still the one to give, with no renewal to think of.
    pub fn again(&self, py: Python<'_>, scopes: &Bound<'_, PyTuple>) -> Option<Py<PyAny>> {
        let kept = self.0.load();
        let kept = kept.as_ref()?;
        // Scopes are constants of programs: to find the same object is usual, and to compare texts is not worth it.
        if scopes.len() != 1 || !scopes.get_borrowed_item(0).ok()?.is(&kept.scope) {
            return None;
        }
        kept.tokens.is_fresh(&kept.token).then(|| kept.object.clone_ref(py))
    }

    /// Keeps an object that was made. One of ours is not kept: azure-core may be loaded before the next call.
    pub fn keep(
        &self,
        scopes: &Bound<'_, PyTuple>,
        tokens: Arc<Tokens>,
        token: Arc<Held<AccessToken>>,
        object: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let is_azure = ACCESS_TOKEN.azure.get(object.py()).is_some_and(|class| object.get_type().is(class));
        if is_azure && scopes.len() == 1 {
            let scope = scopes.get_item(0)?.unbind();
            self.0.store(Some(Arc::new(Kept { scope, tokens, token, object: object.clone().unbind() })));
        }
        Ok(())
    }

    /// Lets go of the object.
    pub fn forget(&self) {
        self.0.store(None);
    }
}

static ACCESS_TOKEN: Makers = Makers::new("access_token");
static ACCESS_TOKEN_INFO: Makers = Makers::new("access_token_info");

/// What makes a token's Python object, looked up once.
struct Makers {
    name: &'static str,
    function: PyOnceLock<Py<PyAny>>,
    /// azure-core's class, from when it was first seen: it may be loaded later than we are.
    azure: PyOnceLock<Py<PyType>>,
}

impl Makers {
    const fn new(name: &'static str) -> Self {
        Self { name, function: PyOnceLock::new(), azure: PyOnceLock::new() }
    }

    fn function<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        self.function.import(py, "hubpass.identity._tokens", self.name)
    }

    /// A tuple of a text and a time, by azure-core's class itself where that is loaded.
    fn make_plain<'py>(&self, py: Python<'py>, text: &str, expires_on: u64) -> PyResult<Bound<'py, PyAny>> {
        if let Some(class) = self.azure.get(py) {
            return class.bind(py).call1((text, expires_on));
        }
        let made = self.function(py)?.call1((text, expires_on))?;
        let class = made.get_type();
        if class.module()?.to_cow()? == "azure.core.credentials" {
            let _ = self.azure.set(py, class.unbind());
        }
        Ok(made)
    }
}
