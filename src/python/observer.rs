//! The application's `on_event` callback.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::observe::{Event, Observer};

/// Calls a Python callable with each event.
pub struct PyObserver {
    callback: Py<PyAny>,
}

impl PyObserver {
    pub fn new(callback: Py<PyAny>) -> Self {
        Self { callback }
    }

    fn call(&self, py: Python<'_>, event: &Event) -> PyResult<()> {
        let attributes = PyDict::new(py);
        let name = match event {
            Event::LargeToken { length, limit } => {
                attributes.set_item("length", length)?;
                attributes.set_item("limit", limit)?;
                "large_token"
            }
            Event::RequestFailed { operation, code, status } => {
                attributes.set_item("operation", operation)?;
                attributes.set_item("code", code)?;
                attributes.set_item("status", status)?;
                "request_failed"
            }
        };
        let event = py.import("hubpass.models")?.getattr("Event")?.call1((name, attributes))?;
        self.callback.call1(py, (event,)).map(drop)
    }
}

impl Observer for PyObserver {
    fn observe(&self, event: &Event) {
        // At the exit of the interpreter nobody is left to be told.
        let _ = Python::try_attach(|py| {
            if let Err(error) = self.call(py, event) {
                // A callback that fails must not fail the call that it watches; Python reports it as it reports __del__.
                error.write_unraisable(py, Some(self.callback.bind(py)));
            }
        });
    }
}
