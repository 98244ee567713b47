//! Errors of the core as Python exceptions. The classes are written in Python; one match chooses among them.

use std::collections::HashMap;
use std::error::Error as _;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyAnyMethods;

use crate::error::{Code, Error, ErrorKind};
use crate::python::exit;

/// The name of the Python class for a family of errors.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ClientAuthentication => "ClientAuthenticationError",
        ErrorKind::ClientClosed => "ClientClosedError",
        ErrorKind::Configuration => "ConfigurationError",
        ErrorKind::CredentialUnavailable => "CredentialUnavailableError",
        ErrorKind::DeadlineExceeded => "DeadlineExceededError",
        ErrorKind::InvalidArgument => "InvalidArgumentError",
        ErrorKind::NetworkBlocked => "NetworkBlockedError",
        ErrorKind::PermissionMissing => "PermissionMissingError",
        ErrorKind::Service => "ServiceError",
        ErrorKind::TokenTooLong => "TokenTooLongError",
    }
}

/// What makes an exception of an error.
fn maker(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MAKE.import(py, "hubpass.exceptions", "_from_core")
}

/// Gets ready to raise. At the very end of the interpreter, when finalizers still use clients, nothing can be imported.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    maker(py).map(drop)
}

/// The exception for an error of the core.
pub fn to_exception(py: Python<'_>, error: &Error) -> PyErr {
    let arguments = (
        class_name(error.kind()),
        error.message(),
        error.code().as_str(),
        error.status(),
        error.retry_after().map(|wait| wait.as_secs_f64()),
        error.hint(),
    );
    let made = maker(py).and_then(|make| make.call1(arguments));
    let exception = made.map_or_else(|failure| failure, PyErr::from_value);
    // What a credential raised is the cause, so that its owner finds it in the traceback.
    if let Some(raised) = error.source().and_then(|source| source.downcast_ref::<PyErr>()) {
        exception.set_cause(py, Some(raised.clone_ref(py)));
    }
    exception
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "only where Python is about to be given it, and so inside already"
        )]
        Python::attach(|py| to_exception(py, &error))
    }
}

/// Reports an exception that nobody can catch, as Python reports those of `__del__`. At the end of the interpreter it is
/// not reported any more.
#[pyfunction]
pub fn write_unraisable(error: Bound<'_, PyAny>, source: &Bound<'_, PyAny>) -> PyResult<()> {
    let _inside = exit::enter(source.py())?;
    PyErr::from_value(error).write_unraisable(source.py(), Some(source));
    Ok(())
}

/// Every code with the name of its class, for the test that compares both with the documentation.
#[pyfunction]
pub fn error_codes() -> HashMap<&'static str, &'static str> {
    Code::ALL.iter().map(|code| (code.as_str(), class_name(code.kind()))).collect()
}
