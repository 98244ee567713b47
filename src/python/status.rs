//! What the `status()` of both services' clients has in common.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Error;

/// A time as Python counts it.
pub fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

/// An error, if there is one, as an `ErrorStatus`.
pub fn error_status<'py>(py: Python<'py>, error: Option<&Error>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(error) = error else { return Ok(None) };
    let described = PyDict::new(py);
    described.set_item("code", error.code().as_str())?;
    described.set_item("message", error.message())?;
    described.set_item("hint", error.hint())?;
    described.set_item("status", error.status())?;
    Ok(Some(described))
}
