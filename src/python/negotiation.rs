//! Negotiations on their way through the binding: what was asked, and the answer as Python sees it.

use std::sync::Arc;
use std::time::Duration;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::client::{Negotiated, SignalRClient};
use crate::credential::Caller;
use crate::error::Result;
use crate::negotiate::{Identity, Negotiation};
use crate::python::warnings::warn;

/// A negotiation that has to wait for a key, with nothing borrowed.
pub struct Asked {
    user_id: Option<String>,
    rest: Negotiation<'static>,
}

impl Asked {
    pub fn new(negotiation: Negotiation<'_>) -> Self {
        let user_id = match negotiation.identity {
            Identity::User(user_id) => Some(user_id.to_owned()),
            Identity::Anonymous => None,
        };
        let Negotiation {
            claims,
            lifetime,
            allow_long_lifetime,
            authentication_expires_on,
            close_on_authentication_expiration,
            transports,
            enable_detailed_errors,
            identity: _,
        } = negotiation;
        let rest = Negotiation {
            identity: Identity::Anonymous,
            claims,
            lifetime,
            allow_long_lifetime,
            authentication_expires_on,
            close_on_authentication_expiration,
            transports,
            enable_detailed_errors,
        };
        Self { user_id, rest }
    }

    /// Waits for a key and signs.
    pub async fn answer(
        self,
        client: Arc<SignalRClient>,
        url: Py<PyString>,
        caller: Caller,
        timeout: Option<Duration>,
    ) -> Result<Answer> {
        let key = client.obtain_key(&caller, timeout).await?;
        let identity = self.user_id.as_deref().map_or(Identity::Anonymous, Identity::User);
        let negotiation = Negotiation { identity, ..self.rest };
        Ok(Answer { negotiated: client.sign(client.now(), &negotiation, &key)?, url })
    }
}

/// A signed answer, ready to become a `NegotiationResponse`.
pub struct Answer {
    pub negotiated: Negotiated,
    pub url: Py<PyString>,
}

impl Answer {
    /// The `NegotiationResponse`.
    pub fn response<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let signed = self.negotiated.signed;
        let answer = CLASS.import(py, "hubpass.models", "NegotiationResponse")?.call0()?;
        let members = answer.cast::<PyDict>()?;
        members.set_item(intern!(py, "url"), self.url)?;
        members.set_item(intern!(py, "accessToken"), signed.token)?;
        answer.setattr(intern!(py, "_kid"), signed.kid.as_deref())?;
        answer.setattr(intern!(py, "_expires_on"), signed.expires_on)?;
        Ok(answer.cast_into()?)
    }

    /// The same, after a warning to the caller on whose thread we are.
    pub fn response_with_warning<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if self.negotiated.warn_of_length {
            warn(py, &self.negotiated.length_warning())?;
        }
        self.response(py)
    }
}

/// For a coroutine: the `NegotiationResponse`, and a warning that it has to give, because no caller is on this thread.
impl<'py> IntoPyObject<'py> for Answer {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let warning = self.negotiated.warn_of_length.then(|| self.negotiated.length_warning());
        (self.response(py)?, warning).into_pyobject(py)
    }
}
