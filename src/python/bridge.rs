//! Between Python's ways of waiting and the core's futures. A future runs as a task on the process's runtime, never in
//! its caller, so that a caller that stops waiting (Ctrl-C, cancellation, a closed loop) leaves nothing half done.

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::BoundObject;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use crate::error::Result;
use crate::process::{self, Birthplace};
use crate::python::attach;
use crate::python::errors::to_exception;
use crate::python::exit::{self, Inside};

/// How often a blocked call looks whether a signal such as Ctrl-C has come.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a future on the calling thread, which lets other Python threads run and reacts to signals meanwhile. It is
/// not inside then, so that the interpreter can end.
pub fn wait<T: Send + 'static>(
    py: Python<'_>,
    inside: Inside,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> PyResult<(T, Inside)> {
    let (sender, mut receiver) = sync_channel(1);
    let task = spawn(async move {
        // A receiver that is gone has raised KeyboardInterrupt.
        let _ = sender.send(future.await);
    })?;
    drop(inside);
    let birthplace = Birthplace::here();
    loop {
        // The receiver moves in and out, because only one thread at a time may hold it.
        let (outcome, returned) = py.detach(move || (receiver.recv_timeout(SIGNAL_INTERVAL), receiver));
        receiver = returned;
        match outcome {
            Ok(outcome) => {
                let inside = exit::enter(py)?;
                return Ok((outcome?, inside));
            }
            Err(RecvTimeoutError::Timeout) => {
                let signalled = py.check_signals();
                // The handler of a signal may have forked.
                if !birthplace.is_here() {
                    signalled?;
                    return Err(process::inherited().into());
                }
                signalled.inspect_err(|_| task.abort())?;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _inside = exit::enter(py)?;
                return Err(process::exiting().into());
            }
        }
    }
}

/// Starts a future and returns at once. `deliver(value, error)` is called on a thread of the runtime when it ends; one of
/// the two is `None`.
pub fn start<T>(future: impl Future<Output = Result<T>> + Send + 'static, deliver: Py<PyAny>) -> PyResult<Flight>
where
    T: for<'py> IntoPyObject<'py> + Send + 'static,
{
    let task = spawn(async move {
        let outcome = future.await;
        // Without an interpreter there is nobody to deliver to. The callable itself handles a loop that has closed.
        let _ = attach::try_attach(|py| {
            let converted = outcome
                .map_err(|error| to_exception(py, &error))
                .and_then(|value| value.into_pyobject(py).map_err(Into::into).map(BoundObject::into_any));
            let delivered = match converted {
                Ok(value) => deliver.call1(py, (value.into_bound(), py.None())),
                Err(raised) => deliver.call1(py, (py.None(), raised.into_value(py))),
            };
            if let Err(error) = delivered {
                error.write_unraisable(py, None);
            }
        });
    })?;
    Ok(Flight { task, birthplace: Birthplace::here() })
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<AbortHandle> {
    process::current()?.spawn(task)
}

/// Something that has to be waited for, to be started by a coroutine.
#[pyclass(frozen, module = "hubpass._native")]
pub struct PendingAnswer {
    start: Mutex<Option<Box<Starter>>>,
}

type Starter = dyn FnOnce(Py<PyAny>) -> PyResult<Flight> + Send;

impl PendingAnswer {
    /// An answer that `future` gives.
    pub fn new<T>(future: impl Future<Output = Result<T>> + Send + 'static) -> Self
    where
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        Self { start: Mutex::new(Some(Box::new(move |deliver| start(future, deliver)))) }
    }
}

#[pymethods]
impl PendingAnswer {
    /// Starts to wait; `deliver(answer or None, error or None)` is called when it is done.
    fn start(&self, deliver: Py<PyAny>) -> PyResult<Flight> {
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner).take();
        let start = start.ok_or_else(|| PyRuntimeError::new_err("it has been started before"))?;
        start(deliver)
    }
}

/// A future under way.
#[pyclass(frozen, module = "hubpass._native")]
pub struct Flight {
    task: AbortHandle,
    birthplace: Birthplace,
}

#[pymethods]
impl Flight {
    /// Drops the future; nothing is delivered any more. A forked child that closes an inherited coroutine leaves its
    /// parent's task alone.
    fn cancel(&self) {
        if self.birthplace.is_here() {
            self.task.abort();
        }
    }
}
