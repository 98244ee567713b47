//! Warnings, at the line of the caller.

use std::ffi::CString;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// How many Python frames lie between a warning and the code that it is for: the public method.
const STACK_LEVEL: i32 = 2;

/// Warns the caller of the public method.
pub fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    static CATEGORY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let category = CATEGORY.import(py, "hubpass.exceptions", "HubpassWarning")?;
    let message = CString::new(message).unwrap_or_default();
    PyErr::warn(py, category, &message, STACK_LEVEL)
}
