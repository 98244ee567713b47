//! Events of the core on their way to the application: its `on_event` callback, and the loggers.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::Error;
use crate::keys::Reported;
use crate::observe::{Event, Observer};
use crate::python::attach;
use crate::python::references::WeakReferences;

/// Hands each event to `hubpass._events.Teller`.
pub struct PyObserver {
    references: WeakReferences,
}

impl PyObserver {
    pub fn new(references: WeakReferences) -> Self {
        Self { references }
    }

    fn call(teller: &Bound<'_, PyAny>, event: &Event) -> PyResult<()> {
        let attributes = PyDict::new(teller.py());
        let name = describe(event, &attributes)?;
        teller.call1((name, attributes)).map(drop)
    }
}

impl Observer for PyObserver {
    fn observe(&self, event: &Event) {
        // At the exit of the interpreter nobody is left to be told, nor when the last client is gone.
        let _ = attach::try_attach(|py| {
            let Some(teller) = self.references.teller(py) else { return };
            if let Err(error) = Self::call(&teller, event) {
                // A callback that fails must not fail what it watches; Python reports it as it reports __del__.
                error.write_unraisable(py, Some(&teller));
            }
        });
    }
}

/// The name of an event; its particulars go into `attributes`.
fn describe(event: &Event, attributes: &Bound<'_, PyDict>) -> PyResult<&'static str> {
    Ok(match event {
        Event::KeyFailed { error } => {
            describe_error(error, attributes)?;
            "key_failed"
        }
        Event::KeyRefused { kid } => {
            attributes.set_item("kid", kid)?;
            "key_refused"
        }
        Event::KeyRenewed { kid } => {
            attributes.set_item("kid", kid)?;
            "key_renewed"
        }
        Event::KeyReported { reported } => {
            let outcome = match reported {
                Reported::Dropped => "dropped",
                Reported::TooSoon => "too_soon",
                Reported::Unknown => "unknown",
            };
            attributes.set_item("outcome", outcome)?;
            "key_invalidated"
        }
        Event::KeyUnchanged { kid } => {
            attributes.set_item("kid", kid)?;
            "key_unchanged"
        }
        Event::KeyUnproven { kid, error } => {
            attributes.set_item("kid", kid)?;
            describe_error(error, attributes)?;
            "key_unproven"
        }
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
        Event::RequestSucceeded { operation } => {
            attributes.set_item("operation", operation)?;
            "request_succeeded"
        }
        Event::TokenFailed { credential, error } => {
            attributes.set_item("credential", credential)?;
            describe_error(error, attributes)?;
            "token_failed"
        }
        Event::TokenRenewed { credential } => {
            attributes.set_item("credential", credential)?;
            "token_renewed"
        }
    })
}

fn describe_error(error: &Error, attributes: &Bound<'_, PyDict>) -> PyResult<()> {
    attributes.set_item("code", error.code().as_str())?;
    attributes.set_item("status", error.status())?;
    attributes.set_item("retry_after", error.retry_after().map(|wait| wait.as_secs_f64()))?;
    attributes.set_item("message", error.message())?;
    attributes.set_item("hint", error.hint())
}
