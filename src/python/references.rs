//! The objects of the application that clients refer to, where the garbage collector of Python sees them.
//!
//! An application may hand a client its own method as callback, or a credential that knows the client. That is a cycle, and
//! the collector frees it only if it can follow every reference in it, once. So the references stand in one Python object
//! that the clients of all hubs refer to; the core, which shares its parts in ways that the collector cannot follow, knows
//! that object weakly.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyWeakrefReference};

use crate::keys::SigningKey;
use crate::python::construction::{current_key, unsupported_credential};
use crate::python::{errors, exit};

/// A reference that the collector may take away.
type Slot = ArcSwapOption<Py<PyAny>>;

/// What the clients of one service refer to.
#[pyclass(frozen, weakref, module = "hubpass._native")]
pub struct References {
    /// The `hubpass._events.Teller`, which has the callback.
    teller: Slot,
    /// The credential, and the context variables that it is called with.
    credential: Slot,
    context: Slot,
    /// The text that the signing key was made of, if the credential has a key that its owner may replace at any time
    /// (`AzureKeyCredential` of azure-core).
    key: Slot,
}

impl References {
    /// What a client is going to refer to: its callback and its credential, with the context variables as they are now.
    /// Tracing and logging of the application see in the credential what they saw at construction.
    pub fn new<'py>(
        py: Python<'py>,
        callback: Option<&Bound<'py, PyAny>>,
        credential: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        errors::prepare(py)?;
        exit::prepare(py)?;
        let teller = py.import("hubpass._events")?.getattr("Teller")?.call1((callback,))?;
        let context = match credential {
            Some(_) => Some(py.import("contextvars")?.call_method0("copy_context")?),
            None => None,
        };
        let slot =
            |object: Option<&Bound<'py, PyAny>>| Slot::from_pointee(object.map(|object| object.clone().unbind()));
        let references = Self {
            teller: slot(Some(&teller)),
            credential: slot(credential),
            context: slot(context.as_ref()),
            key: Slot::empty(),
        };
        Bound::new(py, references)
    }

    /// Remembers the text that the signing key was made of.
    pub fn remember_key(&self, key: Bound<'_, PyString>) {
        self.key.store(Some(Arc::new(key.into_any().unbind())));
    }

    /// Hands out the credential's key if its owner has replaced it since the last look.
    pub fn follow_credential(&self, py: Python<'_>, replace: impl FnOnce(SigningKey)) -> PyResult<()> {
        self.replaced_key(py).map(|replaced| replaced.map_or((), replace))
    }

    fn replaced_key(&self, py: Python<'_>) -> PyResult<Option<SigningKey>> {
        let (seen, credential) = (self.key.load(), self.credential.load());
        // A client of a connection string has neither; to one that is being collected, what it holds is good enough.
        let (Some(seen), Some(credential)) = (&*seen, &*credential) else { return Ok(None) };
        let credential = credential.bind(py);
        let key = current_key(credential)?.ok_or_else(|| unsupported_credential(credential))?;
        if key.is(&**seen) {
            return Ok(None);
        }
        let signing = SigningKey::new(&key.to_cow()?, None);
        self.remember_key(key);
        Ok(Some(signing))
    }

    fn get<'py>(py: Python<'py>, slot: &Slot) -> Option<Bound<'py, PyAny>> {
        let reference: Guard<Option<Arc<Py<PyAny>>>> = slot.load();
        reference.as_ref().map(|object| object.bind(py).clone())
    }

    fn slots(&self) -> [&Slot; 4] {
        [&self.teller, &self.credential, &self.context, &self.key]
    }
}

#[pymethods]
impl References {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.slots().into_iter().try_for_each(|slot| visit.call(slot.load().as_deref()))
    }

    fn __clear__(&self) {
        self.slots().into_iter().for_each(|slot| drop(slot.swap(None)));
    }
}

/// The same for the core, which keeps nothing alive by it.
pub struct WeakReferences {
    weak: Py<PyWeakrefReference>,
}

impl WeakReferences {
    pub fn new(references: &Bound<'_, References>) -> PyResult<Self> {
        Ok(Self { weak: PyWeakrefReference::new(references)?.unbind() })
    }

    /// The teller, unless the last client is gone.
    pub fn teller<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        References::get(py, &self.upgrade(py)?.get().teller)
    }

    /// The credential and a context to call it in, unless the last client is gone. A context cannot be entered twice at once,
    /// so each call has a copy.
    pub fn credential<'py>(&self, py: Python<'py>) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        let Some(references) = self.upgrade(py) else { return Ok(None) };
        let held = |slot| References::get(py, slot);
        let (credential, context) = (held(&references.get().credential), held(&references.get().context));
        let Some((credential, context)) = credential.zip(context) else { return Ok(None) };
        Ok(Some((credential, context.call_method0("copy")?)))
    }

    fn upgrade<'py>(&self, py: Python<'py>) -> Option<Bound<'py, References>> {
        use pyo3::types::PyWeakrefMethods;
        self.weak.bind(py).upgrade_as().ok().flatten()
    }
}
