//! A token as the Python object that azure-core's protocols name.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::credential::AccessToken;
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
        static ACCESS_TOKEN: Makers = Makers::new("access_token");
        static ACCESS_TOKEN_INFO: Makers = Makers::new("access_token_info");
        let token = self.token.value();
        let (text, (expires_on, refresh_on)) = (token.secret().expose(), token.times());
        if self.is_info {
            ACCESS_TOKEN_INFO.function(py)?.call1((text, expires_on, refresh_on))
        } else {
            ACCESS_TOKEN.make_plain(py, text, expires_on)
        }
    }
}

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
